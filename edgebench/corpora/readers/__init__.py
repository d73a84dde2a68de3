"""The corpora that can be read: one module each, for the layout in which the corpus is released."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from edgebench.corpora.resample import Progress, convert
from edgebench.corpora.source import Source, Where, as_source, chosen
from edgebench.errors import CorpusError, UsageError, nearest


def _by_name(*readers: Reader) -> dict[str, Reader]:
    named = {reader.name: reader for reader in readers}
    if len(named) != len(readers):
        raise ValueError("two corpus readers have the same name")
    return named


READERS: Final = _by_name(
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

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TAKEN: Final = ("synthetic",)  # the corpus that is generated: a table of that name would be taken for it


def corpus_names() -> list[str]:
    """The names that ``read_corpus`` knows, sorted."""
    return sorted(READERS)


def read_corpus(name: str, where: Where, *, progress: Progress | None = None) -> list[Clip]:
    """The clips of a corpus, sorted by id, or those of the tables and parts that a ``Source`` chooses.

    A name of a reader reads that corpus' layout. Any other name takes a table (.csv, .tsv) or an
    audformat database (a folder with ``db.yaml``), and is the clips' ``corpus``: models remember by that
    name which speakers they have learnt, so a table never borrows the name of a corpus with a reader.

    Audio is opened only where the source asks for conversion: clips that are not mono at 16 kHz are then
    converted, or found in the cache, and ``progress`` is called after each clip.

    Raises ``UsageError`` for an unknown name of a folder that is no table (the nearest ones are named) or
    a name that cannot be one, ``CorpusError`` for a path that is missing, empty or laid out otherwise, or a
    choice that nothing fits.
    """
    source = as_source(where)
    clips = _read(name, source)
    if source.partitions:
        clips = _in_partitions(clips, source, name)
    if source.resample_into is not None:
        clips = convert(clips, source.resample_into, progress=progress)
    return clips


def _read(name: str, source: Source) -> list[Clip]:
    path = source.path
    reader = READERS[name] if name in READERS else _of_any_name(name, path)
    if source.tables and reader is not audformat.READER:
        raise UsageError(
            f"corpus '{name}' is read as {reader.title}, which has no tables to choose from. Leave #table= "
            "out, or give an audformat database a name of your own."
        )
    if reader is audformat.READER:
        return audformat.read(path, name=name, tables=source.tables)
    return table.read(path, name=name) if reader is table.READER else reader.read(path)


def _of_any_name(name: str, path: Path) -> Reader:
    """The reader of a corpus that has no reader of its own name."""
    reader = next((reader for reader in (table.READER, audformat.READER) if reader.recognises(path)), None)
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
    return reader


def _in_partitions(clips: Sequence[Clip], source: Source, name: str) -> list[Clip]:
    """The clips of the corpus' own parts that were chosen."""
    there = sorted({clip.partition for clip in clips if clip.partition is not None})
    if not there:
        raise CorpusError(
            f"corpus '{name}' at {source.path}: has no parts of its own to choose from. Leave #partition= "
            "out."
        )
    taken = chosen(source.partitions, there, what="partition", corpus=name)
    return [clip for clip in clips if clip.partition in taken]


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
