"""A council's case table and one more table, and what the join between them must be: plain Python, short and slow."""

import csv
import hashlib
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from council_node.counting import Counted, Holding, Reading
from council_node.settings import Limits
from council_node.sources.layout import CaseTable
from federated.query import Query
from federated.schema import load_schema
from tests.spec.council import REGIONS, RUN_KEY, Planned, layout_of, mapping_for

CASE_HEADINGS = ("case_key", "household_key", "assessment_date", "opted_out")
DAYS = ("2024-12-31", "2025-01-01", "2025-02-03", "2025-03-31", "2025-04-01", "", "soon")


@dataclass(frozen=True)
class Tables:
    """Rows of the case table and of the other one, as text under their headings."""

    dataset: str
    headings: tuple[str, ...]
    cases: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]

    def write(self, folder: Path) -> Holding:
        _write(folder / "cases.csv", CASE_HEADINGS, self.cases)
        _write(folder / "rows.csv", self.headings, self.rows)
        return self.held(folder)

    def held(self, folder: Path) -> Holding:
        schema = load_schema()
        cases = CaseTable(
            mapping=mapping_for(CASE_HEADINGS, file="cases.csv"), dataset=schema.dataset("case"), directory=folder
        )
        return Holding(
            mapping=mapping_for(self.headings, dataset=self.dataset, file="rows.csv"),
            dataset=schema.dataset(self.dataset),
            directory=folder,
            cases=cases if "case_key" in schema.dataset(self.dataset).columns else None,
        )


def _write(path: Path, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(headings)
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())


def count(
    folder: Path, tables: Tables, asked: Query, *, parts: int = 1, memory_mib: int = 400, write: bool = True
) -> Counted:
    planned = [Planned(table, layout_of(table, asked)) for table in asked.tables]
    reading = Reading(run_key=RUN_KEY, limits=Limits.model_construct(memory_mib=memory_mib, threads=1))
    held = tables.write(folder) if write else tables.held(folder)
    return held.count(asked, planned, region=REGIONS[0][0], reading=reading, parts=parts)


def joined(tables: Tables) -> list[dict[str, str]]:
    """Each row beside every household that holds its case, objections honoured; `household` says of which kind it is."""
    households: dict[str, set[str]] = {}
    days: dict[tuple[str, str], list[str]] = {}
    objecting = set()
    for number, (case, unit, day, objects) in enumerate(tables.cases):
        household = f"0:{unit}" if unit else f"1:{case}" if case else f"2:case row {number}"
        if objects not in {"", "no"}:
            objecting.add(household)
        if case:
            households.setdefault(case, set()).add(household)
            days.setdefault((case, household), []).append(day)
    found, in_cases = [], frozenset(objecting)
    for number, cells in enumerate(tables.rows):
        row = dict(zip(tables.headings, cells, strict=True))
        case, unit = row.get("case_key", ""), row.get(load_schema().dataset(tables.dataset).unit_column, "")
        own = f"1:{case}" if case else f"0:{unit}" if unit else f"2:row {number}"
        for household in sorted(households.get(case, {own})):
            dates = sorted(day for day in days.get((case, household), []) if is_day(day))
            copied = {} if "assessment_date" in tables.headings else {"assessment_date": dates[0] if dates else ""}
            found.append(
                {**row, **copied, "household": household, "names": f"0:{unit}" if case not in households else ""}
            )
    objecting |= {row["household"] for row in found if row.get("opted_out", "") not in {"", "no"}}
    return [row for row in found if row["household"] not in objecting and row["names"] not in in_cases]


def is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def understood(row: Mapping[str, str], dataset: str, columns: Iterable[str]) -> dict[str, Any]:
    """A joined row as the reference evaluator takes it."""
    kinds = load_schema().dataset(dataset).columns
    value: dict[str, Any] = {"household": row["household"]}
    for name in columns:
        text = row.get(name, "")
        match kinds[name].type.value:
            case "date":
                value[name] = date.fromisoformat(text) if is_day(text) else None
            case "category":
                value[name] = text if text in kinds[name].code_list else "not_known"
            case _:
                value[name] = int(text) if text.isdigit() else None
    return value


def once(rows: Iterable[Mapping[str, str]], columns: Iterable[str], dataset: str) -> list[dict[str, Any]]:
    """The same case with the same values twice is one row exported twice."""
    kept = {}
    for number, row in enumerate(rows):
        value = understood(row, dataset, columns)
        kept[row.get("case_key") or number, *(str(item) for item in value.values())] = value
    return list(kept.values())


class NodeDraws:
    """The node's keyed numbers, asked of DuckDB one at a time."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:", config={"threads": 1})

    def __call__(self, household: str, identity: tuple[int, ...]) -> int:
        kinds = ("UBIGINT", "INTEGER", "BIGINT")[: len(identity)]
        places = ", ".join(f"?::{kind}" for kind in kinds)
        digest = hashlib.sha256(f"{RUN_KEY.hex()}{household}".encode()).hexdigest()
        values = [int(digest[:32], 16), *identity]
        return self.connection.execute(f"SELECT hash(hash(?::UHUGEINT, {places}))", values).fetchone()[0]


def random_cases(draw: random.Random, households: int) -> list[tuple[str, ...]]:
    """Cases of some households: repeat applications, no household, no case, a case shared with the household before."""
    found = []
    for number in range(households):
        for place in range(draw.choice((1, 1, 2))):
            case = draw.choice((f"C{number}-{place}", f"C{number}-{place}", f"C{number}-0", "", f"C{number - 1}-0"))
            unit = draw.choice((f"H{number}", f"H{number}", f"H{number}", ""))
            found.append((case, unit, draw.choice(DAYS), draw.choice(("", "", "no", "", "yes", "what?"))))
    return found
