"""`mask-holder opened` and `health`: what it helped to open, and how it is."""

import json
from typing import Annotated

import typer

from council_node.commands.health import tell_health
from federated.schema import Schema, load_schema
from federated.shell import output
from federated.timestamps import time_text
from mask_holder.commands.options import AsJson, SettingsFile
from mask_holder.record import OpenedSum, OpeningRecord
from mask_holder.settings import DEFAULT_FILE, MASK_HOLDER, read_settings

__all__ = ["register"]


def opened(settings: SettingsFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """List every sum that this mask holder helped to open: the question, the councils in it, and when.

    Example: mask-holder opened --json
    """
    with OpeningRecord.read_only(read_settings(settings).record_file) as record:
        entries = record.entries()
    if as_json:
        output.print_json(json.dumps({"version": 1, "opened": [_as_json(entry) for entry in entries]}))
        return
    schema = load_schema()
    if not entries:
        output.print("Nothing was opened yet.")
    for entry in entries:
        for line in _in_words(entry, schema):
            output.print(line, markup=False, soft_wrap=True)


def _as_json(entry: OpenedSum) -> dict[str, object]:
    return {
        "question": entry.question,
        "plan_digest": entry.plan_digest.hex(),
        "part": entry.part,
        "sid": entry.sid.hex(),
        "h3": entry.h3.hex(),
        "agreement": entry.agreement,
        "agreement_version": entry.agreement_version,
        "councils": list(entry.councils),
        "opened_at": time_text(entry.opened_at),
    }


def _in_words(entry: OpenedSum, schema: Schema) -> tuple[str, ...]:
    names = [schema.councils[code].name if code in schema.councils else code for code in entry.councils]
    part = f", round {entry.part} of its rounds" if entry.part > 1 else ""
    return (
        f"{time_text(entry.opened_at)}  {entry.question}{part}",
        f"  under {entry.agreement}, version {entry.agreement_version}; plan {entry.plan_digest.hex()}",
        f"  {len(names)} councils: {', '.join(names)}",
    )


def health(
    settings: SettingsFile = DEFAULT_FILE,
    *,
    minutes: Annotated[
        int, typer.Option("--minutes", min=0, help="Longest time without contact that is still well.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Say whether the mask holder runs and has had contact with the coordinator; the exit status says it to a program.

    Example: mask-holder health --minutes 10
    """
    tell_health(read_settings(settings), MASK_HOLDER, minutes=minutes, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(opened)
    app.command()(health)
