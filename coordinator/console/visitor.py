"""Who asks for a page, as the pages see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.requests import Request

__all__ = ["Role", "Visitor", "VisitorOf"]


class Role(StrEnum):
    """What somebody who signs in is there for."""

    ANALYST = "analyst"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks for a page; nobody signed in has no name and no roles.

    Attributes:
        name: Of the account; empty for the public.
        roles: Of the account.
        agreements: Ids of the agreements that this account may see; empty for the public and for operators.
        form_token: Goes into every form.
    """

    name: str
    roles: frozenset[Role]
    agreements: frozenset[str]
    form_token: str = field(repr=False)


VisitorOf = Callable[[Request], Visitor]
