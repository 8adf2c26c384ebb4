"""A coordinator, five nodes and a mask holder, each a process of its own, started by the commands that people type."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import yaml

from federated.demo.people import People
from federated.keys import public_line, read_public_key
from federated.privacy import Mechanism
from federated.query import Dimension, Query, Table
from federated.synthetic import PUBLISHED_QUARTER
from tests.e2e.federation import HUB, NORTH_EAST, START_S, Federation, running_federation

PROGRAM = "from mask_holder.cli import main; main()"
"""The command `mask-holder`: as the script that an installation makes calls it."""
NAME = "Local Government Association"
COUNCILS = NORTH_EAST[:5]


def typed(folder: Path, *arguments: str) -> str:
    """Type a command of the mask holder's and wait for its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Holder:
    """The mask holder's folder, and its process while it has one."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> list[dict[str, object]]:
        lines = (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def start(self) -> None:
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "run"], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert self.process.wait(timeout=20) == -signal.SIGKILL

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(timeout=20) == 0

    def point_to(self, address: str, authority: Path) -> None:
        """As a person edits the settings once the coordinator's address is known."""
        file = self.folder / "mask-holder.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        document["coordinator"] |= {"address": address, "ca_file": str(authority)}
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@contextmanager
def running(folder: Path) -> Iterator[tuple[Federation, Holder]]:
    people = People.make(os.urandom)
    people.write_trust(folder / "keys.yaml")
    typed(
        folder,
        *("init", "holder", "--id", "lga", "--name", NAME, "--coordinator", HUB),
        *("--address", "127.0.0.1:1", "--trust", "keys.yaml"),
    )
    holder = Holder(folder / "holder")
    key = public_line(read_public_key(holder.folder / "identity.pub"))
    changes = {"mask_holder": {"id": "lga", "name": NAME, "key": key}}
    with running_federation(folder, councils=COUNCILS, people=people, changes=changes) as federation:
        address = (folder / "coordinator" / "ready").read_text(encoding="ascii").strip()
        holder.point_to(address, folder / "coordinator" / "tls" / "authority.pem")
        assert NAME in typed(holder.folder, "accept", str(folder / "agreement.dsse"), "--yes")
        holder.start()
        try:
            yield federation, holder
        finally:
            holder.stop()


def question(title: str, by: str) -> Query:
    return Query(
        title=title,
        dataset="case",
        unit="household",
        group="pilot",
        period=PUBLISHED_QUARTER,
        epsilon=Fraction(1),
        tables=(Table(name="cells", statistic="households", by=(Dimension(column=by),)),),
    )


def seen(folder: Path) -> list[str]:
    """Mask holders that the coordinator sees, by its own note."""
    try:
        return json.loads((folder / "coordinator" / "state" / "connections.json").read_text())["holders"]
    except (OSError, KeyError):
        return []


def test_a_question_is_answered_with_a_mask_holder_and_waits_while_it_is_gone(tmp_path):
    with running(tmp_path) as (federation, holder):
        federation.wait("The mask holder's connection", lambda: seen(tmp_path) == ["lga"], timeout_s=START_S)
        assert "Well: connected." in typed(holder.folder, "health")
        assert "Nothing was opened yet." in typed(holder.folder, "opened")

        first = federation.plan(question("Households by outcome", "assessment_outcome"), Mechanism.DISCRETE_LAPLACE)
        run = federation.ask(first)
        assert run.released, run.last.message
        assert f"Opening by {NAME}." in [step.message for step in run.steps]
        (entry,) = json.loads(typed(holder.folder, "opened", "--json"))["opened"]
        assert (entry["plan_digest"], entry["question"]) == (first.digest.hex(), "Households by outcome")
        assert entry["councils"] == sorted(COUNCILS)
        assert "5 councils: " in typed(holder.folder, "opened")

        holder.kill()
        federation.wait("The loss of the mask holder", lambda: seen(tmp_path) == [])
        second = federation.plan(question("Households by age", "main_age_band"), Mechanism.DISCRETE_LAPLACE)
        waited = False
        for step in federation.client.submit(second, federation.manifest(second.question), refresh=True):
            if f"The mask holder {NAME} is not connected; waiting for it." in step.message:
                assert all(node.rounds(second) == () for node in federation.nodes.values())
                waited = True
                holder.start()
        assert waited
        assert step.release_digest, step.message
        # The record of before the kill is still there, and what came after stands behind it.
        opened = json.loads(typed(holder.folder, "opened", "--json"))["opened"]
        assert [entry["plan_digest"] for entry in opened] == [first.digest.hex(), second.digest.hex()]
        events = [line["event"] for line in holder.log]
        assert events.count("started") == 2
        assert events.count("round_held") == events.count("sum_opened") == 2
        assert {line["holder"] for line in holder.log} == {"lga"}
    assert holder.log[-1]["event"] == "stopped"
