"""Texts for people, made from templates: a name that is missing is an error, never an empty place in a document."""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from federated.plain_english import as_sentence
from federated.rationals import decimal_down, decimal_up
from federated.timestamps import day

__all__ = ["fill"]

_PACKAGE: Final = "council_node.proof"


def _cell(text: object) -> str:
    """A text inside a table of a Markdown page."""
    return " ".join(str(text).split()).replace("|", "\\|")


# Markdown, not HTML: nothing is escaped as HTML would be; `cell` keeps tables whole.
_ENVIRONMENT: Final = Environment(
    loader=PackageLoader(_PACKAGE),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - the texts are Markdown that nobody's browser runs
)
_ENVIRONMENT.filters |= {"day": day, "cell": _cell, "sentence": as_sentence, "up": decimal_up, "down": decimal_down}


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A page made from a template of this package, for example ``evidence.md``.

    Raises:
        jinja2.UndefinedError: The template names something that is not among the values: a fault of this software.
    """
    return _ENVIRONMENT.get_template(template).render(**values)
