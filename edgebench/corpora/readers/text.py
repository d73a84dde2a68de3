"""Reading the text files of a corpus: what people's spreadsheets and shells make of a table, or why not.

Encodings: UTF-8 with or without a mark, UTF-16 with one (Excel's "Unicode text"). Separators: comma,
semicolon (spreadsheets where the comma is the decimal sign), tab and bar. Numbers: with a decimal point or
comma. Files: with slashes or, where they are relative, with the backslashes of Windows.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final, Literal

from edgebench.corpora.pointers import refuse_annex_link, refuse_pointer
from edgebench.errors import CorpusError

SEPARATORS: Final = (",", ";", "\t", "|")

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_SEPARATOR_LINE: Final = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE)  # Excel's own first line
_ZIP: Final = b"PK\x03\x04"

Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def read_text(path: Path, *, encoding: str = "utf-8") -> str:
    """The text of a file, its line ends as they are and its mark (BOM) taken off.

    ``encoding`` is that of a file without a mark. Raises ``CorpusError`` with the true reason: a pointer of a
    repository of large files, a workbook, another encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        refuse_annex_link(path)
        raise CorpusError(
            f"{path}: cannot be read: {error.strerror}. Check the path and its permissions."
        ) from error
    refuse_pointer(path, content)
    if content.startswith(_ZIP):
        raise CorpusError(
            f"{path}: is a zip archive or an Excel workbook, whatever its name says. Save the table as "
            "'CSV UTF-8'."
        )
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif content.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif b"\0" in content:
        raise CorpusError(
            f"{path}: holds zero bytes: it is no text, or UTF-16 without its mark. Save it as UTF-8."
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        bad, line = content[error.start], content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}, line {line}: the byte 0x{bad:02x} is no {encoding.upper()}; the file was saved in "
            "another encoding, such as Windows-1252. Save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
        ) from error


@dataclass(frozen=True)
class Table:
    """A table of text: its column names, and each row that is not empty with its line number.

    All values are stripped; a row may be shorter or longer than ``columns``.
    """

    columns: list[str]
    rows: list[tuple[int, list[str]]]


def read_table(path: Path, columns: Iterable[str], *, quotes: bool = True, encoding: str = "utf-8") -> Table:
    """A table whose first line names its columns.

    Its separator is the one with which the first line has all of ``columns`` (whatever their case), else
    the one that divides it into most. Without ``quotes`` a quotation mark is part of a value. Raises
    ``CorpusError`` for a file that cannot be read.
    """
    lines = list(io.StringIO(read_text(path, encoding=encoding), newline=""))
    first = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    skipped = 1 if first is not None else 0
    lines = lines[skipped:]
    quoting: Quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    separator = first[1] if first is not None else _separator(lines[:1], set(columns), quoting)
    reader = csv.reader(lines, delimiter=separator, quoting=quoting)
    try:
        heading = [name.strip() for name in next(reader, [])]
        rows = [
            (reader.line_num + skipped, [value.strip() for value in row])
            for row in reader
            if any(value.strip() for value in row)
        ]
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {reader.line_num + skipped}: cannot be read as a table ({error}). "
            "Save it as CSV in UTF-8."
        ) from error
    return Table(heading, rows)


def number(text: str) -> float:
    """A number with a decimal point or a decimal comma. Raises ``ValueError``."""
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def listed_file(text: str, folder: Path, *, where: str) -> Path:
    r"""A file as a table names it, relative to ``folder`` or absolute.

    ``rec\one.wav`` is the file ``one.wav`` in ``rec``, unless a file is there under the very name. Raises
    ``CorpusError`` naming ``where`` for a path with a drive (``C:\``) or of a Windows share, which says
    nothing on this machine.
    """
    if Path(text).is_absolute():
        return Path(text)
    if _DRIVE.match(text) and not (folder / text).exists():
        raise CorpusError(
            f"{where}: the file is {text!r}, a path of a Windows machine that this one does not have. Write "
            "files relative to the table's folder, such as 'wav/one.wav'."
        )
    if "\\" in text and not (folder / text).exists():
        return Path(PureWindowsPath(text).as_posix().lstrip("/"))
    return Path(text)


def _separator(heading: list[str], columns: set[str], quoting: Quoting) -> str:
    wanted = {column.lower() for column in columns}

    def score(separator: str) -> tuple[bool, int]:
        names = next(csv.reader(heading, delimiter=separator, quoting=quoting), [])
        return wanted <= {name.strip().lower() for name in names}, len(names)

    return max(SEPARATORS, key=score)
