"""What the Wav2Small paper measured, on a device of ours: Table I, and the parts of wav2vec2 of its Fig. 5.

The nets are made here with random weights; ``results.wav2small_table`` and ``results.wav2small_figures``
set what a run of them found beside the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.errors import BoardUnfit, UsageError, nearest
from edgebench.harness.facts import artifact_facts
from edgebench.harness.suite import load_suite
from edgebench.harness.untrained_nets import Bench, Nets, measure_nets
from edgebench.models.making.untrained import UntrainedNet
from edgebench.papers.wav2small.figures import ENCODER, VGG7, Parts, parts_of
from edgebench.papers.wav2small.table1 import INPUT_S, TABLE_I, CostTable, cost_table
from edgebench.results import ArtifactFacts

if TYPE_CHECKING:
    from edgebench.harness.suite import Suite

TABLE_SUITE, PARTS_SUITE = "wav2small_table1", "wav2small_fig5"
_BYTES_A_PARAMETER = 4
# Both files of Fig. 5 are made from one net of this many parameters, in memory while either is written.
_PART_BYTES = {VGG7: 90_000_000 * _BYTES_A_PARAMETER, ENCODER: 90_000_000 * _BYTES_A_PARAMETER}


def cost_suite(
    name: str, *, level: str | None = None, threads: int | None = None, launches: int | None = None
) -> Suite:
    """``TABLE_SUITE`` or ``PARTS_SUITE``. Raises ConfigError for a level that does not exist."""
    return load_suite(name, level=level, threads=[threads] if threads else None, launches=launches)


def table_models(names: Sequence[str]) -> list[str]:
    """The models asked for, all where none is, in the paper's order. Raises UsageError for others."""
    for name in names:
        if name not in TABLE_I:
            raise UsageError(f"model {name!r} is not in the paper's Table I: {nearest(name, TABLE_I)}.")
    return [model for model in TABLE_I if model in names or not names]


def reproduce_table(models: Sequence[str], suite: Suite, bench: Bench, *, seed: int) -> CostTable:
    """Table I; each row says what was found, or why nothing was. Raises as ``measure_nets`` does."""
    wanted = table_models(models)
    nets, summary = measure_nets([_net(model, seed) for model in wanted], suite, bench)
    return cost_table(summary, wanted, refused=nets.refused, files=_facts(nets))


def reproduce_parts(suite: Suite, bench: Bench, *, seed: int) -> Parts:
    """Fig. 5: both parts, measured in turn. Raises as ``measure_nets`` does, and BoardUnfit without room."""
    nets, summary = measure_nets(
        [UntrainedNet(name, seed, size_bytes) for name, size_bytes in _PART_BYTES.items()], suite, bench
    )
    if summary is None or nets.refused:
        raise BoardUnfit(f"the figure needs both parts. {' '.join(nets.refused.values())}")
    return parts_of(summary)


def _net(model: str, seed: int) -> UntrainedNet:
    size_bytes = round(TABLE_I[model].figures["parameters"].value * _BYTES_A_PARAMETER)
    return UntrainedNet(model, seed, size_bytes)


def _facts(nets: Nets) -> dict[str, ArtifactFacts]:
    """What a file says of itself, for the rows of models that were made and do not fit the device."""
    return {
        name: artifact_facts(artifact, [INPUT_S])
        for name, artifact in nets.made.items()
        if name in nets.refused
    }
