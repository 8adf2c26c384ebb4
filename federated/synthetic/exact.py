"""The figures of a release as they would be without noise: what `truth` is for counts of cases, for every statistic.

A second reading of the question, in plain Python over the records that the extracts hold. What a household adds comes
from the statistic's own rule (`Contribution`), the rest from nothing that a council runs. There is a truth only where
no household has more than its contribution bound, for else it hangs on a draw; then this raises.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations_with_replacement
from math import isnan, prod
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.errors import InternalError
from federated.plan import Plan, PlannedTable
from federated.privacy import ReleasedNoise
from federated.query import Days, Level, Measure, Points, Query, Table, Value
from federated.release import Release
from federated.schema import Dataset, load_schema
from federated.statistics import Contribution, Layout, statistic
from federated.statistics.mantel_haenszel import floor_for
from federated.statistics.offsets import cell_codes
from federated.statistics.running_totals import sent
from federated.synthetic.cases import Cases
from federated.synthetic.styles import DATASET
from federated.synthetic.truth import Cell, Record, cell_of, meets, with_derived

__all__ = ["Recorded", "exact_totals", "held", "true_figures"]

Values: TypeAlias = tuple[int, ...]
Integers: TypeAlias = NDArray[np.int64]
_MATCHED: Final = "matched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What one council's extracts hold.

    Attributes:
        cases: The case table, as `write_extract` returned it.
        others: The other tables by name, likewise.
    """

    cases: Cases
    others: Mapping[str, Cases]

    def records(self, question: Query) -> Iterator[Record]:
        """Rows that a question counts, beside what is copied from their cases; each once, objections honoured."""
        dataset = load_schema().dataset(question.dataset)
        columns = sorted(question.columns())
        objecting = {row["household_key"] for row in self.cases.rows() if row["opted_out"] == "yes"}
        seen = set()
        for record in self._joined(dataset):
            same = (record["case_key"], *(record[name] for name in columns))
            day = record[question.period.column]
            # An unknown day is the empty text, which sorts before every period.
            within = question.period.start.isoformat() <= day <= question.period.end.isoformat()
            if same in seen or record["household_key"] in objecting or not within:
                continue
            seen.add(same)
            if question.where is None or meets(record, question.where, dataset):
                yield record

    def _joined(self, dataset: Dataset) -> Iterator[Record]:
        if dataset.name == DATASET:
            yield from map(with_derived, self.cases.rows())
            return
        own = self.others[dataset.name]
        copied = [item.name for item in dataset.columns.values() if item.copied_from and item.name not in own.columns]
        beside = {row["case_key"]: {name: row[name] for name in copied} for row in self.cases.rows()}
        for row in own.rows():
            yield {**row, **beside[row["case_key"]]}


def true_figures(
    recorded: Iterable[Recorded], plan: Plan, release: Release
) -> dict[str, dict[tuple[str, ...], float | None]]:
    """Every figure of a release as it would be without noise, over the councils that contributed.

    Args:
        recorded: What the councils' extracts hold; councils that did not contribute are passed over.
        plan: The plan of the release.
        release: The release.

    Returns:
        By table, then by the codes of the cell; None where there is no such figure, as a mean over no one.

    Raises:
        InternalError: A household has more than its contribution bound.
    """
    inside = {record.council for record in release.councils if record.outcome == "contributed"}
    totals = exact_totals([item for item in recorded if item.cases.council in inside], plan.question, plan.tables)
    return {
        planned.table.name: _figures(planned, part, plan.released_noise(place, **_councils(release)))
        for place, (planned, part) in enumerate(zip(plan.tables, totals, strict=True))
    }


def _councils(release: Release) -> dict[str, int]:
    return {"joined": release.joined, "contributors": release.contributed}


def exact_totals(recorded: Sequence[Recorded], question: Query, tables: Sequence[PlannedTable]) -> tuple[Integers, ...]:
    """The exact numbers of every table, before steps, clamps and weights.

    Shapes:
        One of `(cells,)` for each table.
    """
    found = tuple(np.zeros(planned.layout.cells, dtype=np.int64) for planned in tables)
    for council in recorded:
        region = load_schema().council(council.cases.council).region
        records = list(council.records(question))
        for planned, totals in zip(tables, found, strict=True):
            _add(totals, records, question, planned, region)
    return found


def _add(totals: Integers, records: Sequence[Record], question: Query, planned: PlannedTable, region: str) -> None:
    table, layout = planned.table, planned.layout
    if table.level is Level.REGION and region not in layout.axes[0].codes:
        return
    rule = statistic(table.statistic).contribution(table)
    places = {codes: place for place, codes in enumerate(cell_codes(layout.axes))}
    for cell, values in _items(records, question, table, rule, region):
        bands = [sum(values[band.measure] >= edge for edge in band.edges) for band in rule.bands]
        named = zip(layout.axes[len(cell) :], bands, strict=True)
        place = places[*cell, *(axis.codes[band] for axis, band in named)]
        for block, terms in enumerate(rule.blocks):
            added = sum(term.coefficient * prod(values[factor] for factor in term.factors) for term in terms)
            totals[block * layout.categories + place] += added


