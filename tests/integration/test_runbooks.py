"""Every runbook rehearsed: its own commands, in its own order, in the folders of those who type them.

After each: what was stolen is refused, what is new works, and the ledgers still hold what was spent. A command that no
rehearsal types fails the test of its page, and so does a page without a rehearsal.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from coordinator.roster import draft_roster, load_membership
from coordinator.sign_in.codes import code_hash
from federated.agreement import AGREEMENT_TYPE, open_agreement
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem, TransportError
from federated.keys import SigningKey, fingerprint, public_line, read_private_key, read_public_key
from federated.query import write_query
from federated.roster import ROSTER_TYPE, open_past_roster, parse_roster, roster_payload
from federated.schema import load_schema
from federated.series import open_series
from federated.signing import add_signature, sign_payload, unsafe_payload
from federated.workspace import Workspace
from protocols.errors import ProtocolError
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind
from tests.docs.pages import links
from tests.integration.federation_world import COUNCILS, Proposal
from tests.integration.runbook_pages import RUNBOOKS, Runbook, typed
from tests.integration.runbook_world import ME, Parties, lay_out

OTHER = COUNCILS[0]
WRITTEN_KEY = "ed25519:d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
PAGES = sorted(path.name for path in RUNBOOKS.glob("*.md") if path.name != "README.md")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("runbooks"))


@pytest.fixture
def world(laid_out, tmp_path) -> Iterator[Parties]:
    shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True)
    with Parties(tmp_path) as made:
        yield made


# What several runbooks share


def sign_list(world: Parties, page: Runbook, first: str, second: str, *, previous: str = "") -> str:
    """Two people sign the drafted list, and the operator publishes it; gives what the signers were told."""
    one, two = world.person(first), world.person(second)
    world.hand("roster.yaml", world.hub, one)
    if previous:
        world.hand(previous, world.hub, one, two)
    told = page.type(f"federated roster sign roster.yaml --key {first}.key", at=one)
    world.hand("roster.dsse", one, two)
    told += page.type(f"federated roster sign roster.dsse --key {second}.key", at=two)
    world.hand("roster.dsse", two, world.hub)
    page.type("coordinator roster publish roster.dsse", at=world.hub)
    world.reload()
    return told


def identities(world: Parties) -> dict[CouncilId, bytes]:
    """The keys with which the coordinator lets councils in."""
    with world.store() as (settings, store):
        return dict(load_membership(settings, store, world.now).identities(world.now))


def check_refused_in_a_round(world: Parties, key: SigningKey) -> None:
    """Whoever answers for our council with this key is thrown out before any figure is made."""
    rehearsal = world.round()
    seat = world.seat(ME)
    seat.station.key = key
    with pytest.raises(ProtocolError):
        rehearsal.invite()
    world.stop()


def next_list(world: Parties, *signers: SigningKey) -> bytes:
    """A list of councils with the next epoch, of the same content, signed by these."""
    roster = world.roster
    payload = roster_payload(
        epoch=roster.epoch + 1,
        not_before=roster.not_before,
        not_after=roster.not_after,
        coordinator=roster.coordinator,
        councils=roster.councils.values(),
    )
    return sign_payload(payload, ROSTER_TYPE, list(signers))


def check_list_refused(world: Parties, envelope: bytes) -> None:
    """Coordinator, council and analyst all refuse a list for its signatures."""
    (world.hub / "theirs.dsse").write_bytes(envelope)
    assert isinstance(typed("coordinator roster publish theirs.dsse", world.hub).exception, SignatureProblem)
    with pytest.raises(SignatureProblem):
        world.seat(ME).station.papers.accept_roster(envelope)
    with pytest.raises(SignatureProblem):
        open_past_roster(envelope, Workspace.load(world.person("analyst") / "federated.yaml").trust)


def check_agreement_refused(world: Parties, envelope: bytes) -> None:
    """Coordinator, council and analyst all refuse an agreement for its signatures."""
    for place in (world.hub, world.home()):
        (place / "theirs.dsse").write_bytes(envelope)
    added = typed("coordinator agreement add theirs.dsse", world.hub)
    taken = typed("council-node accept theirs.dsse --settings node/node.yaml", world.home())
    trust = Workspace.load(world.person("analyst") / "federated.yaml").trust
    with pytest.raises(SignatureProblem) as problem:
        open_agreement(envelope, trust, world.now)
    for refused in (added.exception, taken.exception, problem.value):
        assert isinstance(refused, SignatureProblem)
        assert "1 of the 2 trusted signatures it needs" in refused.diagnostics()
    for place in (world.hub, world.home()):
        (place / "theirs.dsse").unlink()


def write_next_agreement(world: Parties, **changes: object) -> None:
    """Dora writes the next version of the agreement."""
    payload = unsafe_payload(world.agreement_envelope, AGREEMENT_TYPE)
    document = yaml.safe_load(payload) | {"version": 2} | changes
    (world.person("dora") / "agreement.yaml").write_text(
        yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def sign_agreement(world: Parties, page: Runbook) -> None:
    """Dora and Finn sign the next version; the operator and every council on the list get the file."""
    dora, finn = world.person("dora"), world.person("finn")
    told = page.type("federated agreement sign agreement.yaml --key dora.key", at=dora)
    assert "Signatures on it now: 1." in told
    world.hand("agreement.dsse", dora, finn)
    check_agreement_refused(world, (dora / "agreement.dsse").read_bytes())  # as it is with one signature
    told = page.type("federated agreement sign agreement.dsse --key finn.key", at=finn)
    assert "Signatures on it now: 2." in told
    hand_agreement_out(world, page, "finn")


def hand_agreement_out(world: Parties, page: Runbook, signer: str) -> None:
    parties = world.hub, world.person("analyst"), *map(world.home, world.roster.councils)
    world.hand("agreement.dsse", world.person(signer), *parties)
    page.type("coordinator agreement add agreement.dsse", at=world.hub)


def accept_everywhere(world: Parties, page: Runbook, *, first: CouncilId = ME) -> None:
    """One council types the page's line, and the others the same."""
    line = page.left[0]
    page.type("council-node accept agreement.dsse", at=world.home(first))
    for council in world.roster.councils:
        assert council == first or typed(line, world.home(council)).exit_code == 0


