"""The Flower link against nodes that lie, and against a Flower that loses or mixes up: its word decides nothing."""

import asyncio
import os
import threading
from collections.abc import Callable
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from federated.flower_record import MESSAGE_TYPE, unwrapped, wrapped
from protocols.errors import MalformedMessage
from protocols.wire.link_message import Kind, LinkMessage
from protocols.wire.relayed import RelayedKind, RelayedReply, RelayedRequest
from tests.integration.flower_harness import FlowerHarness, over_flower
from tests.integration.link_harness import COORDINATOR, async_test, collect, councils, until

ONE, TWO, THREE = councils(3)


def echo(request: bytes) -> bytes:
    return b"re:" + request


def app_of(function) -> ClientApp:
    """A Flower app that answers as the function says."""
    app = ClientApp()
    app.query()(function)
    return app


def altered(app: ClientApp, change) -> ClientApp:
    """The same app, with its replies changed on the way."""

    def reply(message: Message, context) -> Message:
        honest = RelayedReply.decode(unwrapped(app(message, context).content))
        request = RelayedRequest.decode(unwrapped(message.content))
        return Message(wrapped(change(request, honest).encode()), reply_to=message)

    return app_of(reply)


async def refused(harness: FlowerHarness, part: str) -> None:
    await until(lambda: any(part in reason for reason in harness.reasons("link_refused")))


@async_test
async def test_a_node_without_the_councils_key_is_nobody():
    async with over_flower({ONE: echo}) as harness:
        harness.keys[TWO] = Ed25519PrivateKey.generate()
        harness.identities[TWO] = harness.keys[TWO].public_key().public_bytes_raw()
        stranger = Ed25519PrivateKey.generate()
        harness.add(TWO, echo, sign=stranger.sign)
        await refused(harness, "did not prove that it holds its key")
        assert harness.link.connected() == {ONE}
        assert await collect(harness.link, {ONE: b"a", TWO: b"b"}, timeout_s=0.3) == {ONE: b"re:a"}


@async_test
async def test_a_council_outside_the_roster_is_not_let_in_until_it_is_in_it():
    async with over_flower({ONE: echo}) as harness:
        harness.keys[TWO] = Ed25519PrivateKey.generate()
        harness.add(TWO, echo)
        await refused(harness, "not in the coordinator's current roster")
        harness.identities[TWO] = harness.keys[TWO].public_key().public_bytes_raw()
        await until(lambda: harness.link.connected() == {ONE, TWO})


@async_test
async def test_a_council_taken_off_the_roster_is_parted_with():
    async with over_flower({ONE: echo, TWO: echo}) as harness:
        del harness.identities[TWO]
        assert harness.link.connected() == {ONE}
        assert await collect(harness.link, {ONE: b"a", TWO: b"b"}) == {ONE: b"re:a"}
        await until(lambda: any("no longer" in reason for reason in harness.reasons("disconnected")))


@async_test
async def test_one_councils_answer_under_another_councils_name_is_refused():
    async with over_flower({ONE: echo, TWO: echo}) as harness:
        node = harness.nodes[ONE]
        node.app = altered(harness.app(TWO, echo), lambda _request, honest: honest)
        assert await collect(harness.link, {ONE: b"a"}, timeout_s=0.3) == {}
        await refused(harness, f"{TWO} answered what {ONE} was asked")


@async_test
async def test_a_proof_passed_on_from_another_place_is_refused():
    """A node that has no key hands the challenge to the council's real node and passes its answer off as its own."""
    async with over_flower({ONE: echo}) as harness:
        harness.disconnect(ONE)
        await until(lambda: not harness.link.connected())
        real = harness.nodes[ONE]
        asked = []

        def pass_on(message: Message, context) -> Message:
            asked.append(context.node_id)
            context.node_id = real.node_id  # what the real node sees, being asked there
            reply = real.app(message, context)
            return Message(reply.content, reply_to=message)

        harness.grid.add(app_of(pass_on))
        await refused(harness, "did not prove that it holds its key")
        assert asked
        assert harness.link.connected() == frozenset()


