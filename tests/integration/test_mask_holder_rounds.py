"""Rounds with a mask holder, over the real link: what is answered, what ends and when, and what is never opened."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from coordinator.holding import RULE
from coordinator.progress import RunStage
from coordinator.roster import load_membership
from federated.errors import PolicyRefusal
from federated.ledger_entries import RoundState
from federated.release_check import check_release
from protocols.encoding import canonical_json, sha256
from protocols.errors import LocalProtocolError
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import (
    EXAMPLES,
    HOLDER,
    SCHEMA,
    STRANGER,
    Rehearsal,
    World,
    invitation,
    round_of,
)
from tests.integration.link_harness import async_test, until
from tests.integration.mask_holder_world import HOLDER_ID, DeskRehearsal, HeldWorld, Served, hold_message
from tests.integration.test_node_rounds_of_several import proposed

NAME = HOLDER["name"]


@pytest.fixture
def world(tmp_path):
    with HeldWorld(tmp_path) as made:
        yield made


def charges(world):
    """Every charge in every council's ledger, by its state."""
    return [item.state for seat in world.seats().values() for item in seat.station.ledger.rounds()]


def row_of(served, digest):
    row = served.store.proposals.get(digest)
    assert row is not None
    return row


# --- answered --------------------------------------------------------------------------------------------


@async_test
async def test_a_question_is_answered_and_whoever_checks_the_answer_reads_who_opened_it(world):
    served = Served(world)
    async with served.running():
        await served.connect_councils()
        await served.connect_holder()
        proposal = world.propose()
        steps = await served.ask(proposal)
        release = served.release(steps)
        (round_,) = served.store.rounds.of_plan(proposal.plan.digest)
        stages = {stage.stage: stage for stage in served.store.rounds.stages_of([round_.sid])[round_.sid]}
    assert f"Opening by {NAME}." in [step.message for step in steps if step.stage is RunStage.OPENING]
    assert (stages["opening"].asked, stages["opening"].answered) == (1, 1)
    said = check_release(release, roster=world.roster, agreements={world.agreement.id: world.agreement}, schema=SCHEMA)
    assert f"The sum was opened by {NAME}, the mask holder, over exactly these councils." in said
    (entry,) = world.holder.office.record.entries()
    assert (entry.question, entry.councils) == (proposal.plan.question.title, tuple(world.councils))
    assert entry.sid.hex() == release.sid


@async_test
async def test_it_holds_before_any_council_is_invited_and_opens_before_any_shows_what_unmasks(world):
    served = Served(world)
    async with served.running():
        await served.connect_councils()
        await served.connect_holder()
        await served.ask(world.propose())
    kinds = [kind for _, kind in served.passed]
    assert kinds.index(Kind.HELD) < kinds.index(Kind.INVITE)
    last_confirmation = max(place for place, kind in enumerate(kinds) if kind is Kind.CONFIRMATION)
    assert last_confirmation < kinds.index(Kind.OPEN) < kinds.index(Kind.OPENED) < kinds.index(Kind.STATEMENTS)


@async_test
async def test_it_gets_the_list_of_councils_and_no_question_and_counts_for_no_council(world):
    served = Served(world)
    async with served.running():
        await served.connect_councils()
        await served.connect_holder()
        steps = await served.ask(world.propose())
        await until(lambda: Kind.ABORT in [kind for party, kind in served.passed if party == HOLDER_ID])
        release = served.release(steps)
    asked = [kind for party, kind in served.passed if party == HOLDER_ID]
    assert asked == [Kind.ROSTER, Kind.RECEIPT, Kind.HOLD, Kind.HELD, Kind.OPEN, Kind.OPENED, Kind.ABORT, Kind.RECEIPT]
    assert [item.council for item in release.councils] == list(world.councils)
    assert served.store.releases.deliveries(steps[-1].release_digest)
    assert HOLDER_ID not in {row.council for row in served.store.releases.deliveries(steps[-1].release_digest)}


