"""Questions on other tables than the cases: from the signed papers to the released sum, in real rounds."""

import csv
import random
from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

from federated.errors import CohortTooSmall
from federated.query import Dimension, Period, Query, Table, measured
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind
from tests.integration.federation_world import CANARY, SCHEMA, Rehearsal, World
from tests.spec.council import REGIONS, layout_of
from tests.spec.reference_evaluator import reference_vector

NEEDS = [code.code for code in SCHEMA.dataset("support_need").column("need").codes if not code.retired_from]
PLACES = [code.code for code in SCHEMA.dataset("ta_placement").column("ta_type").codes]
HEADINGS = {
    "case": ("case_key", "household_key", "assessment_date", "opted_out"),
    "support_need": ("case_key", "need"),
    "ta_placement": ("case_key", "start", "ta_type", "nightly_cost_gbp"),
}
START, END = date(2025, 1, 1), date(2025, 3, 31)
SURE = 1 - Fraction(1, 10**9)
DATASETS = {
    "support_need": {
        "unit": "household",
        "columns": ["assessment_date", "need"],
        "class_2_approved_by": {"need": "A. Officer, data protection officer, 1 December 2025"},
        "statistics": ["households", "co_occurrence"],
        "max_cells": 5,
    },
    "ta_placement": {
        "unit": "household",
        "columns": ["start", "ta_type", "nightly_cost_gbp"],
        "statistics": ["sum", "mean", "co_occurrence"],
        "max_cells": 8,
    },
}


