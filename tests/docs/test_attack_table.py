"""The table of attacks in SECURITY.md is the one that the lies give, and what it names is there."""

from dataclasses import replace

import pytest

from tests.adversary.catalogue import LIES
from tests.adversary.elsewhere import ELSEWHERE
from tests.docs.attack_table import TEST, rows
from tests.docs.pages import ROOT, page
from tests.docs.test_security_table import faults

FEWEST = 25
PAGE = page("SECURITY.md")


def found_false(tried) -> list[str]:
    """What is not there of one attack, in the words of the page's other tables."""
    tests = getattr(tried, "tests", (TEST,))
    named = ", ".join(f"`{test}`" for test in tests)
    return faults(f"| {tried.attack} | `{tried.guard}` | {named} |\n")


def test_every_attack_is_in_the_page_once_and_names_what_is_there():
    made = list(rows())
    assert len(made) == len(set(made)) >= FEWEST
    assert [row for row in made if PAGE.splitlines().count(row) != 1] == []
    assert [fault for tried in (*LIES, *ELSEWHERE) for fault in found_false(tried)] == []


@pytest.mark.parametrize(
    "false",
    [
        replace(LIES[0], guard="federated/rooster.py"),
        replace(ELSEWHERE[0], tests=("tests/adversary/test_lies.py::gone",)),
    ],
    ids=["no_such_guard", "no_such_test"],
)
def test_a_row_that_names_what_is_not_there_is_found(false):
    assert found_false(false)


@pytest.mark.parametrize("requirement", ["R45", "R51", "R58", "R67", "R79"])
def test_requirements_that_speak_of_attacks_have_one(requirement):
    assert any(requirement in tried.attack for tried in (*LIES, *ELSEWHERE))
    assert f"| {requirement} |" in (ROOT / "docs/requirements.md").read_text(encoding="utf-8")
