"""Co-occurrence: the square made of pairs, its intervals, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from federated.errors import QueryError
from federated.query import DatePart, Dimension, Level, Table
from federated.statistics import co_occurrence, statistic
from tests.spec.council import REGIONS, case_dataset, layout_of, question
from tests.unit.federated.statistics.budgets import NOISES, coverage_found, drawn

TABLE = Table(name="t", statistic="co_occurrence", by=(Dimension(column="main_sex"),), max_cells=2)
SEXES = case_dataset().column("main_sex").code_list


def decoded(table, totals, noise):
    layout = layout_of(table, question(table))
    found = statistic("co_occurrence").decode(table, layout, np.asarray(totals, dtype=float), noise)
    assert len(found) == layout.printed_cells
    return {cell.codes: cell for cell in found}


def test_pairs_are_listed_once_in_the_order_of_the_schema():
    axis = layout_of(TABLE, question(TABLE)).axes[0]
    count = len(SEXES)
    assert len(axis.codes) == len(set(axis.codes)) == count * (count + 1) // 2
    assert axis.codes[:2] == (f"{SEXES[0]}+{SEXES[0]}", f"{SEXES[0]}+{SEXES[1]}")
    assert axis.codes[-1] == f"{SEXES[-1]}+{SEXES[-1]}"


@pytest.mark.parametrize("level", Level)
def test_the_square_holds_every_pair_under_both_orders_in_its_own_region(level):
    table = replace(TABLE, level=level)
    axes = layout_of(table, question(table)).axes
    pairs = axes[-1].codes
    regions = [(code,) for code, _ in REGIONS] if level is Level.REGION else [()]
    found = decoded(table, range(len(regions) * len(pairs)), NOISES["laplace, epsilon 1"])
    for block, region in enumerate(regions):
        for place, pair in enumerate(pairs):
            first, second = pair.split("+")
            for codes in ((*region, first, second), (*region, second, first)):
                assert found[codes].estimate == block * len(pairs) + place
                assert found[codes].codes == codes


@pytest.mark.parametrize("name", NOISES)
def test_sparse_and_large_pairs_are_held_as_often_as_declared(name):
    noise = NOISES[name]
    truth = np.array([0, 0, 3, 5000, 1, 0, 40, 0, 0, 2, 0, 0, 0, 0, 900])[: len(SEXES) * (len(SEXES) + 1) // 2]
    runs = [decoded(TABLE, truth + drawn(noise, len(truth), seed), noise) for seed in range(500)]
    pairs = layout_of(TABLE, question(TABLE)).axes[0].codes
    for value, pair in zip(truth, pairs, strict=True):
        found, error = coverage_found([run[tuple(pair.split("+"))] for run in runs], value)
        assert abs(found) < 4 * error


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"by": ()}, "one cell only"),
        ({"by": (Dimension(column="assessment_date", part=DatePart.MONTH),)}, "one column with a list"),
        ({"by": (Dimension(column="main_sex"), Dimension(column="main_age_band"))}, "one column with a list"),
        ({"max_cells": 1}, "makes no pairs"),
    ],
)
def test_tables_it_cannot_give_are_refused(fields, words):
    with pytest.raises(QueryError, match=words):
        co_occurrence.check(replace(TABLE, **fields), case_dataset())
