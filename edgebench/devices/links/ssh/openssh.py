"""The user's ssh config as the OpenSSH client on this machine reads it: ``ssh -G``."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgebench.devices.links.ssh import tokens
from edgebench.errors import ConfigError
from edgebench.text import plain

# A config may run programs (`Match exec`) and ask a name server (CanonicalizeHostname).
RESOLVE_S = 60.0

# Keyword in lower case -> its values, in order.
Found = dict[str, list[str]]
# Not OpenSSH's: says that the identity files are those it takes where the config names none.
DEFAULT_IDENTITIES = "default identities"
# Their paths come on one line, with a space between; OpenSSH 9.2 puts no quotes around them.
_PATH_LISTS = ("userknownhostsfile", "globalknownhostsfile")
# `ssh` has replaced the tokens of these already.
_EXPANDED = (*_PATH_LISTS, "identityagent")


def find_client() -> str | None:
    """The path of the OpenSSH client; None where none is installed."""
    found = shutil.which("ssh")
    return found if found and _is_openssh(found) else None


@functools.cache
def _is_openssh(path: str) -> bool:
    """Whether an ``ssh`` is OpenSSH's. Other clients take ``-G`` for something else, and connect."""
    try:
        done = subprocess.run(
            [path, "-V"], stdin=subprocess.DEVNULL, capture_output=True, timeout=RESOLVE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"OpenSSH" in done.stderr + done.stdout


def config_options(config_path: Path | None) -> list[str]:
    """The options that make `ssh` read the same config as we do.

    OpenSSH takes the home folder of the password file. Where $HOME is another and holds a config, that
    one is meant: containers and CI services set $HOME so.
    """
    if config_path is None:
        ours = Path("~/.ssh/config").expanduser()
        if ours.parent.parent == tokens.home() or not ours.is_file():
            return []
        config_path = ours
    return ["-F", str(config_path)]


def ask_client(
    client: str,
    alias: str,
    *,
    user: str | None,
    port: int | None,
    key: Path | None,
    config_path: Path | None,
) -> Found:
    """What ``ssh -G`` says of a host. Raises ConfigError with ssh's own words where it refuses."""
    argv = [client, "-G", *config_options(config_path)]
    argv += ["-i", str(key)] if key else []
    argv += ["-l", user] if user else []
    argv += ["-p", str(port)] if port else []
    found = _run([*argv, "--", alias], alias)
    for keyword in _PATH_LISTS:
        if keyword in found:
            found[keyword] = _split_paths(found[keyword][0])
    for keyword in _EXPANDED:
        if keyword in found:
            found[keyword] = [value.replace("%", "%%") for value in found[keyword]]
    if found.get("identityfile") == list(_default_identities(client)):
        found[DEFAULT_IDENTITIES] = ["yes"]
    return found


@functools.cache
def _default_identities(client: str) -> Sequence[str]:
    return tuple(_run([client, "-G", "-F", "none", "--", "host"], "host").get("identityfile", []))


def _run(argv: Sequence[str], alias: str) -> Found:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RESOLVE_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"`ssh -G` did not say within {RESOLVE_S:g} s how to reach '{alias}'. "
            "Does a `Match exec` of your ssh config wait for something?"
        ) from None
    except OSError as error:
        raise ConfigError(f"the OpenSSH client {argv[0]} cannot be run: {error.strerror}.") from error
    if done.returncode != 0:
        said = plain(" ".join(os.fsdecode(done.stderr).split())[-500:])
        raise ConfigError(f"`ssh` does not understand the ssh config for host '{alias}': {said} Correct it.")
    found: Found = {}
    for line in os.fsdecode(done.stdout).split("\n"):
        keyword, _, value = line.partition(" ")
        if value:
            found.setdefault(keyword.lower(), []).append(value)
    return found


def _split_paths(text: str) -> list[str]:
    """Paths with a space between. A path that itself has spaces is known by its file, or in quotes."""
    if '"' in text:
        return shlex.split(text)
    words = text.split(" ")
    paths = []
    while words:
        whole = [n for n in range(len(words), 1, -1) if tokens.config_path(" ".join(words[:n])).is_file()]
        count = whole[0] if whole else 1
        paths.append(" ".join(words[:count]))
        words = words[count:]
    return [path for path in paths if path]
