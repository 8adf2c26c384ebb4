"""Packs say what the settings say: every fact that changes is an alarm, and every text is plain."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner

from council_node.cli import app
from council_node.mapping.place import SourceKind
from council_node.proof.controls import ATTACKS, CALDICOTT, RISKS
from council_node.proof.facts import live_facts
from council_node.proof.pack_words import SOURCE_WORDS
from council_node.proof.packs import Kind, check_pack_file, facts_for, make_pack
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.errors import FileProblem
from federated.signing import sign_payload, unsafe_payload
from tests.docs.test_plain_english import acronyms_in_the_glossary, faults
from tests.integration.federation_world import ASSOCIATION, CANARY, ME, PROGRAMME, World

DAY = "2026-03-02"
ROOT = Path(__file__).parents[3]
MARK = "## The facts this page was made from"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("packs")) as world:
        world.seat(ME)
        yield world


@pytest.fixture(scope="module")
def facts(world):
    return live_facts(world.seat(ME).station.settings)


@pytest.fixture
def node(world, tmp_path):
    """A copy of the node's folder, to change files in."""
    folder = tmp_path / "node"
    shutil.copytree(world.seat(ME).folder, folder)
    document = yaml.safe_load((folder / "node.yaml").read_text(encoding="utf-8")) | {"data": {"case": "mapping.yaml"}}
    (folder / "node.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    match value:
        case dict():
            for name, item in value.items():
                yield from leaves(item, (*path, name))
        case list():
            for place, item in enumerate(value):
                yield from leaves(item, (*path, place))
        case _:
            yield path, value


def changed(facts: Any, path: tuple[Any, ...], value: Any) -> Any:
    other = copy.deepcopy(facts)
    place = other
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return other


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return "given now"
    digits = value.replace(".", "").replace("/", "")
    return f"{value}1" if digits.isdigit() else f"{value} changed"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_pack_agrees_with_the_facts_it_was_made_from(kind, facts, tmp_path):
    path = tmp_path / "pack.md"
    path.write_text(make_pack(kind, facts, DAY), encoding="utf-8")
    found = check_pack_file(path, facts)
    assert (found.kind, found.made_on, found.changed, found.edited) == (kind, DAY, (), False)


@pytest.mark.parametrize("kind", list(Kind))
def test_each_fact_that_changes_is_an_alarm_that_names_it(kind, facts, tmp_path):
    path = tmp_path / "pack.md"
    path.write_text(make_pack(kind, facts, DAY), encoding="utf-8")
    every = list(leaves(facts_for(kind, facts)))
    assert len(every) > 60
    for place, value in every:
        now = changed(facts, place, another(value))
        sentences = check_pack_file(path, now).changed
        assert sentences, place
        named = [part for part in place if isinstance(part, str)]
        assert named[0].replace("_", " ") in sentences[0], (place, sentences)


def test_a_fact_that_appears_or_goes_is_an_alarm_too(facts, tmp_path):
    path = tmp_path / "pack.md"
    path.write_text(make_pack(Kind.DPIA, facts, DAY), encoding="utf-8")
    more = changed(facts, ("roles", "data_protection_officer"), "A. Officer")
    assert check_pack_file(path, more).changed == ("New – roles, data protection officer: A. Officer.",)
    less = copy.deepcopy(facts)
    del less["policy"]["max_extract_age_days"]
    assert check_pack_file(path, less).changed == ("Gone – policy, max extract age days: 120.",)


SHOWN = {
    ("council", "name"): "dpia agreement privacy-notice register data-flow",
    ("coordinator", "address"): "dpia data-flow",
    ("policy", "max_extract_age_days"): "dpia agreement",
    ("trust", "roster_signatures"): "dpia",
    ("data", "case", "objections_honoured"): "dpia privacy-notice data-flow",
    ("data", "case", "source"): "dpia",
    ("data", "case", "columns", "household_type", "heading"): "dpia",
    ("agreements", "north-east-2026", "purpose"): "dpia agreement privacy-notice register",
    ("agreements", "north-east-2026", "legal_position", "lawful_basis"): "dpia agreement privacy-notice",
    ("agreements", "north-east-2026", "legal_position", "statutory_gateway"): "dpia agreement register",
    ("agreements", "north-east-2026", "retention", "results"): "dpia agreement privacy-notice register",
    ("agreements", "north-east-2026", "budget", "epsilon"): "dpia agreement",
    ("agreements", "north-east-2026", "recipients", 0, "body"): "dpia agreement privacy-notice register data-flow",
    ("agreements", "north-east-2026", "datasets", "case", "columns", 2): "dpia agreement register",
    ("agreements", "north-east-2026", "sensitivity", "case", "household_type"): "dpia agreement",
    ("agreements", "north-east-2026", "min_cohort"): "dpia agreement",
    ("agreements", "north-east-2026", "exit"): "agreement",
    ("agreements", "north-east-2026", "contacts", "complaints"): "agreement privacy-notice",
}


@pytest.mark.parametrize("place", list(SHOWN), ids=lambda place: ".".join(map(str, place)))
def test_the_words_follow_the_facts(place, facts):
    """Not only the facts at the end: what people read changes too."""
    value = facts
    for step in place:
        value = value[step]
    special = {"household_type": 2, "source": "database"}
    other = special.get(place[-1], another(value))
    now = changed(facts, place, other)
    for kind in SHOWN[place].split():
        before, after = (make_pack(Kind(kind), item, DAY).split(MARK)[0] for item in (facts, now))
        assert before != after, kind


@pytest.mark.parametrize("kind", list(Kind))
def test_packs_are_plain_and_hold_no_case(kind, facts):
    text = make_pack(kind, facts, DAY)
    assert faults(text, acronyms_in_the_glossary()) == []
    assert CANARY not in text


@pytest.mark.parametrize("kind", ["dpia", "agreement", "register", "data-flow"])
def test_papers_say_who_must_open_where_an_agreement_names_a_mask_holder(kind, facts):
    name = "Association of Second Bodies"
    holder = {"id": "second", "name": name, "key": "ed25519:x"}
    held = make_pack(Kind(kind), changed(facts, ("agreements", "north-east-2026", "mask_holder"), holder), DAY)
    assert name in held.split(MARK)[0]
    assert faults(held, acronyms_in_the_glossary()) == []
    plain = make_pack(Kind(kind), facts, DAY).split(MARK)[0]
    assert "mask holder" not in plain
    assert name not in plain


def test_packs_of_a_new_node_are_plain_too(facts):
    """Without any agreement, and with every role named and objections honoured."""
    roles = {name: f"The {name.replace('_', ' ')}" for name in ("data_protection_officer", "residents_contact")}
    bare = changed(changed(facts, ("agreements",), {}), ("roles",), roles)
    bare = changed(bare, ("data", "case", "objections_honoured"), True)
    for kind in Kind:
        assert faults(make_pack(kind, bare, DAY), acronyms_in_the_glossary()) == []
    assert "The data protection officer" in make_pack(Kind.DPIA, bare, DAY)
    assert "we leave your record out" in make_pack(Kind.PRIVACY_NOTICE, bare, DAY)


def test_the_assessment_follows_the_seven_steps_and_raises_what_it_may_not_assume(facts):
    text = make_pack(Kind.DPIA, facts, DAY)
    assert [line[:9] for line in text.splitlines() if line.startswith("## Step")] == [
        f"## Step {n}" for n in range(1, 8)
    ]
    for words in ("nature", "scope", "context", "purposes", "motivated intruder", "caldicott", "sub", "annex"):
        assert words in text.lower() or words == "sub"
    for question in ("Is the council the only controller", "personal data while the coordinator holds it", "processor"):
        assert question in text
    assert "never settled law" in text


def test_every_kind_of_extract_has_words():
    assert set(SOURCE_WORDS) == {kind.value for kind in SourceKind}


def test_every_control_names_a_test_that_exists():
    named = [item.test for item in (*CALDICOTT, *ATTACKS, *RISKS) if item.test]
    assert len(CALDICOTT) == 8
    assert [item.name[0] for item in CALDICOTT if not item.test] == ["7"]
    for reference in named:
        file, _, name = reference.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), reference


