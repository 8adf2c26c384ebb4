"""What a simulation finds out: the exact truth beside each release, the noise it holds, seconds and bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import floor, isnan, prod, sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coordinator.simulation_papers import Scenario
from federated.errors import InternalError, QueryError
from federated.plan import Plan, PlannedTable
from federated.query import And, Between, Measured, Points, Query, Table, Value
from federated.query.measures import LARGEST_BOUND
from federated.query.words import measure_words
from federated.release import CellRecord, Release
from federated.schema import Council
from federated.statistics import CellEstimate, Contribution, Times, statistic
from federated.statistics.offsets import cell_codes
from federated.statistics.running_totals import sent
from federated.synthetic import Cases, true_table
from federated.synthetic.truth import counted_records, meets
from protocols.identifiers import CouncilId

__all__ = ["HeldCell", "SimulatedRound", "Simulation", "TableNoise", "Traffic", "as_sent", "exact_vector"]

Cell: TypeAlias = tuple[str, ...]
Integers: TypeAlias = NDArray[np.int64]


def exact_vector(cases: Cases, question: Query, tables: Sequence[PlannedTable]) -> Integers:
    """One council's exact figures, counted by hand over its synthetic records and not by its node.

    Shapes:
        `(cells of all tables,)`, as the council's node computes it before :func:`as_sent`.
    """
    return np.concatenate([_table_vector(cases, question, planned) for planned in tables])


def _table_vector(cases: Cases, question: Query, planned: PlannedTable) -> Integers:
    table = planned.table
    rule = statistic(table.statistic).contribution(table)
    if rule.curve is not None:
        return _along_the_curve(cases, question, rule, planned.coefficients)
    _require_plain(rule, table)
    sums: dict[tuple[int, ...], dict[Cell, Fraction]] = {(): {}}
    if not table.measures:
        sums[()] = _truth(cases, question, table)
    for measured in table.measures:
        if not isinstance(measured.measure, Value):
            raise QueryError(
                f"Table '{table.name}' counts {measure_words(measured.measure)}; a simulation knows the truth of plain "
                "columns only.",
                remedy="Ask it of council nodes, for example those of `federated demo`.",
            )
        known = Between(column=measured.measure.column, low=str(-LARGEST_BOUND), high=str(LARGEST_BOUND))
        asked = replace(question, where=known if question.where is None else And(conditions=(question.where, known)))
        sums = {
            (): _truth(cases, asked, replace(table, statistic="households", measures=())),
            (0,): _truth(cases, question, replace(table, statistic="sum")),
        }
    if rule.bands:
        sums = {(): _banded(cases, question, table, rule)}
    return np.array(
        [
            sum([term.coefficient * int(sums[term.factors].get(cell, 0)) for term in block])
            for block in rule.blocks
            for cell in cell_codes(planned.layout.axes)
        ],
        dtype=np.int64,
    )


def _along_the_curve(cases: Cases, question: Query, rule: Contribution, coefficients: Sequence[int]) -> Integers:
    """Row by row, each at its own point of the curve; a synthetic household has one row."""
    curve = rule.curve
    if curve is None:
        raise InternalError("A statistic without a curve was to be counted along one.")
    tables = {times: curve.table(times) for times in Times}
    totals = [0] * len(rule.blocks)
    for record in counted_records(cases, question.period, question.where):
        found = [_measured(record, item) for item in rule.measures]
        if None in found:
            continue
        values = [value for value in found if value is not None]
        line = zip(coefficients, curve.line, strict=True)
        where = sum(b * (start + (0 if place is None else slope * values[place])) for b, (slope, start, place) in line)
        point = min(max(floor(Fraction(where, curve.width) + Fraction(1, 2)) - curve.first, 0), len(curve.means) - 1)
        for number, block in enumerate(rule.blocks):
            totals[number] += sum(
                term.coefficient * tables[term.times][point] * prod(values[factor] for factor in term.factors)
                for term in block
            )
    return np.array([floor(Fraction(total, rule.step) + Fraction(1, 2)) for total in totals], dtype=np.int64)


def _measured(record: Mapping[str, str], asked: Measured) -> int | None:
    match asked.measure:
        case Value(column=column):
            value = None if record[column] == "" else int(record[column])
        case Points(base=base, terms=terms):
            value = base + sum(points for condition, points in terms if meets(record, condition))
        case _:
            raise QueryError("A simulation knows the truth of plain columns and points only.")
    return None if value is None else min(max(value, asked.low), asked.high)


FITTED: Final = frozenset({"poisson"})
"""Counted like a mean; but what is fitted allows for noise that exact totals do not have."""


def _require_plain(rule: Contribution, table: Table) -> None:
    """Refuse what the count by hand does not know, rather than hold an answer against a wrong truth."""
    linear = all(term.factors in ((), (0,)) for block in rule.blocks for term in block)
    several = len(rule.measures) > 1 or len(rule.bands) > 1 or rule.pairs or table.statistic in FITTED
    if rule.measures != table.measures or several or rule.step != 1 or not linear:
        raise QueryError(
            f"A simulation knows no truth beside '{table.statistic}', which table '{table.name}' asks for.",
            remedy="Simulate counts, sums and means; ask this of council nodes, for example those of `federated demo`.",
        )


def _banded(cases: Cases, question: Query, table: Table, rule: Contribution) -> dict[Cell, Fraction]:
    """Cells with their band last. A synthetic household has one row, so that its total is that row's value."""
    (banding,), (measured,) = rule.bands, rule.measures
    if not isinstance(measured.measure, Value):
        raise InternalError("Other measures than plain columns were refused before.")
    # Clipping comes before banding: some edges everybody reaches, some nobody.
    first = sum(edge <= measured.low for edge in banding.edges)
    inner = [edge for edge in banding.edges if measured.low < edge <= measured.high]
    counted = replace(table, statistic="rows" if rule.per == "row" else "households", measures=())
    found: dict[Cell, Fraction] = {}
    for band, (low, end) in enumerate(pairwise((-LARGEST_BOUND, *inner, LARGEST_BOUND + 1)), start=first):
        within = Between(column=measured.measure.column, low=str(low), high=str(end - 1))
        asked = replace(question, where=within if question.where is None else And(conditions=(question.where, within)))
        found |= {(*cell, str(band)): count for cell, count in _truth(cases, asked, counted).items()}
    return found


