"""What somebody who holds messages and secrets of a round works out: seeds from shares, masks from seeds, sums from both.

The attack that every lie, and every group of colluders, ends with. It does what an attacker would do: interpolates
whatever shares it has, derives every mask that the seeds give, takes them off every masked input that it holds, and
adds these in every combination, in the hope that the masks that are left cancel. In the hybrid suite a seed gives the
second half of a pair's secret too: the lower's by deriving it, the higher's by opening what the lower wrapped for it.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from cryptography.exceptions import InvalidTag

from protocols.envelope import read_signed
from protocols.errors import MalformedMessage
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.key_agreement import derive_key
from protocols.masks import MaskKey, add_masks
from protocols.ring import RingVector
from protocols.secagg import RoundContext
from protocols.secagg.dealing import Ends, check_pair_seed, unwrap
from protocols.secagg.holder_messages import decode_holder_opening, decode_opening_request
from protocols.secagg.key_schedule import mask_private_key, pair_label, pair_seed, pair_sign, self_label
from protocols.secagg.messages import (
    Dealt,
    KeyShare,
    Stage,
    advert_of,
    decode_advert,
    decode_adverts,
    decode_key_shares,
    decode_masked_input,
    decode_shares,
)
from protocols.secagg.share_records import REVEALED_SIZE, SALT_SIZE, Openings
from protocols.secagg.transcript import ShareKind, self_seed_commitment
from protocols.shamir import ELEMENT_SIZE, combine, decode_element, encode_element, weights_at_zero
from protocols.suite import PrivateKey, Suite
from protocols.wire.codec import Reader

Secret = tuple[CouncilId, ShareKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A masked input as it was received.

    Attributes:
        h1: The view of the adverts that it was masked in.
        h2: The view of the key shares.
        sharers: The councils that it shares masks with.
        wrapped: What the lower wrapped for the higher of this council and each of those, as this council had it: other
            councils may have been told otherwise. Empty but in the hybrid suite.
        vector: Its words.
    """

    h1: Digest
    h2: Digest
    sharers: tuple[CouncilId, ...]
    wrapped: Mapping[CouncilId, bytes] = field(repr=False)
    vector: RingVector = field(repr=False)


