"""Asking through the pages: each step of a draft, whose it is, what it would cost, and how it is handed in."""

import json
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
import yaml

from coordinator.console import handing_in
from coordinator.console.guard import Closed
from coordinator.console.manifest_fields import SECTIONS
from coordinator.console.places import Places
from coordinator.console.uploads import read_upload
from coordinator.store import InboxRow, RoundCouncilRow, RoundRow
from federated.manifest import Manifest, parse_manifest
from federated.plan import PLAN_TYPE
from federated.plan_summary import summarise
from federated.query import parse_query
from federated.question_file import QuestionToSign, SignedQuestion
from federated.signing import sign_payload, unsafe_payload
from tests.integration.console_world import DRAFT, TOKEN, console_world, suggest
from tests.integration.coordinator_federation import QUESTION, REVIEWER, SCHEMA
from tests.integration.test_console_pages import multipart, said

HERE = f"/ask/drafts/{DRAFT}"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("asking")) as made:
        yield made


@pytest.fixture(scope="module")
def served(world):
    with world.served(sign_in=True) as found:
        yield found


@pytest.fixture
def draft(world):
    """The draft as it was, before and after."""
    row = world.federation.store.drafts.get(DRAFT, account="Pat Person")
    yield row
    world.federation.store.drafts.delete(DRAFT, account="Pat Person")
    assert world.federation.store.drafts.begin(row, most=10)


def send(served, path, who="analyst", **form):
    return served.ask(path, who=who, method="POST", form={"token": TOKEN} | form)


def kept(world):
    row = world.federation.store.drafts.get(DRAFT, account="Pat Person")
    return parse_query(row.question.encode())


def drafts_of(world, name="Pat Person"):
    return {row.draft for row in world.federation.store.drafts.of(name)}


# Whose it is


def test_a_draft_is_begun_changed_and_deleted_by_its_owner(world, served):
    reply = send(served, "/ask/new", title="Families by type", dataset=f"{world.agreement}/case")
    assert reply.status == 303
    begun = reply.headers["location"].removesuffix("/scope")
    assert begun.rpartition("/")[2] in drafts_of(world)
    page = served.ask(begun, who="analyst")
    assert "Families by type" in said(page)
    # The last whole quarter before 1 February 2026.
    assert "1 October 2025 to 31 December 2025" in said(page)
    assert begun in served.ask("/ask", who="analyst").text
    assert send(served, f"{begun}/delete").headers["location"] == "/ask"
    assert served.ask(begun, who="analyst").status == 404


@pytest.mark.parametrize(
    "path", ["", "/scope", "/tables/0", "/filters", "/text", "/manifest", "/manifest/law", "/sign"]
)
@pytest.mark.parametrize(("who", "status"), [("other-analyst", 404), ("outside-analyst", 409), ("reviewer", 403)])
def test_nobody_else_sees_a_draft(world, served, path, who, status):
    reply = served.ask(HERE + path, who=who)
    assert reply.status == status
    assert "Families by age" not in reply.text


@pytest.mark.parametrize("path", ["/delete", "/cost", "/text", "/tables/0/remove", "/preview", "/manifest/law"])
def test_nobody_else_changes_a_draft(world, served, path):
    assert send(served, HERE + path, who="other-analyst", epsilon="1/2", text=QUESTION).status == 404
    assert DRAFT in drafts_of(world)


def test_a_draft_whose_agreement_is_gone_can_still_be_deleted(world, served, draft):
    page = served.ask("/ask", who="outside-analyst")  # the same account, once the agreement was taken from it
    assert "no longer yours" in said(page)
    assert f'href="{HERE}"' not in page.text
    assert send(served, f"{HERE}/delete", who="outside-analyst").status == 303
    assert DRAFT not in drafts_of(world)


def test_without_sign_in_nobody_can_ask(world):
    with world.served() as closed:
        for path in ("/ask", "/ask/new", HERE, "/ask/hand-in"):
            assert closed.ask(path, who="analyst").status == 404
        assert 'href="/ask"' not in closed.ask("/", who="analyst").text


