"""Releases for tests of what is made of them: papers, a plan, and totals as a round would have opened them."""

import os
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from federated.agreement import parse_agreement
from federated.demo.papers import agreement_payload
from federated.keys import make_key
from federated.plan import derive_plan
from federated.privacy import Mechanism
from federated.release import CouncilRecord, make_release
from federated.roster import Coordinator, RosterEntry, parse_roster, roster_payload
from protocols.identifiers import RoundId
from protocols.secagg import Profile
from tests.unit.federated import planning as given


def councils_of(*regions, most=12):
    """Up to so many councils of each region."""
    found = []
    for region in regions:
        found += [council for council in given.SCHEMA.councils.values() if council.region == region][:most]
    return sorted(found, key=lambda council: council.id)


def plan_for(question, councils, *, mechanism=Mechanism.DISCRETE_LAPLACE, epsilon=Fraction(4)):
    """The plan of a question to these councils, under papers made for it."""
    agreement = parse_agreement(
        agreement_payload(
            {council.id: council.name for council in councils},
            label="Test group",
            profile=Profile.STANDARD,
            epsilon=epsilon,
            analyst=make_key(os.urandom),
            reviewer=make_key(os.urandom),
            today=given.TODAY,
        )
    )
    until = given.TODAY + timedelta(days=80)
    entries = [
        RosterEntry(
            id=council.id,
            name=council.name,
            region=council.region,
            public_key=make_key(os.urandom).public,
            valid_from=given.TODAY,
            valid_to=until,
        )
        for council in councils
    ]
    hub = Coordinator(id="hub", name="Hub", public_key=make_key(os.urandom).public)
    roster = parse_roster(
        roster_payload(epoch=1, not_before=given.TODAY, not_after=until, coordinator=hub, councils=entries)
    )
    return derive_plan(
        question, agreement=agreement, roster=roster, schema=given.SCHEMA, mechanism=mechanism, terms=given.terms()
    )


def release_of(plan, totals):
    """The release of a round of every council asked that opened these totals, in steps of 1/scale."""
    everyone = plan.eligible
    result = SimpleNamespace(
        u1=everyone,
        u3=everyone,
        total=np.asarray(totals, dtype=np.int64),
        thresholds=plan.rules.thresholds(len(everyone)),
        h2=bytes(32),
        input_digests={},
        statements=(),
        opening=b"",
    )
    return make_release(
        plan,
        result,
        schema=given.SCHEMA,
        sid=RoundId(bytes(32)),
        councils=[CouncilRecord(council=council, name=council, outcome="contributed") for council in everyone],
        now=datetime(2026, 1, 1, tzinfo=UTC),
        software="0",
    )


def noise_of(plan, rng, size=1):
    """Draws of the real law of a release's noise, from a seed; for tests only.

    Shapes:
        `(size, plan.cells)`, in steps of 1/scale.
    """
    everyone = len(plan.eligible)
    parts = []
    for index, planned in enumerate(plan.tables):
        law = plan.released_noise(index, joined=everyone, contributors=everyone)
        offset, probabilities = law.pmf()
        cells = planned.layout.cells
        drawn = rng.choice(len(probabilities), size=(size, cells), p=probabilities / probabilities.sum())
        parts.append(offset + drawn)
    return np.concatenate(parts, axis=1)
