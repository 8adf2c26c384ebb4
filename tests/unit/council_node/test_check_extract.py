"""`council-node check` on extracts made to be wrong: each fault is counted, told with a remedy, and never quoted."""

import csv
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from council_node.checks.findings import Verdict
from council_node.checks.judgement import check_extract
from council_node.checks.published import band
from council_node.checks.quality import look_through
from council_node.checks.rules import Rule, rules
from council_node.cli import app
from council_node.counting import Reading, holding
from council_node.mapping import load_mapping
from council_node.settings import Limits
from council_node.sources.extract import ExtractTooLarge
from federated.errors import FederatedError
from federated.schema import ColumnType, load_schema
from federated.shell import now_utc
from federated.synthetic import PUBLISHED_QUARTER, TIDY, style_of, synthesise, write_extract
from tests.unit.council_node.lone_council import COUNCIL, lone_council

TODAY = now_utc().date()
TOMORROW = (TODAY + timedelta(days=1)).isoformat()
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()

# For each rule: its data set, a row that breaks it, and what mends the row.
BROKEN = {
    "assessed_before_application": (
        "case",
        {"application_date": "2025-02-02", "assessment_date": "2025-02-01"},
        {"assessment_date": "2025-02-02"},
    ),
    "assessed_in_the_future": ("case", {"assessment_date": TOMORROW}, {"assessment_date": TODAY.isoformat()}),
    "applied_in_the_future": ("case", {"application_date": TOMORROW}, {"application_date": TODAY.isoformat()}),
    "prevention_ends_before_it_starts": (
        "case",
        {"prevention_start": "2025-02-02", "prevention_end": "2025-02-01"},
        {"prevention_end": ""},
    ),
    "relief_ends_before_it_starts": (
        "case",
        {"relief_start": "2025-02-02", "relief_end": "2025-02-01"},
        {"relief_end": "2025-02-02"},
    ),
    "main_duty_ends_before_decision": (
        "case",
        {"main_duty_decision_date": "2025-02-02", "main_duty_end": "2025-02-01"},
        {"main_duty_end": "2025-03-01"},
    ),
    "prevention_before_application": (
        "case",
        {"application_date": "2025-02-02", "prevention_start": "2025-02-01"},
        {"prevention_start": "2025-02-02"},
    ),
    "relief_before_application": (
        "case",
        {"application_date": "2025-02-02", "relief_start": "2025-02-01"},
        {"relief_start": ""},
    ),
    "closed_before_application": (
        "case",
        {"application_date": "2025-02-02", "closed_date": "2025-02-01"},
        {"closed_date": "2025-02-02"},
    ),
    "relief_before_prevention": (
        "case",
        {"prevention_start": "2025-02-02", "relief_start": "2025-02-01"},
        {"relief_start": "2025-02-03"},
    ),
    "main_duty_decided_before_relief_ends": (
        "case",
        {"relief_end": "2025-02-02", "main_duty_decision_date": "2025-02-01"},
        {"main_duty_decision_date": "2025-02-03"},
    ),
    "main_duty_decided_while_relief_lasts": (
        "case",
        {"relief_start": "2025-01-02", "main_duty_decision_date": "2025-02-01"},
        {"relief_end": "2025-01-20"},
    ),
    "relief_secured_without_accommodation": (
        "case",
        {"relief_end_reason": "secured", "accommodation_secured": ""},
        {"accommodation_secured": "council_tenancy"},
    ),
    "prevention_secured_without_accommodation": (
        "case",
        {"prevention_end_reason": "moved", "accommodation_secured": "none"},
        {"prevention_end_reason": "homeless"},
    ),
    "prevention_reason_without_end": (
        "case",
        {"prevention_end_reason": "contact_lost", "prevention_end": ""},
        {"prevention_end": "2025-02-01"},
    ),
    "relief_reason_without_end": ("case", {"relief_end_reason": "withdrew"}, {"relief_end_reason": "none"}),
    "long_prevention": (
        "case",
        {"prevention_start": "2025-01-01", "prevention_end": "2025-02-27"},
        {"prevention_end": "2025-02-26"},
    ),
    "long_relief": (
        "case",
        {"relief_start": "2025-01-01", "relief_end": "2025-02-27"},
        {"relief_end": "2025-02-26"},
    ),
    "retired_at_16": (
        "case",
        {"main_age_band": "age_16_17", "main_employment": "retired"},
        {"main_age_band": "age_75_over"},
    ),
    "children_without_children": (
        "case",
        {"household_type": "single_adult_male", "dependent_children_n": "1"},
        {"dependent_children_n": "0"},
    ),
    "duty_without_assessment": (
        "case",
        {"assessment_date": "not yet", "relief_start": "2025-02-01"},
        {"assessment_date": "2025-02-01"},
    ),
    "placement_ends_before_it_starts": (
        "ta_placement",
        {"start": "2025-02-02", "end": "2025-02-01"},
        {"end": "2025-02-02"},
    ),
    "placement_in_the_future": ("ta_placement", {"start": TOMORROW}, {"start": YESTERDAY}),
    "event_in_the_future": ("event", {"at": TOMORROW}, {"at": YESTERDAY}),
    "month_in_the_future": ("rough_sleeping", {"month": TOMORROW}, {"month": YESTERDAY}),
    "new_and_returning": ("rough_sleeping", {"new": "yes", "returning": "yes"}, {"returning": "no"}),
    "need_assessed_in_the_future": ("support_need", {"assessment_date": TOMORROW}, {"assessment_date": ""}),
}


