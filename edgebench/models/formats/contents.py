"""What is read from a model file, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int | None, ...]  # None: an axis that may have any length


@dataclass(frozen=True)
class Tensor:
    """An input or output as the file declares it. ``dtype``: the format's word in lower case."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Streaming:
    """How a model that keeps a state takes a waveform: frame after frame, its state fed back.

    ``frame``: samples of one call. ``context``: samples of the previous frame that go before each.
    ``state``: input that holds the state -> output that gives the next one. ``shapes``: input -> the
    shape of its zeros at the start. ``constants``: input -> the value that every call gets.
    """

    frame: int
    state: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, int] = field(default_factory=dict)
    context: int = 0

    def settings(self) -> dict[str, Any]:
        """As the agent reads it: the session setting ``streaming``."""
        return {
            "frame": self.frame,
            "context": self.context,
            "state": dict(self.state),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "constants": dict(self.constants),
        }


@dataclass(frozen=True)
class Contents:
    """A model file with one waveform input.

    ``lengths``: the numbers of samples that the file takes, sorted; empty where it takes any.
    ``outputs``: name -> shape, in the file's order. ``operators``: kind -> how many. ``manifest``: the
    JSON text inside the file, None without one. ``macs(samples)`` counts multiply-accumulates, or
    raises ModelError with the reason why it cannot. ``opset``, ``ir_version``, ``domains``: ONNX alone.
    """

    format: str
    input_name: str
    input_shape: Shape
    lengths: tuple[int, ...]
    outputs: dict[str, Shape]
    parameters: int
    operators: dict[str, int]
    macs: Callable[[int], int]
    manifest: str | None = None
    streaming: Streaming | None = None
    opset: int | None = None
    ir_version: int | None = None
    domains: tuple[str, ...] = ()
