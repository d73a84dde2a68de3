"""The table that the modules of cases fill, and what several of them write into files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from support.ssh_bench import (
    IN,
    Bench,
    Case,
)
from support.sshd import SshServer

CASES: list[Case] = []


def case(
    title: str,
    *,
    report: str = "",
    ssh: str = IN,
    edgebench: str | None = None,
    why: str = "",
    is_job: bool = False,
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Put a case into the table. Without ``edgebench`` the two agree."""

    def add(prepare: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CASES.append(Case(report, title, prepare, ssh, edgebench or ssh, why, is_job))
        return prepare

    return add


def public(key: Path) -> str:
    return key.with_name(key.name + ".pub").read_text()


def authorize(server: SshServer, *keys: Path) -> None:
    (server.folder / "authorized_keys").write_text("".join(map(public, keys)))


def sign(authority: Path, key: Path, *options: str) -> Path:
    """Make ``key``-cert.pub by an authority; options of ssh-keygen(1), such as ``-h`` for a host's."""
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", *options]
    subprocess.run([*argv, str(key.with_name(key.name + ".pub"))], check=True, capture_output=True)
    return key.with_name(key.name + "-cert.pub")


def append(bench: Bench, *lines: str, first: Sequence[str] = ()) -> None:
    """Lines before and after the config of the server made last."""
    bench.config.write_text("\n".join([*first, bench.config.read_text(), *lines]) + "\n")
