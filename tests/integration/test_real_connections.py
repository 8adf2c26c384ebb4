"""Councils as processes over TLS, some gone at the worst moment: what `benchmarks.real_connections` runs at full size."""

import json

import numpy as np
import pytest

from benchmarks import real_connections
from benchmarks.real_connections import measure
from coordinator.progress import RunStage
from tests import evidence


def test_a_round_over_real_connections_goes_on_without_those_who_leave_before_their_masked_input():
    found = measure(13, lost=1, processes=2)
    report = found.report
    assert report.result is not None, report.reason
    lost = sorted(set(report.result.u2) - set(report.result.u3))
    assert (len(report.result.u1), len(report.result.u3), len(lost)) == (13, 12, 1)
    standing = report.standings[lost[0]]
    assert (standing.outcome, standing.stage, standing.rule) == ("dropped", RunStage.MASKED_INPUT, "silent")
    plan = report.order.plan
    assert plan.cells == 10_010
    # The councils hold no case, so what is left once every mask is off is noise, of the planned size: a mask that
    # stayed would make numbers of the ring's width.
    noise = plan.released_noise(0, joined=13, contributors=12)
    assert 0 < np.std(report.result.total) < 2 * noise.sd
    assert [time.answered for time in report.times[:3]] == [13, 13, 12]
    assert found.peak_mib >= found.before_mib > 0


def test_the_benchmark_prints_its_row_and_refuses_a_round_without_its_sum(capsys, monkeypatch):
    monkeypatch.setattr(real_connections, "bare_round_seconds", lambda *_args, **_options: 1.0)
    real_connections.main(["--councils", "11", "--lost", "1", "--processes", "1", "--repeats", "1"])
    printed = capsys.readouterr().out
    row = json.loads(printed[printed.index("{") :])
    assert row["name"] == "a round of 11 councils over TLS, 10010 cells, 1 lost"
    assert row["samples"] == [row["ratio"]]
    assert set(row["figures"]) >= {"seconds", "coordinator_peak_mib", "stage_seconds", "floor_seconds"}
    with pytest.raises(SystemExit, match="ended without a sum"):
        real_connections.main(["--councils", "11", "--lost", "4", "--processes", "1"])


@pytest.mark.long
def test_all_of_england_and_more_over_real_connections():
    """Full size: recorded, and held only to the right councils in the sum."""
    found = measure(350, lost=10, processes=4)
    assert found.report.result is not None, found.report.reason
    assert len(found.report.result.u3) == 340
    evidence.record(
        "real connections/350 councils, 10 lost",
        found.figures(),
        test="tests/integration/test_real_connections.py",
        n=found.report.order.plan.cells,
    )
