"""One setting of a board: the governor, a Jetson's power mode, clocks that are held.

A step names what is changed, the new value and the one before: {"file": ..., "value": ..., "before": ...},
or {"mode": ...} for a power mode. Files are written as the user, or else by ``sudo -n``, which never asks
for a password.
"""

from __future__ import annotations

import os
import re
import subprocess

from edgebench.agent.sensors import files, jetson
from edgebench.agent.sensors.programs import Programs

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Dict

    Step = Dict[str, Any]

_CPU = "/sys/devices/system/cpu"
_MODES = "/etc/nvpmodel.conf"
_SUDO = ("/usr/bin/sudo", "/bin/sudo")
LIMIT_S = 30.0  # a change of the power mode takes some seconds


class RefusedError(Exception):
    """The board cannot be brought into that state. The text says why and what to do."""


def governor(wanted: str | None, root: str = "/") -> list[Step]:
    """The steps to a governor on every processor; none where it is there already, or None is wanted."""
    if wanted is None:
        return []
    paths = ["%s/%s/cpufreq/scaling_governor" % (_CPU, name) for name in files.listed(_CPU, "cpu", root)]
    present = {path: text for path in paths for text in [files.read(path, root)] if text}
    if not present:
        raise RefusedError("this board shows no governor (no cpufreq), so it cannot be set to %r" % wanted)
    for path in present:
        known = (files.read(path.replace("_governor", "_available_governors"), root) or "").split()
        if known and wanted not in known:
            raise RefusedError("this board has no governor %r; it has %s" % (wanted, ", ".join(known)))
    return [
        {"file": path, "value": wanted, "before": text} for path, text in present.items() if text != wanted
    ]


def power_mode(mode: str | None, root: str) -> list[Step]:
    """The numbers of modes differ between boards: the board's own list names them."""
    if mode is None:
        return []
    numbers = {
        name: number
        for number, name in re.findall(
            r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", files.read(_MODES, root) or ""
        )
    }
    if mode not in numbers:
        known = ", ".join(sorted(numbers)) or "none: it has no %s" % _MODES
        raise RefusedError("this board has no power mode %r; it has %s" % (mode, known))
    present, why = jetson.power_mode(Programs(root))
    if present is None or present["id"] is None:
        raise RefusedError("the present power mode cannot be read, so it could not be put back: %s" % why)
    if present["name"] == mode:
        return []
    return [{"mode": mode, "value": numbers[mode], "before": present["id"]}]


def held_clocks(clocks: str | None, root: str) -> list[Step]:
    if clocks is None:
        return []
    base = _CPU + "/cpufreq"
    policies = files.listed(base, "policy", root)
    if not policies:
        raise RefusedError("this board shows no clock limits (no cpufreq), so the clocks cannot be held")
    steps = []
    for policy in policies:
        lowest = "%s/%s/scaling_min_freq" % (base, policy)
        before = files.read(lowest, root)
        highest = files.read("%s/%s/scaling_max_freq" % (base, policy), root)
        if before is not None and highest is not None and before != highest:
            steps.append({"file": lowest, "value": highest, "before": before})
    return steps


def present(step: Step, root: str = "/") -> str | None:
    """The value that a step's setting has now; None where it cannot be read."""
    if "mode" in step:
        mode, _ = jetson.power_mode(Programs(root))
        return mode["id"] if mode else None
    return files.read(step["file"], root)


def put(step: Step, value: str, root: str) -> None:
    """Set what a step names to ``value``. Raises RefusedError where the board does not take it."""
    if "mode" in step:
        place = next((p for p in jetson.NVPMODEL if os.path.isfile(_below(root, p))), jetson.NVPMODEL[0])
        _sudo([_below(root, place), "-m", value], "", root)
        name = "the power mode's number"
    else:
        name = step["file"]
        try:
            _write(_below(root, name), value)
        except PermissionError:
            _sudo(["tee", _below(root, name)], value, root)
        except OSError as problem:
            raise RefusedError("%s does not take %r: %s" % (name, value, problem.strerror)) from None
    # Some power modes want a restart of the board first, and leave it as it is until then.
    now = present(step, root)
    if now != value:
        raise RefusedError("%s is %r after %r was set" % (name, now, value))


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)


def _sudo(command: list[str], given: str, root: str) -> None:
    """Run a command as root, without a password. Raises RefusedError with what it said."""
    if os.geteuid() != 0 or command[0] == "tee":
        sudo = next((p for p in _SUDO if os.path.isfile(_below(root, p))), None)
        if sudo is None:
            raise RefusedError("the board has no sudo, and %s needs root" % " ".join(command))
        command = [_below(root, sudo), "-n", *command]
    try:
        done = subprocess.run(
            command,
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise RefusedError("%s: %s" % (" ".join(command), problem)) from None
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()[-200:]
        raise RefusedError(
            "%s said: %s. Allow this user the command without a password (visudo), or set it by hand"
            % (" ".join(command), said or "status %d" % done.returncode)
        )


def _below(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))
