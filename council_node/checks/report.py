"""A whole check: everything looked at, in order, and how it reads on a terminal."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as Grid

from council_node.checks.computer import check_computer
from council_node.checks.connection import check_connection
from council_node.checks.findings import Area, Finding, Verdict
from council_node.checks.judgement import ExtractCheck, check_extract
from council_node.checks.papers import check_papers
from council_node.checks.published import QUARTERS_SHOWN, QuarterCount
from council_node.link_channel import LinkSettings
from council_node.settings import Settings
from federated.schema import load_schema
from protocols.identifiers import RandomSource

__all__ = ["CheckReport", "check_node", "print_report"]

MARKS: Final = {Verdict.GOOD: "good", Verdict.LOOK: "look", Verdict.MEND: "MEND"}
STYLES: Final = {Verdict.GOOD: "", Verdict.LOOK: "yellow", Verdict.MEND: "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check found.

    Attributes:
        findings: Everything, in the order of the report.
        extracts: What each data set holds, column by column.
    """

    findings: tuple[Finding, ...]
    extracts: tuple[ExtractCheck, ...]

    def as_json(self) -> dict[str, object]:
        """For a program, version 1."""
        return {
            "version": 1,
            "findings": [finding.as_json() for finding in self.findings],
            "extracts": [
                {
                    "dataset": extract.dataset,
                    "rows": extract.rows,
                    "columns": [
                        {
                            "column": item.column,
                            "unknown": item.unknown,
                            "not_understood": item.not_understood,
                            "outside": item.outside,
                        }
                        for item in extract.columns
                    ],
                }
                for extract in self.extracts
            ],
        }


def check_node(
    settings: Settings,
    settings_file: Path,
    link: LinkSettings | None,
    *,
    environment: Mapping[str, str],
    now: datetime,
    rng: RandomSource,
    tell: Callable[[str], None],
) -> CheckReport:
    """Look at everything. Run by `council-node check`.

    Args:
        settings: Of the node.
        settings_file: Where they stand.
        link: How to reach the coordinator; None leaves the connection out.
        environment: Variables of this process, for the proxy.
        now: Time, UTC.
        rng: Secure random bytes.
        tell: Takes progress.
    """
    schema = load_schema()
    tell("Looking at this computer")
    found = [*check_computer(settings, settings_file, now)]
    if link is not None:
        tell(f"Connecting to {link.address}")
        found += check_connection(settings, link, environment)
    tell("Reading settings, keys and papers")
    found += check_papers(settings, schema, now)
    extracts = [check_extract(settings, name, schema=schema, now=now, rng=rng, tell=tell) for name in settings.data]
    found += [finding for extract in extracts for finding in extract.findings]
    places = list(Area)
    return CheckReport(
        findings=tuple(sorted(found, key=lambda finding: places.index(finding.area))), extracts=tuple(extracts)
    )


def print_report(report: CheckReport, output: Console) -> None:
    """The report for a person: area by area, each finding with what to do."""
    for area in Area:
        of_area = [finding for finding in report.findings if finding.area is area]
        if not of_area:
            continue
        output.print(f"\n{area.value}", style="bold")
        for finding in of_area:
            _print_finding(finding, output)
    for extract in report.extracts:
        if extract.columns:
            _print_columns(extract, output)
        if extract.quarters:
            _print_quarters(extract.quarters, output)
    for line in _summary(report):
        output.print(line)


def _print_finding(finding: Finding, output: Console) -> None:
    where = f"{finding.where}: " if finding.where and finding.verdict is not Verdict.GOOD else ""
    style = STYLES[finding.verdict] or None
    output.print(f"  {MARKS[finding.verdict]}  {where}{finding.said}", style=style, markup=False)
    if finding.remedy and finding.verdict is not Verdict.GOOD:
        output.print(f"        → {finding.remedy}", markup=False)


def _print_columns(extract: ExtractCheck, output: Console) -> None:
    grid = Grid("Column", "Blank or not known", "Of all", "Not understood", "Out of bounds")
    grid.title = f"'{extract.dataset}', {extract.rows:,} rows; these counts stay here"
    for item in sorted(extract.columns, key=lambda item: item.column):
        share = f"{100 * item.unknown / extract.rows:.1f}%" if extract.rows else ""
        grid.add_row(item.column, f"{item.unknown:,}", share, f"{item.not_understood:,}", f"{item.outside:,}")
    output.print("")
    output.print(grid)


def _print_quarters(counts: tuple[QuarterCount, ...], output: Console) -> None:
    quarters = sorted({item.quarter for item in counts})[-QUARTERS_SHOWN:]
    grid = Grid("Outcome of the assessment", *quarters, title="Households by quarter; these counts stay here")
    own = {(item.label, item.quarter): item.own for item in counts}
    for label in dict.fromkeys(item.label for item in counts):
        grid.add_row(label, *(f"{own.get((label, quarter), 0):,}" for quarter in quarters))
    output.print("")
    output.print(grid)


def _summary(report: CheckReport) -> Iterator[str]:
    mend = sum(finding.verdict is Verdict.MEND for finding in report.findings)
    look = sum(finding.verdict is Verdict.LOOK for finding in report.findings)
    good = len(report.findings) - mend - look
    yield f"\n{good} checks are good, {look} are worth a look, {mend} must be mended."
    if mend:
        yield "Mend what is marked MEND, and run `council-node check` again."
    else:
        yield "Next: council-node dry-run QUESTION, to see exactly what a question would send."
