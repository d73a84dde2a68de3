"""Launches and speakers of known truth, in the form of the record, for ``coverage``.

Records are made without validation (``model_construct``): a simulation makes a million of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebench.results import (
    ArtifactFacts,
    Condition,
    Requirements,
    RunHeader,
    RunSummary,
    TrialMessage,
    TrialRecord,
    summarise,
)
from edgebench.results.records.messages import Memory, MemoryMark
from edgebench.results.records.record import DeviceFacts

Floats = npt.NDArray[np.float64]

EMOTIONS = ("anger", "happiness", "neutral", "sadness")
# A launch on the slower of two levels takes so much longer.
LEVEL = 0.15
# Scatter of the samples within a launch, and samples a launch.
WITHIN, SAMPLES = 0.02, 120


@dataclass(frozen=True)
class Truth:
    """How launches deviate. ``deviation``: of the logarithm of a launch's value.

    ``kind``: normal, t3 (Student's t with 3 degrees of freedom, heavy tails), or two levels (every
    launch is with probability 1/2 LEVEL slower). ``drift``: growth from the first round to the last,
    common to all launches of a round.
    """

    deviation: float
    kind: str = "normal"
    drift: float = 0.0

    def logs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Logarithms of launches' values over that of the typical launch, ``shape (..., rounds)``."""
        drawn = rng.standard_t(3, shape) if self.kind == "t3" else rng.standard_normal(shape)
        found = self.deviation * drawn
        if self.kind == "two levels":
            found += np.log(1 + LEVEL) * ((rng.random(shape) < 0.5) - 0.5)
        return np.asarray(found + np.log1p(self.drift) * np.linspace(-0.5, 0.5, shape[-1]))


def condition(key: str = "net.a", input_s: float = 1.0) -> Condition:
    """A single_stream condition."""
    return Condition(
        artifact=key,
        artifact_sha256=key,
        device="simulated",
        scenario="single_stream",
        input_s=input_s,
        threads=1,
        runtime="onnxruntime",
        corpus=None,
    )


class Loads:
    """Launches that say nothing but their load time; ``of`` gives them other times again and again."""

    def __init__(self, rounds: int) -> None:
        where = condition()
        self.lines = [_line(where, n, TrialMessage.model_construct(status="ok")) for n in range(rounds)]

    def of(self, logs: Floats) -> list[TrialRecord]:
        """The launches with load times of 30 ms times ``exp(logs) (rounds,)``."""
        for line, value in zip(self.lines, np.exp(logs).tolist(), strict=True):
            # subtle: past the model's freezing, for speed; a million launches are too many to make.
            line.trial.__dict__["load_ns"] = 3e7 * value
        return self.lines


def sample_launches(rng: np.random.Generator, logs: Floats, *, median_ns: float = 2e7) -> list[TrialRecord]:
    """Launches of SAMPLES samples each that scatter around their own median."""
    where = condition()
    return [
        _line(where, number, TrialMessage.model_construct(status="ok", samples_ns=samples))
        for number, samples in enumerate(_samples(rng, logs, median_ns))
    ]


def _samples(rng: np.random.Generator, logs: Floats, median_ns: float) -> list[tuple[float, ...]]:
    scatter = WITHIN * rng.standard_normal((logs.size, SAMPLES))
    return [tuple(row) for row in (median_ns * np.exp(logs[:, None] + scatter)).tolist()]


def run(
    rng: np.random.Generator,
    truth: Truth,
    *,
    rounds: int,
    inputs: Sequence[float] = (1.0, 5.0, 10.0),
    slower: float = 1.0,
    keys: Sequence[str] = ("net.a", "net.b"),
    run_id: str = "01A",
) -> RunSummary:
    """A run of files of one truth, the last of which takes ``slower`` times as long; all costs measured."""
    lines: list[RunHeader | TrialRecord] = [_header(run_id, keys, rounds)]
    for input_s in inputs:
        for key in keys:
            factor = slower if key == keys[-1] else 1.0
            where = condition(key, input_s)
            times, loads, firsts, memory = (truth.logs(rng, (rounds,)) for _ in range(4))
            wall = _samples(rng, times, 4e6 * input_s * factor)
            apart = 0.3 * truth.deviation * rng.standard_normal(rounds)
            busy = _samples(rng, times + apart, 4e6 * input_s * factor)
            for number in range(rounds):
                peak = int(8e7 * np.exp(0.1 * memory[number]))
                mark = MemoryMark.model_construct(rss_bytes=5 * 10**7, hwm_bytes=peak)
                message = TrialMessage.model_construct(
                    id=f"{key} {input_s} {number}",
                    status="ok",
                    load_ns=3e7 * float(np.exp(loads[number])) * factor,
                    first_inference_ns=5e6 * input_s * float(np.exp(firsts[number])) * factor,
                    samples_ns=wall[number],
                    samples_cpu_ns=busy[number],
                    elapsed_ns=int(sum(wall[number])),
                    memory=Memory.model_construct(
                        resettable=True, page_bytes=4096, marks={"runtime": mark, "end": mark}
                    ),
                )
                lines.append(_line(where, number, message, run_id=run_id))
    return summarise(lines)


