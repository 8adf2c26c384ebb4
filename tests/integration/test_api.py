"""The programs' interface: who gets what, each failure as a problem, pages that miss nothing, questions handed in once."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from coordinator.api import site as api_site
from coordinator.api.site import CALLS, PREFIX
from coordinator.console.answers import version_of
from coordinator.console.desk import SignedFiles
from coordinator.console.visitor import Scope
from coordinator.roster import SignedAgreement
from coordinator.sign_in import sessions
from coordinator.sign_in.operations import Operation
from coordinator.sign_in.tokens import make_token
from coordinator.store import DatabaseProblem, InboxRow, ProposalRow, SessionRow
from coordinator.store.proposals import ProposalBook
from federated.outputs.geojson import read_boundaries
from federated.query import parse_query
from federated.series import sign_series
from protocols.encoding import sha256
from tests.integration.api_world import NAMES, Program, api_world
from tests.integration.console_world import suggest
from tests.integration.coordinator_federation import ANALYST, ANN, seeded
from tests.integration.governance_papers import comment
from tests.integration.test_console_asking import under_way
from tests.integration.test_governance_service import series

WHO = ("", "analyst", "reviewer", "observer", "operator", "stranger", "wrong")
QUICK = {"application/json", "text/csv"}
EVERYBODY = {"", "analyst", "reviewer", "observer", "operator", "stranger"}
PARTIES = {"analyst", "reviewer", "observer"}
EXPECTED = {
    ("GET", "/questions"): EVERYBODY,
    ("POST", "/questions"): {"analyst"},
    ("GET", "/questions/{plan}"): EVERYBODY,
    ("GET", "/questions/{plan}/progress"): {"analyst", "reviewer"},
    ("POST", "/questions/{plan}/withdrawal"): {"analyst"},
    ("GET", "/releases"): EVERYBODY,
    ("GET", "/releases/{digest}"): EVERYBODY,
    ("GET", "/releases/{digest}/files/{file}"): PARTIES,
    ("GET", "/releases/{digest}/receipts"): PARTIES,
    ("GET", "/releases/{digest}/readers"): {"reviewer"},
    ("GET", "/suggestions"): EVERYBODY,
    ("GET", "/papers"): EVERYBODY,
    ("POST", "/papers"): {"analyst", "reviewer"},
    ("GET", "/agreements"): EVERYBODY,
    ("GET", "/agreements/{agreement}"): PARTIES,
    ("GET", "/agreements/{agreement}/budgets"): {"analyst", "reviewer"},
}
"""By hand: who gets an answer where nothing is published. `stranger` has every role, of another agreement."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with api_world(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(world):
    site = world.site()
    return {who: Program(world, who, site=site) for who in WHO}


@pytest.fixture(scope="module")
def opened(world):
    return Program(world, publish=(world.console.agreement,), later_days=15)


def filled(world, path):
    parts = {
        "plan": world.console.plans["released"],
        "digest": world.console.release,
        "file": f"{world.console.answered[0].tables[0].name}.csv",
        "agreement": world.console.agreement,
    }
    return path.format(**parts)


def envelopes(world, nonce):
    federation = world.console.federation
    plan = federation.plan(nonce=nonce)
    plan_envelope, manifest_envelope = map(base64.b64encode, federation.signed(plan))
    return plan, {"plan": plan_envelope.decode(), "manifest": manifest_envelope.decode()}


def collecting(world, nonce, *, account=NAMES["analyst"], watch=None, letter_days=0):
    """A question that an account handed in here, and on which councils decide; its plan's digest."""
    federation = world.console.federation
    store, now, plan = federation.store, federation.now(), federation.plan(nonce=nonce)
    plan_envelope, manifest_envelope = federation.signed(plan)
    if account:
        letter = InboxRow(
            plan_digest=plan.digest,
            body_digest=sha256(plan_envelope),
            plan_envelope=plan_envelope,
            manifest_envelope=manifest_envelope,
            refresh=False,
            account=account,
            agreement_id=world.console.agreement,
            key=None,
            received_at=now + timedelta(days=letter_days),
        )
        number = store.inbox.add(letter, check=lambda _load: None).number
        store.inbox.settle(number, now=now, watch=plan.digest if watch is None else watch)
    row = ProposalRow(
        plan_digest=plan.digest,
        query_digest=plan.query_digest,
        agreement_digest=federation.agreement.digest,
        analyst=ANALYST.keyid,
        plan_envelope=plan_envelope,
        manifest_envelope=manifest_envelope,
        state="collecting",
        received_at=now,
        changed_at=now,
    )
    assert store.proposals.add(row)
    return plan.digest


