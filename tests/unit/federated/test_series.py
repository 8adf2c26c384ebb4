"""Standing questions: which periods they ask about and when, what may be in one, and that none is asked twice."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from council_node.standing_approvals import repeat_digest
from federated.agreement import parse_agreement
from federated.commands.standing import series_words
from federated.errors import FileProblem, PolicyRefusal, QueryError, SignatureProblem, TransportError
from federated.keys import make_key, public_line
from federated.manifest import check_manifest, open_manifest, parse_manifest
from federated.query import parse_query
from federated.schema import load_schema
from federated.series import Series, Standing, costs_by_year, open_series, repeats, sign_series, standings
from federated.signing import sign_payload, sign_statement
from federated.standing_run import Journal, Kept, run_series, states_of
from protocols.encoding import sha256

EXAMPLES = Path(__file__).parent / "examples"
ANN, BOB = (make_key(random.Random(number).randbytes) for number in (1, 2))
NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)
QUESTION = """
query: 1
title: Families who lost a private tenancy
dataset: case
unit: household
group: north-east
period: {column: assessment_date, from: 2026-01-01, to: 2026-01-31}
epsilon: "1/4"
tables:
  - {name: kinds, count: households, by: [household_type]}
"""


def agreement():
    document = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())
    document["analysts"][0]["public_key"] = public_line(ANN.public)
    return parse_agreement(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode())


AGREEMENT = agreement()


def manifest(**changes):
    document = yaml.safe_load((EXAMPLES / "manifest.yaml").read_bytes()) | changes
    return parse_manifest(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode())


def series(question=QUESTION, **changes):
    fields = {
        "id": "lost-tenancies-2026",
        "edition": 1,
        "agreement": AGREEMENT.id,
        "question": parse_query(question.encode()),
        "manifest": manifest(),
        "wait_days": 20,
        "until": date(2026, 7, 1),
        "signed_at": NOW,
    }
    return Series(**(fields | changes))


def quarterly(start="2026-01-01", end="2026-03-31", **changes):
    asked = QUESTION.replace("2026-01-01", start).replace("2026-01-31", end)
    return series(asked, manifest=manifest(frequency="quarterly"), **changes)


def test_a_series_that_begins_long_ago_is_refused_before_its_repeats_are_made(monkeypatch):
    """A monthly one from the year 1480 would have more than six thousand, each on the public pages."""
    assert len(repeats(series(QUESTION.replace("2026-01", "2023-07"), until=date(2026, 7, 31)))) == 36
    made = []
    monkeypatch.setattr("federated.series.Repeat", lambda **fields: made.append(fields))
    for first in ("2023-05", "1480-01"):
        with pytest.raises(QueryError, match="more than 36 times"):
            series(QUESTION.replace("2026-01", first), until=date(2026, 7, 31))
    assert len(made) == 2 * 37


# What it asks, and when


def test_each_whole_period_is_asked_about_once_it_is_over_and_the_wait_is():
    found = [(item.period.start, item.period.end, item.due) for item in repeats(series())]
    assert found == [
        (date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 21)),
        (date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 21)),
        (date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 21)),
        (date(2026, 4, 1), date(2026, 4, 30), date(2026, 5, 21)),
        (date(2026, 5, 1), date(2026, 5, 31), date(2026, 6, 21)),
    ]
    quarters = repeats(quarterly("2025-10-01", "2025-12-31", until=date(2026, 12, 31)))
    assert [item.period.end for item in quarters] == [
        date(2025, 12, 31), date(2026, 3, 31), date(2026, 6, 30), date(2026, 9, 30),
    ]  # fmt: skip


def test_the_costs_of_all_repeats_are_stated():
    made = series()
    assert made.epsilon_sum == Fraction(5, 4)
    assert (made.canonical()["epsilon_each"], made.canonical()["epsilon_sum"]) == ("1/4", "5/4")


def test_the_costs_of_a_year_are_those_of_the_repeats_that_are_asked_in_it():
    over_new_year = quarterly("2025-10-01", "2025-12-31", wait_days=30, until=date(2027, 1, 31))
    assert costs_by_year(over_new_year) == {2026: Fraction(1), 2027: Fraction(1, 4)}
    # Three of these quarters were over before the series was signed: none of them was asked in 2025.
    late = quarterly("2025-01-01", "2025-03-31", until=date(2026, 7, 31))
    assert [item.due.year for item in repeats(late)] == [2025, 2025, 2025, 2026, 2026, 2026]
    assert costs_by_year(late) == {2026: Fraction(6, 4)}
    assert costs_by_year(late, {1: 2025, 2: 2025}) == {2025: Fraction(1, 2), 2026: Fraction(1)}


def test_a_series_is_told_year_by_year_and_refused_where_one_year_alone_is_too_much():
    two_years = quarterly("2025-10-01", "2025-12-31", wait_days=30, until=date(2027, 1, 31))
    assert "all of them together 5/4: 1 in 2026, 1/4 in 2027. The agreement allows 4 in a calendar year." in " ".join(
        series_words(two_years, AGREEMENT)
    )
    dear = replace(two_years, question=replace(two_years.question, epsilon=Fraction(1)))
    assert "5: 4 in 2026, 1 in 2027" in " ".join(series_words(dear, AGREEMENT))
    late = quarterly("2025-07-01", "2025-09-30", wait_days=30, until=date(2027, 1, 31))
    late = replace(late, question=replace(late.question, epsilon=Fraction(1)))
    with pytest.raises(QueryError, match="Its repeats of 2026 would cost epsilon 5 together; the agreement allows 4"):
        series_words(late, AGREEMENT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"until": date(2027, 2, 3)}, "lapses after a year"),
        ({"until": date(2026, 2, 10)}, "No period"),
        ({"wait_days": -1}, "waits from 0"),
        ({"wait_days": 366}, "waits from 0"),
        ({"manifest": manifest(frequency="once")}, "asked once"),
        ({"manifest": manifest(frequency="quarterly")}, "asked quarterly"),
    ],
)
def test_a_series_that_no_council_could_foresee_is_refused(changes, said):
    with pytest.raises(QueryError, match=said):
        series(**changes)


def test_a_series_may_run_for_a_year_to_the_day():
    assert series(until=date(2027, 2, 2)).until == (NOW + timedelta(days=366)).date()


def test_every_repeat_is_what_a_council_calls_a_repeat():
    made = series()
    digests = set()
    for repeat in repeats(made):
        explained = repeat.manifest(made, today=repeat.due, decision_days=14)
        opened = open_manifest(sign_payload(explained, "application/vnd.federated.manifest+yaml", [ANN]), AGREEMENT.analyst_keys, NOW)  # fmt: skip
        check_manifest(opened, AGREEMENT)
        assert opened.collect_by == repeat.due + timedelta(days=14)
        assert opened.version == repeat.number
        assert opened.expires_on >= made.until
        digests.add(repeat_digest(repeat.question, opened, AGREEMENT))
    assert len(digests) == 1
    assert digests == {repeat_digest(made.question, made.manifest, AGREEMENT)}
    other = parse_manifest(explained.replace(b"evening", b"morning"))
    assert repeat_digest(repeat.question, other, AGREEMENT) not in digests


def test_where_each_repeat_stands():
    made = series()
    found = standings(made, {1: "released"}, date(2026, 3, 21))
    assert [item.standing for item in found] == [Standing.ASKED, Standing.DUE, *[Standing.WAITS] * 3]
    after = standings(made, {1: "released"}, date(2026, 7, 2))
    assert [item.standing for item in after] == [Standing.ASKED, *[Standing.MISSED] * 4]


# As it is signed


def test_a_signed_series_opens_as_the_same():
    assert open_series(sign_series(series(), ANN), AGREEMENT).canonical() == series().canonical()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon_sum", "1"),
        ("epsilon_each", "1/8"),
        ("repeats", [["2026-01-01", "2026-02-21"]]),
        ("until", "2028-01-01"),
        ("agreement", "another"),
        ("id", "another"),
        ("wait_days", "20"),
        ("more", 1),
        ("question", "query: 1"),
        ("manifest", 7),
    ],
)
def test_a_series_that_says_what_does_not_follow_is_refused(field, value):
    body = series().canonical() | {field: value}
    with pytest.raises(SignatureProblem):
        open_series(sign_statement("series", body, ANN), AGREEMENT)


def test_a_series_is_signed_by_an_analyst_and_within_the_agreement():
    with pytest.raises(SignatureProblem):
        open_series(sign_series(series(), BOB), AGREEMENT)
    dear = series(QUESTION.replace('"1/4"', '"2"'))
    with pytest.raises(PolicyRefusal) as refusal:
        open_series(sign_series(dear, ANN), AGREEMENT)
    assert refusal.value.rule == "max_epsilon_per_query"


# Asking


class Remote:
    """A coordinator and the client that speaks with it: what was handed in, and what it says it knows."""

    def __init__(self):
        self.handed_in = []
        self.told = []
        self.planned = 0
        self.breaks = False

    def questions(self):
        return list(self.told)

    def plan(self, question, *, agreement, manifest, trusted):
        self.planned += 1
        digest = sha256(question.digest(load_schema().digest) + bytes([self.planned]))
        terms = SimpleNamespace(collect_by=self.now + timedelta(days=14))
        return SimpleNamespace(digest=digest, terms=terms, question=question, encode=lambda: digest)

    def sign(self, plan, manifest):
        return b"signed " + plan.digest, manifest

    def hand_in(self, plan, manifest):
        self.handed_in.append((plan, manifest))
        if self.breaks:
            raise TransportError("The line broke.")
        return SimpleNamespace(message="The plan is accepted.")

    def knows(self, question, state, agreement=AGREEMENT.id):
        digest = question.digest(load_schema().digest)
        self.told.insert(0, SimpleNamespace(query_digest=digest, plan_digest=sha256(b"p"), agreement_id=agreement, state=state))  # fmt: skip

    def run(self, made, folder, now):
        self.now, said = now, []
        trusted = SimpleNamespace(agreements={AGREEMENT.id: AGREEMENT})
        run_series(self, made, Journal(folder), trusted=trusted, now=now, tell=said.append)
        return said


def at(month, day):
    return datetime(2026, month, day, 3, tzinfo=UTC)


def test_what_is_due_is_asked_and_what_is_not_is_not(tmp_path):
    remote = Remote()
    assert remote.run(series(), tmp_path / "asked", at(2, 20)) == []
    [only] = remote.run(series(), tmp_path / "asked", at(2, 21))
    assert only.asked
    assert len(remote.handed_in) == 1
    remote.knows(repeats(series())[0].question, "collecting")
    again = remote.run(series(), tmp_path / "asked", at(3, 21))
    assert [(told.asked, told.repeat.number) for told in again] == [(False, 1), (True, 2)]
    assert len(remote.handed_in) == 2


@pytest.mark.parametrize("state", ["released", "refused", "failed", "expired", "withdrawn", "running"])
def test_what_was_asked_is_never_asked_again_whatever_became_of_it(tmp_path, state):
    remote = Remote()
    remote.knows(repeats(series())[0].question, state)
    for folder in ("asked", "another computer"):
        [told] = remote.run(series(), tmp_path / folder, at(2, 25))
        assert (told.asked, state in told.said) == (False, True)
    assert (remote.handed_in, remote.planned) == ([], 0)


def test_the_same_question_under_another_agreement_is_another(tmp_path):
    remote = Remote()
    remote.knows(repeats(series())[0].question, "released", agreement="another")
    assert states_of(series(), remote.told) == {}
    assert remote.run(series(), tmp_path, at(2, 25))[0].asked


def test_a_coordinator_that_forgets_is_sent_the_very_same_plan(tmp_path):
    remote = Remote()
    for day in (21, 22, 23):
        remote.run(series(), tmp_path, at(2, day))
    assert len(remote.handed_in) == 3
    assert len(set(remote.handed_in)) == 1
    assert remote.planned == 1


def test_a_plan_that_was_cut_off_is_sent_again_unchanged_and_not_after_its_time(tmp_path):
    remote = Remote()
    remote.breaks = True
    with pytest.raises(TransportError):
        remote.run(series(), tmp_path, at(2, 21))
    remote.breaks = False
    assert remote.run(series(), tmp_path, at(2, 28))[0].asked
    assert len(set(remote.handed_in)) == 1
    [late] = remote.run(series(), tmp_path, at(3, 20))
    assert not late.asked
    assert "not signed again" in late.said
    assert remote.planned == 1


def test_one_that_fails_does_not_hold_up_the_others(tmp_path):
    remote, made = Remote(), series()
    first = repeats(made)[0].question.digest(load_schema().digest)
    (tmp_path / f"{first.hex()}.json").write_text("{}")
    with pytest.raises(FileProblem, match="asked"):
        remote.run(made, tmp_path, at(3, 21))
    assert len(remote.handed_in) == 1


def test_nothing_is_asked_after_its_last_day(tmp_path):
    remote = Remote()
    assert len(remote.run(series(), tmp_path / "1", at(7, 1))) == 5
    remote.handed_in.clear()
    with pytest.raises(PolicyRefusal) as refusal:
        remote.run(series(), tmp_path / "2", at(7, 2))
    assert refusal.value.rule == "series_lapsed"
    assert remote.handed_in == []


def test_a_series_dated_ahead_asks_nothing(tmp_path):
    remote = Remote()
    ahead = series(signed_at=at(5, 1))
    with pytest.raises(PolicyRefusal) as refusal:
        remote.run(ahead, tmp_path, at(4, 25))
    assert refusal.value.rule == "series_dates"
    assert remote.handed_in == []
    assert remote.run(ahead, tmp_path, at(5, 1))


def test_of_two_runs_at_once_the_first_plan_on_the_disk_counts(tmp_path):
    question = sha256(b"question")
    mine, theirs = (
        Kept(plan_digest=sha256(name), collect_by=NOW, plan=name, manifest=b"m") for name in (b"mine", b"theirs")
    )
    assert Journal(tmp_path).keep(question, theirs) == theirs
    assert Journal(tmp_path).keep(question, mine) == theirs
    assert Journal(tmp_path).get(question) == theirs
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_record_of_another_question_is_not_believed(tmp_path):
    kept = Kept(plan_digest=sha256(b"p"), collect_by=NOW, plan=b"p", manifest=b"m")
    one, other = sha256(b"one"), sha256(b"other")
    Journal(tmp_path).keep(one, kept)
    (tmp_path / f"{one.hex()}.json").rename(tmp_path / f"{other.hex()}.json")
    with pytest.raises(FileProblem, match="not known whether"):
        Journal(tmp_path).get(other)


def test_a_reviewed_edition_does_not_ask_again_what_the_first_asked(tmp_path):
    remote = Remote()
    remote.run(series(), tmp_path, at(2, 21))
    remote.knows(repeats(series())[0].question, "released")
    later = replace(series(), edition=2, signed_at=at(2, 22), until=date(2026, 12, 31))
    assert [told.asked for told in remote.run(later, tmp_path, at(2, 23))] == [False]
