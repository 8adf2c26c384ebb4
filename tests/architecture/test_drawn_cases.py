"""That the cases which `make test` does not draw are run by `make test-long`, and that a seed draws the same again."""

from types import SimpleNamespace

import pytest

from tests.conftest import SEED, pytest_collection_modifyitems


class Case:
    """As much of a collected test as the drawing looks at."""

    def __init__(self, nodeid: str, drawn: int | None) -> None:
        self.nodeid = nodeid
        self.marks: set[str] = set()
        self._drawn = None if drawn is None else SimpleNamespace(args=(drawn,))

    def get_closest_marker(self, name: str) -> SimpleNamespace | None:
        return self._drawn if name == "drawn" else None

    def add_marker(self, name: str) -> None:
        self.marks.add(name)


def left_to_the_long_runs(markexpr: str) -> set[str]:
    cases = [
        *(Case(f"tests/test_a.py::test_one[{number}]", 3) for number in range(10)),
        *(Case(f"tests/test_a.py::test_two[{number}]", 3) for number in range(2)),
        *(Case(f"tests/test_a.py::test_three[{number}]", None) for number in range(4)),
    ]
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


@pytest.mark.drawn(1)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_what_is_drawn_here_is_not_long(number, request):
    if request.config.option.markexpr == "not long":
        assert request.node.get_closest_marker("long") is None, number
