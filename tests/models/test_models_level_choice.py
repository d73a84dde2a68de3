"""Levels by measurement, against every choice there is, and on a small net."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from model_files import save
from small_nets import speech_net, waveforms

from edgebench.models.quantization import quantize
from edgebench.models.quantization.level_choice import PROBES, SiteNoise, choose_levels, site_noises
from edgebench.models.quantization.pieces import session_of
from edgebench.models.quantization.sites import find_sites
from edgebench.models.quantization.source import source_model

LEVELS = (3, 7, 15, 37, 127)


def site(elements, noise_of_three):
    """A site whose noise falls with the square of its steps."""
    return SiteNoise(elements, tuple(noise_of_three * 4 / (probe - 1) ** 2 for probe in PROBES))


def test_noise_between_and_beyond_the_probes_falls_with_the_square():
    one = site(10, 0.4)
    for levels in (3, 5, 51, 127, 255):
        assert one.at(levels) == pytest.approx(0.4 * 4 / (levels - 1) ** 2)
    assert one.bits(8) == 30


@pytest.mark.parametrize("least_db", [3.0, 10.0, 20.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_quiet_enough_and_few_choices_that_are_take_fewer_bits(least_db, seed):
    rng = np.random.default_rng(seed)
    noises = [site(int(rng.integers(50, 5000)), float(10 ** rng.uniform(-4, 0))) for _ in range(4)]

    def noise(choice):
        return sum(one.at(levels) for one, levels in zip(noises, choice, strict=True))

    def bits(choice):
        return sum(one.bits(levels) for one, levels in zip(noises, choice, strict=True))

    limit = 10 ** (-least_db / 10)
    chosen = choose_levels(noises, least_db, LEVELS)
    fits = [choice for choice in itertools.product(LEVELS, repeat=4) if noise(choice) <= limit]
    assert noise(chosen) <= limit
    assert bits(chosen) <= 1.15 * min(map(bits, fits))


def test_where_nothing_is_quiet_enough_all_get_the_most():
    assert choose_levels([site(10, 1.0), site(20, 5.0)], 90.0, LEVELS) == [127, 127]


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    return save(speech_net(), tmp_path_factory.mktemp("net") / "net.onnx")


def test_the_noise_of_a_site_is_that_of_the_net_with_it_rounded(net):
    model = source_model(net)
    before = model.SerializeToString(deterministic=True)
    sites = find_sites(model)
    found = site_noises(model, sites, waveforms(6))
    assert model.SerializeToString(deterministic=True) == before  # the net itself stays as it was
    assert all(a > b > c > 0 for a, b, c in (one.at_probes for one in found))


def test_more_decibels_take_more_bytes_and_answer_closer(net):
    def answers(data):
        session = session_of(data)
        return np.concatenate([session.run(None, {"waveform": clip[np.newaxis]})[0] for clip in fresh])

    fresh = waveforms(4, seed=1)
    exact = answers(net.read_bytes())
    sizes, losses = [], []
    for least_db in (5.0, 20.0, 35.0):
        data = quantize(
            net,
            scheme="packed_measured",
            waveforms=waveforms(12),
            settings={"least_db": least_db, "passes": ()},
        )
        sizes.append(len(data))
        losses.append(float(np.square(answers(data) - exact).sum() / np.square(exact).sum()))
    assert sizes[0] < sizes[1] < sizes[2]
    assert losses[0] > losses[1] > losses[2]
    assert -10 * math.log10(losses[1]) > 20.0  # GPTQ does better than the rounding that chose the levels
