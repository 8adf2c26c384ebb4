"""Reaches of weighted sums of noise: the law they are held against is drawn."""

import numpy as np
import pytest

from federated.statistics.linear_noise import reach_of
from tests.unit.federated.statistics.budgets import NOISES, drawn

DRAWS = 40_000
ERROR = 4 * np.sqrt(0.05 * 0.95 / DRAWS)
WEIGHTS = {
    "one cell": [1.0],
    "one cell beside many small": [1.0, *[0.05] * 40],
    "two cells and their share": [0.8, -0.2],
    "all alike": [0.5] * 12,
    "nearly all alike": [0.483, *[-0.517] * 11],
    "of all sizes": list(np.linspace(0.03, 1, 30)),
}


def held(weights, noise):
    weights = np.array([weights])
    reach = reach_of(weights, noise)
    figures = drawn(noise, (DRAWS, weights.size), 31) @ weights[0]
    assert reach.sd[0] == pytest.approx(figures.std(), rel=0.03)
    return np.mean(np.abs(figures) <= reach.half_width[0] * (1 + 1e-12)), reach


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_reaches_hold_the_noise_as_often_as_asked(name, kind):
    found, _ = held(WEIGHTS[kind], NOISES[name])
    # What shows of a coarse grid is rounded outwards; the tail of one Laplace draw is a little overstated.
    assert 0.95 - ERROR - 0.002 <= found < 0.95 + ERROR + 0.025


@pytest.mark.parametrize(("name", "kind"), [("laplace, epsilon 1/5", "one cell"), ("laplace, epsilon 1", "one cell")])
def test_a_normal_point_without_the_grid_would_fall_short(name, kind):
    noise, weights = NOISES[name], WEIGHTS[kind]
    _, reach = held(weights, noise)
    figures = drawn(noise, (DRAWS, len(weights)), 31) @ np.array(weights)
    assert np.mean(np.abs(figures) <= 1.96 * reach.sd[0]) < 0.95 - ERROR


def test_no_weight_reaches_nowhere():
    reach = reach_of(np.zeros((2, 3)), NOISES["laplace, epsilon 1"])
    assert not reach.sd.any()
    assert not reach.half_width.any()
