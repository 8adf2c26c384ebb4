"""What docs/faults.md says of the full size is what was kept, and says so where nothing was."""

from tests.docs import faults_page
from tests.simulation import test_faults

KEPT = {
    "commit": "98216f70c680a996dc2cf204987682a5b54c52b3",
    "date": "2026-11-24",
    "seed": 777,
    "n": 100_000,
    "figures": {"violations": 0},
}


def test_without_a_record_the_page_says_that_there_is_none():
    said = faults_page.full_size(None)
    assert "not recorded yet" in said
    assert f"{test_faults.FULL_SIZE:,} histories" in said
    assert "violations" not in said


def test_with_a_record_the_page_says_what_it_holds():
    assert faults_page.full_size(KEPT) == (
        "100,000 histories, violations: 0. First seed 777, at commit `98216f70c680`, recorded on 2026-11-24.\n"
    )


def test_violations_fewer_histories_and_changed_files_would_be_said():
    other = {**KEPT, "n": 99, "commit": KEPT["commit"] + "-dirty", "figures": {"violations": 3}}
    said = faults_page.full_size(other)
    assert said.startswith("99 histories, violations: 3.")
    assert "with changes not committed" in said


def test_the_page_reads_the_entry_that_the_long_run_writes(monkeypatch):
    written = {}
    monkeypatch.setattr(
        test_faults, "record", lambda name, figures, **how: written.update({name: how | {"figures": figures}})
    )
    monkeypatch.setattr(
        test_faults, "live_on_every_core", lambda _first, size, _kept: [test_faults.Found(histories=size)]
    )
    monkeypatch.delenv("FAULTS_KEPT", raising=False)
    test_faults.test_a_hundred_thousand_histories_of_faults_break_nothing()
    made = {"commit": "a" * 40, "date": "2026-11-24"} | written[faults_page.RUN]
    monkeypatch.setattr(faults_page, "runs", lambda: {faults_page.RUN: made})
    assert faults_page.parts()["histories"].startswith(f"{faults_page.FULL_SIZE:,} histories, violations: 0.")
