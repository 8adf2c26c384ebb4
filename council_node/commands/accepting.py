"""Showing a signed agreement to a person and pinning it: the same for every party that accepts one."""

from pathlib import Path

import typer

from council_node.agreements import accept_agreement
from council_node.party import Party, PartySettings
from federated.agreement import Agreement
from federated.agreement_words import describe
from federated.shell import now_utc, output

__all__ = ["accept_shown"]


def accept_shown(path: Path, settings: PartySettings, party: Party, *, yes: bool) -> Agreement | None:
    """Show an agreement in plain words, ask, and pin it.

    Args:
        path: The signed agreement.
        settings: Of the party.
        party: Who accepts it, in sentences.
        yes: It has been read already, so nobody is asked.

    Returns:
        The agreement, or None when the person said no.
    """

    def confirm(found: Agreement) -> bool:
        for line in describe(found):
            output.print(line, markup=False)
        return yes or typer.confirm(f"Does this {party.noun} accept it?")

    accepted = accept_agreement(path, settings, confirm=confirm, now=now_utc())
    said = "Nothing was accepted." if accepted is None else f"Accepted: {accepted.id}, version {accepted.version}."
    output.print(said, markup=False)
    return accepted
