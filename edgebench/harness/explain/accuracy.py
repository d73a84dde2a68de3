"""Where an int8 file loses its accuracy: its operators one at a time in 8 bits, on this host."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.harness.explain.operators import Graph, Operator
from edgebench.harness.explain.partners import partners
from edgebench.harness.explain.roles import OTHER, SPECTRUM, roles
from edgebench.models.host import HostModel
from edgebench.models.quantization.sensitivity import Labels, Sensitivity, sensitivities

if TYPE_CHECKING:
    from edgebench.harness.events import Events
    from edgebench.harness.explain.explanation import Row
    from edgebench.models import Artifact
    from edgebench.models.quantization.scheme import Waveform

MOST_CLIPS = 16
LEAST_CLIPS = 3
_BUDGET_S = 60.0  # of all rows together: slower models are judged on fewer clips
_LONGEST_S = 10.0
_QUIET_DB = 30.0  # a part above it is not worth a word
_CCC = 0.01
_INTEGER = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "MatMulNBits")


@dataclass(frozen=True)
class Speech:
    """Prepared clips that judge, others that set ranges, and what is known of the first.

    ``source``: where they come from, in words.
    """

    judged: Sequence[Waveform]
    calibration: Sequence[Waveform]
    labels: Labels | None
    source: str


@dataclass(frozen=True)
class LossyPart:
    """A part of the net whose 8-bit form hurts the outputs. ``rows``: the worst first.

    ``cost_ns``: what keeping the operators in float adds to the time on the device (negative: it saves).
    """

    role: str
    rows: tuple[Sensitivity, ...]
    why: str
    advice: str
    cost_ns: float | None

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "role": self.role,
            "operators": [name for row in self.rows for name in row.nodes],
            "signal_to_noise_db": self.rows[0].signal_to_noise_db,
            "why": self.why,
            "advice": self.advice,
            "cost_ns": self.cost_ns,
        }


def alone_in_int8(
    parent: Artifact, speech: Speech, graphs: tuple[Graph, Graph], *, events: Events
) -> list[Sensitivity]:
    """A row for each operator of the parent that the int8 file quantizes.

    ``graphs``: of the parent and of the int8 file. Raises ModelError for a parent that cannot be run here.
    """
    events.stage("quantizing one operator at a time on this host")
    chosen = _quantized(*graphs)
    if not chosen:
        return []
    clips = [_cut(parent, clip) for clip in speech.judged[:MOST_CLIPS]]
    count = _affordable(parent, clips, len(chosen))
    labels = speech.labels
    if labels is not None:
        labels = Labels(labels.emotions[:count], labels.dimensions[:count])
    return sensitivities(
        parent.path,
        clips[:count],
        calibration=[_cut(parent, clip) for clip in speech.calibration[:MOST_CLIPS]] or None,
        labels=labels,
        made={name for operator in chosen for name in operator.outputs},
        float_outputs=_float_outputs(*graphs),
        advance=lambda done, total: events.advance(done, total, "operators"),
    )


def lossy_parts(rows: Sequence[Sensitivity], graph: Graph, times: Sequence[Row]) -> list[LossyPart]:
    """The parts of the net that lose most, the worst first; layers stand for themselves, one by one.

    ``graph``: of the parent; ``times``: the operators with their times.
    """
    makers = {name: operator for operator in graph.operators for name in operator.outputs}
    role_of = roles(graph)
    groups: dict[str, list[Sensitivity]] = {}
    for row in rows:
        if row.signal_to_noise_db < _QUIET_DB or (row.ccc_loss or 0.0) > _CCC:
            role = role_of[makers[row.outputs[0]].number]
            groups.setdefault(f"{row.kind} {row.nodes[0]}" if role == OTHER else role, []).append(row)
    found = []
    for role, members in groups.items():
        members.sort(key=lambda row: row.signal_to_noise_db)
        numbers = {makers[name].number for row in members for name in row.outputs}
        found.append(
            LossyPart(
                role=role,
                rows=tuple(members),
                why=_why(members, role, makers),
                advice="Keep these operators in float.",
                cost_ns=_cost(numbers, times),
            )
        )
    return sorted(found, key=lambda part: part.rows[0].signal_to_noise_db)


def _why(rows: Sequence[Sensitivity], role: str, makers: dict[str, Operator]) -> str:
    worst = rows[0]
    if worst.signal_to_noise_db <= -150:
        text = f"{_called(worst)} alone in int8 makes outputs that are no numbers"
    else:
        text = f"{_called(worst)} alone in int8 leaves {worst.signal_to_noise_db:.0f} dB of the outputs"
    losses = [
        f"{value:.3f} of {name}"
        for name, value in (("UA", worst.ua_loss), ("CCC", worst.ccc_loss))
        if value is not None and value > 0
    ]
    text += f" (it loses {' and '.join(losses)})" if losses else ""
    lost = max(rows, key=lambda row: row.lost_share or 0.0)
    if lost.lost_share and lost.lost_share > 0.5:
        text += (
            f"; {lost.lost_share:.0%} of the values at {_called(lost)} round to zero, as one scale of 255 "
            "steps spans them all"
        )
    elif worst.activations_db is not None and worst.activations_db < _QUIET_DB:
        text += f"; rounding its tensors alone leaves {worst.activations_db:.0f} dB of them"
    bands = [
        f"{row.nodes[0]}, the product of the spectrum with {weights[-1]} bands"
        for row in rows
        if role == SPECTRUM and row.kind == "MatMul" and (weights := makers[row.outputs[0]].weights)
    ]
    return text + (f". Among them: {'; '.join(bands)}" if bands else "") + "."


def _called(row: Sensitivity) -> str:
    """An operator's name, with its kind where that is not part of it."""
    return row.nodes[0] if row.kind.lower() in row.nodes[0].lower() else f"{row.kind} {row.nodes[0]}"