@pytest.mark.parametrize(
    "change",
    [
        lambda _request, honest: RelayedReply(council=honest.council, signature=honest.signature, body=b"other"),
        lambda _request, honest: RelayedReply(council=honest.council, signature=bytes(64), body=honest.body),
    ],
    ids=["altered", "unsigned"],
)
@async_test
async def test_an_altered_answer_is_refused_and_asked_for_again(change):
    async with over_flower({ONE: echo}) as harness:
        honest = harness.nodes[ONE].app
        harness.nodes[ONE].app = altered(honest, change)
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}))
        await refused(harness, "did not prove that it holds its key")
        harness.nodes[ONE].app = honest
        assert await exchange == {ONE: b"re:a"}


@async_test
async def test_a_request_that_another_flower_node_sends_is_not_answered():
    """Flower holds a sender to no address: any node can give it a message for another, as if from the server."""
    answered = []
    async with over_flower({ONE: lambda request: answered.append(request) or echo(request)}) as harness:
        node = harness.nodes[ONE]
        for ticket in (bytes(32), os.urandom(32)):
            forged = RelayedRequest(
                kind=RelayedKind.ASK, nonce=os.urandom(32), coordinator_id=COORDINATOR, ticket=ticket, body=b"stop"
            )
            [key] = harness.grid.push_messages(
                [Message(wrapped(forged.encode()), node.node_id, MESSAGE_TYPE, ttl=60.0)]
            )
            await until(lambda key=key: key in harness.grid.replies)
            assert harness.grid.replies.pop(key).has_error()
        assert [name for name, _ in harness.node_events].count("request_refused") == 2
        assert answered == []
        assert await collect(harness.link, {ONE: b"a"}) == {ONE: b"re:a"}
        assert answered == [b"a"]


@async_test
async def test_a_node_that_was_started_again_is_asked_with_its_new_ticket():
    async with over_flower({ONE: echo}) as harness:
        harness.nodes[ONE].app = harness.app(ONE, echo, ticket=os.urandom(32))
        assert await collect(harness.link, {ONE: b"a"}) == {ONE: b"re:a"}
        assert any(name == "flower_error" for name, _ in harness.events)


@async_test
async def test_a_proof_without_a_ticket_is_refused():
    async with over_flower({ONE: echo}) as harness:
        harness.keys[TWO] = Ed25519PrivateKey.generate()
        harness.identities[TWO] = harness.keys[TWO].public_key().public_bytes_raw()
        harness.add(TWO, echo, ticket=b"short")
        await refused(harness, "brings no ticket")
        assert harness.link.connected() == {ONE}


@async_test
async def test_a_node_says_its_version_with_its_proof_and_nothing_longer():
    async with over_flower({ONE: echo}) as harness:
        for council, software in ((TWO, "1.2.3rc4"), (THREE, "v" * 41)):
            harness.keys[council] = Ed25519PrivateKey.generate()
            harness.identities[council] = harness.keys[council].public_key().public_bytes_raw()
            harness.add(council, echo, software=software)
        await refused(harness, "at most 40 letters")
        await until(lambda: harness.link.connected() == {ONE, TWO})  # TWO's greeting may come after THREE's
        said = {str(fields["council"]): fields["software"] for name, fields in harness.events if name == "connected"}
        assert said == {ONE: "", TWO: "1.2.3rc4"}


@async_test
async def test_an_old_answer_does_not_pass_for_a_new_one():
    async with over_flower({ONE: echo}) as harness:
        honest = harness.nodes[ONE].app
        kept: list[RelayedReply] = []

        def replay(request: RelayedRequest, reply: RelayedReply) -> RelayedReply:
            if request.kind is RelayedKind.ASK:
                kept.append(reply)
                return kept[0]
            return reply

        harness.nodes[ONE].app = altered(honest, replay)
        assert await collect(harness.link, {ONE: b"same"}) == {ONE: b"re:same"}
        assert await collect(harness.link, {ONE: b"same"}, timeout_s=0.3) == {}
        await refused(harness, "did not prove")


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"other": ConfigRecord({"message": b"x"})}),
        RecordDict({"council-federation": ConfigRecord({"message": "text"})}),
        RecordDict({"council-federation": ConfigRecord({"message": b"x", "more": 1})}),
        wrapped(b"not a reply"),
    ],
    ids=["empty", "other record", "text", "two fields", "not ours"],
)
@async_test
async def test_what_is_no_reply_is_refused(content):
    async with over_flower({ONE: echo, TWO: echo}) as harness:
        harness.nodes[TWO].app = app_of(lambda message, _context: Message(content, reply_to=message))
        assert await collect(harness.link, {ONE: b"a", TWO: b"b"}, timeout_s=0.3) == {ONE: b"re:a"}
        assert harness.reasons("link_refused")


