"""Which masks rebuilt seeds take off the sum, and summing them (Finish).

A survivor's b_seed gives its self mask. A lost council's s_seed gives its mask key, hence the mask that each
survivor shares with it. Work items hold all they need, so a coordinator may spread them over processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from protocols.identifiers import CouncilId, Digest
from protocols.key_agreement import derive_key, private_key, shared_secret
from protocols.masks import MaskKey, add_masks
from protocols.ring import Ring, RingVector
from protocols.secagg.context import RoundContext
from protocols.secagg.key_schedule import mask_private_bytes, pair_label, pair_sign, self_label
from protocols.shamir import encode_element


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
        peers: Each survivor and its public mask key.
    """

    owner: CouncilId
    private: bytes = field(repr=False)
    h2: Digest
    plan_digest: Digest
    peers: tuple[tuple[CouncilId, bytes], ...]

    def keys(self) -> Iterator[MaskKey]:
        """Derive each mask key, with one key agreement each; the sign is the survivor's."""
        private = private_key(self.private)
        for peer, public in self.peers:
            label = pair_label(self.h2, self.plan_digest, self.owner, peer)
            yield MaskKey(key=derive_key(shared_secret(private, public), label), sign=pair_sign(peer, self.owner))


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


def lost_work(
    owner: CouncilId, s_seed: int, *, context: RoundContext, h2: Digest, survivor_keys: Mapping[CouncilId, bytes]
) -> DanglingMasks:
    """What the s_seed of a lost council removes."""
    return DanglingMasks(
        owner=owner,
        private=mask_private_bytes(s_seed, sid=context.sid, owner=owner),
        h2=h2,
        plan_digest=context.plan_digest,
        peers=tuple(survivor_keys.items()),
    )
