"""One trial: one artifact in one configuration, in this process and no other.

The order of things is the measurement: peak reset, interpreter, runtime, model, first run,
warm-up, loop. Imports are few and late, so that the memory reported is the model's and not ours;
the supervisor does everything else. The trial says at each stage where it is and what it knows,
so that a death leaves its evidence.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time

from edgebench.agent import loop, protocol, waveform, window
from edgebench.agent.failure import TrialError, guard
from edgebench.agent.inputs import Inputs
from edgebench.agent.runtimes import table
from edgebench.agent.sensors import memory

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

STAGE = "stage"  # between trial and supervisor only: {"kind": "stage", "stage": ..., **record so far}
IMPORTING = "importing the runtime"

_WARMUP_LIMIT = 10_000  # samples set aside for the warm-up
_OUTPUT_VALUES = 64  # of each output of the first inference


def blank(trial: dict[str, Any]) -> dict[str, Any]:
    """The record of a trial that has not begun; what stays unreached stays null or empty."""
    return {
        "id": trial["id"],
        "status": "failed",
        "error": None,
        "runtime": None,
        "pid": None,
        "threads": trial["threads"],
        "affinity": [],
        "load_ns": None,
        "first_inference_ns": None,
        "warmup_ns": [],
        "warmup_steady": False,
        "samples_ns": [],
        "samples_cpu_ns": [],
        "elapsed_ns": None,
        "window": None,
        "requests": None,
        "power": None,
        "memory": {"resettable": False, "page_bytes": os.sysconf("SC_PAGE_SIZE"), "marks": {}},
        "output": None,
        "predictions": None,
        "trace": None,
    }


def main(wire: int) -> None:
    """Read a trial from standard input, do it, send its record. Does not return."""
    trial = json.loads(sys.stdin.buffer.read())
    record = blank(trial)
    try:
        measure(trial, record, lambda stage: protocol.send(wire, {"kind": STAGE, "stage": stage, **record}))
        record["status"] = "ok"
    except TrialError as problem:
        record["error"] = {"code": problem.code, "message": str(problem), "signal": None}
    except Exception as problem:
        from edgebench.agent import problems

        text = problems.describe(problem)
        record["error"] = {"code": protocol.INTERNAL, "message": text, "signal": None}
    protocol.send(wire, {"kind": protocol.TRIAL, **record})
    sys.stderr.flush()
    # The result is sent. A runtime that crashes or hangs while it is torn down must not change that.
    os._exit(0)


def measure(trial: dict[str, Any], record: dict[str, Any], say: Callable[[str], Any]) -> None:
    """Fill the record of a trial. Raises TrialError; ``say`` is called with each stage before it begins."""
    if trial["cpus"]:
        os.sched_setaffinity(0, trial["cpus"])
    record["pid"] = os.getpid()
    record["affinity"] = sorted(os.sched_getaffinity(0))
    record["memory"]["resettable"] = memory.reset_peak()
    marks = record["memory"]["marks"]
    marks["interpreter"] = memory.memory_mark()

    say(IMPORTING)
    runtime = _import_runtime(trial["runtime"])
    record["runtime"] = {"name": runtime.name, "version": runtime.version, "providers": runtime.providers}
    path = os.path.join(trial["blobs"], trial["artifact"]) if trial["artifact"] else None
    path = guard(protocol.MODEL_LOAD, runtime.name, lambda: runtime.prepare(path, trial["session"]))
    marks["runtime"] = memory.memory_mark()
    guard(protocol.PREPARATION, "preparation", waveform.check, trial["preparation"])

    say("loading the model")
    asked = {"threads": trial["threads"], "session": {**trial["session"], "trace": trial["trace"]}}
    begun = time.perf_counter_ns()
    model = guard(protocol.MODEL_LOAD, runtime.name, lambda: runtime.load(path, **asked))
    record["load_ns"] = time.perf_counter_ns() - begun
    record["runtime"]["providers"] = model.providers
    marks["model"] = memory.memory_mark()

    say("preparing the input")
    inputs = Inputs(trial, model)
    infer = inputs.bind(0)

    say("first inference")
    begun = time.perf_counter_ns()
    outputs = guard(protocol.RUN_FAILED, runtime.name, infer)
    record["first_inference_ns"] = time.perf_counter_ns() - begun
    marks["first_run"] = memory.memory_mark()
    record["output"] = {
        "names": model.output_names,
        "shapes": [list(getattr(output, "shape", ())) for output in outputs],
        "values": [_floats(output, _OUTPUT_VALUES) for output in outputs],
        "not_finite": [_not_finite(output) for output in outputs],
    }
    if trial.get("twice"):
        again = guard(protocol.RUN_FAILED, runtime.name, inputs.bind(0))
        record["output"]["repeats"] = all(map(_same, outputs, again))

    say("measuring")
    gc.collect()
    gc.freeze()
    gc.disable()
    guard(protocol.RUN_FAILED, runtime.name, _loops, trial, record, inputs)
    gc.enable()
    marks["end"] = memory.memory_mark()
    trace = model.finish()
    if trace is not None:
        record["trace"] = {"name": trace}


def _loops(trial: dict[str, Any], record: dict[str, Any], inputs: Inputs) -> None:
    """Warm up on the first input, then measure in the trial's scenario."""
    import numpy

    clock = time.perf_counter_ns
    infer = inputs.bind(0)
    settings = trial["warmup"]
    samples = numpy.zeros(_WARMUP_LIMIT, numpy.int64)
    count, record["warmup_steady"] = loop.warm_up(
        infer,
        samples,
        min_count=settings["min_count"],
        max_ns=int(settings["max_s"] * 1e9),
        window=settings["window"],
        tolerance=settings["tolerance"],
        clock=clock,
    )
    record["warmup_ns"] = samples[:count].tolist()

    # numpy.zeros takes pages as they are written: samples that are never used cost no memory.
    samples, cpu_samples = (numpy.zeros(max(inputs.count, trial["max_count"]), numpy.int64) for _ in range(2))
    options: dict[str, Any] = {
        "min_duration_ns": int(trial["min_duration_s"] * 1e9),
        "min_count": trial["min_count"],
        "clock": clock,
        "cpu_clock": time.process_time_ns,
    }
    kept: list[Any] = []
    pass_ns: list[int] = []
    marks = record["memory"]["marks"]

    def mark_pass() -> None:
        # A runtime may plan its memory anew once it has seen a length: a fast machine, which makes
        # more passes in the same time, must not report more memory for it.
        marks["first_pass"] = memory.memory_mark()

    served = trial.get("rate_hz") or trial["scenario"] == "sustained"
    if served:
        from edgebench.agent import requests
    before = window.take()
    if served:
        count, elapsed_ns, record["requests"] = requests.serve(
            infer, samples, cpu_samples, rate_hz=trial.get("rate_hz"), sleep=time.sleep, **options
        )
    elif inputs.pack is None:
        count, elapsed_ns = loop.single_stream(infer, samples, cpu_samples, **options)
    else:
        count, elapsed_ns, pass_ns = loop.offline(
            inputs.bind,
            inputs.count,
            samples,
            cpu_samples,
            keep=kept.append,
            after_first_pass=mark_pass,
            **options,
        )
    record["window"] = window.between(before, window.take())
    if inputs.pack is not None:
        names = inputs.model.output_names
        record["predictions"] = {
            "clips": inputs.pack.ids,
            "names": names,
            "values": [[_floats(outputs[i]) for outputs in kept] for i in range(len(names))],
            "pass_ns": pass_ns,
            "audio_s": sum(inputs.pack.lengths) / inputs.pack.sample_rate_hz,
        }
    record["samples_ns"] = samples[:count].tolist()
    record["samples_cpu_ns"] = cpu_samples[:count].tolist()
    record["elapsed_ns"] = elapsed_ns


