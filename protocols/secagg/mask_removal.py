"""Which masks rebuilt seeds take off the sum, and summing them (Finish).

A survivor's b_seed gives its self mask. A lost council's s_seed gives its mask key, hence the mask that each
survivor shares with it. Work items hold all they need, so a coordinator may spread them over processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from protocols.errors import LocalProtocolError
from protocols.identifiers import CouncilId, Digest
from protocols.key_agreement import derive_key, private_key, shared_secret
from protocols.masks import MaskKey, add_masks
from protocols.ring import Ring, RingVector
from protocols.secagg.context import RoundContext
from protocols.secagg.key_schedule import mask_private_bytes, pair_label, pair_sign, self_label
from protocols.shamir import encode_element


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskTerm:
    """One mask that a rebuilt secret gives.

    Attributes:
        peer: Public mask key of the other end; none for a self mask.
        info: HKDF info of the mask.
        sign: Sign of the mask as it stands in the sum.
    """

    peer: bytes | None
    info: bytes
    sign: Literal[1, -1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskWork:
    """All masks that one rebuilt secret removes: self-contained, so it can be given to another process.

    Attributes:
        secret: Seed bytes for a self mask, X25519 private key for pairwise masks.
        terms: The masks.
    """

    secret: bytes = field(repr=False)
    terms: tuple[MaskTerm, ...]

    def keys(self) -> Iterator[MaskKey]:
        """Derive each mask key; one key agreement for each pairwise mask."""
        private = private_key(self.secret) if any(term.peer is not None for term in self.terms) else None
        for term in self.terms:
            secret = self.secret
            if term.peer is not None:
                if private is None:
                    raise LocalProtocolError("a pairwise mask needs a private key")
                secret = shared_secret(private, term.peer)
            yield MaskKey(key=derive_key(secret, term.info), sign=term.sign)


MaskSum: TypeAlias = Callable[[Sequence[MaskWork], Ring, int], RingVector]
"""Sums masks of work items over that many cells; a coordinator may spread the items over processes."""


def sum_masks(work: Sequence[MaskWork], ring: Ring, cells: int) -> RingVector:
    """Sum the masks of every item, in this process; the sums of disjoint parts of `work` may be added."""
    total = ring.zeros(cells)
    for item in work:
        add_masks(total, item.keys(), ring)
    return total


def survivor_work(owner: CouncilId, b_seed: int, *, h2: Digest) -> MaskWork:
    """The self mask of a survivor."""
    term = MaskTerm(peer=None, info=self_label(h2, owner), sign=1)
    return MaskWork(secret=encode_element(b_seed), terms=(term,))


def lost_work(
    owner: CouncilId, s_seed: int, *, context: RoundContext, h2: Digest, survivor_keys: Mapping[CouncilId, bytes]
) -> MaskWork:
    """The masks that every survivor shares with a lost council, each signed as that survivor added it."""
    terms = tuple(
        MaskTerm(peer=key, info=pair_label(h2, context.plan_digest, owner, peer), sign=pair_sign(peer, owner))
        for peer, key in survivor_keys.items()
    )
    return MaskWork(secret=mask_private_bytes(s_seed, sid=context.sid, owner=owner), terms=terms)
