"""Who runs where: a pinned trial gets the highest-numbered processors, everybody else the rest."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

# Read once, before this process gives some of them up: a later reading would not show those.
ALLOWED = sorted(os.sched_getaffinity(0))


def of_trial(trial: dict[str, Any]) -> list[int]:
    """The processors a trial may use: its ``threads`` highest where it is pinned, all where not.

    The highest, because the lowest serve most interrupts.
    """
    return ALLOWED[-trial["threads"] :] if trial["pin"] else ALLOWED


def keep_clear_of(trials: list[dict[str, Any]]) -> None:
    """Move this process off the processors of these trials, where any would be left."""
    taken = {cpu for trial in trials for cpu in of_trial(trial)}
    os.sched_setaffinity(0, set(ALLOWED) - taken or set(ALLOWED))
