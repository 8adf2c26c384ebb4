"""Lies about the mask holder: told to councils, or to itself, where the agreement names one.

What each is held to besides is what every lie is: whatever the liar has, more than the sums that the mask holder opened
does not come out of it.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from coordinator.round_report import RoundOrder
from federated.keys import SigningKey, public_line
from federated.round_context import bare_context
from protocols.encoding import canonical_json
from protocols.envelope import SignedMessage
from protocols.identifiers import CouncilId
from protocols.secagg import HolderSession, Stage
from protocols.secagg.holder_messages import OpeningRequest, decode_opening_request
from protocols.secagg.messages import decode_confirmation, encode_list
from protocols.secagg.transcript import adverts_view, shares_view, survivors_view
from protocols.wire.link_message import Kind, LinkMessage
from tests.adversary.lies import Change, but, by, claiming, signed, to, to_all
from tests.adversary.lying_coordinator import COLLUDERS, VICTIM, WITNESS, End, Liar, Lie, Tale
from tests.integration.federation_world import HUB_KEY, abort
from tests.integration.mask_holder_world import HOLDER_ID

Teller = Callable[[Liar, CouncilId, LinkMessage], Tale | None]
LATER: Final = "a second attempt, one council fewer"


def to_holder(kind: Kind, change: Change) -> Teller:
    return to((HOLDER_ID,), kind, change)


def hold_request(liar: Liar, order: RoundOrder) -> LinkMessage:
    payload = order.hold_request(liar.proposal.envelope)
    return LinkMessage(kind=Kind.HOLD, reference=order.sid, payload=payload)


def another_order(liar: Liar, councils: Sequence[CouncilId], *, attempt: int = 2) -> RoundOrder:
    plan = liar.proposal.plan
    return RoundOrder.make(plan, liar.world.roster, tuple(councils), attempt=attempt, rng=os.urandom)


def held_in_earnest(liar: Liar, order: RoundOrder) -> RoundOrder:
    """Another round that the mask holder holds, without a lie."""
    reply = LinkMessage.decode(liar.say(HOLDER_ID, hold_request(liar, order).encode()))
    assert reply.kind is Kind.HELD, reply
    return order.held(reply.payload)


# The papers, and the invitation


def without_a_holder(liar: Liar, _message: LinkMessage) -> bytes:
    suite = liar.proposal.plan.suite.value
    _, alone = liar.world.make_agreement(epsilon="40", version=4, key_agreement=suite, mask_holder=None)
    return liar.propose(agreement=alone).request()


def inviting(advert: Callable[[Liar], bytes]) -> Change:
    """The invitation with another key of the mask holder, or none."""

    def made(liar: Liar, message: LinkMessage) -> bytes:
        body = json.loads(message.payload)
        del body["holder_advert"]
        found = advert(liar)
        return but(message, canonical_json(body | ({"holder_advert": found.hex()} if found else {})))

    return made


def of_its_own(liar: Liar, key: SigningKey = HUB_KEY) -> bytes:
    order = liar.orders[-1]
    bare = bare_context(order.plan, order.roster, order.sid)
    return HolderSession(bare, HOLDER_ID, key.sign, os.urandom, identity=key.public).advertise()


def of_another_round(liar: Liar) -> bytes:
    order = held_in_earnest(liar, another_order(liar, liar.world.councils, attempt=1))
    liar.say(HOLDER_ID, abort(order.sid))
    return order.holder_advert


# The opening


def asking(change: Callable[[Liar, OpeningRequest], OpeningRequest]) -> Change:
    """The request to open with a change."""

    def made(liar: Liar, message: LinkMessage) -> bytes:
        return but(message, change(liar, decode_opening_request(message.payload, liar.context)).encode())

    return made


def without_the_victim(liar: Liar, request: OpeningRequest) -> OpeningRequest:
    signed_all = (decode_confirmation(reply, liar.context) for reply in liar.replies(Kind.CONFIRMATION).values())
    return replace(
        request,
        headers=tuple(item for item in request.headers if item.sender != VICTIM),
        statements=tuple(item for item in signed_all if item.sender != VICTIM),
    )


def view_of(liar: Liar, request: OpeningRequest) -> bytes:
    """h3, as whoever reads the request works it out."""
    h1 = adverts_view(liar.context.sid, request.adverts, liar.context.holder)
    return survivors_view(shares_view(h1, (item.message for item in request.dealt)), request.headers)


def forged_for_the_others(liar: Liar, request: OpeningRequest) -> OpeningRequest:
    """Colluders sign the shorter list; for the honest the coordinator does."""
    shorter = without_the_victim(liar, request)
    h3 = view_of(liar, shorter)

    def stated(council: CouncilId) -> SignedMessage:
        if council in COLLUDERS:
            return by(liar, council, Stage.CONFIRMATION, h3)
        return signed(liar, HUB_KEY, council, Stage.CONFIRMATION, h3)

    return replace(shorter, statements=tuple(stated(item.sender) for item in shorter.statements))


def by_colluders_alone(liar: Liar, request: OpeningRequest) -> OpeningRequest:
    shorter = without_the_victim(liar, request)
    h3 = view_of(liar, shorter)
    return replace(shorter, statements=tuple(by(liar, one, Stage.CONFIRMATION, h3) for one in COLLUDERS))


def of_a_few(_liar: Liar, request: OpeningRequest) -> OpeningRequest:
    """U1 as it would be had the others never come. What was dealt to all fits it no more, and is left out."""
    few = tuple(item for item in request.adverts if item.sender in (*COLLUDERS, WITNESS, VICTIM))
    return replace(request, adverts=few, dealt=(), headers=(), statements=())


def masked_anew(liar: Liar, request: OpeningRequest) -> OpeningRequest:
    """A colluder's signed header of another vector than all signed the list with."""
    colluder = COLLUDERS[0]

    def other(item: SignedMessage) -> SignedMessage:
        body = item.body[:32] + bytes(32)
        return by(liar, colluder, Stage.MASKED_INPUT, body) if item.sender == colluder else item

    return replace(request, headers=tuple(map(other, request.headers)))


