"""The agent as one file: a zip that every machine builds to the same bytes, named by their hash."""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from edgebench.files import write_bytes

# The earliest time a zip can hold: no clock and no checkout may leave a trace in the bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
MODE = 0o644 << 16
UNIX = 3

MAIN = b"from edgebench.agent.__main__ import main\n\nraise SystemExit(main())\n"


def agent_bytes() -> bytes:
    """The zip: the modules of `edgebench.agent`, an empty `edgebench/__init__.py`, and `__main__.py`.

    Stored, not deflated: two versions of zlib give different bytes, and the whole is small.
    """
    members = {"__main__.py": MAIN, "edgebench/__init__.py": b""}
    members |= _modules(resources.files("edgebench.agent"), "edgebench/agent")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = MODE
            info.create_system = UNIX
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _modules(folder: Traversable, name: str) -> dict[str, bytes]:
    """Every module below a folder: its name in the zip and its bytes."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _modules(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            found[f"{name}/{entry.name}"] = entry.read_bytes()
    return found


def build_agent(cache_dir: Path) -> Path:
    """Write the agent to ``cache_dir/<sha256>.zip``, unless it is there, and return its path."""
    data = agent_bytes()
    target = cache_dir / f"{hashlib.sha256(data).hexdigest()}.zip"
    if target.is_file() and target.read_bytes() == data:
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    write_bytes(target, data)
    return target
