"""A node's memory over large extracts: what it takes hangs on its settings, not on how many rows there are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.node_memory import LIMIT_MIB, ROOT, count_in_process, startup_seconds, write_extract
from tests.evidence import record

ROWS = 450_000
LEAST_MIB = 128
CEILING_MIB = 150
"""What reading and counting may take beside the waiting node, with `LEAST_MIB` in the settings."""
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


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "xml"])
def test_five_million_rows_in_512_mib(tmp_path: Path, kind: str):
    path = write_extract(tmp_path, FULL_ROWS, kind=kind)
    found = count_in_process(tmp_path, memory_mib=300, threads=2)
    assert found["rows"] == FULL_ROWS
    assert found["peak_mib"] < LIMIT_MIB
    figures = {**found, "file_mib": path.stat().st_size >> 20, "startup_seconds": startup_seconds(5)}
    test = f"tests/unit/council_node/test_load_memory.py::test_five_million_rows_in_512_mib[{kind}]"
    record(f"memory of a node over five million rows of {kind.upper()}", figures, test=test, n=FULL_ROWS, seed=1)
