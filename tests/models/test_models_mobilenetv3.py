"""MobileNetV3 of AudioSet: the real checkpoint to the last tensor, its front end against plain 32 kHz."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="architectures need torch: pip install edgebench[train]")
from one_batch import learn_by_heart  # noqa: E402

from edgebench.corpora import load_waveform, synthetic_corpus  # noqa: E402
from edgebench.errors import ModelError, UsageError  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402
from edgebench.models.architectures.mobilenetv3_audioset import (  # noqa: E402
    AudioSetClassifier,
    MobileNetV3AudioSet,
    audioset_classifier,
    in_eights,
)
from edgebench.models.checkpoints.weights import load_exactly, read_weights  # noqa: E402
from edgebench.models.layers.audioset_frontend import AudioSetLogMel  # noqa: E402

pytestmark = pytest.mark.train

PUBLISHED_PARAMETERS = 983_599  # mn04 with its 527 classes; the publication rounds to 0.983 M
FLOOR = (math.log(1e-5) + 4.5) / 5.0
SPEECH, SILENCE, SINE = 0, 500, 501  # places of AudioSet's class list


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    """EfficientAT's mn04 from the folder that EDGEBENCH_WEIGHTS names."""
    folder = os.environ.get("EDGEBENCH_WEIGHTS")
    if not folder:
        pytest.skip("EDGEBENCH_WEIGHTS names no folder with efficientat_mn04/mn04_as_mAP_432.pt")
    path = Path(folder) / "efficientat_mn04" / "mn04_as_mAP_432.pt"
    if not path.is_file():
        pytest.skip(f"EDGEBENCH_WEIGHTS is set, and {path} does not exist")
    return path


@pytest.fixture
def one_thread():
    """Small layers on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ------------------------------------------------------------------------------------------- weights


def test_loading_is_exact_and_whole(checkpoint):
    weights = torch.load(checkpoint, weights_only=True)
    loaded = audioset_classifier(checkpoint).state_dict()
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())


def test_our_net_keeps_all_but_the_layer_of_audiosets_classes(checkpoint):
    weights = torch.load(checkpoint, weights_only=True)
    net = MobileNetV3AudioSet(weights=checkpoint).state_dict()
    renamed = {"features": "trunk", "classifier.2": "embedding"}
    left = set()
    for name, tensor in weights.items():
        prefix = next((old for old in renamed if name.startswith(f"{old}.")), None)
        if prefix is None:
            left.add(name)
        else:
            assert torch.equal(net.pop(renamed[prefix] + name.removeprefix(prefix)), tensor), name
    assert left == {"classifier.5.weight", "classifier.5.bias"}
    # What the checkpoint does not fill: the fixed front end and the two heads, nothing else.
    assert {name.split(".")[0] for name in net} == {"log_mel", "adv", "emotion"}


def test_without_weights_the_seed_decides():
    torch.manual_seed(4)
    first = MobileNetV3AudioSet().state_dict()
    torch.manual_seed(4)
    second = MobileNetV3AudioSet().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(5)
    assert not torch.equal(first["trunk.0.0.weight"], MobileNetV3AudioSet().state_dict()["trunk.0.0.weight"])


def test_parameters_are_the_published():
    net = AudioSetClassifier()
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED_PARAMETERS
    ours = MobileNetV3AudioSet()
    swapped = -(512 + 1) * 527 + (512 + 1) * (3 + 4)
    front_end = 2 * 256 * 399 + 256 * 128
    assert sum(p.numel() for p in ours.parameters()) == PUBLISHED_PARAMETERS + swapped + front_end
    assert {n.split(".")[0] for n, p in ours.named_parameters() if not p.requires_grad} == {"log_mel"}


@pytest.mark.parametrize(
    ("channels", "expected"), [(6.4, 8), (9.6, 16), (25.6, 24), (28.8, 32), (268.8, 272)]
)
def test_channels_come_in_eights_and_lose_at_most_a_tenth(channels, expected):
    assert in_eights(channels) == expected


def altered(tmp_path, change) -> Path:
    """A checkpoint of the right architecture, at random, after ``change`` had its way with it."""
    torch.manual_seed(0)
    weights = dict(AudioSetClassifier().state_dict())
    change(weights)
    torch.save(weights, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("features.4.block.1.0.weight"), r"1 missing \(features\.4\.block\.1\.0\.weight\)"),
        (lambda w: w.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (
            lambda w: w.update({"classifier.5.bias": torch.zeros(10)}),
            r"classifier\.5\.bias 10 float32 instead of 527 float32",
        ),
        (
            lambda w: w.update({"classifier.5.bias": torch.zeros(527, dtype=torch.float16)}),
            r"527 float16 instead of 527 float32",
        ),
    ],
)
def test_another_checkpoint_is_refused_whole(tmp_path, change, message):
    path = altered(tmp_path, change)
    with pytest.raises(ModelError, match=message):
        MobileNetV3AudioSet(weights=path)
    net = AudioSetClassifier()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ModelError, match="Nothing was loaded"):
        load_exactly(net, read_weights(path), source=path)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_a_checkpoint_of_another_family_names_both_sides(tmp_path):
    torch.save(build_architecture("wav2small").state_dict(), tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"312 missing \(.* and 308 more\).* unexpected \(log_mel\.fourier"):
        MobileNetV3AudioSet(weights=tmp_path / "other.pt")


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    torch.save(AudioSetClassifier(width=0.5).state_dict(), tmp_path / "wide.pt")
    with pytest.raises(ModelError, match="of another shape or type"):
        MobileNetV3AudioSet(weights=tmp_path / "wide.pt")


class Trap:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (os.mkdir, (os.environ["TRAP"],))


def test_a_file_with_code_in_it_runs_none(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    torch.save({"a": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ModelError, match="holds objects, which are never loaded"):
        read_weights(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(ModelError, match="do not exist"):
        read_weights(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path / "text.pt")
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "nested.pt")
    with pytest.raises(ModelError, match="not a state dictionary"):
        read_weights(tmp_path / "nested.pt")


def test_an_option_that_an_architecture_does_not_take():
    with pytest.raises(UsageError, match="'wav2small' takes no option 'width'"):
        build_architecture("wav2small", width=2)


# ----------------------------------------------------------------------------------------- front end


def plain_log_mel_32k(waveform: np.ndarray) -> np.ndarray:
    """The original front end, frame by frame in double precision at 32 kHz: (frames, 128)."""
    emphasised = waveform[1:] - 0.97 * waveform[:-1]
    padded = np.pad(emphasised, 512, mode="reflect")
    window = np.zeros(1024)
    window[112:912] = [0.5 - 0.5 * math.cos(2 * math.pi * n / 799) for n in range(800)]
    top = 1127.0 * math.log(1.0 + 15_000.0 / 700.0)
    mels = [1127.0 * math.log(1.0 + k * 31.25 / 700.0) for k in range(512)]
    weights = np.zeros((512, 128))  # the bin at 16 kHz counts nothing
    for band in range(128):
        low, centre, high = (top * (band + step) / 129.0 for step in range(3))
        for k, mel in enumerate(mels):
            weights[k, band] = max(0.0, min((mel - low) / (centre - low), (high - mel) / (high - centre)))
    rows = []
    for start in range(0, len(padded) - 1023, 320):
        power = np.abs(np.fft.rfft(padded[start : start + 1024] * window)[:512]) ** 2
        rows.append((np.log(power @ weights + 1e-5) + 4.5) / 5.0)
    return np.array(rows)


def band_limited(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise shaped like speech below 7.5 kHz, at 32 kHz and, the same signal, at 16 kHz."""
    rng = np.random.default_rng(7)
    hz = np.fft.rfftfreq(2 * samples, 1 / 32_000)
    spectrum = rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))
    spectrum *= np.where((hz > 60.0) & (hz < 7500.0), 1.0 / (1.0 + hz / 500.0), 0.0)
    fine = np.fft.irfft(spectrum)
    fine *= 0.2 / fine.std()
    return fine, fine[::2].astype(np.float32)


