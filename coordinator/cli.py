"""The command `coordinator`: set up, serve, enrol councils, publish rosters and agreements, look after it."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from coordinator import recovery_commands
from coordinator.account_commands import app as account
from coordinator.backup import backup, restore
from coordinator.doctor import Verdict, examine
from coordinator.enrolment import decide, find
from coordinator.first_files import NewCoordinator, create
from coordinator.flower_commands import app as flower
from coordinator.opened import AsJson, SettingsFile
from coordinator.opened import opened as _opened
from coordinator.paper_commands import app as paper
from coordinator.retention import purge
from coordinator.roster import add_agreement, draft_roster, load_membership, publish_roster
from coordinator.serve import run_server, state_folder
from coordinator.settings import DEFAULT_FILE, load_settings
from coordinator.simulate_attacks_command import simulate_attacks
from coordinator.simulate_command import simulate
from coordinator.status import Status, read_status
from coordinator.store import EnrolmentRow
from coordinator.store.audit import COMMAND_LINE
from coordinator.withdrawal import withdraw as take_back
from federated.errors import ExitStatus, FileProblem
from federated.keys import fingerprint, public_line, read_public_key
from federated.roster import describe_changes
from federated.schema import load_schema
from federated.shell import main_of, new_app, now_utc, output
from federated.timestamps import time_text
from protocols.identifiers import CouncilId, Digest

__all__ = ["app", "main"]

app = new_app("Runs the centre of a federation: it carries signed files and masked vectors, and decides nothing.")
enrol = new_app("Councils that ask to be put into the roster.")
roster = new_app("The signed list of councils.")
agreement = new_app("The signed data sharing agreements.")
app.add_typer(enrol, name="enrol")
app.add_typer(roster, name="roster")
app.add_typer(agreement, name="agreement")
app.add_typer(flower, name="flower")
app.add_typer(account, name="account")
app.add_typer(paper, name="paper")
recovery_commands.register(app)
app.command("simulate")(simulate)
app.command("simulate-attacks")(simulate_attacks)


def _line(key: str) -> str:
    """A public key given as its line, or as the file that holds it."""
    return key if key.startswith("ed25519:") else public_line(read_public_key(Path(key)))


@app.command("init")
def init(
    *,
    id_: Annotated[str, typer.Option("--id", help="Short name of this coordinator; it goes into every round.")],
    name: Annotated[str, typer.Option(help="Name for people.")],
    host: Annotated[list[str], typer.Option(help="Host name or address councils will connect to; may be repeated.")],
    roster_key: Annotated[list[str], typer.Option(help="Public key of a roster signer, or its file; at least two.")],
    agreement_key: Annotated[
        list[str], typer.Option(help="Public key of an agreement signer, or its file; two, unless the threshold is 1.")
    ],
    agreement_threshold: Annotated[
        int, typer.Option(min=1, help="Agreement signers needed. 1: one person alone can change what councils answer.")
    ] = 2,
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path(),
    listen: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104 - a server's purpose
    port: Annotated[int, typer.Option(help="TCP port.")] = 7443,
) -> None:
    """Write settings, an identity key and a TLS certificate.

    Example: coordinator init --id north-hub --name "Northern hub" --host hub.example --roster-key ann.pub
    --roster-key bob.pub --agreement-key ann.pub --agreement-key bob.pub
    """
    if len(agreement_key) < agreement_threshold:
        raise FileProblem(
            f"{agreement_threshold} people must sign an agreement, and the keys of {len(agreement_key)} were given.",
            remedy="Give --agreement-key once for each person. If one person alone may change what councils answer, "
            "say so: --agreement-threshold 1.",
        )
    new = NewCoordinator(
        id=id_,
        name=name,
        hosts=host,
        listen_host=listen,
        port=port,
        roster_keys=[_line(key) for key in roster_key],
        agreement_keys=[_line(key) for key in agreement_key],
        agreement_threshold=agreement_threshold,
    )
    _settings, key = create(folder, new, now=now_utc(), rng=os.urandom)
    output.print(f"Wrote {folder / DEFAULT_FILE}, coordinator.pem, agreements/ and tls/", markup=False)
    output.print(f"Councils, analysts and mask holders need {folder / 'tls' / 'authority.pem'}", markup=False)
    output.print(f"Keep {folder / 'tls' / 'authority.key'} offline; it is needed once a year.", markup=False)
    output.print(f"Fingerprint of this coordinator, for the roster signers: {fingerprint(key.public)}")


@app.command("serve")
def serve(
    *,
    settings: SettingsFile = DEFAULT_FILE,
    ready_file: Annotated[Path | None, typer.Option(help="Write host:port here once councils can connect.")] = None,
) -> None:
    """Run the coordinator until it is told to stop (SIGTERM or Ctrl-C).

    Example: coordinator serve --settings /etc/federation/coordinator.yaml
    """
    run_server(load_settings(settings), ready_file=ready_file)


@app.command("console")
def console(*, settings: SettingsFile = DEFAULT_FILE) -> None:
    """Serve the web pages until told to stop (SIGTERM or Ctrl-C): the public register of questions and answers.

    It reads the database that `coordinator serve` writes, beside it or without it.

    Example: coordinator console --settings /etc/federation/coordinator.yaml
    """
    # Half a second of web libraries, which no other command needs.
    from coordinator.console.serving import serve_console  # noqa: PLC0415

    serve_console(load_settings(settings), tell=_say, clock=now_utc, rng=os.urandom)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@enrol.command("list")
def enrol_list(*, settings: SettingsFile = DEFAULT_FILE, json_: AsJson = False) -> None:
    """Show who has asked to take part.

    Example: coordinator enrol list
    """
    with _opened(settings) as (_, store):
        rows = store.membership.enrolments()
    if json_:
        output.print_json(json.dumps([_enrolment_json(row) for row in rows]))
        return
    table = Table("Council", "State", "Fingerprint", "Asked")
    for row in rows:
        table.add_row(row.council, row.state, row.fingerprint, time_text(row.requested_at))
    output.print(table)


def _enrolment_json(row: EnrolmentRow) -> dict[str, str]:
    return {
        "council": row.council,
        "state": row.state,
        "fingerprint": row.fingerprint,
        "public_key": public_line(row.public_key),
        "requested_at": time_text(row.requested_at),
    }


Who = Annotated[list[str], typer.Argument(help="Fingerprints, or codes of councils that have asked once.")]


@enrol.command("accept")
def enrol_accept(who: Who, settings: SettingsFile = DEFAULT_FILE) -> None:
    """Accept a council's key, once you have compared the fingerprint with the council by telephone.

    Example: coordinator enrol accept "01234 56789 01234 56789 01234 56789 01234 56789"
    """
    _decide(who, settings, accept=True)


@enrol.command("reject")
def enrol_reject(who: Who, settings: SettingsFile = DEFAULT_FILE) -> None:
    """Reject a council's key.

    Example: coordinator enrol reject E06000001
    """
    _decide(who, settings, accept=False)


def _decide(who: list[str], settings: Path, *, accept: bool) -> None:
    word = "accepted for the next roster" if accept else "rejected"
    with _opened(settings) as (_, store):
        rows = [find(store, one) for one in who]
        for row in rows:
            decide(store, row, accept=accept, now=now_utc())
            output.print(f"{row.council} ({row.fingerprint}) is {word}.")


@roster.command("draft")
def roster_draft(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the unsigned roster.")],
    settings: SettingsFile = DEFAULT_FILE,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days it is valid.")] = 90,
    without: Annotated[list[str] | None, typer.Option(help="Council to leave out; may be repeated.")] = None,
) -> None:
    """Write the next roster for its signers: the councils of the last one, and those accepted since.

    Example: coordinator roster draft --out roster.yaml
    """
    gone = frozenset(CouncilId(council) for council in without or ())
    with _opened(settings) as (opened, store):
        payload = draft_roster(opened, store, load_schema(), now=now_utc(), days=days, without=gone)
    try:
        out.write_bytes(payload)
    except OSError as error:
        raise FileProblem(f"{out}: the draft cannot be written ({error.strerror}).") from error
    output.print(f"Wrote {out}. Two signers now sign it with 'federated roster sign'.", markup=False)


@roster.command("publish")
def roster_publish(
    file: Annotated[Path, typer.Argument(help="The roster, signed by two people.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Check a signed roster and hand it to the councils; a running coordinator picks it up by itself.

    Example: coordinator roster publish roster.dsse
    """
    with _opened(settings) as (opened, store):
        before = load_membership(opened, store, now_utc()).roster
        published = publish_roster(opened, store, file, now_utc())
    for sentence in describe_changes(before, published):
        output.print(sentence, markup=False)
    output.print(f"Roster {published.epoch} is published: {len(published.councils)} councils.")


