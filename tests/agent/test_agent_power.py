"""Power around a launch, on file trees of boards whose rails change in time."""

from __future__ import annotations

import os
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from agent_board import trial
from support import board_trees
from support.changing_board import MONITOR, ChangingBoard

from edgebench.agent import blobs, power_log, protocol, supervisor
from edgebench.agent.sensors.power import NO_RAILS, Source
from edgebench.agent.sensors.telemetry import Telemetry
from edgebench.harness import wire
from edgebench.results.metrics.energy import Energy, energy_of
from edgebench.results.records.messages import TrialMessage


def measured(readings: Telemetry, folder: Path, **changes: Any) -> TrialMessage:
    """One launch of the null runtime at 40 requests a second, as the host reads it from the wire."""
    one = {
        **trial(None),
        "python": sys.executable,
        "rate_hz": 40.0,
        "min_duration_s": 2.0,
        "min_count": 1,
        # Three readings may be missed in a row before the loop counts as not covered.
        "power": {"hz": 4.0, "idle_s": 0.9},
        **changes,
    }
    never, written = os.pipe()
    allowed = os.sched_getaffinity(0)
    try:
        record = supervisor.run_trial(
            {"root": str(folder), "telemetry_hz": 2.0},
            one,
            str(folder),
            store=blobs.Blobs(str(folder)),
            readings=readings,
            stop_fd=never,
        )
    finally:
        os.sched_setaffinity(0, allowed)
        os.close(never)
        os.close(written)
    line = protocol.encode({"kind": "trial", "seq": 1, "monotonic_ns": 1, "index": 0, **record})
    return TrialMessage.model_validate(wire.read(line), strict=False)


# Writes down on which processors it may run, each time that it is called.
OBSERVED = "#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status >> {root}/run/cpus\n"


def pi_5(root: Path) -> Path:
    board_trees.pi(root, model="5")
    board_trees.program(root, "usr/bin/vcgencmd", OBSERVED + board_trees.VCGENCMD.partition("\n")[2])
    return root


BOARDS = {"orin nano": board_trees.orin_nano, "pi 5": pi_5}


@pytest.fixture(scope="module", params=list(BOARDS))
def launch(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrialMessage, ChangingBoard]:
    """A board whose power rises from 4 W by 2 W a second, warming up as it does."""
    if request.param == "pi 5" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("vcgencmd wants a processor that is not measured")
    root = BOARDS[request.param](tmp_path_factory.mktemp("board"))
    with ChangingBoard(root, lambda t: 4 + 2 * t, lambda t: 50_000 + round(1000 * t)) as board:
        return measured(Telemetry(str(root)), tmp_path_factory.mktemp("run")), board


def between_readings_j(message: TrialMessage, begin_s: float, end_s: float) -> float:
    """By how much a rising rail may differ from the lines between its readings.

    A busy machine reads late. Between two readings the truth lies within a rectangle, and the line halves it.
    """
    times = [t / 1e9 for t in message.power.t_ns]
    rail = max(message.power.watts.values(), key=lambda watts: max(watts) - min(watts))
    steps = zip(pairwise(times), pairwise(rail), strict=True)
    return sum(abs(b - a) * (u - t) / 2 for (t, u), (a, b) in steps if u > begin_s and t < end_s)


def test_the_energy_of_a_launch_is_the_plain_integral_of_its_rail(launch) -> None:
    message, board = launch
    found = energy_of(message)
    assert isinstance(found, Energy), found
    begin_s, end_s = message.window.begun_ns / 1e9, message.window.ended_ns / 1e9
    slack_j = between_readings_j(message, begin_s, end_s)
    assert found.gross_j == pytest.approx(board.joules(begin_s, end_s), rel=0.02, abs=slack_j)
    assert found.inferences == message.requests.served == 80
    idle = [board.joules(b / 1e9, e / 1e9) / ((e - b) / 1e9) for b, e in message.power.idle_ns]
    assert (found.idle_before_w, found.idle_after_w) == pytest.approx(idle, rel=0.05)
    assert found.net_j == pytest.approx(found.gross_j - sum(idle) / 2 * (end_s - begin_s), abs=0.5)


