"""The hand-over report: what somebody who takes over this node tomorrow must know (requirement R9).

Made from what the node keeps, so that it is true on the day it is printed. It stays in the council.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from council_node.decision_records import Verdict, read_decision
from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy_file import Policy, read_policy
from council_node.proof.words import fill
from council_node.receipts import receipts
from council_node.settings import Settings
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.budget_statement import BudgetStatement
from federated.errors import FederatedError, FileProblem
from federated.keys import fingerprint, public_line, read_private_key
from federated.plan import PLAN_TYPE
from federated.privacy import remaining
from federated.roster import ROSTER_TYPE, parse_roster
from federated.signing import unsafe_payload
from federated.timestamps import time_text
from protocols.identifiers import CouncilId

__all__ = ["accepted_agreements", "handover", "handover_text"]

SOON: Final = timedelta(days=30)
ROLES: Final = {
    "information_asset_owner": "owns the case records",
    "senior_information_risk_owner": "answers for information risk",
    "data_protection_officer": "advises on data protection, and decides on questions",
    "system_owner": "runs this node",
    "residents_contact": "answers residents who ask or object",
}


def handover(settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Everything the report tells, for a program. Run by `council-node handover`, also while the node runs.

    Raises:
        FileProblem: Something of the node cannot be read.
    """
    policy = read_policy(settings.policy)
    agreements = accepted_agreements(settings)
    with NodeStore.open(settings.store_file) as store:
        report: dict[str, Any] = {
            "version": 1,
            "made_at": time_text(now),
            "council": settings.council.model_dump(),
            "coordinator": {"id": settings.coordinator.id, "address": settings.coordinator.address},
            "roles": _roles(settings),
            "state": {
                "paused": policy.paused,
                "automatic": policy.automatic,
                "approvals_needed": list(policy.approvals_needed),
            },
            "roster": _roster(store),
            "agreements": [_agreement(item) for item in agreements],
            "waiting": list(_waiting(store)),
            "decided": list(_decided(store)),
            "answered": list(_answered(store)),
            "budget": _budget(settings, now),
            "places": _places(settings),
        }
    return report | {"first": list(_first(report, policy, now.astimezone(UTC).date()))}


def handover_text(report: Mapping[str, Any]) -> str:
    """The report as a page of plain words, in Markdown."""
    return fill("handover.md", {**report, "role_words": ROLES})


def accepted_agreements(settings: Settings) -> tuple[Agreement, ...]:
    """The agreements in the node's folder, expired ones too; their signatures were checked when they were accepted.

    Raises:
        FileProblem: One of them cannot be read.
    """
    found = []
    for path in sorted(settings.agreements.glob("*.dsse")):
        try:
            found.append(parse_agreement(unsafe_payload(path.read_bytes(), AGREEMENT_TYPE), source=str(path)))
        except OSError as error:
            raise FileProblem(f"The agreement {path} cannot be read: {error.strerror}.") from error
    return tuple(found)


def _roles(settings: Settings) -> dict[str, str | None]:
    roles = settings.roles.model_dump()
    return {name: roles[name] for name in ROLES}


def _roster(store: NodeStore) -> dict[str, Any] | None:
    document = store.latest(DocumentKind.ROSTER, "current")
    if document is None:
        return None
    roster = parse_roster(unsafe_payload(document.body, ROSTER_TYPE))
    return {
        "epoch": roster.epoch,
        "councils": len(roster.councils),
        "not_after": roster.not_after.isoformat(),
        "coordinator": roster.coordinator.name,
    }


def _agreement(agreement: Agreement) -> dict[str, Any]:
    return {
        "id": agreement.id,
        "version": agreement.version,
        "title": agreement.title,
        "valid_to": agreement.valid_to.isoformat(),
        "review_on": agreement.review_on.isoformat(),
        "sha256": agreement.digest.hex(),
        "withdrawal": agreement.contacts.withdrawal,
    }


def _waiting(store: NodeStore) -> Iterator[dict[str, str]]:
    for document in store.all_latest(DocumentKind.DECISION):
        decision = read_decision(document.body)
        if decision.verdict is Verdict.PENDING:
            plan = decision.plan_digest.hex()
            yield {"plan": plan, "title": decision.title, "decide_by": _collect_by(store, plan)}


def _collect_by(store: NodeStore, plan: str) -> str:
    """The last moment to decide, or nothing where the question is not kept any more."""
    document = store.latest(DocumentKind.PROPOSAL, plan)
    try:
        if document is not None:
            envelope = json.loads(document.body)["plan"].encode("utf-8")
            return str(json.loads(unsafe_payload(envelope, PLAN_TYPE))["terms"]["collect_by"])
    except (FederatedError, ValueError, KeyError, TypeError, AttributeError):
        pass  # kept by other software
    return ""


