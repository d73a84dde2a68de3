"""The bytes below SSH: a TCP connection, or the program of a ProxyCommand."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable

from edgebench.devices.links.connection import TimeLimits
from edgebench.devices.links.ssh.errors import describe
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import ConnectionFailed

KEEPALIVE_S = 10
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


def connect_tcp(settings: HostSettings, limits: TimeLimits) -> socket.socket:
    """Connect to the first address of the host that answers. Raises ConnectionFailed."""
    limit_s = settings.connect_s or limits.connect_s
    family = _FAMILIES.get(settings.address_family, socket.AF_UNSPEC)
    failed: OSError = TimeoutError()
    try:
        for kind, _, _, _, address in socket.getaddrinfo(
            settings.host, settings.port, family, socket.SOCK_STREAM
        ):
            wire = socket.socket(kind, socket.SOCK_STREAM)
            try:
                wire.settimeout(limit_s)
                if settings.bind_address:
                    wire.bind((settings.bind_address, 0))
                wire.connect(address)
            except OSError as error:
                wire.close()
                failed = error
                continue
            wire.settimeout(None)
            _guard(wire, limits)
            return wire
    except (OSError, UnicodeError) as error:
        failed = error if isinstance(error, OSError) else socket.gaierror(str(error))
    raise ConnectionFailed(_unreachable(settings, failed, limit_s)) from failed


def _unreachable(settings: HostSettings, error: OSError, limit_s: float) -> str:
    where = f"{settings.host} port {settings.port}"
    if isinstance(error, socket.gaierror):
        return (
            f"the name '{settings.host}' cannot be resolved ({describe(error)}). Check its spelling, or give "
            "the address with --host user@address or HostName in your ssh config."
        )
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}. Is the board up, and its SSH server on?"
    if isinstance(error, TimeoutError):
        return f"nothing answered at {where} within {limit_s:g} s. Is the board up and on this network?"
    return f"{where} cannot be reached: {describe(error)}. Is the board up and on this network?"


def _guard(wire: socket.socket, limits: TimeLimits) -> None:
    """Make the kernel notice a dead peer: paramiko's own keepalive never does."""
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_S),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", int(limits.dead_peer_s * 1000)),
    ):
        if hasattr(socket, option):  # Linux has all four
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def break_off(wire: socket.socket) -> None:
    """End a connection at once, whoever waits for it."""
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        wire.close()


def run_proxy(command: str) -> tuple[socket.socket, Callable[[], None]]:
    """The user's own ProxyCommand, run by the user's shell as OpenSSH does, and the way to end it.

    It speaks over a socket pair. Its tokens have been replaced by names that `tokens.check_name` passed.
    """
    mine, its = socket.socketpair()
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        process = subprocess.Popen(
            [shell, "-c", f"exec {command}"], stdin=its.fileno(), stdout=its.fileno(), start_new_session=True
        )
    except OSError as error:
        mine.close()
        raise ConnectionFailed(
            f"ProxyCommand cannot be run by {shell}: {describe(error)}. Check $SHELL."
        ) from error
    finally:
        its.close()

    def cut() -> None:
        break_off(mine)
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2.0)
        if process.poll() is None:
            process.kill()
            process.wait()

    return mine, cut
