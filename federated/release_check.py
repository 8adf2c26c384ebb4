"""Checks a release without trusting whoever published it. Run by a reviewer, an analyst or a council.

What can be shown: the plan is the one with the stated digest, it follows from its question, at least t councils of the
roster signed over whose masked inputs the sum was opened, and the tables follow from the published totals. What cannot:
that the published totals are that sum; a dishonest coordinator can falsify it (`docs/known-limitations.md`).
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from federated.agreement import Agreement
from federated.crossings import caveat_of
from federated.errors import FederatedError, SignatureProblem
from federated.iteration import Iteration
from federated.mask_holder import HolderIdentity
from federated.plan import Plan, open_plan
from federated.release import AttestationRecord, Release, make_tables
from federated.roster import Roster
from federated.schema import Schema
from protocols.encoding import canonical_json, sha256
from protocols.errors import LocalProtocolError, MalformedMessage, ProtocolError, RemoteProtocolError
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.secagg import CohortRuleBroken, CohortRules, Profile, round_id
from protocols.secagg.evidence import survivors_digest, verify_confirmation, verify_opening

__all__ = ["NOT_REMADE", "OTHERWISE_WRITTEN", "check_release"]

NOT_REMADE = "The tables were not made again: the agreement or the roster has changed since the release."
"""The one line of `check_release` that says what was not checked."""
OTHERWISE_WRITTEN: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    ProtocolError,
)
"""What comes of signed content that is not of the form it should have: whoever made it signed it all the same."""


def check_release(
    release: Release, *, roster: Roster, agreements: Mapping[str, Agreement], schema: Schema
) -> Iterator[str]:
    """Check a release step by step.

    Yields:
        What was found to be right, one sentence each.

    Raises:
        SignatureProblem: Something does not hold.
    """
    try:
        yield from _steps(release, roster=roster, agreements=agreements, schema=schema)
    except OTHERWISE_WRITTEN as error:
        raise SignatureProblem(
            "The release is not written as this software writes one.", remedy="Fetch it again with `federated show`."
        ) from error


def _steps(release: Release, *, roster: Roster, agreements: Mapping[str, Agreement], schema: Schema) -> Iterator[str]:
    content = canonical_json(release.plan)
    if sha256(content).hex() != release.plan_digest:
        raise SignatureProblem("The plan printed in the release is not the one its digest names.")
    yield "The plan has the stated digest."
    _check_caveats(release)
    _check_thresholds(release)
    yield _check_statements(release, roster)
    yield from _check_openings(release, roster)
    if release.plan["rounds"] != max(1, len(release.rounds)):
        raise SignatureProblem(f"The plan takes {release.plan['rounds']} rounds; {len(release.rounds)} are listed.")
    if release.rounds:
        yield _check_rounds(release, roster)
    agreement = agreements.get(release.agreement_id)
    changed = agreement is None or agreement.digest.hex() != release.plan["agreement"]["digest"]
    if agreement is None or changed or roster.digest.hex() != release.plan["roster"]["digest"]:
        yield NOT_REMADE
        return
    try:
        plan = open_plan(content, agreement=agreement, roster=roster, schema=schema)
    except FederatedError as error:
        raise SignatureProblem(f"The plan does not follow from its question: {error}") from error
    yield "The plan's sensitivity, noise and cost follow from its question."
    yield _check_tables(release, plan)


def _check_caveats(release: Release) -> None:
    """Also where the tables are not made again: whoever takes a caveat away would take it from an old release."""
    crosses = [tuple(planned.get("crosses", ())) for planned in release.plan["tables"]]
    if [caveat_of(item) for item in crosses] != [table.caveat for table in release.tables]:
        raise SignatureProblem("A table does not carry the caveat that its plan asks for.")


def _check_thresholds(release: Release) -> None:
    """How many councils must have signed follows from the plan: else whoever publishes could say that none need to."""
    cohort = release.plan["cohort"]
    rules = CohortRules(
        profile=Profile(cohort["profile"]),
        eligible_count=len(release.plan["eligible"]),
        min_cohort=cohort["min_cohort"],
        min_honest=cohort["min_honest"],
    )
    said = [(release.joined, release.threshold), *((record.joined, record.threshold) for record in release.rounds)]
    for joined, named in said:
        try:
            threshold = rules.thresholds(joined).t
        except CohortRuleBroken as error:
            raise SignatureProblem(f"No round of the plan can have been held so: {error}.") from error
        if named != threshold:
            raise SignatureProblem(f"Of {joined} councils {threshold} must have signed; the release says {named}.")


def _check_statements(release: Release, roster: Roster) -> str:
    evidence = release.attestations
    contributed = {record.council for record in release.councils if record.outcome == "contributed"}
    if contributed != set(evidence.masked_inputs):
        raise SignatureProblem("The councils said to have contributed are not those whose masked inputs are listed.")
    signers = _signers(evidence, RoundId(bytes.fromhex(release.sid)), roster, threshold=release.threshold)
    return f"{signers} councils signed that the sum is over exactly these {len(contributed)} councils."


def _check_openings(release: Release, roster: Roster) -> Iterator[str]:
    """Where the plan names a mask holder, every sum must have been opened by it, over the councils that signed."""
    named = release.plan.get("mask_holder")
    # Of several rounds the last is the one that the release itself is of, which `_check_rounds` makes sure of.
    opened = [(record.sid, record.attestations) for record in release.rounds or (release,)]
    if named is None:
        if any(evidence.opening for _, evidence in opened):
            raise SignatureProblem("The release is said to be opened by a mask holder, and its plan names none.")
        return
    holder = HolderIdentity.read(named)
    # Else what it opened for another plan would do; the ids of several rounds are checked with their coefficients.
    if not release.rounds and _round_of(release, roster).hex() != release.sid:
        raise SignatureProblem(f"What {holder.name} opened is no round of the release's plan.")
    for sid, evidence in opened:
        try:
            view = verify_opening(
                bytes.fromhex(evidence.opening),
                sid=RoundId(bytes.fromhex(sid)),
                holder=holder.id,
                identity=holder.key,
            )
        except (MalformedMessage, RemoteProtocolError, ValueError) as error:
            raise SignatureProblem(f"The sum was not opened by {holder.name}, the mask holder: {error}.") from error
        if view != _survivors(evidence):
            raise SignatureProblem(f"What {holder.name} opened is the sum of other councils than the release says.")
    yield f"The sum was opened by {holder.name}, the mask holder, over exactly these councils."


def _round_of(release: Release, roster: Roster) -> RoundId:
    """The id of the one round that a release is of."""
    return round_id(
        plan_digest=Digest(bytes.fromhex(release.plan_digest)),
        roster_digest=Digest(bytes.fromhex(release.plan["roster"]["digest"])),
        coordinator_id=roster.coordinator_id,
        attempt=release.attempt,
        nonce=bytes.fromhex(release.nonce),
    )


def _check_rounds(release: Release, roster: Roster) -> str:
    """Each round's id must follow from what it is said to be counted at, and its own councils must have signed it."""
    for number, record in enumerate(release.rounds, start=1):
        try:
            sid = round_id(
                plan_digest=Digest(bytes.fromhex(release.plan_digest)),
                roster_digest=Digest(bytes.fromhex(release.plan["roster"]["digest"])),
                coordinator_id=roster.coordinator_id,
                attempt=record.attempt,
                nonce=bytes.fromhex(record.nonce),
                counted_at=Iteration(number=number, coefficients=record.coefficients).encode(),
            )
        except (ValueError, LocalProtocolError) as error:
            raise SignatureProblem(f"Round {number} is not written as a round.") from error
        if record.number != number or sid.hex() != record.sid:
            raise SignatureProblem(f"Round {number} was not counted at the coefficients that the release names.")
        _signers(record.attestations, sid, roster, threshold=record.threshold)
    last = release.rounds[-1]
    if (last.sid, last.attestations, last.joined, last.threshold) != (
        release.sid,
        release.attestations,
        release.joined,
        release.threshold,
    ) or any(table.totals != last.totals for table in release.tables):
        raise SignatureProblem("The last round listed is not the one that the release is of.")
    return f"In each of {len(release.rounds)} rounds the councils signed the coefficients that it was counted at."