# --- away, or unwilling ----------------------------------------------------------------------------------


@async_test
async def test_one_that_is_away_is_waited_for_and_nothing_is_charged_meanwhile(world):
    served = Served(world)
    async with served.running():
        await served.connect_councils()
        digest = await served.submit(world.propose())
        await served.until_said(digest, f"The mask holder {NAME} is not connected; waiting for it.")
        assert served.asked(Kind.INVITE) == []
        assert charges(world) == []
        await served.connect_holder()
        steps = await served.follow(digest)
        assert served.release(steps).contributed == len(world.councils)


@async_test
async def test_one_that_never_comes_ends_the_question_in_words_and_nothing_is_charged(world):
    served = Served(world)
    async with served.running():
        await served.connect_councils()
        proposal = world.propose()
        digest = await served.submit(proposal)
        await served.until_said(digest, "is not connected; waiting for it.")
        world.now = proposal.plan.terms.collect_by + timedelta(seconds=1)
        steps = await served.follow(digest)
        assert row_of(served, digest).state == "expired"
    assert steps[-1].stage is RunStage.ABORTED
    assert steps[-1].message == (
        f"The mask holder {NAME} was not connected when the time to decide was over. Nothing was spent."
    )
    assert served.asked(Kind.INVITE) == []
    assert charges(world) == []


@async_test
async def test_one_that_does_not_answer_is_asked_again_until_it_is_too_late(world):
    served = Served(world, hold=0.3)
    holding = asyncio.Event()

    def deaf(request):
        if LinkMessage.decode(request).kind is Kind.HOLD:
            served.loop.call_soon_threadsafe(holding.set)
            asyncio.run(asyncio.sleep(0.5))
        return world.holder.send(request)

    async with served.running():
        served.loop = asyncio.get_running_loop()
        await served.connect_councils()
        await served.connect_holder(deaf)
        proposal = world.propose()
        digest = await served.submit(proposal)
        await served.until_said(digest, f"The mask holder {NAME} did not answer. It is asked again.")
        world.now = proposal.plan.terms.collect_by + timedelta(seconds=1)
        steps = await served.follow(digest)
        await until(lambda: not world.holder.desk._rounds._held)  # each that it held too late is let go again
    assert len(served.asked(Kind.HOLD)) >= 2
    assert "No round was begun. Nothing was spent." in steps[-1].message
    assert steps[-1].rule == RULE
    assert served.asked(Kind.INVITE) == []
    assert charges(world) == []


@async_test
async def test_one_that_refuses_ends_the_question_in_its_own_words_until_it_is_asked_again(tmp_path):
    with HeldWorld(tmp_path, accepts=False) as world:
        served = Served(world)
        async with served.running():
            await served.connect_councils()
            await served.connect_holder()
            proposal = world.propose()
            steps = await served.ask(proposal)
            assert steps[-1].message == (
                f"The mask holder {NAME} would not hold the round: Refused (agreement_unknown): This mask holder has "
                f"not accepted an agreement '{world.agreement.id}'. Ask the mask holder to accept it with `mask-holder "
                "accept`. No round was begun. Nothing was spent."
            )
            assert row_of(served, proposal.plan.digest).rule == RULE
            assert served.store.rounds.of_plan(proposal.plan.digest) == ()
            assert charges(world) == []
            world.holder_accepts()
            assert served.release(await served.ask(proposal)).contributed == len(world.councils)


@async_test
async def test_nobody_with_another_key_takes_its_place(world):
    served = Served(world)
    async with served.running():
        await served.connect_councils()
        await served.connect_holder(sign=STRANGER.sign)
        await until(lambda: "link_refused" in [event for event, _ in served.events])
        assert HOLDER_ID not in served.link.connected()
        digest = await served.submit(world.propose())
        await served.until_said(digest, "is not connected; waiting for it.")
        assert served.asked(Kind.HOLD) == []


