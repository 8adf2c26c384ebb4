"""A node's memory over large extracts: what it takes hangs on its settings, not on how many rows there are."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.node_memory import HEADINGS, LIMIT_MIB, ROOT, count_in_process, startup_seconds, write_extract
from tests.evidence import record
from tests.integration.housing_database import as_owner, running_server, secret_file

ROWS = 450_000
LEAST_MIB = 128
CEILING_MIB = 150
"""What reading and counting may take beside the waiting node, with `LEAST_MIB` in the settings."""
STREAMED_ROWS = 60_000
FULL_ROWS = 5_000_000

LIST_OF_ROWS = """
import csv, json, sys
from benchmarks.node_memory import peak_mib
base = peak_mib()
with open(sys.argv[1], newline="") as file:
    rows = list(csv.reader(file))
print(json.dumps({"rows": len(rows), "taken_mib": peak_mib() - base}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("large")
    write_extract(made, ROWS)
    return made


def test_a_large_extract_takes_no_more_memory_than_the_settings_allow(folder):
    found = count_in_process(folder, memory_mib=LEAST_MIB, threads=2)
    assert found["rows"] == ROWS
    assert found["households"] > ROWS / 2
    assert found["peak_mib"] - found["waiting_mib"] <= CEILING_MIB


def test_the_ceiling_is_one_that_a_list_of_rows_would_break(folder):
    done = subprocess.run(
        [sys.executable, "-c", LIST_OF_ROWS, str(folder / "extract.csv")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout)
    assert found["rows"] == ROWS + 1
    assert found["taken_mib"] > CEILING_MIB


@contextmanager
def written(folder: Path, rows: int, kind: str) -> Iterator[int]:
    """An extract of a kind with its mapping file; gives the bytes of its file, or of the one a table is filled from."""
    if kind != "postgresql":
        yield write_extract(folder, rows, kind=kind).stat().st_size
        return
    path = write_extract(folder, rows)
    with running_server() as server, as_owner(server) as owner:
        owner.execute(f"CREATE TABLE housing.cases ({', '.join(f'{name} text' for name in HEADINGS)})")
        owner.execute("GRANT SELECT ON housing.cases TO reader")
        with path.open("rb") as file, owner.cursor().copy("COPY housing.cases FROM STDIN (FORMAT csv, HEADER)") as copy:
            while block := file.read(1 << 20):
                copy.write(block)
        mapping = folder / "mapping.yaml"
        place = f"database: {secret_file(folder, server)}\ntable: housing.cases"
        mapping.write_text(mapping.read_text(encoding="utf-8").replace(f"file: {path.name}", place), encoding="utf-8")
        yield path.stat().st_size


@pytest.mark.parametrize("kind", ["xml", "postgresql"])
def test_what_is_streamed_takes_no_more_either(tmp_path: Path, kind: str):
    with written(tmp_path, STREAMED_ROWS, kind):
        found = count_in_process(tmp_path, memory_mib=LEAST_MIB, threads=2)
    assert found["rows"] == STREAMED_ROWS
    assert found["peak_mib"] - found["waiting_mib"] <= CEILING_MIB


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "xml", "postgresql"])
def test_five_million_rows_in_512_mib(tmp_path: Path, kind: str):
    with written(tmp_path, FULL_ROWS, kind) as size:
        found = count_in_process(tmp_path, memory_mib=300, threads=2)
    assert found["rows"] == FULL_ROWS
    assert found["peak_mib"] < LIMIT_MIB
    figures = {**found, "file_mib": size >> 20, "startup_seconds": startup_seconds(5)}
    test = f"tests/unit/council_node/test_load_memory.py::test_five_million_rows_in_512_mib[{kind}]"
    record(f"memory of a node over five million rows of {kind.upper()}", figures, test=test, n=FULL_ROWS, seed=1)
