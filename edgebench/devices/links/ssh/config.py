"""What the user's ssh config says about a host, so that a board is reached as `ssh` reaches it."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paramiko import SSHConfig, SSHException

from edgebench.errors import ConfigError

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
DEFAULT_IDENTITIES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
INCLUDE_DEPTH = 16


@dataclass(frozen=True)
class HostSettings:
    """One host, with everything needed to open a connection to it."""

    alias: str
    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    default_identities: bool
    """The identity files are OpenSSH's defaults: a missing one is no news."""
    identities_only: bool
    use_agent: bool
    jumps: tuple[str, ...]
    proxy_command: str | None
    known_hosts: tuple[Path, ...]
    """The first is where `ssh` writes a key that the user accepts."""
    key_name: str
    """The name the host key is filed under: ``host``, ``[host]:port``, or HostKeyAlias."""
    ssh_command: str
    """The OpenSSH command that reaches the same host, for messages."""

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def read_ssh_config(path: Path | None) -> SSHConfig:
    """Read ``path`` alone, as ``ssh -F`` does, or else the user's config and then the system's.

    Raises ConfigError for a file that was named and is missing, or that cannot be understood.
    """
    files = [path] if path else [USER_CONFIG.expanduser(), SYSTEM_CONFIG]
    if path and not path.is_file():
        raise ConfigError(f"the ssh config {path} does not exist or is not a file; name one that does.")
    config = SSHConfig()
    for file in files:
        if not file.is_file():
            continue
        try:
            config.parse(list(_lines(file, INCLUDE_DEPTH)))
        except (SSHException, OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the ssh config {file} cannot be read: {error}. Correct it, then try again."
            ) from error
    return config


def _lines(file: Path, depth: int) -> Iterator[str]:
    """The lines of a config with its Include lines replaced by what they name (paramiko knows none).

    After an included file the section that included it goes on, as in OpenSSH.
    """
    section = "Host *"
    for line in file.read_text().splitlines():
        words = line.strip().replace("=", " ", 1).split(None, 1)
        keyword = words[0].lower() if words else ""
        if keyword in ("host", "match"):
            section = line
        if keyword != "include" or len(words) < 2:
            yield line
            continue
        if depth == 0:
            raise SSHException(f"Include goes deeper than {INCLUDE_DEPTH} files")
        for pattern in shlex.split(words[1]):
            # OpenSSH reads a relative path from ~/.ssh; of a file elsewhere, from beside it.
            target = Path(pattern).expanduser()
            base = Path("/") if target.is_absolute() else file.parent
            for match in sorted(base.glob(str(target).lstrip("/"))):
                if match.is_file():
                    yield from _lines(match, depth - 1)
        yield section


def host_settings(
    config: SSHConfig,
    alias: str,
    *,
    user: str | None = None,
    port: int | None = None,
    key: Path | None = None,
    config_path: Path | None = None,
) -> HostSettings:
    """Look a host up. What the caller names (``user``, ``port``, ``key``) goes before the config.

    Raises ConfigError for a config whose values make no sense.
    """
    try:
        found = config.lookup(alias)
        port_number = port or int(found.get("port", 22))
    except (SSHException, ValueError, ImportError) as error:
        raise ConfigError(
            f"the ssh config does not make sense for host '{alias}': {error}. Correct it."
        ) from error
    host = found["hostname"]
    login = user or found.get("user") or getpass.getuser()
    identities = [str(key)] if key else list(found.get("identityfile", []))
    jump = found.get("proxyjump") or ""
    proxy_command = found.get("proxycommand") or None
    name = found.get("hostkeyalias") or (host if port_number == 22 else f"[{host}]:{port_number}")
    return HostSettings(
        alias=alias,
        host=host,
        port=port_number,
        user=login,
        identity_files=tuple(Path(p).expanduser() for p in identities or DEFAULT_IDENTITIES),
        default_identities=not identities,
        identities_only=bool(key) or found.get("identitiesonly", "no").lower() == "yes",
        use_agent=found.get("identityagent", "").lower() != "none",
        jumps=() if jump.lower() in ("", "none") else tuple(hop.strip() for hop in jump.split(",")),
        proxy_command=None if proxy_command and proxy_command.lower() == "none" else proxy_command,
        known_hosts=_known_hosts(found),
        key_name=name,
        ssh_command=_ssh_command(alias, user=user, port=port, key=key, config_path=config_path),
    )


def _known_hosts(found: dict[str, str]) -> tuple[Path, ...]:
    user = found.get("userknownhostsfile", USER_KNOWN_HOSTS)
    system = found.get("globalknownhostsfile", SYSTEM_KNOWN_HOSTS)
    names = [name for value in (user, system) for name in shlex.split(value) if name.lower() != "none"]
    return tuple(Path(name).expanduser() for name in names)


def _ssh_command(
    alias: str, *, user: str | None, port: int | None, key: Path | None, config_path: Path | None
) -> str:
    words = ["ssh"]
    words += ["-F", str(config_path)] if config_path else []
    words += ["-i", str(key)] if key else []
    words += ["-p", str(port)] if port else []
    return shlex.join([*words, f"{user}@{alias}" if user else alias])
