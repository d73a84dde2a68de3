"""What a teacher adds to the human labels: its answers to the very excerpts that a student is trained on.

``python -m benchmarks.soft_labels --set 'teacher.paths=["FILE"]' --corpus NAME=PATH...`` asks the recipe's
teachers about augmented excerpts of training speakers, whom they learnt from, and of validation speakers,
whom they did not. Where their answer to a training excerpt is the human label again, soft labels are human
labels made smooth, and can teach a student little that those do not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edgebench.cli.options import named_paths
from edgebench.corpora import Clip
from edgebench.training.data import TrainingData
from edgebench.training.gather import gather
from edgebench.training.recipe import Recipe, load_recipe
from edgebench.training.soft_labels import SoftLabels, load_teachers

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Over labelled excerpts: ``agreement`` with the human label, mean probability of it, mean entropy."""

    excerpts: int
    agreement: float
    probability: float
    entropy_nats: float

    @staticmethod
    def of(human: Floats, teacher: Floats) -> Answers:
        """From distributions (excerpts, classes); the human ones are one-hot."""
        truth = human.argmax(1)
        nats = -(teacher * np.log(np.maximum(teacher, 1e-12))).sum(1)
        return Answers(
            len(truth),
            float((teacher.argmax(1) == truth).mean()),
            float(teacher[np.arange(len(truth)), truth].mean()),
            float(nats.mean()),
        )


def ask(recipe: Recipe, clips: Sequence[Clip], *, batches: int) -> Answers:
    """The teachers' answers to ``batches`` batches of augmented excerpts of labelled clips."""
    data = TrainingData([clip for clip in clips if clip.emotion is not None], recipe)
    alone = recipe.teacher.model_copy(update={"emotion_share": 1.0, "adv_share": 1.0})
    taught = SoftLabels(data, load_teachers(recipe), alone)
    human, teacher = [], []
    for step in track(range(batches), "asking", transient=True):
        human.append(data.batch(step).emotions)
        teacher.append(taught.batch(step).emotions)
    return Answers.of(np.concatenate(human), np.concatenate(teacher))


def main() -> None:
    """Print a row for the speakers that the teachers learnt from and one for those that they did not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soft_labels", description=__doc__)
    parser.add_argument("--recipe", default="wav2small_soft")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--batches", type=int, default=40)
    arguments = parser.parse_args()
    overrides = [*arguments.overrides, "augment.any_class_probability=0.0"]
    recipe = load_recipe(arguments.recipe, overrides=overrides)
    assert isinstance(recipe, Recipe)
    gathered = gather(recipe, named_paths(arguments.corpus, "--corpus"))
    table = Table("excerpts of", "n", "teacher agrees", "probability of the label", "entropy, nats")
    for name in ("train", "validation"):
        found = ask(recipe, gathered.part(name), batches=arguments.batches)
        table.add_row(
            f"{name} speakers",
            str(found.excerpts),
            f"{found.agreement:.3f}",
            f"{found.probability:.3f}",
            f"{found.entropy_nats:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
