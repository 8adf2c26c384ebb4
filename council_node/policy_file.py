"""The council's own policy: one YAML file that can be stricter than an agreement and never looser (requirement R4).

Every check runs beside the agreement's own, so a setting that is wider than the agreement changes nothing. What each
setting is for stands beside it, and `docs/reference/policy.md` is made from that.
"""

import os
import re
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from council_node.settings import read_bytes
from federated import privacy
from federated.clauses import Form, Line, Name, RationalText, no_repeats
from federated.errors import FileProblem
from federated.yaml_document import read_form

__all__ = ["Class2", "Policy", "policy_template", "read_policy", "set_paused", "write_policy"]

_REMEDY: Final = "docs/reference/policy.md explains every setting."


class Class2(StrEnum):
    """What this council does with questions on the most sensitive columns that an agreement allows."""

    PERSON = "person"
    """Always asks a person, also when approval is automatic."""
    REFUSE = "refuse"
    """Never answers them."""
    AS_AGREED = "as_agreed"
    """Treats them like any other question."""


class Cap(Form):
    """How much may be learned about one household in a calendar year, over all agreements together."""

    epsilon: RationalText = Field(description="Total epsilon of the year, an exact number in quotes, such as `'2'`.")
    delta: RationalText = Field(description="Total delta of the year, in quotes, such as `'0.000001'`.")

    @model_validator(mode="after")
    def _in_range(self) -> "Cap":
        if Fraction(self.epsilon) <= 0 or not 0 < Fraction(self.delta) < 1:
            raise ValueError("needs an epsilon above 0 and a delta between 0 and 1")
        return self


class Policy(Form):
    """What this council asks for beyond its agreements."""

    policy: Literal[1] = Field(description="Version of this form: always `1`.")
    paused: bool = Field(default=False, description="`yes`: answer nothing at all for now.")
    automatic: bool = Field(
        default=False,
        description="`yes`: a question that passes every check is answered without a person. `no`: a person decides.",
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
    max_epsilon_per_query: RationalText | None = Field(
        default=None, description="The most epsilon one question may cost here, in quotes."
    )
    cap: Cap | None = Field(default=None, description="The most that all agreements together may cost in a year.")
    refuse_columns: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] = Field(
        default=(), description="Columns that are never read here, whatever an agreement allows."
    )
    refuse_statistics: Annotated[tuple[Name, ...], AfterValidator(no_repeats)] = Field(
        default=(), description="Statistics that are never answered here."
    )
    min_cohort: Annotated[int, Field(ge=1, le=500)] | None = Field(
        default=None, description="Fewest councils that must be asked together."
    )
    max_extract_age_days: Annotated[int, Field(ge=1, le=3660)] | None = Field(
        default=None, description="Oldest extract, in days, from which a question is answered."
    )
    max_cells: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Most cells that one question may have."
    )

    @model_validator(mode="after")
    def _positive_epsilon(self) -> "Policy":
        if self.max_epsilon_per_query is not None and Fraction(self.max_epsilon_per_query) <= 0:
            raise ValueError("needs a max_epsilon_per_query above 0; to answer nothing, write paused: yes")
        return self

    @property
    def year_cap(self) -> privacy.Budget | None:
        """The cap as the ledger takes it."""
        if self.cap is None:
            return None
        return privacy.Budget(epsilon=Fraction(self.cap.epsilon), delta=Fraction(self.cap.delta))


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

# no: a person decides on each question (`council-node approve`). yes: a question that passes every check is answered.
automatic: {automatic}
# Each of these roles must approve; without the list one person is enough.
# approvals_needed:
#   - data protection officer
#   - information asset owner

# Special category, criminal-offence or immigration columns: person, refuse or as_agreed.
class_2: {class_2}

# The most one question may cost, and all questions of a calendar year under all agreements. Quote the numbers.
# max_epsilon_per_query: '1'
# cap:
#   epsilon: '4'
#   delta: '0.000001'

# refuse_columns: [nationality]
# refuse_statistics: [sum]
# min_cohort: 12
# max_cells: 10000

# Refuse to answer from an extract older than this.
max_extract_age_days: 120
"""


def policy_template(*, automatic: bool = False, class_2: Class2 = Class2.PERSON) -> str:
    """A policy file to start from; a person decides, unless asked otherwise."""
    return _TEMPLATE.format(automatic="yes" if automatic else "no", class_2=class_2.value)


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
