"""``edgebench devices add``: look at a board, and write down in the inventory what it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgebench.devices.boards.destination import parse_destination
from edgebench.devices.boards.entries import require_free, write_entry
from edgebench.devices.boards.inventory import DeviceEntry, default_inventory, read_inventory
from edgebench.devices.boards.profiles import Profile, load_profile, match_profile
from edgebench.devices.boards.resolve import LOCAL, Device, named_ssh_config
from edgebench.devices.install.facts import BoardFacts, probe_board
from edgebench.devices.links.connect import connect
from edgebench.errors import BoardUnfit, UsageError, explain

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Registered:
    """What was found and written."""

    entry: DeviceEntry
    facts: BoardFacts
    profile: Profile | None
    inventory: Path


def register(
    name: str,
    *,
    host: str | None = None,
    profile: str | None = None,
    key: str | None = None,
    python: str | None = None,
    folder: str | None = None,
    pip_index: str | None = None,
    inventory: Path | None = None,
    ssh_config: Path | None = None,
    replacing: bool = False,
) -> Registered:
    """Connect to the board, find its kind and serial number, and write the entry ``name``.

    ``host``: ``[user@]host[:port]``; without it, the ssh alias of the device's name. ``profile``: the kind
    of board, if its device tree does not say. An entry that is replaced keeps what is not given here.

    Raises UsageError for a name that is taken or cannot be one, BoardUnfit for a board that is not of the
    kind named, and what connecting and looking raise. Nothing is written then.
    """
    if name == LOCAL or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a device's name: take letters, digits, - and _, and not 'local', which is "
            "this machine."
        )
    path = inventory or default_inventory()
    devices = read_inventory(path).devices if path.exists() else {}
    if not replacing:
        require_free(path, name, devices)
    before = devices.get(name)
    try:
        where = parse_destination(host or name)
    except ValueError as error:
        raise UsageError(f"--host: {error}.") from error
    given = {"key": key, "python": python, "folder": folder, "pip_index": pip_index}
    asked = {field: value for field, value in given.items() if value is not None}
    kept = before.model_dump(exclude_none=True, exclude={"profile", "board_sha256"}) if before else {}
    named = {"host": where.host, "user": where.user, "port": where.port} if host or not before else {}
    address = {field: value for field, value in named.items() if value is not None}
    try:
        entry = DeviceEntry.model_validate({**kept, **address, **asked})
    except ValidationError as error:
        raise UsageError(f"devices add {name}: {explain(error, DeviceEntry)}.") from error
    device = Device(
        name,
        None,
        host=entry.host,
        user=entry.user,
        port=entry.port,
        key=Path(entry.key).expanduser() if entry.key else None,
        ssh_config=ssh_config or named_ssh_config(),
    )
    connection = connect(device)
    try:
        facts = probe_board(connection, python=entry.python, folder=entry.folder)
    finally:
        connection.close()
    found = load_profile(profile) if profile else match_profile(facts.compatible)
    if found is not None and not found.describes(facts.compatible):
        raise BoardUnfit(
            f"{facts.address} is no {found.title}: its device tree says "
            f"{', '.join(facts.compatible) or 'nothing'}, and the profile wants {' or '.join(found.match)}. "
            "Leave --profile out to have the fitting one found (nothing was written)."
        )
    entry = entry.model_copy(
        update={"profile": found.name if found else None, "board_sha256": facts.board_sha256}
    )
    write_entry(path, name, entry, replace=replacing)
    return Registered(entry, facts, found, path)
