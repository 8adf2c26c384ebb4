"""A council's extract as its case system would export it: other headings, other spellings, faults and all.

The texts in the columns that are never read are made up and cannot belong to anyone: National Insurance numbers
with the prefix QQ, telephone numbers of the range kept for drama, addresses in a town that does not exist.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.schema import NOT_KNOWN, Column, ColumnType, Dataset, load_schema
from federated.synthetic.cases import Cases, narrow
from federated.synthetic.styles import DATASET, Style, canonical_style, style_of
from protocols.identifiers import CouncilId

ObjectColumns: TypeAlias = dict[str, NDArray[np.object_]]
"""Texts column by column, of any length, while the file is being made."""

OPTED_OUT: Final = "opted_out"
_STREAM: Final = 1
"""Keeps the extract's draws apart from those of the cases with the same seed."""
_CANARY_EVERY: Final = 5
_UNREADABLE_DATES: Final = ("", "not yet", "31/02/2025")
_OUTSIDE_THE_LIST: Final = ("see notes", "zz", "??", "#N/A", "legacy code 99")
_FAULTLESS: Final = frozenset({OPTED_OUT, "application_date"})
"""Columns without faults: an objection that cannot be read is not made up here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mess:
    """How untidy an extract is; shares are of cells, rows or households, from 0 to 1.

    Attributes:
        blank: Share of cells of categories and numbers left blank.
        outside_list: Share of cells of categories with a text that is in no closed list.
        unreadable_date: Share of dates that cannot be read, those of application apart; a case without a readable
            date of assessment is in no period.
        duplicated: Share of rows that stand in the file a second time.
        opted_out: Share of households that object.
        respelled: Share of cells with stray blanks or another case; it changes no meaning.
    """

    blank: float = 0.004
    outside_list: float = 0.003
    unreadable_date: float = 0.002
    duplicated: float = 0.02
    opted_out: float = 0.005
    respelled: float = 0.12


TIDY: Final = Mess(blank=0, outside_list=0, unreadable_date=0, duplicated=0, opted_out=0, respelled=0)
"""No faults at all: the counts of the extract are those of the cases."""


def write_extract(
    cases: Cases,
    path: Path,
    *,
    seed: int,
    style: Style | None = None,
    mess: Mess | None = None,
    canary: str | None = None,
) -> Cases:
    """Write a council's extract as CSV.

    Args:
        cases: The records.
        path: Where to write it.
        seed: 0 or more; the same seed gives the same file.
        style: The case system; for cases the council's own when none, for other tables the schema's names and codes.
        mess: How untidy the file is; the usual untidiness when none.
        canary: A text planted in columns that are never read and in references, to search for elsewhere.

    Returns:
        The records as the file holds them, in its order: with blanks and texts outside the lists as `not_known`,
        objections, duplicates and planted references. This is the truth that a release is held against.
    """
    if style is None:
        style = style_of(cases.council) if cases.dataset == DATASET else canonical_style(cases.dataset)
    mess = mess or Mess()
    rng = np.random.default_rng([seed, int(cases.council[1:]), _STREAM, *_of_table(cases.dataset)])
    columns = {name: column.astype(object) for name, column in cases.columns.items()}
    if canary is not None:
        _plant(columns, canary)
    written = {name: np.full(len(cases), None, dtype=object) for name in style.headings_of(cases.columns)}
    dataset = load_schema().dataset(cases.dataset)
    _spoil(columns, written, dataset, mess, rng)
    if OPTED_OUT in columns:
        _object(columns, mess, rng)
    _spell(columns, written, style, mess, rng, dataset=dataset)
    private = _never_read(cases.council, len(cases), canary, rng)
    order = _order(len(cases), mess.duplicated, rng)
    _write_csv(path, style, written, private, order)
    recorded = {name: narrow(column[order].astype(np.str_)) for name, column in columns.items()}
    return replace(cases, columns=MappingProxyType(recorded))


def _plant(columns: ObjectColumns, canary: str) -> None:
    """Lengthen every fifth reference; equal references stay equal and different ones different."""
    for name in ("household_key", "case_key"):
        planted = [
            f"{key}-{canary}" if int(key.lstrip("HC")) % _CANARY_EVERY == 0 else key for key in columns[name].tolist()
        ]
        columns[name] = np.array(planted, dtype=object)


def _of_table(dataset: str) -> list[int]:
    """What sets a table's draws apart from those of the cases."""
    names = list(load_schema().datasets)
    return [names.index(dataset)] if dataset != DATASET else []


