"""The guides for analysts and for reviewers followed to the letter, on one live federation of four councils.

The blocks of both pages are what runs: their files are written, their commands typed in their order, and each must say
what the page promises. What differs from the pages is what each reader is handed or looks up: the coordinator's address,
keys and digests. What a reader has or does between two lines is in `before`, and nowhere else.
"""

import base64
import csv
import json
import os
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from council_node.node_store import DocumentKind, NodeStore
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.demo.papers import agreement_document, datasets_of, manifest_payload, yaml_payload
from federated.demo.people import People
from federated.keys import make_key, read_private_key, write_private_key
from federated.plan import Plan, Terms
from federated.planner import choose_mechanism
from federated.privacy import Mechanism, Totals
from federated.query import Query, parse_query
from federated.query.sql_form import parse_sql
from federated.roster import Coordinator, RosterEntry, parse_roster, roster_payload
from federated.schema import load_schema
from federated.shell import now_utc
from federated.signing import sign_payload
from protocols.secagg import Profile
from tests.docs.pages import fences, page
from tests.docs.test_examples import COMMANDS
from tests.e2e.federation import DAY, HUB, NORTH_EAST, Federation, Node, running_federation

ANALYST = page("docs/guides/analyst.md")
REVIEWER = page("docs/guides/reviewer.md")
COUNCILS = NORTH_EAST[:4]
WAIT_S = 90
SHORT = "3f2a"
"""How the pages write the beginning of a plan's digest."""
LOOKUP = "LAD25CD,CAUTH25CD,CAUTH25NM\n" + "".join(
    f"E080000{number:02},E47000001,Greater Manchester\n" for number in range(1, 11)
)

ANALYST_SAID = {
    "federated keys new": "Fingerprint",
    "federated agreement groups": "groups.yaml",
    "federated manifest new": "manifest.yaml",
    "federated manifest lint": "manifest",
    "federated plan": "ε",
    "--expect earlier": "20%",
    "--within 10%": "10%",
    "--margin 20": "epsilon",
    "--usable-cells 80%": "epsilon",
    "federated submit": "Plan ",
    "federated watch": "published",
    "federated export": "Wrote tables",
    "federated verify": "signed",
    "federated analyse rate": "not official statistics",
    "federated analyse share": "reason",
    "federated baseline freeze": "winter-2024",
    "federated analyse change": "association",
    "federated releases": "Households owed a duty",
    "federated remarks changed": "Handed in",
    "federated calendar": "federation.ics",
}
REVIEWER_SAID = {
    "federated agreement show": "No personal data leaves your council",
    "federated agreement diff": "epsilon",
    "federated manifest lint": "manifest",
    "federated manifest review": "red line",
    "council-node questions": "pending",
    "council-node question": "To approve",
    "council-node approve": "approved",
    "council-node refuse": "refused",
    "council-node ledger show": "spent",
    "council-node ledger reconcile": "Reconciled",
    "council-node receipt": "What left this building",
    "council-node comment": "comment",
    "federated budgets": "Spent",
    "federated verify answer": "signed",
    "federated verify evidence": "not proven",
    "federated readers": "fetched",
    "council-node pack evidence": "evidence.zip",
    "council-node pack dpia": "dpia.md",
    "council-node pack agreement": "agreement.md",
    "council-node pack privacy-notice": "privacy-notice.md",
    "council-node pack register": "register.md",
    "council-node pack data-flow": "data-flow.svg",
    "council-node pack check": "agrees",
    "council-node purge": "There is nothing to delete",
}
"""What is to be seen after each line, by the longest part of it that is named here, so that the page's words are true."""


def promised(line: str, said: Mapping[str, str]) -> str:
    return said[max((part for part in said if part in line), key=len)]


def questions_of(text: str) -> tuple[Query, ...]:
    """Every question of a page, in each of the three forms."""
    found = []
    for language, block in fences(text):
        if language == "yaml" and block.startswith("query:"):
            found.append(parse_query(block.encode()))
        elif language == "sql":
            found.append(parse_sql(block))
        elif language == "python":
            names: dict[str, object] = {}
            exec(compile(block, "guide", "exec"), names)
            found.append(names["question"])
    return tuple(found)


