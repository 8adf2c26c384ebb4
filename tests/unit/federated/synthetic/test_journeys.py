"""Synthetic journeys: dates in an order that can be, patterns as stated, published counts untouched."""

from collections import Counter, defaultdict
from datetime import date

import pytest

from federated.schema import ColumnType, load_schema
from federated.synthetic import (
    cases_of_a_year,
    events,
    placements,
    published_columns,
    published_marginal,
    style_of,
    support_needs,
    synthesise,
    with_journeys,
    write_extract,
    write_mapping,
)
from federated.synthetic import journeys as made_up
from federated.synthetic.journeys import JOURNEY_COLUMNS, PAYMENTS
from federated.synthetic.other_tables import (
    COMPLEX_NEEDS,
    MOST_CONTACTS,
    MOST_NEEDS,
    MOST_PLACEMENTS,
    OUTREACH_BLOCK,
    OUTREACH_DAYS,
    need_shares,
)
from federated.synthetic.styles import canonical_style, styles

SCHEMA = load_schema()
UNTIL = date(2026, 1, 31)
NEWCASTLE = "E08000021"
NORTH_EAST = [council.id for council in SCHEMA.councils.values() if council.region == "E12000001"]


@pytest.fixture(scope="module")
def year():
    return {council: cases_of_a_year(council, 3, 2025, known_until=UNTIL) for council in NORTH_EAST}


@pytest.fixture(scope="module")
def rows(year):
    return [record for cases in year.values() for record in cases.rows()]


@pytest.fixture(scope="module")
def others(year):
    made = (support_needs, lambda cases, seed: placements(cases, seed, known_until=UNTIL), events)
    return {table.dataset: table for table in (make(year[NEWCASTLE], 3) for make in made)}


def test_the_same_seed_gives_the_same_journeys_and_another_seed_others(year):
    again = cases_of_a_year(NEWCASTLE, 3, 2025, known_until=UNTIL)
    other = cases_of_a_year(NEWCASTLE, 4, 2025, known_until=UNTIL)
    assert list(again.rows()) == list(year[NEWCASTLE].rows())
    assert list(other.rows()) != list(again.rows())
    for make in (support_needs, events):
        assert list(make(again, 3).rows()) == list(make(year[NEWCASTLE], 3).rows())


def test_a_journey_changes_no_column_that_has_published_counts():
    plain = synthesise(NEWCASTLE, 5)
    after = with_journeys(plain, 5)
    changed = {name for name in plain.columns if list(plain.columns[name]) != list(after.columns[name])}
    assert changed == {"application_date"}
    assert set(after.columns) - set(plain.columns) == set(JOURNEY_COLUMNS)


def test_the_last_quarter_of_a_year_has_the_published_counts(year):
    for council, cases in year.items():
        records = [row for row in cases.rows() if row["assessment_date"] >= "2025-10-01"]
        for name, column in published_columns().items():
            counted = Counter(row[name] for row in records if row["assessment_outcome"] in column.outcomes)
            assert counted == {code: n for code, n in published_marginal(name, council).items() if n}, (council, name)


def test_no_household_and_no_case_is_in_a_year_twice(year):
    for cases in year.values():
        assert len(set(cases.columns["household_key"].tolist())) == len(cases)
        assert len(set(cases.columns["case_key"].tolist())) == len(cases)


def test_every_code_is_of_the_schema(rows, others):
    for name, column in SCHEMA.dataset("case").columns.items():
        if column.type is ColumnType.CATEGORY and name in rows[0]:
            assert {row[name] for row in rows} <= set(column.code_list)
    for table in others.values():
        for name, texts in table.columns.items():
            column = SCHEMA.dataset(table.dataset).column(name)
            if column.type is ColumnType.CATEGORY:
                assert set(texts.tolist()) <= set(column.code_list)


