"""Rewriting a whole model: the packaged one answers as before, and a pass applies whole or not at all."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
from small_graphs import graph, operators, stored

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.graph.parity import largest_difference
from edgebench.models.making.quantized import quantize_artifact
from edgebench.models.rewrites import DEFAULT, PASSES, Pass, rewrite, table
from edgebench.models.rewrites.base import everywhere
from edgebench.models.rewrites.pays import Payment, passes_that_pay

RATE_HZ = 16_000
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def packaged() -> onnx.ModelProto:
    model = onnx.load_model(load_artifact("wav2small.fp32").path)
    del model.metadata_props[:]
    return model


@pytest.fixture(scope="module")
def rewritten(packaged: onnx.ModelProto) -> onnx.ModelProto:
    return rewrite(packaged).model


def clicks(length_s: float) -> np.ndarray:
    waveform = np.zeros(round(length_s * RATE_HZ), np.float32)
    waveform[:: RATE_HZ // 7] = 1.0
    return waveform


WAVEFORMS = {
    "silence": np.zeros(RATE_HZ, np.float32),
    "clicks": clicks(2.0),
    "a square wave at full scale": np.sign(np.sin(np.arange(RATE_HZ) * 0.2)).astype(np.float32),
    "a tenth of a second": RNG.uniform(-1, 1, RATE_HZ // 10).astype(np.float32),
    "half a minute": RNG.uniform(-0.1, 0.1, 30 * RATE_HZ).astype(np.float32),
}


@pytest.mark.parametrize("what", WAVEFORMS)
def test_the_packaged_model_answers_as_before(what: str, packaged, rewritten):
    before, after = packaged.SerializeToString(), rewritten.SerializeToString()
    assert largest_difference(before, after, [WAVEFORMS[what]]) < 1e-4


def test_speech_is_answered_as_before(packaged, rewritten):
    speech = [load_waveform(clip) for clip in synthetic_corpus(split="validation")[::12]]
    assert largest_difference(packaged.SerializeToString(), rewritten.SerializeToString(), speech) < 1e-4


@pytest.mark.parametrize("name", [*PASSES, "pad_channels:4"])
def test_every_pass_alone_keeps_the_answers(name: str, packaged):
    after = rewrite(packaged, [name]).model
    noise = [RNG.uniform(-1, 1, RATE_HZ).astype(np.float32)]
    assert largest_difference(packaged.SerializeToString(), after.SerializeToString(), noise) < 1e-4


def test_every_default_pass_but_folding_finds_a_place_in_the_packaged_model(packaged):
    """The exporter has folded constants already."""
    places = rewrite(packaged).places
    assert tuple(places) == DEFAULT
    assert {name for name, count in places.items() if count == 0} == {"fold_constants"}


def test_the_interface_stays(packaged, rewritten):
    for part in ("input", "output"):
        before, after = getattr(packaged.graph, part), getattr(rewritten.graph, part)
        assert [(v.name, v.type) for v in after] == [(v.name, v.type) for v in before]
    assert (rewritten.ir_version, rewritten.opset_import) == (packaged.ir_version, packaged.opset_import)
    assert {node.domain for node in rewritten.graph.node} == {""}
    assert not rewritten.graph.value_info


def test_the_file_is_smaller_by_its_tables(packaged, rewritten):
    """The Fourier rows and mel filters take 20 KB."""
    assert rewritten.ByteSize() < packaged.ByteSize() - 20_000


def test_the_same_file_gives_the_same_bytes_and_stays_as_it_was(packaged, rewritten):
    before = packaged.SerializeToString(deterministic=True)
    again = rewrite(packaged).model
    assert again.SerializeToString(deterministic=True) == rewritten.SerializeToString(deterministic=True)
    assert packaged.SerializeToString(deterministic=True) == before


def test_names_decide_nothing(packaged, rewritten):
    """Also after a file's names were stripped, every pass finds its places."""
    stripped = rewrite(packaged, ["strip_names"]).model
    assert operators(rewrite(stripped).model) == operators(rewritten)


