"""The keys of an SSH agent at a given socket."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import paramiko
from paramiko.agent import AgentSSH

# An agent answers a list at once. A signature may wait for somebody to confirm it.
LIST_S = 10.0
SIGN_S = 60.0
# What an agent may say at most; OpenSSH takes as much.
ANSWER_BYTES = 256 * 1024


class SocketAgent(AgentSSH):  # type: ignore[misc]
    """paramiko's agent, at a socket that is named rather than taken from $SSH_AUTH_SOCK."""

    def __init__(self, path: Path) -> None:
        """Connect and list the keys. Raises OSError, paramiko.SSHException, struct.error, EOFError."""
        super().__init__()
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            wire.settimeout(LIST_S)
            wire.connect(str(path))
            self._connect(wire)
            wire.settimeout(SIGN_S)
        except BaseException:
            wire.close()
            raise

    def _read_all(self, wanted: int) -> bytes:
        if wanted > ANSWER_BYTES:
            raise paramiko.SSHException("the agent says too much")
        return bytes(super()._read_all(wanted))

    def close(self) -> None:
        self._close()


def open_agent(path: Path | None) -> tuple[SocketAgent | None, str]:
    """The agent, or None and why there is none; the reason is empty where none was named."""
    if path is None:
        return None, ""
    try:
        return SocketAgent(path), ""
    except (OSError, EOFError, ValueError, struct.error, paramiko.SSHException) as error:
        words = str(getattr(error, "strerror", None) or error) or type(error).__name__
        return None, f"the agent at {path} ({words})"