def test_the_rails_that_count_are_named_with_what_they_leave_out(launch) -> None:
    message, _ = launch
    coverage = energy_of(message).coverage
    if message.power.source == "ina3221":
        # VDD_IN is the total: the others are in it.
        assert sorted(message.power.watts) == ["VDD_CPU_GPU_CV", "VDD_IN", "VDD_SOC"]
        assert coverage.rails == ("VDD_IN",) and "carrier board" in coverage.leaves_out
    else:
        assert (coverage.source, coverage.rails) == ("pmic", ("VDD_CORE",))
        assert "USB" in coverage.leaves_out
    assert coverage.readings >= 5 and coverage.covered_s == pytest.approx(coverage.loop_s)


def test_vcgencmd_never_runs_where_a_processor_is_measured(launch) -> None:
    message, board = launch
    calls = board.root / "run/cpus"
    if message.power.source != "pmic":
        assert not calls.exists()
        return
    lists = {line.split()[1] for line in calls.read_text().splitlines()}
    assert len(calls.read_text().splitlines()) >= len(message.power.t_ns)
    for cpus in lists:
        ends = [list(map(int, part.split("-"))) for part in cpus.split(",")]
        assert not set(message.affinity) & {n for end in ends for n in range(end[0], end[-1] + 1)}


def test_the_idle_stretches_lie_before_and_after_the_loop(launch) -> None:
    message, _ = launch
    (_, before), (after, _) = message.power.idle_ns
    assert before < message.window.begun_ns < message.window.ended_ns < after
    assert len(message.telemetry.series) > 1
    temperatures = [point.temperature_c["cpu-thermal"] for point in message.telemetry.points()]
    assert temperatures == sorted(temperatures)


def test_rails_that_vanish_in_a_launch_cost_its_energy_and_nothing_else(tmp_path: Path) -> None:
    root = board_trees.orin_nano(tmp_path / "board")

    def vanish() -> None:
        for file in (root / MONITOR).iterdir():
            file.unlink()

    readings = Telemetry(str(root))
    assert readings.power.name == "ina3221"
    timer = threading.Timer(1.1, vanish)
    timer.start()
    message = measured(readings, tmp_path, power={"hz": 10.0, "idle_s": 0.4})
    timer.join()
    assert message.status == "ok" and message.requests.served == 80
    assert "can no longer be read" in message.power.reason
    assert "can no longer be read" in energy_of(message)


def test_a_pi_5_is_asked_off_the_measured_processors_alone(tmp_path: Path) -> None:
    source = Source(str(board_trees.pi(tmp_path, model="5")))
    assert (source.name, source.rails) == ("pmic", ["3V7_WL_SW", "VDD_CORE"])
    never, written = os.pipe()
    os.close(written)
    wanted = {"hz": 5.0, "idle_s": 0.1}
    beside = power_log.PowerLog(source, wanted, clear=False)
    beside.take()
    assert beside.record()["t_ns"] == [] and "every processor is measured" in beside.record()["reason"]
    clear = power_log.PowerLog(source, wanted, clear=True)
    clear.take()
    told = clear.record()
    assert told["source"] == "pmic" and told["reason"] is None
    assert told["watts"]["VDD_CORE"] == [pytest.approx(1.43652 * 0.8936988, abs=1e-6)]
    os.close(never)


def test_who_stops_a_run_does_not_wait_for_an_idle_board(tmp_path: Path) -> None:
    stop, written = os.pipe()
    os.write(written, b"x")
    log = power_log.PowerLog(Source(str(tmp_path)), {"hz": 1.0, "idle_s": 600.0}, clear=True)
    log.idle(stop)
    assert log.record()["idle_ns"] == []
    os.close(stop)
    os.close(written)


def test_a_board_without_rails_says_so(tmp_path: Path) -> None:
    assert Source(str(tmp_path)).facts() == {"source": None, "rails": [], "reason": NO_RAILS}
    pi4 = Source(str(board_trees.pi(tmp_path / "pi4"))).facts()
    assert pi4["source"] is None and "Command not registered" in pi4["reason"]