@dataclass
class Reader:
    """Somebody with a page and a folder: what they were given in place of the page's examples, and what they saw."""

    folder: Path
    said: Mapping[str, str]
    given: dict[str, str] = field(default_factory=dict)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)

    def type(self, line: str) -> None:
        for part, act in self.before.items():
            if line.startswith(part):
                act()
        program, *arguments = shlex.split(self.own(line))
        done = CliRunner().invoke(COMMANDS[program], arguments)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
        assert promised(line, self.said).lower() in done.output.lower(), f"{line}\n{done.output}"
        self.seen[line] = done.output

    def own(self, text: str) -> str:
        """A text of the page with what this reader was given."""
        for theirs, ours in self.given.items():
            text = text.replace(theirs, ours)
        return text

    def follow(self, text: str) -> None:
        """Do what the blocks say, top to bottom."""
        with pytest.MonkeyPatch.context() as here:
            here.chdir(self.folder)
            here.setenv("COLUMNS", "200")
            for language, block in fences(text):
                if language == "sh" or block.startswith("federated "):
                    for line in block.splitlines():
                        self.type(line)
                elif block.startswith("workspace:"):
                    Path("federated.yaml").write_text(self.own(block), encoding="utf-8")
                elif block.startswith("council_code,"):
                    Path("lookup.csv").write_text(block, encoding="utf-8")
                elif language in {"yaml", "sql"}:
                    self._keep_question(block, language)

    def _keep_question(self, block: str, language: str) -> None:
        """The first is the one that the page goes on with; the others are kept beside it."""
        place = Path("question.yaml")
        if place.exists():
            place = Path(f"question-{len(list(Path().glob('question*')))}.{language}")
        place.write_text(block, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Walks:
    """Both readers when they have come to the end of their pages."""

    federation: Federation
    analyst: Reader
    reviewer: Reader


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    """The analyst follows their page, then a reviewer at the first council follows theirs."""
    folder = tmp_path_factory.mktemp("guides")
    analyst = Reader(folder / "analyst", ANALYST_SAID)
    reviewer = Reader(folder / "reviewer", REVIEWER_SAID)
    for reader in (analyst, reviewer):
        reader.folder.mkdir()
    begin, rest = ANALYST.split("**2. Write")
    analyst.follow(begin)  # the key is made before anybody can put it into an agreement
    people = replace(People.make(os.urandom), analyst=read_private_key(analyst.folder / "analyst.key"))
    questions = questions_of(ANALYST)
    changes = {
        "groups": [
            {"name": questions[0].group, "label": "four councils", "profile": "careful", "councils": list(COUNCILS)}
        ],
        "datasets": datasets_of(questions),
    }
    with running_federation(folder, councils=COUNCILS, people=people, changes=changes) as federation:
        for reader in (analyst, reviewer):
            handed(reader, federation, people)
        analyst_has(analyst, federation, questions[0])
        analyst.follow(rest)
        reviewer_has(reviewer, federation, people, analyst)
        with waiting(federation, questions[0]) as (approved, refused):
            reviewer.given[f"approve {SHORT}"] = f"approve {approved[:8]}"
            reviewer.given[f"refuse {SHORT}"] = f"refuse {refused[:8]}"
            reviewer.given[f"question {SHORT}"] = f"question {approved[:8]}"
            deciding, rest = REVIEWER.split("\n## In your browser\n")
            reviewer.follow(deciding)
        reviewer.follow(rest)
        yield Walks(federation, analyst, reviewer)


def listed(lines: Sequence[str]) -> str:
    """Lines of a list as the page has them."""
    return "".join(f"\n    - {line}" for line in lines)


def handed(reader: Reader, federation: Federation, people: People) -> None:
    """What everybody gets from the federation's own people: address, authority, keys and the signed papers."""
    shown = yaml.safe_load(next(block for _, block in fences(ANALYST) if block.startswith("workspace:")))
    theirs = (*shown["trust"]["roster_keys"], *shown["trust"]["agreement_keys"])
    ours = (*people.trust.roster_keys, *people.trust.agreement_keys)
    reader.given |= {
        # The page's two people sign both lists and agreements; here they are four.
        "agreement_keys:" + listed(theirs[2:]): "agreement_keys:" + listed(ours[2:]),
        **dict(zip(theirs[:2], ours[:2], strict=True)),
        shown["coordinator"]["id"]: HUB,
        shown["coordinator"]["address"]: federation.workspace.coordinator.address,
    }
    shutil.copy(federation.folder / "coordinator" / "tls" / "authority.pem", reader.folder)


def analyst_has(analyst: Reader, federation: Federation, question: Query) -> None:
    """An earlier release, published figures, a public lookup, and what a person writes into a template."""
    place = analyst.folder

    def fill_in() -> None:
        Path("manifest.yaml").write_bytes(manifest_payload("walk", question, today=now_utc().date()))

    def published_lookup() -> None:
        (written,) = (block for _, block in fences(ANALYST) if block.startswith("council_code,"))
        assert Path("lookup.csv").read_text(encoding="utf-8") == written
        Path("lookup.csv").write_text(LOOKUP, encoding="utf-8")

    def read_the_plan() -> None:
        (digest,) = re.findall(r"^Plan (\w{64})$", list(analyst.seen.values())[-1], re.MULTILINE)
        analyst.given[SHORT + "0" * 60] = digest

    def say_what_changed() -> None:
        Path("outcome.txt").write_text("Two councils now ring families in the first week.\n", encoding="utf-8")
        (written,) = re.findall(r"federated remarks changed (\w{64})", ANALYST)
        analyst.given[written] = answer_of(analyst)

    analyst.before = {
        "federated remarks changed": say_what_changed,
        "federated manifest lint": fill_in,
        "federated agreement groups": published_lookup,
        "federated watch": read_the_plan,
    }
    days = (question.period.start.replace(year=2024), question.period.end.replace(year=2024))
    earlier = replace(question, period=replace(question.period, start=days[0], end=days[1]))
    run = federation.ask(federation.plan(earlier, Mechanism.DISCRETE_LAPLACE))
    assert run.released, run.last.message
    (place / "earlier").mkdir()
    release = federation.client.release(release_digest=run.last.release_digest)
    (place / "earlier" / "release.json").write_bytes(release.encode())
    write_published(place / "published.csv", federation.plan(question, Mechanism.DISCRETE_LAPLACE))


def write_published(path: Path, plan: Plan) -> None:
    """Published figures of the tables asked for, each cell alike; what they are does not matter to the page."""
    axes = {planned.table.name: planned.layout.axes for planned in plan.tables}
    columns = ["table", *dict.fromkeys(axis.name for found in axes.values() for axis in found), "households"]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, columns)
        rows.writeheader()
        for name, found in axes.items():
            for codes in product(*(axis.codes for axis in found)):
                named = dict(zip((axis.name for axis in found), codes, strict=True))
                rows.writerow({"table": name, "households": 1200} | named)


