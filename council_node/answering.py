"""Bytes of a request in, bytes of the reply out: the same shell around the rules of every party on the link.

A party answers one request at a time, whoever calls. What it will not or cannot serve is answered with a fault of one
plain sentence, and what is wrong with a file of its own is said in its own log alone.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Final

from council_node.event_log import Log
from federated.errors import FederatedError, FileProblem
from protocols.errors import MalformedMessage
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage, fault

__all__ = ["Answering", "Serve"]

Serve = Callable[[LinkMessage], LinkMessage]
"""Serves requests of one kind."""

FILES_OF_THE_COORDINATOR: Final = frozenset({Kind.ROSTER, Kind.RELEASE})
"""Requests that bring a file: what is wrong with it is for the coordinator to mend."""


class Answering:
    """One party's answers.

    Args:
        party: What it is, in sentences: "a node".
        answers: By kind of request.
        own_fault: What the coordinator is told where a file of this party is at fault.
        log: Told what that was.
    """

    def __init__(self, party: str, answers: Mapping[Kind, Serve], *, own_fault: str, log: Log) -> None:
        self._party = party
        self._answers = answers
        self._own_fault = own_fault
        self._log = log
        self.turn = threading.Lock()

    def answer(self, request: bytes) -> bytes:
        """Answer one request of the coordinator, one at a time, whoever calls.

        Returns:
            An encoded `LinkMessage`; of kind FAULT, with one plain sentence, when the request cannot be served.
        """
        try:
            message = LinkMessage.decode(request)
        except MalformedMessage as error:
            return fault(NO_REFERENCE, "malformed", str(error)).encode()
        with self.turn:
            return self._answer(message)

    def _answer(self, message: LinkMessage) -> bytes:
        try:
            return self._serve(message).encode()
        except FileProblem as problem:
            return self._file_fault(message, problem).encode()
        except FederatedError as error:
            return fault(message.reference, error.code, error.diagnostics()).encode()
        except MalformedMessage as error:
            return fault(message.reference, "malformed", str(error)).encode()

    def _serve(self, message: LinkMessage) -> LinkMessage:
        serve = self._answers.get(message.kind)
        if serve is None:
            raise MalformedMessage(f"{self._party} does not answer requests of kind {message.kind.name}")
        return serve(message)

    def _file_fault(self, message: LinkMessage, problem: FileProblem) -> LinkMessage:
        said = problem.diagnostics()
        if message.kind not in FILES_OF_THE_COORDINATOR:
            # It names a file or folder of this party, and perhaps what stands in its policy or mapping.
            self._log("request_failed", {"kind": message.kind.name, "reason": said})
            said = self._own_fault
        return fault(message.reference, problem.code, said)
