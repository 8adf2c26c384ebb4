"""A council that takes the place of others inherits what they spent, from statements that their own nodes signed.

Who succeeds whom stands in the list of councils, which two pinned people signed. So a successor can neither choose a
predecessor that spent little nor leave out one that spent much, and a node takes no charge until it has inherited.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from federated.budget_statement import STATEMENT_KIND, BudgetStatement, read_statement
from federated.errors import FileProblem, PolicyRefusal, QueryError, SignatureProblem
from federated.keys import trusted_keys
from federated.ledger_inheritance import Predecessor, predecessor_of
from federated.roster import Roster, RosterEntry
from federated.signing import open_envelope, statement_type
from federated.succession import predecessors_of
from federated.timestamps import parse_time
from protocols.identifiers import CouncilId

__all__ = ["check_inherited", "read_predecessors"]


def check_inherited(inherited: frozenset[CouncilId], roster: Roster, council: CouncilId) -> None:
    """Refuse every charge until what the predecessors spent has been inherited. Run before a charge is reserved.

    Raises:
        PolicyRefusal: `inheritance`.
    """
    missing = sorted(set(predecessors_of(council, roster.councils)) - inherited)
    if missing:
        raise PolicyRefusal(
            "inheritance",
            f"This council took the place of {', '.join(missing)}, and what was spent there is not in its ledger yet.",
            remedy="The council's reviewer can run `council-node ledger inherit`.",
        )


def read_predecessors(
    envelopes: Sequence[bytes], roster: Roster, council: CouncilId, *, inherited: frozenset[CouncilId], now: datetime
) -> tuple[Predecessor, ...]:
    """Open the predecessors' statements.

    Checks: (0) the list names predecessors, (1) each statement is signed by one of them and adds up, (2) it was made
    after that council's last day and of a ledger that was closed, so that no charge can follow it, and of one in good
    standing, (3) none is given
    twice, (4) none is left out, nor one whose place a predecessor took in the same year.

    Args:
        envelopes: The signed statements.
        roster: The signed list of councils in force.
        council: This council.
        inherited: Predecessors inherited from before, whose statements need not be given again.
        now: Time, UTC.

    Raises:
        SignatureProblem: (1).
        PolicyRefusal: `ledger_rollback`, `ledger_exhausted` or `inheritance`: (2).
        FileProblem: Any other.
    """
    wanted = predecessors_of(council, roster.councils)
    if not wanted:  # (0)
        raise FileProblem(
            f"The list of councils names no council whose place {council} took.",
            remedy="Two people sign a list that names them under `succeeds`; then run this again.",
        )
    found = [_open(envelope, roster, council, wanted) for envelope in envelopes]
    for statement in found:
        _check_last(statement, roster.councils[statement.council], now)
    given = [statement.council for statement in found]
    if len(set(given)) < len(given):  # (3)
        raise FileProblem("Two of the statements are of one council.", remedy="Give the last one of each.")
    missing = sorted(set(wanted) - set(given) - inherited)
    if missing:  # (4)
        raise FileProblem(
            f"No statement was given of {', '.join(missing)}, whose place {council} took.",
            remedy="Give one --from for each predecessor: the largest spend counts, so all must be seen.",
        )
    return tuple(predecessor_of(statement) for statement in found)


def _open(envelope: bytes, roster: Roster, successor: CouncilId, wanted: Sequence[CouncilId]) -> BudgetStatement:
    # Any council of the list, so that a statement of the wrong one is told apart from a forged one.
    keys = {name: entry.public_key for name, entry in roster.councils.items()}
    opened = open_envelope(envelope, statement_type(STATEMENT_KIND), trusted_keys(*keys.values()))
    signers = [name for name, key in keys.items() if set(trusted_keys(key)) & set(opened.signers)]
    if len(signers) != 1:
        raise SignatureProblem("A budget statement is signed by its own council and no other.")
    if signers[0] not in wanted:
        raise SignatureProblem(
            f"This statement is of {signers[0]}, whose place {successor} did not take.",
            remedy=f"Give the statements of {', '.join(wanted)}.",
        )
    return read_statement(opened.payload, council=signers[0])


def _check_last(statement: BudgetStatement, predecessor: RosterEntry, now: datetime) -> None:
    try:
        day = parse_time(statement.time).astimezone(UTC).date()
    except QueryError as error:
        raise FileProblem(f"The statement of {statement.council} does not say when it was made.") from error
    if not predecessor.valid_to < day <= now.astimezone(UTC).date():  # (2)
        raise PolicyRefusal(
            "ledger_rollback",
            f"The statement of {statement.council} is of {day}; that council could be charged until "
            f"{predecessor.valid_to}, and today is {now.astimezone(UTC).date()}.",
            remedy="Make a new one on its node: council-node ledger close.",
        )
    # A ledger put back from a backup lacks charges, and says so until they are written back.
    if statement.exhausted:
        raise PolicyRefusal(
            "ledger_exhausted",
            f"The ledger of {statement.council} was not in good standing when it signed this: charges may be missing.",
            remedy="Reconcile it on its node, then sign again: council-node ledger reconcile, then ledger close.",
        )
    # Its node learns from the coordinator alone that its last day has passed, and one that was not told goes on.
    if not statement.closed:
        raise PolicyRefusal(
            "inheritance",
            f"The ledger of {statement.council} was not closed when it signed this, so charges may follow.",
            remedy="Stop its node, and run there: council-node ledger close.",
        )
