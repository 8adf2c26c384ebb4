"""Accepting an agreement: read, verified, shown in plain words, and pinned as a file of whoever accepts it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from council_node.party import PartySettings
from council_node.pinned_papers import AGREEMENT_SUFFIX
from federated.agreement import AGREEMENT_TYPE, Agreement, open_agreement, parse_agreement
from federated.errors import FileProblem
from federated.signing import unsafe_payload

__all__ = ["accept_agreement", "agreement_path"]


def agreement_path(settings: PartySettings, name: str) -> Path:
    """Where the accepted agreement of that id is kept."""
    return settings.agreements / f"{name}{AGREEMENT_SUFFIX}"


def accept_agreement(
    path: Path, settings: PartySettings, *, confirm: Callable[[Agreement], bool], now: datetime
) -> Agreement | None:
    """Accept a signed agreement. Run by `council-node accept` and `mask-holder accept`.

    Args:
        path: The signed agreement.
        settings: Of the party that accepts it.
        confirm: Shows it to a person and asks.
        now: The time, UTC.

    Returns:
        The agreement, or None when the person said no.

    Raises:
        SignatureProblem: Not signed by the people it trusts.
        PolicyRefusal: Not in force, or older than the version accepted before.
        FileProblem: It cannot be read, is not an agreement, or cannot be kept.
    """
    envelope = _read(path)
    found = open_agreement(envelope, settings.trust, now)
    kept = agreement_path(settings, found.id)
    if kept.exists():
        # Our own pinned file, perhaps expired by now: it still fixes which versions are old.
        before = parse_agreement(unsafe_payload(_read(kept), AGREEMENT_TYPE), source=str(kept))
        found = open_agreement(envelope, settings.trust, now, known=(before.version, before.digest))
    if not confirm(found):
        return None
    beside = kept.with_name(f".{kept.name}.new")
    try:
        beside.write_bytes(envelope)
        beside.replace(kept)
    except OSError as error:
        raise FileProblem(
            f"{kept}: the agreement cannot be kept there ({error.strerror}).",
            remedy="Check who may write to the folder.",
        ) from error
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(
            f"{path}: the agreement cannot be read ({error.strerror}).", remedy="Check the name."
        ) from error
