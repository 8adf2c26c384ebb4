"""Sensitivity as the node really computes it: files that differ by one household, written as badly as files are."""

import csv
import io
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from council_node.local_statistic import compute_local_statistic
from council_node.mapping import ExtractMapping
from council_node.sources import load_extract
from federated.errors import InternalError
from federated.query import (
    And,
    Between,
    Condition,
    DatePart,
    Dimension,
    Equals,
    Level,
    Measured,
    Named,
    Not,
    Points,
    Query,
    Table,
    Unknown,
    measured,
)
from federated.statistics import statistic
from tests.spec.council import REGIONS, RUN_KEY, Planned, case_dataset, layout_of, mapping_for, question

HEADINGS = (
    "household_key",
    "case_key",
    "opted_out",
    "assessment_date",
    "application_date",
    "main_sex",
    "dependent_children_n",
)
HEAD = ",".join(HEADINGS).encode() + b"\r\n"
MAPPING = mapping_for(HEADINGS, codes={"main_sex": {"Féminin": "female", "–": "male"}})
DAYS = [
    "2025-01-05",
    "2025-03-31",
    "2025-04-01",
    "45700",
    "45700.99",
    "1e5",
    "0025-02-03",
    "25-02-03",
    "infinity",
    "-infinity",
    "epoch",
    "nan",
    "9999-12-31",
    "2025-02-30",
    "0000-00-00",
    "2025-01-05T23:59",
    "290000-01-01",
    "-2025-01-05",
]
SEXES = ("female", "male", "Féminin", "–", "FEMALE ", "not_known", "", "CANARY", "\x00", '"', "fe\nmale", "﻿male")
NUMBERS = [
    "0",
    "1",
    "2",
    "6",
    "7",
    "-3",
    "£1",
    "1e18",
    "-1e18",
    "9223372036854775807",
    "-9223372036854775808",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "0x10",
    "1.5",
    "2.5",
    "-",
    ".",
    "99999999999999999999999999999999999999999",
    "1_0",
]
MEASURE = {"measures": (measured("dependent_children_n", -2, 4),)}
EACH_ROW = Measured(measure=Points(base=1, terms=()), low=1, high=3)
NAMED = (
    Named(name="female", where=Equals(column="main_sex", value="female")),
    Named(name="undated", where=Unknown(column="application_date")),
)
LISTS = {
    "households": {},
    "rows": {},
    "sum": MEASURE,
    "mean": MEASURE,
    # Bounds so wide that the four are counted in steps.
    "variance": {"measures": (measured("dependent_children_n", 0, 27),)},
    "covariance": {"measures": (measured("dependent_children_n", -9, 30), EACH_ROW)},
    "ratio": {"measures": (measured("dependent_children_n", -2, 200), EACH_ROW)},
    "weighted_mean": {"measures": (measured("dependent_children_n", -99, 99), EACH_ROW)},
    "share": {"conditions": NAMED},
    "missing": {"conditions": NAMED},
}
"""What a table of each statistic lists."""


def lines_of(draw: random.Random, household: str, number: int) -> list[bytes]:
    """One household's lines; some in another alphabet or with broken characters, some too long or too short."""
    found = []
    for place in range(draw.choice((1, 1, 2, 3, 6))):
        cells = [
            household,
            draw.choice((f"C{number}", f"C{number}-{place}", "")) if household else f"D{number}",
            draw.choice(("", "", "", "no", "no", "yes")),
            draw.choice(DAYS[:3] if draw.random() < 0.7 else DAYS),
            draw.choice((*DAYS, "")),
            draw.choice(SEXES),
            draw.choice((*NUMBERS, "")),
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator=draw.choice(("\r\n", "\n"))).writerow(cells[: draw.choice((7,) * 9 + (4,))])
        line = text.getvalue().encode(draw.choice(("utf-8", "utf-8", "cp1252")), "replace")
        if draw.random() < 0.05:
            # Not in the first two cells: another reference would be another household, which is what the claim is about.
            line = line.rstrip() + b"\xff\n"
        if draw.random() < 0.03:
            line = line.rstrip() + b",more,cells\n"
        found += [line] * draw.choice((1, 1, 1, 2))
    return found


def condition(draw: random.Random) -> Condition | None:
    children = Between(column="dependent_children_n", low="0", high="9")
    sex = Equals(column="main_sex", value="female")
    return draw.choice((None, None, sex, Not(condition=sex), And(conditions=(children, Not(condition=sex)))))


def asked(draw: random.Random) -> Query:
    by = (
        (),
        (Dimension(column="main_sex"),),
        (Dimension(column="main_sex"), Dimension(column="application_date", part=DatePart.MONTH)),
        (Dimension(column="assessment_date", part=DatePart.QUARTER), Dimension(column="main_sex")),
    )
    tables = [
        Table(
            name=kind,
            statistic=kind,
            by=draw.choice(by),
            max_cells=draw.choice((1, 2, 3)),
            level=draw.choice((Level.ALL, Level.REGION)),
            **lists,
        )
        for kind, lists in LISTS.items()
    ]
    return question(*tables, where=condition(draw))


def vectors(
    raw: bytes, query: Query, mapping: ExtractMapping = MAPPING, coefficients: tuple[int, ...] = ()
) -> list[np.ndarray]:
    planned = [Planned(table, layout_of(table, query), coefficients=coefficients) for table in query.tables]
    with TemporaryDirectory() as folder:
        (Path(folder) / "extract.csv").write_bytes(raw)
        with load_extract(mapping, case_dataset(), query.columns(), directory=Path(folder), run_key=RUN_KEY) as extract:
            vector = compute_local_statistic(extract, query, planned, region=REGIONS[0][0]).vector
    return np.split(vector, np.cumsum([item.layout.cells for item in planned])[:-1])


