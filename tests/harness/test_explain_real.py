"""Real files and real traces: everything-int8 Wav2Small, and a GELU between two quantized products."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from support.cli import Edgebench
from support.runtimes import runtime_python, share_environments
from support.sshd import SshServer
from support.traced import GELU_CONSTANTS, gelu, model

from edgebench.corpora import load_waveform, synthetic_corpus
from edgebench.harness.events import Silent
from edgebench.harness.explain.accuracy import Speech, alone_in_int8, lossy_parts
from edgebench.harness.explain.causes import Case, causes_of
from edgebench.harness.explain.explanation import Explanation
from edgebench.harness.explain.numbered import numbered
from edgebench.harness.explain.operators import Graph
from edgebench.harness.explain.roles import POOLING, SPECTRUM
from edgebench.harness.explain.side import Side
from edgebench.harness.explain.trace import read_trace
from edgebench.models import load_artifact
from edgebench.models.quantization.static_qdq import static_qdq, static_settings

PARENT = load_artifact("wav2small.fp32")
SAMPLES = 16_000
# What onnxruntime's quantizer takes without being told otherwise.
DEFAULT = ("Add", "Clip", "Concat", "Conv", "Gemm", "MatMul", "MaxPool", "Mul", "Pad", "Relu", "Reshape")
DEFAULT = (*DEFAULT, "Softmax", "Split", "Transpose", "Unsqueeze")


def quantized(parent: Path, path: Path, clips: list[np.ndarray], *, operators: tuple[str, ...]) -> Path:
    """All nodes of these operators in int8, results of products too."""
    settings = {
        **static_settings(operators=operators, float_nodes=[]),
        "float_outputs": (),
        "weights": "int8",
    }
    path.write_bytes(static_qdq(parent, clips, settings))
    return path


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """As long as in use: the longer a clip, the smaller are the weights of a softmax over its frames."""
    return [np.resize(load_waveform(clip), 5 * SAMPLES) for clip in synthetic_corpus(split="validation")[:2]]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, clips: list[np.ndarray]) -> Path:
    path = tmp_path_factory.mktemp("everything") / "everything.onnx"
    return quantized(PARENT.path, path, clips, operators=DEFAULT)


def test_softmax_pooling_and_the_product_with_the_spectrum_are_named(
    everything: Path, clips: list[np.ndarray]
) -> None:
    graphs = tuple(Graph.of(onnx.load(path), samples=SAMPLES) for path in (PARENT.path, everything))
    speech = Speech(clips, [], None, "generated voices")
    rows = alone_in_int8(PARENT, speech, (graphs[0], graphs[1]), events=Silent())
    parts = {part.role: part for part in lossy_parts(rows, graphs[0], [])[:3]}
    assert {POOLING, SPECTRUM} <= parts.keys()
    spectrum = [name for row in parts[SPECTRUM].rows for name in row.nodes]
    assert "log_mel/MatMul" in spectrum and "round to zero" in parts[SPECTRUM].why
    assert "log_mel/MatMul, the product of the spectrum with 26 bands" in parts[SPECTRUM].why
    assert {"Softmax", "Mul_2"} <= {name for row in parts[POOLING].rows for name in row.nodes}
    quiet = {row.nodes[0]: row.signal_to_noise_db for row in rows}
    assert all(quiet[f"vgg7.{n}.1/Conv"] > 35 for n in (1, 2, 4, 5, 6, 7))


def test_a_gelu_that_conversions_break_is_named(tmp_path: Path) -> None:
    """Two products with a GELU between them, quantized as a tool does it, traced by the runtime itself."""
    rng = np.random.default_rng(0)
    stored = {**GELU_CONSTANTS, "shape": np.array([1, -1, 16])}
    stored |= {"a": rng.normal(0, 0.2, (16, 32)).astype(np.float32)}
    stored |= {"b": rng.normal(0, 0.2, (32, 4)).astype(np.float32)}
    nodes = [
        helper.make_node("Reshape", ["waveform", "shape"], ["x"], name="frames"),
        helper.make_node("MatMul", ["x", "a"], ["h"], name="up"),
        *gelu("h", "g"),
        helper.make_node("MatMul", ["g", "b"], ["y"], name="down"),
    ]
    made = model(nodes, stored, outputs=["y"])
    onnx.save(onnx.shape_inference.infer_shapes(made), tmp_path / "parent.onnx")
    waveform = rng.uniform(-1, 1, SAMPLES).astype(np.float32)
    child = quantized(tmp_path / "parent.onnx", tmp_path / "child.onnx", [waveform], operators=("MatMul",))
    before, after = (traced(path, waveform, tmp_path) for path in (tmp_path / "parent.onnx", child))
    assert [kernel.kind for kernel in before.own_kernels] == ["Gelu"]
    explanation = Explanation("here", None, False, 1.0, 1, before, after, None, ("", ""))  # type: ignore[arg-type]
    case = Case(before, after, explanation.rows, platform.machine(), frozenset(), None)
    found = {cause.code: cause for cause in causes_of(case)}
    assert "Broken fusion: the runtime fuses 1 GELU" in found["gelu_in_parts"].why
    assert found["gelu_in_parts"].operators == ("g/Erf",)
    assert after.int8_share_of_macs() == 1.0


def traced(path: Path, waveform: np.ndarray, folder: Path) -> Side:
    """A file and the runtime's own trace of its numbered copy."""
    loaded = onnx.load(path)
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(folder / path.stem)
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(numbered(loaded).SerializeToString(), options)
    for _ in range(25):  # medians are taken, and other tests hold the processor now and then
        session.run(None, {"waveform": waveform[np.newaxis]})
    trace = read_trace(Path(session.end_profiling()))
    return Side(path.stem, Graph.of(loaded, samples=waveform.size), trace)


