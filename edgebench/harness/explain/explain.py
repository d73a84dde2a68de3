"""From two files and a device to an explanation."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.files import sha256_of
from edgebench.harness.explain.explanation import Explanation
from edgebench.harness.explain.measure import Asked, load_graph, measure, samples_of, write_copies
from edgebench.harness.explain.operators import Graph
from edgebench.harness.explain.side import Side

if TYPE_CHECKING:
    from edgebench.harness.events import Events
    from edgebench.results import Store


def explain(asked: Asked, store: Store, events: Events) -> Explanation:
    """Measure and trace both files on the device, and say why the artifact is as fast as it is.

    Raises EdgebenchError; the runs that were measured until then are in the store.
    """
    samples = samples_of(asked)
    models = [load_graph(asked.parent), load_graph(asked.artifact)]
    graphs = [Graph.of(model, samples=samples) for model in models]
    keys = [asked.parent.key, asked.artifact.key]
    with tempfile.TemporaryDirectory() as folder:
        copies = write_copies(models, keys, Path(folder))
        del models  # a large model and its copies need not be held together
        measured = measure(asked, copies, [], store=store, events=events)
        traces = [measured.traces[sha256_of(path)] for path in copies]
    parent, child = (Side(*parts) for parts in zip(keys, graphs, traces, strict=True))
    return Explanation(
        device=measured.header.device.name,
        fingerprint=measured.header.device.fingerprint,
        emulated=measured.header.device.emulated,
        input_s=asked.input_s,
        threads=asked.threads,
        parent=parent,
        child=child,
        change=measured.change,
        runs=(measured.measured_run, measured.traced_run),
    )
