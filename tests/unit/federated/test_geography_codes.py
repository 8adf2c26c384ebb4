"""Codes that changed: what the installed history says, what it leaves open, and what a roster makes of it."""

import contextlib
import json
import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federated.cli import app
from federated.errors import FileProblem, QueryError
from federated.geography import changes_in_words, load_code_history
from federated.keys import make_key, write_private_key
from federated.plan import derive_plan
from federated.plan_summary import summarise
from federated.privacy import Mechanism
from federated.query import Period
from federated.roster import check_follows, parse_roster
from federated.schema import load_schema
from federated.schema.code_history import parse_code_history
from tests.unit.federated import planning
from tests.unit.federated.test_roster_rules import document

HEADER = "successor,name,predecessor,change,since,source,licence"
OLD, RECODED = "E08000016", "E08000038"
END = ",project-research,Apache-2.0"


def history(*lines):
    return parse_code_history("\n".join([HEADER, *(f"{line}{END}" for line in lines)]))


MERGED = history(
    "E06000091,Merged,E07000001,merger,2021-04-01",
    "E06000091,Merged,E07000002,merger,2021-04-01",
    "E06000092,Merged again,E06000091,recode,2023-04-01",
)


def test_barnsley_and_sheffield_got_new_codes_in_april_2025():
    known = load_code_history()
    assert known.predecessors("E08000038") == {"E08000016"}
    assert known.successors("E08000019") == {"E08000039"}
    assert known.same_authority("E08000016", "E08000038")
    assert not known.same_authority("E08000016", "E08000039")
    assert known.at(OLD, date(2025, 3, 31)) == known.at(RECODED, date(2025, 3, 31)) == {OLD}
    assert known.at(OLD, date(2025, 4, 1)) == known.at(RECODED, date(2025, 4, 1)) == {RECODED}


def test_a_council_may_join_under_its_new_code():
    schema = load_schema()
    assert schema.council(RECODED).region == schema.council(OLD).region
    assert schema.council(RECODED).name == "Barnsley"
    assert len(schema.councils) == 296
    with pytest.raises(QueryError, match="no council with the code 'E08000099'"):
        schema.council("E08000099")


def test_every_row_names_its_source_and_its_licence():
    rows = load_code_history().changes
    assert {(row.source, row.licence) for row in rows} == {
        ("statutory-homelessness-2025", "OGL-UK-3.0"),
        ("project-research", "Apache-2.0"),
    }
    schema = load_schema()
    assert all(row.successor in schema.councils or row.successor in schema.recoded for row in rows)


def test_codes_that_no_source_holds_are_not_made_up():
    known = load_code_history()
    assert known.predecessors("E06000066") == frozenset()
    assert known.at("E06000066", date(2020, 1, 1)) == frozenset()
    assert known.at("E06000066", date(2024, 1, 1)) == {"E06000066"}


def test_a_code_at_a_date_follows_mergers_both_ways():
    both = {"E07000001", "E07000002"}
    assert MERGED.at("E06000092", date(2020, 1, 1)) == both
    assert MERGED.at("E06000091", date(2020, 1, 1)) == both
    assert MERGED.at("E07000001", date(2022, 1, 1)) == {"E06000091"}
    assert MERGED.at("E07000002", date(2024, 1, 1)) == {"E06000092"}
    assert MERGED.at("E09000001", date(2024, 1, 1)) == {"E09000001"}
    assert not MERGED.same_authority("E07000001", "E06000091")
    assert MERGED.same_authority("E06000091", "E06000092")


def test_a_period_that_spans_a_change_is_told_in_words():
    start = date(2025, 1, 1)
    (recoded,) = changes_in_words([OLD, "E06000001"], start, date(2025, 6, 30))
    assert "Barnsley changed its code from E08000016 to E08000038 on 2025-04-01" in recoded
    assert changes_in_words([OLD], start, date(2025, 3, 31)) == []
    assert changes_in_words([RECODED], date(2025, 4, 1), date(2025, 6, 30)) == []
    assert changes_in_words(["E06000001"], start, date(2025, 6, 30)) == []
    (merged,) = changes_in_words(["E06000066"], date(2022, 1, 1), date(2024, 12, 31))
    assert "Somerset (E06000066) took the place of councils whose codes are not held here in 2023" in merged