async def in_other_words(liar: Liar) -> None:
    """What was opened is asked for again, with one signature fewer."""
    payload = liar.request(HOLDER_ID, Kind.OPEN)
    asked = decode_opening_request(payload, liar.context)
    fewer = replace(asked, statements=asked.statements[1:])
    message = LinkMessage(kind=Kind.OPEN, reference=liar.orders[-1].sid, payload=fewer.encode())
    liar.lie_to(HOLDER_ID, message)


async def asked_again(liar: Liar) -> None:
    """The mask holder is asked to hold the plan's second attempt once it has opened the first."""
    fewer = [council for council in liar.world.councils if council != VICTIM]
    liar.lie_to(HOLDER_ID, hold_request(liar, another_order(liar, fewer)))


def held_beside(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    """Before the first sum is opened the second attempt is held, too."""
    if council == HOLDER_ID and message.kind is Kind.OPEN and len(liar.orders) == 1 and not liar.kept:
        fewer = [one for one in liar.world.councils if one != VICTIM]
        liar.kept.append(held_in_earnest(liar, another_order(liar, fewer)))
    return None


async def then_driven(liar: Liar) -> None:
    [order] = liar.kept
    with liar.lying():
        await liar.drive(order)


def under_another_key(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    """The round is dropped at the mask holder and held again: the same round, another key."""
    if council != HOLDER_ID or message.kind is not Kind.OPEN:
        return None
    order = liar.orders[-1]
    liar.say(HOLDER_ID, abort(order.sid))
    held_in_earnest(liar, order)
    return Tale(told=message.encode(), honest=b"")


def of_the_round_before(liar: Liar, council: CouncilId, message: LinkMessage) -> Tale | None:
    if council != HOLDER_ID or message.kind is not Kind.OPEN or len(liar.orders) < 2:
        return None
    return Tale(told=but(message, liar.request(HOLDER_ID, Kind.OPEN)))


async def another_question(liar: Liar) -> None:
    await liar.ask(liar.propose())


async def unmasked_all_the_same(liar: Liar) -> None:
    """Councils cannot see whether the mask holder has opened: they reveal their shares."""
    statements = [decode_confirmation(reply, liar.context) for reply in liar.replies(Kind.CONFIRMATION).values()]
    payload = encode_list(Stage.STATEMENTS, statements)
    for council in liar.world.councils:
        liar.lie_to(council, LinkMessage(kind=Kind.STATEMENTS, reference=liar.orders[-1].sid, payload=payload))


HOLDER_LIES: Final = tuple(
    replace(lie, held=True)
    for lie in (
        Lie(
            name="agreement_without_the_holder",
            attack="An agreement without its mask holder: a plan under a version that names none",
            gain="sums that the coordinator opens alone",
            stopped="a plan names the very version that this council accepted, by its hash",
            guard="federated/plan.py",
            at=Kind.PROPOSAL,
            tell=to_all(Kind.PROPOSAL, without_a_holder),
            rule="plan_mismatch",
            words="'agreement'",
        ),
        Lie(
            name="holder_swapped_in_the_plan",
            attack="A plan with the coordinator as mask holder, signed by an analyst who is in on it",
            gain="the same, under a plan that says otherwise",
            stopped="the mask holder follows from the agreement that this council accepted",
            guard="federated/plan.py",
            at=Kind.PROPOSAL,
            tell=to_all(
                Kind.PROPOSAL,
                claiming("mask_holder", "key", value=public_line(HUB_KEY.public)),
            ),
            rule="plan_mismatch",
            words="'mask_holder'",
        ),
        Lie(
            name="invited_without_the_holder",
            attack="An invitation without the mask holder's key, where the agreement names one",
            gain="masked inputs without the mask that only the second body takes off",
            stopped="a council whose agreement names a mask holder joins no round without it",
            guard="federated/round_context.py",
            at=Kind.INVITE,
            tell=to_all(Kind.INVITE, inviting(lambda _liar: b"")),
            rule="mask_holder",
            words="the invitation does not bring its key",
        ),
        Lie(
            name="holder_of_its_own_making",
            attack="A mask holder's key that the coordinator made, in the mask holder's name",
            gain="every council's mask with the second body",
            stopped="the key is signed by the body that the agreement pins",
            guard="protocols/secagg/mask_holder.py",
            at=Kind.INVITE,
            tell=to_all(Kind.INVITE, inviting(of_its_own)),
            rule="mask_holder",
            words="is not signed for this round by Local Government Association",
        ),
        Lie(
            name="holders_key_of_another_round",
            attack="The mask holder's own key, signed for another round of the plan",
            gain="masks that are opened in a round which the mask holder never looked at",
            stopped="the key is signed for one round, by its number",
            guard="protocols/envelope.py",
            at=Kind.INVITE,
            tell=to_all(Kind.INVITE, inviting(of_another_round)),
            rule="mask_holder",
            words="is not signed for this round by Local Government Association",
        ),
        Lie(
            name="opened_by_the_coordinator_alone",
            attack="Councils asked to unmask a sum that the mask holder has not opened",
            gain="that sum, without the second body",
            stopped="every figure carries one mask more, whose key nobody but the council and the mask holder ever has",
            guard="protocols/secagg/participant.py",
            at=Kind.OPEN,
            tell=to_holder(Kind.OPEN, lambda _liar, message: but(message, b"")),
            meanwhile=unmasked_all_the_same,
            end=End.NO_SUM,
            rule="mask_holder",
            words="Local Government Association would not open the sum",
        ),
        Lie(
            name="opened_without_the_victim",
            attack="The mask holder shown a list of survivors without one council, and the signatures on the whole list",
            gain="the masks of the others, and with them that council's figures",
            stopped="the mask holder works out the list's hash itself, and each signature is on that",
            guard="protocols/secagg/mask_holder.py",
            at=Kind.OPEN,
            tell=to_holder(Kind.OPEN, asking(without_the_victim)),
            rule="protocol",
            words="confirmed another list of survivors",
        ),
        Lie(
            name="opened_on_forged_statements",
            attack="A list of survivors without one council, signed for the mask holder by colluders, and by the coordinator in others' names",
            gain="the same",
            stopped="each signature is by the pinned key of the council it names",
            guard="protocols/secagg/checks.py",
            at=Kind.OPEN,
            tell=to_holder(Kind.OPEN, asking(forged_for_the_others)),
            rule="protocol",
            words="is not signed by its identity",
        ),
        Lie(
            name="opened_for_colluders",
            attack="A list of survivors without one council, signed for the mask holder by colluders alone",
            gain="the same",
            stopped="the mask holder counts signatures: as many as the cohort's rules ask for",
            guard="protocols/secagg/checks.py",
            at=Kind.OPEN,
            tell=to_holder(Kind.OPEN, asking(by_colluders_alone)),
            rule="below_threshold",
            words="2 councils have confirmed the survivors; 5 are needed",
        ),
        Lie(
            name="opened_for_a_smaller_cohort",
            attack="The mask holder shown fewer adverts than there were: the colluders' and two more",
            gain="a threshold that the colluders reach",
            stopped="the mask holder holds the agreement's rules against the adverts that it is shown",
            guard="protocols/secagg/cohort.py",
            at=Kind.OPEN,
            tell=to_holder(Kind.OPEN, asking(of_a_few)),
            rule="min_cohort",
            words="4 councils are in the round; the agreement asks for 5",
        ),
        Lie(
            name="opened_over_another_vector",
            attack="A colluder's masked input exchanged for the mask holder, after all have signed the list",
            gain="masks of a list that nobody signed",
            stopped="what a council signs as the list holds the hash of every masked input",
            guard="protocols/secagg/transcript.py",
            at=Kind.OPEN,
            tell=to_holder(Kind.OPEN, asking(masked_anew)),
            rule="protocol",
            words="confirmed another list of survivors",
        ),
        Lie(
            name="opening_of_the_round_before",
            attack="The request with which the mask holder opened an earlier round, in the next one",
            gain="the next round's masks over a list that no council of it signed",
            stopped="every signature is for one round, by its number",
            guard="protocols/envelope.py",
            at=Kind.OPEN,
            tell=of_the_round_before,
            afterwards=another_question,
            rule="protocol",
            words="is not signed by its identity for this round",
        ),
        Lie(
            name="held_again_under_another_key",
            attack="A round dropped at the mask holder and held again, for another key under the same number",
            gain="two keys of one round, to be opened over two lists",
            stopped="the mask holder's key is in the view that every council signs",
            guard="protocols/secagg/mask_holder.py",
            at=Kind.OPEN,
            tell=under_another_key,
            rule="protocol",
            words="was shown other adverts than lga",
        ),
        Lie(
            name="opening_in_other_words",
            attack="The mask holder asked a second time for what it opened, in other words",
            gain="a second answer, perhaps over another list",
            stopped="the same request gets the same bytes; another ends the round at the mask holder",
            guard="protocols/secagg/mask_holder.py",
            at=Kind.OPEN,
            meanwhile=in_other_words,
            rule="protocol",
            words="a second, different list of survivors",
        ),
        Lie(
            name="second_attempt_held_after_the_first",
            attack=f"The mask holder asked to hold {LATER}, once the first is opened",
            gain="the difference of two sums, which is that council",
            stopped="the mask holder's record says for ever which round of which plan was opened",
            guard="mask_holder/rounds.py",
            at=Kind.HOLD,
            afterwards=asked_again,
            rule="opened_before",
            words="opens no second one",
        ),
        Lie(
            name="second_attempt_held_beside_the_first",
            attack=f"The mask holder asked to hold {LATER}, before the first is opened, and both are then opened",
            gain="the same, past that check",
            stopped="one sum for each round of a plan can be written down, and nothing leaves that is not",
            guard="mask_holder/record.py",
            at=Kind.OPEN,
            tell=held_beside,
            afterwards=then_driven,
            rule="opened_before",
            words="opens no second one",
        ),
    )
)
