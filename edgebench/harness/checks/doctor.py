"""Can this board be measured on, and will its figures be believed? Looks, installs the runtimes, and
runs the null runtime once; changes nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebench.agent import protocol
from edgebench.devices import Conditioning
from edgebench.errors import DeviceBusy
from edgebench.harness.board import Board, open_board
from edgebench.harness.events import Events
from edgebench.harness.follow import run_to_end
from edgebench.harness.plan import DEFAULT_RUNTIME, make_plan
from edgebench.harness.suite import Suite
from edgebench.results import new_run_id

if TYPE_CHECKING:
    from edgebench.devices import BoardFacts, Device

Status = Literal["ok", "warn", "fail"]

_MIN_FREE_BYTES = 500 * 2**20  # a private environment with onnxruntime and numpy takes about 200 MB
_BUSY_SHARE = 0.1
_WARM_C = 70.0  # a Raspberry Pi throttles from 80 C on

# Instructions without which int8 is seldom faster than fp32.
_DOT_PRODUCT = {"asimddp", "i8mm", "avx512_vnni", "avx_vnni"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found and, where it is not well, what to do."""

    name: str
    status: Status
    found: str
    advice: str = ""


def examine(
    device: Device,
    *,
    runtimes: Sequence[str] = (DEFAULT_RUNTIME,),
    cache: Path,
    offline: bool,
    events: Events,
    fix: bool = False,
) -> list[Check]:
    """Look a board over. Raises DeviceError when it cannot be reached or lacks what a run needs.

    ``fix``: first bring it into the state that a run would, the device's own or else the governor
    ``performance``, and leave it so.
    """
    with open_board(device, runtimes=runtimes, cache=cache, offline=offline, events=events) as board:
        fixed = list(_fixed(board)) if fix else []
        events.stage(f"examining {device.name}")
        fingerprint = board.fingerprint()
        checks = [*fixed, *_identity(board, fingerprint), *_runtimes(fingerprint)]
        checks += [*_processor(fingerprint), *power(fingerprint)]
        usable = {
            name: python
            for name, python in board.pythons.items()
            if fingerprint["runtimes"][name]["error"] is None
        }
        if usable:
            checks += _measuring(board, usable)
        return checks


def _fixed(board: Board) -> Iterator[Check]:
    wanted = board.device.conditioning or Conditioning(governor="performance")
    steps = board.fix(wanted)
    done = dict.fromkeys(
        f"power mode {step['mode']}"
        if "mode" in step
        else f"{step['file'].rpartition('/')[2]} {step['value']}"
        for step in steps
    )
    yield Check("fixed", "ok", ", ".join(done) or "nothing had to be changed", "It stays so until a restart.")


def _identity(board: Board, fingerprint: Mapping[str, Any]) -> Iterator[Check]:
    key = "this machine" if board.connection.is_local else f"{board.connection.address}, host key verified"
    yield Check("connection", "ok", key)
    model = fingerprint.get("model") or fingerprint.get("cpu_model") or fingerprint["machine"]
    profile = board.device.profile
    wanted = set(profile.match) if profile else set()
    if board.facts.emulated:
        yield Check("board", "warn", f"{model}, emulated", "Its timings are not those of a board.")
    elif wanted and not wanted & set(fingerprint["compatible"]):
        yield Check(
            "board",
            "warn",
            f"{model}; profile {board.device.profile_name} expects {' or '.join(sorted(wanted))}",
            "Name the profile that fits; a run is refused there without --force.",
        )
    else:
        yield Check("board", "ok", str(model))
    yield from same_board(board.device, board.facts)
    free = board.facts.disk_free_bytes
    yield Check(
        "free space",
        "ok" if free > _MIN_FREE_BYTES else "warn",
        f"{free / 2**30:.1f} GiB",
        "" if free > _MIN_FREE_BYTES else f"Free some under {board.facts.root}.",
    )
    yield Check("python", "ok", f"{fingerprint['python']} on {' '.join(fingerprint['libc'])}")


def same_board(device: Device, facts: BoardFacts) -> Iterator[Check]:
    """Whether it is the board of the inventory's entry; nothing where the entry names none."""
    if device.board_sha256 is None:
        return
    if device.board_sha256 == facts.board_sha256:
        yield Check("serial number", "ok", "that of the inventory's entry")
    else:
        yield Check(
            "serial number",
            "warn",
            "another one than the inventory's entry has",
            f"A run is refused there without --force: correct the address, or `edgebench devices add "
            f"{device.name} --replace`.",
        )


