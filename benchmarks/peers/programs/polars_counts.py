"""Distinct households by two columns of a Parquet file's rows between two days, held in memory as Polars has them.

Run by Polars' own Python. Prints the seconds of each repetition, and the sum over all cells.
"""

import argparse
import json
import time
from datetime import date

import polars as pl


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", help="the Parquet file: household, two columns to count by, day")
    parser.add_argument("--by", nargs=2, required=True)
    parser.add_argument("--day", required=True)
    parser.add_argument("--between", nargs=2, required=True, type=date.fromisoformat)
    parser.add_argument("--samples", type=int, required=True)
    chosen = parser.parse_args()
    rows = pl.read_parquet(chosen.rows)
    counted = (
        rows.lazy()
        .filter(pl.col(chosen.day).is_between(*chosen.between))
        .group_by(chosen.by)
        .agg(pl.col("household").n_unique())
    )
    seconds, total = [], 0
    for _ in range(chosen.samples + 1):
        begun = time.perf_counter()
        total = int(counted.collect()["household"].sum())
        seconds.append(time.perf_counter() - begun)
    # The first warms up.
    print(json.dumps({"seconds": seconds[1:], "total": total, "threads": pl.thread_pool_size()}))


if __name__ == "__main__":
    main()
