"""Bringing a file from a board: whole and as promised, or not at all; on every kind of connection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sshd import SshServer

from edgebench.devices import Connection, connect, resolve_device
from edgebench.devices.links.fetch import LIMIT_BYTES
from edgebench.errors import DeviceError

DATA = bytes(range(256)) * 4000 + b"\n\nedgebench-0123:0\n"


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.ssh)])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    if request.param == "local":
        yield connect(resolve_device("local"))
        return
    server: SshServer = request.getfixturevalue("ssh_server")
    made = connect(resolve_device("rpi4", ssh_config=server.config_path))
    yield made
    made.close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("data", [DATA, b""], ids=["bytes", "empty"])
def test_a_file_comes_as_it_is_into_a_new_folder(connection: Connection, tmp_path: Path, data: bytes) -> None:
    (source := tmp_path / "a name with spaces").write_bytes(data)
    target = tmp_path / "traces" / "t0.json"
    connection.fetch(str(source), target, size_bytes=len(data), sha256=sha256(data))
    assert target.read_bytes() == data
    assert [path.name for path in target.parent.iterdir()] == ["t0.json"]


@pytest.mark.parametrize("found", [DATA[:-1], DATA + b"x", DATA[:-1] + b"x"], ids=["cut", "grown", "changed"])
def test_another_content_is_refused(connection: Connection, tmp_path: Path, found: bytes) -> None:
    (source := tmp_path / "source").write_bytes(found)
    with pytest.raises(DeviceError, match="not what was promised"):
        connection.fetch(str(source), tmp_path / "target", size_bytes=len(DATA), sha256=sha256(DATA))
    assert not (tmp_path / "target").exists()


def test_what_is_missing_too_large_or_cannot_be_written(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"nowhere cannot be read"):
        connection.fetch(str(tmp_path / "nowhere"), tmp_path / "t", size_bytes=1, sha256="0" * 64)
    with pytest.raises(DeviceError, match="Copy it by hand"):
        connection.fetch("/dev/zero", tmp_path / "t", size_bytes=LIMIT_BYTES + 1, sha256="0" * 64)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(DeviceError, match="cannot write"):
        target = tmp_path / "file" / "t"
        connection.fetch(str(tmp_path / "file"), target, size_bytes=1, sha256=sha256(b"x"))
