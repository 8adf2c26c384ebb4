"""An agreement that names a mask holder: councils hold rounds with it, only with it, and the answer says who opened it."""

import json
import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from federated.agreement_words import describe
from federated.differences import Way, compare
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import public_line
from federated.mask_holder import holder_identity
from federated.outputs.facts import facts_of
from federated.plan import derive_plan, open_plan
from federated.plan_summary import summarise
from federated.privacy import Mechanism
from federated.release import CouncilRecord, CountedRound, Release, make_release, open_release
from federated.release_check import NOT_REMADE, check_release
from federated.round_context import bare_context, round_context
from protocols.encoding import canonical_json, sha256
from protocols.envelope import sign_message
from protocols.identifiers import CouncilId
from protocols.secagg import HolderSession, Stage
from protocols.suite import Suite
from protocols.wire.link_message import Kind
from tests.integration.federation_world import (
    ANALYST,
    HOLDER,
    HOLDER_KEY,
    HUB,
    HUB_KEY,
    SCHEMA,
    STRANGER,
    Rehearsal,
    World,
    invitation,
    round_of,
)
from tests.integration.test_node_rounds_of_several import FIT, SECOND, START, federation

OPENED = "The sum was opened by Local Government Association, the mask holder, over exactly these councils."


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("held"), agreement={"mask_holder": HOLDER}) as made:
        yield made


@pytest.fixture(scope="module")
def unheld(tmp_path_factory):
    with World(tmp_path_factory.mktemp("unheld")) as made:
        yield made


def advert_for(world, plan, sid, *, key=HOLDER_KEY, me="lga"):
    bare = bare_context(plan, world.roster, sid)
    return HolderSession(bare, CouncilId(me), key.sign, os.urandom, identity=key.public).advertise()


# --- rounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", Suite)
def test_a_round_is_held_with_the_mask_holder_that_the_agreement_names(tmp_path, suite):
    agreement = {"mask_holder": HOLDER, "key_agreement": suite.value}
    with World(tmp_path, agreement=agreement) as world:
        round_ = Rehearsal(world, world.propose()).until(Kind.STATEMENTS)
        found = round_.unmask()
        assert found.u3 == tuple(world.councils)
        # Noise of the plan, and no mask left: one would be uniform over 64 bits.
        assert np.abs(found.total).max() < 2**40
        assert found.opening


def test_all_parties_derive_the_round_that_the_invitation_speaks_of(world):
    plan = world.propose().plan
    sid = round_of(world, plan)
    advert = advert_for(world, plan, sid)
    context = round_context(plan, world.roster, sid, advert)
    assert context.holder is not None
    assert (context.holder.id, context.holder.identity, context.holder.advert) == ("lga", HOLDER_KEY.public, advert)
    assert replace(context, holder=None) == bare_context(plan, world.roster, sid)


def no_advert(_world, _plan, _sid):
    return b""


def of_another_round(world, plan, _sid):
    return advert_for(world, plan, round_of(world, plan, nonce=9))


def by_another_key(world, plan, sid):
    return advert_for(world, plan, sid, key=STRANGER)


def by_another_body(world, plan, sid):
    return advert_for(world, plan, sid, me="lgb")


def with_another_key_inside(world, plan, sid):
    """Signed by the holder, for this round, and no advert of it."""
    body = sha256(b"anything")
    return sign_message(sid=sid, stage=Stage.OPENING, sender=CouncilId("lga"), body=body, sign=HOLDER_KEY.sign).encode()


