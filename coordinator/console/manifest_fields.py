"""The manifest's form, read off the form itself: every field with its help, and back from what was typed.

Pure. What stands in a draft is kept as it was typed, finished or not: the linter says what is still to mend.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from federated.agreement import Agreement
from federated.clauses import MEANINGS, PROHIBITED_USES
from federated.manifest import Manifest
from federated.query import Level, Query
from federated.schema import Dataset
from federated.statistics import statistic

__all__ = ["SECTIONS", "Block", "Field", "Section", "first_document", "matched_to", "section_blocks", "taken_from"]

LONG_TEXT: Final = 500
"""A field that may be longer gets several lines."""
MOST_ENTRIES: Final = 30
YEARS_KEPT: Final = 3
DAYS_OF_A_YEAR: Final = 365
NO_CHOICE: Final = frozenset({"manifest", "use", "legal_position.personal_data_leaves_council"})
"""Fields with one right value, which is shown and not asked."""
FROM_THE_QUESTION: Final = frozenset({"dataset", "column"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Fields that are asked on one page."""

    name: str
    title: str
    fields: tuple[str, ...]


SECTIONS: Final = (
    Section(
        name="question",
        title="What is asked, and for which decision",
        fields=(
            "manifest",
            "id",
            "version",
            "title",
            "question",
            "decision",
            "purpose_category",
            "need",
            "frequency",
        ),
    ),
    Section(
        name="benefit",
        title="Who gains from it, and what it costs",
        fields=("benefit_to_council", "benefit_to_residents", "public_benefit", "costs_and_benefits"),
    ),
    Section(name="data", title="What is read, and what comes out", fields=("fields_read", "output", "linked_data")),
    Section(
        name="use",
        title="Who gets the answer, and what for",
        fields=(
            "recipients",
            "storage",
            "retention",
            "use",
            "prohibited_uses",
            "funding_use",
            "funding_use_text",
        ),
    ),
    Section(name="law", title="The legal position claimed", fields=("legal_position",)),
    Section(name="ethics", title="Right and wrong", fields=("ethics", "red_lines")),
    Section(name="dates", title="Dates and contacts", fields=("collect_by", "return_by", "expires_on", "contacts")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as it is asked.

    Attributes:
        path: As the linter names it, for example ``need.why_now``.
        label: For people.
        help: What it is for.
        kind: ``line``, ``prose``, ``choice``, ``several``, ``yes_no``, ``day`` or ``fixed``.
        value: What stands in it now, as text; of ``several`` the codes, apart by spaces.
        options: Code and words of each choice.
    """

    path: str
    label: str
    help: str
    kind: str
    value: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Fields under one heading; without one where the heading is empty."""

    heading: str
    fields: tuple[Field, ...]


def section_blocks(section: Section, document: Mapping[str, Any]) -> tuple[Block, ...]:
    """The fields of a page with what stands in them; a list has one empty entry more than it holds."""
    return tuple(_blocks(Manifest, section.fields, document, ""))


def _blocks(form: type[BaseModel], names: Sequence[str], values: Mapping[str, Any], path: str) -> Iterator[Block]:
    plain: list[Field] = []
    for name in names:
        info, at = form.model_fields[name], f"{path}{name}"
        inner, listed = _inner(info)
        value = values.get(name)
        if inner is None:
            plain.append(_field(info, at, value))
            continue
        if plain:
            yield Block(heading="", fields=tuple(plain))
            plain = []
        entries = _entries(value, at) if listed else [value]
        for place, entry in enumerate(entries):
            below = f"{at}.{place}." if listed else f"{at}."
            fields = tuple(_fields(inner, entry if isinstance(entry, dict) else {}, below))
            yield Block(heading=_heading(name, place if listed else None, fields), fields=fields)
    if plain:
        yield Block(heading="", fields=tuple(plain))


def _entries(value: Any, at: str) -> list[Any]:
    entries = value if isinstance(value, list) else []
    # What is read follows from the question; of everything else there may be one more.
    return entries if at == "fields_read" else [*entries, {}][:MOST_ENTRIES]


def _fields(form: type[BaseModel], values: Mapping[str, Any], path: str) -> Iterator[Field]:
    for name, info in form.model_fields.items():
        yield _field(info, f"{path}{name}", values.get(name))


def _heading(name: str, place: int | None, fields: Sequence[Field]) -> str:
    words = _words(name)
    if name == "fields_read":
        return f"{words}: {fields[1].value}"
    return words if place is None else f"{words}, {place + 1}"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _field(info: FieldInfo, path: str, value: Any) -> Field:
    kind, options = _kind(info, path)
    return Field(
        path=path,
        label=_words(path.rpartition(".")[2]),
        help=(info.description or "").replace("`", "'"),
        kind=kind,
        value=_text(value if value is not None else info.get_default()),
        options=options,
    )


def _text(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str() | int() | date():
            return str(value)
        case list():
            return " ".join(str(item) for item in value)
        case _:
            return ""


def _kind(info: FieldInfo, path: str) -> tuple[str, tuple[tuple[str, str], ...]]:  # noqa: PLR0911 - one for each kind
    wanted = _plain(info.annotation)
    if path in NO_CHOICE or path.rpartition(".")[2] in FROM_THE_QUESTION:
        return "fixed", ()
    if get_origin(wanted) is tuple:
        return "several", _meanings(_plain(get_args(wanted)[0]))
    if get_origin(wanted) is Literal:
        return "choice", tuple((str(item), str(item).capitalize()) for item in get_args(wanted))
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return "choice", _meanings(wanted)
    if wanted is bool:
        return "yes_no", (("yes", "Yes"), ("no", "No"))
    if wanted is date:
        return "day", ()
    return ("prose" if _longest(info) > LONG_TEXT else "line"), ()


def _meanings(kind: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(item), f"{MEANINGS[item][:1].upper()}{MEANINGS[item][1:]}") for item in kind)


def _longest(info: FieldInfo) -> int:
    found = [item.max_length for item in _metadata(info) if isinstance(item, StringConstraints | MaxLen)]
    return max((length for length in found if length), default=0)


def _metadata(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    for part in get_args(info.annotation):
        yield from getattr(part, "__metadata__", ())


def _plain(annotation: Any) -> Any:
    """A type without what is annotated to it, and without None."""
    if hasattr(annotation, "__metadata__"):
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) is UnionType or str(get_origin(annotation)) == "typing.Union":
        return _plain(next(item for item in get_args(annotation) if item is not NoneType))
    return annotation


def _inner(info: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The form inside a field, and whether it is a list of such."""
    wanted = _plain(info.annotation)
    listed = get_origin(wanted) is tuple
    held = _plain(get_args(wanted)[0]) if listed else wanted
    return (held, listed) if isinstance(held, type) and issubclass(held, BaseModel) else (None, False)


# Back from what was typed


def taken_from(section: Section, form: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what was typed on one page."""
    changed = dict(document)
    for name in section.fields:
        value = _typed(Manifest.model_fields[name], name, form, changed.get(name))
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return {name: changed[name] for name in Manifest.model_fields if name in changed}


def _typed(info: FieldInfo, path: str, form: Mapping[str, str], before: Any) -> Any:
    inner, listed = _inner(info)
    if inner is None:
        return _typed_value(info, path, form, before)
    if not listed:
        return _typed_entry(inner, f"{path}.", form, before) or None
    entries = before if isinstance(before, list) else []
    most = len(entries) if path == "fields_read" else MOST_ENTRIES
    found = [
        _typed_entry(inner, f"{path}.{place}.", form, entries[place] if place < len(entries) else {})
        for place in range(most)
    ]
    return [entry for entry in found if entry]


def _typed_entry(inner: type[BaseModel], path: str, form: Mapping[str, str], before: Any) -> dict[str, Any]:
    known = before if isinstance(before, dict) else {}
    found = {
        name: _typed_value(info, f"{path}{name}", form, known.get(name)) for name, info in inner.model_fields.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _typed_value(info: FieldInfo, path: str, form: Mapping[str, str], before: Any) -> Any:
    kind, options = _kind(info, path)
    text = form.get(path, "").replace("\r\n", "\n").strip()
    match kind:
        case "fixed":
            return before
        case "several":
            return [code for code, _ in options if form.get(f"{path}.{code}") == "yes"]
        case "yes_no":
            return {"yes": True, "no": False}.get(text)
        case _ if info.annotation is int and text.isascii() and text.isdigit():
            return int(text[:18])
        case _:
            return text or None


# What is known before anything is typed


def first_document(
    question: Query, agreement: Agreement, dataset: Dataset, *, name: str, today: date
) -> dict[str, Any]:
    """A manifest with everything that follows from the question and its agreement; the rest is for people to write."""
    collect_by = today + timedelta(days=agreement.decision_days)
    ends = {
        "collect_by": collect_by,
        "return_by": collect_by + timedelta(days=1),
        "expires_on": collect_by + timedelta(days=2),
    }
    started: dict[str, Any] = {
        "manifest": 1,
        "id": name,
        "version": 1,
        "title": question.title,
        "frequency": "once",
        "linked_data": "none",
        "recipients": [item.model_dump(mode="json") for item in agreement.recipients],
        "storage": agreement.storage,
        "retention": {"until": (collect_by + timedelta(days=YEARS_KEPT * DAYS_OF_A_YEAR)).isoformat()},
        "use": "strategic",
        "prohibited_uses": sorted(use.value for use in PROHIBITED_USES),
        "funding_use": "none",
        "legal_position": agreement.legal_position.model_dump(mode="json"),
        "contacts": agreement.contacts.model_dump(mode="json"),
    } | {field: day.isoformat() for field, day in ends.items()}
    return matched_to(started, question, dataset)


def matched_to(document: Mapping[str, Any], question: Query, dataset: Dataset) -> dict[str, Any]:
    """The document with an entry for each column that the question reads, and one for each of its tables at least."""
    known = document.get("fields_read")
    before = {item.get("column"): item for item in known if isinstance(item, dict)} if isinstance(known, list) else {}
    columns = sorted(question.columns())
    fields = [{"dataset": dataset.name, "column": name} | _kept(before.get(name)) for name in columns]
    given = document.get("output")
    output = list(given) if isinstance(given, list) else []
    output += [_output(question, place, dataset) for place in range(len(output), len(question.tables))]
    changed = {**document, "fields_read": fields, "output": output}
    return {name: changed[name] for name in Manifest.model_fields if name in changed}


def _kept(entry: Any) -> dict[str, Any]:
    return {name: entry[name] for name in ("why", "effort") if name in entry} if isinstance(entry, dict) else {}


def _output(question: Query, place: int, dataset: Dataset) -> dict[str, str]:
    table = question.tables[place]
    rows = " and ".join(dataset.column(item.column).label for item in table.by) or "One row"
    regions = table.level is Level.REGION
    return {
        "title": f"{statistic(table.statistic).title}: {rows}" if table.by else statistic(table.statistic).title,
        "rows": rows,
        "columns": "Estimate and 95% interval",
        "level": "Regions" if regions else "All councils asked together",
    }