def _cost(numbers: set[int], times: Sequence[Row]) -> float | None:
    rows = [row for row in times if row.parent is not None and row.parent.number in numbers]
    known = [
        row.parent_ns - row.child_ns for row in rows if row.parent_ns is not None and row.child_ns is not None
    ]
    return sum(known) if known else None


def _quantized(parent: Graph, child: Graph) -> list[Operator]:
    """Operators of the parent whose counterpart in the int8 file stands beside a conversion."""
    found = []
    for number, counterpart in partners(parent, child).items():
        operator = child.operators[number]
        near = (*child.before(operator), *child.after(operator))
        if operator.kind in _INTEGER or any(other.is_pair for other in near):
            found.append(parent.operators[counterpart])
    return found


def _float_outputs(parent: Graph, child: Graph) -> set[str]:
    """Kinds of operators whose results the int8 file never rounds."""
    kinds: dict[str, bool] = {}
    for number, counterpart in partners(parent, child).items():
        rounded = child.quantized_output(child.operators[number])
        kind = parent.operators[counterpart].kind
        kinds[kind] = kinds.get(kind, False) or rounded
    return {kind for kind, rounded in kinds.items() if not rounded}


def _cut(parent: Artifact, clip: Waveform) -> Waveform:
    """A clip as long as the file takes: its only length, or ten seconds at most."""
    if parent.lengths:
        return np.resize(clip, parent.lengths[-1]).astype(np.float32)
    return clip[: round(_LONGEST_S * parent.sample_rate_hz)]


def _affordable(parent: Artifact, clips: Sequence[Waveform], rows: int) -> int:
    """How many clips the budget of time allows, told from one inference."""
    model = HostModel(parent)
    model(clips[0])
    began = time.monotonic()
    model(clips[0])
    spent = max(time.monotonic() - began, 1e-4)
    return int(np.clip(_BUDGET_S / (min(rows, 48) * spent), LEAST_CLIPS, len(clips)))
