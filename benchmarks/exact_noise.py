"""One council's exact noise beside OpenDP's sampler: the same law on as many cells, in one process.

`python -m benchmarks.exact_noise --cells 1000000` prints a row. Both are exact and neither uses floats for what it
draws; ours inverts a table, OpenDP's tosses coins until one is accepted. A council draws a share of the noise: two
draws a cell for Laplace noise, one for Gaussian, while OpenDP draws the whole. A sample is the smaller of the two
ratios. Our table is made on the first question with given parameters and kept; the figures tell what that costs.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import opendp.prelude as dp

from benchmarks.targets import AT_LEAST, Target, add_record_option, tell
from federated.privacy import Mechanism, NoiseBlock, NoiseSpec, sample_noise_share
from federated.privacy.tables import discrete_gaussian_table, polya_table

TARGET = 300.0
HONEST = 264
"""h of a standard round of 310 councils."""
LAPLACE_A = Fraction(1)
GAUSSIAN_VARIANCE = Fraction(81, 4)
SCALE = 32
"""Keeps a council's share of that variance above 4, as every plan must."""


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds of this process, all threads together."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def reference(mechanism: Mechanism) -> Any:
    """OpenDP's mechanism with the same noise."""
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    if mechanism is Mechanism.DISCRETE_LAPLACE:
        return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=float(1 / LAPLACE_A))
    return dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=sqrt(GAUSSIAN_VARIANCE))


def specification(mechanism: Mechanism, cells: int) -> NoiseSpec:
    """Ours."""
    laplace = mechanism is Mechanism.DISCRETE_LAPLACE
    block = NoiseBlock(cells=cells, parameter=LAPLACE_A if laplace else GAUSSIAN_VARIANCE)
    return NoiseSpec(mechanism=mechanism, blocks=(block,), scale=1 if laplace else SCALE)


def first_question_seconds(spec: NoiseSpec) -> float:
    """One share with its table made afresh."""
    polya_table.cache_clear()
    discrete_gaussian_table.cache_clear()
    return processor_seconds(lambda: sample_noise_share(spec, honest=HONEST, rng=os.urandom))


def measure(cells: int) -> dict[str, float]:
    """Seconds of both samplers under both mechanisms, and the ratios."""
    zeros, found = np.zeros(cells, np.int64), dict[str, float]()
    for mechanism in Mechanism:
        spec, theirs, name = specification(mechanism, cells), reference(mechanism), mechanism.name.lower()
        found[f"{name}_first_seconds"] = first_question_seconds(spec)
        found[f"{name}_seconds"] = processor_seconds(lambda: sample_noise_share(spec, honest=HONEST, rng=os.urandom))  # noqa: B023 - called at once
        found[f"{name}_opendp_seconds"] = processor_seconds(lambda: theirs(zeros))  # noqa: B023 - called at once
        found[f"{name}_ratio"] = found[f"{name}_opendp_seconds"] / found[f"{name}_seconds"]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=3)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    dp.enable_features("contrib")
    found = [measure(chosen.cells) for _ in range(chosen.samples)]
    row = Target(
        name=f"exact noise, {chosen.cells:,} cells, and OpenDP's sampler",
        samples=[min(one["discrete_laplace_ratio"], one["discrete_gaussian_ratio"]) for one in found],
        target=TARGET,
        direction=AT_LEAST,
        command=f"python -m benchmarks.exact_noise --cells {chosen.cells} --samples {chosen.samples}",
        figures={what: round(statistics.median(one[what] for one in found), 4) for what in found[0]},
    ).row()
    tell(row, kept=chosen.record)


if __name__ == "__main__":
    main()
