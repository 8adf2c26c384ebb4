"""The mapping file: how a council's own headings and codes become the schema's. Settings only; no case values."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from federated.errors import FileProblem
from federated.schema import Column, ColumnType, Dataset, Schema
from federated.yaml_document import read_form

__all__ = [
    "EXAMPLE",
    "ColumnMapping",
    "CsvEncoding",
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

# Headings of what the node never reads. The first group must be the whole heading, the second may be part of it.
_WHOLE_HEADING: Final = {
    r"(main )?(applicant|client|customer|partner|tenant|person|surname|forename)s?": "a name",
    r"d\W?o\W?b\W?|birth ?da(te|y)": "a date of birth",
    r"n\W?i\W?( ?(no|num|number|ref))?\W?|nino": "a National Insurance number",
    r"nhs( ?(no|num|number|id))?\W?": "an NHS number",
    r"(tel|telephone|mobile|phone|contact)( ?(no|num|number))?\W?": "a telephone number",
    r"(housing |case )?(officer|worker|caseworker|assessor)": "an officer's name",
    r"(.* )?notes?": "free text",
}
_IN_HEADING: Final = {
    r"\b(fore|sur|last|first|user)?names?\b(?! of)": "a name",
    r"\bdate of birth\b|\bdob\b": "a date of birth",
    r"\bnational insurance\b|\bni (no|number)\b": "a National Insurance number",
    r"\bnhs (no|num|number)\b": "an NHS number",
    r"\b(post|zip) ?codes?\b": "a postcode",
    r"\bu\W?p\W?r\W?n\b": "a property reference (UPRN)",
    r"\be-? ?mails?\b": "an e-mail address",
    r"\b(tele)?phones?\b": "a telephone number",
    r"\baddress(es)?\b": "an address",
    r"\bcase ?notes?\b|\bcomments?\b|\bfree ?text\b": "free text",
}


class DateOrder(StrEnum):
    """How the extract writes dates."""

    DAY_FIRST = "day_first"
    """19/02/2025, as spreadsheets here do."""
    ISO = "iso"
    """2025-02-19."""


class CsvEncoding(StrEnum):
    """The alphabet of a CSV file."""

    AUTO = "auto"
    """UTF-8 where every line of it is; Windows-1252 otherwise."""
    UTF_8 = "utf-8"
    """UTF-8, with or without a mark at the start; lines that are not are left out and counted."""
    CP1252 = "cp1252"
    """Windows-1252, as older spreadsheets save."""


class ColumnMapping(BaseModel):
    """Where one column of the schema comes from.

    Attributes:
        source: Heading in the extract, matched without regard to case and surrounding blanks.
        codes: For categories: the extract's own wording for a code of the schema. The schema's codes and printed
            labels are understood without being listed; anything else becomes `not_known` and is counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str = Field(alias="from", min_length=1, max_length=400)
    codes: dict[str, str] = Field(default_factory=dict)


class ExtractMapping(BaseModel):
    """One mapping file, version 1.

    Attributes:
        version: Version of the format.
        dataset: Data set of the schema that the extract holds.
        file: The extract, beside the mapping file unless a full path is given.
        dates: How dates are written.
        encoding: The alphabet of a CSV file. Where it is not stated, each line that is not UTF-8 is taken as
            Windows-1252, whatever the others are.
        columns: Where each column of the schema comes from; those left out cannot be asked about.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1] = Field(alias="mapping")
    dataset: str
    file: str = Field(min_length=1)
    dates: DateOrder = DateOrder.DAY_FIRST
    encoding: CsvEncoding = CsvEncoding.AUTO
    columns: dict[str, ColumnMapping]


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
    text = normal_heading(title)
    matched = [kind for pattern, kind in _WHOLE_HEADING.items() if re.fullmatch(pattern, text)]
    matched += [kind for pattern, kind in _IN_HEADING.items() if re.search(pattern, text)]
    if matched:
        raise FileProblem(
            f"{source}: column '{name}' is taken from '{title}', which looks like {matched[0]}; that is never read.",
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