@pytest.mark.parametrize(
    ("advert", "words"),
    [
        (no_advert, "the invitation does not bring its key"),
        (of_another_round, "is not signed for this round by Local Government Association"),
        (by_another_key, "is not signed for this round by Local Government Association"),
        (by_another_body, "is not signed for this round by Local Government Association"),
        (with_another_key_inside, "is not signed for this round by Local Government Association"),
    ],
)
def test_a_council_refuses_a_round_without_the_holder_that_was_agreed(world, advert, words):
    proposal = world.propose()
    plan, sid = proposal.plan, round_of(world, proposal.plan)
    seat = world.seat(world.councils[0])
    assert seat.propose(proposal).body["decision"] == "approved"
    said = seat.ask(invitation(world, plan, holder_advert=advert(world, plan, sid).hex()))
    assert (said.kind, said.rule) == (Kind.REFUSAL, "mask_holder")
    assert words in said.words
    assert "The coordinator must ask the mask holder" in said.words
    assert seat.station.ledger.round(sid) is None  # nothing was reserved


def test_a_council_refuses_a_holder_that_was_not_agreed(unheld, world):
    proposal = unheld.propose()
    plan, sid = proposal.plan, round_of(unheld, proposal.plan)
    seat = unheld.seat(unheld.councils[0])
    assert seat.propose(proposal).body["decision"] == "approved"
    advert = advert_for(unheld, plan, sid)
    said = seat.ask(invitation(unheld, plan, holder_advert=advert.hex()))
    assert (said.kind, said.rule) == (Kind.REFUSAL, "mask_holder")
    assert "the agreement names none" in said.words
    assert seat.station.ledger.round(sid) is None


@pytest.mark.parametrize("strange", ["zz", 7, None])
def test_an_advert_in_another_form_is_refused(world, strange):
    proposal = world.propose()
    seat = world.seat(world.councils[0])
    seat.propose(proposal)
    said = seat.ask(invitation(world, proposal.plan, holder_advert=strange))
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")


def test_councils_that_were_shown_other_keys_of_the_holder_do_not_deal_for_each_other(world):
    """Both keys are the holder's own, signed for this round: one council alone would mask for the second."""
    proposal = world.propose()
    round_ = Rehearsal(world, proposal)
    odd = world.councils[1]
    second = advert_for(world, proposal.plan, round_.sid)
    for council, seat in round_.seats.items():
        message = invitation(world, proposal.plan, holder_advert=second.hex()) if council == odd else round_._invitation
        reply = seat.ask(message)
        assert reply.kind is Kind.ADVERT
        round_.aggregator.receive_advert(council, reply.payload)
    requests = round_.aggregator.close_adverts()
    kept = {}
    for council, request in requests.items():
        reply = world.seat(council).ask(round_.packed(Kind.ADVERTS, request))
        assert reply.kind is Kind.KEY_SHARES
        kept[council] = reply.payload
    with pytest.raises(Exception, match="dealt for other adverts"):
        round_.aggregator.receive_key_shares(odd, kept[odd])


# --- papers ----------------------------------------------------------------------------------------------


def test_the_plan_says_who_must_open_and_no_plan_can_leave_it_out(world):
    plan = world.propose().plan
    document = json.loads(plan.encode())
    assert plan.holder == holder_identity(world.agreement)
    assert document["mask_holder"] == HOLDER
    for changed in ({}, {"mask_holder": {**HOLDER, "key": public_line(STRANGER.public)}}):
        without = {name: value for name, value in document.items() if name != "mask_holder"} | changed
        with pytest.raises(PolicyRefusal, match="'mask_holder'"):
            open_plan(canonical_json(without), agreement=world.agreement, roster=world.roster, schema=SCHEMA)


def test_plans_and_digests_of_agreements_that_name_none_keep_their_bytes(unheld):
    plan = unheld.propose().plan
    assert plan.holder is None
    assert "mask_holder" not in json.loads(plan.encode())


