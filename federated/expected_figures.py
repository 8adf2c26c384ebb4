"""Public or already released figures that a plan is judged by: `federated plan --expect FILE`.

What an answer is worth depends on how large its figures are, and that must never be looked up in the data: it is read
from an earlier release, or from a CSV file of published figures. Nothing here decides what is asked or released.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import FileProblem, QueryError
from federated.plan import Plan, PlannedTable
from federated.query import Level
from federated.release import Release, TableRecord, is_region_table, measure_records, open_release
from federated.schema import Schema
from federated.statistics.tables import REGION_AXIS
from protocols.identifiers import CouncilId

__all__ = ["ExpectedFigures", "ExpectedTotals", "read_expected"]

COUNCIL_COLUMN: Final = "council"
TABLE_COLUMN: Final = "table"
ESTIMATE_COLUMN: Final = "estimate"
MEAN_COLUMNS: Final = ("mean", "households")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTotals:
    """What a table's vector would be without noise, by the figures given.

    Attributes:
        totals: In units of the question; never negative for counts, since an earlier release's noise is cut there.
        scaled: Whether figures over other councils were scaled to the ones asked, by the number of councils.

    Shapes:
        `totals` is `(layout.cells,)`.
    """

    totals: NDArray[np.float64]
    scaled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One expected cell: where it is over, its category along each axis, its number in each block."""

    place: str | None
    codes: Mapping[str, str]
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFigures:
    """Figures of an earlier release, or of a CSV file.

    Attributes:
        source: The file's name, for errors.
        release: The earlier release; None for a CSV file.
        rows: Rows of the CSV file by heading; empty for a release.
        asked: The councils that the figures of a CSV file without a geography are over.
    """

    source: str
    release: Release | None
    rows: tuple[Mapping[str, str], ...]
    asked: tuple[CouncilId, ...]

    def totals(self, plan: Plan, index: int, schema: Schema) -> ExpectedTotals:
        """The vector expected for one table of a plan.

        Figures for each council are added over the councils asked, and figures for each region over their regions.
        Where the file's councils are not the ones asked, the figure is scaled by the number of councils.

        Raises:
            QueryError: The file has no such figures, or not in this table's categories.
        """
        planned = plan.tables[index]
        if planned.layout.figures is not None:
            return self._whole_vector(plan, planned)
        asked: dict[str, str] = {str(council): schema.council(council).region for council in plan.eligible}
        figures = list(self._figures(planned, asked))
        if not figures:
            raise QueryError(
                f"{self.source} holds no figures for the table '{planned.table.name}' and the councils asked.",
                remedy="Give a release with a table of that name, or a CSV file with its breakdowns as columns.",
            )
        places = frozenset(figure.place for figure in figures)
        if len({(place is None, place in asked) for place in places}) > 1:
            raise QueryError(
                f"{self.source} gives figures of councils, regions and the whole together, which would count twice.",
                remedy="Keep one kind of geography for each table.",
            )
        weights = _Weights(asked=asked, over=self._over(schema), places=places)
        signed = any(item.low < 0 for item in planned.table.measures)
        return _added_up(figures, planned, weights, signed=signed)

    def _whole_vector(self, plan: Plan, planned: PlannedTable) -> ExpectedTotals:
        """Where a figure is made of many numbers, only the numbers of an earlier release can be expected again."""
        name = planned.table.name
        if planned.table.rounds > 1:
            # Its totals are of the last round, at coefficients that no plan knows.
            raise QueryError(
                f"Table '{name}' is fitted in several rounds; no figures can be expected of it.",
                remedy="Plan it without expected figures.",
            )
        found = [record for record in self.release.tables if record.name == name] if self.release is not None else []
        numbers = np.array(found[0].totals, dtype=np.float64) / found[0].scale if found else np.zeros(0)
        if (
            self.release is None
            or len(numbers) != planned.layout.cells
            or found[0].statistic != planned.table.statistic
        ):
            raise QueryError(
                f"{self.source} holds no figures for the table '{name}': those of '{planned.table.statistic}' are made "
                "of many numbers.",
                remedy="Give an earlier release with the same table.",
            )
        factor = len(plan.eligible) / self.release.contributed
        return ExpectedTotals(totals=numbers * factor, scaled=factor != 1)

    def _figures(self, planned: PlannedTable, asked: Mapping[str, str]) -> Iterator[_Figure]:
        if self.release is not None:
            yield from _of_release(self.release, planned)
            return
        for number, row in enumerate(self.rows, start=2):
            if row.get(TABLE_COLUMN, planned.table.name) != planned.table.name:
                continue
            place = row.get(COUNCIL_COLUMN) or row.get(REGION_AXIS) or None
            if place is None or place in asked or place in asked.values():
                yield _of_row(row, planned, place, source=f"{self.source}, line {number}")

    def _over(self, schema: Schema) -> Mapping[str, str]:
        """The councils, each with its region, that a figure without a place, or for a region, is over."""
        if self.release is None:
            over = set(schema.councils) if {COUNCIL_COLUMN, REGION_AXIS} & set(self.rows[0]) else set(self.asked)
        else:
            over = {CouncilId(record.council) for record in self.release.councils if record.outcome == "contributed"}
        return {str(council): schema.council(council).region for council in sorted(over)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """How much of a figure counts towards a target: a region by its code, or all councils asked under None.

    Attributes:
        asked: The councils asked, each with its region.
        over: The councils that figures of regions, or of the whole, are over.
        places: Where the figures stand: councils, or regions, or None for the whole.
    """

    asked: Mapping[str, str]
    over: Mapping[str, str]
    places: frozenset[str | None]

    def of(self, place: str | None, target: str | None) -> float:
        """The weight of a figure of a place; 1 where the councils are the same, 0 where they have nothing in common."""
        wanted = [council for council, region in self.asked.items() if target in {None, region}]
        if place is None:
            return len(wanted) / len(self.over)
        covered = [council for council in wanted if {council, self.asked[council]} & self.places]
        here = [council for council in wanted if place in {council, self.asked[council]}]
        if not here:
            return 0.0
        size = 1 if place in self.asked else sum(region == place for region in self.over.values())
        return len(here) / size * len(wanted) / len(covered)


def _added_up(figures: Iterable[_Figure], planned: PlannedTable, weights: _Weights, *, signed: bool) -> ExpectedTotals:
    """Expected figures as a table's vector."""
    layout = planned.layout
    regional = planned.table.level is Level.REGION
    axes = layout.axes[1:] if regional else layout.axes
    targets: tuple[str | None, ...] = layout.axes[0].codes if regional else (None,)
    position = [(axis.name, {code: place for place, code in enumerate(axis.codes)}) for axis in axes]
    # A category of the file that the table does not have is left out.
    kept = [figure for figure in figures if all(figure.codes[name] in known for name, known in position)]
    where = np.zeros(len(kept), dtype=np.intp)
    for name, known in position:
        where = where * len(known) + np.array([known[figure.codes[name]] for figure in kept], dtype=np.intp)
    numbers = np.array([figure.numbers for figure in kept], dtype=np.float64).reshape(-1, len(layout.blocks))
    inner = prod(len(axis.codes) for axis in axes)
    cells = np.zeros((len(layout.blocks), len(targets), inner))
    factors: set[float] = set()
    for number, target in enumerate(targets):
        weight = {place: weights.of(place, target) for place in weights.places}
        factors |= set(weight.values())
        weighted = numbers.T * np.array([weight[figure.place] for figure in kept])
        for block, column in enumerate(weighted):
            cells[block, number] = np.bincount(where, weights=column, minlength=inner)
    totals = cells.reshape(-1)
    return ExpectedTotals(totals=totals if signed else np.maximum(totals, 0.0), scaled=bool(factors - {0.0, 1.0}))


def read_expected(path: Path, *, asked: tuple[CouncilId, ...]) -> ExpectedFigures:
    """Read the file of an expectation: a release (JSON), or CSV with a heading row.

    A CSV file has one column for each breakdown, holding codes; the figure in a column named as the statistic
    (``households``, ``rows``, ``sum``) or ``estimate``; for a mean the columns ``mean`` and ``households``. It may have
    ``table`` (a table's name) and ``council`` or ``region`` (a code), and any other columns, which are not read.

    Args:
        path: The file.
        asked: The councils of the question, which figures without a geography are taken to be over.

    Raises:
        FileProblem: It cannot be read as either.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the expected figures cannot be read ({error.strerror}).") from error
    if content.lstrip().startswith(b"{"):
        return ExpectedFigures(source=str(path), release=open_release(content), rows=(), asked=asked)
    try:
        rows = tuple(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileProblem(f"{path}: the expected figures are neither a release nor CSV in UTF-8.") from error
    if not rows:
        raise FileProblem(f"{path}: the file of expected figures has no rows.")
    return ExpectedFigures(source=str(path), release=None, rows=rows, asked=asked)


def _of_release(release: Release, planned: PlannedTable) -> Iterator[_Figure]:
    table, layout = planned.table, planned.layout
    for record in release.tables:
        if record.name != table.name:
            continue
        axes = [axis for axis in layout.axes if axis.name != REGION_AXIS]
        earlier = [axis for axis in record.axes if axis.name != REGION_AXIS]
        same = (record.statistic, record.measures) == (table.statistic, measure_records(table))
        if not same or [(axis.name, len(axis.codes)) for axis in axes] != [
            (axis.name, len(axis.codes)) for axis in earlier
        ]:
            raise QueryError(
                f"The table '{table.name}' of the earlier release is not the table asked for: its statistic, bounds or "
                "breakdowns differ.",
                remedy="Give figures of the same table, or a CSV file.",
            )
        # Dates of another period have other codes: bins are matched by their order.
        now = {old.name: dict(zip(old.codes, new.codes, strict=True)) for old, new in zip(earlier, axes, strict=True)}
        yield from _cells_of(record, now)


def _cells_of(record: TableRecord, now: Mapping[str, Mapping[str, str]]) -> Iterator[_Figure]:
    numbers = np.array(record.totals, dtype=np.float64).reshape(-1, len(record.cells)).T / record.scale
    for cell, row in zip(record.cells, numbers, strict=True):
        named = dict(zip((axis.name for axis in record.axes), cell.codes, strict=True))
        place = named.pop(REGION_AXIS, None) if is_region_table(record) else None
        codes = {name: now[name][code] for name, code in named.items()}
        yield _Figure(place=place, codes=codes, numbers=tuple(float(number) for number in row))


def _of_row(row: Mapping[str, str], planned: PlannedTable, place: str | None, *, source: str) -> _Figure:
    names = [axis.name for axis in planned.layout.axes if axis.name != REGION_AXIS]
    missing = [name for name in names if name not in row]
    if missing:
        raise QueryError(
            f"{source}: there is no column '{missing[0]}', which the table '{planned.table.name}' is broken down by."
        )
    return _Figure(place=place, codes={name: row[name] for name in names}, numbers=_numbers(row, planned, source))


def _numbers(row: Mapping[str, str], planned: PlannedTable, source: str) -> tuple[float, ...]:
    blocks = planned.layout.blocks
    if planned.table.statistic == "mean" and all(name in row for name in MEAN_COLUMNS):
        mean, households = (_number(row[name], source) for name in MEAN_COLUMNS)
        (measured,) = planned.table.measures
        low, high = measured.low, measured.high
        return (households * (mean - low), households * (high - mean))
    if all(block in row for block in blocks):
        return tuple(_number(row[block], source) for block in blocks)
    if len(blocks) == 1 and ESTIMATE_COLUMN in row:
        return (_number(row[ESTIMATE_COLUMN], source),)
    wanted = MEAN_COLUMNS if planned.table.statistic == "mean" else blocks
    raise QueryError(
        f"{source}: the figure for the table '{planned.table.name}' is not there.",
        remedy=f"Name its columns: {', '.join(wanted)}.",
    )


def _number(text: str | None, source: str) -> float:
    """A published figure; suppressed ones (`[c]`, `..`, nothing) count as none."""
    try:
        value = float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0
    if not np.isfinite(value):
        raise QueryError(f"{source}: '{text}' is not a figure.")
    return value
