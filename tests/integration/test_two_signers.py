"""Two people must sign an agreement, at every party, unless its settings say that one is enough."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from coordinator.settings import load_settings
from federated.agreement import AGREEMENT_TYPE, open_agreement
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import public_line
from federated.signing import add_signature, sign_payload, unsafe_payload
from federated.workspace import Workspace
from tests.integration.runbook_pages import typed
from tests.integration.runbook_world import Parties, lay_out

ACCEPT = "council-node accept theirs.dsse --settings node/node.yaml"
ADD = "coordinator agreement add theirs.dsse"
CHECK = "council-node check --offline --settings node/node.yaml"
ALONE = "one person alone"


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("signers"))


@pytest.fixture
def world(laid_out, tmp_path) -> Iterator[Parties]:
    shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True)
    with Parties(tmp_path) as made:
        yield made


def next_version(world: Parties, *signers: str, version: int = 2, most: str = "2") -> bytes:
    """The agreement's next version, with twice the epsilon for a question."""
    document = yaml.safe_load(unsafe_payload(world.agreement_envelope, AGREEMENT_TYPE))
    document |= {"version": version, "max_epsilon_per_query": most}
    payload = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
    return sign_payload(payload, AGREEMENT_TYPE, [world.key_of(name) for name in signers])


def handed(world: Parties, envelope: bytes) -> None:
    for place in (world.hub, world.home()):
        (place / "theirs.dsse").write_bytes(envelope)


def analyst_opens(world: Parties, envelope: bytes) -> None:
    open_agreement(envelope, Workspace.load(world.person("analyst") / "federated.yaml").trust, world.now)


def change_trust(world: Parties, *, keys: int = 2, threshold: int | None) -> None:
    """Every party's settings, as somebody wrote them who named so many people, and a threshold or none."""
    for path in world.settings_files():
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        trust = document["trust"]
        trust["agreement_keys"] = trust["agreement_keys"][:keys]
        trust.pop("agreement_threshold", None)
        if threshold is not None:
            trust["agreement_threshold"] = threshold
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(("version", "said"), [(1, "version 2 was accepted"), (2, "not the version 2")])
def test_a_version_from_before_or_another_under_the_same_number_takes_no_accepted_ones_place(world, version, said):
    """The people of today would not sign it; their signatures of before, or theirs under two papers, are still good."""
    handed(world, next_version(world, "dora", "finn"))
    assert typed(ACCEPT, world.home()).exit_code == 0
    [kept] = world.home().rglob("agreements/*.dsse")
    accepted = kept.read_bytes()
    handed(world, next_version(world, "dora", "finn", version=version, most="3"))
    refused = typed(ACCEPT, world.home()).exception
    assert isinstance(refused, PolicyRefusal)
    assert said in refused.diagnostics()
    assert kept.read_bytes() == accepted


def test_a_change_that_one_of_two_signed_is_refused_by_every_party_with_its_reason(world):
    handed(world, one := next_version(world, "dora"))
    kept = {path: path.read_bytes() for path in world.folder.rglob("agreements/*.dsse")}
    refused = [typed(ADD, world.hub).exception, typed(ACCEPT, world.home()).exception]
    with pytest.raises(SignatureProblem) as problem:
        analyst_opens(world, one)
    for found in (*refused, problem.value):
        assert isinstance(found, SignatureProblem)
        assert "has 1 of the 2 trusted signatures it needs. Have another of the people" in found.diagnostics()
    assert {path: path.read_bytes() for path in world.folder.rglob("agreements/*.dsse")} == kept
    # Put into the folders by hand, it counts for nothing either.
    (world.hub / "agreements" / "by-hand.dsse").write_bytes(one)
    (kept_here,) = (world.home() / "node" / "agreements").glob("*.dsse")
    kept_here.write_bytes(one)
    assert "by-hand.dsse: This file has 1 of the 2" in words(typed("coordinator doctor", world.hub).output)
    said = world.seat().propose(world.ask())
    assert (said.body["decision"], said.rule) == ("refused", "signature")
    assert "1 of the 2 trusted signatures" in said.words
    world.stop()
    # The second person makes the difference.
    handed(world, two := add_signature(one, world.key_of("finn")))
    analyst_opens(world, two)
    (world.hub / "agreements" / "by-hand.dsse").unlink()
    kept_here.write_bytes(kept[kept_here])
    assert [typed(ADD, world.hub).exit_code, typed(ACCEPT, world.home()).exit_code] == [0, 0]


