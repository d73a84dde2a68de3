"""Wav2Small against its paper's Listing 1 and its front end against plain arithmetic."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
import image_nets  # noqa: E402
import speech_nets  # noqa: E402
import whisper_nets  # noqa: E402

from edgebench.errors import ModelError, UsageError  # noqa: E402
from edgebench.models.architectures import ARCHITECTURES, build_architecture  # noqa: E402
from edgebench.models.checkpoints.hugging_face import save_folder  # noqa: E402
from edgebench.models.layers.frontend import hz_to_mel, mel_basis, mel_to_hz, normalise_level  # noqa: E402

pytestmark = pytest.mark.train

PAPER_PARAMETERS = 72_659  # Wav2Small with its three outputs, front end included
FRONT_END_PARAMETERS = 5_082  # 66 x 64 Fourier + 33 x 26 mel
SECOND_HEAD = 169 * 4 + 4
TINY_OPTIONS = {**speech_nets.TINY_OPTIONS, **image_nets.TINY_OPTIONS, **whisper_nets.TINY_OPTIONS}


@pytest.fixture(scope="module")
def wav2small():
    """A Wav2Small whose batch norms are not the identity, in eval mode."""
    torch.manual_seed(3)
    model = build_architecture("wav2small")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
            torch.nn.init.normal_(module.bias)
    return model.eval()


def count(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_the_papers(wav2small):
    assert count(wav2small.log_mel) == FRONT_END_PARAMETERS
    assert count(wav2small) - count(wav2small.emotion) == PAPER_PARAMETERS
    assert count(wav2small) == PAPER_PARAMETERS + SECOND_HEAD


@pytest.mark.parametrize("training", [True, False])
def test_whole_vectors_are_the_same_net(wav2small, training):
    """In channels last it trains in 16 channels: answers, gradients and statistics are those of 13."""
    narrow = copy.deepcopy(wav2small).double().train(training)
    wide = copy.deepcopy(narrow).to(memory_format=torch.channels_last)
    log_mel = narrow.features(torch.randn(3, 4000).double())
    answers = []
    for net in (narrow, wide):
        with torch.profiler.profile(record_shapes=True) as seen:
            answers.append(torch.cat(list(net.classify(log_mel).values()), dim=1))
        shapes = [e.input_shapes[0] for e in seen.key_averages(group_by_input_shape=True) if "relu" in e.key]
        assert {shape[1] for shape in shapes} == {16 if net is wide and training else 13}
        answers[-1].square().sum().backward()
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-9, atol=1e-9)
    assert list(wide.state_dict()) == list(narrow.state_dict())
    for name, statistic in narrow.named_buffers():
        torch.testing.assert_close(wide.get_buffer(name), statistic, rtol=1e-9, atol=1e-9)
    for name, parameter in narrow.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(wide.get_parameter(name).grad, parameter.grad, rtol=1e-7, atol=1e-7)


def test_front_end_is_never_trained(wav2small):
    assert not any(parameter.requires_grad for parameter in wav2small.log_mel.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_answers_by_name(name):
    torch.manual_seed(0)
    model = build_architecture(name, **TINY_OPTIONS.get(name, {})).eval()
    for samples in (1600, 16_000, 23_457):
        waveform = torch.randn(2, samples)
        with torch.no_grad():
            answers = model(waveform)
        assert list(answers) == list(model.outputs)
        assert {name: tuple(answer.shape) for name, answer in answers.items()} == {
            "arousal_dominance_valence": (2, 3),
            "emotion_logits": (2, 4),
        }
    asked = model.available[::-1]
    with torch.no_grad():
        everything = model(waveform, outputs=asked)
        one = model(waveform, outputs=["emotion_logits"])
    assert tuple(everything) == asked and list(one) == ["emotion_logits"]
    for given in (everything, one):
        assert torch.equal(given["emotion_logits"], answers["emotion_logits"])
    if "embedding" in asked:  # what both heads read
        heads = getattr(model, "head", model)
        with torch.no_grad():
            for read, answer in ((heads.adv, "arousal_dominance_valence"), (heads.emotion, "emotion_logits")):
                assert torch.allclose(read(everything["embedding"]), answers[answer], atol=1e-6)
    with pytest.raises(UsageError, match="no output 'embeding'"):
        model(waveform, outputs=["embeding"])


def test_unknown_architecture_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'wav2small'"):
        build_architecture("wav2smal")


def test_mel_scale_is_slaneys():
    # 40 frequencies of librosa's documented example: mel_frequencies(n_mels=40), 0 to 11025 Hz.
    published_hz = {0: 0.0, 1: 85.317, 11: 938.49, 12: 1024.856, 20: 2071.84, 30: 4994.285, 39: 11025.0}
    mels = np.linspace(0.0, float(hz_to_mel(np.array(11_025.0))), 40)
    found_hz = mel_to_hz(mels)
    for index, frequency_hz in published_hz.items():
        assert found_hz[index] == pytest.approx(frequency_hz, abs=1e-3)


def test_mel_triangles_have_unit_area():
    # Far finer than the net's 250 Hz bins, where a sum over bins comes close to the integral.
    basis = mel_basis(sample_rate_hz=16_000, n_fft=16_384, n_mels=26)
    areas = basis.sum(0) * (16_000 / 16_384)
    np.testing.assert_allclose(areas, 1.0, rtol=2e-3)


def plain_log_mel(waveform: np.ndarray) -> np.ndarray:
    """Frame by frame in double precision: reflect, window, FFT, square, triangles, decibel."""
    padded = np.pad(waveform.astype(np.float64), 32, mode="reflect")
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 64) for n in range(64)])
    corners_hz = mel_to_hz(np.linspace(0.0, float(hz_to_mel(np.array(8000.0))), 28))
    frames = []
    for start in range(0, len(padded) - 63, 32):
        power = np.abs(np.fft.rfft(padded[start : start + 64] * window)) ** 2
        row = []
        for band in range(26):
            low, centre, high = corners_hz[band : band + 3]
            total = 0.0
            for k, value in enumerate(power):
                hz = 250.0 * k
                height = min((hz - low) / (centre - low), (high - hz) / (high - centre))
                total += max(0.0, height) * 2.0 / (high - low) * value
            row.append(10.0 * math.log10(max(1e-10, total)))
        frames.append(row)
    return np.array(frames)


def test_log_mel_against_plain_arithmetic(wav2small):
    rng = np.random.default_rng(0)
    time_s = np.arange(4000) / 16_000
    waveform = (np.sin(2 * np.pi * 437.0 * time_s) + 0.1 * rng.standard_normal(4000)).astype(np.float32)
    expected = plain_log_mel(waveform)
    with torch.no_grad():
        found = wav2small.log_mel(torch.from_numpy(waveform)[None])[0, 0].numpy()
    assert found.shape == expected.shape == (126, 26)
    assert np.all(expected[:, 0] == -100.0)  # the lowest triangle meets no bin
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_fast_front_end_equals_the_exported_one(wav2small):
    waveform = torch.randn(3, 7001, generator=torch.Generator().manual_seed(0)) * 0.05
    with torch.no_grad():
        expected = wav2small.log_mel(normalise_level(waveform))
    assert torch.allclose(wav2small.features(waveform), expected, atol=2e-3)  # dB


def test_level_is_normalised_away(wav2small):
    waveform = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        quiet, loud = (wav2small(sound)["emotion_logits"] for sound in (waveform, waveform * 5.0 + 0.2))
    assert torch.allclose(quiet, loud, atol=1e-3)
    with torch.no_grad():
        assert torch.isfinite(wav2small(torch.zeros(1, 8000))["emotion_logits"]).all()  # digital silence


def test_forward_is_listing_1(wav2small):
    """The listing once more, with the reshape written as the memory arithmetic that it is."""
    waveform = torch.randn(2, 5000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x = waveform - waveform.mean(1, keepdim=True)
        x = x / ((x * x).mean(1, keepdim=True) + 1e-7).sqrt()
        maps = wav2small.vgg7(wav2small.log_mel(x))
        batch, channels, tokens, mels = maps.shape
        assert (channels, mels) == (13, 13)
        flat = maps.reshape(batch, -1)
        rows = torch.stack([flat[:, t * 169 : (t + 1) * 169] for t in range(tokens)], dim=1)
        sof = rows @ wav2small.sof.weight.T + wav2small.sof.bias
        share = sof.exp() / sof.exp().sum(1, keepdim=True)
        pooled = (share * (rows @ wav2small.lin.weight.T + wav2small.lin.bias)).sum(1)
        adv = pooled @ wav2small.adv.weight.T + wav2small.adv.bias
        found = wav2small(waveform)["arousal_dominance_valence"]
    assert torch.allclose(found, adv, atol=1e-5)
    transposed = maps.permute(0, 2, 1, 3).reshape(batch, tokens, 169)
    assert not torch.allclose(rows, transposed)  # the usual reshape would be another net


def test_seven_convolutions_of_thirteen_channels(wav2small):
    convolutions = [m for m in wav2small.vgg7.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [tuple(m.weight.shape) for m in convolutions] == [
        (13, 1, 3, 3),
        *[(13, 13, 3, 3)] * 6,
        (13, 13, 1, 1),
    ]


def test_a_checkpoint_of_wav2small_is_loaded_whole_or_not_at_all(tmp_path):
    torch.manual_seed(1)
    first = build_architecture("wav2small")
    save_folder(first, tmp_path / "net", {"architecture": "wav2small"})
    again = build_architecture("wav2small", weights=tmp_path / "net").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())
    save_folder(build_architecture("light_sernet"), tmp_path / "other", {"architecture": "light_sernet"})
    with pytest.raises(ModelError, match=r"of another architecture.*missing.*unexpected.*Nothing was loaded"):
        build_architecture("wav2small", weights=tmp_path / "other")
