"""Step 4 over what a council holds: the data set asked about, its case table, and as many readings as memory asks for.

Nothing is ever put on a disk. Households that do not fit into memory together are read and counted part by part:
the figures are sums over households, all rows of a household are in one part, and so the parts' figures add up to
exactly what one reading would have given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from council_node.local_statistic import LocalStatistic, TableToCompute, clamped, exact_vector
from council_node.mapping import ExtractMapping
from council_node.settings import Limits
from council_node.sources.databases import Databases
from council_node.sources.extract import Extract, ExtractTooLarge, LoadReport, Part
from council_node.sources.layout import CaseTable, check_coverage
from council_node.sources.load import load_extract
from federated.errors import InternalError
from federated.query import Period, Query
from federated.schema import Dataset, Schema

__all__ = ["Counted", "Holding", "Reading", "holding", "in_parts"]

_Found = TypeVar("_Found")

CASES: Final = "case"
MOST_PARTS: Final = 256
"""Beyond this a reading of the extract holds hardly any household: something else is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One run's reading of the council's data.

    Attributes:
        run_key: 16 fresh random bytes, for this run alone; every part is read under it.
        limits: How much of the computer may be used.
        databases: Where an open database is kept between questions.
    """

    run_key: bytes = field(repr=False)
    limits: Limits
    databases: Databases = field(default_factory=Databases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What step 4 found.

    Attributes:
        statistic: The figures.
        report: What reading the extract showed.
        parts: In how many parts it was read.
    """

    statistic: LocalStatistic
    report: LoadReport
    parts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One data set as a council holds it.

    Attributes:
        mapping: Its mapping.
        dataset: Its data dictionary.
        directory: Where a file named without a path is looked for.
        cases: The council's case table, unless this is it or there is none.
    """

    mapping: ExtractMapping
    dataset: Dataset
    directory: Path
    cases: CaseTable | None = None

    def check_coverage(self, columns: frozenset[str]) -> None:
        """Check that columns can be read, as far as headings tell.

        Raises:
            FileProblem: Names the column, heading or file that is missing.
        """
        check_coverage(self.mapping, self.dataset, columns, directory=self.directory, cases=self.cases)

    def count(
        self, question: Query, tables: Sequence[TableToCompute], *, region: str, reading: Reading, parts: int = 1
    ) -> Counted:
        """Read the question's columns and compute its figures.

        Args:
            question: The question, checked against the schema.
            tables: Its tables as planned.
            region: The council's own region.
            reading: This run's key and what it may use.
            parts: In how many parts to read at first; doubled while a part does not fit into memory.

        Raises:
            FileProblem: The extract is no longer there.
            InternalError: Reading or counting failed for a reason that is not in the rows.
        """
        vectors, reports = zip(
            *in_parts(
                lambda part: self._count_part(question, tables, part, region=region, reading=reading),
                reading,
                parts=parts,
            ),
            strict=True,
        )
        return Counted(
            statistic=clamped(np.sum(vectors, axis=0), tables),
            report=reduce(LoadReport.plus, reports),
            parts=len(reports),
        )

    def load(self, columns: Iterable[str], part: Part, reading: Reading, *, period: Period | None = None) -> Extract:
        """Read columns of one part of the households.

        Args:
            columns: The approved columns.
            part: Which households.
            reading: This run's key and what it may use.
            period: Where no other row is wanted, the question's period.

        Raises:
            FileProblem: The extract is no longer there.
            ExtractTooLarge: The part does not fit into memory.
            InternalError: The database failed for another reason that is not in the rows.
        """
        return load_extract(
            self.mapping,
            self.dataset,
            columns,
            directory=self.directory,
            run_key=reading.run_key,
            cases=self.cases,
            period=period,
            part=part,
            threads=reading.limits.threads,
            memory_limit_mib=reading.limits.memory_mib,
            databases=reading.databases,
        )

    def _count_part(
        self, question: Query, tables: Sequence[TableToCompute], part: Part, *, region: str, reading: Reading
    ) -> tuple[NDArray[np.int64], LoadReport]:
        with self.load(question.columns(), part, reading, period=question.period) as extract:
            return exact_vector(extract, question, tables, region=region), extract.report


def in_parts(each: Callable[[Part], _Found], reading: Reading, *, parts: int = 1) -> list[_Found]:
    """What is found in each part of the households, in as many parts as memory asks for.

    Args:
        each: Reads one part.
        reading: What it is read with.
        parts: In how many parts to read at first; doubled while a part does not fit into memory.

    Raises:
        ExtractTooLarge: It does not fit, however small the parts.
        InternalError: As `each` raises it, for another reason than memory.
    """
    while True:
        try:
            return [each(Part(number=number, of=parts)) for number in range(parts)]
        except InternalError as error:
            # What is wrong with an engine must not stay.
            reading.databases.close()
            if not isinstance(error, ExtractTooLarge) or parts >= MOST_PARTS:
                raise
            parts *= 2


def holding(
    dataset: str, *, schema: Schema, files: Mapping[str, Path], mapping: Callable[[str], ExtractMapping]
) -> Holding:
    """What a council holds of a data set.

    Args:
        dataset: Its name.
        schema: The data dictionaries.
        files: For each data set that the settings name, its mapping file.
        mapping: Gives the mapping of a data set.

    Raises:
        FileProblem: A mapping file cannot be read.
        QueryError: There is no such data set.
    """
    cases = None
    if dataset != CASES and CASES in files:
        cases = CaseTable(mapping=mapping(CASES), dataset=schema.dataset(CASES), directory=files[CASES].parent)
    return Holding(
        mapping=mapping(dataset), dataset=schema.dataset(dataset), directory=files[dataset].parent, cases=cases
    )
