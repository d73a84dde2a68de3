"""The MobileNets of the Wav2Small paper: its Table I, timm's own trunks, checkpoints whole or not at all."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
if importlib.util.find_spec("timm") is None:  # not imported here: torchvision's schemas come first
    pytest.skip("MobileNetV4 needs timm: pip install edgebench[train]", allow_module_level=True)
pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
from image_nets import IMAGE_NETS, TINY_WIDTH, tiny_image_net, with_statistics  # noqa: E402
from one_batch import learn_by_heart  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from edgebench.errors import ModelError  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402
from edgebench.models.architectures.mobilenetv3_audioset import AudioSetClassifier  # noqa: E402
from edgebench.models.architectures.mobilenetv4 import MobileNetV4, MobileNetV4Trunk, timm_net  # noqa: E402
from edgebench.models.graph.macs import count_macs  # noqa: E402
from edgebench.models.layers.frontend import normalise_level  # noqa: E402
from edgebench.models.making.export import IR_VERSION, OPSET, export_onnx  # noqa: E402

pytestmark = pytest.mark.train

MOBILENETS_V4 = tuple(name for name in IMAGE_NETS if "v4" in name)
VARIANTS = {
    "mobilenetv4_l": "mobilenetv4_conv_aa_large",
    "mobilenetv4_m": "mobilenetv4_hybrid_medium",
    "mobilenetv4_s": "mobilenetv4_conv_small",
}
SET_ASIDE = {"conv_head", "norm_head", "classifier"}
OURS = {"log_mel", "image", "narrow", "pool", "adv", "emotion"}


@pytest.fixture(autouse=True)
def one_thread():
    """Small layers on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --------------------------------------------------------------------------------- the paper's Table I


@pytest.fixture(scope="module", params=IMAGE_NETS)
def full_size(request):
    """(name, the net as it is, without numbers in it)."""
    with torch.device("meta"):
        net = build_architecture(request.param)
    for module in net.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # fused, its products are not counted
    return request.param, net.to("meta").eval()


def test_parameters_are_the_papers(full_size):
    """As torch counts them, and as an exported file does, in which a norm is one bias a channel."""
    name, net = full_size
    published = {
        "mobilenetv3_s": 3.14e6,
        "mobilenetv4_l": 31.87e6,
        "mobilenetv4_m": 10.38e6,
        "mobilenetv4_s": 3.12e6,
    }[name]
    found = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.emotion.parameters())
    norms = sum(m.num_features for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert found == pytest.approx(published, rel=0.01)
    assert found - norms == pytest.approx(published, rel=0.01)


def test_multiply_accumulates_at_5_s_are_the_papers(full_size):
    """The paper prints one digit after the point: what it prints as 0.4 is known within an eighth."""
    name, net = full_size
    low, high = {
        "mobilenetv3_s": (0.35e9, 0.45e9),
        "mobilenetv4_l": (0.95 * 2.2e9, 1.05 * 2.2e9),
        "mobilenetv4_m": (0.95 * 1.7e9, 1.05 * 1.7e9),
        "mobilenetv4_s": (0.35e9, 0.45e9),
    }[name]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 80_000, device="meta"))
    assert low <= counter.get_total_flops() / 2 < high


def test_tokens_are_16_a_second_and_960_wide(full_size):
    name, net = full_size
    with torch.no_grad():
        maps = net.trunk(net.image(net.log_mel(torch.empty(1, 160_000, device="meta"))))
    tokens = 70 if name == "mobilenetv4_l" else 157  # 72 and 32 samples a frame, 32 frames a token
    assert maps.shape == (1, 960, tokens, 1)


