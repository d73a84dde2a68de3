"""From two files and a device to an explanation."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.files import sha256_of, write_bytes
from edgebench.harness.explain.accuracy import Speech, alone_in_int8, lossy_parts
from edgebench.harness.explain.causes import Case, causes_of
from edgebench.harness.explain.explanation import Explanation
from edgebench.harness.explain.measure import Asked, load_graph, measure, samples_of
from edgebench.harness.explain.numbered import write_numbered
from edgebench.harness.explain.operators import Graph
from edgebench.harness.explain.probe import numbered_probe, padded_shape, probe_model, rates_of
from edgebench.harness.explain.side import Side
from edgebench.harness.explain.trace import merged

if TYPE_CHECKING:
    from edgebench.harness.events import Events
    from edgebench.results import Store

_NO_PROBE = (
    "The small file that shows what the runtime reaches at its best left no trace: roofs are those of the "
    "two files' own operators."
)


def explain(asked: Asked, speech: Speech | None, store: Store, events: Events) -> Explanation:
    """Measure and trace both files on the device, and say why the artifact is as fast as it is.

    ``speech``: on which operators are quantized one at a time, None to leave that out.

    Raises EdgebenchError; the runs that were measured until then are in the store.
    """
    samples = samples_of(asked)
    models = [load_graph(asked.parent), load_graph(asked.artifact)]
    graphs = [Graph.of(model, samples=samples) for model in models]
    keys = [asked.parent.key, asked.artifact.key]
    probe = probe_model(padded_shape(graphs[1].operators))
    with tempfile.TemporaryDirectory() as folder:
        copies = [
            write_numbered(model, f"{place}-{key}", Path(folder))
            for model, key, place in zip(models, keys, ("parent", "artifact"), strict=True)
        ]
        del models  # a large model and its copies need not be held together
        probe_path = Path(folder) / "probe.onnx"
        write_bytes(probe_path, numbered_probe(probe))
        measured = measure(asked, [*copies[0], *copies[1]], [probe_path], store=store, events=events)
        traces = [merged([measured.traces[sha256_of(path)] for path in paths]) for paths in copies]
        probed = measured.traces.get(sha256_of(probe_path))
    rates = rates_of(probe, probed) if probed is not None else None
    parent, child = (Side(*parts) for parts in zip(keys, graphs, traces, strict=True))
    board = measured.header.device
    found = Explanation(
        device=board.name,
        fingerprint=board.fingerprint,
        emulated=board.emulated,
        input_s=asked.input_s,
        threads=asked.threads,
        parent=parent,
        child=child,
        change=measured.change,
        runs=(measured.measured_run, measured.traced_run),
        rates=rates,
        notes=() if rates else (_NO_PROBE,),
    )
    if speech is not None:
        found = _with_accuracy(found, asked, speech, events)
    features = frozenset(board.fingerprint.cpu_features)
    case = Case(parent, child, found.rows, board.fingerprint.machine, features, rates)
    return replace(found, causes=tuple(causes_of(case)))


def _with_accuracy(found: Explanation, asked: Asked, speech: Speech, events: Events) -> Explanation:
    """The explanation with a row an operator alone in int8, or with the reason why there is none."""
    graphs = (found.parent.graph, found.child.graph)
    try:
        rows = alone_in_int8(asked.parent, speech, graphs, events=events)
    except ModelError as error:  # a graph that cannot be changed can still be timed
        return replace(found, notes=(*found.notes, f"No operator was quantized alone: {error}"))
    if not rows:
        why = "No quantized operator was found again in the parent, so none was quantized alone."
        return replace(found, notes=(*found.notes, why))
    parts = tuple(lossy_parts(rows, found.parent.graph, found.rows))
    return replace(found, alone=tuple(rows), lossy=parts, notes=(*found.notes, f"Clips: {speech.source}."))
