"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.errors import UsageError, nearest

if TYPE_CHECKING:
    from edgebench.corpora import Source
    from edgebench.devices import Device

DeviceOption = Annotated[
    str, typer.Option("--device", "-d", help="Board: `local`, an inventory entry, or a profile's ssh alias.")
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Measure even where the board is of another kind than the device's profile."
    ),
]
ConditionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--condition",
        help="Change this on the board for the run and put it back: governor=performance, mode=MAXN, "
        "clocks=max, cool=60 (wait until below 60 C); by `sudo -n` where needed.",
    ),
]
EnergyOption = Annotated[
    bool,
    typer.Option(
        "--energy",
        help="Add launches that measure the energy of an inference, by the board's rails or a meter.",
    ),
]
MeterOption = Annotated[
    str | None,
    typer.Option(
        "--meter",
        help="Program on this host that prints the watts that the board draws, a reading a line, with its "
        "arguments in one string; no shell sees it. Measures energy by it.",
    ),
]
SustainedOption = Annotated[
    float | None,
    typer.Option(
        "--sustained-s",
        help="Measure one launch of so many seconds a condition, and what changes in it.",
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--rate",
        help="Requests a second, in place of one inference right after the other; tells missed deadlines.",
    ),
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Where the board is: \\[user@]host[:port], instead of the alias.")
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
CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        "-c",
        help="NAME=PATH of a speech corpus; repeat for several. #table=NAME after the path takes one table "
        "of an audformat database, #partition=NAME one part of the corpus.",
    ),
]
ResampleOption = Annotated[
    bool,
    typer.Option(
        "--resample", help="Convert clips that are not mono at 16 kHz, once, into the cache, and say so."
    ),
]

DEFAULT_STORE = Path("edgebench-results")


def cache_dir() -> Path:
    """Where this host keeps packs, converted clips, wheels and the agent's zip:
    ``$XDG_CACHE_HOME/edgebench``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgebench"


_SWITCH = {"on": True, "true": True, "off": False, "false": False}


def known_runtimes(names: Sequence[str] | None) -> list[str]:
    """What --runtime named, each once; the default one without any. Raises UsageError for an unknown one."""
    from edgebench.agent.runtimes.table import RUNTIMES

    known = [name for name, formats in RUNTIMES.items() if formats]
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no runtime {name!r}; {nearest(name, known)}.")
    return list(dict.fromkeys(names or known[:1]))


def runtime_options(texts: Sequence[str]) -> dict[str, str | bool]:
    """``["arena=off"]`` as ``{"arena": False}``, settings of a suite's ``[session]``. Raises UsageError."""
    from edgebench.agent.runtimes.base import SESSION

    found: dict[str, str | bool] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if key not in SESSION:
            raise UsageError(
                f"--runtime-option {text}: no runtime has this setting: {nearest(key, SESSION)}."
            )
        if isinstance(SESSION[key], str):
            found[key] = value
        elif value in _SWITCH:
            found[key] = _SWITCH[value]
        else:
            raise UsageError(f"--runtime-option {text}: it is on or off. Write {key}=on or {key}=off.")
    return found


def corpus_sources(values: Sequence[str], option: str, *, resample: bool = False) -> dict[str, Source]:
    """``["emodb=/data/emodb"]`` as ``{"emodb": Source(Path("/data/emodb"))}``. Raises UsageError.

    With ``resample`` their clips are converted where they must be.
    """
    sources: dict[str, Source] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"{option} {value!r}: expected NAME=PATH, such as emodb=/data/emodb.")
        if name in sources:
            raise UsageError(f"{option} {name}: given twice.")
        sources[name] = corpus_source(path, resample=resample)
    return sources


def corpus_source(text: str, *, resample: bool) -> Source:
    """A corpus' path, and what is chosen of it behind a ``#``. Raises UsageError."""
    from edgebench.corpora import parse_source

    return replace(parse_source(text), resample_into=cache_dir() / "resampled" if resample else None)


def metered(device: Device, text: str | None) -> Device:
    """The device with the program that ``--meter`` names; without it, with its inventory entry's.

    Raises UsageError for a text that is no command.
    """
    if text is None:
        return device
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--meter {text!r}: {error}. Quote its arguments as in a shell.") from None
    if not argv:
        raise UsageError("--meter names no program: give one that prints watts, a reading a line.")
    return replace(device, meter=argv)


def conditioned(device: Device, texts: list[str] | None) -> Device:
    """The device with what ``--condition`` says; without it, with what its inventory entry says."""
    from edgebench.devices import parse_conditioning

    wanted = parse_conditioning(texts or [])
    return device if wanted is None else replace(device, conditioning=wanted)
