"""What a council and the mask holder check alike of the four lists that a coordinator shows them.

Each list comes in strictly ascending order of council (`protocols.secagg.messages`), so no council is in it twice. A
party's own message needs no signature check where it is the very one that it sent: `known`.
"""

from collections.abc import Mapping, Sequence

from protocols.envelope import SignedMessage, verify_message
from protocols.errors import RemoteProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.secagg.context import RoundContext
from protocols.secagg.errors import BelowThreshold
from protocols.secagg.messages import Advert, advert_of
from protocols.suite import parts

__all__ = ["accepted_adverts", "check_headers", "check_statements", "check_subset", "verify"]


def verify(context: RoundContext, message: SignedMessage) -> None:
    """Check that the eligible council it names signed a message.

    Raises:
        RemoteProtocolError: It is not eligible, or another key signed.
    """
    verify_message(message, sid=context.sid, identity=context.identity(message.sender))


def check_subset(councils: tuple[CouncilId, ...], allowed: tuple[CouncilId, ...], *, threshold: int, what: str) -> None:
    """Refuse a council from nowhere, and too few of them.

    Raises:
        RemoteProtocolError: A council was not in the stage before.
        BelowThreshold: They are too few.
    """
    if strangers := set(councils) - set(allowed):
        raise RemoteProtocolError(f"{min(strangers)} is said to have {what} but was not in the stage before")
    if len(councils) < threshold:
        raise BelowThreshold(f"{len(councils)} councils have {what}; {threshold} are needed")


def accepted_adverts(
    context: RoundContext, messages: Sequence[SignedMessage], *, known: SignedMessage | None = None
) -> Mapping[CouncilId, Advert]:
    """Adverts of eligible councils, in the order of the list, in which no key is twice.

    Raises:
        RemoteProtocolError: One is not by an eligible council, or a key is used twice.
    """
    for message in messages:
        if message != known:
            verify(context, message)  # refuses a council that is not eligible or not the pinned one
    held = context.holder is not None
    adverts = {message.sender: advert_of(message, context.suite, held=held) for message in messages}
    keys = [key for advert in adverts.values() for key in advert.key_parts]
    if context.holder is not None:
        keys += parts(context.holder.key)
    # A copied key is a swapped one, or another council's seed shown as this one's.
    if len(set(keys)) != len(keys):
        raise RemoteProtocolError("a public key is in the adverts twice")
    return adverts


def check_headers(
    context: RoundContext, headers: Sequence[SignedMessage], *, h2: Digest, known: SignedMessage | None = None
) -> None:
    """Check that whoever is listed as a survivor signed a masked input made in one view of the key shares.

    Raises:
        RemoteProtocolError: A signature is wrong, or about another view.
    """
    for header in headers:
        if header != known:
            verify(context, header)
        if header.body[:DIGEST_SIZE] != h2:
            raise RemoteProtocolError(f"{header.sender} masked for another round of key shares", culprit=header.sender)


def check_statements(
    context: RoundContext,
    messages: Sequence[SignedMessage],
    survivors: tuple[CouncilId, ...],
    *,
    h3: Digest,
    threshold: int,
) -> None:
    """Check that enough survivors signed one list of survivors.

    Raises:
        BelowThreshold: Fewer than the threshold.
        RemoteProtocolError: A statement by another council, about another list, or not signed.
    """
    signers = tuple(message.sender for message in messages)
    check_subset(signers, survivors, threshold=threshold, what="confirmed the survivors")
    for message in messages:
        if message.body != h3:
            raise RemoteProtocolError(f"{message.sender} confirmed another list of survivors", culprit=message.sender)
        verify(context, message)
