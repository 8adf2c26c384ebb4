"""How costs grow with councils and cells: the ladder of sizes, and the exponent that is fitted to it."""

import json
from dataclasses import replace

import pytest

from coordinator.cli import app
from coordinator.simulate_command import default_question
from coordinator.simulation_growth import (
    Growth,
    Rung,
    council_ladder,
    exponent,
    measure_growth,
    questions_by_cells,
)
from federated.errors import InternalError
from federated.query import Table, write_query


@pytest.mark.parametrize(("power", "factor"), [(1.0, 3.0), (2.0, 0.01), (0.0, 7.0), (1.5, 100.0)])
def test_the_exponent_of_a_power_law_is_its_power(power, factor):
    sizes = [12, 24, 48, 96, 192]
    assert exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power)


def test_what_every_round_costs_anyway_lowers_the_exponent():
    assert 0.2 < exponent([10, 100], [5 + size / 10 for size in (10, 100)]) < 0.8


@pytest.mark.parametrize(
    ("most", "ladder"), [(296, (18, 37, 74, 148, 296)), (24, (12, 24)), (23, (23,)), (12, (12,)), (4, (4,))]
)
def test_the_ladder_ends_at_the_number_asked_for_and_begins_where_growth_shows(most, ladder):
    assert council_ladder(most) == ladder


def test_the_questions_have_more_and_more_cells_and_are_otherwise_the_same():
    like = replace(default_question(), title="Like this one")
    asked = list(questions_by_cells(like))
    assert [replace(item, tables=like.tables) for item in asked] == [like] * 4
    assert len({item.tables for item in asked}) == 4


def test_every_measure_is_fitted_by_what_differs():
    rungs = [
        Rung(councils=n, cells=100, seconds=n / 10, sent=50 * n, received=n * n, memory_mib=200) for n in (10, 20, 40)
    ]
    found = Growth.fitted("councils", rungs)
    assert found.exponents == pytest.approx({"seconds": 1, "sent": 1, "received": 2, "memory_mib": 0})
    flat_at_first = [replace(rungs[0], seconds=2.0), *rungs[1:]]
    assert Growth.fitted("councils", flat_at_first).at_the_top["seconds"] == pytest.approx(1)
    assert Growth.fitted("councils", flat_at_first).exponents["seconds"] < 1
    assert found.as_json()["rungs"][2] == {
        "councils": 40,
        "cells": 100,
        "seconds": 4.0,
        "sent": 2000,
        "received": 1600,
        "memory_mib": 200,
    }


def test_a_simulation_that_fails_is_told_with_its_own_words():
    asked = replace(default_question(), tables=(Table(name="all", statistic="households"),))
    with pytest.raises(InternalError, match=r"of 5 councils failed\. .*got no answer"):
        measure_growth(asked, 5, options=["--lost", "4"], tell=lambda _line: None)


def test_the_command_says_how_costs_grow(capsys, tmp_path, monkeypatch):
    """Two sizes of each kind, through the processes that the command starts."""
    monkeypatch.setattr("coordinator.simulation_growth.SMALLEST", 4)
    few = tuple(questions_by_cells(default_question()))[:2]
    monkeypatch.setattr("coordinator.simulation_growth.questions_by_cells", lambda _like: iter(few))
    question = tmp_path / "question.yaml"
    question.write_text(write_query(few[0]))
    app(
        ["simulate", "--growth", "--councils", "8", "--question", str(question), "--json"],
        standalone_mode=False,
    )
    councils, cells = json.loads(capsys.readouterr().out)["growth"]
    assert (councils["by"], [rung["councils"] for rung in councils["rungs"]]) == ("councils", [4, 8])
    assert (cells["by"], [rung["cells"] for rung in cells["rungs"]]) == ("cells", [54, 315])
    assert 0 < councils["exponents"]["received"] < 2
    assert councils["exponents_at_the_top"] == councils["exponents"]  # there are only two sizes
    assert 0 < cells["exponents"]["sent"] < 1
    assert all(rung["memory_mib"] > 100 and rung["seconds"] > 0 for rung in councils["rungs"])
