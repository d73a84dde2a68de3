"""The processor quota of this process: what a container, a service or a user may use at most.

A quota gives a process its processors for part of each period (100 ms as a rule) and stops it for the
rest, so that some inferences take far longer than the others (see Linux' sched-bwc).
"""

from __future__ import annotations

from edgebench.agent.sensors import files

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

_V2 = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_V1 = ("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu")


def quota(root: str = "/") -> dict[str, Any] | None:
    """The quota over all levels from this process' group up; None where the kernel tells none.

    ``quota_cpus``: processors it may use at a time, the tightest of the levels, None without a quota.
    ``nr_throttled``, ``throttled_ns``: how often and how long groups were stopped, since they exist.
    """
    levels = [_level(folder, root) for folder in _folders(root)]
    told = [one for one in levels if one is not None]
    if not told:
        return None
    quotas = [one["quota_cpus"] for one in told if one["quota_cpus"] is not None]
    return {
        "quota_cpus": min(quotas) if quotas else None,
        "nr_throttled": sum(one["nr_throttled"] for one in told),
        "throttled_ns": sum(one["throttled_ns"] for one in told),
    }


def _folders(root: str) -> list[str]:
    """The folders of the group that holds this process, and of those that hold the group.

    A container may see the path of the host here, and its own group at the top: so the top is always
    among them.
    """
    paths = {}
    for line in (files.read("/proc/self/cgroup", root) or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            paths[_V2 if number == "0" else _V1] = path.strip("/")
    found = []
    for bases, path in paths.items():
        for base in bases:
            parts = path.split("/") if path else []
            ends = ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]
            found += [("%s/%s" % (base, end)).rstrip("/") for end in ends]
    return found


def _level(folder: str, root: str) -> dict[str, Any] | None:
    stat = dict(
        line.split()[:2]
        for line in (files.read(folder + "/cpu.stat", root) or "").splitlines()
        if " " in line
    )
    count = files.number(stat.get("nr_throttled"))
    if count is None:
        return None  # the controller is not on at this level
    if "throttled_usec" in stat:
        stopped_ns = (files.number(stat["throttled_usec"]) or 0) * 1000
        words = (files.read(folder + "/cpu.max", root) or "max 0").split()
        runtime, period = files.number(words[0]), files.number(words[-1])
    else:
        stopped_ns = files.number(stat.get("throttled_time")) or 0
        runtime = files.number(files.read(folder + "/cpu.cfs_quota_us", root))
        period = files.number(files.read(folder + "/cpu.cfs_period_us", root))
    return {
        # "max" is no number, and version 1 says -1.
        "quota_cpus": runtime / period if runtime and period and runtime > 0 else None,
        "nr_throttled": count,
        "throttled_ns": stopped_ns,
    }