def test_dates_stand_in_an_order_that_can_be(rows):
    last = UNTIL.isoformat()
    for row in rows:
        assert row["application_date"] <= row["assessment_date"]
        for duty in ("prevention", "relief"):
            start, end, reason = (row[f"{duty}_{part}"] for part in ("start", "end", "end_reason"))
            assert (reason == "none") == (end == "")
            assert not end or start <= end <= last
        assert bool(row["prevention_start"]) == (row["assessment_outcome"] == "prevention_owed")
        at_once, became = row["assessment_outcome"] == "relief_owed", row["prevention_end_reason"] == "homeless"
        assert bool(row["relief_start"]) == (at_once or became)
        if row["relief_start"]:
            assert row["relief_start"] == (row["prevention_end"] if became else row["assessment_date"])
        if row["main_duty_decision"] != "none":
            assert row["relief_end_reason"] == "elapsed_56_days"
            assert row["relief_end"] <= row["main_duty_decision_date"] <= last


def test_payments_and_the_programme_lower_relief_as_stated(rows):
    """Within strata that the chance of relief hangs on, so that nothing else is in the difference."""
    ended = [row for row in rows if row["prevention_end"]]
    for adds, treated in (
        (made_up.PAYMENT_ADDS, lambda row: row["prevention_activity"] in PAYMENTS),
        (made_up.PROGRAMME_ADDS, lambda row: row["intervention_code"] == "programme_01"),
    ):
        pooled, spread = _pooled(ended, treated)
        assert abs(pooled - adds) < 4 * spread
        assert pooled + 4 * spread < 0


def _pooled(records, treated):
    strata = defaultdict(lambda: [[0, 0], [0, 0]])
    for row in records:
        other = (row["prevention_activity"] in PAYMENTS, row["intervention_code"] == "programme_01")
        found = strata[
            row["household_type"], row["prior_approach_24m"], other[1] if treated(row) == other[0] else other[0]
        ]
        found[treated(row)][0] += 1
        found[treated(row)][1] += bool(row["relief_start"])
    top = bottom = variance = 0.0
    for (n0, c), (n1, a) in strata.values():
        if n0 and n1:
            weight = n0 * n1 / (n0 + n1)
            top += weight * (a / n1 - c / n0)
            bottom += weight
            variance += weight**2 * 0.25 * (1 / n1 + 1 / n0)
    return top / bottom, variance**0.5 / bottom


def test_families_wait_longer_for_a_home(rows):
    """Of those whose relief began early enough, by a plain Kaplan-Meier count of homes against all other endings."""
    medians = {}
    for group in ("with_children", "without_children"):
        groups = SCHEMA.dataset("case").column("household_with_children").derivation
        own = [
            r
            for r in rows
            if r["relief_start"] and r["relief_start"] < "2025-07-01" and groups[r["household_type"]] == group
        ]
        spells = sorted(
            (
                (date.fromisoformat(r["relief_end"] or UNTIL.isoformat()) - date.fromisoformat(r["relief_start"])).days,
                r["relief_end_reason"] != "secured",
            )
            for r in own
        )
        surviving, waiting = 1.0, len(spells)
        for days, censored in spells:
            if not censored:
                surviving *= 1 - 1 / waiting
            waiting -= 1
            if surviving <= 0.5:
                medians[group] = days
                break
    for group, found in medians.items():
        assert abs(found / made_up.MEDIAN_WAIT[group] - 1) < 0.2
    assert medians["with_children"] > medians["without_children"]


def test_families_losing_a_private_tenancy_rise_through_the_year(rows):
    schema = SCHEMA.dataset("case")
    groups, kinds = schema.column("reason_loss_group").derivation, schema.column("household_with_children").derivation
    counted = Counter(
        (int(row["assessment_date"][5:7]) - 1) // 3
        for row in rows
        if groups[row["reason_loss"]] == "end_of_ast" and kinds[row["household_type"]] == "with_children"
    )
    # 0.7 of the last quarter's number in the first: a difference far beyond what chance would make.
    assert counted[0] < 0.85 * counted[3]
    others = Counter(
        (int(row["assessment_date"][5:7]) - 1) // 3
        for row in rows
        if groups[row["reason_loss"]] != "end_of_ast"
        and row["assessment_outcome"] in {"prevention_owed", "relief_owed"}
    )
    assert others[0] == others[3]