@pytest.mark.parametrize(("whose", "name"), [("coordinator", "Hub"), ("council", None)])
def test_a_holder_with_the_coordinators_or_a_councils_key_is_no_second_body(world, whose, name):
    council = world.councils[0]
    key = HUB_KEY.public if whose == "coordinator" else world.keys[council].public
    _, agreement = world.make_agreement(mask_holder={**HOLDER, "key": public_line(key)})
    with pytest.raises(PolicyRefusal, match=f"has the key of {name or SCHEMA.councils[council].name}") as caught:
        derive_plan(
            world.question(),
            agreement=agreement,
            roster=world.roster,
            schema=SCHEMA,
            mechanism=Mechanism.DISCRETE_LAPLACE,
            terms=world.terms(world.manifest),
        )
    assert caught.value.rule == "mask_holder"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "E06000001"},
        {"id": "a" * 33},
        {"id": ""},
        {"name": ""},
        {"key": "ed25519:00"},
        {"key": public_line(ANALYST.public)},
        {"more": "x"},
    ],
)
def test_an_agreement_names_a_holder_in_one_form(world, change):
    with pytest.raises(FileProblem):
        world.make_agreement(mask_holder=HOLDER | change)


def test_people_are_told_who_must_open_and_that_losing_it_is_looser(world):
    _, usual = world.make_agreement()
    told = " ".join(describe(world.agreement))
    assert "No answer can be opened without Local Government Association, the mask holder" in told
    assert "While it is away no question can be answered" in told
    assert "mask holder" not in " ".join(describe(usual))
    gone, new = compare(world.agreement, usual), compare(usual, world.agreement)
    assert {item.way for item in gone} == {Way.LOOSER}
    assert {item.way for item in new} == {Way.STRICTER}
    _, other = world.make_agreement(mask_holder={**HOLDER, "key": public_line(STRANGER.public)})
    (changed,) = compare(world.agreement, other)
    assert changed.way is Way.LOOSER  # read first: who holds masks is another


# --- answers ---------------------------------------------------------------------------------------------


def released(world, proposal=None):
    proposal = proposal or world.propose()
    round_ = Rehearsal(world, proposal).until(Kind.STATEMENTS)
    councils = [CouncilRecord(council=one, name=one, outcome="contributed") for one in proposal.plan.eligible]
    return make_release(
        proposal.plan,
        round_.unmask(),
        schema=SCHEMA,
        sid=round_.sid,
        councils=councils,
        now=world.now,
        software="test",
        attempt=1,
        nonce=bytes([1]) * 32,
    )


def checked(world, release: Release, **agreements):
    known = {world.agreement.id: world.agreement} if not agreements else agreements["known"]
    return list(check_release(release, roster=world.roster, agreements=known, schema=SCHEMA))


@pytest.fixture(scope="module")
def release(world):
    return released(world)


def with_opening(release, opening):
    return release.model_copy(update={"attestations": release.attestations.model_copy(update={"opening": opening})})


def test_the_release_says_who_opened_it_and_anyone_can_check(world, release):
    assert OPENED in checked(world, release)
    assert open_release(release.encode()) == release
    # Also when the agreement has changed since: the plan that the councils masked for names the holder.
    lines = checked(world, release, known={})
    assert OPENED in lines
    assert NOT_REMADE in lines


def test_the_note_and_the_plan_name_it(world, unheld, release):
    lines = [line for fact in facts_of(release, None) for line in fact.lines]
    assert "The sums were opened together with Local Government Association, the mask holder" in " ".join(lines)
    assert "Opened only together with Local Government Association" in " ".join(summarise(world.propose().plan).lines)
    plain = [line for fact in facts_of(released(unheld), None) for line in fact.lines]
    assert "mask holder" not in " ".join((*plain, *summarise(unheld.propose().plan).lines))


def head(release, *, sid=None, key=HOLDER_KEY, sender="lga", h3=None):
    body = bytes.fromhex(release.attestations.opening)[-64:]
    signed = sign_message(
        sid=bytes.fromhex(release.sid) if sid is None else sid,
        stage=Stage.OPENING,
        sender=CouncilId(sender),
        body=(h3 or body[:32]) + body[32:],
        sign=key.sign,
    )
    return signed.encode().hex()


@pytest.mark.parametrize("change", [{"id": HUB}, {"name": "Hub"}])
def test_a_holder_that_goes_by_the_coordinators_name_is_no_second_body(world, change):
    _, agreement = world.make_agreement(mask_holder=HOLDER | change)
    with pytest.raises(PolicyRefusal, match="goes by the name of the coordinator") as caught:
        world.propose(agreement=agreement)
    assert caught.value.rule == "mask_holder"