def look(world: Parties, page: Runbook, *, council: CouncilId = ME) -> None:
    page.type("coordinator doctor", at=world.hub)
    page.type("council-node check --offline", at=world.home(council))


def line_of(world: Parties, name: str, file: str = "") -> str:
    return public_line(world.key_of(name, file).public)


def goes_on(world: Parties, *, spent: int) -> None:
    """The ledger holds what was spent, and councils take questions again."""
    assert world.spent() == spent
    world.deliver(ME, OTHER)
    asked = world.ask()
    assert [world.seat(c).propose(asked).body["decision"] for c in (ME, OTHER)] == ["approved", "approved"]
    world.stop()


def answers(world: Parties, *, spent: int, councils: int = len(COUNCILS), council: CouncilId = ME) -> None:
    """The ledger holds what was spent, every council on the list answers, and that is charged on top."""
    assert world.spent(council) == spent
    world.deliver()
    assert world.answered() == councils
    assert world.spent(council) == spent + 1
    world.stop()


# The rehearsals


def council_key(world: Parties, page: Runbook) -> None:
    home, hub, old = world.home(), world.hub, world.keys[ME]
    waiting = world.ask()
    assert world.seat().propose(waiting).body["decision"] == "approved"
    page.type("council-node pause", at=home)
    assert isinstance(typed("council-node key new --settings node/node.yaml", home).exception, FileProblem)  # it runs
    world.stop(ME)
    made = page.type("council-node key new", at=home)
    new = read_private_key(home / "node" / "identity.pem")
    assert fingerprint(new.public) in made
    assert new.public != old.public
    with world.reachable():
        page.type("council-node enrol", at=home)
    assert "pending" in page.type("coordinator enrol list", at=hub)
    page.type("coordinator enrol accept", at=hub)
    page.type("coordinator roster draft", at=hub)
    told = sign_list(world, page, "ann", "bob", previous="roster-1.dsse")
    assert f"({ME}) has a new key. Its fingerprint is {fingerprint(new.public)}" in told.replace("\n", " ")
    page.type("council-node resume", at=home)
    assert identities(world)[ME] == new.public
    world.deliver()
    assert world.seat(OTHER).propose(waiting).body["decision"] == "refused"  # it was asked under the old list
    check_refused_in_a_round(world, old)
    answers(world, spent=1)
    assert "names this council with its own key" in page.type("council-node check", at=home)
    page.type("council-node ledger verify", at=home)
    page.type("council-node pack evidence", at=home)
    assert "decision(s) are signed by the council" in page.type("federated verify", at=home)


