"""Taking in signed papers of governance: who may have signed each kind, and about what it may be.

The coordinator is a courier here too. It checks, so that a mistake is met now and not by every reader; readers check
again. Whoever hands a paper in need not be who signed it: a council's node answers and never calls (ADR 0002), so its
comment is a file that any analyst or reviewer of the agreement brings. Over gRPC they have a key that the agreement
names, as a program a token of an account; both come through `_keep`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from coordinator.authorisation import Asker
from coordinator.console.visitor import Visitor
from coordinator.office import Office
from coordinator.retention import require_kept
from coordinator.roster import Membership
from coordinator.sign_in.audit import allow
from coordinator.sign_in.operations import Operation
from coordinator.store import PaperRow, Store
from federated.agreement import Agreement
from federated.errors import PolicyRefusal, QueryError
from federated.keys import trusted_keys
from federated.papers import REMARKS, PaperKind, open_comment, open_minutes, open_outcome, paper_digest, unsafe_claims
from federated.query.check import check_query
from federated.roster import Roster
from federated.schema import Schema
from federated.series import check_signed_by_now, open_series
from federated.signing import join_signatures, open_envelope, statement_type
from federated.suggestion import open_suggestion
from protocols.encoding import length_prefixed, sha256
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest

__all__ = [
    "MOST_OF_ONE",
    "PAPER_LIMIT",
    "Ground",
    "Taken",
    "bring_paper",
    "paper_kind",
    "papers_of",
    "take_paper",
]

PAPER_LIMIT: Final = 256 * 1024
"""Bytes of the largest paper."""
MOST_LISTED: Final = 500
MOST_OF_ONE: Final = 20
"""Papers of one author about one answer; minutes, series and suggestions: in a calendar year."""
_OF_A_YEAR: Final = frozenset({PaperKind.MINUTES, PaperKind.SERIES})
"""Kinds whose signer chooses what they are about, so that a limit for each thing would be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a paper is held against.

    Attributes:
        store: For answers and papers; written to when the paper is kept.
        membership: In force now.
        schema: The data dictionary.
        now: Time.
    """

    store: Store
    membership: Membership
    schema: Schema
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A paper whose signature and subject were checked.

    Attributes:
        agreement: Under which it is.
        subject: What it is about; see `coordinator.store.PaperRow`.
        author: Who signed it.
        trusted: Raw public keys by key id: those whose signatures on it count.
    """

    agreement: str
    subject: str
    author: str
    trusted: Mapping[str, bytes]


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
    """Check a paper that came over gRPC, and keep it: one under an agreement of whoever hands it in.

    Returns:
        Its digest, and whether it is new here.

    Raises:
        FederatedError: Any check of `_keep` fails.
    """
    ground = Ground(store=office.store, membership=office.membership, schema=office.schema, now=office.clock())
    agreements = [signed.agreement for signed in asker.agreements.values()]
    return await office.thread(_keep, ground, agreements, kind, envelope)


def bring_paper(
    ground: Ground, visitor: Visitor, kind: PaperKind, envelope: bytes, *, key: str | None = None
) -> tuple[Digest, str]:
    """Check a paper that a program brings, and keep it. Run by the process of the pages.

    Args:
        ground: What it is held against.
        visitor: Whose program.
        kind: What it is.
        envelope: As signed.
        key: Idempotency key. It is kept with the paper that it brought, so that nobody fills the disk with keys.

    Returns:
        Its digest, and the id of its agreement; the same again where the paper was here already.

    Raises:
        FederatedError: The account may not, any check of `_keep` fails, or another paper came under the same key.
    """
    _check_size(envelope)
    in_force = [signed.agreement for signed in ground.membership.agreements.values()]
    agreement = _under(ground.store, in_force, kind, envelope)
    allow(ground.store, visitor, Operation.HAND_IN_PAPER, agreement=agreement.id, about=agreement.id, now=ground.now)
    request: str | None = None
    if key is not None:
        request = sha256(length_prefixed("paper request/v1", visitor.name.encode(), key.encode())).hex()
    digest, _ = _keep(ground, [agreement], kind, envelope, by=visitor.name, request=request)
    return digest, agreement.id


def _keep(
    ground: Ground,
    agreements: Sequence[Agreement],
    kind: PaperKind,
    envelope: bytes,
    *,
    by: str = "",
    request: str | None = None,
) -> tuple[Digest, bool]:
    """Check a paper and keep it.

    Checks, in order: (0) size, (1) it is about something of one of these agreements, (2) those who must have signed it
    did, (3) nothing else came by the same request, (4) its author has not brought too many.

    Raises:
        FederatedError: Any check fails.
    """
    _check_size(envelope)  # (0)
    taken = _checked(ground, agreements, kind, envelope)  # (1), (2)
    digest, papers = paper_digest(envelope, kind), ground.store.papers
    if request is not None and papers.of_request(request) not in {None, digest}:  # (3)
        raise PolicyRefusal(
            "key_reused",
            "Another paper was handed in under this idempotency key.",
            remedy="Use a new key for each paper.",
        )
    row = PaperRow(
        digest=digest,
        kind=kind.value,
        agreement_id=taken.agreement,
        subject=taken.subject,
        author=taken.author,
        envelope=envelope,
        received_at=ground.now,
        request=request,
    )
    year = ground.now.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    since = year if kind in _OF_A_YEAR else None
    join = partial(join_signatures, other=envelope, trusted=taken.trusted)
    added = papers.add(row, limit=MOST_OF_ONE, since=since, join=join, by=by)
    if added is None:  # (4)
        which = "about this" if since is None else "of this kind under the agreement this year"
        raise PolicyRefusal(
            "paper_limit",
            f"Its author has handed in {MOST_OF_ONE} papers {which}.",
            remedy="Ask the operator, if one more is needed.",
        )
    return digest, added