def test_a_draft_needs_an_agreement_of_the_account_and_one_has_so_many_at_most(world, served, monkeypatch):
    refused = send(served, "/ask/new", who="outside-analyst", title="Families", dataset=f"{world.agreement}/case")
    assert "Choose what the question is about" in said(refused)
    assert "between 5 and" not in said(refused)
    short = send(served, "/ask/new", title="No", dataset=f"{world.agreement}/case")
    assert "in 5 to 200 characters" in said(short)
    monkeypatch.setattr("coordinator.console.drafts.MOST_DRAFTS", len(drafts_of(world)))
    before = drafts_of(world)
    full = send(served, "/ask/new", title="One too many", dataset=f"{world.agreement}/case")
    assert (full.status, drafts_of(world)) == (404, before)


def test_a_draft_is_begun_from_what_a_council_suggests(world, served):
    quiet = suggest(world, title="Families by kind", council=1, publish=False).hex()
    names = [SCHEMA.councils[council].name for council in world.federation.councils[:2]]
    for paper, named, hidden in (
        (world.suggestion, names[0], names[1]),
        (quiet, "A council of the agreement", names[1]),
    ):
        reply = send(served, f"/suggestions/{paper}/draft")
        assert reply.status == 303
        begun = reply.headers["location"]
        row = world.federation.store.drafts.get(begun.rpartition("/")[2], account="Pat Person")
        assert parse_query(row.question.encode()) == parse_query(QUESTION.encode())
        assert (
            f"{named}, which suggested this question." in served.ask(f"{begun}/manifest/question", who="analyst").text
        )
        assert hidden not in row.manifest
        assert send(served, f"{begun}/delete").status == 303


@pytest.mark.parametrize(("who", "status"), [("", 303), ("reviewer", 403), ("observer", 403), ("outside-analyst", 409)])
def test_nobody_else_begins_a_draft_from_a_suggestion(world, served, who, status):
    before = drafts_of(world)
    reply = send(served, f"/suggestions/{world.suggestion}/draft", who=who)
    assert reply.status == status
    assert status != 303 or reply.headers["location"].startswith("/sign-in")
    assert drafts_of(world) == before


def test_a_suggestion_that_the_agreement_does_not_allow_says_so_and_begins_nothing(world, served):
    before = drafts_of(world)
    paper = suggest(world, title="Of nobody", council=2, group="nobody").hex()
    reply = send(served, f"/suggestions/{paper}/draft")
    assert (reply.status, drafts_of(world)) == (200, before)
    assert "nobody" in said(reply)


# Its steps


def test_scope_is_changed_and_what_is_wrong_is_said_beside_the_field(world, served, draft):
    form = {"title": "Families in May", "group": "everyone", "column": "assessment_date", "from": "2025-05-01"}
    assert send(served, f"{HERE}/scope", **form, to="2025-05-31").status == 303
    assert kept(world).period.start == date(2025, 5, 1)
    assert kept(world).title == "Families in May"
    wrong = send(served, f"{HERE}/scope", **(form | {"from": "1 May", "group": "nobody"}), to="2025-05-31")
    assert wrong.status == 200
    assert re.search(r'id="from-error"[^>]*>.*?year-month-day', wrong.text, re.DOTALL)
    assert "Choose which councils to ask" in said(wrong)
    assert "Error: " in wrong.text
    assert kept(world).period.start == date(2025, 5, 1)


def test_tables_are_added_changed_and_removed(world, served, draft):
    form = {"statistic": "households", "level": "all", "max_cells": "1", "by1": "household_type"}
    assert send(served, f"{HERE}/tables/new", **form, by2="assessment_date:month").status == 303
    added = kept(world).tables[1]
    assert (added.statistic, [item.column for item in added.by]) == (
        "households",
        ["household_type", "assessment_date"],
    )
    assert 'value="assessment_date:month" selected' in served.ask(f"{HERE}/tables/1", who="analyst").text
    assert send(served, f"{HERE}/tables/1", **form, name="types").status == 303
    assert [table.name for table in kept(world).tables] == ["age", "types"]
    twice = send(served, f"{HERE}/tables/new", **form, by2="household_type")
    assert "each once" in said(twice)
    most = send(served, f"{HERE}/tables/new", **(form | {"max_cells": "3"}))
    assert "allows 2" in said(most)
    assert send(served, f"{HERE}/tables/new", **(form | {"statistic": "logistic"})).status == 200
    assert send(served, f"{HERE}/tables/0/remove").status == 303
    assert [table.name for table in kept(world).tables] == ["types"]
    assert send(served, f"{HERE}/tables/0/remove").status == 404  # the last one stays
    for place in ("7", "-1", "x", "new/remove", "٣"):
        assert (
            served.ask(f"{HERE}/tables/{place}".encode("ascii", "xmlcharrefreplace").decode(), who="analyst").status
            == 404
        )


