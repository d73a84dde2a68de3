"""The connection to a board over SSH, by paramiko."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import paramiko

from edgebench.devices.links.bounded import LINE_BYTES, OUTPUT_BYTES
from edgebench.devices.links.connection import ByteProgress, ExecResult, TimeLimits
from edgebench.devices.links.fetch import fetch
from edgebench.devices.links.ssh.command import SshStream, cat_file, run_command
from edgebench.devices.links.ssh.errors import FOREIGN, Watchdog, describe, wire_errors
from edgebench.devices.links.ssh.link import Link, open_link
from edgebench.errors import ConnectionFailed, DeviceError

# The largest SFTP write every server takes (draft-ietf-secsh-filexfer-02, section 3).
SFTP_BYTES = 32768


class SshConnection:
    """A board over SSH. Make one with `SshConnection.open`."""

    is_local = False

    def __init__(self, link: Link, limits: TimeLimits) -> None:
        self._link, self._limits = link, limits
        self._has_sftp = True

    @classmethod
    def open(
        cls,
        host: str,
        *,
        user: str | None = None,
        port: int | None = None,
        key: Path | None = None,
        config_path: Path | None = None,
        limits: TimeLimits | None = None,
    ) -> SshConnection:
        """Connect to ``host``, a name of the ssh config or an address.

        Raises ConnectionFailed, HostKeyError, AuthRefused, ConfigError.
        """
        limits = limits or TimeLimits()
        link = open_link(host, user=user, port=port, key=key, config_path=config_path, limits=limits)
        return cls(link, limits)

    @property
    def address(self) -> str:
        return self._link.settings.address

    def exec(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes | None = None,
        limit_bytes: int = OUTPUT_BYTES,
    ) -> ExecResult:
        return run_command(
            self._link,
            argv,
            timeout_s=timeout_s,
            stdin=stdin,
            open_s=self._limits.connect_s,
            limit_bytes=limit_bytes,
        )

    def stream(
        self, argv: Sequence[str], *, idle_timeout_s: float, limit_bytes: int = LINE_BYTES
    ) -> SshStream:
        return SshStream(
            self._link,
            argv,
            idle_timeout_s=idle_timeout_s,
            limit_bytes=limit_bytes,
            open_s=self._limits.connect_s,
        )

    def put(self, source: Path, target: str, *, progress: ByteProgress | None = None) -> None:
        if not source.is_file():
            raise DeviceError(f"cannot send {source}: there is no such file.")
        limits = self._limits
        if self._has_sftp:
            with wire_errors(self.address, "a copy was started"):
                link, channel = self._link.start(lambda channel: None, limits.connect_s)
            try:
                with Watchdog(limits.stall_s, link.cut) as watchdog:
                    sftp = self._start_sftp(link, channel)
                    if sftp is not None:
                        self._put_sftp(link, sftp, source, target, watchdog=watchdog, progress=progress)
                        return
            finally:
                # Closing on a link that is down raises too, and would hide why the copy failed.
                with Watchdog(2.0, link.cut), contextlib.suppress(*FOREIGN):
                    link.end(channel)
        cat_file(
            self._link, source, target, stall_s=limits.stall_s, open_s=limits.connect_s, progress=progress
        )

    def _start_sftp(self, link: Link, channel: paramiko.Channel) -> paramiko.SFTPClient | None:
        """None where the server has no SFTP; the next copy does not ask again."""
        with wire_errors(self.address, "a copy was started"):
            try:
                channel.settimeout(self._limits.stall_s)
                channel.invoke_subsystem("sftp")
                return paramiko.SFTPClient(channel)
            except TimeoutError:
                raise
            except FOREIGN:
                # Refused, or what answered is not SFTP. A link that is down is raised instead.
                if not link.is_up():
                    raise
                self._has_sftp = False
                return None

    def _put_sftp(
        self,
        link: Link,
        sftp: paramiko.SFTPClient,
        source: Path,
        target: str,
        *,
        watchdog: Watchdog,
        progress: ByteProgress | None,
    ) -> None:
        try:
            with source.open("rb") as reader, sftp.open(target, "wb") as writer:
                # Without waiting for the answer to each piece; closing collects them.
                writer.set_pipelined(True)
                while piece := reader.read(SFTP_BYTES):
                    writer.write(piece)
                    watchdog.feed()
                    if progress:
                        progress(len(piece))
        except FOREIGN as error:
            if watchdog.bit or not link.is_up() or not isinstance(error, OSError):
                why = f"no byte moved for {self._limits.stall_s:g} s" if watchdog.bit else describe(error)
                raise ConnectionFailed(
                    f"{self.address}: the link failed while {source.name} was sent "
                    f"({why}). Check the board, then try again: what has arrived whole is not sent twice."
                ) from error
            raise DeviceError(f"{self.address}: {target} cannot be written: {describe(error)}.") from error

    def fetch(self, source: str, target: Path, *, size_bytes: int, sha256: str) -> None:
        fetch(self, source, target, size_bytes=size_bytes, sha256=sha256)

    def close(self) -> None:
        self._link.close()
