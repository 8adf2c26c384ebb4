"""A session: a random token in one browser's cookie, its hash in the store, and how long it lasts.

The cookie's name begins with `__Host-`: browsers take such a cookie only over TLS, for this very host and for the
whole of it, so that no neighbour under the same domain can set it (RFC 6265bis, 4.1.3).
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from coordinator.sign_in.same_origin import NotFromHere
from coordinator.store import SessionRow
from protocols.identifiers import RandomSource

__all__ = [
    "BEFORE",
    "COOKIE",
    "IDLE",
    "LONGEST",
    "bound",
    "check_bound",
    "clear_cookie",
    "cookie_value",
    "is_live",
    "new_token",
    "set_cookie",
    "token_hash",
]

COOKIE: Final = "__Host-session"
BEFORE: Final = "__Host-before-sign-in"
"""A cookie of a browser in which nobody is signed in: it ties the sign-in form, and what comes back from the OpenID
provider, to the browser that asked."""
TOKEN_SIZE: Final = 32
LONGEST: Final = timedelta(hours=12)
IDLE: Final = timedelta(minutes=30)
SKEW: Final = timedelta(minutes=1)
"""So much may the clock be set back without a session of before counting as one from the future."""
SEEN_EVERY: Final = timedelta(minutes=1)


def new_token(rng: RandomSource) -> str:
    """256 random bits, as text for a cookie."""
    return urlsafe_b64encode(rng(TOKEN_SIZE)).rstrip(b"=").decode()


def token_hash(token: str) -> bytes:
    """What the store keeps of a token. It is random, so a plain hash cannot be undone by guessing."""
    return hashlib.sha256(token.encode()).digest()


def is_live(row: SessionRow, now: datetime) -> bool:
    """Whether a session goes on: begun within twelve hours, used within half an hour, and neither in the future."""
    return row.started_at - SKEW <= now < row.started_at + LONGEST and row.seen_at - SKEW <= now < row.seen_at + IDLE


def bound(token: str, purpose: str) -> str:
    """A value that whoever knows the cookie's token can make, and that says nothing about the token."""
    made = HMAC(token.encode(), SHA256())
    made.update(purpose.encode())
    return urlsafe_b64encode(made.finalize()).rstrip(b"=").decode()


def check_bound(given: str, token: str | None, purpose: str) -> None:
    """Whether a form comes from a page that this very browser was shown.

    Raises:
        NotFromHere: It does not.
    """
    if token is None or not compare_digest(given.encode(), bound(token, purpose).encode()):
        raise NotFromHere(
            "This form is too old, or did not come from these pages. Go back, reload the page and try again."
        )


def cookie_value(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The cookie of that name; none when there are two, as one of them is not ours."""
    given = [
        item.strip().partition("=")
        for key, value in headers
        if key.lower() == b"cookie"
        for item in value.decode("latin-1").split(";")
    ]
    found = {value for key, _, value in given if key == name}
    return found.pop() if len(found) == 1 else None


def set_cookie(name: str, value: str, *, lasts: timedelta | None = None) -> str:
    """The header's value; without `lasts` until the browser is closed."""
    age = "" if lasts is None else f"; Max-Age={int(lasts.total_seconds())}"
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}"


def clear_cookie(name: str) -> str:
    """The header's value that takes a cookie away."""
    return set_cookie(name, "", lasts=timedelta())
