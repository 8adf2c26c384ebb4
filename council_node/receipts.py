"""Makes and keeps a receipt for every round this council was in, answered or not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.pinned_papers import PinnedPapers
from council_node.receipt_form import (
    ContactsRecord,
    CostRecord,
    EntryRecord,
    LocalCount,
    NoiseRecord,
    PurposeRecord,
    Receipt,
    SentMessage,
    open_receipt,
    receipt_text,
)
from council_node.settings import Settings
from council_node.sources.extract import LoadReport
from federated.agreement import Agreement
from federated.budget_statement import equivalent_epsilon
from federated.clauses import MEANINGS
from federated.errors import FederatedError, FileProblem, PolicyRefusal
from federated.ledger_entries import LedgerRound, RoundState
from federated.manifest import MANIFEST_TYPE, Manifest, parse_manifest
from federated.plan import PLAN_TYPE
from federated.privacy import remaining
from federated.query import Query, parse_query
from federated.release import Release
from federated.signing import open_envelope, unsafe_payload
from federated.timestamps import time_text
from protocols.encoding import canonical_json, sha256
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = [
    "RoundSoFar",
    "SentMessage",
    "answer_of",
    "find_receipt",
    "keep_receipt",
    "keep_receipt_without_answer",
    "receipt_text",
    "receipts",
]

_NOT_KEPT: Final = "somebody the agreement names as an analyst"


class Desk(Protocol):
    """What is needed of the council's station."""

    settings: Settings
    store: NodeStore
    ledger: Ledger

    @property
    def load_reports(self) -> Mapping[Digest, LoadReport]:
        """What reading the extract showed, by plan."""

    @property
    def papers(self) -> PinnedPapers:
        """The agreements that this council accepted."""


class RoundSoFar(Protocol):
    """What is needed of a round that is still in memory."""

    @property
    def sent(self) -> Sequence[SentMessage]:
        """Everything this council sent in it."""

    @property
    def survivors(self) -> tuple[CouncilId, ...]:
        """U3 as this council signed it; empty before that."""

    @property
    def took(self) -> timedelta:
        """What this node itself has taken so far."""

    @property
    def part(self) -> str:
        """Which round of several this is, in words; empty for any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Papers:
    """The signed files of the question, as far as they are still kept."""

    plan: Mapping[str, Any] = field(default_factory=dict)
    manifest: Manifest | None = None
    asked_by: str = _NOT_KEPT

    @property
    def question(self) -> Query | None:
        """The question of the plan."""
        if "question" not in self.plan:
            return None
        return parse_query(canonical_json(self.plan["question"]), source="plan")

    @property
    def eligible(self) -> int:
        """How many councils were asked."""
        return len(self.plan.get("eligible", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What came of a round: the release and its bytes, or why there is none."""

    words: str
    release: Release | None = None
    content: bytes = b""


def keep_receipt(desk: Desk, release: Release, content: bytes, active: RoundSoFar | None, now: datetime) -> Receipt:
    """Keep the answer as it came, and the receipt of its round. Run by the node at R5.

    Args:
        desk: The council's station.
        release: The answer.
        content: Its bytes.
        active: The round, if this node still has it in memory.
        now: Time, UTC.
    """
    sid = RoundId(bytes.fromhex(release.sid))
    desk.store.put(DocumentKind.RELEASE, sid.hex(), content, now)
    return _keep(desk, sid, _Answer(words="The question was answered.", release=release, content=content), active, now)


def keep_receipt_without_answer(
    desk: Desk, sid: RoundId, active: RoundSoFar | None, reason: str, now: datetime
) -> Receipt | None:
    """Keep the receipt of a round that ended here without an answer, so that it says what left and what it cost.

    Returns:
        The receipt; None for a round that this council's ledger does not know.
    """
    if desk.ledger.round(sid) is None:
        return None
    return _keep(desk, sid, _Answer(words=f"There was no answer: {reason}."), active, now)


def answer_of(store: NodeStore, sid: RoundId) -> str:
    """SHA-256 of the answer of a round, kept or deleted since, in hexadecimal digits; empty where none has come."""
    document = store.latest(DocumentKind.RECEIPT, sid.hex())
    return "" if document is None else open_receipt(document.body).release_digest


