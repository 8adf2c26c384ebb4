"""The analysts' service: who may ask what, that every answer is one sentence, and that reading is written down."""

import json
from dataclasses import replace

import grpc
import pytest

from coordinator.analyst_service import AnalystService
from coordinator.progress import RunStage
from federated.authorisation import authorise
from federated.signing import sign_payload, statement_type, unsafe_payload
from protocols.secagg import BelowThreshold
from protocols.wire import analyst_pb2 as pb
from protocols.wire.link_message import Kind
from tests.integration.coordinator_federation import ANALYST, BOB, HUB, NORTH_EAST, REVIEWER, Federation
from tests.integration.link_harness import async_test


class Aborted(Exception):
    """What gRPC raises in a handler that aborts."""


class Context:
    """A call, as far as the service uses one."""

    async def abort(self, code, details):
        raise Aborted(code, json.loads(details))


@pytest.fixture
def federation(tmp_path):
    made = Federation(tmp_path)
    yield made
    made.store.close()


class Caller:
    def __init__(self, federation, running):
        self.federation = federation
        self.service = AnalystService(running.office, running.centre)

    def signed(self, method, request, key, *, coordinator="hub"):
        request.version = request.version or 1
        request.authorisation = authorise(
            request, method=method, coordinator=coordinator, key=key, now=self.federation.now()
        )
        return request

    async def call(self, method, request, key=ANALYST):
        return await getattr(self.service, method)(self.signed(method, request, key), Context())

    async def stream(self, method, request, key=ANALYST):
        return [step async for step in getattr(self.service, method)(self.signed(method, request, key), Context())]

    async def refused(self, method, request, key=ANALYST):
        streams = {"Submit", "Watch"}
        with pytest.raises(Aborted) as refusal:
            await (self.stream if method in streams else self.call)(method, request, key)
        code, detail = refusal.value.args
        assert set(detail) == {"code", "rule", "message", "remedy"}
        return code, detail

    async def asked(self, **changes):
        plan, manifest = self.federation.signed(self.federation.plan())
        return await self.stream("Submit", pb.SubmitRequest(plan=plan, manifest=manifest, **changes))


