"""The roster: which councils there are and the key each one signs with.

It is signed by at least two people whose keys every node pinned, neither of them the coordinator. A node takes only
newer ones, and shows what changed to a person. That stops invented councils, swapped keys and a list frozen in the
past (`protocol.md` 1.2). Days are whole days of UTC: from the start of the first to the end of the last.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import Field, model_validator

from federated.clauses import CouncilCode, Day, Form, Line
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import fingerprint, parse_public, public_line
from federated.signing import open_envelope, unsafe_payload
from federated.succession import check_not_forgotten, check_successors
from federated.trust import PublicLine, TrustSettings
from federated.yaml_document import read_form
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, Digest

__all__ = [
    "ROSTER_TYPE",
    "Coordinator",
    "Roster",
    "RosterAlarm",
    "RosterEntry",
    "check_follows",
    "describe_changes",
    "open_past_roster",
    "open_roster",
    "parse_roster",
    "roster_payload",
]

ROSTER_TYPE: Final = "application/vnd.federated.roster+yaml"
LONGEST: Final = timedelta(days=90)


class RosterAlarm(SignatureProblem):
    """Two different rosters carry one epoch: signers were deceived, or a key is in the wrong hands. Tell a person."""

    code = "roster_alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """One council; `public_key` is its raw Ed25519 key of 32 bytes, `region` the GSS code of its region.

    `succeeds` names the councils of the same list whose place it took, and whose spent budget it therefore inherits.
    """

    id: CouncilId
    name: str
    region: str
    public_key: bytes
    valid_from: date
    valid_to: date
    succeeds: tuple[CouncilId, ...] = ()

    def valid(self, now: datetime) -> bool:
        """Whether the council's key is good today."""
        return self.valid_from <= now.astimezone(UTC).date() <= self.valid_to


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinator:
    """The one coordinator that the councils of the roster answer."""

    id: str
    name: str
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """A roster whose content is sound; `digest` is the SHA-256 of the signed bytes, `councils` sorted by id."""

    epoch: int
    not_before: date
    not_after: date
    coordinator: Coordinator
    councils: Mapping[CouncilId, RosterEntry]
    digest: Digest

    @property
    def coordinator_id(self) -> str:
        """Id of the coordinator, which goes into every round id."""
        return self.coordinator.id

    def check_in_force(self, now: datetime) -> None:
        """Refuse a roster that is not yet or no longer valid.

        Raises:
            PolicyRefusal: `roster_not_yet_valid` or `roster_expired`.
        """
        today = now.astimezone(UTC).date()
        if today < self.not_before:
            raise PolicyRefusal(
                "roster_not_yet_valid",
                f"The list of councils is valid from {self.not_before}; today is {today}.",
                remedy="Wait until then, or check this computer's clock.",
            )
        if today > self.not_after:
            raise PolicyRefusal(
                "roster_expired",
                f"The list of councils expired at the end of {self.not_after}; today is {today}.",
                remedy="Ask the coordinator's operator for the current signed list.",
            )


class _CoordinatorForm(Form):
    id: Annotated[str, Field(pattern=r"^[!-~]{1,60}$")]
    name: Line
    public_key: PublicLine


class _EntryForm(Form):
    id: CouncilCode
    name: Line
    region: Annotated[str, Field(pattern=r"^[A-Z][0-9]{8}$")]
    public_key: PublicLine
    valid_from: Day
    valid_to: Day
    succeeds: Annotated[tuple[CouncilCode, ...], Field(max_length=20)] = ()


