"""The keys of an SSH agent (draft-ietf-sshm-ssh-agent). paramiko asks only the one of $SSH_AUTH_SOCK."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from edgebench.devices.links.ssh.blobs import plain_key

# An agent lists its keys at once. A signature may wait for somebody to confirm it.
LIST_S = 10.0
SIGN_S = 60.0
# What OpenSSH takes from an agent at most.
ANSWER_BYTES = 256 * 1024
KEYS = 2048

_LIST, _LISTED, _SIGN, _SIGNED = 11, 12, 13, 14
# A key of type ssh-rsa signs with SHA-1 unless it is told otherwise.
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class AgentError(Exception):
    """The agent refuses, or what answers is none."""


@dataclass(frozen=True)
class AgentKey:
    """A key or a certificate that the agent can sign with."""

    blob: bytes
    comment: str


class Agent:
    """A connection to an agent. The methods raise AgentError and OSError."""

    def __init__(self, path: Path) -> None:
        """Connect, and list the keys."""
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._wire.settimeout(LIST_S)
            self._wire.connect(str(path))
            self.keys = self._list()
        except BaseException:
            self.close()
            raise
        self._wire.settimeout(SIGN_S)

    def sign(self, key: AgentKey, data: bytes, algorithm: str) -> bytes:
        """The signature, as SSH encodes it."""
        # Older agents sign for an RSA certificate with SHA-1; the plain key beside it is the same key.
        blobs = {plain_key(key.blob), key.blob} & {held.blob for held in self.keys}
        blob = plain_key(key.blob) if plain_key(key.blob) in blobs else key.blob
        flags = next((flag for name, flag in _FLAGS.items() if algorithm.startswith(name)), 0)
        answer = self._ask(bytes([_SIGN]) + _string(blob) + _string(data) + struct.pack(">I", flags))
        if answer[:1] != bytes([_SIGNED]):
            raise AgentError("the agent refused to sign")
        return _Reader(answer[1:]).string()

    def close(self) -> None:
        self._wire.close()

    def _list(self) -> tuple[AgentKey, ...]:
        answer = self._ask(bytes([_LIST]))
        if answer[:1] != bytes([_LISTED]):
            raise AgentError("it does not list its keys")
        reader = _Reader(answer[1:])
        count = reader.number()
        if count > KEYS:
            raise AgentError(f"it says that it has {count} keys")
        return tuple(
            AgentKey(reader.string(), reader.string().decode(errors="replace")) for _ in range(count)
        )

    def _ask(self, message: bytes) -> bytes:
        self._wire.sendall(_string(message))
        (size,) = struct.unpack(">I", self._read(4))
        if size > ANSWER_BYTES:
            raise AgentError("it says too much")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._wire.recv(size - len(data))
            if not piece:
                raise AgentError("it hung up")
            data += piece
        return bytes(data)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def string(self) -> bytes:
        return self._take(self.number())

    def _take(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        if len(taken) < size:
            raise AgentError("its answer is cut short")
        return taken


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def open_agent(path: Path | None) -> tuple[Agent | None, str]:
    """The agent, or None and why there is none; the reason is empty where none was named."""
    if path is None:
        return None, ""
    try:
        return Agent(path), ""
    except (OSError, AgentError, ValueError) as error:
        return None, f"the agent at {path} ({getattr(error, 'strerror', None) or error})"
