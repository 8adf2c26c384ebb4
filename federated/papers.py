"""Signed papers about questions and answers: a council's comment, a note of what changed, minutes of the board.

Each is one signed statement. Whoever carries it can neither alter it nor write one in another's name: a comment is
signed by the council's node, a note by an analyst, minutes by a quorum of the reviewers. The text is a stranger's: it
is bounded here, holds no control characters, and is shown escaped.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from federated.agreement import Agreement
from federated.errors import QueryError, SignatureProblem
from federated.keys import SigningKey, trusted_keys
from federated.signing import Opened, open_envelope, open_statement, sign_statement, statement_type, unsafe_payload
from federated.timestamps import parse_day, parse_time, time_text
from protocols.encoding import Json, sha256
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest

__all__ = [
    "TEXT_LIMIT",
    "Comment",
    "Minutes",
    "OutcomeNote",
    "PaperKind",
    "Ruling",
    "open_comment",
    "open_minutes",
    "open_outcome",
    "paper_digest",
    "plain_text",
    "quorum",
    "sign_comment",
    "sign_minutes",
    "sign_outcome",
    "unsafe_claims",
    "unsafe_minutes",
]

TEXT_LIMIT: Final = 4000
"""Characters of a comment, a note, or a reason."""
LINE_LIMIT: Final = 200
MOST_RULINGS: Final = 100
MOST_PRESENT: Final = 50
MOST_MINUTES: Final = 100_000
"""Staff minutes that a comment may state: about a year of one person."""
_FORM: Final = {"version"}
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that print nothing, or turn round what stands beside them."""


class PaperKind(StrEnum):
    """What a paper is."""

    COMMENT = "comment"
    """A council's, on an answer it contributed to."""
    OUTCOME = "outcome"
    """An analyst's note of what changed as a result of an answer."""
    MINUTES = "minutes"
    """Of a meeting of the reviewers of an agreement."""
    SERIES = "series"
    """A question that is asked again on a schedule; see `federated.series`."""
    SUGGESTION = "suggestion"
    """A question that a council suggests; see `federated.suggestion`."""


