"""The chain behind a question, checked again: agreement, plan, manifest, and the answer's own signatures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from coordinator.console.desk import Desk
from coordinator.console.question import QuestionFacts
from coordinator.store import ProposalRow, ReleaseRow
from federated.agreement import Agreement, open_signatures
from federated.errors import FederatedError, SignatureProblem
from federated.keys import keyid, parse_public
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE
from federated.release import open_release
from federated.release_check import check_release
from federated.signing import open_envelope
from protocols.encoding import sha256
from protocols.identifiers import Digest

__all__ = ["Check", "attempt", "check_agreement", "check_question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: Was looked at.
        holds: Whether it was right.
        said: What was found, in a sentence.
    """

    what: str
    holds: bool
    said: str


def attempt(what: str, look: Callable[[], str]) -> Check:
    """Run one check; one that fails does not hide the others."""
    try:
        return Check(what=what, holds=True, said=look())
    except FederatedError as error:
        return Check(what=what, holds=False, said=error.diagnostics())


def check_question(desk: Desk, row: ProposalRow, release: ReleaseRow | None) -> tuple[Check, ...]:
    """Check everything that was signed about a question.

    In order: (0) the agreement, (1) the plan, (2) the manifest that the plan names, (3) the answer.

    Args:
        desk: For the files and the pinned keys.
        row: The question.
        release: Its answer, if there is one.
    """
    return tuple(_checks(desk, row, release))


def _checks(desk: Desk, row: ProposalRow, release: ReleaseRow | None) -> Iterator[Check]:
    yield attempt("Agreement", lambda: check_agreement(desk, row.agreement_digest))  # (0)
    agreement = desk.files.agreement(row.agreement_digest)
    if agreement is None:
        return
    yield attempt("Plan", lambda: _plan(row, agreement))  # (1)
    yield attempt("Manifest", lambda: _manifest(row, agreement))  # (2)
    if release is not None:
        yield attempt("Answer", lambda: _release(desk, release, row, agreement))  # (3)


def check_agreement(desk: Desk, digest: Digest) -> str:
    """Check who signed an agreement, by the keys that this coordinator pins.

    Raises:
        SignatureProblem: It is not kept here, is another one, or is not signed by enough of them.
    """
    current = desk.files.in_force().agreements.get(digest)
    kept = desk.store.membership.agreement(digest)
    envelope = current.envelope if current is not None else kept.envelope if kept is not None else None
    if envelope is None:
        raise SignatureProblem("The agreement that the plan names is not kept here, so nothing can be checked by it.")
    opened = open_signatures(envelope, desk.settings.trust)
    if sha256(opened.payload) != digest:
        raise SignatureProblem("The agreement kept here is not the one that the plan names.")
    return f"Signed with {len(opened.signers)} of the keys that this coordinator pins."


def _plan(row: ProposalRow, agreement: Agreement) -> str:
    opened = open_envelope(row.plan_envelope, PLAN_TYPE, agreement.analyst_keys)
    if sha256(opened.payload) != row.plan_digest:
        raise SignatureProblem("The plan kept here is not the one of this digest.")
    return f"Signed by {_people(agreement, opened.signers)}."


def _manifest(row: ProposalRow, agreement: Agreement) -> str:
    opened = open_envelope(row.manifest_envelope, MANIFEST_TYPE, agreement.analyst_keys)
    if sha256(opened.payload) != QuestionFacts.read(row).terms.manifest_digest:
        raise SignatureProblem("The manifest kept here is not the one that the plan names.")
    return f"Signed by {_people(agreement, opened.signers)}, and named by the plan."


def _release(desk: Desk, kept: ReleaseRow, row: ProposalRow, agreement: Agreement) -> str:
    release = open_release(kept.content)
    if sha256(kept.content) != kept.digest or release.plan_digest != row.plan_digest.hex():
        raise SignatureProblem("The answer kept here is not the one of this digest, or answers another plan.")
    roster = desk.files.roster()
    if roster is None:
        raise SignatureProblem("There is no list of councils to check their signatures by.")
    found = check_release(release, roster=roster, agreements={agreement.id: agreement}, schema=desk.schema)
    return " ".join(found)


def _people(agreement: Agreement, signers: tuple[str, ...]) -> str:
    names = {keyid(parse_public(person.public_key)): person.name for person in agreement.analysts}
    return ", ".join(names.get(signer, "an unknown key") for signer in signers)