def as_sent(exact: Integers, tables: Sequence[PlannedTable]) -> Integers:
    """Exact figures as the councils of a plan send them: some weigh them before Gaussian noise is added."""
    parts = np.split(exact, np.cumsum([planned.layout.cells for planned in tables])[:-1])
    rules = (
        statistic(planned.table.statistic).contribution(planned.table).under(planned.mechanism) for planned in tables
    )
    return np.concatenate(
        [
            sent(part, planned.layout.shape[-1] if rule.bands else 1, rule.prefix_bits)
            for part, planned, rule in zip(parts, tables, rules, strict=True)
        ]
    )


def _truth(cases: Cases, question: Query, table: Table) -> dict[Cell, Fraction]:
    return true_table([cases], table, question.period, question.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCell:
    """One printed cell held against the truth.

    Attributes:
        cell: As released.
        truth: The exact value over the councils that contributed; None for a mean over no one, which has none.
    """

    cell: CellRecord
    truth: Fraction | None

    @property
    def held(self) -> bool | None:
        """Whether the interval holds the truth; None where there is no truth to hold."""
        return None if self.truth is None else self.cell.low <= self.truth <= self.cell.high


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNoise:
    """The noise found in one table of a release.

    Attributes:
        name: The table.
        numbers: Noisy numbers in it.
        planned_sd: As the release states it, in units of the question.
        found_sd: Root of the mean squared residual of the numbers.
    """

    name: str
    numbers: int
    planned_sd: float
    found_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRound:
    """One question asked once.

    Attributes:
        plan: Its plan.
        release: The answer.
        exact: The exact sum over the councils that contributed, as the plan lays it out and :func:`as_sent`.
        seconds: By step, in the order they were taken.
        fitted: Where the question takes several rounds, what it would say without noise; `exact` is of the last.
    """

    plan: Plan
    release: Release
    exact: Integers = field(repr=False)
    seconds: Mapping[str, float]
    fitted: tuple[CellEstimate, ...] = ()

    @property
    def residuals(self) -> tuple[Integers, ...]:
        """The noise of each table: released totals less the exact sum, in steps of 1/scale."""
        totals = [np.array(table.totals, dtype=np.int64) for table in self.release.tables]
        exact = self._split(self.exact)
        return tuple(total - self.plan.scale * part for total, part in zip(totals, exact, strict=True))

    def truth(self, name: str) -> dict[Cell, Fraction | None]:
        """The exact table of that name, every cell of it; None for a mean over no one."""
        places = [planned.table.name for planned in self.plan.tables]
        index = places.index(name)
        if self.fitted:
            return {cell.codes: None if isnan(cell.estimate) else Fraction(cell.estimate) for cell in self.fitted}
        planned = self.plan.tables[index]
        # An estimate does not hang on how much noise its totals carry, so that of exact totals is the truth.
        noise = self.plan.released_noise(index, joined=self.release.joined, contributors=self.release.contributed)
        decode = statistic(planned.table.statistic).decode
        found = decode(planned.table, planned.layout, self._split(self.exact)[index].astype(np.float64), noise)
        return {cell.codes: None if isnan(cell.estimate) else Fraction(cell.estimate) for cell in found}

    def cells(self) -> Iterator[HeldCell]:
        """Every cell printed, beside its truth."""
        for table in self.release.tables:
            truth = self.truth(table.name)
            for cell in table.cells:
                yield HeldCell(cell=cell, truth=truth[cell.codes])

    def noise(self) -> tuple[TableNoise, ...]:
        """The noise found in each table beside what the release states."""
        return tuple(
            TableNoise(
                name=table.name,
                numbers=len(found),
                planned_sd=table.planned_sd,
                found_sd=sqrt(float(np.mean(found.astype(np.float64) ** 2))) / table.scale,
            )
            for table, found in zip(self.release.tables, self.residuals, strict=True)
        )

    def _split(self, vector: Integers) -> list[Integers]:
        ends = np.cumsum([planned.layout.cells for planned in self.plan.tables])[:-1]
        return np.split(vector, ends)

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        cells = list(self.cells())
        charge = self.release.cost
        return {
            "title": self.release.title,
            "mechanism": self.release.mechanism,
            "epsilon": charge.epsilon,
            "rho": charge.rho,
            "numbers": self.plan.cells,
            "cells": len(cells),
            "covered": sum(item.held is not False for item in cells),
            "declared_coverage": sum(item.cell.coverage for item in cells) / len(cells),
            "asked": len(self.release.councils),
            "joined": self.release.joined,
            "contributed": self.release.contributed,
            "tables": [
                {"name": n.name, "numbers": n.numbers, "planned_sd": n.planned_sd, "found_sd": n.found_sd}
                for n in self.noise()
            ],
            "seconds": {step: round(spent, 3) for step, spent in self.seconds.items()},
        }


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Bytes of one council's messages over the link, before the link's own framing.

    Attributes:
        sent: By the council.
        received: By the council.
    """

    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Everything a simulation found out.

    Attributes:
        scenario: What was simulated.
        councils: Who was asked.
        setup_s: Seconds to make keys, papers, records and nodes.
        rounds: Every question asked, in order.
        traffic: By council, over all rounds.
        memory_mib: Most memory this process has had, with all councils in it.
    """

    scenario: Scenario
    councils: Mapping[CouncilId, Council]
    setup_s: float
    rounds: tuple[SimulatedRound, ...]
    traffic: Mapping[CouncilId, Traffic]
    memory_mib: int

    def bytes_per_council(self) -> tuple[int, int]:
        """Bytes that the average council sent and received for one question."""
        parts = len(self.traffic) * len(self.rounds)
        sent, received = (sum(getattr(item, way) for item in self.traffic.values()) for way in ("sent", "received"))
        return round(sent / parts), round(received / parts)

    def as_json(self) -> dict[str, object]:
        """The one object of ``--json``."""
        sent, received = self.bytes_per_council()
        return {
            "version": 1,
            "councils": len(self.councils),
            "profile": self.scenario.profile_in_force.value,
            "seed": self.scenario.seed,
            "rounds": [item.as_json() for item in self.rounds],
            "setup_seconds": round(self.setup_s, 3),
            "bytes_per_council": {"sent": sent, "received": received},
            "memory_mib": self.memory_mib,
        }
