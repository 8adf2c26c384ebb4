"""Checks a release without trusting whoever published it. Run by a reviewer, an analyst or a council.

What can be shown: the plan is the one with the stated digest, it follows from its question, at least t councils of the
roster signed over whose masked inputs the sum was opened, and the tables follow from the published totals. What cannot:
that the published totals are that sum; a dishonest coordinator can falsify it (`docs/known-limitations.md`).
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping

import numpy as np

from federated.agreement import Agreement
from federated.crossings import caveat_of
from federated.errors import FederatedError, SignatureProblem
from federated.plan import Plan, open_plan
from federated.release import Release, make_tables
from federated.roster import Roster
from federated.schema import Schema
from protocols.encoding import canonical_json, sha256
from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.secagg.evidence import survivors_digest, verify_confirmation

__all__ = ["NOT_REMADE", "check_release"]

NOT_REMADE = "The tables were not made again: the agreement or the roster has changed since the release."
"""The one line of `check_release` that says what was not checked."""


def check_release(
    release: Release, *, roster: Roster, agreements: Mapping[str, Agreement], schema: Schema
) -> Iterator[str]:
    """Check a release step by step.

    Yields:
        What was found to be right, one sentence each.

    Raises:
        SignatureProblem: Something does not hold.
    """
    content = canonical_json(release.plan)
    if sha256(content).hex() != release.plan_digest:
        raise SignatureProblem("The plan printed in the release is not the one its digest names.")
    yield "The plan has the stated digest."
    _check_caveats(release)
    yield _check_statements(release, roster)
    agreement = agreements.get(release.agreement_id)
    if agreement is None or roster.digest.hex() != release.plan["roster"]["digest"]:
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


def _check_statements(release: Release, roster: Roster) -> str:
    evidence = release.attestations
    contributed = {record.council for record in release.councils if record.outcome == "contributed"}
    if contributed != set(evidence.masked_inputs):
        raise SignatureProblem("The councils said to have contributed are not those whose masked inputs are listed.")
    sid = RoundId(bytes.fromhex(release.sid))
    inputs = {CouncilId(council): Digest(bytes.fromhex(text)) for council, text in evidence.masked_inputs.items()}
    view = survivors_digest(Digest(bytes.fromhex(evidence.view)), inputs)
    signers = set()
    for statement in evidence.statements:
        try:
            signers.add(verify_confirmation(b64decode(statement), sid=sid, h3=view, identities=_identities(roster)))
        except (MalformedMessage, RemoteProtocolError, ValueError) as error:
            raise SignatureProblem(f"A survivor statement does not hold: {error}.") from error
    if not signers <= contributed or len(signers) < release.threshold:
        raise SignatureProblem(
            f"{len(signers)} contributing councils signed the list of survivors; {release.threshold} are needed."
        )
    return f"{len(signers)} councils signed that the sum is over exactly these {len(contributed)} councils."


def _identities(roster: Roster) -> Mapping[CouncilId, bytes]:
    return {council: entry.public_key for council, entry in roster.councils.items()}


def _check_tables(release: Release, plan: Plan) -> str:
    totals = np.array([total for table in release.tables for total in table.totals], dtype=np.int64)
    if len(totals) != plan.cells:
        raise SignatureProblem("The release does not hold one total for each cell of its plan.")
    again = make_tables(plan, totals, joined=release.joined, contributors=release.contributed)
    if again != release.tables:
        raise SignatureProblem("The tables do not follow from the published totals.")
    return "The tables follow from the published totals."
