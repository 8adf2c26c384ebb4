"""What a council holds and what is asked of it: systems, mapping coverage column by column, and what is missing (R43).

Reads settings, mapping files, accepted agreements and headings; never a case. It stays on the council's own screen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from council_node.mapping.form import ExtractMapping, load_mapping, normal_heading
from council_node.mapping.vocabulary import CASES, joined_columns, mapped_columns
from council_node.settings import Settings
from council_node.sources.opening import extract_date, open_source
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.errors import FileProblem
from federated.schema import Dataset, Schema
from federated.signing import unsafe_payload

__all__ = ["HeldColumn", "HeldDataset", "Inventory", "take_inventory"]

FROM_CASES: Final = "(joined from the cases)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldColumn:
    """One column of the schema at this council.

    Attributes:
        name: Its name.
        heading: Heading it is mapped from; None when it is not mapped.
        there: Whether the extract has that heading today.
        asked_by: Ids of the accepted agreements that allow questions on it, or on what is made from it.
    """

    name: str
    heading: str | None
    there: bool
    asked_by: tuple[str, ...]

    @property
    def missing(self) -> bool:
        """Whether an agreement asks for it and the council cannot give it."""
        return bool(self.asked_by) and not self.there


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDataset:
    """One data set at this council.

    Attributes:
        name: Its name.
        mapping: The mapping file; None when the council does not hold it.
        system: The case system, as the mapping file names it.
        source: The extract, in words.
        dated: The day of the extract; None when it is not there.
        problem: What is wrong with the mapping or the extract, in plain words.
        columns: Every column a council maps.
    """

    name: str
    mapping: str | None
    system: str | None
    source: str | None
    dated: date | None
    problem: str | None
    columns: tuple[HeldColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All of it.

    Attributes:
        council: The council's name.
        agreements: For each accepted agreement, its title.
        datasets: The data sets of the schema.
    """

    council: str
    agreements: Mapping[str, str]
    datasets: tuple[HeldDataset, ...]

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "version": 1,
            "council": self.council,
            "agreements": dict(self.agreements),
            "datasets": [_dataset_json(dataset) for dataset in self.datasets],
        }


def take_inventory(settings: Settings, schema: Schema, *, now: datetime) -> Inventory:
    """Read what the node is set up with. Run by `council-node inventory`.

    Args:
        settings: Of the node.
        schema: The data dictionaries.
        now: Time, UTC; a database is of today.

    Raises:
        FileProblem: An accepted agreement cannot be read.
    """
    agreements = _accepted(settings)
    return Inventory(
        council=settings.council.name,
        agreements={agreement.id: agreement.title for agreement in agreements},
        datasets=tuple(_held(dataset, settings, schema, agreements, now) for dataset in schema.datasets.values()),
    )


def _accepted(settings: Settings) -> tuple[Agreement, ...]:
    """The agreements in this council's own folder: checked when they were accepted, read here as they are."""
    found = []
    for path in sorted(settings.agreements.glob("*.dsse")):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise FileProblem(f"{path}: the agreement cannot be read ({error.strerror}).") from error
        found.append(parse_agreement(unsafe_payload(content, AGREEMENT_TYPE), source=str(path)))
    return tuple(found)


def _held(
    dataset: Dataset, settings: Settings, schema: Schema, agreements: tuple[Agreement, ...], now: datetime
) -> HeldDataset:
    path = settings.data.get(dataset.name)
    mapping: ExtractMapping | None = None
    cases: ExtractMapping | None = None
    headings: frozenset[str] = frozenset()
    source: str | None = None
    dated: date | None = None
    problem: str | None = None
    try:
        if path is not None:
            mapping = load_mapping(path, schema)
            cases = load_mapping(settings.data[CASES], schema) if CASES in settings.data else None
            opened = open_source(mapping, path.parent)
            headings = frozenset(map(normal_heading, opened.headings.names))
            source, dated = opened.name, extract_date(mapping, path.parent, now)
    except FileProblem as error:
        problem = error.diagnostics()
    return HeldDataset(
        name=dataset.name,
        mapping=None if path is None else str(path),
        system=None if mapping is None else mapping.system,
        source=source,
        dated=dated,
        problem=problem,
        columns=tuple(
            _column(name, dataset=dataset, mapping=mapping, headings=headings, agreements=agreements, cases=cases)
            for name in mapped_columns(dataset)
        ),
    )


def _column(
    name: str,
    *,
    dataset: Dataset,
    mapping: ExtractMapping | None,
    headings: frozenset[str],
    agreements: tuple[Agreement, ...],
    cases: ExtractMapping | None,
) -> HeldColumn:
    mapped = None if mapping is None else mapping.columns.get(name)
    # Another table's cases bring what the node joins.
    joined = name in joined_columns(dataset) and cases is not None and name in cases.columns
    made = {name, *(column.name for column in dataset.derived_columns() if column.derived_from == name)}
    asking = [
        agreement.id
        for agreement in agreements
        if dataset.name in agreement.datasets and made & set(agreement.datasets[dataset.name].columns)
    ]
    return HeldColumn(
        name=name,
        heading=mapped.source if mapped is not None else FROM_CASES if joined else None,
        there=joined if mapped is None else normal_heading(mapped.source) in headings,
        asked_by=tuple(asking),
    )


def _dataset_json(dataset: HeldDataset) -> dict[str, object]:
    return {
        "dataset": dataset.name,
        "mapping": dataset.mapping,
        "system": dataset.system,
        "source": dataset.source,
        "extract_date": None if dataset.dated is None else dataset.dated.isoformat(),
        "problem": dataset.problem,
        "columns": [
            {
                "column": column.name,
                "heading": column.heading,
                "there": column.there,
                "asked_by": list(column.asked_by),
                "missing": column.missing,
            }
            for column in dataset.columns
        ],
    }
