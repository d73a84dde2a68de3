"""What a training method is: a schema of its recipes, a training, and the lineage of what it leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from edgebench.corpora import Where
from edgebench.models.artifact import Artifact
from edgebench.training.clips.gather import Gathered
from edgebench.training.lineage import Lineage
from edgebench.training.recipes.sections import Recipe

if TYPE_CHECKING:
    from edgebench.models.layers.speech_net import SpeechNet
    from edgebench.training.loop.loop import Progress

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True)
class Job:
    """What a user asks of a method, beside the recipe.

    ``corpora`` and ``train_only`` map names of readers to where they lie; ``command`` makes the run again.
    ``notify`` is called after every step.
    """

    corpora: Mapping[str, Where]
    output: Path
    command: str
    train_only: Mapping[str, Where] = field(default_factory=dict)
    resume: bool = False
    notify: Callable[[Progress], None] | None = None


@dataclass(frozen=True)
class Trained:
    """A net to make artifacts of, the clips that it was trained and is tested on, and its teachers."""

    model: SpeechNet
    gathered: Gathered
    teachers: Sequence[Artifact] = ()


class Method(ABC, Generic[R]):
    """One way to train: a subclass in the ``__init__.py`` of its folder; torch is imported in :meth:`train`.

    The table :data:`edgebench.training.methods.METHODS` names it; nothing else has to know it.
    """

    schema: type[R]
    # Keys of the recipe whose values are files or folders of this machine; a card's command leaves them out.
    path_keys: ClassVar[tuple[str, ...]] = ("model.weights",)
    takes_train_only: ClassVar[bool] = False

    @abstractmethod
    def train(self, recipe: R, job: Job) -> Trained | None:
        """Train to the end, or go on from what ``job.output`` holds.

        Returns what the artifacts are made of; None where the method leaves none, and on every process but
        the main one. Raises the errors of :mod:`edgebench.errors`.
        """

    @abstractmethod
    def lineage(self, recipe: R, gathered: Gathered, teachers: Sequence[Artifact] = ()) -> Lineage:
        """What the manifests of the artifacts say of their origin."""
