"""The tables of an audformat database: what each says of which files, and whether they belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgebench.corpora.clip import ADV
from edgebench.corpora.readers.layout import contents, first_names, layout_error, table_rows
from edgebench.corpora.readers.yaml_text import Value
from edgebench.errors import CorpusError

LABELS: Final = ("emotion", *ADV)
FACTS: Final = ("speaker", *LABELS, "gender", "sex", "language", "session")

_WHOLE_FILE: Final = ("", "0", "0.0", "0 days", "0 days 00:00:00")


@dataclass(frozen=True)
class FileTable:
    """One table of files. ``columns``: fact -> the column that holds it. ``rows``: line number and values."""

    name: str
    path: Path
    split: str | None
    media: str | None
    columns: Mapping[str, str]
    rows: Sequence[tuple[int, dict[str, str]]]

    @property
    def files(self) -> set[str]:
        """The files that the table lists."""
        return {row["file"] for _, row in self.rows}

    @property
    def labels(self) -> bool:
        """Whether the table says what is to be scored."""
        return has_labels(self.columns)


def has_labels(facts: Iterable[str]) -> bool:
    """Whether one of the facts is what is to be scored."""
    return any(fact in LABELS for fact in facts)


def facts_of(table: str, about: Mapping[str, Value]) -> dict[str, str]:
    """The column that holds each fact: by its scheme, else by its name. Raises ``CorpusError`` for two."""
    found: dict[str, list[str]] = {}
    for column, column_about in mapping(about.get("columns")).items():
        scheme = text(mapping(column_about).get("scheme_id")) or column
        if scheme in FACTS:
            found.setdefault(scheme, []).append(column)
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


def read_file_table(folder: Path, name: str, about: Mapping[str, Value], *, corpus: str) -> FileTable:
    """A table of ``db.yaml``. Raises ``CorpusError`` where it is not there as CSV or is about segments."""
    path = folder / f"db.{name}.csv"
    if not path.is_file() and not path.is_symlink():
        expected = f"{path.name}, a table of db.yaml, saved as CSV (storage_format='csv')"
        raise layout_error(corpus, folder, expected=expected, found=contents(folder))
    columns = facts_of(name, about)
    rows = table_rows(path, corpus=corpus, expected="column file", columns=["file", *columns.values()])
    for line, row in rows:
        if row.get("start", "") not in _WHOLE_FILE or row.get("end", "") not in ("", "NaT"):
            raise CorpusError(
                f"{path}, line {line}: the row is about a segment ({row.get('start')} to {row.get('end')}); "
                "edgebench scores whole files. Cut the segments into files of their own, and list those."
            )
    return FileTable(name, path, text(about.get("split_id")), text(about.get("media_id")), columns, rows)


def refuse_ambiguous(tables: Sequence[FileTable], *, corpus: str, source: Path) -> None:
    """Raise ``CorpusError`` where the tables label several sets of files that are no parts of one whole.

    Tables that share files speak of one set. Sets are parts of a whole where their tables name different
    splits, and the same medium. Anything else, such as a larynx signal recorded beside the speech under
    other file names, is for the user to choose from.
    """
    sets = _sets([table for table in tables if table.labels])
    if not sets:
        return
    labelled = {file for tables_of in sets for table in tables_of for file in table.files}
    others = [table for table in tables if not table.labels and table.files.isdisjoint(labelled)]
    sets += _sets([table for table in others if table.files])
    if len(sets) < 2 or _parts_of_a_whole(sets):
        return
    listed = "; ".join(
        f"({number}) {first_names(table.name for table in tables_of)} with "
        f"{len({file for table in tables_of for file in table.files})} files, such as "
        f"{min(tables_of[0].files)}"
        for number, tables_of in enumerate(sets, start=1)
    )
    raise CorpusError(
        f"corpus '{corpus}' at {source}: its tables speak of {len(sets)} sets of files, and nothing says "
        f"which is the speech to be scored: {listed}. Choose tables with #table=NAME after the path, such as "
        f"{source}#table={sets[0][0].name}; NAME,NAME takes several, and * stands for any letters."
    )


def mapping(value: Value | None) -> dict[str, Value]:
    """A mapping of the header, empty where another kind of value stands there."""
    return value if isinstance(value, dict) else {}


def text(value: Value | None) -> str | None:
    """A scalar of the header, None where it is empty or another kind of value stands there."""
    return value if isinstance(value, str) and value else None


def _sets(tables: Sequence[FileTable]) -> list[list[FileTable]]:
    """The tables by set: those that share files, directly or by way of others, are together."""
    sets: list[tuple[set[str], list[FileTable]]] = []
    for table in tables:
        files, members = table.files, [table]
        apart = []
        for other_files, others in sets:
            if files.isdisjoint(other_files):
                apart.append((other_files, others))
            else:
                files, members = files | other_files, [*others, *members]
        sets = [*apart, (files, members)] if files else apart
    return [members for _, members in sorted(sets, key=lambda found: tables.index(found[1][0]))]


def _parts_of_a_whole(sets: Sequence[Sequence[FileTable]]) -> bool:
    splits = [{table.split for table in tables} for tables in sets]
    named = [split for found in splits for split in found]
    media = {table.media for tables in sets for table in tables if table.media is not None}
    return None not in named and len(named) == len(set(named)) and len(media) < 2
