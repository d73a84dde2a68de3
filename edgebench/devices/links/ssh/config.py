"""How a host is reached: what the user's ssh config says of it, read as `ssh` reads it.

Where an OpenSSH client is installed it is asked (``ssh -G``); where none is, `own_reading` reads the files.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgebench.devices.links.ssh import tokens
from edgebench.devices.links.ssh.openssh import (
    DEFAULT_IDENTITIES,
    Found,
    ask_client,
    config_options,
    find_client,
)
from edgebench.devices.links.ssh.own_reading import look_up
from edgebench.devices.links.ssh.settings import Algorithms, HostSettings
from edgebench.errors import ConfigError

IDENTITIES = ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"]
USER_KNOWN_HOSTS = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# `ssh -G` says so of what the config says.
_STRICT = {"true": "yes", "false": "no"}
SYSTEM_KNOWN_HOSTS = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]


def host_settings(
    alias: str,
    *,
    user: str | None = None,
    port: int | None = None,
    key: Path | None = None,
    config_path: Path | None = None,
) -> HostSettings:
    """Look a host up. What the caller names (``user``, ``port``, ``key``) goes before the config.

    ``config_path`` is read alone, as by ``ssh -F``. Raises ConfigError for a file that is missing, that
    cannot be understood, or whose values make no sense.
    """
    if config_path and not config_path.is_file() and not config_path.is_char_device():
        raise ConfigError(
            f"the ssh config {config_path} does not exist or is not a file; name one that does."
        )
    tokens.check_name("host", alias)
    if user is not None:
        tokens.check_name("user", user)
    client = find_client()
    if client:
        found = ask_client(client, alias, user=user, port=port, key=key, config_path=config_path)
    else:
        found = look_up(alias, config_path)
    return _settings(
        found,
        alias,
        user=user or _one(found, "user") or getpass.getuser(),
        port=port or _number(found, "port", alias) or 22,
        key=key,
        ssh_command=_ssh_command(alias, user=user, port=port, key=key, config_path=config_path),
    )


def _settings(
    found: Found, alias: str, *, user: str, port: int, key: Path | None, ssh_command: str
) -> HostSettings:
    host, jump = _lower(_one(found, "hostname") or alias), _one(found, "proxyjump")
    host_key_alias = _one(found, "hostkeyalias")
    tokens.check_name("host", host)
    tokens.check_name("user", user)
    if _is_yes(found, "proxyusefdpass") and _one(found, "proxycommand"):
        raise ConfigError(
            f"the ssh config has ProxyUseFdpass for host '{alias}', which edgebench does not do. "
            "Give that host a ProxyCommand that speaks over its standard input and output, or a ProxyJump."
        )
    letters = tokens.tokens_of(
        alias=alias, host=host, port=port, user=user, host_key_alias=host_key_alias, jump=jump or ""
    )
    identities = [name for name in found.get("identityfile", IDENTITIES) if name.lower() != "none"]
    proxy_command = _one(found, "proxycommand")
    strict = (_one(found, "stricthostkeychecking") or "ask").lower()
    revoked = _one(found, "revokedhostkeys")
    return HostSettings(
        alias=alias,
        host=host,
        port=port,
        user=user,
        identity_files=(key.expanduser(),) if key else _paths(identities, letters, "IdentityFile"),
        default_identities=not key and ("identityfile" not in found or DEFAULT_IDENTITIES in found),
        identities_only=bool(key) or _is_yes(found, "identitiesonly"),
        certificate_files=_paths(found.get("certificatefile", []), letters, "CertificateFile"),
        agent=_agent(found, letters),
        offers_keys=(_one(found, "pubkeyauthentication") or "yes") not in ("no", "false"),
        jumps=tuple(hop.strip() for hop in jump.split(",")) if jump else (),
        proxy_command=tokens.expand(proxy_command, letters, "ProxyCommand") if proxy_command else None,
        known_hosts=_known_hosts(found, letters),
        known_hosts_command=tuple(shlex.split(_one(found, "knownhostscommand") or "")),
        tokens=letters,
        host_key_alias=host_key_alias,
        check_host_ip=_is_yes(found, "checkhostip"),
        revoked_host_keys=tokens.expand_path(revoked, letters, "RevokedHostKeys") if revoked else None,
        strict=_STRICT.get(strict, strict),
        algorithms=_algorithms(found),
        address_family=_one(found, "addressfamily") or "any",
        bind_address=_one(found, "bindaddress"),
        connect_s=_seconds(found, "connecttimeout"),
        ssh_command=ssh_command,
    )


def _lower(host: str) -> str:
    """As `ssh` writes a host down. The zone of an IPv6 address is a name of this machine, and stays."""
    name, percent, zone = host.partition("%")
    return name.lower() + percent + zone


def _one(found: Found, keyword: str) -> str | None:
    """The value of a keyword that has one; None for a missing one and for ``none``."""
    value = (found.get(keyword) or [""])[0]
    return None if value.lower() in ("", "none") else value


def _is_yes(found: Found, keyword: str) -> bool:
    return (_one(found, keyword) or "no").lower() in ("yes", "true")


def _number(found: Found, keyword: str, alias: str) -> int | None:
    value = _one(found, keyword)
    if value is None:
        return None
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ConfigError(
            f"the ssh config does not make sense for host '{alias}': {keyword} is {value}. Correct it."
        )
    return int(value)


def _seconds(found: Found, keyword: str) -> float | None:
    """A time such as ``90`` or ``1m30s``; None for what is none."""
    parts = re.findall(r"(\d{1,6})([smhdw]?)", _one(found, keyword) or "")
    seconds = sum(int(number) * _UNITS_S[unit] for number, unit in parts)
    return float(seconds) or None


def _paths(names: Sequence[str], letters: Mapping[str, str], keyword: str) -> tuple[Path, ...]:
    return tuple(tokens.expand_path(name, letters, keyword) for name in names)


def _agent(found: Found, letters: Mapping[str, str]) -> Path | None:
    named = (found.get("identityagent") or ["SSH_AUTH_SOCK"])[0]
    if named.lower() == "none":
        return None
    if named == "SSH_AUTH_SOCK" or (named.startswith("$") and not named.startswith("${")):
        socket = os.environ.get(named.removeprefix("$"))
        return Path(socket) if socket else None
    return tokens.expand_path(named, letters, "IdentityAgent")


def _known_hosts(found: Found, letters: Mapping[str, str]) -> tuple[Path, ...]:
    user = found.get("userknownhostsfile", USER_KNOWN_HOSTS)
    system = found.get("globalknownhostsfile", SYSTEM_KNOWN_HOSTS)
    names = [name for name in (*user, *system) if name.lower() != "none"]
    # Where $HOME is another folder than the password file's, what is known there is known too.
    ours = Path("~/.ssh/known_hosts").expanduser()
    files = [*_paths(names, letters, "UserKnownHostsFile"), *([ours] if _is_other_home(ours) else [])]
    return tuple(dict.fromkeys(files))


def _is_other_home(known_hosts: Path) -> bool:
    return known_hosts.parent.parent != tokens.home() and known_hosts.is_file()


def _algorithms(found: Found) -> Algorithms:
    def names(keyword: str) -> tuple[str, ...]:
        return tuple(name for name in (_one(found, keyword) or "").split(",") if name)

    return Algorithms(
        host_key=names("hostkeyalgorithms"),
        user_key=names("pubkeyacceptedalgorithms"),
        authority=names("casignaturealgorithms"),
        kex=names("kexalgorithms"),
        ciphers=names("ciphers"),
        macs=names("macs"),
    )


def _ssh_command(
    alias: str, *, user: str | None, port: int | None, key: Path | None, config_path: Path | None
) -> str:
    words = ["ssh", *config_options(config_path)]
    words += ["-i", str(key)] if key else []
    words += ["-p", str(port)] if port else []
    return shlex.join([*words, f"{user}@{alias}" if user else alias])
