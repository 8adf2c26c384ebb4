"""Health, readiness, metrics and a graceful stop of the real process; and that no metric tells anything of an answer."""

import asyncio
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import text

from coordinator.doctor import Verdict, examine
from coordinator.operations import Meter
from coordinator.settings import load_settings
from coordinator.store import open_store
from federated.errors import ExitStatus, FederatedError
from federated.release import open_release
from protocols.wire.link_message import Kind
from tests.integration.served_coordinator import connected, free_port, served


@contextmanager
def running(folder, database, *, start=True, **changes):
    port = free_port()
    with served(folder, database, operations={"port": port}, **changes) as made, connected(made, [made.first]):
        if start:
            made.first.start()
            until(made.first.is_ready)
        yield made, port


def get(port, place):
    """Status and page; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{place}", timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def value(page, name):
    """Of one line of the metrics, 0 where it is not there."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return 0 if found is None else float(found[1])


def ask(made, plan, **options):
    with made.client(made.first) as client:
        return list(client.submit(plan, made.federation.manifest, **options))


def test_metrics_count_and_tell_nothing_of_an_answer(tmp_path, store_url):
    with running(tmp_path, store_url) as (made, port):
        assert get(port, "healthz") == (200, "ok\n")
        until(lambda: value(get(port, "metrics")[1], "coordinator_councils_connected") == 8)
        assert get(port, "readyz") == (200, "ready\n")
        plan = made.federation.plan()
        (*_, last) = ask(made, plan)
        assert last.release_digest
        status, page = get(port, "metrics")
        assert status == 200
        assert value(page, 'coordinator_rounds_total{outcome="released"}') == 1
        assert value(page, 'coordinator_plans{state="released"}') == 1
        assert value(page, 'coordinator_stage_seconds_count{stage="masked input"}') == 1
        assert value(page, 'coordinator_errors_total{event="run_failed"}') == 0
        assert value(page, 'coordinator_link_bytes{direction="sent"}') > 1000
        assert value(page, 'coordinator_link_bytes{direction="received"}') > 1000
        assert told(page, made, last.release_digest) == []
        good = {finding.check: finding.verdict for finding in examine(load_settings(made.first.settings), now())}
        assert good["readiness"] is Verdict.GOOD
    bad = {finding.check: finding.verdict for finding in examine(load_settings(made.first.settings), now())}
    assert bad["readiness"] is Verdict.WARNING


def now():
    return datetime.now(UTC)


def told(page, made, digest):
    """What a page says of an answer, a council or a person: their names, titles, digests and figures."""
    release = open_release(made.federation.store.releases.get(digest).content)
    secret = {release.title, release.plan_digest, release.query_digest, digest.hex(), release.sid}
    secret |= {row.name for row in release.councils} | {row.council for row in release.councils}
    secret |= {str(int(total)) for total in release.tables[0].totals if total > 9999}
    secret |= {made.federation.agreement.id}
    return sorted(word for word in secret if word in page)


def test_a_metric_that_told_something_would_be_seen(tmp_path):
    with served(tmp_path, f"sqlite:///{tmp_path / 'store.db'}") as made, connected(made, [made.first]):
        for index, node in enumerate(made.federation.nodes.values()):
            node.figures = node.figures + 10_000 * (index + 1)
        made.first.start()
        until(made.first.is_ready)
        (*_, last) = ask(made, made.federation.plan())
        council = made.federation.councils[0]
        total = str(made.federation.expected()[0])
        meter = Meter()
        meter.hear("round_ended", {"outcome": f"{council} {total}"})
        assert told(asyncio.run(meter.page()).decode(), made, last.release_digest) == sorted([council, total])
        meter = Meter()
        meter.hear("round_ended", {"outcome": "released", "sid": "aa", "council": council})
        assert told(asyncio.run(meter.page()).decode(), made, last.release_digest) == []


def test_not_ready_while_standing_by_without_a_roster_or_without_its_table(tmp_path, store_url):
    with running(tmp_path, store_url, start=False) as (made, port):
        store = made.federation.store
        with store.engine.begin() as connection:
            connection.execute(text("DELETE FROM rosters"))
        turn = store.desk.take(owner="other", now=now(), until=now().replace(year=2099))
        made.first.start()
        until(lambda: get(port, "healthz")[0] == 200)
        until(lambda: "standing_by" in made.first.log)
        status, page = get(port, "readyz")
        assert (status, "stands by" in page) == (503, True)
        store.desk.leave(turn)
        until(made.first.is_ready)
        status, page = get(port, "readyz")
        assert (status, "roster" in page.lower() or "list of councils" in page.lower()) == (503, True)
        with store.engine.begin() as connection:
            connection.execute(text("DROP TABLE desk"))
        status, page = get(port, "readyz")
        assert (status, "cannot be used" in page) == (503, True)
        assert get(port, "healthz")[0] == 200


@contextmanager
def round_held(made):
    """A round that stops where one message of each council is missing, until it is let go."""
    go_on, held = threading.Event(), threading.Event()

    def hold(message):
        if message.kind is Kind.STATEMENTS:
            held.set()
            go_on.wait(60)

    for node in made.federation.nodes.values():
        node.before = hold
    plan = made.federation.plan()

    def asking():
        try:
            return ask(made, plan)
        except FederatedError:
            return []

    try:
        with ThreadPoolExecutor(1) as asker:
            asked = asker.submit(asking)
            assert held.wait(60)
            try:
                yield plan, go_on, asked
            finally:
                go_on.set()
    finally:
        go_on.set()


def test_told_to_stop_it_lets_the_round_end(tmp_path, store_url):
    with running(tmp_path, store_url) as (made, port), round_held(made) as (plan, go_on, asked):
        made.first.send(signal.SIGTERM)
        until(lambda: "stopping" in get(port, "readyz")[1])
        go_on.set()
        assert made.first.ended() == ExitStatus.OK
        assert asked.result(timeout=60)[-1].release_digest
        store = made.federation.store
        assert store.proposals.get(plan.digest).state == "released"
        assert '"rounds_cut_off": 0' in made.first.log


def test_a_round_that_takes_too_long_is_cut_off_and_said_so(tmp_path):
    database = f"sqlite:///{tmp_path / 'store.db'}"
    with running(tmp_path, database, rounds={"drain": 1}) as (made, _port), round_held(made) as (plan, _go, _asked):
        made.first.send(signal.SIGTERM)
        assert made.first.ended() == ExitStatus.OK
        check_cut_off(made, plan)


def test_a_second_signal_stops_at_once(tmp_path):
    database = f"sqlite:///{tmp_path / 'store.db'}"
    with running(tmp_path, database, rounds={"drain": 600}) as (made, port), round_held(made) as (plan, _go, _asked):
        made.first.send(signal.SIGTERM)
        until(lambda: "stopping" in get(port, "readyz")[1])
        made.first.send(signal.SIGTERM)
        assert made.first.ended(timeout_s=30) == ExitStatus.OK
        check_cut_off(made, plan)


def check_cut_off(made, plan):
    assert '"rounds_cut_off": 1' in made.first.log
    with_store = open_store(made.federation.settings.database_url)
    row = with_store.proposals.get(plan.digest)
    (found,) = with_store.rounds.of_plan(plan.digest)
    with_store.close()
    assert (row.state, row.rule, found.outcome) == ("failed", "coordinator_stopped", "aborted")
    assert "stopped during this round" in row.reason
