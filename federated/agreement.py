"""The data sharing agreement: one signed file that people read and every node enforces.

Machine rules and human text are one source, so they cannot differ (requirement R96). A council accepts an agreement
by pinning its digest; the coordinator can change nothing in it. What each field is for stands beside it, and
`docs/reference/agreement.md` is made from that.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from federated.agreement_parts import AllowedDataset, Budget, Group, HolderParty, Party, Person, Retention
from federated.clauses import (
    PROHIBITED_USES,
    Contacts,
    Day,
    Form,
    LegalPosition,
    Line,
    Name,
    ProhibitedUse,
    Prose,
    PurposeCategory,
    RationalText,
    Recipient,
    Strategic,
    no_repeats,
)
from federated.errors import FileProblem, InternalError, PolicyRefusal
from federated.keys import parse_public, trusted_keys
from federated.rationals import rational_text
from federated.schema import ColumnType, Schema, load_schema
from federated.signing import Opened, open_envelope
from federated.statistics import STATISTICS
from federated.trust import TrustSettings
from federated.yaml_document import read_form
from protocols.encoding import sha256
from protocols.identifiers import Digest
from protocols.secagg import CohortRuleBroken, CohortRules
from protocols.secagg.cohort import SMALLEST_ROUND
from protocols.suite import Suite

__all__ = [
    "AGREEMENT_TYPE",
    "Agreement",
    "AllowedDataset",
    "Group",
    "Person",
    "check_schema",
    "open_agreement",
    "open_signatures",
    "parse_agreement",
]

AGREEMENT_TYPE: Final = "application/vnd.federated.agreement+yaml"
_ONE_PERSON_IS_NOT_ENOUGH: Final = (
    "Have another of the people under agreement_keys in the settings sign it, with `federated agreement sign`. "
    "agreement_threshold there says how many must: 2 where it is not named."
)
NEEDS_APPROVAL: Final = 2
"""Sensitivity class from which a column needs a named person's approval (requirement R57)."""


