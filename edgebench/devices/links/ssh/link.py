"""Opening a link: socket, jump hosts, key exchange, host key, authentication."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paramiko

from edgebench.devices.boards.destination import parse_destination
from edgebench.devices.links.connection import TimeLimits
from edgebench.devices.links.ssh.auth import authenticate
from edgebench.devices.links.ssh.config import HostSettings, host_settings, read_ssh_config
from edgebench.devices.links.ssh.errors import Watchdog, describe, wire_errors
from edgebench.devices.links.ssh.hostkeys import preferred_algorithms, read_known_hosts, verify_host_key
from edgebench.errors import ConfigError, ConnectionFailed

KEEPALIVE_S = 10
# A longer chain of jump hosts means that the config refers to itself.
MAX_HOPS = 8


@dataclass
class Link:
    """An authenticated transport and all that must be closed with it."""

    transport: paramiko.Transport
    settings: HostSettings
    cut: Callable[[], None]
    """Break the wire from any thread, at once and without a word to the peer."""
    outer: Link | None

    def is_up(self) -> bool:
        """Whether the link still stands; after an error on one of its channels, ask here why."""
        # When a transport fails, its channels fail a moment before it reports so itself.
        self.transport.join(0.3)
        return bool(self.transport.is_active())

    def close(self) -> None:
        """Hang up politely; never waits for a peer that is gone."""
        _hang_up(self.transport, self.cut, self.outer)


def open_link(
    alias: str,
    *,
    user: str | None = None,
    port: int | None = None,
    key: Path | None = None,
    config_path: Path | None = None,
    limits: TimeLimits,
) -> Link:
    """Open a link to a host as `ssh` would, through its jump hosts, every host key verified.

    Raises ConnectionFailed, HostKeyError, AuthRefused, ConfigError.
    """
    config = read_ssh_config(config_path)

    def settings_of(name: str, user: str | None, port: int | None, key: Path | None) -> HostSettings:
        return host_settings(config, name, user=user, port=port, key=key, config_path=config_path)

    def reach(settings: HostSettings, hops: int) -> Link:
        if hops > MAX_HOPS:
            raise ConfigError(f"more than {MAX_HOPS} jump hosts on the way: does ProxyJump go in a circle?")
        outer = None
        if settings.jumps:
            *before, last = settings.jumps
            try:
                there = parse_destination(last)
            except ValueError as error:
                raise ConfigError(f"ProxyJump of '{settings.alias}': {error}.") from error
            hop = settings_of(there.host, there.user, there.port, None)
            # The hops named before the last one are the way to it; with none, its own config says.
            outer = reach(replace(hop, jumps=tuple(before) or hop.jumps), hops + 1)
        return _open_one(settings, outer, limits)

    return reach(settings_of(alias, user, port, key), 0)


def _open_one(settings: HostSettings, outer: Link | None, limits: TimeLimits) -> Link:
    try:
        wire, cut = _wire(settings, outer, limits)
    except BaseException:
        if outer:
            outer.close()
        raise
    transport: paramiko.Transport | None = None
    try:
        with wire_errors(settings.address, "the two sides agreed on keys"):
            transport = paramiko.Transport(wire)
        _shake_hands(transport, settings, cut, limits)
        authenticate(transport, settings, auth_s=limits.auth_s)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException:
        _hang_up(transport, cut, outer)
        raise
    return Link(transport, settings, cut, outer)


def _hang_up(transport: paramiko.Transport | None, cut: Callable[[], None], outer: Link | None) -> None:
    if transport:
        with Watchdog(2.0, cut), contextlib.suppress(Exception):
            transport.close()
    # Through a jump host there is no wire of our own to break, only a channel of the outer link.
    if outer:
        outer.close()
    else:
        cut()


def _shake_hands(
    transport: paramiko.Transport, settings: HostSettings, cut: Callable[[], None], limits: TimeLimits
) -> None:
    known = read_known_hosts(settings.known_hosts)
    transport.banner_timeout = transport.handshake_timeout = limits.handshake_s
    transport.channel_timeout = limits.connect_s
    options = transport.get_security_options()
    wanted = [name for name in preferred_algorithms(known, settings.key_name) if name in options.key_types]
    options.key_types = tuple(dict.fromkeys([*wanted, *options.key_types]))
    with (
        Watchdog(limits.handshake_s, cut) as watchdog,
        wire_errors(settings.address, "the two sides agreed on keys"),
    ):
        try:
            transport.start_client(timeout=limits.handshake_s + 1)
            key = transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not watchdog.bit and "banner" not in str(error):
                raise
            raise ConnectionFailed(
                f"{settings.address} accepts connections, but did not greet as an SSH server within "
                f"{limits.handshake_s:g} s ({describe(error)}). Is that the right port, and is the "
                "board alive?"
            ) from error
    verify_host_key(settings, known, key.get_name(), key.asbytes())


def _wire(settings: HostSettings, outer: Link | None, limits: TimeLimits) -> tuple[Any, Callable[[], None]]:
    """Something with send and recv that leads to the host, and the way to break it."""
    if outer:
        with wire_errors(outer.settings.address, f"it opened the way to {settings.host}:{settings.port}"):
            channel = outer.transport.open_channel(
                "direct-tcpip", (settings.host, settings.port), ("127.0.0.1", 0), timeout=limits.connect_s
            )
        return channel, outer.cut
    if settings.proxy_command:
        return _by_command(settings.proxy_command)
    try:
        wire = socket.create_connection((settings.host, settings.port), timeout=limits.connect_s)
    except OSError as error:
        raise ConnectionFailed(_unreachable(settings, error, limits)) from error
    _guard(wire, limits)
    return wire, lambda: _break(wire)


def _unreachable(settings: HostSettings, error: OSError, limits: TimeLimits) -> str:
    where = f"{settings.host} port {settings.port}"
    if isinstance(error, socket.gaierror):
        return (
            f"the name '{settings.host}' cannot be resolved ({describe(error)}). Check its spelling, or give "
            "the address with --host user@address or HostName in your ssh config."
        )
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}. Is the board up, and its SSH server on?"
    if isinstance(error, TimeoutError):
        return (
            f"nothing answered at {where} within {limits.connect_s:g} s. Is the board up and on this network?"
        )
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


def _break(wire: socket.socket) -> None:
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        wire.close()


def _by_command(command: str) -> tuple[socket.socket, Callable[[], None]]:
    """The user's own ProxyCommand, run by a shell as OpenSSH does, speaking over a socket pair."""
    mine, its = socket.socketpair()
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}"], stdin=its.fileno(), stdout=its.fileno(), start_new_session=True
    )
    its.close()

    def cut() -> None:
        _break(mine)
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2.0)
        if process.poll() is None:
            process.kill()
            process.wait()

    return mine, cut
