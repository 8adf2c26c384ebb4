"""The guide for council IT followed to the letter, from an empty folder to a dry run on a messy spreadsheet.

The blocks of the page are what runs: its YAML is written to the files it names, its commands are started as processes,
in its order, against a coordinator that runs. What differs from the page is what a federation gives each council: the
coordinator's address and the keys to trust.
"""

import csv
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import openpyxl
import pytest
import yaml

from coordinator.first_files import NewCoordinator, create
from federated.agreement import AGREEMENT_TYPE
from federated.demo.papers import agreement_document, yaml_payload
from federated.demo.processes import Processes, command, wait_for
from federated.keys import SigningKey, make_key, public_line
from federated.query import parse_query
from federated.schema import load_schema
from federated.shell import now_utc
from federated.signing import sign_payload
from federated.synthetic import style_of, synthesise, write_extract
from protocols.identifiers import CouncilId
from protocols.secagg import Profile
from tests.docs.pages import fenced, page

pytestmark = pytest.mark.in_turn

GUIDE = page("docs/guides/council-it.md")
MOST_COMMANDS = 12
MOST_DECISIONS = 6
DECISION = "**You decide"
INSTALL = "`make setup`"
GIVEN_ADDRESS = "hub.example:7443"
SPREADSHEET = style_of(CouncilId("E06000002"))
"""The case system that is a spreadsheet kept by hand: its headings, spellings and dates, faults and all."""


def walk_text() -> str:
    """The steps of "Join" up to the dry run: everything before the node is started."""
    joining = GUIDE[GUIDE.index("\n## Join\n") :]
    return joining[: joining.index("**9. Run.**")]


def steps(text: str) -> Iterator[str]:
    for block in fenced(text, "sh"):
        yield from (line for line in block.splitlines() if line.strip())


@dataclass
class Walk:
    """One walk through the guide: what was typed, what was decided, and what came of it."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict)
    prompts: int = 0
    seconds: float = 0

    def type(self, line: str, *, answer: str = "") -> str:
        program, *arguments = shlex.split(line)
        began = time.perf_counter()
        done = subprocess.run(
            [command(program), *arguments],
            cwd=self.folder,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        self.seconds += time.perf_counter() - began
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        self.prompts += len(re.findall(r"\[y/N\]|^Number", done.stdout, flags=re.MULTILINE))
        self.said[line] = done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Iterator[Walk]:
    """The whole walk, once."""
    folder = tmp_path_factory.mktemp("walk")
    text = walk_text()
    with Processes(tmp_path_factory.mktemp("federation")) as processes:
        address = federation_gives(processes, folder, text)
        spreadsheet(folder / "cases.xlsx", council_of(text))
        (question,) = [block for block in fenced(text, "yaml") if block.startswith("query:")]
        (folder / "question.yaml").write_text(question, encoding="utf-8")
        walk = Walk(folder)
        for line in steps(text):
            # The one question of the walk that is not the guide's to answer.
            walk.type(line.replace(GIVEN_ADDRESS, address), answer="y\n" if " accept " in line else "")
        yield walk


def council_of(text: str) -> CouncilId:
    (found,) = re.findall(r"--council (\w+)", text)
    return CouncilId(found)


def federation_gives(processes: Processes, folder: Path, text: str) -> str:
    """A coordinator that runs, and the files that a council gets from its people; returns the address."""
    signer_a, signer_b, analyst, reviewer = (make_key(os.urandom) for _ in range(4))
    # The guide's two people sign both.
    lines = [public_line(signer_a.public), public_line(signer_b.public)]
    trust = {"roster_keys": lines, "agreement_keys": list(lines)}
    (folder / "trust.yaml").write_text(yaml.safe_dump(trust), encoding="utf-8")
    (folder / "agreement.dsse").write_bytes(signed_agreement(text, [signer_a, signer_b], analyst, reviewer))
    (coordinator,) = re.findall(r"--coordinator (\S+)", text)
    home = processes.folder / "coordinator"
    create(
        home,
        NewCoordinator(
            id=coordinator,
            name="Coordinator of the walk",
            hosts=["127.0.0.1"],
            listen_host="127.0.0.1",
            port=0,
            roster_keys=tuple(trust["roster_keys"]),
            agreement_keys=tuple(trust["agreement_keys"]),
        ),
        now=now_utc(),
        rng=os.urandom,
    )
    (folder / "authority.pem").write_bytes((home / "tls" / "authority.pem").read_bytes())
    ready = home / "ready"
    serve = ["serve", "--settings", str(home / "coordinator.yaml"), "--ready-file", str(ready)]
    processes.start("coordinator-serve", [command("coordinator"), *serve])
    wait_for("The coordinator", ready.exists, check=processes.check, timeout_s=60)
    return ready.read_text(encoding="ascii").strip()


def signed_agreement(text: str, signers: Sequence[SigningKey], analyst: SigningKey, reviewer: SigningKey) -> bytes:
    """An agreement of the twelve councils of the North East that allows the guide's question."""
    (block,) = [block for block in fenced(text, "yaml") if block.startswith("query:")]
    question = parse_query(block.encode())
    councils = {c.id: c.name for c in load_schema().councils.values() if c.region == "E12000001"}
    document = agreement_document(
        councils,
        label="the twelve councils of the North East",
        profile=Profile.STANDARD,
        epsilon=Fraction(1),
        analyst=analyst,
        reviewer=reviewer,
        today=now_utc().date() - timedelta(days=1),
    )
    document["groups"][0]["name"] = question.group
    allowed = document["datasets"][question.dataset]
    allowed["columns"] = sorted({*allowed["columns"], *question.columns()})
    return sign_payload(yaml_payload(document), AGREEMENT_TYPE, signers)


