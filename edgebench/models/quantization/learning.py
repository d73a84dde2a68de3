"""Codes, scales and biases that are learnt, so that the quantized net answers as the float net does.

Quantization-aware training with a straight-through estimator (Bengio et al., 2013, arXiv:1308.3432) and
learnt step sizes (Esser et al., 2020, arXiv:1902.08153). The float net is the teacher: no label is needed.
The learning starts from the codes of GPTQ, and the state that answers other clips best is kept, the start
among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.coding import Coded, as_stored
from edgebench.models.quantization.gptq import as_float16
from edgebench.models.quantization.pieces import Pieces, Values, piece, run
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.torch_graph import Change, TorchGraph, has_rule

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

# Adam's learning rates: of codes in levels, of the logarithm of scales, of biases in their own mean size.
_RATES = {"codes": 0.005, "scales": 1e-3, "biases": 2e-3}
_WARMUP = 0.1  # share of the steps in which the rates rise
# How far the answers in torch may be from onnxruntime's, as a share of their largest: float32 in two orders.
_AGREES = 1e-3

Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Example:
    """A clip behind the front end, and the float net's answers to it."""

    given: Mapping[str, Tensor]
    answers: Sequence[Tensor]


@dataclass(frozen=True)
class Schedule:
    """``steps`` of ``batch`` clips, in an order drawn by ``seed``; judges are asked each ``every`` steps."""

    steps: int
    batch: int
    every: int
    seed: int


def narrowest(model: onnx.ModelProto, first: int, waveform: Waveform) -> int:
    """The node, ``first`` or one before it, from which on the net reads the fewest bytes of a clip.

    Behind it all operators have a rule in torch. What is read there is kept for every clip.
    """
    nodes = model.graph.node
    made = [name for node in nodes[:first] for name in node.output if name]
    given: Values = {model.graph.input[0].name: waveform[np.newaxis]}
    sizes = {name: value.nbytes for name, value in given.items()}
    if made:
        session = piece(model, nodes[:first], made, given)
        sizes |= {name: value.nbytes for name, value in run(session, made, given).items()}
    read = {name for node in nodes[first:] for name in node.input}
    best, fewest = first, sum(sizes[name] for name in read & sizes.keys())
    for at in range(first - 1, -1, -1):
        if not has_rule(nodes[at]):
            break
        read = (read - set(nodes[at].output)) | set(nodes[at].input)
        size = sum(sizes[name] for name in read & sizes.keys())
        if size < fewest:
            best, fewest = at, size
    return best


def examples(
    model: onnx.ModelProto, first: int, graph: TorchGraph, waveforms: Sequence[Waveform]
) -> list[Example]:
    """What a net's nodes from ``first`` on are given for clips, and what they answer to it.

    Raises ModelError where ``graph`` answers the first of them otherwise than onnxruntime does.
    """
    import torch  # noqa: PLC0415

    pieces = Pieces(model, waveforms)
    pieces.advance(first)
    session, made = pieces.rest()
    places = [made.index(name) for name in graph.outputs]
    found: list[Example] = []
    for clip in pieces.values():
        given = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in clip.items()}
        with torch.no_grad():
            answers = graph(given)
        if not found:
            fed = {value.name: clip[value.name] for value in session.get_inputs()}
            expected = session.run(None, fed)
            _refuse_other([expected[at] for at in places], answers)
        found.append(Example(given, answers))
    return found


def _refuse_other(expected: Sequence[NDArray[Any]], answers: Sequence[Tensor]) -> None:
    for one, other in zip(expected, answers, strict=True):
        away = float(np.abs(one - other.numpy()).max()) / (float(np.abs(one).max()) or 1.0)
        if not away <= _AGREES:
            raise ModelError(
                f"torch computes the net otherwise than onnxruntime does: its answers are {away:.2g} of "
                "their largest away, so what it learnt would not fit. Use a packed scheme."
            )