def test_a_plan_says_which_councils_changed_inside_its_period():
    period = Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 6, 30))
    plan = derive_plan(
        planning.question(period=period),
        agreement=planning.agreement(),
        roster=planning.roster(),
        schema=load_schema(),
        mechanism=Mechanism.DISCRETE_LAPLACE,
        terms=planning.terms(),
    )
    assert summarise(plan).code_changes == ()
    with_barnsley = replace(plan, group=plan.group.model_copy(update={"councils": (*plan.eligible[1:], OLD)}))
    (said,) = summarise(with_barnsley).code_changes
    assert said.startswith("Barnsley changed its code")
    assert said in summarise(with_barnsley).lines


@pytest.mark.parametrize(
    "lines",
    [
        ["E06000091,Merged,E07000001,merger,soon"],
        ["E06000091,Merged,E07000001,split,2021-04-01"],
        ["E06000091,Merged,E1,merger,2021-04-01"],
        ["E06000091,Merged,,recode,2021-04-01"],
        ["E06000091,,E07000001,merger,2021-04-01"],
        ["E06000091,Merged,E07000001,merger,2021-04-01"] * 2,
        ["E06000091,A,E07000001,recode,2021-04-01", "E06000092,B,E07000001,recode,2021-04-01"],
        ["E06000091,A,E06000092,recode,2021-04-01", "E06000092,B,E06000091,recode,2022-04-01"],
    ],
)
def test_a_damaged_list_is_refused(lines):
    with pytest.raises(FileProblem, match=r"federated/schema/code_history\.csv"):
        history(*lines)


def test_a_row_without_a_known_source_is_refused():
    with pytest.raises(FileProblem, match="line 2"):
        parse_code_history(f"{HEADER}\nE06000091,A,E07000001,recode,2021-04-01,hearsay,none")


# What a roster makes of it


def roster_of(*entries):
    councils = document()["councils"]
    for entry, changes in zip(councils, entries, strict=False):
        entry.update(changes)
    return parse_roster(json.dumps(document(councils=councils)).encode())


BEFORE = {"valid_from": "2026-01-01", "valid_to": "2026-02-10"}
SINCE = {"valid_from": "2026-02-11", "valid_to": "2026-12-31"}


def test_a_roster_may_say_who_succeeds_whom():
    roster = roster_of({"id": OLD, **BEFORE}, {"id": RECODED, **SINCE, "succeeds": [OLD]})
    assert roster.councils[RECODED].succeeds == (OLD,)
    assert roster.councils[OLD].succeeds == ()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (({"id": OLD, **BEFORE}, {"id": RECODED, **SINCE}), f"list {OLD} under succeeds of {RECODED}"),
        (({"id": OLD}, {"id": RECODED, **SINCE, "succeeds": [OLD]}), "must stop before its successor starts"),
        (({"id": RECODED, "succeeds": [OLD]},), f"does not list {OLD}"),
        (({"id": RECODED, "succeeds": [RECODED]},), "as its own predecessor"),
    ],
)
def test_a_roster_that_would_forget_or_ask_twice_is_refused(entries, said):
    with pytest.raises(FileProblem, match=said):
        roster_of(*entries)


def test_one_day_of_overlap_is_too_much():
    day = (date.fromisoformat(BEFORE["valid_to"]) + timedelta(days=1)).isoformat()
    with pytest.raises(FileProblem, match="must stop before"):
        roster_of({"id": OLD, **BEFORE, "valid_to": day}, {"id": RECODED, **SINCE, "succeeds": [OLD]})


# What a roster makes of the one before it

JOINED = "E06000091"
"""A code that no list of old codes knows."""


