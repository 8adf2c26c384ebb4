"""Taking in signed papers of governance: who may have signed each kind, and about what it may be.

The coordinator is a courier here too. It checks, so that a mistake is met now and not by every reader; readers check
again. Whoever hands a paper in need not be who signed it: a council's node answers and never calls (ADR 0002), so its
comment is a file that any analyst or reviewer of the agreement brings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coordinator.authorisation import Asker
from coordinator.office import Office
from coordinator.store import PaperRow, Store
from federated.agreement import Agreement
from federated.errors import PolicyRefusal, QueryError
from federated.papers import PaperKind, open_comment, open_minutes, open_outcome, paper_digest, unsafe_claims
from federated.query.check import check_query
from federated.roster import Roster
from federated.series import check_signed_by_now, open_series
from federated.signing import open_envelope, statement_type
from federated.suggestion import open_suggestion
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest

__all__ = ["MOST_OF_ONE", "PAPER_LIMIT", "Taken", "paper_kind", "papers_of", "take_paper"]

PAPER_LIMIT: Final = 256 * 1024
"""Bytes of the largest paper."""
MOST_LISTED: Final = 500
MOST_OF_ONE: Final = 20
"""Papers of one author about one thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A paper whose signature and subject were checked.

    Attributes:
        agreement: Under which it is.
        subject: What it is about; see `coordinator.store.PaperRow`.
        author: Who signed it.
    """

    agreement: str
    subject: str
    author: str


def paper_kind(text: str) -> PaperKind:
    """The kind that a request names.

    Raises:
        QueryError: There is none.
    """
    try:
        return PaperKind(text)
    except ValueError as error:
        raise QueryError(f"There is no such kind of paper; there are: {', '.join(PaperKind)}.") from error


async def take_paper(office: Office, asker: Asker, kind: PaperKind, envelope: bytes) -> tuple[Digest, bool]:
    """Check a paper and keep it.

    Checks, in order: (0) size, (1) it is about something of an agreement of whoever hands it in, (2) those who must
    have signed it did, (3) its author has not brought too many.

    Returns:
        Its digest, and whether it is new here.

    Raises:
        FederatedError: Any check fails.
    """
    if len(envelope) > PAPER_LIMIT:  # (0)
        raise QueryError(f"The paper has {len(envelope)} bytes; at most {PAPER_LIMIT} are taken.")
    agreements = [signed.agreement for signed in asker.agreements.values()]
    taken = await office.thread(_checked, office, agreements, kind, envelope)  # (1), (2)
    digest = paper_digest(envelope, kind)
    row = PaperRow(
        digest=digest,
        kind=kind.value,
        agreement_id=taken.agreement,
        subject=taken.subject,
        author=taken.author,
        envelope=envelope,
        received_at=office.clock(),
    )
    added = await office.thread(office.store.papers.add, row, limit=MOST_OF_ONE)
    if added is None:  # (3)
        raise PolicyRefusal(
            "paper_limit",
            f"Its author has handed in {MOST_OF_ONE} papers about this.",
            remedy="Ask the operator, if one more is needed.",
        )
    return digest, added


def _checked(office: Office, agreements: Sequence[Agreement], kind: PaperKind, envelope: bytes) -> Taken:
    match kind:
        case PaperKind.COMMENT:
            return _comment(office.store, office.membership.require_roster(), agreements, envelope)
        case PaperKind.OUTCOME:
            return _outcome(office.store, agreements, envelope)
        case PaperKind.MINUTES:
            agreement = _named(agreements, envelope, kind)
            minutes = open_minutes(envelope, agreement)
            return Taken(agreement=agreement.id, subject=minutes.held_on.isoformat(), author=minutes.signers[0])
        case PaperKind.SERIES:
            agreement = _named(agreements, envelope, kind)
            series = open_series(envelope, agreement)
            check_signed_by_now(series, office.clock())
            return Taken(agreement=agreement.id, subject=series.id, author=_first_signer(envelope, agreement, kind))
        case PaperKind.SUGGESTION:
            return _suggestion(office, agreements, envelope)


def _comment(store: Store, roster: Roster, agreements: Sequence[Agreement], envelope: bytes) -> Taken:
    claims = unsafe_claims(envelope, PaperKind.COMMENT)
    council = CouncilId(str(claims.get("council")))
    release = _release(store, agreements, claims.get("release"))
    entry = roster.councils.get(council)
    # Whoever was not in the answer, or only claims to be a council, gets the same words.
    owed = {delivery.council for delivery in store.releases.deliveries(release[0])}
    if entry is None or council not in owed:
        raise PolicyRefusal(
            "not_contributed",
            "A comment is for a council in the list of councils whose figures are in the answer.",
            remedy="Check the code of the council and the digest of the answer.",
        )
    open_comment(envelope, council=council, public_key=entry.public_key)
    return Taken(agreement=release[1], subject=release[0].hex(), author=council)


def _suggestion(office: Office, agreements: Sequence[Agreement], envelope: bytes) -> Taken:
    """A question that a council of the agreement suggests; about its year, so that a council has so many in each."""
    agreement = _named(agreements, envelope, PaperKind.SUGGESTION)
    council = CouncilId(str(unsafe_claims(envelope, PaperKind.SUGGESTION).get("council")))
    entry = office.membership.require_roster().councils.get(council)
    if entry is None or not any(council in group.councils for group in agreement.groups):
        raise PolicyRefusal(
            "not_of_agreement",
            "A suggestion is for a council in the list of councils that the agreement names.",
            remedy="Check the code of the council and the name of the agreement.",
        )
    suggestion = open_suggestion(envelope, council=council, public_key=entry.public_key)
    check_query(suggestion.question, office.schema)
    return Taken(agreement=agreement.id, subject=f"{office.clock():%Y}", author=council)


def _outcome(store: Store, agreements: Sequence[Agreement], envelope: bytes) -> Taken:
    digest, name = _release(store, agreements, unsafe_claims(envelope, PaperKind.OUTCOME).get("release"))
    agreement = next(item for item in agreements if item.id == name)
    open_outcome(envelope, agreement)
    author = _first_signer(envelope, agreement, PaperKind.OUTCOME)
    return Taken(agreement=name, subject=digest.hex(), author=author)


def _first_signer(envelope: bytes, agreement: Agreement, kind: PaperKind) -> str:
    return open_envelope(envelope, statement_type(kind), agreement.analyst_keys).signers[0]


def _release(store: Store, agreements: Sequence[Agreement], text: object) -> tuple[Digest, str]:
    """The release that a paper is about, and the id of its agreement."""
    try:
        digest = bytes.fromhex(str(text))
    except ValueError:
        digest = b""
    row = store.releases.get(Digest(digest)) if len(digest) == DIGEST_SIZE else None
    if row is None or row.agreement_id not in {agreement.id for agreement in agreements}:
        raise PolicyRefusal("not_found", "There is no release here under any agreement of yours that it is about.")
    return row.digest, row.agreement_id


def _named(agreements: Sequence[Agreement], envelope: bytes, kind: PaperKind) -> Agreement:
    name = unsafe_claims(envelope, kind).get("agreement")
    for agreement in agreements:
        if agreement.id == name:
            return agreement
    raise PolicyRefusal("not_found", "There is no agreement of yours in force that the paper is under.")


def papers_of(store: Store, asker: Asker, kind: PaperKind, subject: str) -> tuple[PaperRow, ...]:
    """Papers of a kind under the asker's agreements, oldest first; all of them, or those about one thing."""
    found = (
        store.papers.about(subject, [kind.value]) if subject else store.papers.page(kind.value, size=MOST_LISTED)[::-1]
    )
    return tuple(row for row in found if row.agreement_id in asker.agreement_ids)
