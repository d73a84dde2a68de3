"""A trace of onnxruntime, read as data from a machine that is not ours: one kernel a row.

The file is JSON, a list of events. An event of the category "Node" whose name ends in ``_kernel_time`` is
one kernel of one inference; an event "model_run" spans an inference. Everything else is passed over. Sizes
and counts are bounded before anything is kept, and a file of another shape is a MeasurementError.
"""

from __future__ import annotations

import json
import math
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgebench.devices.links.fetch import LIMIT_BYTES
from edgebench.errors import MeasurementError

MOST_EVENTS = 400_000
MOST_KERNELS = 50_000  # of one inference
_LONGEST_NAME = 400
_MOST_AXES = 16
_LONGEST_NS = 3_600e9
_ENDING = "_kernel_time"
_PAIRS = ("QuantizeLinear", "DequantizeLinear")
_EIGHT_BITS = ("uint8", "int8")

Tensor = tuple[str, tuple[int, ...]]  # element type and shape


@dataclass(frozen=True)
class Kernel:
    """One kernel of the optimized graph. ``time_ns``: the median over the inferences of the trace.

    ``inputs`` and ``outputs``: element type and shape of each tensor that the runtime reports; weights
    that it has repacked are not among them.
    """

    name: str
    kind: str
    time_ns: float
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()

    @property
    def is_pair(self) -> bool:
        """Whether it only converts between float and 8 bits."""
        return self.kind in _PAIRS

    @property
    def in_int8(self) -> bool:
        """Whether it computes on 8-bit numbers."""
        if self.is_pair or not self.inputs:
            return False
        return self.inputs[0][0] in _EIGHT_BITS or self.kind.startswith("DynamicQuantizeMatMul")


@dataclass(frozen=True)
class Trace:
    """The kernels in the order in which they first ran, over ``inferences`` inferences."""

    kernels: tuple[Kernel, ...]
    inferences: int

    @property
    def time_ns(self) -> float:
        """What the kernels of one inference take together, under the profiler."""
        return sum(kernel.time_ns for kernel in self.kernels)


def read_trace(path: Path) -> Trace:
    """Read a trace file. Raises MeasurementError for one that is too large, or is no trace of kernels."""
    try:
        size = path.stat().st_size
        if size > LIMIT_BYTES:
            raise _strange(path, f"it has {size:,} bytes, and {LIMIT_BYTES:,} are read at most")
        events = json.loads(path.read_bytes())
    except OSError as error:
        raise _strange(path, f"it cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError):
        raise _strange(path, "it is not JSON") from None
    if not isinstance(events, list):
        raise _strange(path, "it is not a list of events")
    if len(events) > MOST_EVENTS:
        raise _strange(path, f"it has {len(events):,} events, and {MOST_EVENTS:,} are read at most")
    return _kernels(path, [event for event in events if isinstance(event, dict)])


def merged(traces: Sequence[Trace]) -> Trace:
    """Traces of one graph as one: the median over launches of each kernel's time.

    A kernel that one launch lacks is taken from the others.
    """
    times: dict[tuple[str, str], list[float]] = {}
    first: dict[tuple[str, str], Kernel] = {}
    for trace in traces:
        for kernel in trace.kernels:
            key = (kernel.name, kernel.kind)
            first.setdefault(key, kernel)
            times.setdefault(key, []).append(kernel.time_ns)
    kernels = tuple(replace(kernel, time_ns=statistics.median(times[key])) for key, kernel in first.items())
    return Trace(kernels, sum(trace.inferences for trace in traces))


def _kernels(path: Path, events: list[dict[str, Any]]) -> Trace:
    begins = sorted(
        time
        for event in events
        if event.get("name") == "model_run" and (time := _number(event.get("ts"))) is not None
    )
    if not begins:
        raise _strange(path, "it holds no inference")
    times: dict[tuple[str, str], dict[int, float]] = {}
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        name, found = event.get("name"), event.get("args")
        duration, time = _number(event.get("dur")), _number(event.get("ts"))
        if event.get("cat") != "Node" or not isinstance(name, str) or not isinstance(found, dict):
            continue
        if not name.endswith(_ENDING) or duration is None or time is None:
            continue
        # A loop runs a kernel several times in one inference: its times are summed.
        kind = found.get("op_name")
        key = (name.removesuffix(_ENDING)[:_LONGEST_NAME], str(kind)[:_LONGEST_NAME])
        place = bisect_right(begins, time) - 1
        if place < 0:
            continue  # while the session was made
        first.setdefault(key, found)
        own = times.setdefault(key, {})
        own[place] = own.get(place, 0.0) + duration * 1e3
        if len(times) > MOST_KERNELS:
            raise _strange(path, f"it names more than {MOST_KERNELS:,} kernels")
    if not times:
        raise _strange(path, "it holds no kernel")
    kernels = tuple(
        Kernel(
            name=name,
            kind=kind,
            time_ns=statistics.median(_settled(own)),
            inputs=_tensors(first[name, kind].get("input_type_shape")),
            outputs=_tensors(first[name, kind].get("output_type_shape")),
        )
        for (name, kind), own in times.items()
    )
    return Trace(kernels, len(begins))


def _settled(own: dict[int, float]) -> list[float]:
    """The times without the first inference, which pays for memory, where there are others."""
    return [time for place, time in own.items() if place > 0] or list(own.values())


def _number(value: Any) -> float | None:
    """A time of the trace in microseconds, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value * 1e3 < _LONGEST_NS else None


def _tensors(value: Any) -> tuple[Tensor, ...]:
    """``[{"float": [1, 80000]}]`` as ``(("float", (1, 80000)),)``; what has another form is left out."""
    found: list[Tensor] = []
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, dict) or len(entry) != 1:
            continue
        kind, shape = next(iter(entry.items()))
        if isinstance(shape, list) and len(shape) <= _MOST_AXES and all(type(size) is int for size in shape):
            found.append((kind[:_LONGEST_NAME], tuple(shape)))
    return tuple(found)


def _strange(path: Path, why: str) -> MeasurementError:
    return MeasurementError(
        f"trace {path}: {why}, so no operator can be timed. Measure again with `edgebench explain`; a trace "
        "that stays so comes from a runtime that is not onnxruntime."
    )
