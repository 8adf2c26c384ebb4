"""No row is ever put on a disk: what does not fit into memory is read in parts (docs/adr/0006)."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from council_node.sources.extract import open_database
from tests.spec.joined_council import Tables

ROWS = 120_000
TIGHT_MIB = 22

# A process of its own, so that what it hands to the disks can be told from what the tests do.
READ_IN_PARTS = """
import json, sys, threading
from pathlib import Path
from tests.spec.council import QUARTER, question
from tests.spec.joined_council import Tables, count
from tests.unit.council_node.test_load_nothing_on_disk import large_tables, written_bytes
from federated.query import Dimension, Table

folder = Path(sys.argv[1])
tables = large_tables()
asked = question(Table(name="n", statistic="households", by=(Dimension(column="need"),), max_cells=5),
                 dataset="support_need")
tables.write(folder)
before = written_bytes()
counted = count(folder, tables, asked, memory_mib=int(sys.argv[2]), write=False)
print(json.dumps({"written": written_bytes() - before, "parts": counted.parts,
                  "sum": int(counted.statistic.vector.sum()), "files": sorted(path.name for path in folder.iterdir())}))
"""
SPILLING = """
import json, sys
from pathlib import Path
import duckdb
from tests.unit.council_node.test_load_nothing_on_disk import found_in, large_tables, written_bytes

folder = Path(sys.argv[1])
before = written_bytes()
connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "12MiB"})
connection.execute("SET temp_directory = ?", [str(folder / "spilled")])
connection.execute("CREATE TEMP TABLE t AS SELECT 'CANARY-' || hash(range) AS c FROM range(1000000)")
print(json.dumps({"written": written_bytes() - before, "found": found_in(folder / "spilled", b"CANARY-")}))
"""


def large_tables() -> Tables:
    cases = tuple((f"CANARY-{n}", f"H{n % 20_000}", "2025-01-01", "") for n in range(ROWS))
    rows = tuple((case[0], ("old_age", "young_parent")[n % 2]) for n, case in enumerate(cases))
    return Tables(dataset="support_need", headings=("case_key", "need"), cases=cases, rows=rows)


def written_bytes() -> int:
    """Bytes that this process has had written to a disk, as the kernel counts them; files in memory are none."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def found_in(folder: Path, needle: bytes) -> int:
    return sum(path.read_bytes().count(needle) for path in folder.rglob("*") if path.is_file())


def run(code: str, *arguments: object) -> dict:
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_written_while_an_extract_is_read_in_parts(tmp_path):
    found = run(READ_IN_PARTS, tmp_path, TIGHT_MIB)
    assert (found["written"], found["files"]) == (0, ["cases.csv", "rows.csv"])
    assert found["parts"] > 1
    assert found["sum"] == 20_000


def test_the_measurement_notices_an_engine_that_spills(tmp_path):
    found = run(SPILLING, tmp_path)
    assert found["written"] > 0
    assert found["found"] > 0


def test_the_engine_of_a_node_has_nowhere_to_spill_and_stays_so(tmp_path):
    with open_database(threads=1, memory_limit_mib=12, readable=()) as connection:
        with pytest.raises(duckdb.OutOfMemoryException):
            connection.execute("CREATE TEMP TABLE t AS SELECT 'CANARY-' || hash(range) AS c FROM range(1000000)")
        for setting in (f"temp_directory = '{tmp_path}'", "max_temp_directory_size = '1GiB'", "memory_limit = '1GiB'"):
            with pytest.raises(duckdb.Error, match="locked"):
                connection.execute(f"SET {setting}")
    assert not list(tmp_path.iterdir())


def test_the_engines_own_encryption_still_needs_its_network_extension(tmp_path):
    # The reason for parts: the day this fails, docs/adr/0006 can be looked at again.
    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "12MiB"})
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    connection.execute("SET temp_directory = ?", [str(tmp_path / "spilled")])
    connection.execute("SET temp_file_encryption = true")
    with connection, pytest.raises(duckdb.Error, match="force_mbedtls_unsafe"):
        connection.execute("CREATE TEMP TABLE t AS SELECT 'CANARY-' || hash(range) AS c FROM range(1000000)")
