"""Whatever is read is read, or refused with a class of edgebench.errors: no traceback, no growth.

A few hundred examples each as a rule; `make fuzz` tries 100,000 in all.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from support import launches_in_time as in_time
from support import results_builder as b
from support.mutations import EXAMPLES, as_toml, fuzzed, spoiled, spoiled_lines

from edgebench.cli.console import PlainConsole
from edgebench.devices import read_inventory, resolve_device
from edgebench.errors import ConfigError, EdgebenchError, ModelError, StoreError
from edgebench.harness import wire
from edgebench.harness.plan import PackedCorpus, Subject, make_plan
from edgebench.harness.suite import load_suite
from edgebench.models.manifest import parse_manifest
from edgebench.results import record_from, summarise
from edgebench.results.records.codec import decode, encode
from edgebench.results.report import print_run, run_markdown, run_page

WHERE = b.condition()
GOOD_TRIAL = {**b.trial(), "samples_cpu_ns": b.trial()["samples_ns"]}
READINGS = in_time.power({"VDD_IN": lambda t: 5.0}, seconds=10.0, idle_s=5.0)
LASTING = in_time.sustained_trial(
    seconds=20.0,
    latency_ms=lambda t: 20 + t,
    clock_hz=lambda t: 1.5e9,
    celsius=lambda t: 50.0,
    watts=lambda t: 4 + t / 10,
    stride=20,
    id="t0001",
)
LASTING["samples_cpu_ns"] = LASTING["samples_ns"]
ENERGY = in_time.energy_line(2, READINGS, seconds=10.0, inferences=50)
# One message of each kind, as the agent sends it.
MESSAGES = (
    {"kind": "fingerprint", **b.fingerprint()},
    {"kind": "started", "pid": 7, "run_dir": "/home/pi/runs/R"},
    {"kind": "busy", "holder": {"run_id": "R", "user": "somebody"}},
    {"kind": "cancelled", "was_running": True},
    {"kind": "error", "code": "NO_RUN", "message": "there is no run"},
    {"kind": "lost", "message": "its process is gone"},
    {"kind": "heartbeat", "pid": 7, "index": 0, "id": "t0000"},
    {"kind": "begin", "seq": 0, "monotonic_ns": 5, "fingerprint": b.fingerprint(), "trials": 3},
    {"kind": "trial_begin", "seq": 1, "monotonic_ns": 6, "id": "t0000", "index": 0},
    GOOD_TRIAL,
    {**GOOD_TRIAL, "repeat_of": "t0000", "id": "t0000r1"},
    LASTING,
    {**ENERGY["trial"], "samples_cpu_ns": ENERGY["trial"]["samples_ns"]},
    {**b.failed("KILLED", "the process died", signal=9), "seq": 4, "monotonic_ns": 7},
    {"kind": "end", "seq": 9, "monotonic_ns": 8, "status": "complete", "message": None, "trials_done": 3},
)
RUN = (
    b.header(),
    b.reference(),
    *(b.trial_line(WHERE, b.trial(launch), launch=launch) for launch in range(3)),
    ENERGY,
    b.trial_line(b.condition(scenario="sustained"), LASTING),
    b.run_end(),
)
SUITE = tomllib.loads(resources.files("edgebench.harness").joinpath("suites", "packaged.toml").read_text())
SUITE |= {"energy": {"hz": 1.0}, "sustained": {"duration_s": 60.0}, "rate_hz": 5.0}
SUITE["scenarios"] = ["single_stream", "offline", "sustained"]
INVENTORY = {
    "devices": {
        "desk": {
            "profile": "rpi4",
            "host": "192.168.1.20",
            "user": "pi",
            "port": 22,
            "python": "/usr/bin/python3",
            "meter": ["wattmeter", "--outlet", "3"],
        }
    }
}
MANIFEST = json.loads(
    next(
        p for p in resources.files("edgebench.models.packaged").iterdir() if p.name.endswith(".json")
    ).read_text()
)


@pytest.fixture(scope="module", autouse=True)
def no_growth() -> Iterator[None]:
    """A long run of many inputs leaves no more in memory than hypothesis' own notes."""
    process = psutil.Process()
    before = process.memory_info().rss
    yield
    grown = process.memory_info().rss - before
    assert grown < (300 << 20), f"{grown:,} bytes more after the tests of this file"


