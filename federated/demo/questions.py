"""The questions of the demo: each is one round, and each is held against the synthetic truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from federated.query import DatePart, Dimension, In, Level, Period, Query, Table, measured
from federated.synthetic import PUBLISHED_QUARTER

__all__ = ["DemoQuestion", "demo_questions"]

OWED = In(column="assessment_outcome", values=("prevention_owed", "relief_owed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoQuestion:
    """One question of the demo.

    Attributes:
        id: Short name, used for files.
        query: The question.
        published: Table of the release → column whose published figures stand beside it.
    """

    id: str
    query: Query
    published: Mapping[str, str]


def demo_questions(group: str, epsilon: Fraction, *, regions: bool) -> tuple[DemoQuestion, ...]:
    """The four questions.

    Args:
        group: Group of the agreement that is asked.
        epsilon: Cost of each.
        regions: Whether any region has enough of the councils for a figure of its own.
    """
    period = Period(column="assessment_date", start=PUBLISHED_QUARTER.start, end=PUBLISHED_QUARTER.end)

    def question(name: str, title: str, *tables: Table, where: In | None = None, **published: str) -> DemoQuestion:
        query = Query(
            title=title,
            dataset="case",
            unit="household",
            group=group,
            period=period,
            epsilon=epsilon,
            where=where,
            tables=tables,
        )
        return DemoQuestion(id=name, query=query, published=published)

    month = Dimension(column="assessment_date", part=DatePart.MONTH)
    return (
        question(
            "duties",
            "Households assessed, by outcome and month",
            _count("outcome", "assessment_outcome"),
            Table(name="outcome_by_month", statistic="households", by=(_column("assessment_outcome"), month)),
            *([_count("type_by_region", "household_type", level=Level.REGION)] if regions else []),
            outcome="assessment_outcome",
        ),
        question(
            "causes",
            "Households owed a duty, by reason for loss of home and by household type",
            _count("reason", "reason_loss"),
            _count("household_type", "household_type"),
            Table(
                name="reason_by_duty",
                statistic="households",
                by=(_column("reason_loss"), _column("assessment_outcome")),
            ),
            where=OWED,
            reason="reason_loss",
            household_type="household_type",
        ),
        question(
            "applicants",
            "Applications of households owed a duty, by age and employment of the main applicant",
            Table(name="age", statistic="rows", by=(_column("main_age_band"),)),
            Table(
                name="age_by_employment", statistic="rows", by=(_column("main_age_band"), _column("main_employment"))
            ),
            where=OWED,
            age="main_age_band",
        ),
        question(
            "children",
            "Children in households owed a duty, by household type",
            Table(
                name="children",
                statistic="sum",
                measures=(measured("dependent_children_n", 0, 6),),
                by=(_column("household_type"),),
            ),
            Table(
                name="children_per_household",
                statistic="mean",
                measures=(measured("dependent_children_n", 0, 6),),
                by=(_column("assessment_outcome"),),
            ),
            where=OWED,
        ),
    )


def _column(name: str) -> Dimension:
    return Dimension(column=name)


def _count(name: str, column: str, level: Level = Level.ALL) -> Table:
    return Table(name=name, statistic="households", by=(_column(column),), level=level)
