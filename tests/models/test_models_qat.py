"""Learnt codes: operators in torch against onnxruntime, what learning gains, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save
from small_graphs import graph
from small_nets import Graph, spectrum, waveforms

from edgebench.errors import CorpusError, ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.making.quantized import quantize_artifact
from edgebench.models.quantization import SCHEMES
from edgebench.models.quantization.packed_int8 import packed_int8
from edgebench.models.quantization.pieces import session_of

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgebench.models.quantization import learning, qat, torch_graph  # noqa: E402
from edgebench.models.quantization.torch_graph import TorchGraph  # noqa: E402

pytestmark = pytest.mark.train
# The graph as it is: rewrites have tests of their own.
SETTINGS = {
    **SCHEMES["qat"].settings,
    **{"passes": (), "convolution_levels": 5, "first_levels": 5, "head_levels": 5, "steps": 100, "batch": 4},
}
CLIPS = waveforms(48, samples=400)
JUDGES = waveforms(12, seed=1, samples=400)
FRESH = waveforms(24, seed=2, samples=400)


def two_layers() -> onnx.ModelProto:
    """A front end, two convolutions, a mean over time and a head."""
    g = Graph()
    x = spectrum(g)
    for inputs, outputs in ((1, 6), (6, 6)):
        x = g.add("Conv", x, g.weight(outputs, inputs, 3, 3, scale=0.3), g.weight(outputs), pads=[1] * 4)
        x = g.add("Relu", x)
    g.add("Gemm", g.add("Flatten", g.add("GlobalAveragePool", x)), g.weight(6, 8), g.weight(8), name="y")
    return g.model("y")


X = "(float[2,4,6,7] x) => (float[a,b,c,d] y) "
OPERATORS = {
    "activations": X + "{ a = Relu(x) b = Sigmoid(a) c = Tanh(b) d = Exp(c) e = HardSwish(d) y = Erf(e) }",
    "hard": X + "{ a = HardSigmoid<alpha=0.3, beta=0.4>(x) b = LeakyRelu<alpha=0.2>(x) y = Sub(a, b) }",
    "unary": X + "{ a = Abs(x) b = Sqrt(a) c = Neg(b) d = Softplus(c) e = Log(d) y = Reciprocal(e) }",
    "clip": X + "{ a = Clip(x, low, high) b = Clip(x, , high) y = Add(a, b) }",
    "extremes": X + "{ a = Max(x, low) y = Min(a, high, x) }",
    "softmax": X + "{ a = Softmax<axis=1>(x) b = LogSoftmax<axis=-1>(x) y = Add(a, b) }",
    "reductions": X.replace("[a,b,c,d]", "")
    + "{ a = ReduceSum<keepdims=1>(x, axes) b = ReduceMean<axes=[2, 3]>(x) c = ReduceMax<axes=[3]>(x) "
    "d = Add(a, b) e = Add(d, c) y = ReduceSum<keepdims=0>(e) }",
    "normalized": X
    + "{ a = InstanceNormalization(x, four, four) b = BatchNormalization(a, four, four, four, four) "
    "y = LayerNormalization<axis=-1, epsilon=0.01>(b, seven, seven) }",
    "conv": X + "{ y = Conv<strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2]>(x, kernel, four) }",
    "conv by groups": X + '{ y = Conv<group=4, auto_pad="SAME_UPPER", strides=[2, 2]>(x, depthwise) }',
    "max pool": X + "{ y = MaxPool<kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1]>(x) }",
    "pools": X + "{ a = AveragePool<kernel_shape=[3, 3], pads=[1, 1, 1, 1]>(x) "
    "b = AveragePool<kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1>(x) "
    "c = GlobalAveragePool(x) d = Add(a, b) y = Add(d, c) }",
    "shapes": X.replace("a,b,c,d", "a,b")
    + "{ s = Shape(x) n = Gather(s, zero) m = Unsqueeze(n, axes0) t = Concat<axis=0>(m, minus) "
    "a = Reshape(x, t) b = Transpose(a) c = Flatten<axis=1>(b) d = Unsqueeze(c, axes) y = Squeeze(d, axes) }",
    "reshape keeps": X.replace("a,b,c,d", "a,b,c") + "{ y = Reshape(x, keep) }",
    "slices": X + "{ a = Slice(x, one, minus, last, two) b = Slice(a, minus, far, last, minus) y = Neg(b) }",
    "split": X + "{ a, b = Split<axis=1>(x) e = Mul(a, b) c, d = Split<axis=3>(e, parts) "
    "f = ReduceSum<keepdims=1>(d, last) g = Mul(f, c) y = ReduceMean<axes=[1]>(g) }",
    "gather": X.replace("a,b,c,d", "a,b,c,d,e") + "{ a = Gather<axis=3>(x, places) y = Mul(a, high) }",
    "pads": X + '{ a = Pad(x, around, high) y = Pad<mode="reflect">(a, around) }',
    "edges": X + '{ y = Pad<mode="edge">(x, around) }',
    "products": X.replace("a,b,c,d", "a,b")
    + "{ a = MatMul(x, matrix) b = Flatten<axis=3>(a) y = Gemm<alpha=0.5, transB=1>(b, rows, two_f) }",
    "choice": X
    + "{ f = Cast<to=9>(x) a = Where(f, x, high) z = Equal(x, a) c = Cast<to=1>(z) p = Pow(c, two_e) "
    "q = Expand(p, keep_all) r = Identity(q) y = Div(r, high) }",
}
RNG = np.random.default_rng(3)
STORED = {
    "low": np.float32(-0.5),
    "high": np.float32(0.7),
    "two_e": np.float32(2.0),
    "axes": np.array([1]),
    "axes0": np.array([0]),
    "zero": np.array(0),
    "one": np.array([1]),
    "two": np.array([2]),
    "minus": np.array([-1]),
    "last": np.array([3]),
    "far": np.array([-(2**63)]),
    "keep": np.array([0, -1, 7]),
    "keep_all": np.array([2, 4, 6, 7]),
    "parts": np.array([3, 4]),
    "places": np.array([[0, -1], [2, 2]]),
    "around": np.array([0, 0, 1, 2, 0, 0, 2, 1]),
    "four": RNG.uniform(0.5, 1.5, 4),
    "seven": RNG.uniform(0.5, 1.5, 7),
    "kernel": RNG.standard_normal((4, 4, 3, 2)),
    "depthwise": RNG.standard_normal((4, 1, 3, 3)),
    "matrix": RNG.standard_normal((7, 5)),
    "rows": RNG.standard_normal((2, 5)),
    "two_f": RNG.standard_normal(2),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_answer_as_onnxruntime_does(name: str):
    used = set(re.findall(r"\w+", OPERATORS[name]))
    stored = {key: np.asarray(array) for key, array in STORED.items() if key in used}
    model = graph(OPERATORS[name], **stored)
    x = np.random.default_rng(4).standard_normal((2, 4, 6, 7)).astype(np.float32)
    expected = session_of(model.SerializeToString()).run(None, {"x": x})[0]
    (found,) = TorchGraph(model)({"x": torch.from_numpy(x)})
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def error(data: bytes, reference: bytes, clips: list[np.ndarray] = FRESH) -> float:
    """Mean squared difference of the answers to clips, in variances of the reference's."""
    made, before = (
        np.concatenate([session_of(one).run(None, {"waveform": c[np.newaxis]})[0] for c in clips])
        for one in (data, reference)
    )
    return float(np.mean((made - before) ** 2 / before.var(axis=0)))


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    return save(two_layers(), tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture(scope="module")
def started(net: Path) -> bytes:
    """What GPTQ makes with the same settings."""
    return packed_int8(net, CLIPS, SETTINGS)


@pytest.fixture(scope="module")
def learnt(net: Path) -> bytes:
    return qat.qat(net, CLIPS, SETTINGS, validation=JUDGES)


def test_learning_lowers_the_error_of_gptq_at_the_same_bytes(net: Path, started: bytes, learnt: bytes):
    before, after = (error(data, net.read_bytes()) for data in (started, learnt))
    assert after < 0.75 * before
    assert abs(len(learnt) - len(started)) <= 64  # a bias may need float32


def test_the_same_seed_gives_the_same_file_and_another_one_another(net: Path):
    few = {**SETTINGS, "steps": 8}
    made = [qat.qat(net, CLIPS, {**few, "seed": seed}, validation=JUDGES) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]


def test_a_file_with_its_manifest(net: Path, tmp_path: Path):
    """The scheme gets the validation clips, and what it was made with is written down."""
    made = quantize_artifact(
        load_artifact(net),
        "qat",
        clips=CLIPS,
        calibration=None,
        validation=JUDGES,
        folder=tmp_path,
        overrides={key: SETTINGS[key] for key in ("passes", "convolution_levels")} | {"steps": 2},
    )
    assert made.manifest is not None and made.manifest.scheme["name"] == "qat"
    assert {"seed": 0, "steps": 2, "convolution_levels": 5}.items() <= made.manifest.scheme.items()


def test_a_start_that_learning_spoils_is_kept(net: Path, started: bytes, monkeypatch):
    monkeypatch.setattr(learning, "_RATES", {"codes": 50.0, "scales": 5.0, "biases": 50.0})
    assert qat.qat(net, CLIPS, {**SETTINGS, "steps": 4}, validation=JUDGES) == started


def test_the_gradient_passes_the_rounding_and_ends_at_the_edges():
    real = torch.tensor([-9.0, -1.2, 0.4, 9.0], requires_grad=True)
    rounded = learning.straight_through(real, -3, 2, 4)
    rounded.sum().backward()
    assert rounded.tolist() == [-3.0, -1.0, 1.0, 3.0]
    assert real.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_net_that_torch_reads_wrongly_is_refused(net: Path, monkeypatch):
    """A rule that misunderstands its operator would teach the net to make up for it."""
    true = torch_graph.rules()
    monkeypatch.setattr(torch_graph, "rules", lambda: {**true, "Relu": lambda a, x: x[0]})
    with pytest.raises(ModelError, match="torch computes the net otherwise than onnxruntime"):
        qat.qat(net, CLIPS, SETTINGS, validation=JUDGES)


def test_an_operator_without_a_gradient(tmp_path: Path):
    g = Graph()
    x = g.add("Flatten", g.add("Conv", spectrum(g), g.weight(4, 1, 3, 3)))
    g.add("CumSum", g.add("MatMul", g.add("ReduceMax", x, axes=[1]), g.weight(1, 40)), g.ints(1), name="y")
    path = save(g.model("y"), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="for CumSum there is no rule"):
        qat.qat(path, CLIPS, SETTINGS, validation=JUDGES)


def test_what_is_kept_of_each_clip_is_little():
    """Three copies of a value reach the first weights: the value is kept. What comes before has no rule."""
    g = Graph()
    x = g.add("Sin", spectrum(g))
    patches = g.add("Concat", x, x, x, axis=1)
    g.add("ReduceMean", g.add("Conv", patches, g.weight(4, 3, 3, 3)), axes=[2, 3], keepdims=0, name="y")
    model = g.model("y")
    place = [node.op_type for node in model.graph.node].index("Concat")
    assert learning.narrowest(model, place + 1, CLIPS[0]) == place


@pytest.mark.parametrize("wrong", [{"steps": 1}, {"batch": 0}, {"seed": -1}])
def test_settings_that_nothing_is_learnt_with(net: Path, wrong: dict[str, int]):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}=.* at least"):
        qat.qat(net, CLIPS, {**SETTINGS, **wrong}, validation=JUDGES)


def test_no_validation_clip(net: Path):
    with pytest.raises(CorpusError, match="no such clip was given"):
        qat.qat(net, CLIPS, SETTINGS)