@pytest.mark.ssh
@pytest.mark.board
def test_explain_over_ssh(edgebench: Edgebench, everything: Path, ssh_server: SshServer) -> None:
    """Both runs and the probe take place on the board, whose traces come home through the wire."""
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(ssh_server.config_path)}
    done = edgebench(
        *("explain", str(everything), "--against", "wav2small.fp32", "--input-s", "1", "--launches", "2"),
        *("--device", "rpi4", "--force", "--offline", "--timing-only", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["device"] == "rpi4"
    assert found["int8_share"]["macs"] == 1.0
    operators = {row["name"]: row for row in found["operators"]}
    assert operators["vgg7.1.1/Conv"]["kernel"] == "QLinearConv"
    assert operators["vgg7.1.1/Conv"]["artifact_ns"] > 0
    assert found["probe"]["float32_macs_per_s"] > 1e8
    assert not list((ssh_server.root / "runs").iterdir()), "collected runs leave nothing on the board"
    if platform.machine() == "x86_64":
        assert {"narrow_channels", "few_channels"} <= {cause["code"] for cause in found["causes"]}


@pytest.mark.alone
def test_explain_on_this_machine(edgebench: Edgebench, everything: Path, tmp_path: Path) -> None:
    """The whole command: two runs in the store, causes, a page, and the same in JSON."""
    runtime_python("onnxruntime")
    share_environments(tmp_path / "cache")
    done = edgebench(
        *("explain", str(everything), "--against", "wav2small.fp32", "--input-s", "1", "--launches", "2"),
        *("--timing-only", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["int8_share"]["macs"] == 1.0
    assert found["latency"]["ratio"] > 0
    assert found["runs"]["measured"] != found["runs"]["traced"]
    operators = {row["name"]: row for row in found["operators"]}
    assert operators["vgg7.1.1/Conv"]["kernel"] == "QLinearConv"
    assert operators["vgg7.1.1/Conv"]["macs"] > 1e6
    assert found["probe"]["float32_macs_per_s"] > 1e8
    pages = list((edgebench.store / "reports").glob("*-explain.html"))
    assert len(pages) == 1
    page = pages[0].read_text()
    assert "vgg7.1.1/Conv" in page and "<script" not in page and "http" not in page.replace("http-equiv", "")
    if platform.machine() == "x86_64":
        causes = {cause["code"]: cause for cause in found["causes"]}
        assert {"narrow_channels", "few_channels"} <= causes.keys()
        assert causes["few_channels"]["operators"] == ["vgg7.0.1/Conv"]
        assert "13 input channels" in causes["narrow_channels"]["why"]
