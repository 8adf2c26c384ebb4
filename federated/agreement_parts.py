"""The blocks of an agreement; `federated.agreement` puts them together and cross-checks them."""

from fractions import Fraction
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from federated.clauses import BodyType, CouncilCode, Form, Line, Name, Prose, RationalText, no_repeats
from federated.query.model import MAX_CELLS_TOUCHED
from federated.trust import PublicLine
from protocols.identifiers import CouncilId
from protocols.secagg import Profile

__all__ = ["AllowedDataset", "Budget", "Group", "HolderParty", "Party", "Person", "Retention"]

STANDARD_FROM: Final = 10
"""Below ten councils the standard profile tolerates no loss (`protocol.md` 1.1)."""
HolderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
"""Lower-case letters, digits and hyphens: never a council's code, and no longer than one may be."""
LARGEST_DELTA: Final = Fraction(1, 10_000)


class Party(Form):
    """A body that signs the agreement."""

    name: Line = Field(description="The body's name.")
    role: Line = Field(description="What it does here, for example `asks the questions` or `runs the coordinator`.")
    type: BodyType = Field(description="What kind of organisation it is.")


class Person(Form):
    """Somebody with a key."""

    name: Line = Field(description="The person's name, or the team's.")
    organisation: Line = Field(description="The body they work for.")
    public_key: PublicLine = Field(description="Their public key, one line that starts with `ed25519:`.")


class HolderParty(Form):
    """A second body without whose part in it no answer can be opened."""

    id: HolderName = Field(description="Short name that it signs with, such as `lga`. It never changes.")
    name: Line = Field(description="The body's name. It is neither a council nor the body that runs the coordinator.")
    key: PublicLine = Field(
        description="The public key of its program `mask-holder`, one line that starts with `ed25519:`."
    )


class Group(Form):
    """Councils that may be asked together. A question always goes to one whole group."""

    name: Name = Field(description="Short name used in questions, such as `north-east`.")
    label: Line = Field(description="Name printed on answers.")
    profile: Profile = Field(
        description="`careful` holds if up to one council in three colludes with the coordinator; `standard` if one in "
        "twenty does, with less noise. A group of fewer than ten councils is `careful`."
    )
    made_from: Line | None = Field(
        default=None,
        description="The public lookup it was made from, with its day, as `federated agreement groups` writes it; or "
        "nothing, for councils that came together by themselves.",
    )
    councils: Annotated[tuple[CouncilCode, ...], Field(min_length=1, max_length=500), AfterValidator(no_repeats)] = (
        Field(description="GSS codes of the councils, each once; the order does not matter.")
    )

    @field_validator("councils")
    @classmethod
    def _sorted(cls, councils: tuple[CouncilId, ...]) -> tuple[CouncilId, ...]:
        return tuple(sorted(councils))

    @model_validator(mode="after")
    def _large_enough_for_its_profile(self) -> Self:
        if self.profile is Profile.STANDARD and len(self.councils) < STANDARD_FROM:
            raise ValueError(
                f"has {len(self.councils)} councils and the profile standard, under which not one of them could drop "
                "out; write profile: careful"
            )
        return self


class Budget(Form):
    """How much may be learned about one household in a period."""

    epsilon: RationalText = Field(
        description="Total privacy cost (epsilon) of a period, an exact number in quotes, such as `'4'`. Smaller is "
        "more private."
    )
    delta: RationalText = Field(
        description="Largest chance that the promise does not hold (delta), in quotes, such as `'0.000001'`."
    )
    period: Literal["calendar_year"] = Field(description="When the budget starts afresh: always `calendar_year`.")

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if Fraction(self.epsilon) <= 0:
            raise ValueError("has an epsilon that is not above 0")
        if not 0 < Fraction(self.delta) <= LARGEST_DELTA:
            raise ValueError(f"has a delta that is not above 0 and at most {LARGEST_DELTA}")
        return self


class AllowedDataset(Form):
    """What may be asked about one data set."""

    unit: Literal["household", "person"] = Field(description="Whom the privacy promise protects: the data set's unit.")
    columns: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(no_repeats)] = Field(
        description="Columns that may be read. No other column is ever loaded."
    )
    class_2_approved_by: dict[str, Line] = Field(
        default_factory=dict,
        description="For each column with special category, criminal-offence or immigration data: who approved it, "
        "their post and the date.",
    )
    statistics: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(no_repeats)] = Field(
        description="Statistics that may be asked for, such as `households`, `rows`, `sum` and `mean`."
    )
    max_cells: Annotated[int, Field(ge=1, le=MAX_CELLS_TOUCHED)] = Field(
        description="The most cells of a table that one household may count in."
    )


class Retention(Form):
    """How long anything is kept, and how it is got rid of."""

    extracts: Prose = Field(description="How long a council's node keeps what it reads from the case system.")
    results: Prose = Field(description="How long the recipients keep answers.")
