"""The generated input is the same everywhere; preparation does what its name says."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from edgebench.agent import waveform

MASK = 2**64 - 1


def splitmix64(seed: int, count: int) -> list[int]:
    """The generator as its authors write it, one word at a time, in Python's integers."""
    words = []
    state = seed & MASK
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        words.append(z ^ (z >> 31))
    return words


def test_splitmix64_gives_the_published_words() -> None:
    # The first words from seed 1234567, as in the generator's widely used test vector.
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_generated_input_is_splitmix64(seed: int) -> None:
    made = waveform.generate(9000, seed=seed)  # more than two blocks
    expected = [(word >> 40) / 2**23 - 1 for word in splitmix64(seed, 9000)]
    assert made.dtype == np.float32 and made.tolist() == expected


def test_generated_input_is_pinned_and_noise() -> None:
    made = waveform.generate(80000, seed=7)
    digest = "0bf00cc7c423567ebab583f9d4d2e8529eb59615c928fb61818d682e6ab15c0d"
    assert hashlib.sha256(made.astype("<f4").tobytes()).hexdigest() == digest
    assert -1 <= made.min() < -0.999 and 0.999 < made.max() < 1
    assert abs(made.mean()) < 0.01 and made.var() == pytest.approx(1 / 3, rel=0.02)
    assert abs(np.corrcoef(made[1:], made[:-1])[0, 1]) < 0.02
    # A shorter one is the beginning of a longer one; another seed is another noise.
    assert (waveform.generate(100, seed=7) == made[:100]).all()
    assert (waveform.generate(100, seed=8) != made[:100]).mean() > 0.99


def ramp(samples: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (np.arange(samples) / 1000).astype(np.float32)


def prepare(clip: Any, *steps: dict[str, Any]) -> list[float]:
    waveform.check(list(steps))
    made = waveform.prepare(clip, list(steps), 100)
    assert made.dtype == np.float32
    return [round(float(value), 6) for value in made]


def test_preparation_in_order() -> None:
    assert prepare(ramp(3), {"step": "pad", "min_s": 0.05}) == [0, 0.001, 0.002, 0, 0]
    assert prepare(ramp(7), {"step": "pad", "min_s": 0.05}) == [n / 1000 for n in range(7)]
    assert prepare(ramp(7), {"step": "crop", "max_s": 0.02}) == [0, 0.001]
    assert prepare(ramp(1), {"step": "crop", "max_s": 0.02}) == [0]
    assert prepare(ramp(3), {"step": "peak"}) == [0, 0.5, 1]
    assert prepare(-ramp(3), {"step": "peak", "level": 0.5}) == [0, -0.25, -0.5]
    assert prepare(np.zeros(2, np.float32), {"step": "peak"}) == [0, 0]
    crop, pad = {"step": "crop", "max_s": 0.01}, {"step": "pad", "min_s": 0.03}
    assert prepare(ramp(3) + 1, crop, pad) == [1, 0, 0]
    assert prepare(ramp(3) + 1, pad, crop) == [1]
    assert prepare(ramp(3)) == [0, 0.001, 0.002]


@pytest.mark.parametrize(
    "step",
    [{"step": "loudness"}, {}, {"step": "pad"}, {"step": "crop", "max_s": 1, "side": "left"}, {"step": None}],
)
def test_steps_it_cannot_do_are_refused(step: dict[str, Any]) -> None:
    with pytest.raises(waveform.PreparationError, match="preparation step"):
        waveform.check([{"step": "pad", "min_s": 1.0}, step])


def test_pre_emphasis_takes_a_share_of_the_sample_before() -> None:
    assert prepare(ramp(4), {"step": "pre_emphasis", "coefficient": 0.5}) == [0, 0.001, 0.0015, 0.002]
    assert prepare(ramp(1), {"step": "pre_emphasis", "coefficient": 0.97}) == [0]


def test_trim_keeps_what_is_near_the_loudest_frame() -> None:
    """Frames of 2048 around every 512th sample: a burst is heard up to 1024 samples beside it."""
    clip = np.zeros(16_384, np.float32)
    clip[8192:8704] = 0.5
    # Frames 15 to 18 hold it: from sample 15 * 512 to where frame 19 has its middle.
    assert len(prepare(clip, {"step": "trim", "top_db": 20.0})) == 4 * 512
    assert prepare(clip[:100], {"step": "trim", "top_db": 20.0}) == [0] * 100  # silence stays
    quiet = clip + np.float32(0.2)
    assert len(prepare(quiet, {"step": "trim", "top_db": 20.0})) == 16_384


def test_fit_repeats_up_to_the_next_length_and_cuts_to_the_longest() -> None:
    step = {"step": "fit", "lengths_s": [0.1, 0.05, 0.2]}  # 10, 5 and 20 samples at 100 Hz
    clip = [0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006]
    assert prepare(ramp(7), step) == [*clip, *clip[:3]]
    assert prepare(ramp(5), step) == clip[:5]
    assert prepare(ramp(3), step) == [*clip[:3], *clip[:2]]
    assert prepare(ramp(50), step) == [round(n / 1000, 6) for n in range(20)]