def _signers(evidence: AttestationRecord, sid: RoundId, roster: Roster, *, threshold: int) -> int:
    """How many councils signed over whose inputs a round's sum is: at least the threshold, and all of them inside."""
    view = _survivors(evidence)
    signers = set()
    for statement in evidence.statements:
        try:
            signers.add(verify_confirmation(b64decode(statement), sid=sid, h3=view, identities=_identities(roster)))
        except (MalformedMessage, RemoteProtocolError, ValueError) as error:
            raise SignatureProblem(f"A survivor statement does not hold: {error}.") from error
    if not signers <= set(evidence.masked_inputs) or len(signers) < threshold:
        raise SignatureProblem(
            f"{len(signers)} contributing councils signed the list of survivors; {threshold} are needed."
        )
    return len(signers)


def _survivors(evidence: AttestationRecord) -> Digest:
    """h3: whose inputs a round's sum is over."""
    inputs = {CouncilId(council): Digest(bytes.fromhex(text)) for council, text in evidence.masked_inputs.items()}
    return survivors_digest(Digest(bytes.fromhex(evidence.view)), inputs)


def _identities(roster: Roster) -> Mapping[CouncilId, bytes]:
    return {council: entry.public_key for council, entry in roster.councils.items()}


def _check_tables(release: Release, plan: Plan) -> str:
    totals = np.array([total for table in release.tables for total in table.totals], dtype=np.int64)
    if len(totals) != plan.cells:
        raise SignatureProblem("The release does not hold one total for each cell of its plan.")
    again = make_tables(plan, totals, joined=release.joined, contributors=release.contributed, rounds=release.rounds)
    if again != release.tables:
        raise SignatureProblem("The tables do not follow from the published totals.")
    return "The tables follow from the published totals."
