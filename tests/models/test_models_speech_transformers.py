"""Speech transformers: the papers' sizes, checkpoints to the last tensor, padding, files equal to torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
pytest.importorskip("transformers", reason="speech transformers need it: pip install edgebench[train]")
from one_batch import learn_by_heart  # noqa: E402
from speech_nets import SPEECH_NETS, TINY, noise, same, tiny_net  # noqa: E402

from edgebench.errors import ConfigError, ModelError, UsageError  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402
from edgebench.models.layers.level import Level, Rule  # noqa: E402

pytestmark = pytest.mark.train

LAYER_NORM = ("dawn", "teacher", "wavlm_large")  # their encoders normalise each frame by itself
# Millions: Table I of Wav2Small, where it has the net; and of what is published, the backbone's.
PUBLISHED_PARAMETERS = {
    "dawn": 165.3,
    "distilhubert": 23.5,
    "hubert_base": 94.4,
    "teacher": 483.9,
    "wav2vec2_base": 94.4,
    "wavlm_base": 94.4,
    "wavlm_large": 318.6,
}


@pytest.fixture(autouse=True)
def one_thread():
    """Small layers on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ----------------------------------------------------------------------------------------- the nets


@pytest.mark.parametrize("name", SPEECH_NETS)
def test_parameters_are_the_published(name):
    with torch.device("meta"):  # counted, never filled
        net = build_architecture(name)
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert millions == pytest.approx(PUBLISHED_PARAMETERS[name], rel=0.001)


@pytest.mark.parametrize(
    ("name", "paper", "ours"), [("dawn", 55, 53.62), ("wavlm_large", 95, 93.05), ("teacher", 149, 146.67)]
)
def test_multiplications_at_5_s_are_the_papers(name, paper, ours):
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        build_architecture(name).eval()(torch.zeros(1, 80_000))
    billions = counter.get_total_flops() / 2e9
    assert billions == pytest.approx(ours, abs=0.01)  # as the decision's table says
    assert billions == pytest.approx(paper, rel=0.05)


@pytest.mark.parametrize("name", SPEECH_NETS)
def test_seed_decides_and_nothing_else(name):
    torch.manual_seed(4)
    first = tiny_net(name).state_dict()
    torch.manual_seed(4)
    assert same(first, tiny_net(name).state_dict())
    torch.manual_seed(5)
    assert not same(first, tiny_net(name).state_dict())


@pytest.mark.parametrize("name", SPEECH_NETS)
def test_forward_is_features_then_classify(name):
    torch.manual_seed(0)
    net, waveform = tiny_net(name), noise(2, 5000)
    with torch.no_grad():
        whole, parts = net(waveform), net.classify(net.features(waveform))
    assert [tuple(part.shape) for part in whole.values()] == [(2, 3), (2, 4)]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert net.hop_samples == 320


def test_hidden_states_are_the_librarys_layer_by_layer():
    torch.manual_seed(0)
    net, waveform = tiny_net("distilhubert"), noise(2, 5000)
    with torch.no_grad():
        states = net(waveform, outputs=["hidden_states"])["hidden_states"]
        theirs = net.backbone(net.features(waveform), output_hidden_states=True)
    layers = net.backbone.config.num_hidden_layers
    frames = net.frames(torch.tensor([5000, 5000]))[0]
    assert states.shape == (2, layers + 1, frames, net.backbone.config.hidden_size)
    assert torch.equal(states[:, -1], theirs.last_hidden_state)
    assert all(torch.equal(states[:, i], theirs.hidden_states[i]) for i in range(layers + 1))


def test_a_net_that_cannot_mask_padding_says_so():
    net = build_architecture("wav2small")
    with pytest.raises(UsageError, match=r"Wav2Small takes no lengths.*prepare\.padding='heard'"):
        net(noise(1, 4000), torch.tensor([3000]))


@pytest.mark.parametrize("name", SPEECH_NETS)
def test_one_batch_is_learnt_by_heart(name):
    torch.manual_seed(0)
    learn_by_heart(tiny_net(name).train(), noise(4, 4000), steps=120, rate=3e-3)


@pytest.mark.parametrize("name", SPEECH_NETS)
def test_padding_is_neither_attended_to_nor_pooled(name):
    torch.manual_seed(0)
    net = tiny_net(name)
    lengths = torch.tensor([9000, 6000])
    padded = noise(2, 9000)
    padded[1, 6000:] = 0.0
    filled = padded.clone()
    filled[1, 6000:] = 7.0  # a batch may hold anything behind an item's end
    with torch.no_grad():
        found, again = net(padded, lengths), net(filled, lengths)
        alone = [net(padded[:1]), net(padded[1:, :6000])]
        ignored = net(padded)
    for place in found:
        assert torch.allclose(found[place], again[place], atol=1e-6)
        if name in LAYER_NORM:
            expected = torch.cat([item[place] for item in alone])
            assert torch.allclose(found[place], expected, atol=1e-5)
    assert not torch.allclose(found["emotion_logits"][1], ignored["emotion_logits"][1], atol=1e-4)


