"""From the name a user types to the board it means."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench.devices.boards.conditioning import Conditioning
from edgebench.devices.boards.destination import Destination, parse_destination
from edgebench.devices.boards.inventory import DeviceEntry, read_inventory
from edgebench.devices.boards.profiles import Profile, load_profile, profiles
from edgebench.devices.links.connection import TimeLimits
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
    folder: str | None = None
    """For edgebench's files there, for `probe_board`."""
    pip_index: str | None = None
    """Where pip looks for wheels there."""
    limits: TimeLimits | None = None
    """Of the link; None: the usual ones."""
    board_sha256: str | None = None
    """The hash of the serial number of the board that must answer; None: any."""

    @property
    def profile_name(self) -> str | None:
        return self.profile.name if self.profile else None


def named_ssh_config() -> Path | None:
    """The ssh config that ``$EDGEBENCH_SSH_CONFIG`` names, to be read instead of the user's."""
    named = os.environ.get(SSH_CONFIG_VARIABLE)
    return Path(named).expanduser() if named else None


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
    before the address of an inventory entry, whose user, port and key stay. ``ssh_config`` may come from
    ``$EDGEBENCH_SSH_CONFIG``. ``any_board`` is for `--force`: the board need not be the profile's.

    Raises UsageError for a name nobody knows, with the nearest ones, or a host that is none;
    ConfigError for an inventory that does not say what it must.
    """
    ssh_config = ssh_config or named_ssh_config()
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
        entry = entries[name]
        return replace(
            _from_entry(name, entry, host, ssh_config),
            any_board=any_board,
            conditioning=entry.condition,
            meter=entry.meter or (),
            folder=entry.folder,
            pip_index=entry.pip_index,
            limits=entry.time_limits.over(TimeLimits()) if entry.time_limits else None,
            board_sha256=entry.board_sha256,
        )
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
    key = Path(entry.key).expanduser() if entry.key else None
    found = Device(
        name,
        profile,
        host=entry.host,
        user=entry.user,
        port=entry.port,
        key=key,
        python=entry.python,
        ssh_config=ssh_config,
    )
    if host is None:
        return found
    # The same board at another address: who signs in there, where and with what stays, unless it is named.
    there = _destination(host)
    return replace(found, host=there.host, user=there.user or entry.user, port=there.port or entry.port)


def _at(name: str, profile: Profile | None, host: str, ssh_config: Path | None) -> Device:
    there = _destination(host)
    return Device(name, profile, host=there.host, user=there.user, port=there.port, ssh_config=ssh_config)


def _destination(host: str) -> Destination:
    try:
        return parse_destination(host)
    except ValueError as error:
        raise UsageError(f"--host: {error}.") from error
