"""Releases drawn by the real law of their noise, to hold declared coverage against."""

from fractions import Fraction

import numpy as np

from federated.privacy import Mechanism, gaussian_noise, released_noise, zcdp_rho
from federated.statistics import Axis, Layout

DELTA = Fraction(1, 1_000_000)
BUDGETS = (Fraction(1, 2), Fraction(1), Fraction(3))


def drawn(noise, size, seed):
    first, probabilities = noise.pmf()
    uniform = np.random.default_rng(seed).random(size) * probabilities.sum()
    return (first + np.searchsorted(np.cumsum(probabilities), uniform)) / noise.scale


def noise_at(mechanism, epsilon, sensitivity, *, contributors=12, cells=100):
    """Noise of one table under the whole epsilon, h = 10."""
    if mechanism is Mechanism.DISCRETE_LAPLACE:
        return released_noise(mechanism, epsilon / sensitivity.l1, scale=1, honest=10, contributors=contributors)
    spec = gaussian_noise(zcdp_rho(epsilon, DELTA), [(cells, sensitivity.l2_squared)], honest=10)
    parameter = spec.blocks[0].parameter
    return released_noise(mechanism, parameter, scale=spec.scale, honest=10, contributors=contributors)


def repeated(layout, times):
    """The layout with as many made-up regions as releases are to be drawn at once."""
    codes = tuple(f"{number:05d}" for number in range(times))
    region = Axis(name="region", codes=codes, labels=codes)
    figures = None if layout.figures is None else (region, *layout.figures)
    return Layout(axes=(region, *layout.axes), blocks=layout.blocks, figures=figures)


def by_figure(estimates):
    """Cells of each printed figure."""
    found = {}
    for cell in estimates:
        found.setdefault(cell.codes[-1], []).append(cell)
    return found


def holds(cells, truth):
    """(share of intervals that hold the truth, share declared, binomial standard error of it, share that says much)."""
    held = np.array([cell.low <= value <= cell.high for cell, value in zip(cells, truth, strict=True)])
    declared = np.array([cell.coverage for cell in cells])
    error = np.sqrt((declared * (1 - declared)).sum()) / len(cells)
    return held.mean(), declared.mean(), max(error, 1 / len(cells)), np.mean(declared < 1)


def agrees(cells, truth, *, over=0.0, under=0.0):
    """Whether coverage is as declared within four standard errors, and off by no more than `over` or `under` besides.

    Over all releases, whatever is said in them, it is never below the 95% asked for.
    """
    held, declared, error, _ = holds(cells, truth)
    asked = held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(cells))
    return asked and -4 * error - under <= held - declared <= 4 * error + over
