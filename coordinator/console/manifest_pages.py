"""The manifest of a draft, page by page, with what the linter says beside each field.

What is typed is kept whether or not it is finished. Only a manifest that the linter and the agreement accept can be
signed, and each council's node checks it again.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from coordinator.console.desk import Asked, Desk, Moved
from coordinator.console.drafts import Draft, keep, open_draft, pasted, text_page
from coordinator.console.manifest_fields import (
    SECTIONS,
    Section,
    first_document,
    matched_to,
    section_blocks,
    taken_from,
)
from federated.agreement import Agreement
from federated.errors import FederatedError, FileProblem
from federated.manifest import LintFinding, Severity, check_columns, check_manifest, lint_payload, parse_manifest
from federated.query import Query
from federated.schema import Dataset
from federated.yaml_document import read_document, write_document

__all__ = [
    "begun_document",
    "document_of",
    "errors_in",
    "keep_section",
    "keep_text",
    "problems_of",
    "show",
    "show_section",
    "show_text",
]

_NAMED: Final = {section.name: section for section in SECTIONS}
NAME_LENGTH: Final = 50


def document_of(desk: Desk, draft: Draft) -> dict[str, Any]:
    """What the manifest says so far, matched to what the question reads now."""
    dataset = draft.ground.dataset
    if not draft.row.manifest:
        return begun_document(desk, draft.question, draft.ground.agreement, dataset)
    read = read_document(draft.row.manifest.encode("utf-8"), source="manifest")
    return matched_to(read if isinstance(read, dict) else {}, draft.question, dataset)


def begun_document(desk: Desk, question: Query, agreement: Agreement, dataset: Dataset) -> dict[str, Any]:
    """A manifest of which nobody has written anything yet."""
    name = re.sub(r"[^a-z0-9]+", "-", question.title.lower()).strip("-0123456789")[:NAME_LENGTH].strip("-")
    return first_document(question, agreement, dataset, name=name or "question", today=desk.clock().date())


def problems_of(draft: Draft, text: str) -> tuple[LintFinding, ...]:
    """Everything to mend in a manifest: its wording, and what its agreement and its question do not allow."""
    found = lint_payload(text.encode("utf-8"))
    if any(item.severity is Severity.ERROR for item in found):
        return found
    manifest = parse_manifest(text.encode("utf-8"))
    try:
        check_manifest(manifest, draft.ground.agreement)
        check_columns(manifest, dataset=draft.question.dataset, columns=draft.question.columns())
    except FederatedError as error:
        refused = LintFinding(field="the manifest", problem=str(error), advice=error.remedy, severity=Severity.ERROR)
        return (refused, *found)
    return found


def errors_in(found: tuple[LintFinding, ...]) -> tuple[LintFinding, ...]:
    """Those that keep a manifest from being signed."""
    return tuple(item for item in found if item.severity is Severity.ERROR)


def show(desk: Desk, asked: Asked) -> str:
    """The sections, with how much each still needs."""
    draft = open_draft(desk, asked)
    text = write_document(document_of(desk, draft))
    found = problems_of(draft, text)
    shown = [(section, sum(_section_of(item) is section for item in errors_in(found))) for section in SECTIONS]
    return desk.page(
        "manifest.html",
        asked.visitor,
        title="The manifest",
        current="/ask",
        draft=draft,
        sections=shown,
        others=[item for item in errors_in(found) if _section_of(item) is None],
        warnings=[item for item in found if item.severity is Severity.WARNING],
        ready=not errors_in(found),
    )


def _section_of(finding: LintFinding) -> Section | None:
    first = finding.field.partition(".")[0]
    return next((section for section in SECTIONS if first in section.fields), None)


def _section(asked: Asked) -> Section:
    found = _NAMED.get(asked.names["section"])
    if found is None:
        raise FileProblem("The manifest has no such part.", remedy="Its page leads to all there are.")
    return found


def show_section(desk: Desk, asked: Asked) -> str:
    """The form of one section."""
    draft, section = open_draft(desk, asked), _section(asked)
    return _section_page(desk, asked, draft, section, document_of(desk, draft), told=False)


def _section_page(
    desk: Desk, asked: Asked, draft: Draft, section: Section, document: Mapping[str, Any], *, told: bool
) -> str:
    """One section; what is wrong is told once it was sent, and before that of fields that are filled in."""
    blocks = section_blocks(section, document)
    fields = {field.path: field for block in blocks for field in block.fields}
    found = [item for item in problems_of(draft, write_document(document)) if _section_of(item) is section]
    errors: dict[str, str] = {}
    better: dict[str, str] = {}
    for item in found:
        kept = better if item.severity is Severity.WARNING else errors
        if told or (item.field in fields and fields[item.field].value):
            where = item.field if item.field in fields else next(iter(fields), item.field)
            kept.setdefault(where, f"{item.problem} {item.advice}")
    return desk.page(
        "manifest_section.html",
        asked.visitor,
        title=section.title,
        current="/ask",
        errors=errors,
        better=better,
        draft=draft,
        section=section,
        number=SECTIONS.index(section) + 1,
        most=len(SECTIONS),
        blocks=blocks,
    )


def keep_section(desk: Desk, asked: Asked) -> str | Moved:
    """Keep what was typed, and say what is to mend; go on when nothing is."""
    draft, section = open_draft(desk, asked), _section(asked)
    document = taken_from(section, asked.form, document_of(desk, draft))
    text = write_document(document)
    draft = keep(desk, draft, manifest=text)
    if any(_section_of(item) is section for item in errors_in(problems_of(draft, text))):
        return _section_page(desk, asked, draft, section, document, told=True)
    return Moved(to=f"{draft.address}/manifest")


def show_text(desk: Desk, asked: Asked) -> str:
    """The manifest as text, to replace with one written elsewhere."""
    draft = open_draft(desk, asked)
    text = draft.row.manifest or write_document(document_of(desk, draft))
    return text_page(desk, asked, draft, text, {}, what="manifest")


def keep_text(desk: Desk, asked: Asked) -> str | Moved:
    """Keep a manifest that was pasted, finished or not."""
    draft, text = open_draft(desk, asked), pasted(asked)
    try:
        read = read_document(text.encode("utf-8"), source="manifest")
        if not isinstance(read, dict):
            raise FileProblem("A manifest has named fields.", remedy="Paste the whole file.")
        keep(desk, draft, manifest=write_document(read))
    except FederatedError as error:
        return text_page(desk, asked, draft, text, {"text": error.diagnostics()}, what="manifest")
    return Moved(to=f"{draft.address}/manifest")
