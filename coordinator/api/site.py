"""The programs' interface as an application: the guard, the table of calls, and one way to answer or fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordinator.api import forms, views
from coordinator.api.asking import Ask, Unknown, ask_of
from coordinator.api.problems import MEDIA_TYPE, Problem, problem, problem_of
from coordinator.api.views import PREFIX
from coordinator.console.desk import Desk
from coordinator.console.guard import Closed
from coordinator.console.visitor import NOBODY, Visitor
from coordinator.inbox import LARGEST
from coordinator.sign_in.operations import RULES, Operation, reaches
from coordinator.sign_in.tokens import TooManyWrong, WrongToken
from federated.errors import FederatedError, PolicyRefusal
from federated.outputs.formats import FILES
from federated.pages.faults import told_of

__all__ = ["CALLS", "PREFIX", "ByToken", "Call", "build_api", "description"]

BODY_LIMIT: Final = 2 * (LARGEST * 4 // 3) + 4096
JSON: Final = "application/json"
MOST_SAID: Final = 5
UNKNOWN: Final = "This call is for accounts. Send a token as 'Authorization: Bearer …'."
WRONG: Final = "The token is wrong, is over or was taken back, or its account cannot be used."
WRONG_REMEDY: Final = "Make another on the page of your account."
TITLE: Final = "Register of questions and answers"
ABOUT: Final = (
    "Questions that analysts put to councils, and the answers: estimates that are differentially private. "
    "Whatever goes wrong is a problem document (RFC 9457) with a code, a rule and a remedy. Long lists give the path "
    "of the next page."
)

ByToken: TypeAlias = Callable[[Request, str], Visitor]
"""Who asks with a token; None where nobody can sign in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One row of the table of calls.

    Attributes:
        path: Beneath `PREFIX`.
        view: Makes the reply; its first lines describe it.
        operation: What it is for, and so who may.
        method: How it is asked for.
        status: Of a reply that went well.
        content: What a reply that went well is, where it is no JSON of a form: media types.
        reply: Form of a reply that went well, where the view makes the reply itself.
        fails: Statuses of failures beside those that every call has.
    """

    path: str
    view: Callable[..., Any]
    operation: Operation
    method: Literal["GET", "POST"] = "GET"
    status: HTTPStatus = HTTPStatus.OK
    content: tuple[str, ...] = ()
    reply: type[BaseModel] | None = None
    fails: tuple[HTTPStatus, ...] = ()


S = HTTPStatus
MISSING: Final = (S.NOT_FOUND,)
ANSWER: Final = (S.NOT_FOUND, S.GONE)
CALLS: Final = (
    Call(path="/questions", view=views.list_questions, operation=Operation.VIEW_REGISTER),
    Call(
        path="/questions",
        view=views.put_question,
        operation=Operation.PROPOSE,
        method="POST",
        status=S.ACCEPTED,
        reply=forms.HandedIn,
        fails=(S.NOT_FOUND, S.CONFLICT, S.REQUEST_ENTITY_TOO_LARGE, S.UNSUPPORTED_MEDIA_TYPE),
    ),
    Call(path="/questions/{plan}", view=views.show_question, operation=Operation.VIEW_REGISTER, fails=MISSING),
    Call(path="/questions/{plan}/progress", view=views.show_progress, operation=Operation.WATCH, fails=MISSING),
    Call(
        path="/questions/{plan}/withdrawal",
        view=views.withdraw_question,
        operation=Operation.WITHDRAW,
        method="POST",
        fails=(S.NOT_FOUND, S.CONFLICT, S.REQUEST_ENTITY_TOO_LARGE, S.UNSUPPORTED_MEDIA_TYPE),
    ),
    Call(path="/releases", view=views.list_releases, operation=Operation.VIEW_REGISTER),
    Call(path="/releases/{digest}", view=views.show_release, operation=Operation.VIEW_REGISTER, fails=ANSWER),
    Call(
        path="/releases/{digest}/files/{file}",
        view=views.take_file,
        # What is not published needs more; the call itself looks.
        operation=Operation.VIEW_REGISTER,
        content=tuple(sorted({JSON, *(file.media_type.partition(";")[0] for file in FILES)})),
        fails=(*ANSWER, S.NOT_MODIFIED),
    ),
    Call(path="/releases/{digest}/receipts", view=views.list_receipts, operation=Operation.VIEW_FIGURES, fails=ANSWER),
    Call(path="/releases/{digest}/readers", view=views.list_readers, operation=Operation.VIEW_READERS, fails=ANSWER),
    # Those that are not for everybody need more; the call itself looks.
    Call(path="/suggestions", view=views.list_suggestions, operation=Operation.VIEW_REGISTER),
    # What is said of answers, and suggestions that are not for everybody, need more; the call itself looks.
    Call(path="/papers", view=views.list_papers, operation=Operation.VIEW_REGISTER),
    Call(
        path="/papers",
        view=views.hand_in_paper,
        operation=Operation.HAND_IN_PAPER,
        method="POST",
        status=S.CREATED,
        reply=forms.PaperTaken,
        fails=(S.NOT_FOUND, S.CONFLICT, S.REQUEST_ENTITY_TOO_LARGE, S.UNSUPPORTED_MEDIA_TYPE),
    ),
    Call(path="/agreements", view=views.list_agreements, operation=Operation.VIEW_REGISTER),
    Call(
        path="/agreements/{agreement}",
        view=views.show_agreement,
        operation=Operation.VIEW_AGREEMENT,
        fails=MISSING,
    ),
    Call(
        path="/agreements/{agreement}/budgets",
        view=views.list_budgets,
        operation=Operation.VIEW_BUDGETS,
        fails=MISSING,
    ),
)
ALWAYS: Final = (
    S.UNAUTHORIZED,
    S.FORBIDDEN,
    S.REQUEST_URI_TOO_LONG,
    S.UNPROCESSABLE_ENTITY,
    S.TOO_MANY_REQUESTS,
    S.INTERNAL_SERVER_ERROR,
    S.SERVICE_UNAVAILABLE,
)


def build_api(desk: Desk, by_token: ByToken | None) -> ASGIApp:
    """The interface, guarded; to be asked for what lies beneath `PREFIX`.

    Args:
        desk: What the pages work with.
        by_token: Says who asks with a token; None where nobody can sign in.
    """
    return _Guarded(_application(), desk, by_token)


def description() -> dict[str, Any]:
    """The OpenAPI description of the interface."""
    return _application().openapi()


def _application() -> FastAPI:
    app = FastAPI(
        title=TITLE,
        version="1",
        description=ABOUT,
        docs_url=None,  # their scripts would come from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        redirect_slashes=False,
    )
    for call in CALLS:
        app.add_api_route(
            f"{PREFIX}{call.path}",
            call.view,
            methods=[call.method],
            status_code=call.status,
            response_class=Response if call.content else JSONResponse,
            dependencies=[Depends(_allowing(call.operation))],
            operation_id=call.view.__name__,
            summary=(call.view.__doc__ or "").strip(),
            description="",
            responses=_responses(call),
            openapi_extra={"security": _security(call)},
        )
    handlers: Mapping[Any, Any] = {
        HTTPException: _not_there,
        RequestValidationError: _not_valid,
        FederatedError: lambda _request, error: problem_of(told_of(error)),
        Closed: lambda _request, error: problem_of(error),
        Unknown: lambda _request, _error: problem(S.UNAUTHORIZED, UNKNOWN, code="unknown"),
        Exception: lambda _request, error: problem_of(told_of(error)),
    }
    for kind, handle in handlers.items():
        app.add_exception_handler(kind, handle)
    _describe(app)
    return app


def _allowing(operation: Operation) -> Callable[[Ask], None]:
    """Lets nobody on who has no role for an operation; which agreement it is about, the call itself looks at."""

    def allow(ask: Annotated[Ask, Depends(ask_of)]) -> None:
        if reaches(ask.visitor, operation):
            return
        if not ask.visitor.signed_in:
            raise Unknown
        ask.desk.note_refused(ask.visitor, operation)
        raise PolicyRefusal("not_allowed", f"Your token may not {operation.value}.")

    return allow


def _not_there(_request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    if status is S.BAD_REQUEST:  # FastAPI's for a body that is no text, or nested too deeply
        return problem(S.UNPROCESSABLE_ENTITY, "What was sent cannot be read as JSON.", code="query")
    allow = (error.headers or {}).get("Allow")
    headers = {} if allow is None else {"Allow": allow}
    said = "There is no such call here." if status is S.NOT_FOUND else status.description or status.phrase
    code = "no_such_call" if status is S.NOT_FOUND else "request"
    return problem(status, said, code=code, remedy=f"{PREFIX}/openapi.json describes every call.", **headers)


def _not_valid(_request: Request, error: RequestValidationError) -> Response:
    # Only where and what, not what was sent: that may be a secret in the wrong field.
    found = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:MOST_SAID]]
    return problem(S.UNPROCESSABLE_ENTITY, "; ".join(found), code="query", remedy="Send it as the description says.")


# How it is described


def _security(call: Call) -> list[dict[str, list[str]]]:
    return [*([{}] if RULES[call.operation].public else []), {"token": []}]


def _responses(call: Call) -> dict[int | str, dict[str, Any]]:
    failed = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    said: dict[int | str, dict[str, Any]] = {
        status.value: {"description": status.phrase, **failed} for status in sorted({*ALWAYS, *call.fails})
    }
    if S.NOT_MODIFIED in call.fails:
        said[S.NOT_MODIFIED.value] = {"description": "You have it already."}
    if call.reply is not None:
        said[call.status.value] = {"description": "Taken in.", "model": call.reply}
    if call.content:
        given = {
            kind: {"schema": {} if kind == JSON else {"type": "string", "format": "binary"}} for kind in call.content
        }
        said[call.status.value] = {"description": "The file.", "content": given}
    return said


def _describe(app: FastAPI) -> None:
    """Add to the description what FastAPI cannot know: tokens, and how a problem looks."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = made["components"]
    components["schemas"]["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of an account, made on its page or with `coordinator account token`.",
        }
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    app.openapi_schema = made


