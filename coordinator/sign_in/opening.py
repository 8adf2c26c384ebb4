"""Makes signing in from the settings, for the process that serves the pages."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from argon2 import PasswordHasher

from coordinator.console.visitor import Visitor
from coordinator.settings import SignInSettings
from coordinator.sign_in.desk import Desk
from coordinator.sign_in.passwords import Passwords
from coordinator.sign_in.provider import open_provider
from coordinator.store import Store
from federated.errors import FileProblem
from federated.pages import renderer
from protocols.identifiers import RandomSource

__all__ = ["open_desk"]


def open_desk(
    settings: SignInSettings,
    store: Store,
    *,
    own: str,
    site: Callable[[Visitor], Mapping[str, Any]],
    clock: Callable[[], datetime],
    rng: RandomSource,
) -> Desk:
    """What `sign_in_routes` and `visitor_of` work with.

    Args:
        settings: The block `console.sign_in`.
        store: The coordinator's, for writing.
        own: Scheme, host and port under which people open the pages; HTTPS, or browsers keep no cookie.
        site: What the page around needs, for a visitor.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.

    Raises:
        FileProblem: The pages are not opened over TLS, nobody could sign in, or the client secret cannot be read.
    """
    if not own.startswith("https://"):
        raise FileProblem(
            f"People cannot sign in at {own}: browsers keep the cookies of these pages over TLS alone.",
            remedy="Set 'console.public_address' to an address that begins with https://.",
        )
    if not settings.local and settings.openid is None:
        raise FileProblem(
            "Nobody could sign in: 'console.sign_in.local' is off and there is no provider.",
            remedy="Turn it on, or name a provider in 'console.sign_in.openid'. See docs/console-sign-in.md.",
        )
    return Desk(
        store=store,
        own=own,
        local=settings.local,
        passwords=Passwords(PasswordHasher(), rng),
        provider=None if settings.openid is None else open_provider(settings.openid, own=own, clock=clock),
        templates=renderer({"sign_in": "coordinator.sign_in"}),
        site=site,
        clock=clock,
        rng=rng,
    )
