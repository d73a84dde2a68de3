"""The board: its login shells, its server, and what its user has set up there."""

from __future__ import annotations

import ensurepip
import shutil
from pathlib import Path

from support.accounts import Account
from support.fake_wheels import fill_cache, spoiling_set_up
from support.ssh_bench import (
    NO_COMMAND,
    Bench,
    UnavailableError,
)
from support.ssh_cases.table import case
from support.sshd import PATHS

from edgebench.devices.install.facts import probe_board
from edgebench.devices.install.provision import provision
from edgebench.devices.links.connection import Connection

# Login shells.

SHELLS = {
    "bash": "bash",
    "dash": "dash",
    "fish": "fish",
    "tcsh": "tcsh",
    "csh (BSD)": "bsd-csh",
    "mksh": "mksh",
    "zsh": "zsh",
}


def by_shell(bench: Bench, path: str | None, *, commands: int = 3) -> None:
    if path is None:
        raise UnavailableError("the shell is not installed")
    bench.commands = commands
    bench.server(accounts=[Account("board", bench.folder, path)], user="board")


def add_shell(name: str, program: str) -> None:
    @case(f"login shell {name}", report="open-remote-ssh#100")
    def _(bench: Bench) -> None:
        by_shell(bench, shutil.which(program, path=PATHS))


for shell in SHELLS.items():
    add_shell(*shell)


@case("login shell busybox ash", report="open-remote-ssh#100")
def _(bench: Bench) -> None:
    busybox = shutil.which("busybox", path=PATHS)
    if busybox is None:
        raise UnavailableError("busybox is not installed")
    (bench.folder / "ash").symlink_to(busybox)
    by_shell(bench, str(bench.folder / "ash"))


@case(
    "a restricted shell (rbash)",
    edgebench=NO_COMMAND,
    why="it may not start /bin/sh, and edgebench has to",
)
def _(bench: Bench) -> None:
    by_shell(bench, shutil.which("rbash", path=PATHS), commands=1)


@case("an account that runs no commands (nologin)", ssh=NO_COMMAND)
def _(bench: Bench) -> None:
    by_shell(bench, shutil.which("nologin", path=PATHS), commands=1)


# Servers.


@case("a server that gives one channel at a time (MaxSessions 1), five commands")
def _(bench: Bench) -> None:
    bench.commands = 5
    bench.server(extra=["MaxSessions 1"])


@case("a server that gives no channel (MaxSessions 0)", ssh=NO_COMMAND)
def _(bench: Bench) -> None:
    bench.server(extra=["MaxSessions 0"])


@case("dropbear, ten commands")
def _(bench: Bench) -> None:
    bench.commands = 10
    bench.dropbear()


@case("dropbear, no authentication", report="paramiko#2370")
def _(bench: Bench) -> None:
    server = bench.dropbear(password="")
    (server.folder / "client_key").unlink()


# What the user of the board has set up there. `ssh` runs its command in all of them.

MADE = "its own environment runs"


def environment_of_its_own(bench: Bench, *, folder: Path | None = None) -> None:
    """Have edgebench make the runtime's environment on the board, and run its Python there as a run does."""

    def job(connection: Connection) -> str:
        facts = probe_board(connection, folder=str(folder) if folder else None)
        bundled = Path(ensurepip.__file__).parent / "_bundled"
        pip = next(bundled.glob("pip-*.whl"), None)
        if pip is None:
            raise UnavailableError("this Python has no pip of its own to send")
        cache = fill_cache(bench.folder / "wheels", facts, pip=pip)
        made = provision(connection, facts, offline=True, cache_dir=cache)
        argv = [made.python, "-I", "-c", "import numpy, onnxruntime; print(numpy.__version__)"]
        said = connection.exec(argv, timeout_s=60).stdout.decode().strip()
        return MADE if said == made.versions["numpy"] else said

    bench.job = job


@case(
    "pip.conf with `user = true`, `target`, `require-hashes` and a constraint",
    report="pip#8977",
    edgebench=MADE,
    is_job=True,
)
def _(bench: Bench) -> None:
    theirs = spoiling_set_up(bench.folder / "theirs")
    bench.server(environment={"PIP_CONFIG_FILE": theirs["PIP_CONFIG_FILE"], "PIP_USER": "1"})
    environment_of_its_own(bench)


@case("PYTHONPATH holds another numpy, and a sitecustomize that prints (ROS)", edgebench=MADE, is_job=True)
def _(bench: Bench) -> None:
    theirs = spoiling_set_up(bench.folder / "theirs")
    bench.server(environment={"PYTHONPATH": theirs["PYTHONPATH"]})
    environment_of_its_own(bench)


@case("the home is mounted noexec", edgebench="refused: nothing can be run in that folder", is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=200m,noexec"))})
    environment_of_its_own(bench)


@case("the home is mounted noexec, another folder is named", edgebench=MADE, is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=200m,noexec"))})
    environment_of_its_own(bench, folder=bench.folder / "ssd" / "edgebench")


@case("the root is read-only", edgebench="refused: that folder cannot be written", is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=200m,ro"))})
    environment_of_its_own(bench)


@case("20 MB are free", edgebench="refused: too little room", is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=20m"))})
    environment_of_its_own(bench)
