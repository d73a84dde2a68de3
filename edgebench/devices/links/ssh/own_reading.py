"""The user's ssh config read by ourselves, where no OpenSSH client is installed.

paramiko reads the keywords. It knows no Include, and takes conditions of Match for true that it does not
know, so both are settled here before it sees the lines. A condition that is not understood is false.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from paramiko import SSHConfig, SSHException

from edgebench.devices.links.ssh import tokens
from edgebench.devices.links.ssh.openssh import Found
from edgebench.errors import ConfigError

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
INCLUDE_DEPTH = 16
# The conditions of Match that need no program, no name server and no second reading.
_CONDITIONS = ("host", "originalhost", "user", "localuser")
# A section that applies to no host.
_NEVER = "Host !*"
_PATH_LISTS = ("userknownhostsfile", "globalknownhostsfile")


class _Config(SSHConfig):  # type: ignore[misc]
    """Leaves tokens to `tokens.expand`, which knows more of them."""

    TOKENS_BY_CONFIG_KEY: ClassVar = {"hostname": ["%h"]}


def look_up(alias: str, config_path: Path | None) -> Found:
    """What the config says of a host, in the shape of ``ssh -G``; defaults are left out.

    Raises ConfigError for a config that cannot be understood, or whose values make no sense.
    """
    config = read_ssh_config(config_path)
    try:
        return {name: _as_list(name, value) for name, value in config.lookup(alias).items()}
    except (SSHException, ValueError) as error:
        raise ConfigError(
            f"the ssh config does not make sense for host '{alias}': {error}. Correct it."
        ) from error


def read_ssh_config(path: Path | None) -> SSHConfig:
    """Read ``path`` alone, as ``ssh -F`` does, or else the user's config and then the system's."""
    user = Path("~/.ssh/config").expanduser()
    if not user.is_file():
        user = tokens.home() / ".ssh" / "config"
    config = _Config()
    for file in [path] if path else [user, SYSTEM_CONFIG]:
        if not file.is_file():
            continue
        try:
            config.parse(list(_lines(file, "", INCLUDE_DEPTH)))
        except (SSHException, OSError, ValueError) as error:
            raise ConfigError(
                f"the ssh config {file} cannot be read: {error}. Correct it, then try again."
            ) from error
    return config


def _lines(file: Path, outer: str, depth: int) -> Iterator[str]:
    """The lines of a config with its Include lines replaced by what they name.

    ``outer``: the conditions under which the file is included, as words of Match; empty for always.
    """
    section: str | None = outer
    yield _heading(section)
    for line in file.read_text().splitlines():
        words = line.strip().replace("=", " ", 1).split(None, 1)
        keyword, rest = (words[0].lower(), words[1:]) if words else ("", [])
        if keyword in ("host", "match") and rest:
            section = _conditions(keyword, rest[0], outer)
            yield _heading(section)
        elif keyword == "include" and rest:
            if depth == 0:
                raise SSHException(f"Include goes deeper than {INCLUDE_DEPTH} files")
            if section is None:
                continue
            for found in _included(file, rest[0]):
                yield from _lines(found, section, depth - 1)
            # After an included file the section that included it goes on.
            yield _heading(section)
        else:
            yield line


def _included(file: Path, patterns: str) -> Iterator[Path]:
    for pattern in shlex.split(patterns):
        # OpenSSH reads a relative path from ~/.ssh; of a file elsewhere, from beside it.
        target = tokens.config_path(pattern)
        base = Path("/") if target.is_absolute() else file.parent
        yield from (path for path in sorted(base.glob(str(target).lstrip("/"))) if path.is_file())


def _conditions(keyword: str, rest: str, outer: str) -> str | None:
    """The conditions of a Host or Match line beside those of the file; None where one is not understood."""
    words = shlex.split(rest, comments=True)
    if keyword == "host":
        return f"{outer} originalhost {','.join(words)}".strip()
    if [word.lower() for word in words] == ["all"]:
        return outer
    names = [word.lstrip("!").lower() for word in words[::2]]
    if len(words) % 2 or not words or any(name not in _CONDITIONS for name in names):
        return None
    return f"{outer} {' '.join(words)}".strip()


def _heading(section: str | None) -> str:
    return _NEVER if section is None else f"Match {section or 'all'}"


def _as_list(name: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    if value is None:
        return []
    return shlex.split(str(value)) if name in _PATH_LISTS else [str(value)]