def _runtimes(fingerprint: Mapping[str, Any]) -> Iterator[Check]:
    for name, runtime in fingerprint["runtimes"].items():
        if error := runtime["error"]:
            signal = error.get("signal")
            advice = (
                "This build dies of SIGILL on this processor: install another release." if signal == 4 else ""
            )
            yield Check("runtime", "fail", f"{name}: {error['message']}", advice)
        else:
            yield Check("runtime", "ok", f"{name} {runtime['version']}, numpy {runtime['numpy']}")


def _processor(fingerprint: Mapping[str, Any]) -> Iterator[Check]:
    found = sorted(_DOT_PRODUCT & set(fingerprint["cpu_features"]))
    if found:
        yield Check("int8 instructions", "ok", ", ".join(found))
    else:
        yield Check("int8 instructions", "warn", "no dot product", "Expect int8 no faster than fp32 here.")
    governors = sorted(set(fingerprint["governors"].values()))
    if not governors:
        yield Check("governor", "warn", "not visible", "Drifting clocks cannot be told from here.")
    elif governors == ["performance"]:
        yield Check("governor", "ok", "performance")
    else:
        yield Check(
            "governor",
            "warn",
            ", ".join(governors),
            "Clocks will move: run with --condition governor=performance, or once `edgebench doctor --fix`.",
        )


def power(fingerprint: Mapping[str, Any]) -> Iterator[Check]:
    """What energy could be measured by. Nothing is wrong with a board that has no rails."""
    told = fingerprint.get("power") or {}
    rails = ", ".join(told.get("rails") or ())
    if told.get("source"):
        yield Check("power", "ok", f"{told['source']}: {rails}", "`edgebench run --energy` measures by them.")
    elif reason := told.get("reason"):
        yield Check("power", "ok", f"not told: {reason}", "For energy, name a program: --meter.")


def _measuring(board: Board, pythons: Mapping[str, str]) -> Iterator[Check]:
    """Run the null runtime once: the lock, the memory marks and the harness's own overhead."""
    plan = make_plan(Suite(name="doctor", scenarios=(), launches=1), [], [], device=board.device.name)
    message = plan.message(run_id=new_run_id(), root=board.facts.root, user="doctor", pythons=pythons)
    said: list[dict[str, Any]] = []
    try:
        ending = run_to_end(board, message, said.append)
    except DeviceBusy as error:
        yield Check("lock", "warn", str(error))
        return
    trial = next((one for one in said if one["kind"] == protocol.TRIAL), None)
    if trial is None or trial["error"]:
        why = trial["error"]["message"] if trial else ending.message or "no answer"
        yield Check("null runtime", "fail", why)
        return
    yield Check("lock", "ok", "free")
    overhead_ns = statistics.median(trial["samples_ns"])
    yield Check("null runtime", "ok", f"{overhead_ns:.0f} ns an inference")
    resettable = trial["memory"]["resettable"]
    yield Check(
        "memory marks",
        "ok" if resettable else "warn",
        "peak can be reset" if resettable else "/proc/self/clear_refs cannot be written",
        "" if resettable else "Peak memory will be marked MEM_UNRESETTABLE.",
    )
    before = trial["telemetry"]["before"]
    after = trial["telemetry"]["after"]
    hottest = max((t for t in before["temperature_c"].values() if t is not None), default=None)
    if hottest is None:
        yield Check("temperature", "warn", "no sensor", "Throttling by heat cannot be told from here.")
    else:
        yield Check("temperature", "ok" if hottest < _WARM_C else "warn", f"{hottest:.0f} C")
    yield from held_down(after["state"])
    busy = after["busy"]
    if busy is not None:
        quiet = busy < _BUSY_SHARE
        yield Check(
            "load of others",
            "ok" if quiet else "warn",
            f"{busy:.0%} of the processor",
            "" if quiet else "Stop what else runs there before measuring.",
        )


def held_down(state: Mapping[str, Any]) -> Iterator[Check]:
    """What a Raspberry Pi's firmware and a quota say; nothing of boards that have neither."""
    if "throttled" in state["unknown"]:
        advice = "Give the user the group video: `sudo usermod -aG video USER`."
        yield Check("throttling", "warn", state["unknown"]["throttled"], advice)
    elif (word := state.get("throttled")) is not None:
        advice = "Use the supply it is made for, cool it, and restart it: its low bits say what is so now."
        yield Check("throttling", "warn" if word else "ok", f"throttled={word:#x}", advice if word else "")
    quota = state["quota"]
    if quota is not None and quota["quota_cpus"] is not None:
        advice = "Inferences are stopped once it is used up: lift it (cpu.max of the cgroup)."
        yield Check("processor quota", "warn", f"{quota['quota_cpus']:g} processors", advice)
