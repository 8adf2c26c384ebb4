"""Who takes part, as the coordinator hands it on: the roster and the agreements, each checked before it is served.

The coordinator neither signs nor decides any of it. It checks only so that a mistake is met here, by its operator,
and not in three hundred councils.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from coordinator.settings import Settings
from coordinator.store import AgreementRow, EnrolmentRow, RosterRow, Store
from federated.agreement import Agreement, open_agreement
from federated.errors import FederatedError, FileProblem, PolicyRefusal, QueryError
from federated.keys import read_private_key
from federated.mask_holder import HolderIdentity, holder_identity
from federated.roster import (
    LONGEST,
    ROSTER_TYPE,
    Coordinator,
    Roster,
    RosterEntry,
    check_follows,
    open_roster,
    parse_roster,
    roster_payload,
)
from federated.schema import Schema
from federated.signing import unsafe_payload
from protocols.identifiers import CouncilId, Digest

__all__ = [
    "Membership",
    "SignedAgreement",
    "add_agreement",
    "draft_roster",
    "load_membership",
    "membership_mark",
    "own_identity",
    "publish_roster",
]

_FILE_LIMIT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAgreement:
    """An agreement in force, with the file its signers signed."""

    agreement: Agreement
    envelope: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Everything in force at one moment.

    Attributes:
        roster: None until one has been published, or when the last one has expired.
        roster_envelope: The roster as signed; empty without one.
        agreements: By digest; of each id the highest version alone.
        holders: Mask holders that these agreements name, by id.
        problems: Files that are not in force, each in one sentence for the operator.
    """

    roster: Roster | None = None
    roster_envelope: bytes = field(default=b"", repr=False)
    agreements: Mapping[Digest, SignedAgreement] = field(default_factory=dict)
    holders: Mapping[CouncilId, HolderIdentity] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def identities(self, now: datetime) -> Mapping[CouncilId, bytes]:
        """Public keys of the councils whose entry is valid today."""
        if self.roster is None:
            return {}
        return {council: entry.public_key for council, entry in self.roster.councils.items() if entry.valid(now)}

    def parties(self, now: datetime) -> Mapping[CouncilId, bytes]:
        """Public keys of all who may connect: these councils, and the mask holders, which are none."""
        if self.roster is None:  # there would be nothing to greet anybody with
            return {}
        return {**{holder.id: holder.key for holder in self.holders.values()}, **self.identities(now)}

    def require_roster(self) -> Roster:
        """The roster in force.

        Raises:
            PolicyRefusal: `no_roster`.
        """
        if self.roster is None:
            raise PolicyRefusal(
                "no_roster",
                "The coordinator has no list of councils that is in force.",
                remedy="Ask its operator to publish the signed roster.",
            )
        return self.roster

    def agreement_of(self, name: str) -> SignedAgreement | None:
        """The agreement in force of that id; None where there is none."""
        return next((signed for signed in self.agreements.values() if signed.agreement.id == name), None)

    def require_agreement(self, digest: Digest) -> SignedAgreement:
        """The agreement of that digest.

        Raises:
            PolicyRefusal: `agreement`.
        """
        found = self.agreements.get(digest)
        if found is None:
            raise PolicyRefusal(
                "agreement",
                "The plan names an agreement that the coordinator does not have in force.",
                remedy="Fetch the agreements in force and plan the question again.",
            )
        return found


def load_membership(settings: Settings, store: Store, now: datetime) -> Membership:
    """Open the newest roster of the store and every file of the agreements folder."""
    problems: list[str] = []
    row = store.membership.latest_roster()
    roster = None
    if row is not None:
        try:
            roster = open_roster(row.envelope, settings.trust, now, known=None)
        except FederatedError as problem:
            problems.append(problem.diagnostics())
    agreements = tuple(_agreements(settings, now, problems))
    holders = _holders(agreements, problems)
    return Membership(
        roster=roster,
        roster_envelope=b"" if row is None or roster is None else row.envelope,
        agreements={signed.agreement.digest: signed for signed in agreements},
        holders=holders,
        problems=tuple(problems),
    )


def membership_mark(settings: Settings, store: Store, now: datetime) -> object:
    """Equal for as long as `load_membership` would give the same; far cheaper to find out."""
    files = sorted(Path(settings.agreements).glob("*"))
    stats = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files if path.is_file()]
    return store.membership.latest_epoch(), tuple(stats), now.date()


