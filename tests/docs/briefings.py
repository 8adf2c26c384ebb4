"""The three briefings, made from one list of facts, so that they cannot come to say different things."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "docs/toolkit/facts.yaml"
READERS = {
    "leaders": ("Briefing for leaders", "For elected members, chief executives and directors. Two minutes."),
    "managers": ("Briefing for managers", "For heads of housing, of data and of IT. Four minutes."),
    "operations": (
        "Briefing for operations",
        "For the people who record cases and look after the extract. Three minutes.",
    ),
}
NEXT = {
    "leaders": "Ask your data protection officer for the [summary](data-protection-summary.md), and decide whether to look further.",
    "managers": "Read [what this will take](what-this-will-take.md), then start the [checklist](checklist.md).",
    "operations": "Read the [guide for housing officers](../guides/roles/housing-officer.md).",
}


def read_facts(text: str) -> list[dict[str, Any]]:
    """The facts; a fact for nobody, or for somebody unknown, is refused."""
    facts = yaml.safe_load(text)["facts"]
    for fact in facts:
        if set(fact) != {"text", "where", "for"} or not fact["for"] or not set(fact["for"]) <= set(READERS):
            raise ValueError(f"facts.yaml: text, where and for were expected, not {fact}")
    return facts


def pages() -> dict[str, str]:
    """The briefings by path."""
    facts = read_facts(FACTS.read_text(encoding="utf-8"))
    return {f"docs/toolkit/briefing-{reader}.md": briefing(reader, facts) for reader in READERS}


def briefing(reader: str, facts: list[dict[str, Any]]) -> str:
    title, start = READERS[reader]
    lines = [
        f"# {title}",
        "",
        start,
        "",
        "Councils answer questions about homelessness together, without sending records.",
        "",
    ]
    lines += [f"* {fact['text']} ([more]({fact['where']}))" for fact in facts if reader in fact["for"]]
    return "\n".join(
        [*lines, "", f"**Next.** {NEXT[reader]}", "", "Made by `make docs` from [one list of facts](facts.yaml).", ""]
    )
