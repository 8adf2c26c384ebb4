"""The link over gRPC against peers, networks and files that do not behave."""

import asyncio
import contextlib
import os
import threading
import time
from dataclasses import replace

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.grpc_server import serving
from coordinator.tls import issue_certificate, make_authority
from council_node.link import LinkIdentity, NodeLink
from council_node.link_channel import NO_PROXY, LinkSettings
from federated.errors import FileProblem, TransportError
from protocols.identifiers import CouncilId
from protocols.wire.chunks import CHUNK_BYTES
from protocols.wire.council_link_pb2 import Chunk, NodeFrame
from protocols.wire.council_link_pb2_grpc import CouncilLinkStub
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.link_harness import (
    COORDINATOR,
    NOW,
    GrpcHarness,
    Relay,
    async_test,
    authority,
    ca_file,
    certificate,
    collect,
    councils,
    over_grpc,
    prove,
    raw_stream,
    stop_node,
    try_link,
    until,
)

ONE, TWO, THREE = councils(3)


def echo(request: bytes) -> bytes:
    return b"re:" + request


def settings(port: int, **changes: object) -> LinkSettings:
    return LinkSettings(**{"address": f"127.0.0.1:{port}", "ca_file": ca_file(), "open_s": 5.0, **changes})


def identity(council: CouncilId, key: Ed25519PrivateKey, coordinator_id: str = COORDINATOR) -> LinkIdentity:
    return LinkIdentity(council=council, coordinator_id=coordinator_id, sign=key.sign)


async def status_of(stream: grpc.aio.StreamStreamCall[object, object]) -> tuple[grpc.StatusCode, str]:
    async with asyncio.timeout(5):
        return await stream.code(), await stream.details()


# Who is let in


@async_test
async def test_a_council_outside_the_roster_is_refused() -> None:
    harness = GrpcHarness((ONE,))
    async with harness.running():
        stranger = await harness.add(TWO, echo, key=Ed25519PrivateKey.generate())
        with contextlib.suppress(TimeoutError):
            await until(lambda: bool(stranger.reasons()))
        assert stranger.reasons(), "a council outside the roster was let in"
        assert "E06000002 is not in the coordinator's current roster" in stranger.reasons()[0]
        assert harness.link.connected() == frozenset()


@async_test
async def test_a_proof_by_another_key_is_refused() -> None:
    harness = GrpcHarness((ONE,))
    async with harness.running():
        impostor = await harness.add(ONE, echo, key=Ed25519PrivateKey.generate())
        await until(lambda: bool(impostor.reasons()))
        assert "did not prove that it holds its key" in impostor.reasons()[0]
        assert harness.link.connected() == frozenset()


@async_test
async def test_a_proof_is_good_for_one_connection() -> None:
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            signature = await prove(stream, ONE, key)
        async with raw_stream(harness.port) as stream:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await prove(stream, ONE, key, signature=signature)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


@async_test
async def test_a_proof_made_to_another_host_name_is_refused() -> None:
    """A relay under its own name obtains a genuine signature, naming that name."""
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await prove(stream, ONE, key, server_name="relay.example")
        assert "server name" in refused.value.details()
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key, server_name="LOCALHOST")


@async_test
async def test_the_node_signs_nothing_for_a_coordinator_of_another_name() -> None:
    signed: list[bytes] = []
    async with over_grpc({}) as harness:
        who = LinkIdentity(
            council=ONE, coordinator_id="other.example", sign=lambda content: signed.append(content) or b""
        )
        harness.identities[ONE] = bytes(32)
        with pytest.raises(TransportError, match=r"calls itself 'coordinator\.example'.*'other\.example'"):
            await try_link(settings(harness.port), who)
        assert signed == []


@async_test
async def test_a_connection_that_says_nothing_is_ended() -> None:
    async with over_grpc({}, handshake_s=0.2) as harness, raw_stream(harness.port) as stream:
        await stream.wait_for_connection()
        assert (await status_of(stream))[0] == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("versions", [[], [2], [1, 1], [2, 1], list(range(1, 18))])
