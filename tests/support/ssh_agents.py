"""Agents: OpenSSH's own, and one that lists keys and refuses to sign with some of them."""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

LIST, LISTED, SIGN, FAILURE = 11, 12, 13, 5


def start_agent(socket_path: Path, *keys: Path) -> subprocess.Popen[bytes]:
    """Start ssh-agent at a socket with these keys in it."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 5
    while not socket_path.exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    if keys:
        subprocess.run(
            ["ssh-add", "-q", *map(str, keys)],
            check=True,
            capture_output=True,
            env={"SSH_AUTH_SOCK": str(socket_path), "PATH": "/usr/bin:/bin"},
        )
    return process


class RefusingAgent:
    """Stands before a real agent: lists another key first, and signs with none of that name.

    The key of a security token that was pulled out behaves so.
    """

    def __init__(self, socket_path: Path, behind: Path, refused: Path) -> None:
        words = refused.with_name(refused.name + ".pub").read_text().split()
        self._blob = base64.b64decode(words[1])
        self._behind = behind
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with wire, socket.socket(socket.AF_UNIX) as behind:
            behind.connect(str(self._behind))
            while message := _read(wire):
                if message[0] == SIGN and self._blob in message:
                    _write(wire, bytes([FAILURE]))
                    continue
                _write(behind, message)
                answer = _read(behind)
                if message[0] == LIST and answer[0] == LISTED:
                    (count,) = struct.unpack(">I", answer[1:5])
                    mine = struct.pack(">I", len(self._blob)) + self._blob + struct.pack(">I", 7) + b"removed"
                    answer = bytes([LISTED]) + struct.pack(">I", count + 1) + mine + answer[5:]
                _write(wire, answer)

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _read(wire: socket.socket) -> bytes:
    head = wire.recv(4, socket.MSG_WAITALL)
    return wire.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""


def _write(wire: socket.socket, message: bytes) -> None:
    wire.sendall(struct.pack(">I", len(message)) + message)
