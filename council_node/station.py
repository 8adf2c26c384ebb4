"""What one council holds, wired together: settings, keys, pinned files, ledger, store, policy and data.

The only place where the node's rules meet its files. The clock and the source of randomness are passed in.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from council_node.counting import Holding, Reading, holding
from council_node.inheritance import check_inherited
from council_node.ledger import Ledger
from council_node.local_statistic import LocalStatistic
from council_node.mapping import ExtractMapping, load_mapping
from council_node.node_store import DocumentKind, NodeStore
from council_node.pinned_file import PinnedFiles
from council_node.pinned_papers import PinnedPapers
from council_node.policy import class_2_columns
from council_node.policy_file import Policy, read_policy
from council_node.proof.deletion import settle_after_restart
from council_node.settings import Settings, check_files
from council_node.sources.databases import Databases
from council_node.sources.extract import LoadReport
from council_node.sources.load import RUN_KEY_SIZE
from council_node.sources.opening import extract_date
from council_node.stored_roster import CURRENT
from federated.agreement import Agreement
from federated.errors import FileProblem, PolicyRefusal
from federated.iteration import Iteration
from federated.keys import SigningKey, read_private_key
from federated.ledger_entries import RoundState
from federated.plan import Plan
from federated.privacy import Budget
from federated.query import Query
from federated.schema import Schema, load_schema
from protocols.identifiers import CouncilId, Digest, RandomSource, RoundId

__all__ = ["Station"]

REPORTS_KEPT: Final = 64
"""Reports of loading kept for receipts; the oldest make room."""

Log = Callable[[str, Mapping[str, str | int]], None]
"""Writes one event: its name and fields that hold no case value."""


class Station:
    """One council's files and keys; open it as a context manager.

    Args:
        settings: From `read_settings`.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
        log: Takes events.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime], rng: RandomSource, log: Log) -> None:
        check_files(settings)
        self.settings = settings
        self.council = CouncilId(settings.council.id)
        self.now = clock
        self.rng = rng
        self.log = log
        self.schema: Schema = load_schema()
        self.key: SigningKey = read_private_key(settings.keys.identity)
        self.store = NodeStore.open(settings.store_file)
        self.ledger = self._open_ledger(clock())
        self.papers = PinnedPapers(settings, self.store, schema=self.schema, clock=clock, log=log)
        self.load_reports: dict[Digest, LoadReport] = {}
        self._databases = Databases()
        self._parts: dict[str, int] = {}
        self._policies = PinnedFiles(read_policy)
        self._mappings = PinnedFiles(lambda path: load_mapping(path, self.schema))
        settle_after_restart(self, clock())

    def _open_ledger(self, now: datetime) -> Ledger:
        in_service = self.store.latest(DocumentKind.ROSTER, CURRENT) is not None
        ledger = Ledger.open_or_create(self.settings.ledger_file, self.council, now, in_service=in_service)
        for released in ledger.recover(now):
            self.log("reservation_released", {"sid": released.sid.hex(), "reason": "the node stopped"})
        return ledger

    def __enter__(self) -> Self:
        """Everything is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the ledger, the store and the empty database."""
        self._databases.close()
        self.ledger.close()
        self.store.close()

    # Policy and data

    def policy(self) -> Policy:
        """The council's own policy as it stands now, so that a pause works at once."""
        try:
            return self._policies.get(self.settings.policy)
        except OSError:
            return read_policy(self.settings.policy)  # says what is wrong with it

    def mapping(self, dataset: str) -> ExtractMapping:
        """The mapping of a data set.

        Raises:
            PolicyRefusal: `coverage`: this council has none.
        """
        path = self.settings.data.get(dataset)
        if path is None:
            raise PolicyRefusal("coverage", f"This council does not hold the data set '{dataset}'.")
        try:
            return self._mappings.get(path)
        except OSError:
            return load_mapping(path, self.schema)  # says what is wrong with it

    def coverage(self, question: Query) -> tuple[frozenset[str], date | None]:
        """Columns of the question that are missing here, and the date of the extract. Reads no case."""
        columns = question.columns()
        try:
            mapping = self.mapping(question.dataset)
        except (OSError, PolicyRefusal):
            return columns, None
        try:
            day = extract_date(mapping, self._folder(question.dataset), self.now())
        except FileProblem:
            return columns, None
        return self._missing(question.dataset, columns), day

    def _missing(self, dataset: str, columns: frozenset[str]) -> frozenset[str]:
        try:
            self._holding(dataset).check_coverage(columns)
        except FileProblem:
            single = frozenset(column for column in columns if len(columns) > 1)
            return frozenset(c for c in single if self._missing(dataset, frozenset({c}))) or columns
        return frozenset()

    def _folder(self, dataset: str) -> Path:
        return self.settings.data[dataset].parent

    def _holding(self, dataset: str) -> Holding:
        self.mapping(dataset)  # refuses a data set that this council does not hold
        return holding(dataset, schema=self.schema, files=self.settings.data, mapping=self.mapping)

    def compute(self, plan: Plan, iteration: Iteration | None = None) -> LocalStatistic:
        """Step 4: read the question's columns and count. Called after the charge is durable.

        Args:
            plan: The plan.
            iteration: Which round this is, where the plan takes several.
        """
        question = plan.question
        reading = Reading(run_key=self.rng(RUN_KEY_SIZE), limits=self.settings.limits, databases=self._databases)
        counted = self._holding(question.dataset).count(
            question,
            plan.tables_at(iteration),
            region=self.schema.council(self.council).region,
            reading=reading,
            parts=self._parts.get(question.dataset, 1),
        )
        # The next question on it need not find out again that it does not fit into memory.
        self._parts[question.dataset] = counted.parts
        while len(self.load_reports) >= REPORTS_KEPT:
            self.load_reports.pop(next(iter(self.load_reports)))
        self.load_reports[plan.digest] = counted.report
        return counted.statistic

    def rows_held(self) -> int | None:
        """Bytes of rows that the database engine still holds; None when there is no engine."""
        return self._databases.held()

    def rest(self) -> None:
        """Close the empty database that is kept for the next question; for a process that plays many councils."""
        self._databases.close()

    # The ledger

    def check_affordable(
        self, plan: Plan, agreement: Agreement, now: datetime, *, besides: RoundId | None = None
    ) -> None:
        """Whether the budget would cover the plan now, with all the rounds that it still takes.

        The ledger decides for certain when the charge of a round is reserved.

        Args:
            plan: The plan.
            agreement: The agreement it is under.
            now: Time, UTC.
            besides: A round that holds this plan's reservation already.

        Raises:
            BudgetExceeded: It would not.
            PolicyRefusal: `ledger_exhausted`, or `inheritance`.
        """
        check_inherited(self.ledger.inherited_from(), self.papers.roster(now), self.council)
        policy = self.policy()
        # A question of several rounds is refused before the first, not in the middle.
        answered = self.ledger.attempts(plan.digest, besides=besides)
        self.ledger.check(
            charge=plan.round_charge.times(max(1, plan.rounds - answered)),
            agreement=agreement,
            budget=Budget(epsilon=agreement.budget_epsilon, delta=agreement.budget_delta),
            cap=policy.year_cap,
            class_2_cap=policy.class_2_year_cap if self._reads_class_2(plan) else None,
            besides=besides,
            now=now,
        )

    def reserve(self, plan: Plan, sid: RoundId, now: datetime) -> None:
        """Reserve the charge of one round of the plan, durably."""
        check_inherited(self.ledger.inherited_from(), self.papers.roster(now), self.council)
        agreement = self.papers.agreement(plan.agreement_id, now)
        policy = self.policy()
        self.ledger.reserve(
            sid=sid,
            plan_digest=plan.digest,
            title=plan.question.title,
            charge=plan.round_charge,
            unit=plan.question.unit,
            agreement=agreement,
            budget=Budget(epsilon=agreement.budget_epsilon, delta=agreement.budget_delta),
            cap=policy.year_cap,
            class_2=self._reads_class_2(plan),
            class_2_cap=policy.class_2_year_cap,
            attempts=plan.most_rounds,
            now=now,
        )

    def _reads_class_2(self, plan: Plan) -> bool:
        return bool(class_2_columns(self.schema.dataset(plan.question.dataset), plan.question.columns()))

    def give_back(self, sid: RoundId, reason: str) -> None:
        """Release a reservation that was never spent; a spent one stands."""
        held = self.ledger.round(sid)
        if held is not None and held.state is RoundState.RESERVED:
            self.ledger.release(sid, reason, self.now())