class Agreement(Form):
    """A data sharing agreement between councils, the body that asks and the body that runs the coordinator."""

    agreement: Literal[1] = Field(description="Version of this form: always `1`.")
    id: Name = Field(description="Name of the agreement. It stays the same in later versions.")
    version: Annotated[int, Field(ge=1)] = Field(description="Version of the agreement; one more for each change.")
    title: Line = Field(description="Title for people.")
    valid_from: Day = Field(description="First day on which questions are answered under it.")
    valid_to: Day = Field(description="Last day on which questions are answered under it.")
    review_on: Day = Field(description="Day by which the parties look at it again.")
    parties: Annotated[tuple[Party, ...], Field(min_length=1)] = Field(description="Who signs it, and what each does.")

    purpose: Prose = Field(description="What the answers are for, in plain English.")
    purpose_categories: Annotated[tuple[PurposeCategory, ...], Field(min_length=1), AfterValidator(no_repeats)] = Field(
        description="Kinds of purpose a question may have. There is no punitive kind."
    )
    use: Strategic = Field(description="Always `strategic`: answers are never used for a decision about one person.")
    prohibited_uses: Annotated[tuple[ProhibitedUse, ...], AfterValidator(no_repeats)] = Field(
        description="The charter: what answers are never used for. All of them are listed, to be read before signing."
    )
    funding_use: Literal["never", "if_declared"] = Field(
        description="`never`: no question may inform a funding decision. `if_declared`: a question that says so may be "
        "put, and each council decides whether to answer it."
    )
    legal_position: LegalPosition = Field(description="The legal position claimed, as a draft for councils' lawyers.")
    linked_data: Line = Field(description="Other data that answers are combined with, or `none`.")
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)] = Field(description="Who gets the answers.")
    storage: Prose = Field(description="Where answers are kept and who can open them.")
    security: Prose = Field(description="How the computers and keys of each party are protected.")
    retention: Retention = Field(description="How long anything is kept.")
    rights_requests: Prose = Field(description="What is done when somebody asks about their data, or objects.")
    breaches: Prose = Field(description="Who tells whom, and how fast, when something goes wrong.")
    exit: Prose = Field(description="How a council stops taking part, and what then happens to past answers.")
    contacts: Contacts = Field(description="Whom to ask.")

    groups: Annotated[tuple[Group, ...], Field(min_length=1, max_length=100)] = Field(
        description="Groups of councils that may be asked."
    )
    min_cohort: Annotated[int, Field(ge=SMALLEST_ROUND)] = Field(
        default=10, description="Fewest councils in any answer; at least 4."
    )
    min_honest: Annotated[int, Field(ge=2)] = Field(
        default=3, description="Fewest honest councils whose noise alone must be enough."
    )
    key_agreement: Suite = Field(
        default=Suite.X25519,
        description="What the keys of masks are agreed with. `x25519+mlkem768` withstands a future quantum computer "
        "too; each council then sends about eight times as many bytes before its figures.",
    )
    mask_holder: HolderParty | None = Field(
        default=None,
        description="A second body without which no answer can be opened: each council masks its figures with it too. "
        "While it is away no question can be answered. Nothing: the coordinator opens answers alone.",
    )
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        default=2, description="How often a council answers one signed question; each time is charged in full."
    )
    decision_days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=14, description="Days that councils have to decide on a question."
    )
    budget: Budget = Field(description="How much may be learned about one household in a calendar year.")
    max_epsilon_per_query: RationalText = Field(description="The most epsilon that one question may cost, in quotes.")
    datasets: Annotated[dict[Name, AllowedDataset], Field(min_length=1)] = Field(
        description="What may be asked about each data set; a data set that is not listed is not read."
    )
    analysts: Annotated[tuple[Person, ...], Field(min_length=1)] = Field(description="People who may ask questions.")
    reviewers: Annotated[tuple[Person, ...], Field(min_length=1)] = Field(
        description="People who may check what has been spent. A reviewer is never an analyst too."
    )

    _digest: Digest | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if not self.valid_from <= self.review_on <= self.valid_to:
            raise ValueError("must have its dates in order: valid_from, then review_on, then valid_to")
        return self

    @model_validator(mode="after")
    def _whole_charter(self) -> Self:
        missing = sorted(PROHIBITED_USES - set(self.prohibited_uses))
        if missing:
            raise ValueError(f"must list every prohibited use; {', '.join(missing)} is not there")
        return self

    @model_validator(mode="after")
    def _budget_covers_a_question(self) -> Self:
        if not 0 < self.max_epsilon <= self.budget_epsilon:
            raise ValueError("must have a max_epsilon_per_query above 0 and no more than the budget's epsilon")
        return self

    @model_validator(mode="after")
    def _names_and_keys_are_different(self) -> Self:
        _all_different("group", [group.name for group in self.groups])
        # Somebody who asks and also checks what was spent checks nobody; who asks and also holds masks holds none.
        people = [person.public_key for person in (*self.analysts, *self.reviewers)]
        _all_different("public key", [*people, *(() if self.mask_holder is None else (self.mask_holder.key,))])
        return self

    @model_validator(mode="after")
    def _groups_make_a_round(self) -> Self:
        for group in self.groups:
            try:
                self.cohort_rules(group).thresholds(len(group.councils))
            except CohortRuleBroken as error:
                raise ValueError(f"has the group {group.name}, which could never answer: {error}") from error
        return self

    @property
    def digest(self) -> Digest:
        """SHA-256 of the signed bytes: what a council accepts and a plan names.

        Raises:
            InternalError: The agreement was not read by `parse_agreement`.
        """
        if self._digest is None:
            raise InternalError("An agreement that was not read from its signed bytes has no digest.")
        return self._digest

    @property
    def budget_epsilon(self) -> Fraction:
        """Epsilon of a period."""
        return Fraction(self.budget.epsilon)

    @property
    def budget_delta(self) -> Fraction:
        """Delta of a period."""
        return Fraction(self.budget.delta)

    @property
    def max_epsilon(self) -> Fraction:
        """The most epsilon one question may cost."""
        return Fraction(self.max_epsilon_per_query)

    @property
    def analyst_keys(self) -> Mapping[str, bytes]:
        """Raw public keys of the analysts by key id."""
        return trusted_keys(*(parse_public(person.public_key) for person in self.analysts))

    @property
    def reviewer_keys(self) -> Mapping[str, bytes]:
        """Raw public keys of the reviewers by key id."""
        return trusted_keys(*(parse_public(person.public_key) for person in self.reviewers))

    def cohort_rules(self, group: Group, *, bases: int = 1) -> CohortRules:
        """The cohort rules of one of the groups, for a question that needs so many times the fewest councils."""
        return CohortRules(
            profile=group.profile,
            eligible_count=len(group.councils),
            min_cohort=self.min_cohort * bases,
            min_honest=self.min_honest,
        )

    def group(self, name: str) -> Group:
        """The group of that name.

        Raises:
            PolicyRefusal: `group`: the agreement names no such group.
        """
        for group in self.groups:
            if group.name == name:
                return group
        known = ", ".join(group.name for group in self.groups)
        raise PolicyRefusal(
            "group",
            f"The agreement '{self.id}' has no group '{name}'.",
            remedy=f"Its groups are: {known}.",
        )

    def check_in_force(self, now: datetime) -> None:
        """Refuse an agreement outside its days.

        Raises:
            PolicyRefusal: `agreement_not_yet_valid` or `agreement_expired`.
        """
        today = now.astimezone(UTC).date()
        if today < self.valid_from:
            raise PolicyRefusal(
                "agreement_not_yet_valid",
                f"The agreement '{self.id}' is valid from {self.valid_from}; today is {today}.",
                remedy="Wait until then, or check this computer's clock.",
            )
        if today > self.valid_to:
            raise PolicyRefusal(
                "agreement_expired",
                f"The agreement '{self.id}' expired at the end of {self.valid_to}; today is {today}.",
                remedy="The parties must sign a new version.",
            )

    def check_allowed(
        self, *, dataset: str, unit: str, columns: Collection[str], statistics: Collection[str], max_cells: int
    ) -> None:
        """Refuse a question about anything the agreement does not list.

        Raises:
            PolicyRefusal: `dataset`, `unit`, `column`, `statistic` or `max_cells`.
        """
        allowed = self.datasets.get(dataset)
        if allowed is None:
            raise self._refusal("dataset", f"the data set '{dataset}'", self.datasets)
        if unit != allowed.unit:
            raise self._refusal("unit", f"the unit '{unit}' for '{dataset}'", [allowed.unit])
        for column in sorted(set(columns) - set(allowed.columns)):
            raise self._refusal("column", f"the column '{column}' of '{dataset}'", allowed.columns)
        for statistic in sorted(set(statistics) - set(allowed.statistics)):
            raise self._refusal("statistic", f"the statistic '{statistic}' for '{dataset}'", allowed.statistics)
        if max_cells > allowed.max_cells:
            raise PolicyRefusal(
                "max_cells",
                f"The question lets a household count in {max_cells} cells; the agreement '{self.id}' allows "
                f"{allowed.max_cells}.",
                remedy="Ask with a smaller max_cells.",
            )

    def check_epsilon(self, epsilon: Fraction) -> None:
        """Refuse a question that costs more than any one question may.

        Raises:
            PolicyRefusal: `max_epsilon_per_query`.
        """
        if epsilon > self.max_epsilon:
            raise PolicyRefusal(
                "max_epsilon_per_query",
                f"The question asks for epsilon {rational_text(epsilon)}; the agreement '{self.id}' allows "
                f"{self.max_epsilon_per_query} for one question.",
                remedy="Ask with a smaller epsilon.",
            )

    def _refusal(self, rule: str, what: str, allowed: Collection[str]) -> PolicyRefusal:
        return PolicyRefusal(
            rule,
            f"The agreement '{self.id}' does not allow {what}.",
            remedy=f"It allows: {', '.join(allowed)}.",
        )


