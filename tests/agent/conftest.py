"""A board on this machine: the agent's zip, run through local subprocesses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import onnxruntime
import pytest
from agent_board import Board

from edgebench.devices import build_agent


@pytest.fixture(scope="session")
def agent_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_agent(tmp_path_factory.mktemp("agent"))


@pytest.fixture
def board(agent_zip: Path, tmp_path: Path) -> Iterator[Board]:
    board = Board(agent_zip, tmp_path / "board")
    yield board
    board.close()


@pytest.fixture
def environment(tmp_path: Path) -> Callable[[str], str]:
    """Make a private environment whose ``onnxruntime`` is the given source; returns its Python."""

    def make(source: str) -> str:
        folder = tmp_path / "env"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        site = next((folder / "lib").glob("python*/site-packages"))
        (site / "real.pth").write_text(f"{Path(onnxruntime.__file__).parents[1]}\n")
        (site / "onnxruntime.py").write_text(source)
        return str(folder / "bin" / "python")

    return make
