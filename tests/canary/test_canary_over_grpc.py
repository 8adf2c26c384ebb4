"""The same over the real link: gRPC on loopback TLS, with the recorder where `coordinator serve` has room for one."""

import asyncio

from coordinator.simulate import build_world
from coordinator.simulation_hub import Hub
from tests.canary.federation import CANARY, PLACES, extracts, many_cells, poison, scenario, sweep_folders
from tests.canary.harness import Sweep
from tests.integration.link_harness import over_grpc

WAYS = {"link, sent", "link, received", "link, frame"}


def ask_over_grpc(folder, sweep, *, meddle=lambda nodes: nodes):
    question = many_cells()
    with build_world(scenario(question), folder, node_log=sweep.node_log) as world:
        for path in extracts(world).values():
            poison(path)

        async def ask():
            async with (
                over_grpc(meddle(world.nodes), record=sweep.record) as harness,
                Hub(world, harness.link, note=sweep.note) as hub,
            ):
                answered = await hub.ask(question)
                await hub.settle()
                for event, fields in [*harness.events, *(e for node in harness.nodes.values() for e in node.events)]:
                    sweep.note(event, fields)
                return answered

        answered = asyncio.run(ask())
        sweep.add("answers", question.title, answered.release.encode())
        assert answered.release.contributed == len(world.councils)
    sweep_folders(folder, sweep)


def test_no_canary_in_any_message_or_frame(tmp_path):
    sweep = Sweep()
    ask_over_grpc(tmp_path, sweep)
    sweep.assert_clean(CANARY, expected=WAYS | PLACES | {"answers", "coordinator's log"})


def test_bytes_added_to_a_reply_are_seen_in_message_and_frame(tmp_path):
    """Positive control: a node that appends case text to the reply to something nobody waits for."""
    sweep = Sweep()

    def meddle(nodes):
        council = min(nodes)
        told = iter([CANARY.encode()])
        # The reply to the delivered release is thrown away unread when it is damaged: only the recorder sees it.
        return {
            **nodes,
            council: lambda request: nodes[council](request) + (next(told, b"") if is_release(request) else b""),
        }

    ask_over_grpc(tmp_path, sweep, meddle=meddle)
    assert sweep.found_in(CANARY) == {"link, received", "link, frame"}


def is_release(request):
    from protocols.wire.link_message import Kind, LinkMessage

    return LinkMessage.decode(request).kind is Kind.RELEASE
