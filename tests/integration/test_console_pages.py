"""The console's pages over a real store: who sees what, what the public is never told, and what a check finds."""

import csv
import html
import io
import json
import re
from dataclasses import replace
from fractions import Fraction

import pytest
from sqlalchemy import update

from coordinator.console.guard import UPLOAD_PATH, Closed, Guard
from coordinator.console.made_files import MadeFiles
from coordinator.console.pages import PAGES
from coordinator.console.question import manifest_of
from coordinator.console.visitor import NOBODY, PUBLIC, Role
from coordinator.settings import BoundarySettings, ConsoleSettings
from coordinator.sign_in.audit import MOST_REFUSED, READ
from coordinator.sign_in.operations import RULES, Operation, reaches
from coordinator.store import AuditRow, DatabaseProblem, open_store
from coordinator.store.proposals import ProposalBook
from coordinator.store.tables import proposals
from federated.errors import FileProblem
from federated.keys import fingerprint
from federated.outputs.chart import chart, chart_words
from federated.outputs.formats import files_of
from federated.pages import HEADERS
from federated.release import open_release
from federated.signing import sign_statement
from federated.timestamps import time_text
from protocols.encoding import sha256
from tests.integration.console_world import DRAFT, TOKEN, console_world, statement
from tests.integration.coordinator_federation import SCHEMA, council_key

TOKEN_PART = f'Content-Disposition: form-data; name="token"\r\n\r\n{TOKEN}'.encode()
WHO = ("", *(role.value for role in Role))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(world):
    """Nothing is published."""
    with world.served() as served:
        yield served


@pytest.fixture(scope="module")
def opened(world):
    """The agreement's figures are public, and the days for comments are over."""
    with world.served(publish=(world.agreement,), later_days=15) as served:
        yield served


def multipart(*parts):
    """A form as browsers send one that may hold a file, and its type."""
    body = b"".join(b"--e\r\n" + part + b"\r\n" for part in parts) + b"--e--\r\n"
    return body, "multipart/form-data; boundary=e"


def filled(world, path):
    parts = {
        "plan": world.plans["released"],
        "digest": world.release,
        "file": f"{world.answered[0].tables[0].name}.csv",
        "council": world.federation.councils[0],
        "agreement": world.federation.agreement.digest.hex(),
        "key": "0" * 64,
        "act": "ask",
        "draft": DRAFT,
        "table": "new",
        "section": "law",
        "paper": world.suggestion,
    }
    return re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], path)