@async_test
async def test_a_key_that_it_has_not_signed_is_no_key_of_its_own(world):
    served = Served(world)

    def of_another_round(request):
        message = LinkMessage.decode(request)
        if message.kind is not Kind.HOLD:
            return world.holder.send(request)
        other = Rehearsal(world, world.propose(), nonce=7)
        advert = other.aggregator._context.holder.advert
        return LinkMessage(kind=Kind.HELD, reference=message.reference, payload=advert).encode()

    async with served.running():
        await served.connect_councils()
        await served.connect_holder(of_another_round)
        steps = await served.ask(world.propose())
    assert f"The mask holder {NAME} sent no key that councils would take." in steps[-1].message
    assert served.asked(Kind.INVITE) == []
    assert charges(world) == []


# --- after councils have spent ---------------------------------------------------------------------------


def fails(_message):
    raise RuntimeError("something unexpected")


def but_at(world, stage, reply):
    """The mask holder's answers, and others to one kind of request."""

    def answer(request):
        message = LinkMessage.decode(request)
        return reply(message) if message.kind is stage else world.holder.send(request)

    return answer


@async_test
async def test_one_that_fails_before_it_opens_ends_the_round_with_its_reason_and_the_charge_stands(world):
    served = Served(world)
    proposal = world.propose()
    async with served.running():
        served.loop = asyncio.get_running_loop()
        await served.connect_councils()
        await served.connect_holder(but_at(world, Kind.OPEN, fails))
        digest = await served.submit(proposal)
        steps = await served.follow(digest)
        assert row_of(served, digest).rule == RULE
        (round_,) = served.store.rounds.of_plan(digest)
        assert (round_.outcome, round_.stage) == ("aborted", "opening")
        assert NAME in round_.reason
    assert f"The mask holder {NAME} would not open the sum" in steps[-1].message
    assert "Councils that were asked for their masked input stay charged." in steps[-1].message
    assert Kind.STATEMENTS not in [kind for _, kind in served.passed]
    assert charges(world) == [RoundState.SPENT] * len(world.councils)
    assert world.opened() == []
    # Told to whoever asks after a restart, too.
    again = Served(world)
    async with again.running():
        await again.centre.desk.ensure_watchable(digest)
        assert NAME in (await again.follow(digest))[-1].message


@async_test
async def test_one_that_is_gone_when_it_is_to_open_is_given_as_long_as_a_council_to_come_back(world):
    served = Served(world)
    cut, over = asyncio.Event(), threading.Event()

    def answer(request):
        if LinkMessage.decode(request).kind is Kind.OPEN:
            served.loop.call_soon_threadsafe(cut.set)
            over.wait(20)
        return world.holder.send(request)

    async with served.running():
        served.loop = asyncio.get_running_loop()
        await served.connect_councils()
        await served.connect_holder(answer)
        digest = await served.submit(world.propose())
        await asyncio.wait_for(cut.wait(), 60)
        served.cut(HOLDER_ID)
        steps = await served.follow(digest)
        over.set()
    assert f"The mask holder {NAME} did not answer." in steps[-1].message
    assert charges(world) == [RoundState.SPENT] * len(world.councils)


@async_test
async def test_an_opening_of_other_words_is_refused_by_name(world):
    served = Served(world)

    def altered(message):
        reply = LinkMessage.decode(world.holder.send(message.encode()))
        payload = reply.payload[:-1] + bytes([reply.payload[-1] ^ 1])
        return LinkMessage(kind=Kind.OPENED, reference=message.reference, payload=payload).encode()

    async with served.running():
        await served.connect_councils()
        await served.connect_holder(but_at(world, Kind.OPEN, altered))
        steps = await served.ask(world.propose())
    assert f"What the mask holder {NAME} opened is false" in steps[-1].message
    assert Kind.STATEMENTS not in [kind for _, kind in served.passed]


