"""Stored lines: what is kept, what is refused, and how older versions come up to date."""

from __future__ import annotations

import json
import math

import pytest
from support import results_builder as b

from edgebench.errors import StoreError
from edgebench.results.records import codec, record
from edgebench.results.records.codec import decode, encode, record_from


@pytest.mark.parametrize("line", b.run_lines(), ids=lambda line: line["kind"])
def test_a_line_comes_back_as_it_was_written(line):
    stored = encode(record_from(line))
    assert stored.endswith(b"\n") and stored.count(b"\n") == 1
    assert decode(stored) == record_from(line)


def test_raw_samples_are_kept_to_the_nanosecond():
    message = b.trial(samples_ns=[20_000_001, 20_000_003, 2**62])
    line = record_from(b.trial_line(b.condition(), message))
    assert decode(encode(line)).trial.samples_ns == (20_000_001, 20_000_003, 2**62)


def test_what_a_newer_agent_says_is_kept():
    message = b.trial(energy={"rail": "VDD_IN", "energy_mj": 12.5})
    message["memory"]["marks"]["end"]["uss_bytes"] = 7
    stored = json.loads(encode(record_from(b.trial_line(b.condition(), message))))
    assert stored["trial"]["energy"] == {"rail": "VDD_IN", "energy_mj": 12.5}
    assert stored["trial"]["seq"] == message["seq"]
    assert stored["trial"]["memory"]["marks"]["end"]["uss_bytes"] == 7


def test_an_unknown_key_of_the_host_is_refused_with_its_path():
    line = b.header()
    line["requirements"]["min_cuont"] = 3
    with pytest.raises(StoreError, match=r"requirements\.min_cuont"):
        record_from(line)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"seed": "7"}, "seed"),
        ({"started_wall_s": None}, "started_wall_s"),
        ({"seed": True}, "seed"),
    ],
)
def test_a_value_of_another_type_is_refused(change, where):
    with pytest.raises(StoreError, match=where):
        record_from({**b.header(), **change})


def test_nan_is_refused():
    with pytest.raises(StoreError, match="not a valid record"):
        record_from({**b.run_end(), "agent_wall_s": math.nan})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"of_a_newer_agent":{"a":[1,', "]}"),  # what only a newer agent says
        ('"min_duration_s":', ""),  # a free object of the host's: the suite
        ('"macs_at":[{"b":', "}]"),  # deep in another: a manifest
    ],
)
def test_a_number_that_json_has_not_is_refused_in_free_places_too(number, before, after):
    message = b.trial(of_a_newer_agent={"a": [1, 7.25]})
    manifest = {**b.artifact(b.FP32)["manifest"], "macs_at": [{"b": 7.25}]}
    header = b.header(suite={"min_duration_s": 7.25}, artifacts=[b.artifact(b.FP32, manifest=manifest)])
    lines = [encode(record_from(line)) for line in (header, b.trial_line(b.condition(), message))]
    (line,) = [line for line in lines if f"{before}7.25{after}".encode() in line]
    with pytest.raises(StoreError, match="not finite"):
        decode(line.replace(f"{before}7.25{after}".encode(), f"{before}{number}{after}".encode()))


@pytest.mark.parametrize(
    "line", [b"{", b"[1]\n", b'{"schema_version": 1}\n', b'{"schema_version":1,"kind":"x"}\n']
)
def test_a_line_that_is_no_record_is_refused(line):
    with pytest.raises(StoreError):
        decode(line)


def test_a_newer_version_is_refused_with_what_to_do():
    with pytest.raises(StoreError, match=r"version 3.*versions up to 2.*Upgrade edgebench"):
        record_from({**b.run_end(), "schema_version": record.SCHEMA_VERSION + 1})


def test_an_older_version_goes_through_every_step(monkeypatch):
    """Two artificial versions after the present one: the agent's time in minutes, then in seconds."""

    def to_three(line):
        return {
            **{k: v for k, v in line.items() if k != "agent_wall_min"},
            "agent_wall": line["agent_wall_min"] * 60,
        }

    def to_four(line):
        return {**{k: v for k, v in line.items() if k != "agent_wall"}, "agent_wall_s": line["agent_wall"]}

    monkeypatch.setattr(record, "SCHEMA_VERSION", 4)
    monkeypatch.setitem(codec.UPGRADES, 2, {"run_end": to_three})
    monkeypatch.setitem(codec.UPGRADES, 3, {"run_end": to_four})
    old = b.run_end()
    del old["agent_wall_s"]
    assert record_from({**old, "agent_wall_min": 2}).agent_wall_s == 120
    assert record_from({**old, "schema_version": 3, "agent_wall": 7}).agent_wall_s == 7
    assert record_from({**old, "schema_version": 3, "agent_wall": 7}).schema_version == 4


def test_an_older_version_without_a_step_is_refused(monkeypatch):
    monkeypatch.setattr(record, "SCHEMA_VERSION", 3)
    with pytest.raises(StoreError, match="cannot upgrade"):
        record_from(b.run_end())


def test_a_run_id_sorts_by_time_and_is_26_characters():
    from edgebench.results import new_run_id

    ids = [new_run_id(now_s=moment) for moment in (0.0, 1.0, 1.001, 1_790_000_000.0, 2_000_000_000.0)]
    assert ids == sorted(ids) and len(set(ids)) == 5
    assert {len(run_id) for run_id in ids} == {26}
    # The time stamp of the ULID specification's own example: 1469918176385 ms.
    assert new_run_id(now_s=1469918176.3851).startswith("01ARYZ6S41")
    assert len({new_run_id(now_s=5.0) for _ in range(1000)}) == 1000
