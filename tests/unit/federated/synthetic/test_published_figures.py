"""The project's copy of the published figures: complete, attributed, and tied to the schema's codes."""

from importlib.resources import files

import pytest

from federated.errors import QueryError
from federated.schema import NOT_KNOWN, load_schema
from federated.synthetic import ATTRIBUTION, SOURCE, published, published_columns, published_marginal
from federated.synthetic.published import measures, returned

COUNCILS = tuple(load_schema().councils)
CASE = load_schema().dataset("case")
HARTLEPOOL = "E06000001"
TORBAY = "E06000027"
SCILLY = "E06000053"
CANNOCK_CHASE = "E07000192"


@pytest.mark.parametrize(
    ("table", "measure", "england"),
    [
        ("A1", "Total initial assessments", 90_467),
        ("A2P", "Total owed a prevention duty", 37_476),
        ("A2R", "Total owed a relief duty", 45_628),
        ("A8", "Not known", 6_326),
        ("P1", "Contact lost", 3_031),
        ("R1", "Total number of households whose relief duty ended", 52_456),
        ("TA1", "Total number of households in TA", 115_637),
    ],
)
def test_councils_add_up_to_the_sums_the_source_states(table, measure, england):
    assert sum(published(table, council, measure) or 0 for council in COUNCILS) == england


def test_single_figures_missing_returns_and_suppression():
    assert published("A1", HARTLEPOOL, "Total initial assessments") == 176
    assert published("A1", TORBAY, "Total initial assessments") is None
    assert not returned("A1", TORBAY)
    assert returned("A6", SCILLY)
    assert published("A6", SCILLY, "16-17") is None


def test_what_does_not_exist_is_refused():
    with pytest.raises(QueryError, match="no published table 'A13'"):
        published("A13", HARTLEPOOL, "anything")
    with pytest.raises(QueryError, match="A1 has no measure 'Total'"):
        published("A1", HARTLEPOOL, "Total")
    with pytest.raises(QueryError, match="council code 'E06000999'"):
        published("A1", "E06000999", "Total initial assessments")
    with pytest.raises(QueryError, match="no published figures for the column 'main_gender_identity'"):
        published_marginal("main_gender_identity", HARTLEPOOL)
    with pytest.raises(QueryError, match="not published for households with the outcome 'relief_owed' alone"):
        published_marginal("main_age_band", HARTLEPOOL, outcome="relief_owed")


@pytest.mark.parametrize("name", published_columns())
def test_every_mapped_code_and_measure_exists_and_no_measure_counts_twice(name):
    column = published_columns()[name]
    codes = set(CASE.column(name).code_list)
    mapped = set(column.codes) | ({column.rest} if column.rest else set())
    assert mapped <= codes
    assert codes - mapped <= {NOT_KNOWN}
    assert len(set(column.codes.values())) == len(column.codes)
    outcomes = set(CASE.column("assessment_outcome").code_list)
    for part in column.parts:
        assert part.outcomes <= outcomes
        assert set(column.codes.values()) | {part.total} <= {*measures(part.table), *measures(part.total_table)}


@pytest.mark.parametrize("name", published_columns())
def test_the_codes_add_up_to_the_published_total_in_every_council(name):
    column = published_columns()[name]
    for council in COUNCILS:
        figures = published_marginal(name, council).values()
        totals = [published(part.total_table, council, part.total) for part in column.parts]
        if None not in figures:
            assert sum(figures) == sum(totals), council


def test_a_marginal_follows_the_schema_and_adds_prevention_to_relief():
    both = published_marginal("reason_loss", HARTLEPOOL)
    assert tuple(both) == CASE.column("reason_loss").code_list
    parts = [
        published_marginal("reason_loss", HARTLEPOOL, outcome=outcome) for outcome in ("prevention_owed", "relief_owed")
    ]
    assert both == {code: parts[0][code] + parts[1][code] for code in both}
    victim = "Domestic abuse | Victim"
    assert both["domestic_abuse_victim"] == published("A2P", HARTLEPOOL, victim) + published("A2R", HARTLEPOOL, victim)


def test_a_derived_column_adds_its_leaves_up_to_the_published_group():
    groups = published_marginal("main_ethnic_group_6", HARTLEPOOL)
    assert tuple(groups) == CASE.column("main_ethnic_group_6").code_list
    assert groups["white"] == published("A8", HARTLEPOOL, "White | Total")
    assert groups["other"] == published("A8", HARTLEPOOL, "Other ethnic group | Total")
    assert set(published_marginal("main_ethnic_group_6", SCILLY).values()) == {None}
    reasons = published_marginal("reason_loss_group", HARTLEPOOL, outcome="relief_owed")
    assert reasons["left_institution"] == published(
        "A2R", HARTLEPOOL, "Departure from institution | Total Departure from institution"
    )


def test_the_rest_is_what_the_total_leaves():
    notices = published_marginal("section21_notice", HARTLEPOOL)
    owed = published("A2P", HARTLEPOOL, "Total owed a prevention duty")
    assert notices["yes"] + notices["no"] == owed
    assert published_marginal("section21_notice", TORBAY) == {"yes": None, "no": None}


def test_nothing_is_known_of_the_rest_where_a_part_is_suppressed():
    assert published("A1", CANNOCK_CHASE, "Total initial assessments") is not None
    assert published_marginal("served_in_hm_forces", CANNOCK_CHASE) == {"yes": None, "no": None}


@pytest.mark.parametrize("package", ["federated.synthetic", "federated.schema"])
def test_the_attribution_stands_beside_every_copy(package):
    readme = " ".join(files(package).joinpath("README.md").read_text(encoding="utf-8").split())
    assert ATTRIBUTION in readme
    assert "Open Government Licence v3.0" in ATTRIBUTION
    assert "© Crown copyright 2025" in ATTRIBUTION
    assert "open-government-licence/version/3" in readme
    assert SOURCE.split(" (")[0] in readme.replace("*", "")