def test_group_norm_of_the_base_nets_hears_the_padding():
    """Why a padded batch may differ: the first layer's mean and deviation run over all of its time."""
    torch.manual_seed(0)
    net, waveform = tiny_net("distilhubert"), noise(1, 6000)
    with torch.no_grad():
        alone = net.backbone.feature_extractor(waveform)
        longer = net.backbone.feature_extractor(torch.cat([waveform, torch.zeros(1, 3000)], dim=1))
    assert not torch.allclose(alone, longer[:, :, : alone.shape[2]], atol=1e-3)


def test_teacher_is_the_mean_of_two():
    torch.manual_seed(0)
    net, waveform = tiny_net("teacher"), noise(2, 5000)
    with torch.no_grad():
        found, dawn, wavlm = net(waveform), net.dawn(waveform), net.wavlm(waveform)
    for name, mean in found.items():
        assert torch.allclose(mean, (dawn[name] + wavlm[name]) / 2, atol=1e-7)


def test_a_frozen_encoder_stays_as_it_is():
    torch.manual_seed(0)
    net = tiny_net("distilhubert").train()
    net.freeze_feature_encoder()
    net(noise(2, 4000))["arousal_dominance_valence"].sum().backward()
    moving = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
    assert not any(name.startswith("backbone.feature_extractor.") for name in moving)
    assert any(name.startswith("backbone.feature_projection.") for name in moving)


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="no setting 'hidden_sise': did you mean 'hidden_size'"):
        build_architecture("distilhubert", config={"hidden_sise": 32})


# -------------------------------------------------------------------------------------------- level


@pytest.mark.parametrize("name", ["dawn", "hubert_base", "wav2vec2_base", "wavlm_large"])
def test_level_is_normalised_where_the_checkpoint_expects_it(name):
    net, waveform = tiny_net(name), noise(2, 5000)
    expected = waveform.double() - waveform.double().mean(1, keepdim=True)
    expected /= ((expected**2).mean(1, keepdim=True) + 1e-7).sqrt()
    assert torch.allclose(net.features(3.0 * waveform + 0.2).double(), expected, atol=1e-4)
    assert torch.equal(tiny_net(name, normalise=False).features(waveform), waveform)


@pytest.mark.parametrize("name", ["distilhubert", "wavlm_base"])
def test_level_is_kept_where_the_checkpoint_expects_that(name):
    waveform = noise(2, 5000)
    assert torch.equal(tiny_net(name).features(waveform), waveform)
    assert float(tiny_net(name, normalise=True).features(waveform).std()) == pytest.approx(1.0, abs=1e-3)


def test_level_counts_no_padding():
    sound = torch.arange(5000) < torch.tensor([5000, 3000])[:, None]
    level, waveform = Level(Rule.UTTERANCE), noise(2, 5000) + 0.3
    found = level(waveform, sound)
    assert torch.allclose(found[1, :3000], level(waveform[1:, :3000])[0], atol=1e-5)
    assert not found[1, 3000:].any()


# --------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module", params=["distilhubert", "teacher"])
def exported(request):
    """(net, its ONNX graph): each kind once, for the teacher is dawn and wavlm_large in one file."""
    pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
    from edgebench.models.making.export import export_onnx

    torch.manual_seed(5)
    # One layer of each kind of net: a second one is traced for as long, and says nothing new. All seven
    # convolutions are in DistilHuBERT's file.
    short = {**TINY, "num_hidden_layers": 1}
    if request.param == "teacher":
        short |= {"conv_dim": [16] * 3, "conv_kernel": [10, 3, 2], "conv_stride": [20, 4, 4]}
    net = build_architecture(request.param, config=short).eval()
    return net, export_onnx(net)


@pytest.mark.long
def test_file_equals_torch_at_every_length(exported):
    import onnxruntime

    net, graph = exported
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch, seconds in ((1, 1), (3, 5), (1, 12)):
        waveform = noise(batch, 16_000 * seconds)
        with torch.no_grad():
            expected = net(waveform)
        for a, b in zip(expected.values(), session.run(None, {"waveform": waveform.numpy()}), strict=True):
            np.testing.assert_allclose(b, a.numpy(), atol=1e-5)


@pytest.mark.long
def test_file_holds_folded_weights_and_every_product(exported):
    from torch.utils.flop_counter import FlopCounterMode

    from edgebench.models.graph.macs import count_macs

    net, graph = exported
    weights = {tensor.name for tensor in graph.graph.initializer}
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    assert any(node.name.endswith("pos_conv_embed.conv/Conv") for node in convolutions)
    assert all(node.input[1] in weights for node in convolutions)  # no weight norm left to compute
    assert any("parametrizations" in name for name, _ in net.named_parameters())  # and the net has its own
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 80_000))
    assert count_macs(graph, input_s=5.0).value == counter.get_total_flops() // 2


def test_a_net_beyond_one_file_is_refused_before_it_is_traced(monkeypatch):
    from edgebench.models.making import export

    monkeypatch.setattr(export, "_LARGEST_BYTES", 50_000)
    with pytest.raises(ModelError, match="an ONNX file holds at most"):
        export.export_onnx(tiny_net("distilhubert"))
