"""From the name a user types to the board it means."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench.devices.boards.conditioning import Conditioning
from edgebench.devices.boards.destination import parse_destination
from edgebench.devices.boards.inventory import DeviceEntry, read_inventory
from edgebench.devices.boards.profiles import Profile, load_profile, profiles
from edgebench.errors import ConfigError, UsageError, nearest

LOCAL = "local"
SSH_CONFIG_VARIABLE = "EDGEBENCH_SSH_CONFIG"


@dataclass(frozen=True)
class Device:
    """A board under the name the user gives it, and how it is reached."""

    name: str
    """What the user called it; reports call it so too."""
    profile: Profile | None
    is_local: bool = False
    host: str | None = None
    """An address, or a name of the ssh config."""
    user: str | None = None
    port: int | None = None
    key: Path | None = None
    python: str | None = None
    """The interpreter to use there, for `probe_board`."""
    any_board: bool = False
    """Measure there even where the board is of another kind than the profile."""
    conditioning: Conditioning | None = None
    """What a run may change there."""
    meter: tuple[str, ...] = ()
    """A program on this host, with its arguments, that prints the watts that the board draws."""
    ssh_config: Path | None = None
    """Read instead of the user's and the system's, as by ``ssh -F``."""

    @property
    def profile_name(self) -> str | None:
        return self.profile.name if self.profile else None


def resolve_device(
    name: str,
    *,
    host: str | None = None,
    inventory: Path | None = None,
    ssh_config: Path | None = None,
    any_board: bool = False,
) -> Device:
    """Find the board a user means by ``name``.

    ``local`` is this machine; then the entries of the inventory; then the profiles, which are reached
    through ``host`` (``pi@192.168.1.20:2222``) or else the ssh alias of the same name. ``host`` goes
    before the address of an inventory entry too. ``ssh_config`` may also come from
    ``$EDGEBENCH_SSH_CONFIG``. ``any_board`` is for `--force`: the board need not be the profile's.

    Raises UsageError for a name nobody knows, with the nearest ones, or a host that is none;
    ConfigError for an inventory that does not say what it must.
    """
    if ssh_config is None and (named := os.environ.get(SSH_CONFIG_VARIABLE)):
        ssh_config = Path(named).expanduser()
    if name == LOCAL:
        if host:
            raise UsageError(
                f"device 'local' is this machine and takes no --host ({host} was given). Name a profile."
            )
        return Device(LOCAL, load_profile(LOCAL), is_local=True)
    entries = read_inventory(inventory).devices
    if LOCAL in entries:
        raise ConfigError("the inventory calls a board 'local', which is this machine's name. Rename it.")
    if name in entries:
        found = _from_entry(name, entries[name], host, ssh_config)
        entry = entries[name]
        return replace(found, any_board=any_board, conditioning=entry.condition, meter=entry.meter)
    if name in profiles():
        return replace(_at(name, load_profile(name), host or name, ssh_config), any_board=any_board)
    raise UsageError(
        f"there is no device '{name}': {nearest(name, {*entries, *profiles()})}. "
        "For a board of your own add an entry to the inventory, or name its profile and say "
        "--host user@address."
    )


def _from_entry(name: str, entry: DeviceEntry, host: str | None, ssh_config: Path | None) -> Device:
    try:
        profile = load_profile(entry.profile) if entry.profile else None
    except UsageError as error:
        raise ConfigError(f"inventory, devices.{name}.profile: {error}") from error
    if host:
        return _at(name, profile, host, ssh_config, python=entry.python)
    key = Path(entry.key).expanduser() if entry.key else None
    return Device(
        name,
        profile,
        host=entry.host,
        user=entry.user,
        port=entry.port,
        key=key,
        python=entry.python,
        ssh_config=ssh_config,
    )


def _at(
    name: str, profile: Profile | None, host: str, ssh_config: Path | None, python: str | None = None
) -> Device:
    try:
        where = parse_destination(host)
    except ValueError as error:
        raise UsageError(f"--host: {error}.") from error
    return Device(
        name,
        profile,
        host=where.host,
        user=where.user,
        port=where.port,
        python=python,
        ssh_config=ssh_config,
    )