def find_receipt(store: NodeStore, sid: str | None) -> Receipt:
    """The receipt of the round whose id begins so; the latest one when no id is given.

    Raises:
        FileProblem: There is none, or there are several.
    """
    found = [item for item in receipts(store) if item.sid.startswith((sid or "").lower())]
    if not found or (sid is not None and len(found) > 1):
        raise FileProblem(
            f"{len(found)} receipts have a round id that begins with '{sid or ''}'.",
            remedy="Receipts appear once a round this council was in has ended; give more digits if there are several.",
        )
    return max(found, key=lambda item: item.made_at)


def receipts(store: NodeStore) -> tuple[Receipt, ...]:
    """The latest receipt of every round, in the order of the rounds."""
    return tuple(open_receipt(document.body) for document in store.all_latest(DocumentKind.RECEIPT))


def _keep(desk: Desk, sid: RoundId, answer: _Answer, active: RoundSoFar | None, now: datetime) -> Receipt:
    charged = desk.ledger.round(sid)
    if charged is None:
        raise PolicyRefusal("release", "This council took no part in the round of that release.")
    earlier = desk.store.latest(DocumentKind.RECEIPT, sid.hex())
    before = None if earlier is None else open_receipt(earlier.body)
    agreement = _agreement(desk, charged, now)
    release = answer.release
    papers = _papers(desk.store, charged.plan_digest, agreement, release)
    question = papers.question
    # What a restarted node no longer knows, its earlier receipt of the round may still say.
    sent = tuple(active.sent) if active is not None else before.sent if before is not None else ()
    report = desk.load_reports.get(charged.plan_digest)
    receipt = Receipt(
        council=desk.settings.council.id,
        council_name=desk.settings.council.name,
        sid=sid.hex(),
        plan_digest=charged.plan_digest.hex(),
        title=charged.title,
        made_at=time_text(now),
        answered=release is not None,
        outcome=answer.words,
        asked_by=papers.asked_by,
        agreement=charged.agreement.id,
        agreement_digest=charged.agreement.digest.hex(),
        purpose=None if papers.manifest is None else _purpose(papers.manifest),
        dataset="" if question is None else question.dataset,
        columns=() if question is None else tuple(sorted(question.columns())),
        period="" if question is None else f"{question.period.start} to {question.period.end}",
        extract_date=_extract_date(release, desk.settings.council.id),
        local_counts=_counts(report) if report is not None else before.local_counts if before is not None else (),
        local_warnings=report.warnings() if report is not None else before.local_warnings if before is not None else (),
        sent=sent,
        node_milliseconds=_milliseconds(active, before),
        part=active.part if active is not None else before.part if before is not None else "",
        mechanism="" if release is None else release.mechanism,
        noise=() if release is None else tuple(NoiseRecord(table=t.name, sd=t.planned_sd) for t in release.tables),
        cost=_cost(desk.ledger, charged),
        councils_asked=papers.eligible if release is None else len(release.councils),
        contributors=() if release is None else _contributors(release),
        same_councils=_same_councils(release, active),
        release_digest="" if release is None else sha256(answer.content).hex(),
        entries=_entries(desk.ledger, sid),
        contacts=_contacts(papers.manifest, agreement, desk.settings),
    )
    desk.store.put(DocumentKind.RECEIPT, sid.hex(), receipt.encode(), now)
    return receipt


def _agreement(desk: Desk, charged: LedgerRound, now: datetime) -> Agreement | None:
    try:
        return desk.papers.agreement(charged.agreement.id, now)
    except FederatedError:  # expired or removed since: the receipt is written all the same
        return None


def _papers(store: NodeStore, plan_digest: Digest, agreement: Agreement | None, release: Release | None) -> _Papers:
    """The question and manifest as kept when they were proposed; their signatures were checked before approval."""
    kept = store.latest(DocumentKind.PROPOSAL, plan_digest.hex())
    try:
        if kept is not None:
            body = json.loads(kept.body)
            envelope = body["plan"].encode("utf-8")
            return _Papers(
                plan=json.loads(unsafe_payload(envelope, PLAN_TYPE)),
                manifest=parse_manifest(unsafe_payload(body["manifest"].encode("utf-8"), MANIFEST_TYPE)),
                asked_by=_signers(envelope, agreement),
            )
    except (FederatedError, ValueError, KeyError, TypeError, AttributeError):
        pass  # kept by other software, or its time is over: the answer holds the plan too
    if release is not None and sha256(canonical_json(release.plan)) == plan_digest:
        return _Papers(plan=release.plan)
    return _Papers()


