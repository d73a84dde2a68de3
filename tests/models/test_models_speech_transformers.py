"""Speech transformers: the papers' sizes, checkpoints to the last tensor, padding, files equal to torch."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
pytest.importorskip("transformers", reason="speech transformers need it: pip install edgebench[train]")
from speech_nets import SPEECH_NETS, tiny_net  # noqa: E402

from edgebench.errors import ConfigError, ModelError  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402
from edgebench.models.architectures.hugging_face import save_folder  # noqa: E402
from edgebench.models.architectures.level import Level, Rule  # noqa: E402
from edgebench.models.architectures.torchvision_schema import declare  # noqa: E402

pytestmark = pytest.mark.train

LAYER_NORM = ("dawn", "teacher", "wavlm_large")  # their encoders normalise each frame by itself
KINDS = {"distilhubert": "Hubert", "wav2vec2_base": "Wav2Vec2", "wavlm_base": "WavLM"}
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


def noise(*shape: int, seed: int = 0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def library():
    declare()
    import transformers

    return transformers


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


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
    assert [tuple(part.shape) for part in whole] == [(2, 3), (2, 4)]
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert net.hop_samples == 320


@pytest.mark.parametrize("name", SPEECH_NETS)
def test_one_batch_is_learnt_by_heart(name):
    torch.manual_seed(0)
    net = tiny_net(name).train()
    waveform, truth = noise(4, 4000), torch.arange(4)
    target = torch.rand(4, 3)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(120):
        adv, logits = net.classify(net.features(waveform))
        loss = torch.nn.functional.cross_entropy(logits, truth) + ((adv - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.05
    assert torch.equal(logits.argmax(1), truth)


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
    for place in range(2):
        assert torch.allclose(found[place], again[place], atol=1e-6)
        if name in LAYER_NORM:
            expected = torch.cat([item[place] for item in alone])
            assert torch.allclose(found[place], expected, atol=1e-5)
    assert not torch.allclose(found[1][1], ignored[1][1], atol=1e-4)


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
    for a, b, c in zip(found, dawn, wavlm, strict=True):
        assert torch.allclose(a, (b + c) / 2, atol=1e-7)


def test_a_frozen_encoder_stays_as_it_is():
    torch.manual_seed(0)
    net = tiny_net("distilhubert").train()
    net.freeze_feature_encoder()
    net(noise(2, 4000))[0].sum().backward()
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


# -------------------------------------------------------------------------------------- checkpoints


def tiny_configuration(name: str, **changed):
    """The library's configuration of a net of ours, as its publisher would have written it."""
    return type(tiny_net(name).backbone.config)(**{**build_settings(name), **changed})


def build_settings(name: str) -> dict:
    config = tiny_net(name).backbone.config.to_dict()
    return {key: value for key, value in config.items() if key not in ("layerdrop", "mask_time_prob")}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("task", ["Model", "ForCTC"])
def test_hidden_states_are_transformers_own(tmp_path, name, task):
    torch.manual_seed(1)
    theirs = getattr(library(), KINDS[name] + task)(tiny_configuration(name)).eval()
    theirs.save_pretrained(tmp_path)
    torch.manual_seed(2)
    net = tiny_net(name, weights=str(tmp_path))
    waveform = noise(2, 5000)
    with torch.no_grad():
        expected = getattr(theirs, theirs.base_model_prefix, theirs)(waveform).last_hidden_state
        found = net.backbone(waveform).last_hidden_state
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-6)
    assert {name for name, p in net.named_parameters() if any(p is q for q in net.new_parameters())} == {
        f"head.{head}.{part}" for head in ("adv", "emotion") for part in ("weight", "bias")
    }


def test_a_pretraining_checkpoint_leaves_its_own_heads_out(tmp_path):
    torch.manual_seed(1)
    config = tiny_configuration("wav2vec2_base", codevector_dim=16, num_codevectors_per_group=4)
    theirs = library().Wav2Vec2ForPreTraining(config)
    theirs.save_pretrained(tmp_path)
    net = tiny_net("wav2vec2_base", weights=str(tmp_path))
    expected = theirs.wav2vec2.state_dict()
    expected.pop("masked_spec_embed")
    assert same(net.backbone.state_dict(), expected)


def old_names(tensors: dict) -> dict:
    """As torch called the two tensors of weight norm before it was a parametrization."""
    new = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for name, tensor in tensors.items():
        today = next((part for part in new if name.endswith(part)), None)
        renamed[name if today is None else name.replace(today, new[today])] = tensor
    return renamed


def published_dawn(folder, *, layers: int = 2, change=None) -> dict:
    """audEERING's layout: pytorch_model.bin of the old names, backbone and head; its tensors."""
    torch.manual_seed(1)
    config = tiny_configuration("dawn", num_hidden_layers=layers)
    tensors = {f"wav2vec2.{k}": v for k, v in library().Wav2Vec2Model(config).state_dict().items()}
    for part, shape in (("dense", (32, 32)), ("out_proj", (3, 32))):
        tensors |= {f"classifier.{part}.weight": noise(*shape), f"classifier.{part}.bias": noise(shape[0])}
    if change is not None:
        change(tensors)
    folder.mkdir(exist_ok=True)
    config.save_pretrained(folder)
    torch.save(old_names(tensors), folder / "pytorch_model.bin")
    return tensors


