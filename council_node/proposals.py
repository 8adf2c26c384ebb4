"""Step 3 of 8, whole: a signed proposal in, this council's signed decision out; and again at each invitation.

What is checked and in what order: (0) the analyst's signature, under an agreement this council accepted; (1) the
roster in force; (2) every figure of the plan, derived again from the question; (3) the manifest; (4) the policy
checks of `council_node.policy`; (5) that the budget would cover it; (6) what people at the council decided.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from council_node.decisions import Considered, Decision, Decisions
from council_node.node_store import DocumentKind
from council_node.policy import Facts, facts_of, persons_reasons, review
from council_node.policy_file import Policy
from council_node.signed_plans import PLANS_KEPT, PlanReader
from council_node.standing_approvals import repeat_digest, said_of_repeats
from council_node.station import Station
from federated.agreement import Agreement
from federated.errors import FederatedError, FileProblem, PolicyRefusal, QueryError, SignatureProblem
from federated.manifest import MANIFEST_TYPE, Manifest, open_manifest
from federated.plan import Plan
from federated.red_lines import asked
from federated.signing import sign_statement, unsafe_payload
from federated.timestamps import time_text
from protocols.encoding import Json, sha256
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["Proposals"]

BY_POLICY: Final = "the policy, which answers by itself"
"""Basis of an approval that rests on no person's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A proposal whose signatures hold and whose plan is what follows from its question."""

    plan: Plan
    manifest: Manifest
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What the checks said, and what they looked at."""

    facts: Facts
    policy: Policy
    refusal: PolicyRefusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Papers:
    """The two signed files of a proposal, as received."""

    plan: bytes
    manifest: bytes

    @classmethod
    def read(cls, content: bytes) -> "_Papers":
        try:
            body = json.loads(content)
            if set(body) != {"version", "plan", "manifest"} or body["version"] != 1:
                raise SignatureProblem("The proposal is not of version 1, with one plan and one manifest.")
            return cls(plan=body["plan"].encode("utf-8"), manifest=body["manifest"].encode("utf-8"))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SignatureProblem("The proposal cannot be read.") from error


class Proposals:
    """Every question proposed to this council.

    Args:
        station: What the council holds.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._reader = PlanReader(station.papers, station.schema)
        self._manifests: dict[tuple[Digest, Digest, date], Manifest] = {}
        self._judged_by: dict[Digest, Policy] = {}

    def decide(self, request: LinkMessage) -> LinkMessage:
        """Answer a proposal with a signed decision; asked again, with the decision as it then stands."""
        station = self._station
        now = station.now()
        digest = Digest(request.reference)
        try:
            papers = _Papers.read(request.payload)
            opened = self._open(papers, digest, now)
        except FederatedError as problem:
            # Nothing is kept of what nobody trusted has signed: it could fill the disk.
            return _decision(digest, self._unkept_refusal(digest, problem, now))
        found = self._judge(opened, now)
        with station.store.together():
            # One that can never be asked again may have been deleted (requirement R24), and is not kept anew.
            if now <= opened.plan.terms.not_after:
                self._keep(digest, request.payload, opened.manifest, now)
            decision = self._decided(opened, found, now)
        return _decision(digest, decision.envelope)

    def approved(self, digest: Digest, now: datetime, *, besides: RoundId | None = None) -> Plan:
        """The plan of a proposal that may run now: every check is made again before a round.

        Args:
            digest: The plan.
            now: Time, UTC.
            besides: A round that holds its reservation already.

        Raises:
            PolicyRefusal: By the rule of the first check that fails, or `not_approved`.
        """
        document = self._station.store.latest(DocumentKind.PROPOSAL, digest.hex())
        if document is None:
            raise PolicyRefusal("not_approved", "This question was never proposed to this council.")
        try:
            opened = self._open(_Papers.read(document.body), digest, now)
        except FileProblem as problem:
            # What is wrong with the analyst's manifest, or by now with the agreement: a decision, not a fault.
            raise PolicyRefusal(_rule(problem), str(problem), remedy=problem.remedy) from problem
        self._decided(opened, self._judge(opened, now, besides=besides), now)
        self._decisions().check_approved(digest)
        return opened.plan

    def check_standing(self, plan: Plan, sid: RoundId, members: Iterable[CouncilId], now: datetime) -> None:
        """Whether an approval still stands just before its charge is spent: what days or people may have changed.

        Where the policy file is not the one that the question was last judged by, it is judged by the new one, with
        the new caps: a council that became stricter after the invitation does not answer.

        Args:
            plan: The approved plan.
            sid: The round, whose charge is reserved and is not counted a second time.
            members: The councils of the round.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `plan_expired`, `roster`, `paused`, `withdrawn`, `agreement_not_accepted`, or any rule of
                the roster, the agreement or the policy.
        """
        if now > plan.terms.not_after:
            raise PolicyRefusal("plan_expired", "The plan expired before its data was read.")
        self._check_members(plan, members, now)
        agreement = self._station.papers.agreement(plan.agreement_id, now)
        agreement.check_in_force(now)
        if agreement.digest != plan.agreement_digest:
            raise PolicyRefusal(
                "agreement_not_accepted", "This council accepted another version before its data was read."
            )
        policy = self._station.policy()
        if policy.paused:
            raise PolicyRefusal("paused", "This council paused before its data was read.")
        # So is a repeat: people may have taken back the approval that it rests on.
        rests = self._decisions().check_approved(plan.digest).basis
        if self._judged_by.get(plan.digest) != policy or rests not in {"", BY_POLICY}:
            self.approved(plan.digest, now, besides=sid)

    def _check_members(self, plan: Plan, members: Iterable[CouncilId], now: datetime) -> None:
        roster = self._station.papers.roster(now)
        # A newer list may take back a stolen key that the round began with.
        if roster.digest != plan.roster_digest:
            raise PolicyRefusal("roster", "The list of councils changed before this council's data was read.")
        for council in members:
            if not roster.councils[council].valid(now):
                raise PolicyRefusal("roster", f"By the list of councils, council {council} may not take part today.")

    def _decisions(self) -> Decisions:
        station = self._station
        return Decisions(station.store, station.council, station.key, station.policy().approvals_needed)

    def _open(self, papers: _Papers, digest: Digest, now: datetime) -> _Opened:
        found = self._reader.open(papers.plan, digest, now)  # (0), (1), (2)
        manifest = self._manifest(papers.manifest, found.agreement, now)  # (3)
        return _Opened(plan=found.plan, manifest=manifest, agreement=found.agreement)

    def _manifest(self, envelope: bytes, agreement: Agreement, now: datetime) -> Manifest:
        """The manifest, opened once a day for the same bytes and agreement: only its expiry depends on the day."""
        name = (sha256(envelope), agreement.digest, now.date())
        if name not in self._manifests:
            while len(self._manifests) >= PLANS_KEPT:
                self._manifests.pop(next(iter(self._manifests)))
            self._manifests[name] = open_manifest(envelope, agreement.analyst_keys, now)
        return self._manifests[name]

    def _judge(self, opened: _Opened, now: datetime, *, besides: RoundId | None = None) -> _Judged:
        """Every check. Before anything is written: looking at an extract takes time, and people must get a word in."""
        station, plan = self._station, opened.plan
        missing, extract_date = station.coverage(plan.question)
        policy = station.policy()
        facts = facts_of(
            plan,
            opened.manifest,
            agreement=opened.agreement,
            council=station.council,
            schema=station.schema,
            missing=missing,
            extract_date=extract_date,
        )
        refusal: PolicyRefusal | None = None
        try:
            review(facts, opened.agreement, policy, now)  # (4)
            station.check_affordable(plan, opened.agreement, now, besides=besides)  # (5)
        except PolicyRefusal as problem:
            refusal = problem
        self._remember(plan.digest, policy)
        return _Judged(facts=facts, policy=policy, refusal=refusal)

    def _decided(self, opened: _Opened, found: _Judged, now: datetime) -> Decision:
        considered = self._considered(opened, found.facts, found.policy, found.refusal, now)
        return self._decisions().consider(opened.plan.digest, considered, now)  # (6)

    def _considered(
        self, opened: _Opened, facts: Facts, policy: Policy, refusal: PolicyRefusal | None, now: datetime
    ) -> Considered:
        """What decides whether a person has to, and on what an approval without one rests."""
        question = opened.plan.question
        reasons = persons_reasons(facts, policy)
        repeat = repeat_digest(question, opened.manifest, opened.agreement).hex()
        written = policy.red_lines.given()
        answers = {line.name: written[line.name] for line in asked(facts.red_lines) if line.name in written}
        basis = BY_POLICY
        said = said_of_repeats(self._decisions(), opened.plan.digest, repeat)
        refused = said.refused()
        if refused is not None:
            # Another nonce makes another plan of the same question.
            reasons = (
                *reasons,
                f"people here refused the same question, or took it back, on {refused.decided_at[:10]}",
            )
        decided_anew = facts.manifest.funding_use == "declared" or bool(facts.crossed)
        if reasons and policy.standing_approval_days is not None and not decided_anew:
            earlier = said.covering(days=policy.standing_approval_days, now=now)
            if earlier is not None:
                reasons, answers = (), dict(earlier.answers)
                basis = f"the approval of {earlier.plan_digest.hex()} by a person, whose repeat it is"
        return Considered(
            title=question.title,
            refusal=refusal,
            persons_reasons=reasons,
            red_lines={line.name: line.standing.value for line in facts.red_lines},
            answers=answers,
            basis=basis,
            repeat=repeat,
            extract_date=facts.extract_date,
        )

    def _remember(self, digest: Digest, policy: Policy) -> None:
        """By which policy a question was last judged; one that is forgotten is judged again."""
        self._judged_by.pop(digest, None)
        while len(self._judged_by) >= PLANS_KEPT:
            self._judged_by.pop(next(iter(self._judged_by)))
        self._judged_by[digest] = policy

    def _keep(self, digest: Digest, payload: bytes, manifest: Manifest, now: datetime) -> None:
        """Keep a proposal, once for each manifest: the same papers spelt in another way could fill the disk."""
        store = self._station.store
        kept = store.latest(DocumentKind.PROPOSAL, digest.hex())
        if kept is None or _manifest_digest(kept.body) != manifest.digest:
            store.put(DocumentKind.PROPOSAL, digest.hex(), payload, now)

    def _unkept_refusal(self, digest: Digest, problem: FederatedError, now: datetime) -> bytes:
        self._station.log("proposal_refused", {"plan": digest.hex(), "rule": _rule(problem)})
        statement: dict[str, Json] = {
            "version": 1,
            "council": self._station.council,
            "plan_digest": digest.hex(),
            "decision": "refused",
            "rule": _rule(problem),
            "reason": problem.diagnostics(),
            "extract_date": "",
            "decided_at": time_text(now),
        }
        return sign_statement("decision", statement, self._station.key)


def _manifest_digest(proposal: bytes) -> Digest:
    return sha256(unsafe_payload(_Papers.read(proposal).manifest, MANIFEST_TYPE))


def _rule(problem: FederatedError) -> str:
    match problem:
        case PolicyRefusal(rule=rule):
            return rule
        case SignatureProblem():
            return "signature"
        case QueryError():
            return "plan_mismatch"
        case FileProblem():
            return "manifest"
        case _:
            return problem.code


def _decision(digest: Digest, envelope: bytes) -> LinkMessage:
    return LinkMessage(kind=Kind.DECISION, reference=digest, payload=envelope)
