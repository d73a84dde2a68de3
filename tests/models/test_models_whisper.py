"""Whisper's encoder: what transformers computes at 30 s, padding, checkpoints whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
pytest.importorskip("transformers", reason="Whisper needs it: pip install edgebench[train]")
from one_batch import learn_by_heart  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from speech_nets import library, noise, same  # noqa: E402
from whisper_nets import TINY, tiny_whisper  # noqa: E402

from edgebench.errors import ConfigError, ModelError  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402

pytestmark = pytest.mark.train

HALF_MINUTE = 480_000
HIDDEN = ["hidden_states"]


@pytest.fixture(autouse=True)
def one_thread():
    """Small layers on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def encoder_class():
    """The library's encoder, once torchvision is kept from breaking it."""
    library()
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return WhisperEncoder


def published(folder: Path, **settings) -> Path:
    """An encoder as transformers saves it."""
    torch.manual_seed(7)
    encoder_class()(library().WhisperConfig(**{**TINY, **settings})).save_pretrained(folder)
    return folder


def theirs(folder: Path, waveform):
    """The published way, from samples to the last hidden state (1, 1500, width)."""
    prepare = library().WhisperFeatureExtractor()
    mels = prepare(waveform[0].numpy(), sampling_rate=16_000, return_tensors="np").input_features
    encoder = encoder_class().from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return torch.from_numpy(mels), encoder(torch.from_numpy(mels)).last_hidden_state


def loud_and_quiet(samples: int):
    """Noise that grows from silence: the floor below the loudest value acts on much of it."""
    return noise(1, samples) * torch.linspace(0, 3, samples) ** 4


def check_against_transformers(net, folder: Path, *, tolerance: float) -> None:
    waveform = loud_and_quiet(HALF_MINUTE)
    mels, expected = theirs(folder, waveform)
    with torch.no_grad():
        found = net(waveform, outputs=HIDDEN)["hidden_states"][:, -1]
        for made in (net.features(waveform), net.front_end(waveform)):
            assert torch.allclose(made, mels, atol=2e-5)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < tolerance * float(expected.abs().max())


def test_half_a_minute_is_what_transformers_makes_of_it(tmp_path):
    folder = published(tmp_path)
    check_against_transformers(tiny_whisper(weights=folder), folder, tolerance=1e-5)


@pytest.mark.skipif(
    "EDGEBENCH_WEIGHTS" not in os.environ, reason="needs real weights under EDGEBENCH_WEIGHTS"
)
@pytest.mark.long
def test_so_do_the_real_weights():
    folder = Path(os.environ["EDGEBENCH_WEIGHTS"]) / "whisper_tiny_en_encoder"
    check_against_transformers(
        build_architecture("whisper_tiny", weights=folder).eval(), folder, tolerance=1e-4
    )


@pytest.mark.parametrize(("name", "parameters"), [("whisper_tiny", 8_208_384), ("whisper_base", 20_590_592)])
def test_parameters_are_the_published(name, parameters):
    """Of the encoder in openai/whisper-tiny and openai/whisper-base, positions included."""
    with torch.device("meta"):
        net = build_architecture(name)
    assert sum(parameter.numel() for parameter in net.backbone.parameters()) == parameters


def test_padding_changes_nothing():
    torch.manual_seed(0)
    net = tiny_whisper()
    samples = (9003, 6100, 8990)  # the last one's end is nearer to the batch's than a window is wide
    lengths = torch.tensor(samples)
    padded = noise(3, 9003)
    for item, length in enumerate(samples):
        padded[item, length:] = 9.0  # a batch may hold anything behind an item's end
    alone = [padded[item : item + 1, :length] for item, length in enumerate(samples)]
    with torch.no_grad():
        found = net(padded, lengths)
        for item, waveform in enumerate(alone):
            for place, answer in net(waveform).items():
                assert torch.allclose(found[place][item], answer[0], atol=1e-6)
        ignored = net(padded)
    assert not torch.allclose(found["emotion_logits"][1], ignored["emotion_logits"][1], atol=1e-5)


def test_one_batch_is_learnt_by_heart():
    torch.manual_seed(0)
    learn_by_heart(tiny_whisper(weighted=True).train(), noise(4, 4000), steps=120, rate=3e-3)


