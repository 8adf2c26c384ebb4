"""Which tests that SECURITY.md names are not run by each `make test`, from the marks that keep them out."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.adversary.catalogue import cases
from tests.conftest import WALKS
from tests.docs.pages import ROOT
from tests.mutations.listed import rows_of_security

_WALK = "pytestmark = pytest.mark.in_turn"


def parts() -> dict[str, str]:
    """The generated part of SECURITY.md."""
    lies = [case.id for case in cases() if any(mark.name == "long" for mark in case.marks)]
    left = {
        f"{len(lies)} of the {len(cases())} cases of lies, told under hybrid keys where the lie is about neither adverts nor "
        "key shares": lies,
        f"walks through a whole federation; of all files that have such, each run draws {WALKS}": walks(),
        "some cases of tests with many, others each time or the largest": in_part(),
    }
    lines = [f"* {what}: {', '.join(f'`{name}`' for name in names)}" for what, names in left.items()]
    return {"what make test leaves out": "\n" + ";\n".join(lines) + ".\n\n"}


def walks() -> list[str]:
    """Files that run in their turn, and single tests of other files that do."""
    return sorted({found for test in _named() if (found := _walk(test))})


def _walk(test: str) -> str:
    file = test.partition("::")[0]
    if _WALK in (ROOT / file).read_text(encoding="utf-8").splitlines():
        return file
    return test if "pytest.mark.in_turn" in _marks(test) else ""


def in_part() -> list[str]:
    """Tests of which some cases are left to the long runs, the lies aside; one that is left to them whole has no place here.

    Raises:
        ValueError: A test that no `make test` ever runs is named.
    """
    return [test for test in sorted(_named()) if "[" not in test and _is_in_part(test)]


def _is_in_part(test: str) -> bool:
    marks = _marks(test)
    if "pytest.mark.long" in marks:
        raise ValueError(f"{test} is run in no `make test`.")
    return any("pytest.mark.long" in mark or "pytest.mark.drawn" in mark for mark in marks)


def _marks(test: str) -> list[str]:
    file, _, name = test.partition("[")[0].partition("::")
    return [mark for found, marks in _marks_of(file) if found == name for mark in marks]


@cache
def _marks_of(file: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The tests of a file, each with its marks."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return tuple((node.name, tuple(ast.unparse(mark) for mark in node.decorator_list)) for node in functions)


def _named() -> Iterator[str]:
    yield from {test for tests in rows_of_security().values() for test in tests}
