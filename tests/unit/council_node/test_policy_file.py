import re

import pytest

from council_node.policy_file import (
    Class2,
    ClassRules,
    Policy,
    policy_template,
    read_policy,
    set_paused,
    write_policy,
)
from federated.errors import FileProblem
from federated.query import Level


def write(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_template_is_safe_by_default(tmp_path):
    path = tmp_path / "policy.yaml"
    write_policy(path)
    found = read_policy(path)
    assert found == Policy(policy=1, max_extract_age_days=120)
    assert not found.automatic
    assert found.class_2 is Class2.PERSON


def test_the_template_can_be_automatic(tmp_path):
    found = read_policy(write(tmp_path, policy_template(automatic=True)))
    assert found.automatic
    assert set(found.red_lines.given()) == {"lawful", "convincing_purpose", "no_threat_to_safety", "proportionate"}


def test_the_template_with_every_setting_in_force_is_read(tmp_path):
    text = re.sub(
        r"^# (?=[a-z0-9_]+: ?['\[\d]|approvals_needed:|red_lines:|by_class:|(?:class_2_)?cap:|  )",
        "",
        policy_template(),
        flags=re.MULTILINE,
    )
    found = read_policy(write(tmp_path, text))
    assert found.approvals_needed == ("data protection officer", "information asset owner")
    assert (found.cap.epsilon, found.class_2_cap.epsilon, found.class_2_max_epsilon_per_query) == ("4", "1", "0.5")
    assert set(found.red_lines.given()) == {"lawful", "convincing_purpose"}
    assert (found.automatic_max_epsilon, found.standing_approval_days) == ("0.5", 365)
    assert found.by_class.of(2) == ClassRules(columns=("reason_loss", "reason_loss_group"), statistics=("households",))
    assert (found.levels, found.groups) == ((Level.ALL,), ("north-east",))
    assert (found.prohibited_uses, found.refuse_purposes) == (("funding_decisions",), ("evaluation",))
    assert found.refuse_recipients == ("commercial",)
    assert (found.min_cohort, found.max_cells, found.max_epsilon_per_query) == (12, 10000, "1")
    assert (found.refuse_columns, found.refuse_statistics) == (("main_nationality_group",), ("sum",))


def test_the_template_shows_every_setting():
    text = policy_template()
    assert [name for name in Policy.model_fields if not re.search(rf"^[ #]*{name}:", text, re.MULTILINE)] == []


def test_a_template_never_overwrites(tmp_path):
    path = write(tmp_path, "policy: 1\npaused: yes\n")
    with pytest.raises(FileProblem, match="already"):
        write_policy(path)
    assert read_policy(path).paused
    with pytest.raises(FileProblem, match="cannot be written"):
        write_policy(tmp_path / "absent" / "policy.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paused: no\n", "policy is missing"),
        ("policy: 2\n", "line 1: policy must be 1"),
        ("policy: 1\nautomatic: maybe\n", "line 2: automatic must be yes or no"),
        ("policy: 1\nmin_cohort: 0\n", "line 2: min_cohort must be at least 1"),
        ("policy: 1\nmax_epsilon_per_query: 0.5\n", "line 2: .*put it in quotes"),
        ("policy: 1\nmax_epsilon_per_query: '0'\n", "max_epsilon_per_query above 0"),
        ("policy: 1\ncap: {epsilon: '1'}\n", "line 2: cap.delta is missing"),
        ("policy: 1\ncap: {epsilon: '1', delta: '1'}\n", "delta between 0 and 1"),
        ("policy: 1\nrefuse_columns: [a, a]\n", "line 2: refuse_columns has an entry twice"),
        ("policy: 1\nclass_2: sometimes\n", "line 2: class_2 must be"),
        ("policy: 1\nclass_2_max_epsilon_per_query: '0'\n", "class_2_max_epsilon_per_query above 0"),
        ("policy: 1\nred_lines: {lawful: yes}\n", "line 2: red_lines.lawful must be text"),
        ("policy: 1\nlevels: [ward]\n", "line 2: levels.0 must be"),
        ("policy: 1\nprohibited_uses: [league]\n", "line 2: prohibited_uses.0 must be"),
        ("policy: 1\nby_class: {class_3: {}}\n", "by_class.class_3 is not a field"),
        ("policy: 1\nmax_epsilon: '1'\n", "line 2: max_epsilon is not a field"),
    ],
)
def test_a_fault_is_one_sentence_with_line_and_setting(tmp_path, text, said):
    with pytest.raises(FileProblem, match=said) as caught:
        read_policy(write(tmp_path, text))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_missing_policy_is_not_an_empty_one(tmp_path):
    with pytest.raises(FileProblem, match=r"policy file .* cannot be read"):
        read_policy(tmp_path / "policy.yaml")


@pytest.mark.parametrize(
    "text",
    [
        policy_template(),
        "policy: 1\n",
        "policy: 1\npaused: no  # while we check\nautomatic: yes\n",
        "policy: 1\npaused:   no\n",
        "policy: 1",
    ],
)
def test_pausing_changes_that_line_alone(tmp_path, text):
    path = write(tmp_path, text)
    before = read_policy(path)
    assert set_paused(path, paused=True).paused
    assert read_policy(path) == before.model_copy(update={"paused": True})
    kept = [line for line in text.splitlines() if not line.startswith("paused")]
    assert [line for line in path.read_text().splitlines() if not line.startswith("paused")] == kept
    assert text.count("#") == path.read_text().count("#")
    set_paused(path, paused=False)
    assert read_policy(path) == before
    assert [item.name for item in tmp_path.iterdir()] == ["policy.yaml"]


@pytest.mark.parametrize("text", ["policy: 2\n", '{"policy": 1, "paused": false}'])
def test_a_policy_that_cannot_be_paused_safely_is_left_alone(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(FileProblem):
        set_paused(path, paused=True)
    assert path.read_text() == text
    assert [item.name for item in tmp_path.iterdir()] == ["policy.yaml"]