# --- one sum, ever ---------------------------------------------------------------------------------------


@async_test
async def test_a_question_whose_sum_was_opened_is_not_opened_again_after_a_restart_either(world):
    served = Served(world)
    proposal = world.propose()

    def leave(request):
        if LinkMessage.decode(request).kind is Kind.STATEMENTS:
            raise RuntimeError("killed")

    async with served.running():
        await served.connect_councils()
        await served.connect_holder()
        for council, seat in world.seats().items():
            await served.disconnect(council)
            from council_node.link import LinkIdentity

            identity = LinkIdentity(council=council, coordinator_id="hub", sign=seat.key.sign)
            await served.connect(council, identity, lambda request, seat=seat: leave(request) or seat.send(request))
        await until(lambda: set(world.councils) <= served.centre.presence.ready())
        steps = await served.ask(proposal)
        assert steps[-1].stage is RunStage.ABORTED
        assert world.opened() == [(proposal.plan.digest, 1)]
        for restarted in (False, True):
            if restarted:
                world.holder.restart()
            steps = await served.ask(proposal)
            assert "Refused (opened_before): The mask holder opened this question's sum" in steps[-1].message
            assert "Nothing was spent." in steps[-1].message
    assert served.asked(Kind.INVITE) == list(world.councils)  # of the first attempt alone
    assert world.opened() == [(proposal.plan.digest, 1)]


def test_two_rounds_of_one_plan_that_are_held_at_once_give_one_sum(world):
    world.told()
    proposal = world.propose()
    first = DeskRehearsal(world, proposal, nonce=1).until(Kind.STATEMENTS)
    second = DeskRehearsal(world, proposal, nonce=2, attempt=2).until(Kind.STATEMENTS)
    assert first.unmask().u3 == tuple(world.councils)
    said = world.holder.ask(second.packed(Kind.OPEN, second.aggregator.opening_request()))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "opened_before")
    assert world.opened() == [(proposal.plan.digest, 1)]
    second._stage(Kind.STATEMENTS, Kind.UNMASK, second.aggregator.receive_unmask)
    with pytest.raises(LocalProtocolError, match="has not opened the sum"):
        second.aggregator.finish()


def test_a_round_from_before_a_restart_is_not_opened_and_says_why(world):
    world.told()
    round_ = DeskRehearsal(world, world.propose()).until(Kind.STATEMENTS)
    world.holder.restart()
    said = world.holder.ask(round_.packed(Kind.OPEN, round_.aggregator.opening_request()))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "unknown_round")
    assert "was started again since" in said.words
    assert world.opened() == []


def test_a_coordinator_that_leaves_the_mask_holder_out_has_words_that_say_nothing(world):
    world.told()
    round_ = DeskRehearsal(world, world.propose()).until(Kind.STATEMENTS)
    round_._stage(Kind.STATEMENTS, Kind.UNMASK, round_.aggregator.receive_unmask)
    with pytest.raises(LocalProtocolError, match="has not opened the sum"):
        round_.aggregator.finish()
    round_.aggregator._opening = b"it says so"  # a coordinator's own program may say what it likes
    total = round_.aggregator.finish().total
    # Each cell is uniform over all words of the ring; a figure with its noise is some hundreds.
    assert max(abs(int(value)) for value in total) > 2 ** (round_.plan.ring.bits - 8)


@async_test
async def test_a_question_of_several_rounds_has_one_sum_opened_for_each(tmp_path):
    datasets = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())["datasets"]
    datasets["case"]["statistics"].append("logistic_rounds")
    with HeldWorld(tmp_path, agreement={"datasets": datasets}) as world:
        served = Served(world)
        async with served.running():
            await served.connect_councils()
            await served.connect_holder()
            proposal = proposed(world)
            release = served.release(await served.ask(proposal))
        assert len(release.rounds) == proposal.plan.rounds == 3
        assert world.opened() == [(proposal.plan.digest, number) for number in (1, 2, 3)]
        agreements = {world.agreement.id: world.agreement}
        said = check_release(release, roster=world.roster, agreements=agreements, schema=SCHEMA)
        assert f"The sum was opened by {NAME}, the mask holder, over exactly these councils." in said


