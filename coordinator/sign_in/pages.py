"""The routes of signing in with a password, signing out, and one's own account. They work without a script.

Each changes something only when its form comes from a page of ours (`Origin`) that this browser was shown (token).
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from coordinator.console.visitor import NOBODY, Scope
from coordinator.sign_in import sessions
from coordinator.sign_in.audit import allow
from coordinator.sign_in.desk import FORM, Desk, TooManyTries, peer
from coordinator.sign_in.openid import back, leave
from coordinator.sign_in.operations import Operation, reaches, visitor
from coordinator.sign_in.passwords import SHORTEST, Busy, check_password
from coordinator.sign_in.provider_problem import ProviderProblem
from coordinator.sign_in.same_origin import SAFE, NotFromHere, check_same_origin, own_path
from coordinator.sign_in.tokens import longest_for, make_token
from coordinator.store import AccountRow, DatabaseProblem, SessionRow, TokenRow
from federated.errors import PolicyRefusal, QueryError
from federated.pages.faults import unforeseen
from federated.timestamps import time_text

__all__ = ["SIGN_IN", "sign_in_routes"]

SIGN_IN: Final = "/sign-in"
"""Where people sign in."""
TOKENS: Final = "/account/tokens"
FAILED: Final = "This did not work"
LATER: Final = "Nobody can sign in at this moment. Try again later."
FORM_LIMIT: Final = 16 * 1024
MOST_FIELDS: Final = 10
LONGEST_DAYS: Final = 3
WRONG: Final = "Your name or your password is wrong, or this account cannot sign in here."
"""The same words for every reason."""
WRONG_CODE: Final = "The name or the code is wrong, or the code was used or is more than an hour old."

Form = Mapping[str, str]
View = Callable[[Desk, Request, Form], Response]


def sign_in_routes(desk: Desk) -> list[Route]:
    """Every route; the site that takes them sends its security headers with each."""
    views: dict[tuple[str, str], View] = {
        ("GET", SIGN_IN): show_sign_in,
        ("POST", SIGN_IN): sign_in,
        ("POST", "/sign-out"): sign_out,
        ("GET", "/set-password"): show_set_password,
        ("POST", "/set-password"): set_password,
        ("GET", "/account"): show_account,
        ("POST", "/account/password"): change_password,
        ("POST", "/account/sign-out-everywhere"): sign_out_everywhere,
        ("GET", TOKENS): show_tokens,
        ("POST", TOKENS): new_token,
        ("POST", "/account/tokens/take-back"): take_back_token,
    }
    provider = desk.provider
    if provider is not None:
        views[("GET", "/sign-in/openid")] = lambda desk, request, _form: leave(desk, request, provider)
        views[("GET", "/sign-in/openid/back")] = lambda desk, request, _form: back(desk, request, provider)
    return [Route(path, _endpoint(desk, view), methods=[method]) for (method, path), view in views.items()]


def _endpoint(desk: Desk, view: View) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            check_same_origin(request.method, request.headers.raw, desk.own)
            form = await _form(request)
            return await run_in_threadpool(view, desk, request, form)
        except (NotFromHere, PolicyRefusal) as problem:
            return await run_in_threadpool(_said, desk, request, str(problem), HTTPStatus.FORBIDDEN)
        except TooManyTries as wait:
            response = await run_in_threadpool(_said, desk, request, _too_many(wait), HTTPStatus.TOO_MANY_REQUESTS)
            response.headers["Retry-After"] = str(wait.seconds)
            return response
        except Busy:
            said = "Many people are signing in at this moment. Wait a little, then try again."
            return await run_in_threadpool(_said, desk, request, said, HTTPStatus.SERVICE_UNAVAILABLE)
        except ProviderProblem as problem:
            return await run_in_threadpool(_said, desk, request, problem.diagnostics(), HTTPStatus.BAD_GATEWAY)
        except Exception as problem:  # noqa: BLE001 - the outermost loop: a traceback could show what was typed
            # Not with what the store knows of the visitor: it may be the store that failed.
            status = HTTPStatus.SERVICE_UNAVAILABLE
            said = LATER if isinstance(problem, DatabaseProblem) else unforeseen(problem).diagnostics()
            return HTMLResponse(desk.page("said.html", request, title=FAILED, seen=NOBODY, said=said), status)

    return answer


async def _form(request: Request) -> Form:
    if request.method in SAFE:
        return {}
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > FORM_LIMIT:
            raise NotFromHere("The form is too long. Nothing was done.")
    try:
        return dict(parse_qsl(content.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise NotFromHere("The form cannot be read. Nothing was done.") from error


def _said(desk: Desk, request: Request, sentence: str, status: HTTPStatus) -> Response:
    return HTMLResponse(desk.page("said.html", request, title=FAILED, said=sentence), status)


# Signing in and out


def show_sign_in(desk: Desk, request: Request, _form: Form) -> Response:
    """The form, or where the visitor wanted to go when already signed in."""
    following = own_path(request.query_params.get("next", ""))
    if desk.signed_in(request) is not None:
        return RedirectResponse(following, HTTPStatus.SEE_OTHER)
    return _before(desk, request, "sign_in.html", title="Sign in", following=following)


def _before(
    desk: Desk,
    request: Request,
    template: str,
    *,
    title: str,
    errors: Mapping[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    **values: Any,
) -> Response:
    """A page with a form for somebody who is not signed in; its token is bound to a cookie of its own."""
    kept = sessions.cookie_value(request.headers.raw, sessions.BEFORE)
    token = kept or sessions.new_token(desk.rng)
    made = desk.page(
        template,
        request,
        title=title,
        errors=errors,
        token=sessions.bound(token, FORM),
        local=desk.local,
        provider=desk.provider is not None,
        query=urlencode({"next": str(values.get("following", "/"))}),
        shortest=SHORTEST,
        **values,
    )
    response = HTMLResponse(made, status)
    if kept is None:
        response.headers.append("Set-Cookie", sessions.set_cookie(sessions.BEFORE, token))
    return response


def sign_in(desk: Desk, request: Request, form: Form) -> Response:
    """Compare name and password, and begin a session."""
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.BEFORE), FORM)
    following = own_path(form.get("next", ""))
    name = form.get("name", "").strip()
    try:
        account = desk.check_password(name, form.get("password", ""), address=peer(request)) if desk.local else None
    except TooManyTries as wait:
        return _wait(desk, request, "sign_in.html", wait, title="Sign in", following=following)
    if account is None:
        errors = {"name": WRONG}
        return _before(desk, request, "sign_in.html", title="Sign in", errors=errors, following=following)
    return desk.enter(request, account.name, following)


def _wait(desk: Desk, request: Request, template: str, wait: TooManyTries, *, title: str, following: str) -> Response:
    said = _too_many(wait)
    status = HTTPStatus.TOO_MANY_REQUESTS
    made = _before(desk, request, template, title=title, errors={"name": said}, status=status, following=following)
    made.headers["Retry-After"] = str(wait.seconds)
    return made


def _too_many(wait: TooManyTries) -> str:
    minutes = math.ceil(wait.seconds / 60)
    return f"There were too many wrong tries. Wait {minutes} minute{'' if minutes == 1 else 's'}, then try again."


def sign_out(desk: Desk, request: Request, form: Form) -> Response:
    """End the session."""
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.COOKIE), FORM)
    found = desk.signed_in(request)
    if found is not None:
        desk.store.accounts.end_session(found[1].token_hash, now=desk.clock())
    return _left()


def _left() -> Response:
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    response.headers.append("Set-Cookie", sessions.clear_cookie(sessions.COOKIE))
    return response


def _cookie(request: Request, name: str) -> str | None:
    return sessions.cookie_value(request.headers.raw, name)


# A first password, or a new one, by a one-time code


def show_set_password(desk: Desk, request: Request, _form: Form) -> Response:
    """The form for the code that the operator gave."""
    _require_local(desk)
    return _before(desk, request, "set_password.html", title="Set your password")


def set_password(desk: Desk, request: Request, form: Form) -> Response:
    """Take the code, keep the password, and begin a session."""
    _require_local(desk)
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.BEFORE), FORM)
    title = "Set your password"
    name = form.get("name", "").strip()
    errors = _password_errors(form, name)
    if errors:
        return _before(desk, request, "set_password.html", title=title, errors=errors)
    try:
        account = desk.take_code(name, form.get("code", ""), form["password"], address=peer(request))
    except TooManyTries as wait:
        return _wait(desk, request, "set_password.html", wait, title=title, following="/")
    if account is None:
        return _before(desk, request, "set_password.html", title=title, errors={"name": WRONG_CODE})
    return desk.enter(request, account.name, "/account")


def _require_local(desk: Desk) -> None:
    """Where accounts kept here are switched off, a code would let somebody past the provider's second factor.

    Raises:
        NotFromHere: They are.
    """
    if not desk.local:
        raise NotFromHere("Here people sign in with their organisation's account alone.")


def _password_errors(form: Form, name: str) -> dict[str, str]:
    try:
        check_password(form.get("password", ""), account=name)
    except QueryError as problem:
        return {"password": problem.diagnostics()}
    if form.get("password") != form.get("again"):
        return {"again": "The two passwords are not the same."}
    return {}


# One's own account


def show_account(desk: Desk, request: Request, _form: Form) -> Response:
    """Who is signed in, with which rights, and in which browsers."""
    return _own(desk, request)


def _own(desk: Desk, request: Request, errors: Mapping[str, str] | None = None) -> Response:
    found = desk.signed_in(request)
    if found is None:
        return RedirectResponse("/sign-in?next=/account", HTTPStatus.SEE_OTHER)
    account, mine = found
    now = desk.clock()
    allow(desk.store, visitor(account), Operation.VIEW_OWN_ACCOUNT, now=now)
    rows = [row for row in desk.store.accounts.sessions_of(account.name) if sessions.is_live(row, now)]
    made = desk.page(
        "account.html",
        request,
        title="Your account",
        errors=errors,
        local=account.kind == "local",
        tokens=TOKENS if reaches(visitor(account), Operation.MAKE_TOKENS) else None,
        sessions=[_shown(row, mine) for row in rows],
        shortest=SHORTEST,
        hours=sessions.LONGEST // timedelta(hours=1),
        minutes=sessions.IDLE // timedelta(minutes=1),
    )
    return HTMLResponse(made)


def _shown(row: SessionRow, mine: SessionRow) -> dict[str, object]:
    return {
        "address": row.address,
        "started_at": time_text(row.started_at),
        "seen_at": time_text(row.seen_at),
        "this": row.token_hash == mine.token_hash,
    }


def change_password(desk: Desk, request: Request, form: Form) -> Response:
    """Keep another password, for whoever knows the current one; other sessions end, this one gets a new token."""
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.COOKIE), FORM)
    found = desk.signed_in(request)
    if found is None or found[0].kind != "local":
        return _own(desk, request)
    name = found[0].name
    errors = _password_errors(form, name)
    if errors:
        return _own(desk, request, errors)
    try:
        # Counted like signing in: a browser left open does not let anybody guess.
        right = desk.check_password(name, form.get("current", ""), address=peer(request))
    except TooManyTries as wait:
        return _own(desk, request, {"current": f"There were too many wrong tries. Wait {wait.seconds} seconds."})
    if right is None:
        return _own(desk, request, {"current": "This is not your current password."})
    token, row = desk.new_session(request, name)
    before, after = right.password_hash or "", desk.passwords.hash(form["password"])
    if not desk.store.accounts.set_password(name, after, before=before, new=row, now=desk.clock()):
        # Reset or locked at this moment, perhaps because somebody else knew the password: that decision stands.
        return RedirectResponse("/sign-in?next=/account", HTTPStatus.SEE_OTHER)
    response = RedirectResponse("/account", HTTPStatus.SEE_OTHER)
    response.headers.append("Set-Cookie", sessions.set_cookie(sessions.COOKIE, token))
    return response


def sign_out_everywhere(desk: Desk, request: Request, form: Form) -> Response:
    """End every session of the account, this one too."""
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.COOKIE), FORM)
    found = desk.signed_in(request)
    if found is not None:
        name = found[0].name
        desk.store.accounts.end_sessions(name, by=name, now=desk.clock())
    return _left()


# Tokens for programs


def show_tokens(desk: Desk, request: Request, _form: Form) -> Response:
    """The account's tokens, and the form for another."""
    return _tokens(desk, request)


