"""Openings and revealed shares: records of one length that stand in a row in a message.

A coordinator receives the square of the councils of both. They stay the bytes that came, and are cut out one by one
where they are looked at: as objects, 350 councils' would be a quarter of a million.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from protocols.errors import MalformedMessage
from protocols.identifiers import DIGEST_SIZE, CouncilId
from protocols.secagg.transcript import ShareKind
from protocols.shamir import ELEMENT_SIZE, Elements, read_elements
from protocols.suite import Suite

SALT_SIZE: Final = 32
KEY_SHARE_SIZE: Final = 2 * (ELEMENT_SIZE + SALT_SIZE)
TAG_SIZE: Final = 16
PAIR_SEED_SIZE: Final = 32
COMMITMENTS_SIZE: Final = 2 * DIGEST_SIZE
REVEALED_SIZE: Final = 1 + ELEMENT_SIZE + SALT_SIZE


def sealed_size(suite: Suite) -> int:
    """Bytes of a key share on its way, with what its receiver needs to open it."""
    return suite.ciphertext_size + KEY_SHARE_SIZE + TAG_SIZE


def wrapped_size(suite: Suite) -> int:
    """Bytes of the pair's seed on its way from the lower to the higher, and H(r); none where the suite has none."""
    return suite.ciphertext_size + PAIR_SEED_SIZE + TAG_SIZE + DIGEST_SIZE if suite.ciphertext_size else 0


def opening_size(dealer: CouncilId, receiver: CouncilId, suite: Suite) -> int:
    """Bytes of an opening: a council seals nothing for itself, and wraps nothing for those below it."""
    if dealer == receiver:
        return COMMITMENTS_SIZE
    return COMMITMENTS_SIZE + sealed_size(suite) + (wrapped_size(suite) if dealer < receiver else 0)


def largest_opening(suite: Suite) -> int:
    """Most bytes of an opening."""
    return COMMITMENTS_SIZE + sealed_size(suite) + wrapped_size(suite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What stands behind one leaf of a dealer's signed body.

    Attributes:
        ciphertext: The key share, sealed; empty from a council to itself.
        wrapped: The pair's seed r, wrapped, then H(r); empty but in the hybrid suite from the lower to the higher.
    """

    b_commitment: bytes
    s_commitment: bytes
    ciphertext: bytes
    wrapped: bytes = b""

    def commitment(self, kind: ShareKind) -> bytes:
        """The commitment to the share of one of the two seeds."""
        return self.b_commitment if kind is ShareKind.SELF_MASK else self.s_commitment

    def encode(self) -> bytes:
        """The bytes that are hashed to the leaf."""
        return self.b_commitment + self.s_commitment + self.ciphertext + self.wrapped


def decode_opening(content: bytes, suite: Suite) -> Opening:
    """An opening from its bytes, whose length has been checked."""
    end = COMMITMENTS_SIZE + sealed_size(suite)
    return Opening(
        b_commitment=content[:DIGEST_SIZE],
        s_commitment=content[DIGEST_SIZE:COMMITMENTS_SIZE],
        ciphertext=content[COMMITMENTS_SIZE:end],
        wrapped=content[end:],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """A dealer's openings for every member of U1, in order.

    Attributes:
        content: As they came, one after another.
        count: Members.
        own: The dealer's position, where there is no ciphertext; `count` if it is no member.
        suite: Of the round.
    """

    content: bytes
    count: int
    own: int
    suite: Suite

    def encoded(self, position: int) -> bytes:
        """The bytes of the opening for a member."""
        start = _start(position, own=self.own, suite=self.suite)
        return self.content[start : _start(position + 1, own=self.own, suite=self.suite)]

    def opening(self, position: int) -> Opening:
        """The opening for a member."""
        return decode_opening(self.encoded(position), self.suite)

    def commitment(self, position: int, kind: ShareKind) -> bytes:
        """The dealer's commitment to a member's share of one of the two seeds."""
        return self.opening(position).commitment(kind)


def openings_size(count: int, own: int, suite: Suite) -> int:
    """Bytes of :class:`Openings`."""
    return _start(count, own=own, suite=suite)


def _start(position: int, *, own: int, suite: Suite) -> int:
    """Where a member's opening begins: those above the dealer are longer, and its own is the shortest."""
    above = max(0, position - own - 1)
    sealed = position - (1 if position > own else 0)
    return position * COMMITMENTS_SIZE + sealed * sealed_size(suite) + above * wrapped_size(suite)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedShare:
    """One share shown in R4: of b_seed for a survivor, of s_seed for a council that was lost. Never both."""

    kind: ShareKind
    share: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Kind, share, salt."""
        return bytes((self.kind,)) + self.share + self.salt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RevealedShares:
    """What one council shows in R4, for each of U2 in order.

    Attributes:
        content: As it came.
        elements: The shares as field elements.
    """

    content: bytes = field(repr=False)
    elements: Elements = field(repr=False)

    def __getitem__(self, position: int) -> RevealedShare:
        """The share of one owner's secret."""
        start = position * REVEALED_SIZE + 1
        return RevealedShare(
            kind=ShareKind(self.content[start - 1]),
            share=self.content[start : start + ELEMENT_SIZE],
            salt=self.content[start + ELEMENT_SIZE : start + ELEMENT_SIZE + SALT_SIZE],
        )


def read_revealed(content: bytes, kinds: Sequence[ShareKind]) -> RevealedShares:
    """Read one share of the expected kind for each owner.

    Args:
        content: As many records as kinds; the length has been checked.
        kinds: Of each owner.

    Raises:
        MalformedMessage: Another kind somewhere, or a share that is no field element.
    """
    if content[::REVEALED_SIZE] != bytes(kinds):
        raise MalformedMessage("the unmask message has other share kinds than its list of survivors calls for")
    records = np.frombuffer(content, np.uint8).reshape(-1, REVEALED_SIZE)
    return RevealedShares(content=content, elements=read_elements(records[:, 1 : 1 + ELEMENT_SIZE]))