def test_the_messages_are_good_before_they_are_spoiled() -> None:
    for message in MESSAGES:
        assert wire.read(json.dumps(message).encode())["kind"] == message["kind"]
    assert summarise([record_from(line) for line in RUN]).rows
    parse_manifest(json.dumps(MANIFEST), source="good")


@fuzzed(300)
@given(spoiled_lines(*MESSAGES))
def test_protocol(line: bytes) -> None:
    try:
        message = wire.read(line)
    except wire.MessageError as error:
        assert str(error).isprintable()
        return
    assert not any(character in "\x1b\x00\x9b" for character in json.dumps(message, ensure_ascii=False))
    if message["kind"] != "trial":
        return
    # What passes the wire is stored, read again and shown.
    record = record_from(b.trial_line(WHERE, message))
    assert decode(encode(record)) == record


@fuzzed(15)
@given(spoiled(LASTING))
def test_a_lasting_launch_that_passes_the_wire_can_be_shown(message: Any) -> None:
    try:
        found = wire.read(json.dumps(message).encode())
    except wire.MessageError:
        return
    lines = [record_from(line) for line in RUN]
    lines[5] = record_from({**ENERGY, "trial": found})
    lines[6] = record_from(b.trial_line(b.condition(scenario="sustained"), found))
    show(lines)


@fuzzed(15)
@given(spoiled(GOOD_TRIAL))
def test_what_passes_the_wire_can_be_shown(message: Any) -> None:
    try:
        found = wire.read(json.dumps(message).encode())
    except wire.MessageError:
        return
    lines = [record_from(line) for line in RUN]
    lines[3] = record_from(b.trial_line(WHERE, found, launch=1))
    show(lines)


def show(lines: list[Any]) -> None:
    summary = summarise(lines)
    json.dumps(summary.to_json(), allow_nan=False)
    printed = StringIO()
    print_run(summary, PlainConsole(file=printed, width=200))
    assert "\x1b" not in printed.getvalue()
    run_markdown(summary)
    if not EXAMPLES:
        run_page(summary)


@fuzzed(200)
@given(spoiled_lines(*RUN))
def test_record(line: bytes) -> None:
    try:
        record = decode(line)
    except StoreError as error:
        assert str(error)
        return
    assert decode(encode(record)) == record


@fuzzed(15)
@given(spoiled(list(RUN)))
def test_a_run_with_spoiled_lines_is_shown_or_refused(found: Any) -> None:
    lines = []
    for line in found if isinstance(found, list) else []:
        try:
            lines.append(record_from(line) if isinstance(line, dict) else decode(b"[]"))
        except StoreError:
            continue
    try:
        show(lines)
    except EdgebenchError as error:
        assert str(error)


@fuzzed(200)
@given(spoiled_lines(MANIFEST))
def test_manifest(text: bytes) -> None:
    try:
        manifest = parse_manifest(text.decode(errors="replace"), source="spoiled")
    except ModelError as error:
        assert str(error)
        return
    manifest.embedded().encode(errors="replace")


@fuzzed(200)
@given(spoiled(SUITE))
def test_suite(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "spoiled_suite.toml"
    path.write_bytes(as_toml(values))
    try:
        suite = load_suite(str(path))
        subject = Subject(key="a.b", sha256="0" * 64)
        plan = make_plan(suite, [subject], [PackedCorpus("c", Path("c"), "0" * 64, 1.0)], device="local")
    except EdgebenchError as error:
        assert str(error)
        return
    json.dumps(plan.message(run_id="R", root="/r", user="u", pythons={"onnxruntime": "p"}), allow_nan=False)


@fuzzed(200)
@given(spoiled(INVENTORY))
def test_inventory(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "spoiled_inventory.toml"
    path.write_bytes(as_toml(values))
    try:
        for name in read_inventory(path).devices:
            resolve_device(name, host=None, inventory=path)
    except EdgebenchError as error:
        assert str(error)
        assert isinstance(error, ConfigError) or error.exit_code == 2
