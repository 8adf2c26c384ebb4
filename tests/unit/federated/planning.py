"""An agreement, a roster and terms to plan with: the demo's papers, and keys made for the test."""

import os
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from federated.agreement import parse_agreement
from federated.demo.papers import GROUP, agreement_payload
from federated.keys import make_key
from federated.plan import Terms
from federated.query import Dimension, Period, Query, Table
from federated.roster import Coordinator, RosterEntry, parse_roster, roster_payload
from federated.schema import load_schema
from protocols.identifiers import Digest
from protocols.secagg import Profile

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCHEMA = load_schema()


def councils(count=12, region="E12000001"):
    ordered = sorted(SCHEMA.councils.values(), key=lambda council: (council.region != region, council.id))
    return sorted(ordered[:count], key=lambda council: council.id)


def agreement(count=12, profile=Profile.STANDARD, epsilon=Fraction(1)):
    return parse_agreement(
        agreement_payload(
            {council.id: council.name for council in councils(count)},
            label="Test group",
            profile=profile,
            epsilon=epsilon,
            analyst=make_key(os.urandom),
            reviewer=make_key(os.urandom),
            today=TODAY,
        )
    )


def roster(count=12, keys=None):
    entries = [
        RosterEntry(
            id=council.id,
            name=council.name,
            region=council.region,
            public_key=make_key(os.urandom).public if keys is None else keys[council.id].public,
            valid_from=TODAY,
            valid_to=TODAY + timedelta(days=80),
        )
        for council in councils(count)
    ]
    hub = Coordinator(id="hub", name="Hub", public_key=make_key(os.urandom).public)
    return parse_roster(
        roster_payload(
            epoch=1, not_before=TODAY, not_after=TODAY + timedelta(days=80), coordinator=hub, councils=entries
        )
    )


def terms(**changes):
    fields = {
        "manifest_digest": Digest(bytes(32)),
        "not_before": NOW,
        "collect_by": NOW + timedelta(days=1),
        "return_by": NOW + timedelta(days=2),
        "not_after": NOW + timedelta(days=3),
        "attempts": 2,
        "nonce": bytes(range(32)),
    }
    return Terms(**(fields | changes))


def question(*tables, epsilon=Fraction(1), **changes):
    fields = {
        "title": "Households by outcome",
        "dataset": "case",
        "unit": "household",
        "group": GROUP,
        "period": Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
        "epsilon": epsilon,
        "tables": tables or (Table(name="t", statistic="households", by=(Dimension(column="assessment_outcome"),)),),
    }
    return Query(**(fields | changes))
