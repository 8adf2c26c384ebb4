"""Signed papers as programs hand them in and list them: who may, what is refused and why, and who sees how much."""

import base64
from dataclasses import replace
from datetime import date, timedelta

import pytest

from coordinator.console import signed_papers
from coordinator.console.visitor import Scope
from coordinator.paper_intake import MOST_OF_ONE, PAPER_LIMIT
from coordinator.sign_in.tokens import make_token
from federated.agreement import AGREEMENT_TYPE
from federated.papers import Minutes, OutcomeNote, PaperKind, Ruling, paper_digest, sign_minutes, sign_outcome
from federated.series import sign_series
from federated.signing import sign_payload
from protocols.identifiers import CouncilId
from tests.integration.api_world import NAMES, Program, api_world
from tests.integration.console_world import suggest
from tests.integration.coordinator_federation import ANALYST, ANN, REVIEWER, seeded
from tests.integration.governance_papers import comment as kept_comment
from tests.integration.governance_papers import keep, keep_series, meeting, outcome, standing_series
from tests.integration.test_api import audited, is_problem
from tests.integration.test_governance_service import comment, series, suggestion

CALL = "/api/v1/papers"
MISSING = "0" * 64


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with api_world(tmp_path_factory.mktemp("papers")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(world):
    site = world.site()
    return {who: Program(world, who, site=site) for who in ("", *NAMES)}


@pytest.fixture
def own(tmp_path):
    """A world of the test's own, where it matters what else is there."""
    with api_world(tmp_path) as made:
        yield made


def release_of(world, number=0):
    return world.console.answered[number].digest


def note_of(world, text, **changes):
    federation = world.console.federation
    note = OutcomeNote(agreement=federation.agreement.id, release=release_of(world), text=text, at=federation.now())
    return replace(note, **changes)


def minutes_of(world, held_on):
    ruling = Ruling(plan=None, about="Ages", decision="May be put.", reason="It is clear.")
    return Minutes(agreement=world.console.agreement, held_on=held_on, present=("Rae Reviewer",), rulings=(ruling,))


def good(world, number=0):
    """A paper of each kind, signed by who must; other papers for another number."""
    federation, text = world.console.federation, f"We saw it too, {number}."
    return {
        "comment": comment(federation, release_of(world), text=text),
        "outcome": sign_outcome(note_of(world, text), ANALYST),
        "minutes": sign_minutes(minutes_of(world, date(2026, 1, 1 + number)), REVIEWER),
        "series": sign_series(series(federation, edition=1 + number), ANALYST),
        "suggestion": suggestion(federation, reason=text),
    }


def hand_in(program, kind, envelope, key=None):
    body = {"kind": kind, "paper": base64.b64encode(envelope).decode()}
    return program.post(CALL, json=body, headers={} if key is None else {"idempotency-key": key})


def listed(program, kind, size=50):
    """Every paper of a kind, page by page."""
    found, following = [], f"{CALL}?kind={kind}&size={size}"
    while following is not None:
        reply = program.get(following)
        assert reply.status_code == 200, reply.text
        following = reply.json()["next"]
        assert reply.headers.get("link") == (None if following is None else f'<{following}>; rel="next"')
        assert len(reply.json()["papers"]) == size or following is None
        found += reply.json()["papers"]
    return found


def digests(papers):
    return [one["paper"] for one in papers]


# --- handing in ---


def test_every_kind_is_taken_once_and_given_back_as_it_was_signed_on_either_store(tmp_path, store_url):
    with api_world(tmp_path, database=store_url) as world:
        site = world.site()
        analyst, reviewer = (Program(world, who, site=site) for who in ("analyst", "reviewer"))
        for kind, envelope in good(world).items():
            digest = paper_digest(envelope, PaperKind(kind)).hex()
            first = hand_in(analyst, kind, envelope, key=kind)
            assert (first.status_code, first.json()) == (
                201,
                {"paper": digest, "kind": kind, "agreement": world.console.agreement},
            )
            for program, key in ((analyst, kind), (analyst, None), (reviewer, kind)):
                again = hand_in(program, kind, envelope, key=key)
                assert (again.status_code, again.content) == (201, first.content)
            [found] = [one for one in listed(reviewer, kind) if one["paper"] == digest]
            assert base64.b64decode(found["envelope"]) == envelope
            assert audited(world, "analyst", "hand in paper")[0] == ("done", digest)
        assert audited(world, "reviewer", "hand in paper") == []  # nothing new came of those
        # A key stands for one paper of one account, and what is refused uses none up.
        other = good(world, 1)
        reply = hand_in(analyst, "comment", other["comment"], key="series")
        assert (reply.status_code, is_problem(reply)["rule"]) == (409, "key_reused")
        digest = paper_digest(other["comment"], PaperKind.COMMENT)
        assert world.console.federation.store.papers.get(digest) is None
        assert hand_in(reviewer, "comment", other["comment"], key="series").status_code == 201
        assert hand_in(analyst, "minutes", b"{}", key="new").status_code == 422
        assert hand_in(analyst, "minutes", other["minutes"], key="new").status_code == 201
        store = world.console.federation.store
        assert store.papers.hide(digest, reason="It names somebody.", now=world.console.federation.now(), by="tests")
        assert sorted(one["text"] for one in listed(analyst, "comment", size=1)) == [[], ["We saw it too, 0."]]
        assert len(listed(analyst, "suggestion", size=1)) == 2


def refused(world):
    """(kind, envelope, status, code or rule) of what is not taken."""
    federation, release = world.console.federation, release_of(world)
    payload = b"version: 1\n"
    ahead = series(federation, signed_at=federation.now().replace(microsecond=0) + timedelta(days=1))
    return {
        "unsigned": ("comment", b"{}", 422, "signature"),
        "no envelope": ("minutes", b"\xff\x00", 422, "signature"),
        "another kind of paper": ("outcome", comment(federation, release), 422, "signature"),
        "another kind of file": ("minutes", sign_payload(payload, AGREEMENT_TYPE, [REVIEWER]), 422, "signature"),
        "a comment by another hand": ("comment", comment(federation, release, key=ANALYST), 422, "signature"),
        "a note by a reviewer": ("outcome", sign_outcome(note_of(world, "No."), REVIEWER), 422, "signature"),
        "minutes by an analyst": (
            "minutes",
            sign_minutes(minutes_of(world, date(2026, 3, 1)), ANALYST),
            422,
            "signature",
        ),
        "a series by a signer": ("series", sign_series(series(federation, edition=9), ANN), 422, "signature"),
        "a suggestion by another hand": ("suggestion", suggestion(federation, key=ANALYST), 422, "signature"),
        "a series dated ahead": ("series", sign_series(ahead, ANALYST), 409, "series_dates"),
        "no such answer": ("comment", comment(federation, bytes(32)), 404, "not_found"),
        "no such agreement": ("suggestion", suggestion(federation, agreement="none"), 404, "not_found"),
        "a council that is nowhere": (
            "comment",
            comment(federation, release, council=CouncilId("E09000001")),
            409,
            "not_contributed",
        ),
        "a council that was lost": (
            "comment",
            comment(federation, release_of(world, 1), council=federation.councils[-1]),
            409,
            "not_contributed",
        ),
        "a council of no agreement": (
            "suggestion",
            suggestion(federation, council=CouncilId("E09000001")),
            409,
            "not_of_agreement",
        ),
        "too large": ("comment", b" " * (PAPER_LIMIT + 1), 413, "paper_size"),
    }


def test_what_may_not_be_kept_is_refused_with_a_problem_and_nothing_of_it_is_here(own):
    analyst, papers = Program(own, "analyst"), own.console.federation.store.papers
    before = {kind: papers.page(kind.value, size=99) for kind in PaperKind}
    for what, (kind, envelope, status, said) in refused(own).items():
        reply = hand_in(analyst, kind, envelope)
        problem = is_problem(reply)
        assert (reply.status_code, said in {problem["code"], problem["rule"]}) == (status, True), (what, reply.text)
    paper = base64.b64encode(good(own)["comment"]).decode()
    for body in (
        {"kind": "poem", "paper": paper},
        {"kind": "comment"},
        {"kind": "comment", "paper": "§"},
        {"paper": paper},
    ):
        assert is_problem(analyst.post(CALL, json=body))["status"] == 422
    for key in ("", "x" * 201):
        assert is_problem(hand_in(analyst, "comment", good(own)["comment"], key=key))["status"] == 422
    assert {kind: papers.page(kind.value, size=99) for kind in PaperKind} == before
    assert "We saw it too" not in str(own.console.federation.events)


def test_one_author_cannot_fill_the_disk_through_programs_either(own):
    analyst, federation = Program(own, "analyst"), own.console.federation
    several = [comment(federation, release_of(own), text=f"Number {number}.") for number in range(MOST_OF_ONE + 1)]
    for envelope in several[:-1]:
        assert hand_in(analyst, "comment", envelope).status_code == 201
    reply = hand_in(analyst, "comment", several[-1])
    assert (reply.status_code, is_problem(reply)["rule"]) == (409, "paper_limit")
    assert hand_in(analyst, "comment", several[3]).status_code == 201  # it is here


def test_only_analysts_and_reviewers_of_the_agreement_hand_in_and_others_are_written_down(world, closed):
    envelope = good(world, 2)["comment"]
    for who in ("", "observer", "operator", "stranger"):
        reply = hand_in(closed[who], "comment", envelope)
        assert reply.status_code == (403 if who else 401), who
        if who:
            assert is_problem(reply)["rule"] == "not_allowed"
            assert audited(world, who, "hand in paper")[0][0] == "refused"
    assert audited(world, "stranger", "hand in paper")[0] == ("refused", world.console.agreement)
    store, now = world.console.federation.store, world.console.federation.now()
    token, _ = make_token(
        store,
        store.accounts.get(NAMES["analyst"]),
        label="r",
        scope=Scope.READ,
        days=1,
        by="command line",
        rng=seeded(78),
        now=now,
    )
    reading = Program(world)
    reading.headers["authorization"] = f"Bearer {token}"
    assert hand_in(reading, "comment", envelope).status_code == 403
    assert reading.get(f"{CALL}?kind=minutes").status_code == 200
    assert store.papers.get(paper_digest(envelope, PaperKind.COMMENT)) is None


# --- who sees how much ---


@pytest.fixture(scope="module")
def papers(world):
    """A paper of each sort, by name."""
    console = world.console
    return {
        "for everybody": kept_comment(console, "Rents rose here.", minutes=25).hex(),
        "for the parties": kept_comment(console, "Between us.", council=1, publish=False).hex(),
        "forged": kept_comment(console, "In another's name.", council=2, key=ANALYST).hex(),
        "what changed": outcome(console, "Two officers were moved.").hex(),
        "minutes": meeting(console, held_on=date(2026, 1, 20), decision="Approved.").hex(),
        "minutes of too few": meeting(console, held_on=date(2026, 1, 21), decision="Forged.", key=ANALYST).hex(),
        "series": keep_series(console, standing_series(console)).hex(),
        "suggested": suggest(console, title="Asked of all").hex(),
        "suggested to the parties": suggest(console, title="Asked between us", council=1, publish=False).hex(),
    }


PARTIES = ("analyst", "reviewer", "observer")
OTHERS = ("", "operator", "stranger")


def seen_by(program, kinds=tuple(PaperKind)):
    return {one["paper"]: one for kind in kinds for one in listed(program, kind)}


def test_what_is_said_of_an_answer_is_for_those_who_see_its_figures(world, closed, papers):
    remarks = ("comment", "outcome")
    said = {papers[name] for name in ("for everybody", "for the parties", "forged", "what changed")}
    for who in PARTIES:
        assert said <= set(seen_by(closed[who], remarks)), who
    for who in OTHERS:
        assert seen_by(closed[who], remarks) == {}, who
    # The agreement is opened, and its councils still have days to comment; then they are over.
    opened = {"publish": (world.console.agreement,)}
    assert seen_by(Program(world, **opened, later_days=3), remarks) == {}
    for who in OTHERS:
        seen = seen_by(Program(world, who, **opened, later_days=15), remarks)
        assert said & set(seen) == {papers["for everybody"], papers["what changed"]}, who
        assert seen[papers["for everybody"]]["text"] == ["Rents rose here."]


def test_minutes_and_series_are_for_everybody_and_suggestions_as_their_council_says(closed, papers):
    open_to_all = {papers[name] for name in ("minutes", "minutes of too few", "series", "suggested")}
    for who, program in closed.items():
        seen = seen_by(program, ("minutes", "series", "suggestion"))
        assert open_to_all <= set(seen), who
        assert (papers["suggested to the parties"] in seen) is (who in PARTIES), who
        held = seen[papers["minutes"]]
        assert (held["minutes"]["held_on"], held["minutes"]["signed_by"]) == ("2026-01-20", ["Privacy reviewer"])
        assert held["minutes"]["rulings"][0]["decision"] == "Approved."
        few = seen[papers["minutes of too few"]]
        assert (few["minutes"], few["envelope"]) == (None, None)
        assert "not signed by enough" in few["not_shown_because"]
        standing = seen[papers["series"]]
        assert [one["period_from"] for one in standing["series"]["repeats"]][:2] == ["2025-01-01", "2025-04-01"]
        assert "Families by age" in standing["question"]


def test_the_signed_bytes_are_for_analysts_and_reviewers_of_the_agreement_alone(world, papers):
    site = world.site(publish=(world.console.agreement,), later_days=15)
    for who in ("", *NAMES):
        seen = seen_by(Program(world, who, site=site))
        shown = {one["paper"] for one in seen.values() if one["not_shown_because"] is None}
        assert {papers["for everybody"], papers["minutes"], papers["series"], papers["suggested"]} <= shown
        signed = {one["paper"] for one in seen.values() if one["envelope"] is not None}
        assert signed == (shown if who in {"analyst", "reviewer"} else set()), who


def test_nobody_who_has_not_signed_in_is_told_a_time(world, papers):
    site = world.site(publish=(world.console.agreement,), later_days=15)
    known, nobody = (seen_by(Program(world, who, site=site)) for who in ("observer", ""))
    for paper, one in nobody.items():
        for name in ("received_at", "signed_at", "hidden_at"):
            full = known[paper][name]
            assert one[name] == (None if full is None else full[:10])
    assert len(known[papers["series"]]["signed_at"]) == len(known[papers["suggested"]]["signed_at"]) == 20


def test_pages_leave_no_gap_where_papers_are_for_others_and_their_place_is_none(own, monkeypatch):
    monkeypatch.setattr(signed_papers, "BATCH", 2)
    made = [
        kept_comment(own.console, f"Number {number}.", council=number, publish=number % 3 == 0).hex()
        for number in range(7)
    ]
    program = Program(own, publish=(own.console.agreement,), later_days=15)
    assert sorted(digests(listed(program, "comment", size=1))) == sorted(made[::3])
    party = Program(own, "observer")
    assert sorted(digests(listed(party, "comment", size=2))) == sorted(made)
    assert is_problem(program.get(f"{CALL}?kind=comment&cursor={made[1]}"))["status"] == 422
    assert party.get(f"{CALL}?kind=comment&cursor={made[1]}").status_code == 200
    for kind, cursor in (
        ("comment", MISSING),
        ("minutes", made[0]),
        ("comment", own.console.suggestion),
        ("comment", "1"),
    ):
        assert is_problem(party.get(f"{CALL}?kind={kind}&cursor={cursor}"))["status"] == 422
    for wanted in ("", "?kind=poem", "?kind=comment&size=0", "?kind=comment&size=201"):
        assert is_problem(party.get(f"{CALL}{wanted}"))["status"] == 422


def test_papers_of_an_agreement_that_is_not_theirs_are_not_even_looked_through(own, monkeypatch):
    """Otherwise anybody could have the whole table read for a page with nothing on it."""
    for number in range(5):
        kept_comment(own.console, f"Number {number}.", council=number)
    looked, line_of = [], type(own.console.reading.releases).line_of
    monkeypatch.setattr(
        type(own.console.reading.releases),
        "line_of",
        lambda self, digest: looked.append(digest) or line_of(self, digest),
    )
    for who in OTHERS:
        assert listed(Program(own, who), "comment") == []
    assert looked == []
    assert len(listed(Program(own, "observer"), "comment")) == 5
    assert looked == [release_of(own)]  # once for all of them


# --- what is written down, hidden and deleted ---


def readings(world, number=0):
    return [(who, how) for who, how, _ in world.console.federation.store.releases.reads(release_of(world, number))]


def test_whoever_is_given_what_was_said_of_an_answer_has_read_it_once_a_page(own):
    for number in range(3):
        kept_comment(own.console, f"We counted 3{number} families.", council=number)
    hidden = kept_comment(own.console, "We counted 40.", release=1, council=4)
    store = own.console.federation.store
    assert store.papers.hide(hidden, reason="It names somebody.", now=own.console.federation.now(), by="tests")
    before = readings(own)
    party = Program(own, "observer")
    assert len(listed(party, "comment", size=3)) == 4
    line = (NAMES["observer"], "api papers")
    assert readings(own)[len(before) :].count(line) in {1, 2}  # on as many pages as it is on
    assert line not in readings(own, 1)  # nothing was shown of that
    after = readings(own)
    for who in OTHERS:
        assert listed(Program(own, who), "comment") == []
    listed(party, "minutes")
    assert readings(own) == after


def test_of_a_hidden_paper_the_reason_is_all_there_is(own):
    store, now = own.console.federation.store, own.console.federation.now()
    gone = {
        "comment": kept_comment(own.console, "It names a household."),
        "minutes": meeting(own.console, held_on=date(2026, 1, 20), decision="Approved."),
        "series": keep_series(own.console, standing_series(own.console)),
        "suggestion": bytes.fromhex(own.console.suggestion),
    }
    for kind, digest in gone.items():
        assert store.papers.hide(digest, reason="It names a household.", now=now, by="tests")
        [found] = listed(Program(own, "analyst"), kind)
        shown = [found[name] for name in ("text", "question", "minutes", "series", "envelope", "signed_at")]
        assert shown == [[], None, None, None, None, None], kind
        assert found["not_shown_because"] == "It names a household."
        assert found["hidden_at"]


def test_nothing_said_of_a_deleted_answer_is_shown_also_where_it_came_later(own):
    analyst, store = Program(own, "analyst"), own.console.federation.store
    kept_comment(own.console, "It was 1,234.")
    assert store.releases.delete_contents([release_of(own)], now=own.console.federation.now()) == 1
    keep(
        own.console.federation,
        PaperKind.COMMENT,
        comment(own.console.federation, release_of(own), text="I remember: 1,234."),
        subject=release_of(own).hex(),
        author=own.console.federation.councils[0],
    )
    before = readings(own)
    found = listed(analyst, "comment")
    assert [(one["text"], one["envelope"]) for one in found] == [([], None)] * 2
    assert all("deleted" in one["not_shown_because"].lower() for one in found)
    assert readings(own) == before


def test_a_council_that_has_left_the_list_has_said_nothing_that_is_shown(own, monkeypatch):
    kept_comment(own.console, "We were here.")
    monkeypatch.setattr("coordinator.console.desk.SignedFiles.roster", lambda _self: None)
    [found] = listed(Program(own, "analyst"), "comment")
    assert (found["text"], found["envelope"]) == ([], None)
    assert "signature" in found["not_shown_because"]