def _import_runtime(name: str) -> Any:
    if name not in table.RUNTIMES:
        known = ", ".join(sorted(table.RUNTIMES))
        raise TrialError(protocol.RUNTIME_IMPORT, f"this agent knows no runtime {name!r}; known: {known}")
    return guard(protocol.RUNTIME_IMPORT, name, table.make, name)


def _not_finite(output: Any) -> int:
    """How many values of an output are NaN or infinite."""
    import numpy

    array = numpy.asarray(output)
    return int(array.size - numpy.isfinite(array).sum()) if array.dtype.kind == "f" else 0


def _same(one: Any, other: Any) -> bool:
    """Whether two answers to one input are equal, but for the order in which threads add."""
    import numpy

    one, other = numpy.asarray(one), numpy.asarray(other)
    if one.shape != other.shape or one.dtype.kind != "f":
        return bool(numpy.array_equal(one, other))
    return bool(numpy.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True))


def _floats(output: Any, limit: int | None = None) -> list[float | None]:
    """An output as a flat list; NaN and infinity, which JSON lacks, as None; no tensor as []."""
    import numpy

    array = numpy.asarray(output)
    if array.dtype.kind not in "fiub":
        return []
    flat = array.ravel()[:limit].astype(numpy.float64)
    return [value if ok else None for value, ok in zip(flat.tolist(), numpy.isfinite(flat).tolist())]
