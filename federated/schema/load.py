"""From the dictionary files to one `Schema`, once for each process."""

import csv
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from federated.errors import FileProblem
from federated.schema.code_history import ChangeKind, load_code_history
from federated.schema.files import CodeForm, ColumnForm, DatasetForm, SchemaForm, read_form, resource_text
from federated.schema.model import Code, Column, ColumnType, Council, Dataset, Schema
from protocols.encoding import canonical_json, digest
from protocols.identifiers import CouncilId

_COUNCIL_FIELDS = ["code", "name", "region_code", "region_name"]


@cache
def load_schema() -> Schema:
    """The data dictionaries and the registry of councils that this installation holds.

    Raises:
        FileProblem: A file of the installation is missing or damaged.
    """
    index = read_form("schema.yaml", resource_text("schema.yaml"), SchemaForm)
    datasets = {name: load_dataset(name, resource_text(f"{name}.yaml"), index.lists) for name in index.datasets}
    councils, regions = load_councils(resource_text("councils.csv"))
    canonical = canonical_json(
        {
            "version": index.version,
            "datasets": [dataset.canonical() for dataset in datasets.values()],
            "regions": [region.canonical() for region in regions],
            "councils": [council.canonical() for council in councils.values()],
        }
    )
    return Schema(
        version=index.version,
        digest=digest("schema/v1", canonical),
        datasets=MappingProxyType(datasets),
        regions=regions,
        councils=MappingProxyType(councils),
        recoded=MappingProxyType(_recoded(councils)),
    )


def load_dataset(name: str, text: str, lists: Mapping[str, tuple[CodeForm, ...]]) -> Dataset:
    """One data set from its file.

    Args:
        name: Name of the data set; the file is ``<name>.yaml``.
        text: The file's YAML.
        lists: Code lists that several columns share.

    Raises:
        FileProblem: The file does not have the form, or a derived column does not fit the one it is made from.
    """
    form = read_form(f"{name}.yaml", text, DatasetForm)
    if form.name != name:
        raise FileProblem(f"federated/schema/{name}.yaml holds the data set '{form.name}'.", remedy="Mend the file.")
    plain = {column.name: _column(column, lists, name) for column in form.columns}
    columns = {key: _derive(column, plain, name) if column.derived_from else column for key, column in plain.items()}
    return Dataset(
        name=form.name,
        title=form.title,
        unit=form.unit,
        unit_column=form.unit_column,
        columns=MappingProxyType(columns),
    )


def _column(form: ColumnForm, lists: Mapping[str, tuple[CodeForm, ...]], dataset: str) -> Column:
    if form.list is not None and form.list not in lists:
        raise FileProblem(
            f"federated/schema/{dataset}.yaml: column '{form.name}' names the list '{form.list}'; there is none.",
            remedy=f"The lists are: {', '.join(lists)}.",
        )
    written = form.codes if form.list is None else lists[form.list]
    codes = tuple(
        Code(
            code=item.code,
            label=item.label,
            sensitivity_class=form.sensitivity_class if item.sensitivity_class is None else item.sensitivity_class,
            retired_from=item.retired_from,
            group=item.group,
        )
        for item in written
    )
    return Column(
        name=form.name,
        type=ColumnType(form.type),
        label=form.label,
        sensitivity_class=form.sensitivity_class,
        codes=codes,
        low=form.low,
        high=form.high,
        note=form.note,
        derived_from=form.derived_from,
        copied_from=form.copied_from,
        characteristics=frozenset(form.protected),
    )


def _derive(column: Column, columns: Mapping[str, Column], dataset: str) -> Column:
    """Fill in the derivation; a grouped code takes the highest class of its members, so grouping hides no class."""
    base = columns.get(column.derived_from or "")
    groups = {} if base is None else {code.code: code.group for code in base.codes}
    if base is None or set(groups.values()) != set(column.code_list):
        raise FileProblem(
            f"federated/schema/{dataset}.yaml: the groups of '{column.derived_from}' are not the codes of "
            f"'{column.name}'.",
            remedy="Give every code of the one a group that is a code of the other.",
        )
    derivation = {code: group for code, group in groups.items() if group is not None}
    codes = tuple(
        Code(
            code=item.code,
            label=item.label,
            sensitivity_class=max(code.sensitivity_class for code in base.codes if code.group == item.code),
        )
        for item in column.codes
    )
    return Column(
        name=column.name,
        type=column.type,
        label=column.label,
        sensitivity_class=column.sensitivity_class,
        codes=codes,
        note=column.note,
        derived_from=column.derived_from,
        derivation=MappingProxyType(derivation),
        characteristics=column.characteristics,
    )


def load_councils(text: str) -> tuple[dict[CouncilId, Council], tuple[Code, ...]]:
    """The registry of councils and the regions in it.

    Args:
        text: CSV with the columns ``code, name, region_code, region_name``.

    Raises:
        FileProblem: Another header, a code twice, or a region with two names.
    """
    reader = csv.DictReader(text.splitlines())
    if reader.fieldnames != _COUNCIL_FIELDS:
        raise FileProblem(f"federated/schema/councils.csv must have the columns {', '.join(_COUNCIL_FIELDS)}.")
    councils: dict[CouncilId, Council] = {}
    regions: dict[str, str] = {}
    for row in reader:
        council = Council(id=CouncilId(row["code"]), name=row["name"], region=row["region_code"])
        if council.id in councils or regions.setdefault(council.region, row["region_name"]) != row["region_name"]:
            raise FileProblem(
                f"federated/schema/councils.csv line {reader.line_num}: the code stands there already, "
                "or its region has another name."
            )
        councils[council.id] = council
    ordered = {code: councils[code] for code in sorted(councils)}
    return ordered, tuple(Code(code=code, label=regions[code]) for code in sorted(regions))


def _recoded(councils: Mapping[CouncilId, Council]) -> dict[CouncilId, Council]:
    """Councils of the registry under a code that they got after its quarter; the area is the same."""
    recoded = {}
    for change in load_code_history().changes:
        before = councils.get(change.predecessor) if change.predecessor is not None else None
        if change.kind is ChangeKind.RECODE and before is not None and change.successor not in councils:
            recoded[change.successor] = Council(id=change.successor, name=before.name, region=before.region)
    return recoded