def test_front_end_at_16_khz_is_the_one_at_32_khz():
    fine, coarse = band_limited(16_000)
    expected = plain_log_mel_32k(fine)
    with torch.no_grad():
        found = AudioSetLogMel()(torch.from_numpy(coarse)[None])[0, 0].numpy()
    assert found.shape == expected.shape == (100, 128)
    inner = slice(2, -2)  # the edges are reflected before pre-emphasis here, and after it there
    # Bands that end below 7.5 kHz. A tenth of a unit is 2.2 dB; 0.97 applied at 16 kHz is 0.6 units off.
    np.testing.assert_allclose(found[inner, :100], expected[inner, :100], atol=1e-4)
    assert np.abs(found[[0, 1, -2, -1], :100] - expected[[0, 1, -2, -1], :100]).mean() < 0.1
    # Bands that begin above 8 kHz hold the floor, as they do at 32 kHz where nothing is up there.
    np.testing.assert_allclose(found[:, 106:], FLOOR, atol=1e-5)
    np.testing.assert_allclose(expected[inner, 106:], FLOOR, atol=5e-3)


@pytest.mark.parametrize("samples", [1600, 1601, 1759, 1760, 16_000])
def test_frames_are_the_originals(samples):
    found = AudioSetLogMel()(torch.zeros(1, samples))
    # 2 samples - 1 after pre-emphasis, centred frames 320 apart
    assert found.shape == (1, 1, (2 * samples - 1) // 320 + 1, 128)
    assert torch.allclose(found, torch.full_like(found, FLOOR))  # digital silence is the floor


def test_fast_front_end_equals_the_exported_one():
    waveform = torch.randn(3, 7001, generator=torch.Generator().manual_seed(0)) * 0.05
    front_end = AudioSetLogMel()
    assert torch.allclose(front_end.fast(waveform), front_end(waveform), atol=1e-4)


# ------------------------------------------------------------------------------------------ the nets


def test_audioset_head_tells_speech_silence_and_a_tone_apart(checkpoint):
    """A check of the wiring, on one clip of generated speech: no claim about accuracy on AudioSet."""
    net, front_end = audioset_classifier(checkpoint), AudioSetLogMel()
    speech = torch.from_numpy(load_waveform(synthetic_corpus(split="test")[0]))
    noise = torch.randn(48_000, generator=torch.Generator().manual_seed(0)) * 0.05
    tone = 0.3 * torch.sin(2 * math.pi * 500.0 * torch.arange(48_000) / 16_000)
    tops = {}
    for name, waveform in {"speech": speech, "noise": noise, "tone": tone, "silence": noise * 0}.items():
        with torch.no_grad():
            logits = net(front_end(waveform[None]).transpose(2, 3))[0]
        assert torch.isfinite(logits).all()
        tops[name] = int(logits.argmax())
    assert tops["speech"] == SPEECH
    assert tops["noise"] not in (SPEECH, SILENCE, SINE)
    assert (tops["tone"], tops["silence"]) == (SINE, SILENCE)


def plain_logits(w: dict, log_mel):
    """The net once more from its tensors alone: shapes give kernels and gates, the paper the strides."""
    functional = torch.nn.functional

    def layer(x, name, *, stride=1, depthwise=False):
        kernel = w[f"{name}.0.weight"]
        groups = kernel.shape[0] if depthwise else 1
        x = functional.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, 1, groups)
        mean, variance = w[f"{name}.1.running_mean"], w[f"{name}.1.running_var"]
        x = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 0.001)
        return x * w[f"{name}.1.weight"][:, None, None] + w[f"{name}.1.bias"][:, None, None]

    def hardswish(x):
        return x * (x + 3.0).clamp(0.0, 6.0) / 6.0

    x = hardswish(layer(log_mel, "features.0", stride=2))
    for block in range(1, 16):
        act = hardswish if block >= 7 else torch.relu
        stride = 2 if block in (2, 4, 7, 13) else 1
        before, place, name = x, 0, f"features.{block}.block"
        if w[f"{name}.0.0.weight"].shape[1] != 1:  # no expansion in the first block
            x, place = act(layer(x, f"{name}.0")), 1
        x = act(layer(x, f"{name}.{place}", stride=stride, depthwise=True))
        gate = f"{name}.{place + 1}.conc_se_layers.0"
        if f"{gate}.fc1.weight" in w:
            means = x.mean(3).mean(2)
            squeezed = torch.relu(means @ w[f"{gate}.fc1.weight"].T + w[f"{gate}.fc1.bias"])
            excited = squeezed @ w[f"{gate}.fc2.weight"].T + w[f"{gate}.fc2.bias"]
            x, place = x / (1.0 + torch.exp(-excited))[:, :, None, None], place + 1
        x = layer(x, f"{name}.{place + 1}")
        if x.shape == before.shape:
            x = x + before
    x = hardswish(layer(x, "features.16")).mean(3).mean(2)
    x = hardswish(x @ w["classifier.2.weight"].T + w["classifier.2.bias"])
    return x @ w["classifier.5.weight"].T + w["classifier.5.bias"]


