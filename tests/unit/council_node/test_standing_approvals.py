from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from council_node.standing_approvals import repeat_digest
from federated.manifest_form import Manifest
from federated.query import Period, Table
from tests.unit.council_node.policy_cases import AGREEMENT, AGREEMENT_FORM, MANIFEST, QUESTION, agreement, manifest

DAY = timedelta(days=1)
SAME = repeat_digest(QUESTION, MANIFEST, AGREEMENT)


def period(start, end):
    return replace(QUESTION, period=Period(column="assessment_date", start=start, end=end))


def test_another_period_of_the_same_length_is_a_repeat():
    assert repeat_digest(period(date(2026, 1, 1), date(2026, 12, 31)), MANIFEST, AGREEMENT) == SAME
    assert repeat_digest(replace(QUESTION, title="In other words"), MANIFEST, AGREEMENT) == SAME
    quarters = [(date(2025, 1, 1), date(2025, 3, 31)), (date(2025, 4, 1), date(2025, 6, 30))]
    first, second = (repeat_digest(period(*days), MANIFEST, AGREEMENT) for days in quarters)
    assert first == second != SAME


@pytest.mark.parametrize(
    "question",
    [
        replace(QUESTION, epsilon=Fraction(1, 4)),
        replace(QUESTION, where=None),
        replace(QUESTION, tables=QUESTION.tables[:1]),
        replace(QUESTION, tables=(*QUESTION.tables, Table(name="more", statistic="households"))),
        replace(QUESTION, group="north-east"),
        period(date(2025, 1, 1), date(2026, 1, 31)),
        period(date(2025, 1, 2), date(2026, 1, 1)),
    ],
)
def test_another_question_is_no_repeat(question):
    assert repeat_digest(question, MANIFEST, AGREEMENT) != SAME


def test_new_dates_and_versions_of_a_manifest_are_a_repeat():
    later = manifest(
        version=MANIFEST.version + 1,
        collect_by=MANIFEST.collect_by + 90 * DAY,
        return_by=MANIFEST.return_by + 90 * DAY,
        expires_on=MANIFEST.expires_on + 90 * DAY,
        retention={"until": MANIFEST.retention.until + 90 * DAY, "then": MANIFEST.retention.then},
    )
    assert repeat_digest(QUESTION, later, AGREEMENT) == SAME


COMPARED = sorted(set(Manifest.model_fields) - {"manifest", "version", "collect_by", "return_by", "expires_on"})


@pytest.mark.parametrize("name", COMPARED)
def test_anything_else_in_a_manifest_is_compared(name):
    """A new use, recipient or word needs a new decision (requirements R20 and R104)."""
    value = getattr(MANIFEST, name)
    match value:
        case str():
            changed = value + "x"
        case tuple():
            changed = value[:-1]
        case None:
            changed = "x"
        case _:
            first = next(iter(type(value).model_fields))
            if name == "retention":
                first = "then"
            inner = getattr(value, first)
            changed = value.model_copy(update={first: f"{inner}x" if isinstance(inner, str) else not inner})
    assert repeat_digest(QUESTION, MANIFEST.model_copy(update={name: changed}), AGREEMENT) != SAME


def test_another_version_of_the_agreement_is_no_repeat():
    other = agreement(version=AGREEMENT_FORM["version"] + 1)
    assert repeat_digest(QUESTION, MANIFEST, other) != SAME
