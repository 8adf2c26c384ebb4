"""Must show 5: the eight checks of a data protection officer, each done through commands that a person types.

One federation of ten councils as processes. The officer is at the first of them, which decides on every question;
the others answer by themselves. The tests follow the officer's day and run in order.
"""

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import exp
from pathlib import Path

import pytest
import yaml
from scipy.stats import chi2

from council_node.node_store import DocumentKind, NodeStore
from federated.demo.papers import GROUP, manifest_payload
from federated.demo.people import People
from federated.demo.processes import command
from federated.errors import ExitStatus
from federated.keys import write_private_key
from federated.query import DatePart, Dimension, Equals, Period, Query, Table, write_query
from federated.shell import now_utc
from federated.synthetic import PUBLISHED_QUARTER, style_of
from tests.e2e.federation import NORTH_EAST, Federation, running_federation
from tests.e2e.typed_commands import typed_in

COUNCILS = NORTH_EAST[:10]
OFFICER = COUNCILS[0]
ME = ("--by", "Robin Example", "--role", "data protection officer")
FORUM = "Regional information governance forum, minute 7"
WAIT_S = 90
ANSWER = b'"attestations"'
"""Something that stands in every stored answer and in nothing else."""
QUESTION = Query(
    title="Households assessed, by reason for loss of home and outcome",
    dataset="case",
    unit="household",
    group=GROUP,
    period=Period(column="assessment_date", start=PUBLISHED_QUARTER.start, end=PUBLISHED_QUARTER.end),
    epsilon=Fraction(1),
    tables=(
        Table(
            name="reasons",
            statistic="households",
            by=(Dimension(column="reason_loss"), Dimension(column="assessment_outcome")),
        ),
    ),
)
MONTHLY = replace(
    QUESTION,
    title="Households assessed, by month",
    tables=(
        Table(
            name="months",
            statistic="households",
            by=(Dimension(column="assessment_date", part=DatePart.MONTH),),
        ),
    ),
)


@dataclass(slots=True)
class Office:
    """The officer's desk: a terminal at one council, and what was learned so far."""

    federation: Federation
    digest: str = ""
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.federation.folder

    @property
    def home(self) -> Path:
        return self.federation.nodes[OFFICER].file.parent

    def node(self, *arguments: str, status: int = 0) -> str:
        """`council-node …` at the officer's council; what it printed, or its error when it has to fail."""
        return self._said("council-node", *arguments, "--settings", str(self.home / "node.yaml"), status=status)

    def node_json(self, *arguments: str):
        return json.loads(self.node(*arguments, "--json"))

    def federated(self, *arguments: str, status: int = 0) -> str:
        return self._said("federated", *arguments, status=status)

    def _said(self, *line: str, status: int) -> str:
        done = typed_in(self.folder, *line, status=status)
        return done.stdout + done.stderr if status else done.stdout

    def write(self, query: Query, name: str) -> tuple[str, ...]:
        """The question and its manifest as files, as the analyst hands them in."""
        (self.folder / f"{name}.yaml").write_text(write_query(query), encoding="utf-8")
        manifest = manifest_payload(name, query, today=now_utc().date())
        (self.folder / f"{name}.manifest.yaml").write_bytes(manifest)
        return f"{name}.yaml", "--manifest", f"{name}.manifest.yaml"

    @contextmanager
    def asked(self, query: Query, name: str):
        """The analyst asks; inside, the question waits at the officer's desk; afterwards the answer has come."""
        before = self._proposed()
        arguments = [command("federated"), "submit", *self.write(query, name), "--refresh", "--json"]
        with (
            (self.folder / f"{name}.json").open("wb") as output,
            subprocess.Popen(
                arguments, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE
            ) as asking,
        ):
            self.digest = self._arrived(before)
            try:
                yield self.digest
                _, said = asking.communicate(timeout=WAIT_S)
            finally:
                asking.kill()
            assert asking.returncode == 0, said
        self.notes[name] = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    @contextmanager
    def coordinator_asleep(self):
        """The coordinator's process does nothing for the length of the block."""
        process = self.federation.processes.running["coordinator"].process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _arrived(self, before):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            new = self._proposed() - before
            if new:
                return new.pop()
            time.sleep(0.1)
        raise AssertionError("the question did not arrive")

    def _proposed(self):
        with NodeStore.open(self.federation.nodes[OFFICER].settings.store_file) as store:
            return {document.name for document in store.all_latest(DocumentKind.DECISION)}

    def policy(self, **changes):
        """Edit the council's policy file, as a person would; the node runs on."""
        path = self.home / "policy.yaml"
        document = yaml.safe_load(path.read_text(encoding="utf-8")) | changes
        path.write_text(yaml.safe_dump(document), encoding="utf-8")

    def state(self) -> bytes:
        """Every byte of the node's state folder."""
        return b"".join(path.read_bytes() for path in sorted((self.home / "state").iterdir()) if path.is_file())

    @contextmanager
    def own_cap(self, epsilon: str):
        """A lower cap of the council's own, for a while."""
        self.policy(cap={"epsilon": epsilon, "delta": "0.000001"})
        try:
            yield
        finally:
            self.policy(cap=None)

    def spent(self):
        """(reserved entries, spent entries) of the ledger as it is shown."""
        entries = self.node_json("ledger", "show")
        done = {row["sid"] for row in entries if row["kind"] == "spent"}
        return [row for row in entries if row["kind"] == "reserved" and row["sid"] in done]


