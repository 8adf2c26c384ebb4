"""Pages of the console among many questions and many councils, beside the bare queries of each.

`python -m benchmarks.console_pages` fills a database with 10,000 questions copied from a real one and with the budget
statements of every council of England over four years. It prints the median time of each page, as the application
answers a request within one process, and of the queries that it asks the database. No target hangs on it; that pages
stay bounded is held by `tests/integration/test_console_scale.py`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import event

from tests.integration.console_scale import every_council, fill
from tests.integration.console_world import ConsoleWorld, Served, console_world

QUESTIONS = 10_000
YEARS = 4
REPEATS = 15
PAGES = {
    "register, newest": ("/questions", ""),
    "register, answered, from the middle": ("/questions?state=done&{middle}", ""),
    "question": ("/questions/{plan}", ""),
    "answer": ("/releases/{release}", ""),
    "budgets of 50 councils": ("/budgets?page=2", "reviewer"),
    "operations": ("/operations", "operator"),
    "rounds": ("/operations/rounds", "operator"),
}


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


def measure(world: ConsoleWorld, served: Served, plans: list[str], repeats: int) -> list[dict[str, object]]:
    """A row for each page."""
    statements = Statements(world)
    row = world.federation.store.proposals.get(bytes.fromhex(plans[len(plans) // 2]))
    parts = {
        "middle": f"older={row.received_at:%Y-%m-%dT%H:%M:%SZ}_{row.plan_digest.hex()}",
        "plan": world.plans["released"],
        "release": world.release,
    }
    found = []
    for name, (path, who) in PAGES.items():
        address = path.format(**parts)
        served.ask(address, who=who)
        statements.take()
        reply = served.ask(address, who=who)
        asked = statements.take()
        page = median_ms(lambda address=address, who=who: served.ask(address, who=who), repeats)
        bare = median_ms(lambda asked=asked: statements.again(asked), repeats)
        found.append(
            {
                "page": name,
                "status": reply.status,
                "bytes": len(reply.body),
                "queries": len(asked),
                "page_ms": round(page, 1),
                "queries_ms": round(bare, 1),
                "ratio": round(page / bare, 1),
            }
        )
    return found


def main() -> None:
    """Measure every page and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, console_world(Path(folder)) as world:
        plans = fill(world, given.questions)
        councils = every_council(world, Path(folder), years=YEARS)
        with world.served(publish=(world.agreement,), later_days=15) as served:
            for row in measure(world, served, plans, given.repeats):
                print(json.dumps(row))
    print(json.dumps({"questions": given.questions, "councils": len(councils), "years": YEARS}))


if __name__ == "__main__":
    main()
