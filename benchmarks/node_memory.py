"""Memory and time of a council node over a large extract, and its start-up beside the bare imports.

`python -m benchmarks.node_memory --rows 5000000` writes an extract, has a process of its own read it and count four
tables as a node does for a question, and prints that process's highest memory beside rows and seconds.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

from federated.privacy import Mechanism
from federated.query import DatePart, Dimension, Period, Query, Table, measured
from federated.schema import load_schema
from federated.statistics import statistic

ROOT = Path(__file__).resolve().parents[1]
HEADINGS = (
    "case_key",
    "household_key",
    "assessment_date",
    "main_sex",
    "reason_loss",
    "dependent_children_n",
    "opted_out",
)
QUARTER_DAYS = 90
LIMIT_MIB = 512

COUNT = """
import json, sys, time
from pathlib import Path
import council_node.cli  # everything a node has in memory while it waits
from council_node.counting import Reading, holding
from council_node.mapping import load_mapping
from council_node.settings import Limits
from benchmarks.node_memory import peak_mib, planned_question
from federated.schema import load_schema

folder, memory_mib, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
schema = load_schema()
question, tables = planned_question()
base, begun = peak_mib(), time.perf_counter()
held = holding("case", schema=schema, files={"case": folder / "mapping.yaml"},
               mapping=lambda _: load_mapping(folder / "mapping.yaml", schema))
counted = held.count(question, tables, region="E12000001",
                     reading=Reading(run_key=bytes(16), limits=Limits(memory_mib=memory_mib, threads=threads)))
print(json.dumps({"rows": counted.report.rows_read, "parts": counted.parts, "waiting_mib": base, "peak_mib": peak_mib(),
                  "seconds": round(time.perf_counter() - begun, 1),
                  "households": int(counted.statistic.vector[0])}))
"""


def peak_mib() -> int:
    """The most memory this process has had, as the kernel counts it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def planned_question() -> tuple[Query, list[SimpleNamespace]]:
    """Four tables that read five columns: one cell a household, several cells, rows, and a mean."""
    sex, reason = Dimension(column="main_sex"), Dimension(column="reason_loss")
    month = Dimension(column="assessment_date", part=DatePart.MONTH)
    question = Query(
        title="Benchmark of memory",
        dataset="case",
        unit="household",
        group="all",
        period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
        epsilon=Fraction(1),
        tables=(
            Table(name="all", statistic="households"),
            Table(name="reasons", statistic="households", by=(reason, sex), max_cells=2),
            Table(name="applications", statistic="rows", by=(month,), max_cells=3),
            Table(name="children", statistic="mean", measures=(measured("dependent_children_n", 0, 6),), by=(sex,)),
        ),
    )
    dataset = load_schema().dataset("case")
    layouts = (statistic(table.statistic).layout(table, dataset, question.period, ()) for table in question.tables)
    tables = [
        SimpleNamespace(table=table, layout=layout, clamp=2**40, mechanism=Mechanism.DISCRETE_LAPLACE, coefficients=())
        for table, layout in zip(question.tables, layouts, strict=True)
    ]
    return question, tables


def write_extract(folder: Path, rows: int, *, kind: str = "csv") -> Path:
    """An extract with its mapping file beside it; about one case in five is a repeat application."""
    codes = load_schema().dataset("case").column("reason_loss").codes
    reasons = [code.label for code in codes]
    write: Callable[[Path, Iterator[tuple[str, ...]]], Path] = {"csv": _write_csv, "xml": _write_xml}[kind]
    path = write(folder, _cases(rows, reasons))
    place = {"csv": f"file: {path.name}", "xml": f"file: {path.name}\nrecord: case"}[kind]
    columns = "".join(f"  {name}: {{from: {name}}}\n" for name in HEADINGS)
    (folder / "mapping.yaml").write_text(
        f"mapping: 1\ndataset: case\n{place}\ndates: day_first\ncolumns:\n{columns}", encoding="utf-8"
    )
    return path


def _cases(rows: int, reasons: Sequence[str]) -> Iterator[tuple[str, ...]]:
    draw = random.Random(1)
    sexes = ("Female", "Male", "female", "not known", "")
    for number in range(rows):
        day = draw.randrange(QUARTER_DAYS)
        household = draw.randrange(rows * 4 // 5 + 1)
        yield (
            f"CASE-{number:08d}",
            f"HH-{household:08d}",
            f"{day % 28 + 1:02d}/{day % 3 + 1:02d}/2025",
            sexes[number % 5],
            reasons[day % len(reasons)],
            str(day % 5),
            "Y" if day == 0 else "N",
        )


def _write_csv(folder: Path, cases: Iterator[tuple[str, ...]]) -> Path:
    path = folder / "extract.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(HEADINGS) + "\r\n")
        file.writelines(",".join(f'"{cell}"' if "," in cell else cell for cell in case) + "\r\n" for case in cases)
    return path


def _write_xml(folder: Path, cases: Iterator[tuple[str, ...]]) -> Path:
    path = folder / "extract.xml"
    with path.open("w", encoding="utf-8") as file:
        file.write("<return>\n")
        for case in cases:
            cells = "".join(f"<{name}>{cell}</{name}>" for name, cell in zip(HEADINGS, case, strict=True))
            file.write(f"<case>{cells}</case>\n")
        file.write("</return>\n")
    return path


def count_in_process(folder: Path, *, memory_mib: int, threads: int) -> dict[str, int | float]:
    """What a process of its own says about reading and counting the extract in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(folder), str(memory_mib), str(threads)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found: dict[str, int | float] = json.loads(done.stdout)
    return found


def startup_seconds(samples: int) -> dict[str, float]:
    """Median seconds of a node's command that does nothing, of the libraries it imports alone, and of bare Python."""
    node = "import sys; from council_node.cli import main; sys.argv = ['council-node', '--help']; main()"
    listing = (
        "import sys, council_node.cli, importlib.metadata as m; known = m.packages_distributions(); "
        "own = ('council_node', 'federated', 'protocols', 'coordinator', 'benchmarks', 'tests'); "
        "print(','.join(sorted({n.split('.')[0] for n in sys.modules} & known.keys() - set(own))))"
    )
    found = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, cwd=ROOT)
    libraries = f"import {found.stdout.strip()}"
    programs = {"node": node, "bare imports": libraries, "python": "pass"}
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(samples):
        for name, program in programs.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
            taken[name].append(time.perf_counter() - begun)
    return {name: round(statistics.median(seconds), 2) for name, seconds in taken.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--kind", choices=("csv", "xml"), default="csv")
    parser.add_argument("--memory-mib", type=int, default=300, help="limits.memory_mib of the settings")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=5, help="of start-up")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        size = write_extract(folder, chosen.rows, kind=chosen.kind).stat().st_size
        found = count_in_process(folder, memory_mib=chosen.memory_mib, threads=chosen.threads)
    print(
        json.dumps(
            {**found, "kind": chosen.kind, "file_mib": size >> 20, "under_512_mib": found["peak_mib"] < LIMIT_MIB}
        )
    )
    print(json.dumps({"startup_seconds": startup_seconds(chosen.samples)}))


if __name__ == "__main__":
    main()
