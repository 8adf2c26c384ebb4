"""Made-up rows for fits in rounds: their exact sums at any coefficients, and their exact logistic fit."""

from fractions import Fraction

import numpy as np

from federated.privacy import Mechanism, gaussian_noise, released_noise, zcdp_rho
from federated.query import Equals, Named, Table, measured
from federated.statistics import RoundFigures, in_rounds, logistic_rounds
from federated.statistics.exponential import FIRST, ONE
from federated.statistics.moments import Scaled
from federated.statistics.newton import RIDGE
from tests.unit.federated.statistics.budgets import CONTRIBUTORS, DELTA, HONEST, drawn

OUTCOME = (Named(name="outcome", where=Equals(column="main_sex", value="male")),)


def table(*bounds, rounds=6, max_cells=1):
    measures = tuple(measured(f"x{place}", low, high) for place, (low, high) in enumerate(bounds))
    return Table(
        name="t",
        statistic="logistic_rounds",
        measures=measures,
        conditions=OUTCOME,
        rounds=rounds,
        max_cells=max_cells,
    )


def scaled(asked, features):
    """The coordinates of rows, one column each, as whole numbers."""
    measures = in_rounds(asked.statistic).fit(asked).features
    parts = Scaled.all_of(measures)
    bounds = [measures[item.place] for item in parts[1:]]
    held = [np.clip(features[:, place], item.low, item.high) for place, item in enumerate(bounds)]
    columns = [item.slope * values + item.start for item, values in zip(parts[1:], held, strict=True)]
    return np.column_stack([np.full(len(features), parts[0].start), *columns]).astype(np.int64)


def exact_sums(asked, features, outcome, coefficients):
    """What the councils' rows add up to, in whole numbers before steps."""
    rule, lift = in_rounds(asked.statistic).contribution(asked), in_rounds(asked.statistic).fit(asked).family.lift
    u, width = scaled(asked, features), rule.curve.width
    place = (2 * (u @ np.array(coefficients)) + width) // (2 * width)
    point = np.clip(place - FIRST, 0, len(rule.curve.means) - 1)
    size = u.shape[1]
    # By row, so that a sum of products fits 64 bits for the few rows and narrow bounds of a test.
    assert abs(u).max() ** 2 * len(u) * max(rule.curve.means) < 2**62
    means, weights = np.array(rule.curve.means)[point], np.array(rule.curve.weights)[point]
    missed = ONE * outcome - means
    gradient = [lift * width * int(missed @ u[:, i]) for i in range(size)]
    return gradient + [int(weights @ (u[:, i] * u[:, j])) for i in range(size) for j in range(i + 1)]


def noise_of_a_round(asked, epsilon):
    rule = in_rounds(asked.statistic)
    claimed, cells = rule.sensitivity(asked), len(rule.contribution(asked).blocks)
    rho = zcdp_rho(Fraction(epsilon), DELTA) / asked.rounds
    spec = gaussian_noise(rho, [(cells, claimed.l2_squared)], honest=HONEST)
    return released_noise(
        Mechanism.DISCRETE_GAUSSIAN,
        spec.blocks[0].parameter,
        scale=spec.scale,
        honest=HONEST,
        contributors=CONTRIBUTORS,
    )


def all_rounds(asked, features, outcome, noise, seed, known=None):
    """Every round of a question, as a coordinator takes them."""
    rule = in_rounds(asked.statistic)
    step = rule.contribution(asked).step
    at, found = rule.start(asked), []
    for number in range(asked.rounds):
        if known is not None and at in known:
            exact = known[at]
        else:
            exact = np.array([Fraction(item, step) for item in exact_sums(asked, features, outcome, at)], dtype=float)
            if known is not None and number == 0:
                known[at] = exact
        totals = exact + drawn(noise, len(exact), [*np.atleast_1d(seed), number])
        found.append(RoundFigures(coefficients=at, totals=totals, noise=noise, councils=frozenset({"A"})))
        at = rule.advance(asked, found[-1])
    return tuple(found)


def exact_fit(asked, features, outcome, ridge=RIDGE):
    """Newton's method on the bounded rows themselves, in floats, to the end; coefficients in the measures' units."""
    z = scaled(asked, features)
    z = z / z[0, 0]
    penalty = np.full(z.shape[1], ridge)
    penalty[0] = 0
    b = np.zeros(z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-(z @ b)))
        b = b + np.linalg.solve(
            (z * (p * (1 - p))[:, None]).T @ z + np.diag(penalty), z.T @ (outcome - p) - penalty * b
        )
    return logistic_rounds.fit(asked).own_units() @ b
