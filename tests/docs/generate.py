"""Makes the generated pages again: `make docs`. `test_generated_pages.py` fails when one of them is out of date."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import typer.main
from pydantic import BaseModel
from sqlalchemy import Table

from benchmarks import performance_page
from coordinator.cli import app as coordinator_app
from coordinator.proposal_states import ProposalEvent, ProposalState
from coordinator.proposal_states import next_state as next_proposal_state
from coordinator.store.tables import METADATA
from council_node.cli import app as node_app
from council_node.event_log import EVENTS, Event
from council_node.mapping import ExtractMapping
from council_node.mapping.profile import Profile
from council_node.policy_file import Policy
from council_node.settings import Settings as NodeSettings
from federated.agreement import Agreement
from federated.cli import app as federated_app
from federated.crossings import in_words
from federated.errors import InternalError
from federated.manifest import Manifest
from federated.model_docs import render
from federated.schema import Column, Dataset, load_schema
from federated.workspace import Workspace
from mask_holder.cli import app as holder_app
from mask_holder.events import HOLDER_EVENTS
from mask_holder.settings import Settings as HolderSettings
from protocols.secagg.transitions import AGGREGATOR, HOLDER, PARTICIPANT
from tests.docs import (
    api_page,
    attack_table,
    audit_page,
    authorisation_page,
    briefings,
    faults_page,
    left_out,
    refusals,
    threats,
    twelve_questions,
)
from tests.spec import consistent_page
from tests.spec.analyses import pages as analysis_pages
from tests.spec.render import pages as statistic_pages

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "federated": federated_app,
    "council-node": node_app,
    "mask-holder": holder_app,
    "coordinator": coordinator_app,
}
_PART = "<!-- made by make docs: {name} -->\n"
_END = "<!-- end -->"


def pages() -> dict[str, str]:
    """Every generated page by its path."""
    made = {f"docs/reference/{model.__name__.lower()}.md": render(model) for model in (Agreement, Manifest)}
    made |= {
        "docs/reference/settings.md": settings_page(NodeSettings, "Settings of a council node", "council-node init"),
        "docs/reference/mask-holder-settings.md": settings_page(
            HolderSettings, "Settings of a mask holder", "mask-holder init"
        ),
        "docs/reference/mapping.md": settings_page(ExtractMapping, "Mapping file of a council", "council-node map"),
        "docs/reference/profile.md": settings_page(Profile, "Mapping profile of a case system", None),
        "docs/reference/policy.md": settings_page(Policy, "Policy of a council", "council-node init"),
        "docs/reference/workspace.md": settings_page(Workspace, "Workspace of an analyst or reviewer", None),
        "docs/reference/refusals.md": refusals.render(),
        "docs/reference/authorisation.md": authorisation_page.render(),
        "docs/reference/api.md": api_page.render(),
        "docs/reference/openapi.json": api_page.openapi(),
        "docs/reference/data.md": data_page(),
        "docs/reference/commands.md": commands_page(),
        "docs/reference/log.md": log_page(),
    }
    made |= statistic_pages()
    made |= consistent_page.pages()
    made |= analysis_pages()
    made |= twelve_questions.pages()
    made |= briefings.pages()
    architecture = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    made["docs/architecture.md"] = with_parts(architecture, architecture_parts())
    performance = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    made["docs/performance.md"] = with_parts(performance, performance_page.parts())
    audit = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    made["docs/audit.md"] = with_parts(audit, audit_page.parts())
    faults = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    made["docs/faults.md"] = with_parts(faults, faults_page.parts())
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    made["SECURITY.md"] = with_parts(security, attack_table.parts() | left_out.parts())
    threats_page = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    made["docs/threat-model.md"] = with_parts(threats_page, threats.parts())
    return made


def settings_page(form: type[BaseModel], title: str, command: str | None) -> str:
    """The page of a settings file: what every line is for."""
    start = "The file is YAML." if command is None else f"The file is YAML; `{command}` writes one to start from."
    tables = re.sub(r"otherwise `\w+=[^`]*`", "otherwise as below", render(form).split("\n## ", maxsplit=1)[1])
    made = "This page is made by `make docs` from the form that the program checks."
    return f"# {title}\n\n{start}\n{made}\n\n## {tables}"


def log_page() -> str:
    """Every event of a node's log."""
    lines = [
        "# Log of a council node",
        "",
        "JSON lines on standard output. Every line has `time`, `level`, `event`, `council` and `log`, the version of this",
        "form; and where they apply `request`, `plan` and `sid`. What is not listed here is not written.",
        "This page is made by `make docs` from the list that the program writes by.",
        "",
        *_events(EVENTS),
        "",
        "## Log of a mask holder",
        "",
        "The same lines, with `holder` where a node's have `council`; these events, and no others:",
        "",
        *_events(HOLDER_EVENTS),
    ]
    return "\n".join(lines) + "\n"


def _events(events: Mapping[str, Event]) -> Iterator[str]:
    yield from ("| Event | Level | What happened | Fields |", "|---|---|---|---|")
    for name, event in events.items():
        fields = ", ".join(f"`{field}`" for field in event.fields) or "–"
        yield f"| `{name}` | {event.level} | {event.says} | {fields} |"


# Architecture


def architecture_parts() -> dict[str, str]:
    """The parts of the architecture page that are made from the code."""
    proposals = {
        (state, event): after
        for state in ProposalState
        for event in ProposalEvent
        if (after := _proposal(state, event))
    }
    return {
        "participant": state_table(PARTICIPANT, "The council is at"),
        "aggregator": state_table(AGGREGATOR, "The coordinator is at"),
        "holder": state_table(HOLDER, "The mask holder is at"),
        "proposal": state_table(proposals, "The proposal is"),
        "coordinator store": store_table(),
    }


