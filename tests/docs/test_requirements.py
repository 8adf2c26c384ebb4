"""Every requirement has one row, and every row is true: the tests and pages it names are there."""

import re

import pytest

from tests.docs.pages import ROOT, anchors, links, page, rows

NUMBERS = range(1, 106)
STATUSES = ("tested", "documented", "planned", "refused")
WORK = (
    "The questions analysts ask",
    "A service people use",
    "Against a hostile world",
)
SHORTEST_REASON = 20
PAGE = page("docs/requirements.md")


def faults(text: str) -> list[str]:
    """What is wrong with a page of requirements, one line each."""
    found = [cells for cells in rows(text) if re.fullmatch(r"R\d+", cells[0])]
    numbers = [int(cells[0][1:]) for cells in found]
    problems = [f"R{number} is missing" for number in NUMBERS if number not in numbers]
    problems += [f"R{number} is there twice" for number in set(numbers) if numbers.count(number) > 1]
    problems += [f"R{number} does not exist" for number in numbers if number not in NUMBERS]
    for cells in found:
        problems += [f"{cells[0]}: {problem}" for problem in _row_faults(cells)]
    return problems


def _row_faults(cells: tuple[str, ...]) -> list[str]:
    if len(cells) != 4 or not cells[1]:
        return ["needs number, need, status and where"]
    _, _, status, where = cells
    match status:
        case "tested":
            tests = re.findall(r"`(tests/[^`]+)`", where)
            missing = [name for name in tests if not (ROOT / name).is_file() or not _holds_tests(name)]
            return [f"{name} holds no test" for name in missing] + ([] if tests else ["names no test"])
        case "documented":
            pages = links(where)
            return [f"{target} is not there" for target in pages if not _is_there(target)] + (
                [] if pages else ["names no page"]
            )
        case "planned":
            return [] if any(f"*{work}*" in where for work in WORK) else ["names no piece of further work"]
        case "refused":
            return [] if len(where) >= SHORTEST_REASON else ["gives no reason"]
        case _:
            return [f"status is '{status}', expected one of {', '.join(STATUSES)}"]


def _holds_tests(name: str) -> bool:
    return re.search(r"^\s*(async )?def test_", page(name), re.MULTILINE) is not None


def _is_there(target: str) -> bool:
    name, _, heading = target.partition("#")
    file = ROOT / "docs" / name
    return file.is_file() and (not heading or heading in anchors(file.read_text(encoding="utf-8")))


def test_every_requirement_has_one_true_row():
    assert faults(PAGE) == []


def test_the_further_work_is_introduced():
    introduction = PAGE.split("\n## ", maxsplit=1)[0]
    assert [work for work in WORK if f"*{work}*" not in introduction] == []


def _replaced(old: str, new: str) -> str:
    assert old in PAGE
    return PAGE.replace(old, new)


def _row(number: int) -> str:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| R{number} |")]
    return line


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (_replaced(_row(42) + "\n", ""), "R42 is missing"),
        (_replaced(_row(42), _row(42) + "\n" + _row(42)), "R42 is there twice"),
        (_replaced(_row(42), _row(42) + "\n" + _row(42).replace("R42", "R106")), "R106 does not exist"),
        (_replaced("test_manifest_wording.py", "test_manifest_phrasing.py"), "test_manifest_phrasing.py holds no test"),
        (_replaced("`tests/docs/test_plain_english.py`", "`tests/docs/pages.py`"), "pages.py holds no test"),
        (_replaced(_row(25), "| R25 | Vague purposes refused | tested | everywhere |"), "R25: names no test"),
        (_replaced("guides/council-it.md#join", "guides/council-it.md#jive"), "guides/council-it.md#jive is not there"),
        (_replaced("[index](README.md)", "[index](CONTENTS.md)"), "CONTENTS.md is not there"),
        (_replaced("[analyst guide](guides/analyst.md#what-cannot-be-asked)", "the guide"), "names no page"),
        (_replaced(_row(42), "| R42 | Calendar | planned | some day |"), "R42: names no piece of further work"),
        (_replaced(_row(88), "| R88 | Announce it | refused | no |"), "R88: gives no reason"),
        (_replaced(_row(42), "| R42 | Calendar | done | |"), "status is 'done'"),
        (_replaced(_row(42), "| R42 | Calendar |"), "needs number, need, status and where"),
    ],
)
def test_a_broken_page_is_found(broken, problem):
    assert any(problem in found for found in faults(broken)), faults(broken)
