"""The pages as a web application: the guard, the table of pages, and one way to answer or fail."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordinator.api.problems import problem_of
from coordinator.api.site import PREFIX, ByToken, build_api
from coordinator.boundaries import load_boundaries
from coordinator.console.desk import Asked, Desk, Download, Moved, NoteRead, Refreshing, SignedFiles
from coordinator.console.guard import UPLOAD_PATH, Closed, Guard, Knock
from coordinator.console.pages import PAGES, Page
from coordinator.console.uploads import read_upload
from coordinator.console.visitor import NOBODY, PUBLIC, Visitor, VisitorOf
from coordinator.settings import Settings
from coordinator.sign_in.desk import Desk as SignIn
from coordinator.sign_in.operations import reaches
from coordinator.sign_in.pages import SIGN_IN, sign_in_routes
from coordinator.store import DatabaseProblem, Store
from federated.errors import ExitStatus
from federated.pages import HEADERS, renderer
from federated.pages.faults import told_of, unforeseen
from federated.schema import load_schema
from protocols.identifiers import RandomSource

__all__ = ["build_site"]

STATUS: Final = {ExitStatus.INPUT: HTTPStatus.NOT_FOUND, ExitStatus.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR}
"""Status of the reply by kind of failure; otherwise 409, as somebody must decide or mend something first."""
NOT_FOR_YOU: Final = "This page is for people with another role. Ask whoever runs these pages if you should see it."
LATER: Final = "The pages cannot read what they show at this moment. Try again later."
NOT_PUBLIC: Final = "This page is not public, and nobody can sign in here."

OpenSignIn: TypeAlias = Callable[[Callable[[Visitor], Mapping[str, Any]]], SignIn]


def build_site(
    settings: Settings,
    store: Store,
    *,
    origin: str,
    visitor_of: VisitorOf = PUBLIC,
    note_read: NoteRead,
    styles: bytes,
    clock: Callable[[], datetime],
    rng: RandomSource,
    open_sign_in: OpenSignIn | None = None,
    deciding: Store | None = None,
) -> ASGIApp:
    """The console, guarded.

    Args:
        settings: Of the coordinator.
        store: Its store, for reading.
        origin: Scheme, name and port by which people reach the pages.
        visitor_of: Says who asks, where nobody can sign in; run in a thread.
        note_read: Writes down who was shown an answer.
        styles: The style sheet.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
        open_sign_in: Makes signing in, from what its pages show around them; None when nobody can.
        deciding: The store, for writing down what operators decide and analysts draft; None where nobody can sign in.

    Raises:
        FileProblem: The boundaries that the settings name cannot be used.
    """
    schema = load_schema()
    desk = Desk(
        settings=settings,
        store=store,
        files=SignedFiles(settings, store, clock),
        schema=schema,
        boundaries=load_boundaries(settings, schema),
        templates=renderer({"console": "coordinator.console", "sign_in": "coordinator.sign_in"}),
        clock=clock,
        note_read=note_read,
        rng=rng,
        origin=origin,
        sign_in=SIGN_IN if open_sign_in is not None else None,
        deciding=deciding,
    )
    more: list[Route] = []
    by_token: ByToken | None = None
    if open_sign_in is not None:
        signing = open_sign_in(desk.site)
        visitor_of, more, by_token = signing.visitor_of, sign_in_routes(signing), signing.visitor_by_token
    guard = Guard(origin=origin)
    routes = [
        Route("/styles.css", lambda _request: Response(styles, media_type="text/css")),
        *(Route(page.path, _endpoint(desk, guard, page, visitor_of), methods=[page.method]) for page in PAGES),
        *more,
    ]
    handlers: dict[Any, Any] = dict.fromkeys((HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED), _not_there(desk))
    inner = Starlette(routes=routes, exception_handlers=handlers)
    # Its redirects would name plain HTTP where a proxy speaks TLS.
    inner.router.redirect_slashes = False
    return _Guarded(inner, build_api(desk, by_token), desk, guard)


class _Guarded:
    """Every request passes here first, and every reply gets its headers here."""

    def __init__(self, inner: ASGIApp, programs: ASGIApp, desk: Desk, guard: Guard) -> None:
        self._inner = inner
        self._programs = programs
        self._desk = desk
        self._guard = guard
        headers = HEADERS | guard.headers
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] != "http":
            return

        replied = False

        async def send_guarded(message: Message) -> None:
            nonlocal replied
            if message["type"] == "http.response.start":
                replied = True
                own = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in self._headers if name not in own]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        if scope["path"] in HEALTH and scope["method"] in {"GET", "HEAD"}:
            # Before the guard: who looks asks by the computer's own address, and is told nothing that could be stolen.
            await (await HEALTH[scope["path"]](self._desk))(scope, receive, send_guarded)
            return
        program = str(scope["path"]).startswith(f"{PREFIX}/")
        try:
            self._guard.check(_knock(scope), program=program)
            await (self._programs if program else self._inner)(scope, receive, send_guarded)
        except Closed as closed:
            said = problem_of(closed) if program else _failed(self._desk, NOBODY, str(closed), closed.status)
            await said(scope, receive, send_guarded)
        except Exception as error:  # noqa: BLE001 - what fails around the pages must not reach a server without a log
            fault = unforeseen(error)
            if not replied:
                page = _failed(self._desk, NOBODY, fault.diagnostics(), HTTPStatus.INTERNAL_SERVER_ERROR)
                await page(scope, receive, send_guarded)


async def _answers(_desk: Desk) -> Response:
    """That the process answers."""
    return PlainTextResponse("ok\n", headers=NOT_KEPT)


async def _reads(desk: Desk) -> Response:
    """That the database can be read."""
    try:
        await run_in_threadpool(desk.store.membership.latest_roster)
    except DatabaseProblem:
        return PlainTextResponse("not ready\n", HTTPStatus.SERVICE_UNAVAILABLE, headers=NOT_KEPT)
    except Exception as error:  # noqa: BLE001 - whoever looks is told no more than that
        unforeseen(error)
        return PlainTextResponse("not ready\n", HTTPStatus.SERVICE_UNAVAILABLE, headers=NOT_KEPT)
    return PlainTextResponse("ok\n", headers=NOT_KEPT)


NOT_KEPT: Final = {"Cache-Control": "no-store"}
HEALTH: Final[Mapping[str, Callable[[Desk], Awaitable[Response]]]] = {"/healthz": _answers, "/readyz": _reads}
"""For who watches over the process: the same names as those of `coordinator serve`."""


def _knock(scope: Scope) -> Knock:
    return Knock(
        method=str(scope["method"]),
        address=bytes(scope["raw_path"]) + b"?" + bytes(scope["query_string"]),
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
    )


def _endpoint(desk: Desk, guard: Guard, page: Page, visitor_of: VisitorOf) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visitor = NOBODY
        try:
            visitor = await run_in_threadpool(visitor_of, request)
            if not reaches(visitor, page.operation):
                about = next((str(value) for value in request.path_params.values()), "")
                await run_in_threadpool(desk.note_refused, visitor, page.operation, about)
                return _not_for(desk, visitor, request.url.path if page.method == "GET" else "/")
            form, file = await _form(request, guard, visitor, page)
            asked = Asked(
                names={name: str(value) for name, value in request.path_params.items()},
                wanted=dict(request.query_params),
                form=form,
                file=file,
                visitor=visitor,
            )
            made = await run_in_threadpool(page.view, desk, asked)
        except Closed as closed:
            return _failed(desk, visitor, str(closed), closed.status)
        except DatabaseProblem:
            return _failed(desk, visitor, LATER, HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - the outermost loop: a traceback could show what is not public
            told = told_of(error)
            status = STATUS.get(told.exit_status, HTTPStatus.CONFLICT)
            return _failed(desk, visitor, told.diagnostics(), status)
        return _reply(made)

    return answer


def _reply(made: str | Download | Moved | Refreshing) -> Response:
    if isinstance(made, Refreshing):
        # A header and no script; with a place of its own in the address, so that leaving it stops it.
        return HTMLResponse(made.page, headers={"Refresh": str(made.seconds)})
    if isinstance(made, Moved):
        return RedirectResponse(made.to, HTTPStatus.SEE_OTHER)
    if isinstance(made, Download):
        headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
        return Response(made.content, media_type=made.kind, headers=headers)
    return HTMLResponse(made)


def _not_for(desk: Desk, visitor: Visitor, path: str) -> Response:
    """Nobody is told more than that there is such a page: it is in the public documentation anyway."""
    if visitor.signed_in:
        return _failed(desk, visitor, NOT_FOR_YOU, HTTPStatus.FORBIDDEN)
    if desk.sign_in is not None:
        following = urlencode({"next": path})
        return RedirectResponse(f"{desk.sign_in}?{following}", HTTPStatus.SEE_OTHER)
    return _failed(desk, visitor, NOT_PUBLIC, HTTPStatus.FORBIDDEN)


async def _form(request: Request, guard: Guard, visitor: Visitor, page: Page) -> tuple[dict[str, str], bytes]:
    """The fields of a form that came from one of our pages, and its file where it has one.

    Raises:
        Closed: It is too large, cannot be read, or came from elsewhere.
    """
    if request.method != "POST":
        return {}, b""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > page.form_limit:
            raise Closed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too long. Nothing was done.")
    if page.path == UPLOAD_PATH:
        fields, file = await run_in_threadpool(read_upload, content, request.headers.get("content-type", ""))
    else:
        fields, file = _fields(content, page.most_fields), b""
    guard.check_token(fields.pop("token", ""), visitor.form_token)
    return fields, file


def _fields(content: bytes, most: int) -> dict[str, str]:
    try:
        return dict(parse_qsl(content.decode("ascii"), keep_blank_values=True, max_num_fields=most))
    except ValueError as error:
        raise Closed(HTTPStatus.BAD_REQUEST, "The form cannot be read. Nothing was done.") from error


def _failed(desk: Desk, visitor: Visitor, said: str, status: HTTPStatus) -> Response:
    return HTMLResponse(desk.page("failed.html", visitor, title="This did not work", said=said), status)


def _not_there(desk: Desk) -> Callable[[Request, Exception], Response]:
    def handle(_request: Request, _error: Exception) -> Response:
        return _failed(
            desk, NOBODY, "There is no such page. The links at the top lead to every page.", HTTPStatus.NOT_FOUND
        )

    return handle
