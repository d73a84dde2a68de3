"""The model card: what an artifact is, what it was learnt from, how well it does and on whom.

A card is rendered from facts alone, so that it can be made again and never drifts from the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgebench.models.manifest import Manifest, Training


class Figure(Protocol):
    """A measured figure with its 95 % interval, both possibly null with a reason."""

    @property
    def value(self) -> float | int | None: ...
    @property
    def lo(self) -> float | None: ...
    @property
    def hi(self) -> float | None: ...


@dataclass(frozen=True)
class CorpusCounts:
    """Clips of a corpus by part."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Row:
    """Figures of one artifact on the held-out speakers of one corpus, by metric name."""

    key: str
    corpus: str
    label_source: str
    clips: int
    speakers: tuple[str, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class CardFacts:
    """Everything a card says. ``artifacts``: fp32 first, then its quantized files.

    ``losses``: key of a quantized file -> corpus -> ``<metric>_loss`` -> fp32 minus quantized.
    ``commands`` make the files again.
    ``leaks_speakers``: the split divides clips, and the voices that are tested were learnt too.
    ``chosen``: validation said which step's weights were kept; otherwise they are the last.
    """

    architecture: str
    artifacts: Sequence[tuple[Manifest, int]]
    training: Training
    split: str
    counts: Mapping[str, CorpusCounts]
    metrics: Sequence[str]
    rows: Sequence[Row]
    losses: Mapping[str, Mapping[str, Mapping[str, Figure]]]
    commands: Sequence[str]
    leaks_speakers: bool = False
    chosen: bool = True


_TITLES = {
    "ua": "UA",
    "wa": "WA",
    "macro_f1": "macro F1",
    "ccc_arousal": "CCC arousal",
    "ccc_dominance": "CCC dominance",
    "ccc_valence": "CCC valence",
}

_CHANGED = "classes_changed"  # clips to which the two files give different emotions

_PROTOTYPE = (
    "Arousal, dominance and valence of the corpora with emotion words alone are the coordinates of the word "
    "in Russell and Mehrabian (1977), Journal of Research in Personality 11, 273-294 (`label_source = "
    "prototype`): four points, not ratings of clips. A CCC against them measures how well categories are "
    "told apart along a dimension, and cannot be set beside a CCC against human ratings."
)
_SYNTHETIC = (
    "The synthetic corpus is a check of the pipeline: its labels are the settings of a generator "
    "(`label_source = synthetic`), and its figures say nothing about emotion in speech."
)


def render_card(facts: CardFacts) -> str:
    """The card as Markdown."""
    parts = [
        f"# {facts.architecture}\n",
        _files(facts),
        _data(facts),
        _figures(facts),
        _losses(facts),
        _limits(facts),
        "## Made by\n\n```\n" + "\n".join(facts.commands) + "\n```\n",
    ]
    return "\n".join(parts)


def _files(facts: CardFacts) -> str:
    rows = [
        [
            f"`{manifest.key}`",
            f"{size_bytes:,}",
            f"{manifest.parameters:,}",
            f"{manifest.macs.value / 1e9:.3f} G at {manifest.macs.input_s:g} s" if manifest.macs else "-",
            f"{manifest.opset} / {manifest.ir_version}",
            f"{manifest.parity.max_abs:g}" if manifest.parity else "-",
        ]
        for manifest, size_bytes in facts.artifacts
    ]
    head = ["artifact", "bytes", "parameters", "MACs", "opset / IR", "largest difference to fp32 allowed"]
    first = facts.artifacts[0][0]
    outputs = "; ".join(f"`{name}`: {', '.join(task.labels)}" for name, task in first.tasks.items())
    schemes = "\n".join(
        f"`{manifest.key}`: " + ", ".join(f"{key} = {value}" for key, value in manifest.scheme.items())
        for manifest, _ in facts.artifacts
    )
    return (
        f"Input: `waveform (batch, samples)`, {first.sample_rate_hz} Hz, [-1, 1], front end inside. "
        f"Outputs: {outputs}. Licence of the weights: **{first.licence}**.\n\n{_table(head, rows)}\n"
        f"MACs by the rule `{first.macs.rule if first.macs else '-'}`.\n\n{schemes}\n"
    )


def _data(facts: CardFacts) -> str:
    rows = [
        [
            name,
            corpus.licence,
            f"{len(corpus.train)} ({facts.counts[name].train})",
            f"{len(corpus.validation)} ({facts.counts[name].validation})",
            f"{len(corpus.test)} ({facts.counts[name].test})",
        ]
        for name, corpus in facts.training.corpora.items()
    ]
    head = ["corpus", "licence", "train: speakers (clips)", "validation", "test"]
    unit = "clips" if facts.leaks_speakers else "speakers"
    kept = f"were chosen on the validation {unit}" if facts.chosen else "are those of the last step"
    return (
        f"## Learnt from\n\n{_table(head, rows)}\n"
        f"Split `{facts.split}`, sha256 `{facts.training.split_sha256}`; seed {facts.training.seed}; "
        f"recipe `{facts.training.recipe}`. The weights {kept}. The test {unit} "
        "were used for nothing but the figures below.\n"
    )


def _figures(facts: CardFacts) -> str:
    keys = {manifest.key for manifest, _ in facts.artifacts}
    rows = [
        [
            row.corpus,
            f"`{row.key}`" if row.key in keys else row.key,
            f"{row.clips} / {len(row.speakers)}",
            row.label_source,
            *(_with_interval(row.figures.get(name)) for name in facts.metrics),
        ]
        for row in sorted(facts.rows, key=lambda row: row.corpus)
    ]
    head = [
        "corpus",
        "artifact",
        "clips / speakers",
        "A/D/V labels",
        *(_TITLES.get(m, m) for m in facts.metrics),
    ]
    scored = sorted({row.corpus: row.speakers for row in facts.rows}.items())
    speakers = "; ".join(f"{corpus}: {', '.join(names)}" for corpus, names in scored)
    return (
        f"## {_heading(facts)}\n\n{_table(head, rows)}\n"
        "In brackets: 95 % interval over speakers, none where fewer than five were scored. "
        "Chance is a UA of .25. `logistic regression` is the trivial baseline: mean and deviation of the "
        "log-mel (which keep the level that the nets normalise away), learnt on the training speakers of "
        f"that corpus alone. Speakers scored: {speakers}. Predicted by onnxruntime on the machine "
        "that trained, not on a board.\n"
    )


def _heading(facts: CardFacts) -> str:
    if not facts.leaks_speakers:
        return "On the held-out speakers"
    return (
        "On held-out clips of learnt speakers\n\n"
        "**The split divides clips, not speakers: these voices were learnt, and the figures are no estimate "
        "for a new one.**"
    )


def _losses(facts: CardFacts) -> str:
    names = [f"{metric}_loss" for metric in facts.metrics]
    rows = [
        [
            corpus,
            f"`{key}`",
            *(_with_interval(figures.get(name), signed=True) for name in names),
            _count(figures.get(_CHANGED)),
        ]
        for key, corpora in facts.losses.items()
        for corpus, figures in sorted(corpora.items())
    ]
    head = ["corpus", "artifact", *(_TITLES.get(name, name) for name in facts.metrics), "classes changed"]
    parent = facts.artifacts[0][0].key
    return (
        f"## What quantization costs\n\nThe figure of `{parent}` minus the artifact's, paired over "
        f"speakers.\n\n{_table(head, rows)}"
    )


def _limits(facts: CardFacts) -> str:
    sources = facts.training.label_source
    notes = [_PROTOTYPE] if "prototype" in sources else []
    notes += [_SYNTHETIC] if "synthetic" in sources else []
    notes.append(
        "The real corpora are acted, read from few texts in quiet rooms, by few speakers. Conversation, "
        "other languages, other rooms and children are not covered. Not for decisions about people."
    )
    return "## What the figures do not say\n\n" + "\n\n".join(notes) + "\n"


def _count(figure: Figure | None) -> str:
    return "-" if figure is None or figure.value is None else f"{figure.value:.0f}"


def _with_interval(figure: Figure | None, *, signed: bool = False) -> str:
    if figure is None or figure.value is None:
        return "-"
    sign = "+" if signed else ""
    value = f"{figure.value:{sign}.3f}"
    if figure.lo is None or figure.hi is None:
        return value
    return f"{value} [{figure.lo:{sign}.3f}, {figure.hi:{sign}.3f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
