"""`coordinator certificate` and `coordinator statement`: what is needed once a year, and after a loss or a theft."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from coordinator.opened import SettingsFile, opened
from coordinator.settings import DEFAULT_FILE, Settings, load_settings
from coordinator.tls import Authority, issue_certificate, load_authority, load_certificate, make_authority, save_pair
from federated.commands.files import write_file
from federated.errors import FileProblem
from federated.shell import now_utc, output
from federated.timestamps import time_text
from protocols.identifiers import CouncilId

__all__ = ["register"]

AUTHORITY: Final = "authority"


def certificate(
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder to write into; nothing is overwritten.")],
    authority: Annotated[
        Path | None,
        typer.Option(help="Folder with authority.pem and authority.key; a new authority is made when left out."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Host name or address it is for; may be repeated. Those of the present one when left out."),
    ] = None,
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Make a new TLS key and certificate: once a year, or with a new authority after a theft.

    Name the new files under `tls` in the settings, then start the coordinator again.

    Example: coordinator certificate --out tls-2027 --authority /media/offline/tls
    """
    read, now = load_settings(settings), now_utc()
    names = sorted(host or _present_names(read, now))
    issuer = _authority(authority) if authority is not None else make_authority(f"{read.name} authority", now=now)
    made = issue_certificate(issuer, names, now=now)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(f"{out}: the folder cannot be made ({error.strerror}).") from error
    if authority is None:
        save_pair(
            issuer.key_pem,
            issuer.certificate_pem,
            key_file=out / f"{AUTHORITY}.key",
            certificate_file=out / f"{AUTHORITY}.pem",
        )
        output.print(
            f"Councils, analysts and mask holders need {out / 'authority.pem'} first: see docs/runbooks.", markup=False
        )
    save_pair(made.key_pem, made.chain_pem, key_file=out / "server.key", certificate_file=out / "server.pem")
    output.print(f"Wrote {out / 'server.pem'} for {', '.join(names)}, until {made.not_after:%d %B %Y}.", markup=False)


def _present_names(settings: Settings, now: datetime) -> frozenset[str]:
    try:
        return load_certificate(Path(settings.tls.key), Path(settings.tls.certificate), now=now).names
    except FileProblem as problem:
        raise FileProblem(
            f"{problem} So nobody can tell what the new one is for.", remedy="Name each host name with --host."
        ) from problem


def _authority(folder: Path) -> Authority:
    return load_authority(folder / f"{AUTHORITY}.key", folder / f"{AUTHORITY}.pem")


def statement(
    council: Annotated[str, typer.Argument(help="The council's code.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Give a council that lost its ledger the last budget statement that its node signed.

    Of all that it signed, the one of the longest ledger is kept.

    Example: coordinator statement E06000001 --out E06000001-statement.dsse
    """
    with opened(settings) as (_, store):
        kept = store.membership.budgets([CouncilId(council)])
    if not kept:
        raise FileProblem(
            f"No budget statement of {council} is kept here.", remedy="Ask the reviewers and the council's own backup."
        )
    write_file(out, kept[0].envelope)
    output.print(f"It came on {time_text(kept[0].received_at)}.", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(certificate)
    app.command()(statement)
