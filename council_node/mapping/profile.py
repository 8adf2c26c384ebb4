"""A mapping profile: the headings and wordings usual in one case system, as data that a council can add to.

A profile proposes; what a node reads is decided by the mapping file alone. The profile `generic` holds everyday words
and stands behind every other one.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from council_node.mapping.identifiers import identifying_heading
from federated.clauses import Form, Line, Name, Prose
from federated.errors import FileProblem
from federated.schema import ColumnType, Dataset, Schema
from federated.yaml_document import read_form

__all__ = ["GENERIC", "Profile", "ProfileColumn", "load_profile", "profile_names"]

GENERIC: Final = "generic"
_PACKAGE: Final = "council_node.mapping.profiles"
_REMEDY: Final = "docs/reference/profile.md explains every field."

Words = Annotated[str, Field(min_length=1, max_length=400)]


class ProfileColumn(Form):
    """How a system writes one column of the schema."""

    headings: tuple[Words, ...] = Field(
        default=(), description="Headings that mean this column, the usual one first. Case and blanks do not count."
    )
    wordings: dict[str, tuple[Words, ...]] = Field(
        default_factory=dict,
        description="For categories: the system's wordings of each code. The schema's codes and printed labels are "
        "understood without being listed.",
    )


class Profile(Form):
    """Headings and wordings usual in one case system."""

    profile: Literal[1] = Field(description="Version of this form: always `1`.")
    system: Line = Field(description="The case system, as people call it.")
    illustrative: bool = Field(
        description="`yes` when the words are made up in the system's manner, because its supplier publishes no list "
        "of them. A council checks each against its own export."
    )
    note: Prose = Field(description="Where the words come from.")
    abbreviations: dict[str, str] = Field(
        default_factory=dict, description="Shortened words in headings and what they stand for."
    )
    other_people: tuple[str, ...] = Field(
        default=(),
        description="Words in a heading that say it is about somebody else than the main applicant; such a heading is "
        "mapped only by a person.",
    )
    datasets: Annotated[dict[Name, dict[Name, ProfileColumn]], Field(min_length=1)] = Field(
        description="For each data set, its columns."
    )

    def columns(self, dataset: str) -> Mapping[str, ProfileColumn]:
        """The profile's columns of a data set; none when it does not know it."""
        return self.datasets.get(dataset, {})


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with this program, `generic` first."""
    found = sorted(item.name.removesuffix(".yaml") for item in files(_PACKAGE).iterdir() if item.name.endswith(".yaml"))
    return (GENERIC, *(name for name in found if name != GENERIC))


def load_profile(name: str, schema: Schema) -> Profile:
    """A profile by its name, or from a file of the council's own.

    Args:
        name: One of `profile_names`, or the path of a YAML file.
        schema: What it must fit.

    Raises:
        FileProblem: There is none, or it does not fit the form or the schema.
    """
    return _shipped(name, schema) if name in profile_names() else _read(_own(Path(name)), name, schema)


@cache
def _known(name: str) -> bytes:
    return files(_PACKAGE).joinpath(f"{name}.yaml").read_bytes()


def _shipped(name: str, schema: Schema) -> Profile:
    return _read(_known(name), f"profile '{name}'", schema)


def _own(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(
            f"There is no profile '{path}', and no file of that name can be read.",
            remedy=f"The profiles are: {', '.join(profile_names())}. Or name a file of your own.",
        ) from error


def _read(content: bytes, source: str, schema: Schema) -> Profile:
    profile = read_form(Profile, content, source=source, remedy=_REMEDY)
    for name, columns in profile.datasets.items():
        dataset = schema.datasets.get(name)
        if dataset is None:
            raise FileProblem(
                f"{source}: there is no data set '{name}'.", remedy=f"There are: {', '.join(schema.datasets)}."
            )
        for problem in _column_problems(columns, dataset):
            raise FileProblem(f"{source}: {name}.{problem}.", remedy="docs/reference/data.md lists columns and codes.")
    return profile


def _column_problems(columns: Mapping[str, ProfileColumn], dataset: Dataset) -> Iterator[str]:
    for name, found in columns.items():
        column = dataset.columns.get(name)
        if column is None or column.derived_from is not None:
            yield f"{name} is not a column that is mapped"
            continue
        if column.type is not ColumnType.KEY:
            yield from (
                f"{name} names the heading '{heading}', which looks like {kind}; that is never read"
                for heading in found.headings
                if (kind := identifying_heading(heading))
            )
        yield from (f"{name} has no code '{code}'" for code in found.wordings if code not in column.code_list)
        yield from (f"{name}: '{words}' means two codes" for words in _repeated(found))


def _repeated(column: ProfileColumn) -> Iterator[str]:
    seen: dict[str, str] = {}
    for code, texts in column.wordings.items():
        for text in texts:
            if seen.setdefault(text.casefold(), code) != code:
                yield text
