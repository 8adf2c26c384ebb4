"""Pages of the console among 10,000 answers and 350 councils, and two hundred readers at once.

`python -m benchmarks.console_pages` answers 10,000 questions on SQLite and on a PostgreSQL server of its own, by the
store's own writes, and keeps a signed budget statement of every council over four years. It gives the median time of
each page, as the application answers a request within one process, beside that of the queries that it asks the
database; then what one reader and what 200 readers at once get of the real `coordinator console` over TLS. No target
hangs on a time; that pages stay bounded is held by `tests/integration/test_console_scale.py`, and that nobody of 200 is
turned away by `tests/integration/test_console_readers.py`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import event

from benchmarks.targets import add_record_option, commit, record_console
from coordinator.sign_in import sessions
from coordinator.store import AccountRow, SessionRow
from tests.integration.console_readers import Reading, console_process, read_at_once
from tests.integration.console_scale import answer_through, every_council
from tests.integration.console_world import ConsoleWorld, Served, console_world
from tests.integration.coordinator_federation import SCHEMA
from tests.stores import running_postgresql

DATABASES = ("sqlite", "postgresql")
ANSWERS = 10_000
YEARS = 4
COUNCILS = 350
REPEATS = 15
READERS = 200
PAGES_EACH = 10
PAGES = {
    "register, newest": ("/questions", ""),
    "register, oldest": ("/questions?{oldest}", ""),
    "register, answered, from the middle": ("/questions?state=done&{middle}", ""),
    "question": ("/questions/{plan}", ""),
    "answer": ("/releases/{release}", ""),
    "budgets of 50 councils": ("/budgets?page=2", "reviewer"),
    "budget of one council": ("/budgets/{council}", "reviewer"),
    "operations": ("/operations", "operator"),
    "rounds": ("/operations/rounds", "operator"),
}
READ = ("register, newest", "register, oldest", "question", "answer", "budgets of 50 councils", "budget of one council")
"""What the readers of the real process ask for."""
TOKEN = "benchmark"


class Statements:
    """The statements that pages ask the database, as they were asked."""

    def __init__(self, world: ConsoleWorld) -> None:
        self._engine = world.reading.engine
        self.found: list[tuple[str, object]] = []
        event.listen(self._engine, "before_cursor_execute", self._take)

    def _take(self, _connection, _cursor, statement, parameters, _context, _many) -> None:  # noqa: ANN001
        self.found.append((statement, parameters))

    def take(self) -> list[tuple[str, object]]:
        """Those since the last call."""
        found, self.found = self.found, []
        return found

    def again(self, asked: list[tuple[str, object]]) -> None:
        """Ask them again and fetch every row, with nothing in between."""
        with self._engine.connect() as connection:
            for statement, parameters in asked:
                connection.exec_driver_sql(statement, parameters).fetchall()
        self.found = []


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median of so many runs, in milliseconds."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def addresses(world: ConsoleWorld, plans: Sequence[bytes]) -> dict[str, str]:
    """Path of each page of `PAGES`."""
    parts = {
        "middle": f"older={plans[len(plans) // 2].hex()}",
        "oldest": f"newer={plans[-1].hex()}",
        "plan": world.plans["released"],
        "release": world.release,
        "council": world.federation.councils[0],
    }
    return {name: path.format(**parts) for name, (path, _) in PAGES.items()}


def measure(world: ConsoleWorld, served: Served, paths: dict[str, str], repeats: int) -> Iterator[dict[str, object]]:
    """A row for each page."""
    statements = Statements(world)
    for name, path in paths.items():
        who = PAGES[name][1]
        served.ask(path, who=who)
        statements.take()
        reply = served.ask(path, who=who)
        assert reply.status == 200, (path, reply.status)
        asked = statements.take()
        page = median_ms(lambda path=path, who=who: served.ask(path, who=who), repeats)
        bare = median_ms(lambda asked=asked: statements.again(asked), repeats)
        yield {
            "page": name,
            "bytes": len(reply.body),
            "queries": len(asked),
            "page_ms": round(page, 1),
            "queries_ms": round(bare, 1),
        }


def signed_in(world: ConsoleWorld) -> dict[str, str]:
    """A reviewer who has signed in; the header that says so."""
    now, store = datetime.now(UTC), world.federation.store
    account = AccountRow(
        name="reader", kind="local", roles="reviewer", agreements=world.agreement, created_at=now, changed_at=now
    )
    assert store.accounts.add(account, by="benchmark")
    session = SessionRow(
        token_hash=sessions.token_hash(TOKEN), account="reader", address="127.0.0.0/24", started_at=now, seen_at=now
    )
    store.accounts.open_session(session, ended_before=now)
    return {"cookie": f"{sessions.COOKIE}={TOKEN}"}


def load(world: ConsoleWorld, folder: Path, paths: dict[str, str], *, readers: int, pages: int) -> dict[str, object]:
    """What one reader gets of the real process, and what many at once get."""
    asked = tuple(paths[name] for name in READ)
    with console_process(world, folder, publish=[world.agreement], comment_days=0, sign_in={}) as port:
        headers = signed_in(world)
        read_at_once(port, asked, readers=1, pages=len(asked), headers=headers)  # every page once, as later
        alone, alone_s = timed(lambda: read_at_once(port, asked, readers=1, pages=10 * len(asked), headers=headers))
        many, many_s = timed(lambda: read_at_once(port, asked, readers=readers, pages=pages, headers=headers))
    return {
        "readers": readers,
        "pages": len(many),
        "errors": sum(not reading.ok for reading in many) + sum(not reading.ok for reading in alone),
        "one": summary(alone, alone_s),
        "at_once": summary(many, many_s),
    }


def timed(call: Callable[[], list[Reading]]) -> tuple[list[Reading], float]:
    """What a call gives, and the seconds it took."""
    began = time.perf_counter()
    found = call()
    return found, time.perf_counter() - began


def summary(found: Sequence[Reading], seconds: float) -> dict[str, float]:
    """Half of the requests and 95 in 100 of them within so many milliseconds; requests a second."""
    taken = sorted(1000 * reading.seconds for reading in found)
    return {
        "p50_ms": round(taken[len(taken) // 2], 1),
        "p95_ms": round(taken[len(taken) * 95 // 100], 1),
        "a_second": round(len(found) / seconds, 1),
    }


@contextmanager
def databases(names: Sequence[str]) -> Iterator[dict[str, str | None]]:
    """An address for each; SQLite's is in the world's own folder."""
    with ExitStack() as stack:
        found: dict[str, str | None] = {}
        for name in names:
            if name == "postgresql":
                server = stack.enter_context(running_postgresql(fsync=True))
                found[name] = stack.enter_context(server.database())
            else:
                found[name] = None
        yield found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every page and the readers on each database, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=DATABASES, action="append", help="both when left out")
    parser.add_argument("--answers", type=int, default=ANSWERS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument("--pages", type=int, default=PAGES_EACH, help="that each reader asks for")
    add_record_option(parser)
    given = parser.parse_args(arguments)
    with databases(given.database or DATABASES) as found:
        for database, url in found.items():
            with tempfile.TemporaryDirectory() as folder, console_world(Path(folder), database=url) as world:
                first = world.federation.store.proposals.get(bytes.fromhex(world.plans["released"]))
                began = time.perf_counter()
                paths = addresses(world, answer_through(world.federation.store, first, given.answers))
                written = time.perf_counter() - began
                councils = every_council(world, Path(folder), years=YEARS, more=COUNCILS - len(SCHEMA.councils))
                with world.served(publish=(world.agreement,), later_days=15) as served:
                    pages = list(measure(world, served, paths, given.repeats))
                row = {
                    "database": database,
                    "answers": given.answers,
                    "councils": len(councils),
                    "periods": YEARS,
                    "writes_a_second": round(3 * given.answers / written),
                    "pages": pages,
                    "load": load(world, Path(folder), paths, readers=given.readers, pages=given.pages),
                    "command": "python -m benchmarks.console_pages",
                    "commit": commit(),
                }
                print(json.dumps(row, indent=2), flush=True)
                if given.record:
                    record_console(row)


if __name__ == "__main__":
    main()