def _spoil(
    columns: ObjectColumns, written: ObjectColumns, dataset: Dataset, mess: Mess, rng: np.random.Generator
) -> None:
    """Blank cells, texts outside the lists and unreadable dates, in the file and in what is known from it."""
    for name in written:
        column = dataset.column(name)
        size = len(columns[name])
        if column.type is ColumnType.CATEGORY and name not in _FAULTLESS:
            faults = [(mess.blank, ("",)), (mess.outside_list, _OUTSIDE_THE_LIST)]
        elif column.type is ColumnType.INTEGER:
            faults = [(mess.blank, ("",))]
        elif column.type is ColumnType.DATE and name not in _FAULTLESS:
            faults = [(mess.unreadable_date, _UNREADABLE_DATES)]
        else:
            faults = []
        for share, texts in faults:
            rows = _chosen(rng, size, share)
            written[name][rows] = rng.choice(np.array(texts, dtype=object), size=len(rows))
            columns[name][rows] = NOT_KNOWN if column.type is ColumnType.CATEGORY else ""


def _chosen(rng: np.random.Generator, size: int, share: float) -> NDArray[np.intp]:
    return np.flatnonzero(rng.random(size) < share)


def _object(columns: ObjectColumns, mess: Mess, rng: np.random.Generator) -> None:
    """Let some households object; the objection stands in every row of theirs."""
    households, of_row = np.unique(columns["household_key"].astype(np.str_), return_inverse=True)
    objecting = rng.random(len(households)) < mess.opted_out
    columns[OPTED_OUT] = np.where(objecting[of_row], "yes", "no").astype(object)


def _spell(
    columns: ObjectColumns,
    written: ObjectColumns,
    style: Style,
    mess: Mess,
    rng: np.random.Generator,
    *,
    dataset: Dataset,
) -> None:
    """Write every cell that holds no fault yet, some with stray blanks or in another case."""
    for name, cells in written.items():
        column = dataset.column(name)
        intact = np.array([cell is None for cell in cells.tolist()], dtype=bool)
        cells[intact] = _spelled(columns[name], column, style, rng)[intact]
        if column.type is ColumnType.CATEGORY:
            for row in _chosen(rng, len(cells), mess.respelled).tolist():
                cells[row] = _respelled(cells[row], int(rng.integers(4)))


def _spelled(texts: NDArray[np.object_], column: Column, style: Style, rng: np.random.Generator) -> NDArray[np.object_]:
    match column.type:
        case ColumnType.DATE if style.dates == "day_first":
            return np.array(["/".join(reversed(text.split("-"))) for text in texts.tolist()], dtype=object)
        case ColumnType.CATEGORY:
            spellings = style.spellings(column)
            draws = rng.random(len(texts)).tolist()
            choices = (spellings[text] for text in texts.tolist())
            picked = [options[int(draw * len(options))] for options, draw in zip(choices, draws, strict=True)]
            return np.array(picked, dtype=object)
        case _:
            return texts


def _respelled(text: str, way: int) -> str:
    match way:
        case 0:
            return f" {text}"
        case 1:
            return f"{text}  "
        case 2:
            return text.upper()
        case _:
            return text.lower()


def _never_read(council: CouncilId, size: int, canary: str | None, rng: np.random.Generator) -> ObjectColumns:
    """Identifying texts that cannot belong to anyone, for the columns that no mapping names."""
    numbers = rng.integers(0, 1_000_000, size=size).tolist()
    born = np.datetime64("1940-01-01") + rng.integers(0, 24_000, size=size).astype("timedelta64[D]")
    mark = "" if canary is None else f" {canary}"
    marks = [mark if row % _CANARY_EVERY == 0 else "" for row in range(size)]

    def marked(texts: Iterable[str]) -> NDArray[np.object_]:
        return np.array([text + end for text, end in zip(texts, marks, strict=True)], dtype=object)

    return {
        "name": marked(f"Testperson{number:06d} Synthetic" for number in numbers),
        "national_insurance": marked(f"QQ{number:06d}A" for number in numbers),
        "birth": marked(np.datetime_as_string(born).tolist()),
        "address": marked(f"{number % 200 + 1} Example Street, Sampleton" for number in numbers),
        "phone": marked(f"01632 960{number % 1000:03d}" for number in numbers),
        "notes": marked(f"Synthetic note {number}, {council}; says nothing about anyone." for number in numbers),
    }


def _order(size: int, duplicated: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """The rows in the order of the file, some of them twice."""
    twice = _chosen(rng, size, duplicated)
    return rng.permutation(np.concatenate([np.arange(size), twice]))


def _write_csv(
    path: Path, style: Style, written: ObjectColumns, private: ObjectColumns, order: NDArray[np.intp]
) -> None:
    headings_of = style.headings_of(written)
    headed = {headings_of[name]: cells for name, cells in written.items()}
    headed |= {style.never_read[kind]: texts for kind, texts in private.items() if kind in style.never_read}
    # Identifying columns stand among the others, as they do in a real export.
    headings = sorted(headed, key=lambda heading: (len(heading), heading))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(headings)
        writer.writerows(zip(*(headed[heading][order].tolist() for heading in headings), strict=True))
