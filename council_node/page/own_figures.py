"""The council's own exact figures of a question it answered: counted when somebody asks, shown once, kept nowhere.

They are counted from the extract as it is now, by the same step 4 and the same decoding as the answer, without noise.
No budget is charged, because nothing leaves: the figures go from here into one page and are forgotten. They are not
stored, logged, sent or put in any message.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from council_node.counting import Reading, holding
from council_node.mapping import load_mapping
from council_node.page.desk import Desk
from council_node.sources.load import RUN_KEY_SIZE
from council_node.sources.opening import extract_date
from federated.errors import FileProblem
from federated.pages.figures import question_of
from federated.privacy import Mechanism
from federated.query import Level, Query, Table
from federated.release import Release, TableRecord
from federated.schema import Dataset
from federated.statistics import Layout, statistic
from federated.statistics.without_noise import NEXT_TO_NONE, fit_without_noise

__all__ = ["OwnFigures", "count_own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A table as step 4 takes it, made again from the answer's plan."""

    table: Table
    layout: Layout
    clamp: int
    mechanism: Mechanism = NEXT_TO_NONE.mechanism
    coefficients: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFigures:
    """Exact figures of this council alone. For one page, and nothing else.

    Attributes:
        values: Table → codes of a cell → figure; None where nothing can be said, such as a mean over no one. Cells of
            other regions are left out.
        counted_from: Date of the extract they were counted from, where it is a file.
        changed: Whether the extract is of another day than the one the answer was made from.
    """

    values: Mapping[str, Mapping[tuple[str, ...], float | None]] = field(repr=False)
    counted_from: date | None
    changed: bool


def count_own(desk: Desk, release: Release) -> OwnFigures:
    """Count this council's own figures for the tables of a release. Run by the page, when somebody asks for it.

    Raises:
        FileProblem: The extract or its mapping cannot be read, or the release is not of its plan.
        InternalError: The local database failed.
    """
    question = question_of(release)
    dataset = desk.schema.dataset(question.dataset)
    planned = tuple(_planned(release, question, dataset))
    with desk.counting:
        if question.rounds > 1:
            [table] = planned
            return _dated(desk, release, question, {table.table.name: _own_fit(desk, question, table)})
        vector = _vector(desk, question, planned)
    region = desk.schema.council(desk.council).region
    values, offset = {}, 0
    for table in planned:
        part = vector[offset : offset + table.layout.cells]
        offset += table.layout.cells
        values[table.table.name] = _decoded(table, part, region)
    return _dated(desk, release, question, values)


def _own_fit(desk: Desk, question: Query, planned: _Planned) -> dict[tuple[str, ...], float | None]:
    """What this council's records alone would say, without noise."""
    cells = fit_without_noise(
        planned.table,
        planned.layout,
        lambda at: _vector(desk, question, (replace(planned, coefficients=at),)).astype(float),
    )
    return {cell.codes: None if math.isnan(cell.estimate) else cell.estimate for cell in cells}


def _dated(
    desk: Desk, release: Release, question: Query, values: Mapping[str, Mapping[tuple[str, ...], float | None]]
) -> OwnFigures:
    dated = _extract_date(desk, question.dataset)
    answered = [record.extract_date for record in release.councils if record.council == desk.council]
    changed = dated is not None and bool(answered) and answered[0] not in {None, dated.isoformat()}
    return OwnFigures(values=values, counted_from=dated, changed=changed)


def _planned(release: Release, question: Query, dataset: Dataset) -> Iterator[_Planned]:
    """Each table with its cells; those of regions are as the release lists them."""
    for table, record, terms in zip(question.tables, release.tables, release.plan["tables"], strict=True):
        layout = statistic(table.statistic).layout(table, dataset, question.period, _regions(table, record))
        if tuple(axis.codes for axis in layout.printed) != tuple(axis.codes for axis in record.axes):
            raise FileProblem(
                f"The table '{record.name}' was made with other lists of categories than this software has.",
                remedy="Use the version of this software that answered the question.",
            )
        yield _Planned(table=table, layout=layout, clamp=int(terms["clamp"]))


def _regions(table: Table, record: TableRecord) -> tuple[tuple[str, str], ...]:
    if table.level is not Level.REGION:
        return ()
    axis = record.axes[0]
    return tuple(zip(axis.codes, axis.labels, strict=True))


def _vector(desk: Desk, question: Query, planned: tuple[_Planned, ...]) -> Any:
    """Step 4 as the node runs it, under a key of this run alone."""
    files = desk.settings.data
    if question.dataset not in files:
        raise FileProblem(f"This council no longer holds the data set '{question.dataset}'.")
    held = holding(
        question.dataset, schema=desk.schema, files=files, mapping=lambda name: load_mapping(files[name], desk.schema)
    )
    reading = Reading(run_key=desk.rng(RUN_KEY_SIZE), limits=desk.settings.limits)
    region = desk.schema.council(desk.council).region
    try:
        return held.count(question, planned, region=region, reading=reading).statistic.vector
    finally:
        reading.databases.close()


def _decoded(planned: _Planned, part: Any, region: str) -> dict[tuple[str, ...], float | None]:
    """From the exact whole numbers to the figures of the table, as `federated.release` does it with noisy ones."""
    cells = statistic(planned.table.statistic).decode(planned.table, planned.layout, part.astype(float), NEXT_TO_NONE)
    by_region = planned.table.level is Level.REGION
    return {
        cell.codes: None if math.isnan(cell.estimate) else cell.estimate
        for cell in cells
        if not by_region or cell.codes[0] == region
    }


def _extract_date(desk: Desk, dataset: str) -> date | None:
    mapping_file = desk.settings.data[dataset]
    try:
        return extract_date(load_mapping(mapping_file, desk.schema), mapping_file.parent, desk.clock())
    except FileProblem:
        return None
