"""Who is asked together, and how many must stand in a figure: the group, its cohort rules, the regions shown."""

from collections.abc import Mapping

from federated.agreement import Agreement, Group
from federated.crossings import BASE_FACTOR, in_words
from federated.errors import CohortTooSmall, PolicyRefusal
from federated.query import Query
from federated.roster import Roster
from federated.schema import Schema
from protocols.secagg import CohortRuleBroken, CohortRules, Thresholds

__all__ = ["asked_group", "cohort_rules", "least_honest", "most_honest", "possible_rounds", "regions_shown"]


def asked_group(question: Query, agreement: Agreement, roster: Roster) -> Group:
    """The group that a question asks, all of whose councils must be in the roster.

    Raises:
        PolicyRefusal: `group`.
    """
    group = agreement.group(question.group)
    absent = [council for council in group.councils if council not in roster.councils]
    if absent:
        raise PolicyRefusal(
            "group",
            f"{len(absent)} council(s) of the group '{group.name}' are not in the roster: {', '.join(absent[:5])}.",
            remedy="Enrol them, or agree a group without them.",
        )
    return group


def cohort_rules(agreement: Agreement, group: Group, crossing: Mapping[str, tuple[str, ...]]) -> CohortRules:
    """The cohort rules of the round, which is one for all tables: where one of them crosses, twice the councils.

    Args:
        agreement: Gives the profile and the smallest cohort.
        group: Asked.
        crossing: The question's tables that cross protected characteristics, and which (`federated.crossings`).

    Raises:
        CohortTooSmall: `crossed_base`.
    """
    if not crossing:
        return agreement.cohort_rules(group)
    needed = agreement.min_cohort * BASE_FACTOR
    if len(group.councils) < needed:
        name, characteristics = next(iter(crossing.items()))
        # A group chosen small enough for one community would be a profile of it (requirement R52).
        raise CohortTooSmall(
            f"The table '{name}' singles out groups by {in_words(characteristics)}, for which {needed} councils must "
            f"be asked together; the group '{group.name}' has {len(group.councils)}.",
            remedy="Ask a larger group, or leave all but one of these characteristics out of each table and filter.",
            rule="crossed_base",
        )
    _check_differences(agreement, group, needed)
    return agreement.cohort_rules(group, bases=BASE_FACTOR)


def _check_differences(agreement: Agreement, group: Group, needed: int) -> None:
    """Two nested groups give the councils between them by subtraction: a small group, freely chosen."""
    asked = set(group.councils)
    for other in agreement.groups:
        members = set(other.councils)
        between = len(asked ^ members)
        if (asked < members or members < asked) and between < needed:
            raise CohortTooSmall(
                f"The groups '{group.name}' and '{other.name}' differ by {between} council(s), which two answers would "
                f"single out; for a table that crosses protected characteristics they must differ by {needed}.",
                remedy="Ask a group that has no such neighbour in the agreement.",
                rule="crossed_base",
            )


def most_honest(rules: CohortRules) -> int:
    """H with every eligible council present.

    Raises:
        CohortTooSmall: Even then no round is possible; the rule says why.
    """
    try:
        return rules.thresholds(rules.eligible_count).h
    except CohortRuleBroken as error:
        raise CohortTooSmall(
            f"The group is too small for this agreement: {error}.",
            remedy="Ask a larger group.",
            rule=error.rule,
        ) from error


def possible_rounds(rules: CohortRules) -> tuple[Thresholds, ...]:
    """Thresholds of every number of councils that makes a round possible, fewest first; never empty for a plan."""
    found = []
    for joined in range(1, rules.eligible_count + 1):
        try:
            found.append(rules.thresholds(joined))
        except CohortRuleBroken:
            continue
    return tuple(found)


def least_honest(rules: CohortRules) -> int:
    """H of the smallest cohort that makes a round possible: each of its councils draws the largest share of noise."""
    return min(thresholds.h for thresholds in possible_rounds(rules))


def regions_shown(group: Group, roster: Roster, schema: Schema, min_cohort: int) -> tuple[tuple[str, str], ...]:
    """Regions in which at least `min_cohort` of the councils asked stand, in the schema's order.

    The list is public and fixed by the plan; who answers does not change it.
    """
    standing = [roster.councils[council].region for council in group.councils]
    return tuple((code.code, code.label) for code in schema.regions if standing.count(code.code) >= min_cohort)
