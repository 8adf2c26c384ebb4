"""Step 4 against the plain-Python reference, over random small extracts, questions and contribution bounds."""

from collections import Counter
from datetime import date
from fractions import Fraction
from itertools import chain, combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from council_node.local_statistic import LocalStatistic, clamped, compute_local_statistic
from federated.errors import InternalError
from federated.privacy import Mechanism
from federated.query import (
    And,
    Between,
    DatePart,
    Days,
    Dimension,
    Equals,
    In,
    Level,
    Measured,
    Named,
    Not,
    Or,
    Period,
    Points,
    Table,
    Unknown,
    Value,
    measured,
)
from federated.statistics import statistic
from tests.spec.council import (
    QUARTER,
    REGIONS,
    RUN_KEY,
    Planned,
    case_dataset,
    extract_of,
    layout_of,
    node_vectors,
    pseudonym_of,
    question,
)
from tests.spec.reference_evaluator import by_household, reference_vector

SEXES = case_dataset().column("main_sex").code_list
TYPES = case_dataset().column("household_type").code_list[:4]
DAYS = (date(2024, 12, 31), date(2025, 1, 1), date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31), date(2025, 4, 1))
SMALL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

rows_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "household": st.sampled_from(["A", "B", "C"]),
            "main_sex": st.sampled_from(SEXES),
            "household_type": st.sampled_from((*TYPES, "not_known")),
            "assessment_date": st.sampled_from((*DAYS, None)),
            "application_date": st.sampled_from((*DAYS, None)),
            "dependent_children_n": st.sampled_from((0, 1, 2, 6, None)),
        }
    ),
    max_size=14,
)
dimension_strategy = st.one_of(
    st.sampled_from(("main_sex", "household_type")).map(lambda name: Dimension(column=name)),
    st.tuples(st.sampled_from(("assessment_date", "application_date")), st.sampled_from(tuple(DatePart))).map(
        lambda pair: Dimension(column=pair[0], part=pair[1])
    ),
)
breakdowns = st.lists(dimension_strategy, max_size=3, unique=True).map(tuple)
leaf = st.one_of(
    st.sampled_from(SEXES).map(lambda code: Equals(column="main_sex", value=code)),
    st.lists(st.sampled_from((*TYPES, "not_known")), max_size=3).map(
        lambda codes: In(column="household_type", values=tuple(codes))
    ),
    st.sampled_from((0, 2)).map(lambda low: Between(column="dependent_children_n", low=str(low), high="5")),
    st.sampled_from(DAYS).map(lambda day: Between(column="application_date", low=str(DAYS[1]), high=str(day))),
    st.sampled_from(("1", "6")).map(lambda value: Equals(column="dependent_children_n", value=value)),
    st.just(Equals(column="application_date", value="2025-01-31")),
    st.sampled_from(("application_date", "dependent_children_n")).map(lambda name: Unknown(column=name)),
)
conditions = st.recursive(
    leaf,
    lambda inner: st.one_of(
        inner.map(lambda item: Not(condition=item)),
        st.lists(inner, max_size=3).map(lambda items: And(conditions=tuple(items))),
        st.lists(inner, max_size=3).map(lambda items: Or(conditions=tuple(items))),
    ),
    max_leaves=5,
)


any_measure = st.one_of(
    st.just(Value(column="dependent_children_n")),
    st.sampled_from((None, DAYS[1], DAYS[-1])).map(
        lambda until: Days(start="assessment_date", end="application_date", until=until)
    ),
    st.tuples(st.integers(-2, 2), st.lists(st.tuples(conditions, st.integers(-3, 9)), max_size=3)).map(
        lambda drawn: Points(base=drawn[0], terms=tuple(drawn[1]))
    ),
)
MEASURES = {
    "households": 0,
    "rows": 0,
    "sum": 1,
    "mean": 1,
    "distribution": 1,
    "scores": 1,
    "variance": 1,
    "share": 0,
    "missing": 0,
    "ratio": 2,
    "weighted_mean": 2,
    "covariance": 2,
    "quantile": 1,
}
"""How many measures each statistic takes."""
EDGES = ((1,), (0, 2), (-3, 0, 3, 6), (-1, 0, 1, 5, 6, 20))