@async_test
async def test_a_hello_with_odd_versions_is_refused(versions) -> None:
    async with over_grpc({}) as harness, raw_stream(harness.port) as stream:
        harness.identities[ONE] = bytes(32)
        await stream.write(NodeFrame(hello={"versions": versions, "council_id": ONE}))
        assert (await status_of(stream))[0] == grpc.StatusCode.INVALID_ARGUMENT


@async_test
async def test_a_plaintext_client_gets_nothing() -> None:
    async with over_grpc({}) as harness, grpc.aio.insecure_channel(f"127.0.0.1:{harness.port}") as channel:
        stream = CouncilLinkStub(channel).Connect()
        assert (await status_of(stream))[0] == grpc.StatusCode.UNAVAILABLE


@async_test
async def test_try_link_succeeds_and_leaves() -> None:
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        await try_link(settings(harness.port), identity(ONE, key))
        await until(lambda: harness.link.connected() == frozenset())
        assert ("connected", {"council": ONE, "software": ""}) in harness.events


@async_test
async def test_a_node_says_its_version_and_nothing_longer() -> None:
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        who = identity(ONE, key)
        await try_link(settings(harness.port), replace(who, software="1.2.3rc4+local"))
        assert ("connected", {"council": ONE, "software": "1.2.3rc4+local"}) in harness.events
        for said in ("v" * 41, "<b>1</b>", "1.2\n3"):
            with pytest.raises(TransportError, match="at most 40 letters"):
                await try_link(settings(harness.port), replace(who, software=said))
        assert len([event for event, _ in harness.events if event == "connected"]) == 1


# The roster changes


@async_test
async def test_a_council_added_to_the_roster_needs_no_restart() -> None:
    harness = GrpcHarness((ONE,))
    key = Ed25519PrivateKey.generate()
    async with harness.running():
        newcomer = await harness.add(TWO, echo, key=key)
        await until(lambda: bool(newcomer.reasons()))
        harness.identities[TWO] = key.public_key().public_bytes_raw()
        await until(lambda: harness.link.connected() == {TWO})
        assert await collect(harness.link, {TWO: b"a"}) == {TWO: b"re:a"}


@async_test
async def test_a_council_taken_off_the_roster_is_disconnected_and_not_asked() -> None:
    asked: list[bytes] = []
    async with over_grpc({ONE: echo, TWO: lambda request: asked.append(request) or b""}) as harness:
        del harness.identities[TWO]
        assert harness.link.connected() == {ONE}
        assert await collect(harness.link, {ONE: b"a", TWO: b"b"}) == {ONE: b"re:a"}
        await until(lambda: any("no longer" in reason for reason in harness.nodes[TWO].reasons()))
        assert asked == []


@async_test
async def test_a_key_replaced_in_the_roster_shuts_out_the_old_one() -> None:
    async with over_grpc({ONE: echo}) as harness:
        harness.identities[ONE] = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        assert harness.link.connected() == frozenset()
        assert await collect(harness.link, {ONE: b"a"}, timeout_s=0.5) == {}
        assert any("did not prove" in reason for reason in harness.nodes[ONE].reasons())


@async_test
async def test_the_newer_connection_of_a_council_takes_the_place_of_the_older() -> None:
    async with over_grpc({ONE: lambda _: b"older"}) as harness:
        older = harness.nodes[ONE]
        older.link._settings = settings(older.relay.port, first_wait_s=30.0)
        await harness.add(ONE, lambda _: b"newer")
        await until(lambda: any("took this one's place" in reason for reason in older.reasons()))
        assert harness.link.connected() == {ONE}
        assert await collect(harness.link, {ONE: b"a"}) == {ONE: b"newer"}
        await stop_node(older)


# Peers that misbehave after the handshake


def _chunk(**fields: object) -> NodeFrame:
    return NodeFrame(reply=Chunk(**fields))


