"""The three messages of a round with a mask holder as bytes; `messages` has their form and the rest."""

from dataclasses import dataclass

from protocols.envelope import ENVELOPE_SIZE, VERSION, SignedMessage, read_signed
from protocols.identifiers import DIGEST_SIZE
from protocols.secagg.context import RoundContext
from protocols.secagg.messages import (
    COUNT_SIZE,
    Dealt,
    Stage,
    advert_size,
    dealt_of,
    dealt_size,
    read_items,
    reader_of,
)
from protocols.suite import Suite, check_public
from protocols.wire.codec import Reader, unsigned

__all__ = ["OpeningRequest", "decode_holder_advert", "decode_holder_opening", "decode_opening_request"]


def decode_holder_advert(content: bytes, suite: Suite) -> SignedMessage:
    """HOLDER_ADVERT, its signature not yet checked; the key in it is canonical."""
    reader = Reader(content, what=f"the {Stage.HOLDER_ADVERT.label}", limit=ENVELOPE_SIZE + suite.public_size)
    message = read_signed(reader, stage=Stage.HOLDER_ADVERT, body_size=suite.public_size)
    reader.finish()
    check_public(message.body, suite)
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRequest:
    """What the mask holder is shown: everything that h1, h2 and h3 follow from, and who signed h3.

    Attributes:
        adverts: Of U1.
        dealt: The signed part of the key shares of U2.
        headers: The signed part of the masked inputs of U3.
        statements: At least t confirmations.
    """

    adverts: tuple[SignedMessage, ...]
    dealt: tuple[Dealt, ...]
    headers: tuple[SignedMessage, ...]
    statements: tuple[SignedMessage, ...]

    def encode(self) -> bytes:
        """OPENING_REQUEST."""
        lists = (self.adverts, [one.message for one in self.dealt], self.headers, self.statements)
        counted = (unsigned(len(one), COUNT_SIZE) + b"".join(item.encode() for item in one) for one in lists)
        return unsigned(VERSION, 1) + unsigned(Stage.OPENING_REQUEST, 1) + b"".join(counted)


def decode_opening_request(content: bytes, context: RoundContext) -> OpeningRequest:
    """OPENING_REQUEST, signatures not yet checked."""
    reader = reader_of(content, Stage.OPENING_REQUEST, context)
    reader.constant(VERSION, "version")
    reader.constant(Stage.OPENING_REQUEST, "stage")

    def listed(stage: Stage, body_size: int) -> tuple[SignedMessage, ...]:
        def entry(part: Reader) -> SignedMessage:
            return read_signed(part, stage=stage, body_size=body_size)

        return read_items(reader, Stage.OPENING_REQUEST, context, entry, lambda message: message.sender)

    adverts = listed(Stage.ADVERT, advert_size(context))
    dealt = listed(Stage.KEY_SHARES, dealt_size(len(adverts)))
    headers = listed(Stage.MASKED_INPUT, 2 * DIGEST_SIZE)
    statements = listed(Stage.CONFIRMATION, DIGEST_SIZE)
    reader.finish()
    return OpeningRequest(adverts=adverts, dealt=tuple(map(dealt_of, dealt)), headers=headers, statements=statements)


def decode_holder_opening(content: bytes, context: RoundContext) -> tuple[SignedMessage, memoryview]:
    """OPENING: the signed head (h3 ‖ H(o)) and the bytes of o, not copied and not yet compared."""
    reader = reader_of(content, Stage.OPENING, context)
    head = read_signed(reader, stage=Stage.OPENING, body_size=2 * DIGEST_SIZE)
    vector = reader.view(context.vector_bytes, "vector")
    reader.finish()
    return head, vector
