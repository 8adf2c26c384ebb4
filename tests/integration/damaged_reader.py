"""Reads damaged inputs as a node does, in a process of its own: one line of JSON before and after each.

`python -m tests.integration.damaged_reader FOLDER...`: each folder holds one input, and its kind in `kind`.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from benchmarks.node_memory import peak_mib
from council_node.counting import Holding, Reading
from council_node.mapping import load_mapping
from council_node.policy_file import read_policy
from council_node.settings import Limits, read_settings
from federated.errors import FederatedError, FileProblem
from federated.query import Dimension, Period, Query, Table, measured
from federated.schema import load_schema
from tests.integration.damaged_inputs import CANARY, HEADINGS
from tests.spec.council import REGIONS, RUN_KEY, Planned, layout_of, question

ADDRESS_SPACE = 6 * 1024**3
CHILD = resource.RUSAGE_CHILDREN


def asked() -> Query:
    period = Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31))
    return question(
        Table(name="sexes", statistic="households", by=(Dimension(column="main_sex"),)),
        Table(name="children", statistic="sum", measures=(measured("dependent_children_n", 0, 6),)),
        period=period,
    )


def read_extract(folder: Path) -> dict[str, object]:
    schema = load_schema()
    held = Holding(
        mapping=load_mapping(folder / "mapping.yaml", schema), dataset=schema.dataset("case"), directory=folder
    )
    query = asked()
    held.check_coverage(query.columns())
    planned = [Planned(table, layout_of(table, query)) for table in query.tables]
    reading = Reading(run_key=RUN_KEY, limits=Limits(memory_mib=128, threads=1))
    try:
        counted = held.count(query, planned, region=REGIONS[0][0], reading=reading)
    except FederatedError as error:
        # After the charge no input may make a council fall out of a round (protocol.md 1.3).
        return {"outcome": "fell out", "said": error.diagnostics()}
    women = schema.dataset("case").column("main_sex").code_list.index("female")
    said = [repr(counted), *counted.report.warnings(), str(counted.report)]
    return {"outcome": "read", "said": "\n".join(said), "good": int(counted.statistic.vector[women])}


def leak(_folder: Path) -> dict[str, object]:
    raise FileProblem(f"The value {CANARY} is wrong.", remedy="Nothing.")


def crash(_folder: Path) -> dict[str, object]:
    raise ValueError(CANARY)


def hang(_folder: Path) -> dict[str, object]:
    time.sleep(600)
    return {}


def grow(_folder: Path) -> dict[str, object]:
    return {"outcome": "read", "said": "", "good": len(bytearray(b"x" * 700_000_000)) and 3}


def print_value(_folder: Path) -> dict[str, object]:
    print(f"looking at {CANARY}", file=sys.stderr)
    return {"outcome": "read", "said": "", "good": 3}


READERS: dict[str, Callable[[Path], object]] = {
    "extract": read_extract,
    "mapping": lambda folder: load_mapping(folder / "mapping.yaml", load_schema()),
    "settings": lambda folder: read_settings(folder / "settings.yaml"),
    "policy": lambda folder: read_policy(folder / "policy.yaml"),
    # What the harness must notice.
    "leak": leak,
    "crash": crash,
    "hang": hang,
    "grow": grow,
    "print": print_value,
}


def read(folder: Path) -> dict[str, object]:
    kind = (folder / "kind").read_text(encoding="ascii")
    try:
        found = READERS[kind](folder)
    except FederatedError as error:
        return {"outcome": "refused", "said": error.diagnostics(), "remedy": error.remedy or ""}
    return found if isinstance(found, dict) else {"outcome": "read", "said": repr(found), "good": len(HEADINGS)}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for name in sys.argv[1:]:
        print(json.dumps({"begins": name}), flush=True)
        begun = time.perf_counter()
        found = read(Path(name))
        children = resource.getrusage(CHILD).ru_maxrss // 1024
        more = {"seconds": time.perf_counter() - begun, "peak_mib": peak_mib(), "child_mib": children}
        print(json.dumps({"ends": name, **found, **more}), flush=True)


if __name__ == "__main__":
    main()