def _items(
    records: Sequence[Record], question: Query, table: Table, rule: Contribution, region: str
) -> Iterator[tuple[Cell, Values]]:
    """What households add: the cell, and the values of the measures within their bounds."""
    dataset = load_schema().dataset(question.dataset)
    households: dict[str, list[tuple[Cell, Values]]] = defaultdict(list)
    for record in records:
        values = [_value(item.measure, record, dataset) for item in rule.measures]
        known = tuple(value for value in values if value is not None)
        if len(known) == len(values):
            households[record["household_key"]].append((cell_of(record, table, question.period, region), known))
    for rows in households.values():
        own = _summed(rows) if rule.per == "household" else rows
        if len(own) > rule.max_cells:
            raise InternalError(
                f"A synthetic household has {len(own)} items in table '{table.name}', whose bound is {rule.max_cells}: "
                "the truth would hang on a draw."
            )
        for cell, clipped in ((cell, _clipped(found, rule)) for cell, found in own):
            if not rule.pairs:
                yield cell, clipped
        if rule.pairs:
            yield from _pairs([cell for cell, _ in own], dataset.column(table.by[0].column).code_list)


def _summed(rows: Iterable[tuple[Cell, Values]]) -> list[tuple[Cell, Values]]:
    sums: dict[Cell, Counter[int]] = {}
    width = 0
    for cell, values in rows:
        width = len(values)
        sums.setdefault(cell, Counter()).update(dict(enumerate(values)))
    return [(cell, tuple(found[place] for place in range(width))) for cell, found in sums.items()]


def _clipped(values: Values, rule: Contribution) -> Values:
    return tuple(min(max(value, item.low), item.high) for value, item in zip(values, rule.measures, strict=True))


def _pairs(cells: Sequence[Cell], codes: Sequence[str]) -> Iterator[tuple[Cell, Values]]:
    ordered = sorted(cells, key=lambda cell: codes.index(cell[-1]))
    for first, second in combinations_with_replacement(ordered, 2):
        yield (*first[:-1], f"{first[-1]}+{second[-1]}"), ()


def _value(measure: Measure, record: Record, dataset: Dataset) -> int | None:
    match measure:
        case Value(column=column):
            return int(record[column]) if record[column] else None
        case Days(start=start, end=end, until=until):
            last = record[end]
            if until is not None:
                last = min(last or until.isoformat(), until.isoformat())
            return (
                (date.fromisoformat(last) - date.fromisoformat(record[start])).days if record[start] and last else None
            )
        case Points(base=base, terms=terms):
            return base + sum(points for condition, points in terms if meets(record, condition, dataset))


def _figures(planned: PlannedTable, totals: Integers, noise: ReleasedNoise) -> dict[tuple[str, ...], float | None]:
    """The statistic's own figures of exact numbers: how much noise there is changes none of them but one."""
    table, layout = planned.table, planned.layout
    kind = statistic(table.statistic)
    rule = kind.contribution(table).under(planned.mechanism)
    numbers = sent(totals, layout.shape[-1] if rule.bands else 1, rule.prefix_bits) / rule.step
    found = {cell.codes: _number(cell.estimate) for cell in kind.decode(table, layout, numbers, noise)}
    if table.statistic == _MATCHED:
        found |= _comparison(found, layout, numbers, floor_for(noise.sd))
    return found


def _comparison(
    said: Mapping[tuple[str, ...], float | None], layout: Layout, numbers: NDArray[np.float64], floor: float
) -> dict[tuple[str, ...], float | None]:
    """The pooled figures of a matched comparison, whose estimates take off a bias that exact counts do not have.

    Strata count by 1/N, and those of fewer than the public floor along its tangent (Mantel and Haenszel 1959).
    """
    found: dict[tuple[str, ...], float | None] = {}
    for region in dict.fromkeys(codes[:-1] for codes in said):
        if said[*region, "exposed"] is None:
            continue
        strata = numbers.reshape(-1, 4) if not region else _of_region(layout, numbers, region[0])
        d, c, b, a = strata.T
        number = strata.sum(axis=1)
        weight = np.where(number >= floor, 1 / np.maximum(number, floor), (2 - number / floor) / floor)
        top, bottom = (weight * a * (c + d)).sum(), (weight * c * (a + b)).sum()
        both = (weight * (a + b) * (c + d)).sum()
        pooled = {"risk_difference": (top - bottom) / both, "risk_ratio": top / bottom}
        crude = a.sum() / (a + b).sum() - c.sum() / (c + d).sum()
        for name, value in (*pooled.items(), ("crude_difference", crude)):
            found[*region, name] = found[*region, f"{name}_sampling"] = float(value)
    return found


def _of_region(layout: Layout, numbers: NDArray[np.float64], region: str) -> NDArray[np.float64]:
    regions = layout.axes[0].codes
    found: NDArray[np.float64] = numbers.reshape(len(regions), -1, 4)[regions.index(region)]
    return found


def _number(value: float) -> float | None:
    return None if isnan(value) else value


def held(low: float, high: float, truth: float | None) -> bool | None:
    """Whether an interval holds a truth; None where there is none."""
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    return None if truth is None else low - slack <= truth <= high + slack
