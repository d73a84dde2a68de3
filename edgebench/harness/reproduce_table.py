"""Table I of the Wav2Small paper on a device of ours: what eight architectures cost at 5 s of audio.

The nets are made here with random weights, and measured by a run like any other: same agent, same
rules, same store. ``results.wav2small_table`` sets the figures beside the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import UsageError, nearest
from edgebench.harness.events import Events
from edgebench.harness.nets import Nets, bring_nets, make_nets
from edgebench.harness.runner import Request
from edgebench.harness.runner import run as run_suite
from edgebench.harness.suite import load_suite
from edgebench.models.untrained import UntrainedNet
from edgebench.results import ArtifactFacts, Store, summarise
from edgebench.results.wav2small_table import INPUT_S, TABLE_I, CostTable, cost_table

if TYPE_CHECKING:
    from edgebench.devices import Target
    from edgebench.harness.suite import Suite
    from edgebench.models import Artifact

SUITE = "wav2small_table1"
SEED = 1
_BYTES_A_PARAMETER = 4


def table_suite(
    *, level: str | None = None, threads: int | None = None, launches: int | None = None
) -> Suite:
    """The suite of the table. Raises ConfigError for a level that does not exist."""
    return load_suite(SUITE, level=level, threads=[threads] if threads else None, launches=launches)


def table_models(names: Sequence[str]) -> list[str]:
    """The models asked for, all where none is, in the paper's order. Raises UsageError for others."""
    for name in names:
        if name not in TABLE_I:
            raise UsageError(f"model {name!r} is not in the paper's Table I: {nearest(name, TABLE_I)}.")
    return [model for model in TABLE_I if model in names or not names]


def reproduce_table(
    models: Sequence[str],
    target: Target,
    suite: Suite,
    store: Store,
    *,
    host: str | None,
    offline: bool,
    cache: Path,
    command: Sequence[str],
    events: Events,
    seed: int = SEED,
) -> CostTable:
    """Make, send and measure ``models``; each row of the table says what was found, or why nothing was.

    Raises UsageError for an unknown model or where torch is not installed, DeviceError for a device
    that cannot be used, MeasurementError for a run that broke (what was measured is in the store).
    """
    wanted = table_models(models)
    nets = make_nets([_net(model, seed) for model in wanted], cache=cache / "untrained", events=events)
    if nets.fitting:
        bring_nets(nets, target, cache=cache, offline=offline, events=events)
    summary = None
    if nets.fitting:
        request = Request(
            target=target,
            host=host,
            suite=suite,
            models=[str(artifact.path) for artifact in nets.fitting.values()],
            corpora={},
            include_seen=False,
            offline=offline,
            cache=cache,
            command=command,
        )
        summary = summarise(store.run(run_suite(request, store, events)))
    return cost_table(summary, wanted, refused=nets.refused, files=_facts(nets))


def _net(model: str, seed: int) -> UntrainedNet:
    size_bytes = round(TABLE_I[model].figures["parameters"].value * _BYTES_A_PARAMETER)
    return UntrainedNet(model, seed, size_bytes)


def _facts(nets: Nets) -> Mapping[str, ArtifactFacts]:
    """What a file says of itself, for the rows of models that were made and do not fit the device."""
    return {name: _file(artifact) for name, artifact in nets.made.items() if name in nets.refused}


def _file(artifact: Artifact) -> ArtifactFacts:
    macs = artifact.macs(INPUT_S)
    return ArtifactFacts(
        key=artifact.key,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        parameters=artifact.parameters,
        macs={str(INPUT_S): macs.value} if macs else {},
        macs_rule=macs.rule if macs else None,
    )