def test_where_the_settings_let_one_person_decide_both_checks_say_so(world):
    for line, place in (("coordinator doctor", world.hub), (CHECK, world.home())):
        assert ALONE not in words(typed(line, place).output).lower()
    change_trust(world, keys=1, threshold=1)
    handed(world, one := next_version(world, "dora"))
    analyst_opens(world, one)
    assert [typed(ADD, world.hub).exit_code, typed(ACCEPT, world.home()).exit_code] == [0, 0]
    for line, place in (("coordinator doctor", world.hub), (CHECK, world.home())):
        seen = typed(line, place)
        assert f"{ALONE} can change what" in words(seen.output).lower()
        assert seen.exit_code == 0  # a choice, and no fault


def test_settings_of_before_that_name_one_person_and_no_threshold_say_what_to_do(world):
    change_trust(world, keys=1, threshold=None)
    met = [typed("coordinator doctor", world.hub).exception, typed(CHECK, world.home()).exception]
    with pytest.raises(FileProblem) as problem:
        Workspace.load(world.person("analyst") / "federated.yaml")
    with pytest.raises(FileProblem):
        world.seat()  # nor does the node start
    for found in (*met, problem.value):
        assert isinstance(found, FileProblem)
        assert "add the key of another person, or write agreement_threshold: 1" in str(found)


def test_settings_of_before_that_name_two_people_and_no_threshold_say_it_at_the_start_and_are_mended_by_a_signature(
    world,
):
    """What one of two signed was enough once; the very same version goes on when the other signs it too."""
    payload, before = unsafe_payload(world.agreement_envelope, AGREEMENT_TYPE), world.agreement.digest
    one = sign_payload(payload, AGREEMENT_TYPE, [world.key_of("dora")])
    for path in world.folder.rglob("agreements/*.dsse"):
        path.write_bytes(one)
    change_trust(world, threshold=None)
    told = [fields for event, fields in world.seat().events if event == "agreement_set_aside"]
    assert [fields["agreement"] for fields in told] == [world.agreement.id]
    assert "1 of the 2 trusted signatures it needs" in told[0]["reason"]
    assert "2 where it is not named" in told[0]["reason"]
    assert world.seat().propose(world.ask()).rule == "signature"
    world.stop()
    assert "2 where it is not named" in words(typed("coordinator doctor", world.hub).output)
    checked = typed(CHECK, world.home())
    assert (checked.exit_code, "2 where it is not named" in words(checked.output)) == (3, True)
    handed(world, add_signature(one, world.key_of("finn")))
    assert [typed(ADD, world.hub).exit_code, typed(ACCEPT, world.home()).exit_code] == [0, 0]
    world.reload()
    assert world.agreement.digest == before
    seat = world.seat()
    assert "agreement_set_aside" not in [event for event, _ in seat.events]
    assert seat.propose(world.ask()).body["decision"] == "approved"


def test_a_new_coordinator_asks_for_two_unless_it_is_told_that_one_is_enough(world):
    lists = " ".join(f"--roster-key {public_line(world.key_of(name).public)}" for name in ("ann", "bob"))
    one, two = (f"--agreement-key {public_line(world.key_of(name).public)}" for name in ("dora", "finn"))
    init = f"coordinator init --id new --name New --host 127.0.0.1 {lists} {one}"
    refused = typed(f"{init} --folder none", world.folder)
    assert isinstance(refused.exception, FileProblem)
    assert "--agreement-threshold 1" in refused.exception.remedy
    assert not (world.folder / "none").exists()
    for name, more, threshold in (("two", two, 2), ("one", "--agreement-threshold 1", 1)):
        assert typed(f"{init} {more} --folder {name}", world.folder).exit_code == 0
        assert load_settings(world.folder / name / "coordinator.yaml").trust.agreement_threshold == threshold
