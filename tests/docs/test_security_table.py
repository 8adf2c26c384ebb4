"""SECURITY.md is true: every module and every test it names is there, and no attack of the threat model is left out."""

import re

import pytest

from tests.docs.pages import ROOT, page, rows
from tests.docs.threats import ANSWERED, attacks, played, rows_against

PAGE = page("SECURITY.md")
THREATS = page("docs/threat-model.md")
CONSEQUENCES = (
    "No code travels",
    "The node decides",
    "Debit before compute",
    "Noise before mask, mask before send",
    "Nothing identifying is read",
    "Nothing at the centre is worth stealing",
)
FEWEST_TESTS = 25


def claims(text: str) -> list[tuple[str, str, str]]:
    """The rows that claim something: what, which module, which tests."""
    return [cells for cells in rows(text) if len(cells) == 3 and cells[1] not in {"Module", "---"}]


def faults(text: str) -> list[str]:
    found = []
    for what, module, tests in claims(text):
        names = re.findall(r"`(tests/[^`]+)`", tests)
        modules = re.findall(r"`([^`]+)`", module)
        found += [] if names and modules else [f"{what}: names no module or no test"]
        found += [f"{what}: {name} is not there" for name in modules if not (ROOT / name).is_file()]
        found += [f"{what}: {name} is not there" for name in names if not _is_there(name)]
    return found


def _is_there(name: str) -> bool:
    path, _, function = name.partition("::")
    file = ROOT / path
    return (
        bool(function)
        and file.is_file()
        and re.search(rf"^(async )?def {function}\(", file.read_text("utf-8"), re.MULTILINE) is not None
    )


def missing(text: str, threats: str) -> list[str]:
    """Attacks of the threat model that no row answers, and what is said to answer one that it does not name."""
    told, named = {what for what, _, _ in claims(text)}, attacks(threats)
    return [
        *(attack for attack in named if not set(ANSWERED.get(attack, (attack,))) <= told),
        *(f"{attack} is no attack of the threat model" for attack in ANSWERED if attack not in named),
    ]


def untried(threats: str) -> list[str]:
    """Adversaries of the first table that no test plays, and tests that are not there or in no row of SECURITY.md."""
    found = []
    for adversary, names in played(threats).items():
        found += [] if names else [f"{adversary}: tried in no test"]
        found += [f"{adversary}: {name} is not there" for name in names if not (ROOT / name).is_file()]
        found += [f"{adversary}: {name} is in no row" for name, held in rows_against(names).items() if not held]
    return found


def test_every_adversary_is_played_by_a_test():
    assert untried(THREATS) == []
    assert untried(THREATS.replace("`tests/adversary/test_lies.py`", "`tests/adversary/test_truths.py`")) == [
        "Malicious coordinator: tests/adversary/test_truths.py is not there",
        "Malicious coordinator: tests/adversary/test_truths.py is in no row",
    ]
    in_no_row = THREATS.replace("`tests/adversary/test_lies.py`", "`tests/docs/test_security_table.py`")
    assert untried(in_no_row) == ["Malicious coordinator: tests/docs/test_security_table.py is in no row"]
    without = re.sub(r"`tests/property/\S+`, `tests/unit/\S+`", "", THREATS)
    assert untried(without) == ["Analyst: tried in no test"]


def test_every_module_and_test_is_there():
    assert faults(PAGE) == []
    assert len(set(re.findall(r"`(tests/[^`]+)`", PAGE))) >= FEWEST_TESTS


def test_every_attack_of_the_threat_model_has_its_test():
    assert len(played(THREATS)) == 6
    assert len(attacks(THREATS)) > 30
    assert missing(PAGE, THREATS) == []


@pytest.mark.parametrize("consequence", CONSEQUENCES)
def test_every_consequence_of_the_design_has_its_test(consequence):
    assert any(what.startswith(consequence) for what, _, _ in claims(PAGE))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("::test_every_byte_matters", "::test_every_byte_is_idle", "test_every_byte_is_idle is not there"),
        (
            "test_secagg_tampering.py",
            "test_secagg_gone.py",
            "test_secagg_gone.py::test_every_byte_matters is not there",
        ),
        ("`protocols/wire/codec.py`", "`protocols/wire/codex.py`", "codex.py is not there"),
        ("`protocols/wire/codec.py`", "", "names no module"),
    ],
)
def test_a_false_claim_is_found(old, new, fault):
    assert old in PAGE
    assert any(fault in found for found in faults(PAGE.replace(old, new)))


def test_an_attack_left_out_is_found():
    assert missing(PAGE, THREATS.replace("| Replay |", "| Replay of tapes |")) == ["Replay of tapes"]
    assert missing(PAGE.replace("| Web pages: nobody is sent elsewhere", "| Web pages: somebody is"), THREATS) == [
        "A link that leads elsewhere after signing in"
    ]
    other = THREATS.replace("| Finding out which names exist |", "| Finding out who exists |")
    assert missing(PAGE, other) == [
        "Finding out who exists",
        "Finding out which names exist is no attack of the threat model",
    ]