def take_back(program, digest, reason="Asked too early."):
    return program.post(f"{PREFIX}/questions/{digest.hex()}/withdrawal", json={"reason": reason})


def put(program, body, **headers):
    return program.post(f"{PREFIX}/questions", json=body, headers=headers)


def audited(world, who, operation):
    lines = [row for _, row in world.console.federation.store.audit.latest(size=500)]
    return [(row.outcome, row.object) for row in lines if (row.who, row.operation) == (NAMES[who], operation)]


def is_problem(reply):
    said = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert said["status"] == reply.status_code
    assert said["detail"]
    return said


# --- who gets what ---


def test_the_table_of_expectations_is_whole():
    assert set(EXPECTED) == {(call.method, call.path) for call in CALLS}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_every_role_on_every_call(world, closed, call):
    for number, who in enumerate(WHO):
        path = f"{PREFIX}{filled(world, call.path)}"
        if call.path.endswith("/withdrawal"):
            reply = take_back(closed[who], collecting(world, 140 + number))
        elif call.path == "/papers" and call.method == "POST":
            paper = sign_series(series(world.console.federation, edition=1 + number), ANALYST)
            body = {"kind": "series", "paper": base64.b64encode(paper).decode()}
            reply = closed[who].post(path, json=body)
        elif call.path == "/papers":
            reply = closed[who].get(f"{path}?kind=comment")
        elif call.method == "POST":
            reply = put(closed[who], envelopes(world, 40 + number)[1])
        else:
            reply = closed[who].request(call.method, path)
        if who in EXPECTED[call.method, call.path]:
            assert reply.status_code == call.status, (who, reply.text)
        elif who in {"", "wrong"}:
            assert (reply.status_code, reply.headers.get("www-authenticate")) in {(401, "Bearer"), (403, None)}, who
        else:
            assert reply.status_code == 403, (who, reply.text)
            assert is_problem(reply)["code"] in {"refused", "closed"}


def test_a_call_that_named_a_wider_operation_would_be_seen(world, monkeypatch):
    wider = tuple(
        replace(call, operation=Operation.VIEW_REGISTER) if call.path.endswith("/budgets") else call for call in CALLS
    )
    monkeypatch.setattr(api_site, "CALLS", wider)
    # The call itself still looks at the agreement: both have to be wrong before anything is shown.
    program = Program(world, "observer")
    assert program.ask(f"/agreements/{world.console.agreement}/budgets").status_code == 403
    monkeypatch.setattr("coordinator.api.asking.check_allowed", lambda *_args, **_named: None)
    assert program.ask(f"/agreements/{world.console.agreement}/budgets").status_code == 200


def test_a_token_for_reading_puts_no_question(world):
    store = world.console.federation.store
    account = store.accounts.get(NAMES["analyst"])
    now = world.console.federation.now()
    token, _ = make_token(
        store, account, label="r", scope=Scope.READ, days=1, by="command line", rng=seeded(77), now=now
    )
    program = Program(world)
    program.headers["authorization"] = f"Bearer {token}"
    assert program.ask(f"/agreements/{world.console.agreement}").status_code == 200
    reply = put(program, envelopes(world, 60)[1])
    assert (reply.status_code, is_problem(reply)["rule"]) == (403, "not_allowed")
    assert ("refused", "") in audited(world, "analyst", "propose")


def test_a_cookie_signs_nobody_in_here(world, closed):
    store, now = world.console.federation.store, world.console.federation.now()
    row = SessionRow(
        token_hash=sessions.token_hash("abc"),
        account=NAMES["analyst"],
        address="192.0.2.1",
        started_at=now,
        seen_at=now,
    )
    store.accounts.open_session(row, ended_before=now - timedelta(days=1))
    program = Program(world)
    program.cookies.set(sessions.COOKIE, "abc")
    assert "pat.analyst" in program.get("/account").text  # a person's page knows them
    assert program.ask(f"/agreements/{world.console.agreement}").status_code == 401
    assert put(program, envelopes(world, 61)[1]).status_code == 401


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer  ", "Basic cGF0OmFiYw==", "Bearer a b c"])
def test_what_is_no_token_is_nobodys(world, given):
    program = Program(world)
    program.headers["authorization"] = given
    assert program.ask("/agreements").status_code == 401


