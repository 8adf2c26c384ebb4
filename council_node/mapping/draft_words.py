"""What `council-node map` says about a draft, in plain sentences and for programs. JSON holds no text of a case."""

from collections.abc import Iterator
from pathlib import Path

from council_node.mapping.draft import Draft, DraftColumn

__all__ = ["advice", "draft_json"]


def advice(draft: Draft, *, asked: bool) -> Iterator[str]:
    """Plain sentences about what was left out, and what to do next."""
    for item in draft.never_read:
        how = "looks like" if not item.by_content else "holds what looks like"
        yield f"Never read: '{item.heading}' {how} {item.kind}."
    for sentence in draft.telling_keys:
        yield f"{sentence} Use a reference that says nothing by itself, if there is one."
    for name in draft.too_various:
        yield f"Left out: the heading chosen for '{name}' holds too many different texts to be a category."
    for heading in draft.month_first:
        yield f"The dates under '{heading}' seem to have the month first. Export them as 2025-02-19, or day first."
    for name, options in draft.left_out.items():
        headings = " or ".join(f"'{one.heading}'" for one in options[:3])
        yield f"Left out: '{name}' may be {headings}, but that is not sure."
    if draft.left_out and not asked:
        yield "Run it again without --yes to be asked about these, or add them to the file by hand."
    if draft.without:
        yield f"No heading was found for: {', '.join(draft.without)}. Questions about these cannot be answered."
    if draft.unused:
        yield f"Not used: {', '.join(repr(heading) for heading in draft.unused)}."
    yield from _warnings(draft)


def _warnings(draft: Draft) -> Iterator[str]:
    objections = draft.columns.get("opted_out")
    if objections is not None and objections.rows_unknown:
        rows = f"{objections.rows_unknown:,} rows"
        yield f"Objections: {rows} hold wording that is not understood. Each counts as an objection."
    if "opted_out" in draft.without:
        yield "Nothing says who objects (opted_out), so no objection can be honoured. Add a column to the export."
    if "household_key" in draft.without:
        yield "Nothing links the cases of one household (household_key): repeat applications count separately."


def draft_json(draft: Draft, out: Path) -> dict[str, object]:
    """For a program: columns, headings and counts; no wording, because what a program reads may be logged."""
    return {
        "version": 1,
        "file": str(out),
        "dates": draft.dates.value,
        "columns": {name: _column(column) for name, column in draft.columns.items()},
        "left_out": {name: [one.heading for one in options] for name, options in draft.left_out.items()},
        "without_heading": list(draft.without),
        "unused_headings": list(draft.unused),
        "never_read": [
            {"heading": item.heading, "kind": item.kind, "by_content": item.by_content} for item in draft.never_read
        ],
        "month_first": list(draft.month_first),
        "too_various": list(draft.too_various),
    }


def _column(column: DraftColumn) -> dict[str, object]:
    return {
        "heading": column.candidate.heading,
        "confidence": column.candidate.confidence,
        "asked": column.asked,
        "wordings": len(column.wordings),
        "wordings_not_known": sum(wording.code is None for wording in column.wordings),
        "rows_not_known": column.rows_unknown,
    }
