"""An audformat database: a header ``db.yaml`` and tables ``db.<table>.csv`` beside the audio.

Only what a corpus needs is read: of the header the languages, the licence, each table's split, medium and
columns, and the range of each scheme; of the tables the columns whose scheme (or, without one, whose name)
is speaker, emotion, arousal, dominance, valence, gender, sex, language or session. What several tables
say of a file is put together; where two disagree the corpus is refused. A dimension with a scheme of
``minimum`` and ``maximum`` is mapped to [0, 1]. Sex may also stand with the speaker: as a mapping in the
scheme's labels, or in the miscellaneous table that they name.

Tables can be chosen (``#table=NAME`` after the path): they then say which files there are and their labels,
and of the other tables only those without labels are read, for the speaker of these files, say. Where nothing
is chosen and the tables label several sets of files, such as speech and the larynx signal beside it, the
corpus is refused and the message lists them.

Tables of segments are read where every segment is a whole file. Tables stored as .pkl or .parquet are
not read: save the database with ``storage_format="csv"``. Format: the audformat documentation, pages
"Database", "Header", "Tables" and "Conventions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import ADV, Clip
from edgebench.corpora.prototypes import prototype
from edgebench.corpora.readers import yaml_text
from edgebench.corpora.readers.audformat_tables import (
    FileTable,
    facts_of,
    has_labels,
    mapping,
    read_file_table,
    refuse_ambiguous,
    text,
)
from edgebench.corpora.readers.layout import (
    Reader,
    contents,
    file_id,
    layout_error,
    on_scale,
    table_rows,
    unique,
)
from edgebench.corpora.readers.table import WORDS
from edgebench.corpora.readers.text import listed_file, number, read_text
from edgebench.corpora.source import chosen
from edgebench.errors import CorpusError

_HEADER: Final = "db.yaml"
# ISO 639-3 as audformat writes them, BCP 47 as the rest of edgebench does.
_LANGUAGES: Final = {
    "ben": "bn",
    "cmn": "zh",
    "deu": "de",
    "eng": "en",
    "fra": "fr",
    "ita": "it",
    "jpn": "ja",
    "pol": "pl",
    "spa": "es",
    "tha": "th",
    "tur": "tr",
    "urd": "ur",
    "zho": "zh",
}

_EXPECTED: Final = "db.yaml and tables db.<table>.csv with columns for speaker and emotion or dimensions"

Header = Mapping[str, yaml_text.Value]


@dataclass
class _File:
    """What the tables say about one file: each fact with the place it comes from."""

    facts: dict[str, tuple[str, str]] = field(default_factory=dict)
    partition: str | None = None


@dataclass(frozen=True)
class _Database:
    """What holds for all files. ``sexes``: by speaker. ``rated``: whether people rated any dimension."""

    name: str
    folder: Path
    header: Header
    sexes: Mapping[str, str]
    rated: bool


def read(path: Path, *, name: str = "audformat", tables: Sequence[str] = ()) -> list[Clip]:
    """The files of an audformat database in the folder ``path`` (or given its ``db.yaml``), as a corpus
    called ``name``. ``tables``: patterns of the tables to take; none takes all that belong together."""
    folder = path.parent if path.name == _HEADER else path
    if not (folder / _HEADER).is_file():
        found = contents(folder) if folder.is_dir() else "no such folder"
        raise layout_error(name, path, expected=READER.layout, found=found)
    header = _load_header(folder)
    files = _files(*_tables(folder, header, name, tables))
    if not files:
        raise layout_error(name, folder, expected=READER.layout, found="no table of files in db.yaml")
    rated = any(dimension in entry.facts for entry in files.values() for dimension in ADV)
    database = _Database(name, folder, header, _sexes(folder, header), rated)
    clips = unique(_clip(file, entry, database) for file, entry in files.items())
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        found = f"none of {len(clips)} files, such as {clips[0].path}"
        raise layout_error(name, folder, expected="the files that the tables name", found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether ``db.yaml`` is there."""
    return (path / _HEADER).is_file() or (path.name == _HEADER and path.is_file())


def _load_header(folder: Path) -> Header:
    content = read_text(folder / _HEADER)
    try:
        return yaml_text.load(content)
    except ValueError as error:
        raise CorpusError(
            f"{folder / _HEADER}: cannot be read as an audformat header ({error}). "
            "Save the database again with audformat, or describe the clips in a table of your own."
        ) from error


def _tables(
    folder: Path, header: Header, name: str, patterns: Sequence[str]
) -> tuple[list[FileTable], list[FileTable]]:
    """The tables that say which files there are, and those that only add to what is known of them."""
    about = {table: mapping(value) for table, value in mapping(header.get("tables")).items()}

    def opened(tables: Iterable[str]) -> list[FileTable]:
        return [read_file_table(folder, table, about[table], corpus=name) for table in tables]

    if not patterns:
        tables = opened(about)
        refuse_ambiguous(tables, corpus=name, source=folder)
        return tables, []
    first = chosen(patterns, about, what="table", corpus=name)
    return opened(first), opened(
        table
        for table in about
        if table not in first
        and not has_labels(facts_of(table, about[table]))
        and about[table].get("type") != "segmented"
    )


