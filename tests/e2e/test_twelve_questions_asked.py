"""The twelve questions asked of live council nodes by docs/twelve-questions/ask.py: eight councils, careful profile."""

import sys
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import pytest

from federated.synthetic.exact import Recorded, true_figures
from tests.docs.twelve_questions import FOLDER

pytestmark = pytest.mark.in_turn

COUNCILS = 8
LEAST_COVERED = 0.88
"""Each interval is made to hold its truth 95 times in 100 or more. Over 150 draws of these releases' noise the share of
a run was 0.962 with a standard deviation of 0.009, and 0.927 at the least: the bound is eight of those below."""
COUNTS = ("q01", "q02", "q02_first", "q02_last")
CURVE = "q03"
"""Figures of a curve share their noise: in one run many of them may miss together."""
MANY = 50
"""Figures from which on half of a question's intervals must hold: those of a small table go together."""


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(FOLDER))
    try:
        import ask

        yield ask
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("twelve")


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def asked(script, folder, lines):
    return script.ask_all(folder, councils=COUNCILS, epsilon=Fraction(1), seed=1, tell=lines.append)


def of_all(covered):
    held, figures = (sum(column) for column in zip(*covered.values(), strict=True))
    return held / figures


def test_all_twelve_are_answered_by_every_council(script, asked):
    assert set(script.questions()) < set(asked.answers)
    for answer in asked.answers.values():
        assert answer.release.contributed == COUNCILS
        assert answer.release.plan_digest == answer.plan.digest.hex()


def test_margins_are_told_before_anything_is_spent(script, lines):
    for name in script.asked_questions(Fraction(1)):
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{name}: "))
        assert lines[place + 1].startswith("  Before asking: each ")


def test_the_intervals_hold_the_truth(asked):
    assert all(figures > 0 for _, figures in asked.covered.values())
    apart = {name: covered for name, covered in asked.covered.items() if name != CURVE}
    assert of_all(apart) >= LEAST_COVERED
    for name, (held, figures) in apart.items():
        assert held >= figures / 2 or figures < MANY, name


def test_the_question_that_no_policy_may_approve_was_approved_by_people_and_carries_its_caveat(asked, lines):
    [table] = asked.answers["q07"].release.tables
    assert table.caveat.startswith("Caution: ")
    assert f"  ! {table.caveat}" in lines
    assert f"  No policy may approve this one: a person at each of {COUNCILS} councils did." in lines


def test_an_altered_truth_is_noticed(script, asked):
    """Planted: a third of the cases is missing from what the answers are held against. Shares hardly move; counts do."""
    altered = [Recorded(cases=_without_a_third(item.cases), others=item.others) for item in asked.recorded]
    covered = {
        name: script.coverage(asked.answers[name], true_figures(altered, *_of(asked.answers[name]))) for name in COUNTS
    }
    assert of_all({name: asked.covered[name] for name in COUNTS}) >= LEAST_COVERED
    # Cells of nobody still hold, and are nearly half of all.
    assert of_all(covered) < LEAST_COVERED - 0.15


def _of(answer):
    return answer.plan, answer.release


def _without_a_third(cases):
    kept = [row for row in range(len(cases)) if row % 3]
    return replace(cases, columns=MappingProxyType({name: column[kept] for name, column in cases.columns.items()}))


def test_there_is_a_chart_and_an_interpretation_for_each(script, asked, folder, lines):
    for name in script.questions():
        place = folder / "answers" / name
        assert (place / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
        assert (place / "release.json").exists()
        reading = asked.readings[name]
        assert reading.figures
        assert reading.sentences
        assert all(f"  → {sentence}" in lines for sentence in reading.sentences)
    for name in ("q01", "q02", "q09", "q10", "q12"):
        assert list((folder / "answers" / name / "analyses").glob("*.csv")), name


def test_sentences_follow_the_intervals(script, asked):
    """Planted: the same release with wider intervals. What was found before cannot be told apart any more."""
    releases = {name: answer.release for name, answer in asked.answers.items()}
    (found, *_) = asked.readings["q05"].sentences
    wide = {**releases, "q05": _widened(releases["q05"])}
    (said, *_) = script.read("q05", wide).sentences
    assert "cannot be told apart from similar ones" in said
    assert said != found
    assert all("cannot be told apart" in sentence for sentence in script.read("q03", _all_widened(releases)).sentences)


def _all_widened(releases):
    return {name: _widened(release) for name, release in releases.items()}


def _widened(release):
    tables = tuple(
        table.model_copy(
            update={"cells": tuple(cell.model_copy(update={"low": -1e6, "high": 1e6}) for cell in table.cells)}
        )
        for table in release.tables
    )
    return release.model_copy(update={"tables": tables})
