"""A question that a council suggests: its own words on why, and the question in the form of every question.

It is one signed statement, as the papers of `federated.papers` are. It asks nobody anything and costs nothing: an
analyst of the agreement takes it up as a draft, or does not, and whatever comes of that is asked in the usual way.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from federated.errors import FederatedError, SignatureProblem
from federated.keys import SigningKey, trusted_keys
from federated.papers import LINE_LIMIT, TEXT_LIMIT, PaperKind, plain_text
from federated.query import Query, parse_query, write_query
from federated.signing import open_statement, sign_statement
from federated.timestamps import parse_time, time_text
from protocols.encoding import Json
from protocols.identifiers import CouncilId

__all__ = ["QUESTION_LIMIT", "Suggestion", "open_suggestion", "sign_suggestion"]

QUESTION_LIMIT: Final = 20_000
"""Characters of a question that can be suggested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a council suggests asking.

    Attributes:
        agreement: Id of the agreement under which it could be asked.
        question: The question.
        reason: Why the council would like to know, in some sentences.
        publish: Whether everybody may see it; otherwise the parties of the agreement alone.
        at: UTC.
    """

    council: CouncilId
    agreement: str
    question: Query
    reason: str = field(repr=False)
    publish: bool
    at: datetime

    def canonical(self) -> dict[str, Json]:
        """As it is signed.

        Raises:
            QueryError: A text of it is too long, or steers its reader.
        """
        plain_text(self.question.title, LINE_LIMIT)
        return {
            "version": 1,
            "council": self.council,
            "agreement": self.agreement,
            "question": plain_text(write_query(self.question), QUESTION_LIMIT, lines=True),
            "reason": plain_text(self.reason, TEXT_LIMIT, lines=True),
            "publish": self.publish,
            "at": time_text(self.at),
        }


def sign_suggestion(suggestion: Suggestion, key: SigningKey) -> bytes:
    """A suggestion, signed with the identity key of the council's node.

    Raises:
        QueryError: A text of it cannot be used.
    """
    return sign_statement(PaperKind.SUGGESTION, suggestion.canonical(), key)


def open_suggestion(envelope: bytes, *, council: CouncilId, public_key: bytes) -> Suggestion:
    """Check a suggestion: (0) who signed it, (1) that it says what this software would write of it, and no more.

    Args:
        envelope: The signed file.
        council: Whose it must be.
        public_key: That council's, from the roster.

    Raises:
        SignatureProblem: Either does not hold.
    """
    body = open_statement(PaperKind.SUGGESTION, envelope, trusted_keys(public_key))  # (0)
    try:
        plain_text(body["question"], QUESTION_LIMIT, lines=True)  # before it is read
        found = Suggestion(
            council=council,
            agreement=str(body["agreement"]),
            question=parse_query(body["question"].encode()),
            reason=body["reason"],
            publish=body["publish"] is True,
            at=parse_time(body["at"]),
        )
        same = found.canonical() == body  # (1)
    except (ValueError, KeyError, TypeError, AttributeError, FederatedError) as error:
        raise SignatureProblem(
            "The signed suggestion cannot be used.",
            remedy="The two sides may run different versions: update the older one.",
        ) from error
    if not same:
        raise SignatureProblem("The suggestion names another council, or is not written as this software writes one.")
    return found