def reviewer_has(reviewer: Reader, federation: Federation, people: People, analyst: Reader) -> None:
    """The reviewer sits at the first council: its node, its papers, what the analyst sent, and a workspace of their own."""
    place, node = reviewer.folder, federation.nodes[COUNCILS[0]]
    (place / "node").symlink_to(node.file.parent)
    for name in ("manifest.yaml", "question.yaml"):
        shutil.copy(analyst.folder / name, place)
    shutil.copytree(analyst.folder / "answer", place / "answer")
    for name in ("agreement.dsse", "roster.dsse"):
        shutil.copy(federation.folder / name, place)
    shutil.copy(place / "agreement.dsse", place / "agreement-1.dsse")
    shutil.copy(newer_agreement(federation, people), place / "agreement-2.dsse")
    write_private_key(place / "analyst.key", people.reviewer)
    workspace = next(block for _, block in fences(ANALYST) if block.startswith("workspace:"))
    (place / "federated.yaml").write_text(reviewer.own(workspace), encoding="utf-8")
    (written,) = re.findall(r"federated readers (\w{64})", REVIEWER)
    reviewer.given[written] = answer_of(analyst)
    reviewer.given["comment 9c41"] = f"comment {answer_of(analyst)[:8]}"

    def lose_the_disk() -> None:
        """The node stops, and its ledger is put back from the evening before."""
        federation.processes.kill(node.name)
        shutil.move(node.settings.ledger_file, place / "ledger-tuesday.db")
        restored = CliRunner().invoke(
            COMMANDS["council-node"], ["ledger", "restore", "ledger-tuesday.db", "--settings", "node/node.yaml"]
        )
        assert restored.exit_code == 0, restored.output

    def write_a_comment() -> None:
        Path("comment.txt").write_text("Our extract was taken before the winter shelter opened.\n", encoding="utf-8")

    reviewer.before = {
        "council-node ledger reconcile": lose_the_disk,
        "council-node comment": write_a_comment,
    }


def answer_of(analyst: Reader) -> str:
    """The digest of the answer that the analyst fetched."""
    said = analyst.seen[next(line for line in analyst.seen if "--out answer" in line)]
    (answer,) = re.findall(r"^Release (\w{64})$", said, re.MULTILINE)
    return str(answer)


def newer_agreement(federation: Federation, people: People) -> Path:
    """The agreement's next version, with another budget."""
    document = yaml.safe_load(open_envelope_payload(federation.folder / "agreement.dsse"))
    document |= {"version": 2, "budget": document["budget"] | {"epsilon": "20"}}
    path = federation.folder / "agreement-2.dsse"
    path.write_bytes(sign_payload(yaml_payload(document), AGREEMENT_TYPE, people.agreement_signers))
    return path


def open_envelope_payload(path: Path) -> bytes:
    return base64.b64decode(json.loads(path.read_bytes())["payload"])


