"""Where the weights of an artifact come from: what its manifest says of speakers, labels and licences."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.corpora import PARTS
from edgebench.errors import CorpusError
from edgebench.models.artifact import Artifact
from edgebench.models.manifest import CorpusSpeakers, Manifest, Training
from edgebench.models.outputs import HEADS
from edgebench.training.clips.gather import Gathered
from edgebench.training.recipes.sections import Recipe

# From the freest to the most restrictive: weights follow the most restrictive corpus that they come from.
LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "research use only")
# Done to every clip before the net unless a method says otherwise. A clip shorter than a tenth of a second
# leaves nothing to pool over; beyond half a minute memory grows and answers do not change.
PREPARATION: tuple[Mapping[str, Any], ...] = (
    {"step": "pad", "min_s": 0.1},
    {"step": "crop", "max_s": 30.0},
)


@dataclass(frozen=True)
class Lineage:
    """What the artifacts of a run say of their origin.

    ``licences`` are those of the clips and of the teachers. ``outputs`` are the heads that were trained; the
    others are left out of the artifacts. ``preparation`` is done to every clip before the net.
    """

    training: Training
    licences: tuple[str, ...]
    outputs: tuple[str, ...] = HEADS
    preparation: tuple[Mapping[str, Any], ...] = PREPARATION

    @property
    def licence(self) -> str:
        """The licence of the weights."""
        return weights_licence(self.licences)


def own_lineage(recipe: Recipe, gathered: Gathered, **changes: Any) -> Lineage:
    """The lineage of weights that were trained on clips alone; ``changes`` replace its fields."""
    licences = tuple(clip.licence for clip in [*gathered.train, *gathered.validation])
    return dataclasses.replace(Lineage(training_facts(recipe, gathered), licences), **changes)


def with_teachers(lineage: Lineage, teachers: Sequence[Artifact], *, human_labels: bool) -> Lineage:
    """``lineage`` with the speakers that the teachers have seen, their label sources and their licences.

    ``human_labels`` says whether the student's targets also hold the labels of its own corpora.
    """
    known = [teacher.manifest for teacher in teachers]
    corpora = dict(lineage.training.corpora)
    for manifest in known:
        for name, theirs in (manifest.training.corpora if manifest and manifest.training else {}).items():
            corpora[name] = _both(corpora[name], theirs) if name in corpora else theirs
    named = " + ".join(f"{teacher.key} {teacher.sha256[:12]}" for teacher in teachers)
    sources = sorted({m.training.label_source for m in known if m and m.training})
    label_source = f"teacher {named}" + (f" (itself: {'; '.join(sources)})" if sources else "")
    if human_labels:
        label_source = f"{lineage.training.label_source} + {label_source}"
    training = lineage.training.model_copy(
        update={"corpora": dict(sorted(corpora.items())), "label_source": label_source}
    )
    licences = (*lineage.licences, *(manifest.licence for manifest in known if manifest))
    return dataclasses.replace(lineage, training=training, licences=licences)


def training_facts(recipe: Recipe, gathered: Gathered) -> Training:
    """The manifest's training facts: the speakers that occurred, by corpus and part.

    Each speaker is named once; where a split leaks speakers, as a training speaker.
    """
    corpora = {}
    for name in gathered.corpora:
        speakers: dict[str, list[str]] = {}
        for part in PARTS:
            earlier = {speaker for listed in speakers.values() for speaker in listed}
            found = {clip.speaker for clip in gathered.part(part) if clip.corpus == name}
            speakers[part] = sorted(found - earlier)
        licences = {clip.licence for part in PARTS for clip in gathered.part(part) if clip.corpus == name}
        corpora[name] = CorpusSpeakers(**speakers, licence=" + ".join(sorted(licences)))
    # Clips that were used without a label are no source of labels.
    labelled = [clip for clip in gathered.train if clip.labelled]
    return Training(
        corpora=corpora,
        split_sha256=gathered.split.sha256,
        seed=recipe.seed,
        recipe=recipe.name,
        label_source=" + ".join(sorted({clip.label_source for clip in labelled})),
    )


def without_seen_speakers(gathered: Gathered, teachers: Sequence[Artifact]) -> tuple[Gathered, list[str]]:
    """Leave out the test speakers that a teacher has seen, and say so in notes.

    A student learns what its teacher learnt from a speaker, so such a speaker tests neither. Raises
    :class:`CorpusError` where no test speaker is left.
    """
    notes = []
    for teacher in teachers:
        manifest: Manifest | None = teacher.manifest
        if manifest is None or manifest.training is None:
            notes.append(
                f"teacher {teacher.key} does not say which speakers it was trained on: figures on test "
                "speakers may be too high, if it has seen them."
            )
            continue
        test = [clip for clip in gathered.test if clip.speaker not in manifest.seen_speakers(clip.corpus)]
        if not test:
            raise CorpusError(
                f"teacher {manifest.key} has seen every test speaker of split {gathered.split.name!r} in its "
                "own training, so that nothing is left to test the student on. Give the split that the "
                "teacher was trained by: --set data.split=PATH.json."
            )
        seen = {(c.corpus, c.speaker) for c in gathered.test} - {(c.corpus, c.speaker) for c in test}
        if seen:
            told = ", ".join(f"{corpus} {speaker}" for corpus, speaker in sorted(seen))
            notes.append(
                f"test speakers left out because the teacher has seen them in its own training: {told}."
            )
            gathered = dataclasses.replace(gathered, test=test)
    return gathered, notes


def weights_licence(licences: Iterable[str]) -> str:
    """The most restrictive of the licences.

    One outside :data:`LICENCES` cannot be ranked, so such licences are named as they are.
    """
    found = set(licences)
    unknown = sorted(found - set(LICENCES))
    if unknown:
        return " + ".join(unknown)
    return max(found, key=LICENCES.index)


def _both(ours: CorpusSpeakers, theirs: CorpusSpeakers) -> CorpusSpeakers:
    train = {*ours.train, *theirs.train}
    return CorpusSpeakers(
        train=sorted(train),
        validation=sorted({*ours.validation, *theirs.validation} - train),
        test=ours.test,
        licence=ours.licence,
    )
