"""An explanation in words and tables, for the terminal and the page alike."""

from __future__ import annotations

from edgebench.harness.explain.causes import Cause
from edgebench.harness.explain.causes.base import listed
from edgebench.harness.explain.explanation import Explanation, Row
from edgebench.harness.explain.operators import PAIRS
from edgebench.harness.explain.roofline import Roofs, roofs_of
from edgebench.harness.explain.side import NOT_QUANTIZED
from edgebench.results.report.comparison import effect_text
from edgebench.results.report.tables import Cell, Column, Section
from edgebench.results.report.words import NOTHING, number

TIME_HEADING = "What costs time"
ACCURACY_HEADING = "Where accuracy is lost"
MOST_CAUSES = 3
_ALONE = (
    Column("Weights dB", 4),
    Column("Activations dB", 4),
    Column("Alone dB", 1),
    Column("UA lost", 3),
    Column("CCC lost", 3),
)
_SHOWN = 24  # operators of the table; --json and the page hold all


def headline(explanation: Explanation) -> str:
    """What is explained, and how the two files compare, as one sentence."""
    change = explanation.change
    ratio = effect_text(change) if change else "unknown"
    return (
        f"{explanation.child.key} on {explanation.device} takes {ratio} of the time of "
        f"{explanation.parent.key}, at {explanation.input_s:g} s and {explanation.threads} thread(s)."
    )


def facts(explanation: Explanation) -> list[tuple[str, str]]:
    """(name, value) of what concerns the file as a whole."""
    child = explanation.child
    macs = child.int8_share_of_macs()
    return [
        (
            "Computed in int8",
            f"{_percent(macs)} of the MACs, {_percent(child.int8_share_of_time())} of the time",
        ),
        (
            "Under the profiler",
            f"{number(explanation.parent.trace.time_ns, 'ns')} for {explanation.parent.key}, "
            f"{number(child.trace.time_ns, 'ns')} for {child.key}",
        ),
        ("Runs", f"{explanation.runs[0]} (measured in turn), {explanation.runs[1]} (traced)"),
    ]


def operator_section(explanation: Explanation, *, shown: int | None = _SHOWN) -> Section:
    """The operators that take most of either file's time, in the order of the graph."""
    rows = explanation.rows
    roofs = roofs_of((explanation.parent, explanation.child), explanation.rates)
    heaviest = sorted(rows, key=lambda row: -max(row.parent_ns or 0.0, row.child_ns or 0.0))[:shown]
    kept = [row for row in rows if row in heaviest]
    notes = [
        "Times are medians under the runtime's profiler, which slows small operators; only the ratio above "
        "is a measurement."
    ]
    notes.append(
        "Of roof: MACs over time, against the highest rate that any operator of the files or of a small "
        f"probe reached in that arithmetic here ({_rate(roofs.float32)} in float, "
        f"{_rate(roofs.int8)} in int8)."
    )
    if len(rows) > len(kept):
        rest = [row for row in rows if row not in heaviest]
        notes.append(
            f"{len(rest)} further operators take {number(sum(r.parent_ns or 0 for r in rest), 'ns')} and "
            f"{number(sum(r.child_ns or 0 for r in rest), 'ns')} together."
        )
    columns = (
        Column("Operator", right=False),
        Column("Kind", 2, right=False),
        Column("MMAC", 3),
        Column("Against" if explanation.parent.of_kinds(*PAIRS) else "fp32"),
        Column("int8"),
        Column("Ratio"),
        Column("Of roof", 2),
        *(_ALONE if explanation.alone else ()),
        Column("Kernel in the int8 file", 1, right=False),
    )
    return Section("Operators", columns, tuple(_cells(row, explanation, roofs) for row in kept), tuple(notes))


def _cells(row: Row, explanation: Explanation, roofs: Roofs) -> tuple[Cell, ...]:
    ratio = row.child_ns / row.parent_ns if row.child_ns is not None and row.parent_ns else None
    return (
        Cell(row.name),
        Cell(row.kind),
        Cell(f"{row.macs / 1e6:.2f}" if row.macs else ""),
        Cell(_time(row.parent_ns)),
        Cell(_time(row.child_ns)),
        Cell(NOTHING if ratio is None else f"{ratio:.2f}"),
        Cell(_percent(roofs.share(row))),
        *(_alone_cells(row, explanation) if explanation.alone else ()),
        Cell(_kernel(row)),
    )


def _kernel(row: Row) -> str:
    """The kernel, and why it is none of int8 where the operator was to be."""
    why = f" ({row.why_not_int8})" if row.why_not_int8 and row.why_not_int8 != NOT_QUANTIZED else ""
    return f"{row.kernel or ''}{why}"


def _alone_cells(row: Row, explanation: Explanation) -> tuple[Cell, ...]:
    """What the operator alone in int8 does: rounding of its tensors, and what reaches the outputs."""
    found = explanation.alone_of(row)
    if found is None:
        return tuple(Cell("") for _ in _ALONE)
    levels = (found.weights_db, found.activations_db, found.signal_to_noise_db)
    losses = (found.ua_loss, found.ccc_loss)
    return (
        *(Cell(NOTHING if level is None else f"{level:.1f}") for level in levels),
        *(Cell(NOTHING if loss is None else f"{loss:+.3f}") for loss in losses),
    )


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} GMAC/s"


def _time(value: float | None) -> str:
    return NOTHING if value is None else number(value, "ns")


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.0%}"


def causes_text(explanation: Explanation, *, most: int | None = MOST_CAUSES) -> list[tuple[str, str]]:
    """(title, lines) of the largest causes of time, each with what to do and what it would save."""
    return [(cause.title, _cause_text(explanation, cause)) for cause in explanation.causes[:most]]


def lossy_text(explanation: Explanation, *, most: int | None = MOST_CAUSES) -> list[tuple[str, str]]:
    """(title, lines) of the parts that cost most accuracy, with what keeping them in float would cost."""
    found = []
    for part in explanation.lossy[:most]:
        names = listed([name for row in part.rows for name in row.nodes])
        cost = ""
        if part.cost_ns is not None:
            word = "adds" if part.cost_ns > 0 else "saves"
            cost = (
                f" That {word} about {number(abs(part.cost_ns), 'ns')} (fp32 minus int8 times of the trace)."
            )
        found.append((_sentence_case(part.role), f"{names}. {part.why}\nTo do: {part.advice}{cost}"))
    return found


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cause_text(explanation: Explanation, cause: Cause) -> str:
    total = explanation.child.trace.time_ns
    if cause.gain_ns is None:
        gain = "the trace does not tell."
    else:
        share = cause.gain_ns / total if total else 0.0
        gain = f"{number(cause.gain_ns, 'ns')}, {share:.0%} of the traced time ({cause.gain_from})."
    return "\n".join(
        (
            f"{cause.why} Time now: {number(cause.time_ns, 'ns')}.",
            f"To do: {cause.advice}",
            f"Estimated saving: {gain}",
        )
    )
