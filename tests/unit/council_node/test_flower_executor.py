"""The executor beside a SuperNode: the image's own app or nothing, and nothing of an exception's words."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity

from council_node.flower_app import app as bundled_app
from council_node.flower_executor import FOREIGN_BUNDLE, Executor
from federated.errors import FileProblem, TransportError
from federated.flower_runtime import FLOWER_SERIES, check_flower_version

PINNED = "aa" * 32


@pytest.fixture(autouse=True)
def _identity():
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1


@dataclass
class FakeTask:
    """What the SuperNode hands over; it keeps what it is given."""

    bundle: str = PINNED
    message: Message = field(default_factory=lambda: Message(RecordDict(), 1, "query"))
    context: Context = field(
        default_factory=lambda: Context(
            run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}, series_id=1
        )
    )
    replies: list[tuple[Message, bool, str]] = field(default_factory=list)

    def reply(self, message, *, completed, details=""):
        self.replies.append((message, completed, details))


class FakeRuntime:
    """Hands tasks over, one at a time; an exception among them is raised; at the end it has the executor stopped."""

    def __init__(self, *tasks) -> None:
        self.tasks = list(tasks)
        self.stop = threading.Event()

    @contextmanager
    def next_task(self):
        if not self.tasks:
            self.stop.set()
            yield None
            return
        task = self.tasks.pop(0)
        if isinstance(task, Exception):
            raise task
        yield task


def run(app, *tasks):
    """Have an executor work through the tasks; gives what it told."""
    told = []
    runtime = FakeRuntime(*tasks)
    executor = Executor(
        runtime=runtime,
        app=app,
        bundles=frozenset({PINNED}),
        on_event=lambda event, fields: told.append((event, dict(fields))),
        idle_s=0,
        away_s=0,
    )
    executor.run(runtime.stop)
    return told


def counting_app():
    asked = []
    app = ClientApp()

    @app.query()
    def query(message, _context):
        asked.append(message)
        return Message(RecordDict(), reply_to=message)

    return app, asked


def test_the_pinned_bundles_messages_are_answered_by_the_images_app():
    app, asked = counting_app()
    task = FakeTask()
    assert run(app, task) == []
    [(reply, completed, _)] = task.replies
    assert asked == [task.message]
    assert completed
    assert not reply.has_error()


def test_another_bundle_reaches_no_app_and_is_told_why():
    app, asked = counting_app()
    foreign, ours = FakeTask(bundle="bb" * 32), FakeTask()
    assert run(app, foreign, ours) == [("bundle_refused", {"bundle": "bb" * 32})]
    [(reply, completed, details)] = foreign.replies
    assert asked == [ours.message]
    assert not completed
    assert reply.error.code == FOREIGN_BUNDLE
    assert reply.error.reason == details
    assert "bb" * 8 in details


def test_an_exception_is_told_by_its_kind_and_place_alone_and_the_supernode_gets_a_reply():
    app = ClientApp()

    @app.query()
    def query(_message, _context):
        raise ValueError("household 42")

    task = FakeTask()
    [(event, fields)] = run(app, task)
    [(reply, completed, details)] = task.replies
    assert (event, fields["error"]) == ("answer_failed", "ValueError")
    assert not completed
    assert "42" not in f"{fields}{details}{reply.error.reason}"


def test_a_message_of_another_type_is_answered_with_an_error():
    app, asked = counting_app()
    task = FakeTask(message=Message(RecordDict(), 1, "train"))
    run(app, task)
    [(reply, completed, _)] = task.replies
    assert reply.has_error()
    assert not completed
    assert asked == []


def test_a_supernode_that_is_away_is_told_of_once_and_found_again():
    app, asked = counting_app()
    away = TransportError("Flower does not hand its messages over.")
    told = run(app, away, away, FakeTask(), away, FakeTask())
    assert [event for event, _ in told] == ["supernode_away", "supernode_back", "supernode_away", "supernode_back"]
    assert len(asked) == 2


def test_a_message_that_cannot_be_read_does_not_end_the_executor_and_its_rounds():
    """Flower decodes a message's bytes in our process, and its exceptions at bad ones are of any kind."""
    app, asked = counting_app()
    [(event, fields)] = run(app, IndexError("household 42"), FakeTask())
    assert (event, fields["error"]) == ("answer_failed", "IndexError")
    assert "42" not in str(fields)
    assert len(asked) == 1


def test_the_app_that_the_bundle_points_at_refuses_to_hold_a_round_in_a_process_for_one_message():
    task = FakeTask()
    reply = bundled_app(task.message, task.context)
    assert "council-node flower run" in reply.error.reason


def test_the_executor_runs_beside_its_own_flower_alone():
    check_flower_version()
    check_flower_version(f"{FLOWER_SERIES}7")
    for other in ("1.42.0", "1.40.9", "2.0"):
        with pytest.raises(FileProblem, match=other):
            check_flower_version(other)
