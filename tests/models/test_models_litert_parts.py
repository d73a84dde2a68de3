"""Which operators of a .tflite are quantized: the rules of ONNX graphs, on a graph of the other format."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.tflite_files import tiny_tflite

from edgebench.errors import ModelError
from edgebench.models.formats.tflite_graph import Graph, GraphTensor, Operator
from edgebench.models.quantization import litert_parts
from edgebench.models.quantization.float_parts import ALL_PARTS
from edgebench.models.quantization.litert_parts import operators_to_quantize

KINDS = ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D")


def net() -> Graph:
    """A spectrogram by a convolution of one channel, four layers behind its logarithm, and a head."""
    tensors: list[GraphTensor] = []

    def tensor(name: str, *shape: int, stored: bool = False) -> int:
        buffer = len(tensors) + 1 if stored else None
        tensors.append(GraphTensor(name, "float32", shape, shape, buffer, False))
        return len(tensors) - 1

    def weighted(kind: str, read: int, name: str, out: tuple[int, ...], weight: tuple[int, ...]) -> int:
        made = tensor(name, *out)
        operators.append(Operator(kind, None, (read, tensor(f"w {name}", *weight, stored=True)), (made,)))
        return made

    operators: list[Operator] = []
    waveform = tensor("waveform", 1, 1, 1600, 1)
    spectrum = weighted("DEPTHWISE_CONV_2D", waveform, "spectrum", (1, 1, 100, 8), (1, 1, 16, 8))
    mel = weighted("FULLY_CONNECTED", spectrum, "mel", (1, 1, 100, 16), (16, 8))
    log = tensor("log", 1, 1, 100, 16)
    operators.append(Operator("LOG", None, (mel,), (log,)))
    single = tensor("single", 1, 100, 16, 1)
    operators.append(Operator("RESHAPE", None, (log, -1), (single,)))
    first = weighted("CONV_2D", single, "first", (1, 100, 16, 32), (32, 3, 3, 1))
    second = weighted("CONV_2D", first, "a", (1, 100, 16, 32), (32, 3, 3, 32))
    third = weighted("CONV_2D", second, "a;1", (1, 100, 16, 32), (32, 3, 3, 32))
    deep = weighted("DEPTHWISE_CONV_2D", third, "deep", (1, 100, 16, 32), (1, 3, 3, 32))
    wide = weighted("FULLY_CONNECTED", deep, "wide", (1, 300), (300, 32))
    head = weighted("FULLY_CONNECTED", wide, "head", (1, 4), (4, 300))
    return Graph(tuple(tensors), tuple(operators), {"waveform": waveform}, {"head": head})


def chosen(monkeypatch: pytest.MonkeyPatch, *, kinds=KINDS, parts=ALL_PARTS) -> list[tuple[str, str]]:
    model = SimpleNamespace(graphs=(net(), net()))  # two lengths of one net
    monkeypatch.setattr(litert_parts, "read_tflite", lambda _: model)
    return operators_to_quantize(Path("any"), kinds, parts)


def test_front_end_first_convolution_and_head_stay_float(monkeypatch: pytest.MonkeyPatch):
    found = chosen(monkeypatch)
    assert [kind for kind, _ in found] == ["CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]
    names = ["a", "a;1", "deep", "wide"]
    for (_, pattern), name in zip(found, names, strict=True):
        # The quantizer knows an operator by the names of its results, each followed by a semicolon.
        assert [other for other in [*names, "first", "head", "mel"] if re.search(pattern, f"{other};")] == [
            name
        ]


def test_kinds_and_parts_are_settings(monkeypatch: pytest.MonkeyPatch):
    assert len(chosen(monkeypatch, kinds=("FULLY_CONNECTED",))) == 1
    assert len(chosen(monkeypatch, parts=())) == 8
    assert len(chosen(monkeypatch, parts=("heads",))) == 7


def test_a_file_with_nothing_of_that_kind(tmp_path: Path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite())
    assert len(operators_to_quantize(path, KINDS, ALL_PARTS)) == 1
    with pytest.raises(ModelError, match="no CONV_2D with a stored weight"):
        operators_to_quantize(path, ("CONV_2D",), ALL_PARTS)
