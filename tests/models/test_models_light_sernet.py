"""Light-SERNet: its front end against plain arithmetic, its layers against the paper's table of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
from one_batch import learn_by_heart  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from edgebench.errors import ModelError  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402
from edgebench.models.architectures.light_sernet import LightSerNet  # noqa: E402

pytestmark = pytest.mark.train

PUBLISHED_PARAMETERS = 460_740  # four classes; 0.88 MiB of two bytes each
DIMENSIONS = 320 * 3 + 3
FRONT_END = 1026 * 1024 + 513 * 128 + 128 * 40
# Behind each stage at 7 s (434 frames of 40 cepstra): channels, frames, cepstra.
MAPS = [(96, 217, 20), (64, 109, 10), (96, 55, 5), (128, 28, 5), (160, 14, 5), (320, 14, 5)]


@pytest.fixture(autouse=True)
def one_thread():
    """Small layers on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(2)
    return LightSerNet().eval()


def test_parameters_are_the_papers(net):
    trained = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    assert trained == PUBLISHED_PARAMETERS + DIMENSIONS
    assert round(2 * PUBLISHED_PARAMETERS / 2**20, 2) == 0.88
    fixed = {name: p.numel() for name, p in net.named_parameters() if not p.requires_grad}
    assert fixed.keys() == {"log_mel.fourier", "log_mel.mel", "cosine"}
    assert sum(fixed.values()) == FRONT_END


def test_layers_are_the_papers(net):
    kernels = [path[0].kernel_size for path in net.paths]
    assert sorted(kernels) == [(1, 9), (3, 3), (11, 1)]
    assert [tuple(block[0].kernel_size) for block in net.blocks] == [(3, 3)] * 4 + [(1, 1)]
    log_mel = net.features(torch.randn(1, 7 * 16_000))
    assert log_mel.shape == (1, 1, 434, 128)
    with torch.no_grad():
        maps = torch.cat([path(log_mel @ net.cosine) for path in net.paths], dim=1)
        shapes = [tuple(maps.shape[1:])]
        for block in net.blocks:
            maps = block(maps)
            shapes.append(tuple(maps.shape[1:]))
    assert shapes == MAPS


def plain_log_mel(waveform: np.ndarray) -> np.ndarray:
    """Frame by frame in double precision: hann, FFT, magnitude, HTK's mel triangles, logarithm."""
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 1024) for n in range(1024)])

    def mel(hz: float) -> float:
        return 2595.0 * math.log10(1.0 + hz / 700.0)

    low, high = mel(80.0), mel(7600.0)
    corners = [low + (high - low) * step / 129.0 for step in range(130)]
    weights = np.zeros((513, 128))
    for k in range(1, 513):  # the bin at 0 Hz counts nothing
        place = mel(k * 15.625)
        for band in range(128):
            left, centre, right = corners[band : band + 3]
            height = min((place - left) / (centre - left), (right - place) / (right - centre))
            weights[k, band] = max(0.0, height)
    rows = []
    for start in range(0, len(waveform) - 1023, 256):
        magnitude = np.abs(np.fft.rfft(waveform[start : start + 1024].astype(np.float64) * window))
        rows.append(np.log(magnitude @ weights + 1e-6))
    return np.array(rows)


@pytest.fixture(scope="module")
def speech_like() -> np.ndarray:
    rng = np.random.default_rng(0)
    time_s = np.arange(6000) / 16_000
    tones = sum(np.sin(2 * np.pi * 200.0 * k * time_s) / k for k in range(1, 20))
    return (0.1 * tones + 0.01 * rng.standard_normal(6000)).astype(np.float32)


def test_log_mel_against_plain_arithmetic(net, speech_like):
    expected = plain_log_mel(speech_like)
    with torch.no_grad():
        found = net.log_mel(torch.from_numpy(speech_like)[None])[0, 0].numpy()
    assert found.shape == expected.shape == (20, 128)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    fast = net.features(torch.from_numpy(speech_like)[None])[0, 0].numpy()
    np.testing.assert_allclose(fast, expected, atol=2e-3)


def test_cepstra_are_the_cosine_transform(net):
    log_mel = np.random.default_rng(1).standard_normal(128)
    found = torch.from_numpy(log_mel.astype(np.float32)) @ net.cosine
    for k in (0, 1, 17, 39):
        total = sum(2.0 * x * math.cos(math.pi * k * (2 * n + 1) / 256) for n, x in enumerate(log_mel))
        assert float(found[k]) == pytest.approx(total / math.sqrt(2.0 * 128), abs=1e-4)


def test_cepstra_are_clipped_at_10(net):
    log_mel = torch.randn(1, 1, 40, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # All bands 30 higher raise the first cepstrum alone, by 30 sqrt(128): clipped either way.
        once, twice = (net.classify(log_mel + offset)["emotion_logits"] for offset in (30.0, 60.0))
    assert torch.allclose(once, twice, atol=1e-4)


def test_an_odd_rest_is_averaged_over_what_there_is(net):
    pool = net.blocks[0][3]
    maps = torch.arange(15.0).reshape(1, 1, 3, 5)
    assert pool(maps)[0, 0].tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]


def test_level_is_kept_and_silence_answers(net):
    waveform = 0.01 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert not torch.allclose(
            net(waveform)["emotion_logits"], net(5.0 * waveform)["emotion_logits"], atol=1e-4
        )
        assert torch.isfinite(net(torch.zeros(1, 8000))["emotion_logits"]).all()


def test_what_is_augmented_is_what_is_exported(net):
    waveform = 0.1 * torch.randn(2, 9001, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        parts, whole = net.classify(net.log_mel(waveform)), net(waveform)
    assert all(torch.equal(parts[name], whole[name]) for name in whole)


def test_the_seed_decides():
    states = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        states.append(build_architecture("light_sernet").state_dict())
    first, second, third = states
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["paths.0.0.weight"], third["paths.0.0.weight"])


def test_one_batch_is_learnt_by_heart():
    torch.manual_seed(0)
    learn_by_heart(LightSerNet(), torch.randn(8, 8000), steps=60, rate=1e-3)


def test_its_own_checkpoint_loads_whole(tmp_path, net):
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    loaded = build_architecture("light_sernet", weights=str(tmp_path / "net.safetensors"))
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in loaded.state_dict().items())
    assert list(loaded.new_parameters()) == []


def test_another_architectures_checkpoint_is_refused(tmp_path):
    torch.save(build_architecture("wav2small").state_dict(), tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"of another architecture: .* Nothing was loaded"):
        build_architecture("light_sernet", weights=tmp_path / "other.pt")
