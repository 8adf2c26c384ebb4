"""Runs the app in this image for a stock SuperNode, and nothing that is sent to it.

A stock SuperNode (`flower-supernode`) is sent a bundle of code by the centre and has it executed. With
``--isolation process`` it leaves that to another process. This is that process: it takes the SuperNode's messages,
answers them with the node that is part of the image, and never opens, installs or imports a bundle. A run whose bundle
is not the pinned one is refused besides, so that a run of another app ends with a reason instead of a puzzle.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flwr.app import Error, Message
from flwr.clientapp import ClientApp

from federated.errors import FederatedError
from federated.flower_runtime import Runtime, Task
from federated.shell import place_of

__all__ = ["FOREIGN_BUNDLE", "Executor"]

FOREIGN_BUNDLE: Final = 7
"""Flower's code for a bundle that a node does not accept."""

OnEvent = Callable[[str, Mapping[str, str | int]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Answers one SuperNode's messages with one app.

    Attributes:
        runtime: Where the SuperNode hands its messages over.
        app: The app in this image.
        bundles: SHA-256 of the bundles whose runs are answered, in hexadecimal.
        on_event: Told what happened; never a payload.
        idle_s: Seconds between looks for a message.
        away_s: Seconds to wait when the SuperNode is away.
    """

    runtime: Runtime
    app: ClientApp
    bundles: frozenset[str]
    on_event: OnEvent = field(repr=False)
    idle_s: float = 0.1
    away_s: float = 2.0

    def run(self, stop: threading.Event) -> None:
        """Answer until told to stop; the answer under way is finished."""
        away = False
        while not stop.is_set():
            try:
                worked = self._turn()
            except FederatedError as problem:
                if not away:
                    self.on_event("supernode_away", {"reason": problem.diagnostics()})
                away = True
                stop.wait(self.away_s)
                continue
            except Exception as problem:  # noqa: BLE001 - the outermost loop: Flower decodes what the centre sent, or fails
                # The task is left to run out: only then does a SuperNode answer in our place and take its next message.
                self._tell_failure(problem)
                stop.wait(self.away_s)
                continue
            if away:
                self.on_event("supernode_back", {})
            away = False
            if not worked:
                stop.wait(self.idle_s)

    def _turn(self) -> bool:
        with self.runtime.next_task() as task:
            if task is None:
                return False
            if task.bundle in self.bundles:
                self._answer(task)
            else:
                self._refuse(task)
            return True

    def _answer(self, task: Task) -> None:
        try:
            reply = self.app(task.message, task.context)
        except Exception as problem:  # noqa: BLE001 - the outermost loop; the text could hold anything and stays here
            self._tell_failure(problem)
            sentence = "this node does not answer messages of that kind"
            task.reply(Message(Error(0, sentence), reply_to=task.message), completed=False, details=sentence)
            return
        task.reply(reply, completed=True)

    def _refuse(self, task: Task) -> None:
        self.on_event("bundle_refused", {"bundle": task.bundle})
        sentence = f"this council's node runs only the app in its own image; bundle {task.bundle[:16]} is another"
        task.reply(Message(Error(FOREIGN_BUNDLE, sentence), reply_to=task.message), completed=False, details=sentence)

    def _tell_failure(self, problem: Exception) -> None:
        self.on_event("answer_failed", {"error": type(problem).__name__, "place": place_of(problem)})