def test_a_cut_keeps_the_first_layers(tmp_path):
    folder, waveform = published(tmp_path), noise(1, 8000)
    whole, cut = tiny_whisper(weights=folder), tiny_whisper(weights=folder, layers=1)
    with torch.no_grad():
        states = [net(waveform, outputs=HIDDEN)["hidden_states"] for net in (whole, cut)]
        assert torch.equal(states[1][:, 0], states[0][:, 0])
        assert torch.equal(states[1][:, 1], whole.backbone.layer_norm(states[0][:, 1]))
    assert states[0].shape == (1, 3, 25, 32) and states[1].shape == (1, 2, 25, 32)
    for layers in (0, 3):
        with pytest.raises(ConfigError, match=f"layers = {layers}: this encoder has 2; take 1 to 2"):
            tiny_whisper(layers=layers)


def test_the_weighted_sum_begins_as_the_mean_of_all_states():
    torch.manual_seed(0)
    net, waveform = tiny_whisper(weighted=True), noise(2, 8000)
    with torch.no_grad():
        found = net(waveform, outputs=["embedding", "hidden_states"])
        assert torch.allclose(found["embedding"], found["hidden_states"].mean((1, 2)), atol=1e-6)
        net.mix[0] = 40.0
        found = net(waveform, outputs=["embedding", "hidden_states"])
        assert torch.allclose(found["embedding"], found["hidden_states"][:, 0].mean(1), atol=1e-6)
    assert {id(part) for part in net.new_parameters()} == {id(net.mix), *map(id, net.head.parameters())}


def test_a_whole_whisper_and_one_of_ours_are_read(tmp_path):
    torch.manual_seed(3)
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 48, "vocab_size": 60}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1)
    whole = library().WhisperForConditionalGeneration(library().WhisperConfig(**TINY, **decoder, **tokens))
    whole.save_pretrained(tmp_path / "whole")
    net = tiny_whisper(weights=tmp_path / "whole")
    assert same(net.backbone.state_dict(), whole.model.encoder.state_dict())
    assert len(list(net.new_parameters())) == 4
    save_file(net.state_dict(), tmp_path / "ours.safetensors")
    torch.manual_seed(9)
    again = tiny_whisper(weights=tmp_path / "ours.safetensors")
    assert same(net.state_dict(), again.state_dict())
    assert not list(again.new_parameters())


def test_what_is_not_exactly_this_encoder_is_refused(tmp_path):
    folder = published(tmp_path / "wide", d_model=64)
    with pytest.raises(ModelError, match=r"another Whisper.*d_model is 64 instead of 32.*Nothing was loaded"):
        tiny_whisper(weights=folder)
    tensors = load_file(published(tmp_path / "right") / "model.safetensors")
    lost = tensors.pop("layers.1.fc1.bias")
    save_file(tensors, tmp_path / "lost.safetensors")
    with pytest.raises(ModelError, match=r"1 missing \(backbone.layers.1.fc1.bias\)"):
        tiny_whisper(weights=tmp_path / "lost.safetensors")
    tensors |= {"layers.1.fc1.bias": lost, "layers.2.fc1.bias": lost.clone()}
    save_file(tensors, tmp_path / "deep.safetensors")
    with pytest.raises(ModelError, match=r"1 unexpected \(backbone.layers.2.fc1.bias\)"):
        tiny_whisper(weights=tmp_path / "deep.safetensors")
    with pytest.raises(ConfigError, match="no setting 'd_modle': did you mean 'd_model'"):
        build_architecture("whisper_tiny", config={"d_modle": 32})


def test_more_than_half_a_minute_is_refused():
    net = tiny_whisper()
    assert net.front_end(torch.zeros(1, HALF_MINUTE + 159)).shape == (1, 80, 3000)
    with pytest.raises(ModelError, match=r"a waveform of 30\.0 s: this encoder has positions for 30 s"):
        net(torch.zeros(1, HALF_MINUTE + 160))


@pytest.mark.long
def test_file_equals_torch_at_every_length():
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
    from edgebench.models.making.export import export_onnx

    torch.manual_seed(5)
    net = tiny_whisper(layers=1)
    graph = export_onnx(net).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for batch, seconds in ((1, 0.1), (3, 5), (1, 30)):
        waveform = noise(batch, round(16_000 * seconds))
        with torch.no_grad():
            expected = net(waveform)
        for a, b in zip(expected.values(), session.run(None, {"waveform": waveform.numpy()}), strict=True):
            np.testing.assert_allclose(b, a.numpy(), atol=1e-5)
