"""What a plan tells before anything is spent: margins by losses, cells usable, the smallest epsilon for a goal."""

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

from federated.cli import app
from federated.cohort import possible_rounds
from federated.commands import planning as commands
from federated.epsilon_search import MarginGoal, UsableGoal, least_epsilon
from federated.errors import FileProblem, QueryError
from federated.expected_figures import read_expected
from federated.plan_summary import summarise
from federated.planner import Planner
from federated.presentation import USABLE_MARGIN
from federated.privacy import Mechanism, Totals
from federated.query import DatePart, Dimension, Equals, Level, Named, Period, Table, measured, write_query
from federated.release import CouncilRecord, make_release
from federated.usable_cells import cell_margins, uses_at_other_levels, uses_of
from protocols.identifiers import CouncilId, RoundId
from tests.unit.federated import planning as given

SEX = Table(name="sex", statistic="households", by=(Dimension(column="main_sex"),))
CHILDREN = Table(
    name="children",
    statistic="mean",
    measures=(measured("dependent_children_n", 0, 6),),
    by=(Dimension(column="main_sex"),),
)
COUNCILS = [str(council.id) for council in given.councils()]
SCHEMA = given.SCHEMA


def planner(count=12, committed=None, epsilon=Fraction(1), **agreed):
    return Planner(
        agreement=given.agreement(count, epsilon=epsilon).model_copy(update=agreed),
        roster=given.roster(count),
        schema=SCHEMA,
        terms=given.terms(),
        committed=committed or {},
    )


PLANNER = planner()


def csv_file(folder, *lines):
    path = folder / "public.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def expected(folder, *lines, asked=None):
    return read_expected(csv_file(folder, *lines), asked=asked or PLANNER.plan(given.question(SEX)).eligible)


# Losses


def test_margins_are_given_for_every_loss_of_a_small_group():
    plan = planner(20).plan(given.question(SEX))
    summary = summarise(plan)
    row = summary.tables[0]
    assert summary.losses == (0, 1, 2)
    for lost, margin in zip(summary.losses, row.margins_lost, strict=True):
        law = plan.released_noise(0, joined=20, contributors=20 - lost)
        assert margin == float(law.half_width(Fraction(95, 100))[0])
    assert row.margin_all == row.margins_lost[0]
    assert row.margin_fewest == row.margins_lost[-1]


def test_many_losses_are_shown_by_a_few_from_none_to_the_most():
    summary = summarise(planner(100).plan(given.question(SEX)))
    assert summary.losses == (0, 2, 5, 7, 10)


def test_few_that_join_draw_larger_shares_which_the_summary_shows():
    plan = planner(100, epsilon=Fraction(1, 10)).plan(given.question(SEX, epsilon=Fraction(1, 10)))
    fewest = possible_rounds(plan.rules)[0].n
    (row,) = summarise(plan).tables
    law = plan.released_noise(0, joined=fewest, contributors=fewest)
    assert row.margin_few_joined == float(law.half_width(Fraction(95, 100))[0]) > row.margin_all


@pytest.mark.parametrize("mechanism", Mechanism)
def test_each_table_says_which_part_of_the_cost_it_takes(mechanism):
    wide = replace(CHILDREN, statistic="sum", measures=(measured("dependent_children_n", 0, 60),), name="wide")
    many = replace(SEX, name="many", by=(Dimension(column="main_sex"), Dimension(column="main_age_band")))
    count, large, crossed = summarise(planner(20).plan_with(given.question(SEX, wide, many), mechanism)).tables
    assert count.part_of_cost + large.part_of_cost + crossed.part_of_cost == pytest.approx(1, abs=1e-6)
    # A wide bound takes nothing from the count beside it (ADR 0009); nine times the cells take more.
    assert large.part_of_cost == pytest.approx(count.part_of_cost, rel=1e-3)
    factor = 9 ** (1 / 3) if mechanism is Mechanism.DISCRETE_LAPLACE else 3
    assert crossed.part_of_cost / count.part_of_cost == pytest.approx(factor, rel=1e-3)


# Expected figures


