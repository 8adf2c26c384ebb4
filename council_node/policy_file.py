"""The council's own policy: one YAML file that can be stricter than an agreement and never looser (requirement R4).

Every check runs beside the agreement's own, so a setting that is wider than the agreement changes nothing. What each
setting is for stands beside it, and `docs/reference/policy.md` is made from that.
"""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from council_node.settings import read_bytes
from federated import privacy
from federated.clauses import (
    BodyType,
    Form,
    Line,
    Name,
    ProhibitedUse,
    Prose,
    PurposeCategory,
    RationalText,
    no_repeats,
)
from federated.errors import FileProblem
from federated.manifest import RED_LINES
from federated.query import Level
from federated.yaml_document import read_form

__all__ = [
    "Class2",
    "Crossed",
    "Policy",
    "RedLineAnswers",
    "policy_template",
    "read_policy",
    "set_paused",
    "write_policy",
]

_REMEDY: Final = "docs/reference/policy.md explains every setting."


class Class2(StrEnum):
    """What this council does with questions on the most sensitive columns that an agreement allows."""

    PERSON = "person"
    """Always asks a person, also when approval is automatic."""
    REFUSE = "refuse"
    """Never answers them."""
    AS_AGREED = "as_agreed"
    """Treats them like any other question."""


class Crossed(StrEnum):
    """What this council does with tables that cross protected characteristics; nothing makes them automatic."""

    PERSON = "person"
    """Always asks a person, also when approval is automatic, and anew for each repeat."""
    REFUSE = "refuse"
    """Never answers them."""


class Cap(Form):
    """How much may be learned about one household in a calendar year, over all agreements together."""

    epsilon: RationalText = Field(description="Total epsilon of the year, an exact number in quotes, such as `'2'`.")
    delta: RationalText = Field(description="Total delta of the year, in quotes, such as `'0.000001'`.")

    @model_validator(mode="after")
    def _in_range(self) -> "Cap":
        if Fraction(self.epsilon) <= 0 or not 0 < Fraction(self.delta) < 1:
            raise ValueError("needs an epsilon above 0 and a delta between 0 and 1")
        return self

    @property
    def budget(self) -> privacy.Budget:
        """As the ledger takes it."""
        return privacy.Budget(epsilon=Fraction(self.epsilon), delta=Fraction(self.delta))


class ClassRules(Form):
    """What may be asked about columns of one sensitivity class; each setting left out adds no rule."""

    columns: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] | None = Field(
        default=None, description="The only columns of this class that are read."
    )
    statistics: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] | None = Field(
        default=None, description="The only statistics answered by a question that reads a column of this class."
    )


class ByClass(Form):
    """Rules by sensitivity class; `docs/reference/data.md` says which column is of which class."""

    class_0: ClassRules = Field(default=ClassRules(), description="Ordinary columns, such as the council's region.")
    class_1: ClassRules = Field(default=ClassRules(), description="Personal columns, such as age or household type.")
    class_2: ClassRules = Field(
        default=ClassRules(), description="Special category, criminal-offence and immigration columns."
    )

    def of(self, sensitivity_class: int) -> ClassRules:
        """The rules of a class."""
        return (self.class_0, self.class_1, self.class_2)[sensitivity_class]


class RedLineAnswers(Form):
    """The council's written answers to the red lines that a computer cannot judge, for automatic approval.

    Each is a sentence that says why the line holds for every question this council answers without a person. Whoever
    writes it answers for it: it is kept with each decision made by it.
    """

    lawful: Prose | None = Field(default=None, description="Why these uses are lawful for this council.")
    convincing_purpose: Prose | None = Field(default=None, description="Which purposes convince, and who judged so.")
    no_threat_to_safety: Prose | None = Field(
        default=None, description="Why nobody is put at risk where columns on abuse, refuges or health are read."
    )
    reuse_excluded: Prose | None = Field(
        default=None, description="Why other data or another use that a manifest declares is acceptable."
    )
    secure: Prose | None = Field(default=None, description="Why the protection of the data is beyond doubt.")
    transparent: Prose | None = Field(default=None, description="How residents can read about questions and answers.")
    proportionate: Prose | None = Field(
        default=None, description="Why the most sensitive columns, where they are read, fit the purpose."
    )

    def given(self) -> Mapping[str, str]:
        """The answers that were written, by red line."""
        written = {name: getattr(self, name) for name, _ in RED_LINES}
        return {name: text for name, text in written.items() if text is not None}