def test_forward_is_the_papers_table_written_out(checkpoint):
    log_mel = torch.randn(2, 1, 128, 137, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = audioset_classifier(checkpoint)(log_mel)
        expected = plain_logits(torch.load(checkpoint, weights_only=True), log_mel)
    assert expected.std() > 0.5
    assert torch.allclose(found, expected, atol=1e-4)


def test_our_heads_read_the_same_net(checkpoint):
    waveform = 0.1 * torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0))
    ours, theirs = MobileNetV3AudioSet(weights=checkpoint).eval(), audioset_classifier(checkpoint)
    with torch.no_grad():
        hidden = theirs.classifier[:4](theirs.features(ours.log_mel(waveform).transpose(2, 3)))
        adv, logits = ours(waveform).values()
        assert torch.allclose(adv, ours.adv(hidden), atol=1e-5)
        assert torch.allclose(logits, ours.emotion(hidden), atol=1e-5)


def test_a_tiny_one_learns_a_batch_by_heart(one_thread):
    torch.manual_seed(0)
    learn_by_heart(MobileNetV3AudioSet(width=0.1), 0.1 * torch.randn(8, 8000), steps=80, rate=3e-3)


def test_new_parameters_are_the_heads():
    net = MobileNetV3AudioSet(width=0.1)
    new = {id(parameter) for parameter in net.new_parameters()}
    assert {n for n, p in net.named_parameters() if id(p) in new} == {
        f"{head}.{part}" for head in ("adv", "emotion") for part in ("weight", "bias")
    }