GARBAGE = {
    "an empty frame": NodeFrame(),
    "a second hello": NodeFrame(hello={"versions": [1], "council_id": ONE}),
    "an answer to nothing asked": _chunk(request_id=99, total_bytes=1, content=b"x", last=True),
    "request id zero": _chunk(request_id=0, total_bytes=1, content=b"x", last=True),
    "more than announced": _chunk(request_id=1, total_bytes=1, content=b"xy", last=True),
    "less than announced": _chunk(request_id=1, total_bytes=2, content=b"x", last=True),
    "a tiny chunk": _chunk(request_id=1, total_bytes=CHUNK_BYTES * 2, content=b"x"),
    "no end": _chunk(request_id=1, total_bytes=1, content=b"x"),
    "a long message not announced": _chunk(request_id=1, total_bytes=CHUNK_BYTES * 2, content=bytes(CHUNK_BYTES)),
    "an end too early": _chunk(request_id=1, total_bytes=CHUNK_BYTES * 2, last=True),
    "an oversize announcement": _chunk(request_id=1, total_bytes=2**63),
}


@pytest.mark.parametrize("frame", GARBAGE.values(), ids=GARBAGE.keys())
@async_test
async def test_a_peer_that_breaks_the_framing_is_dropped_and_nobody_else_notices(frame) -> None:
    async with over_grpc({TWO: echo}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key)
            exchange = asyncio.create_task(collect(harness.link, {ONE: b"a", TWO: b"b"}, timeout_s=0.5))
            assert (await stream.read()).request.content == b"a"
            await stream.write(frame)
            status, sentence = await status_of(stream)
            assert status == grpc.StatusCode.INVALID_ARGUMENT
            assert frame.WhichOneof("body") == "reply" or "a node sends replies" in sentence
            assert await exchange == {TWO: b"re:b"}
            assert harness.link.connected() == {TWO}
        assert await collect(harness.link, {TWO: b"c"}) == {TWO: b"re:c"}


@pytest.mark.parametrize("proven", [True, False])
@async_test
async def test_bytes_that_are_no_frame_end_that_stream_only(proven) -> None:
    async with over_grpc({TWO: echo}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            if proven:
                await prove(stream, ONE, key)
            stream._request_serializer = lambda content: content
            await stream.write(b"\xff\xff\xff\xff garbage")
            assert (await status_of(stream))[0] == grpc.StatusCode.INVALID_ARGUMENT
        await until(lambda: harness.link.connected() == {TWO})
        assert await collect(harness.link, {TWO: b"c"}) == {TWO: b"re:c"}


@async_test
async def test_a_frame_larger_than_any_frame_ends_that_stream_only() -> None:
    async with over_grpc({TWO: echo}) as harness, raw_stream(harness.port) as stream:
        await stream.write(NodeFrame(hello={"versions": [1], "council_id": "E" * 2_000_000}))
        assert (await status_of(stream))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED  # by its size, before it is read
        assert await collect(harness.link, {TWO: b"c"}) == {TWO: b"re:c"}


@async_test
async def test_nobody_answers_for_another_council() -> None:
    async with over_grpc({}) as harness:
        keys = {name: Ed25519PrivateKey.generate() for name in (ONE, TWO)}
        harness.identities.update({name: key.public_key().public_bytes_raw() for name, key in keys.items()})
        async with raw_stream(harness.port) as honest, raw_stream(harness.port) as liar:
            await prove(honest, ONE, keys[ONE])
            await prove(liar, TWO, keys[TWO])
            exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}, timeout_s=1.0))
            asked = (await honest.read()).request
            await liar.write(_chunk(request_id=asked.request_id, total_bytes=3, content=b"lie", last=True))
            await asyncio.sleep(0.1)
            assert not exchange.done()
            await honest.write(_chunk(request_id=asked.request_id, total_bytes=5, content=b"truth", last=True))
            assert await exchange == {ONE: b"truth"}


