"""Step 3 of 8: may this question be answered here? In: `Facts` of a plan. Out: nothing, or a refusal with its rule.

Each check is a pure function over facts that follow from the signed plan, from the files this council pinned, and
from the date of its extract. None of them sees a case: taking part never depends on case values, or a council's
absence would itself be a figure without noise (`protocol.md` 1.3).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Final, TypeAlias

from council_node.policy_file import Class2, Crossed, Policy
from council_node.validity import check_valid
from federated.agreement import NEEDS_APPROVAL, Agreement
from federated.clauses import MEANINGS
from federated.crossings import BASE_FACTOR, in_words
from federated.errors import CohortTooSmall, PolicyRefusal
from federated.manifest import Manifest, check_columns, check_manifest
from federated.plan import Plan
from federated.query import Level
from federated.rationals import rational_text
from federated.red_lines import RedLine, asked, crossed, red_lines
from federated.schema import Dataset, Schema
from protocols.identifiers import CouncilId, Digest
from protocols.secagg import CohortRuleBroken

__all__ = ["CHECKS", "Check", "Facts", "class_2_columns", "facts_of", "persons_reasons", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the checks look at.

    Attributes:
        council: This council.
        agreement_id: Agreement that the plan names.
        agreement_digest: Version of it that the plan names.
        manifest_digest: Manifest that the plan names.
        manifest: Manifest as received with it, its signature and wording already checked.
        group: Named group that is asked.
        eligible: Councils that are asked, sorted.
        dataset: Data set read.
        unit: Privacy unit.
        columns: Every column read, the household key aside.
        class_2: Those of them that need a named person's approval.
        classes: Sensitivity class of each column read; one that is not here counts as class 2.
        statistics: Statistics asked for.
        levels: Geographies that its tables are broken down to.
        crossed: Tables that cross protected characteristics, and which, as this node finds it in the question itself.
        red_lines: The seven, as far as they can be computed.
        max_cells: Most cells that one household may count in, over the tables.
        cells: Length of the vector.
        epsilon: Privacy cost asked for.
        attempts: Masked inputs the plan allows.
        not_before: Start of the plan's validity.
        not_after: End of it.
        missing: Columns that this council's mapping does not have.
        extract_date: Date of the extract, if there is one.
    """

    council: CouncilId
    agreement_id: str
    agreement_digest: Digest
    manifest_digest: Digest
    manifest: Manifest
    group: str
    eligible: tuple[CouncilId, ...]
    dataset: str
    unit: str
    columns: frozenset[str]
    class_2: frozenset[str]
    classes: Mapping[str, int]
    statistics: frozenset[str]
    levels: frozenset[Level]
    crossed: Mapping[str, tuple[str, ...]]
    red_lines: tuple[RedLine, ...]
    max_cells: int
    cells: int
    epsilon: Fraction
    attempts: int
    not_before: datetime
    not_after: datetime
    missing: frozenset[str]
    extract_date: date | None


def class_2_columns(dataset: Dataset, columns: Iterable[str]) -> frozenset[str]:
    """Those of a data set's columns that hold special category, criminal-offence or immigration data, in any code."""
    return frozenset(name for name in columns if dataset.columns[name].highest_class >= NEEDS_APPROVAL)


def facts_of(
    plan: Plan,
    manifest: Manifest,
    *,
    agreement: Agreement,
    council: CouncilId,
    schema: Schema,
    missing: frozenset[str],
    extract_date: date | None,
) -> Facts:
    """The facts of a plan that this node derived itself.

    Args:
        plan: From `federated.plan.open_plan`.
        manifest: From `federated.manifest.open_manifest`.
        agreement: The one that the plan was derived under.
        council: This council.
        schema: The data dictionary.
        missing: Columns of the question that the mapping of its data set lacks.
        extract_date: Date of the extract, or None when there is no extract.
    """
    question = plan.question
    dataset = schema.datasets[question.dataset]
    columns = question.columns()
    return Facts(
        council=council,
        agreement_id=plan.agreement_id,
        agreement_digest=plan.agreement_digest,
        manifest_digest=plan.terms.manifest_digest,
        manifest=manifest,
        group=question.group,
        eligible=plan.eligible,
        dataset=question.dataset,
        unit=question.unit,
        columns=columns,
        class_2=class_2_columns(dataset, columns),
        classes={name: dataset.columns[name].highest_class for name in columns},
        statistics=frozenset(table.statistic for table in question.tables),
        levels=frozenset(table.level for table in question.tables),
        crossed={planned.table.name: planned.crosses for planned in plan.tables if planned.crosses},
        red_lines=red_lines(question, manifest, agreement=agreement, dataset=dataset)
        if question.dataset in agreement.datasets
        else (),
        max_cells=max(table.max_cells for table in question.tables),
        cells=plan.cells,
        epsilon=question.epsilon,
        attempts=plan.terms.attempts,
        not_before=plan.terms.not_before,
        not_after=plan.terms.not_after,
        missing=missing,
        extract_date=extract_date,
    )