def test_a_sum_is_asked_for_with_its_bounds(world, served):
    begun = send(served, "/ask/new", title="Nightly costs", dataset=f"{world.agreement}/ta_placement")
    here = begun.headers["location"].removesuffix("/scope")
    form = {"statistic": "sum", "level": "region", "max_cells": "1", "column": "nightly_cost_gbp"}
    wrong = send(served, f"{here}/tables/0", **form, low="0", high="many")
    assert re.search(r'id="high-error"[^>]*>.*?whole number', wrong.text, re.DOTALL)
    assert send(served, f"{here}/tables/0", **form, low="0", high="200").status == 303
    row = world.federation.store.drafts.get(here.rpartition("/")[2], account="Pat Person")
    (table,) = parse_query(row.question.encode()).tables
    assert (table.measures[0].low, table.measures[0].high, table.level.value) == (0, 200, "region")
    send(served, f"{here}/delete")


def test_conditions_are_added_until_all_must_hold_and_removed_again(world, served, draft):
    page = served.ask(f"{HERE}/filters?column=assessment_outcome", who="analyst").text
    assert page.count('type="checkbox"') >= 3
    assert "Choose at least one" in said(send(served, f"{HERE}/filters", column="assessment_outcome"))
    assert send(served, f"{HERE}/filters", column="assessment_outcome", **{"code-0": "yes"}).status == 303
    form = {"column": "assessment_date", "low": "2025-02-01", "high": "2025-02-28", "negated": "yes"}
    assert send(served, f"{HERE}/filters", **form).status == 303
    written = yaml.safe_load(world.federation.store.drafts.get(DRAFT, account="Pat Person").question)
    first, second = written["where"]["all"]
    assert (first["column"], list(second)) == ("assessment_outcome", ["not"])
    assert send(served, f"{HERE}/filters", column="sex", **{"code-0": "yes"}).status == 200  # not in the agreement
    assert send(served, f"{HERE}/filters/remove", condition="0").status == 303
    assert list(yaml.safe_load(world.federation.store.drafts.get(DRAFT, account="Pat Person").question)["where"]) == [
        "not"
    ]
    assert send(served, f"{HERE}/filters/remove", condition="5").status == 404


def test_what_the_form_cannot_say_is_pasted_and_checked_alike(world, served, draft):
    text = QUESTION.replace(
        "- {name: age, count: households, by: [main_age_band]}", "- {name: rows, count: rows, max_cells: 2}"
    )
    any_of = "where:\n  any:\n    - {column: household_type, equals: not_known}\n    - {column: main_age_band, equals: not_known}\ntables:"
    assert send(served, f"{HERE}/text", text=text.replace("tables:", any_of).replace("\n", "\r\n")).status == 303
    assert "any of" in said(served.ask(HERE, who="analyst")) or " or " in said(served.ask(HERE, who="analyst"))
    for wrong, words in (
        (text.replace("rows,", "rowz,", 1).replace("count: rows", "count: rowz"), "must be"),
        (text.replace('"1"', '"2"'), "allows 1 for one question"),
        (text.replace("everyone", "nobody"), "no group"),
        (text.replace("assessment_date", "application_date"), "application_date"),
        ("x" * 70_000, "named fields"),
    ):
        reply = send(served, f"{HERE}/text", text=wrong)
        assert reply.status == 200, words
        assert words in said(reply)
    assert kept(world).tables[0].name == "rows"


# What it would give


def test_the_margins_are_the_planners_and_change_with_the_cost(world, served, draft):
    page = said(served.ask(HERE, who="analyst"))
    plan = world.federation.plan(nonce=1, question=QUESTION)
    margin = summarise(plan).tables[0].margin_all
    assert f"± {margin:.1f}" in page
    assert "% of what is left of the year at the council with the least" in page
    assert "2 of the councils asked" in page  # one has not stated; of another the signature does not hold
    assert send(served, f"{HERE}/cost", epsilon="1/2").status == 303
    half = world.federation.plan(nonce=1, question=QUESTION.replace('"1"', '"1/2"'))
    changed = said(served.ask(HERE, who="analyst"))
    assert f"± {summarise(half).tables[0].margin_all:.1f}" in changed
    assert f"± {margin:.1f}" not in changed
    for wrong in ("2", "0", "one", "-1"):
        reply = send(served, f"{HERE}/cost", epsilon=wrong)
        assert reply.status == 200
        assert 'id="epsilon-error"' in reply.text
    assert str(kept(world).epsilon) == "1/2"


