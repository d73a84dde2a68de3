"""From a device to a connection."""

from __future__ import annotations

from edgebench.devices.boards.resolve import Device
from edgebench.devices.links.connection import Connection, TimeLimits
from edgebench.devices.links.local import LocalConnection


def connect(device: Device, *, limits: TimeLimits | None = None) -> Connection:
    """Connect to a board. ``limits``: instead of the device's own.

    Raises ConnectionFailed, HostKeyError, AuthRefused, ConfigError.
    """
    if device.is_local:
        return LocalConnection()
    from edgebench.devices.links.ssh.connection import SshConnection  # noqa: PLC0415  (paramiko takes 0.2 s to import)

    assert device.host is not None
    return SshConnection.open(
        device.host,
        user=device.user,
        port=device.port,
        key=device.key,
        config_path=device.ssh_config,
        limits=limits or device.limits,
    )