def council_leaves(world: Parties, page: Runbook) -> None:
    hub, gone = world.hub, world.keys[ME]
    early, late = world.round(), world.round()
    early.until(Kind.SHARES)
    late.until(Kind.SURVIVORS)
    page.type("coordinator roster draft", at=hub)
    assert "has left" in sign_list(world, page, "ann", "bob", previous="roster-1.dsse")
    world.deliver()
    stays = world.seat(OTHER)
    # Before its data is read a node leaves the round, unpaid; figures that have gone are still added up.
    refused = stays.ask(early.message(Kind.SHARES, OTHER))
    assert (refused.rule, stays.state(early.sid)) == ("roster", "released")
    late.confirm()
    assert len(late.unmask().u3) == len(COUNCILS)
    assert gone.public not in identities(world).values()
    with world.store() as (settings, store):
        again = parse_roster(draft_roster(settings, store, load_schema(), now=world.now, days=30))
    assert ME not in again.councils  # the draft after this one does not bring it back
    group = yaml.safe_load(unsafe_payload(world.agreement_envelope, AGREEMENT_TYPE))["groups"][0]
    write_next_agreement(world, groups=[group | {"councils": [c for c in COUNCILS if c != ME]}])
    page.type("federated agreement diff", at=world.person("dora"))
    sign_agreement(world, page)
    accept_everywhere(world, page, first=OTHER)
    world.stop()
    world.reload()
    answers(world, spent=2, councils=len(COUNCILS) - 1, council=OTHER)
    assert world.spent(ME) == 2
    assert "0 of 4 connected" in page.type("coordinator status", at=hub)
    assert ME not in page.type("federated roster show", at=hub)


def roster_signer_key(world: Parties, page: Runbook) -> None:
    ann, hub = world.person("ann"), world.hub
    first_list = world.roster_envelope
    page.type("federated keys new ann-2.key", at=ann)
    page.type("coordinator roster draft", at=hub)
    sign_list(world, page, "bob", "cem")
    world.deliver()
    world.stop()
    world.swap("Ann's key", line_of(world, "ann"), line_of(world, "ann", "ann-2.key"))
    look(world, page)
    page.type("council-node pack dpia", at=world.home())
    paper = (world.home() / "dpia.md").read_text(encoding="utf-8")
    assert fingerprint(world.key_of("ann", "ann-2.key").public) in paper
    assert fingerprint(world.key_of("ann").public) not in paper
    stolen, bob = world.key_of("ann"), world.key_of("bob")
    check_list_refused(world, next_list(world, stolen, bob))
    check_list_refused(world, first_list)
    world.stop()
    (hub / "next.dsse").write_bytes(next_list(world, world.key_of("ann", "ann-2.key"), bob))
    assert typed("coordinator roster publish next.dsse", hub).exit_code == 0
    world.reload()
    goes_on(world, spent=1)


def agreement_signer_key(world: Parties, page: Runbook) -> None:
    dora, before = world.person("dora"), world.agreement.digest
    waiting = world.ask()
    page.type("federated keys new dora-2.key", at=dora)
    page.type("federated agreement show", at=dora)
    page.type("federated agreement sign agreement-1.dsse --key dora-2.key", at=dora)
    hand_agreement_out(world, page, "dora")
    accept_everywhere(world, page)
    world.swap("Dora's key", line_of(world, "dora"), line_of(world, "dora", "dora-2.key"))
    world.stop()
    look(world, page)
    page.type("council-node pack dpia", at=world.home())
    paper = (world.home() / "dpia.md").read_text(encoding="utf-8")
    assert fingerprint(world.key_of("dora").public) not in paper
    # What the stolen key signs is refused at the coordinator, at the council and by the analyst, even if Finn signs too.
    write_next_agreement(world, max_epsilon_per_query="2")
    assert typed("federated agreement sign agreement.yaml --key dora.key --out theirs.dsse", dora).exit_code == 0
    envelope = (dora / "theirs.dsse").read_bytes()
    check_agreement_refused(world, add_signature(envelope, world.key_of("finn")))
    world.reload()
    assert world.agreement.digest == before
    assert world.seat().propose(waiting).body["decision"] == "approved"  # it goes on: no new version
    goes_on(world, spent=1)