def test_figures_by_category_give_the_vector_in_the_table_s_order(tmp_path):
    found = expected(tmp_path, "main_sex,households", "female,500", "not_known,3", 'male,"1,200"')
    plan = PLANNER.plan(given.question(SEX))
    totals = found.totals(plan, 0, SCHEMA)
    assert plan.tables[0].layout.axes[0].codes == ("male", "female", "not_known")
    assert totals.totals.tolist() == [1200, 500, 3]
    assert not totals.scaled


def test_a_single_total_is_given_by_one_figure_or_by_areas(tmp_path):
    total = Table(name="total", statistic="households")
    desk = planner(20)
    everywhere = desk.plan(given.question(total))
    region = desk.plan(given.question(replace(total, level=Level.REGION)))
    whole = expected(tmp_path, "households", "750", asked=everywhere.eligible)
    assert whole.totals(everywhere, 0, SCHEMA).totals.tolist() == [750]
    assert whole.totals(region, 0, SCHEMA).totals.tolist() == [750 * 12 / 20]
    assert whole.totals(region, 0, SCHEMA).scaled
    lines = [f"{council},{10 + number}" for number, council in enumerate(everywhere.eligible)]
    areas = expected(tmp_path, "council,households", *lines, asked=everywhere.eligible)
    assert areas.totals(everywhere, 0, SCHEMA).totals.tolist() == [390]


def test_council_figures_are_added_over_the_councils_asked_and_no_others(tmp_path):
    lines = [f"{council},female,10" for council in COUNCILS]
    found = expected(tmp_path, "council,main_sex,households", *lines, "E09000001,female,9999")
    totals = found.totals(PLANNER.plan(given.question(SEX)), 0, SCHEMA)
    assert totals.totals.tolist() == [0, 120, 0]
    assert not totals.scaled
    part = expected(tmp_path, "council,main_sex,households", *lines[:6]).totals(
        PLANNER.plan(given.question(SEX)), 0, SCHEMA
    )
    assert part.totals.tolist() == [0, 120, 0]
    assert part.scaled


def test_region_figures_are_scaled_by_the_councils_asked_in_the_region(tmp_path):
    in_region = sum(council.region == "E12000001" for council in SCHEMA.councils.values())
    for count, scaled in ((in_region, False), (in_region - 1, True)):
        plan = planner(count).plan(given.question(replace(SEX, level=Level.REGION)))
        lines = ("E12000001,male,600", "E12000007,male,9999")
        found = expected(tmp_path, "region,main_sex,households", *lines, asked=plan.eligible)
        totals = found.totals(plan, 0, SCHEMA)
        assert totals.totals.tolist() == pytest.approx([600 * count / in_region, 0, 0])
        assert totals.scaled is scaled


def test_a_council_under_its_new_code_is_counted(tmp_path):
    desk = planner(12)
    councils = (*desk.agreement.groups[0].councils[:-1], CouncilId("E08000038"))
    plan = PLANNER.plan(given.question(SEX))
    renamed = replace(plan, group=plan.group.model_copy(update={"councils": councils}))
    found = expected(tmp_path, "council,main_sex,households", "E08000038,female,7", asked=councils)
    totals = found.totals(renamed, 0, SCHEMA)
    assert totals.totals.tolist() == [0, 7 * 12, 0]
    assert totals.scaled


def test_kinds_of_geography_are_not_mixed_and_columns_are_not_guessed(tmp_path):
    plan = PLANNER.plan(given.question(SEX))
    for lines, message in (
        (("region,main_sex,households", "E12000001,male,6", ",male,7"), "count twice"),
        (("main_sex,figure", "male,6"), "not there"),
        (("sex,households", "male,6"), "no column 'main_sex'"),
        (("table,main_sex,households", "other,male,6"), "no figures"),
        (("main_sex,households", "male,inf"), "not a figure"),
    ):
        with pytest.raises(QueryError, match=message):
            expected(tmp_path, *lines).totals(plan, 0, SCHEMA)


def test_a_file_that_is_neither_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    for content in (b"", b"\xff\xfe\x00", b"{}"):
        path.write_bytes(content)
        with pytest.raises(FileProblem):
            read_expected(path, asked=())
    with pytest.raises(FileProblem, match="cannot be read"):
        read_expected(tmp_path / "none.csv", asked=())


