"""Codes of any number of levels in as few bytes as plain ONNX operators can decode.

The codes of all weights with one number of levels L are written as digits to the base L into words of 63
bits. Range, Pow, Div and Mod give them back. Nothing of it depends on the input, so onnxruntime computes it
once, when a session starts, and stores and multiplies the decoded weights as if the file held them.

Decoding words takes many times the memory of what they hold. Where there are many codes, two of up to 16
levels share a byte instead, and those of many levels have a byte each.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.gptq import Grid

if TYPE_CHECKING:
    import onnx

_WORD_BITS = 63  # an int64 without its sign
LARGE = 2**20  # codes of one number of levels: words of so many take 64 MB and more to decode
_LEAST_HALF_BYTE = 11  # levels: words hold fewer than 18 of them, half bytes 16
_DIGITS_IF_LARGE = 12  # of a word; from 33 levels on a byte each costs at most a half more

# The most levels that are odd for each number of digits a word.
LEVELS = (3, 5, 7, 11, 15, 27, 37, 51, 77, 127, 255)


def digits_per_word(levels: int) -> int:
    """The most digits k with ``levels ** k`` at most 2 ** 63."""
    count = 1
    while levels ** (count + 1) <= 2**_WORD_BITS:
        count += 1
    return count


def pack(digits: NDArray[Any], levels: int) -> NDArray[np.int64]:
    """Words (m,) of ``digits`` (n,) from 0 to ``levels - 1``: digit i of word j is element i * m + j."""
    count = digits_per_word(levels)
    words = -(-digits.size // count)
    padded = np.zeros((count, words), np.int64)
    padded.reshape(-1)[: digits.size] = digits.ravel()
    packed = np.zeros(words, np.int64)
    for row in padded[::-1]:
        packed = packed * levels + row
    return packed


class Prologue:
    """Nodes and tensors that stand before those of a graph, under short names that the graph does not use."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._names = _short_names(set(taken))
        self._stored: dict[tuple[Any, ...], str] = {}

    def name(self) -> str:
        """A name that is not used yet."""
        return next(self._names)

    def constant(self, value: Any) -> str:
        """The name of a stored tensor; equal ones are stored once."""
        from onnx import numpy_helper  # noqa: PLC0415

        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._stored:
            self._stored[key] = self.name()
            self.tensors.append(numpy_helper.from_array(array.copy(order="C"), self._stored[key]))
        return self._stored[key]

    def node(self, kind: str, *inputs: Any, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; an input that is not a name becomes a stored tensor. Gives its first output's name."""
        from onnx import helper  # noqa: PLC0415

        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        found = list(outputs) or [self.name()]
        self.nodes.append(helper.make_node(kind, names, found, **attributes))
        return found[0]


def _short_names(taken: set[str]) -> Iterator[str]:
    letters = string.ascii_letters
    for length in itertools.count(1):
        for name in map("".join, itertools.product(letters, repeat=length)):
            if name not in taken:
                yield name


def add_codes(prologue: Prologue, codes: Sequence[NDArray[np.int8]], grid: Grid, kind: int) -> list[str]:
    """Store ``codes``, all on ``grid``, together, and add what decodes them.

    Gives the names of flat tensors of the element type ``kind`` (onnx.TensorProto.INT8 or FLOAT).
    """
    flat = np.concatenate([code.ravel() for code in codes])
    large = flat.size >= LARGE
    if large and _LEAST_HALF_BYTE <= grid.levels <= 16:
        return [_add_half_bytes(prologue, code, grid, kind) for code in codes]
    if digits_per_word(grid.levels) <= (_DIGITS_IF_LARGE if large else 8):  # bytes hold about as many
        joined = prologue.constant(flat)
        joined = joined if kind == _INT8 else prologue.node("Cast", joined, to=kind)
        stored = flat.size
    else:
        digits = (flat.astype(np.int64) - grid.lowest) // grid.step
        words = pack(digits, grid.levels)
        joined = _decode(prologue, words, grid, kind)
        stored = words.size * digits_per_word(grid.levels)
    sizes = [code.size for code in codes]
    return split(prologue, joined, sizes + ([stored - flat.size] if stored > flat.size else []))[: len(codes)]


_INT8 = 3  # onnx.TensorProto.INT8


def _add_half_bytes(prologue: Prologue, codes: NDArray[np.int8], grid: Grid, kind: int) -> str:
    """Two codes a byte: those of the first half in the low bits, those of the second in the high ones."""
    from onnx import TensorProto  # noqa: PLC0415

    digits = ((codes.ravel().astype(np.int16) - grid.lowest) // grid.step).astype(np.uint8)
    half = -(-digits.size // 2)
    low, high = digits[:half], np.pad(digits[half:], (0, 2 * half - digits.size))
    stored = prologue.constant(low | (high << 4))
    parts = [
        prologue.node("Mod", stored, np.uint8(16)),
        prologue.node("BitShift", stored, np.uint8(4), direction="RIGHT"),
    ]
    values = prologue.node("Cast", prologue.node("Concat", *parts, axis=0), to=TensorProto.INT32)
    if grid.step != 1:
        values = prologue.node("Mul", values, np.int32(grid.step))
    found = prologue.node("Cast", prologue.node("Add", values, np.int32(grid.lowest)), to=kind)
    if digits.size == 2 * half:
        return found
    bounds = (np.array([0], np.int64), np.array([digits.size], np.int64))
    return prologue.node("Slice", found, *bounds)


def _decode(prologue: Prologue, words: NDArray[np.int64], grid: Grid, kind: int) -> str:
    """Flat values of the grid, as many as the words hold digits."""
    integer = np.int64
    count = digits_per_word(grid.levels)
    places = prologue.node("Range", integer(0), integer(count), integer(1))
    column = prologue.node("Unsqueeze", places, np.array([1], integer))
    powers = prologue.node("Pow", integer(grid.levels), column)  # exact: both are int64
    shifted = prologue.node("Div", words, powers)
    digits = prologue.node("Mod", shifted, integer(grid.levels))
    if grid.step != 1:
        digits = prologue.node("Mul", digits, integer(grid.step))
    values = prologue.node("Add", digits, integer(grid.lowest))
    return prologue.node("Reshape", prologue.node("Cast", values, to=kind), np.array([-1], integer))


def split(prologue: Prologue, joined: str, sizes: Sequence[int]) -> list[str]:
    """Parts of a flat tensor, by their sizes in order."""
    if len(sizes) == 1:
        return [joined]
    names = [prologue.name() for _ in sizes]
    prologue.node("Split", joined, np.array(sizes, np.int64), outputs=names, axis=0)
    return names


def add_numbers(prologue: Prologue, arrays: Sequence[NDArray[Any]]) -> list[str]:
    """Store small float arrays as float16 together; those that float16 does not hold, as float32."""
    import onnx  # noqa: PLC0415

    halves: list[int] = []
    names: list[str] = [""] * len(arrays)
    for at, array in enumerate(arrays):
        if float16_holds(array):
            halves.append(at)
        else:
            names[at] = prologue.constant(np.asarray(array, np.float32).ravel())
    if halves:
        joined = np.concatenate([np.asarray(arrays[at], np.float16).ravel() for at in halves])
        floats = prologue.node("Cast", joined, to=onnx.TensorProto.FLOAT)
        for at, name in zip(halves, split(prologue, floats, [arrays[a].size for a in halves]), strict=True):
            names[at] = name
    return names


def float16_holds(array: NDArray[Any]) -> bool:
    """Whether every number is one of float16."""
    with np.errstate(over="ignore"):
        return bool(
            np.array_equal(np.asarray(array, np.float16).astype(np.float64), np.asarray(array, np.float64))
        )