def follows(before, after, *, begins="2026-03-01"):
    new = replace(roster_of(*after), not_before=date.fromisoformat(begins))
    check_follows(roster_of(*before), new)


@pytest.mark.parametrize("successor", [RECODED, JOINED])
@pytest.mark.parametrize(
    ("after", "said"),
    [
        (({"id": "E06000003"}, {"id": "SUCCESSOR", **SINCE}), f"leaves out the council {OLD}"),
        (({"id": "E06000003"}, {"id": "E06000001"}), f"leaves out the council {OLD}"),
    ],
)
def test_a_list_that_drops_a_council_whose_place_another_took_this_year_is_refused(successor, after, said):
    before = ({"id": OLD, **BEFORE}, {"id": successor, **SINCE, "succeeds": [OLD]})
    after = [entry | {"id": successor if entry["id"] == "SUCCESSOR" else entry["id"]} for entry in after]
    with pytest.raises(FileProblem, match=said) as refused:
        follows(before, after)
    assert "with its last day, until the year after" in refused.value.remedy
    follows(before, after, begins="2027-01-01")  # budgets are of calendar years


def test_a_list_that_drops_the_line_that_names_a_predecessor_is_refused():
    before = ({"id": OLD, **BEFORE}, {"id": JOINED, **SINCE, "succeeds": [OLD]})
    with pytest.raises(FileProblem, match=f"does not name under succeeds of {JOINED} the council {OLD}"):
        follows(before, ({"id": OLD, **BEFORE}, {"id": JOINED, **SINCE}))
    follows(before, before)


def test_a_council_that_takes_the_place_of_one_dropped_at_that_moment_is_known_by_its_code():
    for after in (({"id": RECODED, **SINCE},), ({"id": "E06000003"},)):  # the second leaves room for it to come later
        with pytest.raises(FileProblem, match=f"whose place {RECODED} takes"):
            follows(({"id": OLD, **BEFORE},), after)
    follows(({"id": OLD, **BEFORE},), ({"id": OLD, **BEFORE}, {"id": RECODED, **SINCE, "succeeds": [OLD]}))


def test_a_council_that_nobody_succeeds_may_leave_at_once_and_so_may_one_of_an_earlier_year():
    follows(({"id": "E06000005"},), ({"id": "E06000003"},))
    ended, later = {"valid_from": "2025-06-01", "valid_to": "2025-12-31"}, {"id": RECODED, **SINCE}
    follows(({"id": OLD, **ended}, later | {"succeeds": [OLD]}), (later,))
    # A list of the last days of a year: what takes the place begins with the year after, and with a budget of its own.
    next_year = {"id": JOINED, "valid_from": "2027-01-01", "valid_to": "2027-12-31"}
    follows(({"id": "E06000005", **BEFORE}, next_year | {"succeeds": ["E06000005"]}), (next_year,))


def test_the_command_that_signs_refuses_such_a_list_against_the_one_before(tmp_path):
    councils = document()["councils"]
    councils[0].update({"id": OLD, **BEFORE})
    councils[1].update({"id": RECODED, **SINCE, "succeeds": [OLD]})
    (tmp_path / "before.yaml").write_text(json.dumps(document(councils=councils)), encoding="utf-8")
    tidied = document(councils=[{name: v for name, v in councils[1].items() if name != "succeeds"}], epoch=5)
    (tmp_path / "after.yaml").write_text(json.dumps(tidied), encoding="utf-8")
    write_private_key(tmp_path / "mine.key", make_key(random.Random(7).randbytes))
    line = ["roster", "sign", "after.yaml", "--key", "mine.key", "--out", "signed.dsse", "--previous", "before.yaml"]
    with contextlib.chdir(tmp_path):
        refused = CliRunner().invoke(app, line, input="y\n")
        assert isinstance(refused.exception, FileProblem)
        assert not Path("signed.dsse").exists()
        signed = CliRunner().invoke(app, [*line[:-1], "after.yaml"], input="y\n")
        assert signed.exit_code == 0, signed.output
