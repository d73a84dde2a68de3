"""Lines and records: what goes in comes out, and the quick way reads what the plain way reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import results_builder as b

from edgebench.errors import StoreError
from edgebench.results.records import codec
from edgebench.results.records.codec import decode, encode, peek, record_from
from edgebench.results.records.record import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[1] / "golden" / "store_v1" / "records.jsonl"
OLD = GOLDEN.read_bytes().splitlines(keepends=True)
LINES = [*OLD, *(encode(decode(line)) for line in OLD)]

# --- a second way to read -----------------------------------------------------------------------


def plain(line):
    """The way without a short cut: the whole line through the standard library, then upgraded."""
    try:
        found = json.loads(line)
    except ValueError:
        raise StoreError("not JSON") from None
    if not isinstance(found, dict):
        raise StoreError("not an object")
    return record_from(found)


def outcome(read, line):
    try:
        return read(line)
    except StoreError:
        return "refused"


@pytest.mark.parametrize("number", range(len(LINES)))
def test_both_ways_read_the_same(number):
    assert decode(LINES[number]) == plain(LINES[number])


# What may stand where something else belongs: numbers JSON has not, other types, broken characters.
INTRUDERS = [
    b"NaN", b"-Infinity", b"1e999", b"null", b"-1", b"1.0", b"true", b'"x"', b"[]", b"{}", b"01",
    b"-0", b"18446744073709551616", b"\\ud800", b"\\u0000", b"\x00", b"\xff", b",", b"}", b"\n",
]  # fmt: skip


@given(
    line=st.sampled_from(LINES), at=st.floats(0, 1), gone=st.integers(0, 20), new=st.sampled_from(INTRUDERS)
)
def test_both_ways_refuse_the_same_damage(line, at, gone, new):
    start = round(at * (len(line) - 1))
    damaged = line[:start] + new + line[start + gone :]
    assert outcome(decode, damaged) == outcome(plain, damaged)


VALUE = re.compile(rb'(?<=:)(-?\d[\d.eE+-]*|null|true|false|"[^"]*"|\[\])')


@given(line=st.sampled_from(LINES), new=st.sampled_from(INTRUDERS), pick=st.floats(0, 1, exclude_max=True))
def test_both_ways_refuse_the_same_values(line, new, pick):
    """One number, word or list of the line is replaced by something else."""
    tokens = list(VALUE.finditer(line))
    token = tokens[int(pick * len(tokens))]
    damaged = line[: token.start()] + new + line[token.end() :]
    assert outcome(decode, damaged) == outcome(plain, damaged)


# --- there and back -----------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NANOSECONDS = st.lists(st.integers(0, 2**58), max_size=20)
READINGS = st.floats(-1e15, 1e15)
VALUES = st.floats(-1e150, 1e150)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RUN_IDS = st.text(st.characters(codec="ascii", categories=["Lu", "Nd"]), min_size=1, max_size=26)


@st.composite
def trial_lines(draw):
    message = b.trial(
        samples_ns=draw(NANOSECONDS),
        samples_cpu_ns=draw(st.none() | NANOSECONDS),
        status="failed",
        error={"code": draw(TEXT), "message": draw(TEXT)},
        of_a_newer_agent=draw(JSON),
    )
    message["telemetry"]["before"]["freq_hz"] = draw(st.dictionaries(TEXT, st.none() | READINGS, max_size=3))
    message["predictions"] = {
        "clips": draw(st.lists(TEXT, max_size=3)),
        "names": ["logits"],
        "values": [draw(st.lists(st.lists(st.none() | VALUES, max_size=4), max_size=3))],
    }
    return b.trial_line(b.condition(), message, run_id=draw(RUN_IDS))


@st.composite
def headers(draw):
    suite = draw(st.dictionaries(TEXT, JSON, max_size=3))
    command = draw(st.lists(TEXT, max_size=3))
    return b.header(run_id=draw(RUN_IDS), suite=suite, command=command, started_wall_s=draw(FINITE))


@given(line=trial_lines() | headers())
def test_what_is_written_is_read(line):
    record = record_from(line)
    stored = encode(record)
    assert stored.count(b"\n") == 1 and stored.endswith(b"\n")
    assert decode(stored) == record
    assert encode(decode(stored)) == stored
    assert peek(stored) == (SCHEMA_VERSION, line["kind"], line["run_id"]), "the index need not parse it"
    assert plain(stored) == record


# --- the short cut ------------------------------------------------------------------------------


def test_only_what_an_upgrade_changes_is_taken_apart(monkeypatch):
    """Of the golden store, the two headers."""
    upgraded = []
    real = codec.upgrade
    monkeypatch.setattr(codec, "upgrade", lambda line: upgraded.append(line["kind"]) or real(line))
    for line in OLD:
        decode(line)
    assert upgraded == ["run", "run"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"run_end","schema_version":2,"run_id":"R"}\n',
        b' {"schema_version":2,"kind":"run_end","run_id":"R"}\n',
        b'{"schema_version":02,"kind":"run_end","run_id":"R","x":1}\n',
        b'{"schema_version":2.0,"kind":"run_end","run_id":"R","x":1}\n',
        b'{"schema_version":2,"kind":"run_end","run_id":"","x":1}\n',
        b'{"schema_version":2,"kind":"run_end","run_id":"a\\"b","x":1}\n',
        b'{"schema_version":2,"kind":"run_end","run_id":"\xc3\xa9","x":1}\n',
        b"",
    ],
)
def test_a_line_that_edgebench_did_not_write_is_not_peeked_at(line):
    assert peek(line) is None


def test_a_record_whose_keys_stand_in_another_order_is_read():
    line = b.run_end()
    stored = json.dumps(dict(reversed(line.items()))).encode() + b"\n"
    assert peek(stored) is None
    assert decode(stored) == record_from(line)


def test_a_line_that_says_its_run_twice_is_refused():
    stored = encode(record_from(b.run_end())).replace(b'"status"', b'"run_id":"01OTHER","status"')
    with pytest.raises(StoreError, match="twice"):
        decode(stored)
