"""The lies: each changes one thing that the real coordinator sends, and says what it would have gained by it.

The table "Attacks that are tried" of SECURITY.md is made from `LIES`. A lie that needs a colluding council signs with the
key of one, which the liar then has: as many councils as the agreement guards against may do so.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

import yaml

from federated.keys import SigningKey, public_line
from federated.query import DatePart, Dimension, Table
from federated.roster import ROSTER_TYPE, parse_roster
from federated.signing import sign_payload, unsafe_payload
from protocols.encoding import canonical_json, sha256
from protocols.envelope import SignedMessage, sign_message
from protocols.identifiers import CouncilId
from protocols.key_agreement import KEY_SIZE
from protocols.secagg import Stage
from protocols.secagg.messages import (
    Dealt,
    advert_of,
    dealt_body,
    decode_advert,
    decode_adverts,
    decode_confirmation,
    decode_key_shares,
    decode_masked_input,
    decode_shares,
    decode_statements,
    decode_survivors,
    encode_list,
    encode_shares,
)
from protocols.secagg.share_records import Opening
from protocols.secagg.transcript import leaf, survivors_view
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage
from tests.adversary.lying_coordinator import COLLUDERS, HONEST, OTHER, PEER, VICTIM, WITNESS, End, Liar, Lie, Tale
from tests.integration.federation_world import HUB_KEY, SIGNER_A, STRANGER, abort, invitation, round_of

COLLUDER: Final = COLLUDERS[0]
Change = Callable[[Liar, LinkMessage], bytes]
"""Given a request, the one that is sent instead."""
Teller = Callable[[Liar, CouncilId, LinkMessage], Tale | None]


def to(councils: Sequence[CouncilId], kind: Kind, change: Change) -> Teller:
    """Lie to some councils in one stage."""

    def tell(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
        return Tale(told=change(liar, message)) if council in councils and message.kind is kind else None

    return tell


def to_victim(kind: Kind, change: Change) -> Teller:
    return to((VICTIM,), kind, change)


def to_two(kind: Kind, change: Change) -> Teller:
    """Two councils that leave a round end it before anybody has masked."""
    return to((WITNESS, VICTIM), kind, change)


def to_all(kind: Kind, change: Change) -> Teller:
    return to((*COLLUDERS, *HONEST), kind, change)


def but(message: LinkMessage, payload: bytes) -> bytes:
    """The same request with another payload."""
    return replace(message, payload=payload).encode()


def signed(liar: Liar, key: SigningKey, sender: CouncilId, stage: Stage, body: bytes) -> SignedMessage:
    """What somebody with this key signs in a council's name."""
    return sign_message(sid=liar.orders[-1].sid, stage=stage, sender=sender, body=body, sign=key.sign)


def by(liar: Liar, council: CouncilId, stage: Stage, body: bytes) -> SignedMessage:
    """What a colluding council signs."""
    return signed(liar, liar.world.keys[council], council, stage, body)


# The list of councils


def roster(change: Callable[[list[dict[str, Any]]], None], *keys: SigningKey) -> Change:
    """The next list of councils with a change, signed by whoever the liar can get to sign."""

    def made(liar: Liar, message: LinkMessage) -> bytes:
        document = yaml.safe_load(unsafe_payload(liar.world.roster_envelope, ROSTER_TYPE))
        document["epoch"] += 1
        change(document["councils"])
        return but(message, sign_payload(yaml.safe_dump(document).encode(), ROSTER_TYPE, list(keys)))

    return made


def invented(councils: list[dict[str, Any]]) -> None:
    line = public_line(STRANGER.public)
    councils.append({**councils[-1], "id": "E06000047", "name": "County Durham", "public_key": line})


def swapped(councils: list[dict[str, Any]]) -> None:
    councils[-1]["public_key"] = public_line(STRANGER.public)


def another_epoch(epoch: int, **changes: Any) -> Change:
    return lambda liar, message: but(message, liar.world.make_roster(epoch=epoch, **changes)[0])


ROSTER = (
    Lie(
        name="invented_council_in_the_roster",
        attack="A council invented, in a list of councils that the coordinator signs itself (R67)",
        gain="votes and shares of its own in every round, until its inventions and one victim are a cohort",
        stopped="the list counts with the signatures of two pinned people, neither of them the coordinator",
        guard="federated/roster.py",
        at=Kind.ROSTER,
        tell=to_all(Kind.ROSTER, roster(invented, HUB_KEY)),
        rule="signature",
        words="0 of the 2 trusted signatures",
    ),
    Lie(
        name="one_signer_bribed",
        attack="A council's key swapped in the list, with one of its two signers won over (R67, R79)",
        gain="that council's place in every round, and its shares",
        stopped="two different pinned signers are counted, and the coordinator's own signature is not",
        guard="federated/roster.py",
        at=Kind.ROSTER,
        tell=to_all(Kind.ROSTER, roster(swapped, SIGNER_A, HUB_KEY)),
        rule="signature",
        words="1 of the 2 trusted signatures",
    ),
    Lie(
        name="roster_rolled_back",
        attack="A list of councils from the past, as it was signed then",
        gain="a key that was taken back since, for instance because it was stolen",
        stopped="a node accepts no epoch before its own",
        guard="federated/roster.py",
        at=Kind.ROSTER,
        tell=to_all(Kind.ROSTER, another_epoch(2)),
        rule="roster_older",
        words="epoch 2",
    ),
    Lie(
        name="two_rosters_of_one_epoch",
        attack="Two lists of councils under one number",
        gain="councils that hold each other's keys to be different ones, each by a signed list",
        stopped="the same number with other content is an alarm, which people are shown",
        guard="federated/roster.py",
        at=Kind.ROSTER,
        tell=to_all(Kind.ROSTER, another_epoch(3, not_after=date(2026, 5, 14))),
        rule="roster_alarm",
        words="3",
    ),
)


