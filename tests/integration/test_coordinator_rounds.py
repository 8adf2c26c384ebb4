"""Rounds driven over a link: what comes out, who is in it, and what a loss at each stage leads to."""

from dataclasses import replace

import pytest

from coordinator.progress import CouncilState, RunStage
from coordinator.store import DeskLost
from federated.errors import FileProblem
from federated.release import open_release
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.coordinator_federation import Federation
from tests.integration.link_harness import async_test, until

STAGES = [Kind.INVITE, Kind.ADVERTS, Kind.SHARES, Kind.SURVIVORS, Kind.STATEMENTS]


def totals(release):
    return list(release.tables[0].totals)


@pytest.fixture
def federation(tmp_path):
    made = Federation(tmp_path)
    yield made
    made.store.close()


@async_test
async def test_a_round_gives_the_sum_of_every_councils_figures(federation):
    async with federation.running() as running:
        plan = federation.plan()
        steps = await running.ask(plan)
        assert steps[-1].final
        assert steps[-1].stage is RunStage.PUBLISHED, steps[-1]
        row = federation.store.releases.of_plan(plan.digest)
        assert row.digest == steps[-1].release_digest
        release = open_release(row.content)
        assert totals(release) == federation.expected()
        assert [record.outcome for record in release.councils] == ["contributed"] * 8
        assert release.data_cut_off == "2026-01-10"
        await running.settle()
        assert all(node.releases == [row.content] for node in federation.nodes.values())
        assert all(item.receipt for item in federation.store.releases.deliveries(row.digest))
    assert federation.store.proposals.get(plan.digest).state == "released"
    (found,) = federation.store.rounds.of_plan(plan.digest)
    assert (found.outcome, found.attempt) == ("released", 1)
    assert len(federation.store.rounds.stages(found.sid)) == 5
    assert {row.outcome for row in federation.store.rounds.councils(found.sid)} == {"contributed"}


@pytest.mark.parametrize("kind", STAGES)
@async_test
async def test_a_council_lost_at_a_stage_does_not_stop_the_others(federation, kind):
    lost = federation.councils[2]
    async with federation.running() as running:
        running.cut(lost, kind)
        plan = federation.plan()
        steps = await running.ask(plan)
        assert steps[-1].stage is RunStage.PUBLISHED, steps[-1]
        release = open_release(federation.store.releases.of_plan(plan.digest).content)
    in_sum = [record.council for record in release.councils if record.outcome == "contributed"]
    # From R3 on its input is in the sum already.
    if kind in {Kind.SURVIVORS, Kind.STATEMENTS}:
        assert in_sum == list(federation.councils)
    else:
        assert in_sum == [council for council in federation.councils if council != lost]
        (record,) = [record for record in release.councils if record.council == lost]
        assert record.outcome == ("unreachable" if kind is Kind.INVITE else "dropped")
        assert record.reason
        assert any(step.council == lost and step.council_state is CouncilState.SILENT for step in steps)
    assert totals(release) == federation.expected(*in_sum)
    assert release.joined == (7 if kind is Kind.INVITE else 8)


@pytest.mark.parametrize(
    ("looks", "last", "problem"),
    [
        (0, Kind.ADVERTS, DeskLost()),
        (0, Kind.ADVERTS, FileProblem("The database does not answer.")),
        (1, Kind.SURVIVORS, DeskLost()),
    ],
)
@async_test
async def test_a_coordinator_that_may_not_act_makes_nobody_spend_and_unmasks_nothing(federation, looks, last, problem):
    """Found out before SHARES, for which councils spend, and before STATEMENTS, which unmasks."""
    asked = []

    async def still_acting():
        asked.append(len(asked))
        if len(asked) > looks:
            raise problem

    federation.still_acting = still_acting
    plan = federation.plan()
    async with federation.running() as running:
        steps = await running.ask(plan)
        await running.settle()
    assert not any(step.release_digest for step in steps)
    assert any(step.rule == "coordinator_stopped" for step in steps)
    assert federation.store.releases.of_plan(plan.digest) is None
    spent = "Nothing was spent." if last is Kind.ADVERTS else "stay charged"
    for found in federation.store.rounds.of_plan(plan.digest):
        assert (found.outcome, spent in found.reason) == ("aborted", True)
    for node in federation.nodes.values():
        assert max(STAGES.index(kind) for kind in node.seen if kind in STAGES) == STAGES.index(last)
        assert node.seen[-1] is Kind.ABORT  # what it has reserved is free


