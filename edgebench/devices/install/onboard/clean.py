"""Remove what edgebench left on the board, unless a run measures.

In: {"root": folder, "unfinished": bool, "look": bool}. "unfinished": remove runs as well that no host has
collected yet. "look": remove nothing, only say what would go.

Out: {"busy": bool, "files": bytes, "environments": bytes, "runs": bytes, "kept": [run id], "set": bool}.
"set": a setting of the board is still to be put back, so the note of it stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    request = json.load(sys.stdin)
    root = Path(request["root"])
    answer: dict[str, Any] = {
        "busy": False,
        "files": 0,
        "environments": 0,
        "runs": 0,
        "kept": [],
        "set": False,
    }
    if root.is_dir():
        # A run holds the first from its start until the board is put back, and who makes an environment
        # holds that one's. They stay: somebody may be waiting for them.
        with contextlib.ExitStack() as locks:
            try:
                for path in (root / "lock", *(root / "envs").glob("*.lock")):
                    fcntl.flock(locks.enter_context(path.open("a")), fcntl.LOCK_EX | fcntl.LOCK_NB)
                clean(root, request, answer)
            except BlockingIOError:
                answer["busy"] = True
    json.dump(answer, sys.stdout)


def clean(root: Path, request: dict[str, Any], answer: dict[str, Any]) -> None:
    runs = sorted((root / "runs").glob("*"))
    answer["set"] = (root / "conditioned.json").exists()
    going = {"files": list((root / "blobs").glob("*")), "runs": [], "environments": []}
    going["environments"] = [path for path in (root / "envs").glob("*") if path.suffix != ".lock"]
    if request["unfinished"]:
        going["runs"] = runs
    else:
        answer["kept"] = [run.name for run in runs]
    for name, paths in going.items():
        answer[name] = sum(map(size, paths))
        for path in [] if request["look"] else paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(str(path), ignore_errors=True)
            else:
                path.unlink()


def size(folder: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    total = 0
    for path in [folder, *folder.rglob("*")]:
        try:
            total += 0 if path.is_dir() else path.lstat().st_size
        except OSError:
            continue  # it went meanwhile
    return total


if __name__ == "__main__":
    main()
