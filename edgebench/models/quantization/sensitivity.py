"""What must stay float, by measurement: one operator at a time in 8 bits, all others in float.

Ranges are calibrated once for all operators (smallest and largest value, as onnxruntime's static quantizer
takes them); each row then puts one operator, or a group of equal ones, between pairs (see ``fake_pairs``)
and compares the outputs with those of the float file. Nothing here knows an operator by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import audmetric
import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS
from edgebench.models.quantization.fake_pairs import (
    SUMS,
    decibels,
    float_tensors,
    rounded_values,
    with_pairs,
    with_ranges,
)
from edgebench.models.quantization.float_parts import PRODUCTS, WEIGHTED
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.source import inputs_of, source_model

if TYPE_CHECKING:
    import onnx

# Operators that only move numbers: the rounding of what they move is that of their neighbours.
_MOVING = {
    *("Cast", "Concat", "Constant", "DequantizeLinear", "Expand", "Flatten", "Gather", "Identity", "Pad"),
    *("QuantizeLinear", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", "Where"),
}
MOST_ROWS = 48  # with more operators than that, equal ones share a row
Answers = list[dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Labels:
    """What is known of each clip: ``emotions`` (clips,) class or -1; ``dimensions`` (clips, 3) or NaN."""

    emotions: NDArray[np.int64]
    dimensions: NDArray[np.float64]


@dataclass(frozen=True)
class Sensitivity:
    """One operator, or equal ones, alone in 8 bits.

    ``nodes``: names; ``outputs``: the first output of each, which also names it in a file without names.
    ``signal_to_noise_db``: of the model's worst output over all clips; ``by_output``: of each.
    ``weights_db``, ``activations_db``: of the rounded tensors themselves, the worst of each kind, None where
    there is none. ``lost_share``: the largest share of a tensor's values that round to zero.
    ``classes_changed``: clips whose largest logit is another one. ``ua_loss`` and ``ccc_loss`` (the largest
    over dimensions) are against the float file, None without labels.
    """

    nodes: tuple[str, ...]
    kind: str
    outputs: tuple[str, ...]
    signal_to_noise_db: float
    by_output: Mapping[str, float] = field(default_factory=dict)
    weights_db: float | None = None
    activations_db: float | None = None
    lost_share: float | None = None
    classes_changed: int | None = None
    ua_loss: float | None = None
    ccc_loss: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return asdict(self) | {"nodes": list(self.nodes), "outputs": list(self.outputs)}


class Bench:
    """A float file with calibrated ranges, on which any set of its operators can be put into 8 bits.

    ``waveforms`` (samples,) are prepared clips on which answers are compared; ``calibration``: clips for the
    ranges, the same ones without. ``operators``: kinds that may be quantized, None for all that compute on
    float values; ``made``: names of values, of which only the makers may be, None for any. ``float_outputs``:
    kinds whose results stay float, as in ``static_qdq``.
    """

    def __init__(
        self,
        path: Path,
        waveforms: Sequence[Waveform],
        *,
        calibration: Sequence[Waveform] | None = None,
        labels: Labels | None = None,
        operators: Collection[str] | None = None,
        made: Collection[str] | None = None,
        float_outputs: Collection[str] = PRODUCTS,
        signed_weights: bool = True,
        threads: int = 1,
    ) -> None:
        if not waveforms:
            raise ModelError("what an operator adds to the error is measured on clips, and none was given.")
        self.model = source_model(path)
        self._waveforms, self._labels, self._threads = waveforms, labels, threads
        self._float_outputs, self._signed = frozenset(float_outputs), signed_weights
        floats = float_tensors(self.model)
        stored = {tensor.name for tensor in self.model.graph.initializer}
        self.candidates: dict[str, onnx.NodeProto] = {
            node.name: node
            for node in self.model.graph.node
            if (node.op_type in operators if operators is not None else node.op_type not in _MOVING)
            and (made is None or any(name in made for name in node.output))
            and any(name in floats and name not in stored for name in node.input)
        }
        read = [n for node in self.candidates.values() for n in rounded_values(node, floats, stored)]
        self._outputs = [value.name for value in self.model.graph.output]
        self.ranges = self._calibrated(list(dict.fromkeys(read)), calibration or waveforms)
        self.answers = self._run(self.model)

    def row(self, names: Sequence[str]) -> Sensitivity:
        """These nodes in 8 bits and nothing else."""
        made, rounded, weights = with_pairs(
            self.model,
            set(names),
            ranges=self.ranges,
            float_outputs=self._float_outputs,
            signed_weights=self._signed,
        )
        found = self._run(made)
        sums = [np.sum([answer[name + SUMS] for answer in found], axis=0, dtype=float) for name in rounded]
        by_output = {name: self._signal_to_noise(name, found) for name in self._outputs}
        nodes = [self.candidates[name] for name in names]
        return Sensitivity(
            nodes=tuple(names),
            kind=nodes[0].op_type,
            outputs=tuple(node.output[0] for node in nodes),
            signal_to_noise_db=min(by_output.values()),
            by_output=by_output,
            weights_db=min(weights.values(), default=None),
            activations_db=min((decibels(signal, noise) for signal, noise, _, _ in sums), default=None),
            lost_share=max((float(lost / count) for _, _, count, lost in sums if count), default=None),
            **self._losses(found),
        )

    def groups(self, *, most: int = MOST_ROWS) -> list[tuple[str, ...]]:
        """The candidates one by one; equal ones together where there are more than ``most``.

        Equal: one kind, weights of one shape, and the same kinds before and after.
        """
        if len(self.candidates) <= most:
            return [(name,) for name in self.candidates]
        shapes = {tensor.name: tuple(tensor.dims) for tensor in self.model.graph.initializer}
        made = {name: node.op_type for node in self.model.graph.node for name in node.output}
        users: dict[str, list[str]] = {}
        for node in self.model.graph.node:
            for name in node.input:
                users.setdefault(name, []).append(node.op_type)
        groups: dict[Any, list[str]] = {}
        for name, node in self.candidates.items():
            key = (
                node.op_type,
                tuple(shapes.get(value, made.get(value)) for value in node.input),
                tuple(sorted(users.get(node.output[0], ()))),
            )
            groups.setdefault(key, []).append(name)
        return [tuple(names) for names in groups.values()]

    def _calibrated(
        self, names: Sequence[str], waveforms: Sequence[Waveform]
    ) -> dict[str, tuple[float, float]]:
        wanted = [name + end for name in names for end in ("@min", "@max")]
        session = _session(with_ranges(self.model, names), self._threads)
        runs = [session.run(wanted, inputs_of(self.model, waveform)) for waveform in waveforms]
        low = np.min([run[0::2] for run in runs], axis=0) if names else []
        high = np.max([run[1::2] for run in runs], axis=0) if names else []
        found = {
            name: (float(a), float(b))
            for name, a, b in zip(names, low, high, strict=True)
            if np.isfinite(a) and np.isfinite(b)
        }
        # A softmax gives values between 0 and 1, and onnxruntime's quantizer takes them all.
        for node in self.candidates.values():
            if node.op_type == "Softmax":
                found[node.output[0]] = (0.0, 1.0)
        return found

    def _run(self, model: onnx.ModelProto) -> Answers:
        session = _session(model, self._threads)
        names = [value.name for value in model.graph.output]
        return [
            dict(zip(names, session.run(names, inputs_of(self.model, waveform)), strict=True))
            for waveform in self._waveforms
        ]

    def _signal_to_noise(self, name: str, found: Answers) -> float:
        signal = noise = 0.0
        for before, after in zip(self.answers, found, strict=True):
            expected = np.asarray(before[name], np.float64)
            signal += float(np.square(expected).sum())
            noise += float(np.square(expected - after[name]).sum())
        return decibels(signal, noise)

    def _losses(self, found: Answers) -> dict[str, Any]:
        losses: dict[str, Any] = {}
        before, after = (_classes(answers) for answers in (self.answers, found))
        if before is not None and after is not None:
            losses["classes_changed"] = int((before != after).sum())
        if self._labels is None:
            return losses
        known = self._labels.emotions >= 0
        if before is not None and after is not None and known.any():
            truth = self._labels.emotions[known].tolist()
            ua = [
                audmetric.unweighted_average_recall(truth, found[known].tolist()) for found in (before, after)
            ]
            losses["ua_loss"] = float(ua[0] - ua[1])
        drops = [
            _ccc(truth, a) - _ccc(truth, b)
            for truth, a, b in zip(
                self._labels.dimensions.T, _dimensions(self.answers), _dimensions(found), strict=False
            )
            if np.isfinite(truth).any()
        ]
        if drops:
            losses["ccc_loss"] = float(np.max(drops))
        return losses


def sensitivities(
    path: Path,
    waveforms: Sequence[Waveform],
    *,
    calibration: Sequence[Waveform] | None = None,
    labels: Labels | None = None,
    operators: Collection[str] | None = None,
    made: Collection[str] | None = None,
    float_outputs: Collection[str] = PRODUCTS,
    most: int = MOST_ROWS,
    advance: Callable[[int, int], None] | None = None,
) -> list[Sensitivity]:
    """A row for each operator of the float file ``path``, in its order; see ``Bench`` for the settings.

    ``advance(done, total)`` hears of each row. Raises ModelError for a file that cannot be run.
    """
    bench = Bench(
        path,
        waveforms,
        calibration=calibration,
        labels=labels,
        operators=operators,
        made=made,
        float_outputs=float_outputs,
    )
    groups = bench.groups(most=most)
    rows = []
    for number, names in enumerate(groups):
        rows.append(bench.row(names))
        if advance is not None:
            advance(number + 1, len(groups))
    return rows


def float_nodes(
    rows: Sequence[Sensitivity],
    limit: float,
    *,
    measure: str = "signal_to_noise_db",
    measured: Callable[[Sequence[str]], float] | None = None,
) -> list[str]:
    """Names of the nodes that stay float, greedily: the worst first, until what is left keeps ``limit``.

    ``measure``: "signal_to_noise_db", of which ``limit`` is the least that is wanted, or "ua_loss" or
    "ccc_loss", of which it is the most. ``measured(names)`` gives that of the net with the nodes ``names`` in
    8 bits (see ``value_of``); without it, the noise powers or losses of the rows are summed, as those of
    independent errors. Raises ModelError where a row lacks the measure.
    """
    if any(getattr(row, measure) is None for row in rows):
        raise ModelError(f"{measure} was not measured for every operator: labels were not given.")
    noisy = measure == "signal_to_noise_db"
    # Weighted by what they add; of equal ones, cheap kinds stay float first.
    order = sorted(rows, key=lambda row: (_added(row, measure), row.kind not in WEIGHTED), reverse=True)
    for kept in range(len(order) + 1):
        rest = order[kept:]
        if not rest:
            break
        if measured is not None:
            value = measured([name for row in rest for name in row.nodes])
        else:
            total = sum(_added(row, measure) for row in rest)
            value = decibels(1.0, total) if noisy else total
        if value >= limit if noisy else value <= limit:
            break
    return [name for row in order[:kept] for name in row.nodes]


def value_of(bench: Bench, measure: str = "signal_to_noise_db") -> Callable[[Sequence[str]], float]:
    """A ``measured`` for :func:`float_nodes`: the net with exactly these nodes in 8 bits, run on clips."""

    def measured(names: Sequence[str]) -> float:
        return float(getattr(bench.row(names), measure))

    return measured


def _added(row: Sensitivity, measure: str) -> float:
    """What a row adds to the error: noise over signal, or a loss."""
    value = float(getattr(row, measure))
    return float(10 ** (-value / 10)) if measure == "signal_to_noise_db" else max(value, 0.0)


def _session(model: onnx.ModelProto, threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised, in our words
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # a runtime raises classes of its own
        line = str(error).splitlines()[0]
        raise ModelError(f"onnxruntime refuses the graph with 8-bit operators: {line}.") from None


def _classes(answers: Answers) -> NDArray[np.int64] | None:
    if EMOTION_LOGITS not in answers[0]:
        return None
    return np.asarray([int(np.argmax(answer[EMOTION_LOGITS])) for answer in answers])


def _dimensions(answers: Answers) -> NDArray[np.float64]:
    """(3, clips) where the file answers with dimensions, else nothing."""
    if DIMENSIONS not in answers[0]:
        return np.zeros((0, len(answers)))
    return np.asarray([np.ravel(answer[DIMENSIONS]) for answer in answers], np.float64).T


def _ccc(truth: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """0 where an answer is no number, or all are one: such answers follow nothing."""
    known = np.isfinite(truth)
    if not np.isfinite(found[known]).all():
        return 0.0
    value = float(audmetric.concordance_cc(truth[known].tolist(), found[known].tolist()))
    return value if np.isfinite(value) else 0.0
