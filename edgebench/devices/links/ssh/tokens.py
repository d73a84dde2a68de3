"""The ``%h`` and ``${NAME}`` of ssh_config(5), the home folder, and words that must not reach a shell."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from edgebench.errors import ConfigError

# What OpenSSH refuses in names since 9.6 (CVE-2023-51385): a ProxyCommand hands them to a shell.
_QUOTES = set("'`\"$;&<>|(){}")
_CONTROLS = {chr(n) for n in (*range(32), 127)}
_REFUSED = {"host": _QUOTES | _CONTROLS | set(" \\"), "user": _QUOTES | _CONTROLS}


def home() -> Path:
    """The home of the password file, which is where OpenSSH looks, whatever $HOME says."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("~").expanduser()


def config_path(text: str) -> Path:
    """A path of the config with its ``~`` replaced.

    Where $HOME is another folder than the password file's, and only the one below $HOME exists, it is that.
    """
    path = Path(text)
    if not text.startswith("~/"):
        return path.expanduser() if text.startswith("~") else path
    theirs, ours = home() / text[2:], path.expanduser()
    return ours if ours.exists() and not theirs.exists() else theirs


def tokens_of(
    *, alias: str, host: str, port: int, user: str, host_key_alias: str | None, jump: str
) -> dict[str, str]:
    """The letters that ssh_config(5) has under TOKENS, and what they stand for."""
    node = socket.gethostname()
    return {
        "%": "%",
        "d": str(home()),
        "h": host,
        "i": str(os.getuid()),
        "j": jump,
        "k": host_key_alias or alias,
        "L": node.partition(".")[0],
        "l": node,
        "n": alias,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
    }


def expand(text: str, tokens: Mapping[str, str], keyword: str) -> str:
    """Replace every ``%x`` of ``tokens``. Raises ConfigError for a letter that is not among them."""

    def value(match: re.Match[str]) -> str:
        letter = match[1]
        if letter not in tokens:
            raise ConfigError(
                f"the ssh config says {keyword} {text}: edgebench knows no %{letter} there. "
                f"It knows {', '.join('%' + known for known in tokens)}. Write it out."
            )
        return tokens[letter]

    return re.sub(r"%(.?)", value, text)


def expand_path(text: str, tokens: Mapping[str, str], keyword: str) -> Path:
    """A path of the config with ``~``, ``${NAME}`` and ``%x`` replaced. Raises ConfigError."""

    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise ConfigError(
                f"the ssh config says {keyword} {text}, and there is no environment variable "
                f"{match[1]}. Set it, or write the path out."
            )
        return found

    return config_path(expand(re.sub(r"\$\{(\w+)\}", variable, text), tokens, keyword))


def check_name(what: Literal["host", "user"], name: str) -> None:
    """Raises ConfigError for a name that a shell would read as more than one."""
    odd = sorted(_REFUSED[what] & set(name))
    if odd or not name or name.startswith("-") or " -" in name or name.endswith("\\"):
        shown = f" (it has {odd[0]!r})" if odd else ""
        raise ConfigError(
            f"{name!r} cannot be the name of a {what}{shown}. Check the inventory, --host and the ssh config."
        )
