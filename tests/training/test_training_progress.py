"""The bar says how far a run is, how well it does and how long it has left."""

from __future__ import annotations

import io
import re
import time

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from rich.console import Console
from tiny_run import tiny_trainer

from edgebench.training.loop.loop import Progress
from edgebench.training.loop.pace import Pace
from edgebench.training.loop.progress import training_bar

pytestmark = pytest.mark.train


def drawn(width: int, *progress: Progress, terminal: bool = True, every_s: float = 0.0) -> list[str]:
    """The lines on a console of that width, as far as they are text."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    with training_bar(console, line_every_s=every_s) as notify:
        for shown in progress:
            notify(shown)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", console.file.getvalue())
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


PACE = Pace(steps=30, worked_s=12.0, waited_s=3.0)


def test_bar_shows_steps_loss_best_and_time_left():
    lines = drawn(
        140,
        Progress(step=1, steps=40, loss=1.5, best=None),
        Progress(step=30, steps=40, loss=0.75, best=0.612, pace=PACE),
    )
    assert re.search(r"step 30/40, 0:00:00 left, loss 0\.750, best UA 0\.612", lines[-2])
    assert lines[-1] == "step 30/40, loss 0.750, best UA 0.612; 2 steps/s, 20% of the time waiting for data"


@pytest.mark.parametrize("width", [50, 80, 200])
def test_the_bar_is_one_line_at_any_width(width):
    long = [Progress(step, 50_000_000, 101.5, 0.612, "CCC with the teacher") for step in (50_000, 50_001)]
    *bars, _ = drawn(width, *long)
    assert bars and all(len(line) <= width and "/50000000, " in line and " left" in line for line in bars)


def test_time_left_is_what_the_rest_takes_at_the_pace_since_the_first_step(monkeypatch):
    clock = iter([100.0, 160.0, 220.0])
    monkeypatch.setattr("edgebench.training.loop.progress.monotonic", lambda: next(clock))
    steps = [Progress(step, 172_800, 1.0, None) for step in (1000, 1060, 1120)]
    lines = drawn(100, *steps, terminal=False)
    assert lines[1].startswith("step 1060/172800, 1 d 23:42:20 left, loss 1.000")  # one second a step


def test_a_log_gets_plain_lines_now_and_then():
    steps = [Progress(step, 40, 1.0, None, pace=PACE) for step in range(1, 41)]
    assert len(drawn(80, *steps, terminal=False, every_s=0.0)) == 41  # every step, and the end
    quiet = drawn(80, *steps, terminal=False, every_s=1000.0)
    assert quiet == ["step 40/40, loss 1.000; 2 steps/s, 20% of the time waiting for data"]
    assert drawn(80, terminal=False) == drawn(80) == []  # nothing was trained


def test_each_fold_ends_with_a_line_of_its_own():
    folds = [Progress(step, 2, 1.0, None, pace=PACE) for step in (1, 2, 1, 2)]
    assert len(drawn(80, *folds, terminal=False, every_s=1000.0)) == 2


def test_pace_of_a_slow_source_is_its_share_of_the_time(tmp_path):
    """A batch takes 60 ms to make, a step 20: the loop waits two thirds of the time of its steps."""
    trainer = tiny_trainer(
        tmp_path, "optimiser.steps=12", validate=lambda model: time.sleep(0.1) or {"score": 1.0}
    )
    batch = trainer.data.batch(0)
    trainer.data.batch = lambda step: time.sleep(0.06) or batch
    trainer.step = lambda step, rows: time.sleep(0.02) or 1.0
    trainer.run()
    # 40 of 60 ms are waited for, and after a validation, while the next batch was made, none: 6 of 12.
    assert trainer.pace.steps == 12
    assert trainer.pace.waited_share == pytest.approx((6 * 40 + 20) / (12 * 20 + 6 * 40 + 20), abs=0.12)
    shares = [row["data_wait_share"] for row in trainer.history.rows]
    assert len(shares) == 6 and all(0.3 < share < 0.9 for share in shares)
    assert all(5 < row["steps_per_s"] < 40 for row in trainer.history.rows)


def test_pace_of_a_fast_source_is_no_waiting(tmp_path):
    trainer = tiny_trainer(tmp_path, "optimiser.steps=12", "validation.every_steps=6")
    batch = trainer.data.batch(0)
    trainer.data.batch = lambda step: batch
    trainer.step = lambda step, rows: time.sleep(0.02) or 1.0
    trainer.run()
    assert trainer.pace.waited_share < 0.1
    assert 25 < trainer.pace.steps_per_s < 51


def test_the_first_batch_is_waited_for(tmp_path):
    trainer = tiny_trainer(tmp_path, "optimiser.steps=2")
    batch = trainer.data.batch(0)
    trainer.data.batch = lambda step: time.sleep(0.2 if step == 0 else 0.0) or batch
    trainer.step = lambda step, rows: 1.0
    trainer.run()
    assert trainer.pace.waited_s == pytest.approx(0.2, abs=0.15) and trainer.pace.waited_share > 0.8
