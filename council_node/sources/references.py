"""Whose a row is: pseudonyms of households and cases, objections, and which part of the households a row is in."""

from typing import Final

from duckdb import Expression, coalesce, col, fn, lit, when

from council_node.selects import Select
from council_node.sources.canonical import ReferenceKind, objects, pseudonym, run_key
from council_node.sources.extract import CASE_REFERENCE, HOUSEHOLD, Part
from council_node.sources.layout import CASE_KEY, OPTED_OUT, Layout

__all__ = ["NO_KEY", "OBJECTS", "case_link", "in_part", "marks", "named_household", "own_household", "references"]

OBJECTS: Final = "!objects"
NO_KEY: Final = "!no key"

_BETWEEN_TEXTS: Final = "\x1f"


def references(layout: Layout) -> list[Expression]:
    """Pseudonyms of household and case, whether the row names its household, and whether that household objects."""
    unit = _texts(layout, layout.dataset.unit_column)
    return [
        own_household(layout).alias(HOUSEHOLD),
        coalesce(*(text.is_null() for text in unit), lit(value=True)).alias(NO_KEY),
        *marks(layout),
    ]


def marks(layout: Layout) -> list[Expression]:
    """Whether the row's household objects, and the pseudonym of its case where there is one."""
    # Only ever compared between rows that agree in everything else, so a short hash is enough.
    case = [
        fn("hash", coalesce(fn("||", run_key(), text), _own())).alias(CASE_REFERENCE)
        for text in _texts(layout, CASE_KEY)
    ]
    return [_objecting(layout).alias(OBJECTS), *case]


def own_household(layout: Layout, *, case_first: bool = False) -> Expression:
    """The household that a row names itself, else its case, else nothing but itself.

    Args:
        layout: Where the references stand.
        case_first: Take the case before the household: for rows whose case was looked for and not found.
    """
    unit = [(ReferenceKind.UNIT, text) for text in _texts(layout, layout.dataset.unit_column)]
    case = [(ReferenceKind.CASE, text) for text in _texts(layout, CASE_KEY)]
    ordered = (*case, *unit) if case_first else (*unit, *case)
    return pseudonym(*ordered, (ReferenceKind.OWN, _own()))


def named_household(layout: Layout) -> Expression:
    """Pseudonym of the household that the row names; null where it names none."""
    unit = _texts(layout, layout.dataset.unit_column)
    return pseudonym(*((ReferenceKind.UNIT, text) for text in (*unit, lit(None).cast("VARCHAR"))))


def case_link(layout: Layout) -> Expression:
    """Pseudonym of the row's case, by which two tables are joined; null where the row names none."""
    [case] = _texts(layout, CASE_KEY)
    return pseudonym((ReferenceKind.CASE, case))


def in_part(
    rows: Select, layout: Layout, part: Part, *, also: str | None = None, whatever: str | None = None
) -> Select:
    """The rows whose household is in a part, or whose reference in the column `also` is, or that `whatever` marks.

    A row that names nobody is placed by what it holds: its own pseudonym is drawn anew at every reading.
    """
    if part.of == 1:
        return rows
    named = lit(value=False)
    for text in (*_texts(layout, layout.dataset.unit_column), *_texts(layout, CASE_KEY)):
        named |= text.is_not_null()
    held = fn("concat_ws", lit(_BETWEEN_TEXTS), *(col(name) for name in layout.texts))
    here = _is_in(when(named).then(fn("hash", col(HOUSEHOLD))).otherwise(fn("hash", held)), part)
    if also is not None:
        here |= _is_in(fn("hash", col(also)), part)
    return rows.where(here if whatever is None else here | col(whatever))


def _is_in(number: Expression, part: Part) -> Expression:
    return fn("%", number, lit(part.of)) == lit(part.number)


def _texts(layout: Layout, name: str) -> list[Expression]:
    raw = layout.raw(name)
    return [] if raw is None else [col(raw)]


def _own() -> Expression:
    return fn("uuid").cast("VARCHAR")


def _objecting(layout: Layout) -> Expression:
    raw = layout.raw(OPTED_OUT)
    if raw is None:
        return lit(value=False)
    return objects(layout.dataset.column(OPTED_OUT), layout.mapped(OPTED_OUT), text=raw, dataset=layout.dataset)