@pytest.mark.parametrize(
    ("opening", "words"),
    [
        (lambda _: "", "was not opened by Local Government Association"),
        (lambda release: release.attestations.opening[:-2], "was not opened by"),
        (lambda _: "zz", "was not opened by"),
        (lambda release: head(release, key=STRANGER), "not signed by its identity"),
        (lambda release: head(release, key=STRANGER, sender="other"), "opened by other; the mask holder is lga"),
        (lambda release: head(release, sid=bytes(32)), "not signed by its identity for this round"),
        (lambda release: head(release, h3=bytes(32)), "is the sum of other councils than the release says"),
    ],
)
def test_a_release_that_the_holder_did_not_open_does_not_hold(world, release, opening, words):
    assert OPENED in checked(world, with_opening(release, head(release)))  # the forger's own form is the right one
    for known in ({world.agreement.id: world.agreement}, {}):
        with pytest.raises(SignatureProblem, match=words):
            checked(world, with_opening(release, opening(release)), known=known)


def test_what_the_holder_opened_for_another_plan_does_not_do(world, release):
    other = released(world)
    assert OPENED in checked(world, other)
    said = ("sid", "attestations", "attempt", "nonce")
    transplanted = release.model_copy(update={name: getattr(other, name) for name in said})
    renamed = release.model_copy(update={"attempt": 2})
    nameless = release.model_copy(update={"nonce": "", "attempt": 0})
    for false, words in (
        (transplanted, "is no round of the release's plan"),
        (renamed, "is no round of the release's plan"),
        (nameless, "not written as this software writes one"),
    ):
        for known in ({world.agreement.id: world.agreement}, {}):
            with pytest.raises(SignatureProblem, match=words):
                checked(world, false, known=known)


def test_a_release_of_an_agreement_without_a_holder_says_nothing_of_one(unheld, release):
    plain = released(unheld)
    assert b"opening" not in plain.encode()
    assert not [line for line in checked(unheld, plain) if "opened" in line and "mask holder" in line]
    with pytest.raises(SignatureProblem, match="its plan names none"):
        checked(unheld, with_opening(plain, release.attestations.opening))


def test_every_round_of_several_must_have_been_opened(tmp_path):
    with federation(tmp_path, agreement={"mask_holder": HOLDER}) as world:
        asked = world.question(tables=(FIT,), epsilon=Fraction(1))
        manifest = world.make_manifest(columns=("household_type",))
        proposal = world.propose(asked, mechanism=Mechanism.DISCRETE_GAUSSIAN, manifest=manifest)
        rounds = []
        for number, iteration in enumerate((START, SECOND, replace(SECOND, number=3)), start=1):
            round_ = Rehearsal(world, proposal, attempt=number, nonce=number, iteration=iteration)
            result = round_.until(Kind.STATEMENTS).unmask()
            nonce = bytes([number]) * 32
            rounds.append(CountedRound(sid=round_.sid, attempt=number, nonce=nonce, iteration=iteration, result=result))
        councils = [CouncilRecord(council=one, name=one, outcome="contributed") for one in proposal.plan.eligible]
        made = make_release(
            proposal.plan,
            rounds[-1].result,
            schema=SCHEMA,
            sid=rounds[-1].sid,
            councils=councils,
            now=world.now,
            software="test",
            rounds=rounds,
        )
        assert OPENED in checked(world, made)
        for number in range(3):
            other = made.rounds[(number + 1) % 3].attestations.opening
            for opening in ("", other):
                attested = made.rounds[number].attestations.model_copy(update={"opening": opening})
                false = list(made.rounds)
                false[number] = false[number].model_copy(update={"attestations": attested})
                with pytest.raises(SignatureProblem, match="was not opened by"):
                    checked(world, made.model_copy(update={"rounds": tuple(false)}))
