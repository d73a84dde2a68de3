"""The rows of the int8 benchmark quantize what they say."""

from __future__ import annotations

import fnmatch
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks are no part of what is installed

from benchmarks.int8_choices import CHOICES
from edgebench.models.architectures import build_architecture
from edgebench.models.quantization import SCHEMES

pytestmark = pytest.mark.train


@pytest.mark.parametrize("architecture", sorted(CHOICES))
def test_what_a_row_leaves_in_float_is_there(architecture):
    """A pattern that meets no node would give a row that is not what it says."""
    nodes = [f"{name}/Conv" for name, _ in build_architecture(architecture).named_modules()]
    scheme, changes = CHOICES[architecture]
    settings = SCHEMES[scheme].settings
    assert {} in changes.values()  # the choice itself
    for change in changes.values():
        assert change.keys() <= settings.keys()
        for pattern in change.get("float_nodes", []):
            assert fnmatch.filter(nodes, pattern), pattern
