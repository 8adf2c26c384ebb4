"""What a lost ledger had charged, read from the council's own last signed statement and written back.

A statement gives totals and not rounds. So it is compared with a ledger that was properly restored, and added in full
to any other: where the two might count one charge twice, they do, and never the other way.
"""

import os
from datetime import datetime
from fractions import Fraction
from pathlib import Path

from council_node.ledger import Ledger
from council_node.ledger_book import RESTORED
from federated.budget_statement import STATEMENT_KIND, BudgetStatement, committed, read_statement
from federated.errors import FileProblem, PolicyRefusal
from federated.keys import trusted_keys
from federated.ledger_entries import Entry, EntryKind, LostCharge, RoundState
from federated.privacy import Totals
from federated.signing import open_envelope, statement_type
from protocols.identifiers import CouncilId

__all__ = ["lost_charges", "lost_in_words", "open_last_statement", "write_back_lost"]


def open_last_statement(envelope: bytes, *, council: CouncilId, key: bytes) -> BudgetStatement:
    """Check the statement that this council's lost node signed.

    Args:
        envelope: The signed statement, as the coordinator or a reviewer kept it.
        council: This council.
        key: The key that node signed with, raw.

    Raises:
        SignatureProblem: Not signed by that key.
        FileProblem: Not a statement of this council.
        PolicyRefusal: `ledger_exhausted`: charges were missing from that ledger already.
    """
    payload = open_envelope(envelope, statement_type(STATEMENT_KIND), trusted_keys(key)).payload
    statement = read_statement(payload, council=council)
    if statement.exhausted:
        raise PolicyRefusal(
            "ledger_exhausted",
            "The ledger was not in good standing when it signed this: charges may be missing from it too.",
            remedy="Find an earlier statement and every answer since, or let the ledger rest until the year is over.",
        )
    return statement


def lost_charges(statement: BudgetStatement, ledger: Ledger) -> tuple[LostCharge, ...]:
    """The charges that stand in a statement and not in the ledger, to be written back when it is reconciled.

    Checks: (0) the statement is no older than what other councils have seen of the lost ledger, (1) nor than a charge
    of the copy that was put back.

    Raises:
        PolicyRefusal: `ledger_rollback`.
    """
    peers_saw = ledger.peers_saw
    if statement.counter < peers_saw:  # (0)
        raise _too_old(statement, f"another council has seen entry {peers_saw} signed")
    compared = _restored(ledger)
    newest = max((round_.counter for round_ in ledger.rounds()), default=0)
    if compared and statement.counter < newest:  # (1)
        raise _too_old(statement, f"the copy that was put back holds a charge at entry {newest}")
    found = []
    for item in statement.periods:
        stated = committed(statement, item.agreement, item.period)
        missing = _less(stated, ledger.committed(item.agreement, item.period)) if compared else stated
        if missing != Totals():
            found.append(LostCharge(agreement=item.agreement, period=item.period, totals=missing, budget=item.budget))
    return tuple(found)


def write_back_lost(
    path: Path, council: CouncilId, statement: BudgetStatement, *, by: str, reason: str, now: datetime
) -> tuple[tuple[LostCharge, ...], Entry]:
    """Reconcile a ledger with what the lost one had charged; a ledger that is not there is begun anew.

    Args:
        path: The ledger's file.
        council: Whose it is.
        statement: From `open_last_statement`.
        by: The reviewer.
        reason: What happened.
        now: Time, UTC.

    Returns:
        What was written back, and the entry that holds it.

    Raises:
        PolicyRefusal: `ledger_rollback`, as `lost_charges`.
        FileProblem: The ledger is in use, or cannot be read or written.
    """
    if path.exists():
        with Ledger.open(path, council) as opened:
            return _written(opened, statement, by=by, reason=reason, now=now)
    arriving = path.with_name(f"{path.name}.restoring")
    arriving.unlink(missing_ok=True)
    with Ledger.create(arriving, council, now) as opened:
        done = _written(opened, statement, by=by, reason=reason, now=now)
    # Only with its charges does it ever stand at the ledger's place, and never in that of another.
    try:
        os.link(arriving, path)
    except OSError as error:
        raise FileProblem(f"{path}: the ledger cannot be put there ({error.strerror}).") from error
    arriving.unlink()
    return done


def _written(
    opened: Ledger, statement: BudgetStatement, *, by: str, reason: str, now: datetime
) -> tuple[tuple[LostCharge, ...], Entry]:
    found = lost_charges(statement, opened)
    return found, opened.write_back(found, seen=statement.counter, by=by, reason=reason, now=now)


def _restored(ledger: Ledger) -> bool:
    """Whether the ledger is a copy put back by `ledger restore`, to which nothing was charged or inherited since."""
    put_back = [e.counter for e in ledger.entries() if e.kind is EntryKind.EXHAUSTED and e.body["reason"] == RESTORED]
    since = max(put_back, default=0)
    # What came in since is no part of the statement: set off against it, as much of what was lost would go missing.
    if any(e.kind is EntryKind.INHERITED and e.counter > since for e in ledger.entries()):
        return False
    return since > 0 and all(r.state is RoundState.RELEASED for r in ledger.rounds() if r.counter > since)


def _less(stated: Totals, held: Totals) -> Totals:
    nothing = Fraction(0)
    pure = None if stated.epsilon is None else max(nothing, stated.epsilon - (held.epsilon or nothing))
    if stated.epsilon is None and held.epsilon is None:
        pure = nothing  # the ledger knows already that not every charge was pure
    return Totals(epsilon=pure, rho=max(nothing, stated.rho - held.rho), draws=max(0, stated.draws - held.draws))


def _too_old(statement: BudgetStatement, why: str) -> PolicyRefusal:
    return PolicyRefusal(
        "ledger_rollback",
        f"This statement stands at entry {statement.counter} of the lost ledger, but {why}: charges would be missing.",
        remedy="Ask the coordinator's operator and the reviewers for a later one, or wait until the year is over.",
    )


def lost_in_words(charge: LostCharge) -> str:
    """One charge that was written back, for the person who did it."""
    pure = "no pure ε" if charge.totals.epsilon is None else f"ε = {float(charge.totals.epsilon):.4g}"
    return f"Written back under '{charge.agreement}', {charge.period}: {pure}, ρ = {float(charge.totals.rho):.4g}."
