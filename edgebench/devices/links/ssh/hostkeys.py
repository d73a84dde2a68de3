"""Host keys: read what is known, accept what is in it, refuse the rest with the command that would accept.

Read here rather than by paramiko, whose reader keeps one key a type and host, and passes over markers
and patterns. Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Rules: sshconnect.c of OpenSSH.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from edgebench.devices.links.ssh.blobs import CERT_NAME, is_certificate, plain_key, type_of
from edgebench.devices.links.ssh.certificates import authority_of, why_not_for_host
from edgebench.devices.links.ssh.distrust import changed, revoked, unknown
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import ConfigError

# A key of type ssh-rsa signs with one of these; with SHA-1 it is not accepted any more.
RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")
AUTHORITY, REVOKED = "@cert-authority", "@revoked"


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
    keys: list[KnownKey] = []
    for file in files:
        if not file.is_file():
            continue
        try:
            text = file.read_text(errors="replace")
        except OSError as error:
            raise ConfigError(f"the known hosts file {file} cannot be read: {error.strerror}.") from error
        keys += parse_known_hosts(text, file)
    return keys


def parse_known_hosts(text: str, file: Path) -> list[KnownKey]:
    """The lines of one file, or of what a KnownHostsCommand prints."""
    keys = []
    for line in text.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#"):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except ValueError:  # of binascii, or because it is not ASCII
            continue
        keys.append(KnownKey(words[0], words[1], blob, marker, file))
    return keys


def preferred_algorithms(
    known: Iterable[KnownKey], settings: HostSettings, possible: Sequence[str]
) -> tuple[str, ...]:
    """The host key algorithms to ask for, best first: those of keys that we hold for this host come first.

    ``possible``: what the transport can do. Certificates are asked for where an authority is known for
    the host. The order of the user's config is kept otherwise.
    """
    wanted: list[str] = []
    authority = False
    names = _names(settings)
    for key in known:
        if any(key.matches(name) for name in names):
            authority = authority or key.marker == AUTHORITY
            if not key.marker:
                wanted += RSA_ALGORITHMS if key.key_type == "ssh-rsa" else (key.key_type,)
    order = [name for name in settings.algorithms.host_key or possible if name in possible]
    certificates = [name for name in order if name.endswith(CERT_NAME)] if authority else []
    plain = [name for name in order if not name.endswith(CERT_NAME)]
    return tuple(dict.fromkeys([*certificates, *(name for name in plain if name in wanted), *plain]))


def verify_host_key(settings: HostSettings, known: Sequence[KnownKey], blob: bytes, peer: str | None) -> None:
    """Return if the key or certificate is known for this host; otherwise raise HostKeyError and never ask.

    ``peer`` is the address that answered, for CheckHostIP; None where a proxy stands between.
    ``StrictHostKeyChecking no`` in the user's config does not change that: a figure that nobody
    can trace to a board is worth nothing.
    """
    lines = [key for key in known if any(key.matches(name) for name in _names(settings))]
    bad = {key.blob for key in lines if key.marker == REVOKED}
    if {blob, plain_key(blob), authority_of(blob)} & bad:
        raise revoked(settings, blob)
    remark = ""
    if is_certificate(blob):
        remark = _why_not_by_certificate(settings, lines, blob)
        if not remark:
            return
        # `ssh` goes on with the key inside, and so do we.
    key = plain_key(blob)
    mine = [line for line in known if not line.marker and line.matches(settings.key_name)]
    if any(line.blob == key for line in mine):
        _check_address(settings, known, key, peer)
        return
    if mine:
        same_type = [line for line in mine if line.key_type == type_of(key)]
        old = (same_type or mine)[0]
        raise changed(settings, blob, old_blob=old.blob, name=settings.key_name, file=old.file)
    # A host that is known by its name alone is known on another port too, if it shows that key.
    if any(not line.marker and line.blob == key for line in lines):
        return
    others = [line.file for line in lines if not line.marker]
    raise unknown(settings, blob, remark=remark, other_key=others[0] if others else None)


def _names(settings: HostSettings) -> tuple[str, ...]:
    """What lines about this host may be filed under: with its port, and without."""
    return (settings.key_name,) if settings.host_key_alias else (settings.key_name, settings.host)


def _why_not_by_certificate(settings: HostSettings, lines: Sequence[KnownKey], blob: bytes) -> str:
    """Why a certificate does not make the host known; empty where it does."""
    authority = authority_of(blob)
    if not any(line.marker == AUTHORITY and line.blob == authority for line in lines):
        return "its authority is not a @cert-authority for this host in your known hosts"
    name = settings.host_key_alias or settings.host.lower()
    return why_not_for_host(blob, name, settings.algorithms.authority)


def _check_address(settings: HostSettings, known: Iterable[KnownKey], key: bytes, peer: str | None) -> None:
    """CheckHostIP: where the address is known too, it is known by the same key."""
    if not settings.check_host_ip or peer is None or ip_address(peer.partition("%")[0]).is_loopback:
        return
    name = peer if settings.port == 22 else f"[{peer}]:{settings.port}"
    lines = [line for line in known if not line.marker and line.matches(name)]
    if lines and all(line.blob != key for line in lines):
        raise changed(settings, key, old_blob=lines[0].blob, name=name, file=lines[0].file)