# The question


def another_question(liar: Liar, message: LinkMessage) -> bytes:
    other = liar.propose(liar.world.question("household_type", epsilon=Fraction(1, 20)), manifest=explained(liar))
    return other.request(reference=message.reference)


def explained(liar: Liar) -> bytes:
    return liar.world.make_manifest(columns=("household_type",))


def touched(liar: Liar, message: LinkMessage) -> bytes:
    proposal, cheaper = liar.proposal, liar.propose(liar.world.question(epsilon=Fraction(1)))
    envelope = json.loads(proposal.envelope)
    envelope["payload"] = json.loads(cheaper.envelope)["payload"]
    return replace(proposal, envelope=json.dumps(envelope).encode()).request(reference=sha256(cheaper.content))


def signed_by_the_hub(liar: Liar, _message: LinkMessage) -> bytes:
    return liar.world.signed(liar.proposal.plan, liar.proposal.content, key=HUB_KEY).request()


def claiming(*path: str | int, value: Any) -> Change:
    """A figure of the plan altered, and the analyst has signed it so."""

    def made(liar: Liar, _message: LinkMessage) -> bytes:
        claimed = json.loads(liar.proposal.content)
        place = claimed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return liar.world.signed(liar.proposal.plan, canonical_json(claimed)).request()

    return made


def under_another_agreement(liar: Liar, _message: LinkMessage) -> bytes:
    _, looser = liar.world.make_agreement(epsilon="400", version=4, key_agreement=liar.proposal.plan.suite.value)
    return liar.propose(agreement=looser).request()


def under_another_roster(liar: Liar, _message: LinkMessage) -> bytes:
    document = yaml.safe_load(unsafe_payload(liar.world.roster_envelope, ROSTER_TYPE))
    swapped(document["councils"])
    return liar.propose(roster=parse_roster(yaml.safe_dump(document).encode())).request()


def more_attempts(liar: Liar, _message: LinkMessage) -> bytes:
    return liar.propose(attempts=3).request()


async def near_duplicates(liar: Liar) -> None:
    """The budget covers two questions. The third has other words, another nonce, and the same table."""
    await liar.ask(liar.propose(liar.world.question(epsilon=Fraction(1, 10), title="Households by their outcome")))
    third = liar.propose(liar.world.question(epsilon=Fraction(1, 10), title="Outcomes of households"))
    for council in liar.world.councils:
        liar.lie_to(council, LinkMessage.decode(third.request()))


QUESTION = (
    Lie(
        name="another_question_for_the_victim",
        attack="Another question for one council, under the number of the one that the others have",
        gain="a vector in which one council's figures stand apart from the sum",
        stopped="the number of a plan is the hash of the plan",
        guard="council_node/signed_plans.py",
        at=Kind.PROPOSAL,
        tell=to_victim(Kind.PROPOSAL, another_question),
        rule="signature",
        words="not the plan it is said to be",
    ),
    Lie(
        name="plan_touched_after_signing",
        attack="A plan altered after the analyst signed it",
        gain="a tenth of the noise",
        stopped="the analyst's signature is over the plan's bytes, and each council checks it",
        guard="council_node/signed_plans.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, touched),
        rule="signature",
        words="changed after it was signed",
    ),
    Lie(
        name="plan_signed_by_the_coordinator",
        attack="A question of the coordinator's own",
        gain="answers that no analyst named in the agreement asked for",
        stopped="a plan is signed by an analyst of the agreement that this council accepted",
        guard="council_node/signed_plans.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, signed_by_the_hub),
        rule="signature",
        words="0 of the 1 trusted signatures",
    ),
    Lie(
        name="cost_understated",
        attack="A plan that says it costs less than it does, signed by an analyst who is in on it",
        gain="more answers than the budget pays for",
        stopped="each council works the cost out from the question itself",
        guard="federated/plan.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, claiming("charge", "epsilon", value="1/1000")),
        rule="plan_mismatch",
        words="'charge'",
    ),
    Lie(
        name="noise_understated",
        attack="A plan with less noise than its cost calls for, signed by an analyst who is in on it",
        gain="sums with a hundredth of their noise",
        stopped="each council works the noise out from the question itself",
        guard="federated/plan.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, claiming("tables", 0, "parameter", value="10")),
        rule="plan_mismatch",
        words="'tables'",
    ),
    Lie(
        name="cohort_one_council_short",
        attack="A list of councils asked that leaves one out, signed by an analyst who is in on it",
        gain="the difference between two answers, which is that one council",
        stopped="who is asked follows from the agreement's named group, whole",
        guard="federated/plan.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, claiming("eligible", value=[*COLLUDERS, VICTIM, PEER, OTHER])),
        rule="plan_mismatch",
        words="'eligible'",
    ),
    Lie(
        name="smaller_cohort_in_the_plan",
        attack="A plan that lets a round be smaller than agreed",
        gain="rounds of the colluders and one victim",
        stopped="the smallest cohort follows from the agreement that this council accepted",
        guard="federated/plan.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, claiming("cohort", "min_cohort", value=1)),
        rule="plan_mismatch",
        words="'cohort'",
    ),
    Lie(
        name="another_agreement",
        attack="An agreement altered: a plan under a version with twenty times the budget",
        gain="that budget",
        stopped="a plan names the very version that this council accepted, by its hash",
        guard="federated/plan.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, under_another_agreement),
        rule="plan_mismatch",
        words="'agreement'",
    ),
    Lie(
        name="another_roster_in_the_plan",
        attack="A plan under a list of councils in which a key is swapped",
        gain="that council's place in the round",
        stopped="a plan names the very list that this council pinned, by its hash",
        guard="federated/plan.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, under_another_roster),
        rule="plan_mismatch",
        words="'roster'",
    ),
    Lie(
        name="more_attempts_in_the_plan",
        attack="A plan that gives itself more attempts than agreed",
        gain="more masked inputs of one question than people signed for",
        stopped="the agreement's number counts",
        guard="council_node/policy.py",
        at=Kind.PROPOSAL,
        tell=to_all(Kind.PROPOSAL, more_attempts),
        rule="attempts",
        words="3 attempts",
    ),
    Lie(
        name="near_duplicates",
        attack="Endless near-identical questions, to average the noise out (R51)",
        gain="the exact figure, as the mean of many answers",
        stopped="every answer is charged, and each council's ledger refuses what its budget does not cover",
        guard="federated/privacy/budget.py",
        at=Kind.PROPOSAL,
        afterwards=near_duplicates,
        rule="budget",
        words="already spent or reserved",
        world={"epsilon": "0.2"},
    ),
)


