"""Which keys to offer, in which order, and what to say when none is taken.

Order: the identity files of the config (by way of the agent where the file is locked), the other
keys of the agent unless IdentitiesOnly. Passwords are never asked for and never stored.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

from edgebench.devices.links.ssh.config import HostSettings
from edgebench.devices.links.ssh.errors import describe
from edgebench.devices.links.ssh.hostkeys import fingerprint
from edgebench.errors import AuthRefused, ConnectionFailed


@dataclass
class Keyring:
    """The keys to offer, each with its name for people, and the files that were of no use."""

    offers: list[tuple[str, paramiko.PKey]] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def add(self, name: str, key: paramiko.PKey) -> None:
        if all(key.asbytes() != other.asbytes() for _, other in self.offers):
            self.offers.append((name, key))


def gather_keys(settings: HostSettings) -> Keyring:
    """Load what can be loaded. Never raises for a key that cannot: it is named in the refusal."""
    ring = Keyring()
    agent = _agent_keys() if settings.use_agent else []
    for path in settings.identity_files:
        if not path.is_file():
            if not settings.default_identities:
                ring.unusable.append(f"{path} (no such file)")
            continue
        try:
            ring.add(str(path), paramiko.PKey.from_path(path))
        except (TypeError, paramiko.PasswordRequiredException):
            _by_agent(ring, path, agent, "locked with a passphrase; unlock it with `ssh-add`")
        except (ValueError, OSError, UnknownKeyType, paramiko.SSHException) as error:
            _by_agent(ring, path, agent, describe(error))
    if not settings.identities_only:
        for key in agent:
            ring.add(f"agent key {fingerprint(key.asbytes())}", key)
    return ring


def _agent_keys() -> list[paramiko.PKey]:
    try:
        return list(paramiko.Agent().get_keys())
    except (paramiko.SSHException, OSError, EOFError):
        return []  # an agent that does not answer offers no keys


def _by_agent(ring: Keyring, path: Path, agent: list[paramiko.PKey], why_not: str) -> None:
    """Offer the agent's copy of a key file that cannot be read, found through its public half."""
    public = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    try:
        blob = base64.b64decode(public.read_text().split()[1])
    except (OSError, ValueError, IndexError, binascii.Error):
        blob = b""
    for key in agent:
        if key.asbytes() == blob:
            ring.add(f"{path} (by the agent)", key)
            return
    ring.unusable.append(f"{path} ({why_not})")


def authenticate(transport: paramiko.Transport, settings: HostSettings, *, auth_s: float) -> None:
    """Offer the keys until one is taken.

    Raises AuthRefused naming the keys tried, ConnectionFailed when the server stops answering.
    """
    transport.auth_timeout = auth_s
    ring = gather_keys(settings)
    tried: list[str] = []
    ending = ""
    for name, key in ring.offers:
        tried.append(name)
        start_s = time.monotonic()
        try:
            if not transport.auth_publickey(settings.user, key):
                return
            ending = "The server took a key and asks for a second factor, which edgebench cannot give."
            break
        except paramiko.BadAuthenticationType as error:
            ending = f"The server takes no keys at all, only {', '.join(error.allowed_types)}."
            break
        except (paramiko.SSHException, EOFError, OSError) as error:
            if time.monotonic() - start_s >= auth_s:
                raise ConnectionFailed(
                    f"{settings.address} did not answer an offered key within {auth_s:g} s. "
                    "Check the board, then try again."
                ) from error
            if not transport.is_active():
                ending = "The server then closed the connection (it may allow fewer attempts)."
                break
    parts = [
        f"{settings.address} refused every key offered: {', '.join(tried) if tried else 'there was none'}."
    ]
    parts += [f"Not offered: {', '.join(ring.unusable)}."] if ring.unusable else []
    parts += [ending] if ending else []
    parts.append(
        "Put a public key into ~/.ssh/authorized_keys on the board (`ssh-copy-id`), or name the right "
        "key with IdentityFile in your ssh config."
    )
    raise AuthRefused(" ".join(parts))
