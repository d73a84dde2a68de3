"""Which keys to offer, and in which order: files, certificates, and what an agent holds.

The order is that of `ssh` (sshconnect2.c, "try keys in the following order"): certificates; keys of the
agent that the config names; the other keys of the agent, unless IdentitiesOnly; keys that lie in files.
In one thing it differs: files that the config names go before the agent's other keys, so that an agent
with many keys does not use up the attempts of the server.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

from edgebench.devices.links.ssh.agent import Agent, AgentKey, open_agent
from edgebench.devices.links.ssh.blobs import fingerprint, is_certificate, plain_key, type_of
from edgebench.devices.links.ssh.errors import describe
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.text import plain

CERT_SUFFIX = "-cert.pub"
# (what is signed, algorithm) -> the signature as SSH encodes it.
Signer = Callable[[bytes, str], bytes]


@dataclass(frozen=True)
class Offer:
    """A key or a certificate, and the means to prove that it is ours."""

    name: str
    """For people."""
    blob: bytes
    sign: Signer | None
    """None where only the public half can be read."""
    locked: str = ""
    """Why there is no signer, and what to do."""

    @property
    def key_type(self) -> str:
        return type_of(self.blob)


@dataclass
class Keyring:
    """What can be offered, in order, and the files that were of no use."""

    offers: list[Offer] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    agent: Agent | None = None

    def add(self, offer: Offer) -> None:
        """Add at the end, each key once."""
        if all(offer.blob != other.blob for other in self.offers):
            self.offers.append(offer)

    def close(self) -> None:
        if self.agent:
            self.agent.close()


def gather_keys(settings: HostSettings) -> Keyring:
    """Load what can be loaded. Never raises for a key that cannot: it is named in the refusal."""
    ring = Keyring()
    if not settings.offers_keys:
        return ring
    ring.agent, why_not = open_agent(settings.agent)
    if why_not:
        ring.unusable.append(why_not)
    by_agent = {key.blob: _by_agent(ring.agent, key) for key in ring.agent.keys} if ring.agent else {}
    named: list[Offer] = []
    for path in settings.identity_files:
        if offer := _from_file(path, by_agent, ring, quiet=settings.default_identities):
            named.append(offer)
    for offer in _certificates(settings, named, by_agent, ring):
        ring.add(offer)
    blobs = {offer.blob for offer in named}
    others = [offer for blob, offer in by_agent.items() if blob not in blobs]
    first = [offer for offer in named if offer.blob in by_agent]
    files = [offer for offer in named if offer.blob not in by_agent]
    if settings.identities_only:
        others = []
    for offer in [*first, *others, *files] if settings.default_identities else [*first, *files, *others]:
        ring.add(offer)
    return ring


def _by_agent(agent: Agent, key: AgentKey) -> Offer:
    comment = f" ({plain(key.comment)})" if key.comment else ""
    kind = "certificate" if is_certificate(key.blob) else "key"
    name = f"agent {kind} {fingerprint(key.blob)}{comment}"
    return Offer(name, key.blob, lambda data, algorithm: agent.sign(key, data, algorithm))


def _from_file(path: Path, by_agent: dict[bytes, Offer], ring: Keyring, *, quiet: bool) -> Offer | None:
    """The key of an identity file, by the agent where it holds it. One of no use is noted in ``ring``."""
    public = _public_half(path)
    if public in by_agent:
        return Offer(f"{path} (by the agent)", public, by_agent[public].sign)
    if not path.is_file():
        why_not = "" if quiet else "no such file"
    elif not (why_not := _open_to_others(path)):
        if _is_locked(path):
            why_not = "locked with a passphrase; unlock it with `ssh-add`"
            if public:
                return Offer(str(path), public, None, why_not)
        else:
            try:
                key = paramiko.PKey.from_path(path)
                return Offer(str(path), key.asbytes(), key.sign_ssh_data)
            except (TypeError, ValueError, OSError, UnknownKeyType, paramiko.SSHException) as error:
                why_not = describe(error)
                if public and path.suffix == ".pub":
                    why_not = "only the public half lies there, and the agent does not hold the other"
    if why_not:
        ring.unusable.append(f"{path} ({why_not})")
    return None


def _open_to_others(path: Path) -> str:
    """Why `ssh` would not use a private key that others can read; empty where it would."""
    try:
        status = path.stat()
    except OSError:
        return ""
    if path.suffix == ".pub" or status.st_uid != os.getuid() or not status.st_mode & 0o077:
        return ""
    mode = stat.S_IMODE(status.st_mode)
    return f"its mode {mode:04o} lets others read it, so neither `ssh` nor edgebench uses it: `chmod 600` it"


def _public_half(path: Path) -> bytes:
    """The public key of an identity file: of the ``.pub`` beside it, or of the file itself; else empty."""
    for file in (path if path.suffix == ".pub" else path.with_name(path.name + ".pub"), path):
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        if blob := _blob_of_line(text) or _blob_of_openssh(text):
            return blob
    return b""


def _blob_of_line(text: str) -> bytes:
    words = text.split(None, 2)
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        return b""
    return blob if type_of(blob) == words[0] else b""


def _is_locked(path: Path) -> bool:
    """Whether a private key file needs a passphrase."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return False
    head = _head_of_openssh(text)
    return (head is not None and head.get_binary() != b"none") or "ENCRYPTED" in text


def _blob_of_openssh(text: str) -> bytes:
    """The public key in the head of a private key file, which a passphrase does not hide."""
    head = _head_of_openssh(text)
    if head is None:
        return b""
    for _ in range(3):  # cipher, key derivation and its options
        head.get_binary()
    return bytes(head.get_binary()) if head.get_int() == 1 else b""


def _head_of_openssh(text: str) -> paramiko.Message | None:
    """What follows the magic bytes of a private key file of OpenSSH (PROTOCOL.key)."""
    begin, end = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END"
    if not text.startswith(begin):
        return None
    try:
        data = base64.b64decode(text[len(begin) : text.index(end, len(begin))])
    except (ValueError, binascii.Error):
        return None
    magic = b"openssh-key-v1\0"
    return paramiko.Message(data[len(magic) :]) if data.startswith(magic) else None


def _certificates(
    settings: HostSettings, named: list[Offer], by_agent: dict[bytes, Offer], ring: Keyring
) -> list[Offer]:
    """Certificates beside the identity files and of CertificateFile, with the key that each is for."""
    beside = [path.with_name(path.name + CERT_SUFFIX) for path in settings.identity_files]
    signers = {plain_key(offer.blob): offer for offer in (*by_agent.values(), *named)}
    found = []
    for path in dict.fromkeys((*settings.certificate_files, *beside)):
        try:
            blob = _blob_of_line(path.read_text(errors="replace"))
        except OSError as error:
            if path in settings.certificate_files:
                ring.unusable.append(f"{path} ({describe(error)})")
            continue
        if not is_certificate(blob):
            ring.unusable.append(f"{path} (not a certificate)")
        elif (owner := signers.get(plain_key(blob))) is None:
            ring.unusable.append(f"{path} (no identity file and no key of the agent belongs to it)")
        else:
            found.append(Offer(f"{path} (certificate)", blob, owner.sign, owner.locked))
    return found