# The invitation


def inviting(**changes: Any) -> Change:
    """An invitation to the round of another nonce, with what is given changed in it."""
    return lambda liar, _message: invitation(liar.world, liar.proposal.plan, nonce=9, **changes)


async def invited_again(liar: Liar) -> None:
    for council in HONEST:
        request = LinkMessage(
            kind=Kind.INVITE, reference=liar.orders[-1].sid, payload=liar.request(council, Kind.INVITE)
        )
        liar.lie_to(council, request)


async def held_until_refused(liar: Liar) -> None:
    """The plan allows two attempts; the liar keeps the first answer and has the second, too."""
    await liar.hold(liar.world.councils, attempt=2)
    for council in liar.world.councils:
        liar.lie_to(council, LinkMessage.decode(invitation(liar.world, liar.proposal.plan, nonce=9, attempt=2)))


MANY_CELLS: Final = Table(
    name="outcome",
    statistic="households",
    by=(
        Dimension(column="assessment_outcome"),
        Dimension(column="household_type"),
        Dimension(column="assessment_date", part=DatePart.MONTH),
    ),
)
"""Enough cells to tell how much noise is in a sum."""


async def held_without_the_victim(liar: Liar) -> None:
    with liar.lying():
        await liar.hold(tuple(council for council in liar.world.councils if council != VICTIM), attempt=2)


def two_questions_in_one_round(liar: Liar, message: LinkMessage) -> bytes:
    other = liar.propose(liar.world.question(epsilon=Fraction(1, 20)))
    for council in (WITNESS, VICTIM):
        liar.say(council, other.request())
    return invitation(liar.world, other.plan, nonce=9, sid=message.reference)


def left_to_people(liar: Liar, _message: LinkMessage) -> bytes:
    """Another question, of which the victim's people have yet to decide."""
    liar.world.seat(VICTIM).policy(automatic=False)
    other = liar.propose()
    liar.say(VICTIM, other.request())
    return invitation(liar.world, other.plan, nonce=9)


async def by_itself_again(liar: Liar) -> None:
    liar.world.seat(VICTIM).policy(automatic=True)


INVITATION = (
    Lie(
        name="invitation_replayed",
        attack="An invitation replayed after its round",
        gain="a second masked input for one charge",
        stopped="each council's ledger knows every round it was ever in",
        guard="council_node/ledger.py",
        at=Kind.INVITE,
        afterwards=invited_again,
        rule="replay",
        words="asked before",
    ),
    Lie(
        name="two_questions_in_one_round",
        attack="Two questions under one round: one council is invited to another plan, which it approved too",
        gain="masks that cancel while one council counts something else",
        stopped="a round's number follows from its plan",
        guard="council_node/invitation.py",
        at=Kind.INVITE,
        tell=to_two(Kind.INVITE, two_questions_in_one_round),
        rule="invitation",
        words="does not follow from its plan",
    ),
    Lie(
        name="people_not_waited_for",
        attack="An invitation to a question that the council's people have yet to decide on",
        gain="an answer that nobody in the council said yes to",
        stopped="a council joins the rounds of questions it has approved",
        guard="council_node/proposals.py",
        at=Kind.INVITE,
        tell=to_victim(Kind.INVITE, left_to_people),
        afterwards=by_itself_again,
        rule="not_approved",
        words="has not",
    ),
    Lie(
        name="attempt_past_the_plan",
        attack="An attempt beyond those the plan allows",
        gain="one more round for the same question",
        stopped="the attempt is in the round's number and counted against the plan",
        guard="council_node/invitation.py",
        at=Kind.INVITE,
        tell=to_two(Kind.INVITE, inviting(attempt=3)),
        rule="attempts",
        words="allows 2 attempt",
    ),
    Lie(
        name="held_until_refused",
        attack="The same plan again and again, the answer kept back",
        gain="as many answers as it takes",
        stopped="every masked input is charged, and counted against the plan's attempts in each council",
        guard="council_node/ledger.py",
        at=Kind.INVITE,
        afterwards=held_until_refused,
        rule="attempts",
        words="allows 2",
    ),
    Lie(
        name="in_another_coordinators_name",
        attack="An invitation in another coordinator's name",
        gain="rounds that the list of councils names nobody for",
        stopped="the coordinator's name is in the list of councils and in the round's number",
        guard="council_node/invitation.py",
        at=Kind.INVITE,
        tell=to_two(Kind.INVITE, inviting(coordinator_id="elsewhere")),
        rule="invitation",
        words="coordinator_id",
    ),
    Lie(
        name="again_without_the_victim",
        attack="The same question twice, the second time without one council (R51)",
        gain="the difference of the two answers, which is that council",
        stopped="both sums carry the whole noise, and both are charged",
        guard="federated/privacy/noise_share.py",
        at=Kind.INVITE,
        afterwards=held_without_the_victim,
        question={"tables": (MANY_CELLS,)},
        end=End.HONEST_SUM,
    ),
)


# Adverts


