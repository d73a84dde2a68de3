"""The inventory: the user's own boards, by name, in one TOML file.

::

    [devices.desk]
    profile = "rpi4"
    host = "192.168.1.20"      # or a name of the ssh config
    user = "pi"                # optional, as is all that follows
    port = 22
    key = "~/.ssh/id_ed25519"
    python = "/usr/bin/python3.11"
    folder = "/mnt/ssd/edgebench"            # for edgebench's files on the board
    pip_index = "https://pypi.lab/simple"    # where pip on the board looks for wheels
    time_limits = { connect_s = 60 }         # of the link; a slow one wants more
    board_sha256 = "..."                     # of the board's serial number: another board is refused
    condition = { governor = "performance", cool_c = 60 }    # set for a run, put back afterwards
    meter = ["wattmeter", "--outlet", "3"]    # a program that prints watts, for the energy of a run

`edgebench devices add` writes such an entry.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgebench.devices.boards.conditioning import Conditioning
from edgebench.devices.links.connection import TimeLimits
from edgebench.errors import ConfigError, explain
from edgebench.text import read_toml

INVENTORY_VARIABLE = "EDGEBENCH_INVENTORY"
_SECRETS = ("password", "passphrase", "passwd", "secret")

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class LinkLimits(BaseModel):
    """The time limits of the link that differ from edgebench's own, in seconds; see `TimeLimits`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    connect_s: Seconds | None = None
    handshake_s: Seconds | None = None
    auth_s: Seconds | None = None
    stall_s: Seconds | None = None
    dead_peer_s: Seconds | None = None

    def over(self, limits: TimeLimits) -> TimeLimits:
        """``limits`` with those that are named here in place of its own."""
        return replace(limits, **self.model_dump(exclude_none=True))


class DeviceEntry(BaseModel):
    """One board of the inventory."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    profile: str | None = None
    host: str = Field(min_length=1, pattern=r"^[^-\s]\S*$")
    user: str | None = None
    port: int | None = Field(default=None, gt=0, lt=65536)
    key: str | None = None
    """Path of a private key file; ``~`` is understood."""
    python: str | None = None
    """The interpreter to use on the board."""
    folder: str | None = Field(default=None, pattern=r"^(/|~/)[^\x00-\x1f]*[^/\x00-\x1f]$")
    """Where edgebench keeps its files on the board; without it, in the user's cache folder there."""
    pip_index: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """The index that pip on the board installs from, without a user or password in it."""
    time_limits: LinkLimits | None = None
    board_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Which board it is: the hash of its serial number, as a fingerprint has it."""
    condition: Conditioning | None = None
    """What a run may change on the board, and puts back."""
    meter: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    """A program on this host, with its arguments, that prints the watts that the board draws."""


class Inventory(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    devices: dict[str, DeviceEntry] = {}


def default_inventory() -> Path:
    """``$EDGEBENCH_INVENTORY``, or ``edgebench/inventory.toml`` in the user's configuration folder."""
    if named := os.environ.get(INVENTORY_VARIABLE):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base.startswith("/") else Path("~/.config").expanduser()
    return folder / "edgebench" / "inventory.toml"


def read_inventory(path: Path | None = None) -> Inventory:
    """Read the inventory; an empty one if no file was named and the default one does not exist.

    Raises ConfigError for a named file that is missing, for what is not TOML, for an unknown key
    (with its path and the keys allowed), and for a password.
    """
    named = path is not None or INVENTORY_VARIABLE in os.environ
    path = path or default_inventory()
    try:
        data = read_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise ConfigError(f"the inventory {path} does not exist. Create it, or name another.") from None
        return Inventory()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the inventory {path} cannot be read: {error}.") from error
    except ValueError as error:
        raise ConfigError(f"the inventory {path} is not TOML: {error}. Correct that line.") from error
    _refuse_secrets(path, data)
    try:
        return Inventory.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"the inventory {path}: {explain(error, Inventory)}.") from error


def _refuse_secrets(path: Path, data: dict[str, object]) -> None:
    devices = data.get("devices")
    for name, entry in devices.items() if isinstance(devices, dict) else ():
        for key in entry if isinstance(entry, dict) else ():
            if key.lower() in _SECRETS:
                raise ConfigError(
                    f"the inventory {path} has devices.{name}.{key}: edgebench keeps no passwords in files "
                    "and takes none. Remove the line, and give the board a key instead (`ssh-copy-id`, an "
                    "agent, or key = PATH)."
                )