def answers(names):
    return tuple(part for name in names for part in ("--answer", f"{name}=yes"))


def plant_objection(path, heading, yes):
    """One more household of the quarter objects, in the file as the case system wrote it."""
    raw = path.read_bytes()
    encoding = "utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        encoding, text = "cp1252", raw.decode("cp1252")
    delimiter = Counter(character for character in text[:5000] if character in ",;\t|").most_common(1)[0][0]
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    [top] = [place for place, row in enumerate(rows) if heading in row]
    column = rows[top].index(heading)
    row = next(row for row in rows[top + 1 :] if len(row) == len(rows[top]) and row[column] not in yes)
    row[column] = yes[0]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    path.write_bytes(written.getvalue().encode(encoding))


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviewer")
    people = People.make(os.urandom)
    asked = {"councils": COUNCILS, "epsilon": Fraction(1), "budget": Fraction(4), "people": people}
    with running_federation(folder, **asked) as federation:
        write_private_key(folder / "reviewer.pem", people.reviewer)
        workspace = (folder / "federated.yaml").read_text(encoding="utf-8").replace("analyst.pem", "reviewer.pem")
        (folder / "reviewer.yaml").write_text(workspace, encoding="utf-8")
        desk = Office(federation)
        desk.policy(automatic=False, class_2="person", approvals_needed=["data protection officer"])
        yield desk


