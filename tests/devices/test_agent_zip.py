"""The agent's zip: the same bytes everywhere, and it runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import edgebench.agent
from edgebench.devices import build_agent
from edgebench.devices.install.agent_zip import agent_bytes

SOURCES = Path(edgebench.agent.__file__).parent


def test_name_is_the_hash_and_a_second_build_writes_nothing(tmp_path: Path) -> None:
    path = build_agent(tmp_path / "cache")
    assert path.name == hashlib.sha256(path.read_bytes()).hexdigest() + ".zip"
    before = path.stat().st_mtime_ns
    assert build_agent(tmp_path / "cache") == path
    assert path.stat().st_mtime_ns == before
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_zip_is_made_again(tmp_path: Path) -> None:
    path = build_agent(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[:100])
    assert build_agent(tmp_path).read_bytes() == good


def test_it_holds_the_agent_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_agent(tmp_path)) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert set(names) == {
            "__main__.py",
            "edgebench/__init__.py",
            *(f"edgebench/agent/{path.relative_to(SOURCES)}" for path in SOURCES.rglob("*.py")),
        }
        assert "edgebench/agent/runtimes/onnxruntime.py" in names
        for path in SOURCES.rglob("*.py"):
            assert archive.read(f"edgebench/agent/{path.relative_to(SOURCES)}") == path.read_bytes()
        assert archive.read("edgebench/__init__.py") == b""
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr >> 16 == 0o644
            assert info.compress_type == zipfile.ZIP_STORED


def test_another_checkout_makes_the_same_bytes(tmp_path: Path) -> None:
    """Other times, other modes, another folder, another process."""
    package = tmp_path / "edgebench"
    shutil.copytree(SOURCES.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in package.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    program = (
        "import sys; from edgebench.devices.install.agent_zip import agent_bytes; "
        "sys.stdout.buffer.write(agent_bytes())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}
    made = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=environment, cwd=tmp_path
    )
    assert made.stdout == agent_bytes()


def test_it_runs_under_any_name(tmp_path: Path) -> None:
    """On the board it has the name of a blob, with no ending."""
    blob = tmp_path / "0123abcd"
    shutil.copy(build_agent(tmp_path), blob)
    done = subprocess.run(
        [sys.executable, str(blob), "fingerprint"], capture_output=True, check=True, cwd=tmp_path
    )
    message = json.loads(done.stdout.splitlines()[-1])
    assert message["kind"] == "fingerprint"