def _agreements(settings: Settings, now: datetime, problems: list[str]) -> Iterable[SignedAgreement]:
    newest: dict[str, SignedAgreement] = {}
    for path in sorted(Path(settings.agreements).glob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            envelope = _read(path)
            agreement = open_agreement(envelope, settings.trust, now)
        except FederatedError as problem:
            problems.append(f"{path.name}: {problem.diagnostics()}")
            continue
        known = newest.get(agreement.id)
        if known is None or agreement.version > known.agreement.version:
            newest[agreement.id] = SignedAgreement(agreement=agreement, envelope=envelope)
    return newest.values()


def _holders(agreements: Iterable[SignedAgreement], problems: list[str]) -> Mapping[CouncilId, HolderIdentity]:
    found: dict[CouncilId, HolderIdentity] = {}
    for signed in sorted(agreements, key=lambda item: item.agreement.id):
        named = holder_identity(signed.agreement)
        # One id on the link is one key: whoever held the other key would be taken for it.
        if named is not None and found.setdefault(named.id, named).key != named.key:
            problems.append(
                f"The agreement '{signed.agreement.id}' names the mask holder '{named.id}' with another key than an "
                "agreement before it: no question under it can be answered before both name the same one."
            )
    return found


def add_agreement(settings: Settings, store: Store, path: Path, now: datetime) -> Agreement:
    """Check a signed agreement, keep it, and put it into the agreements folder.

    Raises:
        FederatedError: It is not in force, or not signed by the pinned keys.
    """
    envelope = _read(path)
    agreement = open_agreement(envelope, settings.trust, now)
    folder = Path(settings.agreements)
    target = folder / f"{agreement.id}-{agreement.version}.dsse"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.resolve() != path.resolve():
            target.write_bytes(envelope)
    except OSError as error:
        raise FileProblem(f"{target}: the agreement cannot be written ({error.strerror}).") from error
    row = AgreementRow(digest=agreement.digest, agreement_id=agreement.id, envelope=envelope, added_at=now)
    store.membership.add_agreement(row)
    return agreement


def publish_roster(settings: Settings, store: Store, path: Path, now: datetime) -> Roster:
    """Check a signed roster and keep it; a running coordinator hands it on within seconds.

    Raises:
        FederatedError: Not signed by enough pinned people, older than the last one, out of date, another
            coordinator's, or one that forgets whose place a council took this year.
    """
    envelope = _read(path)
    last = store.membership.latest_roster()
    known = None if last is None else (last.epoch, last.digest)
    roster = open_roster(envelope, settings.trust, now, known)
    _check_ours(roster, settings, path)
    if last is not None:
        check_follows(_content_of(last), roster)
    store.membership.add_roster(RosterRow(epoch=roster.epoch, digest=roster.digest, envelope=envelope, accepted_at=now))
    if last is not None:
        _set_aside(store, gone=_content_of(last).councils.keys() - roster.councils.keys(), now=now)
    return roster


def _set_aside(store: Store, *, gone: Collection[CouncilId], now: datetime) -> None:
    """Take back that a council's key was accepted, once two people have signed it off the list.

    Otherwise the next draft would put it on again.
    """
    for enrolment in store.membership.enrolments():
        if enrolment.council in gone and enrolment.state == "accepted":
            store.membership.decide_enrolment(enrolment.public_key, state="rejected", now=now)


def _check_ours(roster: Roster, settings: Settings, path: Path) -> None:
    own = own_identity(settings)
    if roster.coordinator.id != own.id or roster.coordinator.public_key != own.public_key:
        raise FileProblem(
            f"{path}: this roster is for the coordinator '{roster.coordinator.id}' with another key or name; "
            f"this one is '{own.id}'.",
            remedy="Draft it here with 'coordinator roster draft' and have that draft signed.",
        )


def own_identity(settings: Settings) -> Coordinator:
    """This coordinator as a roster names it.

    Raises:
        FileProblem: Its key cannot be read.
    """
    key = read_private_key(Path(settings.key))
    return Coordinator(id=settings.id, name=settings.name, public_key=key.public)


def draft_roster(
    settings: Settings,
    store: Store,
    schema: Schema,
    *,
    now: datetime,
    days: int,
    without: frozenset[CouncilId] = frozenset(),
) -> bytes:
    """Write the next roster, for its signers to check and sign: the last one's councils and those accepted since.

    Args:
        settings: Of this coordinator.
        store: Last roster and enrolments.
        schema: Names and regions of councils.
        now: Time.
        days: Days of validity, at most 90.
        without: Councils to leave out.

    Raises:
        FileProblem: No council is left, a council accepted is not in the list of English councils, or one whose place
            another took this year is left out.
    """
    last = store.membership.latest_roster()
    start = now.date()
    end = start + min(timedelta(days=days), LONGEST)
    entries = {} if last is None else dict(_content_of(last).councils)
    for enrolment in store.membership.enrolments():
        known = entries.get(enrolment.council)
        if enrolment.state == "accepted" and (known is None or known.public_key != enrolment.public_key):
            entries[enrolment.council] = _entry(enrolment, known, schema, start, end)
    # A council whose place another took stays on the list, and stays ended.
    ended = {council for entry in entries.values() for council in entry.succeeds}
    kept = [
        entry if council in ended else replace(entry, valid_to=end)
        for council, entry in sorted(entries.items())
        if council not in without
    ]
    if not kept:
        raise FileProblem(
            "There is no council to put into the roster.",
            remedy="Accept enrolments first: 'coordinator enrol list' shows them.",
        )
    epoch = 1 if last is None else last.epoch + 1
    payload = roster_payload(
        epoch=epoch, not_before=start, not_after=end, coordinator=own_identity(settings), councils=kept
    )
    if last is not None:
        check_follows(_content_of(last), parse_roster(payload))
    return payload


def _content_of(row: RosterRow) -> Roster:
    # Not `open_roster`: a roster that has just expired, or whose signer is trusted no longer, is exactly what the next
    # one is drafted from. Its signatures were checked when it was published, and new signers read the draft.
    return parse_roster(unsafe_payload(row.envelope, ROSTER_TYPE))


def _entry(enrolment: EnrolmentRow, known: RosterEntry | None, schema: Schema, start: date, end: date) -> RosterEntry:
    try:
        council = schema.council(enrolment.council)
    except QueryError as error:
        raise FileProblem(
            f"{enrolment.council} is not the code of an English council in the data dictionary.",
            remedy="Reject its enrolment, or install the data dictionary that has it.",
        ) from error
    return RosterEntry(
        id=council.id,
        name=council.name,
        region=council.region,
        public_key=enrolment.public_key,
        valid_from=start,
        valid_to=end,
        # A new key does not take back whose spent budget the council inherits.
        succeeds=() if known is None else known.succeeds,
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise FileProblem(
            f"{path}: the signed file cannot be read ({error.strerror}).", remedy="Check its name and rights."
        ) from error
