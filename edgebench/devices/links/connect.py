"""From a target to a connection."""

from __future__ import annotations

from edgebench.devices.boards.resolve import Target
from edgebench.devices.links.connection import Connection, TimeLimits
from edgebench.devices.links.local import LocalConnection


def connect(target: Target, *, limits: TimeLimits | None = None) -> Connection:
    """Connect to a board.

    Raises ConnectionFailed, HostKeyError, AuthRefused, ConfigError.
    """
    if target.is_local:
        return LocalConnection()
    from edgebench.devices.links.ssh.connection import SshConnection  # noqa: PLC0415  (paramiko takes 0.2 s to import)

    assert target.host is not None
    return SshConnection.open(
        target.host,
        user=target.user,
        port=target.port,
        key=target.key,
        config_path=target.ssh_config,
        limits=limits,
    )
