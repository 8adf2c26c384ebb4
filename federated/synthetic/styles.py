"""How made-up case systems write a council's records: headings, dates and spellings, and the mapping back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import yaml

from federated.errors import QueryError
from federated.schema import Code, Column, ColumnType, load_schema
from protocols.identifiers import CouncilId

DATASET: Final = "case"

_SPELLINGS: Final[Mapping[str, Callable[[int, Code], str]]] = MappingProxyType(
    {
        "printed": lambda _, code: code.label,
        "dashed": lambda _, code: code.label.replace(": ", " - "),
        "numbered": lambda place, code: f"{place:02d} {code.label}",
        "capitals": lambda _, code: code.code.replace("_", " ").upper(),
        "codes": lambda _, code: code.code,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One made-up case system.

    Attributes:
        name: Name of the style.
        dates: How it writes dates: 31/03/2025 or 2025-03-31.
        spelling: How it writes categories, a key of the spellings above.
        booleans: Spellings of the codes ``yes`` and ``no``, in use side by side.
        headings: Its heading of each column.
        journey_headings: Those of the columns that only records with journeys have.
        never_read: Its headings of identifying columns, by what they hold; no mapping names them.
    """

    name: str
    dates: Literal["day_first", "iso"]
    spelling: str
    booleans: Mapping[str, tuple[str, ...]]
    headings: Mapping[str, str]
    journey_headings: Mapping[str, str] = field(default_factory=dict)
    never_read: Mapping[str, str]

    def headings_of(self, columns: Iterable[str]) -> dict[str, str]:
        """Headings of those of these columns that it has, in its own order."""
        held = set(columns)
        return {name: text for name, text in {**self.headings, **self.journey_headings}.items() if name in held}

    def spellings(self, column: Column) -> dict[str, tuple[str, ...]]:
        """Every spelling in use of each code of a category."""
        spell = _SPELLINGS[self.spelling]
        spelled = {code.code: (spell(place, code),) for place, code in enumerate(column.codes, start=1)}
        yes_or_no = set(self.booleans) <= set(spelled)
        return spelled | (dict(self.booleans) if yes_or_no else {})


@cache
def styles() -> Mapping[str, Style]:
    """The made-up case systems by name."""
    text = files("federated.synthetic").joinpath("styles.yaml").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            name: Style(
                name=name,
                dates=content["dates"],
                spelling=content["spelling"],
                booleans={code: tuple(spellings) for code, spellings in content["booleans"].items()},
                headings=content["headings"],
                journey_headings=content["journey_headings"],
                never_read=MappingProxyType(content["never_read"]),
            )
            for name, content in yaml.safe_load(text)["styles"].items()
        }
    )


def style_of(council: CouncilId) -> Style:
    """The case system that a council has in the synthetic world; it follows from the council's code."""
    names = tuple(styles())
    return styles()[names[int(council[1:]) % len(names)]]


def canonical_style(dataset: str) -> Style:
    """A table written as the schema has it: its own names, ISO dates and codes, and nothing beside them."""
    names = [column.name for column in load_schema().dataset(dataset).columns.values() if column.derived_from is None]
    return Style(
        name="canonical",
        dates="iso",
        spelling="codes",
        booleans={},
        headings={name: name for name in names},
        never_read={},
    )


def mapping_document(
    style: Style, *, file: str | None = None, columns: Iterable[str] | None = None, dataset: str = DATASET
) -> dict[str, object]:
    """The mapping that a council with this case system would write, as plain values.

    Args:
        style: The case system.
        file: Name of the extract, left out when none.
        columns: Columns of the extract; those that every record has when none.
        dataset: The table.
    """
    mapped: dict[str, object] = {}
    for name, heading in style.headings_of(style.headings if columns is None else columns).items():
        column = load_schema().dataset(dataset).column(name)
        entry: dict[str, object] = {"from": heading}
        if column.type is ColumnType.CATEGORY:
            spelled = style.spellings(column)
            entry["codes"] = {text: code for code, texts in spelled.items() for text in texts}
        mapped[name] = entry
    source = {} if file is None else {"file": file}
    return {"mapping": 1, "dataset": dataset, **source, "dates": style.dates, "columns": mapped}


def write_mapping(
    path: Path,
    style: Style | str,
    *,
    file: str | None = "extract.csv",
    columns: Iterable[str] | None = None,
    dataset: str = DATASET,
) -> None:
    """Write the mapping file of a case system.

    Args:
        path: Where to write it.
        style: The case system or its name.
        file: Name of the extract beside it, left out when none.
        columns: Columns of the extract; those that every record has when none.
        dataset: The table.

    Raises:
        QueryError: There is no style of this name.
    """
    if isinstance(style, str) and style not in styles():
        raise QueryError(f"There is no style '{style}'.", remedy=f"The styles are: {', '.join(styles())}.")
    chosen = styles()[style] if isinstance(style, str) else style
    document = mapping_document(chosen, file=file, columns=columns, dataset=dataset)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")
