"""Small files of /proc and /sys, read without raising."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any


def read(path: str, root: str = "/") -> str | None:
    """The text of a small file in /proc, /sys or /etc, stripped; None if it cannot be read.

    subtle: in bytes, because a powered-off thermal zone gives EAGAIN, which text reads of
    Python 3.10 turn into a TypeError.
    """
    try:
        with open(os.path.join(root, path.lstrip("/")), "rb", buffering=0) as file:
            return (file.readall() or b"").decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def read_json(path: str) -> dict[str, Any]:
    """The object in a small JSON file; {} where there is none, or half of one."""
    try:
        found = json.loads(read(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def number(text: str | None) -> int | None:
    """The integer that a text says; None where it says none."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def listed(path: str, prefix: str, root: str = "/") -> list[str]:
    """Names ``prefix<number>`` in a folder, by number."""
    try:
        names = os.listdir(os.path.join(root, path.lstrip("/")))
    except OSError:
        return []
    found = [name for name in names if name.startswith(prefix) and name[len(prefix) :].isdigit()]
    return sorted(found, key=lambda name: int(name[len(prefix) :]))


def names(path: str, root: str = "/") -> list[str]:
    """What a folder holds, sorted; nothing where there is no such folder."""
    try:
        return sorted(os.listdir(os.path.join(root, path.lstrip("/"))))
    except OSError:
        return []


def boot_id(root: str = "/") -> str | None:
    """A name of the present boot: two readings that differ had a restart between them."""
    return read("/proc/sys/kernel/random/boot_id", root)