@agreement.command("add")
def agreement_add(
    file: Annotated[Path, typer.Argument(help="The signed agreement.")], settings: SettingsFile = DEFAULT_FILE
) -> None:
    """Check a signed agreement and keep it; a running coordinator picks it up by itself.

    Example: coordinator agreement add north-east.dsse
    """
    with _opened(settings) as (opened, store):
        added = add_agreement(opened, store, file, now_utc())
    output.print(f"Agreement '{added.id}' version {added.version} is in force until {added.valid_to}.", markup=False)


@app.command("withdraw")
def withdraw(
    plan: Annotated[str, typer.Argument(help="Digest of the plan, 64 hexadecimal digits.")],
    reason: Annotated[str, typer.Option(help="Why, for its analyst and the public register; name no council.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Take back a plan on which councils are still deciding; a round that has begun cannot be withdrawn.

    Example: coordinator withdraw 3f2a… --reason "Asked for by the analyst"
    """
    with _opened(settings) as (_, store):
        take_back(store, _plan_digest(plan), reason=reason, by=COMMAND_LINE, now=now_utc())
    output.print("The plan is withdrawn; nothing was spent on it.")


def _plan_digest(text: str) -> Digest:
    try:
        return Digest(bytes.fromhex(text))
    except ValueError as error:
        raise FileProblem(f"'{text}' is not a digest of hexadecimal digits.") from error


@app.command("status")
def status(*, settings: SettingsFile = DEFAULT_FILE, json_: AsJson = False) -> None:
    """Show where things stand: roster, councils connected, proposals, releases, what is owed.

    Example: coordinator status --json
    """
    with _opened(settings) as (opened, store):
        found = read_status(opened, store, now_utc())
    if json_:
        output.print_json(json.dumps(found.canonical()))
    else:
        _print_status(found)


def _print_status(found: Status) -> None:
    table = Table(show_header=False, box=None)
    ends = "none in force" if found.roster_epoch is None else f"epoch {found.roster_epoch}, until {found.roster_ends}"
    table.add_row("Roster", ends)
    table.add_row("Councils", f"{len(found.connected)} of {found.councils} connected")
    for holder, here in found.mask_holders.items():
        table.add_row("Mask holder", f"{holder}, {'connected' if here else 'not connected'}")
    table.add_row("Agreements", ", ".join(found.agreements) or "none")
    table.add_row("Enrolments waiting", str(found.enrolments_pending))
    table.add_row("Proposals", ", ".join(f"{count} {state}" for state, count in found.proposals.items()) or "none")
    table.add_row("Releases", str(len(found.releases)))
    table.add_row("Receipts outstanding", str(sum(len(councils) for councils in found.waiting_for_receipt.values())))
    output.print(table)
    for problem in found.problems:
        output.print(f"Not in force: {problem}", markup=False)


@app.command("backup")
def backup_to(
    file: Annotated[Path, typer.Argument(help="Where to write; a file that is there is never overwritten.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Copy the whole database to one file, also while the coordinator serves. Keys and settings are not in it.

    Example: coordinator backup /srv/backups/hub-2026-03-01.backup
    """
    with _opened(settings) as (opened, store):
        made = backup(store.engine, file, coordinator=opened.id, now=now_utc())
    output.print(f"Wrote {file}: {made.rows} rows, checked by a SHA-256 of their own.", markup=False)


@app.command("restore")
def restore_from(
    file: Annotated[Path, typer.Argument(help="A file that 'coordinator backup' wrote.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Fill an empty database from a backup, whichever database the backup was made of.

    What was under way is ended, and its analysts are told so. The coordinator must not be running.

    Example: coordinator restore /srv/backups/hub-2026-03-01.backup
    """
    with state_folder(load_settings(settings)), _opened(settings) as (opened, store):
        now = now_utc()
        done = restore(store.engine, file, coordinator=opened.id, now=now)
        purge(store, opened.retention, now)  # what was deleted since the backup does not come back
        store.tidy()
    output.print(f"Restored {done.copy.rows} rows of {time_text(done.copy.made_at)}.", markup=False)
    output.print(
        f"Ended, as they were under way then: {done.rounds_ended} rounds and {done.plans_ended} undecided plans. "
        "Ask their analysts to plan again."
    )
    if done.accounts_locked:
        output.print(
            f"Locked: {done.accounts_locked} accounts, as rights may have been taken away since. Give those that are "
            "still wanted a new code with 'coordinator account reset'."
        )


@app.command("purge")
def purge_old(settings: SettingsFile = DEFAULT_FILE, *, json_: AsJson = False) -> None:
    """Delete what is to be kept no longer; a serving coordinator does this once a day by itself.

    Example: coordinator purge
    """
    with _opened(settings) as (opened, store):
        done = purge(store, opened.retention, now_utc())
        store.tidy()
    if json_:
        output.print_json(json.dumps(asdict(done)))
        return
    output.print(
        f"Deleted: {done.releases} answers, {done.enrolments} enrolment requests, {done.reads} readings, "
        f"{done.timings} timings, {done.inbox} lines of the inbox."
    )
    if done.unreadable:
        output.print(f"Kept, as their manifest cannot be read: {done.unreadable} answers.")


_MARKS = {Verdict.GOOD: "ok", Verdict.WARNING: "look", Verdict.BAD: "mend"}


@app.command("doctor")
def doctor(*, settings: SettingsFile = DEFAULT_FILE, json_: AsJson = False) -> int:
    """Check settings, keys, certificate, database, roster and agreements; exits with 3 when something must be mended.

    Example: coordinator doctor
    """
    findings = examine(load_settings(settings), now_utc())
    if json_:
        output.print_json(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            output.print(f"{_MARKS[finding.verdict]:>4}  {finding.check}: {finding.text}", markup=False)
    bad = any(finding.verdict is Verdict.BAD for finding in findings)
    return ExitStatus.INPUT if bad else ExitStatus.OK


main = main_of(app)
