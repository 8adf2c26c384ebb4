"""The form of the dictionary files: what a YAML file may say, checked field by field."""

import re
from datetime import date
from importlib.resources import files
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from federated.errors import FileProblem
from federated.schema.model import NOT_KNOWN

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$", strict=True)]
Label = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=160, strict=True)]
Characteristic = Literal[
    "age",
    "disability_or_health",
    "ethnicity",
    "gender_identity",
    "nationality",
    "pregnancy",
    "religion",
    "sex",
    "sexual_orientation",
]
"""Protected characteristics as the dictionaries mark them. The law counts nationality as race; here it stands apart, as
it and an ethnic group together single out a community."""
SensitivityClass = Annotated[int, Field(ge=0, le=2, strict=True)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class CodeForm(_Form):
    """One code as written."""

    code: Name
    label: Label
    sensitivity_class: SensitivityClass | None = Field(default=None, alias="class")
    retired_from: date | None = None
    group: Name | None = None


def _check_closed_list(codes: tuple[CodeForm, ...], where: str) -> None:
    names = [item.code for item in codes]
    if len(set(names)) != len(names):
        raise ValueError(f"{where} has the same code twice")
    # Labels are what councils' spellings are matched with, so two that differ in case alone would be one.
    if len({item.label.casefold() for item in codes}) != len(codes):
        raise ValueError(f"{where} has the same label twice")
    if NOT_KNOWN not in names:
        raise ValueError(f"{where} has no code '{NOT_KNOWN}'; every closed list needs one")


class ColumnForm(_Form):
    """One column as written."""

    name: Name
    type: Literal["category", "date", "integer", "key"]
    label: Label
    sensitivity_class: SensitivityClass = Field(alias="class")
    codes: tuple[CodeForm, ...] = ()
    list: Name | None = None
    low: int | None = None
    high: int | None = None
    note: str = ""
    derived_from: Name | None = None
    copied_from: Name | None = None
    protected: tuple[Characteristic, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_its_type(self) -> Self:
        if (self.type == "category") != (bool(self.codes) or self.list is not None):
            raise ValueError(f"column '{self.name}' must have codes or a list exactly when it is a category")
        if self.codes and self.list is not None:
            raise ValueError(f"column '{self.name}' has both codes and a list")
        bounds = self.low is not None and self.high is not None and self.low < self.high
        if (self.type == "integer") != bounds:
            raise ValueError(f"column '{self.name}' must have low below high exactly when it is an integer")
        if self.codes:
            _check_closed_list(self.codes, f"column '{self.name}'")
        return self


class DatasetForm(_Form):
    """One data set as written."""

    name: Name
    title: Label
    unit: Literal["household", "person"]
    unit_column: Name
    columns: tuple[ColumnForm, ...]

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("two columns have the same name")
        keys = {column.name for column in self.columns if column.type == "key"}
        if self.unit_column not in keys:
            raise ValueError(f"unit_column '{self.unit_column}' is not a column of type key")
        return self


class SchemaForm(_Form):
    """The list of data sets and the shared code lists as written."""

    version: Annotated[int, Field(ge=1, strict=True)]
    datasets: tuple[Name, ...]
    lists: dict[Name, tuple[CodeForm, ...]]

    @model_validator(mode="after")
    def _lists_are_closed(self) -> Self:
        for name, codes in self.lists.items():
            _check_closed_list(codes, f"list '{name}'")
        return self


FormT = TypeVar("FormT", bound=_Form)


def resource_text(name: str) -> str:
    """The text of one file of this package.

    Raises:
        FileProblem: The installation lacks the file.
    """
    try:
        return files("federated.schema").joinpath(name).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as problem:
        raise FileProblem(
            f"federated/schema/{name} is missing from this installation or is not text.", remedy="Install it again."
        ) from problem


def read_form(name: str, text: str, form: type[FormT]) -> FormT:
    """Check the text of one dictionary file.

    Args:
        name: File name, for the message.
        text: Its YAML.
        form: What it must be.

    Raises:
        FileProblem: Not YAML, or not of this form; the message names the file and the first field at fault.
    """
    try:
        return form.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as problem:
        line = re.search(r"line (\d+)", str(problem))
        where = f" line {line.group(1)}" if line else ""
        raise FileProblem(f"federated/schema/{name}{where} is not YAML.", remedy="Mend the file.") from problem
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FileProblem(f"federated/schema/{name}: {path}: {first['msg']}.", remedy="Mend the file.") from problem