@pytest.mark.parametrize("kind", STAGES[1:])
@async_test
async def test_below_the_threshold_nothing_is_released_and_the_charge_is_told(federation, kind):
    async with federation.running() as running:
        for council in federation.councils[:3]:
            running.cut(council, kind)
        plan = federation.plan()
        steps = await running.ask(plan)
        rounds = federation.store.rounds.of_plan(plan.digest)
        living = [federation.nodes[council] for council in federation.councils[3:]]
        await until(lambda: all(node.seen.count(Kind.ABORT) == len(rounds) for node in living))
    final = steps[-1]
    assert final.final
    assert (final.stage, final.release_digest) == (RunStage.ABORTED, None)
    assert federation.store.releases.of_plan(plan.digest) is None
    if kind is Kind.ADVERTS:  # nothing was charged, so it was tried again under a new session id
        assert [found.attempt for found in rounds] == [1, 2]
        assert len({found.sid for found in rounds}) == 2
        assert "Nothing was spent" in final.message
    else:
        assert [found.attempt for found in rounds] == [1]
        assert "stay charged" in final.message
    assert all(found.outcome == "aborted" for found in rounds)
    assert federation.store.proposals.get(plan.digest).state == "failed"


@async_test
async def test_a_refusal_at_the_invitation_is_named_in_the_release(federation):
    refusing = federation.nodes[federation.councils[0]]
    refusing.before = lambda message: (
        refusing.objection(message, Kind.REFUSAL, "budget") if message.kind is Kind.INVITE else None
    )
    async with federation.running() as running:
        plan = federation.plan()
        steps = await running.ask(plan)
        release = open_release(federation.store.releases.of_plan(plan.digest).content)
    assert release.councils[0].outcome == "refused"
    assert any(step.rule == "budget" and step.council_state is CouncilState.REFUSED for step in steps)


@pytest.mark.parametrize("fault", ["garbage", "other_kind", "other_round", "forged_refusal", "bad_advert", "complaint"])
@async_test
async def test_a_bad_answer_costs_only_the_council_that_gave_it(federation, fault):
    bad = federation.nodes[federation.councils[1]]
    friend = federation.nodes[federation.councils[2]]

    def before(message):  # noqa: PLR0911 - one line for each fault
        if message.kind is not Kind.INVITE:
            return None
        good = bad._serve(message)[1]
        match fault:
            case "garbage":
                return b"\x01\x02"
            case "other_kind":
                return LinkMessage(kind=Kind.UNMASK, reference=message.reference, payload=good).encode()
            case "other_round":
                return LinkMessage(kind=Kind.ADVERT, reference=bytes(32), payload=good).encode()
            case "forged_refusal":
                return friend.objection(message, Kind.REFUSAL, "budget")
            case "bad_advert":
                return LinkMessage(kind=Kind.ADVERT, reference=message.reference, payload=good[:-1]).encode()
            case "complaint":
                return LinkMessage(kind=Kind.FAULT, reference=message.reference, payload=b"{").encode()

    bad.before = before
    async with federation.running() as running:
        plan = federation.plan()
        steps = await running.ask(plan)
    release = open_release(federation.store.releases.of_plan(plan.digest).content)
    assert release.contributed == 7
    assert release.councils[1].outcome == "dropped"
    assert any(step.council == bad.council and step.council_state is CouncilState.COMPLAINED for step in steps)


@async_test
async def test_a_signed_complaint_is_kept_with_its_rule(federation):
    node = federation.nodes[federation.councils[1]]
    node.before = lambda message: (
        node.objection(message, Kind.COMPLAINT, "bad_key_share") if message.kind is Kind.SHARES else None
    )
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
    (found,) = federation.store.rounds.of_plan(plan.digest)
    (row,) = [row for row in federation.store.rounds.councils(found.sid) if row.council == node.council]
    assert (row.outcome, row.rule, row.joined, row.stage) == ("dropped", "bad_key_share", True, "masked input")


@async_test
async def test_a_lost_council_whose_dealing_ends_the_round_is_remembered_for_that(federation):
    node = federation.nodes[federation.councils[1]]

    async with federation.running() as running:
        running.cut(node.council, Kind.SHARES)
        cut = node.before

        def before(message):
            if message.kind is Kind.ADVERTS:  # it deals shares of another seed than its mask key comes from
                session = node.sessions[message.reference]
                session._stage = replace(session._stage, s_seed=session._stage.s_seed ^ 1)
            return cut(message)

        node.before = before
        plan = federation.plan()
        await running.ask(plan)
    found = federation.store.rounds.of_plan(plan.digest)[0]
    (row,) = [row for row in federation.store.rounds.councils(found.sid) if row.council == node.council]
    assert (row.outcome, row.rule) == ("dropped", "protocol")
    assert "do not fit together" in row.reason


@async_test
async def test_a_council_that_comes_back_in_time_is_in_the_sum(federation):
    federation.set_timing(reconnect=60)
    flaky = federation.councils[4]
    node = federation.nodes[flaky]
    async with federation.running() as running:
        broken = []

        def before(message):
            if message.kind is Kind.ADVERTS and not broken:
                broken.append(message)
                running.soon(running.link.disconnect, flaky)
                running.soon(running.link.reconnect, flaky)

        node.before = before
        plan = federation.plan()
        await running.ask(plan)
    assert broken
    assert open_release(federation.store.releases.of_plan(plan.digest).content).contributed == 8
