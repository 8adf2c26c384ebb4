"""The data dictionaries as frozen values: what may be asked about, and nothing about any household."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from federated.errors import QueryError
from protocols.encoding import Json
from protocols.identifiers import CouncilId, Digest

NOT_KNOWN: Final = "not_known"
"""The code that every closed list holds, for what is blank, unreadable or outside the list."""


class ColumnType(StrEnum):
    """What a column holds."""

    CATEGORY = "category"
    """One code of a closed, public list."""
    DATE = "date"
    """A day; it leaves only as a month, quarter or year."""
    INTEGER = "integer"
    """A whole number with public bounds; it leaves only in clipped sums."""
    KEY = "key"
    """A reference used inside the council; it never leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One category of a closed list.

    Attributes:
        code: Stable name, lower snake case.
        label: What is printed.
        sensitivity_class: 0 ordinary, 1 personal, 2 special category, criminal-offence or immigration.
        retired_from: First day from which the option is known to be retired; it stays in the list.
        group: Category of the derived column that this code falls into, where there is one.
    """

    code: str
    label: str
    sensitivity_class: int = 0
    retired_from: date | None = None
    group: str | None = None

    def canonical(self) -> Json:
        """The code as canonical JSON."""
        return {
            "code": self.code,
            "label": self.label,
            "class": self.sensitivity_class,
            "retired_from": None if self.retired_from is None else self.retired_from.isoformat(),
            "group": self.group,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a data set.

    Attributes:
        name: Lower snake case, unique within the data set.
        type: Category, date, integer or key.
        label: What is printed.
        sensitivity_class: 0 to 2, as for `Code`; single codes may have a higher class.
        codes: The closed list in printed order, `not_known` included; empty unless a category.
        low: Smallest value of an integer.
        high: Largest value of an integer.
        note: Advice for people; not part of the schema's digest.
        derived_from: Column of the same row that this one is made from by `derivation`; councils do not map it.
        derivation: For a derived column, its own code for each code of `derived_from`.
        copied_from: Data set whose column of the same name the node joins to the row where the council's extract has
            none of its own; not part of the schema's digest, as it changes nothing of what is asked.
        characteristics: Protected characteristics that the column tells of (`protected` in the file); not part of the
            schema's digest, as they change nothing of what is asked, only what a council asks for before it answers.
    """

    name: str
    type: ColumnType
    label: str
    sensitivity_class: int
    codes: tuple[Code, ...] = ()
    low: int | None = None
    high: int | None = None
    note: str = field(default="", compare=False)
    derived_from: str | None = None
    derivation: Mapping[str, str] = field(default_factory=dict, hash=False)
    copied_from: str | None = field(default=None, compare=False)
    characteristics: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def code_list(self) -> tuple[str, ...]:
        """The codes of a category in printed order, `not_known` included."""
        return tuple(code.code for code in self.codes)

    @property
    def highest_class(self) -> int:
        """The highest sensitivity class of the column and of its codes: what an approval has to cover."""
        return max((self.sensitivity_class, *(code.sensitivity_class for code in self.codes)))

    def code(self, name: str) -> Code:
        """One code of the closed list.

        Raises:
            QueryError: There is no such code.
        """
        for code in self.codes:
            if code.code == name:
                return code
        if not self.codes:
            raise QueryError(f"Column '{self.name}' holds a {self.type.value}, so it has no codes.")
        raise QueryError(
            f"Column '{self.name}' has no code '{name}'.", remedy=f"Its codes are: {', '.join(self.code_list)}."
        )

    def canonical(self) -> Json:
        """The column as canonical JSON, without its note."""
        return {
            "name": self.name,
            "type": self.type.value,
            "label": self.label,
            "class": self.sensitivity_class,
            "codes": [code.canonical() for code in self.codes],
            "low": self.low,
            "high": self.high,
            "derived_from": self.derived_from,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One table that councils hold.

    Attributes:
        name: Lower snake case.
        title: What is printed.
        unit: The privacy unit, ``household`` or ``person``.
        unit_column: The key column that tells one unit from another inside a council.
        columns: Every column by name, in the dictionary's order.
    """

    name: str
    title: str
    unit: str
    unit_column: str
    columns: Mapping[str, Column] = field(hash=False)

    def column(self, name: str) -> Column:
        """One column.

        Raises:
            QueryError: There is no such column; the message lists those that exist.
        """
        try:
            return self.columns[name]
        except KeyError:
            raise QueryError(
                f"Data set '{self.name}' has no column '{name}'.", remedy=f"Its columns are: {', '.join(self.columns)}."
            ) from None

    def derived_columns(self) -> Iterator[Column]:
        """The columns that the node makes from another column of the row."""
        return (column for column in self.columns.values() if column.derived_from is not None)

    def canonical(self) -> Json:
        """The data set as canonical JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "unit_column": self.unit_column,
            "columns": [column.canonical() for column in self.columns.values()],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Council:
    """A housing authority.

    Attributes:
        id: GSS code, E06, E07, E08 or E09.
        name: Name as printed.
        region: GSS code of its region, E12.
    """

    id: CouncilId
    name: str
    region: str

    def canonical(self) -> Json:
        """The council as canonical JSON."""
        return {"id": self.id, "name": self.name, "region": self.region}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Every data set, region and council of one version.

    Attributes:
        version: Number of the version, from 1.
        digest: SHA-256 over the canonical JSON of everything but the notes; part of every question's identity.
        datasets: Data sets by name.
        regions: The nine regions by GSS code, as codes with labels.
        councils: Councils by id, in order of id.
        recoded: The same councils under codes that came later, where there are any.
    """

    version: int
    digest: Digest
    datasets: Mapping[str, Dataset] = field(hash=False)
    regions: tuple[Code, ...]
    councils: Mapping[CouncilId, Council] = field(hash=False)
    recoded: Mapping[CouncilId, Council] = field(hash=False, default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """One data set.

        Raises:
            QueryError: There is no such data set; the message lists those that exist.
        """
        try:
            return self.datasets[name]
        except KeyError:
            raise QueryError(
                f"There is no data set '{name}'.", remedy=f"The data sets are: {', '.join(self.datasets)}."
            ) from None

    def council(self, council_id: str) -> Council:
        """One council, by the code of the registry or by a later one.

        Raises:
            QueryError: No council has this code.
        """
        code = CouncilId(council_id)
        found = self.councils.get(code) or self.recoded.get(code)
        if found is None:
            raise QueryError(
                f"There is no council with the code '{council_id}' in version {self.version} of the schema.",
                remedy="Codes look like E06000001; federated/schema/councils.csv lists them.",
            )
        return found
