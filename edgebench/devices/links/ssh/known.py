"""Where known host keys come from beside files, and which are revoked: KnownHostsCommand, RevokedHostKeys."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from edgebench.devices.links.ssh import tokens
from edgebench.devices.links.ssh.blobs import fingerprint, plain_key, type_of
from edgebench.devices.links.ssh.certificates import authority_of
from edgebench.devices.links.ssh.distrust import revoked
from edgebench.devices.links.ssh.hostkeys import KnownKey, parse_known_hosts
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import ConfigError, HostKeyError
from edgebench.text import plain

COMMAND_S = 30.0
# How a key revocation list of OpenSSH begins (PROTOCOL.krl).
_KRL = b"SSHKRL\n\0"


def keys_by_command(
    settings: HostSettings, why: Literal["ORDER", "HOSTNAME"], blob: bytes | None = None
) -> list[KnownKey]:
    """What the user's KnownHostsCommand says of the host; nothing where there is none.

    No shell reads it. ``ORDER`` asks before a key was shown, ``HOSTNAME`` with ``blob``, the one shown.
    """
    if not settings.known_hosts_command:
        return []
    asked = {"H": settings.key_name, "I": why, "t": "NONE", "f": "NONE", "K": "NONE"}
    if blob:
        asked |= {"t": type_of(blob), "f": fingerprint(blob), "K": base64.b64encode(blob).decode()}
    letters = {**settings.tokens, **asked}
    argv = [tokens.expand(word, letters, "KnownHostsCommand") for word in settings.known_hosts_command]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"KnownHostsCommand of '{settings.alias}' failed: {error}. Correct it.") from error
    if done.returncode != 0:
        said = plain(done.stderr.decode(errors="replace").strip()[-300:])
        raise ConfigError(
            f"KnownHostsCommand of '{settings.alias}' ended with status {done.returncode}: {said}. "
            "Correct it."
        )
    return parse_known_hosts(done.stdout.decode(errors="replace"), Path(argv[0]))


def refuse_revoked(settings: HostSettings, blob: bytes) -> None:
    """Raise HostKeyError for a key or authority that is in RevokedHostKeys, or where nobody can tell."""
    file = settings.revoked_host_keys
    if file is None:
        return
    try:
        data = file.read_bytes()
    except OSError as error:
        raise HostKeyError(
            f"the file {file} (RevokedHostKeys) cannot be read ({error.strerror}), so nobody can tell "
            f"whether the host key of {settings.address} is revoked. Make it readable, or correct your "
            "ssh config."
        ) from error
    if data.startswith(_KRL):
        listed = _is_in_krl(settings, file, blob)
    else:
        keys = {key.blob for key in parse_known_hosts(_as_known_hosts(data), file)}
        listed = bool({blob, plain_key(blob), authority_of(blob)} & keys)
    if listed:
        raise revoked(settings, blob, file)


def _as_known_hosts(data: bytes) -> str:
    """A list of public keys, one a line, as lines of known hosts."""
    return "".join(f"* {line}\n" for line in data.decode(errors="replace").splitlines())


def _is_in_krl(settings: HostSettings, file: Path, blob: bytes) -> bool:
    """Ask `ssh-keygen`, which alone reads these lists."""
    with tempfile.NamedTemporaryFile("w", prefix="edgebench-", suffix=".pub") as shown:
        shown.write(f"{type_of(blob)} {base64.b64encode(blob).decode()}\n")
        shown.flush()
        argv = ["ssh-keygen", "-Q", "-f", str(file), shown.name]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _cannot_tell(settings, file, str(error)) from error
    if done.returncode == 0 or "REVOKED" in done.stdout:
        return done.returncode != 0
    raise _cannot_tell(settings, file, (done.stderr or done.stdout).strip())


def _cannot_tell(settings: HostSettings, file: Path, said: str) -> HostKeyError:
    return HostKeyError(
        f"`ssh-keygen` cannot look the host key of {settings.address} up in {file} (RevokedHostKeys): "
        f"{plain(said[-300:])}. Install the OpenSSH client, or correct the file."
    )
