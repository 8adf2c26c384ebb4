"""Which masks rebuilt seeds take off the sum, and summing them (Finish).

A survivor's b_seed gives its self mask. A lost council's s_seed gives its mask key, hence the mask that each
survivor shares with it. Work items hold all they need, so a coordinator may spread them over processes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from cryptography.exceptions import InvalidTag

from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId, Digest
from protocols.key_agreement import KEY_SIZE, derive_key, private_key, shared_secret
from protocols.masks import MaskKey, add_masks
from protocols.ring import Ring, RingVector
from protocols.secagg.context import RoundContext
from protocols.secagg.dealing import Ends, check_pair_seed, unwrap
from protocols.secagg.errors import BelowThreshold
from protocols.secagg.key_schedule import mask_private_bytes, pair_label, pair_seed, pair_sign, self_label
from protocols.shamir import encode_element
from protocols.suite import PrivateKey, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfMask:
    """The self mask of a survivor.

    Attributes:
        seed: b_seed as bytes.
        info: HKDF info of the mask.
    """

    seed: bytes = field(repr=False)
    info: bytes

    def keys(self) -> Iterator[MaskKey]:
        """The one mask key."""
        yield MaskKey(key=derive_key(self.seed, self.info), sign=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DanglingMasks:
    """The masks that every survivor shares with one lost council.

    Attributes:
        owner: The lost council.
        private: Its X25519 mask key.
        h2: The view of the key shares.
        plan_digest: Of the round.
        suite: Of the round.
        peers: Each survivor, its public X25519 mask key, and the seed of the pair where the suite has one.
    """

    owner: CouncilId
    private: bytes = field(repr=False)
    h2: Digest
    plan_digest: Digest
    suite: Suite
    peers: tuple[tuple[CouncilId, bytes, bytes], ...] = field(repr=False)

    def keys(self) -> Iterator[MaskKey]:
        """Derive each mask key, with one key agreement each; the sign is the survivor's."""
        private = private_key(self.private)
        for peer, public, seed in self.peers:
            label = pair_label(self.h2, self.plan_digest, self.owner, peer, self.suite)
            secret = shared_secret(private, public) + seed
            yield MaskKey(key=derive_key(secret, label), sign=pair_sign(peer, self.owner))


MaskWork: TypeAlias = SelfMask | DanglingMasks
"""All masks that one rebuilt secret removes: self-contained, so it can be given to another process."""

MaskSum: TypeAlias = Callable[[Sequence[MaskWork], Ring, int], RingVector]
"""Sums masks of work items over that many cells; a coordinator may spread the items over processes."""


def sum_masks(work: Sequence[MaskWork], ring: Ring, cells: int) -> RingVector:
    """Sum the masks of every item, in this process; the sums of disjoint parts of `work` may be added."""
    total = ring.zeros(cells)
    add_masks(total, chain.from_iterable(item.keys() for item in work), ring)
    return total


def survivor_work(owner: CouncilId, b_seed: int, *, h2: Digest) -> SelfMask:
    """What the b_seed of a survivor removes."""
    return SelfMask(seed=encode_element(b_seed), info=self_label(h2, owner))


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A survivor, as what a lost council's seed removes depends on it.

    Attributes:
        council: Which.
        mask_key: As it advertised it.
        wrapped: What the lower of it and the lost council dealt to the higher besides its share; see `Opening`.
    """

    council: CouncilId
    mask_key: bytes
    wrapped: bytes


def lost_work(
    owner: CouncilId, s_seed: int, *, context: RoundContext, h1: Digest, h2: Digest, peers: Sequence[Peer]
) -> DanglingMasks:
    """What the s_seed of a lost council removes.

    Raises:
        BelowThreshold: A survivor (`culprit`) had dealt to the lost council what cannot be opened; or the lost council
            (`culprit`) had dealt to a survivor another seed of their pair than its own seed gives.
    """
    content = mask_private_bytes(s_seed, sid=context.sid, owner=owner, suite=context.suite)
    private = PrivateKey.read(content, context.suite)

    def seed_with(peer: Peer) -> bytes:
        if context.suite is Suite.X25519:
            return b""
        lower, higher = sorted((owner, peer.council))
        ends = Ends(sid=context.sid, h1=h1, dealer=lower, receiver=higher)
        try:
            if lower != owner:
                return unwrap(peer.wrapped, ends, private, ciphertext_size=context.suite.ciphertext_size)
            seed = pair_seed(s_seed, sid=context.sid, lower=lower, higher=higher)
            check_pair_seed(seed, ends, peer.wrapped)
        except (InvalidTag, MalformedMessage) as problem:
            raise BelowThreshold(
                f"what {lower} dealt to {higher} does not give the mask between them, so it cannot be taken off",
                culprit=lower,
            ) from problem
        return seed

    return DanglingMasks(
        owner=owner,
        private=content[:KEY_SIZE],
        h2=h2,
        plan_digest=context.plan_digest,
        suite=context.suite,
        peers=tuple((peer.council, peer.mask_key[:KEY_SIZE], seed_with(peer)) for peer in peers),
    )