class Plunder:
    """One round, as far as an attacker has seen it.

    Attributes:
        seeds: Those that the attacker knows.
        inputs: The masked inputs that it holds.
        shares: Of each secret, the shares it holds, by Shamir point.
        pair_seeds: Those that it made itself, by the two councils: not what the lower's own seed gives.
        with_holder: Masks with the mask holder that colluding councils know, their own.
        openings: What the mask holder gave: whose masks are summed, and the sum.
    """

    def __init__(self, context: RoundContext) -> None:
        self.context = context
        self.seeds: dict[Secret, int] = {}
        self.inputs: dict[CouncilId, Input] = {}
        self.shares: dict[Secret, dict[int, int]] = {}
        self.pair_seeds: dict[tuple[CouncilId, CouncilId], bytes] = {}
        self.with_holder: dict[CouncilId, MaskKey] = {}
        self.openings: list[tuple[tuple[CouncilId, ...], RingVector]] = []
        self._members: dict[CouncilId, tuple[CouncilId, ...]] = {}
        self._mask_keys: dict[CouncilId, bytes] = {}
        self._dealt: dict[CouncilId, tuple[Dealt, Openings]] = {}

    # What is heard

    def advert(self, council: CouncilId, reply: bytes) -> None:
        self._mask_keys[council] = advert_of(decode_advert(reply, self.context), self.context.suite).mask_key

    def key_shares(self, council: CouncilId, adverts: bytes, reply: bytes) -> None:
        members = tuple(message.sender for message in decode_adverts(adverts, self.context))
        self._members[council], self._dealt[council] = members, decode_key_shares(reply, self.context, members)

    def masked_input(self, council: CouncilId, shares: bytes, reply: bytes) -> None:
        header, vector = decode_masked_input(reply, self.context)
        members = self._members[council]
        entries = decode_shares(shares, self.context, receiver=council, members=len(members))
        dealt, own = self._dealt[council]
        received = {entry.message.sender: opening.wrapped for entry, opening in entries}
        self.inputs[council] = Input(
            h1=dealt.h1,
            h2=Digest(header.body[:DIGEST_SIZE]),
            sharers=tuple(received),
            wrapped=received | {peer: own.opening(members.index(peer)).wrapped for peer in received if council < peer},
            vector=self.context.ring.read(vector).copy(),
        )

    def unmask(self, council: CouncilId, reply: bytes) -> None:
        owners = self.inputs[council].sharers
        reader = Reader(reply, what="the unmask message", limit=len(reply))
        body = read_signed(reader, stage=Stage.UNMASK, body_size=DIGEST_SIZE + len(owners) * REVEALED_SIZE).body
        for number, owner in enumerate(owners):
            record = body[DIGEST_SIZE + number * REVEALED_SIZE :][: REVEALED_SIZE - SALT_SIZE]
            self._share(owner, ShareKind(record[0]), council, record[1 : 1 + ELEMENT_SIZE])

    def opening(self, request: bytes, reply: bytes) -> None:
        """The mask holder's sum of masks, which the request says whose they are."""
        survivors = tuple(header.sender for header in decode_opening_request(request, self.context).headers)
        _, vector = decode_holder_opening(reply, self.context)
        self.openings.append((survivors, self.context.ring.read(vector).copy()))

    def held(self, council: CouncilId, held: Mapping[CouncilId, KeyShare]) -> None:
        """All shares that a colluding council was dealt, of both secrets of everybody."""
        for owner, share in held.items():
            self._share(owner, ShareKind.SELF_MASK, council, share.b_share)
            self._share(owner, ShareKind.MASK_KEY, council, share.s_share)

    def _share(self, owner: CouncilId, kind: ShareKind, holder: CouncilId, share: bytes) -> None:
        point = 1 + self._members[owner].index(holder)
        self.shares.setdefault((owner, kind), {})[point] = decode_element(share)

    # What follows from it

    def rebuild(self) -> None:
        """Interpolate every secret from all the shares held of it, few or many, and keep what proves right."""
        for secret, shares in self.shares.items():
            value = combine(weights_at_zero(tuple(shares)), tuple(shares.values()))
            if self._fits(secret, value):
                self.seeds[secret] = value

    def _fits(self, secret: Secret, value: int) -> bool:
        owner, kind = secret
        if kind is ShareKind.SELF_MASK:
            return self_seed_commitment(self.context.sid, owner, value) == self._dealt[owner][0].self_commitment
        return self._mask_private(owner, value).public == self._mask_keys[owner]

    def _mask_private(self, owner: CouncilId, s_seed: int) -> PrivateKey:
        return mask_private_key(s_seed, sid=self.context.sid, owner=owner, suite=self.context.suite)

    def masks(self, council: CouncilId) -> dict[str, MaskKey | None]:
        """Every mask in a council's masked input by a name that both ends of a pair share; None: not known."""
        found = self.inputs[council]
        b_seed = self.seeds.get((council, ShareKind.SELF_MASK))
        masks: dict[str, MaskKey | None] = {f"self {council}": None}
        if b_seed is not None:
            key = derive_key(encode_element(b_seed), self_label(found.h2, council))
            masks[f"self {council}"] = MaskKey(key=key, sign=1)
        for peer in found.sharers:
            if peer != council:
                lower, higher = sorted((council, peer))
                masks[f"pair {lower} {higher} {found.h2.hex()}"] = self._pair_mask(council, peer)
        if self.context.holder is not None:
            masks[f"holder {council}"] = self.with_holder.get(council)
        return masks

    def _pair_mask(self, council: CouncilId, peer: CouncilId) -> MaskKey | None:
        h2 = self.inputs[council].h2
        for owner, other in ((council, peer), (peer, council)):
            half = self._second_half(owner, council, peer)
            if half is not None:
                private = self._mask_private(owner, self.seeds[owner, ShareKind.MASK_KEY])
                label = pair_label(h2, self.context.plan_digest, council, peer, self.context.suite)
                key = derive_key(private.agree(self._mask_keys[other]) + half, label)
                return MaskKey(key=key, sign=pair_sign(council, peer))
        return None

    def _second_half(self, owner: CouncilId, council: CouncilId, peer: CouncilId) -> bytes | None:
        """What stands behind the X25519 secret in one council's mask with a peer, by the seed of either; None: not known."""
        s_seed = self.seeds.get((owner, ShareKind.MASK_KEY))
        if s_seed is None:
            return None
        if self.context.suite is Suite.X25519:
            return b""
        found, sid = self.inputs[council], self.context.sid
        lower, higher = sorted((council, peer))
        ends = Ends(sid=sid, h1=found.h1, dealer=lower, receiver=higher)
        try:
            if owner == higher:
                size = self.context.suite.ciphertext_size
                return unwrap(found.wrapped[peer], ends, self._mask_private(owner, s_seed), ciphertext_size=size)
            half = pair_seed(s_seed, sid=sid, lower=lower, higher=higher)
            if owner == peer:  # a lower that lied has sent another
                check_pair_seed(half, ends, found.wrapped[peer])
        except (InvalidTag, MalformedMessage):
            return self.pair_seeds.get((lower, higher))
        return half

    def stripped(self, council: CouncilId) -> RingVector:
        """A masked input without the masks that are known."""
        vector = self.inputs[council].vector.copy()
        known = [key.opposite() for key in self.masks(council).values() if key is not None]
        add_masks(vector, known, self.context.ring)
        return vector

    def opened(self, truth: Mapping[CouncilId, np.ndarray]) -> set[frozenset[CouncilId]]:
        """The councils whose sum comes out right, one council's alone included.

        Args:
            truth: What each council masked: its scaled statistic and its noise share. For the check alone.
        """
        self.rebuild()
        ring = self.context.ring
        bare = {council: self.stripped(council) for council in self.inputs}
        true = {council: ring.encode(truth[council]) for council in self.inputs}
        left = [ring.zeros(self.context.cells), *(self._left_of(*one) for one in self.openings)]
        return {
            frozenset(some)
            for size in range(1, len(bare) + 1)
            for some in combinations(bare, size)
            for masks in left
            if np.array_equal(sum(bare[council] for council in some) - masks, sum(true[council] for council in some))
        }

    def _left_of(self, survivors: tuple[CouncilId, ...], opening: RingVector) -> RingVector:
        """An opening without the masks that are taken off anyway."""
        vector = opening.copy()
        known = [self.with_holder[council].opposite() for council in survivors if council in self.with_holder]
        add_masks(vector, known, self.context.ring)
        return vector


