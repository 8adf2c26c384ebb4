"""Step 2 of 8: the plan. In: `Query`, agreement, roster, schema. Out: `Plan`, whose bytes the analyst signs.

Everything that decides what one household can lose is *derived* here from the question: cells, sensitivity,
noise, cost. The analyst's client derives it to ask; every node derives it again from the question, the agreement
and the roster it pinned itself, and refuses bytes that differ (`protocol.md` 1.2). So a plan can lie about nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import cached_property

from federated.agreement import Agreement, Group
from federated.cohort import asked_group, cohort_rules, least_honest, most_honest, regions_shown
from federated.crossings import BASE_FACTOR, crossed_tables
from federated.errors import PolicyRefusal, QueryError
from federated.iteration import Iteration
from federated.mask_holder import HolderIdentity, check_independent, holder_identity
from federated.privacy import (
    FILTER_SHARE_OF_DELTA,
    Charge,
    Mechanism,
    NoiseSpec,
    ReleasedNoise,
    gaussian_noise,
    laplace_noise,
    noise_bound,
    noise_charge,
    released_noise,
    require_no_cheaper_than_opendp,
    require_noise,
    zcdp_rho,
)
from federated.query import Level, Query, Table, parse_query, question_document
from federated.query.check import check_query
from federated.rationals import rational_text
from federated.roster import Roster
from federated.schema import Dataset, Schema
from federated.statistics import Layout, Sensitivity, in_rounds, statistic
from federated.timestamps import parse_time, time_text
from protocols.encoding import Json, canonical_json, sha256
from protocols.errors import LocalProtocolError
from protocols.identifiers import CouncilId, Digest
from protocols.ring import Ring, headroom_ok
from protocols.secagg import CohortRules
from protocols.suite import Suite

__all__ = [
    "Plan",
    "PlannedTable",
    "Terms",
    "derive_plan",
    "open_plan",
    "read_terms",
]

PLAN_TYPE = "application/vnd.federated.plan+json"
MAX_CELLS = 2_000_000
MAX_PLAN_BYTES = 4 * 1024 * 1024
NONCE_SIZE = 32
ROWS_PER_CELL = 1_000_000
"""No cell of one council counts more households than this; a larger one is clamped (headroom, `protocol.md` 1.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the analyst adds to the question: dates, attempts, manifest and a nonce.

    Attributes:
        manifest_digest: Digest of the signed manifest that explains the question.
        not_before: Start of validity.
        not_after: End of validity; no round starts or continues after it.
        collect_by: Councils' decisions are awaited until then.
        return_by: The answer is promised to every contributing council by then.
        attempts: Masked inputs a node may send for this plan, each charged in full.
        nonce: 32 random bytes: the same question asked afresh is another plan.
    """

    manifest_digest: Digest
    not_before: datetime
    not_after: datetime
    collect_by: datetime
    return_by: datetime
    attempts: int
    nonce: bytes

    def __post_init__(self) -> None:
        """Refuse terms that no plan can have."""
        if not self.not_before <= self.collect_by <= self.return_by <= self.not_after:
            raise QueryError("The plan's dates must run: not_before, collect_by, return_by, not_after.")
        if len(self.nonce) != NONCE_SIZE or self.attempts < 1:
            raise QueryError(f"A plan has a nonce of {NONCE_SIZE} bytes and at least one attempt.")

    def canonical(self) -> dict[str, Json]:
        """The terms as canonical JSON."""
        return {
            "manifest_digest": self.manifest_digest.hex(),
            "not_before": time_text(self.not_before),
            "not_after": time_text(self.not_after),
            "collect_by": time_text(self.collect_by),
            "return_by": time_text(self.return_by),
            "attempts": self.attempts,
            "nonce": self.nonce.hex(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTable:
    """One table with its place in the vector and its noise.

    Attributes:
        table: The table as asked.
        layout: Its cells.
        sensitivity: Of its integer vector to one privacy unit.
        clamp: Largest absolute value one council may put in one of its cells.
        mechanism: Kind of noise, on which it hangs what some statistics send.
        crosses: Protected characteristics that it crosses (`federated.crossings`); none for most tables.
        coefficients: What a round of several is counted at; empty in a plan, and for any other table.
    """

    table: Table
    layout: Layout
    sensitivity: Sensitivity
    clamp: int
    mechanism: Mechanism
    crosses: tuple[str, ...] = ()
    coefficients: tuple[int, ...] = ()

    @property
    def unit(self) -> int:
        """The most that one household can add to one number: what the table's noise is measured in beside others'."""
        return self.clamp // ROWS_PER_CELL

    def canonical(self, parameter: Fraction) -> Json:
        """The table's derived figures as canonical JSON, with the parameter of its noise and any crossing."""
        figures: dict[str, Json] = {
            "name": self.table.name,
            "cells": self.layout.cells,
            "l1": self.sensitivity.l1,
            "l2_squared": self.sensitivity.l2_squared,
            "clamp": self.clamp,
            "parameter": rational_text(parameter),
        }
        return {**figures, "crosses": list(self.crosses)} if self.crosses else figures


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A question with everything that follows from it; immutable, and identified by the digest of its bytes.

    Without slots, so that the digest, which names the plan wherever it is spoken of, is worked out once.
    """

    question: Query
    query_digest: Digest
    agreement_id: str
    agreement_digest: Digest
    roster_epoch: int
    roster_digest: Digest
    schema_digest: Digest
    group: Group
    rules: CohortRules
    tables: tuple[PlannedTable, ...]
    noise: NoiseSpec
    ring: Ring
    suite: Suite
    holder: HolderIdentity | None
    round_charge: Charge
    delta: Fraction
    terms: Terms

    @property
    def rounds(self) -> int:
        """Rounds that the answer takes; each is charged `round_charge`."""
        return self.question.rounds

    @property
    def charge(self) -> Charge:
        """What the answer costs: the exact sum over its rounds."""
        return self.round_charge.times(self.rounds)

    @property
    def most_rounds(self) -> int:
        """Masked inputs that a node may send for this plan: one for each round, and what `attempts` adds for all."""
        return self.rounds + self.terms.attempts - 1

    @property
    def eligible(self) -> tuple[CouncilId, ...]:
        """The councils asked: all of the named group, sorted."""
        return self.group.councils

    @property
    def cells(self) -> int:
        """Length of the vector."""
        return sum(planned.layout.cells for planned in self.tables)

    @property
    def mechanism(self) -> Mechanism:
        """The noise law."""
        return self.noise.mechanism

    @property
    def scale(self) -> int:
        """s: steps of the integer vector per unit of the question."""
        return self.noise.scale

    @property
    def sensitivities(self) -> tuple[int, ...]:
        """What each table's noise is calibrated to: l1 for Laplace, squared l2 for Gaussian."""
        return _bounds(self.tables, self.mechanism)

    def first_iteration(self) -> Iteration | None:
        """The first round of several; None where the plan takes one."""
        if self.rounds == 1:
            return None
        table = self.tables[0].table
        return Iteration(number=1, coefficients=in_rounds(table.statistic).start(table))

    def check_iteration(self, iteration: Iteration | None) -> None:
        """Check which round of several this is, and what it is counted at. Run by a node before it reserves.

        Raises:
            PolicyRefusal: `invitation`.
        """
        if self.rounds == 1:
            if iteration is not None:
                raise PolicyRefusal("invitation", "The plan takes one round, and the invitation speaks of several.")
            return
        if iteration is None or not 1 <= iteration.number <= self.rounds:
            raise PolicyRefusal("invitation", f"The invitation does not say which of {self.rounds} rounds it is to.")
        table, first = self.tables[0].table, self.first_iteration()
        curve = statistic(table.statistic).contribution(table).curve
        if curve is None or first is None or len(iteration.coefficients) != len(curve.line):
            raise PolicyRefusal("invitation", "The round has not one coefficient for each feature and the constant.")
        if any(abs(item) > curve.limit for item in iteration.coefficients):
            raise PolicyRefusal("invitation", "A coefficient of the round is larger than the question allows.")
        if iteration.number == 1 and iteration != first:
            raise PolicyRefusal("invitation", "The first round does not start where the question says.")

    def tables_at(self, iteration: Iteration | None) -> tuple[PlannedTable, ...]:
        """The tables as one round counts them."""
        if iteration is None:
            return self.tables
        return tuple(replace(planned, coefficients=iteration.coefficients) for planned in self.tables)

    @cached_property
    def digest(self) -> Digest:
        """`plan_digest`: SHA-256 of the plan's bytes."""
        return sha256(self.encode())

    def released_noise(self, index: int, *, joined: int, contributors: int) -> ReleasedNoise:
        """Law of the noise in a table of the release.

        Args:
            index: Place of the table in the plan.
            joined: n = |U1|, which fixes the honest number h every share was calibrated to.
            contributors: |U3|, the councils whose shares are in the sum.
        """
        return released_noise(
            self.mechanism,
            self.noise.blocks[index].parameter,
            scale=self.scale,
            honest=self.rules.thresholds(joined).h,
            contributors=contributors,
        )

    def encode(self) -> bytes:
        """The plan's bytes: canonical JSON, version 1."""
        return canonical_json(self.canonical())

    def canonical(self) -> dict[str, Json]:
        """The plan as canonical JSON: the question and terms as given, then everything derived."""
        return {
            "version": 1,
            "question": question_document(self.question),
            "terms": self.terms.canonical(),
            "mechanism": self.mechanism.value,
            "query_digest": self.query_digest.hex(),
            "agreement": {"id": self.agreement_id, "digest": self.agreement_digest.hex()},
            "roster": {"epoch": self.roster_epoch, "digest": self.roster_digest.hex()},
            "schema_digest": self.schema_digest.hex(),
            "group": self.group.name,
            "eligible": list(self.eligible),
            "cohort": {
                "profile": self.rules.profile.value,
                "max_colluders": self.rules.max_colluders,
                "min_cohort": self.rules.min_cohort,
                "min_honest": self.rules.min_honest,
                # Said where it is not the usual one, so that the plans of every earlier agreement keep their bytes.
                **({} if self.suite is Suite.X25519 else {"key_agreement": self.suite.value}),
            },
            **({} if self.holder is None else {"mask_holder": self.holder.canonical()}),
            "tables": [
                planned.canonical(block.parameter)
                for planned, block in zip(self.tables, self.noise.blocks, strict=True)
            ],
            "cells": self.cells,
            "scale": self.scale,
            "ring_bits": self.ring.bits,
            "charge": {
                "epsilon": None if self.charge.epsilon is None else rational_text(self.charge.epsilon),
                "rho": rational_text(self.charge.rho),
                "draws": self.charge.draws,
            },
            "delta": rational_text(self.delta),
            "rounds": self.rounds,
            **({"round_charge": {"rho": rational_text(self.round_charge.rho)}} if self.rounds > 1 else {}),
        }


def derive_plan(
    question: Query,
    *,
    agreement: Agreement,
    roster: Roster,
    schema: Schema,
    mechanism: Mechanism,
    terms: Terms,
) -> Plan:
    """Derive the plan of a question. Run by the analyst's client, by the coordinator and by every node.

    Raises:
        QueryError: The question cannot be planned as written.
        PolicyRefusal: The group, its councils or the cohort's size do not allow it.
    """
    dataset = check_query(question, schema)
    holder = holder_identity(agreement)
    check_independent(holder, roster)
    group = asked_group(question, agreement, roster)
    crossing = crossed_tables(question, dataset)
    rules = cohort_rules(agreement, group, crossing)
    if question.rounds > 1 and mechanism is not Mechanism.DISCRETE_GAUSSIAN:
        raise QueryError(
            "A question of several rounds is answered with Gaussian noise: its cost adds up far more slowly.",
            remedy="Leave the mechanism to the planner.",
        )
    honest = most_honest(rules)
    shown, shown_crossed = (
        regions_shown(group, roster, schema, agreement.min_cohort * factor) for factor in (1, BASE_FACTOR)
    )
    tables = tuple(
        _shape(table, dataset, question, mechanism, regions=shown_crossed if crosses else shown, crosses=crosses)
        for table, crosses in ((table, crossing.get(table.name, ())) for table in question.tables)
    )
    _check_size(tables)
    noise = _noise(question, tables, mechanism, delta=agreement.budget_delta, honest=honest)
    # Met here, not in a round whose charge is spent: a smaller cohort draws larger shares.
    require_noise(noise, honest=least_honest(rules))
    bounds = _bounds(tables, mechanism)
    # The largest h of any round of the plan, so the charge covers tau whichever councils join.
    charge = noise_charge(noise, bounds, honest=honest, councils=len(group.councils))
    require_no_cheaper_than_opendp(noise, bounds, charge, honest=honest)
    return Plan(
        question=question,
        query_digest=question.digest(schema.digest),
        agreement_id=agreement.id,
        agreement_digest=agreement.digest,
        roster_epoch=roster.epoch,
        roster_digest=roster.digest,
        schema_digest=schema.digest,
        group=group,
        rules=rules,
        tables=tables,
        noise=noise,
        ring=_ring(tables, noise, rules),
        suite=agreement.key_agreement,
        holder=holder,
        round_charge=charge,
        delta=agreement.budget_delta,
        terms=terms,
    )


def open_plan(content: bytes, *, agreement: Agreement, roster: Roster, schema: Schema) -> Plan:
    """Read a plan by deriving it again from its own question, mechanism and terms.

    Raises:
        PolicyRefusal: `plan_mismatch`: some figure of the plan is not what follows from the question.
    """
    if len(content) > MAX_PLAN_BYTES:
        raise PolicyRefusal("plan_mismatch", f"The plan is larger than {MAX_PLAN_BYTES} bytes.")
    try:
        claimed = json.loads(content)
        terms = read_terms(claimed["terms"])
        mechanism = Mechanism(claimed["mechanism"])
        question = parse_query(canonical_json(claimed["question"]), source="plan")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, LocalProtocolError) as error:
        raise PolicyRefusal("plan_mismatch", "The plan cannot be read as a plan of version 1.") from error
    plan = derive_plan(question, agreement=agreement, roster=roster, schema=schema, mechanism=mechanism, terms=terms)
    if plan.encode() != content:
        raise PolicyRefusal(
            "plan_mismatch",
            f"The plan's '{_first_difference(claimed, plan)}' is not what this council derives from the question.",
            remedy="Plan the question again with the current agreement, roster and schema.",
        )
    return plan


