"""Renders templates: everything escaped, and a name that is missing is an error rather than a blank."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment, PackageLoader, PrefixLoader, UndefinedError
from jinja2.utils import missing

__all__ = ["day", "moment", "renderer"]

COMPONENTS: Final = "govuk_frontend_jinja"


class _Undefined(ChainableUndefined):
    """The components leave most of their parameters out; nothing else may be left out."""

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, *rest: Any) -> None:
        super().__init__(hint, obj, name, *rest)
        if not isinstance(obj, Mapping | ChainableUndefined):
            raise UndefinedError(hint or f"a template uses '{name}', which is not there")


def renderer(packages: Mapping[str, str]) -> Environment:
    """An environment for templates of these packages.

    Args:
        packages: Prefix of the templates' names → package whose folder `templates` holds them. `pages/` and the
            components of the GOV.UK Design System are always there.
    """
    own = {"pages": "federated.pages", COMPONENTS: COMPONENTS, **packages}
    made = Environment(
        loader=PrefixLoader({prefix: PackageLoader(package) for prefix, package in own.items()}),
        autoescape=True,
        undefined=_Undefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"day": day, "moment": moment, "number": number}
    return made


def day(text: str | date) -> str:
    """A day as people write it: ``31 December 2025``. Takes a date or the beginning of an ISO time."""
    found = date.fromisoformat(text[: len("2025-12-31")]) if isinstance(text, str) else text
    return f"{found.day} {found:%B %Y}"


def moment(text: str) -> str:
    """A time as people write it, from ``2026-01-31T09:00:00Z``: UTC, said so."""
    return f"{day(text)}, {text[11:16]} UTC"


def number(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"
