"""What analysts and reviewers list and hand in: questions, and signed papers under their own agreements alone."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta

import grpc
import pytest
import yaml

from coordinator import paper_intake
from coordinator.authorisation import Asker
from coordinator.paper_intake import MOST_OF_ONE, PAPER_LIMIT, take_paper
from coordinator.roster import SignedAgreement
from federated.errors import PolicyRefusal
from federated.manifest import parse_manifest
from federated.papers import (
    Comment,
    Minutes,
    OutcomeNote,
    PaperKind,
    Ruling,
    sign_comment,
    sign_minutes,
    sign_outcome,
)
from federated.query import parse_query
from federated.series import Series, sign_series
from federated.suggestion import Suggestion, sign_suggestion
from protocols.identifiers import CouncilId
from protocols.wire import analyst_pb2 as pb
from protocols.wire.link_message import Kind
from tests.integration.coordinator_federation import ANALYST, ANN, BOB, QUESTION, REVIEWER, Federation, council_key
from tests.integration.governance_papers import keep
from tests.integration.link_harness import async_test
from tests.integration.test_coordinator_analyst_service import Caller


@pytest.fixture
def federation(tmp_path, request):
    with ExitStack() as opened:
        kept_in_postgresql = getattr(request, "param", "sqlite") == "postgresql"
        server = request.getfixturevalue("postgresql") if kept_in_postgresql else None
        database = None if server is None else opened.enter_context(server.database())
        made = Federation(tmp_path, database=database)
        opened.callback(made.store.close)
        yield made


ON_BOTH_STORES = pytest.mark.parametrize("federation", ["sqlite", "postgresql"], indirect=True)


def comment(federation, release, council=None, key=None, **changes):
    council = council or federation.councils[0]
    made = Comment(
        council=council, release=release, text="We saw it too.", publish=True, staff_minutes=20, at=federation.now()
    )
    return sign_comment(replace(made, **changes), key or council_key(council))


def series(federation, **changes):
    document = yaml.safe_load(federation.manifest) | {"frequency": "quarterly"}
    made = Series(
        id=document["id"],
        edition=1,
        agreement=federation.agreement.id,
        question=parse_query(QUESTION.encode()),
        manifest=parse_manifest(yaml.safe_dump(document, sort_keys=False).encode()),
        wait_days=20,
        until=date(2026, 12, 31),
        signed_at=federation.now().replace(microsecond=0),
    )
    return replace(made, **changes)


def suggestion(federation, council=None, key=None, **changes):
    council = council or federation.councils[0]
    made = Suggestion(
        council=council,
        agreement=federation.agreement.id,
        question=parse_query(QUESTION.encode()),
        reason="Rents rose here.",
        publish=False,
        at=federation.now().replace(microsecond=0),
    )
    return sign_suggestion(replace(made, **changes), key or council_key(council))


def paper(kind, envelope):
    return pb.AddPaperRequest(kind=kind, paper=envelope)


@async_test
async def test_questions_are_listed_with_where_they_stand_a_page_at_a_time(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        await caller.asked()
        federation.nodes[federation.councils[0]].decision = "pending"
        other = federation.plan(nonce=2, question=QUESTION.replace("by age", "by age again").replace('"1"', '"1/2"'))
        await running.centre.desk.submit(*federation.signed(other))
        first = await caller.call("ListQuestions", pb.ListQuestionsRequest(page_size=1), REVIEWER)
        rest = await caller.call("ListQuestions", pb.ListQuestionsRequest(page=first.next_page))
        found = [*first.questions, *rest.questions]
        assert len(first.questions) == len(rest.questions) == 1
        assert rest.next_page == ""
        by_title = {item.title: item for item in found}
        answered = by_title["Families by age"]
        assert answered.state == "released"
        assert answered.query_digest == federation.plan().query_digest
        assert (answered.period_from, answered.period_to) == ("2025-01-01", "2025-03-31")
        assert (answered.manifest_id, answered.agreement_id) == ("lost-tenancies-2026", federation.agreement.id)
        assert by_title["Families by age again"].state in {"received", "collecting"}
        code, detail = await caller.refused("ListQuestions", pb.ListQuestionsRequest(page="yesterday"))
        assert (code, detail["code"]) == (grpc.StatusCode.INVALID_ARGUMENT, "input")
        assert (await caller.refused("ListQuestions", pb.ListQuestionsRequest(), BOB))[
            0
        ] == grpc.StatusCode.UNAUTHENTICATED


@async_test
async def test_a_contributing_councils_comment_is_taken_from_whoever_brings_it_and_given_back(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        envelope = comment(federation, release)
        added = await caller.call("AddPaper", paper("comment", envelope), REVIEWER)
        assert added.added
        again = await caller.call("AddPaper", paper("comment", envelope))
        assert (again.added, again.paper_digest) == (False, added.paper_digest)
        [found] = (await caller.call("ListPapers", pb.ListPapersRequest(kind="comment", subject=release.hex()))).papers
        assert (found.paper, found.author) == (envelope, federation.councils[0])
        federation.store.papers.hide(found.paper_digest, reason="It names a household.", now=federation.now(), by="olu")
        [hidden] = (await caller.call("ListPapers", pb.ListPapersRequest(kind="comment"))).papers
        assert (hidden.paper, hidden.hidden_reason) == (b"", "It names a household.")
        assert federation.store.papers.get(found.paper_digest).envelope == envelope
        assert [line.operation for _, line in federation.store.audit.latest(size=5)] == ["hide paper", "read release"]
        assert "We saw it too." not in str(federation.events)  # what is said is in no log
        assert not federation.store.papers.hide(found.paper_digest, reason="again", now=federation.now(), by="olu")


@async_test
async def test_a_comment_by_another_hand_or_a_council_that_is_not_in_the_answer_is_refused(federation):
    lost = federation.councils[-1]
    async with federation.running() as running:
        running.cut(lost, Kind.SHARES)
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        tries = {
            "signature": comment(federation, release, key=ANALYST),
            "lost": comment(federation, release, council=lost),
            "stranger": comment(federation, release, council=CouncilId("E09000001")),
            "release": comment(federation, bytes(32)),
            "nothing": b"{}",
        }
        codes = {name: (await caller.refused("AddPaper", paper("comment", item)))[1] for name, item in tries.items()}
        assert codes["signature"]["code"] == "signature"
        assert codes["lost"]["rule"] == codes["stranger"]["rule"] == "not_contributed"
        assert codes["lost"]["message"] == codes["stranger"]["message"]
        assert codes["release"]["rule"] == "not_found"
        assert codes["nothing"]["code"] == "signature"
        assert federation.store.papers.page("comment", size=10) == ()


@ON_BOTH_STORES
@async_test
async def test_one_author_cannot_fill_the_disk(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        for number in range(MOST_OF_ONE):
            await caller.call("AddPaper", paper("comment", comment(federation, release, text=f"Number {number}.")))
        _, detail = await caller.refused("AddPaper", paper("comment", comment(federation, release, text="One more.")))
        assert detail["rule"] == "paper_limit"
        other = comment(federation, release, council=federation.councils[1])
        assert (await caller.call("AddPaper", paper("comment", other))).added
        _, detail = await caller.refused("AddPaper", paper("comment", b" " * (PAPER_LIMIT + 1)))
        assert detail["rule"] == "paper_size"


@ON_BOTH_STORES
@async_test
async def test_notes_minutes_and_series_are_taken_from_those_who_may_sign_them_alone(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        note = OutcomeNote(agreement=federation.agreement.id, release=release, text="Desks moved.", at=federation.now())
        ruling = Ruling(plan=None, about="Ages", decision="May be put.", reason="It is clear.")
        met = Minutes(
            agreement=federation.agreement.id, held_on=date(2026, 2, 1), present=("Rae Reviewer",), rulings=(ruling,)
        )
        good = {
            "outcome": sign_outcome(note, ANALYST),
            "minutes": sign_minutes(met, REVIEWER),
            "series": sign_series(series(federation), ANALYST),
        }
        bad = {
            "outcome": sign_outcome(note, REVIEWER),
            "minutes": sign_minutes(met, ANALYST),
            "series": sign_series(series(federation), ANN),
        }
        for kind, envelope in bad.items():
            code, _ = await caller.refused("AddPaper", paper(kind, envelope))
            assert code == grpc.StatusCode.UNAUTHENTICATED, kind
        for kind, envelope in good.items():
            assert (await caller.call("AddPaper", paper(kind, envelope))).added, kind
            [found] = (await caller.call("ListPapers", pb.ListPapersRequest(kind=kind))).papers
            assert found.paper == envelope
        assert (await caller.refused("AddPaper", paper("poem", b"")))[1]["code"] == "input"
        ahead = series(federation, signed_at=federation.now().replace(microsecond=0) + timedelta(days=1))
        assert (await caller.refused("AddPaper", paper("series", sign_series(ahead, ANALYST))))[1][
            "rule"
        ] == "series_dates"
        elsewhere = sign_series(series(federation, agreement="another"), ANALYST)
        assert (await caller.refused("AddPaper", paper("series", elsewhere)))[1]["rule"] == "not_found"


@ON_BOTH_STORES
@async_test
async def test_papers_of_another_agreement_are_as_if_they_were_not_there(federation, monkeypatch):
    async with federation.running() as running:
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        await caller.call("AddPaper", paper("comment", comment(federation, release)))
        [row] = federation.store.papers.page(PaperKind.COMMENT.value, size=2)
        later = row.received_at + timedelta(minutes=1)
        theirs = replace(row, digest=bytes(32), agreement_id="another", received_at=later)
        assert federation.store.papers.add(theirs, limit=9)
        # Nor do they take the place of others in a list that is cut.
        monkeypatch.setattr(paper_intake, "MOST_LISTED", 1)
        for subject in ("", release.hex()):
            request = pb.ListPapersRequest(kind="comment", subject=subject)
            assert [item.paper_digest for item in (await caller.call("ListPapers", request)).papers] == [row.digest]


@ON_BOTH_STORES
@async_test
async def test_what_was_said_of_an_answer_is_deleted_with_it(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        added = await caller.call("AddPaper", paper("comment", comment(federation, release, text="It was 1,234.")))
        await caller.call("AddPaper", paper("series", sign_series(series(federation), ANALYST)))
        assert federation.store.releases.delete_contents([release], now=federation.now()) == 1
        kept = federation.store.papers.get(added.paper_digest)
        assert (kept.envelope, kept.hidden_reason) == (b"", "Deleted with the answer, whose time was over.")
        [gone] = (await caller.call("ListPapers", pb.ListPapersRequest(kind="comment"))).papers
        assert gone.paper == b""
        [stays] = (await caller.call("ListPapers", pb.ListPapersRequest(kind="series"))).papers
        assert stays.paper


@ON_BOTH_STORES
@async_test
async def test_nothing_is_said_of_an_answer_that_was_deleted(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        release = (await caller.asked())[-1].release_digest
        store = federation.store
        assert store.releases.delete_contents([release], now=federation.now()) == 1
        note = OutcomeNote(agreement=federation.agreement.id, release=release, text="Desks moved.", at=federation.now())
        for kind, envelope in (("comment", comment(federation, release)), ("outcome", sign_outcome(note, ANALYST))):
            _, detail = await caller.refused("AddPaper", paper(kind, envelope))
            assert detail["rule"] == "deleted", kind
        # One that came at the same moment, between the look at the answer and its end.
        late = comment(federation, release, text="I remember: 1,234.")
        author = federation.councils[0]
        digest = keep(federation, PaperKind.COMMENT, late, subject=release.hex(), author=author)
        assert store.releases.delete_contents([], now=federation.now()) == 0
        assert store.papers.get(digest).envelope == b""


@async_test
async def test_questions_of_another_agreement_are_not_listed_nor_named_by_a_page(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        await caller.asked()
        [mine] = federation.store.proposals.page((), size=5)
        for number in range(3):
            moment = mine.received_at + timedelta(minutes=1 + number)
            theirs = replace(mine, plan_digest=bytes([number]) * 32, agreement_digest=bytes(32), received_at=moment)
            assert federation.store.proposals.add(theirs)
        reply = await caller.call("ListQuestions", pb.ListQuestionsRequest(page_size=1))
        assert [item.plan_digest for item in reply.questions] == [mine.plan_digest]
        assert reply.next_page == ""


@async_test
async def test_what_councils_are_owed_is_on_the_disk_before_anyone_hears_of_the_answer(federation):
    owed_when_told = []
    async with federation.running() as running:
        store, tell = federation.store, running.office.board.publish

        def publish(digest, stage, **said):
            if said.get("release_digest"):
                owed_when_told.append({row.council for row in store.releases.deliveries(said["release_digest"])})
            return tell(digest, stage, **said)

        running.office.board.publish = publish
        caller = Caller(federation, running)
        await caller.asked()
        await running.settle()
        assert owed_when_told == [set(federation.councils)]
        [row] = store.releases.page([federation.agreement.id], offset=0, size=2)
        for node in federation.nodes.values():
            assert node.releases == [row.content]  # nobody had to ask for it


@async_test
async def test_a_suggested_question_is_taken_from_a_council_of_the_agreement_alone_and_so_many_a_year(federation):
    unknown = parse_query(QUESTION.replace("main_age_band", "shoe_size").encode())
    async with federation.running() as running:
        caller = Caller(federation, running)
        tries = {
            "signature": suggestion(federation, key=ANALYST),
            "not_of_agreement": suggestion(federation, council=CouncilId("E09000001")),
            "not_found": suggestion(federation, agreement="another"),
            "input": suggestion(federation, question=unknown),
        }
        for expected, envelope in tries.items():
            _, detail = await caller.refused("AddPaper", paper("suggestion", envelope))
            assert expected in {detail["code"], detail.get("rule")}, (expected, detail)
        assert federation.store.papers.page("suggestion", size=5) == ()
        envelope = suggestion(federation)
        assert (await caller.call("AddPaper", paper("suggestion", envelope), REVIEWER)).added
        assert not (await caller.call("AddPaper", paper("suggestion", envelope))).added
        [found] = (await caller.call("ListPapers", pb.ListPapersRequest(kind="suggestion"))).papers
        assert (found.paper, found.author) == (envelope, federation.councils[0])
        assert "Rents rose here." not in str(federation.events)
        assert federation.store.proposals.page((), size=5) == ()  # nobody is asked by it
        for number in range(1, MOST_OF_ONE):
            await caller.call("AddPaper", paper("suggestion", suggestion(federation, reason=f"Number {number}.")))
        _, detail = await caller.refused("AddPaper", paper("suggestion", suggestion(federation, reason="One more.")))
        assert detail["rule"] == "paper_limit"


@async_test
async def test_a_council_of_the_list_that_the_agreement_does_not_name_suggests_nothing_under_it(federation):
    async with federation.running() as running:
        [group, *_] = federation.agreement.groups
        fewer = group.model_copy(update={"councils": group.councils[1:]})
        agreement = federation.agreement.model_copy(update={"groups": (fewer,)})
        signed = SignedAgreement(agreement=agreement, envelope=b"")
        asker = Asker(keyid=ANALYST.keyid, agreements={agreement.digest: signed}, may_ask=True)
        with pytest.raises(PolicyRefusal) as refused:
            await take_paper(running.office, asker, PaperKind.SUGGESTION, suggestion(federation))
        assert refused.value.rule == "not_of_agreement"
        theirs = suggestion(federation, council=federation.councils[1])
        assert (await take_paper(running.office, asker, PaperKind.SUGGESTION, theirs))[1]
