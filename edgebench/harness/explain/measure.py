"""The two runs behind an explanation: the files in turn, and traces of their numbered copies.

The first run is an ordinary one: fresh processes that take the two files in turn, from which the ratio of
their times comes. The second one holds a launch of each numbered copy (see ``numbered``) under the
runtime's profiler. Both are in the store, and ``edgebench report`` shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.agent.runtimes.table import TRACED, runtimes_for
from edgebench.errors import MeasurementError, ModelError, UsageError
from edgebench.files import sha256_of
from edgebench.harness.explain.trace import Trace, read_trace
from edgebench.harness.runner import Request, run
from edgebench.harness.suite import Repeats, Suite, Warmup
from edgebench.models import load_artifact, packaged_artifacts
from edgebench.results import RunHeader, TraceRecord, summarise
from edgebench.results.compare import compare_artifacts

if TYPE_CHECKING:
    import onnx

    from edgebench.devices import Device
    from edgebench.harness.events import Events
    from edgebench.models import Artifact
    from edgebench.results import RunSummary, Store
    from edgebench.results.changes import Change

LATENCY = "latency_p50_ns"


@dataclass(frozen=True)
class Asked:
    """What is explained, where, and under which settings. ``input_s``: seconds of input."""

    device: Device
    host: str | None
    artifact: Artifact
    parent: Artifact
    input_s: float
    threads: int
    launches: int
    duration_s: float
    offline: bool
    cache: Path
    command: Sequence[str]


@dataclass(frozen=True)
class Measured:
    """What the device said. ``change``: of the median time, the artifact against its parent, by pairs.

    ``traces``: sha256 of a numbered copy or of a probe -> its trace. ``header``: of the measured run.
    """

    header: RunHeader
    change: Change | None
    traces: dict[str, Trace]
    measured_run: str
    traced_run: str


class _SaidOnce:
    """Events of the second run: what a run warns of before it starts was said of the first one."""

    def __init__(self, events: Events) -> None:
        self._events, self._begun = events, False
        self.stage, self.advance = events.stage, events.advance

    def started(self, run_id: str) -> None:
        """From here on it warns of what happens."""
        self._begun = True
        self._events.started(run_id)

    def warn(self, text: str) -> None:
        """Pass on what is new."""
        if self._begun:
            self._events.warn(text)


def parent_of(artifact: Artifact, against: str | None) -> Artifact:
    """The float file that an artifact came from: ``against``, else the one that its manifest names.

    Raises UsageError where neither is at hand, for a float file without ``against``, and for files whose
    runtime writes no trace.
    """
    if against is None and artifact.manifest is not None and artifact.manifest.parent is None:
        raise UsageError(
            f"model {artifact.key} was not quantized, by its manifest, and explain says what quantizing did. "
            "Give the quantized file as MODEL; or name a file to compare this one with, --against FP32.onnx."
        )
    if against is not None:
        parent = load_artifact(against)
    else:
        sha256 = artifact.manifest.parent if artifact.manifest else None
        known = [load_artifact(key) for key in packaged_artifacts()]
        beside = sorted(artifact.path.parent.glob("*.onnx")) if sha256 else []
        known += [load_artifact(path) for path in beside if sha256_of(path) == sha256]
        found = next((one for one in known if sha256 and one.sha256 == sha256), None)
        if found is None:
            named = (
                f"its manifest names {sha256[:12]}..., which is" if sha256 else "no manifest names one, so"
            )
            raise UsageError(
                f"model {artifact.key}: the float file that it came from is needed to compare with; {named} "
                "neither packaged nor beside it. Name the file with --against FP32.onnx."
            )
        parent = found
    if parent.sha256 == artifact.sha256:
        raise UsageError(
            f"model {artifact.key}: it is the same file as the one to compare with. Name the quantized file "
            "as MODEL, and its float parent with --against."
        )
    for one in (artifact, parent):
        if not set(runtimes_for(one.format)) & set(TRACED):
            raise UsageError(
                f"model {one.key} is run by {', '.join(runtimes_for(one.format))}, which writes no trace of "
                f"its operators; only {', '.join(TRACED)} does. Explain the ONNX file of the same scheme."
            )
        if one.streaming is not None:
            raise UsageError(f"model {one.key} keeps a state from call to call; explain takes whole clips.")
    return parent


def load_graph(artifact: Artifact) -> onnx.ModelProto:
    """The model of an ONNX artifact with its weights. Raises ModelError."""
    import onnx  # noqa: PLC0415

    try:
        return onnx.load_model(artifact.path)
    except Exception as error:  # onnx raises several classes here
        raise ModelError(f"model {artifact.path} cannot be read with its weights: {error}.") from None


def samples_of(asked: Asked) -> int:
    """Samples of input at which both files are measured. Raises UsageError where one does not take them."""
    samples = round(asked.input_s * asked.artifact.sample_rate_hz)
    for one in (asked.artifact, asked.parent):
        if one.lengths and samples not in one.lengths:
            lengths = ", ".join(f"{n / one.sample_rate_hz:g}" for n in one.lengths)
            raise UsageError(f"model {one.key} takes {lengths} s of input alone. Choose with --input-s.")
    return samples


def measure(
    asked: Asked, copies: Sequence[Path], probes: Sequence[Path], *, store: Store, events: Events
) -> Measured:
    """Run both runs. ``copies``: numbered copies; ``probes``: further small files to trace.

    Raises EdgebenchError as ``run`` does, and MeasurementError where a copy left no trace.
    """
    suite = Suite(
        name="explain",
        description="An int8 file and its parent in turn.",
        scenarios=("single_stream",),
        input_s=(asked.input_s,),
        threads=(asked.threads,),
        launches=asked.launches,
        min_duration_s=asked.duration_s,
        min_count=4 * asked.launches,
        corpora=(),
        null_runtime=False,
        warmup=Warmup(min_count=3, max_s=0.5, window=5),
    )
    request = Request(
        device=asked.device,
        host=asked.host,
        suite=suite,
        models=[str(asked.parent.path), str(asked.artifact.path)],
        corpora={},
        include_seen=False,
        offline=asked.offline,
        cache=asked.cache,
        command=asked.command,
    )
    measured_run = run(request, store, events)
    few = {"name": "explain_trace", "launches": 1, "min_duration_s": 1e-3, "min_count": 1}
    traced = replace(
        request,
        suite=suite.model_copy(update={**few, "repeats": Repeats(budget=0)}),
        models=[str(path) for path in (*copies, *probes)],
        trace=True,
    )
    traced_run = run(traced, store, _SaidOnce(events))
    lines = store.run(measured_run)
    return Measured(
        header=next(line for line in lines if isinstance(line, RunHeader)),
        change=_change(summarise(lines), asked),
        traces=_traces(store, traced_run, copies),
        measured_run=measured_run,
        traced_run=traced_run,
    )


def _change(summary: RunSummary, asked: Asked) -> Change | None:
    keys = {one.sha256: one.key for one in summary.header.artifacts}
    found = compare_artifacts(
        summary, artifacts=[keys[asked.artifact.sha256]], against=keys[asked.parent.sha256]
    )
    changes = (change for row in found.rows for change in row.changes)
    return next((change for change in changes if change.metric == LATENCY), None)


def _traces(store: Store, run_id: str, copies: Sequence[Path]) -> dict[str, Trace]:
    found: dict[str, Trace] = {}
    why: dict[str, str] = {}
    for line in store.run(run_id):
        if not isinstance(line, TraceRecord) or line.condition.artifact_sha256 is None:
            continue
        if line.file is None:
            why[line.condition.artifact_sha256] = line.message or "the launch left no trace"
        else:
            found[line.condition.artifact_sha256] = read_trace(store.path / line.file.path)
    for path in copies:
        sha256 = sha256_of(path)
        if sha256 not in found:
            raise MeasurementError(
                f"run {run_id}: there is no trace of {path.name} "
                f"({why.get(sha256, 'its launch did not end')}), so its operators cannot be timed. "
                f"`edgebench report {run_id}` shows what happened on the board."
            )
    return found