Check: TypeAlias = Callable[[Facts, Agreement, Policy, datetime], None]


def check_paused(_facts: Facts, _agreement: Agreement, policy: Policy, _now: datetime) -> None:
    """(0) The council answers nothing while it is paused."""
    if policy.paused:
        raise PolicyRefusal("paused", "This council has paused.", remedy="Ask the council when it takes part again.")


def check_agreement(facts: Facts, agreement: Agreement, _policy: Policy, now: datetime) -> None:
    """(1) The plan is under the very version of the agreement that this council accepted, and it is in force."""
    if (facts.agreement_id, facts.agreement_digest) != (agreement.id, agreement.digest):
        raise PolicyRefusal(
            "agreement_not_accepted",
            f"This council has not accepted the version of the agreement '{facts.agreement_id}' that the plan names.",
            remedy="Plan the question under the version in force, or ask the council to accept the new one.",
        )
    agreement.check_in_force(now)


def check_dates(facts: Facts, _agreement: Agreement, _policy: Policy, now: datetime) -> None:
    """(2) The plan is valid now."""
    check_valid(facts, now)


def check_attempts(facts: Facts, agreement: Agreement, _policy: Policy, _now: datetime) -> None:
    """(3) The plan allows itself no more attempts than the agreement does; each is charged in full."""
    if facts.attempts > agreement.attempts:
        raise PolicyRefusal(
            "attempts",
            f"The plan allows {facts.attempts} attempts; the agreement '{agreement.id}' allows {agreement.attempts}.",
            remedy="Plan the question with fewer attempts.",
        )


def check_cohort(facts: Facts, agreement: Agreement, policy: Policy, _now: datetime) -> None:
    """(4) One whole named group is asked, this council is in it, and it is large enough."""
    group = agreement.group(facts.group)
    # A coordinator that chose who is asked could ask the colluders and one victim (`protocol.md` 1.1).
    if facts.eligible != group.councils:
        raise PolicyRefusal(
            "group", f"The councils asked are not those of the group '{group.name}'.", remedy="Ask a whole group."
        )
    if facts.council not in group.councils:
        raise PolicyRefusal("group", f"This council is not in the group '{group.name}'.")
    try:
        agreement.cohort_rules(group).thresholds(len(group.councils))
    except CohortRuleBroken as error:
        raise CohortTooSmall(f"The group '{group.name}' is too small: {error}.", rule=error.rule) from error
    _check_crossed_base(facts, agreement)
    if policy.min_cohort is not None and len(group.councils) < policy.min_cohort:
        raise _own(f"answers only with {policy.min_cohort} or more councils; the group has {len(group.councils)}")
    if policy.groups is not None and facts.group not in policy.groups:
        raise _own(f"does not answer with the group '{facts.group}'")
    for level in sorted(facts.levels):
        if policy.levels is not None and level not in policy.levels:
            raise _own(f"does not answer at the level '{level.value}'")


def _check_crossed_base(facts: Facts, agreement: Agreement) -> None:
    needed = agreement.min_cohort * BASE_FACTOR
    if facts.crossed and len(facts.eligible) < needed:
        raise CohortTooSmall(
            f"A table that singles out groups by {_characteristics(facts)} needs {needed} councils asked together; the "
            f"group '{facts.group}' has {len(facts.eligible)}.",
            remedy="Ask a larger group.",
            rule="crossed_base",
        )