def _files(listing: Sequence[FileTable], adding: Sequence[FileTable]) -> dict[str, _File]:
    """What the tables say of each file that one of ``listing`` names."""
    files = {file: _File() for table in listing for file in sorted(table.files)}
    for table in [*listing, *adding]:
        for line, row in table.rows:
            if row["file"] in files:
                _add(files[row["file"]], table, line, row)
    return files


def _add(entry: _File, table: FileTable, line: int, row: Mapping[str, str]) -> None:
    """Add what one row says of a file. Raises ``CorpusError`` where another table says otherwise."""
    where = f"{table.path}, line {line}"
    entry.partition = table.split or entry.partition
    for fact, column in table.columns.items():
        value = row[column]
        known = entry.facts.setdefault(fact, (value, where)) if value else None
        if known is not None and known[0] != value:
            raise CorpusError(
                f"{where}: {fact} of {row['file']} is {value!r}; {known[1]} says {known[0]!r}. "
                "Correct one of the two."
            )


def _sexes(folder: Path, header: Header) -> dict[str, str]:
    labels = mapping(mapping(header.get("schemes")).get("speaker")).get("labels")
    if isinstance(labels, dict):
        about = {name: mapping(value) for name, value in labels.items()}
        return {
            speaker: text(facts.get("gender")) or text(facts.get("sex")) or ""
            for speaker, facts in about.items()
        }
    if not isinstance(labels, str) or not (source := folder / f"db.{labels}.csv").is_file():
        return {}
    rows = [row for _, row in table_rows(source, corpus=READER.name, expected="a table", columns=[])]
    return {next(iter(row.values())): row.get("gender") or row.get("sex") or "" for row in rows}


def _clip(file: str, entry: _File, database: _Database) -> Clip:
    header = database.header
    facts = {fact: value for fact, (value, _) in entry.facts.items()}
    if not facts.get("speaker"):
        raise CorpusError(
            f"corpus '{database.name}' at {database.folder}: no table says who speaks in {file!r}; expected "
            "a column of scheme 'speaker'. Add one: without it nothing can be split by speaker."
        )
    label = facts.get("emotion", "")
    emotion = WORDS.get(label.lower())
    arousal, dominance, valence = _ratings(entry, header) if database.rated else prototype(emotion)
    sex = (facts.get("gender") or facts.get("sex") or database.sexes.get(facts["speaker"], "")).lower()
    languages = header.get("languages")
    only = text(languages[0]) if isinstance(languages, list) and len(languages) == 1 else None
    language = facts.get("language") or only or ""
    listed = listed_file(file, database.folder, where=f"corpus '{database.name}' at {database.folder}")
    return Clip(
        path=database.folder / listed,
        id=file_id(listed),
        corpus=database.name,
        speaker=facts["speaker"],
        session=facts.get("session"),
        language=_LANGUAGES.get(language, language) or READER.language,
        emotion=emotion,
        label=label,
        arousal=arousal,
        dominance=dominance,
        valence=valence,
        label_source="human" if database.rated else "prototype",
        licence=text(header.get("license")) or READER.licence,
        sex=sex if sex in ("female", "male") else None,
        partition=entry.partition,
        release=text(mapping(header.get("audb")).get("version")),
    )


def _ratings(entry: _File, header: Header) -> tuple[float | None, float | None, float | None]:
    arousal, dominance, valence = (_rating(dimension, entry, header) for dimension in ADV)
    return (arousal, dominance, valence)


def _rating(dimension: str, entry: _File, header: Header) -> float | None:
    """What people rated, mapped to [0, 1] by the scheme; None where they did not rate this dimension."""
    if dimension not in entry.facts:
        return None
    scheme = mapping(mapping(header.get("schemes")).get(dimension))
    value, where = entry.facts[dimension]
    low, high = text(scheme.get("minimum")) or "0", text(scheme.get("maximum")) or "1"
    try:
        lowest, highest = number(low), number(high)
    except ValueError as error:
        raise CorpusError(
            f"db.yaml: scheme '{dimension}' has minimum {low!r} and maximum {high!r}; expected numbers."
        ) from error
    if not lowest < highest:
        raise CorpusError(
            f"db.yaml: scheme '{dimension}' has minimum {low} and maximum {high}; expected a range."
        )
    return on_scale(value, low=lowest, high=highest, what=dimension, where=where)


READER: Final = Reader(
    name="audformat",
    title="an audformat database",
    language="und",
    licence="unstated",
    source="the database's author",
    layout=_EXPECTED,
    label_source="human or prototype, by the tables' columns",
    read=read,
    recognises=recognises,
)
