"""docs/performance.json says `met` only where its own samples say so, and the page quotes it as it stands."""

import argparse
import json
import statistics

import pytest

from benchmarks import targets
from benchmarks.performance_page import parts
from benchmarks.targets import AT_LEAST, AT_MOST, PERFORMANCE, Target, is_met, record, record_console
from tests.docs.pages import page, rows

TARGETS = json.loads(PERFORMANCE.read_text(encoding="utf-8"))["targets"]


def shown(number: float) -> str:
    return f"{number:.2f}"


@pytest.mark.parametrize("row", TARGETS, ids=lambda row: row["name"])
def test_a_row_follows_from_its_samples(row):
    assert len(row["samples"]) >= 3
    assert row["ratio"] == round(statistics.median(row["samples"]), 3)
    assert row["direction"] in {AT_MOST, AT_LEAST}
    reached = row["ratio"] <= row["target"] if row["direction"] == AT_MOST else row["ratio"] >= row["target"]
    assert row["met"] is reached
    assert row["command"].startswith("python -m benchmarks")
    assert len(row["commit"]) == 40, "measured on a commit, not on changed files"


def test_the_page_quotes_the_rows():
    quoted = {cells[0]: cells[1:] for cells in rows(page("docs/performance.md"))}
    for row in TARGETS:
        ratio, target, met = quoted[row["name"]]
        assert ratio == shown(row["ratio"])
        assert target == f"{row['direction']} {row['target']:g}"
        assert met == ("yes" if row["met"] else "no")


def test_the_parts_of_the_page_follow_the_figures(tmp_path):
    rungs = [{"councils": 10, "cells": 1000, "seconds": 0.5}, {"councils": 30, "cells": 1000, "seconds": 1.5}]
    law = {"nanoseconds": {"n": 5e7, "n t": 74.71}, "worst_relative_error": 0.12}
    figures = {"p50_ms": 4.2, "p95_ms": 9.6, "a_second": 130.4}
    console = {
        "database": "sqlite",
        "pages": [{"page": "an answer", "queries": 3, "page_ms": 4.04, "queries_ms": 0.2}],
        "load": {"readers": 200, "errors": 1, "one": figures, "at_once": figures | {"p95_ms": 900}},
    }
    memory = [{"councils": 50, "cells": 10, "peak_mib": 44}, {"councils": 200, "cells": 10, "peak_mib": 67}]
    kept = tmp_path / "performance.json"
    kept.write_text(
        json.dumps(
            {
                "targets": [Target(name="a", samples=[2.0], target=3.0, direction=AT_MOST, command="python").row()],
                "growth": {"a node by councils": {"rungs": rungs, **law}, "the coordinator's memory": memory},
                "console": [console],
            }
        ),
        encoding="utf-8",
    )
    made = parts(kept)
    assert ("a", "2.00", "at most 3", "yes") in rows(made["targets"])
    assert ("a node by councils", "10, 30", "0.5, 1.5", "50 ms × n + 74.7 ns × n × t", "12 %") in rows(made["growth"])
    assert ("10", "44", "67") in rows(made["memory"])
    assert ("sqlite", "an answer", "3", "4.0", "0.2") in rows(made["console pages"])
    assert ("sqlite", "200", "4", "900", "130", "1") in rows(made["console readers"])


@pytest.mark.parametrize(
    ("ratio", "direction", "met"),
    [(3.0, AT_MOST, True), (3.001, AT_MOST, False), (3.0, AT_LEAST, True), (2.999, AT_LEAST, False)],
)
def test_what_reaches_a_target(ratio, direction, met):
    assert is_met(ratio, 3.0, direction) is met
    with pytest.raises(ValueError, match="direction"):
        is_met(ratio, 3.0, "about")


def test_a_row_takes_the_place_of_an_earlier_one(tmp_path):
    kept = tmp_path / "performance.json"
    for samples in ([4.0, 9.0, 2.0], [1.0, 9.0, 2.0]):
        record(Target(name="b", samples=samples, target=3.0, direction=AT_MOST, command="python").row(), kept)
    record(Target(name="a", samples=[1.0], target=3.0, direction=AT_LEAST, command="python").row(), kept)
    found = json.loads(kept.read_text(encoding="utf-8"))["targets"]
    assert [(row["name"], row["ratio"], row["met"]) for row in found] == [("a", 1.0, False), ("b", 2.0, True)]


def test_what_was_measured_of_the_console_takes_the_place_of_what_was(tmp_path):
    kept = tmp_path / "performance.json"
    kept.write_text(json.dumps({"targets": []}), encoding="utf-8")
    for database, answers in (("sqlite", 1), ("postgresql", 2), ("sqlite", 3)):
        record_console({"database": database, "answers": answers}, kept)
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert found["targets"] == []
    assert [(row["database"], row["answers"]) for row in found["console"]] == [("postgresql", 2), ("sqlite", 3)]


def test_a_row_is_printed_and_kept_only_where_asked(monkeypatch, capsys):
    kept = []
    monkeypatch.setattr(targets, "record", kept.append)
    row = Target(name="a", samples=[1.0], target=3.0, direction=AT_LEAST, command="python").row()
    for asked in ([], ["--record"]):
        parser = argparse.ArgumentParser()
        targets.add_record_option(parser)
        targets.tell(row, kept=parser.parse_args(asked).record)
        assert json.loads(capsys.readouterr().out) == row
        assert kept == [row] * len(asked)
