"""What the counts of an extract mean: which are worth a look, which must be mended, and how."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from council_node.checks.findings import Area, Finding, Verdict
from council_node.checks.published import QuarterCount, beside_published, quarter_counts
from council_node.checks.quality import DAY, OUTCOME, Seen, Tell, look_through
from council_node.checks.rules import rules
from council_node.counting import Holding, Reading, holding
from council_node.mapping import load_mapping
from council_node.mapping.content import ContentFinding, content_findings
from council_node.policy_file import read_policy
from council_node.settings import Settings
from council_node.sources.databases import Databases
from council_node.sources.load import RUN_KEY_SIZE
from council_node.sources.opening import extract_date
from federated.errors import FederatedError, FileProblem
from federated.schema import ColumnType, Dataset, Schema
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["ColumnCount", "ExtractCheck", "check_extract"]

OFTEN: Final = 5
"""Per cent of rows from which something missing or not understood is to be mended."""
MANY_ROWS: Final = 100
"""More rows of one household than this are worth a look."""
STALE_DAYS: Final = 120
"""Without a limit in the policy, an extract older than a quarter and a month is worth a look."""
NEEDED: Final = {"case": (DAY, OUTCOME)}
"""Columns that hardly any question does without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCount:
    """What one mapped column holds, in rows.

    Attributes:
        column: Of the schema.
        unknown: Rows without a value that can be used: blank, not known or not understood.
        not_understood: Those of them that hold a wording, date or number that means nothing here.
        outside: Rows whose number is beyond the schema's bounds.
    """

    column: str
    unknown: int
    not_understood: int
    outside: int

    @property
    def blank(self) -> int:
        """Rows that are blank, or say themselves that it is not known."""
        return self.unknown - self.not_understood


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractCheck:
    """Everything found in one data set.

    Attributes:
        dataset: Its name.
        rows: Rows in the extract that are counted, without those that objected.
        columns: Column by column.
        findings: What to mend or to look at.
        quarters: The council's own count for each quarter, where the data set has one.
    """

    dataset: str
    rows: int
    columns: tuple[ColumnCount, ...] = ()
    findings: tuple[Finding, ...] = ()
    quarters: tuple[QuarterCount, ...] = ()


def check_extract(
    settings: Settings, name: str, *, schema: Schema, now: datetime, rng: RandomSource, tell: Tell
) -> ExtractCheck:
    """Look at one data set of the council.

    Args:
        settings: Of the node.
        name: Of the data set in the settings.
        schema: The data dictionary.
        now: Time, UTC.
        rng: Secure random bytes, for the pseudonyms of this one reading.
        tell: Takes progress.
    """
    databases = Databases()
    try:
        held = _held(settings, name, schema)
        reading = Reading(run_key=rng(RUN_KEY_SIZE), limits=settings.limits, databases=databases)
        shown = content_findings(held.mapping, held.dataset, directory=held.directory, today=now.date())
        seen = look_through(held, reading, today=now.date(), tell=tell)
        age = (now.date() - extract_date(held.mapping, held.directory, now)).days
        limit = read_policy(settings.policy).max_extract_age_days
    except FederatedError as problem:
        said = Finding(
            area=Area.EXTRACT,
            check="extract",
            verdict=Verdict.MEND,
            said=str(problem),
            where=str(settings.data[name]),
            remedy=problem.remedy,
        )
        return ExtractCheck(dataset=name, rows=0, findings=(said,))
    finally:
        databases.close()
    judged = _Judgement(dataset=held.dataset, seen=seen, council=CouncilId(settings.council.id))
    return ExtractCheck(
        dataset=name,
        rows=seen.rows,
        columns=judged.columns,
        findings=(judged.age(age, limit), *judged.identifying(shown), *judged.findings()),
        quarters=judged.quarters,
    )