def _check_size(envelope: bytes) -> None:
    if len(envelope) > PAPER_LIMIT:
        raise PolicyRefusal(
            "paper_size",
            f"The paper has {len(envelope):,} bytes; at most {PAPER_LIMIT:,} are taken.",
            remedy="Write a shorter one.",
        )


def _under(store: Store, agreements: Sequence[Agreement], kind: PaperKind, envelope: bytes) -> Agreement:
    """The agreement that a paper says it is under; nobody has signed that yet."""
    if kind not in REMARKS:
        return _named(agreements, envelope, kind)
    _, name = _release(store, agreements, unsafe_claims(envelope, kind).get("release"))
    return next(agreement for agreement in agreements if agreement.id == name)


def _checked(ground: Ground, agreements: Sequence[Agreement], kind: PaperKind, envelope: bytes) -> Taken:
    match kind:
        case PaperKind.COMMENT:
            return _comment(ground.store, ground.membership.require_roster(), agreements, envelope)
        case PaperKind.OUTCOME:
            return _outcome(ground.store, agreements, envelope)
        case PaperKind.MINUTES:
            agreement = _named(agreements, envelope, kind)
            return _minutes(agreement, envelope, ground.now)
        case PaperKind.SERIES:
            agreement = _named(agreements, envelope, kind)
            series = open_series(envelope, agreement)
            check_signed_by_now(series, ground.now)
            return _by_analyst(agreement, kind, envelope, subject=series.id)
        case PaperKind.SUGGESTION:
            return _suggestion(ground, agreements, envelope)


def _minutes(agreement: Agreement, envelope: bytes, now: datetime) -> Taken:
    minutes = open_minutes(envelope, agreement)
    if minutes.held_on > now.date():
        raise PolicyRefusal(
            "minutes_date",
            f"The minutes say that the board met on {minutes.held_on:%d %B %Y}, which is still to come.",
            remedy="Check the day, and sign them again once the meeting was held.",
        )
    return Taken(
        agreement=agreement.id,
        subject=minutes.held_on.isoformat(),
        author=minutes.signers[0],
        trusted=agreement.reviewer_keys,
    )


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
    trusted = trusted_keys(entry.public_key)
    return Taken(agreement=release[1], subject=release[0].hex(), author=council, trusted=trusted)


def _suggestion(ground: Ground, agreements: Sequence[Agreement], envelope: bytes) -> Taken:
    """A question that a council of the agreement suggests; about its year, so that a council has so many in each."""
    agreement = _named(agreements, envelope, PaperKind.SUGGESTION)
    council = CouncilId(str(unsafe_claims(envelope, PaperKind.SUGGESTION).get("council")))
    entry = ground.membership.require_roster().councils.get(council)
    if entry is None or not any(council in group.councils for group in agreement.groups):
        raise PolicyRefusal(
            "not_of_agreement",
            "A suggestion is for a council in the list of councils that the agreement names.",
            remedy="Check the code of the council and the name of the agreement.",
        )
    suggestion = open_suggestion(envelope, council=council, public_key=entry.public_key)
    check_query(suggestion.question, ground.schema)
    trusted = trusted_keys(entry.public_key)
    return Taken(agreement=agreement.id, subject=f"{ground.now:%Y}", author=council, trusted=trusted)


def _outcome(store: Store, agreements: Sequence[Agreement], envelope: bytes) -> Taken:
    digest, name = _release(store, agreements, unsafe_claims(envelope, PaperKind.OUTCOME).get("release"))
    agreement = next(item for item in agreements if item.id == name)
    open_outcome(envelope, agreement)
    return _by_analyst(agreement, PaperKind.OUTCOME, envelope, subject=digest.hex())


def _by_analyst(agreement: Agreement, kind: PaperKind, envelope: bytes, *, subject: str) -> Taken:
    keys = agreement.analyst_keys
    author = open_envelope(envelope, statement_type(kind), keys).signers[0]
    return Taken(agreement=agreement.id, subject=subject, author=author, trusted=keys)


def _release(store: Store, agreements: Sequence[Agreement], text: object) -> tuple[Digest, str]:
    """The release that a paper is about, and the id of its agreement."""
    try:
        digest = bytes.fromhex(str(text))
    except ValueError:
        digest = b""
    row = store.releases.get(Digest(digest)) if len(digest) == DIGEST_SIZE else None
    if row is None or row.agreement_id not in {agreement.id for agreement in agreements}:
        raise PolicyRefusal("not_found", "There is no release here under any agreement of yours that it is about.")
    require_kept(row)  # what is said of an answer can quote its figures, and these were to go
    return row.digest, row.agreement_id


def _named(agreements: Sequence[Agreement], envelope: bytes, kind: PaperKind) -> Agreement:
    name = unsafe_claims(envelope, kind).get("agreement")
    for agreement in agreements:
        if agreement.id == name:
            return agreement
    raise PolicyRefusal("not_found", "There is no agreement of yours in force that the paper is under.")


def papers_of(store: Store, asker: Asker, kind: PaperKind, subject: str) -> tuple[PaperRow, ...]:
    """Papers of a kind under the asker's agreements, oldest first; all of them, or those about one thing."""
    theirs = asker.agreement_ids
    if subject:
        return tuple(row for row in store.papers.about(subject, [kind.value]) if row.agreement_id in theirs)
    # Of theirs alone: other agreements' papers take no place among the latest.
    return store.papers.page(kind.value, size=MOST_LISTED, agreements=theirs)[::-1]
