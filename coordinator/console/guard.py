"""What is refused before any page is made: other names, other methods, other sites' forms, overlong addresses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

__all__ = ["FORM_LIMIT", "MOST_FIELDS", "UPLOAD_PATH", "Closed", "Guard", "Knock"]

METHODS: Final = frozenset({"GET", "HEAD", "POST"})
OWN_SITE: Final = frozenset({"same-origin", "none"})
ADDRESS_LIMIT: Final = 2000
FORM_LIMIT: Final = 32 * 1024
MOST_FIELDS: Final = 40
FORM_TYPE: Final = "application/x-www-form-urlencoded"
UPLOAD_PATH: Final = "/ask/hand-in"
"""The one address that takes a file."""
UPLOAD_TYPE: Final = "multipart/form-data"


class Closed(Exception):
    """A request that is not served.

    Attributes:
        status: Of the reply.
    """

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """One request as the guard sees it.

    Attributes:
        method: In capitals.
        address: Path and what follows the question mark, as sent.
        headers: (lower-case name, value) in order.
    """

    method: str
    address: bytes
    headers: Sequence[tuple[str, str]] = field(repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of a header."""
        return tuple(value for found, value in self.headers if found == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Checks every request.

    Attributes:
        origin: Scheme, name and port by which people reach the pages.
    """

    origin: str

    @property
    def authority(self) -> str:
        """Name and port, as every request must give them."""
        return urlsplit(self.origin).netloc

    @property
    def headers(self) -> dict[str, str]:
        """What these pages add to every reply: over TLS, that browsers come by TLS alone from then on."""
        secure = self.origin.startswith("https://")
        return {"Strict-Transport-Security": "max-age=31536000"} if secure else {}

    def check(self, knock: Knock, *, program: bool = False) -> None:
        """Let a request in or not.

        In order: (0) for this very name, against DNS rebinding and caches that mix sites up; (1) a method that pages
        have; (2) an address of a sane length; (3) a form only from a page of ours.

        Args:
            knock: The request.
            program: It is for the programs' interface. That takes no cookie, so no other site can have a browser send
                something in anybody's name; and it has no form.

        Raises:
            Closed: Says why; nothing in it is secret.
        """
        if knock.values("host") != (self.authority,):  # (0)
            raise Closed(HTTPStatus.MISDIRECTED_REQUEST, f"These pages are at {self.authority} alone.")
        if not program and knock.method not in METHODS:  # (1)
            raise Closed(HTTPStatus.METHOD_NOT_ALLOWED, "These pages can be read, and some forms can be sent.")
        if len(knock.address) > ADDRESS_LIMIT:  # (2)
            raise Closed(HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long.")
        if not program and knock.method == "POST":  # (3)
            self._check_form(knock)

    def check_token(self, given: str, expected: str) -> None:
        """Whether a form came from a page that this visitor was shown.

        Raises:
            Closed: It did not.
        """
        # Nobody is given an empty token: without sign-in no form can be sent.
        if not expected or not compare_digest(given.encode(), expected.encode()):
            raise Closed(HTTPStatus.FORBIDDEN, "This form did not come from these pages. Nothing was done.")

    def _check_form(self, knock: Knock) -> None:
        if knock.values("origin") != (self.origin,) or not OWN_SITE.issuperset(knock.values("sec-fetch-site")):
            raise Closed(HTTPStatus.FORBIDDEN, "Another site sent this form. Nothing was done.")
        kinds = [value.partition(";")[0].strip().lower() for value in knock.values("content-type")]
        path = knock.address.partition(b"?")[0].decode("latin-1")
        if kinds != [UPLOAD_TYPE if path == UPLOAD_PATH else FORM_TYPE]:
            raise Closed(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only forms of these pages can be sent. Nothing was done.")
