"""A question of a hundred tables is planned, answered in one round, and read like any other."""

from datetime import date
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from coordinator.simulate import Scenario, simulate
from federated.analysis.consistent import make_consistent
from federated.demo.papers import GROUP, manifest_payload
from federated.manifest import parse_manifest
from federated.outputs.csv_metadata import table_metadata
from federated.outputs.csv_table import table_csv
from federated.plan_summary import summarise
from federated.query import Dimension, Period, Query, Table, parse_query, write_query
from federated.question_words import question_sections
from federated.release import open_release
from federated.schema import load_schema
from tests.unit.federated import planning as given

TABLES = 100
COLUMNS = (
    "section21_notice",
    "la_referral_received",
    "served_in_hm_forces",
    "prior_approach_24m",
    "assessment_outcome",
    "main_employment",
    "referral_source",
    "accommodation_at_application",
    "reason_loss",
)


@pytest.fixture
def question():
    kinds = [found for size in (1, 2, 3) for found in combinations(COLUMNS, size)][:TABLES]
    return Query(
        title="A hundred tables of households assessed",
        dataset="case",
        unit="household",
        group=GROUP,
        period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
        epsilon=Fraction(1),
        tables=tuple(
            Table(name=f"t{number}", statistic="households", by=tuple(Dimension(column=column) for column in columns))
            for number, columns in enumerate(kinds)
        ),
    )


def test_a_hundred_tables_are_answered_in_one_round_and_read(question):
    assert parse_query(write_query(question).encode()) == question
    done = simulate(Scenario(questions=(question,), councils=4, seed=1, rounds=1))
    [answered] = done.rounds
    plan, release = answered.plan, answered.release
    assert len(release.tables) == len(summarise(plan).tables) == TABLES
    manifest = parse_manifest(manifest_payload("hundred", question, today=given.TODAY))
    words = question_sections(plan, manifest, given.agreement(), load_schema())
    assert sum(line.startswith("Table 't") for section in words for line in section.lines) == TABLES
    found = np.concatenate(
        [part / table.scale / table.planned_sd for part, table in zip(answered.residuals, release.tables, strict=True)]
    )
    # Squares of about normal noise have variance 2.
    assert np.mean(found**2) == pytest.approx(1, abs=5 * np.sqrt(2 / plan.cells))
    again = open_release(release.encode())
    assert again == release
    assert all(table_csv(again, table).count("\n") == len(table.cells) + 1 for table in again.tables)
    assert len({table_metadata(again, table)["url"] for table in again.tables}) == TABLES
    adjusted = make_consistent(release, load_schema())
    assert adjusted.agreements == TABLES - 1
    assert not adjusted.suspicious
