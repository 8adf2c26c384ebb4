"""What signing in works with: the store, the cookies of a browser, and who that browser belongs to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from coordinator.console.visitor import NOBODY, Visitor
from coordinator.sign_in import sessions
from coordinator.sign_in.codes import code_hash, is_good
from coordinator.sign_in.limits import openid_place, wait_for_start, wait_until
from coordinator.sign_in.names import named_like_an_account, network_of, pigeonhole
from coordinator.sign_in.operations import visitor
from coordinator.sign_in.passwords import Passwords
from coordinator.sign_in.provider import Provider
from coordinator.sign_in.tokens import visitor_by_token
from coordinator.store import AccountRow, AuditRow, SessionRow, Store
from coordinator.store.sign_ins import Try
from protocols.identifiers import RandomSource

__all__ = ["FORM", "Desk", "TooManyTries"]

FORM: Final = "form"
"""What a form's token is bound to beside the cookie."""
UNKNOWN: Final = "unknown name"


class TooManyTries(Exception):
    """Wrong passwords, so that a wait is due.

    Attributes:
        seconds: How long.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"wait {seconds} seconds")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that the pages of signing in need.

    Attributes:
        store: The coordinator's.
        own: Scheme, host and port under which people open the pages.
        local: Whether accounts with a password of their own may sign in.
        passwords: Hashes and compares them.
        provider: Of OpenID Connect, if there is one.
        templates: Made by `federated.pages.renderer` with this package as `sign_in`.
        site: What the page around needs, for a visitor.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
    """

    store: Store
    own: str
    local: bool = True
    passwords: Passwords = field(repr=False)
    provider: Provider | None = None
    templates: Environment
    site: Callable[[Visitor], Mapping[str, Any]] = field(repr=False)
    clock: Callable[[], datetime]
    rng: RandomSource

    def visitor_of(self, request: Request) -> Visitor:
        """Who asks for a page; looks into the store each time, so that a right taken away is gone at once."""
        found = self.signed_in(request)
        if found is None:
            return NOBODY
        account, _ = found
        token = sessions.cookie_value(request.headers.raw, sessions.COOKIE) or ""
        return replace(visitor(account), form_token=sessions.bound(token, FORM))

    def visitor_by_token(self, request: Request, token: str) -> Visitor:
        """Who asks with a program's token.

        Raises:
            WrongToken: It lets nobody in.
            TooManyWrong: The same, and many before it from there.
        """
        return visitor_by_token(self.store, token, address=peer(request), lets_in=self._lets_in, now=self.clock())

    def signed_in(self, request: Request) -> tuple[AccountRow, SessionRow] | None:
        """The account and session of a browser."""
        token = sessions.cookie_value(request.headers.raw, sessions.COOKIE)
        found = None if token is None else self.store.accounts.session(sessions.token_hash(token))
        if found is None:
            return None
        account, row = found
        now = self.clock()
        if account.state != "active" or not sessions.is_live(row, now) or not self._lets_in(account.kind):
            return None
        if now - row.seen_at >= sessions.SEEN_EVERY:
            self.store.accounts.touch(row.token_hash, now=now)
        return account, row

    def _lets_in(self, kind: str) -> bool:
        """Whether accounts of this kind may sign in: a session begun before that was switched off is over."""
        return self.local if kind == "local" else self.provider is not None

    def check_password(self, name: str, password: str, *, address: str) -> AccountRow | None:
        """The account, if name and password are right.

        Whatever is wrong, the work and what is written are the same: nobody can tell by time whether a name exists.

        Raises:
            TooManyTries: For this name or from this address; the password was not looked at.
            Busy: Too many people at once.
        """
        with self.passwords.place():
            return self._check_password(name, password, address)

    def _check_password(self, name: str, password: str, address: str) -> AccountRow | None:
        number = self._count(name, address)
        account = self.store.accounts.get(name) if named_like_an_account(name) else None
        usable = account is not None and account.kind == "local" and account.state == "active"
        kept = account.password_hash if account is not None and usable else None
        if not self.passwords.matches(kept, password) or account is None or kept is None:
            about = UNKNOWN if account is None else account.name
            # An unknown name is not written down: it may be a password in the wrong field.
            self.store.audit.note(
                AuditRow(done_at=self.clock(), who="", operation="sign in", outcome="refused", object=about)
            )
            return None
        self.store.sign_ins.succeeded(number)
        if self.passwords.is_weaker(kept):
            stronger = self.passwords.hash(password)
            self.store.accounts.rehash(name, before=kept, after=stronger)
            return replace(account, password_hash=stronger)
        return account

    def take_code(self, name: str, code: str, password: str, *, address: str) -> AccountRow | None:
        """Give an account its password in exchange for the one-time code; None when the code is not good.

        Raises:
            TooManyTries: As for passwords.
            Busy: As for passwords.
        """
        with self.passwords.place():
            return self._take_code(name, code, password, address)

    def _take_code(self, name: str, code: str, password: str, address: str) -> AccountRow | None:
        number = self._count(name, address)
        now = self.clock()
        account = self.store.accounts.get(name) if named_like_an_account(name) else None
        hashed = self.passwords.hash(password)
        if account is None or not is_good(account.code_until, now):
            return None
        if not self.store.accounts.take_code(name, code_hash=code_hash(code), password_hash=hashed, now=now):
            return None
        self.store.sign_ins.succeeded(number)
        return self.store.accounts.get(name)

    def count_start(self, address: str) -> None:
        """Count a sign-in that is sent to the provider, by where it comes from.

        Raises:
            TooManyTries: From this address; nothing was begun.
        """
        now, place = self.clock(), openid_place(network_of(address))

        def wait(_by_name: Sequence[Try], by_address: Sequence[Try]) -> datetime | None:
            return wait_for_start(by_address, now)

        counted = self.store.sign_ins.attempt(pigeonhole=place, address=place, now=now, wait=wait)
        if isinstance(counted, datetime):
            raise TooManyTries(max(1, int((counted - now).total_seconds())))

    def end_start(self, address: str) -> None:
        """Somebody whom the provider vouches for came back from there: one start of this address was in earnest."""
        self.store.sign_ins.succeeded_from(openid_place(network_of(address)))

    def _count(self, name: str, address: str) -> int:
        now = self.clock()

        def wait(
            by_name: Sequence[tuple[datetime, bool]], by_address: Sequence[tuple[datetime, bool]]
        ) -> datetime | None:
            return wait_until(by_name, by_address, now)

        counted = self.store.sign_ins.attempt(
            pigeonhole=pigeonhole(name), address=network_of(address), now=now, wait=wait
        )
        if isinstance(counted, datetime):
            raise TooManyTries(max(1, int((counted - now).total_seconds())))
        return counted

    def begin_session(self, request: Request, account: str) -> str:
        """Begin a session with a new token; one that the browser had before is ended, whoever began it.

        Returns:
            The token, for the cookie.
        """
        now = self.clock()
        before = sessions.cookie_value(request.headers.raw, sessions.COOKIE)
        if before is not None:
            self.store.accounts.end_session(sessions.token_hash(before), now=now)
        token, row = self.new_session(request, account)
        self.store.accounts.open_session(row, ended_before=now - sessions.LONGEST)
        return token

    def enter(self, request: Request, account: str, following: str) -> Response:
        """Begin a session, give the browser its cookie, and go on to a path of ours."""
        token = self.begin_session(request, account)
        response = RedirectResponse(following, HTTPStatus.SEE_OTHER)
        response.headers.append("Set-Cookie", sessions.set_cookie(sessions.COOKIE, token))
        response.headers.append("Set-Cookie", sessions.clear_cookie(sessions.BEFORE))
        return response

    def new_session(self, request: Request, account: str) -> tuple[str, SessionRow]:
        """A token and the row that is kept of it; nothing is written."""
        now = self.clock()
        token = sessions.new_token(self.rng)
        row = SessionRow(
            token_hash=sessions.token_hash(token),
            account=account,
            address=network_of(peer(request)),
            started_at=now,
            seen_at=now,
        )
        return token, row

    def page(
        self,
        template: str,
        request: Request,
        *,
        title: str,
        errors: Mapping[str, str] | None = None,
        seen: Visitor | None = None,
        **values: Any,
    ) -> str:
        """A page as HTML, for whoever asks unless `seen` is given."""
        seen = self.visitor_of(request) if seen is None else seen
        return self.templates.get_template(f"sign_in/{template}").render(
            site=self.site(seen), title=title, visitor=seen, errors=errors or {}, **values
        )


def peer(request: Request) -> str:
    """Where a request comes from. Behind a proxy the server has put the address there that the proxy names."""
    return "" if request.client is None else request.client.host