def test_a_mean_is_given_by_its_mean_and_count(tmp_path):
    found = expected(tmp_path, "main_sex,mean,households", "male,0.5,400", "female,1.5,600", "not_known,0,0")
    plan = PLANNER.plan(given.question(CHILDREN))
    totals = found.totals(plan, 0, SCHEMA).totals
    assert totals.tolist() == [200, 900, 0, 400 * 5.5, 600 * 4.5, 0]
    margins = cell_margins(plan, 0, totals)
    assert margins.figures[:2].tolist() == pytest.approx([0.5, 1.5])
    assert np.isnan(margins.figures[2])
    assert 0 < margins.margins[1] < margins.margins[0] < 0.5


class Sum:
    """What `make_release` reads of a finished round."""

    def __init__(self, plan, totals):
        self.u1 = self.u3 = plan.eligible
        self.thresholds = plan.rules.thresholds(len(plan.eligible))
        self.total = np.array(totals, dtype=np.int64)
        self.h2, self.input_digests, self.statements, self.opening = bytes(32), {}, (), b""


def released(plan, totals):
    return make_release(
        plan,
        Sum(plan, totals),
        schema=SCHEMA,
        sid=RoundId(bytes(32)),
        councils=[CouncilRecord(council=council, name=council, outcome="contributed") for council in plan.eligible],
        now=datetime(2026, 1, 1, tzinfo=UTC),
        software="0",
    )


def test_an_earlier_release_is_read_with_its_noise_cut_at_zero_and_its_dates_by_their_order(tmp_path):
    by_month = Table(
        name="months", statistic="households", by=(Dimension(column="assessment_date", part=DatePart.MONTH),)
    )
    earlier = given.question(
        by_month, period=Period(column="assessment_date", start=date(2024, 1, 1), end=date(2024, 3, 31))
    )
    path = tmp_path / "release.json"
    path.write_bytes(released(PLANNER.plan(earlier), [700, 800, -4]).encode())
    plan = PLANNER.plan(given.question(by_month))
    found = read_expected(path, asked=plan.eligible)
    assert found.totals(plan, 0, SCHEMA).totals.tolist() == [700, 800, 0]
    other = PLANNER.plan(given.question(replace(by_month, statistic="rows", max_cells=2)))
    with pytest.raises(QueryError, match="is not the table asked for"):
        found.totals(other, 0, SCHEMA)


def test_of_a_fit_in_several_rounds_nothing_is_expected_and_the_summary_says_what_each_round_costs(tmp_path):
    fit = Table(
        name="fit",
        statistic="logistic_rounds",
        measures=(measured("dependent_children_n", 0, 6),),
        conditions=(Named(name="male", where=Equals(column="main_sex", value="male")),),
        rounds=6,
    )
    plan = PLANNER.plan(given.question(fit))
    assert plan.mechanism is Mechanism.DISCRETE_GAUSSIAN
    with pytest.raises(QueryError, match="no figures can be expected"):
        expected(tmp_path, "estimate", "1").totals(plan, 0, SCHEMA)
    summary = summarise(plan)
    assert any(line.startswith("Rounds: 6, each charged") for line in summary.lines)
    assert sum(row.part_of_cost for row in summary.tables) == pytest.approx(1, abs=1e-3)


# Cells usable


def test_the_share_usable_is_that_of_cells_within_a_fifth(tmp_path):
    plan = PLANNER.plan(given.question(SEX))
    margin = summarise(plan).tables[0].margin_all
    edge = margin * 5
    found = expected(tmp_path, "main_sex,households", f"male,{edge}", f"female,{edge - 0.1}", "not_known,0")
    (use,) = uses_of(plan, found, PLANNER, within=USABLE_MARGIN, level="x")
    assert use.usable == Fraction(1, 3)
    assert use.typical == use.widest == margin
    (wider,) = uses_of(plan, found, PLANNER, within=Fraction(1, 4), level="x")
    assert wider.usable == Fraction(2, 3)


