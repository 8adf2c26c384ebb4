"""Whole rounds in a process of their own, over gRPC, in which every council's extract is of another kind and something
fails; with the log and the guards of the real command. `test_canary_logs.py` reads what it leaves.

    unshare --mount python -m tests.canary.failing_councils FOLDER FAILURE [guards-off]

Every cell of every extract holds the canary, so whatever a failure quotes, it quotes a canary.
"""

import asyncio
import contextlib
import csv
import gc
import itertools
import json
import logging
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import duckdb
import yaml

from coordinator.simulate import build_world
from coordinator.simulation_hub import Hub
from council_node import counting
from council_node.crash_safety import tell_without_values
from council_node.event_log import open_log
from council_node.journal import journalled
from council_node.link import NodeLink
from council_node.mapping import SourceKind
from federated.dumps import forbid_dumps
from federated.errors import FederatedError
from tests.canary.federation import CANARY, extracts, many_cells, poison, scenario
from tests.integration import link_harness
from tests.unit.council_node.workbooks import save_ods, save_xls, save_xlsx

# Extracts of every kind


def as_csv(_rows, path: Path) -> Path:
    return path


def as_database(rows, path: Path) -> Path:
    heading, *cases = rows
    written = path.with_suffix(".db")
    names = ", ".join(f'"{name}" TEXT' for name in heading)
    with contextlib.closing(sqlite3.connect(written)) as connection, connection:
        connection.execute(f"CREATE TABLE cases ({names})")
        connection.executemany(f"INSERT INTO cases VALUES ({', '.join('?' * len(heading))})", cases)
    secret = path.with_name("database.txt")
    secret.write_text(f"sqlite:///{written}\n")
    secret.chmod(0o600)
    mapping = path.with_name("mapping.yaml")
    document = yaml.safe_load(mapping.read_text()) | {"database": secret.name, "table": "cases"}
    del document["file"]
    mapping.write_text(yaml.safe_dump(document))
    return written


def as_workbook(suffix: str, save: Callable) -> Callable:
    def convert(rows, path: Path) -> Path:
        written = path.with_suffix(suffix)
        save(written, {"Cases": [[CANARY], [], *rows]})
        return written

    return convert


def as_xml(rows, path: Path) -> Path:
    """Headings are no names of elements: the columns are numbered, and the mapping says the numbers."""
    heading, *cases = rows
    mapping = path.with_name("mapping.yaml")
    document = yaml.safe_load(mapping.read_text())
    for column in document["columns"].values():
        column["from"] = f"main/c{heading.index(column['from'])}"
    mapping.write_text(yaml.safe_dump(document | {"record": "case"}))
    written = path.with_suffix(".xml")
    with written.open("w", encoding="utf-8") as file:
        file.write("<cases>")
        for case in cases:
            cells = "".join(f"<c{place}>{escape(cell)}</c{place}>" for place, cell in enumerate(case))
            file.write(f"<case><main>{cells}</main></case>\n")
        file.write("</cases>")
    return written


FORMS: Mapping[str, tuple[SourceKind, Callable]] = {
    "csv": (SourceKind.CSV, as_csv),
    "xlsx": (SourceKind.SPREADSHEET, as_workbook(".xlsx", save_xlsx)),
    "xls": (SourceKind.SPREADSHEET, as_workbook(".xls", save_xls)),
    "ods": (SourceKind.SPREADSHEET, as_workbook(".ods", save_ods)),
    "xml": (SourceKind.XML, as_xml),
    "db": (SourceKind.DATABASE, as_database),
}
ROWS = 120


def convert_extracts(world) -> list[Path]:
    """Poison every extract, and turn each into another kind."""
    written = []
    for path, (_kind, convert) in zip(extracts(world).values(), itertools.cycle(FORMS.values()), strict=False):
        poison(path, every=3)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[: ROWS + 1]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        place = convert(rows, path)
        if place != path:
            path.unlink()
        mapping = path.with_name("mapping.yaml")
        document = yaml.safe_load(mapping.read_text())
        if "file" in document:
            mapping.write_text(yaml.safe_dump(document | {"file": place.name}))
        written.append(place)
    return written


# Failures


def nothing_fails(_world, _paths):
    pass


def loading_fails_as_nobody_foresaw(_world, _paths):
    """A library that quotes what it could not read, past the place where its errors are translated."""
    honest = counting.load_extract

    def load(*arguments, **names):
        extract = honest(*arguments, **names)
        extract.close()
        raise duckdb.ConversionException(f"Could not convert string '{CANARY}' to INT32")

    counting.load_extract = load