def check_neighbours(raw: bytes, neighbour: bytes, query: Query, coefficients: tuple[int, ...] = ()) -> None:
    found = (vectors(content, query, coefficients=coefficients) for content in (raw, neighbour))
    for table, one, other in zip(query.tables, *found, strict=True):
        claimed = statistic(table.statistic).sensitivity(table)
        difference = one - other
        assert np.abs(difference).sum() <= claimed.l1, table
        assert (difference**2).sum() <= claimed.l2_squared, table


def test_wide_bounds_are_counted_in_steps():
    steps = {
        kind: statistic(kind).contribution(Table(name="t", statistic=kind, **lists)).step
        for kind, lists in LISTS.items()
    }
    assert {kind for kind, step in steps.items() if step > 1} == {"variance", "covariance", "ratio", "weighted_mean"}


def neighbours(draw: random.Random) -> tuple[bytes, bytes]:
    """Two files that differ by one household."""
    units = [lines_of(draw, draw.choice((f"H{n}", f"Zoë {n}", "")), n) for n in range(draw.choice((2, 5, 9)))]
    lines = [(unit, line) for unit, own in enumerate(units) for line in own]
    draw.shuffle(lines)
    gone = draw.randrange(len(units))
    everybody = b"".join(line for _, line in lines)
    others = b"".join(line for unit, line in lines if unit != gone)
    return HEAD + everybody, HEAD + others


@pytest.mark.drawn(12)
@pytest.mark.parametrize("seed", [*range(50), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(50, 500))])
def test_a_household_more_or_less_moves_the_figures_by_no_more_than_claimed(seed):
    draw = random.Random(seed)
    everybody, others = neighbours(draw)
    check_neighbours(everybody, others, asked(draw))


FIFTY = b"".join(f"H{n},C{n},,2025-01-05,,Féminin,£2\r\n".encode() for n in range(50))
WHOLE = question(
    Table(name="s", statistic="sum", **MEASURE),
    Table(name="h", statistic="households", by=(Dimension(column="main_sex"),)),
)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_one_household_in_another_alphabet_changes_nobody_elses_figures(mark):
    # Were the alphabet chosen for the whole file, this line would make everybody's pounds and wording unreadable.
    odd = b"Jos\xe9,C99,,2025-01-05,,F\xe9minin,\xa31\r\n"
    check_neighbours(mark + HEAD + FIFTY + odd, mark + HEAD + FIFTY, WHOLE)
    total, by_sex = vectors(mark + HEAD + FIFTY + odd, WHOLE)
    assert (total.sum(), by_sex.max()) == (101, 51)


@pytest.mark.parametrize("ending", [b"\r", b"\n"])
def test_the_alphabet_is_chosen_line_by_line_whatever_ends_a_line(ending):
    raw = (HEAD + FIFTY + b"Jos\xe9,C99,,2025-01-05,,,1\r\n").replace(b"\r\n", ending)
    assert vectors(raw, WHOLE)[0].sum() == 101


def test_no_case_decides_how_the_headings_are_read():
    # A question would be refused for a heading that is there, or not, because of one household's name.
    mapping = mapping_for(("household_key", "assessment_date"))
    query = question(Table(name="h", statistic="households"))
    head = b"\xef\xbb\xbfhousehold_key,assessment_date,n\xc3\xa4me\r\n"
    assert vectors(head + b"A,2025-01-05,Jos\xe9\r\n", query, mapping)[0].tolist() == [1]


def fit_in_rounds(draw: random.Random) -> Query:
    low, high = draw.choice(((0, 4), (-3, 9), (-(10**6), 10**6), (999_999, 10**6)))
    mark = Points(base=0, terms=((Equals(column="main_sex", value="male"), 1),))
    table = Table(
        name="fit",
        statistic="logistic_rounds",
        measures=(measured("dependent_children_n", low, high), Measured(measure=mark, low=0, high=1)),
        conditions=(Named(name="a", where=condition(draw) or Unknown(column="application_date")),),
        max_cells=draw.choice((1, 2, 3)),
        rounds=2,
    )
    return question(table)


def counts_in_rounds(draw: random.Random) -> Query:
    fit = fit_in_rounds(draw).tables[0]
    outcome = measured("dependent_children_n", 0, draw.choice((1, 4, 12)))
    return question(replace(fit, statistic="poisson_rounds", conditions=(), measures=(outcome, *fit.measures)))


@pytest.mark.drawn(12)
@pytest.mark.parametrize(
    ("seed", "asked"),
    [(seed, asked) for asked, times in ((fit_in_rounds, 30), (counts_in_rounds, 15)) for seed in range(times)],
)
def test_nor_do_they_at_any_coefficients_that_a_node_accepts(seed, asked):
    draw = random.Random(seed)
    everybody, others = neighbours(draw)
    size = draw.choice((100, 4000, 16384))
    coefficients = tuple(draw.choice((draw.randint(-size, size), -size, size)) for _ in range(3))
    check_neighbours(everybody, others, asked(draw), coefficients)


def test_a_node_that_is_told_others_does_not_count_at_all():
    draw = random.Random(1)
    everybody, _ = neighbours(draw)
    for wrong in ((), (0, 0), (16385, 0, 0)):
        with pytest.raises(InternalError, match="does not allow"):
            vectors(everybody, fit_in_rounds(draw), coefficients=wrong)