# --- what it holds, and what not -------------------------------------------------------------------------


def invited(world, plan, **changes):
    return json.loads(LinkMessage.decode(invitation(world, plan)).payload) | changes


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    with HeldWorld(tmp_path_factory.mktemp("held")) as made:
        made.told()
        yield made


def asked_to_hold(world, proposal, *, sid=None, changes=None, **body):
    sid = round_of(world, proposal.plan) if sid is None else sid
    return world.holder.ask(hold_message(proposal, sid, invited(world, proposal.plan, **(changes or {})), **body))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"coordinator_id": "other"}, "invitation"),
        ({"roster_epoch": 2}, "invitation"),
        ({"nonce": "00"}, "invitation"),
        ({"nonce": "11" * 32}, "invitation"),
        ({"attempt": 2}, "invitation"),
        ({"plan_digest": "22" * 32}, "signature"),
        ({"holder_advert": "33"}, "invitation"),
        ({"anything": 1}, "invitation"),
    ],
)
def test_it_holds_no_round_that_does_not_follow_from_its_own_papers(held, changes, rule):
    said = asked_to_hold(held, held.propose(), changes=changes)
    assert (said.kind, said.rule) == (Kind.REFUSAL, rule)


def test_it_holds_no_attempt_beyond_those_of_the_plan(held):
    proposal = held.propose()
    sid = round_of(held, proposal.plan, attempt=3)
    assert asked_to_hold(held, proposal, sid=sid, changes={"attempt": 3}).rule == "attempts"


def test_it_holds_nothing_that_no_analyst_of_the_agreement_signed(held):
    assert asked_to_hold(held, held.propose(key=STRANGER)).rule == "signature"


def test_it_holds_nothing_whose_figures_do_not_follow_from_the_question(held):
    proposal = held.propose()
    document = json.loads(proposal.content)
    document["cohort"]["max_colluders"] = 0
    altered = held.signed(proposal.plan, canonical_json(document))
    sid = round_of(held, proposal.plan)
    digest = {"plan_digest": sha256(altered.content).hex()}
    assert held.holder.ask(hold_message(altered, sid, invited(held, proposal.plan, **digest))).rule == "plan_mismatch"


@pytest.mark.parametrize(("hours", "rule"), [(-1, "plan_not_yet_valid"), (4, "plan_expired")])
def test_it_holds_nothing_before_or_after_its_time(held, hours, rule):
    ends = {name: held.now + timedelta(hours=3) for name in ("collect_by", "return_by", "not_after")}
    proposal = held.propose(**ends)
    before, held.now = held.now, held.now + timedelta(hours=hours)
    try:
        assert asked_to_hold(held, proposal).rule == rule
    finally:
        held.now = before


def test_a_body_that_the_agreement_does_not_name_holds_nothing(tmp_path):
    with HeldWorld(tmp_path, key=STRANGER) as world:
        world.told()
        said = asked_to_hold(world, world.propose())
        assert (said.kind, said.rule) == (Kind.REFUSAL, "mask_holder")


def test_the_same_request_gets_the_same_key_and_another_for_that_round_none(held):
    proposal = held.propose()
    first, again = asked_to_hold(held, proposal), asked_to_hold(held, proposal)
    assert first.kind is Kind.HELD
    assert first == again
    message = LinkMessage.decode(hold_message(proposal, round_of(held, proposal.plan), invited(held, proposal.plan)))
    in_other_words = replace(message, payload=json.dumps(json.loads(message.payload), indent=1).encode())
    said = held.holder.ask(in_other_words.encode())
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")
    assert "in other words before" in said.words


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 1, "plan": 1, "invitation": {}}'])
def test_what_cannot_be_read_is_refused(held, content):
    said = held.holder.ask(LinkMessage(kind=Kind.HOLD, reference=bytes(32), payload=content).encode())
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")


