"""The table "Attacks that are tried" of SECURITY.md, from the lies of a dishonest coordinator and what is tried elsewhere."""

from collections.abc import Iterator
from typing import Protocol

from tests.adversary.catalogue import LIES, case
from tests.adversary.elsewhere import ELSEWHERE

TEST = "tests/adversary/test_lies.py::test_the_lie_gains_nothing"


class _Attack(Protocol):
    attack: str
    gain: str
    stopped: str
    guard: str


def parts() -> dict[str, str]:
    """The generated part of the page."""
    lines = ["| Attack | Would have gained | What stops it | Test |", "|---|---|---|---|", *rows()]
    return {"attacks that are tried": "\n".join(lines) + "\n"}


def rows() -> Iterator[str]:
    for lie in LIES:
        yield _row(lie, tuple(f"{TEST}[{case(lie, suite)}]" for suite in lie.suites))
    for tried in ELSEWHERE:
        yield _row(tried, tried.tests)


def _row(tried: _Attack, tests: tuple[str, ...]) -> str:
    named = ", ".join(f"`{test}`" for test in tests)
    return f"| {tried.attack} | {tried.gain} | {tried.stopped}: `{tried.guard}` | {named} |"
