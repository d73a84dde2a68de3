"""Each way to reach a board: what edgebench does beside what `ssh` does with the same files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ssh_bench import Case, UnavailableError, try_case
from support.ssh_cases import CASES
from support.sshd import find_sshd

from benchmarks.ssh_table import PAGE, rows, rows_of_page

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(
        find_sshd() is None or shutil.which("ssh") is None, reason="no OpenSSH server and client here"
    ),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, for the sockets of agents."""
    with tempfile.TemporaryDirectory(prefix="ssh") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.board
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_edgebench_and_ssh_do_what_the_page_says(case: Case, folder: Path) -> None:
    try:
        ours, error, theirs, said = try_case(case, folder)
    except UnavailableError as why:
        pytest.skip(str(why))
    assert ours == case.edgebench, error
    assert theirs == case.ssh, said


def test_the_page_has_these_cases() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert rows_of_page(page) == rows(CASES)


def test_what_differs_says_why() -> None:
    for case in CASES:
        assert bool(case.why) == (case.ssh != case.edgebench and not case.is_job), case.title
    assert len({case.title for case in CASES}) == len(CASES)
