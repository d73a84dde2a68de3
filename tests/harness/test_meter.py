"""An external meter: small programs that print watts, die, flood, or print what is no number."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import results_builder as b

from edgebench.agent import protocol
from edgebench.errors import UsageError
from edgebench.harness import meter as meters
from edgebench.harness import wire
from edgebench.harness.collect import HostUsage, collect
from edgebench.harness.meter import Meter
from edgebench.results import EnergyRecord, Store, record_from, summarise

STEADY = "import time\nwhile True:\n  print(7.5, flush=True)\n  time.sleep(0.02)"


def program(text: str) -> list[str]:
    return [sys.executable, "-u", "-c", text]


def until_it_ends(meter: Meter) -> str:
    for _ in range(500):
        if meter.problem is not None:
            return meter.problem
        time.sleep(0.01)
    raise AssertionError("the meter goes on")


def everything(meter: Meter) -> dict[str, Any]:
    return meter.take(0, 1 << 62)


def test_each_line_is_a_reading_of_the_moment_it_came() -> None:
    before = time.monotonic_ns()
    with Meter(program("print(1.5)\nprint('2.25 W')\nprint(3)"), same_clock=True) as meter:
        assert "status 0 after 3 readings" in until_it_ends(meter)
        told = everything(meter)
    assert told["watts"] == [1.5, 2.25, 3.0]
    assert before <= min(told["t_ns"]) <= max(told["t_ns"]) <= time.monotonic_ns()
    meter.forget(max(told["t_ns"]))
    assert everything(meter)["watts"] == [3.0]


def test_a_reading_may_say_when_it_was_made() -> None:
    text = "import time\nprint(f'{time.time() - 100:.6f} 4.5')\nprint('17 9')\ntime.sleep(60)"
    with Meter(program(text), same_clock=True) as meter:
        assert meter.wait_first() is None
        time.sleep(0.1)
        told = everything(meter)
    # 17 s after 1970 is no time of this host: not a reading.
    assert told["watts"] == [4.5]
    assert (time.monotonic_ns() - told["t_ns"][0]) / 1e9 == pytest.approx(100, abs=30)


def test_the_boards_clock_is_learnt_from_the_message_that_came_soonest() -> None:
    with Meter(program(STEADY), same_clock=False) as meter:
        assert meter.wait_first() is None
        behind = 5_000_000_000_000  # the board was started later
        for delay_ns in (40_000_000, 3_000_000, 900_000_000):
            meter.hear({"kind": "heartbeat", "monotonic_ns": time.monotonic_ns() - behind - delay_ns})
        now = time.monotonic_ns() - behind
        times = everything(meter)["t_ns"]
    assert times and max(times) <= now
    assert now - max(times) < 2_000_000_000


def test_a_meter_that_dies_says_how_and_what_it_said_last() -> None:
    text = "import sys\nprint(2)\nprint(2)\nsys.exit('\\x1b[2Jlost the plug')"
    with Meter(program(text), same_clock=True) as meter:
        problem = until_it_ends(meter)
        assert everything(meter)["watts"] == [2.0, 2.0]
    assert "status 1 after 2 readings" in problem and problem.endswith("it said: \\x1b[2Jlost the plug")


def test_a_meter_that_is_killed_is_told_by_its_signal() -> None:
    with Meter(program("import os\nprint(2)\nos.kill(os.getpid(), 9)"), same_clock=True) as meter:
        assert "signal 9 after 1 readings" in until_it_ends(meter)


def test_a_meter_that_prints_no_watts_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_FIRST_S", 0.3)
    with Meter(program("import time\nprint('warming up')\ntime.sleep(60)"), same_clock=True) as meter:
        assert meter.wait_first() == (
            f"the meter {sys.executable!r} printed no watts within 0.3 s; it said: warming up"
        )


@pytest.mark.parametrize(
    "text",
    ["while True: print(1)", "import sys\nwhile True: sys.stdout.write('9' * 65536)"],
    ids=["readings", "one line"],
)
def test_a_meter_that_floods_is_ended_or_kept_small(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MOST_READINGS", 2000)
    with Meter(program(text), same_clock=True) as meter:
        time.sleep(0.5)
        assert len(everything(meter)["watts"]) <= 2000 + (1 << 16)  # what one read may hold
    assert meter._process.poll() is not None


def test_neighbours_are_averaged_where_a_launch_has_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MOST_KEPT", 10)
    text = "for n in range(25): print(n)"
    with Meter(program(text), same_clock=True) as meter:
        until_it_ends(meter)
        told = everything(meter)
    groups = [range(n, min(n + 3, 25)) for n in range(0, 25, 3)]
    assert told["each"] == 3 and told["watts"] == [sum(group) / len(group) for group in groups]
    assert told["t_ns"] == sorted(told["t_ns"]) and len(told["t_ns"]) == 9


def test_no_shell_sees_it(tmp_path: Path) -> None:
    argv = [*program("import sys\nprint(len(sys.argv))"), f"; touch {tmp_path / 'here'}"]
    with Meter(argv, same_clock=True) as meter:
        until_it_ends(meter)
        assert everything(meter)["watts"] == [2.0]
    assert not (tmp_path / "here").exists()


def test_a_program_that_is_not_there_is_said_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="no such program"):
        meters.check(("a-meter-nobody-has",))


# --- a run with a meter ---------------------------------------------------------------------------------


class Events:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


class Board:
    """A board that says what is put into it."""

    def __init__(self, *messages: dict[str, Any], events: Events) -> None:
        self.device = SimpleNamespace(name="rpi4")
        self.events = events
        self._lines = [protocol.encode(message) for message in messages]

    def run_dir(self, run_id: str) -> str:
        return f"/runs/{run_id}"

    def follow(self, _: str, seq: int, limits: wire.Limits | None = None) -> Iterator[dict[str, Any]]:
        for line in self._lines:
            yield wire.read(line, limits)

    def clean(self, _: str) -> None:
        """Nothing lies there."""


def launch_of_now(begun_ns: int) -> dict[str, Any]:
    """A launch for energy of which every stretch took 0.2 s, the loop with 10 inferences among them."""
    times = [begun_ns + n * 200_000_000 for n in range(4)]
    idle = [[times[0], times[1]], [times[2], times[3]]]
    window = {"begun_ns": times[1], "ended_ns": times[2], "elapsed_ns": 200_000_000, "cpu_ns": 0}
    window |= {"queue_wait_ns": None, "others": None, "steal": None}
    taken = [20_000_000] * 10
    readings = {"source": None, "reason": "no rails", "hz": 2.0, "t_ns": [], "watts": {}, "idle_ns": idle}
    changes = {"window": window, "power": readings, "samples_cpu_ns": taken, "seq": 1}
    return b.trial(samples_ns=taken, monotonic_ns=begun_ns, **changes)


def run_of(tmp_path: Path, meter: Meter | None, events: Events) -> tuple[Store, Any]:
    """Collect a run whose one launch is for energy, and which has a meter by its header."""
    planned = {"id": "t0000", "condition": b.condition(), "launch": 0, "round": 0, "estimate_s": 1.0}
    header = record_from(b.header(trials=[{**planned, "energy": True}], meter=["wattmeter"]))
    begun_ns = time.monotonic_ns() - 700_000_000
    messages = [
        {"kind": "begin", "seq": 0, "monotonic_ns": begun_ns},
        launch_of_now(begun_ns),
        {"kind": "end", "seq": 2, "monotonic_ns": begun_ns, "status": "complete", "message": None},
    ]
    store = Store(tmp_path)
    store.append(header)
    collect(
        Board(*messages, events=events),
        header,
        store,
        cache=tmp_path,
        events=events,
        usage=HostUsage(),
        stored=[header],
        meter=meter,
    )
    lines = store.run(header.run_id)
    assert sum(isinstance(line, EnergyRecord) for line in lines) == 1
    return store, summarise(lines).rows[0]


def test_a_run_keeps_the_meters_readings_and_makes_energy_of_them(tmp_path: Path) -> None:
    # Readings every 20 ms, of the seconds around this one: no scheduler has a say in them.
    text = (
        "import time\nnow = time.time()\n"
        "for n in range(-500, 500): print(f'{now + n / 50:.6f} 7.5')\n"
        "time.sleep(60)"
    )
    with Meter(program(text), same_clock=True) as meter:
        assert meter.wait_first() is None
        time.sleep(0.2)
        _, row = run_of(tmp_path, meter, Events())
    # 7.5 W for 0.2 s over 10 inferences; the idle board draws the same.
    assert row.figures["energy_mj"].value == pytest.approx(7500 * 0.2 / 10)
    assert row.figures["energy_net_mj"].value == pytest.approx(0, abs=1e-6)


def test_a_meter_that_died_costs_the_energy_and_nothing_else(tmp_path: Path) -> None:
    events = Events()
    with Meter(program("import sys\nprint(5)\nsys.exit(3)"), same_clock=True) as meter:
        until_it_ends(meter)
        time.sleep(0.8)
        store, row = run_of(tmp_path, meter, events)
    assert row.figures["energy_mj"].value is None
    assert "status 3 after 1 readings" in row.figures["energy_mj"].reason
    assert [text for text in events.warnings if "launches from here on have no energy" in text]
    assert len(events.warnings) == 1
    assert store.run(b.RUN_ID)[-1].status == "complete"


def test_a_run_that_is_taken_up_again_says_that_its_meter_was_not_there(tmp_path: Path) -> None:
    _, row = run_of(tmp_path, None, Events())
    assert "taken up again" in row.figures["energy_mj"].reason
