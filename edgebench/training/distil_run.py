"""``edgebench train`` on a recipe of distillation: from a teacher and sounds to artifacts and card."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from edgebench.errors import CorpusError
from edgebench.models.manifest import CorpusSpeakers, Training
from edgebench.training.distil_data import DistilData
from edgebench.training.distil_recipe import DistilRecipe
from edgebench.training.distiller import Distiller, TeacherValidator
from edgebench.training.gather import Gathered, gather, training_facts
from edgebench.training.produce import Origin, produce
from edgebench.training.teacher import Teacher, load_teacher
from edgebench.training.trainer import Progress

NOTES = "notes.txt"


def distil(
    recipe: DistilRecipe,
    *,
    corpora: Mapping[str, Path],
    output: Path,
    command: str,
    notify: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Distil the recipe's teacher into its architecture; goes on from a checkpoint in ``output``.

    ``say`` is told, a sentence at a time, what is missing and what is used in its place (to stderr if
    not given); ``notes.txt`` keeps it. Raises the errors of :mod:`edgebench.errors`: no teacher, a
    teacher that cannot teach, buckets and corpora that cannot be read.
    """
    emotions = recipe.loss.emotion_weight > 0.0
    teacher = load_teacher(recipe.teacher, threads=recipe.compute.teacher_threads, emotions=emotions)
    gathered, notes = leave_out_heard(gather(recipe, corpora, unlabelled=recipe.data.unlabelled), teacher)
    data = DistilData(gathered.train, recipe, teacher)
    notes = [*data.notes, *notes]
    for note in notes:
        (say or _to_stderr)(note)
    validate = TeacherValidator(gathered.validation, teacher, neutral=recipe.loss.neutral)
    distiller = Distiller(recipe, data, validate, output)
    distiller.resume()
    distiller.run(notify=notify)
    training = taught(training_facts(recipe, gathered), teacher)
    licences = (teacher.artifact.manifest.licence,) if teacher.artifact.manifest else ()
    origin = Origin(training=training, licences=licences, emotions=emotions)
    produce(distiller.best_model(), recipe, gathered, output, command=command, origin=origin)
    (output / NOTES).write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")
    return output


def leave_out_heard(gathered: Gathered, teacher: Teacher) -> tuple[Gathered, list[str]]:
    """Leave out the test speakers that the teacher was trained or chosen on, and say so.

    What a teacher has heard it passes on, so that they are no test of the student either. Raises
    :class:`CorpusError` where no test speaker is left.
    """
    manifest = teacher.artifact.manifest
    if manifest is None or manifest.training is None:
        return gathered, [
            f"teacher {teacher.artifact.key} does not say which speakers it was trained on: figures on test "
            "speakers may be flattered by what it has heard."
        ]
    test = [clip for clip in gathered.test if clip.speaker not in manifest.seen_speakers(clip.corpus)]
    if len(test) == len(gathered.test):
        return gathered, []
    if not test:
        raise CorpusError(
            f"every test speaker of split {gathered.split.name!r} was heard by teacher {manifest.key} in its "
            "own training, so that nothing is left to test the student on. Give the split that the teacher "
            "was trained by: --set data.split=PATH.json."
        )
    heard = {(c.corpus, c.speaker) for c in gathered.test} - {(c.corpus, c.speaker) for c in test}
    told = ", ".join(f"{corpus} {speaker}" for corpus, speaker in sorted(heard))
    return dataclasses.replace(gathered, test=test), [
        f"test speakers left out because the teacher heard them in its own training: {told}."
    ]


def taught(training: Training, teacher: Teacher) -> Training:
    """The facts of the student's training, with the speakers that its teacher has seen counted as seen.

    The labels' source is the teacher, and behind it whatever taught the teacher.
    """
    artifact = teacher.artifact
    label_source = f"teacher {artifact.key} {artifact.sha256[:12]}"
    theirs = artifact.manifest.training if artifact.manifest else None
    if theirs is None:
        return training.model_copy(update={"label_source": label_source})
    corpora = dict(training.corpora)
    for name, known in theirs.corpora.items():
        ours = training.corpora.get(name)
        if ours is None:
            corpora[name] = known
            continue
        train = {*ours.train, *known.train}
        corpora[name] = CorpusSpeakers(
            train=sorted(train),
            validation=sorted({*ours.validation, *known.validation} - train),
            test=ours.test,
            licence=ours.licence,
        )
    return training.model_copy(
        update={
            "corpora": dict(sorted(corpora.items())),
            "label_source": f"{label_source} (itself: {theirs.label_source})",
        }
    )


def _to_stderr(note: str) -> None:
    sys.stderr.write(f"note: {note}\n")