def test_other_tables_belong_to_cases_and_keep_within_the_bounds(year, others):
    cases = {row["case_key"]: row for row in year[NEWCASTLE].rows()}
    for table in others.values():
        assert len(table) > 100
        for row in table.rows():
            assert row["household_key"] == cases[row["case_key"]]["household_key"]
    needs, stays, contacts = (others[name] for name in ("support_need", "ta_placement", "event"))
    assert max(Counter(needs.columns["household_key"].tolist()).values()) == MOST_NEEDS
    pairs = Counter(zip(needs.columns["household_key"].tolist(), needs.columns["need"].tolist(), strict=True))
    assert set(pairs.values()) == {1}
    assert max(Counter(stays.columns["household_key"].tolist()).values()) == MOST_PLACEMENTS
    met = [row["household_key"] for row in contacts.rows() if row["kind"] == "rough_sleeping_contact"]
    assert max(Counter(met).values()) == MOST_CONTACTS
    for row in stays.rows():
        assert cases[row["case_key"]]["relief_start"] <= row["start"]
        assert not row["end"] or row["start"] < row["end"] <= UNTIL.isoformat()
    for row in contacts.rows():
        day = date.fromisoformat(row["at"])
        assert row["weekday"] == f"{day:%A}".lower()
        assert row["at"] <= cases[row["case_key"]]["application_date"]


def test_needs_are_as_frequent_as_published_and_some_come_together(year):
    codes, shares = need_shares()
    owed = sum(
        row["assessment_outcome"] in {"prevention_owed", "relief_owed"} for c in year.values() for row in c.rows()
    )
    held = defaultdict(set)
    for cases in year.values():
        for row in support_needs(cases, 3).rows():
            held[f"{cases.council}/{row['household_key']}"].add(row["need"])
    counted = Counter(need for needs in held.values() for need in needs)
    for code, share in zip(codes.tolist(), shares.tolist(), strict=True):
        # The bound of five takes a few away from households with many.
        assert 0.8 * share - 0.005 < counted[code] / owed < 1.2 * share + 0.005, code
    one, other = COMPLEX_NEEDS[:2]
    both = sum({one, other} <= needs for needs in held.values())
    assert both * owed > 1.2 * counted[one] * counted[other]


def test_people_sleeping_rough_are_met_at_the_stated_times(year):
    met = [row for cases in year.values() for row in events(cases, 3).rows() if row["kind"] == "rough_sleeping_contact"]
    walks = [row for row in met if row["weekday"] in OUTREACH_DAYS and row["time_block"] == OUTREACH_BLOCK]
    even = len(met) * len(OUTREACH_DAYS) / 42
    assert len(walks) > 3 * even


def test_every_system_has_a_heading_for_every_journey_column():
    for style in styles().values():
        assert set(style.journey_headings) == set(JOURNEY_COLUMNS)
        headings = [*style.headings.values(), *style.journey_headings.values(), *style.never_read.values()]
        assert len({heading.casefold() for heading in headings}) == len(headings)


@pytest.mark.parametrize("council", NORTH_EAST[:4])
def test_an_extract_with_journeys_is_read_back_by_its_mapping(tmp_path, council):
    """Every system's spelling of every new column is understood: what is read is what was recorded."""
    from council_node.mapping import load_mapping
    from council_node.sources.load import load_extract

    cases = with_journeys(synthesise(council, 1), 1)
    recorded = write_extract(cases, tmp_path / "extract.csv", seed=1)
    write_mapping(tmp_path / "mapping.yaml", style_of(council), columns=cases.columns)
    mapping = load_mapping(tmp_path / "mapping.yaml", SCHEMA)
    dataset = SCHEMA.dataset("case")
    with load_extract(mapping, dataset, JOURNEY_COLUMNS, directory=tmp_path, run_key=bytes(16)) as extract:
        read = extract.connection.execute(f"SELECT {', '.join(sorted(JOURNEY_COLUMNS))} FROM canonical_rows").fetchall()
    objecting = {row["household_key"] for row in recorded.rows() if row["opted_out"] == "yes"}
    wanted = Counter(
        tuple(_stored(row[name], dataset.column(name)) for name in sorted(JOURNEY_COLUMNS))
        for row in recorded.rows()
        if row["household_key"] not in objecting
    )
    assert Counter(read) == wanted


def _stored(text, column):
    if column.type is ColumnType.CATEGORY:
        return column.code_list.index(text)
    return date.fromisoformat(text) if text else None


def test_a_canonical_table_has_no_column_that_is_never_read():
    style = canonical_style("event")
    assert style.never_read == {}
    assert "weekday" in style.headings