categories = st.sampled_from(("main_sex", "household_type")).map(lambda name: (Dimension(column=name),))
named_conditions = st.lists(conditions, min_size=2, max_size=4).map(
    lambda drawn: tuple(Named(name=f"n{place}", where=where) for place, where in enumerate(drawn))
)


@st.composite
def followed(draw, name: str):
    """Tables whose measures, pairs and bands the statistic makes itself."""
    kind = draw(st.sampled_from(("survival", "pathway", "co_occurrence")))
    edges = draw(st.sampled_from(((1,), (20, 40), (7, 28, 30, 56))))
    until = Days(start="application_date", end="assessment_date", until=draw(st.sampled_from((DAYS[2], DAYS[-1]))))
    return Table(
        name=name,
        statistic=kind,
        by=draw(categories if kind == "co_occurrence" else breakdowns),
        level=draw(st.sampled_from(tuple(Level))),
        max_cells=draw(st.integers(2, 3) if kind == "co_occurrence" else st.integers(1, 3)),
        measures=(Measured(measure=until, low=0, high=60),) if kind == "survival" else (),
        edges=edges if kind == "survival" else (),
        conditions=() if kind == "co_occurrence" else draw(named_conditions),
    )


@st.composite
def tables(draw, name: str):
    kind = draw(st.sampled_from((*MEASURES, "followed")))
    if kind == "followed":
        return draw(followed(name))
    bounds = st.sampled_from(((0, 6), (-1, 3), (1, 2), (-40, 60)))
    measures = tuple(
        Measured(measure=draw(any_measure), low=low, high=high)
        for low, high in draw(st.lists(bounds, min_size=MEASURES[kind], max_size=MEASURES[kind]))
    )
    named = draw(st.lists(conditions, min_size=1, max_size=2)) if kind in {"share", "missing"} else ()
    return Table(
        name=name,
        statistic=kind,
        by=draw(breakdowns),
        level=draw(st.sampled_from(tuple(Level))),
        max_cells=draw(st.integers(1, 3)),
        measures=measures,
        edges=draw(st.sampled_from(EDGES)) if kind in {"distribution", "scores", "quantile"} else (),
        conditions=tuple(Named(name=f"c{place}", where=where) for place, where in enumerate(named)),
        probabilities=(Fraction(1, 2),) if kind == "quantile" else (),
    )


@st.composite
def questions(draw):
    return question(draw(tables("one")), draw(tables("two")), where=draw(st.none() | conditions))