def test_the_published_dawn_fills_its_head(tmp_path):
    w = published_dawn(tmp_path)
    net, waveform = tiny_net("dawn", weights=tmp_path), noise(2, 5000)
    with torch.no_grad():
        pooled = net.backbone(net.features(waveform)).last_hidden_state.mean(1)
        hidden = torch.tanh(pooled @ w["classifier.dense.weight"].T + w["classifier.dense.bias"])
        expected = hidden @ w["classifier.out_proj.weight"].T + w["classifier.out_proj.bias"]
        assert torch.allclose(net(waveform)[0], expected, atol=1e-6)
    layer = "encoder.pos_conv_embed.conv.parametrizations.weight.original1"
    assert torch.equal(net.backbone.state_dict()[layer], w[f"wav2vec2.{layer}"])
    assert [tuple(p.shape) for p in net.new_parameters()] == [(4, 32), (4,)]  # the emotions' alone


def test_dawn_takes_the_first_layers_of_a_deeper_one(tmp_path):
    w = published_dawn(tmp_path / "deep", layers=4)
    net = tiny_net("dawn", weights=tmp_path / "deep")
    assert all(torch.equal(w[f"wav2vec2.{k}"], v) for k, v in net.backbone.state_dict().items())
    published_dawn(tmp_path / "shallow", layers=1)
    with pytest.raises(ModelError, match="num_hidden_layers is 1 instead of 2"):
        tiny_net("dawn", weights=tmp_path / "shallow")
    with pytest.raises(ModelError, match="num_hidden_layers is 4 instead of 2"):
        tiny_net("wav2vec2_base", weights=tmp_path / "deep")


def published_odyssey(folder, **figures) -> dict:
    """The Odyssey 2024 baseline's layout: three modules, and its corpus's level in the settings."""
    torch.manual_seed(1)
    backbone = library().WavLMModel(tiny_configuration("wavlm_large"))
    tensors = {f"ssl_model.{k}": v.detach() for k, v in backbone.state_dict().items()}
    shapes = {
        "pool_model.attention": (32, 1),
        "pool_model.sap_linear.weight": (32, 32),
        "pool_model.sap_linear.bias": (32,),
        "ser_model.fc.0.0.weight": (32, 64),
        "ser_model.fc.0.0.bias": (32,),
        "ser_model.fc.0.1.weight": (32,),
        "ser_model.fc.0.1.bias": (32,),
        "ser_model.out.0.weight": (3, 32),
        "ser_model.out.0.bias": (3,),
    }
    tensors |= {name: noise(*shape, seed=place) for place, (name, shape) in enumerate(shapes.items())}
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({"model_type": "ser", **figures}))
    return tensors


def test_the_published_odyssey_baseline_fills_its_head(tmp_path):
    w = published_odyssey(tmp_path, mean=-0.002, std=0.05)
    net, waveform = tiny_net("wavlm_large", weights=tmp_path), noise(1, 5000)
    with torch.no_grad():
        frames = net.backbone((waveform + 0.002) / (0.05 + 1e-6)).last_hidden_state[0]
        hidden = torch.tanh(frames @ w["pool_model.sap_linear.weight"].T + w["pool_model.sap_linear.bias"])
        share = (hidden @ w["pool_model.attention"])[:, 0].softmax(0)
        mean = sum(a * frame for a, frame in zip(share, frames, strict=True))
        square = sum(a * (frame - mean) ** 2 for a, frame in zip(share, frames, strict=True))
        pooled = torch.cat([mean, square.clamp(min=1e-5).sqrt()])
        dense = w["ser_model.fc.0.0.weight"] @ pooled + w["ser_model.fc.0.0.bias"]
        normed = (dense - dense.mean()) / (dense.var(unbiased=False) + 1e-5).sqrt()
        normed = torch.relu(normed * w["ser_model.fc.0.1.weight"] + w["ser_model.fc.0.1.bias"])
        expected = w["ser_model.out.0.weight"] @ normed + w["ser_model.out.0.bias"]
        assert torch.allclose(net(waveform)[0][0], expected, atol=1e-5)
    assert [tuple(p.shape) for p in net.new_parameters()] == [(4, 32), (4,)]


def test_an_odyssey_baseline_without_its_level_is_refused(tmp_path):
    published_odyssey(tmp_path)
    with pytest.raises(ModelError, match="holds a usable 'mean' and 'std'"):
        tiny_net("wavlm_large", weights=tmp_path)


