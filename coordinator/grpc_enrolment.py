"""Enrolment over gRPC: a council's public key arrives, and waits for people to compare its fingerprint."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc

from federated.errors import FederatedError
from protocols.errors import RemoteProtocolError
from protocols.identifiers import CouncilId, council_id
from protocols.wire.enrolment_pb2 import EnrolReply, EnrolRequest
from protocols.wire.enrolment_pb2_grpc import add_EnrolmentServicer_to_server
from protocols.wire.handshake import check_enrol_proof

__all__ = ["EnrolmentService", "RecordKey"]

_VERSION: Final = 1

RecordKey = Callable[[CouncilId, bytes], str]
"""Stores a proven key as pending and returns its fingerprint; a :class:`FederatedError` refuses. Runs in a thread."""


class EnrolmentService:
    """Takes keys from councils that are in no roster yet, so from anybody.

    The proof of possession shows only that the sender holds the key. Whose it is, two people find out by comparing
    fingerprints; until the key stands in a signed roster it opens nothing.

    Args:
        record_key: Stores the key; refuses when too many are pending already.
    """

    def __init__(self, record_key: RecordKey) -> None:
        self._record_key = record_key

    def attach(self, server: grpc.aio.Server) -> None:
        """Add the service to a server that has not started."""
        add_EnrolmentServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # generated without types

    async def close(self) -> None:
        """Nothing stays open."""

    async def Enrol(  # noqa: N802 - the service's own name
        self, request: EnrolRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> EnrolReply:
        """Serve one request; called by gRPC."""
        try:
            council = _proven(request)
            fingerprint = await asyncio.to_thread(self._record_key, council, request.public_key)
        except RemoteProtocolError as problem:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(problem))
        except FederatedError as problem:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, problem.diagnostics())
        return EnrolReply(version=_VERSION, fingerprint=fingerprint)


def _proven(request: EnrolRequest) -> CouncilId:
    if request.version != _VERSION:
        raise RemoteProtocolError(f"enrolment version {_VERSION} was expected, not {request.version}")
    council = council_id(request.council_id)
    check_enrol_proof(council, request.public_key, request.signature)
    return council
