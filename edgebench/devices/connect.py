"""From a target to a connection."""

from __future__ import annotations

from edgebench.devices.connection import Connection, TimeLimits
from edgebench.devices.local import LocalConnection
from edgebench.devices.resolve import Target


def connect(target: Target, *, limits: TimeLimits | None = None) -> Connection:
    """Connect to a board.

    Raises ConnectionFailed, HostKeyError, AuthRefused, ConfigError.
    """
    if target.is_local:
        return LocalConnection()
    from edgebench.devices.ssh import SshConnection  # noqa: PLC0415  (paramiko takes 0.2 s to import)

    assert target.host is not None
    return SshConnection.open(
        target.host,
        user=target.user,
        port=target.port,
        key=target.key,
        config_path=target.ssh_config,
        limits=limits,
    )
