"""The corpora that can be read, one a file, each from the layout it is released in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import Clip
from edgebench.corpora.readers import (
    audformat,
    crema_d,
    emodb,
    esd,
    iemocap,
    msp_podcast,
    nemo,
    ravdess,
    subesco,
    table,
    thai_ser,
    urdu,
)
from edgebench.corpora.readers.layout import Reader, contents
from edgebench.errors import CorpusError, UsageError, nearest


def _table(*readers: Reader) -> dict[str, Reader]:
    table = {reader.name: reader for reader in readers}
    if len(table) != len(readers):
        raise ValueError("two corpus readers have the same name")
    return table


READERS: Final = _table(
    emodb.READER,
    ravdess.READER,
    nemo.READER,
    urdu.READER,
    iemocap.READER,
    msp_podcast.READER,
    crema_d.READER,
    esd.READER,
    subesco.READER,
    thai_ser.READER,
    table.READER,
    audformat.READER,
)
"""Every reader by the name that ``--corpus NAME=PATH`` takes."""

_OF_ANY_NAME: Final = (table.READER, audformat.READER)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TAKEN: Final = ("synthetic",)  # the corpus that is generated: a table of that name would be taken for it


def corpus_names() -> list[str]:
    """The names that ``read_corpus`` knows, sorted."""
    return sorted(READERS)


def read_corpus(name: str, path: Path | str) -> list[Clip]:
    """The clips of a corpus, sorted by id; no audio is opened.

    A name of a reader reads that corpus' layout. Any other name takes a table (.csv, .tsv) or an
    audformat database (a folder with ``db.yaml``), and is the clips' ``corpus``: models remember by that
    name which speakers they have learnt, so a table never borrows the name of a corpus with a reader.

    Raises ``UsageError`` for an unknown name of a folder that is no table (the nearest ones are named) or
    a name that cannot be one, ``CorpusError`` for a path that is missing, empty or laid out otherwise.
    """
    path = Path(path).expanduser()
    if name in READERS:
        return READERS[name].read(path)
    reader = next((reader for reader in _OF_ANY_NAME if reader.recognises(path)), None)
    if reader is None and path.suffix.lower() in (".csv", ".tsv"):
        reader = table.READER  # which says that there is no such file
    if reader is None:
        raise UsageError(
            f"there is no corpus named '{name}': {nearest(name, READERS)}. A table of your own (FILE.csv) "
            "or an audformat folder may have any name."
        )
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise UsageError(
            f"a table cannot be named '{name}': take letters, digits, '_', '.' and '-', and not "
            f"{', '.join(_TAKEN)}."
        )
    return [replace(clip, corpus=name) for clip in reader.read(path)]


def recognise_corpus(path: Path | str) -> Reader:
    """The reader whose layout a path shows, by names alone; the layout may still be broken inside.

    Raises ``CorpusError`` where the path does not exist, no layout fits, or more than one does.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise CorpusError(f"{path}: there is no such file or folder. Check the path.")
    fitting = [reader for reader in READERS.values() if reader.recognises(path)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(reader.name for reader in fitting)
        raise CorpusError(f"{path}: looks like {names} at once. Say which with --name.")
    found = contents(path) if path.is_dir() else "a file"
    raise CorpusError(
        f"{path}: no known layout fits; found {found}. Known: {', '.join(corpus_names())}; with --name NAME "
        "the message says what that layout expects. Point at the folder as the corpus' archive unpacks it."
    )
