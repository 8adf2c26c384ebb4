"""Households by two columns in ten million rows, each household in so many cells, beside the plain count.

`python -m benchmarks.local_counts --rows 10000000` prints a row for one cell a household and one for two. Both count
the same made-up rows in the same database, in the form a council's node reads them into. The plain count is what
anybody would write, `COUNT(DISTINCT household)` by the two columns: it bounds nothing, so no noise would hide a
household in it.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import duckdb
from duckdb import col

from benchmarks.questions import DAY, about_households
from benchmarks.targets import AT_MOST, Target, add_record_option, tell
from council_node.local_statistic import exact_vector
from council_node.sources.extract import HOUSEHOLD, ROWS, Extract, LoadReport, open_database
from federated.privacy import Mechanism
from federated.query import Dimension, Query, Table
from federated.schema import Dataset, load_schema
from federated.statistics import Layout, statistic
from federated.synthetic import PUBLISHED_QUARTER

TARGETS = {1: 1.1, 2: 3.0}
"""By cells a household may touch."""
BREAKDOWN = ("reason_loss", "main_age_band")
ROWS_EACH = 2
"""Rows of a household, about."""
MEMORY_MIB = 8192
THREADS = 2
REGION = "E12000001"


class Asked:
    """A table as a plan would have it."""

    def __init__(self, question: Query, table: Table, dataset: Dataset) -> None:
        self.table = table
        self.layout: Layout = statistic(table.statistic).layout(table, dataset, question.period, ())
        self.clamp = 1 << 40
        self.mechanism = Mechanism.DISCRETE_LAPLACE
        self.coefficients: tuple[int, ...] = ()


def made_up_rows(rows: int, dataset: Dataset) -> str:
    """The statement that makes up rows: each household's in cells of its own choice."""
    places = ", ".join(
        f"(hash(i, {number}) % {len(dataset.column(name).codes)})::USMALLINT AS {name}"
        for number, name in enumerate(BREAKDOWN)
    )
    days = (PUBLISHED_QUARTER.end - PUBLISHED_QUARTER.start).days + 1
    return (
        f"SELECT md5_number((hash(i, 9) % {rows // ROWS_EACH})::VARCHAR)::UHUGEINT "
        f"AS {col(HOUSEHOLD)}, {places}, DATE '{PUBLISHED_QUARTER.start}' + (i % {days})::INTEGER AS {DAY} "
        f"FROM range({rows}) made(i)"
    )


def made_up(rows: int, dataset: Dataset) -> Extract:
    """Rows as a node holds them after reading an extract."""
    connection = open_database(threads=THREADS, memory_limit_mib=MEMORY_MIB, readable=())
    connection.execute(f"CREATE TEMP TABLE {ROWS} AS {made_up_rows(rows, dataset)}")
    return Extract(
        dataset=dataset,
        columns=frozenset((*BREAKDOWN, DAY)),
        has_case_reference=False,
        report=LoadReport(rows_read=rows),
        connection=connection,
    )


def question(bound: int) -> Query:
    """Households by the two columns."""
    by = tuple(Dimension(column=name) for name in BREAKDOWN)
    table = Table(name="counts", statistic="households", by=by, max_cells=bound)
    return about_households("Benchmark of local counts", table)


def plain(connection: duckdb.DuckDBPyConnection) -> int:
    """The count anybody would write; households in all its cells."""
    text = (
        f"SELECT {', '.join(BREAKDOWN)}, count(DISTINCT {col(HOUSEHOLD)}) FROM {ROWS} "
        f"WHERE {DAY} BETWEEN DATE '{PUBLISHED_QUARTER.start}' AND DATE '{PUBLISHED_QUARTER.end}' GROUP BY ALL"
    )
    return sum(int(row[-1]) for row in connection.execute(text).fetchall())


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--samples", type=int, default=5)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    dataset = load_schema().dataset("case")
    with made_up(chosen.rows, dataset) as extract:
        for bound, target in TARGETS.items():
            asked = question(bound)
            tables = [Asked(asked, asked.tables[0], dataset)]
            pairs = [
                (
                    seconds(lambda: exact_vector(extract, asked, tables, region=REGION)),  # noqa: B023 - called at once
                    seconds(lambda: plain(extract.connection)),
                )
                for _ in range(chosen.samples + 1)
            ][1:]  # the first warms both up
            row = Target(
                name=f"{chosen.rows:,} rows, households in at most {bound} cell{'s' * (bound > 1)}, and a plain count",
                samples=[ours / theirs for ours, theirs in pairs],
                target=target,
                direction=AT_MOST,
                command=f"python -m benchmarks.local_counts --rows {chosen.rows} --samples {chosen.samples}",
                figures={
                    "seconds": round(statistics.median(ours for ours, _ in pairs), 3),
                    "plain_seconds": round(statistics.median(theirs for _, theirs in pairs), 3),
                    "threads": THREADS,
                },
            ).row()
            tell(row, kept=chosen.record)


if __name__ == "__main__":
    main()