@async_test
async def test_a_second_reply_to_the_same_request_is_dropped() -> None:
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities.update({ONE: key.public_key().public_bytes_raw(), TWO: bytes(32)})
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key)
            both = asyncio.create_task(collect(harness.link, {ONE: b"a", TWO: b"never answered"}, timeout_s=0.5))
            asked = (await stream.read()).request
            for content in (b"first", b"other"):
                await stream.write(_chunk(request_id=asked.request_id, total_bytes=5, content=content, last=True))
            assert await both == {ONE: b"first"}
            assert harness.link.connected() == {ONE}


@async_test
async def test_a_reply_over_the_limit_becomes_a_fault_and_the_link_stays() -> None:
    answers = {b"much": bytes(300_001), b"little": b"ok"}
    async with over_grpc({ONE: answers.__getitem__}, message_limit=300_000) as harness:
        replies = await collect(harness.link, {ONE: b"much"})
        assert LinkMessage.decode(replies[ONE]).kind is Kind.FAULT
        assert b"300001 bytes" in LinkMessage.decode(replies[ONE]).payload
        assert await collect(harness.link, {ONE: b"little"}) == {ONE: b"ok"}


@async_test
async def test_a_request_over_the_nodes_limit_is_refused_by_the_node() -> None:
    asked: list[bytes] = []
    harness = GrpcHarness((ONE,))
    async with harness.running():
        node = await harness.add(ONE, lambda request: asked.append(request) or b"", message_limit=1000)
        await until(lambda: harness.link.connected() == {ONE})
        assert await collect(harness.link, {ONE: bytes(1001)}, timeout_s=0.4) == {}
        assert any("1001 bytes was announced" in reason for reason in node.reasons())
        assert asked == []
        await until(lambda: harness.link.connected() == {ONE})
        assert await collect(harness.link, {ONE: bytes(1000)}) == {ONE: b""}


@async_test
async def test_an_answer_that_raises_becomes_a_fault_that_tells_nothing() -> None:
    request = LinkMessage(kind=Kind.BUDGET_REQUEST, reference=bytes(range(32)), payload=b"").encode()

    def answer(_: bytes) -> bytes:
        raise ValueError("case 4711 of Jane Doe")

    async with over_grpc({ONE: answer}) as harness:
        reply = LinkMessage.decode((await collect(harness.link, {ONE: request}))[ONE])
        assert (reply.kind, reply.reference) == (Kind.FAULT, bytes(range(32)))
        assert b"4711" not in reply.payload
        (failed,) = [fields for event, fields in harness.nodes[ONE].events if event == "answer_failed"]
        assert failed["error"] == "ValueError"
        assert failed["place"].startswith("tests.")


@async_test
async def test_an_exchange_that_ends_mid_request_leaves_the_stream_usable() -> None:
    """The peer does not read, so the request is stuck part way when its deadline passes."""
    async with over_grpc({TWO: echo}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key)
            replies = await collect(harness.link, {ONE: bytes(40_000_000), TWO: b"b"}, timeout_s=1.0)
            assert replies == {TWO: b"re:b"}
            assert await collect(harness.link, {ONE: b"over before it could be sent"}, timeout_s=0.1) == {}
            exchange = asyncio.create_task(collect(harness.link, {ONE: b"next"}))
            chunks = 0
            while not (chunk := (await stream.read()).request).abandoned:
                chunks += 1
            assert chunks < 40_000_000 // CHUNK_BYTES
            chunk = (await stream.read()).request
            assert chunk.content == b"next"
            await stream.write(_chunk(request_id=chunk.request_id, total_bytes=0, last=True))
            assert await exchange == {ONE: b""}


# Long replies wait for room, and stalling ones do not keep it


