"""What a teacher adds to the human labels: its answers to the very excerpts that a student is trained on.

``python -m benchmarks.soft_labels --set 'teacher.paths=["FILE"]' --corpus NAME=PATH...`` asks the recipe's
teachers about augmented excerpts of training speakers, whom they learnt from, and of validation speakers,
whom they did not. Where their answer to a training excerpt is the human label again, soft labels are human
labels made smooth, and can teach a student little that those do not.

A corpus of ``teacher.unlabelled_corpora`` gets two rows, over the clips whose emotion is one of the four: the
answers as they are, and aligned over the corpus as a student is trained on them. Its labels are used for this
table alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edgebench.cli.options import corpus_sources
from edgebench.corpora import EMOTIONS, Clip, Where
from edgebench.training.clips.gather import gather
from edgebench.training.methods import load_recipe
from edgebench.training.supervised.data import TrainingData
from edgebench.training.supervised.recipe import SupervisedRecipe
from edgebench.training.supervised.soft_labels import SoftLabels, load_teachers

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Over labelled excerpts: ``agreement`` with the human label, mean probability of it, mean entropy.

    ``unweighted``: the mean over classes of the agreement, which is UA. ``said``: how often each class is the
    answer, as a share of the excerpts.
    """

    excerpts: int
    agreement: float
    unweighted: float
    probability: float
    entropy_nats: float
    said: tuple[float, ...]

    @staticmethod
    def of(human: Floats, teacher: Floats) -> Answers:
        """From distributions (excerpts, classes); the human ones are one-hot."""
        truth = human.argmax(1)
        nats = -(teacher * np.log(np.maximum(teacher, 1e-12))).sum(1)
        right = teacher.argmax(1) == truth
        said = np.bincount(teacher.argmax(1), minlength=human.shape[1]) / len(truth)
        return Answers(
            len(truth),
            float(right.mean()),
            float(np.mean([right[truth == label].mean() for label in np.unique(truth)])),
            float(teacher[np.arange(len(truth)), truth].mean()),
            float(nats.mean()),
            tuple(said.tolist()),
        )


def ask(
    recipe: SupervisedRecipe,
    clips: Sequence[Clip],
    human: Mapping[str, str | None],
    *,
    batches: int,
    align: bool = False,
) -> Answers:
    """The teachers' answers to ``batches`` batches of augmented excerpts of ``clips``.

    ``human`` holds the label of a clip by its name; excerpts of clips that have none are not counted.
    """
    data = TrainingData(clips, recipe)
    alone = {"emotion_share": 1.0, "adv_share": 1.0, "align_unlabelled": align}
    source = SoftLabels(data, load_teachers(recipe), recipe.teacher.model_copy(update=alone))
    truth, answers = [], []
    for step in track(range(batches), "asking", transient=True):
        batch = source.batch(step)
        for row, index in enumerate(data.indices(step)):
            label = human[clips[index].name]
            if label is not None:
                truth.append(np.eye(len(EMOTIONS), dtype=np.float32)[EMOTIONS.index(label)])
                answers.append(batch.emotions[row])
    return Answers.of(np.stack(truth), np.stack(answers))


def rows(
    recipe: SupervisedRecipe, corpora: Mapping[str, Where], *, batches: int
) -> Iterator[tuple[str, Answers]]:
    """What the excerpts are of, and what the teachers say of them."""
    withheld = recipe.teacher.unlabelled_corpora
    seen = gather(recipe, {name: path for name, path in corpora.items() if name not in withheld})
    whole = gather(recipe, corpora)
    human = {clip.name: clip.emotion for clip in [*whole.train, *whole.validation]}
    for part in ("train", "validation"):
        yield f"{part} speakers", ask(recipe, seen.part(part), human, batches=batches)
    blind = gather(recipe, corpora, withheld=withheld).train
    for corpus in withheld:
        clips = [clip for clip in blind if clip.corpus == corpus]
        labels = {clip.name: human.get(clip.name) for clip in clips}
        alone = recipe.model_copy(
            update={"teacher": recipe.teacher.model_copy(update={"unlabelled_corpora": (corpus,)})}
        )
        for align, told in ((False, "as they are"), (True, "aligned")):
            answers = ask(alone, clips, labels, batches=batches, align=align)
            yield f"{corpus}, labels withheld: {told}", answers


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
    assert isinstance(recipe, SupervisedRecipe)
    headings = ("n", "teacher agrees", "UA", "probability of the label", "entropy, nats", *EMOTIONS)
    table = Table("excerpts of", *headings, caption="under each emotion: the share of excerpts called so")
    for name, found in rows(recipe, corpus_sources(arguments.corpus, "--corpus"), batches=arguments.batches):
        table.add_row(
            name,
            str(found.excerpts),
            f"{found.agreement:.3f}",
            f"{found.unweighted:.3f}",
            f"{found.probability:.3f}",
            f"{found.entropy_nats:.3f}",
            *(f"{share:.2f}" for share in found.said),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