def analyst_key(world: Parties, page: Runbook) -> None:
    home, hub, analyst, dora = world.home(), world.hub, world.person("analyst"), world.person("dora")
    stolen = world.key_of("analyst")
    running = world.round()
    running.until(Kind.SHARES)
    page.type("council-node pause", at=home)
    assert world.seat().propose(world.ask()).rule == "paused"
    page.type("federated keys new analyst-2.key", at=analyst)
    people = yaml.safe_load(unsafe_payload(world.agreement_envelope, AGREEMENT_TYPE))["analysts"]
    people[0]["public_key"] = line_of(world, "analyst", "analyst-2.key")
    write_next_agreement(world, analysts=people)
    assert "analyst" in page.type("federated agreement diff", at=dora).lower()
    sign_agreement(world, page)
    with world.store() as (settings, store):
        served = load_membership(settings, store, world.now)
    assert [stolen.keyid in signed.agreement.analyst_keys for signed in served.agreements.values()] == [False]
    accept_everywhere(world, page)
    page.type("council-node resume", at=home)
    left = world.seat().ask(running.message(Kind.SHARES, ME))
    assert (left.rule, world.seat().state(running.sid)) == ("agreement_not_accepted", "released")
    old_version = world.ask()
    world.reload()
    assert world.seat().propose(old_version).rule == "signature"
    assert world.seat().propose(world.ask(stolen)).rule == "signature"
    world.swap("the key", "key: analyst.key", "key: analyst-2.key", analyst / "federated.yaml")
    (analyst / "question.yaml").write_text(write_query(world.question()), encoding="utf-8")
    (analyst / "manifest.yaml").write_bytes(world.dated_manifest(frequency="quarterly"))
    until = (world.now.date() + timedelta(days=60)).isoformat()
    page.type("federated standing sign", at=analyst, put={"2026-12-31": until})
    series = (analyst / "series.dsse").read_bytes()
    assert open_series(series, world.agreement)
    (analyst / "analyst.key").replace(analyst / "stolen.key")
    thief = (
        "federated standing sign question.yaml --manifest manifest.yaml --agreement agreement.dsse --out theirs.dsse"
    )
    refused = typed(f"{thief} --until {until} --key stolen.key", analyst)
    assert isinstance(refused.exception, SignatureProblem)
    assert typed("coordinator account add ann.smith --role analyst --agreement all", hub).exit_code == 0
    page.type("coordinator account lock ann.smith", at=hub)
    page.type("coordinator account revoke", at=hub, put={"hst_4fW1xQ9a": new_token(world, "monthly.report")})
    assert fingerprint(read_private_key(analyst / "analyst-2.key").public) in page.type(
        "federated agreement show", at=analyst
    )
    page.type("council-node ledger show", at=home)
    new = read_private_key(analyst / "analyst-2.key")
    assert world.seat().propose(world.ask(new)).body["decision"] == "approved"
    world.stop()
    (analyst / "analyst-2.key").rename(analyst / "analyst.key")
    goes_on(world, spent=1)


def new_token(world: Parties, account: str) -> str:
    """How a new token of an account begins; the account is made where it is not there."""
    typed(f"coordinator account add {account} --role analyst --agreement all", world.hub)
    made = typed(f'coordinator account token {account} --for "Monthly report" --days 90 --json', world.hub)
    assert made.exit_code == 0, made.output
    return str(yaml.safe_load(made.output)["token"])[:12]


