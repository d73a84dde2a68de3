"""The bar says how far a run is, how well it does and how long it has left."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from rich.console import Console

from edgebench.training.progress import training_bar
from edgebench.training.trainer import Progress

pytestmark = pytest.mark.train


def test_bar_shows_steps_loss_best_and_time_left():
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with training_bar(console) as notify:
        notify(Progress(step=1, steps=40, loss=1.5, best=None))
        notify(Progress(step=30, steps=40, loss=0.75, best=0.612))
    drawn = console.file.getvalue()
    assert "30/40" in drawn
    assert "loss 0.750" in drawn
    assert "best UA 0.612" in drawn
    assert "left" in drawn
