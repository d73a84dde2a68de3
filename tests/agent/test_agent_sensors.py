"""Sensors against known memory, known load, and file trees of boards that have half of the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgebench.agent import child, cores, fingerprint
from edgebench.agent.sensors import clocks, memory, telemetry, thermal

MIB = 1 << 20

BALLAST = """
import json, mmap
from edgebench.agent.sensors import memory
marks = [memory.memory_mark()]
ballast = mmap.mmap(-1, 200 << 20)
for page in range(0, 200 << 20, 4096):
    ballast[page] = 1
marks.append(memory.memory_mark())
ballast.close()
marks.append(memory.memory_mark())
reset = memory.reset_peak()
marks.append(memory.memory_mark())
print(json.dumps([reset, marks]))
"""


def test_memory_marks_see_a_ballast_of_known_size_within_1_percent() -> None:
    done = subprocess.run([sys.executable, "-c", BALLAST], capture_output=True, check=True)
    reset, (before, loaded, freed, fresh) = json.loads(done.stdout)
    assert reset is True
    for size in ("rss_bytes", "pss_bytes", "hwm_bytes"):
        assert loaded[size] - before[size] == pytest.approx(200 * MIB, rel=0.01)
    assert freed["rss_bytes"] - before["rss_bytes"] < 2 * MIB  # the present size forgets the ballast,
    assert freed["hwm_bytes"] - before["hwm_bytes"] == pytest.approx(
        200 * MIB, rel=0.01
    )  # the peak does not,
    assert fresh["hwm_bytes"] - before["hwm_bytes"] < 2 * MIB  # until it is reset


@pytest.mark.alone
def test_memory_mark_agrees_with_psutil() -> None:
    info = psutil.Process().memory_full_info()
    mark = memory.memory_mark()
    assert mark["rss_bytes"] == pytest.approx(info.rss, rel=0.02)
    assert mark["pss_bytes"] == pytest.approx(info.pss, rel=0.05)
    assert mark["swap_bytes"] == info.swap
    assert memory.total_memory() == (psutil.virtual_memory().total, psutil.swap_memory().total)


@pytest.mark.alone
def test_own_children_do_not_count_as_others() -> None:
    """Two readings of the same second: one knows the busy child, the other takes it for a stranger."""
    knowing, unknowing = telemetry.Telemetry(), telemetry.Telemetry()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            knowing.take(burner.pid)
            unknowing.take()
            spent = psutil.Process(burner.pid).cpu_times()
            begun = time.monotonic()
            time.sleep(1.5)
            ours, theirs = knowing.take(burner.pid)["busy"], unknowing.take()["busy"]
            used = psutil.Process(burner.pid).cpu_times()
            elapsed = time.monotonic() - begun
        finally:
            burner.kill()
    assert ours is not None and theirs is not None
    burned = (used.user + used.system - spent.user - spent.system) / elapsed / (os.cpu_count() or 1)
    assert 0 <= ours <= theirs <= 1
    assert theirs - ours == pytest.approx(burned, abs=0.06)


@pytest.mark.alone
def test_a_reaped_child_still_counts_as_ours() -> None:
    readings = telemetry.Telemetry()
    readings.take()
    begun, machine = time.monotonic(), psutil.cpu_times()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.8: pass"], check=True)
    busy = readings.take()["busy"]
    after = psutil.cpu_times()
    total = (time.monotonic() - begun) * (os.cpu_count() or 1)
    everybody = total - (after.idle - machine.idle) - (after.iowait - machine.iowait)
    assert busy == pytest.approx(max(0.0, everybody - 0.85) / total, abs=0.1)


def test_a_stretch_too_short_has_no_share() -> None:
    readings = telemetry.Telemetry()
    assert readings.take()["busy"] is None
    assert readings.take()["busy"] is None


def tree(root: Path, files: dict[str, str | None]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir()  # reading it is an OSError, as a zone that is powered off gives EAGAIN
        else:
            path.write_text(text)
    return str(root)


def test_clocks_and_zones_of_a_board(tmp_path: Path) -> None:
    cpu, zone = "sys/devices/system/cpu/", "sys/class/thermal/thermal_zone"
    root = tree(
        tmp_path,
        {
            cpu + "cpu0/cpufreq/scaling_cur_freq": "1500000\n",
            cpu + "cpu0/cpufreq/scaling_governor": "ondemand\n",
            cpu + "cpu10/cpufreq/scaling_cur_freq": "600000\n",
            cpu + "cpu10/cpufreq/scaling_governor": "performance\n",
            cpu + "cpu2/online": "0\n",
            cpu + "cpufreq/boost": "1\n",
            zone + "0/type": "cpu-thermal\n",
            zone + "0/temp": "48312\n",
            zone + "1/type": "cv0-thermal\n",
            zone + "1/temp": None,
            zone + "2/type": "cpu-thermal\n",
            zone + "2/temp": "-2500\n",
            zone + "3/type": "broken\n",
            zone + "3/temp": "n/a\n",
            "proc/vmstat": "nr_free_pages 12\npswpin 34\npswpout 56\n",
            "proc/stat": "cpu  1 2 3\n",
        },
    )
    assert clocks.frequencies_hz(root) == {"cpu0": 1_500_000_000, "cpu10": 600_000_000}
    assert clocks.governors(root) == {"cpu0": "ondemand", "cpu10": "performance"}
    assert thermal.temperatures_c(root) == {"cpu-thermal": 48.312, "cpu-thermal.2": -2.5}
    taken = telemetry.Telemetry(root).take()
    assert (taken["pswpin"], taken["pswpout"], taken["busy"], taken["boot_id"]) == (34, 56, None, None)


def test_a_machine_without_any_of_it(tmp_path: Path) -> None:
    taken = telemetry.Telemetry(str(tmp_path)).take()
    assert taken["freq_hz"] == taken["governor"] == taken["temperature_c"] == {}
    assert taken["pswpin"] is None and taken["boot_id"] is None
    found = fingerprint.hardware(str(tmp_path))
    assert found["model"] is None and found["virtual"] is None and found["compatible"] == []
    assert (found["cpu_model"], found["cpu_features"], found["os"]) == ("unknown", [], "unknown")


def test_fingerprint_of_a_raspberry_pi(tmp_path: Path) -> None:
    core = (
        "processor\t: {}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    )
    root = tree(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
            "proc/cpuinfo": core.format(0)
            + core.format(1)
            + "Revision\t: c03114\nModel\t\t: Raspberry Pi 4\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        },
    )
    found = fingerprint.hardware(root)
    assert found["model"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert found["compatible"] == ["raspberrypi,4-model-b", "brcm,bcm2711"]
    assert found["cpu_model"] == "Cortex-A72"
    assert found["cpu_features"] == ["asimd", "cpuid", "crc32", "evtstrm", "fp"]
    assert (found["virtual"], found["os"]) == (None, "Debian GNU/Linux 12 (bookworm)")


def test_an_emulated_board_and_unknown_cores_are_called_so(tmp_path: Path) -> None:
    core = "Features\t: fp asimddp\nCPU implementer\t: 0x41\nCPU part\t: {}\n\n"
    root = tree(
        tmp_path,
        {
            "proc/device-tree/compatible": "linux,dummy-virt\0",
            "proc/cpuinfo": core.format("0xd0b") + core.format("0xfff"),
        },
    )
    found = fingerprint.hardware(root)
    assert found["virtual"] == "qemu"
    assert found["cpu_model"] == "Cortex-A76 + implementer 0x41 part 0xfff"


def test_cores_are_shared_out_from_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[set[int]] = []
    monkeypatch.setattr(cores, "ALLOWED", [0, 1, 4, 5])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: moved.append(set(cpus)))
    one, two, loose = ({"threads": n, "pin": pin} for n, pin in [(1, True), (2, True), (2, False)])
    assert [cores.of_trial(trial) for trial in (one, two, loose)] == [[5], [4, 5], [0, 1, 4, 5]]
    for trials in ([one], [one, two], [one, loose], []):
        cores.keep_clear_of(trials)
    assert moved == [{0, 1, 4}, {0, 1}, {0, 1, 4, 5}, {0, 1, 4, 5}]


def test_a_child_that_says_nothing_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    """`child.run` on a real process that forks and sleeps: nothing of it is left."""
    readable, written = os.pipe()
    os.write(written, b"stop")
    heard: list[dict[str, object]] = []
    ending = child.run(["probe", "onnxruntime"], {}, hear=heard.append, timeout_s=30, stop_fd=readable)
    os.close(readable)
    os.close(written)
    assert (ending.why, ending.signal, heard) == (child.STOPPED, 9, [])
