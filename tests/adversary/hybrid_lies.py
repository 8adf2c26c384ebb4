"""Lies about what the hybrid suite alone has: the second half of each key, its ciphertexts, and the choice of the suite.

As in `lies`, a lie that needs a colluding council signs with the key of one. The private keys of a round are never the
liar's to see: what it seals itself, it seals with public keys, as any outsider could.
"""

import json
import os
from dataclasses import replace
from typing import Any, Final

from protocols.encoding import canonical_json
from protocols.envelope import SignedMessage
from protocols.identifiers import CouncilId
from protocols.key_agreement import KEY_SIZE
from protocols.secagg import Stage
from protocols.secagg.dealing import Ends, _wrapped
from protocols.secagg.messages import (
    Advert,
    Dealt,
    advert_of,
    dealt_body,
    decode_advert,
    decode_key_shares,
    encode_list,
    encode_shares,
)
from protocols.secagg.share_records import Opening
from protocols.secagg.transcript import leaf
from protocols.suite import KEM_CIPHERTEXT_SIZE, KEM_KEY_SIZE, PrivateKey, Suite, encapsulate
from protocols.wire.link_message import Kind, LinkMessage
from tests.adversary.lies import (
    COLLUDER,
    Change,
    advertising,
    but,
    by,
    dealings,
    delivering,
    instead,
    signed,
    to_all,
    to_two,
    to_victim,
    without,
)
from tests.adversary.lying_coordinator import OTHER, PEER, VICTIM, WITNESS, End, Liar, Lie
from tests.integration.federation_world import STRANGER, abort, invitation, round_of

HYBRID: Final = (Suite.HYBRID,)
FIELD: Final = 3329
"""q of ML-KEM."""
Found = list[tuple[Dealt, Opening]]
"""What was dealt to the victim: of each dealer the signed part, and the opening."""


def own_keys() -> bytes:
    """A public key that the liar has the private one of."""
    return PrivateKey.read(os.urandom(Suite.HYBRID.private_size), Suite.HYBRID).public


# Which suite


def weaker_in_the_plan(liar: Liar, _message: LinkMessage) -> bytes:
    document = json.loads(liar.proposal.content)
    del document["cohort"]["key_agreement"]
    return liar.world.signed(liar.proposal.plan, canonical_json(document)).request()


def weaker_in_the_agreement(liar: Liar, _message: LinkMessage) -> bytes:
    _, weaker = liar.world.make_agreement(epsilon="40", key_agreement=Suite.X25519.value)
    return liar.propose(agreement=weaker).request()


