"""How fast the Wav2Small distillation runs here, beside the paper's 34 steps a second, and why.

    python -m benchmarks.distillation [--steps 40] [--set KEY=VALUE ...]

The recipe is ``wav2small_distill`` on synthetic voices, with the packaged ``wav2small.fp32`` as teacher
unless ``--set teacher=...`` names another; ``--set`` takes any value of the recipe. It writes nothing, and is
no part of ``python -m benchmarks``: it needs torch, takes over a minute and promises no figure.

Two measurements of the same steps: the loop as ``edgebench train`` runs it, with teacher and augmentation
in a thread beside the student; and the parts one after the other, whose shares say where the time goes.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.report import load_average, machine

PAPER_STEPS = 50_000_000
PAPER_DAYS = 17
PAPER_STEPS_PER_S = PAPER_STEPS / (PAPER_DAYS * 86_400)  # 34.0, on an Nvidia RTX A4000
PARTS = ("augmentation", "teacher", "student forward", "student backward and update")


@dataclass(frozen=True)
class Throughput:
    """``loop_s``: the loop's seconds for ``steps``; ``parts_s``: seconds of each part in as many steps."""

    steps: int
    audio_s: float
    loop_s: float
    waited_share: float
    parts_s: dict[str, float]

    @property
    def steps_per_s(self) -> float:
        """What is set beside the paper's 34."""
        return self.steps / self.loop_s

    def share(self, part: str) -> float:
        """Of the time of all parts, one after the other."""
        return self.parts_s[part] / sum(self.parts_s.values())


def measure(overrides: Sequence[str], *, steps: int) -> Throughput:
    """Run ``steps`` steps twice, on fresh students; every sound is in memory beforehand."""
    from edgebench.corpora import packaged_split, split_clips, synthetic_clips
    from edgebench.training.distillation.data import DistillationData
    from edgebench.training.distillation.distiller import Distiller
    from edgebench.training.distillation.recipe import DistillationRecipe
    from edgebench.training.loop.batches import Prefetcher
    from edgebench.training.methods import load_recipe
    from edgebench.training.teachers.teacher import load_teacher

    recipe = load_recipe("wav2small_distill", overrides=["teacher=wav2small.fp32", *overrides])
    assert isinstance(recipe, DistillationRecipe)
    split = packaged_split(recipe.data.split)
    clips = split_clips(
        [c for c in synthetic_clips() if split.part_of("synthetic", c.speaker)], split, "train"
    )
    teacher = load_teacher(
        recipe.teacher, threads=recipe.compute.teacher_threads, emotions=recipe.loss.emotion_weight > 0.0
    )
    data = DistillationData(clips, recipe, teacher)
    lengths_s = [data.waveforms(step).shape[1] / 16_000 for step in range(steps)]  # reads every sound in
    with tempfile.TemporaryDirectory() as folder:
        student = Distiller(recipe, data, lambda model: {"score": 0.0}, Path(folder))
        student.step(0, data.batch(0))  # allocates
        prefetcher = Prefetcher(data)
        began = time.perf_counter()
        for step, batch in prefetcher.batches(0, steps):
            student.step(step, batch)
        loop_s, waited = time.perf_counter() - began, prefetcher.waited_share()
        parts = dict.fromkeys(PARTS, 0.0)
        data.augment_s = data.teacher_s = 0.0
        student = Distiller(recipe, data, lambda model: {"score": 0.0}, Path(folder))
        student.model.train()
        for step in range(steps):
            batch = data.batch(step)
            marks = [time.perf_counter()]
            loss = student.loss(batch, np.random.default_rng(step))
            marks.append(time.perf_counter())
            student.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            student.optimiser.step()
            student.average.update_parameters(student.model)
            marks.append(time.perf_counter())
            parts["student forward"] += marks[1] - marks[0]
            parts["student backward and update"] += marks[2] - marks[1]
    parts["augmentation"], parts["teacher"] = data.augment_s, data.teacher_s
    return Throughput(steps, float(np.mean(lengths_s)), loop_s, waited, parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distillation", description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    arguments = parser.parse_args()
    facts = machine(datetime.datetime.now(datetime.UTC), load_average())
    found = measure(arguments.settings, steps=arguments.steps)
    console = Console()
    console.print(
        f"{found.steps_per_s:.2f} steps/s over {found.steps} steps (mean excerpt {found.audio_s:.1f} s). "
        f"The paper: {PAPER_STEPS_PER_S:.1f} on an RTX A4000, {PAPER_STEPS_PER_S / found.steps_per_s:.0f} "
        f"times as many. The student waited for data {found.waited_share:.0%} of the time.",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("one after the other", "ms a step", "share")
    for part, seconds in found.parts_s.items():
        table.add_row(part, f"{1000 * seconds / found.steps:.0f}", f"{found.share(part):.0%}")
    console.print(table)
    for name, value in [*facts, ("settings", " ".join(arguments.settings) or "the recipe's own")]:
        console.print(f"{name}: {value}", highlight=False)


if __name__ == "__main__":
    main()
