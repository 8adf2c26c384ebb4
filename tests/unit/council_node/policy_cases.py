"""What the policy's tests share: the example agreement and manifest, and facts that pass every check."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import yaml

from council_node.policy import Facts, facts_of
from council_node.policy_file import Policy
from federated.agreement import parse_agreement
from federated.keys import make_key
from federated.manifest import parse_manifest
from federated.plan import Terms, derive_plan
from federated.privacy import Mechanism
from federated.query import Dimension, Equals, Period, Query, Table
from federated.roster import Coordinator, Roster, RosterEntry
from federated.schema import load_schema
from protocols.encoding import sha256
from protocols.identifiers import CouncilId

EXAMPLES = Path(__file__).parents[1] / "federated" / "examples"
AGREEMENT_FORM = yaml.safe_load((EXAMPLES / "agreement.yaml").read_bytes())
MANIFEST_FORM = yaml.safe_load((EXAMPLES / "manifest.yaml").read_bytes())
ME = CouncilId("E06000001")
KEY = make_key(random.Random(7).randbytes)
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
POLICY = Policy(policy=1, automatic=True)


def agreement(**changes):
    return parse_agreement(yaml.safe_dump(AGREEMENT_FORM | changes, allow_unicode=True).encode())


def manifest(**changes):
    return parse_manifest(yaml.safe_dump(MANIFEST_FORM | changes, allow_unicode=True).encode())


AGREEMENT = agreement()
MANIFEST = manifest()
GROUP = AGREEMENT.group("tees-valley")
ROSTER = Roster(
    epoch=3,
    not_before=date(2026, 1, 1),
    not_after=date(2026, 3, 20),
    coordinator=Coordinator(id="hub", name="Hub", public_key=KEY.public),
    councils={
        council: RosterEntry(
            id=council,
            name=council,
            region="E12000001",
            public_key=make_key(random.Random(council).randbytes).public,
            valid_from=date(2026, 1, 1),
            valid_to=date(2027, 1, 1),
        )
        for council in GROUP.councils
    },
    digest=sha256(b"roster"),
)
QUESTION = Query(
    title="Families owed a duty, by reason",
    dataset="case",
    unit="household",
    group="tees-valley",
    period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 12, 31)),
    epsilon=Fraction(1, 2),
    tables=(
        Table(name="by_reason", statistic="households", by=(Dimension(column="reason_loss_group"),)),
        Table(name="rows", statistic="rows", max_cells=2),
    ),
    where=Equals(column="household_type", value="two_adults_with_children"),
)
TERMS = Terms(
    manifest_digest=MANIFEST.digest,
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=10),
    collect_by=NOW + timedelta(days=2),
    return_by=NOW + timedelta(days=3),
    attempts=2,
    nonce=bytes(32),
)


def plan():
    return derive_plan(
        QUESTION,
        agreement=AGREEMENT,
        roster=ROSTER,
        schema=load_schema(),
        mechanism=Mechanism.DISCRETE_LAPLACE,
        terms=TERMS,
    )


def facts(**changes) -> Facts:
    found = facts_of(
        plan(),
        MANIFEST,
        agreement=AGREEMENT,
        council=ME,
        schema=load_schema(),
        missing=frozenset(),
        extract_date=date(2026, 2, 20),
    )
    return replace(found, **changes)
