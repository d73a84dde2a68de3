"""One host, with everything needed to open a connection to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Algorithms:
    """What the user's config allows, best first; empty where it says nothing."""

    host_key: tuple[str, ...] = ()
    user_key: tuple[str, ...] = ()
    """PubkeyAcceptedAlgorithms."""
    authority: tuple[str, ...] = ()
    """CASignatureAlgorithms."""
    kex: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostSettings:
    """What the ssh config and the caller say of one host. The comments name the keywords of ssh_config(5)."""

    alias: str
    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    default_identities: bool
    """The identity files are OpenSSH's defaults: a missing one is no news."""
    identities_only: bool
    known_hosts: tuple[Path, ...]
    """The first is where `ssh` writes a key that the user accepts."""
    ssh_command: str
    """The OpenSSH command that reaches the same host, for messages."""
    certificate_files: tuple[Path, ...] = ()
    agent: Path | None = None
    """The socket of the agent (IdentityAgent, else $SSH_AUTH_SOCK); None where it is not to be asked."""
    offers_keys: bool = True
    """PubkeyAuthentication."""
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    """With its tokens replaced."""
    host_key_alias: str | None = None
    check_host_ip: bool = False
    revoked_host_keys: Path | None = None
    known_hosts_command: tuple[str, ...] = ()
    tokens: Mapping[str, str] = field(default_factory=dict)
    """What the letters of ssh_config(5), TOKENS, stand for."""
    strict: str = "ask"
    """StrictHostKeyChecking, as the config has it; edgebench is strict whatever it says."""
    algorithms: Algorithms = field(default_factory=Algorithms)
    address_family: str = "any"
    """``any``, ``inet`` or ``inet6``."""
    bind_address: str | None = None
    connect_s: float | None = None
    """ConnectTimeout."""

    @property
    def key_name(self) -> str:
        """The name the host key is filed under: HostKeyAlias, ``host``, or ``[host]:port``."""
        if self.host_key_alias:
            return self.host_key_alias
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"
