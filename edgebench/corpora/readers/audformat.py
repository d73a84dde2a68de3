"""An audformat database: a header ``db.yaml`` and tables ``db.<table>.csv`` beside the audio.

Only what a corpus needs is read: of the header the languages, the licence, each table's type, split and
columns, and the range of each scheme; of the tables the columns whose scheme (or, without one, whose name)
is speaker, emotion, arousal, dominance, valence, gender, sex, language or session. What several tables
say of a file is put together; where two disagree the corpus is refused. A dimension with a scheme of
``minimum`` and ``maximum`` is mapped to [0, 1]. Sex may also stand with the speaker: as a mapping in the
scheme's labels, or in the miscellaneous table that they name.

Tables of segments are read where every segment is a whole file. Tables stored as .pkl or .parquet are
not read: save the database with ``storage_format="csv"``. Format: the audformat documentation, pages
"Database", "Header", "Tables" and "Conventions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import ADV, Clip
from edgebench.corpora.prototypes import prototype
from edgebench.corpora.readers import yaml_subset
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
from edgebench.errors import CorpusError

_HEADER: Final = "db.yaml"
_FACTS: Final = ("speaker", "emotion", *ADV, "gender", "sex", "language", "session")
_WHOLE_FILE: Final = ("", "0", "0.0", "0 days", "0 days 00:00:00")
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

Header = Mapping[str, yaml_subset.Value]


@dataclass
class _File:
    """What the tables say about one file: each fact with the place it comes from."""

    facts: dict[str, tuple[str, str]] = field(default_factory=dict)
    partition: str | None = None


def read(path: Path) -> list[Clip]:
    """The files of an audformat database in the folder ``path`` (or given its ``db.yaml``)."""
    folder = path.parent if path.name == _HEADER else path
    if not (folder / _HEADER).is_file():
        found = contents(folder) if folder.is_dir() else "no such folder"
        raise layout_error(READER.name, path, expected=READER.layout, found=found)
    header = _load_header(folder)
    files: dict[str, _File] = {}
    for name, table in _mapping(header, "tables").items():
        _gather(folder, name, _as_mapping(table), files)
    if not files:
        raise layout_error(READER.name, folder, expected=READER.layout, found="no table of files in db.yaml")
    sexes = _sexes(folder, header)
    # Ratings count where the database has all three dimensions; a file without them then has none.
    rated = {fact for entry in files.values() for fact in entry.facts} >= set(ADV)
    clips = unique(_clip(name, entry, folder, header, sexes, rated=rated) for name, entry in files.items())
    if not any(clip.path is not None and clip.path.is_file() for clip in clips):
        found = f"none of {len(clips)} files, such as {clips[0].path}"
        raise layout_error(READER.name, folder, expected="the files that the tables name", found=found)
    return clips


def recognises(path: Path) -> bool:
    """Whether ``db.yaml`` is there."""
    return (path / _HEADER).is_file() or (path.name == _HEADER and path.is_file())


def _load_header(folder: Path) -> Header:
    try:
        return yaml_subset.load((folder / _HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{folder / _HEADER}: cannot be read as an audformat header ({error}). "
            "Save the database again with audformat, or describe the clips in a table of your own."
        ) from error


def _mapping(header: Header, key: str) -> dict[str, yaml_subset.Value]:
    return _as_mapping(header.get(key, {}))


def _as_mapping(value: yaml_subset.Value) -> dict[str, yaml_subset.Value]:
    return value if isinstance(value, dict) else {}


def _gather(folder: Path, name: str, table: dict[str, yaml_subset.Value], files: dict[str, _File]) -> None:
    """Add what one table says to ``files``."""
    source = folder / f"db.{name}.csv"
    if not source.is_file():
        found = contents(folder)
        raise layout_error(
            READER.name,
            folder,
            expected=f"{source.name}, a table of db.yaml, saved as CSV (storage_format='csv')",
            found=found,
        )
    columns = _facts_of(name, _as_mapping(table.get("columns", {})))
    split = table.get("split_id") or None
    for number, row in table_rows(
        source, corpus=READER.name, expected="column file", columns=["file", *columns.values()]
    ):
        where = f"{source}, line {number}"
        if row.get("start", "") not in _WHOLE_FILE or row.get("end", "") not in ("", "NaT"):
            raise CorpusError(
                f"{where}: the row is about a segment ({row.get('start')} to {row.get('end')}); edgebench "
                "scores whole files. Cut the segments into files of their own, and list those."
            )
        entry = files.setdefault(row["file"], _File())
        entry.partition = str(split) if split else entry.partition
        for fact, column in columns.items():
            value = row[column]
            known = entry.facts.setdefault(fact, (value, where)) if value else None
            if known is not None and known[0] != value:
                raise CorpusError(
                    f"{where}: {fact} of {row['file']} is {value!r}; {known[1]} says {known[0]!r}. "
                    "Correct one of the two."
                )


def _facts_of(table: str, columns: dict[str, yaml_subset.Value]) -> dict[str, str]:
    """The column that holds each fact: by its scheme, else by its name."""
    found: dict[str, list[str]] = {}
    for column, about in columns.items():
        scheme = _as_mapping(about).get("scheme_id") or column
        if scheme in _FACTS:
            found.setdefault(str(scheme), []).append(column)
    chosen = {}
    for fact, names in found.items():
        # Several raters are a column each; the one named after the scheme, or "gold", is the consensus.
        best = [name for name in names if name in (fact, "gold")] if len(names) > 1 else names
        if len(best) != 1:
            raise CorpusError(
                f"audformat table '{table}': columns {', '.join(names)} all hold {fact}; expected one, or "
                f"one among them named '{fact}' or 'gold'. Leave the single raters out of the table."
            )
        chosen[fact] = best[0]
    return chosen


def _sexes(folder: Path, header: Header) -> dict[str, str]:
    labels = _as_mapping(_mapping(header, "schemes").get("speaker", {})).get("labels")
    if isinstance(labels, dict):
        about = {name: _as_mapping(value) for name, value in labels.items()}
        return {name: str(facts.get("gender") or facts.get("sex") or "") for name, facts in about.items()}
    source = folder / f"db.{labels}.csv"
    if not isinstance(labels, str) or not source.is_file():
        return {}
    rows = [row for _, row in table_rows(source, corpus=READER.name, expected="a table", columns=[])]
    return {next(iter(row.values())): row.get("gender") or row.get("sex") or "" for row in rows}


def _clip(
    name: str, entry: _File, folder: Path, header: Header, sexes: dict[str, str], *, rated: bool
) -> Clip:
    facts = {fact: value for fact, (value, _) in entry.facts.items()}
    if not facts.get("speaker"):
        raise CorpusError(
            f"{folder}: no table says who speaks in {name!r}; expected a column of scheme 'speaker'. Add "
            "one: without it nothing can be split by speaker."
        )
    label = facts.get("emotion", "")
    emotion = WORDS.get(label.lower())
    arousal, dominance, valence = _ratings(name, entry, header) if rated else prototype(emotion)
    sex = (facts.get("gender") or facts.get("sex") or sexes.get(facts["speaker"], "")).lower()
    languages = header.get("languages") or []
    only = str(languages[0]) if isinstance(languages, list) and len(languages) == 1 else ""
    language = facts.get("language") or only
    return Clip(
        path=folder / name,
        id=file_id(Path(name)),
        corpus=READER.name,
        speaker=facts["speaker"],
        session=facts.get("session"),
        language=_LANGUAGES.get(language, language) or READER.language,
        emotion=emotion,
        label=label,
        arousal=arousal,
        dominance=dominance,
        valence=valence,
        label_source="human" if rated else "prototype",
        licence=str(header.get("license") or READER.licence),
        sex=sex if sex in ("female", "male") else None,
        partition=entry.partition,
    )


def _ratings(name: str, entry: _File, header: Header) -> tuple[float, float, float] | tuple[None, None, None]:
    there = [dimension for dimension in ADV if dimension in entry.facts]
    if not there:
        return (None, None, None)
    if len(there) < len(ADV):
        raise CorpusError(
            f"{entry.facts[there[0]][1]}: {name} has {' and '.join(there)}; expected {', '.join(ADV)}, all "
            "three or none. Complete the row, or leave it empty."
        )
    arousal, dominance, valence = (_rating(dimension, entry, header) for dimension in ADV)
    return (arousal, dominance, valence)


def _rating(dimension: str, entry: _File, header: Header) -> float:
    scheme = _as_mapping(_mapping(header, "schemes").get(dimension, {}))
    value, where = entry.facts[dimension]
    low, high = str(scheme.get("minimum") or 0), str(scheme.get("maximum") or 1)
    try:
        lowest, highest = float(low), float(high)
    except ValueError as error:
        raise CorpusError(
            f"db.yaml: scheme '{dimension}' has minimum {low!r} and maximum {high!r}; expected numbers."
        ) from error
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
