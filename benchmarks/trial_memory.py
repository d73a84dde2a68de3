"""A trial's peak memory against the smallest Python process that runs the same model."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.common import Row, Settings, Target, Tick, interleave, main, paired
from benchmarks.launch import agent_trial, bare_model, local_board, scratch, subjects, works

COMPARED = (
    "Peak resident memory (VmHWM, reset by clear_refs before the imports) at the end of a trial over that of "
    "the smallest Python process that runs the same model: numpy and the runtime, same session options, "
    "same input, same number of inferences."
)
WARMUP_COUNT = 20
COUNT = 64
TARGET = Target("at most 1.05", hi=1.05)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """Ratio trial / smallest process for each packaged model and length."""
    artifacts = subjects(settings)
    with scratch() as folder, local_board(folder, artifacts) as board:
        todo = works(folder, artifacts, warmup_count=WARMUP_COUNT, count=COUNT)
        total, done = len(todo) * settings.pairs, 0

        def step() -> None:
            nonlocal done
            done += 1
            tick(done, total)

        for work in todo:
            trials, processes = interleave(
                lambda work=work: agent_trial(board, work)["memory"]["marks"]["end"]["hwm_bytes"],
                lambda work=work: bare_model(board, "bare_memory.py", work)["hwm_bytes"],
                pairs=settings.pairs,
                step=step,
            )
            detail = (
                f"trial {statistics.median(trials) / 1e6:.2f} MB, smallest process "
                f"{statistics.median(processes) / 1e6:.2f} MB"
            )
            yield Row(work.title, paired(trials, processes), "ratio", TARGET, detail)


if __name__ == "__main__":
    main("trial_memory", __doc__)
