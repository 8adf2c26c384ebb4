"""The messages of a round as bytes; see `protocol.md` 1.3 for what they mean.

Every message opens with a version byte and a stage byte, each is decoded strictly and only within the size
that the round allows for it, and lists are in strictly ascending order of council, so nobody is in one twice.

=============  ===========================================================================================
to coordinator
=============  ===========================================================================================
ADVERT         signed(C_pk ‖ S_pk ‖ T_u ‖ counter 8 ‖ head 32 ‖ counter seen 8 for each eligible council)
KEY_SHARES     signed(h1 ‖ H(b_seed) ‖ leaf for each of U1), then an opening for each of U1
MASKED_INPUT   signed(h2 ‖ H(y)), then y as little-endian ring words
CONFIRMATION   signed(h3)
UNMASK         signed(h3 ‖ kind 1, share 32, salt 32 for each of U2)
HOLDER_ADVERT  signed(H_pk)
OPENING        signed(h3 ‖ H(o)), then o, the sum of the holder's masks, as little-endian ring words
=============  ===========================================================================================

An opening is commit_b 32 ‖ commit_s 32 ‖ ciphertext 144, without ciphertext from a council to itself. In the hybrid
suite a public key has 1,216 bytes, a ciphertext 1,232, and to those above it a dealer adds 1,136 of wrapped seed and
H(r) 32. The coordinator's messages are lists, each a count in two bytes and then: ADVERTS the adverts; SHARES the
signed part of each KEY_SHARES, each followed by the receiver's own opening; SURVIVORS the signed part of each
MASKED_INPUT; STATEMENTS the confirmations. They are not signed: everything in them is, by councils.

T_u, HOLDER_ADVERT and OPENING are of rounds with a mask holder alone. So is OPENING_REQUEST, which shows the holder the
adverts, the signed part of each KEY_SHARES, that of each MASKED_INPUT and the confirmations, one list behind another.
T_u is an X25519 key of 32 bytes; in the hybrid suite the ciphertext made to H_pk, 1,088 bytes, stands behind it.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar

from protocols.envelope import ENVELOPE_SIZE, VERSION, SignedMessage, read_signed
from protocols.errors import MalformedMessage
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.key_agreement import KEY_SIZE, check_public_key
from protocols.secagg.context import COUNTER_SIZE, LedgerClaim, RoundContext
from protocols.secagg.share_records import (
    REVEALED_SIZE,
    SALT_SIZE,
    Opening,
    Openings,
    RevealedShares,
    decode_opening,
    largest_opening,
    opening_size,
    openings_size,
    read_revealed,
)
from protocols.secagg.transcript import ShareKind
from protocols.shamir import ELEMENT_SIZE, decode_element
from protocols.suite import Suite, check_public, parts
from protocols.wire.codec import Reader, unsigned

T = TypeVar("T")

COUNT_SIZE: Final = 2
_LIST_HEAD_SIZE: Final = 2 + COUNT_SIZE


class Stage(IntEnum):
    """The stage byte: which message this is."""

    ADVERT = 1
    ADVERTS = 2
    KEY_SHARES = 3
    SHARES = 4
    MASKED_INPUT = 5
    SURVIVORS = 6
    CONFIRMATION = 7
    STATEMENTS = 8
    UNMASK = 9
    HOLDER_ADVERT = 10
    OPENING_REQUEST = 11
    OPENING = 12

    @property
    def label(self) -> str:
        """Name for errors."""
        return self.name.lower().replace("_", " ") + " message"


def size_limit(stage: Stage, context: RoundContext) -> int:
    """Most bytes that a message of this stage can have in this round; longer ones are not decoded."""
    councils = len(context.eligible)
    advert = ENVELOPE_SIZE + advert_size(context)
    dealt = ENVELOPE_SIZE + dealt_size(councils)
    opening = largest_opening(context.suite)
    header = ENVELOPE_SIZE + 2 * DIGEST_SIZE
    statement = ENVELOPE_SIZE + DIGEST_SIZE
    limits = {
        Stage.ADVERT: advert,
        Stage.ADVERTS: _LIST_HEAD_SIZE + councils * advert,
        Stage.KEY_SHARES: dealt + councils * opening,
        Stage.SHARES: _LIST_HEAD_SIZE + councils * (dealt + opening),
        Stage.MASKED_INPUT: header + context.vector_bytes,
        Stage.SURVIVORS: _LIST_HEAD_SIZE + councils * header,
        Stage.CONFIRMATION: statement,
        Stage.STATEMENTS: _LIST_HEAD_SIZE + councils * statement,
        Stage.UNMASK: ENVELOPE_SIZE + DIGEST_SIZE + councils * REVEALED_SIZE,
        Stage.HOLDER_ADVERT: ENVELOPE_SIZE + context.suite.public_size,
        Stage.OPENING_REQUEST: _LIST_HEAD_SIZE + 3 * COUNT_SIZE + councils * (advert + dealt + header + statement),
        Stage.OPENING: header + context.vector_bytes,
    }
    return limits[stage]


# --- R0: adverts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """A council's public keys for the round, and its ledger claim.

    Attributes:
        channel_key: C_pk.
        mask_key: S_pk.
        claim: Of its ledger.
        holder_key: T_u, with the ciphertext behind it where the suite has one; empty without a mask holder.
    """

    channel_key: bytes
    mask_key: bytes
    claim: LedgerClaim
    holder_key: bytes = b""

    @property
    def key_parts(self) -> tuple[bytes, ...]:
        """Every part of its keys: each may be in a round once."""
        return (*parts(self.channel_key), *parts(self.mask_key), *self._holder_parts)

    @property
    def _holder_parts(self) -> tuple[bytes, ...]:
        return tuple(part for part in (self.holder_key[:KEY_SIZE], self.holder_key[KEY_SIZE:]) if part)

    def encode_body(self) -> bytes:
        """The bytes to sign."""
        seen = struct.pack(f">{len(self.claim.seen)}Q", *self.claim.seen)
        keys = self.channel_key + self.mask_key + self.holder_key
        return keys + unsigned(self.claim.counter, COUNTER_SIZE) + self.claim.head + seen


def advert_size(context: RoundContext) -> int:
    """Bytes of the body of an advert."""
    keys = 2 * context.suite.public_size + (0 if context.holder is None else _holder_key_size(context.suite))
    return keys + COUNTER_SIZE + DIGEST_SIZE + COUNTER_SIZE * len(context.eligible)


def _holder_key_size(suite: Suite) -> int:
    return KEY_SIZE + suite.ciphertext_size


def advert_of(message: SignedMessage, suite: Suite, *, held: bool = False) -> Advert:
    """Read the body of an advert; every key must be canonical and of full order.

    Args:
        message: The advert.
        suite: Of the round.
        held: Whether the round has a mask holder, so that there is a key for it.
    """
    reader = Reader(message.body, what=f"the advert of {message.sender}", limit=len(message.body))
    channel_key, mask_key = reader.take(suite.public_size, "channel key"), reader.take(suite.public_size, "mask key")
    check_public(channel_key, suite)
    check_public(mask_key, suite)
    holder_key = reader.take(_holder_key_size(suite), "holder key") if held else b""
    if held:
        check_public_key(holder_key[:KEY_SIZE])
    counter, head = reader.unsigned(COUNTER_SIZE, "counter"), reader.take(DIGEST_SIZE, "ledger head")
    councils = (len(message.body) - reader.position) // COUNTER_SIZE
    seen = struct.unpack(f">{councils}Q", reader.take(councils * COUNTER_SIZE, "counters seen"))
    reader.finish()
    claim = LedgerClaim(counter=counter, head=head, seen=seen)
    return Advert(channel_key=channel_key, mask_key=mask_key, claim=claim, holder_key=holder_key)


def decode_advert(content: bytes, context: RoundContext) -> SignedMessage:
    """ADVERT, its signature not yet checked."""
    return _only(content, Stage.ADVERT, context, advert_size(context))


def decode_adverts(content: bytes, context: RoundContext) -> tuple[SignedMessage, ...]:
    """ADVERTS, signatures not yet checked."""
    return _signed_list(content, Stage.ADVERTS, Stage.ADVERT, context, advert_size(context))


# --- R1: key shares ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShare:
    """One member's shares of a dealer's two seeds, with the salts of their commitments."""

    b_share: bytes = field(repr=False)
    s_share: bytes = field(repr=False)
    b_salt: bytes = field(repr=False)
    s_salt: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The plaintext of the dealer's ciphertext."""
        return self.b_share + self.s_share + self.b_salt + self.s_salt


