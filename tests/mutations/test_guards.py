"""The list of guards fits the code and SECURITY.md; a few, drawn anew each time, are taken out and missed."""

import ast
import os
import random
from dataclasses import replace

import pytest

from tests.adversary.fates import STOPPED, SUCCEEDED
from tests.mutations import trial
from tests.mutations.listed import (
    ROOT,
    Change,
    Mutation,
    elsewhere,
    listed,
    modules_of_security,
    rows_of_security,
    unlisted,
)
from tests.mutations.trial import LIES, Outcome, copy_project, fates, red_already, try_all, try_one

SAMPLE = 1
ROW = "Order is a table; whatever is not in it is refused"
SEED = int(os.environ.get("GUARDS_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.mark.parametrize("mutation", listed(), ids=lambda found: found.label)
def test_each_guard_is_where_the_list_says(mutation: Mutation):
    assert set(mutation.tests) <= set(rows_of_security()[mutation.row])
    for change in mutation.changes:
        changed = change.apply((ROOT / change.file).read_text(encoding="utf-8"))
        if change.file.endswith(".py"):
            ast.parse(changed)


def test_every_test_of_the_security_page_is_held_to_turn_red():
    assert unlisted() == []


def test_every_module_of_the_security_page_is_seen_to_hold_its_row():
    named = modules_of_security()
    assert elsewhere(named) == []
    assert elsewhere({**named, ROW: ("protocols/secagg/session.py",)}) == [f"{ROW}: protocols/secagg/session.py"]
    assert elsewhere({**named, ROW: ()}) == [f"{ROW}: names no module"]


def one_that_is_quick() -> Mutation:
    return next(found for found in listed() if found.row == ROW)


def test_a_guard_that_has_moved_is_noticed():
    change = one_that_is_quick().changes[0]
    text = (ROOT / change.file).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="0 times, not once"):
        change.apply(text.replace(change.old, ""))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("guards") / "copy")


def test_some_guards_are_missed_when_they_are_gone(copy):
    print(f"GUARDS_SEED={SEED}")
    quick = [found for found in listed() if not found.slow]
    drawn = random.Random(SEED).sample(quick, min(SAMPLE, len(quick)))
    assert [red_already(found.tests, copy) for found in drawn] == [{}] * len(drawn)
    outcomes = [try_one(found, copy) for found in drawn]
    assert [outcome.told for outcome in outcomes if not outcome.red] == []
    assert [set(outcome.said) for outcome in outcomes] == [set(found.tests) for found in drawn]
    assert all(words for outcome in outcomes for words in outcome.said.values())


def test_what_became_of_a_lie_is_counted_by_what_its_test_said():
    said = [
        f"AssertionError: {SUCCEEDED}: it opens",
        f"AssertionError: {STOPPED}: budget",
        f"{STOPPED}, later",
        "Crash",
    ]
    outcomes = [
        Outcome(mutation=one_that_is_quick(), said={f"{LIES}lie{number}]": words, "another test": words}, seconds=0)
        for number, words in enumerate(said)
    ]
    assert list(fates(outcomes).values()) == [1, 2, 1]


def test_a_test_that_is_red_with_its_guard_in_place_proves_nothing(monkeypatch, tmp_path):
    first = one_that_is_quick()
    broken = copy_project(tmp_path / "broken")
    (path, _, _name), *_ = (test.partition("::") for test in first.tests)
    (broken / path).write_text("def " + first.tests[0].partition("::")[2] + "():\n    assert False\n")
    monkeypatch.setattr(trial, "copy_project", lambda _target: broken)
    (outcome,) = try_all([replace(first, tests=first.tests[:1])], jobs=1)
    assert not outcome.red
    assert outcome.problem.startswith(f"{first.tests[0]} fails with the guard in place (assert False")


def test_a_change_that_takes_no_guard_out_is_told(copy):
    first = one_that_is_quick()
    idle = Change(file=first.changes[0].file, old=first.changes[0].old, new=first.changes[0].old)
    assert try_one(replace(first, changes=(idle,)), copy).green == first.tests


def test_a_change_that_breaks_the_file_counts_for_nothing(copy):
    first = one_that_is_quick()
    broken = Change(file=first.changes[0].file, old=first.changes[0].old, new="(\n")
    assert try_one(replace(first, changes=(broken,)), copy).problem