@async_test
async def test_long_replies_are_held_back_until_there_is_room() -> None:
    names = councils(8)
    reply = os.urandom(1_500_000)
    async with over_grpc(dict.fromkeys(names, lambda _: reply), held_bytes=3_000_000, patience_s=0.2) as harness:
        most = 0
        count = 0
        async for _, content in harness.link.exchange(dict.fromkeys(names, b"go"), timeout_s=20):
            assert content == reply
            await asyncio.sleep(0.3)  # the round is slower than the councils, which is no council's fault
            most = max(most, harness.link._intake.held)
            count += 1
        assert count == 8
        assert 1_500_000 <= most <= 3_000_000
        assert harness.reasons("disconnected") == []
        assert harness.link._intake.held == 0


@async_test
async def test_a_reply_without_room_stays_with_its_council() -> None:
    """Held back by the stream's flow control, not taken in and queued: seen on the line itself."""
    names = councils(6)
    async with over_grpc(dict.fromkeys(names, lambda _: bytes(8_000_000)), held_bytes=8_000_000) as harness:
        exchange = harness.link.exchange(dict.fromkeys(names, b"go"), timeout_s=20)
        first, _ = await anext(exchange)
        await asyncio.sleep(1.0)  # the round is busy with the first
        sent = {name: harness.nodes[name].relay.bytes_onward for name in names}
        assert sent.pop(first) > 8_000_000
        assert max(sent.values()) > 8_000_000  # the one that had room next
        assert sum(sorted(sent.values())[:-1]) < 4 * 1_000_000
        assert len([council async for council, _ in exchange]) == 5


@async_test
async def test_a_council_that_stalls_in_a_long_reply_blocks_nobody() -> None:
    reply = os.urandom(1_000_000)
    async with over_grpc({TWO: lambda _: reply}, held_bytes=1_000_000, patience_s=0.3) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key)
            first = asyncio.create_task(collect(harness.link, {ONE: b"a"}, timeout_s=3))
            asked = (await stream.read()).request
            await stream.write(_chunk(request_id=asked.request_id, total_bytes=1_000_000))
            await until(lambda: harness.link._intake.held == 1_000_000)
            await asyncio.sleep(0.5)
            assert harness.link.connected() == {ONE, TWO}  # slow alone harms nobody
            assert await collect(harness.link, {TWO: b"b"}, timeout_s=3) == {TWO: reply}
            assert (await status_of(stream))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await first == {}
        assert harness.link._intake.held == 0


@async_test
async def test_room_comes_back_when_a_council_breaks_off_or_answers_too_late() -> None:
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        part = {"total_bytes": 2 * CHUNK_BYTES}
        full = {**part, "content": bytes(CHUNK_BYTES)}
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key)
            exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}, timeout_s=0.5))
            asked = (await stream.read()).request
            await stream.write(_chunk(request_id=asked.request_id, **part))
            await until(lambda: harness.link._intake.held > 0)
            assert await exchange == {}
            await stream.write(_chunk(request_id=asked.request_id, **full))
            await until(lambda: harness.link._intake.held == 0)
            await stream.write(_chunk(request_id=asked.request_id, last=True, **full))
            exchange = asyncio.create_task(collect(harness.link, {ONE: b"b"}, timeout_s=0.5))
            asked = (await stream.read()).request
            await stream.write(_chunk(request_id=asked.request_id, **part))
            await until(lambda: harness.link._intake.held > 0)
        await until(lambda: harness.link._intake.held == 0)
        assert await exchange == {}


@async_test
async def test_room_comes_back_when_the_round_leaves_replies_unread() -> None:
    names = councils(3)
    async with over_grpc(dict.fromkeys(names, lambda _: bytes(600_000))) as harness:
        async with contextlib.aclosing(harness.link.exchange(dict.fromkeys(names, b""), timeout_s=5)) as replies:
            await anext(replies)
            await until(lambda: harness.link._intake.held == 1_200_000)
            await asyncio.sleep(0.3)  # by now both are complete and wait for us
        assert harness.link._intake.held == 0


# What the node says when it cannot connect


