"""Deployment over a real OpenSSH server: once, whole, or with the reason why not."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.sshd import SshServer

from edgebench.devices import BoardFacts, connect, deploy, probe_board, resolve_device
from edgebench.devices.links.connection import Connection, TimeLimits
from edgebench.errors import BoardUnfit, ConnectionFailed, DeviceError

pytestmark = pytest.mark.ssh
MakeServer = Callable[..., SshServer]


def reach(server: SshServer, **limits: float) -> tuple[Connection, BoardFacts]:
    target = resolve_device("rpi4", ssh_config=server.config_path)
    connection = connect(target, limits=TimeLimits(**limits))
    return connection, probe_board(connection)


@pytest.fixture
def server(make_ssh_server: MakeServer) -> SshServer:
    return make_ssh_server()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, size in (("model", 300_000), ("pack", 2_000_000), ("empty", 0)):
        (tmp_path / name).write_bytes(os.urandom(size))
        found[name] = tmp_path / name
    return found


def blobs(server: SshServer) -> set[str]:
    return {path.name for path in (server.root / "blobs").iterdir()}


def test_the_second_deployment_sends_nothing(server: SshServer, files: dict[str, Path]) -> None:
    connection, facts = reach(server)
    seen: list[tuple[int, int]] = []
    first = deploy(connection, facts, files, progress=lambda done, total: seen.append((done, total)))
    assert (first.bytes_sent, first.files_sent, first.files_present) == (2_300_000, 3, 0)
    assert seen[-1] == (2_300_000, 2_300_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    for label, path in files.items():
        there = Path(first.paths[label])
        assert there.name == hashlib.sha256(path.read_bytes()).hexdigest() == first.hashes[label]
        assert there.read_bytes() == path.read_bytes()
        assert there.parent == server.root / "blobs"
    seen.clear()
    second = deploy(connection, facts, files, progress=lambda done, total: seen.append((done, total)))
    assert (second.bytes_sent, second.files_sent, second.files_present) == (0, 0, 3)
    assert second.paths == first.paths
    assert seen == []
    connection.close()


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_blob_that_was_damaged_is_sent_again(
    server: SshServer, files: dict[str, Path], damage: str
) -> None:
    connection, facts = reach(server)
    paths = deploy(connection, facts, files).paths
    blob = Path(paths["model"])
    data = blob.read_bytes()
    blob.write_bytes({"flipped": b"X" + data[1:], "cut": data[:-1], "empty": b""}[damage])
    again = deploy(connection, facts, files)
    assert (again.bytes_sent, again.files_sent) == (300_000, 1)
    assert blob.read_bytes() == data
    connection.close()


def test_one_file_under_two_labels_is_sent_once(server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    connection, facts = reach(server)
    report = deploy(connection, facts, {"a": tmp_path / "a", "b": tmp_path / "b"})
    assert (report.bytes_sent, report.files_sent) == (4, 1)
    assert report.paths["a"] == report.paths["b"]
    connection.close()


@pytest.mark.parametrize("sftp", [True, False], ids=["sftp", "cat"])
def test_a_link_that_breaks_leaves_nothing_under_a_good_name(
    make_ssh_server: MakeServer, tmp_path: Path, sftp: bool
) -> None:
    server = make_ssh_server(sftp=sftp)
    (source := tmp_path / "big").write_bytes(os.urandom(40_000_000))
    (small := tmp_path / "small").write_bytes(b"small")
    connection, facts = reach(server)

    def strike(done: int, total: int) -> None:
        if done > 8_000_000:
            for pid in server.sessions():
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(ConnectionFailed):
        deploy(connection, facts, {"small": small, "big": source}, progress=strike)
    connection.close()
    name = hashlib.sha256(source.read_bytes()).hexdigest()
    assert name not in blobs(server)

    for part in (server.root / "blobs").glob("*.part-*"):
        os.utime(part, (1, 1))  # as if the minutes had passed after which nobody can be writing it
    connection, facts = reach(server)
    report = deploy(connection, facts, {"small": small, "big": source})
    assert (report.bytes_sent, report.files_present) == (40_000_000, 1)
    assert blobs(server) == {name, hashlib.sha256(b"small").hexdigest()}
    connection.close()


def test_a_part_that_somebody_is_writing_is_left_alone(server: SshServer, files: dict[str, Path]) -> None:
    connection, facts = reach(server)
    (server.root / "blobs").mkdir(parents=True)
    fresh = server.root / "blobs" / "abc.part-1"
    fresh.touch()
    deploy(connection, facts, files)
    assert fresh.exists()
    connection.close()


def test_a_file_that_changes_while_it_is_sent(server: SshServer, tmp_path: Path) -> None:
    (source := tmp_path / "source").write_bytes(bytes(3_000_000))
    connection, facts = reach(server)

    def strike(done: int, total: int) -> None:
        with source.open("r+b") as writer:
            writer.seek(2_999_999)
            writer.write(b"!")

    with pytest.raises(DeviceError, match="arrived with other content"):
        deploy(connection, facts, {"source": source}, progress=strike)
    assert blobs(server) == set()
    connection.close()


def test_two_deployments_at_once(server: SshServer, files: dict[str, Path]) -> None:
    errors: list[BaseException] = []

    def send() -> None:
        try:
            connection, facts = reach(server)
            deploy(connection, facts, files)
            connection.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert blobs(server) == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}


def test_a_source_that_is_not_there(server: SshServer, tmp_path: Path) -> None:
    connection, facts = reach(server)
    with pytest.raises(DeviceError, match="cannot read"):
        deploy(connection, facts, {"model": tmp_path / "none"})
    connection.close()


def test_too_little_room_is_said_before_anything_is_sent(
    make_ssh_server: MakeServer, small_disk: Path, tmp_path: Path
) -> None:
    server = make_ssh_server(environment={"XDG_CACHE_HOME": str(small_disk)})
    (source := tmp_path / "source").write_bytes(bytes(20_000_000))
    connection, facts = reach(server)
    free_bytes = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    assert facts.disk_free_bytes == free_bytes
    with pytest.raises(BoardUnfit, match="too little room") as refused:
        deploy(connection, facts, {"source": source})
    needed = 20_000_000 + (8 << 20)
    assert f"{needed:,} bytes are needed" in str(refused.value)
    assert f"{free_bytes:,} are available" in str(refused.value)
    assert list((small_disk / "edgebench" / "blobs").iterdir()) == []
    connection.close()


@pytest.mark.parametrize("sftp", [True, False], ids=["sftp", "cat"])
def test_a_disk_that_fills_up_meanwhile(
    make_ssh_server: MakeServer, small_disk: Path, tmp_path: Path, sftp: bool
) -> None:
    server = make_ssh_server(environment={"XDG_CACHE_HOME": str(small_disk)}, sftp=sftp)
    (source := tmp_path / "source").write_bytes(bytes(12_000_000))
    connection, facts = reach(server)

    def fill(done: int, total: int) -> None:
        if not (small_disk / "other").exists():
            (small_disk / "other").write_bytes(bytes(20 << 20))

    with pytest.raises(BoardUnfit, match="too little room"):
        deploy(connection, facts, {"source": source}, progress=fill)
    assert list((small_disk / "edgebench" / "blobs").iterdir()) == []
    (small_disk / "other").unlink()
    assert deploy(connection, facts, {"source": source}).bytes_sent == 12_000_000
    connection.close()


def test_a_root_that_cannot_be_written(server: SshServer, files: dict[str, Path]) -> None:
    connection, facts = reach(server)
    with pytest.raises(DeviceError, match="check_blobs"):
        deploy(connection, replace(facts, root="/proc/edgebench"), files)
    connection.close()


def test_to_this_machine(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    connection = connect(resolve_device("local"))
    facts = probe_board(connection)
    assert facts.root == str(tmp_path / "cache" / "edgebench")
    assert deploy(connection, facts, files).bytes_sent == 2_300_000
    assert deploy(connection, facts, files).bytes_sent == 0
