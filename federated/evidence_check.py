"""Checks an evidence pack offline, and says in words what it proves and what it cannot.

Run by a reviewer, an auditor or another council, who trusts nobody but the keys they compared themselves. A pack that
contradicts itself or a signature is refused with the member named. What is merely not shown is listed as not proven.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from federated.agreement import Agreement, open_signatures, parse_agreement
from federated.budget_statement import STATEMENT_KIND, read_statement
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.evidence_pack import EvidencePack
from federated.keys import fingerprint, trusted_keys
from federated.ledger_copy import LedgerCopy, check_stands_on, read_ledger_copy
from federated.ledger_entries import RoundState
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE
from federated.release import open_release
from federated.release_check import NOT_REMADE, OTHERWISE_WRITTEN, check_release
from federated.roster import ROSTER_TYPE, Roster, open_past_roster, parse_roster
from federated.schema import load_schema
from federated.signing import open_envelope, open_statement, statement_type, unsafe_payload
from federated.trust import TrustSettings
from protocols.encoding import sha256
from protocols.identifiers import RoundId

__all__ = ["Finding", "check_pack"]

LEDGER: Final = "ledger.db"
STATEMENT: Final = "budget-statement.dsse"
SETTINGS: Final = "settings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence of the result; `proven` is False for what the pack cannot show."""

    proven: bool
    words: str