@async_test
async def test_a_certificate_of_another_authority_is_named() -> None:
    wrong = ca_file(make_authority("Somebody else", now=NOW).certificate_pem)
    async with over_grpc({}) as harness:
        with pytest.raises(TransportError) as raised:
            await try_link(settings(harness.port, ca_file=wrong), identity(ONE, Ed25519PrivateKey.generate()))
        assert f"was not issued by an authority in the certificate authority file {wrong}" in str(raised.value)
        assert "SSL" not in raised.value.diagnostics()


@async_test
async def test_a_certificate_for_another_name_is_named() -> None:
    async with over_grpc({}) as harness:
        away = settings(harness.port, server_name="elsewhere.example")
        with pytest.raises(TransportError, match=r"is not for the name elsewhere\.example"):
            await try_link(away, identity(ONE, Ed25519PrivateKey.generate()))


@async_test
async def test_an_expired_certificate_is_named() -> None:
    old = issue_certificate(authority(), ["127.0.0.1"], now=NOW.replace(year=NOW.year - 3))
    async with serving("127.0.0.1:0", old, GrpcHarness(()).link) as port:
        with pytest.raises(TransportError, match="has expired"):
            await try_link(settings(port), identity(ONE, Ed25519PrivateKey.generate()))


@async_test
async def test_a_refused_connection_is_named() -> None:
    relay = Relay(1)
    await relay.start()
    port = relay.port
    await relay.stop()
    with pytest.raises(TransportError, match=f"Nothing listens at 127.0.0.1:{port}"):
        await try_link(settings(port), identity(ONE, Ed25519PrivateKey.generate()))


@async_test
async def test_a_server_without_tls_is_named() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.write(b"HTTP/1.0 400\r\n\r\n"), "127.0.0.1", 0)
    async with server:
        with pytest.raises(TransportError, match="does not speak TLS"):
            await try_link(settings(server.sockets[0].getsockname()[1]), identity(ONE, Ed25519PrivateKey.generate()))


@async_test
async def test_a_coordinator_that_never_answers_is_named() -> None:
    harness = GrpcHarness(())
    async with harness.running():
        relay = Relay(harness.port)
        relay.frozen = True
        await relay.start()
        with pytest.raises(TransportError, match=r"did not answer within 0\.3 s"):
            await try_link(settings(relay.port, open_s=0.3), identity(ONE, Ed25519PrivateKey.generate()))
        await relay.stop()


@async_test
async def test_a_refusal_is_passed_on_in_the_coordinators_words() -> None:
    async with over_grpc({}) as harness:
        with pytest.raises(TransportError, match="E06000001 is not in the coordinator's current roster"):
            await try_link(settings(harness.port), identity(ONE, Ed25519PrivateKey.generate()))


@pytest.mark.parametrize("address", ["coordinator.example", ":443", "host:0", "host:65536", "host:https", ""])
@async_test
async def test_an_address_without_host_and_port_is_refused_before_the_first_attempt(address) -> None:
    link = NodeLink(
        LinkSettings(address=address, ca_file=ca_file()),
        identity(ONE, Ed25519PrivateKey.generate()),
        echo,
        rng=os.urandom,
        on_event=lambda *_: None,
    )
    with pytest.raises(FileProblem, match="host:port was expected"):
        await link.run(asyncio.Event())


@pytest.mark.parametrize("content", [None, b"no certificate"])
@async_test
async def test_a_ca_file_that_cannot_be_used_is_refused(tmp_path, content) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileProblem, match=r"ca\.pem"):
        await try_link(settings(1, ca_file=path), identity(ONE, Ed25519PrivateKey.generate()))


# The network


async def _idle_then_dead(server: dict[str, float], node: dict[str, float], noticed_by: str) -> None:
    harness = GrpcHarness((ONE,))
    async with harness.running(**server):
        council = await harness.add(ONE, echo, **node)
        await until(lambda: harness.link.connected() == {ONE})
        await asyncio.sleep(5)  # pings alone keep a sound line up, and do not stop after the first few
        assert [event for event, _ in harness.events] == ["connected"]
        council.relay.frozen = True
        if noticed_by == "node":
            await until(lambda: any("went dead" in reason for reason in council.reasons()), within_s=4)
        else:
            await until(lambda: harness.link.connected() == frozenset(), within_s=4)


