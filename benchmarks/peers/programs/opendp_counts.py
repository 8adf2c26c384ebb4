"""OpenDP's discrete Laplace noise: once on a national table, and once in each council's table before they are added.

Run by OpenDP's own Python. Prints the mean squared error of both.
"""

import argparse
import json

import numpy as np
import opendp.prelude as dp

dp.enable_features("contrib")


def mechanism(epsilon):
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    made = dp.m.make_laplace(*space, scale=1 / epsilon)
    if not abs(made.map(1) - epsilon) < 1e-9:
        raise SystemExit("OpenDP puts another cost on this noise")
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--councils", type=int, required=True)
    parser.add_argument("--cells", type=int, required=True, help="of the national table")
    parser.add_argument("--council-cells", type=int, required=True, help="of each council's table")
    chosen = parser.parse_args()
    noisy = mechanism(chosen.epsilon)
    central = np.array(noisy([1000] * chosen.cells)) - 1000
    summed = np.zeros(chosen.council_cells, dtype=np.int64)
    for _ in range(chosen.councils):
        summed += np.array(noisy([10] * chosen.council_cells)) - 10
    print(json.dumps({"central": float(np.mean(central**2.0)), "summed": float(np.mean(summed**2.0))}))


if __name__ == "__main__":
    main()