def _all_different(what: str, values: list[str]) -> None:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"has the {what} {repeated[0]} more than once")


def parse_agreement(payload: bytes, *, source: str = "agreement") -> Agreement:
    """Read the content of an agreement, signatures aside.

    Raises:
        FileProblem: Names the line and field at fault.
    """
    agreement = read_form(Agreement, payload, source=source, remedy="docs/reference/agreement.md explains every field.")
    agreement._digest = sha256(payload)  # noqa: SLF001 - only here are the signed bytes at hand
    return agreement


def check_schema(agreement: Agreement, schema: Schema) -> None:
    """Hold an agreement against the data dictionary: all it names exists, and what needs approval has it.

    Raises:
        FileProblem: Names the field at fault.
    """
    for name, allowed in agreement.datasets.items():
        place = f"agreement '{agreement.id}': datasets.{name}"
        dataset = schema.datasets.get(name)
        if dataset is None:
            raise FileProblem(f"{place} is not a data set.", remedy=f"There are: {', '.join(schema.datasets)}.")
        if allowed.unit != dataset.unit:
            raise FileProblem(f"{place}.unit is {allowed.unit}; this data set counts one {dataset.unit} at a time.")
        for statistic in allowed.statistics:
            if statistic not in STATISTICS:
                raise FileProblem(
                    f"{place} allows the statistic '{statistic}', which does not exist.",
                    remedy=f"There are: {', '.join(STATISTICS)}.",
                )
        askable = [column.name for column in dataset.columns.values() if column.type is not ColumnType.KEY]
        for column in (*allowed.columns, *allowed.class_2_approved_by):
            if column not in askable:
                raise FileProblem(
                    f"{place} names the column '{column}', which does not exist or may never be read.",
                    remedy=f"Columns that may be read are: {', '.join(askable)}.",
                )
        for column in allowed.columns:
            approved = column in allowed.class_2_approved_by
            if dataset.columns[column].highest_class >= NEEDS_APPROVAL and not approved:
                raise FileProblem(
                    f"{place} lets the column '{column}' be read, which holds special category, criminal-offence or "
                    "immigration data, but nobody's approval is given.",
                    remedy="Leave the column out, or add it under class_2_approved_by with name, post and date.",
                )