@async_test
async def test_either_end_alone_notices_a_line_that_goes_dead_without_a_word() -> None:
    pinging, quiet = {"keepalive_s": 1.0, "dead_after_s": 0.5}, {"keepalive_s": 1000.0}
    await asyncio.gather(_idle_then_dead(quiet, pinging, "node"), _idle_then_dead(pinging, quiet, "coordinator"))


@async_test
async def test_a_connect_proxy_is_used_and_its_refusal_named(monkeypatch) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with over_grpc({}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        proxy = Relay(harness.port)
        await proxy.start(proxy=True)
        through = settings(harness.port, proxy=f"http://127.0.0.1:{proxy.port}")
        await try_link(through, identity(ONE, key))
        assert proxy.first_lines == [f"CONNECT 127.0.0.1:{harness.port} HTTP/1.1".encode()]
        proxy.open = False
        with pytest.raises(TransportError, match="The proxy would not open a connection"):
            await try_link(through, identity(ONE, key))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(TransportError, match="The proxy would not open a connection"):
            await try_link(settings(harness.port), identity(ONE, key))
        await try_link(settings(harness.port, proxy=NO_PROXY), identity(ONE, key))
        assert len(proxy.first_lines) == 3
        await proxy.stop()


@async_test
async def test_a_coordinator_that_restarts_finds_its_councils_again() -> None:
    harness = GrpcHarness((ONE,))
    async with harness.running():
        node = await harness.add(ONE, echo)
        await until(lambda: harness.link.connected() == {ONE})
        again = GrpcHarness((ONE,))
        again.identities = harness.identities
        await harness.link.close()
        await until(lambda: any("the coordinator is stopping" in reason for reason in node.reasons()))
        async with again.running():
            node.relay._target_port = again.port
            await until(lambda: again.link.connected() == {ONE})
            assert await collect(again.link, {ONE: b"a"}) == {ONE: b"re:a"}


@async_test
async def test_each_node_has_a_connection_of_its_own() -> None:
    harness = GrpcHarness((ONE, TWO))
    async with harness.running():
        relay = Relay(harness.port)
        await relay.start()
        for council in (ONE, TWO):
            harness._launch(council, echo, relay, harness.keys[council], {})
        await until(lambda: harness.link.connected() == {ONE, TWO})
        assert relay.accepted == 2
        for council in (ONE, TWO):
            harness.nodes[council].stop.set()
            await harness.nodes.pop(council).task
        await relay.stop()


@async_test
async def test_a_steady_connection_starts_the_waits_afresh() -> None:
    harness = GrpcHarness((ONE,))
    async with harness.running():
        node = await harness.add(ONE, echo, first_wait_s=0.02, longest_wait_s=60.0, steady_s=0.0)
        for _ in range(9):  # without a fresh start the last wait would be over 2 s
            await until(lambda: harness.link.connected() == {ONE}, within_s=1)
            node.relay.cut()
            await until(lambda: harness.link.connected() == frozenset())
            node.relay.open = True


@async_test
async def test_a_connection_that_never_holds_is_tried_less_and_less() -> None:
    harness = GrpcHarness(())
    async with harness.running():
        node = await harness.add(ONE, echo, key=Ed25519PrivateKey.generate(), first_wait_s=0.1, longest_wait_s=60.0)
        await asyncio.sleep(1.5)
        assert 3 <= len(node.reasons()) <= 5


@async_test
async def test_a_second_coordinator_on_the_same_port_is_refused() -> None:
    harness = GrpcHarness(())
    async with harness.running():
        with pytest.raises(TransportError, match=f"cannot listen on 127.0.0.1:{harness.port}"):
            async with serving(f"127.0.0.1:{harness.port}", certificate(), GrpcHarness(()).link):
                pass


# Stopping


@async_test
async def test_on_stop_the_answer_under_way_is_sent() -> None:
    asked, go = threading.Event(), threading.Event()

    def answer(request: bytes) -> bytes:
        asked.set()
        go.wait(10)
        return bytes(3_000_000)

    async with over_grpc({ONE: answer}) as harness:
        node = harness.nodes[ONE]
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}, timeout_s=5))
        await until(asked.is_set)
        node.stop.set()
        await asyncio.sleep(0.05)
        go.set()
        await node.task
        assert await exchange == {ONE: bytes(3_000_000)}
        assert node.events[-1] == ("link_stopped", {})


