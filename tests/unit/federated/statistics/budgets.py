"""The noise of real releases at three budgets, by both mechanisms, and how far coverage found is from that declared."""

from fractions import Fraction

import numpy as np

from federated.privacy import Mechanism, gaussian_noise, released_noise, zcdp_rho

DELTA = Fraction(1, 1_000_000)
HONEST, CONTRIBUTORS = 10, 12


def laplace(epsilon, l1=1):
    return released_noise(Mechanism.DISCRETE_LAPLACE, epsilon / l1, scale=1, honest=HONEST, contributors=CONTRIBUTORS)


def gaussian(epsilon, l2_squared=1, cells=24):
    spec = gaussian_noise(zcdp_rho(epsilon, DELTA), [(cells, l2_squared)], honest=HONEST)
    return released_noise(
        Mechanism.DISCRETE_GAUSSIAN,
        spec.blocks[0].parameter,
        scale=spec.scale,
        honest=HONEST,
        contributors=CONTRIBUTORS,
    )


BUDGETS = (Fraction(1), Fraction(1, 2), Fraction(1, 5))
NOISES = {f"{law.__name__}, epsilon {epsilon}": law(epsilon) for law in (laplace, gaussian) for epsilon in BUDGETS}


def drawn(noise, shape, seed):
    """Noise by the law itself, in units of the question."""
    first, probabilities = noise.pmf()
    uniform = np.random.default_rng(seed).random(shape) * probabilities.sum()
    return (first + np.searchsorted(np.cumsum(probabilities), uniform)) / noise.scale


def coverage_found(estimates, truth):
    """Found minus declared coverage, and the binomial standard error of the declared.

    Shapes:
        `estimates` are runs of one figure; `truth` is its true value.
    """
    held = np.array([cell.low - 1e-9 <= truth <= cell.high + 1e-9 for cell in estimates])
    declared = np.array([cell.coverage for cell in estimates])
    assert np.all(declared >= 0.95)
    error = np.sqrt((declared * (1 - declared)).sum()) / len(held)
    return held.mean() - declared.mean(), max(error, 1e-9)