def _proposal(state: ProposalState, event: ProposalEvent) -> ProposalState | None:
    try:
        return next_proposal_state(state, event)
    except InternalError:
        return None


def state_table(table: Mapping[tuple[StrEnum, StrEnum], StrEnum], heading: str) -> str:
    """A transition table as a page table; an event that leads to one place from everywhere gets one row."""
    states = list(type(next(iter(table))[0]))
    everywhere = {event for _, event in table if all((state, event) in table for state in states)}
    lines = [f"| {heading} | Event | Then |", "|---|---|---|"]
    for (state, event), after in table.items():
        if event not in everywhere:
            lines.append(f"| {state.value} | {event.value} | {'stays' if after is state else after.value} |")
    for event in sorted(everywhere):
        (after,) = {after for (_, found), after in table.items() if found is event}
        lines.append(f"| any | {event.value} | {after.value} |")
    return "\n".join(lines) + "\n"


def store_table() -> str:
    lines = ["| Table | Key | Other columns |", "|---|---|---|"]
    lines += [
        f"| `{table.name}` | {_names(table, keys=True)} | {_names(table, keys=False)} |"
        for table in METADATA.sorted_tables
    ]
    return "\n".join(lines) + "\n"


def _names(table: Table, *, keys: bool) -> str:
    return ", ".join(f"`{column.name}`" for column in table.columns if column.primary_key is keys)


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """A page with each marked part replaced."""
    for name, content in parts.items():
        start = _PART.format(name=name)
        if start not in text:
            raise ValueError(f"the page has no part '{start.strip()}'")
        before, after = text.split(start, maxsplit=1)
        text = before + start + content + _END + after.split(_END, maxsplit=1)[1]
    return text


# Data dictionaries


def data_page() -> str:
    """What can be asked about: every data set, column and code."""
    schema = load_schema()
    lines = [
        "# What can be asked about",
        "",
        "Every data set, its columns, and the codes of each column. An agreement lists those that may be read.",
        "Class 0 is ordinary, 1 personal, 2 special category, criminal-offence or immigration data. A column marked 1–2",
        "holds codes of class 2 and needs a named approval as well. A column with a protected characteristic beside it",
        "takes more where it is crossed with another: see the [analyst's guide](../guides/analyst.md). This page is made",
        "by `make docs`.",
    ]
    for dataset in schema.datasets.values():
        lines += ["", f"## {dataset.title}", "", f"Data set `{dataset.name}`; the unit is one {dataset.unit}.", ""]
        lines += ["| Column | What it is | Kind | Class | Protected characteristic |", "|---|---|---|---|---|"]
        lines += [
            f"| `{column.name}` | {column.label} | {_kind(column)} | {_class(column)} | {_characteristics(column)} |"
            for column in dataset.columns.values()
        ]
        lines += [line for column in dataset.columns.values() for line in _codes(dataset, column)]
    return "\n".join(lines) + "\n"


def _kind(column: Column) -> str:
    kind = column.type.value
    if column.derived_from is not None:
        return f"{kind}, made from `{column.derived_from}`"
    return f"{kind}, {column.low} to {column.high}" if kind == "integer" else kind


def _class(column: Column) -> str:
    low, high = column.sensitivity_class, column.highest_class
    return str(low) if low == high else f"{low}–{high}"


def _characteristics(column: Column) -> str:
    return in_words(tuple(sorted(column.characteristics))) if column.characteristics else ""


def _codes(dataset: Dataset, column: Column) -> Iterator[str]:
    if column.codes:
        yield from ("", f"### `{dataset.name}.{column.name}`", "", "| Code | Meaning |", "|---|---|")
        yield from (f"| `{code.code}` | {code.label} |" for code in column.codes)


# Commands


def commands_page() -> str:
    """Every command with its options."""
    lines = [
        "# Commands",
        "",
        "Every command, as `--help` tells it. This page is made by `make docs`.",
        "",
        "Exit status: 0 done, 1 a fault of ours, 2 wrong use, 3 something to mend in a file or question, 4 refused,",
        "5 over budget, 6 too few councils, 7 no release, 8 no connection, 9 a signature is missing or wrong.",
    ]
    for name, app in COMMANDS.items():
        command = typer.main.get_command(app)
        lines += ["", f"## `{name}`", "", command.help or ""]
        lines += [line for path, found in leaves(command, (name,)) for line in _command(path, found)]
    return "\n".join(lines) + "\n"


def leaves(command: click.Command, path: Sequence[str]) -> Iterator[tuple[str, click.Command]]:
    """The commands under a command, each with what is typed for it."""
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield " ".join(path), command
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path), command


def _command(path: str, command: click.Command) -> Iterator[str]:
    described, _, example = (command.help or "").partition("Example: ")
    yield from ("", f"### `{path}`", "", " ".join(described.split()))
    if example:
        yield from ("", "```", " ".join(example.split()), "```")
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if shown:
        yield from ("", "| | | |", "|---|---|---|")
        yield from (_parameter(parameter) for parameter in shown)


def _parameter(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        names = ", ".join(f"`{name}`" for name in parameter.opts)
    else:
        names = f"`{(parameter.name or '').upper()}`"
    return f"| {names} | {getattr(parameter, 'help', '') or ''} | {_needed(parameter)} |"


def _needed(parameter: click.Parameter) -> str:
    default: Any = parameter.default
    if parameter.required:
        return "needed"
    return (
        ""
        if default in (None, False, "", ()) or callable(default)
        else f"otherwise `{re.sub(r'[|]', '', str(default))}`"
    )


def main() -> None:
    """Write every page that differs."""
    for name, content in pages().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"Wrote {name}")


if __name__ == "__main__":
    main()
