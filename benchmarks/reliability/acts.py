"""What a fault does to a board and to a command: how it is planted, and how it is lifted."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import psutil

from benchmarks.reliability.board import Board
from benchmarks.reliability.host import Command, Host
from edgebench.results import Record, TrialRecord

# How long a second command may take that has to be refused: it may make its environment first.
REFUSED_S = 180.0
GOVERNORS = [f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_governor" for n in range(4)]


@dataclass
class Scene:
    """What a fault is planted in. ``notes``: what was seen, for the results; ``governor``: before it came."""

    board: Board
    host: Host
    command: Command
    random: Random
    second: Host
    notes: list[str] = field(default_factory=list)
    governor: str = ""


Act = Callable[[Scene], None]


def nothing(scene: Scene) -> None:
    """Some faults are over as soon as they have happened."""


def silence(scene: Scene) -> None:
    scene.board.silence(True)


def speak(scene: Scene) -> None:
    scene.board.silence(False)


def drop_connections(scene: Scene) -> None:
    scene.board.kill_server(sessions=True)


def kill_server(scene: Scene) -> None:
    scene.board.kill_server(sessions=False)


def serve(scene: Scene) -> None:
    scene.board.serve()


def power_off(scene: Scene) -> None:
    scene.board.power_off()


def power_on(scene: Scene) -> None:
    scene.board.start()


def freeze(scene: Scene) -> None:
    scene.board.signal_all(signal.SIGSTOP)


def thaw(scene: Scene) -> None:
    scene.board.signal_all(signal.SIGCONT)


def host_sleeps(scene: Scene) -> None:
    scene.command.signal(signal.SIGSTOP)


def host_wakes(scene: Scene) -> None:
    scene.command.signal(signal.SIGCONT)


def kill_host(scene: Scene) -> None:
    scene.command.kill()


def interrupt(scene: Scene) -> None:
    scene.command.signal(signal.SIGINT)


def interrupt_without_link(scene: Scene) -> None:
    scene.board.silence(True)
    time.sleep(scene.random.uniform(0, 3))
    scene.command.signal(signal.SIGINT)


def fill_disk(scene: Scene) -> None:
    with contextlib.suppress(OSError), (scene.board.home / ".cache/ballast").open("wb", buffering=0) as file:
        piece = bytes(1 << 20)
        while True:
            file.write(piece)


def empty_disk(scene: Scene) -> None:
    (scene.board.home / ".cache/ballast").unlink(missing_ok=True)


def exhaust_memory(scene: Scene) -> None:
    for process in scene.board.agents():
        with contextlib.suppress(psutil.Error, OSError):
            resource.prlimit(
                process.pid, resource.RLIMIT_AS, (process.memory_info().vms, resource.RLIM_INFINITY)
            )
            scene.notes.append(f"limited: {' '.join(process.cmdline()[-2:])[:60]}")


def give_memory(scene: Scene) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    for process in scene.board.agents():
        with contextlib.suppress(psutil.Error, OSError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, unlimited)


def kill_trial(scene: Scene) -> None:
    for process in scene.board.agents("trial"):
        with contextlib.suppress(psutil.Error):
            process.kill()


def jump(scene: Scene) -> None:
    days = scene.random.choice([-20000, -1, 1, 400])
    scene.notes.append(f"{days:+d} days")
    (scene.board.folder / "wall_clock").write_text(f"{86_400 * days}\n")


def jump_back(scene: Scene) -> None:
    (scene.board.folder / "wall_clock").write_text("0\n")


def throttle(scene: Scene) -> None:
    scene.board.write("run/throttled", "throttled=0x40004\n")


def cool(scene: Scene) -> None:
    scene.board.write("run/throttled", "throttled=0x40000\n")


def set_governors(scene: Scene) -> None:
    scene.governor = scene.board.read(GOVERNORS[0]).strip()
    for path in GOVERNORS:
        scene.board.write(path, "powersave\n")


def give_governors_back(scene: Scene) -> None:
    """As they were, unless the run has put them back meanwhile."""
    for path in GOVERNORS:
        if scene.board.read(path).strip() == "powersave":
            scene.board.write(path, scene.governor + "\n")


def set_mode(name: str, number: int, khz: int) -> Act:
    def act(scene: Scene) -> None:
        scene.board.write("run/nvpmodel", f"NV Power Mode: {name}\n{number}\n")
        scene.board.write("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", f"{khz}\n")

    return act


def remove_run(scene: Scene) -> None:
    shutil.rmtree(scene.board.root / "runs", ignore_errors=True)


def second_user(scene: Scene) -> None:
    """Another account of the board, another store: refused while the first measures."""
    command = scene.second.run()
    if not command.wait(time.monotonic() + REFUSED_S):
        scene.notes.append("the second user's command hung")
    scene.notes.append(f"second user: status {command.process.returncode}: {command.text[-200:]}")


def second_resume(scene: Scene) -> None:
    run_id = scene.host.open_run()
    if run_id is None:
        scene.notes.append("nothing to resume yet")
        return
    command = scene.host.resume(run_id)
    if not command.wait(time.monotonic() + REFUSED_S):
        scene.notes.append("the second collector hung")
    scene.host.commands.remove(command)  # the run is the first one's to end
    scene.notes.append(f"second collector: status {command.process.returncode}: {command.text[-200:]}")


_RUNTIME = "envs/*/lib/python*/site-packages/onnxruntime/__init__.py"
_DIE = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"


def spoil_runtime(scene: Scene) -> None:
    for path in scene.board.root.glob(_RUNTIME):
        path.write_text(_DIE + path.read_text())


def mend_runtime(scene: Scene) -> None:
    for path in scene.board.root.glob(_RUNTIME):
        path.write_text(path.read_text().removeprefix(_DIE))


def refused_second(scene: Scene) -> str | None:
    """What went wrong with the second command, in words: it may be refused, or wait for its turn."""
    first, second = ([_span(line) for line in host.records()] for host in (scene.host, scene.second))
    for begun, over in filter(None, second):
        if any(span and span[0] < over and begun < span[1] for span in first):
            return "two launches at once"
    bad = [note for note in scene.notes if "hung" in note or "Traceback" in note]
    said = [note for note in scene.notes if "status" in note]
    ok = any(f"status {status}:" in note for note in said for status in (0, 2, 5))
    return bad[0] if bad else None if ok or not said else said[0]


def _span(line: Record) -> tuple[int, int] | None:
    """When a launch began and was over, by the board's clock in nanoseconds."""
    if (
        not isinstance(line, TrialRecord)
        or line.trial.telemetry is None
        or line.trial.telemetry.before is None
    ):
        return None
    return line.trial.telemetry.before.monotonic_ns, int(line.trial.model_dump()["monotonic_ns"])
