"""That the cases which `make test` does not draw are run by `make test-long`, and that a seed draws the same again."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import SEED, WALKS, pytest_collection_modifyitems

ROOT = Path(__file__).resolve().parents[2]


class Case:
    """As much of a collected test as the drawing looks at."""

    def __init__(self, nodeid: str, drawn: int | None = None, *, in_turn: bool = False) -> None:
        self.nodeid = nodeid
        self.marks: set[str] = set()
        self._known = {} if drawn is None else {"drawn": SimpleNamespace(args=(drawn,))}
        self._known |= {"in_turn": SimpleNamespace(args=())} if in_turn else {}

    def get_closest_marker(self, name: str) -> SimpleNamespace | None:
        return self._known.get(name)

    def add_marker(self, name: str) -> None:
        self.marks.add(name)


def left_to_the_long_runs(markexpr: str) -> set[str]:
    cases = [
        *(Case(f"tests/test_a.py::test_one[{number}]", 3) for number in range(10)),
        *(Case(f"tests/test_a.py::test_two[{number}]", 3) for number in range(2)),
        *(Case(f"tests/test_a.py::test_three[{number}]") for number in range(4)),
    ]
    return left_of(cases, markexpr)


def left_of(cases: list[Case], markexpr: str) -> set[str]:
    pytest_collection_modifyitems(SimpleNamespace(option=SimpleNamespace(markexpr=markexpr)), cases)
    return {case.nodeid for case in cases if "long" in case.marks}


def test_as_many_as_the_mark_says_are_drawn_and_a_seed_draws_the_same_again(monkeypatch):
    found = []
    for seed in ("1", "1", "2"):
        monkeypatch.setenv(SEED, seed)
        found.append(left_to_the_long_runs("not long"))
    assert [len(names) for names in found] == [7, 7, 7]
    assert all(name.startswith("tests/test_a.py::test_one") for name in found[0])
    assert found[0] == found[1] != found[2]


def test_the_long_runs_have_all_of_them():
    assert len(left_to_the_long_runs("long")) == 12


def test_some_walks_are_drawn_whole_and_the_long_runs_have_all_of_them(monkeypatch):
    def walks() -> list[Case]:
        return [Case(f"tests/test_{walk}.py::test_{number}", in_turn=True) for walk in range(9) for number in range(2)]

    found = []
    for seed in ("1", "1", "2"):
        monkeypatch.setenv(SEED, seed)
        found.append(left_of(walks(), "not long"))
    for left in found:
        files = {name.partition("::")[0] for name in left}
        assert len(files) == 9 - WALKS
        assert len(left) == 2 * len(files)
    assert found[0] == found[1] != found[2]
    assert len(left_of(walks(), "long")) == 18


def test_the_other_tests_of_a_file_with_a_walk_run_each_time():
    mixed = [Case(f"tests/test_{walk}.py::test_{n}", in_turn=n == 0) for walk in range(9) for n in range(2)]
    left = left_of(mixed, "not long")
    assert len(left) == 9 - WALKS
    assert all(name.endswith("test_0") for name in left)


def test_as_many_walks_are_drawn_as_is_said():
    said = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert "gets `in_turn`: one of these files is drawn" in said
    assert WALKS == 1


@pytest.mark.drawn(1)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_what_is_drawn_here_is_not_long(number, request):
    if request.config.option.markexpr == "not long":
        assert request.node.get_closest_marker("long") is None, number