class _RosterForm(Form):
    roster: Literal[1]
    epoch: Annotated[int, Field(ge=1, le=2**31)]
    not_before: Day
    not_after: Day
    coordinator: _CoordinatorForm
    councils: Annotated[tuple[_EntryForm, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.not_before <= self.not_after <= self.not_before + LONGEST:
            raise ValueError(
                f"is valid from {self.not_before} to {self.not_after}; "
                f"the end must follow the start by no more than {LONGEST.days} days"
            )
        for entry in self.councils:
            if entry.valid_to < entry.valid_from:
                raise ValueError(f"has the council {entry.id}, whose valid_to is before its valid_from")
        _refuse_repeats("id", [self.coordinator.id, *(entry.id for entry in self.councils)])
        # Two councils with one key would be one party counted twice among the honest.
        _refuse_repeats("public key", [self.coordinator.public_key, *(entry.public_key for entry in self.councils)])
        check_successors(self.councils)
        return self


def _refuse_repeats(what: str, values: list[str]) -> None:
    value, count = Counter(values).most_common(1)[0]
    if count > 1:
        raise ValueError(f"has the {what} {value} twice; each council and the coordinator has its own")


def parse_roster(payload: bytes, *, source: str = "roster") -> Roster:
    """Read the content of a roster, signatures aside.

    Raises:
        FileProblem: Names the line and field at fault.
    """
    form = read_form(_RosterForm, payload, source=source, remedy="Mend the list of councils before it is signed.")
    entries = [
        RosterEntry(
            id=item.id,
            name=item.name,
            region=item.region,
            public_key=parse_public(item.public_key),
            valid_from=item.valid_from,
            valid_to=item.valid_to,
            succeeds=tuple(CouncilId(council) for council in sorted(item.succeeds)),
        )
        for item in sorted(form.councils, key=lambda item: item.id)
    ]
    return Roster(
        epoch=form.epoch,
        not_before=form.not_before,
        not_after=form.not_after,
        coordinator=Coordinator(
            id=form.coordinator.id,
            name=form.coordinator.name,
            public_key=parse_public(form.coordinator.public_key),
        ),
        councils={entry.id: entry for entry in entries},
        digest=sha256(payload),
    )


def roster_payload(
    *, epoch: int, not_before: date, not_after: date, coordinator: Coordinator, councils: Iterable[RosterEntry]
) -> bytes:
    """The bytes of a new roster, to be signed by two people with `ROSTER_TYPE`.

    Raises:
        FileProblem: The roster would be refused.
    """
    document = {
        "roster": 1,
        "epoch": epoch,
        "not_before": not_before.isoformat(),
        "not_after": not_after.isoformat(),
        "coordinator": {
            "id": coordinator.id,
            "name": coordinator.name,
            "public_key": public_line(coordinator.public_key),
        },
        "councils": [
            {
                "id": str(entry.id),
                "name": entry.name,
                "region": entry.region,
                "public_key": public_line(entry.public_key),
                "valid_from": entry.valid_from.isoformat(),
                "valid_to": entry.valid_to.isoformat(),
                **({"succeeds": [str(council) for council in entry.succeeds]} if entry.succeeds else {}),
            }
            for entry in councils
        ],
    }
    payload = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode("utf-8")
    parse_roster(payload, source="new roster")
    return payload


def open_roster(envelope: bytes, trust: TrustSettings, now: datetime, known: tuple[int, Digest] | None) -> Roster:
    """Check a signed roster against the pinned keys, today's date and the newest one seen before.

    Run by every node, and by the analyst's client. Checks, in order: (0) enough pinned people signed, (1) content,
    (2) the coordinator is not one of them, (3) today, (4) it is no older than what was known.

    Args:
        envelope: The signed file.
        trust: The pinned keys.
        now: The time, UTC.
        known: Epoch and digest of the newest roster accepted before, from durable storage; None for the first.

    Raises:
        SignatureProblem: (0) or (2).
        FileProblem: (1).
        PolicyRefusal: (3), or `roster_older`.
        RosterAlarm: The known epoch with another content.
    """
    opened = open_envelope(envelope, ROSTER_TYPE, trust.roster, trust.roster_threshold)
    roster = parse_roster(opened.payload)
    _check_signers(opened.signers, roster, trust)
    roster.check_in_force(now)
    if known is not None:
        _check_newer(roster, *known)
    return roster


def open_past_roster(envelope: bytes, trust: TrustSettings) -> Roster:
    """Check a signed roster as of its first day: one that has expired still fixes who was who while it was in force.

    Run by those who check what was signed then; it decides nothing of today.

    Raises:
        SignatureProblem: Too few of the people trusted now signed it.
        FileProblem: Its content is wrong.
    """
    first_day = parse_roster(unsafe_payload(envelope, ROSTER_TYPE)).not_before
    return open_roster(envelope, trust, datetime.combine(first_day, time(12), UTC), None)


def _check_signers(signers: tuple[str, ...], roster: Roster, trust: TrustSettings) -> None:
    # A coordinator that may sign for the roster needs only one more person to invent councils.
    counted = [name for name in signers if trust.roster[name] != roster.coordinator.public_key]
    if len(counted) < trust.roster_threshold:
        raise SignatureProblem(
            f"The list of councils has {len(counted)} of the {trust.roster_threshold} signatures it needs: "
            "the coordinator's own does not count.",
            remedy="Have it signed by people other than the coordinator.",
        )


def _check_newer(roster: Roster, epoch: int, digest: Digest) -> None:
    if roster.epoch < epoch:
        raise PolicyRefusal(
            "roster_older",
            f"This list of councils has epoch {roster.epoch}; epoch {epoch} was accepted before.",
            remedy="Ask the coordinator's operator for the current signed list.",
        )
    if roster.epoch == epoch and roster.digest != digest:
        raise RosterAlarm(
            f"There are two different lists of councils with epoch {epoch}. Either somebody made a mistake, "
            "or a signing key is in the wrong hands.",
            remedy="Take part in nothing until the people who sign the list have explained it to you by telephone.",
        )


def check_follows(old: Roster, new: Roster) -> None:
    """Refuse a list with which a council would forget, in the same calendar year, whose place it took.

    Raises:
        FileProblem: Names the two councils.
    """
    try:
        check_not_forgotten(tuple(old.councils.values()), tuple(new.councils.values()), begins=new.not_before)
    except ValueError as problem:
        raise FileProblem(
            f"The list of councils {problem}.",
            remedy="Keep the old council in the list, with its last day, until the year after, and name it under "
            "succeeds of the council that takes its place.",
        ) from problem


def describe_changes(old: Roster | None, new: Roster) -> tuple[str, ...]:
    """What changed, in plain words, for the person who accepts a new roster; empty when nothing did."""
    if old is None:
        return (
            f"This is the first list of councils seen here: epoch {new.epoch}, {len(new.councils)} councils.",
            _coordinator_sentence("The coordinator is", new.coordinator),
            f"It is valid from {new.not_before} to {new.not_after}.",
        )
    gone = [f"{entry.name} ({name}) has left." for name, entry in old.councils.items() if name not in new.councils]
    joined = [
        f"{entry.name} ({name}) has joined. Its fingerprint is {fingerprint(entry.public_key)}.{_succeeding(entry)}"
        for name, entry in new.councils.items()
        if name not in old.councils
    ]
    changed = [
        sentence
        for name, entry in new.councils.items()
        if name in old.councils
        for sentence in _entry_changes(old.councils[name], entry)
    ]
    return (*_coordinator_changes(old, new), *gone, *joined, *changed)


def _succeeding(entry: RosterEntry) -> str:
    return f" It takes the place of {', '.join(entry.succeeds)} and inherits what they spent." if entry.succeeds else ""


def _coordinator_sentence(start: str, coordinator: Coordinator) -> str:
    return f"{start} {coordinator.name} ({coordinator.id}), fingerprint {fingerprint(coordinator.public_key)}."


def _coordinator_changes(old: Roster, new: Roster) -> list[str]:
    sentences = []
    if new.coordinator != old.coordinator:
        sentences.append(_coordinator_sentence("The coordinator is now", new.coordinator))
    if (new.not_before, new.not_after) != (old.not_before, old.not_after):
        sentences.append(f"It is valid from {new.not_before} to {new.not_after}.")
    return sentences


def _entry_changes(old: RosterEntry, new: RosterEntry) -> list[str]:
    who = f"{new.name} ({new.id})"
    sentences = []
    if old.public_key != new.public_key:
        sentences.append(
            f"{who} has a new key. Its fingerprint is {fingerprint(new.public_key)}; "
            "ring the council on a number you know and compare."
        )
    if old.name != new.name:
        sentences.append(f"{who} was called {old.name} before.")
    if old.region != new.region:
        sentences.append(f"{who} has moved from region {old.region} to {new.region}.")
    if (old.valid_from, old.valid_to) != (new.valid_from, new.valid_to):
        sentences.append(f"{who} may take part from {new.valid_from} to {new.valid_to}.")
    if old.succeeds != new.succeeds:
        sentences.append(f"{who} is listed with other predecessors.{_succeeding(new)}")
    return sentences