def first_halves(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    """Every advert as a council of the first suite would send it; those of the colluders could even be signed so."""
    return [replace(message, body=_first_half(liar, message)) for message in messages]


def _first_half(liar: Liar, message: SignedMessage) -> bytes:
    advert = advert_of(message, liar.context.suite)
    cut = replace(advert, channel_key=advert.channel_key[:KEY_SIZE], mask_key=advert.mask_key[:KEY_SIZE])
    return cut.encode_body()


# Keys


def with_second_half(key: bytes, kem: bytes) -> bytes:
    return key[:KEY_SIZE] + kem[-KEM_KEY_SIZE:]


def other_kem_key(liar: Liar, message: SignedMessage) -> SignedMessage:
    advert = advert_of(message, liar.context.suite)
    body = replace(advert, mask_key=with_second_half(advert.mask_key, own_keys())).encode_body()
    return replace(message, body=body)


def taking(made: Any) -> Any:
    """The colluder advertises, as the second half of its channel key, what is made of that of the peer's."""

    def change(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
        adverts = {message.sender: advert_of(message, liar.context.suite) for message in messages}
        own, taken = adverts[COLLUDER], made(adverts[PEER].channel_key[-KEM_KEY_SIZE:])
        body = replace(own, channel_key=with_second_half(own.channel_key, taken)).encode_body()
        return [by(liar, COLLUDER, Stage.ADVERT, body) if m.sender == COLLUDER else m for m in messages]

    return change


def in_other_bytes(key: bytes) -> bytes:
    """The same ML-KEM key with one coefficient not reduced: 12 bits each, two in three bytes."""
    content = bytearray(key)
    for start in range(0, KEM_KEY_SIZE - KEY_SIZE, 3):
        low = int.from_bytes(content[start : start + 2], "little") & 0xFFF
        if low + FIELD < 1 << 12:
            content[start] = (low + FIELD) & 0xFF
            content[start + 1] = content[start + 1] & 0xF0 | (low + FIELD) >> 8
            return bytes(content)
    raise AssertionError("of 384 coefficients none is small enough")


def invention_with_keys(liar: Liar, messages: list[SignedMessage]) -> list[SignedMessage]:
    claim = advert_of(messages[0], liar.context.suite).claim
    body = Advert(channel_key=own_keys(), mask_key=own_keys(), claim=claim).encode_body()
    invented = signed(liar, STRANGER, CouncilId("E06000047"), Stage.ADVERT, body)
    return [*without(OTHER)(liar, messages), invented]


# Ciphertexts


def opening_from(dealer: CouncilId, made: Any) -> Change:
    """What one council dealt to the victim is changed on its way; what it signed stays."""

    def change(liar: Liar, found: Found) -> Found:
        return [(d, made(liar, d, opening) if d.message.sender == dealer else opening) for d, opening in found]

    return delivering(change)


def dealt_by_the_colluder(made: Any) -> Change:
    """The colluder deals the victim something else, and signs for it."""

    def change(liar: Liar, found: Found) -> Found:
        (dealt, opening), *others = found
        assert dealt.message.sender == COLLUDER
        other = made(liar, dealt, opening, others)
        leaves = [dealt.leaf(position) for position in range(len(liar.context.eligible))]
        leaves[liar.context.eligible.index(VICTIM)] = leaf(other.encode())
        body = dealt_body(dealt.h1, dealt.self_commitment, leaves)
        return [(replace(dealt, message=by(liar, COLLUDER, Stage.KEY_SHARES, body)), other), *others]

    return delivering(change)


def key_of_the_victim(liar: Liar) -> Advert:
    return advert_of(decode_advert(liar.replies(Kind.ADVERT)[VICTIM], liar.context), liar.context.suite)


def encapsulated_by_the_liar(liar: Liar, _dealt: Dealt, opening: Opening) -> Opening:
    """The liar knows the secret in the ciphertext."""
    _, ciphertext = encapsulate(key_of_the_victim(liar).channel_key)
    return replace(opening, ciphertext=ciphertext + opening.ciphertext[KEM_CIPHERTEXT_SIZE:])


def seed_of_the_liars(liar: Liar, dealt: Dealt, opening: Opening, *_: object) -> Opening:
    """Another seed of the pair, wrapped for the victim and committed to as it should be."""
    ends = Ends(sid=liar.orders[-1].sid, h1=dealt.h1, dealer=dealt.message.sender, receiver=VICTIM)
    seed = liar.pair_seeds[dealt.message.sender, VICTIM] = os.urandom(32)
    return replace(opening, wrapped=_wrapped(seed, ends, key_of_the_victim(liar).mask_key))


def wrapped_by_another(_liar: Liar, _dealt: Dealt, opening: Opening, others: Found) -> Opening:
    """What the witness wrapped for the victim, as the colluder's own."""
    [taken] = [given for dealt, given in others if dealt.message.sender == WITNESS]
    return replace(opening, wrapped=taken.wrapped)


def sealed_by_another(_liar: Liar, _dealt: Dealt, opening: Opening, others: Found) -> Opening:
    """What the witness sealed for the victim, as the colluder's own."""
    [taken] = [given for dealt, given in others if dealt.message.sender == WITNESS]
    return replace(
        opening, ciphertext=taken.ciphertext, b_commitment=taken.b_commitment, s_commitment=taken.s_commitment
    )


def rejected_within(part: str) -> Any:
    """Bytes of the right length that nobody encapsulated: opening them gives a secret all the same, which nobody has."""

    def made(_liar: Liar, _dealt: Dealt, opening: Opening, _others: Found) -> Opening:
        content = getattr(opening, part)
        return replace(opening, **{part: os.urandom(KEM_CIPHERTEXT_SIZE) + content[KEM_CIPHERTEXT_SIZE:]})

    return made


def without_a_seed(_liar: Liar, _dealt: Dealt, opening: Opening, _others: Found) -> Opening:
    """As if the pair were of the first suite."""
    return replace(opening, wrapped=b"")


def cut_short(_liar: Liar, _dealt: Dealt, opening: Opening) -> Opening:
    return replace(opening, ciphertext=opening.ciphertext[1:])


def dealt_to_all(made: Any) -> Any:
    """The colluder itself deals the victim something else, so that it stands in everybody's view."""

    def answer(liar: Liar, council: CouncilId, reply: LinkMessage) -> bytes | None:
        if (council, reply.kind) != (COLLUDER, Kind.KEY_SHARES):
            return None
        members = liar.context.eligible
        dealt, openings = decode_key_shares(reply.payload, liar.context, members)
        encoded = [openings.encoded(position) for position in range(len(members))]
        encoded[members.index(VICTIM)] = made(liar, dealt, openings.opening(members.index(VICTIM)), []).encode()
        body = dealt_body(dealt.h1, dealt.self_commitment, [leaf(opening) for opening in encoded])
        message = by(liar, COLLUDER, Stage.KEY_SHARES, body)
        liar.dealt_instead(COLLUDER, message)
        return but(reply, message.encode() + b"".join(encoded))

    return answer


def of_another_round(liar: Liar, message: LinkMessage) -> bytes:
    """All councils deal in another round of the plan too; what the peer dealt the victim there is delivered here."""
    councils, plan = liar.world.councils, liar.proposal.plan
    again = {"nonce": 9, "attempt": 2}
    sid = round_of(liar.world, plan, **again)
    invited = [liar.say(council, invitation(liar.world, plan, **again)) for council in councils]
    adverts = [decode_advert(LinkMessage.decode(reply).payload, liar.context) for reply in invited]
    shown = LinkMessage(kind=Kind.ADVERTS, reference=sid, payload=encode_list(Stage.ADVERTS, adverts)).encode()
    dealt = LinkMessage.decode(liar.say(PEER, shown)).payload
    for council in councils:
        liar.say(council, abort(sid))
    _, openings = decode_key_shares(dealt, liar.context, councils)
    earlier = openings.encoded(councils.index(VICTIM))
    found = dealings(liar, message)
    return but(
        message,
        encode_shares(
            [item.message.encode() for item, _ in found],
            [earlier if item.message.sender == PEER else opening.encode() for item, opening in found],
        ),
    )


HYBRID_LIES: Final = tuple(
    replace(lie, suites=HYBRID)
    for lie in (
        Lie(
            name="weaker_keys_in_the_plan",
            attack="A downgrade: one council is told of the weaker keys, in a plan whose analyst is in on it",
            gain="masks of that council that a quantum computer opens",
            stopped="the key agreement follows from the agreement that this council accepted",
            guard="federated/plan.py",
            at=Kind.PROPOSAL,
            tell=to_victim(Kind.PROPOSAL, weaker_in_the_plan),
            rule="plan_mismatch",
            words="'cohort'",
        ),
        Lie(
            name="weaker_keys_in_the_agreement",
            attack="A downgrade: a plan under an agreement with the weaker keys",
            gain="masks of every council that a quantum computer opens",
            stopped="a plan names the very version that this council accepted, by its hash",
            guard="federated/plan.py",
            at=Kind.PROPOSAL,
            tell=to_all(Kind.PROPOSAL, weaker_in_the_agreement),
            rule="plan_mismatch",
            words="'agreement'",
        ),
        Lie(
            name="weaker_adverts",
            attack="A downgrade: adverts without their ML-KEM keys, in a round of the stronger ones",
            gain="masks that a quantum computer opens, in a round that says otherwise",
            stopped="each council reads adverts by the key agreement of its own plan, to the byte",
            guard="protocols/envelope.py",
            at=Kind.ADVERTS,
            tell=to_two(Kind.ADVERTS, advertising(first_halves)),
            rule="protocol",
            words="has 152 bytes; 2520 were expected",
        ),
        Lie(
            name="swapped_kem_key",
            attack="The ML-KEM half of a council's mask key swapped for one of the liar's",
            gain="the half of a pair's secret that a quantum computer does not find",
            stopped="every advert is signed by the pinned identity, both halves of both keys",
            guard="protocols/secagg/checks.py",
            at=Kind.ADVERTS,
            tell=to_two(Kind.ADVERTS, advertising(instead(PEER, other_kem_key))),
            rule="protocol",
            words="is not signed by its identity",
        ),
        Lie(
            name="kem_key_used_twice",
            attack="The ML-KEM half of another council's key advertised by a colluding council, beside an X25519 half of its own",
            gain="secrets that are opened by another council than they were made for",
            stopped="all halves of all keys of a round differ",
            guard="protocols/secagg/messages.py",
            at=Kind.ADVERTS,
            tell=to_two(Kind.ADVERTS, advertising(taking(bytes))),
            rule="protocol",
            words="in the adverts twice",
        ),
        Lie(
            name="kem_key_in_other_bytes",
            attack="The same ML-KEM half in other bytes: a coefficient that is not reduced",
            gain="the same, past the check that all of them differ",
            stopped="keys are read in their one form alone",
            guard="protocols/suite.py",
            at=Kind.ADVERTS,
            tell=to_two(Kind.ADVERTS, advertising(taking(in_other_bytes))),
            rule="protocol",
            words="1,184 canonical bytes",
        ),
        Lie(
            name="kem_key_of_an_invention",
            attack="An invented council with hybrid keys of the liar's own",
            gain="a share of every secret, sealed for the liar in both halves",
            stopped="every advert is by one of the councils asked, whose keys are pinned",
            guard="protocols/secagg/checks.py",
            at=Kind.ADVERTS,
            tell=to_two(Kind.ADVERTS, advertising(invention_with_keys)),
            rule="protocol",
            words="not one of the 6 eligible councils",
        ),
        Lie(
            name="ciphertext_replaced",
            attack="An ML-KEM ciphertext replaced by one whose secret the liar knows",
            gain="one half of the key that a share travels under",
            stopped="a dealer signs each ciphertext with what is sealed under it",
            guard="protocols/secagg/participant.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, opening_from(PEER, encapsulated_by_the_liar)),
            rule="protocol",
            words="is not the one that it signed",
        ),
        Lie(
            name="pair_seed_replaced",
            attack="The seed of two honest councils' mask replaced by the liar's, wrapped and committed to as it should be",
            gain="the half of that mask's secret that a quantum computer does not find",
            stopped="a dealer signs what it wraps, and its commitment",
            guard="protocols/secagg/participant.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, opening_from(WITNESS, seed_of_the_liars)),
            rule="protocol",
            words="is not the one that it signed",
        ),
        Lie(
            name="ciphertext_of_another_round",
            attack="A ciphertext of another round of the same plan replayed in this one",
            gain="a share that was opened once, opened again under other masks",
            stopped="a dealer signs each ciphertext anew, in each round",
            guard="protocols/secagg/participant.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, of_another_round),
            rule="protocol",
            words="is not the one that it signed",
        ),
        Lie(
            name="ciphertext_of_another_council",
            attack="What one council sealed for the victim, dealt to it again by a colluding council as its own",
            gain="another council's share, as one that the colluder may ask for",
            stopped="a sealed share opens under the keys of its two councils alone",
            guard="protocols/secagg/dealing.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, dealt_by_the_colluder(sealed_by_another)),
            rule="bad_key_share",
            words="dealt and signed cannot be opened",
        ),
        Lie(
            name="pair_seed_of_another_council",
            attack="The wrapped seed of two honest councils' mask, dealt again by a colluding council as its own",
            gain="one seed in two masks, the colluder's among them",
            stopped="a seed is wrapped and committed to under the names of its pair",
            guard="protocols/secagg/key_schedule.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, dealt_by_the_colluder(wrapped_by_another)),
            rule="bad_key_share",
            words="dealt and signed cannot be opened",
        ),
        Lie(
            name="ciphertext_cut_short",
            attack="An ML-KEM ciphertext one byte short",
            gain="a crash whose report tells something",
            stopped="a field is read at its full length, or the message is refused",
            guard="protocols/wire/codec.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, opening_from(OTHER, cut_short)),
            rule="protocol",
            words="is cut short",
        ),
        Lie(
            name="pair_seed_left_out",
            attack="The seed of one pair left out by a colluding council, as if the pair had the weaker keys",
            gain="one mask of the victim that a quantum computer opens",
            stopped="every opening is read at the length that its pair and its suite call for",
            guard="protocols/secagg/messages.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, dealt_by_the_colluder(without_a_seed)),
            rule="protocol",
            words="was expected",
        ),
        Lie(
            name="share_under_no_secret",
            attack="A ciphertext that nobody made, before a share: ML-KEM opens it to a secret that nobody has",
            gain="a share that cannot be opened, found when it is too late",
            stopped="what is sealed under another secret does not open, and the complaint carries the dealer's signature",
            guard="protocols/secagg/dealing.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, dealt_by_the_colluder(rejected_within("ciphertext"))),
            rule="bad_key_share",
            words="dealt and signed cannot be opened",
        ),
        Lie(
            name="pair_seed_under_no_secret",
            attack="The same before the seed of a pair",
            gain="a mask that nobody can take off, and a round that ends after the charge",
            stopped="every seed is opened and checked before anything is charged",
            guard="protocols/secagg/dealing.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, dealt_by_the_colluder(rejected_within("wrapped"))),
            rule="bad_key_share",
            words="dealt and signed cannot be opened",
        ),
        Lie(
            name="two_seeds_for_one_pair",
            attack="Two seeds of one pair, dealt by a colluding council: one for the victim, one for all others to see",
            gain="a masked input with a mask that the liar knows, of a council said to be lost",
            stopped="what was dealt is in every mask key, and a mask of the council's own is never opened once it is lost",
            guard="protocols/secagg/participant.py",
            at=Kind.SHARES,
            tell=to_victim(Kind.SHARES, dealt_by_the_colluder(seed_of_the_liars)),
            end=End.HONEST_SUM,
        ),
        Lie(
            name="pair_seed_that_loses_the_victim",
            attack="A seed that the victim cannot open, dealt by a colluding council for all to see: the victim leaves the round",
            gain="a round that ends after the charge, as often as it likes, and nobody knows by whom",
            stopped="the round ends without a sum, and its report names the dealer; it is charged",
            guard="protocols/secagg/mask_removal.py",
            at=Kind.SHARES,
            answers=dealt_to_all(rejected_within("wrapped")),
            end=End.NO_SUM,
            rule="below_threshold",
            words="E06000001 dealt to E06000004 does not give the mask between them",
        ),
        Lie(
            name="other_pair_seed_by_the_lost",
            attack="Another seed of a pair than the dealer's own gives, by a colluding council that is then lost",
            gain="a false sum, published as if it were right",
            stopped="the seed that is rebuilt must give what was committed to, or the round ends without a sum; it is charged",
            guard="protocols/secagg/mask_removal.py",
            at=Kind.SHARES,
            answers=dealt_to_all(seed_of_the_liars),
            hides=(COLLUDER, Kind.SHARES),
            end=End.NO_SUM,
            rule="below_threshold",
            words="E06000001 dealt to E06000004 does not give the mask between them",
        ),
    )
)
