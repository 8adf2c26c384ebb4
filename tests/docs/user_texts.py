"""Every text that a person meets outside the pages: help, errors and their remedies, refusals, templates."""

import ast
import re
from collections.abc import Iterator

import click
import typer.main

from tests.architecture.source_tree import modules
from tests.docs.generate import COMMANDS, leaves
from tests.docs.pages import ROOT
from tests.docs.refusals import RULES

PACKAGES = ("council_node", "mask_holder", "federated", "coordinator")
ERRORS = re.compile(r"(Error|Problem|Refusal|Exceeded|TooSmall|Alarm|Aborted|Broken|Conflict|Fault)$")
TEMPLATES = (
    "council_node/proof/templates/*.md",
    "council_node/page/templates/*.html",
    "coordinator/console/templates/*.html",
    "federated/outputs/templates/*.html",
    "federated/pages/templates/*.html",
)


def help_texts() -> Iterator[tuple[str, str]]:
    """What `--help` says of each command and option."""
    for name, app in COMMANDS.items():
        for path, command in leaves(typer.main.get_command(app), (name,)):
            described, _, _ = (command.help or "").partition("Example: ")
            yield path, " ".join(described.split())
            yield from ((f"{path} {p.name}", p.help) for p in command.params if isinstance(p, click.Option) and p.help)


def refusal_texts() -> Iterator[tuple[str, str]]:
    """What the page of refusals says of each rule."""
    for rules in RULES.values():
        for rule, (meaning, remedy) in rules.items():
            yield rule, f"{meaning} {remedy}"


def error_texts() -> Iterator[tuple[str, str]]:
    """Message and remedy of each error that is raised, values left out."""
    for package in PACKAGES:
        for name, tree in modules(package):
            yield from texts_of(name, tree)


def texts_of(name: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The same of one module."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if ERRORS.search(called):
            given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "remedy")]
            for text in filter(None, map(_text, given)):
                yield f"{name}:{call.lineno}", text


def _text(node: ast.expr) -> str:
    """The words of a literal; what is filled in reads as a name."""
    match node:
        case ast.Constant(value=str() as text) if " " in text:
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "Name" for part in parts)
        case _:
            return ""


def template_texts() -> Iterator[tuple[str, str]]:
    """What the templates of papers and pages say, without marks and what is filled in."""
    for pattern in TEMPLATES:
        for path in sorted(ROOT.glob(pattern)):
            yield str(path.relative_to(ROOT)), words_of_template(path.read_text(encoding="utf-8"))


def words_of_template(text: str) -> str:
    """The words of a Jinja template, of Markdown or of HTML."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}", "\n", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "Name", text, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", "\n", text)
