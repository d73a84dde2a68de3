"""The benchmark of distillation: its arithmetic, and that it runs. No figure is asked for here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from distil_tiny import TINY

sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks are no part of what is installed

from benchmarks.distillation import PAPER_STEPS_PER_S, PARTS, Throughput, measure

pytestmark = pytest.mark.train


def test_the_papers_figure():
    assert pytest.approx(34.0, abs=0.05) == PAPER_STEPS_PER_S


def test_shares_by_hand():
    parts = dict(zip(PARTS, (1.0, 2.0, 3.0, 4.0), strict=True))
    found = Throughput(steps=10, audio_s=6.2, loop_s=5.0, waited_share=0.1, parts_s=parts)
    assert found.steps_per_s == 2.0
    assert [found.share(part) for part in PARTS] == [0.1, 0.2, 0.3, 0.4]


def test_it_times_every_part_of_the_steps_it_says():
    found = measure(TINY, steps=3)
    assert found.steps == 3 and 0.2 <= found.audio_s <= 0.4
    assert set(found.parts_s) == set(PARTS) and min(found.parts_s.values()) > 0.0
    assert 0.0 <= found.waited_share <= 1.0