def test_a_text_edited_by_people_is_said_and_its_facts_still_compared(facts, tmp_path):
    path = tmp_path / "pack.md"
    text = make_pack(Kind.AGREEMENT, facts, DAY)
    path.write_text(text.replace("### 1. Parties", "### 1. The parties, as our lawyer wants it"), encoding="utf-8")
    found = check_pack_file(path, facts)
    assert (found.changed, found.edited) == ((), True)
    now = changed(facts, ("agreements", "north-east-2026", "min_cohort"), 3)
    assert check_pack_file(path, now).changed == (
        "Changed – agreements, north-east-2026, min cohort: it was 4, it is now 3; this is looser.",
    )


def test_facts_changed_by_hand_are_refused(facts, tmp_path):
    path = tmp_path / "pack.md"
    text = make_pack(Kind.DPIA, facts, DAY)
    rng = random.Random(3)
    start = text.index('"facts"')
    broken = {
        text.replace('"epsilon": "20"', '"epsilon": "2"'),
        text.replace(MARK, "").split("```json")[0],
        "",
        "no pack",
    }
    for _ in range(20):
        place = rng.randrange(start, len(text) - 8)
        if text[place].isalnum():
            broken.add(text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :])
    for content in broken:
        path.write_text(content, encoding="utf-8")
        with pytest.raises(FileProblem, match=r"changed by hand|holds no facts"):
            check_pack_file(path, facts)
    path.write_text('<!DOCTYPE x [<!ENTITY a "b">]><svg><metadata id="facts">&a;</metadata></svg>', encoding="utf-8")
    with pytest.raises(FileProblem, match="holds no facts"):
        check_pack_file(path, facts)


