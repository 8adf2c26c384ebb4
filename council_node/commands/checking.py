"""`council-node check` and `dry-run`: what to mend before taking part, and what a question would do here.

What they need is imported when they are typed: every start of a node would pay for it otherwise.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from council_node.commands.options import DEFAULT, AsJson, Node
from council_node.settings import read_settings
from council_node.staying_connected import link_settings
from federated.errors import FileProblem
from federated.shell import errors, now_utc, output

if TYPE_CHECKING:
    from council_node.dry_run import DryRun, Leaving

__all__ = ["register"]

ENDED_BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that ended a program."""


def check(
    settings: Node = DEFAULT,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Do not connect to the coordinator.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at this computer, the connection, the settings and the extract, and say how to mend what is wrong.

    Reads the extract here, for you alone: nothing is sent, stored or charged. Works while the node runs.

    Example: council-node check --offline
    """
    from council_node.checks.findings import exit_status  # noqa: PLC0415 - see the top of this module
    from council_node.checks.report import check_node, print_report  # noqa: PLC0415 - as above

    node = read_settings(settings)
    with errors.status("Checking") as progress:
        report = check_node(
            node,
            settings,
            None if offline else link_settings(node),
            environment=os.environ,
            now=now_utc(),
            rng=os.urandom,
            tell=progress.update,
        )
    if as_json:
        output.print_json(json.dumps(report.as_json()))
    else:
        print_report(report, output)
    raise typer.Exit(exit_status(report.findings))


def rehearse(
    question: Annotated[str, typer.Argument(help="A question file, or the digest of a question that waits here.")],
    settings: Node = DEFAULT,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", "-m", help="The manifest that explains the question file.")
    ] = None,
    agreement: Annotated[
        str | None, typer.Option("--agreement", help="Id of the agreement, when several were accepted.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write each message that would leave into this folder.")
    ] = None,
    *,
    practice: Annotated[
        bool, typer.Option("--practice", help="Use made-up records, and preview the answer to them.")
    ] = False,
    show_own_figure: Annotated[
        bool, typer.Option("--show-own-figure", help="Show this council's exact figures, on this screen only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a question through this node, and see exactly what would leave. Sends nothing, charges nothing.

    Example: council-node dry-run question.yaml --practice
    """
    from council_node.dry_run import dry_run  # noqa: PLC0415 - see the top of this module
    from council_node.dry_run_question import find_question  # noqa: PLC0415 - as above
    from council_node.dry_run_words import dry_run_json  # noqa: PLC0415 - as above

    # Told to stop, it still clears away what it made.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(ENDED_BY_SIGNAL + number))
    node = read_settings(settings)
    asked = find_question(question, node, manifest=manifest, agreement=agreement)
    with errors.status("Rehearsing") as progress:
        found = dry_run(node, asked, practice=practice, clock=now_utc, rng=os.urandom, tell=progress.update)
    if as_json:
        output.print_json(json.dumps(dry_run_json(found)))
    else:
        _print(found, show_own_figure=show_own_figure)
    if out is not None:
        _write(found.leaving, out, quiet=as_json)
    if found.refusal is not None:
        raise typer.Exit(found.refusal.exit_status)


def _print(found: "DryRun", *, show_own_figure: bool) -> None:
    from council_node.dry_run_words import dry_run_lines, own_figure_lines  # noqa: PLC0415 - see the top of this module
    from federated.terminal_tables import print_release  # noqa: PLC0415 - as above

    for line in dry_run_lines(found):
        output.print(line, markup=False)
    if found.release is not None:
        output.print("\n7. The answer to the made-up records, as everybody would get it")
        print_release(found.release)
    if show_own_figure and found.own is not None and found.plan is not None:
        output.print("")
        for line in own_figure_lines(found.plan, found.own.vector):
            output.print(line, markup=False)


def _write(leaving: tuple["Leaving", ...], folder: Path, *, quiet: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, item in enumerate(leaving, start=1):
            path = folder / f"{number}-{item.kind.name.lower().replace('_', '-')}.bin"
            path.write_bytes(item.content)
            if not quiet:
                output.print(f"Wrote {path}", markup=False)
    except OSError as error:
        raise FileProblem(
            f"{folder}: the messages cannot be written there ({error.strerror}).", remedy="Name another folder."
        ) from error


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command("dry-run")(rehearse)
