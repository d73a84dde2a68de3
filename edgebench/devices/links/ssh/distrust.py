"""What to say when a host key is not accepted: what was shown, what is known, and the command that helps."""

from __future__ import annotations

import base64
import shlex
from pathlib import Path

from edgebench.devices.links.ssh.blobs import fingerprint, is_certificate, plain_key, type_of
from edgebench.devices.links.ssh.openssh import find_client
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import HostKeyError
from edgebench.text import plain


def revoked(settings: HostSettings, blob: bytes, file: Path | None = None) -> HostKeyError:
    """The key, or the authority of its certificate, is on a list of keys not to be trusted."""
    where = f"listed in {file} (RevokedHostKeys)" if file else "marked @revoked in your known hosts"
    return HostKeyError(
        f"{settings.address} shows the host key {_shown(blob)}, which is {where}. "
        "Do not use that key: give the board a new one."
    )


def changed(settings: HostSettings, blob: bytes, *, old_blob: bytes, name: str, file: Path) -> HostKeyError:
    """Another key is known under ``name``, in ``file``."""
    forget = shlex.join(["ssh-keygen", "-R", name, "-f", str(file)])
    return HostKeyError(
        f"the host key of {settings.address} has changed: {file} holds {type_of(old_blob)} "
        f"{fingerprint(old_blob)} for {name}, the host shows {_shown(blob)}. Somebody may be answering in "
        "its place, or the board was set up anew. If you know that it was, forget the old key with "
        f"`{forget}`, then {_accept(settings, blob)}."
    )


def unknown(settings: HostSettings, blob: bytes, *, remark: str, other_key: Path | None) -> HostKeyError:
    """No key is known for the host.

    ``other_key``: a file that knows another one for the host's name without its port.
    """
    parts = [f"the host key of {settings.address} is not known: {_shown(blob)}."]
    if remark:
        parts.append(f"It shows a certificate, which does not help: {remark}.")
    if other_key:
        parts.append(f"{other_key} knows {settings.host} by another key, without its port.")
    if settings.strict in ("no", "off", "accept-new"):
        parts.append(
            f"Your ssh config says StrictHostKeyChecking {settings.strict}; edgebench measures only on "
            "boards that it knows, whatever that says."
        )
    kind = next((kind for kind in ("ed25519", "ecdsa", "rsa") if kind in type_of(plain_key(blob))), "ed25519")
    parts.append(
        "Compare this fingerprint with the one on the board "
        f"(`ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub` there); if they are the same, "
        f"{_accept(settings, blob)}."
    )
    return HostKeyError(" ".join(parts))


def _shown(blob: bytes) -> str:
    kind = plain(type_of(plain_key(blob)))
    return f"{kind} {fingerprint(blob)}" + (" (by a certificate)" if is_certificate(blob) else "")


def _accept(settings: HostSettings, blob: bytes) -> str:
    """How the key becomes known; by `ssh` where that is installed and would write it down."""
    file = settings.known_hosts[0] if settings.known_hosts else None
    if file is None or (file.exists() and not file.is_file()):
        return (
            f"name a file for known keys: your ssh config has UserKnownHostsFile {file or 'none'} for this "
            "host, where nothing is kept. Remove that line, then run edgebench again"
        )
    if find_client() and settings.strict != "yes":
        answer = " and answer yes" if settings.strict == "ask" else ""
        return f"accept it with `{settings.ssh_command}`{answer}"
    key = plain_key(blob)
    line = f"{settings.key_name} {type_of(key)} {base64.b64encode(key).decode()}"
    return f"add this line to {file}: {line}"
