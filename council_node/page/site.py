"""The pages as a web application: the guard at the door, the routes, and one way to answer or fail."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from threading import Lock
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from council_node.page import answers, papers, questions
from council_node.page.desk import Asked, Desk
from council_node.page.door import Closed, Door, Visit
from council_node.settings import Settings
from federated.errors import ExitStatus
from federated.pages import HEADERS, renderer
from federated.pages.faults import told_of, unforeseen
from federated.schema import load_schema
from protocols.identifiers import RandomSource

__all__ = ["build_site"]

FORM_LIMIT: Final = 32 * 1024
MOST_FIELDS: Final = 40
STATUS: Final = {ExitStatus.INPUT: HTTPStatus.NOT_FOUND, ExitStatus.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR}
"""Status of the reply by kind of failure; otherwise 409, as somebody must decide or mend something first."""

View: TypeAlias = Callable[[Desk, Asked], str]
"""Makes a page; one that begins with a slash is the address to go to instead."""


def build_site(
    settings: Settings, door: Door, *, styles: bytes, clock: Callable[[], datetime], rng: RandomSource
) -> ASGIApp:
    """The pages of one council, guarded.

    Args:
        settings: Of the node.
        door: Who is let in.
        styles: The style sheet.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes, for the pseudonyms of a count.
    """
    desk = Desk(
        settings=settings,
        door=door,
        schema=load_schema(),
        templates=renderer({"node": "council_node.page"}),
        clock=clock,
        rng=rng,
        counting=Lock(),
    )
    reads: dict[str, View] = {
        "/": papers.start,
        "/questions": questions.show_list,
        "/questions/{plan}": questions.show_one,
        "/answers": answers.show_list,
        "/answers/{sid}": answers.show_one,
        "/answers/{sid}/own": answers.show_beside_own,
        "/receipts": papers.receipts_list,
        "/receipts/{sid}": papers.receipt,
        "/budget": papers.budget,
        "/help": papers.help_page,
        "/accessibility": papers.accessibility,
    }
    sends: dict[str, View] = {"/questions/{plan}/check": questions.check, "/questions/{plan}/record": questions.record}
    routes = [
        Route("/open/{ticket}", _entrance(desk)),
        Route("/styles.css", lambda _request: Response(styles, media_type="text/css")),
        *(Route(path, _endpoint(desk, view), methods=["GET"]) for path, view in reads.items()),
        *(Route(path, _endpoint(desk, view), methods=["POST"]) for path, view in sends.items()),
    ]
    handlers = dict.fromkeys((HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED), _not_there(desk))
    inner = Starlette(routes=[Mount(door.base, routes=routes)], exception_handlers=handlers)
    return _Guard(inner, desk)


class _Guard:
    """Every request passes here first, and every reply gets its headers here."""

    def __init__(self, inner: ASGIApp, desk: Desk) -> None:
        self._inner = inner
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] != "http":
            return

        replied = False

        async def send_guarded(message: Message) -> None:
            nonlocal replied
            if message["type"] == "http.response.start":
                replied = True
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            self._desk.door.check(_visit(scope))
            await self._inner(scope, receive, send_guarded)
        except Closed as closed:
            await _closed(self._desk, closed)(scope, receive, send_guarded)
        except Exception as error:  # noqa: BLE001 - the server's own log would hold a traceback, and that a value of a case
            fault = unforeseen(error)
            if not replied:  # without the council's name: whoever asks may be anybody
                failed = Closed(HTTPStatus.INTERNAL_SERVER_ERROR, fault.diagnostics())
                await _closed(self._desk, failed)(scope, receive, send_guarded)


def _visit(scope: Scope) -> Visit:
    client = scope.get("client")
    return Visit(
        peer="" if client is None else str(client[0]),
        method=str(scope["method"]),
        path=str(scope["path"]),
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
    )


def _endpoint(desk: Desk, view: View) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            asked = Asked(
                names={name: str(value) for name, value in request.path_params.items()},
                wanted=dict(request.query_params),
                form=await _form(request, desk),
            )
            made = await run_in_threadpool(view, desk, asked)
        except Closed as closed:
            return _closed(desk, closed)
        except Exception as error:  # noqa: BLE001 - the outermost loop: a traceback could show a value of a case
            told = told_of(error)
            return _failed(desk, told.diagnostics(), STATUS.get(told.exit_status, HTTPStatus.CONFLICT))
        if made.startswith("/"):
            return RedirectResponse(made, HTTPStatus.SEE_OTHER)
        return HTMLResponse(made)

    return answer


async def _form(request: Request, desk: Desk) -> dict[str, str]:
    """The fields of a form that came from one of our pages.

    Raises:
        Closed: It is too large, cannot be read, or came from elsewhere.
    """
    if request.method != "POST":
        return {}
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > FORM_LIMIT:
            raise Closed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too long. Nothing was recorded.")
    try:
        fields = dict(parse_qsl(content.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise Closed(HTTPStatus.BAD_REQUEST, "The form cannot be read. Nothing was recorded.") from error
    desk.door.check_form(fields.pop("token", ""))
    return fields


def _entrance(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def enter(request: Request) -> Response:  # not in a thread: two at once could both find the ticket good
        try:
            cookie = desk.door.enter(str(request.path_params["ticket"]), desk.clock())
        except Closed as closed:
            return _closed(desk, closed)
        return RedirectResponse(desk.link(""), HTTPStatus.SEE_OTHER, headers={"Set-Cookie": cookie})

    return enter


def _closed(desk: Desk, closed: Closed) -> Response:
    """A refusal, without the council's name or any address of a page: whoever asks may be anybody."""
    content = desk.templates.get_template("node/closed.html").render(reason=str(closed))
    return HTMLResponse(content, closed.status)


def _failed(desk: Desk, said: str, status: HTTPStatus) -> Response:
    return HTMLResponse(desk.page("failed.html", title="This did not work", said=said), status)


def _not_there(desk: Desk) -> Callable[[Request, Exception], Response]:
    def handle(_request: Request, _error: Exception) -> Response:
        return _failed(desk, "There is no such page. The links at the top lead to every page.", HTTPStatus.NOT_FOUND)

    return handle