def from_node(node_id: int, act) -> Callable[[Message], None]:
    """What happens while Flower's grid reads a reply of that node."""
    return lambda reply: act() if reply.metadata.src_node_id == node_id else None


@async_test
async def test_a_reply_that_flower_cannot_read_costs_nobody_else_theirs():
    """Whoever runs a SuperNode decides the bytes; Flower's grid raises at them, and what it had read before is gone."""
    async with over_flower({ONE: echo, TWO: echo}) as harness:
        node_id = harness.nodes[TWO].node_id

        def spoilt() -> None:
            raise ValueError("no head in the object's content")

        harness.grid.reading = from_node(node_id, spoilt)
        assert await collect(harness.link, {ONE: b"a", TWO: b"b"}, timeout_s=1.0) == {ONE: b"re:a"}
        assert "its reply could not be read" in harness.reasons("disconnected")
        harness.grid.reading = from_node(node_id, lambda: None)
        await until(lambda: harness.link.connected() == {ONE, TWO})
        assert await collect(harness.link, {ONE: b"c", TWO: b"d"}) == {ONE: b"re:c", TWO: b"re:d"}


@async_test
async def test_replies_that_do_not_come_whole_hold_nobody_up():
    """A SuperNode names its reply first and sends the bytes after; Flower's grid waits for them, minutes if need be."""
    slow = councils(12)[1:]
    whole = threading.Event()
    with patch.multiple("coordinator.flower_link", NODES_AT_ONCE=2, PATIENCE_S=0.05):
        async with over_flower({ONE: echo, **dict.fromkeys(slow, echo)}) as harness:
            numbers = {harness.nodes[council].node_id for council in slow}

            def wait(reply: Message) -> None:
                if reply.metadata.src_node_id in numbers:
                    whole.wait(10)

            harness.grid.reading = wait
            try:
                exchange = asyncio.create_task(collect(harness.link, dict.fromkeys((ONE, *slow), b"a")))
                await asyncio.sleep(0.3)
                for number in range(5):
                    content = bytes([number])
                    assert await collect(harness.link, {ONE: content}, timeout_s=2.0) == {ONE: b"re:" + content}
            finally:
                whole.set()
            assert set(await exchange) == {ONE, *slow}


@async_test
async def test_a_node_that_errs_is_as_a_broken_line_and_asked_again():
    async with over_flower({ONE: echo}) as harness:
        honest = harness.nodes[ONE].app
        harness.nodes[ONE].app = app_of(lambda message, _context: Message(Error(8, "crashed"), reply_to=message))
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}))
        await until(lambda: bool(harness.reasons("disconnected")))
        assert harness.link.connected() == frozenset()
        harness.nodes[ONE].app = honest
        assert await exchange == {ONE: b"re:a"}


@async_test
async def test_a_node_that_goes_on_erring_is_asked_less_and_less():
    async with over_flower({ONE: echo}) as harness:
        asked = []

        def crash(message: Message, _context) -> Message:
            asked.append(message)
            return Message(Error(8, "crashed"), reply_to=message)

        harness.nodes[ONE].app = app_of(crash)
        await collect(harness.link, {ONE: b"a"}, timeout_s=2.0)
        assert 3 <= len(asked) <= 8  # every 0.05 seconds, it would be some 40


@async_test
async def test_what_a_node_lost_unanswered_is_asked_again_once_it_answers_what_came_later():
    """A SuperNode that is killed and started again at once never seems to be away."""
    async with over_flower({ONE: echo}, probe_s=0.1) as harness:
        node = harness.nodes[ONE]
        honest, lost = node.app, []

        def lose_one(message: Message, context) -> Message:
            if not lost and RelayedRequest.decode(unwrapped(message.content)).kind is RelayedKind.ASK:
                lost.append(message)
                node.connection += 1  # as if the process that held it had died
            return honest(message, context)

        node.app = app_of(lose_one)
        assert await collect(harness.link, {ONE: b"a"}) == {ONE: b"re:a"}
        assert lost


