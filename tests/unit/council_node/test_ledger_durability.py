"""Spent is spent: through kill -9 at any instant, a power cut after any request to the disk, and a full disk."""

import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from council_node.ledger import Ledger
from federated.errors import FileProblem, PolicyRefusal
from federated.ledger_entries import RoundState
from tests.unit.council_node import ledger_writer
from tests.unit.council_node.ledger_cases import LATER, ME, NOW, reserve, sid_of
from tests.unit.council_node.ledger_writer import STEPS, act

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SECTOR = 512


def check(ledger, returned, where=""):
    """Everything that returned is in the ledger, and the ledger is sound."""
    ledger.verify()
    became = {"spend": RoundState.SPENT, "release": RoundState.RELEASED}
    for step, name in returned:
        known = ledger.round(sid_of(name))
        assert known is not None, f"{where}: {step} {name} returned and is gone"
        if step in became:
            assert known.state is became[step], f"{where}: {step} {name} returned, but the round is {known.state}"


# kill -9


def kill_repeatedly(path, times):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([ledger_writer.__name__])
    Ledger.create(path, ME, NOW).close()
    chance = random.Random(os.urandom(8))
    returned, first = [], 0
    for _ in range(times):
        reading, writing = context.Pipe(duplex=False)
        process = context.Process(target=ledger_writer.write_until_killed, args=(path, first, writing))
        process.start()
        writing.close()
        fresh = [reading.recv() for _ in range(chance.randrange(1, 7))]
        time.sleep(chance.uniform(0, 0.01))
        process.kill()
        process.join()
        returned += fresh + received(reading)
        with Ledger.open(path, ME) as ledger:
            check(ledger, returned)
            assert len(ledger.rounds()) <= len({name for _, name in returned}) + times
        first += 1000
    return path, returned


def received(reading):
    messages = []
    try:
        while reading.poll(0):
            messages.append(reading.recv())
    except (EOFError, OSError):  # the last message was cut off with the process
        pass
    return messages


def test_no_charge_is_lost_to_kill_9(tmp_path):
    path, returned = kill_repeatedly(tmp_path / "ledger.db", 30)
    assert sum(1 for step, _ in returned if step == "spend") >= 10
    with Ledger.open(path, ME) as ledger:
        ledger.recover(LATER)
        check(ledger, returned)
        assert ledger.open_reservations() == ()


@pytest.mark.long
def test_no_charge_is_lost_to_kill_9_at_length(tmp_path):
    kill_repeatedly(tmp_path / "ledger.db", 400)


# A power cut


@dataclass
class Inode:
    """A file's content: as the system shows it, as the disk must hold it, and the writes in between."""

    shown: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, offset, data):
        overlay(self.shown, offset, data)
        self.unsynced.append((offset, data))

    def sync(self):
        self.synced = bytes(self.shown)
        self.unsynced.clear()

    def survivors(self, chance):
        """What was synced and, with `chance`, any of the later writes' sectors."""
        content = bytearray(self.synced)
        for offset, data in self.unsynced if chance else ():
            for start in range(0, len(data), SECTOR):
                if chance.random() < 0.5:
                    overlay(content, offset + start, data[start : start + SECTOR])
        return bytes(content)


def overlay(content, offset, data):
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


@dataclass
class Disk:
    """A folder as the system shows it, and as a disk that keeps no more than it promised would still list it."""

    shown: dict[str, Inode] = field(default_factory=dict)
    listed: dict[str, Inode] = field(default_factory=dict)
    returned: list[tuple[str, ...]] = field(default_factory=list)

    def take(self, op, offset, length, name, data):
        match op:
            case "C":
                self.shown.setdefault(name, Inode())
            case "W":
                self.shown.setdefault(name, Inode()).write(offset, data)
            case "T":
                del self.shown[name].shown[length:]
            case "S":
                self.shown.setdefault(name, Inode()).sync()
            case "U":
                self.shown.pop(name, None)
            case "D":
                self.listed = dict(self.shown)

    def after_kill(self):
        return {name: bytes(inode.shown) for name, inode in self.shown.items()}

    def after_power_cut(self, chance=None):
        """Only what was synced; with `chance`, any part of the rest may have arrived as well."""
        found = {}
        for name in self.listed.keys() | self.shown.keys():
            folder = self.shown if chance is not None and chance.random() < 0.5 else self.listed
            if name in folder:
                found[name] = folder[name].survivors(chance)
        return found


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.fail("recording the disk needs Linux and a C compiler")
    built = tmp_path_factory.mktemp("recorder") / "record_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, HERE / "record_disk.c"], check=True)
    return built