class NodeDraws:
    """The node's keyed numbers, asked of DuckDB one at a time: what is chosen by them is the reference's business."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:", config={"threads": 1})

    def __call__(self, household: str, identity: tuple[int, ...]) -> int:
        kinds = ("UBIGINT", *["BIGINT"] * (len(identity) - 1))
        places = ", ".join(f"?::{kind}" for kind in kinds)
        query = f"SELECT hash(hash(?::UHUGEINT, {places}))"
        return self.connection.execute(query, [pseudonym_of(household), *identity]).fetchone()[0]


@pytest.fixture(scope="module")
def draws():
    found = NodeDraws()
    yield found
    found.connection.close()


@SMALL
@given(rows=rows_strategy, table=followed("one"), where=st.none() | conditions)
def test_node_follows_what_the_reference_follows(draws, rows, table, where):
    asked = question(table, where=where)
    with TemporaryDirectory() as directory:
        found = node_vectors(Path(directory), rows, asked)
    layout = layout_of(table, asked)
    assert found == [reference_vector(rows, asked, table, layout, case_dataset(), region=REGIONS[0][0], draw=draws)]


@SMALL
@given(
    rows=rows_strategy,
    asked=questions(),
    region=st.sampled_from((REGIONS[0][0], REGIONS[2][0], "E12000009")),
    mechanism=st.sampled_from(tuple(Mechanism)),
)
def test_node_computes_what_the_reference_computes(draws, rows, asked, region, mechanism):
    with TemporaryDirectory() as directory:
        found = node_vectors(Path(directory), rows, asked, region=region, mechanism=mechanism)
    expected = [
        reference_vector(
            rows,
            asked,
            table,
            layout_of(table, asked),
            case_dataset(),
            region=region,
            draw=draws,
            mechanism=mechanism,
        )
        for table in asked.tables
    ]
    assert found == expected


@SMALL
@given(rows=rows_strategy, table=tables("one"), mechanism=st.sampled_from(tuple(Mechanism)))
def test_a_household_adds_the_same_whoever_else_is_there(rows, table, mechanism):
    # The promise behind every sensitivity: the vector is the sum of what each household adds alone, before rounding.
    assume(statistic(table.statistic).contribution(table).step == 1)
    asked = question(table)
    with TemporaryDirectory() as directory:
        together, *alone = (
            node_vectors(Path(directory), own, asked, mechanism=mechanism)[0]
            for own in (rows, *by_household(rows).values())
        )
    assert together == [sum(column) for column in zip(*alone, strict=True)] or (not alone and not any(together))


def sixty_households(rows_each):
    return [
        {"household": f"H{number}", "main_sex": sex, "assessment_date": QUARTER.start, "dependent_children_n": 1}
        for number in range(60)
        for sex in rows_each
    ]


@pytest.mark.parametrize("bound", [1, 2, 3])
@pytest.mark.parametrize("kind", ["households", "sum", "rows"])
def test_contribution_bound_holds_for_every_household(tmp_path, kind, bound):
    measure = {"measures": (measured("dependent_children_n", 0, 1),)} if kind == "sum" else {}
    table = Table(name="t", statistic=kind, by=(Dimension(column="main_sex"),), max_cells=bound, **measure)
    found = node_vectors(tmp_path, sixty_households(SEXES[:3]), question(table))[0]
    assert sum(found) == 60 * bound


@pytest.mark.parametrize(
    ("kind", "bound", "sizes"), [("households", 1, (1, 1, 1)), ("sum", 2, (1, 1, 1)), ("rows", 1, (4, 1, 1))]
)
def test_choice_prefers_no_cell_and_no_row(tmp_path, kind, bound, sizes):
    # 3,000 households; each cell or row should be kept with its fair probability, to five standard errors.
    measure = {"measures": (measured("dependent_children_n", 0, 1),)} if kind == "sum" else {}
    codes = list(chain.from_iterable([code] * size for code, size in zip(SEXES[:3], sizes, strict=True)))
    rows = [
        {"household": f"H{number}", "main_sex": code, "assessment_date": QUARTER.start, "dependent_children_n": 1}
        for number in range(3000)
        for code in codes
    ]
    table = Table(name="t", statistic=kind, by=(Dimension(column="main_sex"),), max_cells=bound, **measure)
    found = np.array(node_vectors(tmp_path, rows, question(table))[0][:3])
    fair = np.array(sizes) / sum(sizes) * bound
    assert np.all(np.abs(found - 3000 * fair) < 5 * np.sqrt(3000 * fair * (1 - np.minimum(fair, 0.99))))


def test_choice_changes_with_the_key_and_is_repeated_under_it(tmp_path):
    rows = sixty_households(SEXES[:3])
    asked = question(Table(name="t", statistic="households", by=(Dimension(column="main_sex"),)))
    first, again, other = (node_vectors(tmp_path, rows, asked, run_key=key) for key in (RUN_KEY, RUN_KEY, bytes(16)))
    assert first == again
    assert first != other


def test_only_the_councils_own_region_is_filled(tmp_path):
    rows = sixty_households(SEXES[:1])
    table = Table(name="t", statistic="households", by=(Dimension(column="main_sex"),), level=Level.REGION)
    cells = np.array(node_vectors(tmp_path, rows, question(table), region=REGIONS[1][0])[0]).reshape(3, -1)
    assert cells.sum() == 60
    assert cells[1].sum() == 60
    assert not any(node_vectors(tmp_path, rows, question(table), region="E12000009")[0])


def test_pairs_are_those_of_the_kept_cells_of_each_household(tmp_path):
    table = Table(
        name="t", statistic="co_occurrence", by=(Dimension(column="main_sex"),), max_cells=2, level=Level.REGION
    )
    asked = question(table)
    found = np.array(node_vectors(tmp_path, sixty_households(SEXES[:3]), asked, region=REGIONS[1][0])[0])
    cells = dict(zip(layout_of(table, asked).axes[1].codes, found.reshape(3, -1)[1], strict=True))
    assert not found.reshape(3, -1)[[0, 2]].any()
    # Two of three categories are kept: every household has two pairs with itself and one of both.
    alone = [cells[f"{code}+{code}"] for code in SEXES[:3]]
    both = [cells[f"{one}+{two}"] for one, two in combinations(SEXES[:3], 2)]
    assert (sum(alone), sum(both), sum(cells.values())) == (120, 60, 180)
    assert min(alone) > 20
    assert min(both) > 5


def test_every_cell_is_clamped_as_planned(tmp_path):
    table = Table(name="t", statistic="sum", measures=(measured("dependent_children_n", -1, 6),))
    rows = sixty_households(SEXES[:1])
    assert node_vectors(tmp_path, rows, question(table), clamp=50) == [[50]]
    assert node_vectors(tmp_path, rows, question(table), clamp=60) == [[60]]


THREE_HOUSEHOLDS = [
    {"household": "f", "main_sex": "female", "household_type": TYPES[0], "dependent_children_n": 2},
    {"household": "m", "main_sex": "male", "household_type": TYPES[1], "dependent_children_n": 1},
    {"household": "u", "main_sex": "not_known", "household_type": "not_known", "dependent_children_n": None},
]


@pytest.mark.parametrize(
    ("where", "matched"),
    [
        (Equals(column="main_sex", value="female"), "f"),
        (Not(condition=Equals(column="main_sex", value="female")), "m"),
        (Not(condition=Between(column="dependent_children_n", low="0", high="1")), "f"),
        (Not(condition=Equals(column="dependent_children_n", value="1")), "f"),
        (Unknown(column="dependent_children_n"), "u"),
        (Not(condition=Unknown(column="dependent_children_n")), "fm"),
        (Or(conditions=()), ""),
        (And(conditions=()), "fmu"),
        (In(column="household_type", values=("not_known",)), "u"),
        (In(column="household_type", values=()), ""),
        (Not(condition=In(column="household_type", values=())), "fmu"),
        (Not(condition=In(column="household_type", values=("not_known",))), "fm"),
        (Not(condition=In(column="household_type", values=("not_known", TYPES[0]))), "m"),
        (Not(condition=Equals(column="household_type", value=TYPES[0])), "m"),
    ],
)
def test_not_never_picks_up_what_is_not_known(tmp_path, where, matched):
    asked = question(Table(name="t", statistic="households"), where=where)
    counted = [
        row["household"]
        for row in THREE_HOUSEHOLDS
        if node_vectors(tmp_path, [row | {"assessment_date": QUARTER.start}], asked) == [[1]]
    ]
    assert "".join(counted) == matched


def test_rows_exported_twice_count_once_where_cases_are_told_apart(tmp_path):
    row = {
        "household": "A",
        "case": "1",
        "main_sex": SEXES[0],
        "assessment_date": QUARTER.start,
        "dependent_children_n": 2,
    }
    other = row | {"case": "2"}
    tables_asked = (
        Table(name="r", statistic="rows", max_cells=9),
        Table(name="s", statistic="sum", measures=(measured("dependent_children_n", 0, 99),)),
    )
    assert node_vectors(tmp_path, [row, row, other], question(*tables_asked)) == [[2], [4]]
    without = [{key: value for key, value in item.items() if key != "case"} for item in (row, row, other)]
    assert node_vectors(tmp_path, without, question(*tables_asked)) == [[3], [6]]


def test_dates_of_another_column_outside_the_period_have_their_own_bin(tmp_path):
    days = (date(2024, 12, 31), date(2025, 1, 1), date(2025, 3, 31), date(2025, 4, 1), None)
    rows = [
        {"household": str(number), "assessment_date": QUARTER.start, "application_date": day}
        for number, day in enumerate(days)
    ]
    table = Table(name="t", statistic="households", by=(Dimension(column="application_date", part=DatePart.MONTH),))
    assert node_vectors(tmp_path, rows, question(table)) == [[1, 0, 1, 3]]


def test_sums_beyond_any_column_are_clipped_not_wrapped(tmp_path):
    rows = [
        {"household": "A", "assessment_date": QUARTER.start, "dependent_children_n": 6, "main_sex": code}
        for code in SEXES
    ] * 40
    table = Table(name="t", statistic="sum", measures=(measured("dependent_children_n", 0, 7),))
    assert node_vectors(tmp_path, rows, question(table)) == [[7]]


@pytest.mark.parametrize(("values", "steps"), [((), 0), ((30,), 28), ((30,) * 5, 141), ((8,), 2), ((4,), 1)])
def test_squares_are_counted_in_steps_and_rounded_once_for_the_council(tmp_path, values, steps):
    # 64 squared is 4,096: steps of 32. One household of 30 adds 900, which is 28.1 steps; five add 140.6, and not 140.
    table = Table(name="t", statistic="variance", measures=(measured("dependent_children_n", 0, 64),))
    rows = [
        {"household": str(place), "assessment_date": QUARTER.start, "dependent_children_n": 2}
        for place, value in enumerate(values)
        for _ in range(value // 2)
    ]
    rows += [{"household": "none", "assessment_date": QUARTER.start, "dependent_children_n": 0}]
    [vector] = node_vectors(tmp_path, rows, question(table))
    assert vector[0] == steps


def test_figures_and_references_are_in_no_repr(tmp_path):
    asked = question(Table(name="t", statistic="households"))
    with extract_of(
        tmp_path, [{"household": "CANARY-1", "assessment_date": QUARTER.start}], asked.columns()
    ) as extract:
        planned = Planned(asked.tables[0], layout_of(asked.tables[0], asked))
        found = compute_local_statistic(extract, asked, [planned], region=REGIONS[0][0])
        assert repr(found) == "LocalStatistic()"
        assert "CANARY" not in repr(extract)
        assert "CANARY" not in str(extract.rows().run(extract.connection).fetchall())
        assert isinstance(found, LocalStatistic)
        assert found.vector.dtype == np.int64


def test_a_database_that_stops_says_nothing_of_the_rows(tmp_path):
    asked = question(Table(name="t", statistic="households"))
    extract = extract_of(tmp_path, [{"household": "CANARY-1", "assessment_date": QUARTER.start}], asked.columns())
    extract.close()
    with pytest.raises(InternalError) as caught:
        compute_local_statistic(
            extract, asked, [Planned(asked.tables[0], layout_of(asked.tables[0], asked))], region="x"
        )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_list_that_is_not_the_schemas_is_refused(tmp_path):
    asked = question(Table(name="t", statistic="households", by=(Dimension(column="main_sex"),)))
    layout = layout_of(asked.tables[0], asked)
    short = type(layout)(
        axes=(type(layout.axes[0])(name="main_sex", codes=layout.axes[0].codes[:2], labels=("a", "b")),),
        blocks=layout.blocks,
    )
    with (
        extract_of(tmp_path, sixty_households(SEXES[:1]), asked.columns()) as extract,
        pytest.raises(InternalError, match="main_sex"),
    ):
        compute_local_statistic(extract, asked, [Planned(asked.tables[0], short)], region=REGIONS[0][0])


def neighbours():
    """Every household of up to three rows over a few cells and values: some are in more cells than may count."""
    kinds = [
        {"main_sex": sex, "assessment_date": QUARTER.start, "dependent_children_n": value}
        for sex, value in product(SEXES[:3], (0, 6))
    ]
    for size in (1, 2, 3):
        yield from (
            [dict(kinds[i]) for i in places]
            for places in product(range(len(kinds)), repeat=size)
            if list(places) == sorted(places)
        )


@pytest.mark.drawn(2)
@pytest.mark.parametrize("kind", ["households", "rows", "sum", "mean", "co_occurrence"])
def test_the_nodes_own_vector_moves_by_no_more_than_claimed(tmp_path, kind):
    measure = {"measures": (measured("dependent_children_n", 0, 4),)} if kind in {"sum", "mean"} else {}
    table = Table(name="t", statistic=kind, by=(Dimension(column="main_sex"),), max_cells=2, **measure)
    claimed = statistic(kind).sensitivity(table)
    norms = Counter()
    for household in list(neighbours())[1::3]:
        rows = [{"household": "A", **row} for row in household]
        vector = np.array(node_vectors(tmp_path, rows, question(table))[0])
        norms["l1"] = max(norms["l1"], int(np.abs(vector).sum()))
        norms["l2"] = max(norms["l2"], int((vector**2).sum()))
    assert (norms["l1"], norms["l2"]) == (claimed.l1, claimed.l2_squared)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_the_nodes_own_bands_for_quantiles_move_by_no_more_than_claimed(tmp_path, mechanism):
    table = Table(
        name="t",
        statistic="quantile",
        by=(Dimension(column="main_sex"),),
        max_cells=2,
        measures=(measured("dependent_children_n", 0, 4),),
        edges=(1, 3),
        probabilities=(Fraction(1, 2),),
    )
    claimed = statistic("quantile").sensitivity(table)
    largest = 0
    for household in list(neighbours())[1::3]:
        rows = [{"household": "A", **row} for row in household]
        vector = np.array(node_vectors(tmp_path, rows, question(table), mechanism=mechanism)[0])
        largest = max(largest, int((np.abs(vector) if mechanism is Mechanism.DISCRETE_LAPLACE else vector**2).sum()))
    assert largest == (claimed.l1 if mechanism is Mechanism.DISCRETE_LAPLACE else claimed.l2_squared)


def test_period_bounds_are_both_included(tmp_path):
    rows = [{"household": str(day), "assessment_date": day} for day in DAYS] + [
        {"household": "n", "assessment_date": None}
    ]
    assert node_vectors(tmp_path, rows, question(Table(name="t", statistic="households"))) == [[4]]
    single = Period(column="assessment_date", start=DAYS[2], end=DAYS[2])
    assert node_vectors(tmp_path, rows, question(Table(name="t", statistic="households"), period=single)) == [[1]]


WIDE = Measured(measure=Points(base=10**6, terms=()), low=-(10**6), high=10**6)


def test_sums_past_64_bits_are_held_within_the_clamp_and_do_not_wrap():
    # One more household than 2^63 holds of (2 * 10^6)^2: a sum that wraps would move by twice the clamp.
    table = Table(name="t", statistic="variance", measures=(WIDE,))
    planned = Planned(table, layout_of(table, question(table)), clamp=10**6 * 128)
    before, after = (
        clamped(np.array([households * 4 * 10**12, 0, 0], dtype=object), [planned]).vector
        for households in (2_305_843, 2_305_844)
    )
    claimed = statistic("variance").sensitivity(table)
    assert np.abs(after - before).sum() <= claimed.l1
    assert before.dtype == after.dtype == np.int64
    assert before[0] == planned.clamp


@pytest.mark.parametrize("kind", ["variance", "covariance"])
def test_the_widest_bounds_are_counted_exactly(tmp_path, kind):
    narrow = Measured(measure=Value(column="dependent_children_n"), low=31_000, high=31_001)
    measures = (WIDE,) if kind == "variance" else (narrow, WIDE)
    rows = [
        {"household": f"H{n}", "assessment_date": QUARTER.start, "dependent_children_n": 3, "main_sex": "male"}
        for n in range(40)
    ]
    table = Table(name="t", statistic=kind, measures=measures)
    asked = question(table)
    expected = reference_vector(
        rows, asked, table, layout_of(table, asked), case_dataset(), region=REGIONS[0][0], draw=lambda *_: 0
    )
    assert node_vectors(tmp_path, rows, asked, clamp=10**18) == [expected]
    assert any(expected)