def test_other_levels_are_compared_and_those_not_possible_say_why(tmp_path):
    two = given.agreement()
    groups = (*two.groups, two.groups[0].model_copy(update={"name": "fewer", "councils": two.groups[0].councils[:10]}))
    desk = planner(groups=groups)
    plan = desk.plan(given.question(SEX))
    lines = [f"{council},female,10" for council in COUNCILS]
    found = expected(tmp_path, "council,main_sex,households", *lines)
    uses = list(uses_at_other_levels(plan, found, desk, within=USABLE_MARGIN))
    assert [use.level for use in uses] == ["By region", "All of Test group"]
    assert [bool(use.problem) for use in uses] == [False, False]
    assert uses[0].cells == 3
    alone = planner(12)
    scattered = replace(alone, agreement=alone.agreement.model_copy(update={"min_cohort": 12}))
    uses = list(uses_at_other_levels(scattered.plan(given.question(SEX)), found, scattered, within=USABLE_MARGIN))
    assert [use.level for use in uses] == ["By region"]
    has_region = "no region has enough" not in uses[0].problem
    assert has_region is (sum(SCHEMA.councils[CouncilId(c)].region == "E12000001" for c in COUNCILS) >= 12)


# The smallest epsilon


@pytest.mark.parametrize(("tables", "margin"), [(1, 15), (3, 40), (12, 60)])
def test_the_epsilon_found_meets_the_margin_and_a_thousandth_less_does_not(tables, margin):
    asked = given.question(*(replace(SEX, name=f"t{index}") for index in range(tables)))
    found = least_epsilon(asked, MarginGoal(margin=Fraction(margin)), PLANNER)
    assert 1000 % found.epsilon.denominator == 0
    assert PLANNER.plan(replace(asked, epsilon=found.epsilon)) == found.plan
    assert max(row.margin_all for row in summarise(found.plan).tables) <= margin
    less = PLANNER.plan(replace(asked, epsilon=found.epsilon - Fraction(1, 1000)))
    assert max(row.margin_all for row in summarise(less).tables) > margin


def test_a_goal_out_of_reach_is_refused_with_the_best_there_is():
    asked = given.question(*(replace(SEX, name=f"t{index}") for index in range(12)))
    best = summarise(PLANNER.plan(asked)).tables[0].margin_all
    with pytest.raises(QueryError, match=f"The most, 1, reaches ± {best:.1f}"):
        least_epsilon(asked, MarginGoal(margin=Fraction(15)), PLANNER)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_one_mechanism_s_margins_only_get_better_as_epsilon_rises(mechanism):
    asked = given.question(*(replace(SEX, name=f"t{index}") for index in range(3)))
    margins = [
        summarise(PLANNER.plan_with(replace(asked, epsilon=Fraction(step, 1000)), mechanism)).tables[0].margin_all
        for step in range(100, 1000, 19)
    ]
    assert all(after <= before for before, after in pairwise(margins))
    assert margins[0] > margins[-1]


def test_the_smallest_epsilon_for_usable_cells_is_found(tmp_path):
    asked = given.question(SEX)
    found = expected(tmp_path, "main_sex,households", "male,400", "female,60", "not_known,1")
    totals = (found.totals(PLANNER.plan(asked), 0, SCHEMA).totals,)
    half = least_epsilon(asked, UsableGoal(least=Fraction(1, 3), within=USABLE_MARGIN, totals=totals), PLANNER)
    more = least_epsilon(asked, UsableGoal(least=Fraction(2, 3), within=USABLE_MARGIN, totals=totals), PLANNER)
    assert summarise(half.plan).tables[0].margin_all <= 80
    assert summarise(more.plan).tables[0].margin_all <= 12
    assert half.epsilon < more.epsilon < 1
    with pytest.raises(QueryError, match=r"reaches 66\.7% of the cells"):
        least_epsilon(asked, UsableGoal(least=Fraction(1), within=USABLE_MARGIN, totals=totals), PLANNER)


def test_what_is_left_of_the_budget_is_the_ceiling():
    asked = given.question(SEX)
    goal = MarginGoal(margin=Fraction(6))
    found = least_epsilon(asked, goal, PLANNER)
    left = found.epsilon - Fraction(1, 100)
    # A Gaussian charge in the past leaves the zCDP side only; here it leaves next to nothing.
    council = PLANNER.plan(asked).eligible[0]
    used = {council: Totals(epsilon=8 - left, rho=PLANNER.budget.rho)}
    with pytest.raises(QueryError, match="No epsilon that is allowed and still affordable"):
        least_epsilon(asked, goal, planner(committed=used))
    used = {council: Totals(epsilon=8 - found.epsilon, rho=PLANNER.budget.rho)}
    assert least_epsilon(asked, goal, planner(committed=used)).epsilon == found.epsilon
    assert "It takes 100% of what is left" in least_epsilon(asked, goal, planner(committed=used)).room.words


