"""Emulated boards for whole jobs, one of a kind a test file.

Figures of time mean nothing on them, since QEMU translates every instruction: no test here looks at one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import board_image
from support.board_image import Image
from support.cli import Edgebench
from support.emulated_board import TOOLS, EmulatedBoard
from support.speech_models import small_model

REQUIRED_VARIABLE = "EDGEBENCH_BOARDS_REQUIRED"
PACKAGES = "mmdebstrap qemu-system-arm device-tree-compiler cpio e2fsprogs openssh-client"

# As little as shows that everything works: the emulator is slow.
JOB_SUITE = """\
name = "board-job"
input_s = [1.0]
corpora = []
launches = 1
min_duration_s = 0.2
min_count = 4
[warmup]
min_count = 1
max_s = 0.1
window = 2
[repeats]
budget = 0
"""
STATE_SUITE = JOB_SUITE.replace("board-job", "board-state") + "\n"
STATE_SUITE = STATE_SUITE.replace("min_duration_s = 0.2", "min_duration_s = 4.0\nnull_runtime = false")
STATE_SUITE = STATE_SUITE.replace("input_s", 'scenarios = ["single_stream"]\ninput_s')
ENERGY_SUITE = STATE_SUITE + "[energy]\nlaunches = 2\nduration_s = 8.0\nidle_s = 3.0\n"


@pytest.fixture(scope="session")
def image() -> Image:
    """What the boards start from. Where it cannot be made, tests are skipped, or fail if they must run."""
    missing = board_image.missing_tools(board_image.TOOLS + TOOLS)
    problem = f"no {', '.join(missing)}: apt install {PACKAGES}" if missing else ""
    if os.geteuid() != 0:
        problem = "making the image of a board takes root"
    if problem and os.environ.get(REQUIRED_VARIABLE):
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
    return board_image.cached()


@pytest.fixture(scope="module")
def board(
    request: pytest.FixtureRequest, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmulatedBoard]:
    """A board of the module's KIND; it runs through all tests of the module."""
    emulated = EmulatedBoard(request.module.KIND, image, tmp_path_factory.mktemp("board"))
    yield emulated.start()
    emulated.stop()


@pytest.fixture(scope="module")
def edgebench(board: EmulatedBoard, tmp_path_factory: pytest.TempPathFactory) -> Edgebench:
    """The command, which finds the board by its ssh alias; wheels for boards are kept beside the image."""
    folder = tmp_path_factory.mktemp("host")
    command = Edgebench.in_folder(folder)
    command.environment = {
        "EDGEBENCH_SSH_CONFIG": str(board.config_path),
        "XDG_CACHE_HOME": str(board_image.cache_folder() / "host"),
    }
    (folder / "job.toml").write_text(JOB_SUITE)
    (folder / "state.toml").write_text(STATE_SUITE)
    (folder / "energy.toml").write_text(ENERGY_SUITE)
    small_model(folder / "my.onnx")
    return command


@pytest.fixture(autouse=True)
def as_it_was(board: EmulatedBoard) -> None:
    """Every test meets the board as it was started, whatever the test before made it say."""
    board.reset()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The option that names eight clips of EmoDB; none without $EDGEBENCH_CORPORA.

    The shortest angry, happy, neutral and sad clip of two speakers that the packaged models never saw.
    """
    corpora = os.environ.get("EDGEBENCH_CORPORA")
    if not corpora:
        return []
    wav = tmp_path_factory.mktemp("emodb") / "wav"
    wav.mkdir()
    clips = sorted((Path(corpora) / "emodb" / "wav").iterdir(), key=lambda clip: clip.stat().st_size)
    for speaker in ("09", "13"):
        for emotion in "WFNT":
            clip = next(c for c in clips if c.name.startswith(speaker) and c.name[5] == emotion)
            (wav / clip.name).symlink_to(clip)
    return ["--corpus", f"emodb={wav.parent}"]
