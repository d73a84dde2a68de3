"""The page of :mod:`benchmarks.students`: every word and figure of docs/results.md comes from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebench.results.metrics.repeats import Repeated, Trained, over_seeds, paired_over_seeds
from edgebench.results.records.record import CorpusFacts
from edgebench.training.artifacts.baseline import ALIGNED_KEY, KEY

CATEGORIES = ("ua", "wa", "macro_f1", "f1_anger", "f1_happiness", "f1_neutral", "f1_sadness")
DIMENSIONS = ("ccc_arousal", "ccc_dominance", "ccc_valence")
HEADINGS = {
    "ua": "UA", "wa": "WA", "macro_f1": "macro F1", "f1_anger": "F1 anger", "f1_happiness": "F1 happiness",
    "f1_neutral": "F1 neutral", "f1_sadness": "F1 sadness", "ccc_arousal": "CCC arousal",
    "ccc_dominance": "CCC dominance", "ccc_valence": "CCC valence",
}  # fmt: skip
HARD, SOFT, ADAPTED = "hard labels", "soft labels", "adapted"
BASELINES = (KEY, ALIGNED_KEY)
PRECISION = {"fp32": "fp32", "small": "int8", "": ""}

BEGIN, END = "<!-- begin python -m benchmarks.students -->\n", "<!-- end -->\n"

INTRODUCTION = """\
Written by `python -m benchmarks.students`; do not edit it. Speakers are held out: the figures are of speakers
that no run of the table has seen in training or validation. An arm's value is the mean over its trainings, in
brackets the 95 % interval over test speakers (none where fewer than five were scored), and
after ± the deviation over seeds. `logistic regression` is the trivial baseline: mean and deviation of the
log-mel of each clip, learnt on the training speakers. Chance is a UA of .25.

{machine}

### How the runs were made

{commands}

`PATH` stands for a folder or file of the machine. The soft labels are the mean answer of the teachers of the
table. What a recipe says (steps, augmentation, what the soft labels replace) was settled by validation
speakers, and by training speakers who were set aside for it; the weights kept are those at the end of the
schedule, so that no validation chose them either. The card of a finished run shows figures on the test
speakers; nothing was changed by them.
"""


@dataclass(frozen=True)
class Arm:
    """The trainings of one recipe at one precision (``fp32``, ``small``), by seed."""

    name: str
    precision: str
    trainings: Sequence[Trained]

    @property
    def title(self) -> str:
        """As it stands in a table."""
        return f"{self.name} {PRECISION[self.precision]}".strip()


@dataclass(frozen=True)
class Block:
    """All arms on one corpus; ``note``: what the nets have not seen of it."""

    corpus: CorpusFacts
    arms: Sequence[Arm]
    note: str = ""

    @property
    def title(self) -> str:
        """The corpus, and whether it is new to the nets."""
        return f"{self.corpus.name} ({self.note})" if self.note else self.corpus.name

    def arm(self, name: str, precision: str) -> Sequence[Trained]:
        """The trainings of an arm, none where there is no such arm."""
        return next((a.trainings for a in self.arms if (a.name, a.precision) == (name, precision)), ())


def renewed(whole: str, section: str) -> str:
    """``whole`` with what stands between the marks replaced. Raises ValueError where they are missing."""
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN.strip()} and {END.strip()}")
    return before + begin + "\n" + section + end + after


def page(
    within: Sequence[Block],
    across: Sequence[Block],
    commands: Mapping[str, Sequence[str]],
    machine: Sequence[tuple[str, str]],
    *,
    without: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    validated: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """The section as Markdown.

    ``commands`` are those of the runs by arm and seed; ``without`` holds the same of the runs that have not
    seen a corpus, and ``validated`` the UA of the validation speakers by arm and seed.
    """
    rows = "\n".join(
        ["| machine | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in machine)]
    )
    parts = [INTRODUCTION.format(machine=rows, commands=_told(commands))]
    if validated:
        lines = [_row(["", "mean", "by seed"]), _row(["---"] * 3)]
        for arm, found in validated.items():
            seeds = ", ".join(f"{value:.3f}" for value in found)
            lines.append(_row([arm, f"{sum(found) / len(found):.3f}", seeds]))
        parts.append("\n".join([VALIDATED, *lines, ""]))
    parts.append("![UA of every training on every corpus](results.svg)\n")
    parts.append("### Corpora that the nets learnt from, other speakers\n")
    parts += [_figures(block) for block in within]
    if across:
        parts.append("### Corpora that the nets have not seen\n")
        for corpus, lines in (without or {}).items():
            parts.append(f"Without {corpus}:\n\n{_told(lines)}\n")
        parts += [_figures(block) for block in across]
    blocks = [*within, *across]
    names = list(dict.fromkeys(arm.name for b in blocks for arm in b.arms if arm.name not in BASELINES))
    parts += [BEATEN, _beyond_baseline(blocks, names)]
    parts += [PAIRED, _differences(blocks, (HARD, "fp32"), (SOFT, "fp32"))]
    if ADAPTED in names:
        parts += [ADAPTATION, _differences(blocks, (SOFT, "fp32"), (ADAPTED, "fp32"))]
    parts.append(INT8)
    for name in names:
        parts.append(f"{name}:\n\n" + _differences(blocks, (name, "fp32"), (name, "small")))
    return "\n".join(parts)


VALIDATED = """\
### UA on the validation speakers

