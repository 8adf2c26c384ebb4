"""Reference pages of signed files, made from the forms themselves, so that page and check cannot differ."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from federated.clauses import MEANINGS

__all__ = ["render"]

_PLAIN: Final = {int: "whole number", float: "number", bool: "`yes` or `no`", date: "date"}


def render(model: type[BaseModel]) -> str:
    """The reference page of a form, in Markdown: one table for each block, with what every field is for."""
    name = model.__name__.lower()
    lines = [
        f"# Fields of {'an' if name[0] in 'aeiou' else 'a'} {name}",
        "",
        _summary(model),
        "",
        f"The file is YAML; start from `federated/templates/{name}.yaml`.",
        "This page is made by `make docs` from the form that every node checks.",
    ]
    for title, block in _blocks(model):
        lines += ["", f"## {title}", "", *_intro(block, model), "| Field | What to write | Kind | Must be there |"]
        lines += ["|---|---|---|---|", *(_row(name, field) for name, field in block.model_fields.items())]
    choices = list(_choices(model))
    if choices:
        lines += ["", "## Choices", "", "| Choice | Meaning |", "|---|---|"]
        lines += [f"| `{choice}` | {MEANINGS[choice]} |" for choice in choices]
    return "\n".join(lines) + "\n"


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").split("\n\n")[0].replace("\n    ", " ").strip()


def _intro(block: type[BaseModel], model: type[BaseModel]) -> list[str]:
    return [] if block is model else [_summary(block), ""]


def _blocks(model: type[BaseModel], title: str = "At the top") -> Iterator[tuple[str, type[BaseModel]]]:
    """The form and every form inside it, in order, each under the field that holds it."""
    yield title, model
    for name, field in model.model_fields.items():
        for inner in _inner_forms(field.annotation):
            yield from _blocks(inner, f"`{name}`" if title == "At the top" else f"{title}, `{name}`")


def _inner_forms(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _inner_forms(argument)


def _choices(model: type[BaseModel]) -> Iterator[StrEnum]:
    kinds: dict[type[StrEnum], None] = {}
    for _, block in _blocks(model):
        for field in block.model_fields.values():
            kinds.update(dict.fromkeys(_enums(field.annotation)))
    return (choice for kind in kinds for choice in kind if choice in MEANINGS)


def _enums(annotation: Any) -> Iterator[type[StrEnum]]:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield annotation
    for argument in get_args(annotation):
        yield from _enums(argument)


def _row(name: str, field: FieldInfo) -> str:
    needed = "yes" if field.is_required() else f"no; otherwise {_default(field)}"
    return f"| `{field.alias or name}` | {field.description} | {_kind(field.annotation)} | {needed} |"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "left out" if value in (None, {}) else f"`{value}`"


def _kind(annotation: Any) -> str:
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin is tuple:
        return f"list: {_kind(arguments[0])}"
    if origin is dict:
        return f"names, each with: {_kind(arguments[1])}"
    return _kind(arguments[0]) if arguments else _plain_kind(annotation)


def _plain_kind(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        described = all(choice in MEANINGS for choice in annotation)
        return "one of the choices below" if described else " or ".join(f"`{choice}`" for choice in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "fields, see below"
    return _PLAIN.get(annotation, "text")
