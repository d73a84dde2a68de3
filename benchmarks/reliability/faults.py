"""The table of faults: how each is planted and lifted, and what must hold afterwards."""

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
from benchmarks.reliability.files import Kind
from benchmarks.reliability.host import Command, Host

# What the command line promises: 60 s of silence end a link, it waits up to 40 s between two attempts and
# gives a handshake 30 s. Beyond that it may only measure, which a busy machine draws out.
LINK_S = 60.0 + 40.0 + 30.0
SLACK_S = 60.0

PI = Kind()
DISK = Kind(disk_mib=400)
CLOCK = Kind(environment={"LD_PRELOAD": "{folder}/wall_clock.so", "WALL_CLOCK": "{folder}/wall_clock"})
JETSON = Kind(device="jetson_orin_nano")
GOVERNORS = [f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_governor" for n in range(4)]


@dataclass
class Scene:
    """What a fault is planted in. ``notes``: what was seen, for the results."""

    board: Board
    host: Host
    command: Command
    random: Random
    second: Host
    notes: list[str] = field(default_factory=list)


Act = Callable[[Scene], None]


def _nothing(scene: Scene) -> None:
    """Some faults are over as soon as they have happened."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    ``told``: what happens, for the page. ``phase``: in which part of the run (see ``moments``).
    ``hold_s``: for how long, at least and at most; None: until the command has ended. ``within_s``: the
    command must end so long after the fault is lifted (or planted, where it is held to the end), beside
    measuring. ``codes``: verdicts that it must leave. ``may_fail``: with what a launch may fail.
    ``fresh``: the board has no environment yet. ``keeps``: what had ended on the board must be stored as it
    was. ``check``: what else must hold at the end, in words where it does not.
    """

    name: str
    told: str
    phase: str
    plant: Act
    lift: Act = _nothing
    hold_s: tuple[float, float] | None = (0.0, 0.0)
    within_s: float = LINK_S
    kind: Kind = PI
    codes: tuple[str, ...] = ()
    may_fail: tuple[str, ...] = ()
    fresh: bool = False
    keeps: bool = True
    most: int = 20
    check: Callable[[Scene], str | None] = lambda scene: None


def _silence(scene: Scene) -> None:
    scene.board.silence(True)


def _speak(scene: Scene) -> None:
    scene.board.silence(False)


def _drop_connections(scene: Scene) -> None:
    scene.board.kill_server(sessions=True)


def _kill_server(scene: Scene) -> None:
    scene.board.kill_server(sessions=False)


def _serve(scene: Scene) -> None:
    scene.board.serve()


def _power_off(scene: Scene) -> None:
    scene.board.power_off()


def _power_on(scene: Scene) -> None:
    scene.board.start()


def _freeze(scene: Scene) -> None:
    scene.board.signal_all(signal.SIGSTOP)


def _thaw(scene: Scene) -> None:
    scene.board.signal_all(signal.SIGCONT)


def _host_sleeps(scene: Scene) -> None:
    scene.command.signal(signal.SIGSTOP)


def _host_wakes(scene: Scene) -> None:
    scene.command.signal(signal.SIGCONT)


def _kill_host(scene: Scene) -> None:
    scene.command.kill()


def _interrupt(scene: Scene) -> None:
    scene.command.signal(signal.SIGINT)


def _interrupt_without_link(scene: Scene) -> None:
    scene.board.silence(True)
    time.sleep(scene.random.uniform(0, 3))
    scene.command.signal(signal.SIGINT)


def _fill_disk(scene: Scene) -> None:
    with contextlib.suppress(OSError), (scene.board.home / ".cache/ballast").open("wb", buffering=0) as file:
        piece = bytes(1 << 20)
        while True:
            file.write(piece)


def _empty_disk(scene: Scene) -> None:
    (scene.board.home / ".cache/ballast").unlink(missing_ok=True)


def _exhaust_memory(scene: Scene) -> None:
    for process in scene.board.agents():
        with contextlib.suppress(psutil.Error, OSError):
            resource.prlimit(
                process.pid, resource.RLIMIT_AS, (process.memory_info().vms, resource.RLIM_INFINITY)
            )
            scene.notes.append(f"limited: {' '.join(process.cmdline()[-2:])[:60]}")


def _give_memory(scene: Scene) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    for process in scene.board.agents():
        with contextlib.suppress(psutil.Error, OSError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, unlimited)


def _kill_trial(scene: Scene) -> None:
    for process in scene.board.agents("trial"):
        with contextlib.suppress(psutil.Error):
            process.kill()


def _jump(scene: Scene) -> None:
    days = scene.random.choice([-20000, -1, 1, 400])
    scene.notes.append(f"{days:+d} days")
    (scene.board.folder / "wall_clock").write_text(f"{86_400 * days}\n")


def _jump_back(scene: Scene) -> None:
    (scene.board.folder / "wall_clock").write_text("0\n")


def _throttle(scene: Scene) -> None:
    scene.board.write("run/throttled", "throttled=0x40004\n")


def _cool(scene: Scene) -> None:
    scene.board.write("run/throttled", "throttled=0x40000\n")


def _set_governors(name: str) -> Act:
    def act(scene: Scene) -> None:
        for path in GOVERNORS:
            scene.board.write(path, name + "\n")

    return act


def _set_mode(name: str, number: int) -> Act:
    def act(scene: Scene) -> None:
        scene.board.write("run/nvpmodel", f"NV Power Mode: {name}\n{number}\n")

    return act


def _remove_run(scene: Scene) -> None:
    shutil.rmtree(scene.board.root / "runs", ignore_errors=True)


def _second_user(scene: Scene) -> None:
    """Another account of the board, another store: refused while the first measures."""
    command = scene.second.run()
    if not command.wait(time.monotonic() + LINK_S):
        scene.notes.append("the second user's command hung")
    scene.notes.append(f"second user: status {command.process.returncode}: {command.text[-200:]}")


def _second_resume(scene: Scene) -> None:
    run_id = scene.host.open_run()
    if run_id is None:
        scene.notes.append("nothing to resume yet")
        return
    command = scene.host.resume(run_id)
    if not command.wait(time.monotonic() + LINK_S):
        scene.notes.append("the second collector hung")
    scene.notes.append(f"second collector: status {command.process.returncode}: {command.text[-200:]}")


_RUNTIME = "envs/*/lib/python*/site-packages/onnxruntime/__init__.py"
_DIE = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"


def _spoil_runtime(scene: Scene) -> None:
    for path in scene.board.root.glob(_RUNTIME):
        path.write_text(_DIE + path.read_text())


def _mend_runtime(scene: Scene) -> None:
    for path in scene.board.root.glob(_RUNTIME):
        path.write_text(path.read_text().removeprefix(_DIE))


def _refused_second(scene: Scene) -> str | None:
    bad = [note for note in scene.notes if "hung" in note or "Traceback" in note]
    said = [note for note in scene.notes if "status" in note]
    ok = any(f"status {status}:" in note for note in said for status in (0, 2, 5))
    return bad[0] if bad else None if ok or not said else said[0]


def _link(phase: str, *, fresh: bool = False) -> Fault:
    return Fault(
        f"link silent, {phase}", "every packet vanishes for 1 to 45 s, both ways", phase,
        _silence, _speak, (1.0, 45.0), fresh=fresh,
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    _link("connect"),
    _link("install", fresh=True),
    _link("upload"),
    _link("trial"),
    _link("collect"),
    _link("clean-up"),
    Fault("connections dropped", "the server's sessions are killed, which closes every connection", "whole",
          _drop_connections),
    Fault("connections dropped, install", "as before, while the environment is made", "install",
          _drop_connections, fresh=True, most=10),
    Fault("sshd killed", "the server alone is killed; it is back after 0 to 20 s", "whole",
          _kill_server, _serve, (0.0, 20.0)),
    Fault("power cut", "all processes of the board die; it boots again after 0 to 10 s", "whole",
          _power_off, _power_on, (0.0, 10.0), most=30),
    Fault("power cut, install", "as before, while the environment is made", "install",
          _power_off, _power_on, (0.0, 5.0), fresh=True, most=10),
    Fault("board frozen", "all processes of the board stand still for 30 s; its kernel answers", "whole",
          _freeze, _thaw, (30.0, 30.0)),
    Fault("host asleep", "the command line stands still for 30 s", "whole",
          _host_sleeps, _host_wakes, (30.0, 30.0), most=10),
    Fault("host killed", "kill -9 of the command line", "whole", _kill_host, most=50),
    Fault("Ctrl-C", "SIGINT once", "whole", _interrupt, hold_s=None, within_s=SLACK_S),
    Fault("Ctrl-C without a link", "packets vanish, then SIGINT within 3 s; the link stays down", "trial",
          _interrupt_without_link, _speak, None, within_s=90.0),
    Fault("disk full", "the board's disk is filled for 2 to 10 s", "whole",
          _fill_disk, _empty_disk, (2.0, 10.0), kind=DISK),
    Fault("memory exhausted", "no process of the agent gets any more memory for 0.5 to 4 s", "trial",
          _exhaust_memory, _give_memory, (0.5, 4.0),
          may_fail=("KILLED", "RUN_FAILED", "RUNTIME_IMPORT", "MODEL_LOAD", "PREPARATION")),
    Fault("launch killed", "SIGKILL of a launch, as by the kernel when memory is short", "trial",
          _kill_trial, may_fail=("KILLED",)),
    Fault("clock jumps", "the board's wall clock jumps by -20000, -1, +1 or +400 days", "whole",
          _jump, _jump_back, None, kind=CLOCK),
    Fault("throttle bit", "the firmware says throttled for 1.5 to 4 s", "trial", _throttle, _cool, (1.5, 4.0),
          codes=("THROTTLED",)),
    Fault("governor changed", "to powersave and back after 1.5 to 4 s", "trial",
          _set_governors("powersave"), _set_governors("performance"), (1.5, 4.0), codes=("GOV_CHANGED",)),
    Fault("power mode changed", "nvpmodel to 15W and back after 1.5 to 4 s", "trial",
          _set_mode("15W", 0), _set_mode("MAXN_SUPER", 2), (1.5, 4.0), kind=JETSON, codes=("MODE_CHANGED",)),
    Fault("second user", "another account starts a run on the same board", "trial", _second_user,
          check=_refused_second),
    Fault("second collector", "`--resume` of the run that is being collected", "whole", _second_resume,
          check=_refused_second),
    Fault("run folder gone", "somebody removes runs/ on the board", "whole", _remove_run, keeps=False),
    Fault("SIGILL at import", "the runtime dies of SIGILL when it is imported, from that moment on", "trial",
          _spoil_runtime, _mend_runtime, None, may_fail=("RUNTIME_IMPORT", "KILLED")),
    Fault("dropbear", "connections dropped, on a board that has dropbear and no SFTP", "whole",
          _drop_connections, kind=Kind(server="dropbear")),
    Fault("csh", "connections dropped, where the login shell is csh", "whole",
          _drop_connections, kind=Kind(shell="/bin/csh")),
    Fault("one channel", "connections dropped, where the server grants one channel (MaxSessions 1)", "whole",
          _drop_connections, kind=Kind(sshd=("MaxSessions 1",))),
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in FAULTS}