def decode_key_share(content: bytes) -> KeyShare:
    """Read a decrypted key share; only canonical field elements."""
    reader = Reader(content, what="a key share", limit=len(content))
    b_share, s_share = reader.take(ELEMENT_SIZE, "b share"), reader.take(ELEMENT_SIZE, "s share")
    b_salt, s_salt = reader.take(SALT_SIZE, "b salt"), reader.take(SALT_SIZE, "s salt")
    reader.finish()
    decode_element(b_share)
    decode_element(s_share)
    return KeyShare(b_share=b_share, s_share=s_share, b_salt=b_salt, s_salt=s_salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """The signed part of a key-share message.

    Attributes:
        message: As signed by the dealer.
        h1: The view of the adverts that the dealer had.
        self_commitment: H(b_seed) of the dealer.
    """

    message: SignedMessage
    h1: Digest
    self_commitment: bytes

    @property
    def leaves(self) -> bytes:
        """The leaf of every member of U1, one after another."""
        return self.message.body[2 * DIGEST_SIZE :]

    def leaf(self, position: int) -> bytes:
        """The leaf for the member at a position of U1."""
        start = 2 * DIGEST_SIZE + position * DIGEST_SIZE
        return self.message.body[start : start + DIGEST_SIZE]


def dealt_size(members: int) -> int:
    """Bytes of the signed part of a key-share message to so many members."""
    return (2 + members) * DIGEST_SIZE


def dealt_body(h1: Digest, self_commitment: bytes, leaves: Sequence[bytes]) -> bytes:
    """The bytes that a dealer signs."""
    return b"".join((h1, self_commitment, *leaves))


def dealt_of(message: SignedMessage) -> Dealt:
    """The signed part of a key-share message, as read."""
    h1, commitment = message.body[:DIGEST_SIZE], message.body[DIGEST_SIZE : 2 * DIGEST_SIZE]
    return Dealt(message=message, h1=Digest(h1), self_commitment=commitment)


def decode_key_shares(content: bytes, context: RoundContext, members: Sequence[CouncilId]) -> tuple[Dealt, Openings]:
    """KEY_SHARES: the signed part, and the openings in the order of U1; leaves not yet compared."""
    reader = reader_of(content, Stage.KEY_SHARES, context)
    message = read_signed(reader, stage=Stage.KEY_SHARES, body_size=dealt_size(len(members)))
    own = members.index(message.sender) if message.sender in members else len(members)
    openings = reader.take(openings_size(len(members), own, context.suite), "openings")
    reader.finish()
    return dealt_of(message), Openings(content=openings, count=len(members), own=own, suite=context.suite)


def pieces_of_shares(dealt: Sequence[bytes], openings: Sequence[bytes]) -> tuple[bytes, ...]:
    """SHARES for one receiver, in pieces that stand one after another.

    Args:
        dealt: The signed part of each of U2, as bytes: they are the same for every receiver.
        openings: The bytes of the receiver's own opening from each.
    """
    items = (part for both in zip(dealt, openings, strict=True) for part in both)
    return (_list_head(Stage.SHARES, len(dealt)), *items)


def encode_shares(dealt: Sequence[bytes], openings: Sequence[bytes]) -> bytes:
    """SHARES for one receiver, whole; see :func:`pieces_of_shares`."""
    return b"".join(pieces_of_shares(dealt, openings))


def decode_shares(
    content: bytes, context: RoundContext, *, receiver: CouncilId, members: int
) -> tuple[tuple[Dealt, Opening], ...]:
    """SHARES; neither signatures nor leaves checked yet."""

    def entry(reader: Reader) -> tuple[Dealt, Opening]:
        message = read_signed(reader, stage=Stage.KEY_SHARES, body_size=dealt_size(members))
        size = opening_size(message.sender, receiver, context.suite)
        return dealt_of(message), decode_opening(reader.take(size, "opening"), context.suite)

    return _list(content, Stage.SHARES, context, entry, lambda item: item[0].message.sender)


# --- R2 and R3: masked inputs, survivors, confirmations --------------------------------------------------


def decode_masked_input(content: bytes, context: RoundContext) -> tuple[SignedMessage, memoryview]:
    """MASKED_INPUT: the signed header (h2 ‖ H(y)) and the bytes of y, not copied and not yet compared."""
    reader = reader_of(content, Stage.MASKED_INPUT, context)
    header = read_signed(reader, stage=Stage.MASKED_INPUT, body_size=2 * DIGEST_SIZE)
    vector = reader.view(context.vector_bytes, "vector")
    reader.finish()
    return header, vector


def decode_survivors(content: bytes, context: RoundContext) -> tuple[SignedMessage, ...]:
    """SURVIVORS: the signed headers of U3, signatures not yet checked."""
    return _signed_list(content, Stage.SURVIVORS, Stage.MASKED_INPUT, context, 2 * DIGEST_SIZE)


def decode_confirmation(content: bytes, context: RoundContext) -> SignedMessage:
    """CONFIRMATION, its signature not yet checked."""
    return _only(content, Stage.CONFIRMATION, context, DIGEST_SIZE)


def decode_statements(content: bytes, context: RoundContext) -> tuple[SignedMessage, ...]:
    """STATEMENTS: confirmations, signatures not yet checked."""
    return _signed_list(content, Stage.STATEMENTS, Stage.CONFIRMATION, context, DIGEST_SIZE)


# --- R4: unmask ----------------------------------------------------------------------------------------


def decode_unmask(
    content: bytes, context: RoundContext, kinds: Sequence[ShareKind]
) -> tuple[SignedMessage, Digest, RevealedShares]:
    """UNMASK: the signed message, the h3 it answers, and one share of the expected kind for each of U2."""
    message = _only(content, Stage.UNMASK, context, DIGEST_SIZE + len(kinds) * REVEALED_SIZE)
    return message, Digest(message.body[:DIGEST_SIZE]), read_revealed(message.body[DIGEST_SIZE:], kinds)


# --- shared --------------------------------------------------------------------------------------------


def encode_list(stage: Stage, messages: Sequence[SignedMessage]) -> bytes:
    """ADVERTS, SURVIVORS or STATEMENTS."""
    return _list_head(stage, len(messages)) + b"".join(message.encode() for message in messages)


def _list_head(stage: Stage, count: int) -> bytes:
    return unsigned(VERSION, 1) + unsigned(stage, 1) + unsigned(count, COUNT_SIZE)


def reader_of(content: bytes, stage: Stage, context: RoundContext) -> Reader:
    """A reader that takes no more than a message of the stage can have."""
    return Reader(content, what=f"the {stage.label}", limit=size_limit(stage, context))


def _only(content: bytes, stage: Stage, context: RoundContext, body_size: int) -> SignedMessage:
    reader = reader_of(content, stage, context)
    message = read_signed(reader, stage=stage, body_size=body_size)
    reader.finish()
    return message


def _signed_list(
    content: bytes, stage: Stage, item_stage: Stage, context: RoundContext, body_size: int
) -> tuple[SignedMessage, ...]:
    def entry(reader: Reader) -> SignedMessage:
        return read_signed(reader, stage=item_stage, body_size=body_size)

    return _list(content, stage, context, entry, lambda message: message.sender)


def _list(
    content: bytes,
    stage: Stage,
    context: RoundContext,
    read: Callable[[Reader], T],
    sender: Callable[[T], CouncilId],
) -> tuple[T, ...]:
    reader = reader_of(content, stage, context)
    reader.constant(VERSION, "version")
    reader.constant(stage, "stage")
    items = read_items(reader, stage, context, read, sender)
    reader.finish()
    return items


def read_items(
    reader: Reader,
    stage: Stage,
    context: RoundContext,
    read: Callable[[Reader], T],
    sender: Callable[[T], CouncilId],
) -> tuple[T, ...]:
    """A count, and that many items in strictly ascending order of council."""
    count = reader.unsigned(COUNT_SIZE, "count")
    if count > len(context.eligible):
        raise MalformedMessage(f"the {stage.label} lists {count} councils; {len(context.eligible)} are eligible")
    items: list[T] = []
    for _ in range(count):
        item = read(reader)
        if items and sender(items[-1]) >= sender(item):
            raise MalformedMessage(f"the {stage.label} lists {sender(item)} twice or out of order")
        items.append(item)
    return tuple(items)
