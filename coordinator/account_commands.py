"""`coordinator account`: who may sign in to the web pages. Whoever can run this has the machine.

No password passes here: a new account, or one whose password is reset, gets a code that its owner exchanges for one.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from coordinator.console.visitor import Role, Scope
from coordinator.opened import AsJson, SettingsFile, opened
from coordinator.settings import DEFAULT_FILE, Settings
from coordinator.sign_in.codes import CODE_GOOD_FOR, code_hash, new_code
from coordinator.sign_in.names import check_name, pigeonhole
from coordinator.sign_in.tokens import make_token
from coordinator.store import AccountRow, Store
from coordinator.store.audit import COMMAND_LINE
from federated.clauses import Name
from federated.errors import FileProblem, QueryError
from federated.shell import new_app, now_utc, output
from federated.timestamps import time_text

__all__ = ["app"]

app = new_app("Who may sign in to the web pages.")

Named = Annotated[str, typer.Argument(help="Name of the account.")]
Roles = Annotated[list[Role], typer.Option("--role", help="What the account is for; may be repeated.")]
Agreements = Annotated[
    list[str] | None, typer.Option("--agreement", help="Id of an agreement that it may see; may be repeated.")
]


@app.command("add")
def account_add(
    name: Named,
    role: Roles,
    agreement: Agreements = None,
    *,
    settings: SettingsFile = DEFAULT_FILE,
    json_: AsJson = False,
) -> None:
    """Make an account, and print the one-time code with which its owner sets a password within the hour.

    Example: coordinator account add ann.smith --role analyst --agreement north-east
    """
    check_name(name)
    now = now_utc()
    code = new_code(os.urandom)
    row = AccountRow(
        name=name,
        kind="local",
        roles=_roles(role),
        agreements=_agreements(agreement),
        code_hash=code_hash(code),
        code_until=now + CODE_GOOD_FOR,
        created_at=now,
        changed_at=now,
    )
    with opened(settings) as (found, store):
        if not store.accounts.add(row, by=COMMAND_LINE):
            raise FileProblem(
                f"The name '{name}' was given before; a name is never given to somebody else.",
                remedy="Take another, or look at 'coordinator account list'.",
            )
        _print_code(found, name, code, now + CODE_GOOD_FOR, as_json=json_)


def _roles(roles: Sequence[Role]) -> str:
    return " ".join(sorted({role.value for role in roles}))


def _agreements(ids: Sequence[str] | None) -> str:
    form = TypeAdapter(Name)
    for id_ in ids or ():
        try:
            form.validate_python(id_)
        except ValidationError as error:
            raise QueryError(
                f"'{id_}' cannot be the id of an agreement.", remedy="It stands in the agreement."
            ) from error
    return " ".join(sorted(set(ids or ())))


def _print_code(settings: Settings, name: str, code: str, until: datetime, *, as_json: bool) -> None:
    address = settings.console.public_address
    page = None if address is None else f"{address}/set-password"
    if as_json:
        output.print_json(json.dumps({"name": name, "code": code, "until": time_text(until), "page": page}))
        return
    output.print(f"Code for {name}, good once, until {time_text(until)}:")
    output.print(f"  {code}")
    where = page or "the page /set-password of the web pages"
    output.print(f"Give it to them by telephone or in person. They set their password at {where}.")


@app.command("list")
def account_list(*, settings: SettingsFile = DEFAULT_FILE, json_: AsJson = False) -> None:
    """Show the accounts.

    Example: coordinator account list --json
    """
    with opened(settings) as (_, store):
        rows = store.accounts.all()
    shown: list[dict[str, str | list[str]]] = [
        {
            "name": row.name,
            "kind": row.kind,
            "state": _state(row),
            "roles": row.roles.split(),
            "agreements": row.agreements.split(),
            "created_at": time_text(row.created_at),
        }
        for row in rows
    ]
    if json_:
        output.print_json(json.dumps(shown))
        return
    table = Table("Name", "Kind", "State", "Roles", "Agreements", "Made")
    for row in shown:
        table.add_row(*(value if isinstance(value, str) else ", ".join(value) for value in row.values()))
    output.print(table)


def _state(row: AccountRow) -> str:
    waits = row.kind == "local" and row.state == "active" and row.password_hash is None
    return "waits for its password" if waits else row.state


@app.command("roles")
def account_roles(
    name: Named, role: Roles, agreement: Agreements = None, *, settings: SettingsFile = DEFAULT_FILE
) -> None:
    """Give an account these roles and agreements, and no others; whoever is signed in with it must sign in again.

    Example: coordinator account roles ann.smith --role reviewer --agreement north-east
    """
    with opened(settings) as (_, store):
        if _known(store, name).kind != "local":
            raise QueryError(
                f"The roles of {name} come from the OpenID provider.",
                remedy="Change its groups there, or the setting 'console.sign_in.openid'.",
            )
        rights = {"roles": _roles(role), "agreements": _agreements(agreement)}
        store.accounts.set_rights(name, by=COMMAND_LINE, now=now_utc(), **rights)
    output.print(f"{name} is now: {rights['roles']}. It sees: {rights['agreements'] or 'no agreement'}.")


@app.command("lock")
def account_lock(name: Named, settings: SettingsFile = DEFAULT_FILE) -> None:
    """Sign an account out everywhere, and let nobody in with it until it is unlocked.

    Example: coordinator account lock ann.smith
    """
    _move(name, settings_file=settings, state="locked", said="is locked, and signed out everywhere")


@app.command("unlock")
def account_unlock(name: Named, settings: SettingsFile = DEFAULT_FILE) -> None:
    """Let people in with an account again.

    Example: coordinator account unlock ann.smith
    """
    _move(name, settings_file=settings, state="active", said="is unlocked")


@app.command("remove")
def account_remove(name: Named, settings: SettingsFile = DEFAULT_FILE) -> None:
    """Remove an account. Its name stays, so that the record of what it did is never read as somebody else's.

    Example: coordinator account remove ann.smith
    """
    _move(name, settings_file=settings, state="removed", said="is removed")


def _move(name: str, *, settings_file: SettingsFile, state: str, said: str) -> None:
    with opened(settings_file) as (_, store):
        _known(store, name)
        store.accounts.set_state(name, state, by=COMMAND_LINE, now=now_utc())
    output.print(f"{name} {said}.")


@app.command("reset")
def account_reset(name: Named, *, settings: SettingsFile = DEFAULT_FILE, json_: AsJson = False) -> None:
    """Put a new one-time code in the place of an account's password, and end any wait after wrong passwords.

    Example: coordinator account reset ann.smith
    """
    now = now_utc()
    code = new_code(os.urandom)
    with opened(settings) as (found, store):
        if _known(store, name).kind != "local":
            raise QueryError(f"{name} has no password here.", remedy="It is reset at the OpenID provider.")
        until = now + CODE_GOOD_FOR
        store.accounts.set_code(name, code_hash=code_hash(code), until=until, by=COMMAND_LINE, now=now)
        store.sign_ins.forget(pigeonhole(name))
        _print_code(found, name, code, until, as_json=json_)


@app.command("token")
def account_token(
    name: Named,
    label: Annotated[str, typer.Option("--for", help="What the token is for.")],
    days: Annotated[int, typer.Option(help="Days that it is good, 1 to 366.")],
    scope: Annotated[Scope, typer.Option("--may", help="What it may do at most.")] = Scope.READ,
    *,
    settings: SettingsFile = DEFAULT_FILE,
    json_: AsJson = False,
) -> None:
    """Make a token with which a program asks in the name of an account; it is printed this once.

    Example: coordinator account token monthly.report --for "Monthly report" --days 90
    """
    with opened(settings) as (_, store):
        account = _known(store, name)
        token, row = make_token(
            store, account, label=label, scope=scope, days=days, by=COMMAND_LINE, rng=os.urandom, now=now_utc()
        )
    if json_:
        output.print_json(json.dumps({"name": name, "token": token, "until": time_text(row.until)}))
        return
    output.print(f"Token for {name}, good until {time_text(row.until)}:")
    output.print(f"  {token}")
    output.print("It is not shown again. Keep it like a password.")


@app.command("tokens")
def account_tokens(name: Named, *, settings: SettingsFile = DEFAULT_FILE, json_: AsJson = False) -> None:
    """Show the tokens of an account.

    Example: coordinator account tokens monthly.report
    """
    with opened(settings) as (_, store):
        _known(store, name)
        rows = store.tokens.of_account(name)
    shown = [
        {
            "begins": row.prefix,
            "for": row.label,
            "may": row.scope,
            "until": time_text(row.until),
            "last_used": None if row.used_at is None else time_text(row.used_at),
            "taken_back": None if row.revoked_at is None else time_text(row.revoked_at),
        }
        for row in rows
    ]
    if json_:
        output.print_json(json.dumps(shown))
        return
    table = Table("Begins", "For", "May", "Until", "Last used", "Taken back")
    for found in shown:
        table.add_row(*(value or "–" for value in found.values()))
    output.print(table)


@app.command("revoke")
def account_revoke(
    name: Named,
    begins: Annotated[str, typer.Argument(help="How the token begins, as 'coordinator account tokens' shows it.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Take a token of an account back; programs that use it are let in no more.

    Example: coordinator account revoke monthly.report hst_4fW1xQ9a
    """
    with opened(settings) as (_, store):
        _known(store, name)
        if not store.tokens.revoke(begins, account=name, by=COMMAND_LINE, now=now_utc()):
            raise FileProblem(
                f"{name} has no token that begins with '{begins}'.", remedy="'coordinator account tokens' shows them."
            )
    output.print("The token is taken back.")


def _known(store: Store, name: str) -> AccountRow:
    row = store.accounts.get(name)
    if row is None or row.state == "removed":
        raise FileProblem(f"There is no account '{name}'.", remedy="'coordinator account list' shows them all.")
    return row
