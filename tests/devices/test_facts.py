"""The probe: against this machine, and against boards that lack something, through its real path."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sshd import BOARD_PATH, SshServer

from edgebench.agent import fingerprint
from edgebench.devices import BoardFacts, connect, probe_board, resolve_device
from edgebench.devices.install.facts import _read_libc
from edgebench.errors import BoardUnfit

MakeServer = Callable[..., SshServer]
UNAME = "case $1 in -s) echo Linux;; *) echo {};; esac"
TOOLS = [
    "uname",
    "getconf",
    "head",
    "tr",
    "id",
    "df",
    "awk",
    "dirname",
    "tail",
    "cat",
    "sleep",
    "printf",
    "ldd",
]


def probe(server: SshServer, python: str | None = None) -> BoardFacts:
    connection = connect(resolve_device("rpi4", ssh_config=server.config_path))
    try:
        return probe_board(connection, python=python)
    finally:
        connection.close()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with the usual tools and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool, path=BOARD_PATH):
            (folder / tool).symlink_to(found)
    return folder


def script(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def old_python(path: Path, version: str) -> None:
    """Answers the probe as a Python of that version does, which is all that the probe asks of it."""
    script(path, f"echo '/usr/bin/{path.name}|{version}|64|1|1|1|old'")


@pytest.mark.ssh
def test_what_a_board_is(ssh_server: SshServer) -> None:
    facts = probe(ssh_server)
    assert facts.address == f"{ssh_server.user}@127.0.0.1:{ssh_server.port}"
    assert (facts.system, facts.machine) == ("Linux", os.uname().machine)
    assert facts.userland_bits == 8 * struct.calcsize("P")
    assert (facts.libc, ".".join(map(str, facts.libc_version))) == platform.libc_ver()
    assert facts.root == str(ssh_server.root)
    assert facts.home == str(ssh_server.folder / "home")
    assert facts.user == ssh_server.user
    disk = os.statvfs(ssh_server.cache)
    assert facts.disk_free_bytes == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.2)
    said = subprocess.run(
        [facts.python, "-c", "import sys; print(*sys.version_info[:3])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert facts.python_version == tuple(map(int, said.stdout.split()))
    assert facts.blobs == f"{ssh_server.root}/blobs"


def test_this_machine_is_measured_with_the_python_that_runs_us() -> None:
    facts = probe_board(connect(resolve_device("local")))
    assert facts.python == sys.executable
    assert facts.python_version == sys.version_info[:3]
    assert facts.address == "local"


def test_the_probe_knows_a_board_by_the_name_that_its_fingerprint_has() -> None:
    facts = probe_board(connect(resolve_device("local")))
    assert facts.board_sha256 == fingerprint.hardware()["board_sha256"]


def test_a_folder_for_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the inventory says goes before the board's own cache folder; ``~`` is the home there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    connection = connect(resolve_device("local"))
    assert probe_board(connection).root == str(tmp_path / "cache" / "edgebench")
    assert probe_board(connection, folder="~/on disk").root == str(tmp_path / "on disk")
    assert probe_board(connection, folder="/mnt/x y").root == "/mnt/x y"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert probe_board(connection).root == str(tmp_path / ".cache" / "edgebench")


@pytest.mark.ssh
def test_the_probe_writes_nothing(make_ssh_server: MakeServer) -> None:
    server = make_ssh_server()
    probe(server)
    assert list(server.cache.iterdir()) == []


@pytest.mark.ssh
def test_no_python(make_ssh_server: MakeServer, bare: Path) -> None:
    server = make_ssh_server(environment={"PATH": str(bare)})
    with pytest.raises(BoardUnfit, match=r"no Python 3\.8 or newer .*sudo apt install python3"):
        probe(server)


@pytest.mark.ssh
def test_too_old_a_python(make_ssh_server: MakeServer, bare: Path) -> None:
    old_python(bare / "python3", "3.7.3")
    old_python(bare / "python", "2.7.18")
    server = make_ssh_server(environment={"PATH": str(bare)})
    with pytest.raises(BoardUnfit, match=r"python3 is 3\.7\.3.*python is 2\.7\.18.*sudo apt install"):
        probe(server)


@pytest.mark.ssh
def test_a_newer_python_beside_an_old_one_is_found(make_ssh_server: MakeServer, bare: Path) -> None:
    """The original Jetson Nano: python3 is 3.6, and the user has installed python3.8."""
    old_python(bare / "python3", "3.6.9")
    (bare / "python3.8").symlink_to(sys.executable)
    facts = probe(make_ssh_server(environment={"PATH": str(bare)}))
    assert facts.python_version == sys.version_info[:3]


@pytest.mark.ssh
def test_a_named_python_is_the_one(make_ssh_server: MakeServer, bare: Path) -> None:
    server = make_ssh_server(environment={"PATH": str(bare)})
    assert probe(server, sys.executable).python_version == sys.version_info[:3]
    with pytest.raises(BoardUnfit, match="looked for /no/such python"):
        probe(server, "/no/such python")
    old_python(bare / "mine", "3.7.0")
    (bare / "python3").symlink_to(sys.executable)
    with pytest.raises(BoardUnfit, match=r"mine is 3\.7\.0"):
        probe(server, str(bare / "mine"))


@pytest.mark.ssh
def test_what_the_user_s_python_is_set_up_for(make_ssh_server: MakeServer, tmp_path: Path) -> None:
    """A home of another Python, and modules that stand before the standard library."""
    (tmp_path / "struct.py").write_text("raise SystemExit('the struct of somebody else')")
    environment = {"PYTHONHOME": "/nonexistent", "PYTHONPATH": str(tmp_path)}
    assert probe(make_ssh_server(environment=environment)).python_version >= (3, 8)


def test_a_python_that_does_not_run(make_ssh_server: MakeServer, bare: Path) -> None:
    script(bare / "python3", "echo 'error while loading shared libraries: libz.so' >&2; exit 127")
    server = make_ssh_server(environment={"PATH": str(bare)})
    with pytest.raises(BoardUnfit, match=r"python3 does not run: error while loading shared libraries"):
        probe(server)


@pytest.mark.ssh
@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.13"])
def test_real_pythons_of_other_versions(ssh_server: SshServer, version: str) -> None:
    found = find_python(version)
    if found is None:
        pytest.skip(f"no Python {version} on this machine")
    if version in ("3.6", "3.7"):
        with pytest.raises(BoardUnfit, match=rf"is {version}\.\d+"):
            probe(ssh_server, found)
    else:
        facts = probe(ssh_server, found)
        assert f"{facts.python_version[0]}.{facts.python_version[1]}" == version


def find_python(version: str) -> str | None:
    """An interpreter that really runs; a version manager's stand-in may not."""
    places = [
        shutil.which(f"python{version}"),
        *map(str, Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")),
    ]
    for place in filter(None, places):
        done = subprocess.run(
            [place, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout.strip()
    return None


@pytest.mark.ssh
@pytest.mark.parametrize(
    ("stubs", "expected"),
    [
        ({"uname": UNAME.format("armv7l"), "getconf": "echo 32"}, "32-bit userland"),
        ({"uname": UNAME.format("aarch64"), "getconf": "echo 32"}, "32-bit userland"),
        ({"uname": UNAME.format("riscv64")}, "architecture 'riscv64'"),
        ({"uname": "echo FreeBSD"}, "runs FreeBSD"),
    ],
)  # fmt: skip
def test_boards_without_wheels(
    make_ssh_server: MakeServer, bare: Path, stubs: dict[str, str], expected: str
) -> None:
    for name, text in stubs.items():
        script(bare / name, text)
    (bare / "python3").symlink_to(sys.executable)
    with pytest.raises(BoardUnfit, match=expected):
        probe(make_ssh_server(environment={"PATH": str(bare)}))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("glibc 2.36", ("glibc", (2, 36))),
        ("glibc 2.27", ("glibc", (2, 27))),
        ("ldd (Debian GLIBC 2.36-9+deb12u10) 2.36 ", ("glibc", (2, 36))),
        ("musl libc (aarch64) Version 1.2.4 ", ("musl", (1, 2))),
        ("", ("", (0, 0))),
    ],
)
def test_libc_names(said: str, expected: tuple[str, tuple[int, int]]) -> None:
    assert _read_libc(said) == expected


def test_a_board_in_software_is_emulated() -> None:
    import dataclasses

    facts = probe_board(connect(resolve_device("local")))
    board = dataclasses.replace(
        facts, compatible=("raspberrypi,4-model-b", "brcm,bcm2711", "linux,dummy-virt")
    )
    assert board.emulated
    assert not dataclasses.replace(facts, compatible=("raspberrypi,4-model-b", "brcm,bcm2711")).emulated
