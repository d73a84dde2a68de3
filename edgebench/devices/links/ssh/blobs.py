"""Public keys and certificates as SSH encodes them: their type, their fingerprint, the key inside."""

from __future__ import annotations

import base64
import hashlib

import paramiko
from paramiko.pkey import UnknownKeyType

CERT_NAME = "-cert-v01@openssh.com"


def type_of(blob: bytes) -> str:
    """The name of the algorithm that a public key or certificate begins with; empty where it has none."""
    try:
        return str(paramiko.Message(blob).get_text())
    except (UnicodeDecodeError, paramiko.SSHException):
        return ""


def is_certificate(blob: bytes) -> bool:
    return type_of(blob).endswith(CERT_NAME)


def plain_key(blob: bytes) -> bytes:
    """The public key that a certificate is for; any other key as it is. Empty for a broken certificate."""
    if not is_certificate(blob):
        return blob
    try:
        return bytes(paramiko.PKey.from_type_string(type_of(blob), blob).asbytes())
    except (ValueError, UnknownKeyType, paramiko.SSHException):
        return b""


def fingerprint(blob: bytes) -> str:
    """``SHA256:...``, as ``ssh-keygen -l`` prints it; of a certificate that of its key."""
    digest = hashlib.sha256(plain_key(blob) or blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
