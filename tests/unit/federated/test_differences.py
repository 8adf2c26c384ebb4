"""What a new version changes: every field has a rule, what got looser comes first, and signatures are told."""

import random
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.cli import app
from federated.differences import RULES, UNSAID, Way, compare, version_warnings, way_of
from federated.keys import make_key, public_line
from federated.manifest import MANIFEST_TYPE, Manifest, parse_manifest
from federated.signing import sign_payload

EXAMPLES = Path(__file__).parent / "examples"
ANN, BOB, EVE = (make_key(random.Random(number).randbytes) for number in (1, 2, 9))


def document(name):
    return yaml.safe_load((EXAMPLES / f"{name}.yaml").read_bytes())


def changed(name, *changes):
    """An example with (path, value) changes; a value of None removes the field or entry."""
    typed = document(name)
    for path, value in changes:
        place = typed
        for part in path[:-1]:
            place = place[part]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
    return yaml.safe_dump(typed, sort_keys=False, allow_unicode=True).encode()


def agreement(*changes):
    return parse_agreement(changed("agreement", *changes))


def manifest(*changes):
    return parse_manifest(changed("manifest", *changes))


def told(old, new):
    return {(difference.way, difference.said) for difference in compare(old, new)}


def test_an_agreement_that_changed_is_told_in_sentences_with_their_way():
    new = agreement(
        (("version",), 4),
        (("budget", "epsilon"), "5"),
        (("max_epsilon_per_query",), "1/2"),
        (("min_cohort",), 4),
        (("datasets", "ta_placement", "max_cells"), 2),
        (("datasets", "case", "columns"), ["assessment_date", "assessment_outcome", "main_age_band", "reason_loss_group", "main_sex"]),
        (("groups", 0, "label"), "The North East"),
        (("recipients", 1, "role"), "planners"),
    )  # fmt: skip
    assert told(agreement(), new) == {
        (Way.LOOSER, "Changed – budget, epsilon: it was 4, it is now 5."),
        (Way.STRICTER, "Changed – max epsilon per query: it was 1, it is now 1/2."),
        (Way.LOOSER, "Changed – min cohort: it was 5, it is now 4."),
        (Way.STRICTER, "Changed – datasets, ta placement, max cells: it was 3, it is now 2."),
        (Way.STRICTER, "Gone – datasets, case, columns: household_type."),
        (Way.LOOSER, "New – datasets, case, columns: main_sex."),
        (Way.UNSAID, "Changed – groups, 'north-east', label: it was North East, it is now The North East."),
        (
            Way.LOOSER,
            "Changed – recipients, 'The twelve councils', role: it was housing strategy leads, it is now planners.",
        ),
    }
    ways = [difference.way for difference in compare(agreement(), new)]
    assert ways == sorted(ways), "what is looser comes first"


def test_a_manifest_that_changed_is_told_too():
    field = {"dataset": "case", "column": "main_sex", "why": "To compare.", "effort": "None: it is there."}
    new = manifest(
        (("version",), 9),
        (("fields_read",), [*document("manifest")["fields_read"], field]),
        (("decision",), "Another decision altogether, taken by the board in May."),
    )
    found = told(manifest(), new)
    assert (Way.LOOSER, "New – fields read, 'main_sex', column: main_sex.") in found
    assert any(way is Way.LOOSER and said.startswith("Changed – decision: it was ") for way, said in found)
    fewer = manifest((("fields_read",), document("manifest")["fields_read"][:-1]))
    assert {way for way, said in told(manifest(), fewer) if said.startswith("Gone")} == {Way.STRICTER, Way.UNSAID}


def every_path(form, path=()):
    """Each field of a form and of the blocks inside it."""
    for name, field in form.model_fields.items():
        inner = [item for item in blocks(field.annotation) if issubclass(item, BaseModel)]
        # In a mapping by name the name stands in the path.
        middle = ("x",) if (*path, name) == ("datasets",) else ()
        if inner:
            for one in inner:
                yield from every_path(one, (*path, name, *middle))
        else:
            yield (*path, name)


def blocks(annotation):
    found = [annotation] if isinstance(annotation, type) else []
    for inner in getattr(annotation, "__args__", ()):
        found += blocks(inner)
    return found


@pytest.mark.parametrize("form", [Agreement, Manifest])
def test_every_field_has_a_rule_or_is_left_to_the_reader(form):
    paths = [path for path in every_path(form) if path != ("version",)]
    assert len(paths) > 30
    for path in paths:
        names = {".".join(path[:length]) for length in range(1, len(path) + 1)} | {f"{path[0]}.{path[-1]}"}
        assert names & (set(RULES) | UNSAID), path
    assert way_of(("something_new",), "1", "2") is Way.LOOSER


