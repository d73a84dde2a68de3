"""Public keys and certificates as SSH encodes them: their type, their fingerprint, the key inside."""

from __future__ import annotations

import base64
import hashlib
import re

import paramiko

CERT_NAME = "-cert-v01@openssh.com"
# How many fields of a certificate, after its nonce, are the public key (OpenSSH, PROTOCOL.certkeys).
_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
# Keys of security tokens have a longer name outside of certificates.
_PLAIN_NAMES = {name: f"{name}@openssh.com" for name in _FIELDS if name.startswith("sk-")}


def type_of(blob: bytes) -> str:
    """The name of the algorithm that a public key or certificate begins with; empty where it has none."""
    size = int.from_bytes(blob[:4], "big")
    name = blob[4 : 4 + size].decode("ascii", errors="replace")
    # RFC 4251, section 6.
    return name if re.fullmatch(r"[!-+\--~]{1,64}", name) else ""


def is_certificate(blob: bytes) -> bool:
    return type_of(blob).endswith(CERT_NAME)


def plain_key(blob: bytes) -> bytes:
    """The public key that a certificate is for; any other key as it is. Empty for a broken certificate."""
    if not is_certificate(blob):
        return blob
    try:
        certificate = paramiko.Message(blob)
        kind = certificate.get_text().removesuffix(CERT_NAME)
        certificate.get_binary()  # the nonce
        plain = paramiko.Message()
        plain.add_string(_PLAIN_NAMES.get(kind, kind))
        for _ in range(_FIELDS[kind]):
            plain.add_string(certificate.get_binary())
        return bytes(plain.asbytes())
    except (KeyError, paramiko.SSHException):
        return b""


def fingerprint(blob: bytes) -> str:
    """``SHA256:...``, as ``ssh-keygen -l`` prints it; of a certificate that of its key."""
    digest = hashlib.sha256(plain_key(blob) or blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
