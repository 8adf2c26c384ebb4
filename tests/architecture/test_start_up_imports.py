"""What a node that starts does not load: libraries that only some commands, or some kinds of extract, need."""

import subprocess
import sys

NOT_AT_START = frozenset(
    (
        "altair",
        "flwr",
        "jinja2",
        "lxml",
        "odf",
        "openpyxl",
        "psycopg",
        "pyarrow",
        "python_calamine",
        "rapidfuzz",
        "ray",
        "scipy",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    )
)


def loaded_by(statement):
    """Those of the libraries that a statement loads, in a process of its own."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return NOT_AT_START & set(done.stdout.split())


def test_a_node_starts_without_what_only_some_commands_need():
    assert loaded_by("import council_node.cli") == set()


def test_a_mask_holder_starts_without_what_reads_or_shows_cases():
    assert loaded_by("import mask_holder.cli") == set()


def test_each_of_these_libraries_is_there_and_would_be_seen():
    assert loaded_by(f"import council_node.cli, {', '.join(sorted(NOT_AT_START))}") == NOT_AT_START
