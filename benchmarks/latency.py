"""The agent against another way to time the same model: pairs of launches that are neighbours in time.

CPU time is compared, and not wall time: where something else wants the processor, wall time says
how much of it a launch was given. Launches are short and many, and the geometric mean of the pairs'
ratios comes with its 95 % interval; the whole interval must lie within the target.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common import Row, Settings, Spread, Target, Tick, interleave
from benchmarks.launch import Work, agent_trial, bare_model, local_board, scratch, subjects, works
from edgebench.harness.board import Board

WARMUP_COUNT = 10
MIN_COUNT = 20
PAIRS = 24
LAUNCH_S = 0.5
TARGET = Target("0.98 to 1.02", 0.98, 1.02)

# The CPU time of one inference, in nanoseconds, from a trial of the agent.
AgentCost = Callable[[Mapping[str, Any]], float]


def compare(
    settings: Settings,
    tick: Tick,
    *,
    script: str,
    other: str,
    key: str,
    agent_cost: AgentCost,
    formats: Sequence[str] = ("onnx", "tflite"),
) -> Iterator[Row]:
    """A row for each model of these formats at each length that it takes.

    ``other`` is what the script is called in words; ``key`` names the CPU time of an inference in
    what it prints, which ``agent_cost`` takes from a trial of the agent in the same way.
    """
    pairs = settings.pairs if settings.quick else PAIRS
    artifacts = [artifact for artifact in subjects(settings) if artifact.format in formats]
    with scratch() as folder, local_board(folder, artifacts) as board:
        todo = works(folder, artifacts, warmup_count=WARMUP_COUNT, count=MIN_COUNT)
        total, done = len(todo) * pairs, 0

        def step() -> None:
            nonlocal done
            done += 1
            tick(done, total)

        for work in todo:
            sized = _sized(board, work, settings)
            agents, others = interleave(
                lambda sized=sized: _agent(board, sized, agent_cost),
                lambda sized=sized: _other(board, script, sized, key),
                pairs=pairs,
                step=step,
            )
            yield _row(sized, agents, others, other)


def _sized(board: Board, work: Work, settings: Settings) -> Work:
    """As many inferences as fill a launch, by a first look at the model."""
    glance_ns = bare_model(board, "bare_loop.py", work)["cpu_median_ns"]
    seconds = min(settings.launch_s, LAUNCH_S)
    return dataclasses.replace(work, count=max(MIN_COUNT, round(seconds * 1e9 / glance_ns)))


def _agent(board: Board, work: Work, cost: AgentCost) -> tuple[float, float]:
    """(CPU time, wall time) of an inference by the agent, in nanoseconds."""
    trial = agent_trial(board, work)
    return cost(trial), float(statistics.median(trial["samples_ns"]))


def _other(board: Board, script: str, work: Work, key: str) -> tuple[float, float]:
    """(CPU time, wall time) of an inference by the script, in nanoseconds."""
    said = bare_model(board, script, work, work.count)
    return float(said[key]), float(said["median_ns"])


def _row(work: Work, agents: list[tuple[float, float]], others: list[tuple[float, float]], other: str) -> Row:
    cpu, wall = (
        [agent[n] / of_other[n] for agent, of_other in zip(agents, others, strict=True)] for n in (0, 1)
    )
    detail = (
        f"CPU time of an inference: agent {_middle(agents) / 1e6:.3f} ms, {other} "
        f"{_middle(others) / 1e6:.3f} ms; {work.count} inferences a launch; geometric mean "
        f"{_geometric_mean(cpu):.4f}; wall time {min(wall):.2f} to {max(wall):.2f} in the same pairs"
    )
    return Row(work.title, Spread.of_ratios(cpu), "ratio", TARGET, detail)


def _middle(costs: list[tuple[float, float]]) -> float:
    return statistics.median(cpu_ns for cpu_ns, _ in costs)


def _geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))
