"""Host certificates: may this one speak for that host? (OpenSSH, PROTOCOL.certkeys)"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence

import paramiko
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from edgebench.devices.links.ssh.blobs import type_of
from edgebench.text import plain

# CASignatureAlgorithms of OpenSSH 8.2 and later, without those of security keys.
AUTHORITY_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


def authority_of(blob: bytes) -> bytes:
    """The public key that signed a certificate; empty where that cannot be read."""
    found = _read(blob)
    return found[1] if found else b""


def why_not_for_host(blob: bytes, name: str, algorithms: Sequence[str], now_s: float | None = None) -> str:
    """Why a certificate does not speak for the host ``name``, in a few words; empty where it does.

    That its authority is trusted for that host is the caller's to know. ``algorithms`` are those that an
    authority may sign with. ``now_s``: seconds since 1970; by default the clock of this machine.
    """
    found = _read(blob)
    if found is None:
        return "it cannot be read"
    certificate, authority = found
    signed_by = _signature_type(blob, authority)
    reasons = (
        (certificate.type != SSHCertificateType.HOST, "it is a user's certificate"),
        *_dates_and_names(certificate, name, time.time() if now_s is None else now_s),
        (bool(certificate.critical_options), "it has options that nobody here knows"),
        (
            signed_by not in (algorithms or AUTHORITY_ALGORITHMS),
            f"its authority signs with {signed_by}, which is not allowed",
        ),
        (not _is_signed(certificate), "the signature of its authority is wrong"),
    )
    return _first(reasons)


def why_not_for_user(blob: bytes, user: str) -> str:
    """What may be why a server refused a user's certificate; empty where nothing can be seen from here."""
    found = _read(blob)
    if found is None:
        return "it cannot be read"
    certificate, _ = found
    reasons = (
        (certificate.type != SSHCertificateType.USER, "it is a host's certificate"),
        *_dates_and_names(certificate, user, time.time()),
    )
    return _first(reasons)


Reasons = Iterable[tuple[bool, str]]


def _dates_and_names(certificate: SSHCertificate, name: str, now_s: float) -> Reasons:
    principals = [one.decode(errors="replace") for one in certificate.valid_principals]
    yield now_s < certificate.valid_after, f"it is valid only from {_date(certificate.valid_after)}"
    yield now_s >= certificate.valid_before, f"it was valid until {_date(certificate.valid_before)}"
    # As in OpenSSH: a host's certificate that names none is for every host of its authority.
    yield bool(principals) and name not in principals, f"it is for {', '.join(principals)}, not for {name}"


def _first(reasons: Reasons) -> str:
    return next((plain(why) for holds, why in reasons if holds), "")


def _is_signed(certificate: SSHCertificate) -> bool:
    try:
        certificate.verify_cert_signature()
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _read(blob: bytes) -> tuple[SSHCertificate, bytes] | None:
    """A certificate and the public key of its authority; None for anything else, whatever it is."""
    line = type_of(blob).encode() + b" " + base64.b64encode(blob)
    try:
        found = load_ssh_public_identity(line)
        if not isinstance(found, SSHCertificate):
            return None
        authority = found.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found, base64.b64decode(authority.split()[1])


def _signature_type(blob: bytes, authority: bytes) -> str:
    """The algorithm of the authority's signature, which is the last field, after the authority's key."""
    _, _, rest = blob.rpartition(len(authority).to_bytes(4, "big") + authority)
    return type_of(paramiko.Message(rest).get_binary())


def _date(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "the end of time"
