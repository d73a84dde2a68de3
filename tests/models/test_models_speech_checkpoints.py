"""Checkpoints of speech transformers: every layout that is published, whole or not at all."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
pytest.importorskip("transformers", reason="speech transformers need it: pip install edgebench[train]")
from speech_nets import library, noise, same, tiny_net  # noqa: E402

from edgebench.errors import ModelError  # noqa: E402
from edgebench.models.checkpoints.hugging_face import save_folder  # noqa: E402

pytestmark = pytest.mark.train

KINDS = {"distilhubert": "Hubert", "wav2vec2_base": "Wav2Vec2", "wavlm_base": "WavLM"}


@pytest.fixture(autouse=True)
def one_thread():
    """Small layers on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
        assert torch.allclose(net(waveform)["arousal_dominance_valence"], expected, atol=1e-6)
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
        assert torch.allclose(net(waveform)["arousal_dominance_valence"][0], expected, atol=1e-5)
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
