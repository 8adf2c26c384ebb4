"""Every command forbids core files, and looking into its process, before it does anything."""

import json
import subprocess
import sys

import pytest

import coordinator.cli
import council_node.cli
import federated.cli

LOOK = """
import ctypes, faulthandler, json, resource
from federated.shell import main_of, new_app

PR_GET_DUMPABLE = 3

def look():
    flag = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE)[0] != 0, flag, faulthandler.is_enabled()]))

resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))
faulthandler.enable()
look()
app = new_app("A command of the test.")
app.command()(look)
main_of(app)()
"""
OPEN, CLOSED = [True, 1, True], [False, 0, False]


def test_a_command_forbids_core_files_before_it_runs():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [OPEN, CLOSED]


@pytest.mark.parametrize("main", [coordinator.cli.main, council_node.cli._run, federated.cli.main])
def test_every_command_begins_there(main):
    assert (main.__module__, main.__qualname__) == ("federated.shell", "main_of.<locals>.main")


def test_whatever_reads_spreadsheets_apart_from_the_node_forbids_them_too():
    code = LOOK.replace(
        "app = new_app", "import council_node.cells.reader\ncouncil_node.cells.reader._limit()\nlook()\napp = new_app"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [OPEN, CLOSED, CLOSED]