UA at the last step, the mean over the real corpora: recipes were chosen by it, and of the packaged recipe the
seed.
"""
BEATEN = """\
### UA beyond the logistic regression

Each arm minus the trivial baseline on the same clips, the mean over seeds; in brackets the 95 % interval over
test speakers, then how many of the seeds were ahead of it. `aligned`: beyond the regression whose
answers are aligned over the clips that the adapted students were trained on, as the teachers' were.
"""
PAIRED = """\
### Soft labels minus hard labels

Seed by seed, the same net, seed, steps and augmentation, on the same clips; in brackets the 95 % interval
over test speakers, then in how many of the seeds the soft labels were ahead.
"""
ADAPTATION = """\
### Adapted minus soft labels

`adapted` was trained on the training speakers of the corpus without their labels. The teachers, which have
not seen it, gave theirs instead, aligned over it (`teacher.align_unlabelled`). Seed by seed, on speakers that
neither has seen.
"""
INT8 = """\
### int8 minus fp32

The int8 file minus the fp32 file of the same training, over the same clips and seeds.
"""


def _told(commands: Mapping[str, Sequence[str]]) -> str:
    """The first seed's command of each arm, and how many seeds there are."""
    told = []
    for arm, lines in commands.items():
        seeds = "1 seed" if len(lines) == 1 else f"{len(lines)} seeds"
        told.append(f"- {arm} ({seeds}):\n\n  ```\n  {lines[0]}\n  ```")
    return "\n".join(told)


def _beyond_baseline(blocks: Sequence[Block], names: Sequence[str]) -> str:
    lines = [_row(["corpus", *names]), _row(["---"] * (1 + len(names)))]
    for block, key in ((block, key) for block in blocks for key in BASELINES):
        for trivial in block.arm(key, ""):
            cells = []
            for arm in (block.arm(name, "fp32") for name in names):
                baseline = [trivial] * len(arm)
                found = paired_over_seeds(baseline, arm, block.corpus, "ua") if arm else None
                cells.append(_difference(found) if found else "-")
            lines.append(_row([block.title + ("" if key == KEY else ", aligned"), *cells]))
    return "\n".join([*lines, ""])


def _figures(block: Block) -> str:
    corpus = block.corpus
    speakers = len({clip.speaker for clip in corpus.clips})
    lines = [
        f"#### {block.title}: {len(corpus.clips)} clips of {speakers} speakers "
        f"(A/D/V labels: {corpus.label_source})\n",
        _row(["", *(HEADINGS[metric] for metric in (*CATEGORIES[:3], *DIMENSIONS))]),
        _row(["---"] * 7),
    ]
    for arm in block.arms:
        metrics = CATEGORIES[:3] if arm.name in BASELINES else (*CATEGORIES[:3], *DIMENSIONS)
        found = [over_seeds(arm.trainings, corpus, metric) for metric in metrics]
        lines.append(_row([arm.title, *map(_value, found), *["-"] * (6 - len(found))]))
    lines += ["", _row(["F1 by class", *(HEADINGS[metric] for metric in CATEGORIES[3:])]), _row(["---"] * 5)]
    for arm in block.arms:
        found = [over_seeds(arm.trainings, corpus, metric) for metric in CATEGORIES[3:]]
        lines.append(_row([arm.title, *map(_value, found)]))
    return "\n".join([*lines, ""])


def _differences(blocks: Sequence[Block], before: tuple[str, str], after: tuple[str, str]) -> str:
    metrics = (*CATEGORIES[:3], *DIMENSIONS)
    lines = [_row(["corpus", *(HEADINGS[metric] for metric in metrics)]), _row(["---"] * 7)]
    for block in blocks:
        pair = block.arm(*before), block.arm(*after)
        if not all(pair):
            continue
        found = [paired_over_seeds(*pair, block.corpus, metric) for metric in metrics]
        lines.append(_row([block.title, *map(_difference, found)]))
    return "\n".join([*lines, ""])


def _value(found: Repeated) -> str:
    spread = f" ± {found.deviation:.3f}" if found.deviation is not None else ""
    return f"{found.mean:.3f}{_bounds(found, '.3f')}{spread}"


def _difference(found: Repeated) -> str:
    ahead = sum(value > 0 for value in found.values)
    return f"{found.mean:+.3f}{_bounds(found, '+.3f')}, {ahead} of {len(found.values)}"


def _bounds(found: Repeated, form: str) -> str:
    """The interval in brackets, or nothing where too few speakers were scored for one."""
    low, high = found.interval.lo, found.interval.hi
    return "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