@pytest.mark.in_turn
def test_1_the_manifest_in_plain_english(office):
    """Is the purpose specific, time-limited and allowed by our policy, and is funding or enforcement excluded?"""
    style = style_of(OFFICER)
    plant_objection(office.federation.nodes[OFFICER].extract, style.headings["opted_out"], style.booleans["yes"])
    with office.asked(QUESTION, "first") as digest:
        shown = office.node("question", digest[:8])
        benefit, decision = shown.index("What your council and its residents get"), shown.index("Decision: ")
        assert benefit < decision
        for said in (
            "the manifest ends on",
            "It informs no decision about funding.",
            "policing or enforcement against anyone",
            "Kind of purpose: finding out how homelessness can be prevented",
        ):
            assert said in " ".join(shown.split())
        assert [row["decision"] for row in office.node_json("questions") if row["plan_digest"] == digest] == ["pending"]
        fields = office.node_json("question", digest)
        office.notes["fields"] = fields
        # The same words from files alone, before anything is installed.
        papers = ("-q", "first.yaml", "-a", "agreement.dsse", "-r", "roster.dsse")
        without_a_node = " ".join(office.federated("manifest", "review", "first.manifest.yaml", *papers).split())
        for part in fields["sections"][:-2]:
            assert all(" ".join(line.split()) in without_a_node.replace(" - ", " ") for line in part["lines"])
        assert "not answered" in office.node("approve", digest[:8], *ME, status=3)
        no = ("--answer", f"{fields['to_answer'][0]}=no")
        assert "over a red line" in office.node("approve", digest[:8], *ME, *no, status=3)
        office.notes["bytes"] = office.node_json("dry-run", digest, "--out", "leaving")
        approved = office.node("approve", digest[:8], *ME, *answers(fields["to_answer"]), "--forum", FORUM)
        assert "approved" in approved
    assert office.notes["first"]["contributed"] == len(COUNCILS)
    shown = office.node("question", digest[:8])
    assert FORUM in " ".join(shown.split())
    assert "approve by Robin Example, data protection officer" in " ".join(shown.split())


@pytest.mark.in_turn
def test_2_exactly_which_fields_are_read(office):
    """No identifier and no unapproved class 2 field is among them; a name column cannot be mapped."""
    fields = office.notes["fields"]
    assert fields["columns"] == ["assessment_date", "assessment_outcome", "reason_loss"]
    [listed] = [part["lines"] for part in fields["sections"] if part["title"] == "Fields that are read"]
    assert sum("class 2" in line for line in listed) == sum("Approved by:" in line for line in listed) == 1
    sensitive = replace(
        QUESTION,
        tables=(Table(name="t", statistic="households", by=(Dimension(column="main_ethnic_group"),)),),
    )
    said = office.federated("submit", *office.write(sensitive, "sensitive"), status=7)
    assert said.count("does not allow the column 'main_ethnic_group'") == len(COUNCILS)
    assert "Nothing was spent" in said
    mapping = office.federation.nodes[OFFICER].settings.data["case"]
    kept = mapping.read_text(encoding="utf-8")
    document = yaml.safe_load(kept)
    document["columns"]["main_age_band"] = {"from": style_of(OFFICER).never_read["name"], "codes": {}}
    mapping.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    try:
        refused = office.node("dry-run", *office.write(MONTHLY, "mapped"), status=7)
        assert "name" in refused
        assert style_of(OFFICER).never_read["name"] in refused
    finally:
        mapping.write_text(kept, encoding="utf-8")


@pytest.mark.in_turn
def test_3_the_bytes_that_leave(office):
    """The outgoing message holds only masked numbers, and by itself it cannot be told from random ones."""
    found = office.notes["bytes"]
    assert (found["sent"], found["charged"], found["looks_random"]) == ([], None, True)
    files = {path.name: path.read_bytes() for path in (office.folder / "leaving").iterdir()}
    assert len(files) == len(found["leaving"])
    [masked] = [content for name, content in files.items() if "masked-input" in name]
    counts = Counter(masked[-800:])
    statistic = sum((counts[value] - 800 / 256) ** 2 / (800 / 256) for value in range(256))
    assert chi2.sf(statistic, 255) > 1e-6
    plain = b"\x00\x00\x00\x01" * 200  # the control: figures without a mask would be found out
    statistic = sum((plain.count(bytes([value])) - 800 / 256) ** 2 / (800 / 256) for value in range(256))
    assert chi2.sf(statistic, 255) < 1e-6
    receipt = office.node_json("receipt")
    really_sent = {item["what"]: item["digest"] for item in receipt["sent"]}
    assert set(really_sent) == {"advert", "key shares", "masked input", "confirmation", "unmask"}
    # The same figures leave under other masks and other noise each time.
    assert really_sent["masked input"] != hashlib.sha256(masked).hexdigest()