def test_the_checkpoints_preprocessor_decides_the_level(tmp_path):
    published_dawn(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    waveform = noise(1, 5000)
    net = tiny_net("dawn", weights=tmp_path)
    assert torch.equal(net.features(waveform), waveform)
    torch.save(net.state_dict(), tmp_path / "ours.pt")  # and stays with the weights
    assert torch.equal(tiny_net("dawn", weights=tmp_path / "ours.pt").features(waveform), waveform)
    asked = tiny_net("dawn", weights=tmp_path, normalise=True).features(waveform)
    assert float(asked.std()) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", ["distilhubert", "wavlm_large", "teacher"])
def test_our_own_nets_come_back_whole(tmp_path, name):
    torch.manual_seed(3)
    net = tiny_net(name)
    config = net.backbone.config.to_dict() if name != "teacher" else {}
    save_folder(net, tmp_path / "folder", config)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    for source in ("folder", "net.pt", "folder/model.safetensors"):
        torch.manual_seed(4)
        again = tiny_net(name, weights=tmp_path / source)
        assert same(net.state_dict(), again.state_dict())
        assert not list(again.new_parameters())


def test_the_teachers_two_checkpoints_are_read_by_name(tmp_path):
    w = published_dawn(tmp_path)
    net = tiny_net("teacher", dawn=tmp_path)
    assert torch.equal(net.dawn.state_dict()["head.adv.bias"], w["classifier.out_proj.bias"])
    assert len(list(net.new_parameters())) == 2 + 9 + 2  # dawn's emotions, all of the other's head


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.pop("wav2vec2.encoder.layers.1.attention.k_proj.weight"),
            r"1 missing \(backbone\.encoder\.layers\.1\.attention\.k_proj\.weight\)",
        ),
        (
            lambda w: w.update({"wav2vec2.adapter.weight": torch.zeros(1)}),
            r"1 unexpected \(backbone\.adapter",
        ),
        (lambda w: w.update({"gate": torch.zeros(1)}), r"1 unexpected \(gate\)"),
        (lambda w: w.pop("classifier.out_proj.bias"), r"1 missing \(head\.adv\.bias\)"),
        (
            lambda w: w.update({"classifier.out_proj.bias": torch.zeros(1)}),
            r"head\.adv\.bias 1 float32 instead of 3 float32",
        ),
    ],
)
def test_another_checkpoint_is_refused_whole(tmp_path, change, message):
    published_dawn(tmp_path, change=change)
    with pytest.raises(ModelError, match=message) as refused:
        tiny_net("dawn", weights=tmp_path)
    assert "Nothing was loaded" in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hidden_size": 64}, "hidden_size is 64 instead of 32"),
        ({"num_attention_heads": 4}, "num_attention_heads is 4 instead of 2"),  # in no tensor's shape
        ({"do_stable_layer_norm": False}, "do_stable_layer_norm is False instead of True"),  # in none either
    ],
)
def test_another_geometry_is_refused_by_its_settings(tmp_path, changed, message):
    config = tiny_configuration("dawn", **changed)
    library().Wav2Vec2Model(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=message):
        tiny_net("dawn", weights=tmp_path)


def test_another_family_is_refused(tmp_path):
    library().HubertModel(tiny_configuration("hubert_base")).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="model_type 'hubert', and 'wav2vec2' was expected"):
        tiny_net("wav2vec2_base", weights=tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        tiny_net("hubert_base", weights=tmp_path)
    with pytest.raises(ModelError, match=r"missing .*gru_rel_pos"):
        tiny_net("wavlm_base", weights=tmp_path / "model.safetensors")


def test_sources_that_are_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"could not be fetched .*LocalEntryNotFound.*give the folder's path"
    ):
        tiny_net("distilhubert", weights="nobody/nothing-of-that-name")
    with pytest.raises(ModelError, match="do not exist"):
        tiny_net("distilhubert", weights=tmp_path / "absent")
    tiny_configuration("distilhubert").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        tiny_net("distilhubert", weights=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        tiny_net("distilhubert", weights=tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="cannot be read as a JSON object"):
        tiny_net("distilhubert", weights=tmp_path)
    sharded = tmp_path / "sharded"
    tiny_configuration("distilhubert").save_pretrained(sharded)
    (sharded / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ModelError, match="in several files"):
        tiny_net("distilhubert", weights=sharded)


# --------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module", params=["distilhubert", "teacher"])
def exported(request):
    """(net, its ONNX graph): each kind once, for the teacher is dawn and wavlm_large in one file."""
    pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
    from edgebench.models.export import export_onnx

    torch.manual_seed(5)
    net = tiny_net(request.param)
    return net, export_onnx(net)


def test_file_equals_torch_at_every_length(exported):
    import onnxruntime

    net, graph = exported
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch, seconds in ((1, 1), (3, 5), (1, 12)):
        waveform = noise(batch, 16_000 * seconds)
        with torch.no_grad():
            expected = net(waveform)
        for a, b in zip(expected, session.run(None, {"waveform": waveform.numpy()}), strict=True):
            np.testing.assert_allclose(b, a.numpy(), atol=1e-5)


def test_file_holds_folded_weights_and_every_product(exported):
    from torch.utils.flop_counter import FlopCounterMode

    from edgebench.models.macs import count_macs

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
    from edgebench.models import export

    monkeypatch.setattr(export, "_LARGEST_BYTES", 50_000)
    with pytest.raises(ModelError, match="an ONNX file holds at most"):
        export.export_onnx(tiny_net("distilhubert"))