def test_a_plan_says_what_it_takes_of_what_is_left_and_what_would_refuse_it():
    plan = PLANNER.plan(given.question(SEX))
    assert PLANNER.room(plan).used == Fraction(1, 8)
    (said,) = [line for line in summarise(plan, room=PLANNER.room(plan)).lines if "what is left" in line]
    assert said == "It takes 12.5% of what is left of the year at the council with the least."
    council = plan.eligible[3]
    spent = planner(committed={council: Totals(epsilon=Fraction(15, 2), rho=PLANNER.budget.rho)})
    room = spent.room(plan)
    assert (room.left.epsilon, room.left.rho, room.used) == (Fraction(1, 2), 0, 2)
    assert "room for epsilon 0.5" in room.words
    assert "refused" in planner(epsilon=Fraction(1, 2)).room(plan).words


def test_a_goal_about_totals_is_refused_for_figures_that_are_none():
    with pytest.raises(QueryError, match="not totals"):
        least_epsilon(given.question(CHILDREN), MarginGoal(margin=Fraction(5)), PLANNER)
    with pytest.raises(QueryError, match="no table 'x'"):
        least_epsilon(given.question(SEX), MarginGoal(margin=Fraction(5), table="x"), PLANNER)


def test_noise_that_the_sampler_cannot_draw_is_refused_at_every_epsilon():
    dear = Table(name="t", statistic="sum", measures=(measured("dependent_children_n", 0, 1_000_000),))
    with pytest.raises(QueryError, match="exact sampler"):
        least_epsilon(given.question(dear), MarginGoal(margin=Fraction(5)), PLANNER)


# The command


class Centre:
    """A client with no connection."""

    def planner(self, *, agreement, manifest):
        assert (agreement, manifest) == (None, b"manifest")
        return PLANNER


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "connect", lambda _: nullcontext(Centre()))
    (tmp_path / "m.yaml").write_bytes(b"manifest")

    def run(question, *options):
        (tmp_path / "q.yaml").write_text(write_query(question), encoding="utf-8")
        arguments = ["plan", str(tmp_path / "q.yaml"), "--manifest", str(tmp_path / "m.yaml"), *options]
        return CliRunner().invoke(app, arguments)

    return run


def test_the_command_prints_losses_uses_and_the_epsilon_to_write(ask, tmp_path):
    public = csv_file(tmp_path, "main_sex,mean,households", "male,0.5,400", "female,1.5,600", "not_known,0,0")
    done = ask(given.question(SEX, CHILDREN), "--expect", str(public))
    assert done.exception is None, done.output
    for words in ("None lost", "1 lost", "Few join", "mean *", "As asked", "By region", "Usable within 20%"):
        assert words in done.output
    # The question's own epsilon is too small to be planned with.
    found = ask(given.question(SEX, epsilon=Fraction(1, 10**30)), "--margin", "20")
    assert 'write: epsilon: "0.' in found.output
    assert found.output.count("of what is left of the year") == 1


def test_the_command_gives_the_same_as_json(ask, tmp_path):
    public = csv_file(tmp_path, "main_sex,households", "male,400", "female,600", "not_known,1")
    done = ask(given.question(SEX), "--expect", str(public), "--usable-cells", "60%", "--within", "1/10", "--json")
    document = json.loads(done.stdout)
    found = document["found"]
    assert document["uses"][0]["usable"] == pytest.approx(2 / 3)
    assert document["within"] == "1/10"
    assert document["epsilon"] == str(Fraction(found["epsilon"]))
    assert document["tables"][0]["margins_lost"].keys() == {"0", "1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--usable-cells", "10%"), "needs figures"),
        (("--usable-cells", "10%", "--margin", "3"), "Two goals"),
        (("--margin", "-3"), "above 0"),
        (("--within", "120%"), "at most 100%"),
        (("--margin", "wide"), "exact number"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused(ask, options, message):
    refusal = ask(given.question(SEX), *options).exception
    assert isinstance(refusal, QueryError)
    assert message in str(refusal)