@pytest.mark.in_turn
def test_4_the_arithmetic_of_privacy(office):
    """Unit, epsilon, delta, cap, spent and left; and one line done again by hand."""
    cost = office.node_json("receipt")["cost"]
    assert (cost["unit"], cost["charged"], cost["budget_epsilon"]) == ("household", True, "4")
    [charge] = office.spent()
    assert charge["class_2"] is True
    epsilon, rho = Fraction(charge["epsilon"]), Fraction(charge["rho"])
    # By hand: one table of households with max_cells 1, asked at epsilon 1 with Laplace noise.
    assert (epsilon, rho) == (1, Fraction(1, 2))
    assert Fraction(cost["spent_epsilon"]) <= epsilon
    assert Fraction(cost["left_epsilon"]) >= Fraction(cost["budget_epsilon"]) - epsilon
    shown = " ".join(office.node("question", office.digest[:8]).split())
    guess = re.search(r"from 50 in 100 to at most ([\d.]+) in 100", shown).group(1)
    assert 0 <= float(guess) - 100 * exp(1) / (1 + exp(1)) < 0.1
    assert "added up: 1 × 1 = 1, which is the epsilon charged" in shown
    assert "The ledger is whole" in office.node("ledger", "verify")


@pytest.mark.in_turn
def test_5_a_motivated_intruder(office):
    """Ask the same again, then change one condition: the first is free, the second is charged or refused."""
    charged = len(office.spent())
    again = json.loads(office.federated("submit", *office.write(QUESTION, "first"), "--json"))
    assert again["sid"] == office.notes["first"]["sid"]
    assert len(office.spent()) == charged
    one_less = replace(QUESTION, where=Equals(column="assessment_outcome", value="relief_owed"))
    with office.own_cap("1.5"), office.asked(one_less, "one_less") as digest:
        shown = office.node_json("question", digest)
        assert (shown["decision"], shown["rule"]) == ("refused", "council_policy")
        assert "own cap" in shown["reason"]
        # Nobody can approve over it.
        office.node("approve", digest[:8], *ME, *answers(shown["to_answer"]), status=4)
    assert len(office.spent()) == charged
    others = json.loads(office.federated("budgets", "--json"))
    assert Counter(row["rounds"] for row in others) == {2: len(COUNCILS) - 1, 1: 1}


@pytest.mark.in_turn
def test_6_who_can_open_the_result(office):
    """Which parties must collude to see our figure, who is on the list of recipients, and who has had the answer."""
    fields = office.notes["fields"]
    [secure] = [line for line in fields["red_lines"] if line["name"] == "secure"]
    assert secure["standing"] == "holds"
    collude = int(re.search(r"at most (\d+) of them work with the coordinator", " ".join(secure["found"])).group(1))
    assert collude == len(COUNCILS) // 3  # the careful profile
    [recipients] = [part["lines"] for part in fields["sections"] if part["title"].startswith("Who gets the answer")]
    assert any("Ministry of Housing, Communities and Local Government" in line for line in recipients)
    agreement = office.federated("agreement", "show", "agreement.dsse")
    assert "work together with the coordinator against the others" in agreement
    verified = office.federated("verify", "first.json")
    assert "signed that the sum is over exactly these 10 councils" in verified
    *_, first = json.loads(office.federated("releases", "--json"))
    asked = ("readers", first["release"], "--json")
    assert "told to reviewers" in office.federated(
        *asked, status=ExitStatus.REFUSED
    )  # it is the analyst that asks here
    had_it = json.loads(office.federated(*asked, "--workspace", "reviewer.yaml"))
    assert {item["reader"] for item in had_it if item["how"] == "delivered"} == set(COUNCILS)
    fetched = [item for item in had_it if item["how"] == "fetched"]
    assert fetched
    assert all(item["name"] is not None for item in fetched)


