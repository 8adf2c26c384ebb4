"""What an outsider can check about a finished round: who signed over whose masked inputs the sum was opened."""

from collections.abc import Mapping

from protocols.encoding import digest
from protocols.envelope import ENVELOPE_SIZE, read_signed, verify_message
from protocols.errors import RemoteProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, RoundId
from protocols.secagg.messages import Stage
from protocols.wire.codec import Reader

__all__ = ["survivors_digest", "verify_confirmation"]


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
