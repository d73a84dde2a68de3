"""Records to bytes and back: one JSON object a line.

A line of the present version is validated straight from its bytes. So is a line of an older version
whose kind no step of ``upgrades`` changes; only the others are taken apart and put together again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import pydantic
import pydantic_core

from edgebench.errors import StoreError
from edgebench.results.records import record as records
from edgebench.results.records.record import Record
from edgebench.results.records.upgrades import UPGRADES

_ADAPTER: pydantic.TypeAdapter[Record] = pydantic.TypeAdapter(
    Annotated[Record, pydantic.Field(discriminator="kind")]
)

# The beginning of every line that `encode` writes.
_HEAD = re.compile(
    rb'\{"schema_version":(0|[1-9][0-9]{0,8}),"kind":"([a-z_]{1,20})","run_id":"([!#-\[\]-~]{1,64})",'
)
_VERSION_AT = len(b'{"schema_version":')


class Head(NamedTuple):
    """What a line says of itself before its contents."""

    version: int
    kind: str
    run_id: str


def peek(line: bytes) -> Head | None:
    """The head of a line without reading the rest; None where it does not begin as ``encode`` writes it.

    >>> peek(b'{"schema_version":1,"kind":"run_end","run_id":"R","status":"complete"}')
    Head(version=1, kind='run_end', run_id='R')
    """
    found = _HEAD.match(line)
    return Head(int(found[1]), found[2].decode(), found[3].decode()) if found else None


def encode(record: Record) -> bytes:
    """One record as one line of bytes, newline included. The inverse of ``decode``."""
    return record.model_dump_json().encode() + b"\n"


def decode(line: bytes) -> Record:
    """The record of one stored line. Raises StoreError for anything that is not one."""
    head = peek(line)
    if head is not None and _is_current(head):
        rest = line[_VERSION_AT + len(str(head.version)) :]
        record = _validated(b'{"schema_version":%d%b' % (records.SCHEMA_VERSION, rest), head.kind)
        if (record.schema_version, record.run_id) != (records.SCHEMA_VERSION, head.run_id):
            raise StoreError(f"a line of kind {head.kind!r} says its version or its run twice.")
        return record
    try:
        found = pydantic_core.from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise StoreError(f"a stored line is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise StoreError(f"a stored line is not an object: {line[:40]!r}.")
    return record_from(found)


def record_from(line: Mapping[str, Any]) -> Record:
    """The checked record of one stored object, upgraded where it is older.

    >>> record_from({"schema_version": 1, "kind": "run_end", "run_id": "R", "status": "complete",
    ...     "finished_wall_s": 1.0, "host": None, "agent_wall_s": 2, "message": None}).agent_wall_s
    2.0

    Raises StoreError naming the field that is wrong (kind, path, what was found).
    """
    kind = line.get("kind")
    try:
        # subtle: through JSON text, because strict checking of Python objects refuses lists
        # where the frozen models hold tuples. A NaN is written as one, for validation to refuse.
        text = pydantic_core.to_json(upgrade(line), inf_nan_mode="constants")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"a line of kind {kind!r} is not a valid record: {error}.") from None
    return _validated(text, kind)


def upgrade(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of any known version as a line of SCHEMA_VERSION.

    Raises StoreError for a version that is newer than this edgebench, or that no step leads on
    from.
    """
    record = dict(line)
    version = record.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(f"a stored line says schema_version {version!r}, which is not a version number.")
    if version > records.SCHEMA_VERSION:
        raise StoreError(
            f"a stored line has schema version {version}, and this edgebench reads versions up to "
            f"{records.SCHEMA_VERSION}: a newer edgebench wrote it. Upgrade edgebench "
            "(pip install --upgrade edgebench), or read the store with the one that wrote it."
        )
    while version < records.SCHEMA_VERSION:
        if version not in UPGRADES:
            raise StoreError(
                f"a stored line has schema version {version}, which this edgebench cannot upgrade to "
                f"{records.SCHEMA_VERSION}. Read the store with the edgebench that wrote it."
            )
        step = UPGRADES[version].get(str(record.get("kind")))
        record = step(record) if step else record
        version += 1
        record["schema_version"] = version
    return record


def _is_current(head: Head) -> bool:
    """Whether a line of this version and kind has the present form, but for its version's number."""
    versions = range(head.version, records.SCHEMA_VERSION)
    return head.version <= records.SCHEMA_VERSION and all(
        version in UPGRADES and head.kind not in UPGRADES[version] for version in versions
    )


def _validated(text: bytes | str, kind: object) -> Record:
    try:
        return _ADAPTER.validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"a line of kind {kind!r} is not a valid record: {where}: {first['msg']} "
            f"({error.error_count()} faults in all)."
        ) from None