def test_a_plan_is_judged_by_an_earlier_answer_of_its_agreement_alone(world, served, draft):
    page = served.ask(f"{HERE}?judge={world.release}", who="analyst")
    assert "Usable figures" in said(page)
    assert "% of" in said(page)
    for wrong in ("0" * 64, "x", "G" * 64):
        assert "no such answer" in said(served.ask(f"{HERE}?judge={wrong}", who="analyst"))


def test_what_cannot_be_planned_is_said_and_the_draft_stays(world, served, draft):
    crossing = QUESTION.replace("by: [main_age_band]", "by: [main_age_band, household_type]").replace(
        '"1"', '"1/1000000"'
    )
    assert send(served, f"{HERE}/text", text=crossing).status == 303
    page = served.ask(HERE, who="analyst")
    assert page.status == 200
    assert "govuk-inset-text" in page.text
    assert "margins-caption" not in page.text


def test_only_so_many_plan_at_the_same_moment(world, served, monkeypatch):
    places = Places(1)
    take = places.place
    with take(), pytest.raises(Closed, match="Try again soon"), take():
        pass
    monkeypatch.setattr(Places, "place", lambda _ours: take())
    assert [served.ask(HERE, who="analyst").status, send(served, f"{HERE}/preview").status] == [200, 200]
    with take():
        assert [served.ask(HERE, who="analyst").status, send(served, f"{HERE}/preview").status] == [503, 503]


# The manifest


def test_every_field_of_the_manifest_is_asked_in_one_section():
    asked = [field for section in SECTIONS for field in section.fields]
    assert sorted(asked) == sorted(Manifest.model_fields)


