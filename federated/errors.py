"""Every failure a person can meet, each with a plain sentence, a code and an exit status.

A message says what was found, what was expected and what to do; it never holds a case value.
"""

from enum import IntEnum
from typing import ClassVar

__all__ = [
    "BudgetExceeded",
    "CohortTooSmall",
    "ExitStatus",
    "FederatedError",
    "FileProblem",
    "InternalError",
    "PolicyRefusal",
    "QueryError",
    "RoundAborted",
    "SignatureProblem",
    "TransportError",
]


class ExitStatus(IntEnum):
    """Exit status of the four commands by kind of failure."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT = 3
    REFUSED = 4
    BUDGET = 5
    COHORT = 6
    ROUND = 7
    TRANSPORT = 8
    SIGNATURE = 9


class FederatedError(Exception):
    """Base of every error shown to a person without a traceback.

    Args:
        message: One plain sentence: what was found and what was expected.
        remedy: One plain sentence: what to do next.
    """

    code: ClassVar[str] = "internal"
    exit_status: ExitStatus = ExitStatus.INTERNAL

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def diagnostics(self) -> str:
        """The sentence to print: what is wrong, then what to do."""
        return f"{self} {self.remedy}".strip()


class QueryError(FederatedError):
    """The question cannot be asked as written; the analyst can mend it."""

    code = "query"
    exit_status = ExitStatus.INPUT


class FileProblem(FederatedError):
    """A settings, data, agreement or key file cannot be used; names the file and the line or field."""

    code = "file"
    exit_status = ExitStatus.INPUT


class SignatureProblem(FederatedError):
    """A signature is missing, wrong, or by a key that is not trusted for this."""

    code = "signature"
    exit_status = ExitStatus.SIGNATURE


class PolicyRefusal(FederatedError):
    """A decision, not a fault: a rule of the agreement or of the council's policy says no.

    Attributes:
        rule: Name of the rule, from the closed list in ``docs/reference/refusals.md``.
    """

    code = "refused"
    exit_status = ExitStatus.REFUSED

    def __init__(self, rule: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.rule = rule

    def diagnostics(self) -> str:
        """The sentence to print, with the rule's name first."""
        return f"Refused ({self.rule}): {super().diagnostics()}"


class BudgetExceeded(PolicyRefusal):
    """The privacy budget of the period does not cover the question."""

    code = "budget"
    exit_status = ExitStatus.BUDGET

    def __init__(self, message: str, *, remedy: str = "", rule: str = "budget") -> None:
        super().__init__(rule, message, remedy=remedy)


class CohortTooSmall(PolicyRefusal):
    """Too few councils for the promise to hold."""

    code = "cohort"
    exit_status = ExitStatus.COHORT

    def __init__(self, message: str, *, remedy: str = "", rule: str = "min_cohort") -> None:
        super().__init__(rule, message, remedy=remedy)


class RoundAborted(FederatedError):
    """A round ended without a release; always raised from the cause."""

    code = "round"
    exit_status = ExitStatus.ROUND


class TransportError(FederatedError):
    """The other party could not be reached, or the connection is not to be trusted."""

    code = "transport"
    exit_status = ExitStatus.TRANSPORT


class InternalError(FederatedError):
    """A fault of this software: please report it."""

    code = "internal"
    exit_status = ExitStatus.INTERNAL
