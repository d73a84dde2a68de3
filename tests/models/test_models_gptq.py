"""GPTQ: against all codes there are, against rounding to the nearest, and the grids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgebench.errors import ModelError
from edgebench.models.quantization.gptq import grid, quantize_weight


def correlated(inputs: int, seed: int) -> np.ndarray:
    """The second moment of inputs that say much of each other, as neighbours in a spectrogram do."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((4 * inputs, 3 + inputs // 4)) @ rng.standard_normal(
        (3 + inputs // 4, inputs)
    )
    samples += 0.2 * rng.standard_normal(samples.shape)
    return samples.T @ samples / len(samples)


def errors(codes: np.ndarray, scales: np.ndarray, weight: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """E[(x^T (w' - w))^2] of each output, written plainly."""
    change = codes * scales - weight
    return np.array([column @ moment @ column for column in change.T])


def nearest(weight: np.ndarray, scale: np.ndarray, levels: int) -> np.ndarray:
    """The nearest codes, by looking at every one."""
    chosen = grid(levels)
    values = chosen.lowest + chosen.step * np.arange(levels)
    return values[np.abs(weight[..., None] / scale[:, None] - values).argmin(axis=-1)]


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_close_to_the_best_of_all_codes(levels):
    inputs, outputs = 5, 12
    chosen = grid(levels)
    values = [chosen.lowest + chosen.step * digit for digit in range(levels)]
    everything = np.array(list(itertools.product(values, repeat=inputs)), float)
    ratios = []
    for seed in range(4):
        moment = correlated(inputs, seed)
        weight = np.random.default_rng(seed).standard_normal((inputs, outputs))
        found = quantize_weight(weight, moment, levels)
        for output in range(outputs):
            change = everything * found.scales[output] - weight[:, output]
            best = np.einsum("ci,ij,cj->c", change, moment, change).min()
            assert found.error[output] >= best * (1 - 1e-9)
            ratios.append(found.error[output] / best)
    assert np.median(ratios) < 1 + 1e-9
    assert np.mean(ratios) < 1.1


@pytest.mark.parametrize("levels", [2, 3, 4, 7, 31, 127, 255])
def test_never_worse_than_rounding_to_the_nearest(levels):
    weight = np.random.default_rng(levels).standard_normal((48, 9))
    moment = correlated(48, levels)
    found = quantize_weight(weight, moment, levels)
    np.testing.assert_allclose(found.error, errors(found.codes, found.scales, weight, moment), rtol=1e-6)
    peak = np.abs(weight).max(axis=0)
    best = np.full(9, np.inf)
    for part in np.linspace(0.2, 1.05, 18):
        scale = (part * peak / grid(levels).highest).astype(np.float16).astype(float)
        best = np.minimum(best, errors(nearest(weight, scale, levels), scale, weight, moment))
    assert (found.error <= best * (1 + 1e-9)).all()
    assert found.error.mean() < 0.8 * best.mean()  # and much better where inputs are correlated


def test_a_moment_for_each_output():
    weight = np.random.default_rng(0).standard_normal((20, 4))
    moments = np.stack([correlated(20, seed) for seed in range(4)])
    found = quantize_weight(weight, moments, 5)
    for output, moment in enumerate(moments):
        shared = quantize_weight(weight[:, [output]], moments.mean(axis=0), 5)
        error = errors(found.codes, found.scales, weight, moment)[output]
        assert error == pytest.approx(found.error[output])
        assert error < errors(shared.codes, shared.scales, weight[:, [output]], moment)[0]


def test_a_diagonal_alone_is_rounding_to_the_nearest_at_the_best_scale():
    weight = np.random.default_rng(1).standard_normal((30, 6))
    energies = np.random.default_rng(2).uniform(0.1, 3.0, 30)
    found = quantize_weight(weight, energies, 15)
    np.testing.assert_array_equal(found.codes, nearest(weight, found.scales, 15))
    np.testing.assert_allclose(
        found.error, errors(found.codes, found.scales, weight, np.diag(energies)), rtol=1e-9
    )


def test_a_large_product_takes_blocks_and_few_scales():
    weight = np.random.default_rng(3).standard_normal((300, 200))
    moment = correlated(300, 3)
    found = quantize_weight(weight, moment, 7)
    plain = nearest(weight, found.scales, 7)
    assert found.error.sum() < 0.6 * errors(plain, found.scales, weight, moment).sum()


@pytest.mark.parametrize("levels", [2, 4, 6, 128, 3, 5, 255])
def test_codes_stand_on_the_grid_and_scales_in_float16(levels):
    weight = np.random.default_rng(4).standard_normal((16, 5))
    weight[:, 2] = 0.0  # an output that nothing reaches
    found = quantize_weight(weight, np.eye(16), levels)
    chosen = grid(levels)
    assert set(np.unique(found.codes)) <= set(range(chosen.lowest, chosen.highest + 1, chosen.step))
    np.testing.assert_array_equal(found.scales, found.scales.astype(np.float16))
    assert (found.scales > 0).all()


def test_scales_that_float16_does_not_hold_are_kept():
    weight = np.random.default_rng(5).standard_normal((8, 3)) * 1e-7
    found = quantize_weight(weight, np.eye(8), 127)
    np.testing.assert_allclose(found.codes * found.scales, weight, atol=0.02 * np.abs(weight).max())


@pytest.mark.parametrize("levels", [0, 1, 130, 256])
def test_a_grid_that_int8_does_not_hold_is_refused(levels):
    with pytest.raises(ModelError, match="int8 holds odd numbers of levels"):
        grid(levels)
