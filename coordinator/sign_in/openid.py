"""Signing in through the OpenID provider: out with a state, a nonce and a challenge, and back with a code.

Authorization code flow with PKCE (RFC 7636, RFC 9700). Code verifier and nonce are made from the browser's own cookie
and the state, so the store holds no secret of a sign-in under way, and another browser cannot end what this one began.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from coordinator.sign_in import sessions
from coordinator.sign_in.desk import Desk, peer
from coordinator.sign_in.id_token import Expected, Person, check_id_token, person_of
from coordinator.sign_in.provider import Provider
from coordinator.sign_in.same_origin import NotFromHere, own_path
from coordinator.store import AccountRow, AuditRow, StartRow

__all__ = ["back", "leave"]

GOOD_FOR: Final = timedelta(minutes=10)
VERIFIER: Final = "code verifier "
NONCE: Final = "nonce "
STALE: Final = "This sign-in was begun in another browser, too long ago, or has ended. Start again."


def leave(desk: Desk, request: Request, provider: Provider) -> Response:
    """Send the browser to the provider. A link and no form: `form-action` forbids that forms end elsewhere.

    Raises:
        TooManyTries: From this address.
    """
    desk.count_start(peer(request))
    kept = sessions.cookie_value(request.headers.raw, sessions.BEFORE)
    token = kept or sessions.new_token(desk.rng)
    state = sessions.new_token(desk.rng)
    address = provider.address(
        state=state, nonce=sessions.bound(token, NONCE + state), verifier=sessions.bound(token, VERIFIER + state)
    )
    now = desk.clock()
    start = StartRow(
        state_hash=_start_hash(state, token), next_path=own_path(request.query_params.get("next", "")), started_at=now
    )
    desk.store.sign_ins.begin_start(start, ended_before=now - GOOD_FOR)
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    if kept is None:
        response.headers.append("Set-Cookie", sessions.set_cookie(sessions.BEFORE, token))
    return response


def _start_hash(state: str, token: str) -> bytes:
    # With the cookie in it, so that a state in another browser does not even use the start up.
    return sessions.token_hash(f"{state} {token}")


def back(desk: Desk, request: Request, provider: Provider) -> Response:
    """Take what came back: begin a session, or say why not.

    In order: (0) this browser began it, once and lately; (1) this provider answers, and with a code; (2) the code is
    exchanged; (3) the ID token is right; (4) the person has a role here.
    """
    given = request.query_params
    token = sessions.cookie_value(request.headers.raw, sessions.BEFORE) or ""
    state = given.get("state", "")
    now = desk.clock()
    start = desk.store.sign_ins.take_start(_start_hash(state, token))  # (0)
    if start is None or not start.started_at - sessions.SKEW <= now < start.started_at + GOOD_FOR:
        raise NotFromHere(STALE)
    expected_issuers = (
        {provider.settings.issuer} if provider.metadata().names_itself else {provider.settings.issuer, None}
    )
    if given.get("iss") not in expected_issuers:  # (1)
        raise NotFromHere("Another provider answered. Nothing was done. Start again.")
    if "error" in given or not given.get("code"):
        raise NotFromHere(
            "The provider did not sign you in. Start again, or ask whoever looks after your account there."
        )
    tokens = provider.redeem(given["code"], verifier=sessions.bound(token, VERIFIER + state))  # (2)
    expected = Expected(
        issuer=provider.settings.issuer,
        client_id=provider.settings.client_id,
        nonce=sessions.bound(token, NONCE + state),
        access_token=tokens.access_token,
        now=now,
    )
    claims = check_id_token(tokens.id_token, provider.keys_for(tokens.id_token), expected)  # (3)
    return _admit(desk, request, person_of(claims, provider.settings), start.next_path)


def _admit(desk: Desk, request: Request, person: Person, following: str) -> Response:
    now = desk.clock()
    row = AccountRow(
        name=person.account,
        kind="openid",
        roles=person.roles,
        agreements=person.agreements,
        subject_hash=person.subject_hash,
        created_at=now,
        changed_at=now,
    )
    known = desk.store.accounts.get(person.account) is not None
    # Somebody who lost their last role there loses what they have here; somebody who never had one leaves no trace.
    kept = (known or bool(person.roles)) and desk.store.accounts.signed_in_by_provider(row)
    if not kept or not person.roles:  # (4)
        about = person.account if known else "unknown name"
        refused = AuditRow(done_at=now, who="", operation="sign in", outcome="refused", object=about)
        desk.store.audit.note(refused)
        said = "Your account at the provider has no role here, or is locked. Ask the operator of these pages."
        return HTMLResponse(
            desk.page("said.html", request, title="You cannot sign in", said=said), HTTPStatus.FORBIDDEN
        )
    desk.end_start(peer(request))
    return desk.enter(request, person.account, following)