def said(reply):
    """What a page says, without its marks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", reply.text)).split())


# Who may see what


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
@pytest.mark.parametrize("who", WHO)
def test_each_page_is_shown_to_its_roles_and_to_nobody_else(world, opened, page, who):
    form = {"token": TOKEN} if page.method == "POST" and page.path != UPLOAD_PATH else None
    body, kind = multipart(TOKEN_PART) if page.method == "POST" and form is None else (b"", None)
    headers = {} if kind is None else {"content_type": kind}
    reply = opened.ask(filled(world, page.path), who=who, method=page.method, form=form, body=body, **headers)
    allowed = reaches(world.visitors()[who], page.operation)
    # Where nobody can sign in, nobody can decide, and nobody can ask.
    found = (
        404 if re.match("/(operations/councils/|ask$|ask/|asked/.*/withdraw|suggestions/.*/draft)", page.path) else 200
    )
    assert reply.status == (found if allowed else 403), reply.text
    if not allowed:
        assert "This did not work" in reply.text
        assert world.federation.councils[0] not in reply.text


def test_some_pages_are_for_roles_alone_and_every_role_but_observer_has_one():
    closed = [RULES[page.operation] for page in PAGES if not RULES[page.operation].public]
    assert set().union(*(rule.roles for rule in closed)) == set(Role) - {Role.OBSERVER}


def test_which_pages_are_not_public():
    """By hand: a page that named a wider operation would be seen here."""
    deciding = {"ask": Operation.ASK_ACCEPTANCE, "confirm": Operation.CONFIRM_ACCEPTANCE}
    deciding |= {"reject": Operation.REJECT_ENROLMENT}
    closed = {page.path: page.operation for page in PAGES if not RULES[page.operation].public}
    asking = {path: operation for path, operation in closed.items() if re.match("/ask(/|$)", path)}
    assert set(asking.values()) == {Operation.PROPOSE}
    assert len(asking) >= 18
    assert {path: operation for path, operation in closed.items() if path not in asking} == {
        "/asked/{plan}": Operation.WATCH,
        "/asked/{plan}/withdraw": Operation.WITHDRAW,
        "/suggestions/{paper}/draft": Operation.PROPOSE,
        "/budgets": Operation.VIEW_BUDGETS,
        "/budgets/{council}": Operation.VIEW_BUDGETS,
        "/budgets/{council}/verify": Operation.VIEW_BUDGETS,
        "/operations": Operation.VIEW_OPERATIONS,
        "/operations/councils": Operation.VIEW_OPERATIONS,
        **{f"/operations/councils/{{key}}/{act}": operation for act, operation in deciding.items()},
        "/operations/rounds": Operation.VIEW_OPERATIONS,
        "/audit": Operation.VIEW_AUDIT,
    }


def test_what_is_refused_to_people_who_are_signed_in_is_written_down_once_an_hour(world):
    def refused():
        lines = [row for _, row in world.federation.store.audit.latest(size=99) if row.outcome == "refused"]
        return {(row.who, row.operation, row.object) for row in lines}, len(lines)

    with world.served(sign_in=True) as served:
        before, number = refused()
        for _ in range(3):
            assert served.ask("/audit", who="observer").status == 403
            assert served.ask(f"/budgets/{world.federation.councils[0]}", who="operator").status == 403
            assert served.ask(f"/releases/{world.release}/release.json", who="stranger").status == 403
            assert served.ask("/audit").status == 303  # the public is not followed
        after, now = refused()
        assert after - before == {
            ("Pat Person", "view audit", ""),
            ("Pat Person", "view budgets", world.federation.councils[0]),
            ("Pat Person", "view figures", world.release),
        }
        assert now == number + 3
        for council in range(100):
            assert served.ask(f"/budgets/E{council:08d}", who="operator").status == 403
        assert refused()[1] == number + MOST_REFUSED


def test_whoever_is_not_signed_in_is_sent_there_where_people_can(world):
    with world.served(sign_in=True) as served:
        reply = served.ask("/budgets")
        assert (reply.status, reply.headers["location"]) == (303, "/sign-in?next=%2Fbudgets")
        assert served.ask("/budgets", who="operator").status == 403
        assert served.ask("/questions").status == 200


@pytest.mark.parametrize(("act", "status"), [("ask", 409), ("confirm", 409), ("reject", 409), ("accept", 404)])
def test_what_does_not_wait_cannot_be_decided(world, act, status):
    with world.served(sign_in=True) as served:
        path = f"/operations/councils/{'0' * 64}/{act}"
        assert served.ask(path, who="operator", method="POST", form={"token": TOKEN}).status == status
        assert served.ask(path, who="operator", method="POST", form={"token": "0" * 64}).status == (
            404 if act == "accept" else 403
        )


def test_a_database_that_is_away_is_said_without_its_place(world, opened, monkeypatch):
    def gone(*_args, **_changes):
        raise DatabaseProblem("The database postgresql://hub@db.internal/hub cannot be used.")

    monkeypatch.setattr(ProposalBook, "page", gone)
    reply = opened.ask("/questions")
    assert reply.status == 503
    assert "Try again later" in reply.text
    assert "db.internal" not in reply.text


def test_no_address_leads_elsewhere_by_a_stroke_too_many(opened):
    reply = opened.ask("/questions/")
    assert (reply.status, reply.headers.get("location")) == (404, None)


def test_who_read_an_answer_is_told_to_reviewers_of_its_agreement_alone(world, opened):
    digest = world.answered[0].digest.hex()
    line = AuditRow(done_at=world.federation.now(), who="ann.example", operation=READ, object=digest)
    world.federation.store.audit.note(line)
    assert "ann.example" in opened.ask("/audit", who="reviewer").text
    for who in ("stranger", "operator"):
        reply = opened.ask("/audit", who=who)
        assert reply.status == 200
        assert "ann.example" not in reply.text


def test_what_is_closed_does_not_tell_how_many_joined_or_were_lost(world, closed):
    """One council of the second answer was lost."""
    for release in world.answered:
        page = said(closed.ask(f"/releases/{release.digest.hex()}"))
        assert "8 councils were asked" in page
        assert "contributed" not in page
        assert "joined the round" not in page


def test_without_sign_in_everybody_is_the_public():
    assert PUBLIC(None) == NOBODY
    assert not NOBODY.signed_in
    assert not any(reaches(NOBODY, page.operation) for page in PAGES if not RULES[page.operation].public)


def figures_of(world):
    """Estimates as the exact file has them: no other text of a page looks so."""
    return [repr(cell.estimate) for table in world.answered[0].tables for cell in table.cells if cell.estimate]


FIGURES = (
    lambda world: f"/releases/{world.release}/release.json",
    lambda world: f"/releases/{world.release}/{world.answered[0].tables[0].name}.csv",
)


@pytest.mark.parametrize("who", ["", "stranger", "operator"])
def test_figures_that_are_not_published_are_not_shown_and_not_given(world, closed, who):
    page = closed.ask(f"/releases/{world.release}", who=who)
    assert page.status == 200
    assert "How it was made" in page.text
    assert "The figures of this answer are not public" in said(page)
    assert "<table" not in page.text
    assert all(part not in page.text for part in ("<figure", "<svg", "Largest: "))
    assert "Who is in it" not in page.text
    for path in FIGURES:
        reply = closed.ask(path(world), who=who)
        assert reply.status == 403
        assert "not public" in reply.text


@pytest.mark.parametrize("who", ["analyst", "reviewer", "observer"])
def test_figures_that_are_not_published_are_for_the_parties_and_reading_them_is_noted(world, closed, who):
    world.reads.clear()
    page = closed.ask(f"/releases/{world.release}", who=who)
    assert "<table" in page.text
    assert "That you read them is written down" in page.text
    assert all(closed.ask(path(world), who=who).status == 200 for path in FIGURES)
    assert world.reads == [(world.release, "Pat Person", how) for how in ("page", "json", "csv")]


def test_published_figures_are_public_after_the_days_for_comments_alone(world, opened):
    world.reads.clear()
    with world.served(publish=(world.agreement,), later_days=13) as early:
        page = early.ask(f"/releases/{world.release}")
        assert "The figures will be public from 15 February 2026" in said(page)
        assert "<table" not in page.text
        assert early.ask(FIGURES[0](world)).status == 403
    with world.served(publish=("another",), later_days=15) as other:
        assert "<table" not in other.ask(f"/releases/{world.release}").text
    assert world.reads == []
    assert "<table" in opened.ask(f"/releases/{world.release}").text
    assert world.reads == [(world.release, "", "page")]


def test_the_exact_file_and_the_tables_are_those_of_the_answer(world, opened):
    exact = opened.ask(FIGURES[0](world))
    assert sha256(exact.body).hex() == world.release
    assert exact.headers["content-disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(opened.ask(FIGURES[1](world)).text)))
    table = open_release(exact.body).tables[0]
    assert len(rows) == len(table.cells)
    assert [float(row["estimate"]) for row in rows] == [cell.estimate for cell in table.cells]
    assert any(cell.estimate for cell in table.cells)
    assert opened.ask(f"/releases/{world.release}/nothing.csv").status == 404


def test_every_file_that_the_page_offers_can_be_taken_away(world, opened):
    page = opened.ask(f"/releases/{world.release}").text
    release = world.answered[0]
    manifest = manifest_of(world.federation.store.proposals.get(bytes.fromhex(release.plan_digest)))
    made = {file.name: file for file in files_of(release, manifest=manifest)}
    assert len({file.media_type for file in made.values()}) >= 8
    for name, file in made.items():
        assert f'href="/releases/{world.release}/{name}"' in page
        reply = opened.ask(f"/releases/{world.release}/{name}")
        assert (reply.status, reply.body) == (200, file.content), name
        assert reply.headers["content-type"].partition(";")[0] == file.media_type
        assert reply.headers["content-disposition"].endswith(f'-{name}"')


def shapes(folder, codes, **changes):
    """Boundaries as an operator would keep them, and the settings that name them."""
    square = {"type": "Polygon", "coordinates": [[[-2, 54], [-1, 54], [-1, 55], [-2, 54]]]}
    features = [{"type": "Feature", "properties": {"RGN": code}, "geometry": square} for code in codes]
    path = folder / "regions.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return square, BoundarySettings(file=str(path), code_property="RGN", source="Somebody", **changes)


def test_a_map_is_offered_where_a_table_has_regions_and_stands_on_the_boundaries_that_are_named(
    world, opened, tmp_path
):
    national, regional = (release.digest.hex() for release in world.answered)
    assert ".geojson" not in opened.ask(f"/releases/{national}").text
    assert opened.ask(f"/releases/{national}/age.geojson").status == 404
    assert f'href="/releases/{regional}/age.geojson"' in opened.ask(f"/releases/{regional}").text
    reply = opened.ask(f"/releases/{regional}/age.geojson")
    assert reply.headers["content-type"] == "application/geo+json"
    features = json.loads(reply.body)["features"]
    estimates = [cell.estimate for cell in world.answered[1].tables[0].cells]
    assert [one["properties"]["estimate"] for one in features] == estimates
    assert {one["geometry"] for one in features} == {None}
    square, named = shapes(tmp_path, [region.code for region in SCHEMA.regions])
    with world.served(publish=(world.agreement,), later_days=15, boundaries=named) as mapped:
        found = json.loads(mapped.ask(f"/releases/{regional}/age.geojson").body)
    assert all(one["geometry"] == square for one in found["features"])
    assert [one["properties"] for one in found["features"]] == [one["properties"] for one in features]
    assert found["boundaries"] == "Somebody"


def test_pages_do_not_start_on_boundaries_that_lack_a_region(world, tmp_path):
    _, named = shapes(tmp_path, [region.code for region in SCHEMA.regions[1:]])
    with (
        pytest.raises(FileProblem, match=f"no boundary for 1 of the zones: {SCHEMA.regions[0].code}"),
        world.served(boundaries=named),
    ):
        pass


def test_the_chart_stands_above_its_table_with_its_words_and_is_read_once(world, closed):
    """The note and the page show the same picture; one reading of the page is one line in the audit."""
    world.reads.clear()
    release = world.answered[0]
    page = closed.ask(f"/releases/{world.release}", who="observer")
    for table in release.tables:
        picture, words = chart(release, table), html.escape(chart_words(release, table)[1])
        assert page.text.count(picture) == 1
        assert f"In words: {words}</figcaption>" in page.text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
        assert page.text.index(picture) < page.text.index(f'id="{table.name}-caption"')
    assert page.text.count("<figure") == len(release.tables)
    assert world.reads == [(world.release, "Pat Person", "page")]


def test_a_page_with_figures_holds_nothing_that_its_headers_forbid(world, opened):
    """Styles inside a picture would be dropped by the browser, and with them perhaps what tells two marks apart."""
    page = opened.ask(f"/releases/{world.release}")
    assert "default-src 'none'; style-src 'self';" in page.headers["content-security-policy"]
    forbidden = re.compile(r"<style|\sstyle=|<script|\son[a-z]+=|<image|<img|\shref=\"(?!/|#)|url\(", re.IGNORECASE)
    assert "<svg" in page.text
    assert forbidden.search(page.text) is None
    assert all(forbidden.search(f"<svg>{planted}</svg>") for planted in ('<g style="fill:red"/>', "<image/>"))


def test_an_answer_is_shown_without_its_chart_while_too_many_wait_for_files(world, opened, monkeypatch):
    def busy(*_):
        raise Closed(503, "Many files are being made at this moment.")

    monkeypatch.setattr(MadeFiles, "get", busy)
    page = opened.ask(f"/releases/{world.release}")
    assert page.status == 200
    assert "<table" in page.text
    assert "<svg" not in page.text
    assert "The chart is not ready" in page.text
    assert "In words: " in page.text


STATEMENT = (
    "Technical information about this website’s accessibility Hub is committed to making its website accessible",
    "Compliance status This website is partially compliant with the Web Content Accessibility Guidelines",
    "How it was tested The makers of the software test it",
    "have not been tried by people who use screen readers",
    "Feedback and contact information Write to access@hub.example",
    "Enforcement procedure The Equality and Human Rights Commission",
    "This statement was prepared on 23 November 2026",
    "due for review by 23 November 2027",
)


@pytest.mark.parametrize("part", STATEMENT)
def test_the_accessibility_statement_has_the_parts_that_the_regulations_ask_for(world, part):
    with world.served(contacts={"accessibility": "access@hub.example"}) as served:
        assert part in said(served.ask("/accessibility"))


def test_an_answer_says_how_it_was_made_who_is_in_it_and_what_it_is_not(world, opened):
    digest = world.answered[1].digest.hex()
    page = said(opened.ask(f"/releases/{digest}"))
    lost = next(record for record in world.answered[1].councils if record.outcome != "contributed")
    assert f"Asked, and not in it {lost.name}." in page
    assert "7 of 8 councils contributed" in page
    assert "not official statistics" in page
    assert lost.reason not in page
    for cell in world.answered[1].tables[0].cells:
        assert f"{max(0.0, cell.low):,.0f} to {max(0.0, cell.high):,.0f}" in page


# What the public is never told


def test_every_question_is_in_the_register_with_where_it_stands(world, closed):
    page = closed.ask("/questions")
    for plan in world.plans.values():
        assert f"/questions/{plan}" in page.text
    for words in ("Planned", "Running", "Answered", "Refused", "Failed", "Withdrawn", "Expired"):
        assert words in page.text
    assert "Withdrawn: The analyst will ask again in autumn." in said(page)


def test_the_register_can_be_filtered(world, closed):
    for state, plan in world.plans.items():
        name = {"released": "done", "collecting": "planned"}.get(state, state)
        page = closed.ask(f"/questions?state={name}")
        assert f"/questions/{plan}" in page.text
        others = set(world.plans.values()) - {plan}
        assert not any(f"/questions/{other}" in page.text for other in others), state
    assert closed.ask("/questions?state=%3Cb%3E").text.count("govuk-tag") >= len(world.plans)


@pytest.mark.parametrize("who", ["", "operator", "stranger"])
def test_the_register_does_not_tell_how_many_councils_refused_or_which_was_lost(world, closed, who):
    """Of the reasons kept for the analyst, one counts refusals and one names a council."""
    pages = [closed.ask("/questions", who=who)]
    pages += [closed.ask(f"/questions/{plan}", who=who) for plan in world.plans.values()]
    text = " ".join(map(said, pages))
    assert "6 of 8" not in text
    assert "silent" not in text
    assert "masked input" not in text
    kept = world.federation.store.proposals.get(bytes.fromhex(world.plans["refused"])).reason
    assert "6 of 8" in kept


def test_a_question_tells_its_purpose_cost_and_contacts(world, closed):
    page = said(closed.ask(f"/questions/{world.plans['released']}"))
    manifest = world.federation.manifest.decode()
    assert "ε (epsilon) 1" in page
    assert "It is never used for" in page
    assert "Round 1 began. It gave the answer." in page
    contact = re.search(r"complaints: (.*)", manifest)[1].strip()
    assert " ".join(contact.split())[:30] in page
    assert "Signatures, checked just now" not in page


def test_an_answer_that_is_overdue_is_flagged_to_everybody(world, closed):
    with world.served(later_days=20) as late:
        assert "is overdue" in said(late.ask(f"/questions/{world.plans['collecting']}"))
        assert "is overdue" not in said(late.ask(f"/questions/{world.plans['released']}"))
        assert "is overdue" not in said(late.ask(f"/questions/{world.plans['withdrawn']}"))
    assert "is overdue" not in said(closed.ask(f"/questions/{world.plans['collecting']}"))


# The guard


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"host": "rebound.example"}, 421),
        ({"method": "DELETE"}, 405),
        ({"method": "PUT"}, 405),
        ({"path": "/questions?" + "x" * 3000}, 414),
        ({"path": "/nothing"}, 404),
        ({"path": "/questions/00"}, 404),
        ({"path": "/questions/" + "0" * 64}, 404),
        ({"path": "/releases/" + "G" * 64}, 404),
        ({"method": "POST", "path": "/questions", "form": {"token": TOKEN}}, 404),
    ],
)
def test_what_is_refused_gets_one_plain_page_and_every_header(closed, change, status):
    reply = closed.ask(**({"path": "/"} | change))
    assert reply.status == status
    assert "This did not work" in reply.text
    assert {name: reply.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert "Traceback" not in reply.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"form": {"token": "0" * 64}}, 403),
        ({"form": {}}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": None}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "application/json"}, 415),
        ({"form": {"token": TOKEN, "more": "x" * 40_000}}, 413),
        ({"who": "operator"}, 403),
        ({"who": "stranger"}, 404),
        ({"who": ""}, 403),
    ],
)
def test_a_form_is_taken_from_our_own_page_alone(world, closed, change, status):
    sent = {"who": "reviewer", "form": {"token": TOKEN}} | change
    reply = closed.ask(filled(world, "/budgets/{council}/verify"), method="POST", **sent)
    assert reply.status == status, reply.text


def test_nobody_can_send_a_form_with_an_empty_token():
    with pytest.raises(Closed):
        Guard(origin="https://a.example").check_token("", "")


def test_an_error_that_nobody_foresaw_is_told_without_its_message(world, closed, monkeypatch):
    def broken(_digest):
        raise ValueError("a secret of the store")

    monkeypatch.setattr(world.reading.proposals, "get", broken)
    reply = closed.ask(f"/questions/{world.plans['released']}")
    assert reply.status == 500
    assert "ValueError" in reply.text
    assert "secret" not in reply.text


def test_a_page_cannot_write_to_the_store(world):
    row = world.reading.proposals.page(frozenset(), size=1)[0]
    with pytest.raises(FileProblem, match=r"readonly|read-only|query_only"):
        world.reading.outcomes.moved(replace(row, state="withdrawn"), before=row.state)
    assert world.federation.store.proposals.get(row.plan_digest).state == row.state


# Budgets


def test_budgets_are_shown_as_stated_and_a_statement_with_another_signature_is_not(world, closed):
    page = closed.ask("/budgets", who="reviewer")
    councils = world.federation.councils
    names = [world.federation.roster.councils[council].name for council in councils]
    text = said(page)
    assert all(name in text for name in names)
    assert page.text.count("page-bar__spent") == 6
    assert page.text.count("page-bar__reserved") == 1
    assert "Its statement does not hold" in text
    assert "It has not given a statement yet" in text
    # Two charges, 1 and 1/2: epsilon 1.5 of 4 is 37.5 per cent, rounded up.
    assert "38% spent" in text
    assert "38% spent, 12% reserved" in text


def test_budgets_of_other_agreements_are_not_shown(world, closed):
    stranger = said(closed.ask("/budgets", who="stranger"))
    assert world.agreement not in stranger
    assert "0 councils are under your agreements" in stranger
    assert closed.ask(filled(world, "/budgets/{council}"), who="stranger").status == 404


def test_a_council_shows_the_question_behind_each_charge(world, closed):
    page = closed.ask(filled(world, "/budgets/{council}"), who="reviewer")
    for release in world.answered:
        assert f"/questions/{release.plan_digest}" in page.text
        assert f"/releases/{release.digest.hex()}" in page.text
        assert release.manifest_digest[:16] in page.text
    lost = closed.ask(f"/budgets/{world.federation.councils[-1]}", who="reviewer")
    assert "Perhaps: it was lost after it may have spent" in said(lost)


def test_what_is_left_names_rho_only_where_there_is_room_for_such_a_question(world, closed):
    council = world.federation.councils[0]
    page = said(closed.ask(f"/budgets/{council}", who="reviewer"))
    assert "One more question of up to ε = 2.5" in page
    assert "ε = 4, δ = 0.000001 " in page
    assert "or of ρ" not in page
    (row,) = world.federation.store.membership.budgets([council])
    made = statement(council, world.agreement, time=time_text(row.received_at), epsilon=Fraction(1, 10), rounds=1)
    envelope = sign_statement("budget-statement", made.canonical(), council_key(council))
    world.federation.store.membership.keep_budgets([replace(row, envelope=envelope)])
    try:
        page = said(closed.ask(f"/budgets/{council}", who="reviewer"))
        assert re.search(r"One more question of up to ε = 3\.9, or of ρ = 0\.[0-9]*[1-9] ", page)
    finally:
        world.federation.store.membership.keep_budgets([row])


def verified(closed, council):
    reply = closed.ask(f"/budgets/{council}/verify", who="reviewer", method="POST", form={"token": TOKEN})
    assert reply.status == 200
    return said(reply)


def test_a_sound_council_verifies(world, closed):
    page = verified(closed, world.federation.councils[0])
    assert "Does not hold" not in page
    for words in ("List of councils.", "Statement.", "Question “Families by age”.", "Sum under"):
        assert f"Holds {words}" in page


@pytest.mark.parametrize(
    ("number", "problem"), [(2, "Sum under"), (5, "Statement. This file has 0 of the 1"), (6, "Statement. The council")]
)
def test_verifying_finds_what_is_wrong(world, closed, number, problem):
    assert f"Does not hold {problem}" in verified(closed, world.federation.councils[number])


@pytest.mark.parametrize("column", ["plan_envelope", "manifest_envelope"])
def test_verifying_finds_an_envelope_that_was_changed(world, closed, column):
    engine, plan = world.federation.store.engine, world.plans["released"]
    row = world.federation.store.proposals.get(bytes.fromhex(plan))
    kept = getattr(row, column)
    assert kept.count(b'"sig":"') == 1
    other = world.federation.store.proposals.get(bytes.fromhex(world.plans["failed"])).plan_envelope
    wrong = other if column == "plan_envelope" else kept.replace(b'"sig":"', b'"sig":"00', 1)
    change = update(proposals).where(proposals.c.plan_digest == plan)
    with engine.begin() as connection:
        connection.execute(change.values(**{column: wrong}))
    try:
        page = verified(closed, world.federation.councils[0])
        assert "Does not hold Question “Families by age”" in page
        question = said(closed.ask(f"/questions/{plan}", who="reviewer"))
        assert "Does not hold" in question
    finally:
        with engine.begin() as connection:
            connection.execute(change.values(**{column: kept}))
    assert "Does not hold" not in verified(closed, world.federation.councils[0])


# Operations


def test_the_operator_sees_what_needs_attention(world, closed):
    page = said(closed.ask("/operations", who="operator"))
    names = [world.federation.roster.councils[council].name for council in world.federation.councils]
    assert f"None for 30 days from: {names[6]}." in page
    assert f"Not connected for 7 days or more: {names[7]}." in page
    assert "Certificate for 127.0.0.1" in page
    with world.served(later_days=390) as much_later:
        assert "Certificate: for 127.0.0.1" in said(much_later.ask("/operations", who="operator"))
    with world.served(later_days=40) as later:
        assert names[0] in said(later.ask("/operations", who="operator"))


def test_the_operator_sees_fingerprints_connections_requests_and_rounds(world, closed):
    page = said(closed.ask("/operations/councils", who="operator"))
    for entry in world.federation.roster.councils.values():
        assert fingerprint(entry.public_key) in page
    assert page.count("Connected") == 6
    assert (page.count("0.1.0"), page.count("0.0.9"), page.count("Not said")) == (6, 1, 1)
    assert "Last seen" in page
    assert "Never seen" in page
    assert "Requests to join Hartlepool" in page
    rounds = said(closed.ask("/operations/rounds", who="operator"))
    assert "Masked input:" in rounds
    assert "7 of 8" in rounds
    stages = re.findall(r"(Advertise keys|Share keys|Masked input|Consistency check|Unmask):", rounds)
    assert stages[:5] == ["Advertise keys", "Share keys", "Masked input", "Consistency check", "Unmask"]


# Settings


def test_a_console_behind_a_proxy_listens_on_loopback_and_knows_its_name():
    assert ConsoleSettings(behind_proxy=True, public_address="https://a.example").behind_proxy
    with pytest.raises(ValueError, match="must listen on loopback"):
        ConsoleSettings(behind_proxy=True, public_address="https://a.example", listen={"host": "0.0.0.0"})
    with pytest.raises(ValueError, match="how people reach it"):
        ConsoleSettings(behind_proxy=True)
    with pytest.raises(ValueError, match="public_address"):
        ConsoleSettings(public_address="https://a.example/path")


def test_a_read_only_store_is_brought_up_to_date_first(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'new.db'}", read_only=True)
    assert store.proposals.page(frozenset(), size=5) == ()
    store.close()


TIME_OF_DAY = re.compile(r"\b\d\d:\d\d\b")


@pytest.mark.parametrize(
    "path", ["/", "/questions", "/questions?state=done", "/questions/{plan}", "/releases/{digest}"]
)
def test_the_public_sees_the_day_of_what_happened_and_no_time_of_day(world, opened, path):
    """By the minute anybody could tell how long the councils of one question took."""
    text = opened.ask(filled(world, path)).text
    assert TIME_OF_DAY.findall(text) == []
    if "{plan}" in path:
        assert "1 February 2026: It was handed in." in text
        assert TIME_OF_DAY.search(opened.ask(filled(world, path), who="analyst").text)


def test_the_addresses_of_the_parts_of_the_register_hold_no_time(world, opened, monkeypatch):
    monkeypatch.setattr("coordinator.console.catalogue.SIZE", 3)
    text = opened.ask("/questions").text
    (older,) = re.findall(r'href="/questions\?older=([^"]*)"', text)
    assert re.fullmatch("[0-9a-f]{64}", older)
    assert older in text.replace(f"older={older}", "")  # the last question of the part, which is named anyway
