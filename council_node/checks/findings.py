"""One finding of a check, in the same form whatever was looked at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from federated.errors import ExitStatus, FederatedError

__all__ = ["Area", "Finding", "Verdict", "attempt", "exit_status"]


class Area(StrEnum):
    """What a finding is about, in the order of the report."""

    COMPUTER = "This computer"
    CONNECTION = "The connection"
    PAPERS = "Settings, keys and papers"
    EXTRACT = "The extract"
    PUBLISHED = "Beside the published figures"


class Verdict(StrEnum):
    """How a check came out."""

    GOOD = "good"
    LOOK = "look"
    """Worth a look; the node works all the same."""
    MEND = "mend"
    """The node, or its answers, will not be right until it is mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        area: What it is about.
        check: Name of the check, lower snake case, the same from run to run.
        verdict: How it came out.
        where: File, data set or column; empty where `area` says it all.
        said: What was found, in a sentence. It may count cases; it never quotes one.
        remedy: What to do, in a sentence; empty when nothing needs doing.
        count: Rows concerned, where rows were counted.
    """

    area: Area
    check: str
    verdict: Verdict
    said: str
    where: str = ""
    remedy: str = ""
    count: int | None = None

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "area": self.area.name.lower(),
            "check": self.check,
            "verdict": self.verdict.value,
            "where": self.where,
            "said": self.said,
            "remedy": self.remedy,
            "count": self.count,
        }


def attempt(area: Area, check: str, look: Callable[[], str], *, where: str = "") -> Finding:
    """A check that is good unless it raises: what it raises is the finding."""
    try:
        return Finding(area=area, check=check, verdict=Verdict.GOOD, said=look(), where=where)
    except FederatedError as error:
        return Finding(area=area, check=check, verdict=Verdict.MEND, said=str(error), remedy=error.remedy, where=where)


def exit_status(findings: Iterable[Finding]) -> ExitStatus:
    """OK, or INPUT when something must be mended."""
    bad = any(finding.verdict is Verdict.MEND for finding in findings)
    return ExitStatus.INPUT if bad else ExitStatus.OK
