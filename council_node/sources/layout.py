"""Which column of an extract feeds which column of the schema. Looks at mappings and headings, never at a case."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from council_node.mapping import ColumnMapping, ExtractMapping
from council_node.sources.opening import open_source
from council_node.sources.text_rows import TextSource, raw_name
from federated.errors import FileProblem
from federated.schema import Column, ColumnType, Dataset

__all__ = ["CASE_KEY", "OPTED_OUT", "CaseTable", "Layout", "Linked", "check_coverage", "layout_of", "linked_layout"]

CASE_KEY: Final = "case_key"
OPTED_OUT: Final = "opted_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTable:
    """The council's own table of cases, which its other tables are joined to inside the council.

    Attributes:
        mapping: Its mapping.
        dataset: Its data dictionary.
        directory: Where a file named without a path is looked for.
    """

    mapping: ExtractMapping
    dataset: Dataset
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which text column of one extract feeds which column of the schema.

    Attributes:
        source: The extract, opened.
        dataset: Its data dictionary.
        mapping: Its mapping.
        columns: Columns to read as values, in order of name.
        places: Place of the heading behind each column, keys and objections included.
    """

    source: TextSource
    dataset: Dataset
    mapping: ExtractMapping
    columns: tuple[str, ...]
    places: Mapping[str, int]

    def raw(self, name: str) -> str | None:
        """Name of the text column behind a mapped column; None when it is not mapped."""
        return None if name not in self.places else raw_name(self.places[name])

    def mapped(self, name: str) -> ColumnMapping:
        """The mapping behind a column, which for a derived one is its source's."""
        return self.mapping.columns[self.dataset.column(name).derived_from or name]

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text column that is read, in the order of the extract."""
        return tuple(raw_name(place) for place in sorted(set(self.places.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """An extract with what is read of the case table for it.

    Attributes:
        rows: The extract that was asked about.
        cases: The case table: the columns that are copied from it, its keys and objections. None when the extract is
            the case table itself, counts another unit, or the council has none.
        by_case: Whether rows find their case by its reference; otherwise they are known by their household alone.
    """

    rows: Layout
    cases: Layout | None = None
    by_case: bool = False

    @property
    def columns(self) -> frozenset[str]:
        """Every column that will be there."""
        return frozenset((*self.rows.columns, *(() if self.cases is None else self.cases.columns)))


def check_coverage(
    mapping: ExtractMapping,
    dataset: Dataset,
    columns: Iterable[str],
    *,
    directory: Path,
    cases: CaseTable | None = None,
) -> None:
    """Check that a question's columns can be read: the reasons a council may refuse a question for, and no others.

    Args:
        mapping: The council's mapping.
        dataset: The data set asked about.
        columns: The columns the question reads.
        directory: Where a file named without a path is looked for.
        cases: The council's case table, where it has one.

    Raises:
        FileProblem: Names the column, heading or file that is missing.
    """
    linked_layout(mapping, dataset, columns, directory=directory, cases=cases)


def linked_layout(
    mapping: ExtractMapping, dataset: Dataset, columns: Iterable[str], *, directory: Path, cases: CaseTable | None
) -> Linked:
    """Find every heading that a question needs, in the extract and in the case table.

    Raises:
        FileProblem: As `check_coverage`.
    """
    wanted = sorted(set(columns))
    copied = [name for name in wanted if _is_copied(dataset.column(name), mapping)]
    rows = layout_of(mapping, dataset, (name for name in wanted if name not in copied), directory)
    if cases is None or not _joins(dataset, cases.dataset):
        if copied:
            raise FileProblem(
                f"The mapping of '{dataset.name}' has no column '{copied[0]}', and the settings name no table to copy "
                "it from.",
                remedy="Map the column, or name the mapping file of 'case' under data in the settings.",
            )
        return Linked(rows=rows)
    found = layout_of(cases.mapping, cases.dataset, copied, cases.directory)
    by_case = CASE_KEY in rows.places and CASE_KEY in found.places
    if not by_case and (copied or not {dataset.unit_column} <= {*rows.places} & {*found.places}):
        missing = dataset.name if CASE_KEY not in rows.places else cases.dataset.name
        raise FileProblem(
            f"The mapping of '{missing}' has no column '{CASE_KEY}', by which '{dataset.name}' finds its cases.",
            remedy=f"Add '{CASE_KEY}' to that mapping file.",
        )
    return Linked(rows=rows, cases=found, by_case=by_case)


def layout_of(mapping: ExtractMapping, dataset: Dataset, columns: Iterable[str], directory: Path) -> Layout:
    """Find the headings of some columns in one extract.

    Raises:
        FileProblem: As `check_coverage`.
    """
    if mapping.dataset != dataset.name:
        raise FileProblem(f"The mapping is for the data set '{mapping.dataset}', not for '{dataset.name}'.")
    wanted = tuple(sorted(set(columns)))
    source = open_source(mapping, directory)
    places = {name: source.headings.position(_source(mapping, dataset, name).source) for name in wanted}
    for name in (dataset.unit_column, CASE_KEY, OPTED_OUT):
        if name in mapping.columns:
            places[name] = source.headings.position(mapping.columns[name].source)
    return Layout(source=source, dataset=dataset, mapping=mapping, columns=wanted, places=places)


def _is_copied(column: Column, mapping: ExtractMapping) -> bool:
    """An extract that has the column itself is believed before the case table."""
    return column.copied_from is not None and column.name not in mapping.columns


def _joins(dataset: Dataset, cases: Dataset) -> bool:
    """Whether a table counts the same unit as the case table and is another one: people are never joined to it."""
    return dataset.name != cases.name and CASE_KEY in dataset.columns and dataset.unit_column == cases.unit_column


def _source(mapping: ExtractMapping, dataset: Dataset, name: str) -> ColumnMapping:
    column = dataset.column(name)
    if column.type is ColumnType.KEY:
        raise FileProblem(f"Column '{name}' identifies people and is never read as a value.", remedy="Leave it out.")
    found = mapping.columns.get(column.derived_from or name)
    if found is None:
        raise FileProblem(
            f"The mapping of '{dataset.name}' has no column '{column.derived_from or name}', which the question reads.",
            remedy="Add it to the mapping file, or refuse the question.",
        )
    return found