def _held(settings: Settings, name: str, schema: Schema) -> Holding:
    if name not in schema.datasets:
        raise FileProblem(
            f"The settings name the data set '{name}', which does not exist.",
            remedy=f"There are: {', '.join(schema.datasets)}.",
        )
    return holding(
        name, schema=schema, files=settings.data, mapping=lambda item: load_mapping(settings.data[item], schema)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """The counts of one data set, judged."""

    dataset: Dataset
    seen: Seen
    council: CouncilId

    @property
    def columns(self) -> tuple[ColumnCount, ...]:
        report = self.seen.report
        return tuple(
            ColumnCount(
                column=name,
                unknown=unknown,
                not_understood=report.unknown_codes.get(name, 0) + report.unreadable.get(name, 0),
                outside=report.outside_bounds.get(name, 0),
            )
            for name, unknown in self.seen.unknown.items()
        )

    @property
    def quarters(self) -> tuple[QuarterCount, ...]:
        return quarter_counts(self.seen.quarters, self.dataset)

    def findings(self) -> Iterator[Finding]:
        """Every finding but the extract's age, the plainest first."""
        rows = self.seen.rows
        if not rows:
            yield self._say("rows", Verdict.MEND, "The extract holds no row.", remedy="Export it again.")
            return
        yield self._say("rows", Verdict.GOOD, f"Rows that can be counted: {rows:,}.", count=rows)
        yield from self._objections()
        yield from self._reading()
        for kind in _NOT_UNDERSTOOD:
            yield from self._not_understood(kind)
        for item in self.columns:
            yield from self._column(item)
        yield from self._repeats()
        yield from self._broken()
        yield from beside_published(self.council, self.quarters)

    def age(self, days: int, limit: int | None) -> Finding:
        """How old the extract is, against the policy's limit."""
        said = f"The extract is {days} {'day' if days == 1 else 'days'} old."
        remedy = "Export it again; every answer says how old its data are."
        if limit is not None and days > limit:
            said = f"{said} The policy answers from extracts of up to {limit} days."
            return self._say("age", Verdict.MEND, said, remedy=remedy)
        return self._say("age", Verdict.LOOK if days > STALE_DAYS else Verdict.GOOD, said, remedy=remedy)

    def identifying(self, shown: Iterable[ContentFinding]) -> Iterator[Finding]:
        """Columns whose content identifies people, whatever their heading says."""
        for item in shown:
            verdict = Verdict.MEND if item.refuse else Verdict.LOOK
            yield self._say("identifying", verdict, item.sentence, where=item.column, remedy=item.remedy)

    def _say(
        self, check: str, verdict: Verdict, said: str, *, where: str = "", remedy: str = "", count: int | None = None
    ) -> Finding:
        return Finding(
            area=Area.EXTRACT,
            check=check,
            verdict=verdict,
            said=said,
            where=f"{self.dataset.name}.{where}" if where else self.dataset.name,
            remedy=remedy,
            count=count,
        )

    def _often(self, count: int, *, of: int | None = None) -> bool:
        return 100 * count > OFTEN * (self.seen.rows if of is None else of)

    def _objections(self) -> Iterator[Finding]:
        report = self.seen.report
        if not report.opt_out_known:
            said = "No column says who objected, so no objection can be honoured."
            yield self._say("objections", Verdict.LOOK, said, remedy="Map `opted_out` if the case system records it.")
        elif self._often(report.rows_opted_out, of=report.rows_read):
            said = f"Rows left out because somebody objected: {report.rows_opted_out:,}, which is many."
            remedy = "Check the wordings of `opted_out`: whatever is not known to mean no counts as an objection."
            yield self._say("objections", Verdict.LOOK, said, remedy=remedy, count=report.rows_opted_out)

    def _reading(self) -> Iterator[Finding]:
        report = self.seen.report
        if report.rows_unreadable:
            said = f"Lines that are no rows and are left out: {report.rows_unreadable:,}."
            remedy = "Look for a quotation mark or a line break inside a cell, and export again."
            yield self._say("lines", Verdict.MEND, said, remedy=remedy, count=report.rows_unreadable)
        if report.rows_without_key:
            verdict = Verdict.MEND if self._often(report.rows_without_key) else Verdict.LOOK
            said = f"Rows that name no {self.dataset.unit}: {report.rows_without_key:,}."
            remedy = "Repeat applications among them count apart. Fill the reference in, or map the column that has it."
            where = self.dataset.unit_column
            yield self._say("references", verdict, said, where=where, remedy=remedy, count=report.rows_without_key)
        if self.seen.most_of_one > MANY_ROWS:
            most = self.seen.most_of_one
            said = f"One {self.dataset.unit} reference stands on more than {MANY_ROWS} rows: on {most:,} of them."
            remedy = (
                f"If it stands for 'unknown', leave it blank in the export: its rows count as one {self.dataset.unit}."
            )
            where = self.dataset.unit_column
            yield self._say("one_reference", Verdict.LOOK, said, where=where, remedy=remedy, count=most)
        if report.rows_without_case:
            verdict = Verdict.MEND if self._often(report.rows_without_case) else Verdict.LOOK
            said = f"Rows whose case is not in the case table: {report.rows_without_case:,}."
            remedy = "Export both tables for the same cases, on the same day."
            yield self._say("cases", verdict, said, where="case_key", remedy=remedy, count=report.rows_without_case)

    def _not_understood(self, kind: ColumnType) -> Iterator[Finding]:
        """Columns with something that means nothing here: each that has much of it, and the others together."""
        what, remedy = _NOT_UNDERSTOOD[kind]
        mine = [i for i in self.columns if i.not_understood and self.dataset.column(i.column).type is kind]
        few = [item for item in mine if not self._often(item.not_understood)]
        groups = [(Verdict.MEND, [item]) for item in mine if item not in few] + [(Verdict.LOOK, few)]
        for verdict, items in groups:
            if not items:
                continue
            count = sum(item.not_understood for item in items)
            named = ", ".join(f"{item.column} ({item.not_understood:,})" for item in items)
            said = f"Cells with {what}, which count as not known: {count:,}, in {named}."
            yield self._say("not_understood", verdict, said, remedy=remedy, count=count)

    def _column(self, item: ColumnCount) -> Iterator[Finding]:
        column = self.dataset.column(item.column)
        if item.outside:
            said = f"Rows outside {column.low} to {column.high}: {item.outside:,}. The bound is used instead."
            remedy = "Check the largest few."
            yield self._say("outside", Verdict.LOOK, said, where=item.column, remedy=remedy, count=item.outside)
        if item.blank and item.column in NEEDED.get(self.dataset.name, ()):
            verdict = Verdict.MEND if self._often(item.blank) else Verdict.LOOK
            said = f"Rows that are blank or not known: {item.blank:,}. Nearly every question needs this column."
            remedy = "Fill them in, or check that the right heading is mapped."
            yield self._say("missing", verdict, said, where=item.column, remedy=remedy, count=item.blank)

    def _repeats(self) -> Iterator[Finding]:
        seen = self.seen
        if seen.twice:
            said = f"Rows that say the same as another one: {seen.twice:,}. They count once."
            yield self._say("duplicates", Verdict.LOOK, said, remedy="Export each case once.", count=seen.twice)
        if seen.conflicts:
            said = f"Rows that have the case reference of another row and say something else: {seen.conflicts:,}."
            remedy = "Find out which of them holds, and export one row for each case."
            yield self._say("conflicts", Verdict.MEND, said, where="case_key", remedy=remedy, count=seen.conflicts)
        if seen.keyed_again:
            said = f"Cases that are the second of one household on the same day: {seen.keyed_again:,}."
            remedy = "If cases were keyed again from an old system, keep the old reference; otherwise nothing is wrong."
            yield self._say("keyed_again", Verdict.LOOK, said, where="case_key", remedy=remedy, count=seen.keyed_again)

    def _broken(self) -> Iterator[Finding]:
        for rule in rules():
            count = self.seen.broken.get(rule.name, 0) if rule.dataset == self.dataset.name else 0
            if count:
                said = f"Rows that {rule.said.removesuffix('.')}: {count:,}."
                where = ", ".join(sorted(rule.columns))
                yield self._say(rule.name, rule.severity, said, where=where, remedy=rule.remedy, count=count)


_NOT_UNDERSTOOD: Final = {
    ColumnType.CATEGORY: ("a wording that the mapping does not know", "Map them: `council-node map` shows wordings."),
    ColumnType.DATE: ("a text that is no date", "Check `dates` in the mapping file, and correct the records."),
    ColumnType.INTEGER: ("a text that is no number", "Correct the records, or check that the right heading is mapped."),
}
