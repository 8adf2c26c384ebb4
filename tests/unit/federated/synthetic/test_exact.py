"""The truth of every statistic: counted by eye on a few rows, then against a council node's own count of a year."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from council_node.counting import Holding, Reading
from council_node.mapping import load_mapping
from council_node.settings import Limits
from council_node.sources.layout import CaseTable
from federated.errors import InternalError
from federated.query import Query
from federated.query.builder import ask, column, days
from federated.schema import load_schema
from federated.statistics import statistic
from federated.synthetic import Cases, style_of, write_extract, write_mapping
from federated.synthetic.exact import Recorded, exact_totals, held
from federated.synthetic.styles import canonical_style
from tests.docs.twelve_questions import FOLDER, questions
from tests.spec.council import RUN_KEY, Planned, layout_of

SCHEMA = load_schema()
HARTLEPOOL = "E06000001"
NEWCASTLE = "E08000021"
"""Large enough that every question counts somebody."""
REGION = SCHEMA.council(HARTLEPOOL).region
REGIONS = [(code.code, code.label) for code in SCHEMA.regions if code.code == REGION]


def table(dataset, **columns):
    names = {name: np.array(texts, dtype=str) for name, texts in columns.items()}
    return Cases(council=HARTLEPOOL, period=None, columns=names, imputed=(), dataset=dataset)


CASES = table(
    "case",
    case_key=["c1", "c2", "c3"],
    household_key=["h1", "h2", "h3"],
    assessment_date=["2025-02-01", "2025-02-02", "2025-02-03"],
    opted_out=["no", "no", "yes"],
)
STAYS = table(
    "ta_placement",
    case_key=["c1", "c1", "c1", "c2", "c3", "c2"],
    household_key=["h1", "h1", "h1", "h2", "h3", "h2"],
    ta_type=["hostel"] * 6,
    start=["2025-03-01", "2025-03-01", "2025-05-01", "2025-06-01", "2025-06-01", ""],
    end=["2025-03-11", "2025-03-11", "", "2025-06-03", "2025-06-09", "2025-07-01"],
    nightly_cost_gbp=["40", "40", "50", "", "60", "70"],
)


def planned(question):
    return [Planned(item, layout_of(item, question, REGIONS)) for item in question.tables]


def stays(kind, **more):
    asking = ask("Stays", of="ta_placement", group="pilot", epsilon="1").during("start", *_year())
    return asking.table("stays", kind, by=["ta_type"], **more).query()


def _year():
    return date(2025, 1, 1), date(2025, 12, 31)


def hostel(question, recorded=None):
    """The numbers of hostels, block by block."""
    (plan,) = planned(question)
    (totals,) = exact_totals([recorded or Recorded(cases=CASES, others={"ta_placement": STAYS})], question, [plan])
    place = [axis.codes.index("hostel") for axis in plan.layout.axes[:1]]
    return totals.reshape(len(plan.layout.blocks), *plan.layout.shape)[:, place[0]].tolist()


def test_a_weighted_mean_by_eye():
    """Ten nights at 40 (written twice, counted once) and five at 50; without a cost, an objector and without a start."""
    length = days("start", "end", until=date(2025, 5, 6))
    question = stays(
        "weighted_mean", measures=[column("nightly_cost_gbp").within(0, 100), length.within(0, 180)], max_cells=2
    )
    assert hostel(question) == [10 * 40 + 5 * 50, 10 * 60 + 5 * 50]


def test_rows_are_counted_once_and_objections_are_honoured():
    assert hostel(stays("rows", max_cells=2)) == [3]
    assert hostel(stays("households")) == [2]


def test_a_date_is_copied_from_the_case():
    needs = table(
        "support_need",
        case_key=["c1", "c2", "c2"],
        household_key=["h1", "h2", "h2"],
        need=["old_age", "old_age", "mental_health"],
    )
    asking = ask("Needs", of="support_need", group="pilot", epsilon="1").during("assessment_date", *_year())
    question = asking.table("needs", "co_occurrence", by=["need"], max_cells=2).query()
    (totals,) = exact_totals([Recorded(cases=CASES, others={"support_need": needs})], question, planned(question))
    codes = planned(question)[0].layout.axes[0].codes
    found = {code: int(n) for code, n in zip(codes, totals, strict=True) if n}
    assert found == {"old_age+old_age": 2, "mental_health+mental_health": 1, "mental_health+old_age": 1}


def test_there_is_no_truth_where_it_would_hang_on_a_draw():
    with pytest.raises(InternalError, match="hang on a draw"):
        hostel(stays("rows", max_cells=1))


def test_an_interval_holds_its_ends_and_nothing_beyond():
    assert held(1.0, 2.0, 2.0) is True
    assert held(1.0, 2.0, 2.1) is False
    assert held(1.0, 2.0, None) is None


@pytest.fixture(scope="module")
def council(tmp_path_factory):
    """A council's year on disk, and what its files hold."""
    import sys

    sys.path.insert(0, str(FOLDER))
    try:
        from ask import a_year
    finally:
        sys.path.remove(str(FOLDER))
    folder = tmp_path_factory.mktemp("council")
    held_tables, holdings = {}, {}
    for made in a_year(NEWCASTLE, 1):
        style = style_of(NEWCASTLE) if made.dataset == "case" else canonical_style(made.dataset)
        held_tables[made.dataset] = write_extract(made, folder / f"{made.dataset}.csv", seed=1, style=style)
        mapping = folder / f"{made.dataset}.yaml"
        write_mapping(mapping, style, file=f"{made.dataset}.csv", columns=made.columns, dataset=made.dataset)
        holdings[made.dataset] = load_mapping(mapping, SCHEMA)
    cases = CaseTable(mapping=holdings["case"], dataset=SCHEMA.dataset("case"), directory=folder)
    return (
        Recorded(cases=held_tables.pop("case"), others=held_tables),
        {
            name: Holding(
                mapping=mapping,
                dataset=SCHEMA.dataset(name),
                directory=folder,
                cases=None if name == "case" else cases,
            )
            for name, mapping in holdings.items()
        },
    )


@pytest.mark.drawn(6)
@pytest.mark.parametrize("name", questions())
def test_a_council_node_counts_the_same(council, name):
    """The node reads the messy files through its mapping; the truth comes from the records they were made of."""
    recorded, holdings = council
    question: Query = replace(questions()[name], epsilon=Fraction(1))
    plans = planned(question)
    reading = Reading(run_key=RUN_KEY, limits=Limits.model_construct(memory_mib=400, threads=1))
    counted = holdings[question.dataset].count(question, plans, region=REGION, reading=reading, parts=1)
    steps = [statistic(plan.table.statistic).contribution(plan.table).step for plan in plans]
    totals = exact_totals([recorded], question, plans)
    expected = np.concatenate([(part + step // 2) // step for part, step in zip(totals, steps, strict=True)])
    assert counted.statistic.vector.tolist() == expected.tolist()
    assert expected.sum() > 0