def test_constants_among_the_nodes_are_constants_too(packaged, rewritten):
    model = onnx.ModelProto()
    model.CopyFrom(packaged)
    constants = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in packaged.graph.initializer
    ]
    nodes = [*constants, *packaged.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    assert operators(rewrite(model).model) == operators(rewritten)


def test_rewriting_twice_is_rewriting_once(rewritten):
    again = rewrite(rewritten).model
    assert again.SerializeToString(deterministic=True) == rewritten.SerializeToString(deterministic=True)


BIASED = "(float[N,T,4] x) => (float[N,T,4] y) { z = Add(x, b) y = Softmax<axis=1>(z) }"


def test_a_pass_that_breaks_the_graph_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    def ruin(node) -> bool:
        if node.op_type != "Softmax" or "axis" not in node.attributes:
            return False
        node.op_type = "Sofmax"
        del node.attributes["axis"]
        return True

    monkeypatch.setattr(table, "PASSES", {**PASSES, "ruin": Pass("ruin", "", everywhere(ruin))})
    model = graph(BIASED, b=np.ones(4))
    before = model.SerializeToString()
    with pytest.raises(ModelError, match=r"'ruin' made a graph that onnx refuses.*Nothing was changed"):
        rewrite(model, ["ruin", "softmax_bias"])
    assert model.SerializeToString() == before


def test_a_file_of_an_old_opset_is_refused():
    text = "(float[N,4] x) => (float[N,4] y) { y = Relu(x) }"
    with pytest.raises(ModelError, match="opset 13 and newer, and this file has 11"):
        rewrite(graph(text, opset=11))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("softmax_bais", "did you mean 'softmax_bias'"),
        ("pad_channels:0", "a whole number above 0"),
        ("pad_channels:many", "a whole number above 0"),
        ("affine:4", "only pad_pooled, pad_channels, pad_last takes one"),
    ],
)
def test_names_that_are_no_pass(name: str, said: str):
    with pytest.raises(UsageError, match=said):
        rewrite(graph(BIASED, b=np.ones(4)), [name])


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx_ir" else found(name))
    with pytest.raises(UsageError, match=r"needs onnx_ir, .*edgebench\[quantize\]"):
        rewrite(graph(BIASED, b=np.ones(4)))


def test_the_scheme_records_its_passes(tmp_path):
    parent = load_artifact("wav2small.fp32")
    made = quantize_artifact(
        parent, "rewrite", clips=[], calibration=None, validation=[WAVEFORMS["clicks"]], folder=tmp_path
    )
    assert made.manifest.scheme == {"name": "rewrite", "passes": list(DEFAULT)}
    assert made.manifest.calibration is None
    assert (made.opset, made.ir_version) == (parent.opset, parent.ir_version)
    assert made.size_bytes < parent.size_bytes - 20_000
    assert made.manifest.macs.value == pytest.approx(parent.manifest.macs.value, rel=0.01)


def times(**of_pass: float):
    """A measurement by hand: every pass multiplies the time, and is known by what it leaves in a file."""

    def compare(one: bytes, other: bytes, waveforms) -> np.ndarray:
        spread = np.linspace(0.99, 1.01, 9)
        return spread * time(one) / time(other)

    def time(data: bytes) -> float:
        model = onnx.load_model_from_string(data)
        found = 1.0
        if "Add" not in operators(model):
            found *= of_pass["softmax_bias"]
        if not model.graph.node[0].name:
            found *= of_pass["strip_names"]
        return found

    return compare


def test_a_pass_stays_where_it_pays(tmp_path):
    path = tmp_path / "model.onnx"
    model = graph(BIASED, b=np.ones(4))
    for number, node in enumerate(model.graph.node):
        node.name = f"a/long/name/{number}"
    path.write_bytes(model.SerializeToString())

    def kept(**of_pass: float) -> list[str]:
        names = ("softmax_bias", "affine", "strip_names")
        found = passes_that_pay(path, [], candidates=names, measure=times(**of_pass))
        assert [each.name for each in found] == list(names)
        return [each.name for each in found if each.kept]

    assert kept(softmax_bias=0.8, strip_names=1.0) == ["softmax_bias", "strip_names"]
    assert kept(softmax_bias=1.2, strip_names=1.0) == ["strip_names"]
    assert kept(softmax_bias=0.8, strip_names=1.2) == ["softmax_bias"]


def test_a_pass_that_costs_bytes_must_save_time():
    assert not Payment("pad_channels", 1.0, 0.98, 1.02, bytes_saved=-100).kept
    assert Payment("pad_channels", 0.9, 0.88, 0.92, bytes_saved=-100).kept
    assert not Payment("strip_names", 1.1, 1.05, 1.15, bytes_saved=100).kept


def test_payments_are_measured(tmp_path):
    """With the real clock and runtime; what they say is the machine's affair."""
    found = passes_that_pay(
        load_artifact("wav2small.fp32").path,
        [RNG.uniform(-1, 1, RATE_HZ // 4).astype(np.float32)],
        candidates=["fold_constants", "time_last"],
        rounds=5,
    )
    assert found[0] == Payment("fold_constants", None, None, None, 0)
    assert 0 < found[1].low <= found[1].ratio <= found[1].high


def weights(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    return [shape for shape in stored(model) if len(shape) > 1]


def test_time_first_takes_time_last_back(packaged):
    plain = ["reshapes", "sum_into_product", "affine"]
    before = rewrite(packaged, plain).model
    last = rewrite(packaged, [*plain, "time_last"]).model
    again = rewrite(last, ["time_first"]).model
    assert weights(last) != weights(before)
    assert weights(again) == weights(before)
    assert sorted(operators(again)) == sorted(operators(before))
