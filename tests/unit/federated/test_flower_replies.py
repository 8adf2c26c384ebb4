"""A node's message to the server that answers nothing: played on Flower's own server side, in memory."""

import threading
import time
from contextlib import suppress

import pytest
from flwr.app import Message, Metadata
from flwr.app.message import make_message, remove_content_from_message
from flwr.common.constant import NOOP_FLWR_AID, SUPERLINK_NODE_ID
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PullMessagesRequest, PushMessagesRequest
from flwr.proto.message_pb2 import PushObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.server.superlink.linkstate.linkstate_factory import LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID, TaskType
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation.noop_federation_manager import NoOpFederationManager
from flwr.superlink.grid import HttpGrid
from flwr.superlink.servicer.fleet import fleet_handlers
from flwr.superlink.servicer.runtime import runtime_handlers

from federated.flower_record import MESSAGE_TYPE, unwrapped, wrapped
from federated.flower_runtime import RepliesGrid


class SuperLink:
    """Flower's state and request handlers, with a run and two nodes; also the client of its Runtime API."""

    def __init__(self) -> None:
        factory = LinkStateFactory(
            FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory(FLWR_IN_MEMORY_DB_NAME)
        )
        self.state = factory.state()
        self.honest, self.other = (self.state.create_node(NOOP_FLWR_AID, "", key, 60) for key in (b"a", b"b"))
        for node in (self.honest, self.other):
            self.state.activate_node(node, 60)
        run = ("p/app", "1.0.0", "h" * 64, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP)
        self.run_id = self.state.create_run(*run)
        [self.task] = self.state.get_tasks(run_ids=[self.run_id])
        self.state.claim_task(self.task.task_id)
        self.state.activate_task(self.task.task_id)
        self.stopped = False

    def message(self, source: int, destination: int, content: bytes, *, reply_to: str = "") -> Message:
        metadata = Metadata(
            run_id=self.run_id,
            message_id="",
            src_node_id=source,
            dst_node_id=destination,
            reply_to_message_id=reply_to,
            group_id="",
            created_at=time.time(),
            ttl=60.0,
            message_type=MESSAGE_TYPE,
        )
        message = make_message(metadata=metadata, content=wrapped(content))
        message.metadata.__dict__["_message_id"] = message.object_id
        return message

    def send(self, node: int, message: Message, *, whole: bool = True) -> str:
        """What a SuperNode does; one that is not whole never sends its bytes."""
        request = PushMessagesRequest(
            node=Node(node_id=node),
            messages_list=[message_to_proto(remove_content_from_message(message))],
            message_object_trees=[get_object_tree(message)],
        )
        answer = fleet_handlers.push_messages(request, self.state)
        for object_id, item in get_all_nested_objects(message).items() if whole else ():
            content = PushObjectRequest(
                node=Node(node_id=node),
                run_id=self.run_id,
                session_id=answer.session_id,
                object_id=object_id,
                object_content=item.deflate(),
            )
            fleet_handlers.push_object(content, self.state)
        return message.object_id

    def __getattr__(self, name: str):
        handler = {
            "PullMessages": runtime_handlers.pull_messages,
            "PullObject": runtime_handlers.pull_object,
            "ConfirmMessageReceived": runtime_handlers.confirm_message_received,
        }[name]

        def call(request):
            if self.stopped:
                raise ConnectionError
            return handler(request, self.state, self.task)

        return call


def pulled(superlink: SuperLink, kind: type[HttpGrid], asked: str) -> list[bytes] | None:
    """What the grid gives for a message that was asked; None if it still waits after a second."""
    grid = kind(token="t")
    grid._client = superlink
    grid._run = type("Run", (), {"run_id": superlink.run_id})()
    found: list[list[bytes]] = []

    def pull() -> None:
        with suppress(ConnectionError):
            found.append([unwrapped(message.content) for message in grid.pull_messages([asked])])

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    thread.join(1.0)
    waits = thread.is_alive()
    superlink.stopped = True
    thread.join(10.0)
    return None if waits else found[0]


@pytest.mark.parametrize(("kind", "expected"), [(RepliesGrid, [b"reply"]), (HttpGrid, None)])
def test_a_message_that_answers_nothing_is_not_waited_for_with_the_replies(kind, expected):
    superlink = SuperLink()
    asked = superlink.send(superlink.honest, superlink.message(SUPERLINK_NODE_ID, superlink.honest, b"ask"))
    superlink.send(superlink.honest, superlink.message(superlink.honest, SUPERLINK_NODE_ID, b"reply", reply_to=asked))
    unasked = superlink.message(SUPERLINK_NODE_ID, SUPERLINK_NODE_ID, b"unasked")
    superlink.send(superlink.other, unasked, whole=False)
    assert pulled(superlink, kind, asked) == expected


def test_flower_lets_one_node_address_another_as_if_it_were_the_server():
    """Why a node of ours asks for a ticket. If this fails, Flower has mended it."""
    superlink = SuperLink()
    superlink.send(superlink.other, superlink.message(SUPERLINK_NODE_ID, superlink.honest, b"from another node"))
    request = PullMessagesRequest(node=Node(node_id=superlink.honest))
    [came] = fleet_handlers.pull_messages(request, superlink.state, superlink.state.object_store).messages_list
    assert came.metadata.src_node_id == SUPERLINK_NODE_ID
