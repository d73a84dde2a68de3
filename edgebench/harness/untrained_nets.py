"""Nets of random weights, made here, brought to a device as far as both have the room, and measured.

What does not fit is no reason to give up the others: it is left out, with the reason. The measuring is
a run like any other: same agent, same rules, same store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BoardUnfit, ModelError
from edgebench.harness.board import open_board
from edgebench.harness.events import Events
from edgebench.harness.runner import Request
from edgebench.harness.runner import run as run_suite
from edgebench.models import load_artifact
from edgebench.results import summarise

if TYPE_CHECKING:
    from edgebench.devices import Device
    from edgebench.harness.suite import Suite
    from edgebench.models import Artifact
    from edgebench.models.making.untrained import UntrainedNet
    from edgebench.results import RunSummary, Store

# Peak resident memory of a trial over the size of its file, at least, and what the interpreter and the
# runtime take. Measured with onnxruntime 1.31.1 on files of 0.3 to 1.9 GB.
_RSS_PER_FILE_BYTE = 1.5
_RSS_BASE_BYTES = 50_000_000


@dataclass
class Nets:
    """Files of nets by name, in the order asked for, and why others are not among those to measure."""

    made: dict[str, Artifact] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def fitting(self) -> dict[str, Artifact]:
        """The files to measure."""
        return {name: artifact for name, artifact in self.made.items() if name not in self.refused}


@dataclass(frozen=True)
class Bench:
    """Where nets are measured and kept. ``host`` is what ``--host`` said, ``command`` what was typed."""

    device: Device
    host: str | None
    offline: bool
    store: Store
    cache: Path
    command: Sequence[str]
    events: Events


def measure_nets(nets: Sequence[UntrainedNet], suite: Suite, bench: Bench) -> tuple[Nets, RunSummary | None]:
    """Make, send and measure nets. The summary is None where none of them could be measured.

    Raises UsageError where torch is not installed, DeviceError for a device that cannot be used,
    MeasurementError for a run that broke (what was measured is in the store).
    """
    # Before minutes of exporting: whether the device answers at all.
    memory_bytes = _memory_of(bench)
    found = make_nets(nets, cache=bench.cache / "untrained", events=bench.events)
    if found.fitting:
        bring_nets(found, bench, memory_bytes=memory_bytes)
    if not found.fitting:
        return found, None
    request = Request(
        device=bench.device,
        host=bench.host,
        suite=suite,
        models=[str(artifact.path) for artifact in found.fitting.values()],
        corpora={},
        include_seen=False,
        offline=bench.offline,
        cache=bench.cache,
        command=bench.command,
    )
    return found, summarise(bench.store.run(run_suite(request, bench.store, bench.events)))


def make_nets(nets: Sequence[UntrainedNet], *, cache: Path, events: Events) -> Nets:
    """Make each net's file, or find it in ``cache``.

    Raises UsageError where torch is not installed; a net that cannot be made is ``refused``.
    """
    found = Nets()
    for number, net in enumerate(nets, start=1):
        there = "found" if net.path(cache).is_file() else f"exporting, about {net.size_bytes / 1e6:,.1f} MB"
        events.stage(f"net {number} of {len(nets)}: {net.name} ({there})")
        try:
            found.made[net.name] = load_artifact(net.make(cache))
        except ModelError as error:
            _refuse(found, net.name, str(error), events)
    return found


def _memory_of(bench: Bench) -> int | None:
    with open_board(
        bench.device, cache=bench.cache, offline=bench.offline, events=bench.events, to_measure=True
    ) as board:
        found: int | None = board.fingerprint()["memory_bytes"]
    return found


def bring_nets(nets: Nets, bench: Bench, *, memory_bytes: int | None) -> None:
    """Send each net's file that fits the device; what does not fit is ``refused``. Raises DeviceError.

    ``memory_bytes``: the device's, None where it does not say.
    """
    device, events = bench.device, bench.events
    with open_board(
        device, cache=bench.cache, offline=bench.offline, events=events, to_measure=True
    ) as board:
        for name, artifact in nets.fitting.items():
            events.stage(f"sending {name} to {device.name}")
            try:
                _require_memory(artifact, memory_bytes, device.name)
                board.send({artifact.sha256: artifact.path})
            except BoardUnfit as error:
                _refuse(nets, name, str(error), events)


def _require_memory(artifact: Artifact, memory_bytes: int | None, device: str) -> None:
    needed = _RSS_BASE_BYTES + _RSS_PER_FILE_BYTE * artifact.size_bytes
    if memory_bytes is not None and memory_bytes < needed:
        raise BoardUnfit(
            f"{artifact.key}: running it takes about {needed / 1e9:.2f} GB of memory, device {device!r} has "
            f"{memory_bytes / 1e9:.2f} GB. Measure it on a larger one."
        )


def _refuse(nets: Nets, name: str, reason: str, events: Events) -> None:
    nets.refused[name] = reason
    events.warn(f"left out: {reason}")
