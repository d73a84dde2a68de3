"""What the agent promises about itself: old Pythons, few imports, a small trial process."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from agent_board import Board, model, trial
from support.runtimes import runtime_python
from support.tflite_files import tiny_tflite

from benchmarks.trial_import import Imported, imported_by
from edgebench import agent
from edgebench.agent.runtimes.table import RUNTIMES

ROOT = Path(agent.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Modules of the standard library that are worth megabytes or milliseconds, or both.
HEAVY = {
    "asyncio",
    "ctypes",
    "dataclasses",
    "hashlib",
    "logging",
    "pathlib",
    "select",
    "socket",
    "subprocess",
}
HEAVY |= {"tempfile", "typing", "urllib", "numpy", "onnxruntime"}
# The package that a runtime is, where it has another name.
PACKAGES = {"litert": "ai_edge_litert"}


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: relative import"
            found.add(node.module or "")
    return found


def test_no_folder_of_the_agent_is_overlooked() -> None:
    assert {"trial.py", "runtimes/litert.py", "sensors/files.py"} <= {named(file) for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=named)
def test_python_3_8_can_read_it(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("file", FILES, ids=named)
def test_it_imports_the_standard_library_numpy_and_its_runtime(file: Path) -> None:
    own = {PACKAGES.get(file.stem, file.stem)} if file.parent.name == "runtimes" else set()
    for name in imports(file):
        top = name.partition(".")[0]
        known = top in sys.stdlib_module_names or name.startswith("edgebench.agent")
        assert known or top == "numpy" or top in own, name


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_of_the_table_is_a_module_of_its_name(name: str) -> None:
    tree = ast.parse((ROOT / "runtimes" / f"{name}.py").read_text())
    (runtime,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Runtime")
    values = [
        node.value.value
        for node in runtime.body
        if isinstance(node, ast.Assign)
        and getattr(node.targets[0], "id", "") == "name"
        and isinstance(node.value, ast.Constant)
    ]
    assert values == [name]


def test_modules_fit_a_few_screens() -> None:
    assert {named(file): n for file in FILES if (n := len(file.read_text().splitlines())) > 250} == {}


def check_budget(found: Imported) -> None:
    """A trial's process holds at most 1,000 of our lines that say something, docstrings included."""
    assert "edgebench.agent.trial" in found.modules
    assert not {name for name in found.modules if name.startswith("edgebench") and "agent" not in name} - {
        "edgebench"
    }
    assert found.lines <= 1000
    assert not set(found.before_runtime) & HEAVY


def test_what_a_trial_of_onnxruntime_imports(board: Board) -> None:
    found = imported_by(
        board.python, trial(board.blob(model())), str(board.agent), blobs=str(board.root / "blobs")
    )
    check_budget(found)
    assert [name for name in found.modules if ".runtimes." in name] == [
        "edgebench.agent.runtimes.base",
        "edgebench.agent.runtimes.onnxruntime",
        "edgebench.agent.runtimes.table",
    ]


def test_what_a_trial_of_litert_imports(board: Board) -> None:
    artifact = board.blob(tiny_tflite([1600]))
    found = imported_by(
        runtime_python("litert"),
        trial(artifact, runtime="litert"),
        str(board.agent),
        blobs=str(board.root / "blobs"),
    )
    check_budget(found)
    assert "edgebench.agent.runtimes.onnxruntime" not in found.modules