def test_the_picture_can_be_read_aloud_and_checked(facts, tmp_path):
    awkward = changed(facts, ("council", "name"), 'A <b>&"Council"</b> | of two')
    path = tmp_path / "flow.svg"
    path.write_text(make_pack(Kind.DATA_FLOW, awkward, DAY, picture=True), encoding="utf-8")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    names = root.get("aria-labelledby").split()
    assert [root.find(f".//*[@id='{name}']").tag for name in names] == [f"{space}title", f"{space}desc"]
    assert 'A <b>&"Council"</b> | of two' in root.find(f"{space}title").text
    drawn = " ".join(item.text for item in root.iter(f"{space}text"))
    for step in ("1. Extract", "2. Count", "3. Noise and masks", "4. Sum", "5. Answer"):
        assert step in drawn
    assert {item.tag.removeprefix(space) for item in root.iter()} <= {
        "svg", "title", "desc", "metadata", "defs", "marker", "path", "rect", "text", "line",
    }  # fmt: skip
    assert "\\|" in make_pack(Kind.DATA_FLOW, changed(facts, ("coordinator", "address"), "a|b:1"), DAY)
    assert check_pack_file(path, awkward).changed == ()
    assert not check_pack_file(path, awkward).edited
    assert "council, name" in check_pack_file(path, facts).changed[0]


FILES = {
    "node.yaml": [(("coordinator", "address"), "127.0.0.1:2"), (("roles",), {"system_owner": "IT"})],
    "policy.yaml": [(("automatic",), False), (("max_epsilon_per_query",), "1/2"), (("class_2",), "refuse")],
    "mapping.yaml": [
        (("columns", "household_type", "from"), "assessment_outcome"),
        (("columns", "household_type"), None),
    ],
}


@pytest.mark.parametrize(("file", "place", "value"), [(f, p, v) for f, every in FILES.items() for p, v in every])
def test_the_command_fails_when_a_file_of_the_node_says_something_else(node, monkeypatch, tmp_path, file, place, value):
    monkeypatch.chdir(tmp_path)
    settings = ["--settings", str(node / "node.yaml")]
    assert CliRunner().invoke(app, ["pack", "dpia", "--out", "dpia.md", *settings]).exit_code == 0
    assert "agrees with the settings" in CliRunner().invoke(app, ["pack", "check", "dpia.md", *settings]).output
    document = yaml.safe_load((node / file).read_text(encoding="utf-8"))
    inside = document
    for step in place[:-1]:
        inside = inside[step]
    if value is None:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    (node / file).write_text(yaml.safe_dump(document), encoding="utf-8")
    found = CliRunner().invoke(app, ["pack", "check", "dpia.md", *settings])
    assert isinstance(found.exception, FileProblem), found.output
    assert "does not agree with the settings any more" in str(found.exception)
    assert found.output.strip()


def test_a_new_version_of_an_agreement_is_an_alarm_and_its_draft_is_shown_first(node, world, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = ["--settings", str(node / "node.yaml")]
    run = CliRunner().invoke
    assert run(app, ["pack", "agreement", "--out", "old.md", *settings]).exit_code == 0
    assert run(app, ["pack", "agreement", "--diff", "old.md", *settings]).output == "Nothing has changed.\n"
    envelope, agreement = world.make_agreement(version=world.agreement.version + 1, min_cohort=5)
    draft = tmp_path / "draft.yaml"
    draft.write_bytes(unsafe_payload(envelope, AGREEMENT_TYPE))
    assert parse_agreement(draft.read_bytes()).min_cohort == 5
    shown = run(app, ["pack", "agreement", "--agreement", str(draft), "--diff", "old.md", *settings]).output
    assert "min cohort: it was 4, it is now 5; this is stricter." in shown
    assert "now  It is proposed, and this council has not accepted it yet." in shown
    (node / "agreements" / f"{agreement.id}.dsse").write_bytes(
        sign_payload(draft.read_bytes(), AGREEMENT_TYPE, [PROGRAMME, ASSOCIATION])
    )
    found = run(app, ["pack", "check", "old.md", "--json", *settings])
    assert json.loads(found.output)["changed"]
    for kind in ("dpia", "privacy-notice", "register", "data-flow"):
        done = run(app, ["pack", kind, "--out", f"{kind}.md", *settings])
        assert done.exit_code == 0, done.output
        assert isinstance(run(app, ["pack", kind, "--out", f"{kind}.md", *settings]).exception, FileProblem)
    assert isinstance(run(app, ["pack", "agreement", "--diff", "dpia.md", *settings]).exception, FileProblem)
    assert run(app, ["pack", "data-flow", "--out", "flow.svg", *settings]).exit_code == 0
    assert (tmp_path / "flow.svg").read_text(encoding="utf-8").startswith("<svg")
    assert run(app, ["pack", "check", "flow.svg", *settings]).exit_code == 0
