"""Tells the log what each request of the coordinator came to, and gives all its lines one number.

It stands between the link and the node and reads what passes, so the rules that answer need not speak of logs.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from structlog.contextvars import bound_contextvars

from council_node.event_log import Log
from federated.errors import FederatedError
from federated.signing import statement_type, unsafe_payload
from protocols.errors import MalformedMessage
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage

__all__ = ["journalled"]

Fields = Mapping[str, str | int]

ABOUT_A_PLAN: Final = frozenset({Kind.PROPOSAL})
OUTCOMES: Final[Mapping[tuple[Kind, Kind], str]] = {
    (Kind.PROPOSAL, Kind.DECISION): "question_decided",
    (Kind.INVITE, Kind.ADVERT): "round_joined",
    (Kind.INVITE, Kind.REFUSAL): "round_refused",
    (Kind.SHARES, Kind.MASKED_INPUT): "masked_input_sent",
    (Kind.RELEASE, Kind.RECEIPT): "answer_received",
    (Kind.ABORT, Kind.RECEIPT): "round_abandoned",
    (Kind.BUDGET_REQUEST, Kind.BUDGET_STATEMENT): "budget_told",
}
"""The event for each pair of request and reply that is worth a line."""
OUTCOMES_OF_HOLDERS: Final[Mapping[tuple[Kind, Kind], str]] = {
    (Kind.HOLD, Kind.HELD): "round_held",
    (Kind.HOLD, Kind.REFUSAL): "hold_refused",
    (Kind.OPEN, Kind.OPENED): "sum_opened",
    (Kind.ABORT, Kind.RECEIPT): "round_let_go",
}
"""The same, of a mask holder."""
SIGNED_AS: Final[Mapping[Kind, str]] = {
    Kind.DECISION: "decision",
    Kind.REFUSAL: "refusal",
    Kind.COMPLAINT: "complaint",
}


def journalled(
    answer: Callable[[bytes], bytes],
    log: Log,
    *,
    ledger_entry: Callable[[], int] = lambda: 0,
    outcomes: Mapping[tuple[Kind, Kind], str] = OUTCOMES,
) -> Callable[[bytes], bytes]:
    """The same answers, each with its line in the log.

    Args:
        answer: The party's; run by one thread.
        log: Where lines go.
        ledger_entry: Number of the ledger's last entry, where there is a ledger.
        outcomes: What the party's lines are called.
    """
    asked = 0

    def journal(request: bytes) -> bytes:
        nonlocal asked
        asked += 1
        message = _read(request)
        with bound_contextvars(request=asked, **_about(message)):
            reply = answer(request)
            _tell(message, _read(reply), len(reply), log, ledger_entry=ledger_entry, outcomes=outcomes)
        return reply

    return journal


def _read(content: bytes) -> LinkMessage | None:
    try:
        return LinkMessage.decode(content)
    except MalformedMessage:
        return None


def _about(message: LinkMessage | None) -> dict[str, str]:
    """Which question or which round: the same words on every line about it, here and at the coordinator."""
    if message is None or message.reference == NO_REFERENCE:
        return {}
    return {"plan" if message.kind in ABOUT_A_PLAN else "sid": message.reference.hex()}


def _tell(
    request: LinkMessage | None,
    reply: LinkMessage | None,
    size: int,
    log: Log,
    *,
    ledger_entry: Callable[[], int],
    outcomes: Mapping[tuple[Kind, Kind], str],
) -> None:
    if reply is None:
        return
    event = _event(request, reply, outcomes)
    fields: dict[str, str | int] = {}
    match event:
        case "round_joined" if request is not None:
            fields = {"plan": _word(request.payload, "plan_digest")}
        case "question_decided" | "round_refused" | "hold_refused" | "round_failed":
            fields = {name: _signed(reply, name) for name in ("decision", "rule")}
        case "masked_input_sent":
            fields = {"bytes": size, "ledger_entry": ledger_entry()}
        case "sum_opened":
            fields = {"bytes": size}
        case "answer_received" if request is not None:
            fields = {"bytes": len(request.payload)}
        case "request_refused":
            fields = {"code": _word(reply.payload, "code"), "reason": _word(reply.payload, "message")}
        case _:
            pass
    if event:
        log(event, {name: value for name, value in fields.items() if value != ""})


def _event(request: LinkMessage | None, reply: LinkMessage, outcomes: Mapping[tuple[Kind, Kind], str]) -> str:
    if reply.kind is Kind.FAULT:
        return "request_refused"
    if reply.kind is Kind.COMPLAINT:
        return "round_failed"
    return "" if request is None else outcomes.get((request.kind, reply.kind), "")


def _signed(reply: LinkMessage, name: str) -> str:
    """One word of a statement that this node has just signed."""
    try:
        return _word(unsafe_payload(reply.payload, statement_type(SIGNED_AS[reply.kind])), name)
    except FederatedError:
        return ""


def _word(content: bytes, name: str) -> str:
    try:
        return str(json.loads(content).get(name, ""))
    except (ValueError, AttributeError):
        return ""
