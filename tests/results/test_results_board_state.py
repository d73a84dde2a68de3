"""The codes of a board's state, from what the agent reads of boards in the state that each code names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import board_trees
from support import results_builder as b

from edgebench.agent import fingerprint
from edgebench.agent.sensors.telemetry import Telemetry
from edgebench.results import summarise
from edgebench.results.report import run_markdown, run_page
from edgebench.results.report.timeline import Span, spans, state_section, timeline_data
from edgebench.results.summary import RunSummary
from edgebench.results.verdicts.verdict import Verdict

STATE_CODES = {"THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "GOV_CHANGED", "MODE_CHANGED", "HOT_START", "QUOTA"}
ZONE = "sys/class/thermal/thermal_zone0/temp"
NAME = "wav2small.fp32, single_stream 5 s, 1 thread"
COOLING = "sys/class/thermal/cooling_device0/cur_state"
CPU = "sys/devices/system/cpu"
GOVERNORS = {f"{CPU}/cpu{n}/cpufreq/scaling_governor": "powersave\n" for n in range(6)}
STAT = "sys/fs/cgroup/cpu.stat"
GROUP = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}


def with_quota(root: Path) -> Path:
    board_trees.write(root, {**GROUP, STAT: "nr_throttled 7\nthrottled_usec 100\n"})
    return root


def run_on(
    root: Path,
    *,
    at_start: Mapping[str, str] | None = None,
    within: Mapping[str, str] | None = None,
    limit_c: float | None = 80.0,
    conditioning: Mapping[str, str] | None = None,
) -> RunSummary:
    """A run of three launches of one condition, of 5 s each, on the board below ``root``.

    Its files are changed after the fingerprint (``at_start``), or in the middle of the second launch
    (``within``).
    """
    board = {**b.fingerprint(), **fingerprint.hardware(str(root))}
    board_trees.write(root, at_start or {})
    readings = Telemetry(str(root))
    trials = []
    for number in range(3):
        before = readings.take_between()
        series = [readings.take(), readings.take()]
        if number == 1:
            board_trees.write(root, within or {})
        series += [readings.take(), readings.take()]
        calm = {"busy": 0.0, "boot_id": "boot-1", "pswpin": 0, "pswpout": 0}
        points = [
            point | calm | {"monotonic_ns": int((5 * number + place) * 1e9)}
            for place, point in enumerate((before, *series, readings.take_between()))
        ]
        told = {"before": points[0], "series": points[1:-1], "after": points[-1]}
        trials.append(b.trial(number, telemetry=told))
    header = b.header()
    header["device"]["fingerprint"] = board
    header["conditioning"] = conditioning and dict(conditioning)
    header["requirements"]["max_start_temperature_c"] = limit_c
    lines = [header, b.reference(), *(b.trial_line(b.condition(), t, launch=t["index"]) for t in trials)]
    return summarise(b.records(lines))


def measured(root: Path, **changes: Any) -> Verdict:
    """The verdict of the condition that ``run_on`` measures."""
    (row,) = run_on(root, **changes).rows
    return row.verdict


def judged(found: Verdict) -> set[str]:
    return STATE_CODES - {rule.code for rule in found.not_judged}


def pi_with_quota(root: Path) -> Path:
    return with_quota(board_trees.pi(root))


def orin_with_quota(root: Path) -> Path:
    return with_quota(board_trees.orin_nano(root))


@pytest.mark.parametrize("board", [pi_with_quota, orin_with_quota])
def test_a_calm_board_keeps_every_rule_and_is_judged_on_each(
    tmp_path: Path, board: Callable[[Path], Path]
) -> None:
    found = measured(board(tmp_path))
    assert (found.status, found.codes) == ("VALID", ())
    assert judged(found) == STATE_CODES


def test_a_board_hot_throttled_and_slow_throughout_is_not_valid(tmp_path: Path) -> None:
    """86 degrees, throttled=0x50005 and powersave in every reading: nothing of it ever changes."""
    root = board_trees.pi(tmp_path, throttled="0x50005", hz=600_117_184)
    board_trees.write(root, {ZONE: "86000\n", **{k: v for k, v in GOVERNORS.items() if (root / k).exists()}})
    found = measured(root)
    assert found.status == "INVALID"
    assert set(found.codes) == {"THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "HOT_START"}
    told = {finding.code: finding.evidence for finding in found.findings}
    assert "throttled=0x50005" in told["THROTTLED"]
    assert "under-voltage" in told["UNDERVOLT"]
    assert "1500 MHz" in told["FREQ_DRIFT"] and "600 MHz" in told["FREQ_DRIFT"]
    assert "86.0 C" in told["HOT_START"]
    assert found.against("latency_p50_ns") and not found.against("ua")


PI, ORIN = pi_with_quota, orin_with_quota
FAULTS = {
    "starts throttled": (PI, {"run/throttled": "throttled=0x4\n"}, {}, "THROTTLED", "began"),
    "turns throttled": (PI, {}, {"run/throttled": "throttled=0x40000\n"}, "THROTTLED", "0x0 to 0x40000"),
    "ends at the soft limit": (PI, {}, {"run/throttled": "throttled=0x80008\n"}, "THROTTLED", "ended"),
    "starts under-voltage": (PI, {"run/throttled": "throttled=0x1\n"}, {}, "UNDERVOLT", "began"),
    "turns under-voltage": (PI, {}, {"run/throttled": "throttled=0x10000\n"}, "UNDERVOLT", "launch 2"),
    "the kernel sees under-voltage": (
        PI, {}, {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "UNDERVOLT", "sensor",
    ),
    "the firmware is slower than the kernel shows": (
        PI, {"run/clock": "frequency(48)=600117184\n"}, {}, "FREQ_DRIFT", "600 MHz",
    ),
    "the governor was changed before the first launch": (PI, GOVERNORS, {}, "GOV_CHANGED", "powersave"),
    "the governor changes": (PI, {}, GOVERNORS, "GOV_CHANGED", "performance and powersave"),
    "a limit changes": (
        PI, {}, {f"{CPU}/cpufreq/policy0/scaling_max_freq": "1000000\n"}, "MODE_CHANGED", "600 to 1000 MHz",
    ),
    "hot": (PI, {ZONE: "86000\n"}, {}, "HOT_START", "86.0 C"),
    "the quota stops it": (
        PI, {}, {STAT: "nr_throttled 19\nthrottled_usec 900100\n"}, "QUOTA", "0.5 processors stopped",
    ),
    "the mode was changed before the first launch": (
        ORIN, {"run/nvpmodel": "NV Power Mode: 15W\n0\n"}, {}, "MODE_CHANGED", "MAXN_SUPER and 15W",
    ),
    "the mode changes": (
        ORIN, {}, {"run/nvpmodel": "NV Power Mode: 15W\n0\n"}, "MODE_CHANGED", "MAXN_SUPER and 15W",
    ),
    "the kernel cools": (ORIN, {}, {COOLING: "3\n"}, "THROTTLED", "cpufreq-cpu0 at step 3"),
    "over-current": (ORIN, {}, {"sys/class/hwmon/hwmon3/oc3_event_cnt": "4\n"}, "THROTTLED", "oc3"),
    "the supply dips": (ORIN, {}, {"sys/class/hwmon/hwmon3/oc1_event_cnt": "1\n"}, "UNDERVOLT", "oc1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_carries_its_code_and_no_other(tmp_path: Path, fault: str) -> None:
    board, at_start, within, code, evidence = FAULTS[fault]
    root = board(tmp_path)
    # Some tables name more processors than a board has.
    there: list[dict[str, str]] = [
        {path: text for path, text in changes.items() if (root / path).exists()}
        for changes in (at_start, within)
    ]
    found = measured(root, at_start=there[0], within=there[1])
    assert found.codes == (code,), found.findings
    assert evidence in found.findings[0].evidence
    assert found.findings[0].action.endswith(".")


def test_a_limit_that_the_kernels_cooling_lowers_is_no_change_of_mode(tmp_path: Path) -> None:
    limit = f"{CPU}/cpufreq/policy0/scaling_max_freq"
    found = measured(board_trees.orin_nano(tmp_path), within={COOLING: "3\n", limit: "1000000\n"})
    assert found.codes == ("THROTTLED",)


def test_locked_clocks_are_a_mode_too(tmp_path: Path) -> None:
    lowest = f"{CPU}/cpufreq/policy0/scaling_min_freq"
    gpu = "sys/class/devfreq/17000000.gpu/min_freq"
    found = measured(board_trees.orin_nano(tmp_path), within={lowest: "1500000\n", gpu: "624750000\n"})
    assert found.codes == ("MODE_CHANGED",)
    assert "jetson_clocks was off and on" in found.findings[0].evidence


def test_what_the_run_itself_set_is_no_change(tmp_path: Path) -> None:
    """The fingerprint is from before the run set the governor, the mode and the clocks."""
    lowest = f"{CPU}/cpufreq/policy0/scaling_min_freq"
    governors = {f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance\n" for n in range(6)}
    mode = {"run/nvpmodel": "NV Power Mode: 15W\n0\n", lowest: "1500000\n", **governors}
    wanted = {"governor": "performance", "mode": "15W", "clocks": "max"}
    assert measured(board_trees.orin_nano(tmp_path / "a"), at_start=mode, conditioning=wanted).codes == ()
    found = measured(board_trees.orin_nano(tmp_path / "b"), conditioning=wanted)
    assert set(found.codes) == {"GOV_CHANGED", "MODE_CHANGED"}, "it was not set"


def test_bits_of_the_past_leave_the_question_open(tmp_path: Path) -> None:
    """A throttling of last week hides a new one: the rule is not kept, and not broken either."""
    root = board_trees.pi(tmp_path, throttled="0x50000")
    found = measured(root)
    assert found.status == "VALID"
    open_ = {rule.code: rule.reason for rule in found.not_judged}
    assert "0x50000" in open_["THROTTLED"] and "restart" in open_["THROTTLED"]
    assert "UNDERVOLT" not in open_  # the kernel's sensor tells that by itself
    (root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm").unlink()
    assert "UNDERVOLT" in {rule.code for rule in measured(root).not_judged}


@pytest.mark.parametrize("said", ["VCHI initialization failed", "throttled="])
def test_what_vcgencmd_does_not_tell_is_not_kept(tmp_path: Path, said: str) -> None:
    root = board_trees.pi(tmp_path)
    board_trees.program(root, "usr/bin/vcgencmd", f"#!/bin/sh\necho '{said}'\n")
    (root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm").unlink()
    found = measured(root)
    reasons = {rule.code: rule.reason for rule in found.not_judged}
    assert found.status == "VALID"
    for code in ("THROTTLED", "UNDERVOLT", "FREQ_DRIFT"):
        assert said in reasons[code]


def test_a_clock_that_the_kernel_changes_is_found_without_the_firmware(tmp_path: Path) -> None:
    root = board_trees.pi(tmp_path)
    (root / "usr/bin/vcgencmd").unlink()
    slower = {f"{CPU}/cpu3/cpufreq/scaling_cur_freq": "750000\n"}
    found = measured(root, within=slower)
    assert found.codes == ("FREQ_DRIFT",)
    assert "750 to 1500 MHz" in found.findings[0].evidence


def test_a_board_that_tells_nothing_is_judged_on_nothing(tmp_path: Path) -> None:
    found = measured(tmp_path, limit_c=None)
    assert found.status == "VALID"
    assert judged(found) == set()


def test_a_jetson_whose_nvpmodel_fails_is_not_judged_on_its_mode(tmp_path: Path) -> None:
    root = board_trees.orin_nano(tmp_path)
    board_trees.write(root, {"run/nvpmodel": "NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13\n"})
    reasons = {rule.code: rule.reason for rule in measured(root).not_judged}
    assert "NVPM ERROR" in reasons["MODE_CHANGED"]


def test_a_hot_chip_elsewhere_on_the_board_is_no_hot_start(tmp_path: Path) -> None:
    """PMIC-Die of a Jetson is 100 C at any time."""
    zone = "sys/class/thermal/thermal_zone1"
    root = board_trees.orin_nano(tmp_path)
    board_trees.write(root, {f"{zone}/type": "PMIC-Die\n", f"{zone}/temp": "100000\n"})
    assert measured(root).codes == ()


def state_of(quota: dict[str, Any]) -> dict[str, Any]:
    return {"quota": quota, "throttle_counts": {}, "unknown": {}}


def test_a_quota_that_stops_nothing_is_kept() -> None:
    """A quota wider than the launches need does not spoil them."""
    quota = {"quota_cpus": 2.0, "nr_throttled": 40, "throttled_ns": 5}
    told = b.telemetry()
    told["before"]["state"] = told["after"]["state"] = state_of(quota)
    lines = [b.header(), b.reference()]
    lines += [b.trial_line(b.condition(), b.trial(n, telemetry=told), launch=n) for n in range(3)]
    (row,) = summarise(b.records(lines)).rows
    assert row.verdict.codes == ()
    assert "QUOTA" not in {rule.code for rule in row.verdict.not_judged}


# --- the report's timeline --------------------------------------------------------------------------


def test_a_code_stands_where_it_holds_in_time(tmp_path: Path) -> None:
    """The kernel cools from the middle of the second launch to the end; it was too hot from the third on."""
    summary = run_on(board_trees.orin_nano(tmp_path), within={COOLING: "3\n", ZONE: "85500\n"})
    assert spans(summary) == [
        Span("THROTTLED", 5.0, 15.0, 2, NAME, "launch 2: the kernel held the processors down for heat "
             "(cpufreq-cpu0 at step 3)"),
        Span("HOT_START", 10.0, 15.0, 1, NAME, "a launch began at 85.5 C (cpu-thermal); the limit of this "
             "device is 80.0 C"),
    ]  # fmt: skip
    text = run_markdown(summary)
    assert "State of the board" in text
    line = next(line for line in text.splitlines() if line.startswith("| THROTTLED"))
    assert "| 5 s | 15 s | 2 |" in line


def test_a_code_that_comes_and_goes_has_two_lines(tmp_path: Path) -> None:
    root = board_trees.orin_nano(tmp_path)
    hot, calm = run_on(root, at_start={ZONE: "90000\n"}), run_on(root, at_start={ZONE: "50000\n"})
    (row,), (other,) = hot.rows, calm.rows
    trials = (row.trials[0], other.trials[1], row.trials[2])
    summary = replace(hot, rows=(replace(row, trials=trials),))
    assert [(span.from_s, span.launches) for span in spans(summary)] == [(0.0, 1), (10.0, 1)]


def test_a_calm_board_has_a_plot_and_no_table(tmp_path: Path) -> None:
    summary = run_on(board_trees.pi(tmp_path))
    assert state_section(summary) is None
    drawn = timeline_data(summary)
    assert drawn is not None and drawn["spans"] == []
    assert set(drawn["clock_mhz"]["y"]) == {1500.0}
    assert set(drawn["temperature_c"]["y"]) == {48.312}
    assert drawn["firmware_mhz"]["x"] == [0.0, 5.0, 5.0, 10.0, 10.0, 15.0]


def test_a_board_that_tells_nothing_has_neither(tmp_path: Path) -> None:
    summary = run_on(tmp_path, limit_c=None)
    assert state_section(summary) is None and timeline_data(summary) is None
    assert 'id="state-plot"' not in run_page(summary)


def test_what_a_board_says_is_text_on_the_page(tmp_path: Path) -> None:
    """A cooling device may be called as its driver likes."""
    root = board_trees.orin_nano(tmp_path)
    kind = "sys/class/thermal/cooling_device0/type"
    page = run_page(run_on(root, within={COOLING: "1\n", kind: "cpu<img src=x>\n"}))
    assert 'id="state-plot"' in page
    assert "<img src=x>" not in page
    assert "cpu&lt;img src=x&gt;" in page
