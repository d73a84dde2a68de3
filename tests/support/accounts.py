"""A password file of one's own for a server: accounts with any login shell, and without a password.

Linux gives a process its own view of files (a mount namespace), so nothing of the machine is changed.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """One line of the password file, with the user id of whoever runs the tests."""

    name: str
    home: Path
    shell: str = "/bin/sh"
    password: str = "*"
    """As in shadow(5): ``*`` lets nobody in by password, empty asks for none."""


@functools.cache
def why_no_accounts() -> str:
    """Why a server here cannot have accounts of its own; empty where it can."""
    if os.geteuid() != 0:
        return "only root can give a server accounts of its own"
    if shutil.which("unshare") is None:
        return "no unshare on this machine: install util-linux"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this machine does not allow mount namespaces"


def with_accounts(argv: Sequence[str], accounts: Sequence[Account], folder: Path) -> list[str]:
    """The command that runs ``argv`` where the machine's password file also has these accounts.

    Their lines come first: the first of a user id gives the name, and the shell, that it has.
    """
    passwd = "".join(f"{a.name}:x:{os.getuid()}:{os.getgid()}::{a.home}:{a.shell}\n" for a in accounts)
    shadow = "".join(f"{a.name}:{a.password}:19000:0:99999:7:::\n" for a in accounts)
    shells = "".join(f"{a.shell}\n" for a in accounts)
    script = []
    for name, text in (("passwd", passwd), ("shadow", shadow), ("shells", shells)):
        file, system = folder / name, Path("/etc") / name
        file.write_text(text + (system.read_text() if system.exists() else ""))
        script.append(f"mount --bind {file} {system}")
    return ["unshare", "--mount", "sh", "-c", " && ".join([*script, 'exec "$@"']), "sh", *argv]
