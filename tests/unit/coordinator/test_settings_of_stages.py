"""Deadlines that a round of them all would not live through are refused when the settings are read."""

from datetime import timedelta

import pytest

from coordinator.round_stages import STAGES
from coordinator.settings import IN_A_ROUND, Settings, StageTimeouts, load_settings
from council_node import rounds
from federated.errors import FileProblem
from federated.round_limit import ROUND_LIMIT

LIMIT_S = ROUND_LIMIT // timedelta(seconds=1)
OTHERS_S = sum(getattr(StageTimeouts(), name) for name in IN_A_ROUND if name != "masked_input")
SETTINGS = """coordinator: 1
id: north-hub
name: Northern hub
tls: {{certificate: server.pem, key: server.key}}
trust:
  roster_keys: ["ed25519:{0:064x}", "ed25519:{1:064x}"]
  agreement_keys: ["ed25519:{2:064x}", "ed25519:{3:064x}"]
stages: {stages}
"""


def read(folder, stages):
    path = folder / "coordinator.yaml"
    path.write_text(SETTINGS.format(1, 2, 3, 4, stages=stages))
    return load_settings(path)


def test_stages_of_which_a_councils_node_would_not_see_the_last_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(FileProblem) as problem:
        read(tmp_path, f"{{masked_input: {LIMIT_S - OTHERS_S + 1}}}")
    said = str(problem.value)
    assert "line 8: stages come to 21,601 seconds in one round" in said
    assert "every council ends a round after 21,600" in said
    assert "the charge stands" in said
    assert "shorten advert, key_shares, masked_input, confirmation, opening, unmask or delivery" in said


@pytest.mark.parametrize("name", [name for name in StageTimeouts.model_fields if name in IN_A_ROUND])
def test_each_stage_of_a_round_counts(name):
    with pytest.raises(ValueError, match="seconds in one round"):
        StageTimeouts(**{name: LIMIT_S})


def test_stages_that_fit_and_waits_outside_a_round_are_taken(tmp_path):
    kept = read(tmp_path, f"{{masked_input: {LIMIT_S - OTHERS_S}, decision: 86400, budget: 86400, reconnect: 86400}}")
    assert isinstance(kept, Settings)
    assert kept.stages.masked_input == LIMIT_S - OTHERS_S


def test_what_counts_is_every_stage_that_a_round_has_and_the_limit_that_councils_keep():
    asked = {name: number for number, name in enumerate(IN_A_ROUND, start=1)}
    timeouts = StageTimeouts(**asked)
    assert [stage.seconds(timeouts) for stage in STAGES] == [
        asked[name] for name in IN_A_ROUND if name not in {"opening", "delivery"}
    ]
    assert rounds.ROUND_LIMIT is ROUND_LIMIT