def coordinator(world: Parties, page: Runbook) -> None:
    hub, home = world.hub, world.home()
    old_identity = world.roster.coordinator.public_key
    page.type("coordinator backup", at=hub)
    database = hub / "state" / "coordinator.db"
    database.rename(hub / "lost.db")
    page.type("coordinator restore", at=hub)
    page.type("coordinator doctor", at=hub)
    world.reload()
    page.type("federated keys new coordinator-2.pem", at=hub)
    text = (hub / "coordinator.yaml").read_text(encoding="utf-8")
    (hub / "coordinator.yaml").write_text(f"{text}key: coordinator-2.pem\n", encoding="utf-8")
    page.type("coordinator roster draft", at=hub)
    told = sign_list(world, page, "ann", "bob")
    new_identity = read_private_key(hub / "coordinator-2.pem").public
    assert fingerprint(new_identity) in told.replace("\n", " ")
    assert world.roster.coordinator.public_key == new_identity != old_identity
    # A list for the old identity is refused here from now on, and a node takes none for another id.
    theirs = replace(world.roster.coordinator, public_key=old_identity)
    world.roster, ours = replace(world.roster, coordinator=theirs), world.roster
    (hub / "old.dsse").write_bytes(next_list(world, world.key_of("ann"), world.key_of("bob")))
    assert isinstance(typed("coordinator roster publish old.dsse", hub).exception, FileProblem)
    world.roster = replace(ours, coordinator=replace(ours.coordinator, id="other-hub"))
    with pytest.raises(PolicyRefusal, match="other-hub"):
        world.seat().station.papers.accept_roster(next_list(world, world.key_of("ann"), world.key_of("bob")))
    world.roster = ours
    world.stop()
    page.type("coordinator certificate --out tls-2", at=hub)
    stolen = {"tls/server": "tls-2/server"}
    for old, new in stolen.items():
        world.swap("the certificate", old, new, hub / "coordinator.yaml")
    enrol = "council-node enrol --settings node/node.yaml"
    with world.reachable():
        assert typed(enrol, home).exit_code == 0  # councils need nothing
    page.type("coordinator certificate --out tls-3", at=hub)
    trusted = home / "node" / "coordinator-ca.pem"
    first, second = trusted.read_bytes(), (hub / "tls-3" / "authority.pem").read_bytes()
    trusted.write_bytes(first + second)
    with world.reachable():
        assert typed(enrol, home).exit_code == 0  # the old certificate, while both are trusted
    world.swap("the certificate", "tls-2/server", "tls-3/server", hub / "coordinator.yaml")
    trusted.write_bytes(second)
    with world.reachable():
        page.type("council-node enrol", at=home)
    world.swap("the certificate", "tls-3/server", "tls-2/server", hub / "coordinator.yaml")
    with world.reachable():
        refused = typed(enrol, home)  # whoever has the stolen key and its certificate
    assert isinstance(refused.exception, TransportError)
    world.swap("the certificate", "tls-2/server", "tls-3/server", hub / "coordinator.yaml")
    page.type("coordinator doctor", at=hub)
    page.type("coordinator status", at=hub)
    goes_on(world, spent=1)


def node_and_ledger(world: Parties, page: Runbook) -> None:
    hub, home = world.hub, world.home()
    ledger = home / "node" / "state" / "ledger.db"
    page.type("coordinator statement", at=hub)
    world.hand("statement.dsse", hub, home)
    # The backup is of before the question that was answered: an empty ledger.
    (home / "backup").mkdir()
    make_empty_ledger(home / "backup" / "ledger.db")
    taken_back = approve_and_take_back_after_a_copy(world)
    ledger.rename(home / "lost.db")
    page.type("council-node ledger restore", at=home)
    assert world.seat().propose(world.ask()).rule == "ledger_exhausted"
    world.stop(ME)
    page.type("council-node pause", at=home)
    assert world.seat().propose(world.ask()).rule == "paused"
    world.stop(ME)
    digest = taken_back.plan.digest.hex()[:12]
    (standing,) = [line for line in page.type("council-node questions", at=home).splitlines() if digest in line]
    assert "approved" in standing  # the copy brought it back, and says nothing of it
    page.type("council-node withdraw", at=home, put={"3f2a": digest})
    said = page.type("council-node ledger reconcile --lost", at=home)
    assert "ε = 1" in said
    page.type("council-node ledger verify", at=home)
    page.type("council-node resume", at=home)
    assert world.seat().propose(taken_back).rule == "withdrawn"
    answers(world, spent=1)
    # Nothing is left but the statement: a new node with a new key.
    old = world.keys[ME]
    assert typed("coordinator statement E06000003 --out late.dsse", hub).exit_code == 0
    shutil.move(home / "node", home / "gone")
    world.hand("roster-1.dsse", hub, home)
    assert public_line(old.public) in page.type("federated roster show", at=home)
    page.type("council-node init", at=home)
    page.type("council-node ledger reconcile --lost", at=home, put={WRITTEN_KEY: public_line(old.public)})
    assert "reconciled" in page.type("council-node ledger show", at=home)
    assert read_private_key(home / "node" / "identity.pem").public != old.public
    assert world.spent() == 1  # what the statement knew; the later charge is found out by the others:
    found_out_by_others(world, old)
    page.type("council-node ledger reconcile --by", at=home)
    page.type("council-node check", at=home)
    page.type("council-node status", at=home)


