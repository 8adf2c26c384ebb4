"""Throw-away papers for a dry run: every key made for it, and copies of what this council pinned signed with those.

A real coordinator or council believes nothing that comes of them: they verify by the keys of the real list of councils
and of the real agreement, and none of those keys is used, or even read, here.
"""

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import yaml

from council_node.durable_sqlite import connect, create_empty, plain_errors
from council_node.node_store import DocumentKind, NodeStore
from council_node.pinned_papers import AGREEMENT_SUFFIX
from council_node.policy_file import Class2, write_policy
from council_node.settings import Settings
from federated.agreement import AGREEMENT_TYPE, Agreement, Group, open_agreement, parse_agreement
from federated.errors import FileProblem
from federated.keys import SigningKey, make_key, public_line, write_private_key
from federated.roster import ROSTER_TYPE, Coordinator, Roster, RosterEntry, open_roster, parse_roster, roster_payload
from federated.schema import Schema
from federated.signing import sign_payload, unsafe_payload
from federated.trust import TrustSettings
from federated.yaml_document import write_document
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["PracticePapers", "make_papers", "partner_settings", "pinned_agreement", "rehearsing_settings"]

LEDGER: Final = "ledger"
DAY: Final = timedelta(days=1)
VALID_DAYS: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticePapers:
    """What every council of a rehearsal pins.

    Attributes:
        folder: Where the rehearsal keeps its files; it goes when the rehearsal ends.
        agreement: This council's own agreement, but for the keys of the analyst and of any mask holder.
        roster: The list of councils, but for every key.
        roster_envelope: The same, signed.
        trust: The keys that signed them.
        analyst: Signs the question.
        holder: Plays the mask holder, where the agreement names one.
        councils: Each council's key.
        enrolled: Whether this council has a real list of councils; without one the agreement's group stands in.
    """

    folder: Path
    agreement: Agreement
    roster: Roster
    roster_envelope: bytes = field(repr=False)
    trust: TrustSettings
    analyst: SigningKey = field(repr=False)
    holder: SigningKey = field(repr=False)
    councils: Mapping[CouncilId, SigningKey] = field(repr=False)
    enrolled: bool

    def sign(self, payload: bytes, payload_type: str) -> bytes:
        """A paper of the question, signed by the throw-away analyst."""
        return sign_payload(payload, payload_type, [self.analyst])


def pinned_agreement(settings: Settings, name: str | None, group: str) -> Path:
    """The accepted agreement that a question would be asked under.

    Args:
        settings: Of the node.
        name: Its id, when a person or a plan named it.
        group: The group asked, which tells agreements apart when nobody named one.

    Raises:
        FileProblem: None was accepted, or several would do.
    """
    kept = sorted(settings.agreements.glob(f"*{AGREEMENT_SUFFIX}"))
    if not kept:
        raise FileProblem(
            "This council has accepted no agreement yet, so no question can be rehearsed.",
            remedy="Accept one with `council-node accept`; nothing runs until you start the node.",
        )
    wanted = [path for path in kept if path.stem == name] if name else kept
    if len(wanted) > 1:
        wanted = [path for path in wanted if group in _groups(path)]
    if len(wanted) != 1:
        raise FileProblem(
            f"{len(wanted)} accepted agreements fit the question; one was expected.",
            remedy=f"Name it with --agreement: {', '.join(path.stem for path in kept)}.",
        )
    return wanted[0]


def _groups(path: Path) -> set[str]:
    found = parse_agreement(unsafe_payload(path.read_bytes(), AGREEMENT_TYPE), source=str(path))
    return {group.name for group in found.groups}


def make_papers(
    settings: Settings,
    accepted: Path,
    group: str,
    *,
    folder: Path,
    schema: Schema,
    now: datetime,
    rng: RandomSource,
) -> PracticePapers:
    """Make the papers of a rehearsal.

    Args:
        settings: Of the node.
        accepted: The signed agreement that this council accepted.
        group: The group asked.
        folder: An empty folder that goes when the rehearsal ends.
        schema: The data dictionary.
        now: Time, UTC.
        rng: Secure random bytes, for the keys.

    Raises:
        SignatureProblem: The accepted file is not signed by the people this council trusts.
        PolicyRefusal: It is not in force, or has no such group.
        FileProblem: It cannot be read.
    """
    envelope = accepted.read_bytes()
    real = open_agreement(envelope, settings.trust, now, schema=schema)
    signer_a, signer_b, analyst, holder = (make_key(rng) for _ in range(4))
    payload = _with_practice_keys(unsafe_payload(envelope, AGREEMENT_TYPE), analyst=analyst, holder=holder)
    (folder / "agreements").mkdir()
    kept = folder / "agreements" / accepted.name
    kept.write_bytes(sign_payload(payload, AGREEMENT_TYPE, [signer_a, signer_b]))
    signers = (public_line(signer_a.public), public_line(signer_b.public))
    pinned = _pinned_roster(settings)
    entries = _entries(real.group(group), pinned, schema, now)
    keys = {entry.id: make_key(rng) for entry in entries}
    roster = _roster(settings, pinned, entries, keys, coordinator=make_key(rng), now=now)
    return PracticePapers(
        folder=folder,
        agreement=parse_agreement(payload),
        roster=parse_roster(roster),
        roster_envelope=sign_payload(roster, ROSTER_TYPE, [signer_a, signer_b]),
        trust=TrustSettings(roster_keys=signers, agreement_keys=signers),
        analyst=analyst,
        holder=holder,
        councils=keys,
        enrolled=pinned is not None,
    )