@async_test
async def test_stop_does_not_wait_longer_than_its_grace() -> None:
    asked, go = threading.Event(), threading.Event()

    def answer(request: bytes) -> bytes:
        asked.set()
        go.wait(10)
        return request

    harness = GrpcHarness((ONE,))
    async with harness.running():
        node = await harness.add(ONE, answer, grace_s=0.2)
        await until(lambda: harness.link.connected() == {ONE})
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}, timeout_s=1))
        await until(asked.is_set)
        started = time.monotonic()
        node.stop.set()
        await node.task
        assert time.monotonic() - started < 1
        go.set()
        assert await exchange == {}


@async_test
async def test_stop_ends_a_wait_between_attempts() -> None:
    harness = GrpcHarness(())
    async with harness.running():
        node = await harness.add(ONE, echo, key=Ed25519PrivateKey.generate(), first_wait_s=60.0, longest_wait_s=60.0)
        await until(lambda: bool(node.reasons()))
        started = time.monotonic()
        node.stop.set()
        await node.task
        assert time.monotonic() - started < 1


# The recorder


@async_test
async def test_the_recorder_sees_everything_the_coordinator_sends_and_receives() -> None:
    seen: list[tuple[str, CouncilId, bytes]] = []
    reply = os.urandom(600_000)
    async with over_grpc(
        {ONE: lambda _: reply}, record=lambda direction, council, content: seen.append((direction, council, content))
    ) as harness:
        assert await collect(harness.link, {ONE: b"question"}) == {ONE: reply}
    assert [(council, content) for direction, council, content in seen if direction == "sent"] == [(ONE, b"question")]
    assert [(council, content) for direction, council, content in seen if direction == "received"] == [(ONE, reply)]
    frames = [NodeFrame.FromString(content) for direction, _, content in seen if direction == "frame"]
    assert [frame.WhichOneof("body") for frame in frames] == ["hello", "proof", *["reply"] * 4]
    assert b"".join(frame.reply.content for frame in frames) == reply


@async_test
async def test_nodes_that_leave_at_any_moment_of_the_handshake_cause_no_fault() -> None:
    """Faults in serving would be logged by gRPC, which fails the test."""
    async with over_grpc({TWO: echo}) as harness:
        harness.identities[ONE] = bytes(32)
        for wait_s in (0, 0.0005, 0.001, 0.002, 0.004, 0.008) * 5:
            async with raw_stream(harness.port) as stream:
                await stream.write(NodeFrame(hello={"versions": [1], "council_id": ONE}))
                await asyncio.sleep(wait_s)
                stream.cancel()
        assert await collect(harness.link, {TWO: b"c"}) == {TWO: b"re:c"}


@async_test
async def test_a_node_that_leaves_in_the_middle_of_a_request_causes_no_fault() -> None:
    async with over_grpc({TWO: echo}) as harness:
        key = Ed25519PrivateKey.generate()
        harness.identities[ONE] = key.public_key().public_bytes_raw()
        async with raw_stream(harness.port) as stream:
            await prove(stream, ONE, key)
            exchange = asyncio.create_task(collect(harness.link, {ONE: bytes(20_000_000), TWO: b"b"}, timeout_s=1.0))
            await stream.read()
            await stream.read()
        assert await exchange == {TWO: b"re:b"}