def _characteristics(facts: Facts) -> str:
    """Everything that the crossed tables cross, in words."""
    return in_words(tuple(sorted(frozenset[str]().union(*facts.crossed.values()))))


def check_purpose(facts: Facts, agreement: Agreement, policy: Policy, _now: datetime) -> None:
    """(5) The manifest is the one the plan names, keeps to the agreement and our policy, and explains every column."""
    if facts.manifest.digest != facts.manifest_digest:
        raise PolicyRefusal(
            "manifest_mismatch",
            "The manifest that came with the plan is not the one that the plan names.",
            remedy="Send the manifest that the plan was made with.",
        )
    check_manifest(facts.manifest, agreement)
    check_columns(facts.manifest, dataset=facts.dataset, columns=facts.columns)
    _check_use(facts.manifest, policy)


def _check_use(manifest: Manifest, policy: Policy) -> None:
    for use in policy.prohibited_uses:
        if use not in manifest.prohibited_uses:
            raise _own(f"asks every manifest to rule out {MEANINGS[use]}; this one does not")
    if manifest.purpose_category in policy.refuse_purposes:
        raise _own(f"does not answer questions for the purpose '{manifest.purpose_category.value}'")
    for recipient in manifest.recipients:
        if recipient.type in policy.refuse_recipients:
            raise _own(f"gives no answer to {MEANINGS[recipient.type]}, and '{recipient.body}' is a recipient")


def check_read(facts: Facts, agreement: Agreement, policy: Policy, _now: datetime) -> None:
    """(6) Only what the agreement lists, and this council does not refuse, is read and counted."""
    agreement.check_allowed(
        dataset=facts.dataset,
        unit=facts.unit,
        columns=facts.columns,
        statistics=facts.statistics,
        max_cells=facts.max_cells,
    )
    for column in sorted(facts.columns & set(policy.refuse_columns)):
        raise _own(f"does not let the column '{column}' be read")
    _check_by_class(facts, policy)
    if facts.crossed and policy.crossed_characteristics is Crossed.REFUSE:
        raise _own(f"does not answer tables that single out groups by {_characteristics(facts)}")
    for statistic in sorted(facts.statistics & set(policy.refuse_statistics)):
        raise _own(f"does not answer the statistic '{statistic}'")
    if policy.max_cells is not None and facts.cells > policy.max_cells:
        raise PolicyRefusal(
            "cells",
            f"The question has {facts.cells} cells; this council answers up to {policy.max_cells}.",
            remedy="Use fewer breakdowns.",
        )


def _check_by_class(facts: Facts, policy: Policy) -> None:
    for column in sorted(facts.columns):
        sensitivity = facts.classes.get(column, NEEDS_APPROVAL)
        rules = policy.by_class.of(sensitivity)
        if rules.columns is not None and column not in rules.columns:
            raise _own(f"does not let the column '{column}', of class {sensitivity}, be read")
        for statistic in sorted(facts.statistics):
            if rules.statistics is not None and statistic not in rules.statistics:
                raise _own(
                    f"does not answer the statistic '{statistic}' on the column '{column}', of class {sensitivity}"
                )


def check_class_2(facts: Facts, agreement: Agreement, policy: Policy, _now: datetime) -> None:
    """(7) A named person approved each special category, criminal-offence or immigration column."""
    allowed = agreement.datasets[facts.dataset].class_2_approved_by
    for column in sorted(facts.class_2):
        if column not in allowed or policy.class_2 is Class2.REFUSE:
            whose = "this council's policy" if column in allowed else f"the agreement '{agreement.id}'"
            raise PolicyRefusal(
                "class_2",
                f"The column '{column}' holds the most sensitive kind of data, and {whose} does not let it be read.",
                remedy="Leave the column out.",
            )


def check_epsilon(facts: Facts, agreement: Agreement, policy: Policy, _now: datetime) -> None:
    """(8) The question costs no more than one question may."""
    agreement.check_epsilon(facts.epsilon)
    own = policy.max_epsilon_per_query
    if own is not None and facts.epsilon > Fraction(own):
        raise _own(f"allows epsilon {own} for one question; this one asks for {rational_text(facts.epsilon)}")
    lower = policy.class_2_max_epsilon_per_query
    if facts.class_2 and lower is not None and facts.epsilon > Fraction(lower):
        raise _own(
            f"allows epsilon {lower} for a question on the most sensitive columns, such as "
            f"'{min(facts.class_2)}'; this one asks for {rational_text(facts.epsilon)}"
        )


