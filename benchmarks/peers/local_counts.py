"""Households by two columns in ten million rows, each in one cell, beside Polars' plain count of the same rows.

`python -m benchmarks.peers.local_counts --rows 10000000`

Polars is given the rows as it holds them best: a Parquet file read into memory beforehand, the household a number of
64 bits. Its count is `n_unique`, which bounds nothing, so no noise would hide a household in it.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
from duckdb import col

from benchmarks.local_counts import BREAKDOWN, REGION, THREADS, Asked, made_up, made_up_rows, plain, question, seconds
from benchmarks.peers.environment import PEERS, run_program, versions
from benchmarks.peers.results import Comparison, keep
from benchmarks.questions import DAY
from benchmarks.targets import add_record_option
from council_node.local_statistic import exact_vector
from council_node.sources.extract import HOUSEHOLD
from federated.schema import Dataset, load_schema
from federated.synthetic import PUBLISHED_QUARTER

POLARS = PEERS["polars"]
PROGRAM_S: Final = 900.0


def their_counts(rows: int, dataset: Dataset, folder: Path, samples: int) -> Any:
    """Polars over the same rows; seconds of each repetition and the sum over all cells.

    Raises:
        PeerFailure: It failed, or did not finish in time.
    """
    path = folder / "rows.parquet"
    columns = ", ".join((f"hash({col(HOUSEHOLD)}) AS household", *BREAKDOWN, DAY))
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT {columns} FROM ({made_up_rows(rows, dataset)})) TO '{path}' (FORMAT parquet)")
    days = (PUBLISHED_QUARTER.start.isoformat(), PUBLISHED_QUARTER.end.isoformat())
    arguments = [str(path), "--by", *BREAKDOWN, "--day", DAY, "--between", *days, "--samples", str(samples)]
    variables = {"POLARS_MAX_THREADS": str(THREADS)}
    return run_program(POLARS, "polars_counts", arguments, timeout_s=PROGRAM_S, folder=folder, variables=variables)


def compare(rows: int, samples: int) -> Comparison:
    """Both over the same rows, each as often as asked.

    Raises:
        SystemExit: Polars counted something else than a plain count does.
    """
    dataset = load_schema().dataset("case")
    asked = question(1)
    tables = [Asked(asked, asked.tables[0], dataset)]
    with made_up(rows, dataset) as extract, tempfile.TemporaryDirectory(prefix="bench-") as name:
        counted = [seconds(lambda: exact_vector(extract, asked, tables, region=REGION)) for _ in range(samples + 1)]
        theirs = their_counts(rows, dataset, Path(name), samples)
        if theirs["total"] != plain(extract.connection):
            raise SystemExit("polars: not the count of these rows")
    return Comparison(
        name=f"{rows:,} rows, households in at most 1 cell, and Polars' plain count",
        peer=POLARS.name,
        unit="seconds",
        ours=counted[1:],  # the first warms up
        theirs=theirs["seconds"],
        command=f"python -m benchmarks.peers.local_counts --rows {rows} --samples {samples}",
        versions=versions(POLARS),
        figures={"threads": THREADS, "their_threads": theirs["threads"]},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--samples", type=int, default=5)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    row = compare(chosen.rows, chosen.samples).row()
    print(json.dumps(row, indent=2), flush=True)
    if chosen.record:
        keep(row)


if __name__ == "__main__":
    main()
