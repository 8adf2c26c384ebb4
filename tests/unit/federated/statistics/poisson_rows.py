"""Made-up rows for the Poisson fit in rounds, and their exact fit."""

import numpy as np

from federated.query import Table, measured
from federated.statistics import poisson_rounds
from federated.statistics.newton import RIDGE
from tests.unit.federated.statistics.logistic_rows import scaled

MOST = 10
"""The largest outcome counted."""


def table(*bounds, most=MOST, rounds=6, max_cells=1):
    features = (measured(f"x{place}", low, high) for place, (low, high) in enumerate(bounds))
    return Table(
        name="t",
        statistic="poisson_rounds",
        measures=(measured("y", 0, most), *features),
        rounds=rounds,
        max_cells=max_cells,
    )


def exact_fit(asked, features, outcome, ridge=RIDGE):
    """Newton's method on the bounded rows themselves, in floats, to the end; coefficients in the measures' units."""
    z = scaled(asked, features)
    z = z / z[0, 0]
    penalty = np.full(z.shape[1], ridge)
    penalty[0] = 0
    b = np.zeros(z.shape[1])
    # From above a step of Newton's method for an exponential never overshoots.
    b[0] = np.log(asked.measures[0].high / 2)
    for _ in range(60):
        mean = np.minimum(np.exp(z @ b), asked.measures[0].high / 2)
        b = b + np.linalg.solve((z * mean[:, None]).T @ z + np.diag(penalty), z.T @ (outcome - mean) - penalty * b)
    return poisson_rounds.fit(asked).own_units() @ b
