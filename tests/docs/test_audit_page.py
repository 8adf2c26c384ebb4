"""What docs/audit.md says is so in the figures kept: no claim is exceeded, and halved noise was seen for every statistic."""

import copy

import pytest

from federated.privacy import Mechanism
from tests.docs import audit_page

KEPT = audit_page.runs()


def faults(runs):
    """What is not as the page says, one line each."""
    found = []
    for mechanism in Mechanism:
        figures = runs[f"audit/{mechanism.value}"]["figures"]
        found += [
            f"{code} was not audited" for code in audit_page.audited(mechanism) if code not in figures["statistics"]
        ]
        for code, item in figures["statistics"].items():
            if item["audited_at_least"] > item["claimed"]:
                found.append(f"{code} loses more than is claimed")
            if item["audited_epsilon_at_delta"] > item["claimed_epsilon_at_delta"]:
                found.append(f"{code} loses more epsilon than is claimed")
            if figures["with_noise_halved"][code] <= item["claimed"]:
                found.append(f"halved noise was not seen for {code}")
    differencing = runs["differencing"]["figures"]
    for attack in differencing["attacks"]:
        hidden, ours = attack["threshold_only"], attack["ours"]
        if hidden["success"] < 0.9 or ours["success"] > ours["bound"] + 4 * differencing["standard_error"]:
            found.append(f"{attack['name']} did not go as the page says")
    return found


def test_the_figures_kept_are_as_the_page_says():
    assert faults(KEPT) == []


@pytest.mark.parametrize(
    ("figure", "value", "fault"),
    [
        ("audited_at_least", 1.1, "mean loses more than is claimed"),
        ("audited_epsilon_at_delta", 1.1, "mean loses more epsilon than is claimed"),
        ("claimed", 9.0, "halved noise was not seen for mean"),
    ],
)
def test_a_figure_that_is_not_so_is_found(figure, value, fault):
    runs = copy.deepcopy(dict(KEPT))
    runs["audit/discrete_laplace"]["figures"]["statistics"]["mean"][figure] = value
    assert faults(runs) == [fault]


def test_a_statistic_left_out_and_an_attack_that_went_over_its_bound_are_found():
    runs = copy.deepcopy(dict(KEPT))
    del runs["audit/discrete_gaussian"]["figures"]["statistics"]["mean"]
    runs["differencing"]["figures"]["attacks"][0]["ours"]["success"] = 0.9
    assert faults(runs) == ["mean was not audited", "repeated_question did not go as the page says"]