@async_test
async def test_a_release_is_fetched_by_any_of_its_names_and_each_reading_is_written_down(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        steps = await caller.asked()
        await running.settle()
        numbers = [step.sequence for step in steps]
        assert numbers == sorted(set(numbers))  # one who reads late is spared mere answers
        assert numbers[0] == 1
        assert steps[0].stage == pb.RUN_STAGE_ACCEPTED
        plan = federation.plan()
        digest = steps[-1].release_digest
        names = [
            {"release_digest": digest},
            {"plan_digest": steps[-1].plan_digest},
            {"query_digest": plan.query_digest},
        ]
        for name in names:
            reply = await caller.call("GetRelease", pb.GetReleaseRequest(**name), REVIEWER)
            assert reply.release == federation.store.releases.get(digest).content
            assert len(reply.receipts) == 8
        assert [reader for reader, _, _ in federation.store.releases.reads(digest)] == [REVIEWER.keyid] * 3
        for _ in range(2):  # to ask is no reading
            reads = (await caller.call("ListReads", pb.ListReadsRequest(release_digest=digest), REVIEWER)).reads
            assert [item.reader for item in reads if item.how == "fetched"] == [REVIEWER.keyid] * 3
            assert [item.reader for item in reads if item.how == "delivered"] == list(federation.councils)
            assert all(item.at for item in reads)
        # The same as on the pages: an analyst may read the answer, and is not told who else did.
        code, detail = await caller.refused("ListReads", pb.ListReadsRequest(release_digest=digest), ANALYST)
        assert (code, detail["rule"]) == (grpc.StatusCode.FAILED_PRECONDITION, "reviewer")
        assert ANALYST.keyid not in federation.agreement.reviewer_keys
        listed = await caller.call("ListReleases", pb.ListReleasesRequest())
        assert [(item.release_digest, item.councils_in, item.councils_asked) for item in listed.releases] == [
            (digest, 8, 8)
        ]
        assert listed.next_page == ""
        watched = await caller.stream("Watch", pb.WatchRequest(plan_digest=steps[-1].plan_digest, after_sequence=3))
        assert watched[0].sequence == 4
        assert watched[-1] == steps[-1]
        assert [step for step in watched if step in steps] == [step for step in steps if step in watched]


@async_test
async def test_releases_come_in_pages(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        for nonce in (1, 2, 3):
            await running.ask(federation.plan(nonce=nonce), refresh=True)
        first = await caller.call("ListReleases", pb.ListReleasesRequest(page_size=2))
        second = await caller.call("ListReleases", pb.ListReleasesRequest(page_size=2, page=first.next_page))
        assert (len(first.releases), len(second.releases), second.next_page) == (2, 1, "")
        assert len({item.release_digest for reply in (first, second) for item in reply.releases}) == 3
        for page in ("x", "-1", "²", "9" * 30):
            code, _ = await caller.refused("ListReleases", pb.ListReleasesRequest(page=page))
            assert code is grpc.StatusCode.INVALID_ARGUMENT


@async_test
async def test_only_people_of_an_agreement_are_answered_and_only_analysts_ask(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        for method, request in [
            ("GetAgreementState", pb.GetAgreementStateRequest()),
            ("Budgets", pb.BudgetsRequest()),
            ("ListReleases", pb.ListReleasesRequest()),
            ("GetRelease", pb.GetReleaseRequest(plan_digest=bytes(32))),
            ("Watch", pb.WatchRequest(plan_digest=bytes(32))),
            ("Submit", pb.SubmitRequest(plan=b"x", manifest=b"y")),
        ]:
            code, detail = await caller.refused(method, request, BOB)
            assert (code, detail["code"]) == (grpc.StatusCode.UNAUTHENTICATED, "signature")
        plan, manifest = federation.signed(federation.plan())
        code, detail = await caller.refused("Submit", pb.SubmitRequest(plan=plan, manifest=manifest), REVIEWER)
        assert (code, detail["rule"]) == (grpc.StatusCode.FAILED_PRECONDITION, "analyst")
        assert federation.store.proposals.counts() == {}


@async_test
async def test_an_authorisation_is_for_one_request_of_one_method_to_one_coordinator(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        request = caller.signed("ListReleases", pb.ListReleasesRequest(), ANALYST)
        changed = pb.ListReleasesRequest()
        changed.CopyFrom(request)
        changed.page_size = 7
        elsewhere = caller.signed("ListReleases", pb.ListReleasesRequest(), ANALYST, coordinator="other")
        other = caller.signed("Budgets", pb.ListReleasesRequest(), ANALYST)
        for bad in (changed, elsewhere, other):
            with pytest.raises(Aborted) as refusal:
                await caller.service.ListReleases(bad, Context())
            assert refusal.value.args[0] is grpc.StatusCode.UNAUTHENTICATED
        assert await caller.service.ListReleases(request, Context())


@async_test
async def test_a_run_and_a_release_of_another_agreement_are_as_if_they_did_not_exist(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        steps = await caller.asked()
        digest = steps[-1].release_digest
        (known,) = running.office.membership.agreements.values()
        stranger = known.agreement.model_copy(update={"id": "another"})
        stranger._digest = bytes(32)
        moved = {bytes(32): type(known)(agreement=stranger, envelope=b"")}
        running.office.membership = type(running.office.membership)(
            roster=running.office.membership.roster,
            roster_envelope=running.office.membership.roster_envelope,
            agreements=moved,
        )
        for method, request in [
            ("GetRelease", pb.GetReleaseRequest(release_digest=digest)),
            ("GetRelease", pb.GetReleaseRequest(release_digest=bytes(32))),
            ("ListReads", pb.ListReadsRequest(release_digest=digest)),
            ("ListReads", pb.ListReadsRequest(release_digest=bytes(32))),
            ("Watch", pb.WatchRequest(plan_digest=steps[-1].plan_digest)),
            ("Watch", pb.WatchRequest(plan_digest=bytes(32))),
            ("Budgets", pb.BudgetsRequest(agreement_digest=bytes([1]) * 32)),
        ]:
            _, detail = await caller.refused(method, request)
            assert detail["rule"] == "not_found"
        assert not (await caller.call("ListReleases", pb.ListReleasesRequest())).releases
        assert federation.store.releases.reads(digest) == ()


@async_test
async def test_budgets_are_the_councils_own_fresh_or_as_last_given(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        forger = federation.nodes[NORTH_EAST[1]]
        genuine = forger.budget
        first = await caller.call("Budgets", pb.BudgetsRequest())
        assert [item.council_id for item in first.statements] == list(federation.councils)
        assert all(item.statement for item in first.statements)
        running.link.disconnect(NORTH_EAST[0])
        forger.budget = federation.nodes[NORTH_EAST[2]].budget
        again = await caller.call("Budgets", pb.BudgetsRequest(), REVIEWER)
        assert [item.statement for item in again.statements] == [item.statement for item in first.statements]
        assert genuine() == again.statements[1].statement
        assert federation.nodes[NORTH_EAST[0]].seen.count(Kind.BUDGET_REQUEST) == 1


@async_test
async def test_a_statement_signed_with_a_key_that_the_list_no_longer_has_is_not_handed_on(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        await caller.call("Budgets", pb.BudgetsRequest())
        gone, office = NORTH_EAST[0], running.office
        running.link.disconnect(gone)
        roster = office.membership.roster
        other = replace(roster.councils[gone], public_key=HUB.public)
        changed = replace(roster, councils={**roster.councils, gone: other})
        office.membership = replace(office.membership, roster=changed)
        found = await caller.call("Budgets", pb.BudgetsRequest())
        given = {item.council_id: bool(item.statement) for item in found.statements}
        assert given == {council: council != gone for council in federation.councils}


@async_test
async def test_the_statement_of_a_ledger_that_went_backwards_takes_no_others_place(federation):
    node = federation.nodes[NORTH_EAST[0]]

    def stating(counter):
        body = unsafe_payload(genuine, statement_type("budget-statement")).replace(
            b'"counter":1', b'"counter":%d' % counter
        )
        return sign_payload(body, statement_type("budget-statement"), [node.key])

    genuine = node.budget()
    async with federation.running() as running:
        caller = Caller(federation, running)
        for counter, kept in ((7, 7), (2, 7), (8, 8)):
            node.budget = lambda counter=counter: stating(counter)
            given = await caller.call("Budgets", pb.BudgetsRequest())
            assert given.statements[0].statement == stating(counter)  # whoever asks is told what it says now
            (row,) = federation.store.membership.budgets([NORTH_EAST[0]])
            assert row.envelope == stating(kept)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetRelease", pb.GetReleaseRequest()),
        ("GetRelease", pb.GetReleaseRequest(plan_digest=b"short")),
        ("GetRelease", pb.GetReleaseRequest(version=2, plan_digest=bytes(32))),
        ("Watch", pb.WatchRequest(plan_digest=b"")),
    ],
)
@async_test
async def test_a_request_that_makes_no_sense_is_one_sentence(federation, method, request_):
    async with federation.running() as running:
        code, detail = await Caller(federation, running).refused(method, request_)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert detail["message"].endswith(".")


@async_test
async def test_something_unexpected_is_one_sentence_and_a_line_in_the_log(federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        running.office.store.releases.page = None
        code, detail = await caller.refused("ListReleases", pb.ListReleasesRequest())
        assert (code, detail["code"]) == (grpc.StatusCode.INTERNAL, "internal")
        assert "request_failed" in [event for event, _ in federation.events]


@async_test
async def test_a_fault_of_ours_in_a_run_is_told_to_its_watchers_and_ends_its_round(federation):
    async with federation.running() as running:
        running.centre.desk._crew.driver._sum_of = None
        plan = federation.plan()
        steps = await running.ask(plan)
        assert steps[-1].rule == "internal"
        assert "TypeError" in steps[-1].message
        assert federation.store.proposals.get(plan.digest).state == "failed"
        assert federation.store.rounds.of_plan(plan.digest)[0].outcome == "aborted"


@async_test
async def test_the_council_at_fault_for_a_round_is_named(federation):
    def blamed(_work, _ring, _cells):
        raise BelowThreshold("shares were dealt wrong", culprit=NORTH_EAST[3])

    async with federation.running() as running:
        running.centre.desk._crew.driver._sum_of = blamed
        plan = federation.plan()
        steps = await running.ask(plan)
        assert steps[-1].stage is RunStage.ABORTED
        (found,) = federation.store.rounds.of_plan(plan.digest)
        reasons = {row.council: row.reason for row in federation.store.rounds.councils(found.sid)}
        assert reasons[NORTH_EAST[3]] == "Shares were dealt wrong."
        assert "dealt wrong" not in reasons[NORTH_EAST[2]]
