"""Published official figures to hold a release against: those of this software, or a CSV file of the user's.

Where figures are by council, they are added up over the councils that contributed and no others. A council whose figure
is missing makes the cell one that cannot be judged: the release counts its households, and the published sum does not.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from federated.analysis.public_figures import CODE, PublicFigures
from federated.analysis.source import NoisyTable
from federated.errors import FileProblem, QueryError
from federated.geography import load_code_history
from federated.query import Condition, Equals, In
from federated.schema import Schema
from federated.statistics.tables import REGION_AXIS
from federated.synthetic.published import (
    ATTRIBUTION,
    PUBLISHED_QUARTER,
    SOURCE,
    published_columns,
    published_marginal,
)

__all__ = ["PUBLISHED", "Official", "read_official", "shipped_official"]

PUBLISHED = "published"
SIZE_LIMIT = 16 * 1024 * 1024
OUTCOME = "assessment_outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Official:
    """Published figures in the cells of a table.

    Attributes:
        source: Where they are from.
        axes: Names of the axes, in the order of the table; the table is added up over its others.
        figures: By the codes along these axes; a cell without a figure is not judged.
        by_council: Whether they are by council, and so over exactly the councils in the release.
        missing: Contributing councils without a figure in some cell.
        rounding: How far rounding may have moved a figure, in units.
        attribution: To be printed with any use.
    """

    source: str
    axes: tuple[str, ...]
    figures: Mapping[tuple[str, ...], int]
    by_council: bool
    missing: tuple[str, ...] = ()
    rounding: int = 0
    attribution: str = ""


def shipped_official(source: NoisyTable, schema: Schema, *, along: str | None = None) -> Official:
    """The department's figures of January to March 2025, for a table of households by one published column.

    Args:
        source: The table.
        schema: Says which council is in which region.
        along: The axis of the published column, where the table has several besides the region.

    Raises:
        QueryError: The published tables do not count the same.
    """
    names = [axis.name for axis in source.table.axes if axis.name != REGION_AXIS]
    if along is None and len(names) != 1:
        raise QueryError(
            f"The table '{source.table.name}' has {len(names)} breakdowns; published figures are for one.",
            remedy="Name it with --along, or give the figures in a file.",
        )
    column = names[0] if along is None else along
    source.axis(column)
    outcome = _check_same_count(source, column, schema)
    by_region = any(axis.name == REGION_AXIS for axis in source.table.axes)
    codes = source.table.axes[source.axis(column)].codes
    cells: dict[tuple[str, ...], list[int | None]] = defaultdict(list)
    missing: set[str] = set()
    for council in source.contributed:
        region = schema.council(council).region
        # A recoded council's figures are under its code of that quarter; one merged since has none of its own.
        then = load_code_history().at(council, PUBLISHED_QUARTER.end)
        known = published_marginal(column, *then, outcome=outcome) if len(then) == 1 else dict.fromkeys(codes)
        for code, figure in known.items():
            cells[(region, code) if by_region else (code,)].append(figure)
            if figure is None:
                missing.add(council)
    return Official(
        source=SOURCE,
        axes=(REGION_AXIS, column) if by_region else (column,),
        figures=_complete(cells),
        by_council=True,
        missing=tuple(sorted(missing)),
        attribution=ATTRIBUTION,
    )


def read_official(content: bytes, table: NoisyTable, *, name: str, rounded_to: int = 1) -> Official:
    """Read published figures from CSV.

    The columns are `published`, those axes of the table that the figures are broken down by, and `code` where they
    are by council; other columns are passed over.

    Args:
        content: The file, UTF-8.
        table: What they are held against.
        name: Of the file.
        rounded_to: What the figures are rounded to.

    Raises:
        FileProblem: Names the line at fault; or the codes are of another year than the release's.
        QueryError: Not a multiple to round to.
    """
    if rounded_to < 1:
        raise QueryError(f"Figures cannot be rounded to {rounded_to}.", remedy="Say 1 for figures that are exact.")
    if len(content) > SIZE_LIMIT:
        raise FileProblem(f"{name} has more than {SIZE_LIMIT:,} bytes.", remedy="Leave out what is not compared.")
    try:
        reader = csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True)
        heads = set(reader.fieldnames or ())
        axes = tuple(axis.name for axis in table.table.axes if axis.name in heads)
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileProblem(f"{name} is not CSV in UTF-8.", remedy="Save it again as CSV, UTF-8.") from error
    if PUBLISHED not in heads:
        raise FileProblem(f"{name} must have a column '{PUBLISHED}'.", remedy="Name the column of figures so.")
    cells = _cells(rows, table, axes, name)
    if CODE not in heads:
        figures = {codes: by_code[""] for codes, by_code in cells.items()}
        return Official(source=name, axes=axes, figures=figures, by_council=False, rounding=rounded_to // 2)
    for by_code in cells.values():
        PublicFigures(source=name, by_code=by_code).check_vintage(table.contributed)
    lists = {codes: [by_code.get(council) for council in table.contributed] for codes, by_code in cells.items()}
    without = {
        council
        for found in lists.values()
        for council, figure in zip(table.contributed, found, strict=True)
        if figure is None
    }
    return Official(
        source=name,
        axes=axes,
        figures=_complete(lists),
        by_council=True,
        missing=tuple(sorted(without)),
        rounding=rounded_to // 2 * len(table.contributed),
    )


def _cells(
    rows: Iterable[tuple[int, Mapping[str, str]]], table: NoisyTable, axes: Sequence[str], name: str
) -> dict[tuple[str, ...], dict[str, int]]:
    """Figures by cell and council (or the empty text); an empty figure is left out."""
    known = [table.table.axes[table.axis(axis)].codes for axis in axes]
    cells: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for line, row in rows:
        try:
            codes, council = tuple(row[axis].strip() for axis in axes), row.get(CODE, "").strip()
            there = all(code in of for code, of in zip(codes, known, strict=True))
            figure = _figure(row[PUBLISHED].strip(), wanted=there and council not in cells[codes])
        except (ValueError, AttributeError) as error:
            raise FileProblem(
                f"{name} line {line}: codes of the table, each once, and a whole number or nothing were expected.",
                remedy="Mend the line; `federated show --json` has the codes of each axis.",
            ) from error
        if figure is not None:
            cells[codes][council] = figure
    return {codes: by_code for codes, by_code in cells.items() if by_code}


def _figure(text: str, *, wanted: bool) -> int | None:
    figure = int(text) if text else None
    if not wanted or (figure is not None and figure < 0):
        raise ValueError
    return figure


def _complete(cells: Mapping[tuple[str, ...], Sequence[int | None]]) -> dict[tuple[str, ...], int]:
    """The sum of each cell for which every figure is there."""
    return {
        codes: sum(figure for figure in found if figure is not None)
        for codes, found in cells.items()
        if None not in found
    }


def _check_same_count(source: NoisyTable, column: str, schema: Schema) -> str | None:
    """See that a published table counts the same households; the outcome it is to be taken for, if one alone."""
    question = source.question
    if source.table.statistic != "households" or source.table.max_cells != 1 or question.dataset != "case":
        raise QueryError(
            "The published figures held here count each household of the case data once, and this table does not.",
            remedy="Give figures that count the same in a file.",
        )
    if question.period != PUBLISHED_QUARTER:
        raise QueryError(
            f"The published figures held here are of {PUBLISHED_QUARTER.start} to {PUBLISHED_QUARTER.end}, "
            f"by date of assessment, and the release is of {question.period.start} to {question.period.end}.",
            remedy="Give figures of that period in a file.",
        )
    base = schema.dataset("case").column(column).derived_from or column
    found = published_columns().get(base)
    if found is None:
        raise QueryError(
            f"There are no published figures here for the column '{column}'.",
            remedy=f"They exist for: {', '.join(published_columns())}; others can be given in a file.",
        )
    asked = _outcomes(question.where)
    if asked == found.outcomes or (asked is None and base == OUTCOME):
        return None
    for part in found.parts:
        if asked == part.outcomes and len(part.outcomes) == 1:
            return next(iter(part.outcomes))
    raise QueryError(
        f"The published figures for '{column}' are about households with the outcomes "
        f"{', '.join(sorted(found.outcomes))}, and the question asks about others.",
        remedy=f"Ask with that condition on {OUTCOME}, or give figures in a file.",
    )


def _outcomes(where: Condition | None) -> frozenset[str] | None:
    """The outcomes a question asks about; none where it sets no condition, an empty set where it sets another."""
    match where:
        case None:
            return None
        case Equals(column="assessment_outcome", value=value):
            return frozenset({value})
        case In(column="assessment_outcome", values=values):
            return frozenset(values)
        case _:
            return frozenset()
