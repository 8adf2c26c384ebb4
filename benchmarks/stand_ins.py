"""Stand-in councils: they say just enough for one real party of a round to be watched, at any number of councils.

A whole round costs the square of its councils; one node, or the coordinator, can be watched without paying for the
rest. Stand-ins sign, seal and deal for real whatever the watched party looks at, and fill in the rest at random: key
shares for other stand-ins, and commitments that nobody opens. Their secrets are dealt on lines, not on polynomials of
full degree; a coordinator rebuilds them from t shares just the same.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.encoding import sha256
from protocols.envelope import SignedMessage, sign_message
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.key_agreement import public_bytes, shared_secret
from protocols.ring import Ring
from protocols.secagg import CohortRules, LedgerClaim, Profile, RoundContext, Stage, Thresholds, round_id
from protocols.secagg.context import NONCE_SIZE
from protocols.secagg.dealing import Outgoing, seal
from protocols.secagg.key_schedule import mask_private_key
from protocols.secagg.messages import Advert, KeyShare, dealt_body
from protocols.secagg.share_records import SALT_SIZE, Opening, Openings, RevealedShare, openings_size
from protocols.secagg.transcript import ShareKind, leaf, leaves, self_seed_commitment
from protocols.shamir import encode_element, random_elements, split
from protocols.suite import Suite

__all__ = ["StandIn", "StandIns"]

LINE = 2
"""Threshold that stand-ins deal with: two points make a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One council: its channel key, its two seeds, its public mask key and its advert."""

    council: CouncilId
    channel: X25519PrivateKey = field(repr=False)
    s_seed: int = field(repr=False)
    b_seed: int = field(repr=False)
    mask_key: bytes
    advert: SignedMessage

    def seed(self, kind: ShareKind) -> int:
        """The seed that is rebuilt when the council survived, or when it was lost."""
        return self.b_seed if kind is ShareKind.SELF_MASK else self.s_seed


class StandIns:
    """The councils of one round: all eligible, all there at first.

    Args:
        count: n.
        cells: Of the plan.
        bits: Of the ring.
        profile: Of the cohort.
    """

    def __init__(
        self, count: int, *, cells: int, bits: Literal[32, 64] = 64, profile: Profile = Profile.STANDARD
    ) -> None:
        names = tuple(CouncilId(f"E{number:08d}") for number in range(1, count + 1))
        self.identities = {council: Ed25519PrivateKey.generate() for council in names}
        plan, roster, nonce = sha256(b"plan"), sha256(b"roster"), os.urandom(NONCE_SIZE)
        self.context = RoundContext(
            sid=round_id(plan_digest=plan, roster_digest=roster, coordinator_id="benchmark", attempt=1, nonce=nonce),
            plan_digest=plan,
            eligible=names,
            identities={council: key.public_key().public_bytes_raw() for council, key in self.identities.items()},
            rules=CohortRules(profile=profile, eligible_count=count, min_cohort=4, min_honest=3),
            ring=Ring(bits=bits),
            cells=cells,
            suite=Suite.X25519,
            holder=None,
        )
        self.claim = LedgerClaim(counter=1, head=bytes(DIGEST_SIZE), seen=(0,) * count)
        self.councils = {council: self._council(council) for council in names}

    @property
    def names(self) -> tuple[CouncilId, ...]:
        """All councils, sorted."""
        return self.context.eligible

    @property
    def thresholds(self) -> Thresholds:
        """n, t, c and h."""
        return self.context.rules.thresholds(len(self.names))

    def say(self, council: CouncilId, stage: Stage, body: bytes) -> SignedMessage:
        """Sign what a council says in a stage."""
        sign = self.identities[council].sign
        return sign_message(sid=self.context.sid, stage=stage, sender=council, body=body, sign=sign)

    def deal_to(self, dealer: StandIn, receiver: CouncilId, key: bytes, h1: Digest) -> tuple[SignedMessage, Opening]:
        """What the watched node is delivered of a dealer: one key share that opens, among leaves of nothing.

        Args:
            dealer: Who deals.
            receiver: The watched node.
            key: Its advertised channel key.
            h1: The view of the adverts.
        """
        share = KeyShare(
            b_share=encode_element(1),
            s_share=encode_element(2),
            b_salt=os.urandom(SALT_SIZE),
            s_salt=os.urandom(SALT_SIZE),
        )
        secret = shared_secret(dealer.channel, key)
        to = {receiver: Outgoing(agreed=secret, channel_key=key, mask_key=b"", pair_seed=b"")}
        [opening] = seal({receiver: share}, sid=self.context.sid, h1=h1, dealer=dealer.council, to=to)
        row = [os.urandom(DIGEST_SIZE)] * len(self.names)
        row[self.names.index(receiver)] = leaf(opening.encode())
        return self._dealt(dealer, h1, row), opening

    def deal(self, dealer: StandIn, h1: Digest) -> bytes:
        """KEY_SHARES for the coordinator, which looks at leaves and signature and can open nothing."""
        count, own = len(self.names), self.names.index(dealer.council)
        suite = self.context.suite
        openings = Openings(content=os.urandom(openings_size(count, own, suite)), count=count, own=own, suite=suite)
        row = [leaves([openings.encoded(position)]) for position in range(count)]
        return self._dealt(dealer, h1, row).encode() + openings.content

    def answers(
        self, kinds: Sequence[ShareKind], h3: Digest, responders: Iterable[CouncilId]
    ) -> Iterator[SignedMessage]:
        """UNMASK of each responder, with its share of the one secret of each council that is to be rebuilt."""
        count = len(self.names)
        lines = [
            split(one.seed(kind), threshold=LINE, count=count, rng=os.urandom)
            for one, kind in zip(self.councils.values(), kinds, strict=True)
        ]
        for responder in responders:
            place = self.names.index(responder)
            shares = [
                RevealedShare(kind=kind, share=encode_element(line[place]), salt=bytes(SALT_SIZE)).encode()
                for kind, line in zip(kinds, lines, strict=True)
            ]
            yield self.say(responder, Stage.UNMASK, h3 + b"".join(shares))

    def _dealt(self, dealer: StandIn, h1: Digest, row: Sequence[bytes]) -> SignedMessage:
        commitment = self_seed_commitment(self.context.sid, dealer.council, dealer.b_seed)
        return self.say(dealer.council, Stage.KEY_SHARES, dealt_body(h1, commitment, row))

    def _council(self, council: CouncilId) -> StandIn:
        s_seed, b_seed = random_elements(2, os.urandom)
        channel = X25519PrivateKey.generate()
        mask_key = mask_private_key(s_seed, sid=self.context.sid, owner=council, suite=self.context.suite).public
        advert = Advert(channel_key=public_bytes(channel), mask_key=mask_key, claim=self.claim)
        return StandIn(
            council=council,
            channel=channel,
            s_seed=s_seed,
            b_seed=b_seed,
            mask_key=mask_key,
            advert=self.say(council, Stage.ADVERT, advert.encode_body()),
        )