REMARKS: Final = frozenset({PaperKind.COMMENT, PaperKind.OUTCOME})
"""What is said of an answer: for those who may see its figures, which it can quote, and deleted with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What a council says of an answer it contributed to.

    Attributes:
        publish: Whether it may stand beside the answer for everybody; otherwise the parties alone see it.
        staff_minutes: Working time that the question took the council, if it says so.
        at: UTC.
    """

    council: CouncilId
    release: Digest
    text: str = field(repr=False)
    publish: bool
    staff_minutes: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeNote:
    """What changed as a result of an answer."""

    agreement: str
    release: Digest
    text: str = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a meeting decided about one thing.

    Attributes:
        plan: The question's plan, if it is about one.
        about: In a line.
        decision: In a line.
        reason: In some sentences.
    """

    plan: Digest | None
    about: str
    decision: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """What a meeting of the reviewers decided, and who was there.

    Attributes:
        signers: Key ids of the reviewers who signed; enough for a quorum.
    """

    agreement: str
    held_on: date
    present: tuple[str, ...]
    rulings: tuple[Ruling, ...]
    signers: tuple[str, ...] = ()


# Signing


def sign_comment(comment: Comment, key: SigningKey) -> bytes:
    """A council's comment, signed with the identity key of its node.

    Raises:
        QueryError: The text cannot be used.
    """
    body: dict[str, Json] = {
        "version": 1,
        "council": comment.council,
        "release": comment.release.hex(),
        "text": plain_text(comment.text, TEXT_LIMIT, lines=True),
        "publish": comment.publish,
        "staff_minutes": _minutes(comment.staff_minutes),
        "at": time_text(comment.at),
    }
    return sign_statement(PaperKind.COMMENT, body, key)


def sign_outcome(note: OutcomeNote, key: SigningKey) -> bytes:
    """An analyst's note of what changed.

    Raises:
        QueryError: The text cannot be used.
    """
    body: dict[str, Json] = {
        "version": 1,
        "agreement": note.agreement,
        "release": note.release.hex(),
        "text": plain_text(note.text, TEXT_LIMIT, lines=True),
        "at": time_text(note.at),
    }
    return sign_statement(PaperKind.OUTCOME, body, key)


def sign_minutes(minutes: Minutes, key: SigningKey) -> bytes:
    """Minutes with the first signature; others add theirs with `federated.signing.add_signature`.

    Raises:
        QueryError: A text cannot be used, or there are too many.
    """
    rulings: list[Json] = [
        {
            "plan": None if ruling.plan is None else ruling.plan.hex(),
            "about": plain_text(ruling.about, LINE_LIMIT),
            "decision": plain_text(ruling.decision, LINE_LIMIT),
            "reason": plain_text(ruling.reason, TEXT_LIMIT, lines=True),
        }
        for ruling in _few(minutes.rulings, MOST_RULINGS)
    ]
    present: list[Json] = [plain_text(name, LINE_LIMIT) for name in _few(minutes.present, MOST_PRESENT)]
    body: dict[str, Json] = {
        "version": 1,
        "agreement": minutes.agreement,
        "held_on": minutes.held_on.isoformat(),
        "present": present,
        "rulings": rulings,
    }
    return sign_statement(PaperKind.MINUTES, body, key)


# Opening


def open_comment(envelope: bytes, *, council: CouncilId, public_key: bytes) -> Comment:
    """Check a comment.

    Args:
        envelope: The signed file.
        council: Whose it must be.
        public_key: That council's, from the roster.

    Raises:
        SignatureProblem: Not signed by that council's node, or not a comment.
    """
    body = open_statement(PaperKind.COMMENT, envelope, trusted_keys(public_key))
    with _Reading(PaperKind.COMMENT, body, {"council", "release", "text", "publish", "staff_minutes", "at"}):
        if body["council"] != council or not isinstance(body["publish"], bool):
            raise ValueError
        return Comment(
            council=council,
            release=_digest(body["release"]),
            text=_same(plain_text(body["text"], TEXT_LIMIT, lines=True), body["text"]),
            publish=body["publish"],
            staff_minutes=_minutes(body["staff_minutes"]),
            at=parse_time(body["at"]),
        )


def open_outcome(envelope: bytes, agreement: Agreement) -> OutcomeNote:
    """Check a note of what changed.

    Raises:
        SignatureProblem: Not signed by an analyst of the agreement, or not such a note.
    """
    body = open_statement(PaperKind.OUTCOME, envelope, agreement.analyst_keys)
    with _Reading(PaperKind.OUTCOME, body, {"agreement", "release", "text", "at"}):
        if body["agreement"] != agreement.id:
            raise ValueError
        return OutcomeNote(
            agreement=agreement.id,
            release=_digest(body["release"]),
            text=_same(plain_text(body["text"], TEXT_LIMIT, lines=True), body["text"]),
            at=parse_time(body["at"]),
        )


def quorum(agreement: Agreement) -> int:
    """How many reviewers must sign minutes: more than half of them."""
    return len(agreement.reviewers) // 2 + 1


def unsafe_minutes(envelope: bytes) -> Minutes:
    """Minutes, signatures unchecked: only to show a person what they are asked to sign.

    Raises:
        SignatureProblem: They are no minutes.
    """
    body = unsafe_claims(envelope, PaperKind.MINUTES)
    return _read_minutes(body, str(body.get("agreement")), ())


def open_minutes(envelope: bytes, agreement: Agreement) -> Minutes:
    """Check minutes.

    Raises:
        SignatureProblem: Fewer than a quorum of the agreement's reviewers signed, or they are no minutes.
    """
    keys = agreement.reviewer_keys
    opened: Opened = open_envelope(envelope, statement_type(PaperKind.MINUTES), keys, quorum(agreement))
    return _read_minutes(open_statement(PaperKind.MINUTES, envelope, keys), agreement.id, opened.signers)


def _read_minutes(body: Mapping[str, Any], agreement: str, signers: tuple[str, ...]) -> Minutes:
    with _Reading(PaperKind.MINUTES, body, {"agreement", "held_on", "present", "rulings"}):
        if body["agreement"] != agreement:
            raise ValueError
        return Minutes(
            agreement=agreement,
            held_on=parse_day(body["held_on"]),
            present=tuple(_same(plain_text(name, LINE_LIMIT), name) for name in _few(body["present"], MOST_PRESENT)),
            rulings=tuple(map(_ruling, _few(body["rulings"], MOST_RULINGS))),
            signers=signers,
        )


def _ruling(item: Any) -> Ruling:
    if item.keys() != {"plan", "about", "decision", "reason"}:
        raise ValueError
    return Ruling(
        plan=None if item["plan"] is None else _digest(item["plan"]),
        about=_same(plain_text(item["about"], LINE_LIMIT), item["about"]),
        decision=_same(plain_text(item["decision"], LINE_LIMIT), item["decision"]),
        reason=_same(plain_text(item["reason"], TEXT_LIMIT, lines=True), item["reason"]),
    )


def paper_digest(envelope: bytes, kind: PaperKind) -> Digest:
    """SHA-256 of what was signed: the same whoever has signed, and how often."""
    return sha256(unsafe_payload(envelope, statement_type(kind)))


def unsafe_claims(envelope: bytes, kind: PaperKind) -> Mapping[str, Any]:
    """What a paper says of itself, signatures unchecked: only to know whose signature to look for.

    Raises:
        SignatureProblem: Not a paper of this kind.
    """
    try:
        found = json.loads(unsafe_payload(envelope, statement_type(kind)))
    except (ValueError, RecursionError) as error:
        raise SignatureProblem(f"The signed {kind} cannot be read.") from error
    if not isinstance(found, dict):
        raise SignatureProblem(f"The signed {kind} cannot be read.")
    return found


class _Reading:
    """Whatever is wrong with a body that was signed is one sentence."""

    def __init__(self, kind: PaperKind, body: Mapping[str, Any], fields: set[str]) -> None:
        self._kind = kind
        self._known = body.keys() == fields | _FORM

    def __enter__(self) -> None:
        if not self._known:
            self._refuse(None)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError | QueryError):
            self._refuse(error)

    def _refuse(self, error: BaseException | None) -> None:
        raise SignatureProblem(
            f"The signed {self._kind} is not written as this software writes one.",
            remedy="The two sides run different versions: update the older one.",
        ) from error


def plain_text(text: Any, most: int, *, lines: bool = False) -> str:
    """A stranger's text as it may be signed and shown: bounded, and nothing in it that steers its reader.

    Args:
        text: As given.
        most: Characters that it may have.
        lines: Whether it may have several lines.

    Raises:
        QueryError: It is none.
    """
    if not isinstance(text, str):
        raise QueryError("A text was expected.")
    plain = "\n".join(line.rstrip() for line in text.strip().splitlines()) if lines else text.strip()
    if not 0 < len(plain) <= most:
        raise QueryError(f"The text has {len(plain)} characters; 1 to {most} are possible.", remedy="Write less.")
    if any(unicodedata.category(letter) in _STEERING and not (lines and letter == "\n") for letter in plain):
        raise QueryError("The text holds a control character.", remedy="Write it as plain text.")
    return plain


def _same(plain: str, given: str) -> str:
    if plain != given:
        raise ValueError
    return plain


def _few(items: Any, most: int) -> Any:
    if not isinstance(items, list | tuple) or not 0 < len(items) <= most:
        raise QueryError(f"Between 1 and {most} entries are possible.", remedy="Write several papers.")
    return items


def _minutes(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value <= MOST_MINUTES):
        raise QueryError(f"Staff minutes are a whole number from 0 to {MOST_MINUTES:,}.")
    return value


def _digest(text: Any) -> Digest:
    found = bytes.fromhex(text)
    if len(found) != DIGEST_SIZE or found.hex() != text:
        raise ValueError
    return Digest(found)