def counting_fails_as_nobody_foresaw(_world, _paths):
    def compute(extract, *_arguments, **_names):
        raise KeyError(CANARY, extract.columns)

    counting.exact_vector = compute


def memory_runs_out(_world, _paths):
    honest = counting.load_extract
    counting.MOST_PARTS = 2
    counting.load_extract = lambda *arguments, **names: honest(*arguments, **(names | {"memory_limit_mib": 1}))


def disk_is_full(world, _paths):
    """The councils' folders lie on a file system of their own (see `main`), which is filled to the last byte."""
    honest = counting.load_extract

    def load(*arguments, **names):
        with contextlib.suppress(OSError), (world.folder / "councils" / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        return honest(*arguments, **names)

    counting.load_extract = load


def extracts_become_unreadable(_world, paths):
    honest = counting.load_extract
    left = iter(paths)

    def load(*arguments, **names):
        for path in left:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 3] + CANARY.encode())
        return honest(*arguments, **names)

    counting.load_extract = load


class _Falls:
    def __del__(self):
        raise ValueError(CANARY)


async def _never_awaited():
    raise ValueError(CANARY)


def strays(_world, _paths):
    """Failures that no code waits for, each of which Python prints with its message."""
    honest = counting.load_extract

    def load(*arguments, **names):
        def fall():
            raise ValueError(CANARY)

        thread = threading.Thread(target=fall)
        thread.start()
        thread.join()
        _Falls()
        gc.collect()
        logging.getLogger("some.library").error("could not read %s", CANARY, exc_info=ValueError(CANARY))
        warnings.warn(f"unusual value {CANARY}", stacklevel=1)
        return honest(*arguments, **names)

    counting.load_extract = load


def process_crashes(_world, _paths):
    """As a fault in a library of C does, with the extract in memory."""
    honest = counting.exact_vector

    def compute(extract, *arguments, **names):
        held = extract.rows().run(extract.connection).fetchall(), f"{CANARY} in memory"
        os.kill(os.getpid(), signal.SIGSEGV)
        return honest(extract, *arguments, **names), held

    counting.exact_vector = compute


FAILURES = {
    failure.__name__: failure
    for failure in (
        nothing_fails,
        loading_fails_as_nobody_foresaw,
        counting_fails_as_nobody_foresaw,
        memory_runs_out,
        disk_is_full,
        extracts_become_unreadable,
        strays,
        process_crashes,
    )
}


def through_the_real_log() -> None:
    """Nodes write their link's events where the command writes them, and each request has its line."""
    honest = NodeLink.__init__

    def init(self, settings, identity, answer, *, rng, on_event, **more):
        log = open_log(identity.council, "debug")

        def both(event, fields):
            log(event, fields)
            on_event(event, fields)

        honest(
            self, settings, identity, journalled(answer, log, ledger_entry=lambda: 0), rng=rng, on_event=both, **more
        )

    link_harness.NodeLink.__init__ = init


def note(event, fields) -> None:
    """The coordinator's events."""
    print(json.dumps({"event": event, **fields}))


async def ask(world) -> None:
    question = world.scenario.questions[0]
    async with link_harness.over_grpc(world.nodes) as harness, Hub(world, harness.link, note=note) as hub:
        try:
            answered = await hub.ask(question)
            print(f"answered: {answered.release.contributed} contributed")
            await hub.settle()
        except FederatedError as problem:
            print(f"no answer: {problem.diagnostics()}")


def main() -> None:
    folder, failure, *off = sys.argv[1:]
    work = Path(folder) / "work"
    work.mkdir()
    os.chdir(work)
    if off:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        forbid_dumps()
        log = open_log("E00000000", "debug")
        tell_without_values(lambda kind, place: log("uncaught", {"error": kind, "place": place}))
    through_the_real_log()
    councils = Path(folder) / "federation" / "councils"
    if FAILURES[failure] is disk_is_full:
        councils.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(councils)], check=True)
    with build_world(
        scenario(many_cells(), councils=len(FORMS)),
        Path(folder) / "federation",
        node_log=lambda council: open_log(council, "debug"),
    ) as world:
        paths = convert_extracts(world)
        FAILURES[failure](world, paths)
        asyncio.run(ask(world))
    if FAILURES[failure] is disk_is_full:  # it is gone with this process
        (councils / "filler").unlink()
        shutil.copytree(councils, Path(folder) / "federation" / "kept")


if __name__ == "__main__":
    main()
