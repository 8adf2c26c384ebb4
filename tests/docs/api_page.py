"""The page of the programs' interface, made from the OpenAPI description that it gives itself."""

import json
from collections.abc import Iterator
from typing import Any

from coordinator.api.site import CALLS, PREFIX, description
from coordinator.sign_in.operations import RULES

TITLE = "# Calls of the programs’ interface"
ABOUT = """How to use it is on the page [for programs](../api.md). The same as
[OpenAPI](openapi.json), which the coordinator also gives at `/api/v1/openapi.json`. “Anyone” needs no token. Whatever goes
wrong is a problem document with a code, a rule and a remedy. This page is made by `make docs`."""


def openapi() -> str:
    """The description as it is kept."""
    return json.dumps(description(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def render() -> str:
    """The page."""
    made = description()
    lines = [TITLE, "", ABOUT]
    for call in CALLS:
        item = made["paths"][f"{PREFIX}{call.path}"][call.method.lower()]
        lines += ["", f"## {call.method} {call.path}", "", item["summary"], ""]
        rule = RULES[call.operation]
        roles = "anyone" if rule.public else ", ".join(sorted(rule.roles))
        lines += [f"For {roles}{' of the agreement' if rule.of_agreement else ''}.", ""]
        lines += _taken(item, made)
        lines += _given(item, made)
    return "\n".join(lines).rstrip() + "\n"


def _taken(item: dict[str, Any], made: dict[str, Any]) -> Iterator[str]:
    rows = [
        (one["name"], f"in the {one['in']}", one.get("description", one["schema"].get("description", "")))
        for one in item.get("parameters", [])
    ]
    if "requestBody" in item:
        form = _form(item["requestBody"]["content"]["application/json"]["schema"], made)
        rows += [(name, "in the body", field["description"]) for name, field in form["properties"].items()]
    if rows:
        yield from ("| Takes | Where | What |", "|---|---|---|")
        yield from (f"| `{name}` | {where} | {what} |" for name, where, what in rows)
        yield ""


def _given(item: dict[str, Any], made: dict[str, Any]) -> Iterator[str]:
    good = next(reply for status, reply in sorted(item["responses"].items()) if status.startswith("2"))
    schema = good["content"].get("application/json", {}).get("schema", {})
    if "$ref" not in schema:
        yield f"Gives a file: {', '.join(f'`{kind}`' for kind in sorted(good['content']))}."
        return
    yield from ("| Gives | What |", "|---|---|")
    yield from (f"| `{path}` | {what} |" for path, what in fields_of(schema, made))


def fields_of(schema: dict[str, Any], made: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a form with what it is, and of the forms in it."""
    for name, field in _form(schema, made)["properties"].items():
        path = f"{before}{name}"
        inner = next((one for one in (field, *field.get("anyOf", ())) if "$ref" in one), None)
        listed = field.get("items", {})
        form = inner or (listed if "$ref" in listed else None)
        if form is not None and "enum" in _form(form, made):
            form = None  # a word of a closed list
        yield path, field.get("description") or (_form(form, made).get("description", "") if form else "")
        if form is not None:
            yield from fields_of(form, made, f"{path}[]." if form is listed else f"{path}.")


def _form(schema: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found
