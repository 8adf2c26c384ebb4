"""What a simulated federation is made from: its scenario, its people's keys and the papers they sign."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Self

from federated.agreement import AGREEMENT_TYPE, NEEDS_APPROVAL
from federated.demo.papers import SMALL_COHORT, agreement_document, yaml_payload
from federated.demo.people import People
from federated.errors import QueryError
from federated.privacy import Mechanism, zcdp_epsilon
from federated.query import Period, Query
from federated.rationals import rational_text
from federated.schema import Council, load_schema
from federated.signing import sign_payload
from federated.statistics import STATISTICS
from federated.synthetic import PUBLISHED_QUARTER
from protocols.identifiers import CouncilId
from protocols.secagg import Profile

__all__ = ["Scenario", "signed_agreement"]

DATASET = "case"
SMALLEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What to simulate.

    Attributes:
        questions: Asked in turn, every one in every turn; all to the same group, on the case table.
        councils: How many councils, those of the North East first.
        seed: Fixes the synthetic cases and which councils are lost. Masks and noise are from the system's entropy.
        rounds: How often each question is asked.
        profile: Of the group; standard from ten councils on when None.
        mechanism: Of the noise; the planner chooses when None.
        lost: Councils lost in each round when they are asked for their masked input.
        marker: A text planted in columns that no question reads, to be looked for elsewhere; none when None.
        budget: What one household may lose in the year; enough for every round when None.
        smaller_group: A second group that may be asked, of all councils but the last; none when None.
        held: The days that the records hold.
    """

    questions: tuple[Query, ...]
    councils: int = 12
    seed: int = field(default=1, repr=False)
    rounds: int = 1
    profile: Profile | None = None
    mechanism: Mechanism | None = None
    lost: int = 0
    marker: str | None = None
    budget: Fraction | None = None
    smaller_group: str | None = None
    held: Period = PUBLISHED_QUARTER

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if not self.questions or self.rounds < 1 or self.lost < 0:
            raise QueryError("A simulation needs a question and at least one round, and cannot lose fewer than none.")
        if len({question.group for question in self.questions} - {self.smaller_group}) != 1:
            raise QueryError("The questions of one simulation are all put to one group, or to the smaller one in it.")
        known = len(load_schema().councils)
        if not SMALLEST <= self.councils <= known:
            raise QueryError(f"A simulation has {SMALLEST} to {known} councils, not {self.councils}.")
        for question in self.questions:
            _check_synthetic(question, self.held)

    @property
    def group(self) -> str:
        """The group asked; where there are two, the one of all councils."""
        return next(question.group for question in self.questions if question.group != self.smaller_group)

    @property
    def profile_in_force(self) -> Profile:
        """The group's profile."""
        if self.profile is not None:
            return self.profile
        return Profile.STANDARD if self.councils >= SMALL_COHORT else Profile.CAREFUL

    @property
    def columns(self) -> frozenset[str]:
        """Every column the questions read."""
        return frozenset().union(*(question.columns() for question in self.questions))

    def with_epsilon(self, epsilon: Fraction) -> Self:
        """The same questions at another cost each."""
        return replace(self, questions=tuple(replace(question, epsilon=epsilon) for question in self.questions))


def _check_synthetic(question: Query, held: Period) -> None:
    if question.dataset != DATASET:
        raise QueryError(
            f"There are synthetic records of the data set '{DATASET}' only, not of '{question.dataset}'.",
            remedy=f"Ask about '{DATASET}'.",
        )
    period = question.period
    if period.column != held.column or not held.start <= period.start <= period.end <= held.end:
        raise QueryError(
            f"There are synthetic records from {held.start} to {held.end} only, by '{held.column}'.",
            remedy="Ask about that period, or a part of it.",
        )


def signed_agreement(
    scenario: Scenario, councils: Mapping[CouncilId, Council], people: People, *, today: date
) -> bytes:
    """The demo's agreement, widened to what the scenario asks and to the budget that all its rounds need."""
    document = agreement_document(
        {council.id: council.name for council in councils.values()},
        label=f"{len(councils)} simulated councils",
        profile=scenario.profile_in_force,
        epsilon=max(question.epsilon for question in scenario.questions),
        analyst=people.analyst,
        reviewer=people.reviewer,
        today=today,
    )
    document["groups"][0]["name"] = scenario.group
    if scenario.smaller_group is not None:
        [group] = document["groups"]
        smaller = {"name": scenario.smaller_group, "label": f"{len(councils) - 1} simulated councils"}
        document["groups"] = [group, group | smaller | {"councils": group["councils"][:-1]}]
    budget = scenario.budget
    if budget is None:
        budget = _budget(scenario, Fraction(document["budget"]["delta"]))
    document["budget"]["epsilon"] = rational_text(budget)
    document["datasets"] = {DATASET: _allowed(scenario, document["datasets"][DATASET]["class_2_approved_by"])}
    return sign_payload(yaml_payload(document), AGREEMENT_TYPE, people.agreement_signers)


def _budget(scenario: Scenario, delta: Fraction) -> Fraction:
    """Enough for every round and no more: a generous budget leaves less of delta for the sampler's random draws."""
    asked = [question.epsilon for question in scenario.questions] * scenario.rounds
    pure = sum(asked, Fraction(0))
    if scenario.mechanism is not None or len(scenario.questions) == 1:
        return pure
    # The planner may mix mechanisms: then the pure sum is lost, and each charge counts at most epsilon^2 / 2 of rho.
    return max(pure, zcdp_epsilon(sum((epsilon * epsilon / 2 for epsilon in asked), Fraction(0)), delta))


def _allowed(scenario: Scenario, approvals: Mapping[str, str]) -> dict[str, object]:
    dataset = load_schema().dataset(DATASET)
    columns = sorted(scenario.columns)
    approved = next(iter(approvals.values()))
    needing = [name for name in columns if dataset.column(name).highest_class >= NEEDS_APPROVAL]
    return {
        "unit": dataset.unit,
        "columns": columns,
        "statistics": list(STATISTICS),
        "max_cells": max(_max_cells(scenario.questions)),
        "class_2_approved_by": dict.fromkeys(needing, approved),
    }


def _max_cells(questions: Sequence[Query]) -> Iterable[int]:
    return (table.max_cells for question in questions for table in question.tables)