@pytest.mark.in_turn
def test_7_retention_and_disposal(office):
    """The planted objection was honoured, nothing of the extract is left, and answers are purged on record."""
    receipt = office.node_json("receipt")
    counts = {item["what"]: item["count"] for item in receipt["local_counts"]}
    style, extract = style_of(OFFICER), office.federation.nodes[OFFICER].extract
    text = extract.read_bytes().decode("utf-8", "replace")
    assert counts["rows left out because somebody objected"] >= 1
    rows = list(csv.reader(io.StringIO(text), delimiter=_delimiter(text)))
    [top] = [place for place, row in enumerate(rows) if style.headings["opted_out"] in row]
    column = rows[top].index(style.headings["opted_out"])
    objecting = sum(row[column].strip() in style.booleans["yes"] for row in rows[top + 1 :] if len(row) > column)
    assert counts["rows left out because somebody objected"] == objecting
    key_column = rows[top].index(style.headings["household_key"])
    keys = {row[key_column].encode() for row in rows[top + 1 :] if len(row) > key_column and len(row[key_column]) > 5}
    assert len(keys) > 50
    kept = office.state()
    assert not any(key in kept for key in keys)
    office.node("pack", "evidence", "--out", str(office.folder / "evidence.zip"))
    assert office.federated("verify", "evidence.zip")
    with zipfile.ZipFile(office.folder / "evidence.zip") as archive:
        assert any(name.startswith("deletions/") for name in archive.namelist())
    assert ANSWER in kept
    office.node("purge", "--all-answers", *ME, "--reason", "Rehearsal of our retention rule")
    after = office.state()
    assert ANSWER not in after
    assert office.notes["first"]["sid"].encode() in after  # the receipt and the ledger stay


def _delimiter(text):
    return Counter(character for character in text[:5000] if character in ",;\t|").most_common(1)[0][0]


@pytest.mark.in_turn
def test_8_exit_and_rights(office):
    """Withdraw before the sum is made and after; the question completes without us; contacts; pause and resume."""
    charged = len(office.spent())
    with office.asked(MONTHLY, "without_us") as digest:
        names = office.node_json("question", digest)["to_answer"]
        with office.coordinator_asleep():  # or it might ask again between the two
            office.node("approve", digest[:8], *ME, *answers(names))
            office.node("withdraw", digest[:8], *ME, "--reason", "New advice from our solicitor")
        assert office.node_json("question", digest)["rule"] == "withdrawn"
    assert office.notes["without_us"]["contributed"] == len(COUNCILS) - 1
    assert len(office.spent()) == charged
    first = next(
        row for row in office.node_json("questions") if row["title"] == QUESTION.title and row["decision"] == "approved"
    )
    office.node("withdraw", first["plan_digest"][:8], *ME, "--reason", "We no longer take part in this question")
    assert len(office.spent()) == charged  # what was answered stays answered, and charged
    contacts = office.node_json("receipt")["contacts"]
    assert contacts["withdrawal"]
    assert contacts["complaints"]
    drafts = {"dpia": "dpia.md", "agreement": "draft.md", "privacy-notice": "notice.md"}
    for pack, name in drafts.items():
        office.node("pack", pack, "--out", str(office.folder / name))
        office.node("pack", "check", str(office.folder / name))
    office.policy(max_cells=77)
    said = office.node("pack", "check", str(office.folder / "dpia.md"), status=3)
    assert "77" in said
    assert "max" in said
    office.policy(max_cells=None)
    office.node("pause")
    assert "is paused" in office.node("status")
    office.node("resume")
    assert "takes part" in office.node("status")


def test_the_checks_are_those_of_the_officer():
    """So that none is dropped by renaming it."""
    numbered = [name for name in globals() if re.match(r"test_\d_", name)]
    assert [int(name[5]) for name in numbered] == list(range(1, 9))
    assert os.path.basename(__file__) == "test_reviewer_checks.py"  # noqa: PTH119 - the page of requirements names it
