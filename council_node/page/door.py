"""Who may see the pages: one browser, of the person who started them.

Everybody with an account on the computer can connect to a loopback port, and so can every web site that is open in the
officer's browser. Against the first stand a ticket that is good once and a cookie; the cookie is bound to a secret
folder of the address, because browsers send cookies to every port of a host. Against the second stand the `Host`
header (DNS rebinding), `Origin` and the browser's own word on where a request came from (`Sec-Fetch-*`), and a token in
every form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from http import HTTPStatus
from typing import Final, Self

from protocols.identifiers import RandomSource

__all__ = ["COOKIE", "TICKET_MINUTES", "Closed", "Door", "Visit"]

COOKIE: Final = "council-node-page"
LOOPBACK: Final = "127.0.0.1"
PLACE_SIZE: Final = 16
SECRET_SIZE: Final = 32
TICKET_MINUTES: Final = 15
METHODS: Final = frozenset({"GET", "HEAD", "POST"})
OWN_SITE: Final = frozenset({"same-origin", "none"})
DESTINATIONS: Final = frozenset({"document", "style", "image"})
"""What a browser asks our pages for: no frame, no script, no fetch by a program."""
RELAYED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


class Closed(Exception):
    """A request that is not let in.

    Attributes:
        status: Of the reply.
    """

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request as the door sees it.

    Attributes:
        peer: Address it came from.
        method: In capitals.
        path: Path alone.
        headers: (lower-case name, value) in order.
    """

    peer: str
    method: str
    path: str
    headers: Sequence[tuple[str, str]] = field(repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of a header."""
        return tuple(value for found, value in self.headers if found == name)


@dataclass(slots=True, kw_only=True)
class Door:
    """The one way in.

    Attributes:
        port: Where the pages are served.
        place: Secret folder that every page is under.
        form_token: Stands in every form.
        closes_at: The ticket is good until then.
    """

    port: int
    place: str = field(repr=False)
    form_token: str = field(repr=False)
    closes_at: datetime
    _ticket: str | None = field(repr=False)
    _session: str = field(repr=False)

    @classmethod
    def make(cls, rng: RandomSource, *, port: int, now: datetime) -> Self:
        """A door with secrets of its own."""
        return cls(
            port=port,
            place=rng(PLACE_SIZE).hex(),
            form_token=rng(SECRET_SIZE).hex(),
            closes_at=now + timedelta(minutes=TICKET_MINUTES),
            _ticket=rng(SECRET_SIZE).hex(),
            _session=rng(SECRET_SIZE).hex(),
        )

    @property
    def authority(self) -> str:
        """Host and port, as every request must name them."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def base(self) -> str:
        """What every path begins with."""
        return f"/{self.place}"

    def address(self) -> str:
        """The address to open, good once. For the terminal of the person who started it, and for nobody else."""
        return f"http://{self.authority}{self.base}/open/{self._ticket}"

    def enter(self, ticket: str, now: datetime) -> str:
        """Take the ticket, which is then worth nothing.

        Returns:
            The cookie to set.

        Raises:
            Closed: Another ticket, a second time, or too late.
        """
        kept = self._ticket
        if kept is None:
            raise Closed(
                HTTPStatus.FORBIDDEN,
                "This address was used before. If it was not you, stop the command at once (Ctrl-C) and tell your "
                "information security officer. Otherwise go back to the window in which you opened it, or start again.",
            )
        if not compare_digest(ticket.encode(), kept.encode()) or now > self.closes_at:
            raise Closed(
                HTTPStatus.FORBIDDEN,
                f"This address is wrong or more than {TICKET_MINUTES} minutes old. Start `council-node page` again.",
            )
        self._ticket = None
        return f"{COOKIE}={self._session}; Path={self.base}/; HttpOnly; SameSite=Strict"

    def check(self, visit: Visit) -> None:
        """Let a request in or not.

        In order: (0) from this computer, and not relayed; (1) for this very host; (2) a method that pages have; (3)
        asked by a page of ours or by the person; (4) under the secret folder; (5) with the cookie, unless it brings
        the ticket.

        Raises:
            Closed: Says why, to whoever asks: nothing in it is secret.
        """
        self._check_near(visit)  # (0)
        if visit.values("host") != (self.authority,):  # (1)
            raise Closed(HTTPStatus.MISDIRECTED_REQUEST, f"These pages are at {self.authority} alone.")
        if visit.method not in METHODS:  # (2)
            raise Closed(HTTPStatus.METHOD_NOT_ALLOWED, "These pages can be read, and a decision can be sent.")
        self._check_asker(visit)  # (3)
        first, _, rest = visit.path.removeprefix("/").partition("/")
        if not compare_digest(first.encode(), self.place.encode()):  # (4)
            raise Closed(HTTPStatus.NOT_FOUND, "There is no page here.")
        brings, _, ticket = rest.partition("/")
        # What is no ticket's address would be answered by a page of ours, with the council's name on it.
        # Only what opens the page may use the ticket up: a link checker's HEAD would leave the officer outside.
        entering = brings == "open" and bool(ticket) and "/" not in ticket and visit.method == "GET"
        if not entering and not self._has_cookie(visit):  # (5)
            raise Closed(
                HTTPStatus.FORBIDDEN,
                "This page is for the person who started it. Open the address that the command printed.",
            )

    def check_form(self, token: str) -> None:
        """Whether a form came from one of our pages.

        Raises:
            Closed: It did not.
        """
        if not compare_digest(token.encode(), self.form_token.encode()):
            raise Closed(HTTPStatus.FORBIDDEN, "This form did not come from these pages. Nothing was recorded.")

    def _check_near(self, visit: Visit) -> None:
        if visit.peer != LOOPBACK:
            raise Closed(HTTPStatus.FORBIDDEN, "These pages are for this computer alone.")
        # A relay would let other computers in under this one's address.
        if any(visit.values(name) for name in RELAYED):
            raise Closed(HTTPStatus.FORBIDDEN, "These pages are never served through a proxy.")

    def _check_asker(self, visit: Visit) -> None:
        origins = visit.values("origin")
        own = (f"http://{self.authority}",)
        if origins != own and (origins or visit.method == "POST"):
            raise Closed(HTTPStatus.FORBIDDEN, "Another site asked for this page.")
        if not OWN_SITE.issuperset(visit.values("sec-fetch-site")):
            raise Closed(HTTPStatus.FORBIDDEN, "Another site led here. Type or paste the address yourself.")
        if not DESTINATIONS.issuperset(visit.values("sec-fetch-dest")):
            raise Closed(HTTPStatus.FORBIDDEN, "These pages are not shown inside others.")
        # A browser that looks ahead would use the ticket up.
        if visit.values("sec-purpose") or visit.values("purpose"):
            raise Closed(HTTPStatus.FORBIDDEN, "These pages are not fetched ahead of time.")

    def _has_cookie(self, visit: Visit) -> bool:
        # Another server on this computer can set a cookie of the same name: ours counts wherever it stands.
        given = [item.strip() for value in visit.values("cookie") for item in value.split(";")]
        expected = f"{COOKIE}={self._session}".encode()
        # Before the ticket was taken nobody has the cookie.
        return self._ticket is None and any(compare_digest(item.encode(), expected) for item in given)
