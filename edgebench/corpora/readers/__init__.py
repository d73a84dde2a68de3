"""The corpora that can be read, one a file, each from the layout it is released in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.readers import emodb, nemo, ravdess, table, urdu
from edgebench.corpora.readers.layout import Reader
from edgebench.errors import UsageError, nearest


def _table(*readers: Reader) -> dict[str, Reader]:
    table = {reader.name: reader for reader in readers}
    if len(table) != len(readers):
        raise ValueError("two corpus readers have the same name")
    return table


READERS: Final = _table(emodb.READER, ravdess.READER, nemo.READER, urdu.READER, table.READER)
"""Every reader by the name that ``--corpus NAME=PATH`` takes."""


def corpus_names() -> list[str]:
    """The names that ``read_corpus`` knows, sorted."""
    return sorted(READERS)


def read_corpus(name: str, path: Path | str) -> list[Clip]:
    """The clips of a corpus, sorted by id; no audio is opened.

    Raises ``UsageError`` for an unknown name (the nearest ones are named), ``CorpusError`` for a
    folder that is missing, empty or laid out otherwise.
    """
    if name not in READERS:
        raise UsageError(f"there is no corpus named '{name}': {nearest(name, READERS)}.")
    return READERS[name].read(Path(path).expanduser())