class Policy(Form):
    """What this council asks for beyond its agreements."""

    policy: Literal[1] = Field(description="Version of this form: always `1`.")
    paused: bool = Field(default=False, description="`yes`: answer nothing at all for now.")

    automatic: bool = Field(
        default=False,
        description="`yes`: a question that passes every check, and whose red lines are computed or answered under "
        "`red_lines`, is answered without a person. `no`: a person decides.",
    )
    automatic_max_epsilon: RationalText | None = Field(
        default=None, description="With `automatic: yes`: a question that costs more epsilon waits for a person."
    )
    standing_approval_days: Annotated[int, Field(ge=1, le=366)] | None = Field(
        default=None,
        description="For so many days a person's approval also covers repeats: the same question, manifest and "
        "agreement, for another period of the same length. When left out, each repeat waits for a person.",
    )
    red_lines: RedLineAnswers = Field(
        default=RedLineAnswers(),
        description="Written answers to red lines that the node cannot compute. Without them such a question waits "
        "for a person, also with `automatic: yes`.",
    )
    approvals_needed: Annotated[tuple[Line, ...], AfterValidator(no_repeats)] = Field(
        default=(),
        description="Roles that must each approve a question, such as `data protection officer`. When left out, one "
        "person's approval is enough.",
    )

    class_2: Class2 = Field(
        default=Class2.PERSON,
        description="Special category, criminal-offence or immigration columns that an agreement allows: `person` "
        "always asks a person, `refuse` never answers, `as_agreed` treats them like the others.",
    )
    crossed_characteristics: Crossed = Field(
        default=Crossed.PERSON,
        description="Tables that cross protected characteristics, such as ethnicity by age: `person` always asks a "
        "person, also with `automatic: yes` and for each repeat; `refuse` never answers. No setting answers them "
        "without a person.",
    )
    class_2_max_epsilon_per_query: RationalText | None = Field(
        default=None, description="The most epsilon that a question on such columns may cost here, in quotes."
    )
    class_2_cap: Cap | None = Field(
        default=None, description="The most that all questions on such columns together may cost in a year."
    )
    max_epsilon_per_query: RationalText | None = Field(
        default=None, description="The most epsilon one question may cost here, in quotes."
    )
    cap: Cap | None = Field(default=None, description="The most that all agreements together may cost in a year.")

    by_class: ByClass = Field(
        default=ByClass(), description="Which columns may be read, and by which statistics, for each sensitivity class."
    )
    refuse_columns: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] = Field(
        default=(), description="Columns that are never read here, whatever an agreement allows."
    )
    refuse_statistics: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] = Field(
        default=(), description="Statistics that are never answered here."
    )
    max_cells: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Most cells that one question may have."
    )

    prohibited_uses: Annotated[tuple[ProhibitedUse, ...], AfterValidator(no_repeats)] = Field(
        default=(),
        description="Uses that each manifest must rule out here. An agreement may let a question declare a use for "
        "funding; with `funding_decisions` in this list it is refused.",
    )
    refuse_purposes: Annotated[tuple[PurposeCategory, ...], AfterValidator(no_repeats)] = Field(
        default=(), description="Kinds of purpose that are not answered here."
    )
    refuse_recipients: Annotated[tuple[BodyType, ...], AfterValidator(no_repeats)] = Field(
        default=(), description="Kinds of organisation that may not be among the recipients, such as `commercial`."
    )

    levels: Annotated[tuple[Level, ...], AfterValidator(no_repeats)] | None = Field(
        default=None,
        description="Geographies that are answered: `all` is one figure for all councils asked, `region` one for each "
        "region. When left out, both.",
    )
    groups: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] | None = Field(
        default=None, description="Groups of councils that this council answers with. When left out, all it is in."
    )
    min_cohort: Annotated[int, Field(ge=1, le=500)] | None = Field(
        default=None, description="Fewest councils that must be asked together."
    )
    max_extract_age_days: Annotated[int, Field(ge=1, le=3660)] | None = Field(
        default=None, description="Oldest extract, in days, from which a question is answered."
    )

    @model_validator(mode="after")
    def _positive_epsilon(self) -> "Policy":
        for name in ("max_epsilon_per_query", "class_2_max_epsilon_per_query", "automatic_max_epsilon"):
            text = getattr(self, name)
            if text is not None and Fraction(text) <= 0:
                raise ValueError(f"needs a {name} above 0; to answer nothing, write paused: yes")
        return self

    @property
    def year_cap(self) -> privacy.Budget | None:
        """The cap over everything, as the ledger takes it."""
        return None if self.cap is None else self.cap.budget

    @property
    def class_2_year_cap(self) -> privacy.Budget | None:
        """The cap over questions that read class 2 columns, as the ledger takes it."""
        return None if self.class_2_cap is None else self.class_2_cap.budget


def read_policy(path: Path) -> Policy:
    """Read the policy file.

    Raises:
        FileProblem: Missing or unreadable, or names the line and the setting at fault.
    """
    return read_form(Policy, read_bytes(path, "policy file"), source=str(path), remedy=_REMEDY)


