"""Renders templates: everything escaped, and a name that is missing is an error rather than a blank."""

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from jinja2 import BaseLoader, ChainableUndefined, Environment, PackageLoader, PrefixLoader, StrictUndefined, Template

from federated.timestamps import day, days, moment

__all__ = ["number", "renderer"]

COMPONENTS: Final = "govuk_frontend_jinja"


class _Pages(Environment):
    """Our templates, in which nothing may be missing; the components leave most of their parameters out."""

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._components = Environment(
            loader=PrefixLoader({COMPONENTS: PackageLoader(COMPONENTS)}), undefined=ChainableUndefined, autoescape=True
        )

    def get_template(
        self,
        name: str | Template,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - the library's own name
    ) -> Template:
        """A template; components come from an environment of their own."""
        if isinstance(name, str) and name.startswith(f"{COMPONENTS}/"):
            return self._components.get_template(name, parent, globals)
        return super().get_template(name, parent, globals)


def renderer(packages: Mapping[str, str]) -> Environment:
    """An environment for templates of these packages.

    Args:
        packages: Prefix of the templates' names → package whose folder `templates` holds them. `pages/` and the
            components of the GOV.UK Design System (`govuk_frontend_jinja/`) are always there.
    """
    own = {"pages": "federated.pages", **packages}
    made = _Pages(PrefixLoader({prefix: PackageLoader(package) for prefix, package in own.items()}))
    made.filters |= {"day": day, "days": days, "moment": moment, "number": number}
    return made


def number(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"
