"""Twelve questions a department would ask, built in Python. README.md beside this file says how each is read.

The YAML and the SQL files beside it are the same questions; a test holds that all three are one.
"""

from datetime import date

from federated.query import Query
from federated.query.builder import Asking, Having, ask, column, days, points

GROUP = "england"
EPSILON = "1/2"
YEAR = (date(2025, 1, 1), date(2025, 12, 31))
QUARTER = (date(2025, 10, 1), date(2025, 12, 31))
COUNTED_UNTIL = date(2026, 1, 31)
"""The public day on which counting of days stops for everyone: the date of the oldest extract."""

OWED = column("assessment_outcome").is_in("prevention_owed", "relief_owed")


def of_cases(title: str) -> Asking:
    """A question about the cases assessed in the last quarter of 2025."""
    return ask(title, of="case", group=GROUP, epsilon=EPSILON).during("assessment_date", *QUARTER)


def known(name: str) -> Having:
    """Rows in which a date is known."""
    return ~column(name).is_unknown()


def questions() -> dict[str, Query]:
    """All twelve, by their number."""
    return {name: asking.query() for name, asking in _asked().items()}


def _asked() -> dict[str, Asking]:
    month = column("assessment_date").by("month")
    quarter = column("assessment_date").by("quarter")
    weeks = range(7, 365, 7)
    waiting = days("relief_start", "relief_end", until=COUNTED_UNTIL).within(0, 364)
    settled = {"settled_home": column("relief_end_reason").equals("secured")}
    stay = days("start", "end", until=COUNTED_UNTIL)
    institution = column("referral_source").is_in("adult_prison", "hospital", "mental_health_inpatient")
    return {
        "q01": of_cases("Households owed a duty, by month and region").table(
            "owed", "households", by=["assessment_outcome", month], level="region"
        ),
        "q02": ask("Reasons for losing the last home, by quarter", of="case", group=GROUP, epsilon=EPSILON)
        .during("assessment_date", *YEAR)
        .where(OWED)
        .table("reasons", "households", by=["reason_loss_group", "household_with_children", quarter]),
        "q03": ask("How long households wait for a settled home", of="case", group=GROUP, epsilon=EPSILON)
        .during("relief_start", *YEAR)
        .table(
            "wait",
            "survival",
            by=["household_with_children"],
            measures=[waiting],
            edges=weeks,
            conditions=settled,
        ),
        "q04": ask("From prevention to relief to the main duty", of="case", group=GROUP, epsilon=EPSILON)
        .during("prevention_start", *YEAR)
        .table(
            "path",
            "pathway",
            conditions={
                "prevention": known("prevention_start"),
                "relief": known("relief_start"),
                "main_duty": column("main_duty_decision").equals("accepted"),
            },
        ),
        "q05": ask("Relief duty after a payment and without one", of="case", group=GROUP, epsilon=EPSILON)
        .during("prevention_end", *YEAR)
        .table(
            "payment",
            "matched",
            by=["main_age_band", "household_with_children", "prior_approach_24m"],
            conditions={
                "payment": column("prevention_activity").is_in(
                    "helped_with_payment", "discretionary_housing_payment", "other_payment"
                ),
                "relief": known("relief_start"),
            },
        ),
        "q06": ask("Relief duty in a programme and outside it", of="case", group=GROUP, epsilon=EPSILON)
        .during("prevention_end", *YEAR)
        .table(
            "programme",
            "matched",
            by=["main_age_band", "household_with_children", "reason_loss_group"],
            conditions={
                "programme": column("intervention_code").equals("programme_01"),
                "relief": known("relief_start"),
            },
        ),
        "q07": ask("Support needs that occur together", of="support_need", group=GROUP, epsilon=EPSILON)
        .during("assessment_date", *QUARTER)
        .table("needs", "co_occurrence", by=["need"], max_cells=5),
        "q08": ask("Days in bed and breakfast", of="ta_placement", group=GROUP, epsilon=EPSILON)
        .during("start", *YEAR)
        .where(column("ta_type").equals("bed_and_breakfast"))
        .table(
            "days",
            "quantile",
            level="region",
            measures=[stay.within(0, 180)],
            edges=range(1, 181),
            probabilities=["1/2", "9/10"],
        )
        .table("over_six_weeks", "distribution", level="region", measures=[stay.within(0, 180)], edges=[43]),
        "q09": of_cases("People leaving prison and hospital, and relief within seven days")
        .where(institution)
        .table("sources", "households", by=["referral_source"], level="region")
        .table(
            "within_seven_days",
            "distribution",
            by=["referral_source"],
            measures=[days("application_date", "relief_start").within(0, 60)],
            edges=[8],
        ),
        "q10": ask("When people sleeping rough are met", of="event", group=GROUP, epsilon=EPSILON)
        .during("at", *YEAR)
        .where(column("kind").equals("rough_sleeping_contact"))
        .table("pattern", "rows", by=["weekday", "time_block"], max_cells=5),
        "q11": ask("What a night in temporary accommodation costs", of="ta_placement", group=GROUP, epsilon=EPSILON)
        .during("start", *YEAR)
        .table(
            "cost",
            "weighted_mean",
            by=["ta_type"],
            measures=[column("nightly_cost_gbp").within(0, 200), stay.within(0, 180)],
            max_cells=2,
        ),
        "q12": of_cases("How complete the records are, and do totals agree")
        .table(
            "complete",
            "missing",
            conditions={
                "application_date": column("application_date").is_unknown(),
                "main_age_band": column("main_age_band").equals("not_known"),
                "reason_loss": column("reason_loss").equals("not_known"),
                "dependent_children": column("dependent_children_n").is_unknown(),
            },
        )
        .table("totals", "households", by=["assessment_outcome"])
        .table("applications", "distribution", measures=[points(base=1).within(1, 4)], edges=[2, 3, 4]),
    }
