"""Pages of governance over a real store: versions, repeats, calendar, standing questions, remarks, minutes, measures."""

import html
import json
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
import yaml

from coordinator.console import suggestions
from coordinator.console.board import MEETINGS_READ
from coordinator.proposal_states import OPEN
from coordinator.store import AgreementRow, RoundRow
from coordinator.store.records import row_values
from coordinator.store.releases import ReleaseBook
from coordinator.store.tables import releases, rounds
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.manifest import MANIFEST_TYPE
from federated.series import repeats
from federated.signing import sign_payload, unsafe_payload
from protocols.encoding import sha256
from tests.integration.console_world import console_world, suggest
from tests.integration.coordinator_federation import ANALYST, CEM, DEE, REVIEWER, make_agreement
from tests.integration.governance_papers import comment, keep_series, meeting, outcome, standing_series
from tests.unit.federated.test_calendar import read


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("governance")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(world):
    with world.served() as served:
        yield served


@pytest.fixture(scope="module")
def opened(world):
    """The agreement's figures are public, and the days for comments are over."""
    with world.served(publish=(world.agreement,), later_days=15) as served:
        yield served


def said(reply):
    """What a page says, without its marks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", reply.text)).split())


def keep_agreement(world, envelope):
    digest = sha256(unsafe_payload(envelope, AGREEMENT_TYPE))
    agreement = parse_agreement(unsafe_payload(envelope, AGREEMENT_TYPE))
    row = AgreementRow(digest=digest, agreement_id=agreement.id, envelope=envelope, added_at=world.federation.now())
    world.federation.store.membership.add_agreement(row)
    return digest.hex()


# Versions


def test_a_version_says_what_it_changed_the_looser_first_and_whether_its_signatures_hold(world, closed):
    old = yaml.safe_load(unsafe_payload(make_agreement(world.federation.councils, version=2), AGREEMENT_TYPE))
    old |= {"min_cohort": 7, "decision_days": 13}
    payload = yaml.safe_dump(old, sort_keys=False, allow_unicode=True).encode()
    earlier = keep_agreement(world, sign_payload(payload, AGREEMENT_TYPE, [CEM, DEE]))
    current = world.federation.agreement.digest.hex()
    assert f'href="/agreements/{earlier}"' in closed.ask("/agreements").text
    page = closed.ask(f"/agreements/{current}")
    assert f'href="/agreements/{earlier}"' in page.text
    told = said(page)
    assert "Wider or looser Changed – min cohort: it was 7, it is now 5." in told
    assert told.index("min cohort: it was") < told.index("decision days: it was")
    assert "Holds Signatures." in told
    assert "It is in force" in told
    assert "It is not in force." in said(closed.ask(f"/agreements/{earlier}"))


def test_a_version_with_a_wrong_signature_says_so(world, closed):
    forged = keep_agreement(world, sign_payload(b"# forged\n" + unsafe_payload(make_agreement(world.federation.councils, version=1), AGREEMENT_TYPE), AGREEMENT_TYPE, [ANALYST]))  # fmt: skip
    assert "Does not hold Signatures." in said(closed.ask(f"/agreements/{forged}"))


def test_an_agreement_that_is_not_here_is_not_shown(closed):
    assert closed.ask(f"/agreements/{'0' * 64}").status == 404


# Repeats


def test_a_repeat_is_held_against_the_question_before(world, closed):
    store = world.federation.store
    first = store.proposals.get(bytes.fromhex(world.plans["released"]))
    assert first.manifest_id == "lost-tenancies-2026"
    assert first.return_by is not None
    document = yaml.safe_load(unsafe_payload(first.manifest_envelope, MANIFEST_TYPE))
    document["recipients"].append({"role": "reporters", "body": "The Paper", "type": "commercial"})
    payload = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    repeat = replace(
        store.proposals.get(bytes.fromhex(world.plans["withdrawn"])),
        plan_digest=sha256(b"a repeat"),
        manifest_envelope=sign_payload(payload, MANIFEST_TYPE, [ANALYST]),
        manifest_id=first.manifest_id,
        received_at=world.federation.now() + timedelta(days=1),
    )
    assert store.proposals.add(repeat)
    page = closed.ask(f"/questions/{repeat.plan_digest.hex()}")
    assert "What changed since it was last asked" in page.text
    assert "Wider or looser New – recipients, 'The Paper', body: The Paper." in said(page)
    other = replace(repeat, plan_digest=sha256(b"another"), manifest_id="quite-another")
    assert store.proposals.add(other)
    assert "since it was last asked" not in closed.ask(f"/questions/{other.plan_digest.hex()}").text


# Papers


@pytest.fixture(scope="module")
def remarks(world):
    comment(world, "Rents rose here in <b>March</b>.\nWe agree.", minutes=30)
    comment(world, "Between us: two teams were away.", council=1, publish=False, minutes=50)
    outcome(world, "Two desks moved.")


@pytest.mark.usefixtures("remarks")
def test_what_was_said_of_an_answer_is_shown_to_whoever_may_see_its_figures(world, closed, opened):
    address = f"/releases/{world.release}"
    public, party = opened.ask(address), closed.ask(address, who="analyst")
    assert "Rents rose here in &lt;b&gt;March&lt;/b&gt;." in public.text
    assert "Two desks moved." in said(public)
    assert "two teams were away" not in public.text
    assert "two teams were away" in party.text
    for nobody in (closed.ask(address), closed.ask(address, who="stranger")):
        assert "Rents rose" not in nobody.text
        assert "desks moved" not in nobody.text
    # Several of one second stand in no order of their own; one that another test hid has no text.
    found = [item for item in json.loads(opened.ask(f"{address}/remarks.json").body)["remarks"] if item["text"]]
    assert sorted((item["kind"], item["text"]) for item in found) == [
        ("comment", ["Rents rose here in <b>March</b>.", "We agree."]),
        ("outcome", ["Two desks moved."]),
    ]
    assert closed.ask(f"{address}/remarks.json").status == 403
    theirs = json.loads(closed.ask(f"{address}/remarks.json", who="reviewer").body)["remarks"]
    assert sum(item["text"] != [] for item in theirs) == 3


@pytest.mark.usefixtures("remarks")
def test_the_method_note_has_what_was_said_for_everybody_and_changes_with_it(world, closed):
    address = f"/releases/{world.release}/method-note.html"
    before = said(closed.ask(address, who="analyst"))
    assert "Rents rose here in <b>March</b>. We agree." in before
    assert "what changed as a result: Two desks moved." in before
    assert "two teams were away" not in before  # a file is passed on
    digest = comment(world, "It was the Smiths of 4 Mill Lane.", council=3)
    assert "Mill Lane" in said(closed.ask(address, who="analyst"))
    world.federation.store.papers.hide(digest, reason="It names a household.", now=world.federation.now(), by="olu")
    after = said(closed.ask(address, who="analyst"))
    assert "Mill Lane" not in after
    assert "It names a household." in after


def test_an_answer_says_that_a_later_one_exists(world, closed):
    store, address = world.federation.store, f"/releases/{world.release}"
    first = store.releases.get(bytes.fromhex(world.release))
    assert "Revised" not in closed.ask(address).text
    for cut_off, agreement, told in (
        ("2026-03-01", world.agreement, True),
        ("2026-01-10", world.agreement, False),
        ("2026-03-01", "another", False),
    ):
        later = replace(
            first,
            digest=sha256(b"later"),
            sid=bytes(31) + b"\7",
            data_cut_off=cut_off,
            agreement_id=agreement,
            created_at=first.created_at + timedelta(days=30),
        )
        with kept_for_a_while(store, later):
            assert store.releases.later_than(later) is None
            page, note = closed.ask(address), closed.ask(f"{address}/method-note.html", who="analyst")
            assert (
                "Revised: there is a later answer to the same question , from records up to 1 March 2026." in said(page)
            ) is told
            assert (f'href="/releases/{later.digest.hex()}"' in page.text) is told
            assert (f"{closed.origin}/releases/{later.digest.hex()}" in note.text) is told


@contextmanager
def kept_for_a_while(store, row):
    """A release in the store, with a round of its own; gone afterwards, as others count what is there."""
    opened = RoundRow(
        sid=row.sid,
        plan_digest=row.plan_digest,
        attempt=9,
        stage="unmask",
        started_at=row.created_at,
        outcome="released",
    )
    with store.engine.begin() as connection:
        connection.execute(rounds.insert().values(row_values(opened)))
        connection.execute(releases.insert().values(row_values(row)))
    yield
    with store.engine.begin() as connection:
        connection.execute(releases.delete().where(releases.c.digest == row.digest.hex()))
        connection.execute(rounds.delete().where(rounds.c.sid == row.sid.hex()))


def test_what_an_operator_hides_leaves_its_reason(world, opened):
    digest = comment(world, "It was the Smiths of 4 Mill Lane.", release=1)
    address = f"/releases/{world.answered[1].digest.hex()}"
    assert "Mill Lane" in opened.ask(address).text
    world.federation.store.papers.hide(digest, reason="It names a household.", now=world.federation.now(), by="olu")
    page = opened.ask(address)
    assert "Mill Lane" not in page.text
    assert "Mill Lane" not in opened.ask(f"{address}/remarks.json").text
    assert re.search(r"Hidden by the operator on \d+ \w+ \d{4}: It names a household\.", said(page))


def test_what_is_not_signed_by_whom_it_names_is_not_shown(world, opened, closed):
    comment(world, "Said by an impostor.", release=1, council=2, key=ANALYST)
    address = f"/releases/{world.answered[1].digest.hex()}"
    assert "impostor" not in opened.ask(address).text
    shown = closed.ask(address, who="reviewer")
    assert "impostor" not in shown.text
    assert "Its signature does not hold" in shown.text


def test_minutes_are_shown_with_who_signed_and_those_without_a_quorum_are_not(world, closed):
    meeting(world, held_on=date(2026, 2, 1), decision="May be put.")
    meeting(world, held_on=date(2026, 1, 1), decision="Never agreed to.", key=ANALYST)
    page = closed.ask("/board")
    assert "Rae &lt;Reviewer&gt;" in page.text
    assert "The benefit is &lt;i&gt;clear&lt;/i&gt;." in page.text
    assert f'href="/questions/{world.plans["released"]}"' in page.text
    assert "Never agreed to." not in page.text
    assert "not signed by enough" in page.text


def test_minutes_of_one_agreement_push_no_other_agreements_off_the_page(world, closed):
    papers, digest = world.federation.store.papers, meeting(world, held_on=date(2026, 1, 8), decision="Put it in May.")
    row = papers.get(digest)
    for number in range(MEETINGS_READ):
        received_at = row.received_at + timedelta(minutes=1 + number)
        other = replace(row, digest=bytes([number]) * 32, agreement_id="another", received_at=received_at)
        assert papers.add(other, limit=999)
    assert "Put it in May." in closed.ask("/board").text


# What councils suggest


def test_a_suggested_question_is_for_everybody_where_its_council_said_so(world, closed):
    quiet = suggest(world, title="Asked between us", reason="We are not sure.", council=1, publish=False).hex()
    listed, page = closed.ask("/suggestions"), closed.ask(f"/suggestions/{world.suggestion}")
    assert "Families by type" in said(listed)
    assert "Rents rose here in &lt;b&gt;March&lt;/b&gt;." in page.text
    assert "1 January 2025 to 31 March 2025" in said(page)
    for who in ("", "stranger", "operator"):
        assert "Asked between us" not in closed.ask("/suggestions", who=who).text
        assert quiet not in closed.ask("/suggestions", who=who).text
        assert closed.ask(f"/suggestions/{quiet}", who=who).status == 404
    for who in ("analyst", "reviewer", "observer"):
        assert "Asked between us" in closed.ask("/suggestions", who=who).text
        assert "We are not sure." in closed.ask(f"/suggestions/{quiet}", who=who).text


def test_suggestions_are_shown_in_parts_both_ways(world, closed, monkeypatch):
    monkeypatch.setattr(suggestions, "SIZE", 2)
    for number in range(5):
        suggest(world, title=f"Of a long list {number}", council=6, publish=number != 2)
    seen, address = [], "/suggestions"
    while address:
        text = closed.ask(address).text
        seen.append(re.findall(r"Of a long list (\d)", text))
        older = re.search(r'href="(/suggestions\?older=[^"]+)"', text)
        address = older and html.unescape(older[1])
        last = text
    assert sorted(number for part in seen for number in part) == ["0", "1", "3", "4"]
    back = closed.ask(html.unescape(re.search(r'href="(/suggestions\?newer=[^"]+)"', last)[1])).text
    assert re.findall(r"/suggestions/([0-9a-f]{64})", back)
    assert re.findall(r"/suggestions/([0-9a-f]{64})", back) != re.findall(r"/suggestions/([0-9a-f]{64})", last)


def test_what_a_suggestion_would_cost_is_for_those_who_may_see_budgets(world, closed):
    address = f"/suggestions/{world.suggestion}"
    for who in ("analyst", "reviewer"):
        assert "Margin of error of a total" in closed.ask(address, who=who).text
    for who in ("", "stranger", "observer", "operator"):
        assert "What it would cost" not in closed.ask(address, who=who).text
    dear = suggest(world, title="A dear question", epsilon=Fraction(3), council=2).hex()
    assert "ε (epsilon) 1 " in said(closed.ask(f"/suggestions/{dear}", who="analyst"))  # the most that is allowed


def test_a_suggestion_that_is_hidden_or_not_signed_by_whom_it_names_is_not_shown(world, closed):
    forged = suggest(world, title="Asked by an impostor", council=3, key=ANALYST).hex()
    for who, status in (("", 404), ("reviewer", 200)):
        page = closed.ask(f"/suggestions/{forged}", who=who)
        assert (page.status, "impostor" in page.text) == (status, False)
    digest = suggest(world, title="About the Smiths of 4 Mill Lane", council=4)
    assert "Mill Lane" in closed.ask("/suggestions").text
    world.federation.store.papers.hide(digest, reason="It names a household.", now=world.federation.now(), by="olu")
    for address in ("/suggestions", f"/suggestions/{digest.hex()}"):
        page = closed.ask(address)
        assert "Mill Lane" not in page.text
        assert re.search(r"Hidden by the operator on \d+ \w+ \d{4}: It names a household\.", said(page))
    assert closed.ask(f"/suggestions/{'0' * 64}").status == 404
    kept = comment(world, "No suggestion.", release=1, council=5)
    assert closed.ask(f"/suggestions/{kept.hex()}", who="reviewer").status == 404


# Calendar and standing questions


@pytest.fixture(scope="module")
def standing(world):
    newer = standing_series(world)
    keep_series(world, replace(newer, edition=1, until=date(2026, 6, 30)))
    keep_series(world, newer)
    forged = replace(newer, edition=9, question=replace(newer.question, title="A forged question"))
    keep_series(world, forged, key=REVIEWER)
    return newer


def test_the_calendar_has_what_is_open_and_what_ends_and_no_more(world, closed):
    page = said(closed.ask("/calendar"))
    for what in ("Councils decide until", "Answer promised by", "Agreement ends"):
        assert what in page, what
    open_rows = world.federation.store.proposals.in_states(sorted(OPEN))
    events = read(closed.ask("/calendar.ics").body)
    decide = [event for event in events if event["SUMMARY"].endswith("councils decide until")]
    assert len(decide) == len([row for row in open_rows if row.state != "running"]) > 0
    assert {event["URL"].rsplit("/", 1)[0] for event in decide} == {f"{closed.origin}/questions"}
    assert closed.ask("/calendar.ics").headers["content-type"] == "text/calendar; charset=utf-8"


def test_when_budget_statements_grow_old_is_told_to_those_who_may_see_budgets(world, closed):
    on = (world.federation.now() + timedelta(days=30)).date()
    told = "7 councils: budget statements grow old"
    for who, expected in (("reviewer", [told]), ("analyst", [told]), ("observer", []), ("", []), ("stranger", [])):
        events = read(closed.ask("/calendar.ics", who=who).body)
        found = [event for event in events if "budget statements" in event["SUMMARY"]]
        assert [event["SUMMARY"] for event in found] == expected, who
        assert all(
            event["DTSTART;VALUE=DATE"] in {f"{on + timedelta(days=back):%Y%m%d}" for back in (0, -1)}
            for event in found
        )
    with world.served(later_days=40) as late:
        assert "Budget statements grow old" in said(late.ask("/calendar", who="reviewer"))


def test_figures_that_become_public_are_in_the_calendar_until_they_are(world, opened):
    with world.served(publish=(world.agreement,)) as waiting:
        assert "Figures become public" in said(waiting.ask("/calendar"))
    assert "Figures become public" not in said(opened.ask("/calendar"))


def test_a_standing_question_shows_each_repeat_its_cost_and_when_it_lapses(world, standing, closed):
    page = said(closed.ask("/standing"))
    assert "edition 2" in page
    assert "edition 1" not in page
    assert "A forged question" not in page
    assert "asked about 1 January 2025 to 31 March 2025" in page
    due, waits = (f"{word}, from" for word in ("due, and not asked yet", "not due yet"))
    assert due in page
    assert waits in page
    assert f"Cost of all ε {len(repeats(standing))} In 2026 ε 4, of 4 that the agreement allows" in page
    assert "councils refuse what goes over it" not in page
    told = said(closed.ask("/calendar"))
    assert "Standing question lapses unless somebody reviews it" in told
    assert "Standing question is due" in told
    assert "Lapsed" not in page
    keep_agreement(world, world.federation.agreement_envelope)
    for days in (310, 400):  # its last day is over; its agreement has ended too
        with world.served(later_days=days) as late:
            told = said(late.ask("/standing"))
            assert "Lapsed" in told
            assert "never asked: the series has lapsed" in told
            assert "Standing question is due" not in said(late.ask("/calendar"))


def test_a_standing_question_over_two_years_tells_what_falls_in_each_against_the_limit_of_a_year(world, standing):
    keep_series(world, replace(standing, edition=3, until=date(2027, 1, 31)))
    with world.served() as served:
        page = said(served.ask("/standing"))
    assert "Cost of all ε 6" in page
    allowed = "of 4 that the agreement allows for all questions of that year"
    assert f"In 2026 ε 5, {allowed}: councils refuse what goes over it" in page
    assert f"In 2027 ε 1, {allowed} Decision" in page


# Measures


@pytest.mark.usefixtures("remarks")
def test_the_measures_count_what_is_in_the_register(world, opened, closed):
    found = {item["name"]: item["value"] for item in json.loads(opened.ask("/measures.json").body)["measures"]}
    rows = world.federation.store.proposals.page((), size=100)
    assert found["questions_asked"] == len(rows)
    assert found["questions_done"] == found["answered_without_new_collection"] == len(world.answered)
    assert found["councils_taking_part"] == len(world.federation.councils)
    assert found["copies_received"] == pytest.approx(100, abs=15)
    assert found["median_staff_minutes"] == 40
    assert found["median_days_to_answer"] < 0.01
    assert 0 < found["answered_on_time"] <= 100
    table = opened.ask("/measures.csv").body.decode().splitlines()
    assert table[0] == "name,label,value,unit,meaning"
    assert len(table) == len(found) + 1
    # Before figures are public, no number of councils that were in an answer is told.
    with world.served(publish=(world.agreement,)) as waiting, world.served(later_days=15) as unpublished:
        for served in (closed, waiting, unpublished):
            items = json.loads(served.ask("/measures.json").body)["measures"]
            private = {item["name"]: item["value"] for item in items}
            assert (private["councils_taking_part"], private["copies_received"]) == (0, None)
            assert private["median_seconds_to_councils"] is None


def test_the_register_is_counted_once_in_five_minutes_however_many_ask(world, monkeypatch):
    asked = []
    count = ReleaseBook.waits
    monkeypatch.setattr(ReleaseBook, "waits", lambda book: asked.append(1) or count(book))
    with world.served() as served:
        for path in ("/measures", "/measures.json", "/measures.csv"):
            assert served.ask(path).status == 200
    assert len(asked) in {1, 2}  # five minutes may end in between


def test_a_late_answer_and_an_overdue_question_count_against_the_share(world):
    with world.served(publish=(world.agreement,), later_days=60) as late:
        found = {item["name"]: item["value"] for item in json.loads(late.ask("/measures.json").body)["measures"]}
    assert found["overdue"] == 0  # the questions of the test world say nothing of when they were promised
    store = world.federation.store
    row = store.proposals.get(bytes.fromhex(world.plans["collecting"]))
    promised = world.federation.now() + timedelta(days=11)
    assert store.proposals.add(replace(row, plan_digest=sha256(b"late"), return_by=promised))
    with world.served(publish=(world.agreement,), later_days=60) as late:
        after = {item["name"]: item["value"] for item in json.loads(late.ask("/measures.json").body)["measures"]}
    assert after["overdue"] == 1
    assert after["answered_on_time"] < found["answered_on_time"]
