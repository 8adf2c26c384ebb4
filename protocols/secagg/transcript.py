"""What is hashed and when: the views h1, h2, h3 and the commitments of a round.

Each view covers the one before, and h1 and h2 enter the keys: two councils that were shown different
rounds derive masks that do not cancel, so equivocation yields noise even before a signature is checked.

* h1 covers every advert of U1: keys and ledger claims. Where there is a mask holder, its advert too.
* A council's key-share message is signed over `h1 ‖ H(b_seed) ‖ one leaf per member of U1`, a leaf being the
  hash of the two share commitments and all that is sealed for that member. So the signature covers H(b_seed),
  all commitments and all ciphertexts, while each member is delivered its own opening only.
* h2 covers h1, U2 and the hash of each of those signed bodies.
* h3 covers h2, U3 and the hash of every masked vector of U3.
"""

from collections.abc import Iterable
from enum import IntEnum

from protocols.encoding import digest
from protocols.envelope import SignedMessage
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.secagg.context import Holder
from protocols.shamir import encode_element


class ShareKind(IntEnum):
    """Which of a dealer's two secrets a share belongs to; nobody ever gets enough of both."""

    SELF_MASK = 1
    """b_seed: rebuilt for councils that survived."""
    MASK_KEY = 2
    """s_seed: rebuilt for councils that were lost after sharing keys."""


def adverts_view(sid: RoundId, adverts: Iterable[SignedMessage], holder: Holder | None = None) -> Digest:
    """h1, over the adverts of U1 sorted by council, and over the mask holder's where the round has one."""
    encoded = (advert.encode() for advert in adverts)
    return digest("h1/v1", sid, *encoded) if holder is None else digest("h1/v2", sid, holder.advert, *encoded)


def shares_view(h1: Digest, dealt: Iterable[SignedMessage]) -> Digest:
    """h2, over the signed bodies of U2 sorted by council."""
    fields = (part for message in dealt for part in (message.sender.encode("ascii"), message.body_digest))
    return digest("h2/v1", h1, *fields)


def survivors_view(h2: Digest, headers: Iterable[SignedMessage]) -> Digest:
    """h3, over the bodies (h2 ‖ H(y)) of U3 sorted by council."""
    fields = (part for header in headers for part in (header.sender.encode("ascii"), header.body))
    return digest("survivors/v1", h2, *fields)


def self_seed_commitment(sid: RoundId, owner: CouncilId, b_seed: int) -> Digest:
    """H(b_seed): hiding, since the seed is uniform in a field of 255 bits."""
    return digest("bcommit/v1", sid, owner.encode("ascii"), encode_element(b_seed))


def share_commitment(
    sid: RoundId, kind: ShareKind, dealer: CouncilId, receiver: CouncilId, *, salt: bytes, share: bytes
) -> Digest:
    """Commitment to one share, so that a false one shown in R4 is attributed to who shows it."""
    return digest("share/v1", sid, bytes((kind,)), dealer.encode("ascii"), receiver.encode("ascii"), salt, share)


def pair_seed_commitment(sid: RoundId, lower: CouncilId, higher: CouncilId, pair_seed: bytes) -> Digest:
    """H(r), hiding since r is 256 pseudo-random bits: what the higher was sent must be what the lower's seed gives."""
    return digest("pair-commit/v1", sid, lower.encode("ascii"), higher.encode("ascii"), pair_seed)


def leaves(openings: Iterable[bytes]) -> bytes:
    """:func:`leaf` of each opening, one after another."""
    return b"".join(map(leaf, openings))


def leaf(opening: bytes) -> Digest:
    """The leaf of one opening: both commitments, then what is sealed for its receiver; nothing from one to itself."""
    return digest("leaf/v1", opening)


def unmask_kinds(sharers: tuple[CouncilId, ...], survivors: tuple[CouncilId, ...]) -> dict[CouncilId, ShareKind]:
    """Which of its two secrets is rebuilt for each council of U2: a function, hence never both."""
    alive = frozenset(survivors)
    return {owner: ShareKind.SELF_MASK if owner in alive else ShareKind.MASK_KEY for owner in sharers}