def _tokens(
    desk: Desk, request: Request, *, errors: Mapping[str, str] | None = None, typed: Form | None = None, made: str = ""
) -> Response:
    found = desk.signed_in(request)
    if found is None:
        return RedirectResponse(f"/sign-in?next={TOKENS}", HTTPStatus.SEE_OTHER)
    account, now = found[0], desk.clock()
    _allow_tokens(desk, account)
    page = desk.page(
        "tokens.html",
        request,
        title="Tokens for programs",
        errors=errors,
        tokens=[_token_shown(row, now) for row in desk.store.tokens.of_account(account.name)],
        typed={"label": "", "days": "", "scope": Scope.READ.value, **(typed or {})},
        made=made,
        longest=longest_for(account),
    )
    return HTMLResponse(page)


def _allow_tokens(desk: Desk, account: AccountRow) -> None:
    allow(desk.store, visitor(account), Operation.MAKE_TOKENS, now=desk.clock())


def _token_shown(row: TokenRow, now: datetime) -> dict[str, str | None]:
    return {
        "label": row.label,
        "prefix": row.prefix,
        "scope": row.scope,
        "used_at": None if row.used_at is None else time_text(row.used_at),
        "until": time_text(row.until),
        "over": "taken back" if row.revoked_at is not None else "over" if row.until <= now else None,
    }


