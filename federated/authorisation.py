"""Who asks: each request of an analyst or reviewer carries a signed statement about exactly that request.

Both sides are here so that they cannot drift apart: the client signs, the coordinator checks. A statement is
good for one method of one coordinator, one request body and a few minutes, so a recorded one is of little use;
everything that costs budget is protected by the plan's own signature in the councils as well.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from google.protobuf.message import Message

from federated.errors import SignatureProblem
from federated.keys import SigningKey
from federated.signing import open_statement, sign_statement
from federated.timestamps import parse_time, time_text
from protocols.encoding import Json, sha256

__all__ = ["authorise", "check_authorisation"]

KIND: Final = "analyst-request"
GOOD_FOR: Final = timedelta(minutes=5)


def _request_digest(request: Message) -> str:
    """SHA-256 of the request's other fields."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("authorisation")
    return sha256(bare.SerializeToString(deterministic=True)).hex()


def authorise(request: Message, *, method: str, coordinator: str, key: SigningKey, now: datetime) -> bytes:
    """The `authorisation` of a request. Run by the analyst's client.

    Args:
        request: The request, complete but for this field.
        method: Name of the service's method, for example ``Submit``.
        coordinator: Id of the coordinator it is meant for.
        key: The analyst's or reviewer's key.
        now: Time of asking, UTC.
    """
    statement: dict[str, Json] = {
        "version": 1,
        "method": method,
        "coordinator": coordinator,
        "at": time_text(now),
        "request_sha256": _request_digest(request),
        "signer": key.keyid,
    }
    return sign_statement(KIND, statement, key)


def check_authorisation(
    request: Message, *, method: str, coordinator: str, trusted: Mapping[str, bytes], now: datetime
) -> str:
    """Check who asks. Run by the coordinator before it reads anything else of the request.

    Args:
        request: The request as received, with its `authorisation`.
        method: The method called.
        coordinator: Our own id.
        trusted: Key id → public key of every analyst and reviewer.
        now: Our time, UTC.

    Returns:
        Key id of the signer.

    Raises:
        SignatureProblem: Not signed, not by a trusted key, for something else, or too old.
    """
    signed: bytes = request.authorisation  # type: ignore[attr-defined]  # every request of the service has it
    signer = str(open_statement(KIND, signed, trusted).get("signer"))
    # Opened again by the named key alone: one analyst cannot ask in another's name.
    statement = open_statement(KIND, signed, {name: key for name, key in trusted.items() if name == signer})
    expected = {"method": method, "coordinator": coordinator, "request_sha256": _request_digest(request)}
    for name, value in expected.items():
        if statement.get(name) != value:
            raise SignatureProblem(f"The request's authorisation is for another {name.replace('_', ' ')}.")
    if abs(now - parse_time(str(statement.get("at")))) > GOOD_FOR:
        raise SignatureProblem(
            "The request's authorisation is more than five minutes from this server's time.",
            remedy="Check the clock of the computer you ask from.",
        )
    return signer