def columns_of(dataset: str) -> list[str]:
    columns = load_schema().dataset(dataset).columns.values()
    return [c.name for c in columns if c.derived_from is None and c.name != "la_code"]


def write(folder: Path, dataset: str, rows: list[dict[str, str]], only: frozenset[str] | None = None) -> Path:
    """An extract under the schema's own headings, and its mapping."""
    names = [name for name in columns_of(dataset) if only is None or name in only | {"case_key"}]
    rows = [{name: row[name] for name in names if name in row} for row in rows]
    with (folder / f"{dataset}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    document = {
        "mapping": 1,
        "dataset": dataset,
        "file": f"{dataset}.csv",
        "dates": "iso",
        "columns": {name: {"from": name} for name in names},
    }
    path = folder / f"{dataset}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def seen(folder: Path, dataset: str, rows: list[dict[str, str]], *, only: frozenset[str] | None = None):
    files = {dataset: write(folder, dataset, rows, only)}
    schema = load_schema()
    held = holding(dataset, schema=schema, files=files, mapping=lambda name: load_mapping(files[name], schema))
    reading = Reading(run_key=os.urandom(16), limits=Limits(threads=1))
    try:
        return look_through(held, reading, today=TODAY, tell=lambda _line: None)
    finally:
        reading.databases.close()


def keyed(rows: list[dict[str, str]], dataset: str) -> list[dict[str, str]]:
    unit = load_schema().dataset(dataset).unit_column
    return [
        {unit: f"H{n}", "case_key": f"C{n}"} | row if unit != "person_key" else {unit: f"P{n}"} | row
        for n, row in enumerate(rows)
    ]


def test_every_rule_has_an_example():
    assert sorted(BROKEN) == sorted(rule.name for rule in rules())
    assert {BROKEN[rule.name][0] for rule in rules()} == {rule.dataset for rule in rules()}


@pytest.mark.parametrize("dataset", sorted({dataset for dataset, _, _ in BROKEN.values()}))
def test_every_rule_counts_the_rows_that_break_it_and_no_mended_one(tmp_path, dataset):
    mine = {name: (bad, mend) for name, (where, bad, mend) in BROKEN.items() if where == dataset}
    columns = {rule.name: rule.columns for rule in rules()}
    for name, (bad, mend) in mine.items():
        broken = seen(tmp_path, dataset, keyed([{}, bad, bad], dataset), only=columns[name]).broken
        assert broken[name] == 2, name
        mended = seen(tmp_path, dataset, keyed([bad | mend], dataset), only=columns[name]).broken
        assert mended[name] == 0, name


def test_a_row_where_nothing_is_known_breaks_no_rule(tmp_path):
    found = seen(tmp_path, "case", keyed([{}], "case"))
    assert set(found.broken.values()) == {0}
    assert found.rows == 1


def test_a_rule_about_a_code_or_column_that_is_not_there_is_refused():
    sound = {"name": "r", "dataset": "case", "verdict": "look", "said": "are so.", "remedy": "Mend."}
    from council_node.checks.rules import _check

    for condition in (
        {"column": "main_sex", "one_of": ("martian",)},
        {"column": "no_such_column", "known": True},
        {"column": "main_sex", "above": 3},
        {"column": "main_sex", "after": "today"},
    ):
        rule = Rule.model_validate({**sound, "when": ({**condition},)}, strict=False)
        with pytest.raises(FederatedError):
            _check(rule, load_schema())
    with pytest.raises(ValueError, match="exactly one"):
        Rule.model_validate({**sound, "when": ({"column": "main_sex", "known": True, "above": 3},)}, strict=False)


