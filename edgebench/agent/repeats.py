"""Launches that something else disturbed, and the ones that are made again for them.

What counts as disturbed is told by telemetry alone (``window``), never by the latencies: to
repeat what came out slow would choose the result. A group of launches is repeated whole, so that
what is compared stays close in time, and after the last planned launch, so that a disturbance has
time to pass.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Iterator


class Queue:
    """The trials of a plan, then repeats of the groups that were disturbed, the worst first.

    ``settings`` are the plan's (see ``protocol``): ``budget`` launches at most are repeated, and
    none where more than the share ``busy_host`` of the launches was disturbed, as a repeat on
    such a host would be disturbed as well. A trial without a ``group`` is never repeated.
    """

    def __init__(self, trials: list[dict[str, Any]], settings: dict[str, Any] | None) -> None:
        self._trials = trials
        self._settings = settings
        self._worst: dict[int, float] = {}  # group -> largest reading over its limit
        self._disturbed = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self._trials
        yield from self._repeated()

    def judge(self, trial: dict[str, Any], record: dict[str, Any]) -> None:
        """Write into the record of a trial that ended what disturbed it, and remember it."""
        settings, group = self._settings, trial.get("group")
        found: dict[str, float] = {}
        if settings is not None and record["window"] is not None:
            found = excesses(record["window"], settings)
        record["disturbed"] = found
        if settings is not None and found and group is not None and "repeat_of" not in trial:
            self._disturbed += 1
            worst = max(share / settings[kind] for kind, share in found.items())
            self._worst[group] = max(worst, self._worst.get(group, 0.0))

    def _repeated(self) -> list[dict[str, Any]]:
        settings = self._settings
        grouped = [trial for trial in self._trials if trial.get("group") is not None]
        if settings is None or self._disturbed > settings["busy_host"] * len(grouped):
            return []
        chosen: list[dict[str, Any]] = []
        for group in sorted(self._worst, key=lambda group: -self._worst[group]):
            members = [trial for trial in grouped if trial["group"] == group]
            if len(chosen) + len(members) <= settings["budget"]:
                chosen += [_repeat(trial) for trial in members]
        return chosen


def excesses(window: dict[str, Any], limits: dict[str, Any]) -> dict[str, float]:
    """The shares 0..1 of a window that are above their limits, by kind."""
    waited = window["queue_wait_ns"]
    shares = {
        "others": window["others"],
        "steal": window["steal"],
        "queue_wait": None if waited is None else min(1.0, waited / max(1, window["elapsed_ns"])),
    }
    return {kind: share for kind, share in shares.items() if share is not None and share > limits[kind]}


def _repeat(trial: dict[str, Any]) -> dict[str, Any]:
    first = trial.get("predictions_of") or trial["id"]
    return {**trial, "id": trial["id"] + "r1", "repeat_of": trial["id"], "predictions_of": first}