def form_of(document, prefix=""):
    """A manifest as its form sends it."""
    found = {}
    for name, value in document.items():
        at = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= form_of(value, f"{at}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            for place, entry in enumerate(value):
                found |= form_of(entry, f"{at}.{place}.")
        elif isinstance(value, list | tuple):
            found |= {f"{at}.{item}": "yes" for item in value}
        elif isinstance(value, bool):
            found[at] = "yes" if value else "no"
        elif value is not None:
            found[at] = str(value)
    return found


def test_a_manifest_written_field_by_field_is_the_one_that_was_typed(world, served, draft):
    wanted = parse_manifest(draft.manifest.encode())
    typed = form_of(wanted.model_dump(mode="json"))
    begun = send(served, "/ask/new", title="Families by age", dataset=f"{world.agreement}/case")
    here = begun.headers["location"].removesuffix("/scope")
    identity = here.rpartition("/")[2]
    send(served, f"{here}/text", text=QUESTION)
    assert "to mend" in said(served.ask(f"{here}/manifest", who="analyst"))
    not_yet = served.ask(f"{here}/question-to-sign.json", who="analyst")
    assert not_yet.status == 409
    for section in SECTIONS:
        page = served.ask(f"{here}/manifest/{section.name}", who="analyst")
        assert page.status == 200
        reply = send(served, f"{here}/manifest/{section.name}", **typed)
        assert reply.status == 303, (section.name, said(reply))
    row = world.federation.store.drafts.get(identity, account="Pat Person")
    found = parse_manifest(row.manifest.encode())
    columns = {"assessment_date", "main_age_band"}
    read = {item.column for item in found.fields_read}
    assert read == columns
    assert found.model_dump(exclude={"fields_read"}) == wanted.model_dump(exclude={"fields_read"})
    assert "Sign and hand in" in said(served.ask(f"{here}/manifest", who="analyst"))
    taken = served.ask(f"{here}/question-to-sign.json", who="analyst")
    file = QuestionToSign.decode(taken.body, source="it")
    assert parse_manifest(file.manifest.encode()).model_dump() == found.model_dump()
    assert parse_query(file.question.encode()) == parse_query(QUESTION.encode())
    send(served, f"{here}/delete")


def test_a_vague_purpose_is_explained_beside_its_field_and_what_was_typed_is_kept(world, served, draft):
    typed = form_of(yaml.safe_load(draft.manifest)) | {"decision": "To improve services.", "need.why_now": "TBC"}
    reply = send(served, f"{HERE}/manifest/question", **typed)
    assert reply.status == 200
    assert re.search(r'id="decision-error"[^>]*>.*?too general', reply.text, re.DOTALL)
    assert re.search(r'id="need.why_now-error"[^>]*>.*?unfinished|no answer', reply.text, re.DOTALL)
    assert "To improve services." in world.federation.store.drafts.get(DRAFT, account="Pat Person").manifest
    assert "3 to mend" in said(served.ask(f"{HERE}/manifest", who="analyst"))
    assert served.ask(f"{HERE}/manifest/nothing", who="analyst").status == 404


def test_a_purpose_that_the_agreement_does_not_list_is_told(world, served, draft):
    text = draft.manifest.replace("body: The department", "body: Somebody else")
    assert text != draft.manifest
    assert send(served, f"{HERE}/manifest/text", text=text).status == 303
    assert "Somebody else" in said(served.ask(f"{HERE}/manifest", who="analyst"))
    assert served.ask(f"{HERE}/question-to-sign.json", who="analyst").status == 409
    assert "line 1" in said(send(served, f"{HERE}/manifest/text", text="a: &b 1"))


# The preview


def test_the_preview_shows_made_up_figures_and_says_so(world, served, draft):
    world.reads.clear()
    reply = send(served, f"{HERE}/preview")
    page = said(reply)
    assert "These figures are made up" in page
    assert reply.text.count("<tr") > 5
    assert "Made-up figure" in page
    assert len(world.reads) == 0


def test_a_preview_that_takes_too_long_is_given_up(world, served, draft, monkeypatch):
    monkeypatch.setattr(handing_in, "PREVIEW_S", -1.0)
    page = said(send(served, f"{HERE}/preview"))
    assert "took too long" in page
    assert "Made-up figure" not in page


# Handing in


def signed_file(world, nonce=71, question=QUESTION, refresh=False):
    plan = world.federation.plan(nonce=nonce, question=question)
    return plan, SignedQuestion.of(*world.federation.signed(plan), refresh=refresh).encode()


def upload(served, content, *, who="analyst", token=TOKEN, path="/ask/hand-in", **headers):
    edge = "----edge5071"
    body = (
        f'--{edge}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="signed.json"\r\n'
        "Content-Type: application/json\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{edge}--\r\n".encode()
    return served.ask(
        path, who=who, method="POST", body=body, **({"content_type": f"multipart/form-data; boundary={edge}"} | headers)
    )


def test_a_signed_question_is_handed_in_and_its_councils_are_watched(world, served):
    plan, content = signed_file(world)
    reply = upload(served, content)
    assert (reply.status, reply.headers.get("location")) == (303, f"/asked/{plan.digest.hex()}"), said(reply)
    row = world.federation.store.inbox.latest_of(plan.digest)
    assert (row.account, row.state, row.agreement_id) == ("Pat Person", "waiting", world.agreement)
    page = served.ask(f"/asked/{plan.digest.hex()}", who="analyst")
    assert "It waits for the coordinator" in said(page)
    assert "refresh" not in page.headers
    followed = served.ask(f"/asked/{plan.digest.hex()}?follow=yes", who="analyst")
    assert followed.headers["refresh"] == "5"
    assert "Stop that" in said(followed)
    assert served.ask(f"/asked/{plan.digest.hex()}", who="outside-analyst").status == 404
    # Nobody is asked by it, and nobody is told: the coordinator alone takes it from here.
    assert world.federation.store.proposals.get(plan.digest) is None
    assert plan.digest.hex() not in served.ask("/questions").text


def signed_by(content, key):
    """The same question, its plan signed with another key."""
    document = json.loads(content)
    payload = unsafe_payload(document["plan"].encode(), PLAN_TYPE)
    return json.dumps(document | {"plan": sign_payload(payload, PLAN_TYPE, [key]).decode()}).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"", "not a signed question"),
        (lambda content: content[:-1], "not a signed question"),
        (lambda content: content.replace(b"signed_question", b"other"), "not a signed question"),
        (lambda content: b'{"a":' * 100_000, "not a signed question"),
        (lambda content: json.dumps(json.loads(content) | {"plan": "{}"}).encode(), ""),
        (lambda content: signed_by(content, REVIEWER), "0 of the 1 trusted signatures"),
        (lambda content: json.dumps(json.loads(content) | {"manifest": json.loads(content)["plan"]}).encode(), ""),
    ],
)
def test_what_is_not_a_good_signed_question_is_refused_beside_the_field(world, served, change, words):
    plan, content = signed_file(world, nonce=72)
    reply = upload(served, change(content))
    assert reply.status == 200
    assert 'id="file-error"' in reply.text
    assert words in said(reply)
    assert world.federation.store.inbox.latest_of(plan.digest) is None


