"""`federated standing`: questions that are asked again for each month, quarter or year, until a day within a year."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.client import Client, Trusted
from federated.commands.files import Key, Yes, content_of, read_file, write_file
from federated.commands.questions import Explained, Work, connect
from federated.errors import PolicyRefusal, QueryError
from federated.keys import read_private_key
from federated.manifest import parse_manifest
from federated.papers import PaperKind, unsafe_claims
from federated.query import load_query
from federated.rationals import rational_text
from federated.series import Series, costs_by_year, open_series, repeats, sign_series
from federated.shell import new_app, now_utc, output
from federated.standing_run import Journal, Told, run_series
from federated.workspace import DEFAULT_FILE

__all__ = ["app"]

app: typer.Typer = new_app("Standing questions: asked again for each period, signed one by one, for a year at most.")

File = Annotated[Path, typer.Argument(help="The signed series.")]


@app.command("sign")
def sign(
    question: Annotated[Path, typer.Argument(help="The question, about its first period.")],
    manifest: Explained,
    agreement: Annotated[Path, typer.Option("--agreement", "-a", help="The agreement, signed or not.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day on which a repeat is asked.")],
    key: Key,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the signed series.")],
    wait_days: Annotated[int, typer.Option(help="Days after the end of a period before it is asked about.")] = 30,
    edition: Annotated[int, typer.Option(help="One more at each yearly review.")] = 1,
    *,
    yes: Yes = False,
) -> None:
    """Read what a standing question will ask and cost over its year, and sign it. Sends nothing.

    Example: federated standing sign question.yaml --manifest manifest.yaml --agreement agreement.dsse
    --until 2026-12-31 --key mine.key --out series.dsse
    """
    under = parse_agreement(content_of(read_file(agreement, "agreement"), AGREEMENT_TYPE), source=str(agreement))
    explained = parse_manifest(read_file(manifest, "manifest"), source=str(manifest))
    series = Series(
        id=explained.id,
        edition=edition,
        agreement=under.id,
        question=load_query(question),
        manifest=explained,
        wait_days=wait_days,
        until=until.date(),
        signed_at=now_utc().replace(microsecond=0),
    )
    under.check_epsilon(series.question.epsilon)
    for line in series_words(series, under):
        output.print(line, markup=False)
    if not yes:
        typer.confirm("Sign this?", abort=True)
    envelope = sign_series(series, read_private_key(key))
    open_series(envelope, under)  # signed by somebody who may not ask, it is of no use to anyone
    write_file(out, envelope)


@app.command("show")
def show(series: File, agreement: Annotated[Path, typer.Option("--agreement", "-a", help="The agreement.")]) -> None:
    """Show what a standing question asks, when, and at what cost; its signature is checked by the agreement.

    Example: federated standing show series.dsse --agreement agreement.dsse
    """
    under = parse_agreement(content_of(read_file(agreement, "agreement"), AGREEMENT_TYPE), source=str(agreement))
    for line in series_words(open_series(read_file(series, "series"), under), under):
        output.print(line, markup=False)


@app.command("run")
def run(
    series: File,
    workspace: Work = DEFAULT_FILE,
    folder: Annotated[
        Path | None, typer.Option(help="Where plans are kept before they are sent; beside the series otherwise.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due, and ask nothing.")] = False,
) -> None:
    """Ask every repeat that is due and was not asked yet. For a scheduler: however often it runs, none is asked twice.

    Example: federated standing run series.dsse
    """
    envelope, now = read_file(series, "series"), now_utc()
    with connect(workspace) as client:
        trusted = client.trusted()
        found = _opened(envelope, trusted)
        if dry_run:
            _tell_due(found, now.date())
            return
        if now.date() <= found.until:
            _announce(client, envelope)
        journal = Journal(folder or series.with_suffix(".asked"))
        run_series(client, found, journal, trusted=trusted, now=now, tell=_tell)


def _announce(client: Client, envelope: bytes) -> None:
    """Councils and the public can see what will be asked before it is."""
    _digest, added = client.add_paper(PaperKind.SERIES, envelope)
    if added:
        output.print("The series is in the register.")


def _opened(envelope: bytes, trusted: Trusted) -> Series:
    name = str(unsafe_claims(envelope, PaperKind.SERIES).get("agreement"))
    agreement = trusted.agreements.get(name)
    if agreement is None:
        raise PolicyRefusal(
            "agreement",
            "The series is under an agreement that is not in force, or is none of yours.",
            remedy="Sign a series under one that is.",
        )
    return open_series(envelope, agreement)


def _tell(told: Told) -> None:
    period = told.repeat.period
    output.print(f"{period.start} to {period.end}: {told.said}", markup=False)


def _tell_due(series: Series, today: date) -> None:
    due = [repeat for repeat in repeats(series) if repeat.due <= today]
    for repeat in due:
        output.print(f"{repeat.period.start} to {repeat.period.end}: due since {repeat.due}", markup=False)
    if not due:
        output.print("Nothing is due.")


def series_words(series: Series, agreement: Agreement) -> tuple[str, ...]:
    """A standing question in plain words, its cost of the whole year first.

    Raises:
        QueryError: All repeats of one year together cost more than the agreement allows in a year.
    """
    times, costs = repeats(series), costs_by_year(series)
    year, most = max(costs.items(), key=lambda item: item[1])
    if most > agreement.budget_epsilon:
        raise QueryError(
            f"Its repeats of {year} would cost epsilon {rational_text(most)} together; the agreement allows "
            f"{agreement.budget.epsilon} for all questions of a year.",
            remedy="Ask less often, with a smaller epsilon, or begin with a later period: one that is over already is "
            "asked in the year of signing.",
        )
    shares = ", ".join(f"{rational_text(cost)} in {year}" for year, cost in costs.items())
    return (
        f"{series.question.title} ({series.id}, edition {series.edition}), under {agreement.id}.",
        f"It asks {len(times)} times until {series.until}, and then lapses unless somebody reviews it.",
        (
            f"Each time costs epsilon {rational_text(series.question.epsilon)}; all of them together "
            f"{rational_text(series.epsilon_sum)}: {shares}. The agreement allows {agreement.budget.epsilon} in a "
            "calendar year."
        ),
        *(f"  {item.due}: about {item.period.start} to {item.period.end}" for item in times),
        "Each repeat is a plan of its own: councils decide on it, and their ledgers charge it, like any other.",
    )
