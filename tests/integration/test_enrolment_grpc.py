"""A council's key reaches the coordinator as pending, and only with a proof that the sender holds it."""

import hashlib

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.grpc_enrolment import EnrolmentService
from coordinator.grpc_server import serving
from council_node.link_channel import LinkSettings, open_channel
from council_node.link_enrolment import enrol
from federated.errors import PolicyRefusal, TransportError
from protocols.identifiers import CouncilId
from protocols.wire.enrolment_pb2 import EnrolRequest
from protocols.wire.enrolment_pb2_grpc import EnrolmentStub
from protocols.wire.handshake import enrol_statement
from tests.integration.link_harness import async_test, ca_file, certificate

COUNCIL = CouncilId("E06000001")


def settings(port: int) -> LinkSettings:
    return LinkSettings(address=f"127.0.0.1:{port}", ca_file=ca_file(), open_s=5.0)


@async_test
async def test_a_key_is_recorded_and_its_fingerprint_returned() -> None:
    pending: list[tuple[str, bytes]] = []

    def record(council: CouncilId, public_key: bytes) -> str:
        pending.append((council, public_key))
        return hashlib.sha256(public_key).hexdigest()

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    async with serving("127.0.0.1:0", certificate(), EnrolmentService(record)) as port:
        fingerprint = await enrol(settings(port), COUNCIL, public, key.sign)
    assert fingerprint == hashlib.sha256(public).hexdigest()
    assert pending == [(COUNCIL, public)]


@async_test
async def test_a_refusal_of_the_coordinator_is_told_in_its_words() -> None:
    def record(council: CouncilId, public_key: bytes) -> str:
        raise PolicyRefusal("enrolment_full", "100 keys are pending already.", remedy="Telephone the operator.")

    key = Ed25519PrivateKey.generate()
    async with serving("127.0.0.1:0", certificate(), EnrolmentService(record)) as port:
        with pytest.raises(TransportError, match=r"100 keys are pending already\. Telephone the operator\."):
            await enrol(settings(port), COUNCIL, key.public_key().public_bytes_raw(), key.sign)


KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
GOOD = {
    "version": 1,
    "council_id": COUNCIL,
    "public_key": PUBLIC,
    "signature": KEY.sign(enrol_statement(COUNCIL, PUBLIC)),
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 2}, "version 1 was expected, not 2"),
        ({"council_id": "E06000002"}, "did not prove that it holds the key"),
        ({"council_id": "a b"}, "a council id is"),
        ({"public_key": PUBLIC[:31]}, "32 bytes, not 31"),
        ({"public_key": Ed25519PrivateKey.generate().public_key().public_bytes_raw()}, "did not prove"),
        ({"signature": bytes(64)}, "did not prove"),
        ({"signature": b""}, "did not prove"),
    ],
)
@async_test
async def test_a_request_without_its_proof_is_recorded_nowhere(change, sentence) -> None:
    pending: list[object] = []
    service = EnrolmentService(lambda council, key: pending.append((council, key)) or "")
    async with serving("127.0.0.1:0", certificate(), service) as port, open_channel(settings(port)) as channel:
        stub = EnrolmentStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Enrol(EnrolRequest(**{**GOOD, **change}))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert sentence in refused.value.details()
        assert pending == []
        await stub.Enrol(EnrolRequest(**GOOD))
        assert pending == [(COUNCIL, PUBLIC)]