@pytest.mark.parametrize("kind", [Kind.PROPOSAL, Kind.INVITE, Kind.SHARES, Kind.RELEASE, Kind.BUDGET_REQUEST])
def test_what_is_asked_of_councils_is_not_for_it(held, kind):
    said = held.holder.ask(LinkMessage(kind=kind, reference=bytes(32), payload=b"").encode())
    assert (said.kind, said.rule) == (Kind.FAULT, "malformed")
    assert "a mask holder does not answer requests of kind" in said.words


def test_a_sum_is_not_opened_once_the_list_of_councils_has_changed(world):
    world.told()
    round_ = DeskRehearsal(world, world.propose()).until(Kind.STATEMENTS)
    newer, _ = world.make_roster(epoch=4)
    assert world.holder.ask(world.roster_message(newer)).kind is Kind.RECEIPT
    said = world.holder.ask(round_.packed(Kind.OPEN, round_.aggregator.opening_request()))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "roster")
    assert world.opened() == []


def test_nothing_leaves_that_could_not_be_written_down(world):
    world.told()
    round_ = DeskRehearsal(world, world.propose()).until(Kind.STATEMENTS)
    world.holder.office.record._connection.execute("PRAGMA query_only=ON")
    said = world.holder.ask(round_.packed(Kind.OPEN, round_.aggregator.opening_request()))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "fault")
    assert str(world.folder) not in said.words
    assert "stage_failed" in [event for event, _ in world.holder.events]
    world.holder.office.record._connection.execute("PRAGMA query_only=OFF")
    # Its secrets are gone too: there is no second try.
    assert world.holder.ask(round_.packed(Kind.OPEN, b"")).rule == "unknown_round"
    assert world.opened() == []


def test_a_round_that_nobody_comes_back_to_is_let_go(world):
    world.told()
    round_ = DeskRehearsal(world, world.propose()).until(Kind.STATEMENTS)
    world.now += timedelta(hours=7)
    world.holder.desk.end_abandoned_rounds()
    world.now -= timedelta(hours=7)
    said = world.holder.ask(round_.packed(Kind.OPEN, round_.aggregator.opening_request()))
    assert said.rule == "unknown_round"


# --- who it is on the link -------------------------------------------------------------------------------


def test_two_agreements_that_name_it_with_two_keys_are_told_to_the_operator(tmp_path):
    with HeldWorld(tmp_path) as world:
        served = Served(world)
        other = dict(HOLDER) | {"key": "ed25519:" + STRANGER.public.hex()}
        envelope, _ = world.make_agreement(id="zz-another", mask_holder=other)
        (tmp_path / "agreed" / "two.dsse").write_bytes(envelope)

        async def found():
            async with served.running():
                return load_membership(served.settings, served.store, world.now)

        membership = asyncio.run(found())
    assert [holder.id for holder in membership.holders.values()] == ["lga"]
    assert any("names the mask holder 'lga' with another key" in problem for problem in membership.problems)


def test_a_council_of_an_agreement_without_one_sees_no_difference(tmp_path):
    with World(tmp_path) as world:
        assert "holder_advert" not in invited(world, world.propose().plan)
        assert CouncilId("lga") not in world.councils


@async_test
async def test_a_link_that_reaches_no_mask_holder_takes_no_question_that_needs_one(world):
    served = Served(world)
    async with served.running():
        served.link.reaches_holders = False
        with pytest.raises(PolicyRefusal, match="no mask holder is reached over Flower") as caught:
            await served.submit(world.propose())
        assert caught.value.rule == RULE
    assert served.passed == []
