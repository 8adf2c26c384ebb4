"""Manifest, version 1: why a question is asked, in the words a council reads before it decides.

One goes with every question, signed by the analyst; its digest is in the plan, so the purpose is bound to the
figures (requirement R50). What each field is for stands beside it, and `docs/reference/manifest.md` is made from that.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, field_validator, model_validator

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
    Recipient,
    Strategic,
    no_repeats,
)
from federated.errors import InternalError
from protocols.identifiers import Digest

__all__ = ["RED_LINES", "Manifest"]


def _must_be_yes(value: bool) -> bool:  # noqa: FBT001 - pydantic calls validators with the value alone
    if not value:
        raise ValueError("must be yes: it is a red line, so a question for which it is not true cannot be asked")
    return value


Confirmed = Annotated[bool, AfterValidator(_must_be_yes)]


class Need(Form):
    """Where the question comes from."""

    who_asked: Line = Field(description="Who wants to know: a post and a body.")
    why_now: Prose = Field(description="Why it is asked now and not later.")
    done_differently: Prose = Field(description="What would be done differently once the answer is known.")


class PublicBenefit(Form):
    """Four questions by which residents judged whether a use of data is worth it."""

    how_many_people: Prose = Field(description="How many people could be better off.")
    how_much: Prose = Field(description="How much better off each of them could be.")
    root_cause: Prose = Field(description="Whether it deals with the cause of a problem or only with what follows.")
    wider_effect: Prose = Field(description="What it means for others: neighbours, services, taxpayers.")


class CostAndBenefit(Form):
    """What one party puts in and gets out."""

    party: Line = Field(description="Who.")
    cost: Prose = Field(description="What it costs them, in hours or money.")
    benefit: Prose = Field(description="What they get from it.")


class FieldRead(Form):
    """One column that the question reads."""

    dataset: Name = Field(description="Data set, as the question names it.")
    column: Name = Field(description="Column, as the question names it.")
    why: Prose = Field(description="Why the question cannot be answered without it.")
    effort: Prose = Field(description="What it takes a council to have this column ready, as pilots found.")


class OutputTable(Form):
    """The shell of one table of the answer, as it will be published."""

    title: Line = Field(description="Title of the table.")
    rows: Line = Field(description="What the rows are.")
    columns: Line = Field(description="What the columns are.")
    level: Line = Field(description="Geography: all councils asked together, or regions.")


class KeepUntil(Form):
    """When the answer is got rid of."""

    until: Day = Field(description="Last day on which anyone keeps the unpublished answer.")
    then: Prose = Field(description="What happens to it then.")


class Ethics(Form):
    """Questions of right and wrong, answered by whoever asks."""

    who_could_be_harmed: Prose = Field(description="Who could come to harm through it, and how that is avoided.")
    stereotyping: Prose = Field(description="Whether it could cast a group of people in a bad light.")
    least_data: Prose = Field(description="Why nothing less would do.")
    expected_by_people: Prose = Field(description="Whether people would expect their records to be used so.")
    gaming: Prose = Field(description="Whether knowing the answer could tempt anyone to play the system.")
    how_people_are_told: Prose = Field(description="Where residents can read about the question and its answer.")


class RedLines(Form):
    """Seven things that must be true, or no benefit outweighs the risk. Each council checks them again."""

    lawful: Confirmed = Field(description="The use is lawful.")
    convincing_purpose: Confirmed = Field(description="The purpose is specific, and convinces.")
    no_threat_to_safety: Confirmed = Field(description="Nobody's safety is put at risk by the answer.")
    reuse_excluded: Confirmed = Field(description="The answer will be used for nothing but what is written here.")
    secure: Confirmed = Field(description="There is no doubt about how the data is kept safe.")
    transparent: Confirmed = Field(description="The question and its answer will be public.")
    proportionate: Confirmed = Field(description="The amount and sensitivity of the data fit the purpose.")


RED_LINES: Final = tuple((name, str(field.description)) for name, field in RedLines.model_fields.items())
"""The seven checks by name, with what must be true: each blocks an approval (requirement R65)."""


class Manifest(Form):
    """Why a question is asked, who gets the answer, what it is used for and when that ends."""

    manifest: Literal[1] = Field(description="Version of this form: always `1`.")
    id: Name = Field(description="Name of the manifest. It stays the same in later versions.")
    version: Annotated[int, Field(ge=1)] = Field(
        description="Version of the manifest; one more for each change. A new use or recipient is a change."
    )
    title: Line = Field(description="Title for people.")
    benefit_to_council: Prose = Field(description="What a council that answers gets out of it. Shown first.")
    benefit_to_residents: Prose = Field(description="What residents get out of it. Shown first.")
    question: Prose = Field(description="The question in plain English.")
    decision: Prose = Field(description="The decision that the answer informs: who decides what, and when.")
    purpose_category: PurposeCategory = Field(description="Kind of purpose. There is no punitive kind.")
    need: Need = Field(description="Who asked, why now, what would change.")
    public_benefit: PublicBenefit = Field(description="How good the benefit is.")
    costs_and_benefits: Annotated[tuple[CostAndBenefit, ...], Field(min_length=1)] = Field(
        description="Costs and benefits for each party."
    )
    output: Annotated[tuple[OutputTable, ...], Field(min_length=1)] = Field(description="The tables of the answer.")

    fields_read: Annotated[tuple[FieldRead, ...], Field(min_length=1)] = Field(
        description="Every column that the question reads. The node refuses a question that reads another."
    )
    frequency: Literal["once", "monthly", "quarterly", "yearly"] = Field(description="How often it will be asked.")
    linked_data: Line = Field(default="none", description="Other data that the answer is combined with, or `none`.")
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)] = Field(
        description="Who gets the answer, now and later."
    )
    storage: Prose = Field(description="Where the answer is kept and who can open it.")
    retention: KeepUntil = Field(description="When the answer is got rid of.")
    use: Strategic = Field(description="Always `strategic`: never used for a decision about one person.")
    prohibited_uses: Annotated[tuple[ProhibitedUse, ...], AfterValidator(no_repeats)] = Field(
        description="What the answer is never used for: the whole charter, but for funding when that is declared."
    )
    funding_use: Literal["none", "declared"] = Field(
        description="`none`: the answer informs no decision about funding. `declared`: it does, as written below."
    )
    funding_use_text: Prose | None = Field(
        default=None, description="With `declared`: which funding decision, about whom, and how."
    )
    legal_position: LegalPosition = Field(description="The legal position claimed, as a draft for councils' lawyers.")
    ethics: Ethics = Field(description="The ethics checklist.")
    red_lines: RedLines = Field(description="Seven things that must be true.")
    collect_by: Day = Field(description="Last day on which councils are asked.")
    return_by: Day = Field(description="Day by which every council that answered has the answer.")
    expires_on: Day = Field(description="Last day on which this manifest is good. After it a node refuses.")
    contacts: Contacts = Field(description="Whom to ask.")

    _digest: Digest | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if not self.collect_by <= self.return_by <= self.expires_on <= self.retention.until:
            raise ValueError(
                "must have its dates in order: collect_by, then return_by, then expires_on, then retention.until"
            )
        return self

    @model_validator(mode="after")
    def _whole_charter(self) -> Self:
        excused = {ProhibitedUse.FUNDING_DECISIONS} if self.funding_use == "declared" else set()
        missing = sorted(PROHIBITED_USES - excused - set(self.prohibited_uses))
        if missing:
            raise ValueError(f"must list every prohibited use; {', '.join(missing)} is not there")
        if excused & set(self.prohibited_uses):
            raise ValueError("declares a use for funding and prohibits it at the same time")
        return self

    @model_validator(mode="after")
    def _funding_is_explained(self) -> Self:
        if (self.funding_use == "declared") != (self.funding_use_text is not None):
            raise ValueError("must have funding_use_text when funding_use is declared, and only then")
        return self

    @field_validator("fields_read")
    @classmethod
    def _each_column_once(cls, fields: tuple[FieldRead, ...]) -> tuple[FieldRead, ...]:
        no_repeats(tuple(f"{field.dataset}.{field.column}" for field in fields))
        return fields

    @property
    def digest(self) -> Digest:
        """SHA-256 of the signed bytes: what the plan names.

        Raises:
            InternalError: The manifest was not read by `federated.manifest.parse_manifest`.
        """
        if self._digest is None:
            raise InternalError("A manifest that was not read from its signed bytes has no digest.")
        return self._digest

    @property
    def columns(self) -> frozenset[tuple[str, str]]:
        """(data set, column) of everything it says the question reads."""
        return frozenset((field.dataset, field.column) for field in self.fields_read)
