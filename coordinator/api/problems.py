"""Everything that goes wrong as a problem document (RFC 9457): what is wrong, what to do, and the rule by its name."""

from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from coordinator.console.guard import Closed
from coordinator.store import DatabaseProblem
from federated.errors import ExitStatus, FederatedError, FileProblem, PolicyRefusal, SignatureProblem

__all__ = ["MEDIA_TYPE", "Problem", "problem", "problem_of"]

MEDIA_TYPE: Final = "application/problem+json"
LATER: Final = "What is asked for cannot be read at this moment."
_OF_RULE: Final = MappingProxyType(
    {
        "not_allowed": HTTPStatus.FORBIDDEN,
        "not_found": HTTPStatus.NOT_FOUND,
        "inbox_size": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "paper_size": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "inbox_full": HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class Problem(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Annotated[str, Field(description="Always `about:blank`: `code` and `rule` say what kind it is.")] = (
        "about:blank"
    )
    title: Annotated[str, Field(description="What the status means.")]
    status: Annotated[int, Field(description="Status of the reply.")]
    detail: Annotated[str, Field(description="What is wrong, in a sentence.")]
    code: Annotated[str, Field(description="Kind of failure, as the commands name it.")]
    rule: Annotated[str, Field(description="Rule by which it was refused; see the page of refusals. Empty for others.")]
    remedy: Annotated[str, Field(description="What to do; may be empty.")]


def problem(
    status: HTTPStatus, detail: str, *, code: str, rule: str = "", remedy: str = "", **headers: str
) -> JSONResponse:
    """A reply that says what went wrong.

    Args:
        status: Of the reply.
        detail: What is wrong.
        code: Kind of failure.
        rule: By which it was refused.
        remedy: What to do.
        headers: Further headers, with underscores for hyphens.
    """
    said = Problem(
        title=status.phrase, status=status.value, detail=detail, code=code, rule=rule, remedy=remedy
    ).model_dump()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if status is HTTPStatus.UNAUTHORIZED:
        named["WWW-Authenticate"] = "Bearer"
    return JSONResponse(said, status, headers=named, media_type=MEDIA_TYPE)


def problem_of(error: FederatedError | Closed) -> JSONResponse:
    """The reply to a failure that has a sentence already."""
    if isinstance(error, Closed):
        return problem(error.status, str(error), code="closed")
    if isinstance(error, DatabaseProblem):  # its own words name the place
        again = {"Retry_After": "30"}
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, LATER, code="later", remedy="Try again later.", **again)
    rule = error.rule if isinstance(error, PolicyRefusal) else ""
    return problem(_status(error, rule), str(error), code=error.code, rule=rule, remedy=error.remedy, **_again(rule))


def _again(rule: str) -> dict[str, str]:
    return {"Retry_After": "60"} if _OF_RULE.get(rule) is HTTPStatus.TOO_MANY_REQUESTS else {}


def _status(error: FederatedError, rule: str) -> HTTPStatus:
    if rule in _OF_RULE:
        return _OF_RULE[rule]
    if isinstance(error, FileProblem):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, SignatureProblem) or error.exit_status is ExitStatus.INPUT:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if error.exit_status is ExitStatus.INTERNAL:
        return HTTPStatus.INTERNAL_SERVER_ERROR
    return HTTPStatus.CONFLICT