def check_extract(facts: Facts, _agreement: Agreement, policy: Policy, now: datetime) -> None:
    """(9) This council holds what is asked for, in an extract that is recent enough."""
    if facts.missing:
        raise PolicyRefusal(
            "coverage",
            f"This council does not hold the column(s) {', '.join(sorted(facts.missing))}.",
            remedy="Ask without them, or ask a group that holds them.",
        )
    if facts.extract_date is None:
        raise PolicyRefusal("coverage", f"This council has no extract of '{facts.dataset}' at present.")
    age = (now.astimezone(UTC).date() - facts.extract_date).days
    if policy.max_extract_age_days is not None and age > policy.max_extract_age_days:
        raise PolicyRefusal(
            "extract_age",
            f"This council's extract is {age} days old; it answers from extracts of up to "
            f"{policy.max_extract_age_days} days.",
            remedy="Ask again once the council has a newer extract.",
        )


def check_red_lines(facts: Facts, _agreement: Agreement, _policy: Policy, _now: datetime) -> None:
    """(10) No red line is crossed, as far as that can be computed; people answer for the rest."""
    for line in crossed(facts.red_lines):
        raise PolicyRefusal(
            "red_line",
            f"The question is over the red line '{line.name}'. {line.found[0]}",
            remedy="No council can approve it as it stands.",
        )


CHECKS: Final[tuple[Check, ...]] = (
    check_paused,
    check_agreement,
    check_dates,
    check_attempts,
    check_cohort,
    check_purpose,
    check_read,
    check_class_2,
    check_epsilon,
    check_extract,
    check_red_lines,
)
"""Every check of `review`, in order."""


def review(facts: Facts, agreement: Agreement, policy: Policy, now: datetime) -> None:
    """Decide on a question. Run by the node at the proposal and again at each invitation.

    Before it come the signatures, the roster and the plan's own figures (`federated`); after it the budget, which
    the ledger decides as it reserves. The checks here: (0) not paused; (1) the accepted agreement, in force; (2) the
    plan's dates; (3) attempts; (4) the cohort; (5) the purpose; (6) what is read and counted; (7) the most sensitive
    columns; (8) the cost of one question; (9) coverage and age of the extract; (10) red lines.

    Raises:
        PolicyRefusal: The first check that fails, by its rule.
        CohortTooSmall: `min_cohort`, `min_honest` or `crossed_base`.
    """
    for check in CHECKS:
        check(facts, agreement, policy, now)


def persons_reasons(facts: Facts, policy: Policy) -> tuple[str, ...]:
    """Why a person must decide on a question that passed every check; empty when approval is automatic."""
    return tuple(_persons_reasons(facts, policy))


def _persons_reasons(facts: Facts, policy: Policy) -> Iterator[str]:
    dearest = policy.automatic_max_epsilon
    if not policy.automatic:
        yield "this council decides on every question"
    elif dearest is not None and facts.epsilon > Fraction(dearest):
        yield f"it costs more than the epsilon {dearest} that is answered without a person"
    if facts.class_2 and policy.class_2 is Class2.PERSON:
        yield f"it reads the most sensitive kind of data: {', '.join(sorted(facts.class_2))}"
    # Whatever the policy says: nobody agrees beforehand to a description of a community (requirement R52).
    for name, characteristics in facts.crossed.items():
        yield f"its table '{name}' singles out groups by {in_words(characteristics)}, which only a person may approve"
    if facts.manifest.funding_use == "declared":
        yield "its answer is meant to inform a funding decision"
    if policy.automatic:
        written = policy.red_lines.given()
        for line in asked(facts.red_lines):
            if line.name not in written:
                yield f"the policy has no written answer to the red line '{line.name}'"


def _own(what: str) -> PolicyRefusal:
    return PolicyRefusal("council_policy", f"This council's policy {what}.", remedy="Ask for less, or ask the council.")