LOOSER = [
    ("agreement", ("recipients",), lambda d: [*d["recipients"], {"role": "press", "body": "Paper Ltd", "type": "commercial"}]),
    ("agreement", ("attempts",), lambda d: 3),
    ("agreement", ("min_honest",), lambda d: 2),
    ("agreement", ("budget", "delta"), lambda d: "0.00001"),
    ("agreement", ("max_epsilon_per_query",), lambda d: "2"),
    ("agreement", ("valid_to",), lambda d: "2027-12-31"),
    ("agreement", ("decision_days",), lambda d: 3),
    ("agreement", ("linked_data",), lambda d: "the census"),
    ("agreement", ("groups", 0, "councils"), lambda d: [*d["groups"][0]["councils"], "E09000001"]),
    ("manifest", ("recipients",), lambda d: [*d["recipients"], {"role": "press", "body": "Paper Ltd", "type": "commercial"}]),
    ("manifest", ("purpose_category",), lambda d: "evaluation"),
    ("manifest", ("linked_data",), lambda d: "the census"),
    ("manifest", ("retention", "until"), lambda d: "2039-12-31"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value"), LOOSER, ids=[f"{name}-{path[0]}" for name, path, _ in LOOSER])
def test_what_lets_more_happen_is_marked_and_its_reverse_is_not_looser(name, path, value):
    read = {"agreement": agreement, "manifest": manifest}[name]
    plain, wider = read(), read((path, value(document(name))))
    assert Way.LOOSER in {difference.way for difference in compare(plain, wider)}
    back = [difference for difference in compare(wider, plain) if difference.way is Way.LOOSER]
    # Another purpose or other linked data is a new use whichever way one reads it.
    assert not back or path in {("purpose_category",), ("linked_data",)}


def test_asking_more_often_and_declaring_a_use_for_funding_are_looser():
    yearly = manifest((("frequency",), "yearly"))
    assert {item.way for item in compare(yearly, manifest((("frequency",), "quarterly")))} == {Way.LOOSER}
    assert {item.way for item in compare(yearly, manifest((("frequency",), "once")))} == {Way.STRICTER}
    assert way_of(("funding_use",), "never", "if_declared") is Way.LOOSER
    assert way_of(("funding_use",), "declared", "none") is Way.STRICTER
    assert way_of(("prohibited_uses",), "", None) is Way.LOOSER
    assert way_of(("groups", "'north-east'", "profile"), "careful", "standard") is Way.LOOSER


def test_moving_an_entry_is_no_change_and_two_of_one_name_do_not_hide_each_other():
    groups = document("agreement")["groups"]
    assert compare(agreement(), agreement((("groups",), groups[::-1]), (("version",), 4))) == ()
    analyst = document("agreement")["analysts"][0]
    old, new = ([analyst, analyst | {"public_key": public_line(key.public)}] for key in (ANN, BOB))
    [only] = compare(agreement((("analysts",), old)), agreement((("analysts",), new)))
    assert only.way is Way.LOOSER
    assert f"it is now {public_line(BOB.public)}" in only.said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([(("version",), 4)], None),
        ([(("id",), "another")], "no versions of one"),
        ([(("title",), "Another title")], "Believe neither"),
        ([(("version",), 2)], "older"),
        ([(("version",), 6)], "others"),
    ],
)
def test_what_is_odd_about_two_versions_is_said(changes, said):
    found = version_warnings(agreement(), agreement(*changes))
    assert (found == ()) if said is None else said in found[0]


def run(*arguments):
    return CliRunner().invoke(app, [str(item) for item in arguments])


def test_the_command_says_who_signed(tmp_path):
    old, new, forged, under = (tmp_path / name for name in ("old.dsse", "new.yaml", "forged.dsse", "agreement.yaml"))
    analyst = document("agreement")["analysts"][0] | {"public_key": public_line(ANN.public)}
    under.write_bytes(changed("agreement", (("analysts",), [analyst])))
    old.write_bytes(sign_payload(changed("manifest"), MANIFEST_TYPE, [ANN]))
    new.write_bytes(changed("manifest", (("version",), 4), (("linked_data",), "the census")))
    forged.write_bytes(sign_payload(changed("manifest"), MANIFEST_TYPE, [EVE]))
    told = run("manifest", "diff", old, new, "--agreement", under)
    assert told.exit_code == 0
    assert "Validly signed with 1 trusted key" in told.output
    assert "Not signed." in told.output
    assert "WIDER OR LOOSER: Changed – linked data: it was none, it is now the census." in told.output
    assert "NOT VALIDLY SIGNED" in run("manifest", "diff", forged, new, "--agreement", under).output
    assert "not checked" in run("manifest", "diff", old, new).output


def test_the_command_compares_agreements(tmp_path):
    old, new = tmp_path / "1.dsse", tmp_path / "2.dsse"
    old.write_bytes(sign_payload(changed("agreement"), AGREEMENT_TYPE, [ANN]))
    new.write_bytes(sign_payload(changed("agreement", (("version",), 4), (("min_cohort",), 4)), AGREEMENT_TYPE, [ANN]))
    told = run("agreement", "diff", old, new)
    assert told.exit_code == 0
    assert "WIDER OR LOOSER: Changed – min cohort: it was 5, it is now 4." in told.output
    assert "1 change(s), 1 of them wider or looser." in told.output
    assert "Nothing changed." in run("agreement", "diff", old, old).output
