"""Packed codes come back whole through onnxruntime, whatever the number of levels."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgebench.errors import ModelError
from edgebench.models.quantization import packing
from edgebench.models.quantization.gptq import grid
from edgebench.models.quantization.packing import Prologue, add_codes, add_numbers, digits_per_word, pack
from edgebench.models.quantization.pieces import session_of


def decoded(prologue: Prologue, names: list[str], kind: int) -> tuple[list[np.ndarray], onnx.ModelProto]:
    """What onnxruntime gives for values of the prologue, which read no input."""
    outputs = [helper.make_tensor_value_info(name, kind, [None]) for name in names]
    graph = helper.make_graph(prologue.nodes, "g", [], outputs, prologue.tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return session_of(model.SerializeToString()).run(None, {}), model


def valid_levels() -> list[int]:
    def valid(levels: int) -> bool:
        try:
            grid(levels)
        except ModelError:
            return False
        return True

    return [levels for levels in range(2, 256) if valid(levels)]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.FLOAT])
def test_every_number_of_levels_comes_back(kind, large, monkeypatch):
    if large:
        monkeypatch.setattr(packing, "LARGE", 0)
    rng = np.random.default_rng(0)
    tried = valid_levels()
    assert {2, 3, 4, 31, 127, 128, 129, 255} <= set(tried)
    prologue, wanted, names = Prologue([]), [], []
    for levels in tried:
        chosen = grid(levels)
        values = chosen.lowest + chosen.step * np.arange(levels)
        codes = [rng.choice(values, size).astype(np.int8) for size in (83, 1, 12)]
        codes[0][:45] = chosen.highest  # the largest word there is
        wanted += codes
        names += add_codes(prologue, codes, chosen, kind)
    found, _ = decoded(prologue, names, kind)
    for expected, got in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(got, expected.ravel())
        assert got.dtype == helper.tensor_dtype_to_np_dtype(kind)


@pytest.mark.parametrize("levels", [2, 3, 7, 31, 127])
def test_words_are_numbers_of_that_base(levels):
    digits = np.random.default_rng(levels).integers(0, levels, 150)
    words = pack(digits, levels)
    count = digits_per_word(levels)
    assert levels**count <= 2**63 < levels ** (count + 1)
    assert len(words) == -(-150 // count)
    padded = [*digits.tolist(), *[0] * (len(words) * count - 150)]
    for j, word in enumerate(words.tolist()):
        assert word == sum(padded[i * len(words) + j] * levels**i for i in range(count))


@pytest.mark.parametrize(("levels", "bits"), [(15, 4), (16, 4), (255, 8)])
def test_many_codes_take_whole_or_half_bytes_and_decode_in_little_memory(levels, bits):
    codes = grid(levels).lowest + grid(levels).step * np.random.default_rng(0).integers(
        0, levels, packing.LARGE + 1
    )
    prologue = Prologue([])
    (name,) = add_codes(prologue, [codes.astype(np.int8)], grid(levels), TensorProto.INT8)
    found, model = decoded(prologue, [name], TensorProto.INT8)
    np.testing.assert_array_equal(found[0], codes)
    assert 8 * len(model.SerializeToString()) < bits * packing.LARGE + 8 * 500
    assert not any(node.op_type in ("Div", "Pow") for node in model.graph.node)  # words of 8 bytes


def test_a_ternary_weight_takes_less_than_1_65_bits():
    codes = np.random.default_rng(0).integers(-1, 2, 60_000).astype(np.int8)
    prologue = Prologue([])
    (name,) = add_codes(prologue, [codes], grid(3), TensorProto.FLOAT)[:1]
    found, model = decoded(prologue, [name], TensorProto.FLOAT)
    np.testing.assert_array_equal(found[0], codes)
    assert 8 * len(model.SerializeToString()) < 1.65 * 60_000 + 8 * 500


def test_numbers_keep_their_values_in_float16_or_float32():
    arrays = [np.array([0.5, -3.0]), np.array([1 / 3, 1e-9]), np.array([1e9]), np.array([2.0**-14])]
    prologue = Prologue([])
    names = add_numbers(prologue, arrays)
    found, _ = decoded(prologue, names, TensorProto.FLOAT)
    for array, got in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(got, array.astype(np.float32))
    halves = [tensor for tensor in prologue.tensors if tensor.data_type == TensorProto.FLOAT16]
    assert [list(tensor.dims) for tensor in halves] == [[3]]


def test_names_do_not_meet_those_of_the_graph():
    prologue = Prologue(["a", "c"])
    assert [prologue.name() for _ in range(3)] == ["b", "d", "e"]
    assert prologue.constant(np.float32(1)) == prologue.constant(np.float32(1))
    assert prologue.constant(np.float32(1)) != prologue.constant(np.int64(1))
