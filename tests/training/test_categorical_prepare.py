"""What is done to every clip, against librosa and plain loops: trim, pre-emphasis, peak, crop, pad."""

from __future__ import annotations

import numpy as np
import pytest
from support.plain_librosa import plain_librosa

from edgebench.agent.waveform import check, prepare
from edgebench.corpora import SAMPLE_RATE_HZ, load_waveform, synthetic_corpus
from edgebench.training.methods import load_recipe

pytestmark = pytest.mark.train


def one(waveform, **step):
    check([step])
    return prepare(waveform, [step], SAMPLE_RATE_HZ)


def bursts(seed: int) -> np.ndarray:
    """Noise that swells and fades over six orders of magnitude, of any length."""
    rng = np.random.default_rng(seed)
    samples = int(rng.integers(1, 40_000))
    envelope = 10.0 ** np.interp(
        np.arange(samples), np.sort(rng.integers(0, samples + 1, 9)), rng.uniform(-6, 0, 9)
    )
    return (envelope * rng.uniform(-1, 1, samples)).astype(np.float32)


@pytest.fixture(scope="module")
def librosa_trim():
    """librosa's own trim, which calls none of its compiled functions."""
    with plain_librosa() as librosa:
        yield librosa.effects.trim


@pytest.mark.parametrize("top_db", [20.0, 40.0])
def test_trim_is_librosas(librosa_trim, top_db):
    speech = [load_waveform(clip) for clip in synthetic_corpus()[:6]]
    cut = 0
    for waveform in [*speech, *map(bursts, range(60))]:
        expected, _ = librosa_trim(waveform, top_db=top_db)
        found = one(waveform, step="trim", top_db=top_db)
        assert np.array_equal(found, expected)
        cut += len(found) < len(waveform)
    assert cut > 20


def test_silence_has_no_quiet_ends():
    assert len(one(np.zeros(5000, np.float32), step="trim", top_db=20.0)) == 5000


def test_trim_takes_quiet_ends_and_leaves_pauses():
    loud, quiet = np.full(8192, 0.5, np.float32), np.full(8192, 0.001, np.float32)
    loud[::2] *= -1
    found = one(np.concatenate([quiet, loud, quiet, loud, quiet]), step="trim", top_db=20.0)
    assert 3 * 8192 <= len(found) < 3 * 8192 + 2 * 2048


def test_pre_emphasis_is_the_filter():
    waveform = bursts(3)
    expected = np.array(
        [float(x) - 0.97 * (float(waveform[n - 1]) if n else 0.0) for n, x in enumerate(waveform)]
    )
    found = one(waveform, step="pre_emphasis", coefficient=0.97)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(waveform, bursts(3))  # its input is left as it was


def test_pre_emphasis_has_its_gain_at_every_frequency():
    """|1 - .97 / z| of a tone, once the filter has settled."""
    time = np.arange(16_000)
    for frequency in (100.0, 1000.0, 7000.0):
        tone = np.sin(2 * np.pi * frequency * time / 16_000).astype(np.float32)
        gain = np.abs(1 - 0.97 * np.exp(-2j * np.pi * frequency / 16_000))
        found = one(tone, step="pre_emphasis", coefficient=0.97)[1:]
        assert found.std() / tone[1:].std() == pytest.approx(gain, rel=1e-3)


def test_the_recipe_prepares_as_the_paper_says(librosa_trim):
    recipe = load_recipe("distilhubert_loso")
    steps = recipe.prepare.steps()
    check(steps)
    assert [step["step"] for step in steps] == ["trim", "pre_emphasis", "peak", "crop", "pad"]
    for clip in synthetic_corpus()[:4]:
        waveform = load_waveform(clip)
        trimmed, _ = librosa_trim(waveform, top_db=20)
        emphasised = np.append(trimmed[:1], trimmed[1:] - np.float32(0.97) * trimmed[:-1])
        expected = 0.95 * emphasised / np.abs(emphasised).max()
        found = prepare(waveform, steps, SAMPLE_RATE_HZ)
        assert len(found) == 8 * SAMPLE_RATE_HZ
        assert found[: len(expected)] == pytest.approx(expected, abs=1e-5)
        assert not found[len(expected) :].any()
        assert np.abs(found).max() == pytest.approx(0.95)


def test_a_long_clip_ends_at_eight_seconds():
    recipe = load_recipe("distilhubert_loso", overrides=["prepare.padding=masked"])
    long = np.random.default_rng(1).uniform(-1, 1, 10 * SAMPLE_RATE_HZ).astype(np.float32)
    assert len(prepare(long, recipe.prepare.steps(), SAMPLE_RATE_HZ)) == 8 * SAMPLE_RATE_HZ
    assert len(prepare(long[:40_000], recipe.prepare.steps(), SAMPLE_RATE_HZ)) == 40_000