def run_recorded(recorder, folder, **more):
    log = folder.with_name(f"{folder.name}.log")
    folder.mkdir()
    environment = os.environ | {
        "LD_PRELOAD": str(recorder),
        "RECORD_FOLDER": str(folder.resolve()),
        "RECORD_LOG": str(log),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-m", ledger_writer.__name__, str(folder / "ledger.db")],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return log.read_bytes(), done.stdout


def requests(log):
    while log:
        head, _, log = log.partition(b"\n")
        op, offset, length, name = head.decode().split(" ", 3)
        data, log = (log[: int(length)], log[int(length) :]) if op == "W" else (b"", log)
        yield op, int(offset), int(length), name, data


def instants(log):
    """The disk after each request, up to the last."""
    disk = Disk()
    for op, offset, length, name, data in requests(log):
        if name == "said":
            if op == "W":
                disk.returned.append(tuple(data.decode().split()))
            continue
        if not name.startswith("ledger.db.lock"):
            disk.take(op, offset, length, name, data)
            yield disk


def lay_out(files, folder):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "ledger.db"


def test_no_charge_is_lost_to_a_power_cut_after_any_request_to_the_disk(recorder, tmp_path):
    log, _ = run_recorded(recorder, tmp_path / "recorded")
    chance = random.Random(2026)
    tried = 0
    for number, disk in enumerate(instants(log)):
        states = [disk.after_kill(), disk.after_power_cut(), disk.after_power_cut(chance), disk.after_power_cut(chance)]
        for kind, files in enumerate(states):
            path = lay_out(files, tmp_path / f"{number}-{kind}")
            if ("create",) not in disk.returned:
                continue
            with Ledger.open(path, ME) as ledger:
                check(ledger, [item for item in disk.returned if len(item) == 2], f"request {number}, state {kind}")
                tried += 1
    assert {item for item in disk.returned if len(item) == 2} == set(STEPS)
    assert tried > 4 * 5 * len(STEPS)


def test_a_power_cut_while_a_ledger_is_made_leaves_none_or_a_whole_one(recorder, tmp_path):
    log, _ = run_recorded(recorder, tmp_path / "recorded")
    for number, disk in enumerate(instants(log)):
        if disk.returned:
            break
        for kind, files in enumerate((disk.after_kill(), disk.after_power_cut())):
            path = lay_out(files, tmp_path / f"{number}-{kind}")
            try:
                Ledger.open(path, ME).close()
            except FileProblem:
                Ledger.create(path, ME, NOW).close()


# A disk that fills up, or may not be written to


@pytest.mark.parametrize("asked", [0, 1, 2, 3, 9, 16, 20, 25, 26, 30, 37, 44])
def test_a_full_disk_refuses_the_round_in_one_sentence_and_loses_nothing(recorder, tmp_path, asked):
    folder = tmp_path / "full"
    log, told = run_recorded(recorder, folder, FAIL_AT=str(asked))
    disk = Disk()
    for disk in instants(log):  # noqa: B007 - the last one is wanted
        pass
    returned = [item for item in disk.returned if len(item) == 2]
    lines = told.splitlines()
    assert len(lines) + len(disk.returned) in {1, 1 + len(STEPS), len(STEPS)}
    assert lines
    if lines[0].startswith("create"):
        assert "cannot be used" in lines[0] or "cannot be made" in lines[0]
        return
    assert "ledger_unavailable: This council's ledger cannot be used" in lines[0]
    assert str(folder) not in told
    with Ledger.open(folder / "ledger.db", ME) as ledger:
        check(ledger, returned)


def fill(ledger):
    for number in range(100):
        act(ledger, "reserve", str(number))


def test_a_node_goes_on_once_there_is_space_again(tmp_path):
    with Ledger.create(tmp_path / "ledger.db", ME, NOW) as ledger:
        connection = ledger._file._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(PolicyRefusal) as caught:
            fill(ledger)
        assert caught.value.rule == "ledger_unavailable"
        assert "the disk is full" in str(caught.value.__cause__)
        before = ledger.counter
        with pytest.raises(PolicyRefusal):
            act(ledger, "reserve", "still full")
        assert ledger.counter == before
        ledger.verify()
        connection.execute("PRAGMA max_page_count=1000000")
        act(ledger, "reserve", "space again")
        act(ledger, "spend", "space again")
        assert ledger.counter == before + 2


def test_a_read_only_ledger_refuses_the_round(tmp_path):
    with Ledger.create(tmp_path / "ledger.db", ME, NOW) as ledger:
        reserve(ledger, "a")
        ledger._file._connection.execute("PRAGMA query_only=ON")
        with pytest.raises(PolicyRefusal) as caught:
            ledger.spend(sid_of("a"), NOW)
        assert caught.value.rule == "ledger_unavailable"
        assert "read-only" in str(caught.value.__cause__)
        assert ledger.round(sid_of("a")).state is RoundState.RESERVED


def test_a_reader_that_holds_the_file_makes_the_round_refused_not_lost(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger, Ledger.read_only(path, ME) as reader:
        reserve(ledger, "a")
        ledger._file._connection.execute("PRAGMA busy_timeout=10")
        held = reader._file._connection
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM entry").fetchone()
        with pytest.raises(PolicyRefusal) as caught:
            ledger.spend(sid_of("a"), NOW)
        assert "another program is using it" in str(caught.value.__cause__)
        held.execute("COMMIT")
        ledger.spend(sid_of("a"), NOW)


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        for number in range(40):
            act(ledger, "reserve", str(number))
    content = path.read_bytes()
    assert len(content) > 8 * 4096
    for length in [n + more for n in range(4096, len(content), 4096) for more in (0, 100)]:
        path.write_bytes(content[:length])
        with pytest.raises(FileProblem):
            Ledger.open(path, ME)
