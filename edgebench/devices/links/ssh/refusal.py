"""What to say when a board lets nobody in: what was tried, and advice that has not been followed already."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from edgebench.devices.links.ssh.keys import Keyring
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.text import plain


@dataclass
class Attempts:
    """How a sign-in went."""

    tried: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    methods: tuple[str, ...] = ()
    """What the server would take next."""
    locked: bool = False
    """A key would have done, and is locked."""
    first_factor: str = ""
    """The key that the server took before it asked for more."""
    hung_up: str = ""
    """How the server hung up after a key."""


def refusal(settings: HostSettings, ring: Keyring, attempts: Attempts) -> str:
    """One paragraph: what was offered, what was not and why, what to do."""
    parts = [
        f"{settings.address} refused every key offered: {', '.join(attempts.tried) or 'there was none'}."
    ]
    if ring.unusable:
        parts.append(f"Not offered: {', '.join(ring.unusable)}.")
    parts += attempts.remarks
    methods = plain(", ".join(attempts.methods))
    if attempts.hung_up:
        parts += ["The server then closed the connection (it may allow fewer attempts).", _fewer(settings)]
    elif attempts.first_factor:
        parts.append(
            f"The server took {attempts.first_factor} and asks for a second factor ({methods}), which "
            "edgebench cannot give. Let one key be enough for this account (AuthenticationMethods in "
            "sshd_config there)."
        )
    elif "publickey" not in attempts.methods:
        parts.append(
            f"The server takes no keys at all, only {methods or 'nothing that it names'}. Let it take keys "
            "(PubkeyAuthentication in sshd_config there)."
        )
    elif not settings.offers_keys:
        parts.append(
            "Your ssh config says PubkeyAuthentication no, and edgebench signs in with keys only: "
            "say yes for this host."
        )
    elif not attempts.locked:
        parts.append(_authorise(settings, ring, attempts))
    return " ".join(parts)


def _fewer(settings: HostSettings) -> str:
    if settings.identities_only:
        return "Name only the key of this board: fewer IdentityFile lines, or key = in the inventory."
    return (
        "Name the key of this board with IdentityFile, and say IdentitiesOnly yes beside it in your ssh "
        "config; or name it with key = in the inventory."
    )


def _authorise(settings: HostSettings, ring: Keyring, attempts: Attempts) -> str:
    """How a key gets onto the board; `ssh-copy-id` itself needs a way in that the server offers."""
    make = "" if ring.offers or ring.unusable else "Make a key with `ssh-keygen`. "
    name = "or name the right key with IdentityFile in your ssh config."
    if {"password", "keyboard-interactive"} & set(attempts.methods):
        to = settings.ssh_command.removeprefix("ssh ")
        key = next((str(path) for path in settings.identity_files if path.is_file()), "")
        if key and not settings.default_identities and " -i " not in f" {to}":
            to = f"-i {shlex.quote(key)} {to}"
        return f"{make}Put a public key onto the board with `ssh-copy-id {to}`, {name}"
    return (
        f"{make}The server lets nobody in without a key, so `ssh-copy-id` would not get in either: put "
        f"the public key into ~/.ssh/authorized_keys of {settings.user} by the board's console or its card, "
        f"{name}"
    )