def test_what_is_missing_repeated_or_not_understood_is_counted(tmp_path):
    day, outcome = {"assessment_date": "2025-02-01"}, {"assessment_outcome": "relief_owed"}
    rows = [
        {"household_key": "H1", "case_key": "C1", **day, **outcome},
        {"household_key": "H1", "case_key": "C1", **day, **outcome},  # the same row twice
        {"household_key": "H2", "case_key": "C2", **day, **outcome},
        {"household_key": "H2", "case_key": "C2", **day, "assessment_outcome": "prevention_owed"},  # says otherwise
        {"household_key": "H3", "case_key": "C3", "application_date": "2025-01-05", "main_sex": "zebra"},
        {"household_key": "H3", "case_key": "C4", "application_date": "2025-01-05"},  # keyed again
        {"household_key": "", "case_key": "C5", "assessment_date": "soon", "dependent_children_n": "9"},
        {"household_key": "H6", "case_key": "C6", "opted_out": "yes", **day},
    ]
    found = seen(tmp_path, "case", rows)
    assert (found.rows, found.twice, found.conflicts, found.keyed_again) == (7, 1, 1, 1)
    assert found.report.rows_without_key == 1
    assert found.report.rows_opted_out == 1
    assert found.report.unknown_codes["main_sex"] == 1
    assert found.report.unreadable["assessment_date"] == 1
    assert found.report.outside_bounds["dependent_children_n"] == 1
    assert found.unknown["assessment_date"] == 3
    assert found.unknown["assessment_outcome"] == 3
    assert found.quarters == {(2025 * 4, 1): 2, (2025 * 4, 0): 1}


def test_a_large_extract_is_looked_through_part_by_part_with_the_same_counts(tmp_path, monkeypatch):
    from council_node import counting

    days = {"application_date": "2025-01-05", "assessment_date": "2025-01-01", "assessment_outcome": "relief_owed"}
    rows = [{"household_key": f"H{n % 40}", "case_key": f"C{n}", **days} for n in range(100)]
    whole = seen(tmp_path, "case", rows)
    load, asked = counting.load_extract, []

    def too_large(*arguments, part, **options):
        asked.append(part)
        if part.of < 4:
            raise ExtractTooLarge("It does not fit.")
        return load(*arguments, part=part, **options)

    monkeypatch.setattr(counting, "load_extract", too_large)
    parts = seen(tmp_path, "case", rows)
    assert [part.of for part in asked] == [1, 2, 4, 4, 4, 4]
    assert (parts.rows, parts.broken, parts.unknown) == (whole.rows, whole.broken, whole.unknown)
    assert (parts.quarters, parts.twice, parts.keyed_again) == (whole.quarters, whole.twice, whole.keyed_again)
    assert whole.broken["assessed_before_application"] == 100
    assert parts.most_of_one == whole.most_of_one == 3


# What the counts are judged to mean


def judged(council, **changes):
    settings = council.settings.model_copy(update=changes)
    found = check_extract(
        settings, "case", schema=load_schema(), now=now_utc(), rng=os.urandom, tell=lambda _line: None
    )
    return {finding.check: finding for finding in found.findings}


@pytest.fixture
def council(tmp_path):
    return lone_council(tmp_path)


def rewrite(council, change) -> None:
    """Change the cells of the extract, by heading."""
    with council.extract.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    changed = [row for number, old in enumerate(rows) if (row := change(number, dict(old))) is not None]
    with council.extract.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(changed)


def heading(council, column: str) -> str:
    return style_of(COUNCIL).headings[column]


def test_a_tidy_extract_has_nothing_to_mend(council):
    write_extract(synthesise(COUNCIL, 3), council.extract, seed=3, mess=TIDY)
    found = judged(council)
    assert {finding.verdict for finding in found.values()} == {Verdict.GOOD}
    assert "published" in found


def test_much_that_is_not_understood_must_be_mended_and_little_is_worth_a_look(council):
    name = heading(council, "household_type")
    assert judged(council)["not_understood"].verdict is Verdict.LOOK
    rewrite(council, lambda number, row: row | ({name: "a wording of 2031"} if number % 10 == 0 else {}))
    found = check_extract(
        council.settings, "case", schema=load_schema(), now=now_utc(), rng=os.urandom, tell=lambda _line: None
    )
    (mend,) = [f for f in found.findings if f.check == "not_understood" and f.verdict is Verdict.MEND]
    assert "household_type" in mend.said
    assert "2031" not in json.dumps([f.as_json() for f in found.findings])


@pytest.mark.parametrize(("every", "verdict"), [(50, Verdict.LOOK), (5, Verdict.MEND)])
def test_missing_dates_are_told_by_how_many_they_are(council, every, verdict):
    write_extract(synthesise(COUNCIL, 3), council.extract, seed=3, mess=TIDY)
    name = heading(council, "assessment_date")
    rewrite(council, lambda number, row: row | ({name: ""} if number % every == 0 else {}))
    assert judged(council)["missing"].verdict is verdict


