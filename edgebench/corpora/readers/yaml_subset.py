"""As much YAML as the header of an audformat database is written in, read without a dependency.

Nested mappings by indentation, lists of scalars (``- x`` or ``[a, b]``), mappings in braces, plain and
quoted scalars that may run over several lines, comments. No anchors, tags, block scalars or documents.
Every scalar stays text: who reads a number says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

Value = str | list["Value"] | dict[str, "Value"]

_QUOTED: Final = r"'(?:[^']|'')*'(?!')|\"(?:[^\"\\]|\\.)*\""
_KEY: Final = re.compile(rf"(?P<key>{_QUOTED}|[^\s#\[{{'\"-][^:#]*?|-?[\d.]+):(?:\s+(?P<rest>.*))?$")
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "t": "\t"}
_OPEN: Final = {"[": "]", "{": "}"}


def load(text: str) -> dict[str, Value]:
    """The mapping that a header describes. Raises ``ValueError`` naming the line that does not fit."""
    lines = list(_logical_lines(text))
    value, rest = _block(lines, 0)
    if rest < len(lines):
        raise ValueError(f"line {lines[rest][0]}: indentation does not fit")
    return value if isinstance(value, dict) else {}


def _logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Number, indentation and content of each line, what runs over several lines joined into one."""
    pending: tuple[int, int, str] | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        content = line.lstrip(" ")
        indent = len(line) - len(content)
        # subtle: inside an open quote a line may begin with '#', and is no comment.
        if pending is not None and content and _unfinished(pending[2]):
            pending = (pending[0], pending[1], f"{pending[2]} {content}")
            continue
        if not content or content.startswith("#") or content in ("---", "..."):
            continue
        if pending is not None:
            if indent > pending[1] and _runs_on(pending[2], content):
                pending = (pending[0], pending[1], f"{pending[2]} {content}")
                continue
            yield pending
        pending = (number, indent, content)
    if pending is not None:
        yield pending


def _unfinished(content: str) -> bool:
    """Whether a quote or a bracket of the value is still open."""
    match = _KEY.match(content)
    value = (match["rest"] or "") if match else content.removeprefix("- ")
    if value[:1] in ("'", '"'):
        return re.match(_QUOTED, value) is None
    bare = re.sub(rf"(?<=[\[{{,: ])(?:{_QUOTED})", "", value)  # brackets in quotes are text
    return value[:1] in _OPEN and bare.count(value[0]) > bare.count(_OPEN[value[0]])


def _runs_on(content: str, following: str) -> bool:
    """Whether a deeper line goes on with the plain scalar of ``content``."""
    match = _KEY.match(content)
    return match is not None and bool(match["rest"]) and not _KEY.match(following)


def _block(lines: list[tuple[int, int, str]], at: int) -> tuple[Value, int]:
    if at >= len(lines):
        return {}, at
    indent = lines[at][1]
    if lines[at][2].startswith("- "):
        items: list[Value] = []
        while at < len(lines) and lines[at][1] == indent and lines[at][2].startswith("- "):
            items.append(_value(lines[at][2][2:].strip(), lines[at][0]))
            at += 1
        return items, at
    mapping: dict[str, Value] = {}
    while at < len(lines) and lines[at][1] == indent:
        number, _, content = lines[at]
        match = _KEY.match(content)
        if match is None:
            raise ValueError(f"line {number}: expected 'key: value', found {content!r}")
        key, rest = _scalar(match["key"]), match["rest"] or ""
        at += 1
        if rest and not rest.startswith("#"):
            mapping[key] = _value(rest, number)
        elif at < len(lines) and (
            lines[at][1] > indent or (lines[at][1] == indent and lines[at][2].startswith("- "))
        ):
            mapping[key], at = _block(lines, at)
        else:
            mapping[key] = ""
    return mapping, at


def _value(text: str, number: int) -> Value:
    if text[:1] in _OPEN:
        value, rest = _flow(text, number)
        if rest.strip() and not rest.strip().startswith("#"):
            raise ValueError(f"line {number}: {rest.strip()!r} after a closed bracket")
        return value
    return _scalar(text)


def _flow(text: str, number: int) -> tuple[Value, str]:
    """A list or mapping in brackets at the start of ``text``, and what follows it."""
    closing, rest = _OPEN[text[0]], text[1:].lstrip()
    items: list[Value] = []
    mapping: dict[str, Value] = {}
    while not rest.startswith(closing):
        if not rest:
            raise ValueError(f"line {number}: {closing!r} is missing")
        item, rest = _flow_item(rest, number)
        if closing == "}":
            if not isinstance(item, str) or not rest.startswith(":"):
                raise ValueError(f"line {number}: expected 'key: value' in braces")
            mapping[item], rest = _flow_item(rest[1:].lstrip(), number)
        else:
            items.append(item)
        rest = rest.removeprefix(",").lstrip()
    return (mapping if closing == "}" else items), rest[1:]


def _flow_item(text: str, number: int) -> tuple[Value, str]:
    if text[:1] in _OPEN:
        value, rest = _flow(text, number)
        return value, rest.lstrip()
    match = re.match(rf"{_QUOTED}|(?:[^,\[\]{{}}:]|:(?!\s))*", text)
    assert match is not None
    if not match[0].strip():
        # Nothing between two commas, or a bracket of the other kind: going on would never end.
        raise ValueError(f"line {number}: a value is missing before {text[:10]!r}")
    return _scalar(match[0].strip()), text[match.end() :].lstrip()


def _scalar(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])
    plain = text.split(" #", maxsplit=1)[0].strip()
    return "" if plain in ("null", "~") else plain
