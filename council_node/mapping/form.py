"""The mapping file: how a council's own headings and codes become the schema's. Settings only; no case values."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from council_node.mapping.identifiers import identifying_heading
from council_node.mapping.place import ExtractPlace
from federated.errors import FileProblem
from federated.schema import Column, ColumnType, Dataset, Schema
from federated.yaml_document import read_form

__all__ = [
    "EXAMPLE",
    "ColumnMapping",
    "DateOrder",
    "ExtractMapping",
    "load_mapping",
    "normal_heading",
    "parse_mapping",
]

EXAMPLE: Final = """\
mapping: 1
dataset: case
file: extract.csv
dates: day_first
columns:
  household_key: {from: "HH Ref"}
  case_key: {from: "Case Ref"}
  assessment_date: {from: "Date assessed"}
  household_type:
    from: "Household composition"
    codes:
      "Single parent - Female": single_parent_female
  opted_out:
    from: "Opt out?"
    codes: {"Objects": "yes"}
"""
"""A mapping file, to show and to start from."""


class DateOrder(StrEnum):
    """How the extract writes dates."""

    DAY_FIRST = "day_first"
    """19/02/2025, as spreadsheets here do."""
    ISO = "iso"
    """2025-02-19."""


class ColumnMapping(BaseModel):
    """Where one column of the schema comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str = Field(
        alias="from",
        min_length=1,
        max_length=400,
        description="Heading in the extract, whatever its case and surrounding blanks. In XML a path inside the case, "
        "such as `main/HouseholdType`, with `@` before the name of an attribute; in a database a column's name.",
    )
    codes: dict[str, str] = Field(
        default_factory=dict,
        description="For categories: the extract's own wording, and the code it means. The codes and labels of [what "
        "can be asked about](data.md) are understood without being listed. Anything else counts as not known.",
    )


class ExtractMapping(ExtractPlace):
    """One mapping file: where an extract is, and what its headings and wordings mean."""

    version: Literal[1] = Field(alias="mapping", description="Version of this form: always `1`.")
    dataset: str = Field(description="The data set that the extract holds, such as `case`.")
    system: str | None = Field(
        default=None,
        max_length=200,
        description="The case system that the extract comes from, for `council-node inventory`; nothing hangs on it.",
    )
    dates: DateOrder = Field(
        default=DateOrder.DAY_FIRST,
        description="How text writes dates: `day_first` for 19/02/2025, `iso` for 2025-02-19.",
    )
    columns: dict[str, ColumnMapping] = Field(
        description="Where each column of the data set comes from; those left out cannot be asked about."
    )


def load_mapping(path: Path, schema: Schema) -> ExtractMapping:
    """Read and check a mapping file.

    Raises:
        FileProblem: It cannot be read or does not fit the schema; says where, and what would be right.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileProblem(
            f"The mapping file {path} cannot be read: {error.strerror}.", remedy="Check its name and permissions."
        ) from error
    return parse_mapping(content, source=str(path), schema=schema)


def parse_mapping(content: bytes, *, source: str, schema: Schema) -> ExtractMapping:
    """Check the text of a mapping file.

    Args:
        content: The file.
        source: Its name, for errors.
        schema: What it must fit.

    Raises:
        FileProblem: As `load_mapping`.
    """
    mapping = read_form(
        ExtractMapping, content, source=source, remedy="docs/guides/council-it.md shows a whole mapping file."
    )
    dataset = schema.datasets.get(mapping.dataset)
    if dataset is None:
        raise FileProblem(
            f"{source}: there is no data set '{mapping.dataset}'.",
            remedy=_suggestion(mapping.dataset, schema.datasets),
        )
    for name, column in mapping.columns.items():
        _check_column(name, column, dataset, source)
    return mapping


def normal_heading(text: str) -> str:
    """A heading or code as it is compared: case and surplus blanks do not count."""
    return " ".join(text.split()).casefold()


def _check_column(name: str, mapped: ColumnMapping, dataset: Dataset, source: str) -> None:
    column = dataset.columns.get(name)
    if column is None:
        raise FileProblem(
            f"{source}: the data set '{dataset.name}' has no column '{name}'.",
            remedy=_suggestion(name, dataset.columns),
        )
    if column.derived_from is not None:
        raise FileProblem(
            f"{source}: '{name}' is made from '{column.derived_from}' and is not mapped.",
            remedy=f"Map '{column.derived_from}' instead.",
        )
    if column.type is not ColumnType.KEY:
        _refuse_identifier(name, mapped.source, source)
    _check_codes(column, mapped, source)


def _refuse_identifier(name: str, title: str, source: str) -> None:
    kind = identifying_heading(title)
    if kind is not None:
        raise FileProblem(
            f"{source}: column '{name}' is taken from '{title}', which looks like {kind}; that is never read.",
            remedy="Map another heading, or rename the heading if it holds something else.",
        )


def _check_codes(column: Column, mapped: ColumnMapping, source: str) -> None:
    if mapped.codes and column.type is not ColumnType.CATEGORY:
        raise FileProblem(
            f"{source}: column '{column.name}' is a {column.type.value} and has no codes.", remedy="Leave 'codes' out."
        )
    for wording, code in mapped.codes.items():
        if code not in column.code_list:
            raise FileProblem(
                f"{source}: column '{column.name}', wording '{wording}': there is no code '{code}'.",
                remedy=_suggestion(code, column.code_list),
            )


def _suggestion(wrong: str, right: Iterable[str]) -> str:
    known = tuple(right)
    close = get_close_matches(wrong.lower(), known, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}."
