"""Good input spoiled at random, for tests of what reads it."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Examples of each fuzz test; `make fuzz` asks for many more.
EXAMPLES = int(os.environ.get("EDGEBENCH_FUZZ", "0"))

# What may stand where something else belongs. Built anew for each use: it is put into other values.
INTRUDERS = (
    "None", "True", "0", "-1", "1", "2**62", "2**64", "10**400", "0.5", "-0.0", "1e308", "-1e308",
    "float('nan')", "float('inf')", "''", "'x'", "'\\x1b[2J'", "'../../x'", "'/etc/passwd'", "'\\0'",
    "'\\ud800'", "'\\u202e'", "'9' * 5000", "[]", "{}", "[[]]", "[None]", "{'': None}", "[1] * 70",
    "{'kind': 'trial'}", "nested(60)", "DEEP",
)  # fmt: skip


# Stands for a list in a list 20,000 times over, which Python itself can neither write nor show.
DEEP = "<deep>"
_DEEP_TEXT = "[" * 20_000 + "]" * 20_000


def fuzzed(cheap: int) -> Any:
    """The settings of a fuzz test with ``cheap`` examples as a rule."""
    return settings(
        max_examples=EXAMPLES or cheap,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def nested(depth: int) -> Any:
    """A list in a list, and so on."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _intruder(draw: Any) -> Any:
    return eval(draw(st.sampled_from(INTRUDERS)), {"nested": nested, "DEEP": DEEP})


@st.composite
def spoiled(draw: Any, *bases: Any) -> Any:
    """One of these JSON values with one to three places changed, dropped, doubled or added to."""
    value = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, 3))):
        value = _spoil_one(draw, value)
    return value


def _spoil_one(draw: Any, value: Any) -> Any:
    parent, key, child = None, None, value
    # Down from the top at random: what lies deep is as likely as what lies high.
    while isinstance(child, dict | list) and child and draw(st.integers(0, 4)):
        parent = child
        key = draw(st.sampled_from(sorted(child, key=str) if isinstance(child, dict) else range(len(child))))
        child = child[key]
    if parent is None:
        return _intruder(draw) if not draw(st.integers(0, 5)) else value
    what = draw(st.sampled_from(["replace", "replace", "drop", "add"]))
    if what == "replace":
        parent[key] = _intruder(draw)
    elif what == "drop":
        del parent[key]
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(["x", "kind", "id", "seq", "repeat_of", ""]))] = _intruder(draw)
    else:
        parent.append(copy.deepcopy(child))
    return value


@st.composite
def spoiled_lines(draw: Any, *bases: Any) -> bytes:
    """The JSON text of ``spoiled`` values, at times with bytes of it changed as well."""
    line = as_json(draw(spoiled(*bases)))
    if not draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(line)))
        cut = draw(st.integers(0, 9))
        line = line[:at] + draw(st.binary(max_size=9)) + line[at + cut :]
    return line


def as_json(value: Any) -> bytes:
    """JSON of values that JSON has not, too, such as ``NaN``."""
    return json.dumps(value).replace(f'"{DEEP}"', _DEEP_TEXT).encode()


def as_toml(values: Any) -> bytes:
    """TOML of a JSON value; what TOML has not stands there all the same."""
    if not isinstance(values, dict):
        return _inline(values).encode(errors="replace")
    lines = [f"{json.dumps(str(key))} = {_inline(value)}" for key, value in values.items()]
    return "\n".join(lines).encode(errors="replace")


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if value == DEEP:
        return _DEEP_TEXT
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")
