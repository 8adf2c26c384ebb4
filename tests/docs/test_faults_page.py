"""What docs/faults.md says of the full size is what was kept, and says so where nothing was."""

from tests.docs import faults_page
from tests.simulation import test_faults

AT = {"98216f70c680a996dc2cf204987682a5b54c52b3": 60_000, "5b8eec9553570e44790ddf10dd185b340443dccc": 40_000}
RECORDED = {
    "date": "2026-11-24",
    "seed": 777,
    "n": 100_000,
    "figures": {"violations": 0, "histories at each commit": AT},
}
HEAD = {"first": 777}


def part(number, commit="98216f70c680a996dc2cf204987682a5b54c52b3", **violations):
    return {"commit": commit, "parts": [number], "found": {"histories": 250, "violations": violations}}


def test_without_a_record_the_page_says_that_there_is_none():
    for kept in ([], [HEAD]):
        said = faults_page.full_size(None, kept)
        assert "not recorded yet" in said
        assert f"{test_faults.FULL_SIZE:,} histories" in said
        assert "violations" not in said


def test_a_run_that_is_not_done_says_how_far_it_is():
    said = faults_page.full_size(None, [HEAD, part(0), part(3), part(1, "5b8eec95535700")])
    assert "not recorded yet" in said
    assert (
        "So far: 750 histories, violations: 0. First seed 777, at commits `98216f70c680` (500), `5b8eec955357` (250)"
        in said
    )
    assert "violations: 1." in faults_page.full_size(None, [HEAD, part(0), part(3, seed=["wrong"])])


def test_with_a_record_the_page_says_what_it_holds():
    assert faults_page.full_size(RECORDED, [HEAD, part(0)]) == (
        "100,000 histories, violations: 0. First seed 777, at commits `98216f70c680` (60,000), `5b8eec955357` (40,000), "
        "recorded on 2026-11-24.\n"
    )


def test_violations_and_fewer_histories_would_be_said():
    other = {
        "date": "2026-11-24",
        "seed": 7,
        "n": 99,
        "figures": {"violations": 3, "histories at each commit": {"a" * 40: 99}},
    }
    assert faults_page.full_size(other, []).startswith(
        "99 histories, violations: 3. First seed 7, at commit `aaaaaaaaaaaa` (99),"
    )


def test_the_page_reads_what_the_long_run_writes(monkeypatch, tmp_path):
    written = {}
    monkeypatch.setattr(
        test_faults, "record", lambda name, figures, **how: written.update({name: how | {"figures": figures}})
    )

    def all_at_once(first, size, kept):
        kept.keep(first, test_faults.Found(histories=size))
        return [test_faults.Found(histories=size)]

    monkeypatch.setattr(test_faults, "live_on_every_core", all_at_once)
    for module in (test_faults, faults_page):
        monkeypatch.setattr(module, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(test_faults, "commit", lambda _kept: "a" * 40)
    test_faults.test_a_hundred_thousand_histories_of_faults_break_nothing()
    monkeypatch.setattr(faults_page, "runs", dict)
    assert "So far: 100,000 histories, violations: 0." in faults_page.parts()["histories"]
    monkeypatch.setattr(
        faults_page, "runs", lambda: {faults_page.RUN: {"date": "2026-11-24"} | written[faults_page.RUN]}
    )
    assert faults_page.parts()["histories"].startswith(f"{faults_page.FULL_SIZE:,} histories, violations: 0.")