@async_test
async def test_the_councils_newer_node_takes_the_place_and_the_older_gets_it_back_when_that_one_goes():
    async with over_flower({ONE: lambda _request: b"older"}) as harness:
        older = harness.nodes[ONE]
        newer = harness.add(ONE, lambda _request: b"newer")
        await until(lambda: any("took this one's place" in reason for reason in harness.reasons("disconnected")))
        assert await collect(harness.link, {ONE: b"a"}) == {ONE: b"newer"}
        assert older.there
        harness.disconnect(ONE)
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}))
        assert await exchange == {ONE: b"older"}
        assert not newer.there


@async_test
async def test_of_three_nodes_of_a_council_the_newest_keeps_the_place():
    async with over_flower({ONE: lambda _request: b"first"}) as harness:
        harness.add(ONE, lambda _request: b"second")
        await until(lambda: len(harness.reasons("disconnected")) == 1)
        harness.add(ONE, lambda _request: b"third")
        await until(lambda: len(harness.reasons("disconnected")) == 2)
        await asyncio.sleep(0.5)
        assert len(harness.reasons("disconnected")) == 2
        assert await collect(harness.link, {ONE: b"a"}) == {ONE: b"third"}


@async_test
async def test_a_superlink_that_is_away_for_a_while_delays_and_loses_nothing():
    async with over_flower({ONE: echo}) as harness:
        harness.grid.broken = True
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}))
        await until(lambda: any(name == "flower_down" for name, _ in harness.events))
        await asyncio.sleep(0.1)
        harness.grid.broken = False
        assert await exchange == {ONE: b"re:a"}


@async_test
async def test_a_message_that_flower_does_not_take_is_offered_again():
    async with over_flower({ONE: echo}) as harness:
        harness.grid.takes_nothing = True
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}))
        await until(lambda: any("took no message" in reason for reason in harness.reasons("disconnected")))
        harness.grid.takes_nothing = False
        assert await exchange == {ONE: b"re:a"}


@async_test
async def test_no_more_than_a_few_messages_wait_at_flower_for_one_node():
    go = threading.Event()

    def slow(request: bytes) -> bytes:
        go.wait(10)
        return echo(request)

    async with over_flower({ONE: slow}) as harness:
        before = len(harness.grid.pushed)
        exchanges = [asyncio.create_task(collect(harness.link, {ONE: bytes([number])})) for number in range(20)]
        await until(lambda: len(harness.grid.pushed) >= before + 4)
        await asyncio.sleep(0.2)
        assert len(harness.grid.pushed) == before + 4
        go.set()
        replies = await asyncio.gather(*exchanges)
        assert replies == [{ONE: b"re:" + bytes([number])} for number in range(20)]


@async_test
async def test_an_exception_in_the_node_is_a_fault_without_its_words():
    def fail(_request: bytes) -> bytes:
        raise ValueError("household 42")

    async with over_flower({ONE: fail}) as harness:
        [content] = (await collect(harness.link, {ONE: b"a"})).values()
        assert LinkMessage.decode(content).kind is Kind.FAULT
        assert b"42" not in content
        told = [fields for name, fields in harness.node_events if name == "answer_failed"]
        assert told
        assert "42" not in str(told)


@async_test
async def test_a_node_answers_no_coordinator_but_its_own():
    async with over_flower({ONE: echo}) as harness:
        harness.keys[TWO] = Ed25519PrivateKey.generate()
        harness.identities[TWO] = harness.keys[TWO].public_key().public_bytes_raw()
        harness.add(TWO, echo, coordinator_id="another")
        await until(lambda: any(name == "request_refused" for name, _ in harness.node_events))
        await until(lambda: any(name == "flower_error" for name, _ in harness.events))
        assert harness.link.connected() == {ONE}


def test_a_message_with_more_than_one_record_is_not_read():
    content = wrapped(b"x")
    content["more"] = ConfigRecord({"a": 1})
    with pytest.raises(MalformedMessage):
        unwrapped(content)
