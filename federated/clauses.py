"""Clauses that the agreement and every manifest share, so that both say them in the same words."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from federated.errors import QueryError
from federated.rationals import rational
from federated.timestamps import parse_day
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId, council_id

__all__ = [
    "MEANINGS",
    "PLACEHOLDER",
    "PROHIBITED_USES",
    "BodyType",
    "Contacts",
    "CouncilCode",
    "Day",
    "Form",
    "LegalPosition",
    "Line",
    "Name",
    "ProhibitedUse",
    "Prose",
    "PurposeCategory",
    "RationalText",
    "Recipient",
    "Strategic",
    "no_repeats",
]


class Form(BaseModel):
    """A block of a signed file: every field known, nothing converted silently, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that says something twice."""
    if len(set(values)) != len(values):
        raise ValueError("has an entry twice")
    return values


def _iso_day(value: Any) -> Any:
    # Pydantic would also read a number of seconds as a date.
    if isinstance(value, str):
        try:
            return parse_day(value)
        except ValueError:
            raise ValueError("must be a date written as year-month-day, such as 2026-01-31") from None
    return value


def _council(text: str) -> CouncilId:
    try:
        return council_id(text)
    except MalformedMessage as error:
        raise ValueError(f"cannot be used: {error}") from error


def _rational(text: str) -> str:
    try:
        rational(text, name="this")
    except QueryError as error:
        raise ValueError("must be an exact number in quotes, such as '1', '0.25' or '1/4'") from error
    return text


def _must_be_no(value: bool) -> bool:  # noqa: FBT001 - pydantic calls validators with the value alone
    if value:
        raise ValueError("must be no: this software sends no personal data out of a council, so nothing else is true")
    return value


def _filled_in(text: str) -> str:
    if PLACEHOLDER in text:
        raise ValueError("is still to be filled in")
    return text


PLACEHOLDER: Final = "FILL IN"
"""What the templates have wherever a person must write something."""

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\n]*$"),
    AfterValidator(_filled_in),
]
"""One line of text."""
Prose = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=3000), AfterValidator(_filled_in)
]
"""Some sentences in plain English."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]
"""A short name for settings and questions: lower-case letters, digits, hyphens and underscores."""
Day = Annotated[date, BeforeValidator(_iso_day)]
"""A day of the calendar, in UTC."""
CouncilCode = Annotated[CouncilId, AfterValidator(_council)]
"""A council's GSS code."""
RationalText = Annotated[str, AfterValidator(_rational)]
"""An exact rational as text; see `federated.rationals`."""


class PurposeCategory(StrEnum):
    """What questions may be for. Nothing punitive is on the list, so nothing punitive can be agreed to."""

    PREVENTION = "prevention"
    UNDERSTANDING_NEED = "understanding_need"
    SERVICE_PLANNING = "service_planning"
    EVALUATION = "evaluation"
    EARLY_WARNING = "early_warning"
    FAIR_ACCESS = "fair_access"
    DATA_QUALITY = "data_quality"


class ProhibitedUse(StrEnum):
    """What answers must never be used for: the charter."""

    FUNDING_DECISIONS = "funding_decisions"
    ENFORCEMENT = "enforcement"
    IMMIGRATION = "immigration"
    FRAUD_AND_BENEFIT_CHECKS = "fraud_and_benefit_checks"
    DECISIONS_ABOUT_A_PERSON = "decisions_about_a_person"
    COUNCIL_LEAGUE_TABLES = "council_league_tables"


PROHIBITED_USES: Final = frozenset(ProhibitedUse)


class BodyType(StrEnum):
    """What kind of organisation somebody belongs to."""

    PUBLIC_BODY = "public_body"
    ACADEMIC = "academic"
    CHARITY = "charity"
    COMMERCIAL = "commercial"


MEANINGS: Final[Mapping[StrEnum, str]] = {
    PurposeCategory.PREVENTION: "finding out how homelessness can be prevented",
    PurposeCategory.UNDERSTANDING_NEED: "finding out how many households need what",
    PurposeCategory.SERVICE_PLANNING: "planning services, staff and places to live",
    PurposeCategory.EVALUATION: "finding out whether a service or programme works",
    PurposeCategory.EARLY_WARNING: "seeing a rise or fall before the yearly figures do",
    PurposeCategory.FAIR_ACCESS: "checking that every group of people is served as well as others",
    PurposeCategory.DATA_QUALITY: "checking how complete and right the records are",
    ProhibitedUse.FUNDING_DECISIONS: "deciding how much money any council gets",
    ProhibitedUse.ENFORCEMENT: "policing or enforcement against anyone",
    ProhibitedUse.IMMIGRATION: "immigration checks, decisions or removals",
    ProhibitedUse.FRAUD_AND_BENEFIT_CHECKS: "looking for fraud, or checking anyone's benefits",
    ProhibitedUse.DECISIONS_ABOUT_A_PERSON: "deciding anything about one person or household",
    ProhibitedUse.COUNCIL_LEAGUE_TABLES: "ranking councils against each other",
    BodyType.PUBLIC_BODY: "a council, a department or another public body",
    BodyType.ACADEMIC: "a university or research institute",
    BodyType.CHARITY: "a charity",
    BodyType.COMMERCIAL: "a company",
}
"""What each choice means, for pages and prompts."""


class LegalPosition(Form):
    """The legal position claimed. It is a draft for each council's own lawyer, never settled law."""

    controller: Line = Field(
        description="Who decides why and how the case records are used; normally each council, for its own records."
    )
    lawful_basis: Prose = Field(
        description="The lawful basis claimed for reading case records inside the council, with article and section."
    )
    sensitive_data_condition: Prose = Field(
        description="The condition claimed for special category and criminal-offence data, or why none is read."
    )
    statutory_gateway: Prose = Field(
        description="The law that lets the councils and the asking body do this, or why none is needed."
    )
    consent_position: Prose = Field(
        description="Whether people's consent is asked for, why or why not, and how an objection is honoured."
    )
    personal_data_leaves_council: Annotated[bool, AfterValidator(_must_be_no)] = Field(
        description="Always `no`. The node sends masked, noised sums only."
    )


class Recipient(Form):
    """Somebody who gets the answers."""

    role: Line = Field(description="The job of the people who read the answers, for example `homelessness analysts`.")
    body: Line = Field(description="The organisation they work for.")
    type: BodyType = Field(description="What kind of organisation it is.")


class Contacts(Form):
    """Whom to ask. These are kept apart from any channel used for funding."""

    questions: Line = Field(description="Where anyone can ask what this is: an e-mail address or telephone number.")
    withdrawal: Line = Field(description="Where a council says that it wants to stop taking part.")
    complaints: Line = Field(description="Where a resident or a council can complain, and who decides.")


Strategic = Literal["strategic"]
"""The only use there is: never operational, never about one person."""
