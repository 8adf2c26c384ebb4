"""What somebody who holds messages and secrets of a round works out: seeds from shares, masks from seeds, sums from both.

The attack that every lie, and every group of colluders, ends with. It does what an attacker would do: interpolates
whatever shares it has, derives every mask that the seeds give, takes them off every masked input that it holds, and
adds these in every combination, in the hope that the masks that are left cancel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from protocols.envelope import read_signed
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.key_agreement import derive_key
from protocols.masks import MaskKey, add_masks
from protocols.ring import RingVector
from protocols.secagg import RoundContext
from protocols.secagg.key_schedule import mask_private_key, pair_label, pair_sign, self_label
from protocols.secagg.messages import (
    KeyShare,
    Stage,
    advert_of,
    decode_advert,
    decode_adverts,
    decode_key_shares,
    decode_masked_input,
    decode_shares,
)
from protocols.secagg.share_records import REVEALED_SIZE, SALT_SIZE
from protocols.secagg.transcript import ShareKind, self_seed_commitment
from protocols.shamir import ELEMENT_SIZE, combine, decode_element, encode_element, weights_at_zero
from protocols.wire.codec import Reader

Secret = tuple[CouncilId, ShareKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A masked input as it was received: the view it was masked in, the councils it shares masks with, its words."""

    h2: Digest
    sharers: tuple[CouncilId, ...]
    vector: RingVector = field(repr=False)


class Plunder:
    """One round, as far as an attacker has seen it.

    Attributes:
        seeds: Those that the attacker knows.
        inputs: The masked inputs that it holds.
        shares: Of each secret, the shares it holds, by Shamir point.
    """

    def __init__(self, context: RoundContext) -> None:
        self.context = context
        self.seeds: dict[Secret, int] = {}
        self.inputs: dict[CouncilId, Input] = {}
        self.shares: dict[Secret, dict[int, int]] = {}
        self._members: dict[CouncilId, tuple[CouncilId, ...]] = {}
        self._mask_keys: dict[CouncilId, bytes] = {}
        self._commitments: dict[CouncilId, bytes] = {}

    # What is heard

    def advert(self, council: CouncilId, reply: bytes) -> None:
        self._mask_keys[council] = advert_of(decode_advert(reply, self.context), self.context.suite).mask_key

    def key_shares(self, council: CouncilId, adverts: bytes, reply: bytes) -> None:
        members = tuple(message.sender for message in decode_adverts(adverts, self.context))
        dealt, _ = decode_key_shares(reply, self.context, members)
        self._members[council], self._commitments[council] = members, dealt.self_commitment

    def masked_input(self, council: CouncilId, shares: bytes, reply: bytes) -> None:
        header, vector = decode_masked_input(reply, self.context)
        members = len(self._members[council])
        entries = decode_shares(shares, self.context, receiver=council, members=members)
        self.inputs[council] = Input(
            h2=Digest(header.body[:DIGEST_SIZE]),
            sharers=tuple(dealt.message.sender for dealt, _ in entries),
            vector=self.context.ring.read(vector).copy(),
        )

    def unmask(self, council: CouncilId, reply: bytes) -> None:
        owners = self.inputs[council].sharers
        reader = Reader(reply, what="the unmask message", limit=len(reply))
        body = read_signed(reader, stage=Stage.UNMASK, body_size=DIGEST_SIZE + len(owners) * REVEALED_SIZE).body
        for number, owner in enumerate(owners):
            record = body[DIGEST_SIZE + number * REVEALED_SIZE :][: REVEALED_SIZE - SALT_SIZE]
            self._share(owner, ShareKind(record[0]), council, record[1 : 1 + ELEMENT_SIZE])

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
            return self_seed_commitment(self.context.sid, owner, value) == self._commitments[owner]
        return self._mask_private(owner, value).public == self._mask_keys[owner]

    def _mask_private(self, owner: CouncilId, s_seed: int):
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
                masks[f"pair {lower} {higher} {found.h2.hex()}"] = self._pair_mask(council, peer, found.h2)
        return masks

    def _pair_mask(self, council: CouncilId, peer: CouncilId, h2: Digest) -> MaskKey | None:
        for owner, other in ((council, peer), (peer, council)):
            s_seed = self.seeds.get((owner, ShareKind.MASK_KEY))
            if s_seed is not None:
                secret = self._mask_private(owner, s_seed).agree(self._mask_keys[other])
                label = pair_label(h2, self.context.plan_digest, council, peer, self.context.suite)
                return MaskKey(key=derive_key(secret, label), sign=pair_sign(council, peer))
        return None

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
        return {
            frozenset(some)
            for size in range(1, len(bare) + 1)
            for some in combinations(bare, size)
            if np.array_equal(sum(bare[council] for council in some), sum(true[council] for council in some))
        }


def overheard(context: RoundContext, messages: Iterable[tuple[CouncilId, Stage, bytes, bytes]]) -> Plunder:
    """What the messages of a round give: council, stage of the reply, request and reply, in the order they passed."""
    found = Plunder(context)
    for council, stage, request, reply in messages:
        match stage:
            case Stage.ADVERT:
                found.advert(council, reply)
            case Stage.KEY_SHARES:
                found.key_shares(council, request, reply)
            case Stage.MASKED_INPUT:
                found.masked_input(council, request, reply)
            case Stage.UNMASK:
                found.unmask(council, reply)
            case _:
                pass  # confirmations are signatures alone
    return found
