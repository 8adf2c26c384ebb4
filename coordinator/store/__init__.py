"""What the coordinator remembers: signed files, decisions, rounds and releases; never a council's figure.

No masked vector, key share or council total is ever written here (design.md section 2, consequence 6): the store
keeps envelopes others signed, digests, times and the releases, which are public to every contributing council.
"""

from coordinator.store.book import DatabaseProblem, DeskLost, Place
from coordinator.store.database import Store, open_store
from coordinator.store.papers import paper_place
from coordinator.store.records import (
    AcceptanceRow,
    AccountRow,
    AgreementRow,
    AuditRow,
    BudgetRow,
    DecisionRow,
    DeliveryRow,
    DeskRow,
    DraftRow,
    EnrolmentRow,
    InboxRow,
    PaperRow,
    ProposalRow,
    ReleaseRow,
    RosterRow,
    RoundCouncilRow,
    RoundRow,
    SessionRow,
    StageRow,
    StartRow,
    TokenRow,
)
from coordinator.store.thread import StoreThread

__all__ = [
    "AcceptanceRow",
    "AccountRow",
    "AgreementRow",
    "AuditRow",
    "BudgetRow",
    "DatabaseProblem",
    "DecisionRow",
    "DeliveryRow",
    "DeskLost",
    "DeskRow",
    "DraftRow",
    "EnrolmentRow",
    "InboxRow",
    "PaperRow",
    "Place",
    "ProposalRow",
    "ReleaseRow",
    "RosterRow",
    "RoundCouncilRow",
    "RoundRow",
    "SessionRow",
    "StageRow",
    "StartRow",
    "Store",
    "StoreThread",
    "TokenRow",
    "open_store",
    "paper_place",
]