def _decided(store: NodeStore) -> Iterator[dict[str, str]]:
    for document in store.all_latest(DocumentKind.DECISION):
        decision = read_decision(document.body)
        if decision.verdict is not Verdict.PENDING:
            yield {
                "plan": decision.plan_digest.hex(),
                "title": decision.title,
                "decision": decision.verdict.value,
                "decided_at": decision.decided_at,
                "by": decision.by or "the node's own checks",
                "role": decision.role,
                "why": decision.note or decision.reason,
            }


def _answered(store: NodeStore) -> Iterator[dict[str, Any]]:
    for receipt in receipts(store):
        yield {
            "round": receipt.sid,
            "title": receipt.title,
            "day": receipt.made_at,
            "answered": receipt.answered,
            "charged": receipt.cost.charged,
            "rho": receipt.cost.rho,
            "epsilon": receipt.cost.epsilon,
        }


def _budget(settings: Settings, now: datetime) -> dict[str, Any] | None:
    if not settings.ledger_file.exists():
        return None
    with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as ledger:
        statement = ledger.statement(now)
    return {
        "entries": statement.counter,
        "head": statement.head.hex(),
        "exhausted": statement.exhausted,
        "periods": list(_periods(statement)),
    }


def _periods(statement: BudgetStatement) -> Iterator[dict[str, Any]]:
    for period in statement.periods:
        yield {
            "agreement": period.agreement,
            "year": period.period,
            "rounds": period.rounds,
            "budget_epsilon": str(period.budget.epsilon),
            "spent_epsilon": str(period.equivalent),
            "left_epsilon": str(remaining(period.spent, period.budget).epsilon),
        }


def _places(settings: Settings) -> dict[str, Any]:
    key = read_private_key(settings.keys.identity)
    return {
        "key": str(settings.keys.identity),
        "public_key": public_line(key.public),
        "fingerprint": fingerprint(key.public),
        "state": str(settings.state),
        "agreements": str(settings.agreements),
        "policy": str(settings.policy),
        "mappings": {name: str(path) for name, path in settings.data.items()},
        "backups": settings.roles.backups,
    }


def _first(report: Mapping[str, Any], policy: Policy, today: date) -> Iterator[str]:
    """What to do first, most pressing first."""
    budget = report["budget"]
    if budget is not None and budget["exhausted"]:
        yield "The privacy ledger takes no charge: find out why, then run council-node ledger reconcile."
    if policy.paused:
        yield "This council is paused and answers nothing. Find out why, then run council-node resume."
    for item in report["waiting"]:
        by = f" by {item['decide_by'][:10]}" if item["decide_by"] else ""
        yield f"Decide{by} on '{item['title']}': council-node approve {item['plan'][:12]}, or refuse."
    if not report["agreements"]:
        yield "No agreement has been accepted, so no question can be answered: council-node accept."
    for item in report["agreements"]:
        yield from _dates(item, today)
    yield from _roster_first(report["roster"], today)
    yield from _missing(report)
    yield "Check that you can reach the key, the state folder and the backups named below."
    yield "Run council-node ledger verify, and compare the last entry with the one printed below."


def _roster_first(roster: Mapping[str, Any] | None, today: date) -> Iterator[str]:
    if roster is None:
        yield "The node has no list of councils yet: it comes when the node first connects (council-node run)."
    elif date.fromisoformat(roster["not_after"]) - today <= SOON:
        yield f"The list of councils ends on {roster['not_after']}: ask the coordinator's operator for the next one."


def _missing(report: Mapping[str, Any]) -> Iterator[str]:
    for name, what in ROLES.items():
        if report["roles"][name] is None:
            yield f"Nobody is named who {what}: write roles.{name} in the settings."
    if report["places"]["backups"] is None:
        yield "Nobody has written down where backups are: write roles.backups in the settings."


def _dates(agreement: Mapping[str, Any], today: date) -> Iterator[str]:
    if date.fromisoformat(agreement["valid_to"]) < today:
        yield f"The agreement '{agreement['id']}' ended on {agreement['valid_to']}: ask for a new version."
    elif date.fromisoformat(agreement["review_on"]) < today:
        yield f"The agreement '{agreement['id']}' was to be looked at by {agreement['review_on']}: ask whether it was."
    elif date.fromisoformat(agreement["review_on"]) - today <= SOON:
        yield f"The agreement '{agreement['id']}' is looked at again by {agreement['review_on']}: prepare for it."
