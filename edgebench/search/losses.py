"""What a file loses against its parent on the clips of validation speakers, on this host.

Test speakers play no part in a search: whoever searches looks many times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from edgebench.corpora import Clip
from edgebench.results.metrics.table import CCC, CHANGED, Figure
from edgebench.training.artifacts.score import accuracy_drop, predict_corpora

if TYPE_CHECKING:
    from edgebench.models import Artifact


@dataclass(frozen=True)
class Losses:
    """``ua``: mean over corpora of the parent's UA minus the file's. ``ccc``: the largest such difference of
    a CCC over corpora and dimensions. ``changed``: clips of ``clips`` to which the two give different
    emotions. ``by_corpus``: every difference, with an interval where there are speakers enough."""

    ua: float
    ccc: float
    changed: int
    clips: int
    by_corpus: Mapping[str, Mapping[str, Figure]]


class Judge:
    """Compares files with ``parent`` on ``clips``, which the parent answers once."""

    def __init__(self, parent: Artifact, clips: Sequence[Clip]) -> None:
        self.parent, self.clips = parent, list(clips)
        self._before = predict_corpora(parent, self.clips)

    def __call__(self, artifact: Artifact) -> Losses:
        """Raises ModelError for a file without a manifest, and where its runtime fails."""
        after = predict_corpora(artifact, self.clips)
        drops = accuracy_drop((self.parent, artifact), self.clips, (self._before, after))
        return Losses(
            ua=fmean(_values(drops, ["ua"])),
            ccc=max(_values(drops, CCC)),
            changed=sum(int(found[CHANGED].value or 0) for found in drops.values()),
            clips=len(self.clips),
            by_corpus=drops,
        )


def _values(drops: Mapping[str, Mapping[str, Figure]], metrics: Sequence[str]) -> list[float]:
    """The differences that have a value; 0 where a corpus has none of these labels."""
    figures = [found.get(f"{metric}_loss") for found in drops.values() for metric in metrics]
    values = [figure.value for figure in figures if figure is not None]
    return [float(value) for value in values if value is not None] or [0.0]
