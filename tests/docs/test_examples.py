"""Every example in a guide is true: YAML is read by the program's own forms, commands and options exist, Python runs."""

import shlex

import click
import pytest
import typer.main
import yaml

from coordinator.cli import app as coordinator_app
from council_node.cli import app as node_app
from council_node.mapping import parse_mapping
from council_node.policy_file import Policy
from council_node.settings import Settings as NodeSettings
from federated.cli import app as federated_app
from federated.errors import FederatedError
from federated.query import parse_query, write_query
from federated.query.check import check_query
from federated.schema import load_schema
from federated.trust import TrustSettings
from federated.workspace import Workspace
from federated.yaml_document import read_form
from mask_holder.cli import app as holder_app
from tests.docs.pages import fenced, page

GUIDES = ("docs/guides/council-it.md", "docs/guides/analyst.md", "docs/guides/reviewer.md", "docs/guides/first-hour.md")
PAGES = (*GUIDES, "docs/toolkit/mergers-and-codes.md", "README.md", "CONTRIBUTING.md")
COMMANDS = {
    "federated": federated_app,
    "council-node": node_app,
    "mask-holder": holder_app,
    "coordinator": coordinator_app,
}
FORMS = {"settings": NodeSettings, "policy": Policy, "workspace": Workspace, "roster_keys": TrustSettings}


def read_example(text: str) -> str:
    """Read an example by the form its first field names; the name of what it is."""
    kind = next(iter(yaml.safe_load(text)))
    content = text.encode()
    if kind == "query":
        question = parse_query(content)
        check_query(question, load_schema())
        assert parse_query(write_query(question).encode()) == question
    elif kind == "mapping":
        parse_mapping(content, source="example", schema=load_schema())
    else:
        read_form(FORMS[kind], content, source="example", remedy="")
    return kind


def yaml_examples():
    return [(name, text) for name in GUIDES for text in fenced(page(name), "yaml")]


@pytest.mark.parametrize(("name", "text"), yaml_examples())
def test_a_yaml_example_is_read(name, text):
    assert read_example(text)


def test_every_form_that_a_person_writes_is_shown():
    shown = {read_example(text) for _, text in yaml_examples()}
    assert shown == {"query", "mapping", *FORMS}


def test_the_questions_show_every_part_of_the_form():
    questions = "\n".join(text for _, text in yaml_examples() if text.startswith("query:"))
    parts = ("equals", "in:", "between", "all:", "any:", "not:", "count: households", "count: rows", "sum:", "mean:")
    parts += ("clip:", "part: month", "part: quarter", "level: region", "max_cells:")
    assert [part for part in parts if part not in questions] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("epsilon: ", "epsilom: "), ("dataset: case", "dataset: cases"), ("[reason_loss_group]", "[reason_for_loss]")],
)
def test_an_example_that_is_wrong_is_found(old, new):
    text = next(text for _, text in yaml_examples() if text.startswith("query:") and old in text)
    with pytest.raises(FederatedError):
        read_example(text.replace(old, new))


def shell_lines():
    lines = [(name, line) for name in PAGES for text in fenced(page(name), "sh") for line in text.splitlines()]
    return [(name, line) for name, line in lines if line.strip()]


def check_command(line: str) -> None:
    """Parse a command line as its program would, without running it."""
    program, *arguments = shlex.split(line, comments=True)
    command: click.Command = typer.main.get_command(COMMANDS[program])
    context = command.make_context(program, [arguments.pop(0)], resilient_parsing=True)
    names = [shlex.split(line)[1]]
    while isinstance(command, click.Group):
        if command.invoke_without_command and (not arguments or arguments[0].startswith("-")):
            break
        name = names.pop(0) if names else arguments.pop(0)
        inner = command.get_command(context, name)
        assert inner is not None, f"there is no '{name}' in {context.command_path}"
        context, command = click.Context(inner, info_name=name, parent=context), inner
    command.make_context(command.name, list(arguments))


@pytest.mark.parametrize(("name", "line"), shell_lines())
def test_a_command_in_a_guide_exists(name, line):
    check_command(line)


@pytest.mark.parametrize(
    "line",
    [
        "federated plans question.yaml",
        "federated plan question.yaml",
        "federated plan question.yaml --manifest m.yaml --cheap",
        "federated agreement sing a.yaml --key k --out o",
        "council-node refuse 3f2a",
    ],
)
def test_a_command_that_does_not_exist_is_found(line):
    with pytest.raises((click.ClickException, AssertionError)):
        check_command(line)


@pytest.mark.parametrize("text", [text for name in GUIDES for text in fenced(page(name), "python")])
def test_a_python_example_runs(text):
    exec(compile(text, "example", "exec"), {})
