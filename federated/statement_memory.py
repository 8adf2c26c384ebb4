"""What councils said of their budgets before, kept beside the workspace file, so that none can quietly go back.

A coordinator could serve an old statement, or a council could have put an old ledger back: each later statement is
held against the last one kept here.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from federated.budget_statement import BudgetStatement, check_succession, read_statement
from federated.errors import FileProblem, PolicyRefusal
from federated.roster import Roster
from protocols.encoding import canonical_json
from protocols.errors import LocalProtocolError
from protocols.identifiers import CouncilId

__all__ = ["StatementMemory"]


class StatementMemory:
    """The last statement of each council, its signature checked when it was kept.

    Args:
        path: The file they are kept in; made when first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, statements: Mapping[CouncilId, BudgetStatement | None], roster: Roster) -> tuple[str, ...]:
        """Hold new statements against those kept, and keep the ones that follow.

        Args:
            statements: As `Client.budgets` gave them, signatures checked.
            roster: For the councils' names.

        Returns:
            One sentence for each council whose statement does not follow from its last one, or that gave none now.
        """
        kept = self._read()
        warnings = []
        for council, statement in statements.items():
            earlier = kept.get(council)
            name = roster.councils[council].name
            if statement is None:
                if earlier is not None:
                    warnings.append(f"{name} gave no statement now; its last one is of {earlier.time}.")
                continue
            try:
                if earlier is not None:
                    check_succession(earlier, statement)
            except PolicyRefusal as problem:
                warnings.append(f"{name}: {problem.diagnostics()}")
                continue
            kept[council] = statement
        self._write(kept)
        return tuple(warnings)

    def _read(self) -> dict[CouncilId, BudgetStatement]:
        if not self._path.exists():
            return {}
        try:
            body = json.loads(self._path.read_bytes())
            found = {CouncilId(council): canonical_json(item) for council, item in body["statements"].items()}
            return {council: read_statement(item, council=council) for council, item in found.items()}
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            FileProblem,
            LocalProtocolError,
        ) as error:
            raise FileProblem(
                f"{self._path}: the budget statements kept from before cannot be read.",
                remedy="Move the file away; from then on nothing older can be compared.",
            ) from error

    def _write(self, kept: Mapping[CouncilId, BudgetStatement]) -> None:
        beside = self._path.with_name(f".{self._path.name}.new")
        try:
            beside.write_bytes(
                canonical_json({"version": 1, "statements": {c: item.canonical() for c, item in kept.items()}})
            )
            beside.replace(self._path)
        except OSError as error:
            raise FileProblem(f"{self._path}: the statements cannot be kept ({error.strerror}).") from error
