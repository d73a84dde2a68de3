"""``edgebench devices``: boards written into the inventory, and what is removed from them."""

from __future__ import annotations

import fcntl
import getpass
import json
import subprocess
from pathlib import Path

import pytest
from support.cli import Edgebench
from support.sshd import SshServer

from edgebench.devices import read_inventory

pytestmark = pytest.mark.ssh

USAGE, DEVICE = 2, 5
# Without speech, which would only be made ready for nothing.
RUN = ["run", "--device", "desk", "--suite", "wav2small_table1", "--model", "wav2small.packed_ternary_int8"]
THEIRS = """\
# The boards of the attic.
[devices.old]   # runs hot
host = "10.0.0.9"
user = "{user}"
condition = { governor = "performance" }

[devices.last]
host = "10.0.0.10"
""".replace("{user}", getpass.getuser())


@pytest.fixture
def host(edgebench: Edgebench, ssh_server: SshServer) -> Edgebench:
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(ssh_server.config_path)}
    return edgebench


@pytest.fixture
def inventory(host: Edgebench) -> Path:
    path = host.folder / "inventory.toml"
    path.write_text(THEIRS)
    return path


def test_a_board_is_looked_at_and_written_down(host: Edgebench, inventory: Path, tmp_path: Path) -> None:
    there = tmp_path / "on the board"
    added = host.here("devices", "add", "desk", "--host", "board", "--folder", str(there))
    assert added.returncode == 0, added.stderr
    assert "host key verified" in added.stdout
    text = inventory.read_text()
    assert text.startswith(THEIRS)
    entry = read_inventory(inventory).devices["desk"]
    assert (entry.host, entry.folder, entry.user, entry.profile) == ("board", str(there), None, None)
    checked = host.here("devices", "clean", "--device", "desk", "--json")
    assert json.loads(checked.stdout)["root"] == str(there)


def test_an_entry_is_replaced_only_when_that_is_said(host: Edgebench, inventory: Path) -> None:
    host.refuses("devices", "add", "old", "--host", "board", status=USAGE, says=["10.0.0.9", "--replace"])
    assert inventory.read_text() == THEIRS
    assert host.here("devices", "add", "old", "--host", "board", "--replace").returncode == 0
    text = inventory.read_text()
    assert text.startswith('# The boards of the attic.\n[devices.old]\nhost = "board"\nuser = ')
    assert text.endswith('[devices.last]\nhost = "10.0.0.10"\n')
    old = read_inventory(inventory).devices["old"]
    assert (old.user, old.port) == (getpass.getuser(), None)
    assert old.condition is not None
    assert old.condition.governor == "performance"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["local", "--host", "board"], USAGE, "this machine"),
        (["a b", "--host", "board"], USAGE, "letters, digits"),
        (["desk", "--host", "board", "--folder", "here"], USAGE, "'folder'"),
        (["desk", "--host", "board", "--pip-index", "https://me:word@pypi.lab"], USAGE, "'pip_index'"),
        (["desk", "--host", "board", "--profile", "rpi9"], USAGE, "did you mean"),
        (["desk", "--host", "board", "--profile", "rpi4"], DEVICE, "nothing was written"),
    ],
)
def test_what_cannot_be_added(
    host: Edgebench, inventory: Path, words: list[str], status: int, says: str
) -> None:
    host.refuses("devices", "add", *words, status=status, says=[says])
    assert inventory.read_text() == THEIRS


def test_an_inventory_that_is_written_otherwise_is_left_alone(host: Edgebench, inventory: Path) -> None:
    inventory.write_text('devices = { old = { host = "10.0.0.9" } }\n')
    before = inventory.read_text()
    last = host.here("devices", "add", "desk", "--host", "board")
    assert last.returncode == USAGE
    assert "by hand:\n[devices.desk]\n" in last.stderr
    assert inventory.read_text() == before


def test_another_board_than_the_entry_names(host: Edgebench, inventory: Path, ssh_server: SshServer) -> None:
    inventory.write_text(f'[devices.desk]\nhost = "board"\nboard_sha256 = "{"0" * 64}"\n')
    before = sorted(ssh_server.cache.rglob("*"))
    host.refuses(*RUN, status=DEVICE, says=["000000000000", "--replace", "nothing was sent"])
    assert sorted(ssh_server.cache.rglob("*")) == before


@pytest.fixture
def left_behind(host: Edgebench, inventory: Path, tmp_path: Path) -> Path:
    """A folder on the board of ``desk`` with what runs leave there."""
    root = tmp_path / "board" / "edgebench"
    for name in ("blobs/aa", "envs/k1/bin/python", "envs/k1.lock", "runs/R1/plan.json", "lock"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * 1000)
    (root.parent / "thesis.tex").write_text("mine")
    (root / "envs/k1/home").symlink_to(root.parent)
    inventory.write_text(f'[devices.desk]\nhost = "board"\nfolder = "{root}"\n')
    return root


@pytest.mark.parametrize("held", ["lock", "envs/k1.lock"])
def test_nothing_is_removed_while_somebody_works_there(host: Edgebench, left_behind: Path, held: str) -> None:
    with (left_behind / held).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        host.refuses("devices", "clean", "--device", "desk", status=DEVICE, says=["nothing was removed"])
    assert (left_behind / "envs/k1/bin/python").exists()


def test_what_was_left_behind_is_removed(host: Edgebench, left_behind: Path) -> None:
    clean = ("devices", "clean", "--device", "desk")
    planned = json.loads(host.here(*clean, "--plan", "--json").stdout)
    assert (planned["files"], planned["environments"]) == (1000, 1000)
    assert (left_behind / "blobs/aa").exists()
    removed = host.here(*clean)
    assert "R1" in removed.stdout, removed.stderr
    found = {str(path.relative_to(left_behind)) for path in left_behind.rglob("*") if path.is_file()}
    assert found == {"lock", "envs/k1.lock", "runs/R1/plan.json"}
    assert host.here(*clean, "--unfinished").returncode == 0
    assert not (left_behind / "runs/R1").exists()
    assert (left_behind.parent / "thesis.tex").read_text() == "mine"


def test_a_folder_without_room_or_that_cannot_be_written(
    host: Edgebench, inventory: Path, small_disk: Path
) -> None:
    inventory.write_text(f'[devices.desk]\nhost = "board"\nfolder = "{small_disk}/edgebench"\n')
    host.refuses(*RUN, status=DEVICE, says=["MB are free there", "nothing was sent", "folder ="])
    assert not list((small_disk / "edgebench").rglob("*.whl"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    host.refuses(*RUN, status=DEVICE, says=[f"cannot write to {small_disk}", "read-only", "folder ="])
