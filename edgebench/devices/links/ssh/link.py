"""Opening a link: the way there, key exchange, host key, sign-in; and the channels of a link."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paramiko

from edgebench.devices.boards.destination import parse_destination
from edgebench.devices.links.connection import TimeLimits
from edgebench.devices.links.ssh.auth import authenticate
from edgebench.devices.links.ssh.config import host_settings
from edgebench.devices.links.ssh.errors import Watchdog, describe, wire_errors
from edgebench.devices.links.ssh.hostkeys import preferred_algorithms, read_known_hosts, verify_host_key
from edgebench.devices.links.ssh.known import keys_by_command, refuse_revoked
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.devices.links.ssh.transport import BoardTransport, restrict
from edgebench.devices.links.ssh.wire import KEEPALIVE_S, break_off, connect_tcp, run_proxy
from edgebench.errors import ConfigError, ConnectionFailed

# A longer chain of jump hosts means that the config refers to itself.
MAX_HOPS = 8
# A server that gives one channel at a time may need a moment to be done with the one before.
CHANNEL_AGAIN_S = 0.2
# How long a server may take to close its side of a channel.
CLOSE_S = 0.5


@dataclass
class Link:
    """An authenticated transport and all that must be closed with it."""

    transport: paramiko.Transport
    settings: HostSettings
    cut: Callable[[], None]
    """Break the wire from any thread, at once and without a word to the peer."""
    outer: Link | None
    again: Callable[[], Link]
    """Open another link to the same host."""
    _open: int = 0
    """Channels that are open here."""
    _spare: Link | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_up(self) -> bool:
        """Whether the link still stands; after an error on one of its channels, ask here why."""
        # When a transport fails, its channels fail a moment before it reports so itself.
        self.transport.join(0.3)
        return bool(self.transport.is_active())

    def start(
        self, request: Callable[[paramiko.Channel], None], limit_s: float
    ) -> tuple[Link, paramiko.Channel]:
        """A channel on which ``request`` was granted, and the link that it is on.

        That is another link where the server gives each one channel. A server that gives none, or closes it
        again (dropbear, while it is busy with the one before), is asked again: nothing runs on it before
        `RemoteCommand` sends its program. Hand the channel back with `end`.

        Raises ConnectionFailed where the server gives none, and what ``request`` and the wire raise.
        """
        deadline_s = time.monotonic() + limit_s
        while True:
            channel = None
            try:
                channel = self.transport.open_session(timeout=max(0.1, deadline_s - time.monotonic()))
                request(channel)
            except paramiko.SSHException as error:
                if not _is_refusal(error, channel) or not self.is_up():
                    raise
                if spare := self._another(error):
                    return spare.start(request, limit_s)
                if time.monotonic() > deadline_s:
                    raise ConnectionFailed(
                        f"{self.settings.address} lets us in, but runs no command ({_words(error)}): it "
                        f"gave no session within {limit_s:g} s. Allow one there (MaxSessions in sshd_config)."
                    ) from error
                time.sleep(CHANNEL_AGAIN_S)
                continue
            with self._lock:
                self._open += 1
            return self, channel

    def _another(self, error: paramiko.SSHException) -> Link | None:
        """A second link, where a channel of this one is open and the server refused another."""
        with self._lock:
            if not self._open or not isinstance(error, paramiko.ChannelException):
                return None
            if self._spare is None or not self._spare.transport.is_active():
                self._spare = self.again()
            return self._spare

    def end(self, channel: paramiko.Channel) -> None:
        """Close a channel of `start`: first our side, then all of it once the server has closed its own."""
        with self._lock:
            self._open -= 1
        channel.shutdown_write()
        deadline_s = time.monotonic() + CLOSE_S
        while not channel.closed and time.monotonic() < deadline_s:
            time.sleep(0.005)
        channel.close()

    def close(self) -> None:
        """Hang up politely; never waits for a peer that is gone."""
        if self._spare:
            self._spare.close()
        _hang_up(self.transport, self.cut, self.outer)


def _is_refusal(error: paramiko.SSHException, channel: paramiko.Channel | None) -> bool:
    """Whether the server gave no channel, or one that it closed at once."""
    if channel is not None:
        return bool(channel.closed)
    return isinstance(error, paramiko.ChannelException) or "Unable to open" in str(error)


def _words(error: paramiko.SSHException) -> str:
    return error.text if isinstance(error, paramiko.ChannelException) else describe(error)


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
            hop = host_settings(there.host, user=there.user, port=there.port, config_path=config_path)
            # The hops named before the last one are the way to it; with none, its own config says.
            outer = reach(replace(hop, jumps=tuple(before) or hop.jumps), hops + 1)
        return _open_one(settings, outer, limits, again=lambda: reach(settings, hops))

    return reach(host_settings(alias, user=user, port=port, key=key, config_path=config_path), 0)


def _open_one(
    settings: HostSettings, outer: Link | None, limits: TimeLimits, *, again: Callable[[], Link]
) -> Link:
    try:
        wire, cut, peer = _way_to(settings, outer, limits)
    except BaseException:
        if outer:
            outer.close()
        raise
    transport: BoardTransport | None = None
    try:
        with wire_errors(settings.address, "the two sides agreed on keys"):
            transport = BoardTransport(wire)
        _shake_hands(transport, settings, cut, peer, limits)
        with wire_errors(settings.address, "the sign-in was tried"):
            authenticate(transport, settings, auth_s=limits.auth_s)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException:
        _hang_up(transport, cut, outer)
        raise
    return Link(transport, settings, cut, outer, again)


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
    transport: BoardTransport,
    settings: HostSettings,
    cut: Callable[[], None],
    peer: str | None,
    limits: TimeLimits,
) -> None:
    """Agree on keys and verify the host's. ``peer`` is the address that answers, where it is known."""
    known = read_known_hosts(settings.known_hosts)
    transport.banner_timeout = transport.handshake_timeout = limits.handshake_s
    transport.channel_timeout = limits.connect_s
    restrict(transport, settings)
    transport.host_key_algorithms = preferred_algorithms(
        [*known, *keys_by_command(settings, "ORDER")], settings, transport.possible_host_keys
    )
    with (
        Watchdog(limits.handshake_s, cut) as watchdog,
        wire_errors(settings.address, "the two sides agreed on keys"),
    ):
        try:
            transport.start_client(timeout=limits.handshake_s + 1)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not watchdog.bit and "banner" not in str(error):
                raise
            raise ConnectionFailed(
                f"{settings.address} accepts connections, but did not greet as an SSH server within "
                f"{limits.handshake_s:g} s ({describe(error)}). Is that the right port, and is the "
                "board alive?"
            ) from error
    blob = transport.host_key_blob
    refuse_revoked(settings, blob)
    verify_host_key(settings, [*known, *keys_by_command(settings, "HOSTNAME", blob)], blob, peer)


def _way_to(
    settings: HostSettings, outer: Link | None, limits: TimeLimits
) -> tuple[Any, Callable[[], None], str | None]:
    """Something with send and recv that leads to the host, the way to break it, and the address if known."""
    if outer:
        with wire_errors(outer.settings.address, f"it opened the way to {settings.host}:{settings.port}"):
            channel = outer.transport.open_channel(
                "direct-tcpip", (settings.host, settings.port), ("127.0.0.1", 0), timeout=limits.connect_s
            )
        return channel, outer.cut, None
    if settings.proxy_command:
        return (*run_proxy(settings.proxy_command), None)
    wire = connect_tcp(settings, limits)
    return wire, lambda: break_off(wire), str(wire.getpeername()[0])
