"""What the agent promises about itself: old Pythons, few imports, few lines."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebench import agent

FILES = sorted(Path(agent.__file__).parent.glob("*.py"))
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


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_python_3_8_can_read_it(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_imports_the_standard_library_numpy_and_runtimes(file: Path) -> None:
    for name in imports(file):
        top = name.partition(".")[0]
        known = top in sys.stdlib_module_names or name.startswith("edgebench.agent")
        assert known or top == "numpy" or (file.name, top) == ("runtimes.py", "onnxruntime"), name


def modules_of_a_trial() -> set[str]:
    """What a trial loads before it imports its runtime, beside what a bare interpreter has loaded."""
    script = "import sys; before = set(sys.modules); {}; print(*(set(sys.modules) - before))"
    load = "from edgebench.agent import __main__, trial"
    argv = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, sys.argv[1]); {script.format(load)}",
    ]
    done = subprocess.run([*argv, FILES[0].parents[2]], capture_output=True, check=True, env={**os.environ})
    return set(done.stdout.decode().split())


def test_what_a_trial_loads_of_the_agent_stays_small() -> None:
    """1,000 lines that say something, the docstrings included; the supervisor is another process."""
    loaded = {name.removeprefix("edgebench.agent.") + ".py" for name in modules_of_a_trial()}
    lines = [
        line
        for file in FILES
        if file.name in loaded
        for line in file.read_text().splitlines()
        if line.strip()
    ]
    assert {"trial.py", "loop.py", "window.py"} <= loaded and "supervisor.py" not in loaded
    assert 0 < len(lines) <= 1000
    assert all(len(file.read_text().splitlines()) <= 300 for file in FILES)


def test_a_trial_brings_nothing_heavy_along() -> None:
    loaded = modules_of_a_trial()
    assert "edgebench.agent.trial" in loaded
    assert not loaded & HEAVY
