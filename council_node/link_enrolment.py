"""Handing this council's public key to the coordinator, before it stands in any roster."""

from collections.abc import Callable
from typing import Final

import grpc

from council_node.link_channel import LinkSettings, explain, open_channel
from federated.errors import TransportError
from protocols.identifiers import CouncilId
from protocols.wire.enrolment_pb2 import EnrolReply, EnrolRequest
from protocols.wire.enrolment_pb2_grpc import EnrolmentStub
from protocols.wire.handshake import enrol_statement

__all__ = ["enrol"]

_VERSION: Final = 1


async def enrol(settings: LinkSettings, council: CouncilId, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Send the key with a proof that we hold it; run by ``council-node enrol``.

    Args:
        settings: How to reach the coordinator.
        council: This council.
        public_key: Raw Ed25519, 32 bytes.
        sign: By the matching private key.

    Returns:
        The fingerprint as the coordinator computed it. It proves nothing until a person has read it out to another
        over a channel they trust, and compared it with the one this node computes itself.

    Raises:
        TransportError: The coordinator cannot be reached, is not to be trusted, or refused the key.
    """
    request = EnrolRequest(
        version=_VERSION,
        council_id=council,
        public_key=public_key,
        signature=sign(enrol_statement(council, public_key)),
    )
    async with open_channel(settings) as channel:
        stub = EnrolmentStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        try:
            reply: EnrolReply = await stub.Enrol(request, timeout=settings.open_s)
        except grpc.aio.AioRpcError as problem:
            raise explain(problem, settings) from problem
    if reply.version != _VERSION:
        raise TransportError(
            f"The coordinator answered with enrolment version {reply.version}; {_VERSION} was expected."
        )
    return reply.fingerprint
