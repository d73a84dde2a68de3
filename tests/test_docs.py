"""The documents promise; these tests hold them to it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from edgebench.agent import protocol
from edgebench.cli.app import app
from edgebench.devices import profiles
from edgebench.models import packaged_artifacts
from edgebench.results import PUBLIC_NAMES
from edgebench.results.verdicts.rules import RULES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"edgebench {command}" in README


def test_every_board_is_in_the_readme() -> None:
    assert [name for name in profiles() if f"`{name}`" not in README] == []


def test_every_packaged_model_is_in_the_readme() -> None:
    assert [key for key in packaged_artifacts() if key not in README] == []


def test_every_metric_and_code_is_explained() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    codes = [code for code, _, _ in RULES]
    failures = [
        protocol.RUNTIME_INSTALL,
        protocol.RUNTIME_IMPORT,
        protocol.MODEL_LOAD,
        protocol.KILLED,
        protocol.TIMEOUT,
    ]
    assert [name for name in [*PUBLIC_NAMES, *codes, *failures] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
    targets = [t for t in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in t]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in folder.glob("[0-9]*.md") if path.name not in listed] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    """A path of whoever wrote it is of no use to anybody else."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    places = [str(ROOT), str(Path.home())]
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        text = (ROOT / name).read_bytes().decode(errors="ignore")
        found += [(name, place) for place in places if len(place) > 1 and f"{place}/" in text]
    assert found == []
