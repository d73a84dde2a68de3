"""Text that somebody else wrote: read without surprises, and made safe to print."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for every text that has none, too deep a one as well."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text. Raises ValueError for every text that has none, too deep a one as well."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


# Control characters but for tab and newline: a terminal obeys them. And the characters that turn the
# direction of writing or end a line where no newline is: text with them reads as what it is not.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with every control character written out, such as ``\\x1b``. Tabs and newlines stay.

    >>> plain("\\x1b[2Jgone")
    '\\\\x1b[2Jgone'
    """
    return _UNSAFE.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
