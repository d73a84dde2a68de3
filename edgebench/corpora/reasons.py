"""Saying a reason once that holds for many clips."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FILE = re.compile(r"^(?P<path>.+?): ")


def grouped(clips: Iterable[tuple[str, str]]) -> list[tuple[str, int, str]]:
    """Clips and their reasons, once for each kind of reason, in the order of the first of a kind.

    Gives the first clip, how many clips there are, and the first clip's reason. Two reasons are of a kind
    where they differ in the clip's file alone, which every reason begins with, and in numbers.
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for clip, reason in clips:
        kinds.setdefault(_kind(reason), []).append((clip, reason))
    return [(rows[0][0], len(rows), rows[0][1]) for rows in kinds.values()]


def _kind(reason: str) -> str:
    match = _FILE.match(reason)
    if match is not None:
        stem = match["path"].rpartition(".")[0] or match["path"]
        reason = reason.replace(stem, "FILE")
    return re.sub(r"\d+", "0", reason)
