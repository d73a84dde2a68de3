"""Host keys: read known_hosts, accept what is in it, refuse the rest with the command that would accept.

Read here rather than by paramiko, whose reader keeps one key a type and host, and passes over
``@revoked`` and patterns. Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgebench.devices.links.ssh.config import HostSettings
from edgebench.errors import ConfigError, HostKeyError

# A key of type ssh-rsa signs with one of these; with SHA-1 it is not accepted any more.
RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class KnownKey:
    """One line of a known_hosts file."""

    patterns: str
    key_type: str
    blob: bytes
    marker: str
    file: Path

    def matches(self, name: str) -> bool:
        """Whether the line is about the host filed under ``name`` (``host`` or ``[host]:port``)."""
        if self.patterns.startswith("|1|"):
            return _hash_matches(self.patterns, name)
        wanted = False
        for pattern in self.patterns.split(","):
            # Brackets are literal here, unlike in a shell.
            plain = pattern.removeprefix("!").lower().replace("[", "[[]")
            if fnmatch.fnmatchcase(name.lower(), plain):
                if pattern.startswith("!"):
                    return False
                wanted = True
        return wanted


def _hash_matches(hashed: str, name: str) -> bool:
    try:
        _, _, salt, digest = hashed.split("|")
        made = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(made, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False


def read_known_hosts(files: Iterable[Path]) -> list[KnownKey]:
    """Every key of the files that exist; a line that makes no sense is passed over, as `ssh` does."""
    keys = []
    for file in files:
        if not file.is_file():
            continue
        try:
            text = file.read_text(errors="replace")
        except OSError as error:
            raise ConfigError(f"the known hosts file {file} cannot be read: {error.strerror}.") from error
        for line in text.splitlines():
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or words[0].startswith("#"):
                continue
            try:
                blob = base64.b64decode(words[2], validate=True)
            except binascii.Error:
                continue
            keys.append(KnownKey(words[0], words[1], blob, marker, file))
    return keys


def fingerprint(blob: bytes) -> str:
    """``SHA256:...``, as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def preferred_algorithms(known: Iterable[KnownKey], name: str) -> list[str]:
    """The host key algorithms to ask for first: those of the keys we hold for this host."""
    wanted: list[str] = []
    for key in known:
        if not key.marker and key.matches(name):
            wanted += RSA_ALGORITHMS if key.key_type == "ssh-rsa" else (key.key_type,)
    return wanted


def verify_host_key(settings: HostSettings, known: Iterable[KnownKey], key_type: str, blob: bytes) -> None:
    """Return if the key is known for this host; otherwise raise HostKeyError and never ask.

    ``StrictHostKeyChecking no`` in the user's config does not change that: a figure that nobody
    can trace to a board is worth nothing.
    """
    name = settings.key_name
    mine = [key for key in known if key.matches(name)]
    shown = f"{key_type} {fingerprint(blob)}"
    if any(key.blob == blob and key.marker == "@revoked" for key in mine):
        raise HostKeyError(
            f"{settings.address} shows the host key {shown}, which is marked @revoked in your known hosts. "
            "Do not use that key: give the board a new one."
        )
    plain = [key for key in mine if not key.marker]
    if any(key.blob == blob for key in plain):
        return
    if plain:
        old = plain[0]
        for key in plain:
            if key.key_type == key_type:
                old = key
                break
        raise HostKeyError(
            f"the host key of {settings.address} has changed: {old.file} holds {old.key_type} "
            f"{fingerprint(old.blob)}, the host shows {shown}. Somebody may be answering in its place, or "
            "the board was set up anew. If you know that it was, forget the old key with "
            f"`{shlex.join(['ssh-keygen', '-R', name, '-f', str(old.file)])}` and accept the new one with "
            f"`{settings.ssh_command}`."
        )
    raise HostKeyError(
        f"the host key of {settings.address} is not known: {shown}. Compare this fingerprint with the one on "
        f"the board (`ssh-keygen -lf /etc/ssh/ssh_host_{_short(key_type)}_key.pub` there); if they are "
        f"the same, accept it with `{settings.ssh_command}` and answer yes."
    )


def _short(key_type: str) -> str:
    return next((kind for kind in ("ed25519", "ecdsa", "rsa") if kind in key_type), "ed25519")
