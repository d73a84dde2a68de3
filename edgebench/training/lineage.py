"""What a student inherits from its teachers: the speakers that they have heard, and their licences."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from edgebench.errors import CorpusError
from edgebench.models.manifest import CorpusSpeakers, Training
from edgebench.training.artifacts.produce import Origin
from edgebench.training.clips.gather import Gathered
from edgebench.training.teachers.teacher import Teacher


def leave_out_heard(gathered: Gathered, teachers: Sequence[Teacher]) -> tuple[Gathered, list[str]]:
    """Leave out the test speakers that a teacher was trained or chosen on, and say so.

    What a teacher has heard it passes on, so that they are no test of the student either. Raises
    :class:`CorpusError` where no test speaker is left.
    """
    notes = []
    for teacher in teachers:
        manifest = teacher.artifact.manifest
        if manifest is None or manifest.training is None:
            notes.append(
                f"teacher {teacher.artifact.key} does not say which speakers it was trained on: figures on "
                "test speakers may be flattered by what it has heard."
            )
            continue
        test = [clip for clip in gathered.test if clip.speaker not in manifest.seen_speakers(clip.corpus)]
        if not test:
            raise CorpusError(
                f"every test speaker of split {gathered.split.name!r} was heard by teacher {manifest.key} in "
                "its own training, so that nothing is left to test the student on. Give the split that the "
                "teacher was trained by: --set data.split=PATH.json."
            )
        heard = {(c.corpus, c.speaker) for c in gathered.test} - {(c.corpus, c.speaker) for c in test}
        if heard:
            told = ", ".join(f"{corpus} {speaker}" for corpus, speaker in sorted(heard))
            notes.append(
                f"test speakers left out because the teacher heard them in its own training: {told}."
            )
            gathered = dataclasses.replace(gathered, test=test)
    return gathered, notes


def taught_origin(
    training: Training, teachers: Sequence[Teacher], *, emotions: bool, human_labels: bool
) -> Origin:
    """The origin of a student's weights: its own training, with all that its teachers have seen and owe.

    ``emotions``: whether it learnt emotions at all. ``human_labels``: whether its targets hold the labels of
    its corpora beside the teachers' answers.
    """
    known = [teacher.artifact.manifest for teacher in teachers]
    corpora = dict(training.corpora)
    for manifest in known:
        for name, theirs in (manifest.training.corpora if manifest and manifest.training else {}).items():
            corpora[name] = _both(corpora[name], theirs) if name in corpora else theirs
    named = " + ".join(f"{t.artifact.key} {t.artifact.sha256[:12]}" for t in teachers)
    sources = sorted({m.training.label_source for m in known if m and m.training})
    label_source = f"teacher {named}" + (f" (itself: {'; '.join(sources)})" if sources else "")
    if human_labels:
        label_source = f"{training.label_source} + {label_source}"
    return Origin(
        training=training.model_copy(
            update={"corpora": dict(sorted(corpora.items())), "label_source": label_source}
        ),
        licences=tuple(m.licence for m in known if m),
        emotions=emotions,
    )


def tell(notes: Sequence[str]) -> None:
    """Write what is missing, and what is used in its place, to stderr."""
    for note in notes:
        sys.stderr.write(f"note: {note}\n")


def _both(ours: CorpusSpeakers, theirs: CorpusSpeakers) -> CorpusSpeakers:
    train = {*ours.train, *theirs.train}
    return CorpusSpeakers(
        train=sorted(train),
        validation=sorted({*ours.validation, *theirs.validation} - train),
        test=ours.test,
        licence=ours.licence,
    )