def test_an_old_extract_is_told_by_the_policys_limit(council):
    old = (now_utc() - timedelta(days=121)).timestamp()
    os.utime(council.extract, (old, old))
    assert judged(council)["age"].verdict is Verdict.MEND
    policy = yaml.safe_load(council.settings.policy.read_text())
    council.settings.policy.write_text(yaml.safe_dump(policy | {"max_extract_age_days": 400}))
    assert judged(council)["age"].verdict is Verdict.LOOK
    os.utime(council.extract)
    assert judged(council)["age"].verdict is Verdict.GOOD


def test_an_extract_without_rows_or_without_a_mapped_heading_must_be_mended(council):
    rewrite(council, lambda number, row: None)
    assert judged(council)["rows"].verdict is Verdict.MEND
    council.extract.write_text("Something else\n", encoding="utf-8")
    found = judged(council)["extract"]
    assert found.verdict is Verdict.MEND
    assert "there is no heading" in found.said
    council.extract.unlink()
    assert judged(council)["extract"].verdict is Verdict.MEND


@pytest.mark.parametrize(("rows", "told"), [(100, False), (101, True)])
def test_a_placeholder_that_makes_one_household_of_many_shows(council, rows, told):
    write_extract(synthesise(COUNCIL, 3), council.extract, seed=3, mess=TIDY)
    name = heading(council, "household_key")
    rewrite(council, lambda number, row: row | ({name: "PLACEHOLDER"} if number < rows else {}))
    found = judged(council)
    assert ("one_reference" in found) is told
    if told:
        assert (found["one_reference"].verdict, found["one_reference"].count) == (Verdict.LOOK, rows)
        assert "PLACEHOLDER" not in json.dumps([finding.as_json() for finding in found.values()])


def test_a_wording_taken_for_an_objection_shows(council):
    name = heading(council, "opted_out")
    rewrite(council, lambda number, row: row | ({name: "see file"} if number % 3 == 0 else {}))
    found = judged(council)["objections"]
    assert (found.verdict, "objected" in found.said) == (Verdict.LOOK, True)


def test_a_column_that_identifies_people_by_its_content_is_told(council):
    assert "identifying" not in judged(council)
    name = heading(council, "referral_source")
    rewrite(council, lambda number, row: row | {name: f"QQ{number % 1000000:06d}A"})
    found = judged(council)["identifying"]
    assert (found.verdict, "National Insurance" in found.said) == (Verdict.MEND, True)
    assert "QQ0" not in found.said


def test_a_count_far_from_the_published_one_shows(council):
    write_extract(synthesise(COUNCIL, 3), council.extract, seed=3, mess=TIDY)
    day = heading(council, "assessment_date")
    first = PUBLISHED_QUARTER.start

    def half_gone(number, row):
        return None if number % 2 and f"{first.year}" in row[day] else row

    rewrite(council, half_gone)
    found = check_extract(
        council.settings, "case", schema=load_schema(), now=now_utc(), rng=os.urandom, tell=lambda _line: None
    )
    verdicts = {f.said: f.verdict for f in found.findings if f.check == "published"}
    assert Verdict.LOOK in verdicts.values()
    assert all("published (band ±" in said for said in verdicts)


def test_the_band_is_ten_households_or_five_per_cent():
    assert [band(figure) for figure in (0, 100, 200, 1000)] == [10, 10, 10, 50]


def test_no_cell_is_ever_quoted(council):
    """Every column of the extract, mapped or not, gets a planted text; the report holds none of them."""
    with council.extract.open(encoding="utf-8-sig", newline="") as file:
        names = list(next(csv.reader(file)))
    kept = heading(council, "opted_out")  # whose text means an objection, and then nothing is looked at

    def planted(number, row):
        texts = {name: f"PLANTED-{place}-{number}" for place, name in enumerate(names)}
        return texts | {kept: row[kept]}

    rewrite(council, planted)
    for options in ([], ["--json"]):
        ran = CliRunner().invoke(app, ["check", "--offline", *options, "--settings", str(council.file)])
        assert ran.exit_code == 3, ran.output
        assert "PLANTED" not in ran.output
    assert "Cells with a wording that the mapping does not know" in ran.output


@pytest.mark.parametrize("name", load_schema().datasets)
def test_every_data_set_can_be_looked_through(tmp_path, name):
    found = seen(tmp_path, name, keyed([{}], name))
    assert found.rows == 1
    readable = [c for c in load_schema().dataset(name).columns.values() if c.type is not ColumnType.KEY]
    assert set(found.unknown) == {c.name for c in readable if c.derived_from is None}
