"""Step 8 of 8: publication. In: `RoundReport` with a sum. Out: `Release`, kept, and given to every contributor.

Councils get the answer at the moment it exists, not when somebody remembers: what is owed is written in the same
transaction as the release, and sent again at each connection until the council's signed receipt is here.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from importlib.metadata import version
from typing import Final, Literal, TypeAlias

from coordinator.choices import Decision, DecisionKind
from coordinator.courier import Answer
from coordinator.office import Office
from coordinator.replies import Objection, read_receipt
from coordinator.round_report import Outcome, RoundReport, StageEnd
from coordinator.store import DeliveryRow, ReleaseRow, RoundCouncilRow, StageRow
from federated.errors import InternalError, SignatureProblem
from federated.release import CouncilRecord, CountedRound, Release, make_release
from federated.roster import Roster
from federated.schema import Schema
from protocols.encoding import sha256
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind

__all__ = ["Deliveries", "council_records", "council_rows", "progress_rows", "release_of", "release_row", "stage_rows"]

CouncilOutcome: TypeAlias = Outcome | Literal["pending"]
SOFTWARE: Final = f"council-federation {version('council-federation')}"


def council_records(
    report: RoundReport, decisions: Mapping[CouncilId, Decision], roster: Roster
) -> tuple[CouncilRecord, ...]:
    """What became of every council asked, in their order: nobody is left out of the list."""
    return tuple(_record(council, report, decisions.get(council), roster) for council in report.order.plan.eligible)


def _record(council: CouncilId, report: RoundReport, decision: Decision | None, roster: Roster) -> CouncilRecord:
    name = roster.councils[council].name
    extract_date = None if decision is None else decision.extract_date
    standing = report.standings.get(council)
    outcome: CouncilOutcome
    if standing is not None:
        outcome, reason = standing.outcome, standing.reason
    elif decision is None:
        outcome, reason = "unreachable", "It was not connected, or did not answer, while decisions were collected."
    elif decision.kind is DecisionKind.REFUSED:
        outcome, reason = "refused", decision.reason
    else:
        late = decision.kind is DecisionKind.APPROVED
        outcome, reason = "pending", "Its approval came after the round had begun." if late else decision.reason
    return CouncilRecord(council=council, name=name, outcome=outcome, reason=reason, extract_date=extract_date)


def release_of(
    report: RoundReport,
    decisions: Mapping[CouncilId, Decision],
    *,
    schema: Schema,
    now: datetime,
    rounds: Sequence[CountedRound] = (),
) -> Release:
    """Make the release of a round that ended with a sum; `rounds` are all of them where the plan takes several."""
    result = report.result
    if result is None:
        raise InternalError("A release was about to be made of a round without a sum.")
    return make_release(
        report.order.plan,
        result,
        schema=schema,
        sid=report.order.sid,
        councils=council_records(report, decisions, report.order.roster),
        now=now,
        software=SOFTWARE,
        attempt=report.order.attempt,
        nonce=report.order.nonce,
        rounds=rounds,
    )


def release_row(release: Release, report: RoundReport, now: datetime) -> ReleaseRow:
    """The release as it is kept."""
    plan, content = report.order.plan, release.encode()
    return ReleaseRow(
        digest=sha256(content),
        query_digest=plan.query_digest,
        plan_digest=plan.digest,
        sid=report.order.sid,
        agreement_id=plan.agreement_id,
        title=release.title,
        contributed=release.contributed,
        asked=len(plan.eligible),
        data_cut_off=release.data_cut_off,
        content=content,
        created_at=now,
    )


def council_rows(report: RoundReport) -> tuple[RoundCouncilRow, ...]:
    """What became of each council invited, as it is kept."""
    return tuple(
        RoundCouncilRow(
            sid=report.order.sid,
            council=council,
            joined=standing.joined,
            outcome=standing.outcome,
            stage=standing.stage.label,
            rule=standing.rule,
            reason=standing.reason,
        )
        for council, standing in report.standings.items()
    )


def progress_rows(end: StageEnd) -> tuple[RoundCouncilRow, ...]:
    """How each council stands where a stage has ended, as it is kept until the round has."""
    rows = []
    for council in end.order.councils:
        lost = end.lost.get(council)
        if lost is None and council not in end.answered:
            continue
        rows.append(
            RoundCouncilRow(
                sid=end.order.sid,
                council=council,
                joined=lost is None or lost.joined,
                outcome="answered" if lost is None else lost.outcome,
                stage=end.stage.label if lost is None else lost.stage.label,
                rule="" if lost is None else lost.rule,
                reason="" if lost is None else lost.reason,
            )
        )
    return tuple(rows)


def stage_rows(report: RoundReport) -> tuple[StageRow, ...]:
    """What each stage took, as it is kept."""
    return tuple(
        StageRow(
            sid=report.order.sid,
            stage=time.stage.label,
            microseconds=time.microseconds,
            asked=time.asked,
            answered=time.answered,
        )
        for time in report.times
    )


class Deliveries:
    """Brings releases to the councils and keeps their receipts.

    Args:
        office: What the coordinator's parts share.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def deliver(self, release: ReleaseRow, councils: Sequence[CouncilId]) -> None:
        """Send a release to councils and keep the receipts that come; the other councils are owed it still.

        One that is away is not waited for: it is sent what it is owed when it connects.
        """
        receipts: list[DeliveryRow] = []
        here = self._office.courier.connected()
        payloads = {council: release.content for council in councils if council in here}
        timeout_s = self._office.settings.stages.delivery
        asking = self._office.courier.ask(Kind.RELEASE, release.sid, payloads, timeout_s=timeout_s)
        async with aclosing(asking) as answers:
            async for council, answer in answers:
                receipt = self._receipt(council, answer, release)
                if receipt is not None:
                    receipts.append(receipt)
        if receipts:
            await self._office.thread(self._office.store.releases.keep_receipts, receipts)

    async def deliver_owed(self, council: CouncilId) -> None:
        """Send a council, which has just connected, every release whose receipt is outstanding."""
        for release in await self._office.thread(self._office.store.releases.owed, council):
            await self.deliver(release, [council])

    def _receipt(self, council: CouncilId, answer: Answer, release: ReleaseRow) -> DeliveryRow | None:
        key = self._office.identities().get(council)
        if isinstance(answer, Objection) or key is None:
            return None
        try:
            read_receipt(answer.payload, council=council, key=key, release_digest=release.digest)
        except SignatureProblem:
            return None  # still owed: it is sent again when the council next connects
        return DeliveryRow(
            release_digest=release.digest, council=council, receipt=answer.payload, received_at=self._office.clock()
        )