# Every request passes here first


class _Guarded:
    def __init__(self, inner: ASGIApp, desk: Desk, by_token: ByToken | None) -> None:
        self._inner = inner
        self._desk = desk
        self._by_token = by_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks, then take in what is sent, then answer.

        In this order: what a stranger sends is not read.
        """
        request = Request(scope, receive)
        replied = False

        async def send_once(message: Message) -> None:
            nonlocal replied
            replied = True
            await send(message)

        try:
            visitor = await self._who(request)
            scope["ask"] = Ask(desk=self._desk, visitor=visitor)
            taken = await _body(request) if request.method == "POST" and visitor.signed_in else b""
            await self._inner(scope, _given(taken), send_once)
        except Closed as closed:
            await problem_of(closed)(scope, receive, send)
        except WrongToken:
            await problem(S.UNAUTHORIZED, WRONG, code="wrong_token", remedy=WRONG_REMEDY)(scope, receive, send)
        except TooManyWrong as wait:
            again = {"Retry_After": str(wait.seconds)}
            said = problem(S.TOO_MANY_REQUESTS, WRONG, code="wrong_token", remedy=WRONG_REMEDY, **again)
            await said(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - around this stand pages, and a program is promised a document
            if not replied:
                await problem_of(told_of(error))(scope, receive, send)

    async def _who(self, request: Request) -> Visitor:
        given = request.headers.getlist("authorization")
        if not given:
            return NOBODY
        scheme, _, token = given[0].partition(" ")
        if len(given) != 1 or scheme.lower() != "bearer" or not token.strip() or self._by_token is None:
            raise Closed(S.UNAUTHORIZED, UNKNOWN)
        return await run_in_threadpool(self._by_token, request, token.strip())


async def _body(request: Request) -> bytes:
    """What was sent, as far as it may be.

    Raises:
        Closed: It is too large, or no JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Closed(S.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON}.")
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > BODY_LIMIT:
            raise Closed(S.REQUEST_ENTITY_TOO_LARGE, f"What is sent may have {BODY_LIMIT:,} bytes.")
    return bytes(taken)


def _given(taken: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": taken, "more_body": False}

    return receive
