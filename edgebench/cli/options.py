"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgebench.errors import UsageError, nearest

DeviceOption = Annotated[
    str, typer.Option("--device", "-d", help="Board: `local`, an inventory entry, or a profile's ssh alias.")
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Where the board is: [user@]host[:port], instead of the alias.")
]
InventoryOption = Annotated[Path | None, typer.Option("--inventory", help="Inventory file of boards (TOML).")]
StoreOption = Annotated[Path, typer.Option("--store", envvar="EDGEBENCH_STORE", help="Folder of results.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout, words on stderr.")]
RuntimeOption = Annotated[
    list[str] | None,
    typer.Option("--runtime", help="onnxruntime, litert or tflite_runtime; repeat for several."),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="The board has no network: send it the wheels it needs.")
]

DEFAULT_STORE = Path("edgebench-results")


def cache_dir() -> Path:
    """Where this host keeps packs, wheels and the agent's zip: ``$XDG_CACHE_HOME/edgebench``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgebench"


def known_runtimes(names: Sequence[str] | None) -> list[str]:
    """What --runtime named, each once; the default one without any. Raises UsageError for an unknown one."""
    from edgebench.agent.runtimes.table import RUNTIMES

    known = [name for name, formats in RUNTIMES.items() if formats]
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no runtime {name!r}; {nearest(name, known)}.")
    return list(dict.fromkeys(names or known[:1]))


def named_paths(values: Sequence[str], option: str) -> dict[str, Path]:
    """``["emodb=/data/emodb"]`` as ``{"emodb": Path("/data/emodb")}``. Raises UsageError."""
    paths: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"{option} {value!r}: expected NAME=PATH, such as emodb=/data/emodb.")
        if name in paths:
            raise UsageError(f"{option} {name}: given twice.")
        paths[name] = Path(path)
    return paths