class _Cost(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    charged: bool
    epsilon: str | None
    rho: str


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    counter: int
    kind: str
    hash: str


class _Receipt(BaseModel):
    """What of a receipt can be held against the ledger and the answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    council: str
    sid: str
    plan_digest: str
    answered: bool
    release_digest: str
    cost: _Cost
    entries: tuple[_Entry, ...]


def check_pack(path: Path, *, council_key: bytes | None, trust: TrustSettings | None) -> tuple[Finding, ...]:
    """Check a pack. No connection is made and nothing is written.

    Checks, in order: (0) archive, signed list, every member's bytes, (1) whose key, (2) the ledger's chain and the
    budget statement, (3) rosters and agreements, (4) questions and decisions, (5) receipts against ledger and
    answers, (6) answers, (7) records of deletion.

    Args:
        path: The archive.
        council_key: The council's public key, if the reader has compared it with the council; raw.
        trust: Whose signatures on rosters and agreements the reader believes; those of the council's settings
            otherwise.

    Raises:
        SignatureProblem: Something in the pack was changed, or contradicts something else in it.
        FileProblem: Not a pack, or its ledger's chain does not hold.
    """
    with EvidencePack.open(path) as pack:
        try:
            return tuple(_Check(pack, council_key, trust).findings())
        except OTHERWISE_WRITTEN as error:
            raise SignatureProblem(
                "Something in the evidence pack is signed and is not written as this software writes it.",
                remedy="Ask the council for a new pack, made by software of your version.",
            ) from error


def _proven(words: str) -> Finding:
    return Finding(proven=True, words=words)


def _unproven(words: str) -> Finding:
    return Finding(proven=False, words=words)


class _Check:
    """One run over one pack."""

    def __init__(self, pack: EvidencePack, council_key: bytes | None, trust: TrustSettings | None) -> None:
        self._pack = pack
        self._key = council_key
        self._given = trust
        self._trust = trust if trust is not None else _own_trust(pack)
        self._ledger: LedgerCopy = read_ledger_copy(self._member(LEDGER))
        self._rosters: dict[str, Roster] = {}
        self._earlier: dict[str, bytes] = {}
        self._agreements: dict[str, Agreement] = {}

    def findings(self) -> Iterator[Finding]:
        pack = self._pack
        yield _proven(
            f"All {len(pack.members)} members are as listed when {pack.council_name} ({pack.council}) made the pack on "
            f"{pack.made_at:%d %B %Y}, and the list is signed."
        )
        yield from self._identity()
        yield from self._ledger_and_statement()
        yield from self._roster_findings()
        yield from self._agreement_findings()
        yield from self._questions()
        yield from self._decisions()
        yield from self._receipts()
        yield from self._releases()
        yield from self._deletions()
        yield _unproven(
            "That the council's computer ran this software and nothing else, and that its extract is true. Nothing "
            "signed by the council itself can show that."
        )

    def _member(self, name: str) -> bytes:
        if name not in self._pack.members:
            raise SignatureProblem(f"The evidence pack has no {name}.", remedy="Ask the council for a whole pack.")
        return self._pack.read(name)

    # (1) whose key

    def _identity(self) -> Iterator[Finding]:
        public = self._pack.public_key
        if self._key is None:
            yield _unproven(
                f"That the signing key is the council's. Its fingerprint is {fingerprint(public)}: compare it with the "
                "council by telephone, or give the key with --council-key."
            )
        elif self._key != public:
            raise SignatureProblem(
                f"The pack is not signed with the key you gave, but with one of fingerprint {fingerprint(public)}.",
                remedy="Ask the council which key is right.",
            )
        else:
            yield _proven("The signing key is the one you gave.")

    # (2) the ledger

    def _ledger_and_statement(self) -> Iterator[Finding]:
        if self._ledger.state.council != self._pack.council:
            raise SignatureProblem(f"The ledger in the pack is of council {self._ledger.state.council}.")
        yield _proven(self._ledger.summary())
        envelope = self._member(STATEMENT)
        payload = open_envelope(envelope, statement_type(STATEMENT_KIND), self._pack.trusted).payload
        yield _proven(check_stands_on(read_statement(payload, council=self._pack.council), self._ledger))
        yield _unproven(
            f"That entry {self._ledger.state.counter} was the last one when the pack was made. Compare it with what "
            "other councils have seen, or with `federated budgets`."
        )

    # (3) rosters and agreements

    def _open_rosters(self) -> list[int]:
        """Check every list of councils; those that rest on people believed no longer are not used, and named."""
        found = self._pack.within("rosters", ".dsse")
        lists = {name: parse_roster(unsafe_payload(item, ROSTER_TYPE), source=name) for name, item in found.items()}
        last = max((roster.epoch for roster in lists.values()), default=0)
        unsigned = []
        for name, roster in lists.items():
            # A council that lost its key signed its earlier acts with another. The pack's own key vouches for them all.
            if self._pack.council in roster.councils:
                self._earlier |= trusted_keys(roster.councils[self._pack.council].public_key)
            try:
                open_past_roster(found[name], self._trust)
            except SignatureProblem:
                # People who sign lists come and go, and their earlier lists with them; the last one has to hold.
                if roster.epoch == last:
                    raise
                unsigned.append(roster.epoch)
            else:
                self._rosters[roster.digest.hex()] = roster
        return unsigned

    def _roster_findings(self) -> Iterator[Finding]:
        unsigned = self._open_rosters()
        if not self._rosters:
            yield _unproven("Which key is whose: the pack holds no list of councils.")
            return
        if unsigned:
            epochs = ", ".join(map(str, sorted(unsigned)))
            yield _unproven(f"Who signed the lists of councils of epoch {epochs}: none whose keys are believed now.")
        newest = max(self._rosters.values(), key=lambda roster: roster.epoch)
        entry = newest.councils.get(self._pack.council)
        if entry is None or entry.public_key != self._pack.public_key:
            raise SignatureProblem(
                f"The list of councils of epoch {newest.epoch} gives another key for {self._pack.council} than the one "
                "that signed this pack."
            )
        try:
            newest.check_in_force(self._pack.made_at)
        except PolicyRefusal as refusal:
            yield _unproven(f"That the list of councils was in force when the pack was made. {refusal}")
        whose = "you gave" if self._given is not None else "its own settings name"
        words = f"The list of councils of epoch {newest.epoch} is signed by the people {whose}, and lists this key."
        yield _proven(words) if self._given is not None else _unproven(_whose_keys(words))

    @property
    def _own_keys(self) -> dict[str, bytes]:
        """The key that signed the pack, and those that earlier lists of councils name for this council."""
        return {**self._earlier, **self._pack.trusted}

    def _by_the_people(self, words: str) -> Finding:
        """What rests on the people who signed: proven to a reader who brought their keys, and to no other."""
        if self._given is not None:
            return _proven(words)
        # Whoever made the pack wrote its settings, and could have made up the people too.
        return _unproven(f"This rests on people whom the pack names itself: {words}")

    def _agreement_findings(self) -> Iterator[Finding]:
        for name, envelope in self._pack.within("agreements", ".dsse").items():
            agreement = parse_agreement(open_signatures(envelope, self._trust).payload, source=name)
            self._agreements[agreement.id] = agreement
            yield self._by_the_people(
                f"The agreement '{agreement.id}', version {agreement.version}, carries the signatures it needs. Its "
                f"SHA-256 is {agreement.digest.hex()}."
            )
        if not self._agreements:
            yield _unproven("Any agreement: this council has accepted none.")

    # (4) questions and decisions

    def _questions(self) -> Iterator[Finding]:
        signed = 0
        for name, envelope in self._pack.within("questions", ".plan.dsse").items():
            agreement = self._agreement_of(envelope)
            if agreement is None:
                yield _unproven(f"Who asked question {name[:12]}: the agreement it was asked under has changed since.")
                continue
            plan = open_envelope(envelope, PLAN_TYPE, agreement.analyst_keys)
            if sha256(plan.payload).hex() != name:
                raise SignatureProblem(f"The question filed as {name[:12]} is another one.")
            manifest = self._member(f"questions/{name}.manifest.dsse")
            found = open_envelope(manifest, MANIFEST_TYPE, agreement.analyst_keys).payload
            if sha256(found).hex() != json.loads(plan.payload)["terms"]["manifest_digest"]:
                raise SignatureProblem(f"The manifest of question {name[:12]} is not the one its plan names.")
            signed += 1
        yield self._by_the_people(
            f"{signed} question(s) and their manifests are signed by analysts whom the agreement names."
        )

    def _agreement_of(self, envelope: bytes) -> Agreement | None:
        plan = _plan_unchecked(envelope)
        named = plan.get("agreement", {})
        found = self._agreements.get(str(named.get("id")))
        return found if found is not None and found.digest.hex() == named.get("digest") else None

    def _decisions(self) -> Iterator[Finding]:
        decisions = self._pack.within("decisions", ".dsse")
        records = self._pack.within("records", ".dsse")
        signed = [("decision", *item) for item in decisions.items()]
        signed += [("decision-record", *item) for item in records.items()]
        approved = set()
        for kind, name, envelope in signed:
            body = open_statement(kind, envelope, self._own_keys)
            if body["plan_digest"] != name.split("/")[0] or body["council"] != self._pack.council:
                raise SignatureProblem(f"The decision filed as {name[:12]} is about another question or council.")
            if body["decision"] == "approved":
                approved.add(body["plan_digest"])
        yield _proven(
            f"{len(decisions)} decision(s) are signed by the council, each about the question it is filed for."
        )
        missing = sorted(sid for sid, plan in self._charged().items() if plan not in approved)
        if missing:
            yield _unproven(f"That it approved the question of charged round(s) {', '.join(s[:12] for s in missing)}.")

    def _charged(self) -> dict[str, str]:
        """The plan of every round that was charged, by round."""
        rounds = self._ledger.state.rounds.values()
        return {r.sid.hex(): r.plan_digest.hex() for r in rounds if r.state is RoundState.SPENT}

    # (5) receipts

    def _receipts(self) -> Iterator[Finding]:
        found = {name: _receipt(name, content) for name, content in self._pack.within("receipts", ".json").items()}
        releases = self._pack.within("releases", ".json")
        purged = self._purged()
        for name, receipt in found.items():
            self._check_receipt(name, receipt)
            if receipt.answered and name in releases and sha256(releases[name]).hex() != receipt.release_digest:
                raise SignatureProblem(f"The answer of round {name[:12]} is not the one its receipt names.")
            if receipt.answered and name not in releases and name not in purged:
                yield _unproven(f"What was answered in round {name[:12]}: the answer is not in the pack.")
        yield _proven(f"{len(found)} receipt(s) agree with the ledger's entries, costs and questions.")
        missing = [name for name in self._charged() if name not in found]
        if missing:
            yield _unproven(
                f"What was sent in {len(missing)} charged round(s) without a receipt here: "
                f"{', '.join(name[:12] for name in missing)}. A node that stopped in a round may leave none."
            )
        else:
            yield _proven("Every round that the ledger charged has a receipt.")

    def _check_receipt(self, name: str, receipt: _Receipt) -> None:
        charged = self._ledger.state.rounds.get(RoundId(bytes.fromhex(name)))
        entries = {entry.counter: entry for entry in self._ledger.entries}
        if charged is None or (receipt.sid, receipt.council) != (name, self._pack.council):
            raise SignatureProblem(f"The receipt filed as {name[:12]} is of a round that the ledger does not know.")
        cost = (None if charged.charge.epsilon is None else str(charged.charge.epsilon), str(charged.charge.rho))
        if (receipt.cost.epsilon, receipt.cost.rho) != cost or receipt.plan_digest != charged.plan_digest.hex():
            raise SignatureProblem(f"The receipt of round {name[:12]} states another cost or question than the ledger.")
        if receipt.cost.charged and charged.state is not RoundState.SPENT:
            raise SignatureProblem(f"The receipt of round {name[:12]} states a charge that the ledger gave back.")
        if not receipt.cost.charged and charged.state is RoundState.SPENT:
            raise SignatureProblem(f"The receipt of round {name[:12]} denies a charge that stands in the ledger.")
        if charged.counter not in {named.counter for named in receipt.entries}:
            raise SignatureProblem(f"The receipt of round {name[:12]} does not name the ledger entry that reserved it.")
        for named in receipt.entries:
            entry = entries.get(named.counter)
            if entry is None or (entry.hash.hex(), entry.kind.value) != (named.hash, named.kind):
                raise SignatureProblem(f"The receipt of round {name[:12]} names a ledger entry that is not there.")

    def _purged(self) -> frozenset[str]:
        names: set[str] = set()
        for envelope in self._pack.within("purges", ".dsse").values():
            body = open_statement("purge-record", envelope, self._own_keys)
            names.update(item["name"] for item in body["removed"] if item["kind"] == "release")
        return frozenset(names)

    # (6) answers

    def _releases(self) -> Iterator[Finding]:
        schema = load_schema()
        for name, content in self._pack.within("releases", ".json").items():
            release = open_release(content)
            roster = self._rosters.get(str(release.plan["roster"]["digest"]))
            if roster is None:
                yield _unproven(f"Who signed answer {name[:12]}: its list of councils is not in the pack.")
                continue
            for line in check_release(release, roster=roster, agreements=self._agreements, schema=schema):
                words = f"Answer {name[:12]}: {line}"
                yield _unproven(words) if line == NOT_REMADE else self._by_the_people(words)
            yield _unproven(
                f"Answer {name[:12]}: that its totals are the true sum. A coordinator could publish others."
            )

    # (7) deletion

    def _deletions(self) -> Iterator[Finding]:
        records = self._pack.within("deletions", ".dsse")
        for name, envelope in records.items():
            if open_statement("deletion-record", envelope, self._own_keys)["sid"] != name:
                raise SignatureProblem(f"The record of deletion filed as {name[:12]} is of another round.")
        ended = [r.sid.hex() for r in self._ledger.state.rounds.values() if r.state is not RoundState.RESERVED]
        missing = [name for name in ended if name not in records]
        words = f"{len(records)} signed record(s) of deletion: the council states what went, when, and how it knows."
        yield _proven(words)
        if missing:
            yield _unproven(f"That rows and secrets are gone of {len(missing)} ended round(s): no record of it yet.")
        purged = self._purged()
        if purged:
            yield _proven(f"{len(purged)} answer(s) were deleted by people, with signed records of who and why.")


def _whose_keys(words: str) -> str:
    return f"Whose signatures to believe. {words} Give the people's keys with --trust to have them checked."


def _own_trust(pack: EvidencePack) -> TrustSettings:
    try:
        return TrustSettings.model_validate(json.loads(pack.read(SETTINGS))["trust"])
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise SignatureProblem(f"The pack's {SETTINGS} does not say whose signatures the council believes.") from error


def _plan_unchecked(envelope: bytes) -> Mapping[str, Any]:
    """The plan as it says itself, only to find the agreement whose analysts must have signed it."""
    try:
        plan = json.loads(unsafe_payload(envelope, PLAN_TYPE))
    except (ValueError, RecursionError) as error:
        raise SignatureProblem("A question in the pack cannot be read.") from error
    return plan if isinstance(plan, dict) else {}


def _receipt(name: str, content: bytes) -> _Receipt:
    try:
        return _Receipt.model_validate_json(content)
    except ValidationError as error:
        raise FileProblem(f"The receipt of round {name[:12]} is not one of version 1.") from error
