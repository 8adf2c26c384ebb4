"""docs/comparison.md quotes the comparisons of docs/performance.json as they stand, each of which follows from its samples."""

import json
import statistics

import pytest

from benchmarks.peers.environment import PEERS
from benchmarks.targets import PERFORMANCE
from tests.docs.pages import page, rows

COMPARISONS = json.loads(PERFORMANCE.read_text(encoding="utf-8")).get("comparisons", [])
TIMED = [row for row in COMPARISONS if "ratio" in row]
BY_STAGE = [row for row in COMPARISONS if "ratio" not in row]
PAGE = page("docs/comparison.md")


def shown(side):
    if len(side["samples"]) == 1:
        return f"{side['median']:g}"
    return f"{side['median']:g} ({side['least']:g} to {side['most']:g})"


@pytest.mark.parametrize("row", TIMED, ids=lambda row: row["name"])
def test_a_comparison_follows_from_its_samples_and_is_quoted(row):
    ours, theirs = row["ours"]["samples"], row["theirs"]["samples"]
    for side, samples in (("ours", ours), ("theirs", theirs)):
        assert (row[side]["median"], row[side]["least"], row[side]["most"]) == (
            pytest.approx(statistics.median(samples), rel=1e-3),
            min(samples),
            max(samples),
        )
    ratios = [there / here for here, there in zip(ours, theirs, strict=True)]
    assert row["ratios"] == pytest.approx(ratios, rel=2e-3)
    assert row["ratio"] == pytest.approx(statistics.median(row["ratios"]), abs=1e-3)
    [quoted] = [cells[1:] for cells in rows(PAGE) if cells[0] == row["name"]]
    assert quoted == (shown(row["ours"]), shown(row["theirs"]), f"{row['ratio']:.2f}")


@pytest.mark.parametrize("row", COMPARISONS, ids=lambda row: row["name"])
def test_a_comparison_says_what_repeats_it(row):
    assert row["command"].startswith("python -m benchmarks.peers.")
    assert len(row["commit"]) == 40, "measured on a commit, not on changed files"
    assert set(row["versions"]) == set(PEERS[row["peer"]].packages)
    assert row["machine"]["cores"] >= 1


def test_every_comparison_is_there():
    beginnings = ("secure sum beside Flower", "secure sum beside MPyC", "query of", "national error", "epsilon charged")
    for beginning in beginnings:
        assert any(row["name"].startswith(beginning) for row in TIMED), beginning
    assert BY_STAGE


@pytest.mark.parametrize("row", BY_STAGE, ids=lambda row: row["name"])
def test_what_came_out_at_each_stage_is_quoted(row):
    quoted = [cells[1:] for cells in rows(PAGE) if cells[0].startswith("before ")]
    stages = ("advert", "key_shares", "masked_input", "confirmation", "unmask")
    assert [cells[0] for cells in quoted] == [row["ours"][stage] for stage in stages]
    theirs = [cells[1] for cells in quoted]
    assert theirs == [*list(row["theirs"].values())[:3], "no such stage", row["theirs"]["unmask"]]
