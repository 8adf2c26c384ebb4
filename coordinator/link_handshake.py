"""The coordinator's side of opening a link: Hello, Challenge, Proof, Welcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError

from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId, RandomSource, council_id
from protocols.wire.council_link_pb2 import Challenge, CoordinatorFrame, Hello, NodeFrame, Proof, Welcome
from protocols.wire.handshake import NONCE_SIZE, check_link_proof, check_software, choose_version, link_statement

__all__ = ["Doorman", "LinkRefused", "LinkStream", "ProvenCouncil", "read_frame"]

LinkStream = grpc.aio.ServicerContext[NodeFrame, CoordinatorFrame]


class LinkRefused(Exception):
    """This connection is not let in, or not kept.

    Attributes:
        status: The gRPC status the stream ends with.
    """

    def __init__(self, status: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenCouncil:
    """Who is at the other end, the roster key that showed it, and the version of its software, if it says so."""

    council: CouncilId
    public_key: bytes
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorman:
    """Lets in councils of the current roster that prove their key.

    Attributes:
        coordinator_id: As the roster has it.
        server_names: Names (lower case) and addresses the coordinator's certificate is for.
        identities: Keys of all who may connect, raw Ed25519; asked anew at each connection.
        message_limit: Told to the node.
        rng: For nonces.
        seen: Called with the claimed council and each frame, as received.
    """

    coordinator_id: str
    server_names: frozenset[str]
    identities: Callable[[], Mapping[CouncilId, bytes]]
    message_limit: int
    rng: RandomSource
    seen: Callable[[CouncilId, NodeFrame], None]

    async def admit(self, stream: LinkStream) -> ProvenCouncil:
        """Run the handshake.

        Raises:
            LinkRefused: For whatever reason the connection is not let in; its sentence is for the node's log.
        """
        try:
            return await self._admit(stream)
        except MalformedMessage as problem:
            raise LinkRefused(grpc.StatusCode.INVALID_ARGUMENT, str(problem)) from problem
        except RemoteProtocolError as problem:
            raise LinkRefused(grpc.StatusCode.UNAUTHENTICATED, str(problem)) from problem

    async def _admit(self, stream: LinkStream) -> ProvenCouncil:
        hello = _hello(await read_frame(stream))
        council = council_id(hello.council_id)
        self.seen(council, NodeFrame(hello=hello))
        version = choose_version(hello.versions)
        public_key = self._key_of(council)
        nonce = self.rng(NONCE_SIZE)
        challenge = Challenge(version=version, nonce=nonce, coordinator_id=self.coordinator_id)
        await stream.write(CoordinatorFrame(challenge=challenge))
        proof = _proof(await read_frame(stream))
        self.seen(council, NodeFrame(proof=proof))
        software = check_software(proof.software)
        self._check_name(proof.server_name)
        statement = link_statement(
            nonce=nonce,
            coordinator_id=self.coordinator_id,
            council=council,
            server_name=proof.server_name,
            version=version,
            offered=hello.versions,
        )
        check_link_proof(public_key, proof.signature, statement, council)
        await stream.write(CoordinatorFrame(welcome=Welcome(message_limit=self.message_limit)))
        return ProvenCouncil(council=council, public_key=public_key, software=software)

    def _key_of(self, council: CouncilId) -> bytes:
        public_key = self.identities().get(council)
        if public_key is None:
            sentence = f"{council} is not in the coordinator's current roster, nor mask holder of an agreement in force"
            raise LinkRefused(grpc.StatusCode.PERMISSION_DENIED, sentence)
        return public_key

    def _check_name(self, server_name: str) -> None:
        # A statement for another host name was made to another server and relayed here.
        if server_name.lower() not in self.server_names:
            raise RemoteProtocolError("the node verified a server name that is not this coordinator's")


async def read_frame(stream: LinkStream) -> NodeFrame | None:
    """The node's next frame, or None at the stream's end.

    Raises:
        MalformedMessage: The bytes are no frame.
    """
    try:
        frame: object = await stream.read()
    except DecodeError as problem:
        raise MalformedMessage("bytes came that are no frame of this link") from problem
    return frame if isinstance(frame, NodeFrame) else None


def _hello(frame: NodeFrame | None) -> Hello:
    if frame is None or frame.WhichOneof("body") != "hello":
        raise MalformedMessage("a link opens with Hello; something else came")
    return frame.hello


def _proof(frame: NodeFrame | None) -> Proof:
    if frame is None or frame.WhichOneof("body") != "proof":
        raise MalformedMessage("Challenge is answered by Proof; something else came")
    return frame.proof