def approve_and_take_back_after_a_copy(world: Parties) -> Proposal:
    """A question that was approved, copied and then taken back; the folder is as the copy has it."""
    asked = world.ask(question=world.question(title="Another question", epsilon=Fraction(1, 2)))
    store = world.home() / "node" / "state" / "node.db"
    assert world.seat().propose(asked).body["decision"] == "approved"
    world.stop(ME)
    shutil.copyfile(store, world.home() / "backup" / "node.db")
    digits, why = asked.plan.digest.hex()[:12], '--by Me --role reviewer --reason "New advice"'
    assert typed(f"council-node withdraw {digits} {why} --settings node/node.yaml", world.home()).exit_code == 0
    assert world.seat().propose(asked).rule == "withdrawn"
    world.stop(ME)
    shutil.copyfile(world.home() / "backup" / "node.db", store)
    return asked


def make_empty_ledger(path: Path) -> None:
    from council_node.ledger import Ledger
    from federated.shell import now_utc

    Ledger.create(path, ME, now_utc()).close()


def found_out_by_others(world: Parties, old: SigningKey) -> None:
    """The other councils have seen a later entry than the statement held: the round stops at our node, unpaid."""
    folder = world.home() / "node"
    (folder / "identity.pem").unlink()
    shutil.copyfile(world.home() / "gone" / "identity.pem", folder / "identity.pem")
    (folder / "identity.pem").chmod(0o600)
    shutil.copytree(world.home() / "gone" / "agreements", folder / "agreements", dirs_exist_ok=True)
    shutil.copyfile(world.home() / "gone" / "policy.yaml", folder / "policy.yaml")
    world.reload()
    world.deliver()
    rehearsal = world.round()
    rehearsal.invite()
    refused = world.seat().ask(rehearsal.message(Kind.ADVERTS, ME))
    assert refused.rule == "ledger_rollback"
    world.stop()
    # The statement of before is refused now.
    line = "council-node ledger reconcile --lost statement.dsse --by Me --reason Again --settings node/node.yaml"
    again = typed(line, world.home())
    assert isinstance(again.exception, PolicyRefusal)
    assert world.spent() == 1


def accounts(world: Parties, page: Runbook) -> None:
    hub = world.hub
    assert typed("coordinator account add old.operator --role operator", hub).exit_code == 0
    made = typed("coordinator account add ann.smith --role analyst --json", hub)
    first_code = code_hash(yaml.safe_load(made.output)["code"])
    with world.store() as (_, store):
        assert store.accounts.take_code("ann.smith", code_hash=first_code, password_hash="stolen", now=world.now)
    page.type("coordinator account lock", at=hub)
    with world.store() as (_, store):
        assert store.accounts.get("ann.smith").state == "locked"
    page.type("coordinator account unlock", at=hub)
    assert "Code for ann.smith" in page.type("coordinator account reset", at=hub)
    with world.store() as (_, store):
        assert store.accounts.get("ann.smith").password_hash is None
    begins = new_token(world, "monthly.report")
    page.type("coordinator account tokens", at=hub)
    page.type("coordinator account revoke", at=hub, put={"hst_4fW1xQ9a": begins})
    page.type("coordinator account token monthly.report", at=hub)
    with world.store() as (_, store):
        states = {row.prefix: row.revoked_at is None for row in store.tokens.of_account("monthly.report")}
    assert states.pop(begins) is False
    assert list(states.values()) == [True]
    page.type("coordinator account list", at=hub)
    page.type("coordinator account remove", at=hub)
    page.type("coordinator account add new.operator", at=hub)
    assert isinstance(typed("coordinator account add old.operator --role operator", hub).exception, FileProblem)
    assert world.spent() == 1