def spreadsheet(path: Path, council: CouncilId) -> None:
    """A workbook as a housing team keeps one: title rows, a blank row, a second sheet, and every usual fault."""
    extract = path.with_suffix(".csv.tmp")
    write_extract(synthesise(council, 11), extract, seed=11, style=SPREADSHEET)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Cases"
    sheet.append(["Housing options: everybody assessed"])
    sheet.append(["Updated by the team each Friday"])
    sheet.append([])
    with extract.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            sheet.append(row)
    book.create_sheet("Read me").append(["Please do not sort the other sheet"])
    book.save(path)
    extract.unlink()


def test_the_walk_ends_in_a_dry_run_on_the_councils_own_spreadsheet(walk):
    practice, own = (said for line, said in walk.said.items() if " dry-run " in line)
    assert "DRY RUN on made-up records" in practice
    assert "The answer to the made-up records" in practice
    assert "DRY RUN on this council's own records. Nothing was sent, nothing was charged, nothing was kept." in own
    assert "masked input" in own
    assert "looks random" in own
    assert "The answer to" not in own


def test_the_walk_is_short(walk, record_property):
    typed = 1 + len(walk.said)  # the first installs the software, before the test
    decisions = walk_text().count(DECISION)
    assert INSTALL in walk_text()
    assert typed <= MOST_COMMANDS
    # Whatever a command asked is one of the decisions that the guide names.
    assert walk.prompts <= decisions <= MOST_DECISIONS
    record_property("commands", typed)
    record_property("decisions", decisions)
    record_property("machine_seconds", round(walk.seconds, 1))
    print(f"{typed} commands, {decisions} decisions, {walk.seconds:.1f} seconds of machine time")


def test_the_spreadsheet_was_messy_and_was_read(walk):
    (mapped,) = (said for line, said in walk.said.items() if " map " in line)
    assert "count as not known" in mapped
    assert "looks like a date of birth" in mapped
    (checked,) = (said for line, said in walk.said.items() if " check " in line)
    assert "Rows that say the same as another one" in checked
    assert "MEND" not in checked


def test_the_check_reached_the_coordinator_that_runs(walk):
    (checked,) = (said for line, said in walk.said.items() if " check " in line)
    assert "The coordinator was reached over TLS" in checked


def test_the_council_was_enrolled_and_accepted_and_nothing_was_spent(walk):
    (enrolled,) = (said for line, said in walk.said.items() if " enrol " in line)
    (accepted,) = (said for line, said in walk.said.items() if " accept " in line)
    assert "fingerprint" in enrolled
    assert "Accepted: " in accepted
    assert not (walk.folder / "node" / "state" / "ledger.db").exists()


def test_every_command_of_the_walk_is_from_the_page(walk):
    assert [line.split()[:2] for line in walk.said] == [line.split()[:2] for line in steps(walk_text())]
    programs = {line.split()[0] for line in walk.said}
    assert programs == {"council-node"}