def new_token(desk: Desk, request: Request, form: Form) -> Response:
    """Make a token, and show it this once."""
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.COOKIE), FORM)
    found = desk.signed_in(request)
    if found is None:
        return _tokens(desk, request)
    account = found[0]
    _allow_tokens(desk, account)
    days = form.get("days", "").strip()
    if form.get("scope") not in set(Scope):
        return _tokens(desk, request, errors={"scope": "Choose what it may do."}, typed=form)
    if not days.isascii() or not days.isdigit() or not 1 <= len(days) <= LONGEST_DAYS:
        return _tokens(desk, request, errors={"days": "Give the days as a whole number."}, typed=form)
    try:
        token, _ = make_token(
            desk.store,
            account,
            label=form.get("label", ""),
            scope=Scope(form["scope"]),
            days=int(days),
            by=account.name,
            rng=desk.rng,
            now=desk.clock(),
        )
    except QueryError as problem:
        about = "days" if "good for" in str(problem) else "label"
        return _tokens(desk, request, errors={about: str(problem)}, typed=form)
    except PolicyRefusal as problem:
        return _tokens(desk, request, errors={"label": f"{problem} {problem.remedy}"}, typed=form)
    return _tokens(desk, request, made=token)


def take_back_token(desk: Desk, request: Request, form: Form) -> Response:
    """Take one of the account's tokens back."""
    sessions.check_bound(form.get("token", ""), _cookie(request, sessions.COOKIE), FORM)
    found = desk.signed_in(request)
    if found is not None:
        name = found[0].name
        desk.store.tokens.revoke(form.get("prefix", ""), account=name, by=name, now=desk.clock())
    return RedirectResponse(TOKENS, HTTPStatus.SEE_OTHER)