def signer_away(world: Parties, page: Runbook) -> None:
    hub, eve = world.hub, world.folder / "eve"
    eve.mkdir()
    page.type("federated keys new eve.key", at=eve)
    assert fingerprint(read_public_key(eve / "eve.pub")) in page.type("federated keys show", at=eve)
    page.type("coordinator roster draft", at=hub)
    sign_list(world, page, "bob", "cem")
    world.deliver()
    world.stop()
    # Ann and Bob are gone. Cem is left, and Eve is new.
    gone = world.key_of("ann"), world.key_of("bob")
    for path in world.settings_files():
        text = path.read_text(encoding="utf-8")
        text = text.replace(line_of(world, "ann"), line_of(world, "eve"))
        lines = [line for line in text.splitlines() if line_of(world, "bob") not in line]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert world.seat().propose(world.ask()).rule == "roster"  # believed no more, and nothing is answered meanwhile
    world.stop()
    page.type("coordinator roster draft", at=hub)
    sign_list(world, page, "cem", "eve")
    world.deliver()
    look(world, page)
    check_list_refused(world, next_list(world, *gone))
    world.stop()
    goes_on(world, spent=1)


REHEARSALS: dict[str, Callable[[Parties, Runbook], None]] = {
    "accounts.md": accounts,
    "agreement-signer-key.md": agreement_signer_key,
    "analyst-key.md": analyst_key,
    "coordinator.md": coordinator,
    "council-key.md": council_key,
    "council-leaves.md": council_leaves,
    "node-and-ledger.md": node_and_ledger,
    "roster-signer-key.md": roster_signer_key,
    "signer-away.md": signer_away,
}


@pytest.mark.parametrize("name", PAGES)
def test_a_runbook_is_rehearsed_to_its_last_command(name, world):
    page = Runbook.of(name)
    REHEARSALS[name](world, page)
    page.check_finished()


# What the pages rest on, and what happens when steps are taken out of order


def test_every_runbook_is_in_the_index_and_has_a_rehearsal():
    index = links((RUNBOOKS / "README.md").read_text(encoding="utf-8"))
    assert sorted(REHEARSALS) == PAGES
    assert [name for name in PAGES if name not in index] == []


def test_a_command_that_no_rehearsal_types_is_found(world):
    text = (RUNBOOKS / "accounts.md").read_text(encoding="utf-8")
    page = Runbook(f"{text}\n```sh\ncoordinator account list --json\n```\n")
    accounts(world, page)
    with pytest.raises(AssertionError, match="no rehearsal types"):
        page.check_finished()


def test_a_page_whose_order_changed_is_found(world):
    text = (RUNBOOKS / "accounts.md").read_text(encoding="utf-8")
    page = Runbook(text.replace("account lock ann.smith", "account remove ann.smith", 1))
    with pytest.raises(AssertionError, match="the rehearsal 'coordinator account lock'"):
        accounts(world, page)


def test_a_node_whose_settings_changed_too_early_answers_nothing_and_remembers_how_new_its_list_was(world):
    world.deliver()
    world.stop()
    older = world.roster_envelope
    (world.hub / "second.dsse").write_bytes(next_list(world, world.key_of("ann"), world.key_of("bob")))
    assert typed("coordinator roster publish second.dsse", world.hub).exit_code == 0
    world.reload()
    world.deliver(ME)
    world.stop()
    settings = world.home() / "node" / "node.yaml"
    world.swap("Ann's key", line_of(world, "ann"), public_line(world.key_of("dora").public), settings)
    seat = world.seat()
    assert ("roster_set_aside") in [event for event, _ in seat.events]
    assert seat.propose(world.ask()).rule == "roster"
    # Even with signatures that are believed, a list from before is an old one.
    content = unsafe_payload(older, ROSTER_TYPE)
    resigned = sign_payload(content, ROSTER_TYPE, [world.key_of("bob"), world.key_of("cem")])
    with pytest.raises(PolicyRefusal) as refused:
        seat.station.papers.accept_roster(resigned)
    assert refused.value.rule == "roster_older"
    seat.station.papers.accept_roster(next_list(world, world.key_of("bob"), world.key_of("cem")))
    world.reload()
    (world.hub / "third.dsse").write_bytes(next_list(world, world.key_of("bob"), world.key_of("cem")))
    assert typed("coordinator roster publish third.dsse", world.hub).exit_code == 0
    world.reload()
    assert seat.propose(world.ask()).body["decision"] == "approved"
