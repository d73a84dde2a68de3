"""Naming recipes costs no torch, and a machine without torch is told what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_package_imports_without_torch():
    code = "import sys, edgebench.training as t; print('torch' in sys.modules, *t.recipe_names())"
    assert run(code).split()[:1] == ["False"]


@pytest.mark.parametrize(
    "name", ["torch", "accelerate", "onnxscript", "tensorboard", "transformers", "audiomentations", "sklearn"]
)
def test_without_torch_the_extra_is_named(name):
    code = f"""
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {name!r} else found(name, *rest)
from pathlib import Path
from edgebench.errors import UsageError
from edgebench.training import train
try:
    train("wav2small", corpora={{}}, output=Path("never"))
except UsageError as error:
    print(error)
"""
    told = run(code)
    assert name in told
    assert "pip install 'edgebench[train]'" in told