_TEMPLATE: Final = """\
# What this council asks for beyond its agreements. It can only be stricter than they are.
# docs/reference/policy.md explains every line.
policy: 1

# yes: answer nothing for now.
paused: no

# no: a person decides on each question (`council-node approve`). yes: a question that passes every check is answered,
# as far as the node can compute the seven red lines or red_lines below answers them in writing.
automatic: {automatic}
# automatic_max_epsilon: '0.5'
# A person's approval also covers repeats of the same question for so many days.
# standing_approval_days: 365
{red_lines}
# Each of these roles must approve; without the list one person is enough.
# approvals_needed:
#   - data protection officer
#   - information asset owner

# Special category, criminal-offence or immigration columns (class 2): person, refuse or as_agreed.
class_2: {class_2}
# Tables that cross protected characteristics, such as ethnicity by age: person or refuse.
# crossed_characteristics: refuse
# Lower limits for questions on them. Quote the numbers.
# class_2_max_epsilon_per_query: '0.5'
# class_2_cap:
#   epsilon: '1'
#   delta: '0.000001'

# The most one question may cost, and all questions of a calendar year under all agreements.
# max_epsilon_per_query: '1'
# cap:
#   epsilon: '4'
#   delta: '0.000001'

# Only these columns and statistics for columns of a class; and what is never read or answered.
# by_class:
#   class_2:
#     columns: [reason_loss, reason_loss_group]
#     statistics: [households]
# refuse_columns: [main_nationality_group]
# refuse_statistics: [sum]
# max_cells: 10000

# What a question may be for, and who may get the answer.
# prohibited_uses: [funding_decisions]
# refuse_purposes: [evaluation]
# refuse_recipients: [commercial]

# With whom, and how far broken down.
# levels: [all]
# groups: [north-east]
# min_cohort: 12

# Refuse to answer from an extract older than this.
max_extract_age_days: 120
"""

_NO_ANSWERS: Final = """\
# red_lines:
#   lawful: Our solicitor accepts the legal position of the agreements we signed.
#   convincing_purpose: Our data protection officer agreed the kinds of purpose on 12 January.
"""

_ANSWERS: Final = """\
# Written when this node was set to answer by itself. Read them: they are this council's own answers, kept with each
# decision. Change them until they are true here; without one of them, questions that need it wait for a person.
red_lines:
  lawful: This council has accepted the legal position of each agreement that it keeps.
  convincing_purpose: This council has accepted the kinds of purpose that each agreement lists.
  no_threat_to_safety: >-
    This council has accepted that these columns are counted over whole groups of councils, with noise, and never below
    a region.
  proportionate: Each of the most sensitive columns was approved by name in the agreement.
"""


def policy_template(*, automatic: bool = False, class_2: Class2 = Class2.PERSON) -> str:
    """A policy file to start from; a person decides, unless asked otherwise."""
    answers = _ANSWERS if automatic else _NO_ANSWERS
    return _TEMPLATE.format(automatic="yes" if automatic else "no", class_2=class_2.value, red_lines=answers)


def write_policy(path: Path, *, automatic: bool = False, class_2: Class2 = Class2.PERSON) -> None:
    """Write a policy file to start from, never over one that is there. Run by `council-node init`.

    Raises:
        FileProblem: A file is there already, or the folder cannot be written to.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(policy_template(automatic=automatic, class_2=class_2))
    except FileExistsError as error:
        raise FileProblem(f"There is a policy at {path} already.", remedy="Edit it, or move it away.") from error
    except OSError as error:
        raise FileProblem(
            f"The policy {path} cannot be written: {error.strerror}.", remedy="Check who may write to its folder."
        ) from error


def set_paused(path: Path, *, paused: bool) -> Policy:
    """Pause or resume in the policy file, leaving every other line as it is. The node reads it at each question.

    Raises:
        FileProblem: The file is missing, faulty or cannot be written to; it is then unchanged.
    """
    read_policy(path)
    text = path.read_text(encoding="utf-8")
    line = f"paused: {'yes' if paused else 'no'}"
    changed, found = re.subn(r"^paused:[^#\n]*?(?=[ \t]*(?:#.*)?$)", line, text, count=1, flags=re.MULTILINE)
    if not found:
        changed = f"{text.rstrip()}\n{line}\n"
    arriving = path.with_name(f"{path.name}.new")
    try:
        _write_through(arriving, changed)
        written = read_policy(arriving)
        # One step: a node that reads it meanwhile sees the old file or the new one, never half of one.
        arriving.replace(path)
    except OSError as error:
        raise FileProblem(
            f"The policy {path} cannot be written: {error.strerror}.", remedy="Check who may write to its folder."
        ) from error
    except FileProblem as error:
        raise FileProblem(
            f"The policy {path} says whether it is paused in a way that cannot be changed for you.",
            remedy="Edit it by hand: a line `paused: yes` or `paused: no`.",
        ) from error
    finally:
        arriving.unlink(missing_ok=True)
    return written


def _write_through(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
