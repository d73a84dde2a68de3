"""Where a corpus lies, and which of it is taken: what stands behind ``NAME=`` in ``--corpus``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from edgebench.errors import CorpusError, UsageError, nearest

_KEYS: Final = ("table", "partition")


@dataclass(frozen=True)
class Source:
    """A corpus' folder or file, the parts of it that are taken, and whether its clips are converted.

    ``tables``: of an audformat database. ``partitions``: the corpus' own parts, such as ``Test1``. Both take
    patterns with ``*`` and ``?``; empty takes everything. ``resample_into``: the cache folder where clips
    that are not mono at 16 kHz are converted; None refuses them when they are read.
    """

    path: Path
    tables: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    resample_into: Path | None = None

    @property
    def selection(self) -> str:
        """The parts taken, as they are written after the path: ``#table=emotion``, or an empty text."""
        chosen = {"table": self.tables, "partition": self.partitions}
        return "".join(f"#{key}={','.join(values)}" for key, values in chosen.items() if values)

    def __str__(self) -> str:
        return f"{self.path}{self.selection}"


Where = Path | str | Source
"""What takes a corpus' place takes a path alone, too."""


def parse_source(text: str) -> Source:
    """``/data/msp#partition=Test1,Test2`` or ``/data/db#table=emotion`` as a source.

    A path that exists as it is written is never divided at its ``#``. Raises ``UsageError`` for a key that
    does not exist or a key without a value.
    """
    whole = Path(text).expanduser()
    if "#" not in text or whole.exists():
        return Source(whole)
    path, *parts = text.split("#")
    chosen: dict[str, tuple[str, ...]] = {}
    for part in parts:
        key, equals, values = part.partition("=")
        names = tuple(name.strip() for name in values.split(",") if name.strip())
        if key not in _KEYS:
            raise UsageError(f"{text!r}: there is nothing to choose by '{key}': {nearest(key, _KEYS)}.")
        if not equals or not names or key in chosen:
            raise UsageError(f"{text!r}: expected #{key}=NAME or #{key}=NAME,NAME, once, after the path.")
        chosen[key] = names
    return Source(
        Path(path).expanduser(), tables=chosen.get("table", ()), partitions=chosen.get("partition", ())
    )


def as_source(where: Where) -> Source:
    """A path as the source that takes everything there; a home folder (``~``) is filled in."""
    if isinstance(where, Source):
        return replace(where, path=where.path.expanduser())
    return Source(Path(where).expanduser())


def chosen(patterns: Iterable[str], names: Iterable[str], *, what: str, corpus: str) -> list[str]:
    """The names that one of the patterns fits, in their order.

    Raises ``CorpusError`` for a pattern that fits none.
    """
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            raise CorpusError(
                f"corpus '{corpus}' has no {what} '{pattern}': {nearest(pattern, names)}. "
                f"Choose with #{what}=NAME after the path, or leave it out to take everything."
            )
        found.update(fitting)
    return [name for name in names if name in found]