class Student:
    """A graph whose weights stand on the grids of ``coded``, with what is learnt of them.

    Codes are kept as real numbers and rounded when they are read; the gradient passes the rounding as if it
    were not there.
    """

    def __init__(self, graph: TorchGraph, coded: Sequence[Coded]) -> None:
        import torch  # noqa: PLC0415

        self._graph, self._coded = graph, coded
        self._codes = [torch.tensor(one.codes.astype(np.float32), requires_grad=True) for one in coded]
        self._scales = [
            torch.tensor(np.log(one.scales).astype(np.float32), requires_grad=True) for one in coded
        ]
        self._sizes = [1.0 if one.bias is None else _mean_size(one.bias) for one in coded]
        self._biases = [
            None if one.bias is None else torch.tensor(one.bias / size, requires_grad=True)
            for one, size in zip(coded, self._sizes, strict=True)
        ]

    def parameters(self) -> dict[str, list[Tensor]]:
        """What is learnt, by the kind of its learning rate."""
        biases = [bias for bias in self._biases if bias is not None]
        return {"codes": self._codes, "scales": self._scales, "biases": biases}

    def answers(self, given: Mapping[str, Tensor], change: Change | None) -> list[Tensor]:
        """The net's outputs, differentiable."""
        weights: dict[str, Tensor] = {}
        for at, one in enumerate(self._coded):
            weights[one.site.weight] = self._weight(at)
            bias = self._biases[at]
            if bias is not None and one.site.bias is not None:
                weights[one.site.bias] = bias * self._sizes[at]
        return self._graph(given, weights, change)

    def _weight(self, at: int) -> Tensor:
        from torch.nn import functional  # noqa: PLC0415

        one = self._coded[at]
        codes = straight_through(self._codes[at], one.grid.lowest, one.grid.step, one.grid.levels)
        kept = codes * self._scales[at].exp().reshape(one.column)
        behind = one.missing[kept.ndim :]
        return functional.pad(kept, [size for more in reversed(behind) for size in (0, more)])

    def coded(self) -> list[Coded]:
        """The codes as they stand, with scales and biases as the file stores them."""
        found = []
        for at, one in enumerate(self._coded):
            digits = np.round((_array(self._codes[at]) - one.grid.lowest) / one.grid.step)
            codes = one.grid.lowest + one.grid.step * digits.clip(0, one.grid.levels - 1)
            bias = self._biases[at]
            found.append(
                replace(
                    one,
                    codes=codes.astype(np.int8),
                    scales=as_float16(np.exp(_array(self._scales[at]))),
                    bias=None if bias is None else as_stored(_array(bias) * self._sizes[at]),
                )
            )
        return found


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().numpy().astype(np.float64)


def straight_through(real: Tensor, lowest: int, step: int, levels: int) -> Tensor:
    """``real`` on the grid lowest, lowest + step, ...; its gradient is one inside of the grid, else zero."""
    import torch  # noqa: PLC0415

    digits = ((real - lowest) / step).clamp(0, levels - 1)
    rounded = digits + (torch.round(digits) - digits).detach()
    return lowest + step * rounded


def _mean_size(bias: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(bias, dtype=np.float64)))) or 1.0


def learnt(
    graph: TorchGraph,
    coded: Sequence[Coded],
    training: Sequence[Example],
    judges: Sequence[Example],
    schedule: Schedule,
    *,
    change: Change | None = None,
    report: Report = lambda *_: None,
) -> list[Coded]:
    """``coded`` after learning from ``training``, in the state that answers ``judges`` best.

    ``change`` is done to the values inside the net, as :class:`TorchGraph` takes it. ``report(steps, of,
    error)`` is told after each look. An error is the mean over outputs of the squared difference, in
    variances of the float net's answers.
    """
    import torch  # noqa: PLC0415

    student = Student(graph, coded)
    scale = _variances(training)
    best, kept = _mean_error(Student(graph, coded), judges, scale, change), list(coded)
    report(0, schedule.steps, best)
    groups = student.parameters()
    rates = [_RATES[kind] for kind in groups]
    adam = torch.optim.Adam([{"params": parameters} for parameters in groups.values()], lr=max(rates))
    course = torch.optim.lr_scheduler.OneCycleLR(adam, rates, total_steps=schedule.steps, pct_start=_WARMUP)
    for step, batch in enumerate(_batches(training, schedule), start=1):
        adam.zero_grad()
        for example in batch:
            loss = _error(student.answers(example.given, change), example.answers, scale)
            (loss / len(batch)).backward()
        adam.step()
        course.step()
        if step % schedule.every == 0 or step == schedule.steps:
            now = student.coded()
            error = _mean_error(Student(graph, now), judges, scale, change)
            if error < best:
                best, kept = error, now
            report(step, schedule.steps, error)
    return kept


def _batches(training: Sequence[Example], schedule: Schedule) -> Iterator[list[Example]]:
    """Every clip once in each round, in a new order each time."""
    rng = np.random.default_rng(schedule.seed)
    waiting: list[int] = []
    for _ in range(schedule.steps):
        while len(waiting) < schedule.batch:
            waiting += [int(at) for at in rng.permutation(len(training))]
        yield [training[at] for at in waiting[: schedule.batch]]
        del waiting[: schedule.batch]


def _variances(training: Sequence[Example]) -> list[Tensor]:
    """The variance of each output over clips, for each place of its last axis."""
    import torch  # noqa: PLC0415

    found = []
    for answers in zip(*(example.answers for example in training), strict=True):
        rows = torch.cat([answer.reshape(-1, answer.shape[-1] if answer.ndim else 1) for answer in answers])
        variance = rows.var(dim=0, correction=0)
        found.append(variance.clamp_min(1e-3 * float(variance.mean()) or 1.0))
    return found


def _error(answers: Sequence[Tensor], expected: Sequence[Tensor], scale: Sequence[Tensor]) -> Any:
    parts = [
        ((one - other) ** 2 / variance).mean()
        for one, other, variance in zip(answers, expected, scale, strict=True)
    ]
    return sum(parts) / len(parts)


def _mean_error(
    student: Student, judges: Sequence[Example], scale: Sequence[Tensor], change: Change | None
) -> float:
    import torch  # noqa: PLC0415

    with torch.no_grad():
        found = [
            float(_error(student.answers(example.given, change), example.answers, scale))
            for example in judges
        ]
    return sum(found) / len(found)
