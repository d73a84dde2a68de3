"""Tables computed in the graph: Fourier rows by numpy's transform, mel filters by librosa."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from small_graphs import answers, graph, operators
from support.plain_librosa import plain_librosa

from edgebench.models.rewrites import rewrite


def fourier(samples: int, window: np.ndarray) -> np.ndarray:
    """Cosine rows, then sine rows, of numpy's transform: (2 * bins, samples)."""
    whole = np.fft.rfft(np.eye(samples)).T * window
    return np.concatenate([whole.real, whole.imag]).astype(np.float32)


def product(table: np.ndarray):
    """A graph that multiplies with a table."""
    rows, columns = table.shape
    return graph(f"(float[N,{columns}] x) => (float[N,{rows}] y) {{ y = Gemm<transB=1>(x, t) }}", t=table)


def periodic_hann(samples: int) -> np.ndarray:
    return np.hanning(samples + 1)[:-1]


TABLES = {
    "a Fourier transform": fourier(64, np.ones(64)),
    "under a periodic Hann window": fourier(64, periodic_hann(64)),
    "under a symmetric Hamming window": fourier(100, np.hamming(100)),
    "scaled, without its first rows, in another order": 3.0 * fourier(64, periodic_hann(64))[60:5:-1],
    "a cosine transform": np.cos(np.pi / 40 * np.outer(np.arange(13), np.arange(40) + 0.5)).astype(
        np.float32
    ),
    "on its side": fourier(64, periodic_hann(64)).T.copy(),
}


@pytest.mark.parametrize("what", TABLES)
def test_cosines_are_computed(what: str):
    before = product(TABLES[what])
    found = rewrite(before, ["generated_tables", "strip_names"])
    assert found.places["generated_tables"] == 1
    assert "Cos" in operators(found.model)
    assert found.model.ByteSize() < 0.7 * before.ByteSize()
    a, b = answers(before)[0], answers(found.model)[0]
    np.testing.assert_allclose(b, a, atol=2e-5 * np.abs(TABLES[what]).max())


def test_a_kernel_keeps_its_shape():
    before = graph(
        "(float[N,1,T] x) => (float[N,66,A] y) { y = Conv<strides=[2],pads=[30,30]>(x, t) }",
        t=fourier(64, periodic_hann(64))[:, np.newaxis],
    )
    after = rewrite(before, ["generated_tables"]).model
    assert "Cos" in operators(after)
    np.testing.assert_allclose(answers(after)[0], answers(before)[0], atol=2e-5)


@pytest.fixture(scope="module")
def librosa_mel() -> Iterator[Callable[..., np.ndarray]]:
    """librosa's own mel filters, which call none of its compiled functions."""
    with plain_librosa() as librosa:
        yield librosa.filters.mel


@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("lowest_hz", [0, 20])
def test_mel_filters_are_computed(
    librosa_mel: Callable[..., np.ndarray], norm: str | None, htk: bool, lowest_hz: int
):
    table = librosa_mel(sr=16_000, n_fft=400, n_mels=26, fmin=lowest_hz, htk=htk, norm=norm)
    before = product(np.concatenate([table, table[:, 1:-1]], axis=1).astype(np.float32))
    found = rewrite(before, ["generated_tables"])
    assert found.places == {"generated_tables": 1}
    assert found.model.ByteSize() < 0.2 * before.ByteSize()
    np.testing.assert_allclose(answers(found.model)[0], answers(before)[0], atol=2e-5)


def slightly_off() -> np.ndarray:
    table = fourier(64, periodic_hann(64))
    table[20, 30] += 1e-4
    return table


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(np.random.default_rng(0).standard_normal((64, 64)), id="learnt weights"),
        pytest.param(slightly_off(), id="one number that is no cosine"),
        pytest.param(np.cumsum(fourier(64, np.ones(64)), axis=0), id="rows of different heights"),
        pytest.param(np.zeros((64, 64)), id="zeros"),
        pytest.param(fourier(8, np.ones(8)), id="a table too small to gain"),
        pytest.param(
            np.maximum(0, 1 - np.abs(np.subtract.outer(np.arange(40), np.arange(26)))), id="other triangles"
        ),
    ],
)
def test_other_tables_stay_stored(table: np.ndarray):
    before = product(table.astype(np.float32))
    assert rewrite(before, ["generated_tables"]).model is before