def test_a_question_of_an_agreement_that_is_not_the_accounts_is_not_taken(world, served):
    plan, content = signed_file(world, nonce=73)
    reply = upload(served, content, who="outside-analyst")
    assert "may not put a question to councils" in said(reply)
    assert world.federation.store.inbox.latest_of(plan.digest) is None


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"token": "0" * 64}, 403),
        ({"who": "reviewer"}, 403),
        ({"who": ""}, 303),
        ({"origin": "https://evil.example"}, 403),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "multipart/form-data"}, 400),
        ({"content_type": "multipart/form-data; boundary=another"}, 400),
        ({"path": f"{HERE}/cost"}, 415),
        ({"path": "/ask/new"}, 415),
    ],
)
def test_a_file_is_taken_by_one_page_from_one_form_alone(world, served, options, status):
    plan, content = signed_file(world, nonce=74)
    assert upload(served, content, **options).status == status
    assert world.federation.store.inbox.latest_of(plan.digest) is None


def test_a_file_that_is_too_large_is_not_read_to_its_end(served):
    assert upload(served, b"x" * 1_300_000).status == 413
    # Answered although most of it has yet to come.
    assert upload(served, b"x" * 1_300_000, content_length="100000000").status == 413


TOKEN_PART = b'Content-Disposition: form-data; name="token"\r\n\r\nabc'
FILE_PART = b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\n{}'


def test_an_upload_is_read_byte_by_byte():
    assert read_upload(*multipart(TOKEN_PART, FILE_PART)) == ({"token": "abc"}, b"{}")
    binary = FILE_PART.replace(b"{}", bytes(range(128, 256)))
    assert read_upload(*multipart(TOKEN_PART, binary))[1] == bytes(range(128, 256))


@pytest.mark.parametrize(
    "form",
    [
        multipart(TOKEN_PART, TOKEN_PART),
        multipart(FILE_PART, FILE_PART),
        multipart(*[TOKEN_PART.replace(b"token", b"field%d" % number) for number in range(20)]),
        multipart(b"Content-Disposition: form-data\r\n\r\nabc"),
        multipart(b'Content-Disposition: attachment; name="file"\r\n\r\nabc'),
        multipart(b"Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\n\r\nabc\r\n--f--"),
        (b"", "multipart/form-data; boundary=e"),
        (b"token=abc", "multipart/form-data; boundary=e"),
        (multipart(TOKEN_PART)[0], "multipart/form-data"),
        (multipart(TOKEN_PART)[0], "multipart/form-data; boundary=e\r\nX: y"),
        (multipart(TOKEN_PART)[0], "multipart/form-data; boundary=é"),
        (multipart(TOKEN_PART, FILE_PART)[0][:-6], "multipart/form-data; boundary=e"),
    ],
)
def test_a_form_that_is_not_quite_one_is_refused(form):
    with pytest.raises(Closed, match="cannot be read"):
        read_upload(*form)


# Watching


def test_while_a_round_runs_each_council_is_shown_as_the_store_last_heard(world, served):
    there, lost, *_ = names = [SCHEMA.councils[council].name for council in world.federation.councils]
    address = f"/asked/{under_way(world)}"
    page = said(served.ask(address, who="analyst"))
    assert f"{there} Taking part It has answered the stage 'share keys'." in page
    assert f"{lost} Dropped In the stage 'share keys'. No answer came." in page
    assert f"{len(names) - 2} waiting" in page
    assert there not in served.ask(address, who="observer").text


def under_way(world):
    """A question whose round runs, with what two of its councils did in it; its plan."""
    store, now = world.federation.store, world.federation.now()
    row = store.proposals.get(bytes.fromhex(world.plans["running"]))
    opened = RoundRow(sid=bytes(32), plan_digest=row.plan_digest, attempt=1, stage="advertise keys", started_at=now)
    assert store.outcomes.opened(row, opened, before="running")
    answered = RoundCouncilRow(
        sid=opened.sid,
        council=world.federation.councils[0],
        joined=True,
        outcome="answered",
        stage="share keys",
        rule="",
        reason="",
    )
    silent = {
        "council": world.federation.councils[1],
        "outcome": "dropped",
        "rule": "silent",
        "reason": "No answer came",
    }
    store.outcomes.went_on([answered, replace(answered, **silent)])
    return world.plans["running"]


