"""Analyses of releases as real rounds make them: every table of sums is read, and its intervals hold the exact truth."""

from fractions import Fraction

import numpy as np
import pytest

from coordinator.simulate import Scenario, simulate
from federated.analysis import noisy_table
from federated.analysis.public_figures import shipped_households
from federated.analysis.rate import rate
from federated.analysis.share import share
from federated.demo.papers import GROUP
from federated.demo.questions import demo_questions
from federated.errors import QueryError
from federated.release import open_release
from federated.schema import load_schema
from tests.unit.federated.analysis.releases import errors_off

QUESTIONS = tuple(question.query for question in demo_questions(GROUP, Fraction(1), regions=True))


@pytest.fixture(scope="module")
def rounds():
    return simulate(Scenario(questions=QUESTIONS, seed=3, rounds=1, lost=1)).rounds


def test_tables_of_real_rounds_are_read_and_their_analyses_hold_the_truth(rounds):
    assert len(rounds) == len(QUESTIONS)
    cells, truths = [], []
    for item in rounds:
        release = open_release(item.release.encode())
        for table in release.tables:
            if table.statistic == "mean":
                with pytest.raises(QueryError, match="neither counts nor sums"):
                    noisy_table(release, table.name)
                continue
            source = noisy_table(release, table.name)
            exact = item.truth(table.name)
            truth = np.array([float(exact[cell.codes] or 0) for cell in table.cells])
            rates = rate(source, shipped_households(), load_schema()).cells
            below = shipped_households().over(source.contributed)
            cells += rates
            truths += (truth * (1000 / below)).tolist()
            shares = share(source).cells
            cells += [cell for cell in shares if cell.coverage < 1]
            truths += [
                100 * value / truth.sum() for cell, value in zip(shares, truth, strict=True) if cell.coverage < 1
            ]
    assert len(cells) > 300
    assert abs(errors_off(cells, truths)) < 5  # the shares of one table have one sum in common
