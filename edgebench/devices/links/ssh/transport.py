"""paramiko's transport with the algorithms that the user's config allows, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paramiko

from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import ConfigError


class BoardTransport(paramiko.Transport):  # type: ignore[misc]
    """A transport that asks for host keys in a given order, and keeps what the host shows as it came."""

    host_key_blob: bytes = b""
    """The host's key or certificate, proven to be its own once the handshake is over."""
    host_key_algorithms: tuple[str, ...] = ()

    @property
    def possible_host_keys(self) -> tuple[str, ...]:
        """Every host key algorithm that paramiko can verify, with those of certificates."""
        return tuple(super().preferred_keys)

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self.host_key_algorithms or self.possible_host_keys

    def _verify_key(self, host_key: bytes, signature: bytes) -> None:
        super()._verify_key(host_key, signature)
        # Keys are agreed on again every now and then. Whoever answers then must be the same host.
        if self.host_key_blob and self.host_key_blob != host_key:
            raise paramiko.SSHException("the host key changed during the connection")
        self.host_key_blob = bytes(host_key)


def restrict(transport: paramiko.Transport, settings: HostSettings) -> None:
    """Keep to the algorithms of the user's config. Raises ConfigError where none of a kind is left."""
    options = transport.get_security_options()
    allowed = settings.algorithms
    options.kex = _both("KexAlgorithms", allowed.kex, options.kex, settings)
    options.ciphers = _both("Ciphers", allowed.ciphers, options.ciphers, settings)
    options.digests = _both("MACs", allowed.macs, options.digests, settings)


def _both(
    keyword: str, allowed: Sequence[str], ours: Sequence[str], settings: HostSettings
) -> tuple[Any, ...]:
    if not allowed:
        return tuple(ours)
    both = tuple(name for name in allowed if name in ours)
    if not both:
        raise ConfigError(
            f"the ssh config allows {', '.join(allowed)} as {keyword} for '{settings.alias}', none of which "
            f"edgebench has. Add one of these for that host: {', '.join(ours)}."
        )
    return both