def adverts(liar: Liar, message: LinkMessage) -> list[SignedMessage]:
    return list(decode_adverts(message.payload, liar.context))


def advertising(change: Callable[[Liar, list[SignedMessage]], Sequence[SignedMessage]]) -> Change:
    """The adverts with a change."""
    return lambda liar, message: but(message, encode_list(Stage.ADVERTS, change(liar, adverts(liar, message))))


def without(*councils: CouncilId) -> Callable[[Liar, list[SignedMessage]], list[SignedMessage]]:
    return lambda _liar, messages: [message for message in messages if message.sender not in councils]


def instead(council: CouncilId, made: Callable[[Liar, SignedMessage], SignedMessage]) -> Any:
    return lambda liar, messages: [made(liar, m) if m.sender == council else m for m in messages]


def with_an_invention(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    stranger = CouncilId("E06000047")
    return [*without(OTHER)(liar, messages), signed(liar, STRANGER, stranger, Stage.ADVERT, messages[0].body)]


def other_channel_key(liar: Liar, message: SignedMessage) -> SignedMessage:
    advert = advert_of(message, liar.context.suite)
    body = replace(advert, channel_key=b"\x09" + bytes(31) + advert.channel_key[KEY_SIZE:]).encode_body()
    return replace(message, body=body, signature=message.signature)


def victims_mask_key(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    found = {message.sender: advert_of(message, liar.context.suite) for message in messages}
    body = replace(found[COLLUDER], mask_key=found[PEER].mask_key).encode_body()
    return [by(liar, COLLUDER, Stage.ADVERT, body) if m.sender == COLLUDER else m for m in messages]


def one_twice(_liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    return [*messages[:-1], messages[-2]]


def of_another_round(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    """The peer is invited to another round of the same plan, and its advert of that one is shown in this."""
    reply = liar.say(PEER, invitation(liar.world, liar.proposal.plan, nonce=9, attempt=2))
    other = decode_advert(LinkMessage.decode(reply).payload, liar.context)
    liar.say(PEER, abort(round_of(liar.world, liar.proposal.plan, nonce=9, attempt=2)))
    return [other if message.sender == PEER else message for message in messages]


def second_advert(liar: Liar, message: SignedMessage) -> SignedMessage:
    advert = advert_of(message, liar.context.suite)
    other = b"\x0b" + bytes(31) + advert.mask_key[KEY_SIZE:]
    return by(liar, COLLUDER, Stage.ADVERT, replace(advert, mask_key=other).encode_body())


async def joined_again(liar: Liar) -> None:
    """After a split view, the key shares of both sides are delivered to everybody as if they were of one round."""
    for council in HONEST:
        liar.lie_to(
            council, LinkMessage(kind=Kind.SHARES, reference=liar.orders[-1].sid, payload=_relayed(liar, council))
        )


def _relayed(liar: Liar, receiver: CouncilId) -> bytes:
    """SHARES for one council, of every council that dealt, whatever it dealt for."""
    members = liar.context.eligible
    dealings = [decode_key_shares(reply, liar.context, members) for reply in liar.replies(Kind.KEY_SHARES).values()]
    position = members.index(receiver)
    return encode_shares(
        [dealt.message.encode() for dealt, _ in dealings], [openings.encoded(position) for _, openings in dealings]
    )


ADVERTS = (
    Lie(
        name="invented_council",
        attack="An invented council in a round",
        gain="a vote, and a share of every secret",
        stopped="every advert is by one of the councils asked, whose keys are pinned",
        guard="protocols/secagg/checks.py",
        at=Kind.ADVERTS,
        tell=to_two(Kind.ADVERTS, advertising(with_an_invention)),
        rule="protocol",
        words="not one of the 6 eligible councils",
    ),
    Lie(
        name="swapped_key",
        attack="A council's key swapped for one of the liar's",
        gain="everything that is sealed for that council",
        stopped="every advert is signed by the pinned identity",
        guard="protocols/secagg/checks.py",
        at=Kind.ADVERTS,
        tell=to_two(Kind.ADVERTS, advertising(instead(PEER, other_channel_key))),
        rule="protocol",
        words="is not signed by its identity",
    ),
    Lie(
        name="key_used_twice",
        attack="A key reused: a colluding council advertises another council's mask key as its own",
        gain="two masks that are equal, and cancel each other",
        stopped="all keys of a round differ",
        guard="protocols/secagg/checks.py",
        at=Kind.ADVERTS,
        tell=to_two(Kind.ADVERTS, advertising(victims_mask_key)),
        rule="protocol",
        words="in the adverts twice",
    ),
    Lie(
        name="council_counted_twice",
        attack="One council listed twice",
        gain="a cohort that looks larger than it is",
        stopped="lists are in strictly ascending order",
        guard="protocols/secagg/messages.py",
        at=Kind.ADVERTS,
        tell=to_two(Kind.ADVERTS, advertising(one_twice)),
        rule="protocol",
        words="twice or out of order",
    ),
    Lie(
        name="victim_left_out_of_its_round",
        attack="A round shown to a council that it is not in itself",
        gain="a masked input whose masks nobody else has",
        stopped="a council looks for its own advert, as it sent it",
        guard="protocols/secagg/participant.py",
        at=Kind.ADVERTS,
        tell=to_victim(Kind.ADVERTS, advertising(without(VICTIM))),
        rule="protocol",
        words="do not hold the one that E06000004 sent",
    ),
    Lie(
        name="cohort_below_the_minimum",
        attack="A cohort smaller than agreed: the colluders, the victim and one more",
        gain="a sum that is nearly one council's",
        stopped="each council counts the adverts against the agreement's smallest cohort",
        guard="protocols/secagg/cohort.py",
        at=Kind.ADVERTS,
        tell=to_two(Kind.ADVERTS, advertising(without(PEER, OTHER))),
        rule="min_cohort",
        words="asks for 5",
    ),
    Lie(
        name="colluders_and_one_victim",
        attack="A cohort split off: the colluders and one victim alone",
        gain="the victim's figures, by taking the colluders' from the sum",
        stopped="no round has fewer than four councils, whatever was agreed",
        guard="protocols/secagg/cohort.py",
        at=Kind.ADVERTS,
        tell=to_victim(Kind.ADVERTS, advertising(without(WITNESS, PEER, OTHER))),
        rule="smallest_round",
        words="no round has fewer than 4",
    ),
    Lie(
        name="advert_of_another_round",
        attack="A message of another round replayed in this one",
        gain="keys whose secrets have come out since",
        stopped="the round's number is in everything signed",
        guard="protocols/envelope.py",
        at=Kind.ADVERTS,
        tell=to_victim(Kind.ADVERTS, advertising(of_another_round)),
        rule="protocol",
        words="for this round and stage",
    ),
    Lie(
        name="overlapping_cohorts",
        attack="A split cohort: two overlapping rounds under one number",
        gain="two sums that differ by one council",
        stopped="what councils deal is for the adverts they saw, and too few saw the same",
        guard="protocols/secagg/aggregator.py",
        at=Kind.ADVERTS,
        tell=to((PEER, OTHER), Kind.ADVERTS, advertising(without(COLLUDER))),
        end=End.NO_SUM,
        rule="below_threshold",
        words="4 councils have dealt key shares; 5 are needed",
    ),
    Lie(
        name="split_cohort_joined_again",
        attack="Two adverts of one council, each shown to half of the cohort, and the halves joined again",
        gain="a council whose mask is one thing for some and another for others",
        stopped="every dealing is signed over the adverts that its council saw",
        guard="protocols/secagg/participant.py",
        at=Kind.SHARES,
        tell=to((VICTIM, PEER, OTHER), Kind.ADVERTS, advertising(instead(COLLUDER, second_advert))),
        meanwhile=joined_again,
        rule="protocol",
        words="was shown other adverts than",
    ),
)


# Key shares


def dealings(liar: Liar, message: LinkMessage, receiver: CouncilId = VICTIM) -> list[tuple[Dealt, Opening]]:
    members = len(liar.context.eligible)
    return list(decode_shares(message.payload, liar.context, receiver=receiver, members=members))


def delivering(change: Callable[[Liar, list[tuple[Dealt, Opening]]], list[tuple[Dealt, Opening]]]) -> Change:
    """The victim's key shares with a change."""

    def made(liar: Liar, message: LinkMessage) -> bytes:
        changed = change(liar, dealings(liar, message))
        return but(
            message,
            encode_shares(
                [dealt.message.encode() for dealt, _ in changed], [opening.encode() for _, opening in changed]
            ),
        )

    return made


def not_from(*councils: CouncilId) -> Any:
    return lambda _liar, found: [(dealt, opening) for dealt, opening in found if dealt.message.sender not in councils]


def opening_of_another(liar: Liar, found: list[tuple[Dealt, Opening]]) -> list[tuple[Dealt, Opening]]:
    """What one council dealt to a colluder is delivered to the victim."""
    request = LinkMessage(kind=Kind.SHARES, reference=NO_REFERENCE, payload=liar.request(COLLUDERS[1], Kind.SHARES))
    others = dealings(liar, request, COLLUDERS[1])
    return [(dealt, others[n][1] if dealt.message.sender == PEER else mine) for n, (dealt, mine) in enumerate(found)]


def falsely_dealt(liar: Liar, found: list[tuple[Dealt, Opening]]) -> list[tuple[Dealt, Opening]]:
    """A colluder commits to another share than it seals for the victim, and signs for it."""
    dealt, opening = found[0]
    bad = replace(opening, b_commitment=bytes(32))
    leaves = [dealt.leaf(position) for position in range(len(liar.context.eligible))]
    leaves[liar.context.eligible.index(VICTIM)] = leaf(bad.encode())
    message = by(liar, COLLUDER, Stage.KEY_SHARES, dealt_body(dealt.h1, dealt.self_commitment, leaves))
    return [(replace(dealt, message=message), bad), *found[1:]]


def answered_first(change: Change) -> Change:
    """The truth first, and when it was answered the lie."""

    def made(liar: Liar, message: LinkMessage) -> bytes:
        liar.say(VICTIM, message.encode())
        return change(liar, message)

    return made


def fewer_dealers(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    if council != VICTIM or message.kind is not Kind.SHARES:
        return None
    return Tale(told=delivering(not_from(PEER))(liar, message))


def inputs_of_two_views(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    """As above, and then the victim's masked input is passed off as one of the round that the others are in."""
    if message.kind is not Kind.SURVIVORS:
        return fewer_dealers(liar, council, message)
    header, _ = decode_masked_input(liar.replies(Kind.MASKED_INPUT)[VICTIM], liar.context)
    listed = [*decode_survivors(message.payload, liar.context), header]
    return Tale(told=but(message, encode_list(Stage.SURVIVORS, sorted(listed, key=lambda item: item.sender))))


def adverts_again(liar: Liar, message: LinkMessage) -> bytes:
    return but(message, liar.request(VICTIM, Kind.ADVERTS))


def of_a_later_stage(_liar: Liar, message: LinkMessage) -> bytes:
    return replace(message, kind=Kind.SURVIVORS).encode()


def drip(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    """True to the byte, and seven hours after the invitation."""
    late = council == VICTIM and message.kind is Kind.SHARES
    return Tale(told=message.encode(), late=timedelta(hours=7)) if late else None


SHARES = (
    Lie(
        name="opening_of_another",
        attack="A key share delivered to another council than it was dealt to",
        gain="shares where they can be asked for twice",
        stopped="a dealer signs which share is whose",
        guard="protocols/secagg/participant.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, delivering(opening_of_another)),
        rule="protocol",
        words="is not the one that it signed",
    ),
    Lie(
        name="shares_without_the_victims",
        attack="A round of key shares that the council's own are not in",
        gain="a masked input whose masks nobody can be asked for",
        stopped="a council looks for what it dealt itself",
        guard="protocols/secagg/participant.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, delivering(not_from(VICTIM))),
        rule="protocol",
        words="do not hold the message that E06000004 sent",
    ),
    Lie(
        name="too_few_dealers",
        attack="A round that has lost more councils than it can bear, said to go on",
        gain="a sum over so few that the noise is too small",
        stopped="below the threshold nobody masks",
        guard="protocols/secagg/checks.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, delivering(not_from(PEER, OTHER))),
        rule="below_threshold",
        words="4 councils have dealt key shares; 5 are needed",
    ),
    Lie(
        name="false_share",
        attack="False key shares, dealt by a colluding council",
        gain="a round that ends after the charge, as often as it likes",
        stopped="every share is opened and checked before anything is charged; the complaint carries the dealer's signature",
        guard="protocols/secagg/dealing.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, delivering(falsely_dealt)),
        rule="bad_key_share",
        words="dealt and signed is not the one committed to",
    ),
    Lie(
        name="other_dealers_for_the_victim",
        attack="Other key shares in the victim's view, so that its masks are not all cancelled by the others'",
        gain="a masked input with fewer masks on it, of a council said to be lost (inconsistent views)",
        stopped="the view is in every mask key, and the council's own mask is never opened once it is said to be lost",
        guard="protocols/secagg/participant.py",
        at=Kind.SHARES,
        tell=fewer_dealers,
        end=End.HONEST_SUM,
    ),
    Lie(
        name="inputs_of_two_views",
        attack="Masked inputs of two views put into one sum",
        gain="a sum from which one council's masks are missing",
        stopped="every masked input is signed with its view, and councils confirm those of their own alone",
        guard="protocols/secagg/checks.py",
        at=Kind.SURVIVORS,
        tell=inputs_of_two_views,
        rule="protocol",
        words="masked for another round of key shares",
    ),
    Lie(
        name="second_masked_input",
        attack="A second, different list of key shares to a council that has masked",
        gain="a second masked input of the same figures, under other masks or noise",
        stopped="one list, one masked input; a second, different request ends the round",
        guard="protocols/secagg/session.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, answered_first(delivering(not_from(PEER)))),
        rule="protocol",
        words="a second, different shares message",
    ),
    Lie(
        name="earlier_request_in_a_later_stage",
        attack="The request of an earlier stage replayed as that of a later one",
        gain="a reply that passes for a masked input, and a receipt for one that never left",
        stopped="a stage's request is answered again as that stage's alone",
        guard="protocols/secagg/session.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, adverts_again),
        rule="protocol",
        words="has stage",
    ),
    Lie(
        name="stage_skipped",
        attack="A stage skipped: survivors before anybody has masked",
        gain="shares that unmask what is not yet masked",
        stopped="the order is a table, and whatever is not in it ends the round",
        guard="protocols/secagg/transitions.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, of_a_later_stage),
        rule="protocol",
        words="out of order",
    ),
    Lie(
        name="slow_drip",
        attack="A round held open for hours, one request at a time",
        gain="secrets that lie in a council's memory until somebody breaks in there",
        stopped="a round that is not over after six hours is ended, whatever comes for it then",
        guard="council_node/rounds.py",
        at=Kind.SHARES,
        tell=drip,
        rule="unknown_round",
        words="it has ended here",
    ),
    Lie(
        name="oversized",
        attack="A message larger than any of its stage",
        gain="a node without memory, at a moment of the liar's choice",
        stopped="every stage has a largest size, and nothing larger is read",
        guard="protocols/wire/codec.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, lambda _liar, message: but(message, message.payload + bytes(200_000))),
        rule="protocol",
        words="are allowed",
    ),
    Lie(
        name="cut_short",
        attack="A malformed message: one byte short",
        gain="a crash whose report tells something",
        stopped="messages are read to the byte, and what does not fit is refused in a sentence",
        guard="protocols/wire/codec.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, lambda _liar, message: but(message, message.payload[:-1])),
        rule="protocol",
        words="is cut short",
    ),
    Lie(
        name="no_request_at_all",
        attack="Bytes that are no request",
        gain="the same",
        stopped="an unknown form gets one sentence and changes nothing",
        guard="protocols/wire/link_message.py",
        at=Kind.SHARES,
        tell=to_victim(Kind.SHARES, lambda _liar, message: b"\x07" + message.encode()[1:]),
        rule="malformed",
        words="version",
    ),
)


# Survivors


def survivors(change: Callable[[Liar, list[SignedMessage]], Sequence[SignedMessage]]) -> Change:
    """The list of survivors with a change."""
    return lambda liar, message: but(
        message, encode_list(Stage.SURVIVORS, change(liar, list(decode_survivors(message.payload, liar.context))))
    )


def another_vector(_liar: Liar, header: SignedMessage) -> SignedMessage:
    return replace(header, body=header.body[:32] + sha256(b"another vector"), signature=header.signature)


def for_other_shares(liar: Liar, header: SignedMessage) -> SignedMessage:
    return by(liar, COLLUDER, Stage.MASKED_INPUT, sha256(b"other key shares") + header.body[32:])


def lost_and_alive(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    """Half of the honest councils are told that the victim survived, the others that it was lost."""
    if message.kind is Kind.SURVIVORS and council in (PEER, OTHER):
        if not liar.dealt:
            liar.collude(*COLLUDERS)
        return Tale(told=survivors(without(VICTIM))(liar, message))
    if message.kind is Kind.STATEMENTS and council in (PEER, OTHER):
        return Tale(told=but(message, _both_signed(liar, council)))
    return None


async def opened_both_ways(liar: Liar) -> None:
    """Each half is shown the statements of its own list, with those of the colluders, who sign both."""
    if liar.reports[-1].result is None:
        for council in HONEST:
            sid = liar.orders[-1].sid
            liar.lie_to(council, LinkMessage(kind=Kind.STATEMENTS, reference=sid, payload=_both_signed(liar, council)))


def _both_signed(liar: Liar, council: CouncilId) -> bytes:
    inputs = liar.replies(Kind.MASKED_INPUT)
    headers = [decode_masked_input(reply, liar.context)[0] for reply in inputs.values()]
    without_victim = [header for header in headers if header.sender != VICTIM]
    h3 = survivors_view(headers[0].body[:32], without_victim if council in (PEER, OTHER) else headers)
    mine = [decode_confirmation(reply, liar.context) for reply in liar.replies(Kind.CONFIRMATION).values()]
    honest = [message for message in mine if message.body == h3 and message.sender not in COLLUDERS]
    return encode_list(Stage.STATEMENTS, [*(by(liar, c, Stage.CONFIRMATION, h3) for c in COLLUDERS), *honest])


def said_to_be_lost(liar: Liar, _council: CouncilId, message: LinkMessage) -> Tale | None:
    """The masked input that came in time is kept, and the survivors are told without it."""
    if message.kind is not Kind.SURVIVORS:
        return None
    headers = [decode_masked_input(reply, liar.context)[0] for reply in liar.replies(Kind.MASKED_INPUT).values()]
    return Tale(told=message.encode(), honest=but(message, encode_list(Stage.SURVIVORS, headers)))


async def late_input_let_in(liar: Liar) -> None:
    """When the sum without it is known, the survivors are told again, with it."""
    headers = [decode_masked_input(reply, liar.context)[0] for reply in liar.replies(Kind.MASKED_INPUT).values()]
    request = LinkMessage(
        kind=Kind.SURVIVORS, reference=liar.orders[-1].sid, payload=encode_list(Stage.SURVIVORS, headers)
    )
    for council in (VICTIM, WITNESS, PEER):
        liar.lie_to(council, request)


def aborted(_liar: Liar, message: LinkMessage) -> bytes:
    return abort(message.reference)


SURVIVORS = (
    Lie(
        name="survivors_without_the_victim",
        attack="A list of survivors that leaves out the council it is shown to",
        gain="shares of that council's own secrets, from itself",
        stopped="a council looks for its own masked input, as it sent it",
        guard="protocols/secagg/participant.py",
        at=Kind.SURVIVORS,
        tell=to_victim(Kind.SURVIVORS, survivors(without(VICTIM))),
        rule="protocol",
        words="do not hold the masked input that E06000004 sent",
    ),
    Lie(
        name="too_few_survivors",
        attack="A sum over fewer survivors than the noise was planned for",
        gain="a sum with too little noise",
        stopped="below the threshold nobody confirms",
        guard="protocols/secagg/checks.py",
        at=Kind.SURVIVORS,
        tell=to_victim(Kind.SURVIVORS, survivors(without(PEER, OTHER))),
        rule="below_threshold",
        words="4 councils have sent masked inputs; 5 are needed",
    ),
    Lie(
        name="another_masked_vector",
        attack="Another masked vector passed off as a council's",
        gain="a sum of the liar's making under every council's name",
        stopped="each council signs the hash of what it masked",
        guard="protocols/secagg/checks.py",
        at=Kind.SURVIVORS,
        tell=to_victim(Kind.SURVIVORS, survivors(instead(PEER, another_vector))),
        rule="protocol",
        words="is not signed by its identity",
    ),
    Lie(
        name="colluder_of_another_view",
        attack="A colluding council that says it masked in another view",
        gain="masks left on the sum that the colluders alone can take off",
        stopped="councils confirm masked inputs of their own view alone",
        guard="protocols/secagg/checks.py",
        at=Kind.SURVIVORS,
        tell=to_victim(Kind.SURVIVORS, survivors(instead(COLLUDER, for_other_shares))),
        rule="protocol",
        words="E06000001 masked for another round of key shares",
    ),
    Lie(
        name="second_list_of_survivors",
        attack="A second, different list of survivors to the same council",
        gain="a statement for each of two sums, which differ by one council",
        stopped="one list for each round, ever",
        guard="protocols/secagg/session.py",
        at=Kind.SURVIVORS,
        tell=to_victim(Kind.SURVIVORS, answered_first(survivors(without(OTHER)))),
        rule="protocol",
        words="a second, different survivors message",
    ),
    Lie(
        name="lost_and_alive",
        attack="A council named both survivor and lost, by lists that differ, with colluders who sign both",
        gain="both of that council's secrets, and with them its figures",
        stopped="more than half of all possible answers is needed for either: 2t > n + c",
        guard="protocols/secagg/cohort.py",
        at=Kind.STATEMENTS,
        tell=lost_and_alive,
        meanwhile=opened_both_ways,
        rule="below_threshold",
        words="4 councils have confirmed the survivors; 5 are needed",
    ),
    Lie(
        name="masked_input_kept_back",
        attack="A masked input kept back, and its council said to be lost",
        gain="the keys of all its pairwise masks, and so its figures",
        stopped="a second mask of its own, whose secret nobody gives out for a council that is lost",
        guard="protocols/secagg/participant.py",
        at=Kind.SURVIVORS,
        tell=said_to_be_lost,
        hides=(OTHER, Kind.SHARES),
        end=End.HONEST_SUM,
    ),
    Lie(
        name="late_input_let_in",
        attack="A late masked input let in after its council was counted as lost",
        gain="both of its secrets, and the difference of two sums",
        stopped="one list for each round, ever; all secrets go with the last answer",
        guard="protocols/secagg/session.py",
        at=Kind.SURVIVORS,
        meanwhile=late_input_let_in,
        hides=(OTHER, Kind.SHARES),
        rule="protocol",
        words="a second, different survivors message",
    ),
    Lie(
        name="aborted_for_a_refund",
        attack="A round called off after the masked input has left",
        gain="a masked input whose charge is given back",
        stopped="what is spent is never given back",
        guard="council_node/ledger.py",
        at=Kind.SURVIVORS,
        tell=to_victim(Kind.SURVIVORS, aborted),
        end=End.HONEST_SUM,
    ),
)


# Statements, and the answer


def statements(change: Callable[[Liar, list[SignedMessage]], Sequence[SignedMessage]]) -> Change:
    """The statements with a change."""
    return lambda liar, message: but(
        message, encode_list(Stage.STATEMENTS, change(liar, list(decode_statements(message.payload, liar.context))))
    )


def all_but_the_first(liar: Liar, _messages: list[SignedMessage]) -> list[SignedMessage]:
    """As many as the driver sends, and others."""
    return [decode_confirmation(reply, liar.context) for reply in liar.replies(Kind.CONFIRMATION).values()][1:]


def on_another_list(liar: Liar, message: SignedMessage) -> SignedMessage:
    return by(liar, COLLUDER, Stage.CONFIRMATION, sha256(b"another list"))


def forged(_liar: Liar, message: SignedMessage) -> SignedMessage:
    return replace(message, signature=bytes(64))


def by_the_lost_colluder(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    lost = by(liar, COLLUDERS[1], Stage.CONFIRMATION, messages[0].body)
    return sorted([*messages, lost], key=lambda item: item.sender)


def release(**changes: Any) -> Change:
    return lambda _liar, message: but(message, json.dumps(json.loads(message.payload) | changes).encode())


async def another_answer(liar: Liar) -> None:
    body = json.loads(liar.request(VICTIM, Kind.RELEASE))
    body["councils"][0]["name"] = "Another council"
    request = LinkMessage(kind=Kind.RELEASE, reference=liar.orders[-1].sid, payload=json.dumps(body).encode())
    liar.lie_to(VICTIM, request)


STATEMENTS = (
    Lie(
        name="too_few_statements",
        attack="A list of survivors that too few have confirmed",
        gain="shares for a list of the liar's making",
        stopped="shares are given out for a list that t councils have signed",
        guard="protocols/secagg/checks.py",
        at=Kind.STATEMENTS,
        tell=to_victim(Kind.STATEMENTS, statements(lambda _liar, messages: messages[:4])),
        rule="below_threshold",
        words="4 councils have confirmed the survivors; 5 are needed",
    ),
    Lie(
        name="one_statement_twice",
        attack="One statement counted twice",
        gain="the same",
        stopped="lists are in strictly ascending order",
        guard="protocols/secagg/messages.py",
        at=Kind.STATEMENTS,
        tell=to_victim(Kind.STATEMENTS, statements(lambda _liar, messages: [*messages[:4], messages[3]])),
        rule="protocol",
        words="twice or out of order",
    ),
    Lie(
        name="statement_on_another_list",
        attack="A colluding council's statement on another list of survivors",
        gain="shares for two lists",
        stopped="all statements are on the list that this council signed itself",
        guard="protocols/secagg/checks.py",
        at=Kind.STATEMENTS,
        tell=to_victim(Kind.STATEMENTS, statements(instead(COLLUDER, on_another_list))),
        rule="protocol",
        words="E06000001 confirmed another list",
    ),
    Lie(
        name="forged_statement",
        attack="A statement that its council never signed",
        gain="shares for a list of the liar's making",
        stopped="every statement's signature is checked",
        guard="protocols/secagg/checks.py",
        at=Kind.STATEMENTS,
        tell=to_victim(Kind.STATEMENTS, statements(instead(WITNESS, forged))),
        rule="protocol",
        words="is not signed by its identity",
    ),
    Lie(
        name="statement_by_the_lost",
        attack="A statement by a council that was lost",
        gain="one more vote for a list than there are survivors",
        stopped="only survivors of the list count",
        guard="protocols/secagg/checks.py",
        at=Kind.STATEMENTS,
        tell=to_victim(Kind.STATEMENTS, statements(by_the_lost_colluder)),
        hides=(COLLUDERS[1], Kind.SHARES),
        rule="protocol",
        words="E06000002 is said to have confirmed",
    ),
    Lie(
        name="second_unmasking",
        attack="A second, different request to unmask",
        gain="shares of the secrets that the first answer did not give",
        stopped="one answer for each round, ever; all secrets go with it",
        guard="protocols/secagg/session.py",
        at=Kind.STATEMENTS,
        tell=to_victim(Kind.STATEMENTS, answered_first(statements(all_but_the_first))),
        rule="protocol",
        words="a second, different statements message",
    ),
    Lie(
        name="answer_of_another_plan",
        attack="An answer passed off as that of another question",
        gain="a council's receipt for what it never took part in",
        stopped="a council holds an answer against the rounds of its own ledger",
        guard="council_node/rounds.py",
        at=Kind.RELEASE,
        tell=to_victim(Kind.RELEASE, release(plan_digest="00" * 32)),
        rule="release",
        words="took no part",
    ),
    Lie(
        name="another_answer",
        attack="A second, different answer to the same round",
        gain="one thing published, and receipts for another",
        stopped="the first answer of a round is the one that is kept",
        guard="council_node/rounds.py",
        at=Kind.RELEASE,
        afterwards=another_answer,
        rule="release",
        words="another answer of that round",
    ),
)

LIES: Final = (*ROSTER, *QUESTION, *INVITATION, *ADVERTS, *SHARES, *SURVIVORS, *STATEMENTS)