def _line(where: Condition, number: int, message: TrialMessage, *, run_id: str = "01A") -> TrialRecord:
    return TrialRecord.model_construct(
        run_id=run_id, condition=where, launch=number, round=number, trial=message
    )


def _header(run_id: str, keys: Sequence[str], rounds: int) -> RunHeader:
    from edgebench.results import Fingerprint

    device = DeviceFacts.model_construct(
        name="simulated",
        profile="local",
        address=None,
        fingerprint=Fingerprint.model_construct(machine="simulated"),
        environments={},
        emulated=False,
    )
    return RunHeader.model_construct(
        run_id=run_id,
        suite={},
        seed=1,
        device=device,
        artifacts=tuple(
            ArtifactFacts.model_construct(key=key, sha256=key, size_bytes=1000, parameters=10) for key in keys
        ),
        corpora=(),
        requirements=Requirements(min_duration_s=0.1, min_count=1, launches=rounds),
        trials=(),
        harness_version="simulated",
    )


# --- speakers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speakers:
    """How clips are answered: logit of the mean recall, its deviation over speakers, clips an emotion.

    A second file repeats the first one's answer with probability ``agreement`` and answers anew otherwise.
    """

    level: float = 1.0
    deviation: float = 0.7
    clips: int = 8
    agreement: float = 0.9

    def confusions(self, rng: np.random.Generator, speakers: int) -> tuple[Floats, Floats]:
        """Flattened confusion matrices ``(speakers, 16)`` of both files."""
        own = rng.normal(0, self.deviation, (speakers, 1)) + rng.normal(0, self.deviation / 2, (speakers, 4))
        recall = 1 / (1 + np.exp(-(self.level + own)))
        counts = rng.integers(self.clips // 2, self.clips * 3 // 2 + 1, (speakers, 4))
        most = int(counts.max())
        there = np.arange(most) < counts[..., None]
        truth = np.broadcast_to(np.arange(4)[:, None], (4, most))
        first, anew = (
            np.where(
                rng.random(there.shape) < recall[..., None],
                truth,
                (truth + rng.integers(1, 4, there.shape)) % 4,
            )
            for _ in range(2)
        )
        second = np.where(rng.random(there.shape) < self.agreement, first, anew)
        return _counted(first, there), _counted(second, there)

    def moments(self, rng: np.random.Generator, speakers: int) -> tuple[Floats, Floats]:
        """Moments ``(speakers, 6)`` of truth and prediction of a dimension, of both files."""
        counts = rng.integers(2 * self.clips, 6 * self.clips + 1, speakers)
        most = int(counts.max())
        there = (np.arange(most) < counts[:, None]).astype(float)
        truth = rng.normal(0, 0.15, (speakers, most)) + rng.normal(0, 0.05, (speakers, 1))
        slope = 0.7 + rng.normal(0, 0.15, (speakers, 1))
        offset, noise = rng.normal(0, 0.03, (speakers, 1)), rng.normal(0, 0.08, (speakers, most))
        first = slope * truth + offset + noise
        second = first + rng.normal(0, 0.03, (speakers, most))
        return _moments(truth, first, there), _moments(truth, second, there)


def _counted(prediction: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]) -> Floats:
    """Confusions ``(speakers, 16)`` of predictions ``(speakers, 4, clips)``."""
    found = np.stack([np.sum((prediction == k) & there, axis=-1) for k in range(4)], axis=-1)
    return np.asarray(found.reshape(len(found), 16), dtype=np.float64)


def _moments(t: Floats, p: Floats, there: Floats) -> Floats:
    parts = [np.ones_like(t), t, p, t * t, p * p, t * p]
    return np.asarray(np.stack([np.sum(part * there, axis=-1) for part in parts], axis=-1))
