"""The agent's median latency against another way to time the same model: ratio of medians, paired."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator

from benchmarks.common import Row, Settings, Spread, Target, Tick, interleave, paired
from benchmarks.launch import Work, agent_trial, bare_model, local_board, scratch, works
from edgebench.harness.board import Board

WARMUP_COUNT = 30
MIN_COUNT = 64
TARGET = Target("0.98 to 1.02", 0.98, 1.02)


def compare(settings: Settings, tick: Tick, *, script: str, other: str) -> Iterator[Row]:
    """A row for each packaged model at each length. ``other`` is what the script is called in words."""
    with scratch() as folder, local_board(folder) as board:
        todo = works(folder, warmup_count=WARMUP_COUNT, count=MIN_COUNT)
        total, done = len(todo) * settings.pairs, 0

        def step() -> None:
            nonlocal done
            done += 1
            tick(done, total)

        for work in todo:
            yield _row(board, _sized(work, settings), settings, script=script, other=other, step=step)


def _sized(work: Work, settings: Settings) -> Work:
    """As many inferences as fill a launch, by a first look at the model."""
    glance_ns = bare_model("bare_loop.py", work)["median_ns"]
    return dataclasses.replace(work, count=max(MIN_COUNT, round(settings.launch_s * 1e9 / glance_ns)))


def _row(
    board: Board, work: Work, settings: Settings, *, script: str, other: str, step: Callable[[], None]
) -> Row:
    agents, others = interleave(
        lambda: float(statistics.median(agent_trial(board, work)["samples_ns"])),
        lambda: float(bare_model(script, work, work.count)["median_ns"]),
        pairs=settings.pairs,
        step=step,
    )
    # In A B B A the two inner launches follow each other and are of one kind: what they differ by
    # is the machine, and no ratio above can be trusted to less than that.
    noise = Spread.of([others[i] / others[i + 1] for i in range(0, len(others) - 1, 2)])
    detail = (
        f"agent {statistics.median(agents) / 1e6:.3f} ms, {other} {statistics.median(others) / 1e6:.3f} ms, "
        f"{work.count} inferences a launch; {other} against itself {noise.lo:.3f} to {noise.hi:.3f}"
    )
    return Row(work.title, paired(agents, others), "ratio", TARGET, detail)