def _signers(envelope: bytes, agreement: Agreement | None) -> str:
    if agreement is None:
        return _NOT_KEPT
    signed = open_envelope(envelope, PLAN_TYPE, agreement.analyst_keys).signers
    people = dict(zip(agreement.analyst_keys, agreement.analysts, strict=True))
    return "; ".join(f"{people[name].name}, {people[name].organisation}" for name in signed)


def _purpose(manifest: Manifest) -> PurposeRecord:
    funding = manifest.funding_use_text
    return PurposeRecord(
        manifest=f"{manifest.id}, version {manifest.version}",
        digest=manifest.digest.hex(),
        question=manifest.question,
        decision=manifest.decision,
        benefit_to_council=manifest.benefit_to_council,
        benefit_to_residents=manifest.benefit_to_residents,
        recipients=tuple(f"{item.role}, {item.body}" for item in manifest.recipients),
        kept_until=manifest.retention.until.isoformat(),
        never_used_for=tuple(MEANINGS[item] for item in manifest.prohibited_uses),
        funding="It informs no decision about funding." if funding is None else f"Use for funding: {funding}",
    )


def _milliseconds(active: RoundSoFar | None, before: Receipt | None) -> int | None:
    if active is not None:
        # A clock that was set back meanwhile has nothing to tell.
        return max(0, round(active.took / timedelta(milliseconds=1)))
    return None if before is None else before.node_milliseconds


def _extract_date(release: Release | None, council: str) -> str:
    dates = () if release is None else (r.extract_date for r in release.councils if r.council == council)
    return next((found for found in dates if found is not None), "")


def _counts(report: LoadReport) -> tuple[LocalCount, ...]:
    named = {
        "rows in the extract": report.rows_read,
        "rows left out because somebody objected": report.rows_opted_out,
        "lines that are no rows": report.rows_unreadable,
    }
    return tuple(LocalCount(what=what, count=count) for what, count in named.items())


def _cost(ledger: Ledger, charged: LedgerRound) -> CostRecord:
    spent, _ = ledger.totals(charged.agreement.id, charged.period)
    left = remaining(ledger.committed(charged.agreement.id, charged.period), charged.budget)
    return CostRecord(
        charged=charged.state is RoundState.SPENT,
        unit=charged.unit,
        epsilon=None if charged.charge.epsilon is None else str(charged.charge.epsilon),
        rho=str(charged.charge.rho),
        period=charged.period,
        budget_epsilon=str(charged.budget.epsilon),
        budget_delta=str(charged.budget.delta),
        spent_epsilon=str(equivalent_epsilon(spent, charged.budget.delta)),
        left_epsilon=str(left.epsilon),
        left_rho=str(left.rho),
    )


def _contributors(release: Release) -> tuple[str, ...]:
    return tuple(record.name for record in release.councils if record.outcome == "contributed")


def _same_councils(release: Release | None, active: RoundSoFar | None) -> bool | None:
    if release is None or active is None or not active.survivors:
        return None
    named = {record.council for record in release.councils if record.outcome == "contributed"}
    return named == set(active.survivors)


def _entries(ledger: Ledger, sid: RoundId) -> tuple[EntryRecord, ...]:
    return tuple(
        EntryRecord(counter=entry.counter, kind=entry.kind.value, hash=entry.hash.hex())
        for entry in ledger.entries()
        if entry.body.get("sid") == sid.hex()
    )


def _contacts(manifest: Manifest | None, agreement: Agreement | None, settings: Settings) -> ContactsRecord:
    found = manifest.contacts if manifest is not None else agreement.contacts if agreement is not None else None
    return ContactsRecord(
        questions="see the agreement" if found is None else found.questions,
        withdrawal="see the agreement" if found is None else found.withdrawal,
        complaints="see the agreement" if found is None else found.complaints,
        residents=settings.roles.residents_contact or "",
    )