def test_an_analyst_sees_what_each_council_did_and_others_do_not(world, served):
    done = world.plans["released"]
    page = served.ask(f"/asked/{done}", who="analyst")
    assert "8 answered" in said(page)
    assert "Read the answer" in said(page)
    assert "Follow it" not in page.text
    second = world.answered[1]
    lost = next(record for record in second.councils if record.outcome != "contributed")
    told = said(served.ask(f"/asked/{second.plan_digest}", who="analyst"))
    assert f"{lost.name} Dropped No answer came in the stage 'masked input'. (silent)" in told
    assert "7 answered, 1 dropped" in told
    assert "6 of 8" in said(served.ask(f"/asked/{world.plans['refused']}", who="analyst"))
    assert "1 dropped" in said(served.ask(f"/asked/{second.plan_digest}", who="reviewer"))
    for who, status in (("", 303), ("operator", 403), ("observer", 403), ("outside-analyst", 404), ("stranger", 404)):
        reply = served.ask(f"/asked/{second.plan_digest}", who=who)
        assert reply.status == status
        assert lost.name not in reply.text
    assert served.ask(f"/asked/{'0' * 64}", who="analyst").status == 404


# Taking back


@pytest.fixture
def handed_in(world):
    """The question on which councils decide, as if the analyst had handed it in here; as it was before, afterwards."""
    store, now = world.federation.store, world.federation.now()
    row = store.proposals.get(bytes.fromhex(world.plans["collecting"]))
    letter = InboxRow(
        plan_digest=row.plan_digest,
        body_digest=bytes(32),
        plan_envelope=b"",
        manifest_envelope=b"",
        refresh=False,
        account="Pat Person",
        agreement_id=world.agreement,
        key=None,
        received_at=row.received_at,
    )
    number = store.inbox.add(letter, check=lambda _load: None).number
    store.inbox.settle(number, now=now, watch=row.plan_digest)
    yield world.plans["collecting"]
    changed = store.proposals.get(row.plan_digest)
    assert store.outcomes.moved(row, before=changed.state)
    store.inbox.forget(before=now + timedelta(days=1))


def test_an_analyst_takes_an_own_question_back_where_it_is_shown(world, served, handed_in):
    address = f"/asked/{handed_in}"
    assert "Take the question back" in said(served.ask(address, who="analyst"))
    empty = send(served, f"{address}/withdraw", reason=" ")
    assert "1 to 300 are possible" in said(empty)
    assert "Take the question back" in said(empty)
    reply = send(served, f"{address}/withdraw", reason="We <b>know</b> it now.")
    assert (reply.status, reply.headers.get("location")) == (303, address)
    after = served.ask(address, who="analyst")
    assert "Withdrawn: We <b>know</b> it now." in said(after)
    assert "Take the question back" not in said(after)
    assert "Withdrawn: We <b>know</b> it now." in said(served.ask(f"/questions/{handed_in}"))
    assert send(served, f"{address}/withdraw", reason="Again.").status == 409


@pytest.mark.parametrize(
    ("who", "status"),
    [("other-analyst", 409), ("outside-analyst", 404), ("reviewer", 403), ("observer", 403), ("operator", 403)],
)
def test_nobody_else_takes_it_back(world, served, handed_in, who, status):
    assert "Take the question back" not in served.ask(f"/asked/{handed_in}", who=who).text
    assert send(served, f"/asked/{handed_in}/withdraw", who=who, reason="No.").status == status
    assert world.federation.store.proposals.get(bytes.fromhex(handed_in)).state == "collecting"


def test_a_question_that_the_coordinator_has_not_taken_yet_is_not_taken_back(world, served):
    plan, content = signed_file(world, nonce=74)
    assert upload(served, content).status == 303
    assert "Take the question back" not in said(served.ask(f"/asked/{plan.digest.hex()}", who="analyst"))
    reply = send(served, f"/asked/{plan.digest.hex()}/withdraw", reason="Too early.")
    assert (reply.status, "has not taken the question yet" in said(reply)) == (404, True)