# --- answers ---


def test_figures_are_given_to_the_parties_and_every_reading_is_written_down(world, closed):
    path = f"/releases/{world.console.release}/files/release.json"
    before = audited(world, "observer", "read release")
    reply = closed["observer"].ask(path)
    assert sha256(reply.content).hex() == world.console.release
    assert reply.headers["cache-control"] == "no-store"
    assert audited(world, "observer", "read release")[: -len(before) or None] == [("done", world.console.release)]
    read = closed["reviewer"].ask(f"/releases/{world.console.release}/readers").json()["readers"]
    assert (NAMES["observer"], "api json") in {(one["reader"], one["how"]) for one in read}
    assert closed["stranger"].ask(path).status_code == 403
    assert ("refused", world.console.release) in audited(world, "stranger", "view figures")


def test_what_is_closed_tells_neither_councils_nor_files(world, closed):
    for who in ("", "stranger", "operator"):
        said = closed[who].ask(f"/releases/{world.console.release}").json()
        assert (said["open"], said["public"], said["councils"], said["files"]) == (False, False, [], [])
    said = closed["analyst"].ask(f"/releases/{world.console.release}").json()
    assert (said["open"], said["public"]) == (True, False)
    assert len(said["councils"]) == 8


def test_every_file_of_a_published_answer_can_be_taken_and_is_known_again(world, opened):
    said = opened.ask(f"/releases/{world.console.release}").json()
    kinds = set()
    for file in said["files"]:
        kind = file["media_type"].partition(";")[0]
        if kind in kinds or kind not in QUICK:
            continue  # the others are made by the same table, and some take seconds
        kinds.add(kind)
        reply = opened.get(file["href"])
        assert reply.status_code == 200
        assert reply.headers["content-type"].partition(";")[0] == kind
        assert reply.headers["cache-control"] == "no-cache"
        again = opened.get(file["href"], headers={"if-none-match": f'"other", {reply.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert opened.get(file["href"], headers={"if-none-match": '"other"'}).status_code == 200
    assert kinds == QUICK


def test_a_map_is_among_the_files_of_an_answer_with_regions_alone_and_is_another_on_other_boundaries(world, opened):
    listed = []
    for release in world.console.answered:
        files = opened.ask(f"/releases/{release.digest.hex()}").json()["files"]
        listed.append([file for file in files if file["name"].endswith(".geojson")])
    national, (regional,) = listed
    assert national == []
    assert (regional["table"], regional["media_type"]) == ("age", "application/geo+json")
    reply = opened.get(regional["href"])
    assert reply.headers["content-type"] == "application/geo+json"
    assert {one["geometry"] for one in reply.json()["features"]} == {None}
    marks = {version_of(SimpleNamespace(boundaries=given), ()) for given in (None, *map(boundaries, "ab"))}
    assert len(marks) == 3
    assert "" in marks


def boundaries(source):
    content = b'{"type": "FeatureCollection", "features": []}'
    return read_boundaries(content, code_property="code", name="x", source=source)


def test_who_may_not_see_a_file_is_not_told_that_it_is_the_same(world, closed):
    path = f"/releases/{world.console.release}/files/release.json"
    tag = {"if-none-match": f'"{world.console.release}/release.json"'}
    assert closed["analyst"].ask(path, headers=tag).status_code == 304
    assert closed[""].ask(path, headers=tag).status_code == 403


def test_budgets_are_those_of_the_agreement_alone_and_signed(world, closed):
    path = f"/agreements/{world.console.agreement}/budgets"
    said = closed["reviewer"].ask(path).json()["budgets"]
    assert [one["council"] for one in said] == list(world.console.federation.councils)
    shown = [one for one in said if one["periods"]]
    assert shown
    assert {period["agreement"] for one in shown for period in one["periods"]} == {world.console.agreement}
    assert all(one["head"] for one in shown)
    assert any(one["problem"] for one in said)  # one council's statement is signed by another's key


# --- pages of long lists ---


@pytest.mark.parametrize(
    ("path", "name", "identity"),
    [
        ("/questions", "questions", "plan"),
        ("/questions?standing=done", "questions", "plan"),
        ("/releases", "releases", "digest"),
        ("/agreements/{agreement}/budgets", "budgets", "council"),
    ],
)
def test_going_from_page_to_page_gives_everything_once(world, closed, path, name, identity):
    path, program = filled(world, path), closed["reviewer"]
    whole = [one[identity] for one in program.ask(path).json()[name]]
    found, following = [], f"{PREFIX}{path}{'&' if '?' in path else '?'}size=1"
    while following is not None:
        reply = program.get(following)
        following = reply.json()["next"]
        assert len(reply.json()[name]) == 1
        assert reply.headers.get("link") == (None if following is None else f'<{following}>; rel="next"')
        found += [one[identity] for one in reply.json()[name]]
    assert found == whole
    assert len(set(whole)) == len(whole) >= 2


def test_receipts_and_readers_are_paged_and_who_reads_meanwhile_moves_nothing(world, closed):
    reviewer, answer = closed["reviewer"], f"/releases/{world.console.release}"
    for who in ("observer", "analyst", "observer"):
        closed[who].ask(f"{answer}/files/release.json")
    for name in ("receipts", "readers"):
        whole = reviewer.ask(f"{answer}/{name}?size=200").json()
        assert whole["next"] is None
        assert len(whole[name]) >= 8
        found, following, pages = [], f"{PREFIX}{answer}/{name}?size=3", 0
        while following is not None:
            reply = reviewer.get(following)
            found, following, pages = found + reply.json()[name], reply.json()["next"], pages + 1
            if "after=E" in (following or ""):  # among the councils: later readings stand before them
                closed["analyst"].ask(f"{answer}/files/release.json")
        assert found == whole[name]
        assert pages == -(-len(found) // 3)
    for after in ("0", "x", "-1", "9999999999", "1 or 1"):
        assert reviewer.ask(f"{answer}/readers?after={after}").status_code == 422
    assert [one["how"] for one in reviewer.ask(f"{answer}/readers?after=99999").json()["readers"]] == ["delivered"] * 8


def test_agreements_are_paged_by_their_ids(world, closed, monkeypatch):
    known = world.console.federation.agreement
    more = [
        SignedAgreement(agreement=known.model_copy(update={"id": name}), envelope=b"")
        for name in ("c-third", "a-first", "b-second")
    ]
    in_force = SimpleNamespace(agreements={bytes([number]): one for number, one in enumerate(more)})
    monkeypatch.setattr(SignedFiles, "in_force", lambda _self: in_force)
    first = closed[""].ask("/agreements?size=2").json()
    second = closed[""].get(first["next"]).json()
    assert [[one["id"] for one in page["agreements"]] for page in (first, second)] == [
        ["a-first", "b-second"],
        ["c-third"],
    ]
    assert second["next"] is None


def unpaged(described):
    """Lists of a description that give everything at once: no `size` to ask with, or no `next` to go on by."""
    schemas = described["components"]["schemas"]
    for path, item in described["paths"].items():
        call = item.get("get")
        if call is None or not call["operationId"].startswith("list_"):
            continue
        form = call["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        asked = {one["name"] for one in call.get("parameters", ())}
        if "size" not in asked or "next" not in schemas[form]["properties"]:
            yield path


def test_every_list_gives_a_page_at_a_time():
    described = api_site.description()
    lists = [call.path for call in CALLS if call.view.__name__.startswith("list_")]
    assert len(lists) >= 8
    assert list(unpaged(described)) == []
    for path in lists:
        broken = json.loads(json.dumps(described))
        call = broken["paths"][f"{PREFIX}{path}"]["get"]
        call["parameters"] = [one for one in call["parameters"] if one["name"] != "size"]
        assert list(unpaged(broken)) == [f"{PREFIX}{path}"]
    del described["components"]["schemas"]["Receipts"]["properties"]["next"]
    assert list(unpaged(described)) == [f"{PREFIX}/releases/{{digest}}/receipts"]
    # A list under another name would be no list to this test: whatever gives several of something is one.
    several = {"Questions", "Releases", "Receipts", "Readers", "Suggestions", "Papers", "Agreements", "Budgets"}
    assert several == {
        name for name, form in described["components"]["schemas"].items() if form["description"].startswith("A page of")
    }


@pytest.mark.parametrize(
    "wanted",
    ["cursor=1", "cursor=2026-02-01T12:00:00Z_ab", "cursor=2026-13-01T12:00:00Z_" + "a" * 64, "size=0", "size=201"],
)
def test_a_place_that_was_not_given_out_is_refused(closed, wanted):
    for path in ("/questions", "/releases"):
        assert is_problem(closed[""].ask(f"{path}?{wanted}"))["status"] == 422


# --- handing in ---


def test_a_question_is_handed_in_once_and_can_be_followed(world, closed):
    plan, body = envelopes(world, 71)
    first = put(closed["analyst"], body, **{"idempotency-key": "one"})
    watch = f"{PREFIX}/questions/{plan.digest.hex()}/progress"
    assert (first.status_code, first.headers["location"]) == (202, watch)
    assert first.json() == {"plan": plan.digest.hex(), "links": {"progress": watch}}
    again = put(closed["analyst"], body, **{"idempotency-key": "one"})
    assert (again.status_code, again.content) == (202, first.content)
    store = world.console.federation.store
    assert len([row for row in store.inbox.unsettled(size=99) if row.plan_digest == plan.digest]) == 1
    other = put(closed["analyst"], body | {"refresh": True}, **{"idempotency-key": "one"})
    assert (other.status_code, is_problem(other)["rule"]) == (409, "key_reused")
    said = closed["analyst"].get(watch).json()
    assert (said["state"], said["handed_in"]["state"], said["ended"]) == ("inbox", "waiting", False)
    # Until it is in the register, nobody else knows of it.
    assert closed["stranger"].get(watch).status_code == 404
    row = store.inbox.latest_of(plan.digest)
    store.inbox.settle(row.number, now=world.console.federation.now(), rule="plan_dates", message="Too late.")
    said = closed["reviewer"].get(watch).json()
    assert (said["ended"], said["handed_in"]["rule"]) == (True, "plan_dates")


def test_progress_is_council_by_council(world, closed):
    said = closed["analyst"].ask(f"/questions/{world.console.plans['released']}/progress").json()
    assert (said["state"], said["ended"], said["release"]) == ("released", True, world.console.release)
    assert {one["decision"] for one in said["decisions"]} == {"approved"}
    assert [one["outcome"] for one in said["rounds"]] == ["released"]
    assert {one["outcome"] for one in said["councils"]} == {"contributed"}
    said = closed["reviewer"].ask(f"/questions/{under_way(world.console)}/progress").json()
    assert [one["outcome"] for one in said["rounds"]] == ["running"]
    assert [(one["outcome"], one["stage"]) for one in said["councils"]] == [
        ("answered", "share keys"),
        ("dropped", "share keys"),
    ]


def test_an_answer_has_what_was_said_of_it_and_whether_it_may_change(world, closed):
    comment(world.console, "Rents rose here.")
    comment(world.console, "Between us.", council=1, publish=False)
    shown = {who: closed[who].ask(f"/releases/{world.console.release}").json() for who in ("", "stranger", "observer")}
    assert sorted(one["text"] for one in shown["observer"]["remarks"]) == [["Between us."], ["Rents rose here."]]
    assert shown[""]["remarks"] == shown["stranger"]["remarks"] == []
    for found in shown.values():
        assert (found["data_cut_off"], found["provisional"], found["revised_by"]) == ("2026-01-10", "", None)
    published = Program(world, publish=(world.console.agreement,), later_days=15)
    found = published.ask(f"/releases/{world.console.release}").json()["remarks"]
    assert [one["text"] for one in found] == [["Rents rose here."]]
    first = published.ask(f"/releases/{world.console.release}/files/method-note.html")
    comment(world.console, "One more.", council=2)
    again = published.ask(f"/releases/{world.console.release}/files/method-note.html")
    assert first.headers["etag"] != again.headers["etag"]
    assert "One more." in again.text


def test_suggestions_are_those_for_everybody_and_those_of_the_own_agreements(world, closed):
    quiet = suggest(world.console, title="Asked between us", council=1, publish=False).hex()
    for who, papers in (("", {world.console.suggestion}), ("stranger", {world.console.suggestion})):
        assert {one["paper"] for one in closed[who].ask("/suggestions").json()["suggestions"]} == papers, who
    [newest, *_] = found = closed["observer"].ask("/suggestions").json()["suggestions"]
    assert {one["paper"] for one in found} == {world.console.suggestion, quiet}
    assert newest["reason"] == "Rents rose here in <b>March</b>."
    assert parse_query(newest["question"].encode()).title == newest["title"]


def test_suggestions_are_paged_and_those_for_others_leave_no_gap(world, closed):
    more = [suggest(world.console, title=f"Number {n}", council=2, publish=n != 1).hex() for n in range(3)]
    for who, of_these in (("", {more[2], more[0]}), ("observer", set(more))):
        path, papers = "/suggestions?size=1", []
        while path:
            page = closed[who].ask(path).json()
            assert len(page["suggestions"]) == 1, who
            papers += [one["paper"] for one in page["suggestions"]]
            assert who or more[1] not in str(page["next"])
            path = page["next"] and page["next"].removeprefix("/api/v1")
        assert {paper for paper in papers if paper in more} == of_these
        assert len(papers) == len(set(papers))


def test_an_analyst_takes_an_own_question_back(world, closed):
    digest, store = collecting(world, 171), world.console.federation.store
    reply = take_back(closed["analyst"], digest, "The figures came out elsewhere.")
    assert reply.json()["state"] == "withdrawn"
    row = store.proposals.get(digest)
    assert (row.state, row.rule, row.reason) == (
        "withdrawn",
        "withdrawn",
        "Withdrawn: The figures came out elsewhere.",
    )
    assert ("done", digest.hex()) in audited(world, "analyst", "withdraw question")
    again = take_back(closed["analyst"], digest)
    assert (again.status_code, is_problem(again)["rule"]) == (409, "withdraw")


def test_nobody_takes_back_what_another_handed_in(world, closed):
    """Another analyst's, one that came over gRPC, one that was refused here first, and a copy handed in later."""
    store = world.console.federation.store
    others = [
        collecting(world, 172, account=NAMES["reviewer"]),
        collecting(world, 173, account=""),
        collecting(world, 174, watch=bytes(32)),
        collecting(world, 175, letter_days=1),
    ]
    for digest in others:
        reply = take_back(closed["analyst"], digest)
        assert (reply.status_code, is_problem(reply)["rule"]) == (403, "not_allowed")
        assert store.proposals.get(digest).state == "collecting"
        assert ("refused", digest.hex()) in audited(world, "analyst", "withdraw")


def test_a_copy_handed_in_later_by_another_account_changes_nothing(world, closed):
    digest, federation = collecting(world, 176, account=NAMES["reviewer"]), world.console.federation
    letter = federation.store.inbox.latest_of(digest)
    late = replace(letter, account=NAMES["analyst"], number=0, state="waiting", received_at=federation.now())
    federation.store.inbox.settle(
        federation.store.inbox.add(late, check=lambda _load: None).number, now=federation.now(), watch=digest
    )
    assert take_back(closed["analyst"], digest).status_code == 403


def test_a_question_whose_round_has_begun_is_not_taken_back(world, closed):
    digest, store = collecting(world, 177), world.console.federation.store
    row = store.proposals.get(digest)
    for state in ("running", "released", "failed"):
        assert store.outcomes.moved(replace(row, state=state), before=row.state)
        row = store.proposals.get(digest)
        reply = take_back(closed["analyst"], digest)
        assert (reply.status_code, is_problem(reply)["rule"]) == (409, "withdraw")
        assert store.proposals.get(digest) == row


def test_the_reason_is_one_plain_line(world, closed):
    mine = collecting(world, 178)
    for reason in ("", " ", "x" * 301, "one\ntwo", "turned \u202e round"):
        assert is_problem(take_back(closed["analyst"], mine, reason))["status"] == 422
    assert take_back(closed["analyst"], mine, "x" * 300).status_code == 200


@pytest.mark.parametrize(
    ("body", "rule"), [({"plan": "§", "manifest": ""}, ""), ({"plan": "e30=", "manifest": "e30="}, "")]
)
def test_what_is_no_signed_plan_is_refused(closed, body, rule):
    said = is_problem(put(closed["analyst"], body))
    assert (said["status"], said["rule"]) == (422, rule)


def test_a_plan_that_somebody_else_signed_is_refused(world, closed):
    federation = world.console.federation
    plan = federation.plan(nonce=72)
    signed = federation.signed(plan, key=ANN)
    body = dict(zip(("plan", "manifest"), (base64.b64encode(one).decode() for one in signed), strict=True))
    assert is_problem(put(closed["analyst"], body))["code"] == "signature"


# --- failures ---


@pytest.mark.parametrize(
    ("method", "path", "change", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/questions/", {}, 404),
        ("GET", f"/questions/{'0' * 64}", {}, 404),
        ("GET", f"/releases/{'0' * 64}", {}, 404),
        ("GET", "/releases/xyz", {}, 422),
        ("GET", "/questions?standing=odd", {}, 422),
        ("GET", "/questions?size=many", {}, 422),
        ("GET", "/questions?" + "a" * 2100, {}, 414),
        ("PUT", "/questions", {}, 405),
        ("DELETE", "/releases", {}, 405),
        ("POST", "/questions", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/questions", {"content": b"{}"}, 415),
        ("POST", "/questions", {"content": b"{", "headers": {"content-type": "application/json"}}, 422),
        ("POST", "/questions", {"content": b"%\xff", "headers": {"content-type": "application/json"}}, 422),
        ("POST", "/questions", {"content": b"[" * 90_000, "headers": {"content-type": "application/json"}}, 422),
        ("POST", "/questions", {"json": []}, 422),
        ("POST", "/questions", {"json": {"plan": "e30=", "manifest": "e30=", "more": 1}}, 422),
        ("POST", "/questions", {"content": b" " * 3_000_000, "headers": {"content-type": "application/json"}}, 413),
        ("GET", "/questions", {"headers": {"host": "elsewhere.example"}}, 421),
    ],
)
def test_every_failure_is_a_problem_with_what_to_do(closed, method, path, change, status):
    reply = closed["analyst"].request(method, f"{PREFIX}{path}", **change)
    assert is_problem(reply)["status"] == status
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    if status == 405:
        assert "GET" in reply.headers["allow"]


def test_a_body_of_a_stranger_is_not_read(world):
    asked = []

    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{PREFIX}/questions",
        "raw_path": f"{PREFIX}/questions".encode(),
        "query_string": b"",
        "headers": [(b"host", b"pages.example"), (b"content-type", b"application/json")],
        "client": ("192.0.2.1", 1),
        "scheme": "https",
        "server": ("pages.example", 443),
        "root_path": "",
        "http_version": "1.1",
    }

    asyncio.run(world.site()(scope, receive, send))
    assert sent[0]["status"] == 401
    assert asked == []


def test_an_error_that_nobody_foresaw_is_told_without_its_message(world, monkeypatch):
    def broken(*_args, **_named):
        raise ZeroDivisionError("1234 households")

    monkeypatch.setattr(ProposalBook, "page", broken)
    reply = Program(world).ask("/questions")
    assert is_problem(reply)["status"] == 500
    assert "1234" not in reply.text
    monkeypatch.setattr(ProposalBook, "page", gone)
    reply = Program(world).ask("/questions")
    assert (is_problem(reply)["status"], reply.headers["retry-after"]) == (503, "30")
    assert "db.internal" not in reply.text


def gone(*_args, **_named):
    raise DatabaseProblem("The database postgresql://hub@db.internal/hub cannot be used.")


def test_wrong_tokens_are_held_up(world):
    program = Program(world)
    program.headers["authorization"] = "Bearer hst_wrong"
    replies = [program.ask("/questions") for _ in range(25)]
    assert replies[0].status_code == 401
    assert is_problem(replies[-1])["status"] == 429
    assert int(replies[-1].headers["retry-after"]) > 0


def test_where_nobody_can_sign_in_the_register_is_there_and_no_token_counts(world):
    with world.console.served() as served:
        assert served.ask(f"{PREFIX}/questions").status == 200
        assert served.ask(f"{PREFIX}/questions", authorization="Bearer hst_abc").status == 401
        assert served.ask(f"{PREFIX}/agreements/{world.console.agreement}").status == 401


def test_the_description_is_public_and_is_of_every_call(world, closed):
    said = closed[""].ask("/openapi.json").json()
    assert said["openapi"].startswith("3.1")
    assert {(method.upper(), path) for path, item in said["paths"].items() for method in item} == {
        (call.method, f"{PREFIX}{call.path}") for call in CALLS
    }
    for call in CALLS:
        item = said["paths"][f"{PREFIX}{call.path}"][call.method.lower()]
        assert item["summary"], call.path
        assert ({} in item["security"]) is (call.operation is Operation.VIEW_REGISTER)
    undescribed = [
        f"{name}.{field}"
        for name, form in said["components"]["schemas"].items()
        for field, value in form.get("properties", {}).items()
        if "description" not in value and "$ref" not in json.dumps(value)
    ]
    assert undescribed == []
