"""Reading a runtime's trace: what a hand-written one says, and that no strange one does harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.traced import event, inference, kernel, written

from edgebench.errors import MeasurementError
from edgebench.harness.explain import trace as trace_module
from edgebench.harness.explain.trace import Trace, merged, read_trace

QUANTIZED = [{"uint8": [1, 8]}, {"float": []}]


def test_the_time_of_a_kernel_is_the_median_without_the_first_inference(tmp_path: Path) -> None:
    events = [event("while the session is made", "Add", 1, 999)]
    for number, took in enumerate((90, 10, 14, 12)):
        begins = 100 + 1000 * number
        # The loop runs its kernel twice an inference.
        events += [
            inference(begins, 500),
            event("a", "Conv", begins + 1, took),
            event("l", "Mul", begins + 2, 3),
        ]
        events += [event("l", "Mul", begins + 9, 4)]
    found = read_trace(written(events, tmp_path / "t.json"))
    assert found.inferences == 4
    assert [(kernel.name, kernel.kind, kernel.time_ns) for kernel in found.kernels] == [
        ("a", "Conv", 12e3),
        ("l", "Mul", 7e3),
    ]
    assert found.time_ns == 19e3


def test_what_computes_on_bytes_is_int8_and_what_converts_is_not(tmp_path: Path) -> None:
    events = [inference(0, 9), event("c", "QLinearConv", 1, 1, QUANTIZED)]
    events += [event("d", "DequantizeLinear", 2, 1, QUANTIZED), event("f", "Conv", 3, 1, [{"float": [1, 8]}])]
    kernels = read_trace(written(events, tmp_path / "t.json")).kernels
    assert [kernel.in_int8 for kernel in kernels] == [True, False, False]
    assert kernels[0].inputs == (("uint8", (1, 8)), ("float", ()))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": 1}', "not a list"),
        ("[]", "no inference"),
        ('[{"name": "model_run", "ts": 1}]', "no kernel"),
        ('[{"name": "model_run", "ts": NaN}]', "no inference"),
        ('[{"name": "model_run", "ts": -1}]', "no inference"),
    ],
)
def test_what_is_no_trace_is_a_paragraph(tmp_path: Path, text: str, says: str) -> None:
    (path := tmp_path / "t.json").write_text(text)
    with pytest.raises(MeasurementError, match=says):
        read_trace(path)


def test_a_trace_that_is_not_there_is_a_paragraph(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="cannot be read"):
        read_trace(tmp_path / "t.json")


def test_sizes_and_counts_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written([inference(0, 9), event("a", "Conv", 1, 1), event("b", "Conv", 2, 1)], tmp_path / "t.json")
    for name, limit, says in (
        ("MOST_KERNELS", 1, "more than 1 kernels"),
        ("MOST_EVENTS", 2, "3 events"),
        ("LIMIT_BYTES", 100, "100 are read"),
    ):
        with monkeypatch.context() as patch, pytest.raises(MeasurementError, match=says):
            patch.setattr(trace_module, name, limit)
            read_trace(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(field=st.sampled_from(["name", "ts", "dur", "cat", "args"]), value=JSON, inner=JSON)
def test_a_field_of_any_kind_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any, inner: Any
) -> None:
    strange = {**event("b", "Conv", 2, 5), field: value}
    odd_shapes = event("c", "Conv", 3, 1, inputs=inner)  # type: ignore[arg-type]
    path = tmp_path_factory.mktemp("traces") / "t.json"
    kernels = read_trace(
        written([inference(0, 9), event("a", "Conv", 1, 7), strange, odd_shapes], path)
    ).kernels
    assert kernels[0].time_ns == 7e3
    assert all(kernel.time_ns >= 0 for kernel in kernels)


def test_launches_of_one_graph_are_merged_by_their_medians() -> None:
    launches = [Trace((kernel(0, "Conv", us), kernel("Reorder", "ReorderOutput", 1)), 4) for us in (6, 2, 3)]
    launches[1] = Trace((*launches[1].kernels, kernel(1, "Add", 5)), 4)
    found = merged(launches)
    assert found.inferences == 12
    assert {one.kind: one.time_ns for one in found.kernels} == {"Conv": 3e3, "ReorderOutput": 1e3, "Add": 5e3}
