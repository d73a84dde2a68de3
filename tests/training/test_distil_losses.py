"""The losses of a distillation by hand, and against numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")

from edgebench.training.distillation.losses import (  # noqa: E402
    quadrant_correction,
    quadrants,
    soft_cross_entropy,
)

pytestmark = pytest.mark.train


def test_quadrants_are_sides_of_the_neutral_point():
    adv = torch.tensor([[0.6, 0.4, 0.5], [0.0, 1.0, 0.51]])
    assert quadrants(adv).tolist() == [[1, -1, 0], [-1, 1, 1]]
    assert quadrants(adv, neutral=0.45).tolist() == [[1, -1, 1], [-1, 1, 1]]


def test_quadrant_correction_by_hand():
    truth = torch.tensor([[0.7, 0.6, 0.4], [0.7, 0.6, 0.4], [0.2, 0.2, 0.2], [0.5, 0.5, 0.5]])
    student = torch.tensor(
        [
            [0.9, 0.9, 0.1],  # the same quadrant, however far: nothing
            [0.4, 0.7, 0.3],  # arousal on the other side: .3 + .1 + .1, agreeing dimensions too
            [0.6, 0.8, 0.2],  # two on the other side: .4 + .6 + 0
            [0.5, 0.5, 0.6],  # exactly neutral is a side of its own: .1
        ]
    )
    assert float(quadrant_correction(truth, student)) == pytest.approx((0.5 + 1.0 + 0.1) / 12)


def test_quadrant_correction_vanishes_where_all_agree_and_pulls_only_those_that_do_not():
    truth = torch.tensor([[0.7, 0.7, 0.7], [0.7, 0.7, 0.7]])
    student = torch.tensor([[0.9, 0.6, 0.8], [0.4, 0.8, 0.7]], requires_grad=True)
    quadrant_correction(truth, student).backward()
    sixth = 1 / 6  # of two rows times three dimensions; the sign points away from the teacher
    assert student.grad.flatten().tolist() == pytest.approx([0, 0, 0, -sixth, sixth, 0])
    agreeing = torch.tensor([[0.9, 0.6, 0.8]])
    assert float(quadrant_correction(truth[:1], agreeing)) == 0.0


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_soft_cross_entropy_against_numpy(temperature):
    rng = np.random.default_rng(0)
    truth, student = rng.standard_normal((5, 4)) * 2, rng.standard_normal((5, 4)) * 2
    nats = 0.0
    for t, s in zip(truth / temperature, student / temperature, strict=True):
        p, q = np.exp(t) / np.exp(t).sum(), np.exp(s) / np.exp(s).sum()
        nats += float(-(p * np.log(q)).sum()) / 5
    found = soft_cross_entropy(torch.from_numpy(truth), torch.from_numpy(student), temperature=temperature)
    assert float(found) == pytest.approx(temperature**2 * nats)