def overheard(context: RoundContext, messages: Iterable[tuple[CouncilId, Stage, bytes, bytes]]) -> Plunder:
    """What the messages of a round give: council, stage of the reply, request and reply, in the order they passed."""
    found = Plunder(context)
    for council, stage, request, reply in messages:
        match stage:
            case Stage.ADVERT:
                with suppress(
                    MalformedMessage
                ):  # made for another round than this: the driver has no use for it either
                    found.advert(council, reply)
            case Stage.KEY_SHARES:
                found.key_shares(council, request, reply)
            case Stage.MASKED_INPUT:
                found.masked_input(council, request, reply)
            case Stage.UNMASK:
                found.unmask(council, reply)
            case Stage.OPENING:
                found.opening(request, reply)
            case _:
                pass  # confirmations are signatures alone
    return found


def sums_of(honest: Iterable[CouncilId], own: Iterable[CouncilId]) -> set[frozenset[CouncilId]]:
    """The sums that colluding councils may have: of all honest survivors or of none, with any of their own."""
    theirs = tuple(own)
    some_of_theirs = [frozenset(some) for size in range(len(theirs) + 1) for some in combinations(theirs, size)]
    return {some | more for some in some_of_theirs for more in (frozenset(), frozenset(honest))} - {frozenset()}