def _with_practice_keys(payload: bytes, *, analyst: SigningKey, holder: SigningKey) -> bytes:
    """The agreement's content with the throw-away analyst in the place of the first, and that of the mask holder."""
    document = yaml.safe_load(payload)
    document["analysts"][0]["public_key"] = public_line(analyst.public)
    if document.get("mask_holder"):
        document["mask_holder"]["key"] = public_line(holder.public)
    return write_document(document).encode("utf-8")


def _pinned_roster(settings: Settings) -> Roster | None:
    """The list of councils this node took last; None when it never connected."""
    if not settings.store_file.exists():
        return None
    with NodeStore.open(settings.store_file) as store:
        kept = store.latest(DocumentKind.ROSTER, "current")
    # Opened as of the day it was stored: whether it is in force today is for the rehearsed node to find.
    return None if kept is None else open_roster(kept.body, settings.trust, kept.saved_at, None)


def _entries(group: Group, pinned: Roster | None, schema: Schema, now: datetime) -> tuple[RosterEntry, ...]:
    if pinned is not None:
        return tuple(pinned.councils.values())
    today = now.date()
    councils = [schema.council(council) for council in group.councils]
    return tuple(
        RosterEntry(
            id=council.id,
            name=council.name,
            region=council.region,
            public_key=b"",
            valid_from=today - DAY,
            valid_to=today + VALID_DAYS * DAY,
        )
        for council in councils
    )


def _roster(
    settings: Settings,
    pinned: Roster | None,
    entries: tuple[RosterEntry, ...],
    keys: Mapping[CouncilId, SigningKey],
    *,
    coordinator: SigningKey,
    now: datetime,
) -> bytes:
    today = now.date()
    own = settings.coordinator.id
    return roster_payload(
        epoch=1 if pinned is None else pinned.epoch,
        not_before=today - DAY if pinned is None else pinned.not_before,
        not_after=today + VALID_DAYS * DAY if pinned is None else pinned.not_after,
        coordinator=Coordinator(
            id=own if pinned is None else pinned.coordinator_id,
            name=own if pinned is None else pinned.coordinator.name,
            public_key=coordinator.public,
        ),
        councils=[
            RosterEntry(
                id=entry.id,
                name=entry.name,
                region=entry.region,
                public_key=keys[entry.id].public,
                valid_from=entry.valid_from,
                valid_to=entry.valid_to,
            )
            for entry in entries
        ],
    )


def rehearsing_settings(settings: Settings, papers: PracticePapers, data: Mapping[str, Path]) -> Settings:
    """This council's settings with everything that is kept, signed or spent put into the rehearsal's folder.

    Its ledger and its policy are copies, so that the rehearsal decides as the node would and changes neither.

    Args:
        settings: Of the node.
        papers: From `make_papers`.
        data: The mapping files to read by.
    """
    home = papers.folder / "own"
    (home / "state").mkdir(parents=True)
    try:
        shutil.copyfile(settings.policy, home / "policy.yaml")
    except OSError as error:
        raise FileProblem(
            f"The policy {settings.policy} cannot be read: {error.strerror}.", remedy="Check who may read it."
        ) from error
    made = _settings(settings, papers, home, CouncilId(settings.council.id), data)
    if settings.ledger_file.exists() and settings.ledger_file.stat().st_size:
        _copy_ledger(settings.ledger_file, made.ledger_file)
    return made


def _copy_ledger(source: Path, target: Path) -> None:
    """A copy of the ledger as it stands between two entries, also while the node runs."""
    create_empty(target, LEDGER)
    with (
        plain_errors(source, LEDGER),
        closing(connect(source, LEDGER, read_only=True)) as real,
        closing(connect(target, LEDGER)) as copy,
    ):
        real.backup(copy)


def partner_settings(
    settings: Settings, papers: PracticePapers, council: CouncilId, name: str, data: Mapping[str, Path]
) -> Settings:
    """Settings of another council of the rehearsal, which says yes to whatever passes the checks.

    Args:
        settings: Of this council's node, for the coordinator's id and the limits.
        papers: From `make_papers`.
        council: The other council.
        name: Its name.
        data: Its mapping files.
    """
    home = papers.folder / council
    (home / "state").mkdir(parents=True)
    write_policy(home / "policy.yaml", automatic=True, class_2=Class2.AS_AGREED)
    named = settings.model_copy(update={"council": settings.council.model_copy(update={"id": council, "name": name})})
    return _settings(named, papers, home, council, data)


def _settings(
    settings: Settings, papers: PracticePapers, home: Path, council: CouncilId, data: Mapping[str, Path]
) -> Settings:
    key = home / "practice-key.pem"
    write_private_key(key, papers.councils[council])
    return settings.model_copy(
        update={
            # Nothing connects, so no authority is needed.
            "coordinator": settings.coordinator.model_copy(update={"ca_file": None}),
            "trust": papers.trust,
            "keys": settings.keys.model_copy(update={"identity": key}),
            "state": home / "state",
            "agreements": papers.folder / "agreements",
            "policy": home / "policy.yaml",
            "data": dict(data),
        }
    )