@contextmanager
def waiting(federation: Federation, question: Query) -> Iterator[tuple[str, str]]:
    """Two questions of the analyst lie at the first council, where a person decides from now on; gives their digests."""
    node = federation.nodes[COUNCILS[0]]
    policy = node.file.parent / "policy.yaml"
    changed = yaml.safe_load(policy.read_text(encoding="utf-8")) | {"automatic": False, "class_2": "person"}
    policy.write_text(yaml.safe_dump(changed), encoding="utf-8")
    plans = [
        federation.plan(replace(question, title=title), Mechanism.DISCRETE_LAPLACE)
        for title in ("To approve", "To refuse")
    ]
    threads = [threading.Thread(target=federation.ask, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    federation.wait("Both questions", lambda: set(plans_at(node)) >= {plan.digest.hex() for plan in plans})
    yield plans[0].digest.hex(), plans[1].digest.hex()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def plans_at(node: Node) -> set[str]:
    """Digests of the questions that a council has on its desk."""
    with NodeStore.open(node.settings.store_file) as store:
        return {document.name for document in store.all_latest(DocumentKind.DECISION)}


@pytest.mark.in_turn
def test_every_line_of_both_pages_was_typed(walks):
    for reader, text in ((walks.analyst, ANALYST), (walks.reviewer, REVIEWER)):
        typed = [line for language, block in fences(text) if language == "sh" for line in block.splitlines()]
        assert [line for line in typed if line not in reader.seen] == []
        assert [part for part in reader.said if not any(part in line for line in reader.seen)] == []


@pytest.mark.in_turn
def test_what_comes_out_is_what_the_pages_say(walks):
    answer = {path.name for path in (walks.analyst.folder / "answer").iterdir()}
    assert {"release.json", "method-note.html"} <= answer
    assert walks.analyst.folder.joinpath("tables").is_dir()
    assert (walks.reviewer.folder / "dpia.md").stat().st_size > 1000


def test_the_questions_in_every_form_can_be_planned():
    """Against an agreement of all twelve councils of the region, as the page's group has them."""
    schema, people, now = load_schema(), People.make(os.urandom), now_utc().replace(microsecond=0)
    days = [now + number * DAY for number in range(-1, 4)]
    document = agreement_document(
        {council: schema.council(council).name for council in NORTH_EAST},
        label="the twelve councils of the North East",
        profile=Profile.STANDARD,
        epsilon=Fraction(1),
        analyst=people.analyst,
        reviewer=people.reviewer,
        today=days[0].date(),
    )
    questions = questions_of(ANALYST)
    document["groups"][0]["name"] = questions[0].group
    entries = [
        RosterEntry(
            id=council,
            name=schema.council(council).name,
            region=schema.council(council).region,
            public_key=make_key(os.urandom).public,
            valid_from=days[0].date(),
            valid_to=days[4].date(),
        )
        for council in NORTH_EAST
    ]
    hub = Coordinator(id=HUB, name="Hub", public_key=make_key(os.urandom).public)
    roster = roster_payload(
        epoch=1, not_before=days[0].date(), not_after=days[4].date(), coordinator=hub, councils=entries
    )
    assert len(questions) == 4
    for question in questions:
        planned = choose_mechanism(
            question,
            agreement=parse_agreement(yaml_payload(document | {"datasets": datasets_of(questions)})),
            roster=parse_roster(roster),
            schema=schema,
            terms=Terms(
                manifest_digest=bytes(32),
                not_before=days[0],
                collect_by=days[2],
                return_by=days[3],
                not_after=days[4],
                attempts=2,
                nonce=bytes(32),
            ),
            worst=Totals(),
        )
        assert planned.question == question


@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("federated verify answer/release.json", "federated verify answer/releases.json"),
        ("federated verify answer/release.json", "federated readers answer"),
        ("--format ods,html", "--format odt,html"),
    ],
)
def test_a_wrong_line_in_a_copy_of_the_page_is_found(walks, old, new):
    section = ANALYST[ANALYST.index("\n## Read a release\n") : ANALYST.index("\n## Analyse a release\n")]
    assert old in section
    with pytest.raises(AssertionError):
        Reader(walks.analyst.folder, ANALYST_SAID, walks.analyst.given).follow(section.replace(old, new))


@pytest.mark.in_turn
def test_a_line_that_does_not_say_what_the_page_promises_is_found(walks):
    said = ANALYST_SAID | {"federated verify": "the coordinator published the true totals"}
    section = ANALYST[ANALYST.index("\n## Read a release\n") : ANALYST.index("\n## Analyse a release\n")]
    with pytest.raises(AssertionError, match="federated verify"):
        Reader(walks.analyst.folder, said, walks.analyst.given).follow(section)
