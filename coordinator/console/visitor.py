"""Who asks for a page, and what that lets them see."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from starlette.requests import Request

__all__ = ["NOBODY", "PUBLIC", "Role", "Scope", "Visitor", "VisitorOf"]

DAY_LENGTH: Final = len("2026-01-31")


class Role(StrEnum):
    """What an account may do."""

    ANALYST = "analyst"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    OBSERVER = "observer"


class Scope(StrEnum):
    """What a program's token may do at most."""

    READ = "read"
    """See what its account may see."""
    ASK = "ask"
    """Put questions and hand in papers as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks for a page; nobody signed in has no name and no roles.

    Attributes:
        name: Empty for the public.
        roles: What the account may do.
        agreements: Ids of agreements this account may see; empty for the public and for operators.
        scope: Of the token that a program asks with; None for a person.
        form_token: Goes into every form; empty where no form can be sent.
    """

    name: str
    roles: frozenset[Role]
    agreements: frozenset[str]
    form_token: str = field(repr=False)
    scope: Scope | None = None

    @property
    def signed_in(self) -> bool:
        """Whether it is somebody with an account."""
        return bool(self.name)

    def told(self, time: str) -> str:
        """An ISO time as this visitor is told it: of whoever has not signed in, the day alone.

        By the second anybody could tell how long the councils of one question took.
        """
        return time if self.signed_in else time[:DAY_LENGTH]

    def has(self, roles: frozenset[Role]) -> bool:
        """Whether the account has one of these roles."""
        return bool(self.roles & roles)


VisitorOf = Callable[[Request], Visitor]
"""Says who asks; given to `build_site`."""

NOBODY: Final = Visitor(name="", roles=frozenset(), agreements=frozenset(), form_token="")


def PUBLIC(_request: Request) -> Visitor:  # noqa: N802 - stands where sign-in would
    """Everybody is the public: how the pages are served without sign-in."""
    return NOBODY