def _first_difference(claimed: dict[str, object], plan: Plan) -> str:
    derived = plan.canonical()
    differing = [name for name in derived if claimed.get(name) != json.loads(canonical_json(derived[name]))]
    return differing[0] if differing else "encoding"


def read_terms(claimed: Mapping[str, object]) -> Terms:
    """The terms of a plan's canonical JSON.

    Raises:
        ValueError: They are not in that form (also `KeyError`).
        QueryError: No plan can have them.
    """
    return Terms(
        manifest_digest=Digest(bytes.fromhex(str(claimed["manifest_digest"]))),
        not_before=parse_time(str(claimed["not_before"])),
        not_after=parse_time(str(claimed["not_after"])),
        collect_by=parse_time(str(claimed["collect_by"])),
        return_by=parse_time(str(claimed["return_by"])),
        attempts=int(str(claimed["attempts"])),
        nonce=bytes.fromhex(str(claimed["nonce"])),
    )


def _shape(
    table: Table,
    dataset: Dataset,
    question: Query,
    mechanism: Mechanism,
    *,
    regions: Sequence[tuple[str, str]],
    crosses: tuple[str, ...],
) -> PlannedTable:
    if table.level is Level.REGION and not regions:
        raise QueryError(
            f"Table '{table.name}' asks for regions, but no region has enough of the councils asked.",
            remedy="Ask at level 'all', or ask a larger group.",
        )
    kind = statistic(table.statistic)
    return PlannedTable(
        table=table,
        layout=kind.layout(table, dataset, question.period, regions),
        sensitivity=kind.sensitivity(table),
        clamp=ROWS_PER_CELL * kind.contribution(table).under(mechanism).largest(),
        mechanism=mechanism,
        crosses=crosses,
    )