class Housing(World):
    """Councils with three tables. Some households object, some have two cases, some rows name a case that is nowhere."""

    def __init__(self, folder: Path) -> None:
        self.rows: dict[CouncilId, Mapping[str, list[tuple[str, ...]]]] = {}
        super().__init__(folder, agreement={"datasets": DATASETS})

    def write_extract(self, folder: Path, council: CouncilId) -> None:
        self.rows[council] = _tables(random.Random(f"tables {council}"))
        for name, rows in self.rows[council].items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([HEADINGS[name], *rows])
            columns = {heading: {"from": heading} for heading in HEADINGS[name]}
            mapping = {"mapping": 1, "dataset": name, "file": f"{name}.csv", "dates": "iso", "columns": columns}
            (folder / f"{name}-mapping.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
        (folder / "mapping.yaml").write_bytes((folder / "case-mapping.yaml").read_bytes())

    def accept(self, council: CouncilId, envelope: bytes | None = None) -> None:
        super().accept(council, envelope)
        _change(self.folder / council / "node.yaml", "data", {name: f"{name}-mapping.yaml" for name in DATASETS})
        _change(self.folder / council / "policy.yaml", "class_2", "as_agreed")


def _tables(draw: random.Random) -> dict[str, list[tuple[str, ...]]]:
    def day() -> str:
        return (START + timedelta(days=draw.randrange(-30, 120))).isoformat()

    cases = [(f"{CANARY}-C{n}", f"{CANARY}-H{n // 2}", day(), "yes" if n % 17 == 0 else "") for n in range(80)]
    # At most two of a case, so that no household has more than its bound and the truth hangs on no draw.
    needs = {(row[0], need) for row in cases for need in draw.sample(NEEDS, draw.randrange(3))}
    needs |= {(f"{CANARY}-X{n}", "old_age") for n in range(5)}
    placements = [(draw.choice(cases)[0], day(), draw.choice(PLACES), str(draw.randrange(20, 120))) for _ in range(90)]
    return {"case": cases, "support_need": sorted(needs), "ta_placement": placements}


def _change(path: Path, name: str, value: object) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document[name] = {**document[name], **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.fixture
def housing(tmp_path):
    with Housing(tmp_path) as world:
        yield world


def asked(dataset: str, period: str, *tables: Table) -> Query:
    return Query(
        title="Another table",
        dataset=dataset,
        unit="household",
        group="all",
        period=Period(column=period, start=START, end=END),
        epsilon=Fraction(1),
        tables=tables,
    )


def truth(world: Housing, question: Query) -> list[int]:
    """The rows of all councils, joined and counted in plain Python."""
    joined = [row for council, tables in world.rows.items() for row in _joined(council, tables, question.dataset)]
    dataset, found = SCHEMA.dataset(question.dataset), []
    for table in question.tables:
        layout = layout_of(table, question)
        found += reference_vector(
            joined, question, table, layout, dataset, region=REGIONS[0][0], draw=lambda _household, _identity: 0
        )
    return found


def _joined(council: CouncilId, tables: Mapping[str, list[tuple[str, ...]]], name: str) -> list[dict[str, object]]:
    cases = {row[0]: row for row in tables["case"]}
    objecting = {row[1] for row in tables["case"] if row[3]}
    found = []
    for cells in tables[name]:
        case = cases.get(cells[0])
        household = cells[0] if case is None else case[1]
        if household not in objecting:
            row = dict(zip(HEADINGS[name], cells, strict=True))
            day = row.get("start") or (case and case[2])
            dates = {column: day and date.fromisoformat(day) for column in ("start", "assessment_date")}
            cost = {"nightly_cost_gbp": int(row.get("nightly_cost_gbp", 0))}
            found.append({**row, **dates, **cost, "household": f"{council} {household}"})
    return found


def check_round(world: Housing, question: Query) -> list[int]:
    fields = [
        {"dataset": question.dataset, "column": column, "why": "To count it.", "effort": "It is in every export."}
        for column in sorted(question.columns())
    ]
    proposal = world.propose(question, manifest=world.make_manifest(fields_read=fields))
    round_ = Rehearsal(world, proposal).until(Kind.STATEMENTS)
    exact = truth(world, question)
    own = np.sum([seat.station.compute(round_.plan).vector for seat in round_.seats.values()], axis=0)
    assert own.tolist() == exact
    total = round_.unmask().total
    widths = [
        round_.plan.released_noise(number, joined=5, contributors=5).half_width(SURE)[0]
        for number, planned in enumerate(round_.plan.tables)
        for _ in range(planned.layout.cells)
    ]
    assert (np.abs(total / round_.plan.noise.scale - exact) <= np.array(widths, dtype=float)).all()
    for seat in round_.seats.values():
        assert CANARY not in str(seat.events)
    return exact


def test_needs_by_kind_with_five_cells_a_household(housing):
    needs = Table(name="needs", statistic="households", by=(Dimension(column="need"),), max_cells=5)
    assert sum(check_round(housing, asked("support_need", "assessment_date", needs))) > 100
    reports = [next(iter(seat.station.load_reports.values())) for seat in housing.seats().values()]
    assert all(report.rows_without_case == 5 for report in reports)
    assert all(report.rows_opted_out > 0 for report in reports)


def test_types_of_placement_that_occur_together(housing):
    types = Table(name="types", statistic="co_occurrence", by=(Dimension(column="ta_type"),), max_cells=8)
    question = asked("ta_placement", "start", types)
    exact = dict(zip(layout_of(types, question).axes[0].codes, check_round(housing, question), strict=True))
    alone = sum(count for pair, count in exact.items() if len(set(pair.split("+"))) == 1)
    assert alone > 50
    assert sum(exact.values()) - alone > 5


def test_needs_that_occur_together_are_not_asked_of_so_few_councils(housing):
    needs = Table(name="needs", statistic="co_occurrence", by=(Dimension(column="need"),), max_cells=5)
    with pytest.raises(CohortTooSmall, match="8 councils must be asked together"):
        check_round(housing, asked("support_need", "assessment_date", needs))


def test_what_placements_cost(housing):
    measure = {"measures": (measured("nightly_cost_gbp", 0, 300),)}
    tables = (Table(name="total", statistic="sum", **measure), Table(name="mean", statistic="mean", **measure))
    assert min(check_round(housing, asked("ta_placement", "start", *tables))) > 0


def test_a_council_without_the_case_table_says_before_a_round_what_it_lacks(housing):
    seat = housing.seat()
    (seat.folder / "case.csv").unlink()
    needs = Table(name="needs", statistic="households", by=(Dimension(column="need"),), max_cells=5)
    question = asked("support_need", "assessment_date", needs)
    missing, _ = seat.station.coverage(question)
    assert missing == question.columns()
