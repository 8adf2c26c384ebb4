"""What protects whom, each with the test that fails without it: for the assessment pack (requirements R23 and R58)."""

from dataclasses import dataclass
from typing import Final

__all__ = ["ATTACKS", "CALDICOTT", "RISKS", "Attack", "Principle", "Risk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One of the Caldicott Principles, what this software does about it, and the test of that.

    Attributes:
        name: The principle in short.
        control: What the software does; what the council must add itself is said too.
        test: File and name of the test in the source code; empty where no software can do it.
    """

    name: str
    control: str
    test: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Something a motivated intruder would try, what stops it, and the test that tries it."""

    tried: str
    stopped_by: str
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A risk to people, with the measure against it. The council judges how likely and how grave it is."""

    risk: str
    measure: str
    test: str


_UNIT: Final = "tests/unit/council_node"

CALDICOTT: Final = (
    Principle(
        name="1. Justify the purpose",
        control="A question without a specific purpose, decision and benefit is refused before a person sees it.",
        test="tests/unit/federated/test_manifest_rules.py::test_what_the_agreement_does_not_cover_is_refused_by_its_rule",
    ),
    Principle(
        name="2. Use it only when necessary",
        control="A question that was answered before gets the stored answer. Each new one needs a new decision.",
        test="tests/integration/test_coordinator_proposals.py"
        "::test_the_identical_question_is_answered_from_the_store_at_no_cost",
    ),
    Principle(
        name="3. Use the minimum",
        control="Only the question's columns are read. Names, dates of birth and the like cannot be mapped at all.",
        test=f"{_UNIT}/test_mapping_file.py::test_identifying_headings_are_refused_but_as_keys",
    ),
    Principle(
        name="4. Access on a need-to-know basis",
        control="No record and no figure of this council leaves it. The key is a file that its owner alone may read.",
        test="tests/canary/test_masked_vectors.py::test_no_vector_received_correlates_with_any_councils_figures",
    ),
    Principle(
        name="5. Everyone knows their responsibilities",
        control="Roles are named in the settings, and each decision is kept with who made it, in which role and why.",
        test=f"{_UNIT}/test_decisions.py::test_names_and_notes_of_approval_stay_at_the_council",
    ),
    Principle(
        name="6. Comply with the law",
        control="A manifest without a legal position is refused. The council's own lawyers decide whether it is right.",
        test="tests/unit/federated/test_manifest_rules.py::test_an_unsound_manifest_is_refused_although_signed",
    ),
    Principle(
        name="7. The duty to share for individual care",
        control="Not touched: answers are never about one person, and no record is moved or held back.",
    ),
    Principle(
        name="8. Inform people",
        control="A privacy notice is drafted from these settings. Rows of people who objected are dropped first.",
        test=f"{_UNIT}/test_csv_source.py::test_a_household_that_objects_is_dropped_with_all_its_rows",
    ),
)

ATTACKS: Final = (
    Attack(
        tried="Read what one council sends, and look for its figures in it",
        stopped_by="masks: by itself each message looks random",
        test="tests/canary/test_masked_vectors.py::test_no_vector_received_correlates_with_any_councils_figures",
    ),
    Attack(
        tried="Ask again and again, and average the noise away",
        stopped_by="the privacy budget, which the council's own node keeps",
        test="tests/unit/federated/privacy/test_privacy_budget.py::test_the_whole_pure_budget_may_be_spent_and_not_a_step_more",
    ),
    Attack(
        tried="Ask with one council more or less, and subtract",
        stopped_by="whole named groups only; noise hides each household, and a council's total only to within it",
        test=f"{_UNIT}/test_policy_review.py::test_only_a_whole_named_group_is_asked",
    ),
    Attack(
        tried="Shrink the group to helpers and one victim",
        stopped_by="a smallest cohort and a fixed number of possible colluders",
        test="tests/simulation/test_secagg_adversary.py::test_a_round_shrunk_to_the_colluders_and_one_victim_is_refused",
    ),
    Attack(
        tried="Say that a council dropped out and also that it answered, to get both its secrets",
        stopped_by="one signed list of survivors for each round",
        test="tests/simulation/test_secagg_adversary.py::test_both_secrets_of_the_victim_never_come_out",
    ),
    Attack(
        tried="Put an old copy of the ledger back, to spend the budget twice",
        stopped_by="other councils remember its last entry",
        test=f"{_UNIT}/test_ledger_rollback.py::test_a_peer_that_has_seen_an_entry_we_lack_stops_the_ledger",
    ),
    Attack(
        tried="Search logs, errors and replies for a case",
        stopped_by="no value of a case is ever written to them",
        test="tests/canary/test_canary_processes.py::test_no_canary_in_what_real_processes_keep_log_and_tell",
    ),
)

RISKS: Final = (
    Risk(
        risk="Somebody learns that a household is in the records, or what they say about it",
        measure="noise in every answer, bounded for each household, within a yearly budget",
        test="tests/statistical/test_noise_distribution.py::test_summed_shares_follow_the_exact_law_and_a_scale_ten_percent_off_is_seen",
    ),
    Risk(
        risk="The coordinator or another council learns this council's figures",
        measure="figures leave only masked; the masks cancel only in the sum over many councils",
        test="tests/property/test_secagg_laws.py::test_a_masked_input_is_uniform",
    ),
    Risk(
        risk="The data is used for a purpose that people did not expect",
        measure="prohibited uses in the agreement; a new use is a new question and a new decision",
        test="tests/unit/federated/test_manifest_rules.py::test_a_declared_use_for_funding_drops_one_prohibition_and_no_other",
    ),
    Risk(
        risk="More is read than the question needs",
        measure="only the question's columns are loaded, and the receipt lists them",
        test=f"{_UNIT}/test_csv_source.py::test_loads_only_approved_columns_and_no_reference",
    ),
    Risk(
        risk="Data is kept longer than needed",
        measure="rows live in memory for one question, and a signed record says when they went",
        test=f"{_UNIT}/test_proof_deletion.py::test_a_round_that_ends_after_its_charge_leaves_a_signed_record_and_nothing_else",
    ),
    Risk(
        risk="Somebody who objected is counted all the same",
        measure="objections are read again for each question and dropped before anything is counted",
        test=f"{_UNIT}/test_csv_source.py::test_a_household_that_objects_is_dropped_with_all_its_rows",
    ),
    Risk(
        risk="A small group of people is singled out in a table",
        measure="fixed public categories, noise in empty cells too, and a smallest number of councils",
        test="tests/unit/protocols/secagg/test_cohort_rules.py::test_each_rule_refuses_under_its_own_name",
    ),
)