# ------------------------------------------------------------------------------------------- the nets


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_short_and_odd_lengths(name):
    net = tiny_image_net(name).eval()
    for samples in (1600, 8000, 23_457):
        with torch.no_grad():
            adv, logits = net(torch.randn(2, samples)).values()
        assert adv.shape == (2, 3)
        assert logits.shape == (2, 4)


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_the_seed_decides(name):
    first, second, third = (tiny_image_net(name, seed=seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(first[tensor], second[tensor]) for tensor in first)
    assert not torch.equal(first["pool.lin.weight"], third["pool.lin.weight"])
    trunk = next(tensor for tensor in first if tensor.startswith("trunk") and first[tensor].ndim == 4)
    assert not torch.equal(first[trunk], third[trunk])


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_what_is_augmented_is_what_is_exported(name):
    net = with_statistics(tiny_image_net(name), torch.randn(4, 16_000))
    waveform = torch.randn(2, 9001, generator=torch.Generator().manual_seed(0)) * 0.05
    with torch.no_grad():
        log_mel = net.log_mel(normalise_level(waveform))
        assert torch.allclose(net.features(waveform), log_mel, atol=2e-3)  # dB
        for ours, whole in zip(net.classify(log_mel).values(), net(waveform).values(), strict=True):
            assert torch.equal(ours, whole)
    assert log_mel.shape == (2, 1, 9001 // net.hop_samples + 1, 58 if name == "mobilenetv4_l" else 26)


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_one_batch_is_learnt_by_heart(name):
    learn_by_heart(tiny_image_net(name), torch.randn(8, 8000), steps=130, rate=3e-3)


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_new_parameters_are_all_but_the_trunk(name):
    net = tiny_image_net(name)
    new = {id(parameter) for parameter in net.new_parameters()}
    old = {n.split(".")[0] for n, p in net.named_parameters() if id(p) not in new}
    assert old == {"log_mel", "trunk"}
    assert not any(parameter.requires_grad for parameter in net.log_mel.parameters())
    assert all(parameter.requires_grad for parameter in net.new_parameters())


@pytest.mark.parametrize("name", MOBILENETS_V4)
def test_on_images_of_even_sides_the_trunk_is_timms(name):
    torch.manual_seed(1)
    theirs = with_statistics(timm_net(VARIANTS[name], width=TINY_WIDTH), torch.randn(4, 3, 96, 64))
    image = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        expected = theirs.forward_features(image)
        found = MobileNetV4Trunk(theirs).eval()(image)
    assert expected.shape[2:] == (3, 2)
    assert expected.std() > 0.05
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_the_last_frames_of_a_recording_count():
    """timm's pooling of the large net drops an odd last row; ours does not."""
    net = with_statistics(tiny_image_net("mobilenetv4_l"), torch.randn(4, 16_000))
    log_mel = torch.randn(1, 1, 33, 58)  # 17, then 9, 5, 3 and 2 where the last of an odd number is kept
    changed = log_mel.clone()
    changed[:, :, -1] += 20.0
    with torch.no_grad():
        assert net.trunk(net.image(log_mel)).shape[2] == 2
        assert not torch.allclose(
            net.classify(log_mel)["arousal_dominance_valence"],
            net.classify(changed)["arousal_dominance_valence"],
        )


# ------------------------------------------------------------------------------------------- weights


def checkpoint(folder, variant, *, classes=7, change=lambda tensors: None):
    """A folder in the Hugging Face layout with the tiny net of that name, at random; and its tensors."""
    torch.manual_seed(11)
    net = (
        AudioSetClassifier(width=TINY_WIDTH)
        if variant == "audioset"
        else timm_net(variant, width=TINY_WIDTH, classes=classes)
    )
    tensors = dict(net.state_dict())
    change(tensors)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architecture": variant, "num_classes": classes}))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder, tensors


@pytest.mark.parametrize("name", MOBILENETS_V4)
def test_timms_checkpoint_fills_the_whole_trunk(tmp_path, name):
    folder, tensors = checkpoint(tmp_path / "timm", VARIANTS[name])
    trunk = build_architecture(name, width=TINY_WIDTH, weights=str(folder)).trunk.state_dict()
    trunk = {tensor.replace(".norm.norm.", ".norm."): value for tensor, value in trunk.items()}
    assert {tensor.split(".")[0] for tensor in tensors if tensor not in trunk} == SET_ASIDE
    assert trunk.keys() <= tensors.keys()
    assert all(torch.equal(value, tensors[tensor]) for tensor, value in trunk.items())


def test_audiosets_checkpoint_fills_the_whole_trunk(tmp_path):
    folder, tensors = checkpoint(tmp_path / "audioset", "audioset")
    torch.save(tensors, tmp_path / "mn01.pt")
    for weights in (folder, tmp_path / "mn01.pt"):
        trunk = build_architecture("mobilenetv3_s", width=TINY_WIDTH, weights=weights).trunk.state_dict()
        features = {
            name.replace("features", "layers"): tensor
            for name, tensor in tensors.items()
            if name.startswith("features.")
        }
        assert trunk.keys() == features.keys()
        assert all(torch.equal(trunk[name], tensor) for name, tensor in features.items())


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_another_architectures_checkpoint_is_refused(tmp_path, name):
    folder, _ = checkpoint(tmp_path / "other", "mobilenetv4_conv_medium")
    with pytest.raises(ModelError, match=r"of another architecture: .* missing .* Nothing was loaded"):
        build_architecture(name, width=TINY_WIDTH, weights=folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("blocks.0.0.conv.weight"), r"1 missing \(blocks\.0\.0\.conv\.weight\)"),
        (lambda tensors: tensors.pop("classifier.bias"), r"classifier\.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (lambda tensors: tensors.update({"bn1.bias": torch.zeros(3)}), r"bn1\.bias 3 float32 instead of"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path, change, message):
    folder, _ = checkpoint(tmp_path / "damaged", VARIANTS["mobilenetv4_s"], change=change)
    with pytest.raises(ModelError, match=message):
        build_architecture("mobilenetv4_s", width=TINY_WIDTH, weights=folder)


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    folder, _ = checkpoint(tmp_path / "narrow", VARIANTS["mobilenetv4_s"])
    with pytest.raises(ModelError, match="of another shape or type"):
        build_architecture("mobilenetv4_s", width=0.2, weights=folder)


def test_published_names_are_those_of_the_papers_footnote():
    for net in MobileNetV4.__subclasses__():
        organisation, name = net.PUBLISHED.split("/")
        assert organisation == "timm"
        assert name.startswith(f"{net.VARIANT}.")


# -------------------------------------------------------------------------------------------- export


@pytest.fixture(scope="module", params=IMAGE_NETS)
def exported(request):
    net = with_statistics(tiny_image_net(request.param), torch.randn(4, 16_000))
    return net, export_onnx(net)


@pytest.mark.long
def test_equal_to_torch_at_every_length(exported):
    import onnxruntime

    net, graph = exported
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for batch, input_s in ((1, 0.1), (3, 0.5), (1, 1.0), (2, 5.0), (1, 12.0)):
        waveforms = rng.uniform(-1, 1, (batch, round(input_s * 16_000))).astype(np.float32)
        with torch.no_grad():
            expected = net(torch.from_numpy(waveforms))
        for ours, theirs in zip(expected.values(), session.run(None, {"waveform": waveforms}), strict=True):
            assert ours.std() > 1e-4
            np.testing.assert_allclose(theirs, ours.numpy(), atol=2e-5)


@pytest.mark.long
def test_the_file_is_what_the_oldest_runtime_loads(exported):
    _, graph = exported
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", OPSET)]
    assert graph.ir_version == IR_VERSION
    operators = {node.op_type for node in graph.graph.node}
    assert not operators & {"BatchNormalization", "Loop", "Scan", "If", "Attention"}


@pytest.mark.long
def test_multiply_accumulates_are_half_of_torchs_flops(exported):
    net, graph = exported
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 80_000))
    assert count_macs(graph, input_s=5.0).value == counter.get_total_flops() // 2
