"""Board profiles: what is known of a kind of board before anything was measured on it, as data files."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgebench.errors import ConfigError, UsageError, explain, nearest


class Features(BaseModel):
    """Processor features that decide whether int8 can be fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asimddp: bool
    """int8 dot product (ARMv8.2 and later)."""


class Profile(BaseModel):
    """One kind of board. The figures of a run come from the board itself, never from here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """The file's name: lower snake."""
    title: str
    match: tuple[str, ...] = ()
    """Device-tree ``compatible`` strings, any of which is this board."""
    cpu: str | None = None
    cores: tuple[int, ...] = ()
    """By variant of the board."""
    memory_mib: tuple[int, ...] = ()
    """By variant of the board."""
    page_bytes: int | None = None
    """Of the kernel it comes with, where that is not the usual 4096."""
    features: Features | None = None
    power: Literal["none", "pmic", "ina3221"] = "none"
    """Where the board tells its own power, if anywhere."""
    max_start_temperature_c: float | None = None
    """A launch must begin below it: from here on the board lowers its clock. None: its maker names none."""
    temperature_source: str | None = None
    """The maker's document that says so."""
    notes: tuple[str, ...] = ()

    def describes(self, compatible: Collection[str]) -> bool:
        """Whether the board whose device tree says ``compatible`` is of this kind; any is, of a profile
        that names no board."""
        return not self.match or bool(set(self.match) & set(compatible))


@functools.cache
def profiles() -> dict[str, Profile]:
    """Every packaged profile by name, sorted. Raises ConfigError for a file that breaks the schema."""
    found = {}
    for entry in sorted(
        resources.files("edgebench.devices").joinpath("profiles").iterdir(), key=lambda e: e.name
    ):
        if entry.name.endswith(".toml"):
            name = entry.name.removesuffix(".toml")
            found[name] = parse_profile(name, entry.read_text(encoding="utf-8"))
    return found


def parse_profile(name: str, text: str) -> Profile:
    """Read one profile. Raises ConfigError naming the key at fault and the keys that exist."""
    try:
        return Profile.model_validate({"name": name, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile '{name}' is not TOML: {error}.") from error
    except ValidationError as error:
        raise ConfigError(f"profile '{name}': {explain(error, Profile)}.") from error


def load_profile(name: str) -> Profile:
    """The profile of that name. Raises UsageError naming the nearest ones."""
    if name not in profiles():
        raise UsageError(f"there is no board profile '{name}': {nearest(name, profiles())}.")
    return profiles()[name]


def match_profile(compatible: tuple[str, ...]) -> Profile | None:
    """The profile of the board whose device tree says ``compatible``; the most specific string first."""
    for text in compatible:
        for profile in profiles().values():
            # A Jetson's first string joins carrier board and module: "nvidia,p3768-0000+p3767-0005".
            if text in profile.match:
                return profile
    return None
