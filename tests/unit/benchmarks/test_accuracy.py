"""The measurement of accuracy sees noise that is too large, leaves out no statistic, and its page says what was kept."""

import json
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.accuracy import measure as measuring
from benchmarks.accuracy.__main__ import ROOT, as_row, merged
from benchmarks.accuracy.measure import measure
from benchmarks.accuracy.noises import WAYS, Noises, noises
from benchmarks.accuracy.page import page
from benchmarks.accuracy.sources import source
from benchmarks.accuracy.tables import questions
from federated.statistics import STATISTICS, Sensitivity

FAIR = dict(questions(source("fair"), Fraction(1)))


@pytest.mark.drawn(10)
@pytest.mark.parametrize("name", FAIR)
def test_every_table_can_be_answered_in_every_way(name):
    found = measure(source("fair"), FAIR[name], councils=20, repetitions=2)
    assert found.figures > 0
    assert json.dumps(as_row(name, FAIR[name].tables[0].statistic, "fair", 6366, found))


def test_our_error_is_that_of_central_noise_but_for_the_councils_not_counted_on():
    found = measure(source("fair"), FAIR["households"], councils=20, repetitions=150)
    # 20 shares where 17 carry the whole noise: the root of 20/17.
    assert found.ratio("ours", "central") == pytest.approx((20 / 17) ** 0.5, rel=0.12)
    assert found.ratio("each council", "central") == pytest.approx(20**0.5, rel=0.12)
    assert found.covered >= 0.93


def test_noise_that_is_twice_too_large_is_seen(monkeypatch):
    true_draws = Noises.draws

    def doubled(self, way, times):
        for noise in true_draws(self, way, times):
            yield 2 * noise if way == "ours" else noise

    monkeypatch.setattr(measuring.Noises, "draws", doubled)
    found = measure(source("fair"), FAIR["households"], councils=20, repetitions=100)
    assert found.ratio("ours", "central") > 1.8
    assert found.covered < 0.9


def test_a_figure_about_which_nothing_is_said_is_not_taken_for_exact():
    nan = np.nan
    answers = {way: np.array([[1.0, nan, 3.0], [1.5, nan, nan]]) for way in WAYS}
    used = noises(Sensitivity(l1=1, l2_squared=1), 3, epsilon=Fraction(1), councils=20)
    found = measuring._accuracy(answers, np.array([1.0, 2.0, nan]), [True], [0.95], used)
    assert (found.figures, found.said) == (2, 0.5)
    assert found.truths.tolist() == [1.0]
    assert found.errors["ours"].tolist() == [pytest.approx(0.125**0.5)]


def test_every_statistic_is_tried_on_people_and_the_page_holds_all_of_them():
    kept = json.loads((ROOT / "docs/accuracy.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs/accuracy.md").read_text(encoding="utf-8") == page(kept)
    for name in ("fair", "randhie"):
        tried = {question.tables[0].statistic for _, question in questions(source(name), Fraction(1))}
        assert tried == set(STATISTICS), "benchmarks/accuracy/tables.py leaves a statistic out"
        assert {row["statistic"] for row in kept["rows"] if row["source"] == name} == set(STATISTICS)
    assert {row["source"] for row in kept["rows"]} == {"published", "fair", "randhie"}


def test_rows_measured_again_take_the_place_of_earlier_ones_asked_alike():
    asked = {"repetitions": 300}
    kept = {"repetitions": 300, "rows": [{"table": "a", "source": "fair", "x": 1}, {"table": "b", "source": "fair"}]}
    now = [{"table": "a", "source": "fair", "x": 2}, {"table": "c", "source": "published"}]
    assert merged(now, kept, asked) == [now[1], now[0], kept["rows"][1]]
    assert merged(now, kept, {"repetitions": 1000}) == [now[1], now[0]]