def _bounds(tables: Sequence[PlannedTable], mechanism: Mechanism) -> tuple[int, ...]:
    match mechanism:
        case Mechanism.DISCRETE_LAPLACE:
            return tuple(planned.sensitivity.l1 for planned in tables)
        case Mechanism.DISCRETE_GAUSSIAN:
            return tuple(planned.sensitivity.l2_squared for planned in tables)


def _noise(
    question: Query, tables: Sequence[PlannedTable], mechanism: Mechanism, *, delta: Fraction, honest: int
) -> NoiseSpec:
    cells = [planned.layout.cells for planned in tables]
    blocks = list(zip(cells, _bounds(tables, mechanism), strict=True))
    units = [planned.unit for planned in tables]
    match mechanism:
        case Mechanism.DISCRETE_LAPLACE:
            return laplace_noise(question.epsilon, blocks, units)
        case Mechanism.DISCRETE_GAUSSIAN:
            return gaussian_noise(
                zcdp_rho(question.epsilon, delta * FILTER_SHARE_OF_DELTA) / question.rounds,
                blocks,
                units,
                honest=honest,
            )


def _ring(tables: Sequence[PlannedTable], noise: NoiseSpec, rules: CohortRules) -> Ring:
    """The narrowest ring in which neither the sum nor its noise can wrap round, whoever joins."""
    councils = rules.eligible_count
    most = noise_bound(noise, honest=least_honest(rules), contributors=councils)
    largest = councils * max(planned.clamp for planned in tables)
    for ring in (Ring(bits=32), Ring(bits=64)):
        if headroom_ok(ring, scale=noise.scale, max_abs_sum=largest, noise_bound=most):
            return ring
    raise QueryError(
        "The figures asked for could overflow a 64-bit sum.", remedy="Use a smaller clip or a larger epsilon."
    )


def _check_size(tables: Sequence[PlannedTable]) -> None:
    cells = sum(planned.layout.cells for planned in tables)
    if cells > MAX_CELLS:
        raise QueryError(
            f"The question has {cells:,} cells; at most {MAX_CELLS:,} are allowed.",
            remedy="Use fewer breakdowns.",
        )