def open_signatures(envelope: bytes, trust: TrustSettings) -> Opened:
    """Check that enough of the pinned people signed an agreement, and nothing else of it.

    Raises:
        SignatureProblem: Too few of them did, or a signature is wrong.
    """
    return open_envelope(
        envelope, AGREEMENT_TYPE, trust.agreement, trust.agreement_threshold, too_few=_ONE_PERSON_IS_NOT_ENOUGH
    )


def open_agreement(
    envelope: bytes,
    trust: TrustSettings,
    now: datetime,
    *,
    schema: Schema | None = None,
    known: tuple[int, Digest] | None = None,
) -> Agreement:
    """Check a signed agreement. Run by every node when it is accepted and again for every question.

    Checks, in order: (0) enough pinned people signed, (1) content, (2) the data dictionary, (3) its mask holder has a
    key of its own, (4) today, (5) it is no older than the version accepted before.

    Args:
        envelope: The signed file.
        trust: The pinned keys.
        now: The time, UTC.
        schema: The data dictionary; the installed one when left out.
        known: Version and digest of this agreement as accepted before; None when it is new.

    Raises:
        SignatureProblem: (0).
        FileProblem: (1) or (2).
        PolicyRefusal: `mask_holder` for (3), (4), or `agreement_older` or `agreement_altered` for (5).
    """
    agreement = parse_agreement(open_signatures(envelope, trust).payload)
    check_schema(agreement, load_schema() if schema is None else schema)
    _check_holder_signs_nothing(agreement, trust)
    agreement.check_in_force(now)
    if known is not None:
        _check_newer(agreement, *known)
    return agreement


def _check_holder_signs_nothing(agreement: Agreement, trust: TrustSettings) -> None:
    # A mask holder's key lies on a computer that is always on. Whoever got at it could sign what is asked as well as
    # open the answer, and the second body would be none.
    holder = agreement.mask_holder
    if holder is not None and holder.key in {*trust.roster_keys, *trust.agreement_keys}:
        raise PolicyRefusal(
            "mask_holder",
            f"The agreement's mask holder, {holder.name}, has the key of a person who signs agreements or the list of "
            "councils.",
            remedy="The mask holder must have a key of its own; the parties must sign a new version of the agreement.",
        )


def _check_newer(agreement: Agreement, version: int, digest: Digest) -> None:
    if agreement.version < version:
        raise PolicyRefusal(
            "agreement_older",
            f"This is version {agreement.version} of the agreement '{agreement.id}'; version {version} was accepted.",
            remedy="Ask for the current version.",
        )
    if agreement.version == version and agreement.digest != digest:
        raise PolicyRefusal(
            "agreement_altered",
            f"This file is not the version {version} of the agreement '{agreement.id}' that was accepted.",
            remedy="A changed agreement needs a new version number and must be accepted anew.",
        )
