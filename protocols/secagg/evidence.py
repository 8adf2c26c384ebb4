"""What an outsider can check about a finished round: who signed over whose masked inputs the sum was opened."""

from collections.abc import Mapping

from protocols.encoding import digest
from protocols.envelope import ENVELOPE_SIZE, read_signed, verify_message
from protocols.errors import RemoteProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, RoundId
from protocols.secagg.messages import Stage
from protocols.wire.codec import Reader

__all__ = ["survivors_digest", "verify_confirmation", "verify_opening"]


def survivors_digest(h2: Digest, inputs: Mapping[CouncilId, Digest]) -> Digest:
    """h3 from its parts: what :func:`protocols.secagg.transcript.survivors_view` gives for the signed headers.

    Args:
        h2: The view of the key shares.
        inputs: SHA-256 of the masked vector of each council of U3.
    """
    fields = (part for council in sorted(inputs) for part in (council.encode("ascii"), h2 + inputs[council]))
    return digest("survivors/v1", h2, *fields)


def verify_confirmation(
    content: bytes, *, sid: RoundId, h3: Digest, identities: Mapping[CouncilId, bytes]
) -> CouncilId:
    """Check one signed survivor statement. Run by whoever checks a release.

    Args:
        content: The statement, as a round's result holds it.
        sid: The round.
        h3: What it must state.
        identities: Raw Ed25519 public key of every council.

    Returns:
        The council that signed.

    Raises:
        MalformedMessage: Not a statement.
        RemoteProtocolError: Not signed by a known council for this round, or about other survivors.
    """
    reader = Reader(content, what=Stage.CONFIRMATION.label, limit=ENVELOPE_SIZE + DIGEST_SIZE)
    message = read_signed(reader, stage=Stage.CONFIRMATION, body_size=DIGEST_SIZE)
    reader.finish()
    identity = identities.get(message.sender)
    if identity is None:
        raise RemoteProtocolError(f"{message.sender} is not a known council", culprit=message.sender)
    verify_message(message, sid=sid, identity=identity)
    if message.body != h3:
        raise RemoteProtocolError(f"{message.sender} signed for other survivors", culprit=message.sender)
    return message.sender


def verify_opening(head: bytes, *, sid: RoundId, holder: CouncilId, identity: bytes) -> Digest:
    """Check the signed head of the mask holder's opening. Run by whoever checks a release.

    Args:
        head: As a round's result holds it.
        sid: The round.
        holder: Id of the mask holder, as the agreement names it.
        identity: Raw Ed25519 public key that the agreement pins for it.

    Returns:
        h3: the one list of survivors whose sum it opened.

    Raises:
        MalformedMessage: Not an opening.
        RemoteProtocolError: Not signed by the mask holder for this round.
    """
    reader = Reader(head, what=f"the {Stage.OPENING.label}", limit=ENVELOPE_SIZE + 2 * DIGEST_SIZE)
    message = read_signed(reader, stage=Stage.OPENING, body_size=2 * DIGEST_SIZE)
    reader.finish()
    if message.sender != holder:
        raise RemoteProtocolError(f"the sum was opened by {message.sender}; the mask holder is {holder}")
    verify_message(message, sid=sid, identity=identity)
    return Digest(message.body[:DIGEST_SIZE])
