"""Intervals of releases hold the exact truth as often as they declare, over demo questions asked through real rounds.

Where a mean is over no one there is no truth to hold, and where nothing can be said (declared coverage 1) there is
nothing that could miss: neither counts towards the size of the test, and the latter must hold without exception.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import pytest

from coordinator.simulate import Scenario, simulate
from federated.demo.papers import GROUP
from federated.demo.questions import demo_questions
from federated.privacy import Mechanism
from federated.schema import load_schema
from federated.synthetic import style_of, synthesise, true_table, write_extract
from tests import evidence
from tests.statistical.planted_noise import plant_scale

LEAST = 2_000
ERRORS_ALLOWED = 4
SEED = 3
QUESTIONS = tuple(question.query for question in demo_questions(GROUP, Fraction(1), regions=True))


@dataclass(kw_only=True)
class Tally:
    """Cells that could miss, how many held, and what they declared."""

    cells: int = 0
    held: int = 0
    declared: float = 0.0
    variance: float = 0.0
    certain: int = 0
    without_truth: int = 0

    def count(self, rounds):
        for item in rounds:
            for found in item.cells():
                coverage = found.cell.coverage
                assert coverage >= 0.95
                if found.truth is None:
                    self.without_truth += 1
                elif coverage == 1:
                    assert found.held
                    self.certain += 1
                else:
                    self.cells += 1
                    self.held += found.held
                    self.declared += coverage
                    self.variance += coverage * (1 - coverage)
        return self

    @property
    def errors_off(self):
        """Observed less declared coverage, in binomial standard errors."""
        return (self.held - self.declared) / sqrt(self.variance)

    def figures(self):
        return {
            "observed_coverage": self.held / self.cells,
            "declared_coverage": self.declared / self.cells,
            "standard_errors_off": round(self.errors_off, 3),
            "cells": self.cells,
            "cells_declared_certain": self.certain,
            "means_over_no_one": self.without_truth,
        }


def ask(rounds, *, lost=0, questions=QUESTIONS, **options):
    return simulate(Scenario(questions=questions, seed=SEED, rounds=rounds, lost=lost, **options)).rounds


def test_intervals_of_demo_answers_hold_the_truth_as_often_as_declared():
    tally = Tally().count(ask(3)).count(ask(2, lost=1))
    print(tally.figures())
    assert tally.cells >= LEAST
    assert abs(tally.errors_off) < ERRORS_ALLOWED


def test_noise_half_as_large_again_in_the_nodes_is_seen(monkeypatch):
    plant_scale(monkeypatch, Fraction(3, 2))
    causes = tuple(question for question in QUESTIONS if "reason" in question.title)
    tally = Tally().count(ask(2, questions=causes))
    print(tally.figures())
    assert tally.errors_off < -ERRORS_ALLOWED


def test_the_truth_beside_a_release_is_the_exact_table_over_the_councils_that_contributed(tmp_path):
    [*asked, children] = QUESTIONS
    release_rounds = ask(1, lost=1, questions=(asked[0], children), councils=5)
    for item in release_rounds:
        inside = [record.council for record in item.release.councils if record.outcome == "contributed"]
        assert len(inside) == 4
        cases = [
            write_extract(synthesise(council, SEED), tmp_path / "x.csv", seed=SEED, style=style_of(council))
            for council in inside
        ]
        question = item.plan.question
        for table in question.tables:
            expected = true_table(cases, table, question.period, question.where)
            found = item.truth(table.name)
            assert set(expected) <= set(found)
            missing = None if table.statistic == "mean" else 0
            # The truth is decoded, so it is right to the last digits of a float.
            assert found == {
                codes: exact if (exact := expected.get(codes, missing)) is None else pytest.approx(exact, rel=1e-12)
                for codes in found
            }
    assert {load_schema().councils[council].region for council in inside} == {"E12000001"}


@pytest.mark.long
@pytest.mark.parametrize("mechanism", [None, *Mechanism])
def test_intervals_at_full_size(mechanism):
    tally = Tally()
    for lost in (0, 1):
        tally.count(ask(10, lost=lost, mechanism=mechanism))
    assert tally.cells >= 4 * LEAST
    assert abs(tally.errors_off) < ERRORS_ALLOWED
    evidence.record(
        f"coverage/{'planner' if mechanism is None else mechanism.value}",
        tally.figures(),
        test="tests/statistical/test_release_coverage.py",
        n=tally.cells,
        seed=SEED,
    )
