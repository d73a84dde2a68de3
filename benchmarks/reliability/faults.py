"""The table of faults: how each is planted and lifted, and what must hold afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.reliability import acts
from benchmarks.reliability.acts import Act, Scene
from benchmarks.reliability.files import Kind

# What the command line promises: 60 s of silence end a link, it waits up to 40 s between two attempts and
# gives a handshake 30 s. Beyond that it may only measure, which a busy machine draws out.
LINK_S = 60.0 + 40.0 + 30.0
SLACK_S = 60.0

PI = Kind()
DISK = Kind(disk_mib=400)
CLOCK = Kind(environment={"LD_PRELOAD": "{folder}/wall_clock.so", "WALL_CLOCK": "{folder}/wall_clock"})
# A Raspberry Pi OS of 32 bits by what `uname` and `getconf` say; Python is this machine's.
ARMV7 = Kind(
    programs={
        "usr/bin/uname": '#!/bin/sh\n[ "$1" = -m ] && echo armv7l || echo Linux\n',
        "usr/bin/getconf": '#!/bin/sh\n[ "$1" = LONG_BIT ] && echo 32 || echo "glibc 2.36"\n',
    }
)
JETSON = Kind(device="jetson_orin_nano")


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    ``told``: what happens, for the page. ``phase``: in which part of the run (see ``moments``).
    ``hold_s``: for how long, at least and at most; None: until the command has ended. ``within_s``: the
    command must end so long after the fault is lifted (or planted, where it is held to the end), beside
    measuring. ``codes``: verdicts that it must leave. ``may_fail``: with what a launch may fail.
    ``fresh``: the board has no environment yet. ``keeps``: what had ended on the board must be stored as it
    was. ``check``: what else must hold at the end, in words where it does not. ``refused``: a board of this
    kind is refused with status 5 and these words, before anything is sent. ``twice``: it comes again while
    the run is being finished.
    """

    name: str
    told: str
    phase: str
    plant: Act
    lift: Act = acts.nothing
    hold_s: tuple[float, float] | None = (0.0, 0.0)
    within_s: float = LINK_S
    kind: Kind = PI
    codes: tuple[str, ...] = ()
    may_fail: tuple[str, ...] = ()
    fresh: bool = False
    keeps: bool = True
    most: int = 20
    refused: str = ""
    twice: bool = False
    check: Callable[[Scene], str | None] = lambda scene: None


def _link(phase: str, *, fresh: bool = False) -> Fault:
    return Fault(
        f"link silent, {phase}", "every packet vanishes for 1 to 45 s, both ways", phase,
        acts.silence, acts.speak, (1.0, 45.0), fresh=fresh,
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    _link("connect"),
    _link("install", fresh=True),
    _link("upload"),
    _link("trial"),
    _link("collect"),
    _link("clean-up"),
    Fault("link gone", "every packet vanishes until the command gives up", "trial",
          acts.silence, acts.speak, None, within_s=LINK_S + 77.0 + 5 * 10.0, most=5),
    Fault("connections dropped", "the server's sessions are killed, which closes every connection", "whole",
          acts.drop_connections),
    Fault("connections dropped, install", "every connection is closed", "install",
          acts.drop_connections, fresh=True, most=10),
    Fault("sshd killed", "the server alone is killed; it is back after 0 to 20 s", "whole",
          acts.kill_server, acts.serve, (0.0, 20.0)),
    Fault("power cut", "all processes of the board die; it boots again after 0 to 10 s", "whole",
          acts.power_off, acts.power_on, (0.0, 10.0), most=30),
    Fault("power cut twice", "all processes die, and again while the run is being finished", "whole",
          acts.power_off, acts.power_on, (0.0, 5.0), twice=True),
    Fault("power cut, install", "all processes die while the environment is made", "install",
          acts.power_off, acts.power_on, (0.0, 5.0), fresh=True, most=10),
    Fault("board frozen", "all processes of the board stand still for 30 s; its kernel answers", "whole",
          acts.freeze, acts.thaw, (30.0, 30.0)),
    Fault("host asleep", "the command line stands still for 30 s", "whole",
          acts.host_sleeps, acts.host_wakes, (30.0, 30.0), most=10),
    Fault("host killed", "kill -9 of the command line", "whole",
          acts.kill_host, most=50),
    Fault("host killed twice", "kill -9, and again while the run is being finished", "whole",
          acts.kill_host, twice=True),
    Fault("Ctrl-C", "SIGINT once", "whole", acts.interrupt, hold_s=None, within_s=SLACK_S),
    Fault("Ctrl-C without a link", "packets vanish, then SIGINT within 3 s; the link stays down", "trial",
          acts.interrupt_without_link, acts.speak, None, within_s=90.0),
    Fault("disk full", "the board's disk is filled for 2 to 10 s", "whole",
          acts.fill_disk, acts.empty_disk, (2.0, 10.0), kind=DISK),
    Fault("memory exhausted", "no process of the agent gets any more memory for 0.5 to 4 s", "trial",
          acts.exhaust_memory, acts.give_memory, (0.5, 4.0),
          may_fail=("KILLED", "RUN_FAILED", "RUNTIME_IMPORT", "MODEL_LOAD", "PREPARATION")),
    Fault("launch killed", "SIGKILL of a launch, as by the kernel when memory is short", "trial",
          acts.kill_trial, may_fail=("KILLED",)),
    Fault("clock jumps", "the board's wall clock jumps by -20000, -1, +1 or +400 days", "whole",
          acts.jump, acts.jump_back, None, kind=CLOCK),
    Fault("throttle bit", "the firmware says throttled for 1.5 to 4 s", "trial",
          acts.throttle, acts.cool, (1.5, 4.0), codes=("THROTTLED",)),
    Fault("governor changed", "to powersave and back after 1.5 to 4 s", "trial",
          acts.set_governors, acts.give_governors_back, (1.5, 4.0), codes=("GOV_CHANGED",)),
    Fault("power mode changed", "to 15W, with its lower clock, and back after 1.5 to 4 s", "trial",
          acts.set_mode("15W", 0, 1_190_400), acts.set_mode("MAXN_SUPER", 2, 1_500_000), (1.5, 4.0),
          kind=JETSON, codes=("MODE_CHANGED",)),
    Fault("second user", "another account starts a run on the same board", "trial", acts.second_user,
          check=acts.refused_second),
    Fault("second collector", "`--resume` of the run that is being collected", "trial", acts.second_resume,
          check=acts.refused_second),
    Fault("run folder gone", "somebody removes runs/ on the board", "whole", acts.remove_run, keeps=False),
    Fault("SIGILL at import", "the runtime dies of SIGILL when it is imported, from that moment on", "trial",
          acts.spoil_runtime, acts.mend_runtime, None, may_fail=("RUNTIME_IMPORT", "KILLED")),
    Fault("armv7 userland", "`uname` and `getconf` of the board say armv7l and 32 bits", "connect",
          acts.nothing, kind=ARMV7, most=5, refused="armv7l"),
    Fault("dropbear", "connections dropped, on a board that has dropbear and no SFTP", "whole",
          acts.drop_connections, kind=Kind(server="dropbear")),
    Fault("csh", "connections dropped, where the login shell is csh", "whole",
          acts.drop_connections, kind=Kind(shell="/bin/csh")),
    Fault("one channel", "connections dropped, where the server grants one channel (MaxSessions 1)", "whole",
          acts.drop_connections, kind=Kind(sshd=("MaxSessions 1",))),
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in FAULTS}
