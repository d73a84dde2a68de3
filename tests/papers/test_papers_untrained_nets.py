"""Untrained nets through the real local agent: measured, left out with a reason, set beside the paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.untrained import pretend

from edgebench.devices import resolve_device
from edgebench.errors import BoardUnfit, UsageError
from edgebench.harness.board import Board
from edgebench.harness.events import Silent
from edgebench.harness.suite import Repeats, Suite, Warmup
from edgebench.harness.untrained_nets import Bench
from edgebench.models.making import untrained
from edgebench.papers.wav2small import measure as reproduce_cost
from edgebench.papers.wav2small.measure import PARTS_SUITE, TABLE_SUITE, cost_suite
from edgebench.papers.wav2small.table1 import TABLE_I
from edgebench.results import Store, summarise


class Told(Silent):
    """What a person would be warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "edgebench"
    return Bench(
        resolve_device("local"), None, False, Store(tmp_path / "store"), cache, ["edgebench"], Told()
    )


def quick(name: str, **changes: Any) -> Suite:
    settled = {
        "launches": 2,
        "min_count": 4,
        "min_duration_s": 0.1,
        "warmup": Warmup(min_count=1, max_s=0.01),
        "repeats": Repeats(budget=0.0),  # how much is measured does not hang on what else the machine does
    }
    return cost_suite(name).model_copy(update={**settled, **changes})


def nets(bench: Bench, *names: str) -> None:
    for name in names:
        pretend(name, bench.cache / "untrained")


def test_the_suites_are_one_condition_and_one_line_of_lengths() -> None:
    table, parts = cost_suite(TABLE_SUITE), cost_suite(PARTS_SUITE)
    assert (table.input_s, table.threads, table.scenarios) == ((5.0,), (1,), ("single_stream",))
    assert parts.input_s == tuple(float(n) for n in range(1, 11))
    assert cost_suite(TABLE_SUITE, level="publish", threads=4, launches=5).duration_s == 600.0
    assert cost_suite(TABLE_SUITE, threads=4).threads == (4,)


def test_models_are_measured_by_one_run_and_set_beside_the_paper(bench: Bench) -> None:
    nets(bench, "wav2small", "dawn")
    table = reproduce_cost.reproduce_table(["wav2small", "dawn"], quick(TABLE_SUITE), bench, seed=1)
    found = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert [row["model"] for row in found["rows"]] == ["dawn", "wav2small"]
    (run,) = bench.store.runs()
    records = {row["artifact"]: row for row in summarise(bench.store.run(run.run_id)).to_json()["records"]}
    for row in found["rows"]:
        metrics = records[f"{row['model']}.untrained"]["metrics"]
        for name in ("parameters", "macs", "peak_rss_bytes", "model_rss_bytes", "latency_p50_ns"):
            assert row[name] == metrics[name]
            assert row[name]["value"] > 0
        assert row["verdict"] == records[f"{row['model']}.untrained"]["verdict"]
        printed = TABLE_I[row["model"]].figures["latency_p50_ns"].value
        assert row["ratio"]["latency_p50_ns"] == pytest.approx(metrics["latency_p50_ns"]["value"] / printed)
    assert found["run_id"] == run.run_id


def test_a_model_that_the_device_cannot_hold_is_a_row_that_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets(bench, "wav2small", "dawn", "wavlm_large")
    send = Board.send

    def full(self: Board, files: dict[str, Path]) -> Any:
        if any("dawn" in path.name for path in files.values()):
            raise BoardUnfit("the disk is full")
        return send(self, files)

    monkeypatch.setattr(Board, "send", full)
    known = Board.fingerprint
    monkeypatch.setattr(Board, "fingerprint", lambda self: {**known(self), "memory_bytes": 60_000_000})
    path = bench.cache / "untrained"
    large = next(path.glob("wavlm_large*")) / "wavlm_large.untrained.onnx"
    with large.open("ab") as file:  # an unknown field of protobuf: larger, and still the same graph
        filler = 20_000_000
        file.write(b"\xfa\x3f" + _varint(filler) + bytes(filler))
    large.with_suffix(".json").unlink()

    table = reproduce_cost.reproduce_table(
        ["wav2small", "dawn", "wavlm_large"], quick(TABLE_SUITE), bench, seed=1
    )
    rows = {row["model"]: row for row in table.to_json()["rows"]}
    assert rows["wav2small"]["latency_p50_ns"]["value"] > 0
    assert rows["dawn"]["reason"] == "the disk is full"
    assert rows["dawn"]["parameters"]["value"] == 3232  # what its file says stands all the same
    assert rows["dawn"]["macs"]["value"] > 0
    assert rows["dawn"]["latency_p50_ns"]["value"] is None
    assert "device 'local' has 0.06 GB" in rows["wavlm_large"]["reason"]
    assert isinstance(bench.events, Told)
    assert len(bench.events.warnings) == 2


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def test_a_net_that_cannot_be_made_here_leaves_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets(bench, "wav2small")
    monkeypatch.setattr(untrained, "_require_torch", lambda: None)
    monkeypatch.setattr(untrained, "_EXPORT_BASE_BYTES", 10**13)
    table = reproduce_cost.reproduce_table(["teacher", "wav2small"], quick(TABLE_SUITE), bench, seed=1)
    teacher, small = table.rows
    assert "memory" in str(teacher.reason) and "1.94 GB" in str(teacher.reason)
    assert small.figures["latency_p50_ns"].value is not None
    alone = reproduce_cost.reproduce_table(["teacher"], quick(TABLE_SUITE), bench, seed=1)
    assert alone.run is None
    with pytest.raises(BoardUnfit, match="needs both parts"):
        reproduce_cost.reproduce_parts(quick(PARTS_SUITE), bench, seed=1)


def test_the_two_parts_are_measured_in_turn(bench: Bench) -> None:
    nets(bench, "wav2vec2_vgg7", "wav2vec2_encoder")
    parts = reproduce_cost.reproduce_parts(quick(PARTS_SUITE, input_s=(1.0, 2.0)), bench, seed=1)
    found = parts.to_json()
    assert [row["input_s"] for row in found["rows"]] == [1.0, 2.0]
    assert all(row["ratio"]["value"] > 0 for row in found["rows"])
    (run,) = bench.store.runs()
    lines = bench.store.run(run.run_id)
    order = [line.condition.artifact for line in lines if hasattr(line, "condition")]
    measured = [name for name in order if name != "null"]
    # A B in one round and B A in the next, for each length.
    pair = ["wav2vec2_vgg7.untrained", "wav2vec2_encoder.untrained"]
    assert measured == [*pair, *pair, *pair[::-1], *pair[::-1]]


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'mobilenetv4_s'"):
        reproduce_cost.table_models(["mobilenetv4_small"])
    assert reproduce_cost.table_models([]) == list(TABLE_I)
    assert reproduce_cost.table_models(["wav2small", "teacher"]) == ["teacher", "wav2small"]
