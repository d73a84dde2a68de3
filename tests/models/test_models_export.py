"""The exported file: what the oldest runtime loads, equal to torch at every length, clean of traces."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: pip install edgebench[train]")
pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
from image_nets import IMAGE_NETS  # noqa: E402
from speech_nets import SPEECH_NETS  # noqa: E402
from whisper_nets import WHISPER_NETS  # noqa: E402

from edgebench.models.architectures import ARCHITECTURES, build_architecture  # noqa: E402
from edgebench.models.graph.macs import count_macs  # noqa: E402
from edgebench.models.graph.parity import outputs  # noqa: E402
from edgebench.models.making.export import IR_VERSION, OPSET, export_onnx, save_onnx  # noqa: E402

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.train

OLDEST_RUNTIME_OPSET, OLDEST_RUNTIME_IR = 21, 10  # onnxruntime 1.19.2


@functools.cache
def module_and_graph(name):
    """(module, its ONNX graph), with batch norms that are not the identity."""
    torch.manual_seed(5)
    module = build_architecture(name)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
            torch.nn.init.normal_(part.bias)
    return module.eval(), export_onnx(module)


# Transformers and MobileNets trace slowly, and have their own files of tests.
NAMES = sorted(set(ARCHITECTURES) - {*SPEECH_NETS, *IMAGE_NETS, *WHISPER_NETS})
LONG = pytest.mark.long


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=LONG) if "mobilenet" in n else n for n in NAMES]
)
def exported(request):
    return module_and_graph(request.param)


@pytest.mark.parametrize("input_s", [0.1, 1.0, 5.0, 12.0])
def test_equal_to_torch_at_every_length(exported, input_s):
    module, graph = exported
    waveform = np.random.default_rng(0).uniform(-1, 1, round(input_s * 16_000)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(waveform)[None])
    found = outputs(graph.SerializeToString(), [waveform])[0]
    for a, b in zip(expected.values(), found, strict=True):
        np.testing.assert_allclose(b, a.numpy(), atol=2e-5)


def test_batch_axis_is_free(exported):
    import onnxruntime

    module, graph = exported
    waveforms = np.random.default_rng(0).uniform(-1, 1, (3, 8000)).astype(np.float32)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(["emotion_logits"], {"waveform": waveforms})[0]
    with torch.no_grad():
        expected = module(torch.from_numpy(waveforms))["emotion_logits"].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_loads_on_the_oldest_runtime(exported):
    _, graph = exported
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", OPSET)]
    assert graph.ir_version == IR_VERSION
    assert OPSET <= OLDEST_RUNTIME_OPSET
    assert IR_VERSION <= OLDEST_RUNTIME_IR
    for node in graph.graph.node:
        schema = onnx.defs.get_schema(node.op_type, OPSET)  # raises for an operator that came later
        assert not schema.deprecated
        assert node.op_type not in ("Loop", "Scan", "If")


def test_names_are_the_contract(exported):
    _, graph = exported
    assert [value.name for value in graph.graph.input] == ["waveform"]
    assert [v.name for v in graph.graph.output] == ["arousal_dominance_valence", "emotion_logits"]


@pytest.fixture(scope="module")
def smallest():
    """The net that is exported quickest, and its graph: the exporter is the same for all."""
    return module_and_graph("wav2small")


def test_a_file_holds_what_was_asked_for_and_no_other_weights(smallest):
    """One answer is in the file, and the head of the other is not."""
    module, whole = smallest
    part = export_onnx(module, outputs=["embedding"])
    assert [value.name for value in part.graph.output] == ["embedding"]
    assert module.outputs == ("arousal_dominance_valence", "emotion_logits")  # as before
    sizes = [sum(int(np.prod(t.dims)) for t in graph.graph.initializer) for graph in (whole, part)]
    heads = sum(p.numel() for head in (module.adv, module.emotion) for p in head.parameters())
    assert 0 <= sizes[0] - sizes[1] - heads < 8  # constants of shapes beside them
    waveform = np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(waveform)[None], outputs=["embedding"])["embedding"]
    np.testing.assert_allclose(outputs(part.SerializeToString(), [waveform])[0][0], expected, atol=2e-5)


def test_carries_no_trace_of_where_it_was_made(exported):
    _, graph = exported
    text = graph.SerializeToString()
    for word in (b"site-packages", b".py", b"stack_trace", str(ROOT).encode(), b"torch"):
        assert word not in text
    assert not graph.metadata_props
    assert not graph.doc_string


def test_batch_norm_is_folded(exported):
    _, graph = exported
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}


def test_node_names_are_unique(exported):
    _, graph = exported
    names = [node.name for node in graph.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)


def test_export_is_deterministic(smallest, tmp_path):
    module, graph = smallest
    save_onnx(graph, tmp_path / "a.onnx")
    save_onnx(export_onnx(module), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_macs_are_half_of_torchs_flops(exported):
    from torch.utils.flop_counter import FlopCounterMode

    module, graph = exported
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, 80_000))
    assert count_macs(graph, input_s=5.0).value == counter.get_total_flops() // 2
