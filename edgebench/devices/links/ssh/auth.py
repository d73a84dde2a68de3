"""Signing in to a board as `ssh` does without a terminal: no proof where none is wanted, else key after key.

Passwords are never asked for and never stored.
"""

from __future__ import annotations

import paramiko

from edgebench.devices.links.ssh.agent import AgentError
from edgebench.devices.links.ssh.blobs import CERT_NAME, is_certificate
from edgebench.devices.links.ssh.certificates import why_not_for_user
from edgebench.devices.links.ssh.errors import describe
from edgebench.devices.links.ssh.keys import Keyring, Offer, gather_keys
from edgebench.devices.links.ssh.refusal import Attempts, refusal
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.devices.links.ssh.userauth import UserAuth
from edgebench.errors import AuthRefused, ConnectionFailed

# Best first. SHA-1, the third that a key of type ssh-rsa can sign with, is not used.
RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")
# What an agent's or a file's key raises when it cannot sign.
_CANNOT_SIGN = (AgentError, paramiko.SSHException, OSError, ValueError)


def authenticate(transport: paramiko.Transport, settings: HostSettings, *, auth_s: float) -> None:
    """Sign in, or raise AuthRefused naming what was tried; ConnectionFailed when the server stops answering.

    ``auth_s``: how long the server may take for each answer.
    """
    conversation = UserAuth(transport, settings.user, limit_s=auth_s)
    transport.auth_handler = conversation
    attempts, ring = Attempts(), Keyring()
    try:
        conversation.begin()
        answer = conversation.none()
        if answer.kind == "success":
            return
        attempts.methods = answer.methods
        if "publickey" in answer.methods:
            ring = gather_keys(settings)
            if _offer_all(conversation, ring.offers, settings, attempts):
                return
    except TimeoutError:
        raise ConnectionFailed(
            f"{settings.address} did not answer an offered key within {auth_s:g} s. "
            "Check the board, then try again."
        ) from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        if transport.is_active() or not attempts.tried:
            raise
        attempts.hung_up = describe(error)
    finally:
        ring.close()
    raise AuthRefused(refusal(settings, ring, attempts))


def _offer_all(
    conversation: UserAuth, offers: list[Offer], settings: HostSettings, attempts: Attempts
) -> bool:
    """Whether the server let us in with one of the keys."""
    for offer in offers:
        algorithm = _algorithm(offer, conversation.transport, settings)
        if algorithm is None:
            attempts.remarks.append(
                f"{offer.name} is of the type {offer.key_type}, which the server or your ssh config "
                "(PubkeyAcceptedAlgorithms) does not allow."
            )
            continue
        attempts.tried.append(offer.name)
        if conversation.would_take(algorithm, offer.blob).kind != "would do":
            if is_certificate(offer.blob) and (why := why_not_for_user(offer.blob, settings.user)):
                attempts.remarks.append(f"Of {offer.name}: {why}.")
            continue
        if offer.sign is None:
            attempts.locked = True
            attempts.remarks.append(f"The server would take {offer.name}, but it is {offer.locked}.")
            continue
        try:
            signature = offer.sign(conversation.to_sign(algorithm, offer.blob), algorithm)
        except _CANNOT_SIGN as error:
            attempts.remarks.append(
                f"The server would take {offer.name}, but it did not sign ({describe(error)})."
            )
            continue
        answer = conversation.sign_in(algorithm, offer.blob, signature)
        if answer.kind == "success":
            return True
        if answer.partial:
            attempts.methods, attempts.first_factor = answer.methods, offer.name
            if "publickey" not in answer.methods:
                return False
    return False


def _algorithm(offer: Offer, transport: paramiko.Transport, settings: HostSettings) -> str | None:
    """The algorithm to sign with; None where the server or the user's config allows none."""
    allowed, server = settings.algorithms.user_key, _server_algorithms(transport)
    if offer.key_type.partition(CERT_NAME)[0] == "ssh-rsa":
        ending = CERT_NAME if offer.key_type.endswith(CERT_NAME) else ""
        names = [name + ending for name in RSA_ALGORITHMS if not server or name in server]
    else:
        names = [offer.key_type]
    return next((name for name in names if not allowed or name in allowed), None)


def _server_algorithms(transport: paramiko.Transport) -> list[str]:
    """What the server can verify (RFC 8308); empty where it did not say."""
    said = transport.server_extensions.get("server-sig-algs", b"")
    return said.decode(errors="replace").split(",") if said else []
