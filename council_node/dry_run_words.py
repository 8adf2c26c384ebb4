"""What a dry run shows: in words for people, and as JSON for programs. No figure of the council's own is in either."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from council_node.decisions import Verdict
from council_node.dry_run import DryRun, Leaving
from council_node.practice_bytes import LOOKS_RANDOM, HalfByteCount
from council_node.receipts import receipt_text
from federated.plan import Plan
from federated.rationals import rational_text
from federated.schema import load_schema
from federated.statistics import statistic
from federated.statistics.running_totals import counted
from protocols.encoding import sha256
from protocols.wire.link_message import Kind

__all__ = ["dry_run_json", "dry_run_lines", "own_figure_lines"]

FIRST_BYTES: Final = 16
HEADER_BYTES: Final = 38
"""Version, kind, reference and length, the same for every message: what is shown begins after them."""
CLASSES: Final = ("ordinary", "personal", "special category, criminal-offence or immigration")
MEANINGS: Final = {
    Kind.RECEIPT: "says that the list of councils, or the answer, has arrived",
    Kind.DECISION: "this council's signed decision on the question",
    Kind.REFUSAL: "says by which rule this council refuses",
    Kind.ADVERT: "two public keys made for this round, and the ledger's counter",
    Kind.KEY_SHARES: "locked parts of this round's masks, one for each council",
    Kind.MASKED_INPUT: "the figures with noise, hidden by masks: each number looks random",
    Kind.CONFIRMATION: "a signed list of the councils in the sum",
    Kind.UNMASK: "parts of masks, from which the sum alone can be opened",
}
"""What each message is, in plain words."""


def dry_run_lines(found: DryRun) -> Iterator[str]:
    """The report, section by section, down to the receipt."""
    records = "made-up records" if found.practice else "this council's own records"
    yield f"DRY RUN on {records}. Nothing was sent, nothing was charged, nothing was kept."
    yield from (f"Note: {note}" for note in found.notes)
    yield ""
    yield "1. Would this council answer?"
    yield from _answer(found)
    if found.plan is not None:
        yield ""
        yield "2. What would be read"
        yield from _read(found.plan)
        yield ""
        yield "3. What it would cost"
        yield from _cost(found.plan)
    if found.leaving:
        yield ""
        yield "4. What would leave this building"
        yield from _leaving(found)
    if found.masked is not None:
        yield ""
        yield "5. Does the masked vector look random?"
        yield from _random(found.masked)
    if found.receipt is not None:
        yield ""
        yield "6. The receipt that would be kept"
        yield receipt_text(found.receipt).rstrip()


def _answer(found: DryRun) -> Iterator[str]:
    if found.refusal is not None:
        yield f"   No. {found.refusal.diagnostics()}"
    elif found.decision is not None and found.decision.verdict is Verdict.PENDING:
        yield f"   Only when people have decided. {found.decision.reason}"
        yield "   The rehearsal went on as if they had approved it."
    else:
        yield "   Yes, without asking anybody: it passes every check, and the policy leaves it to the checks."


def _read(plan: Plan) -> Iterator[str]:
    question = plan.question
    dataset = load_schema().dataset(question.dataset)
    yield f"   Of '{dataset.name}', for {question.period.start} to {question.period.end}, only these columns:"
    for name in sorted(question.columns()):
        column = dataset.column(name)
        yield f"   - {name}: {column.label} (class {column.highest_class}, {CLASSES[column.highest_class]})"
    most = max(planned.table.max_cells for planned in plan.tables)
    yield f"   It keeps up to {most} cell(s) or row(s) of each {question.unit} for a table."


def _cost(plan: Plan) -> Iterator[str]:
    pure = f"epsilon {rational_text(plan.charge.epsilon)}, or " if plan.charge.epsilon is not None else ""
    rho = f"{float(plan.charge.rho):.6g}"
    yield f"   For each {plan.question.unit}: {pure}rho {rho}. The rehearsal itself costs nothing."


def _leaving(found: DryRun) -> Iterator[str]:
    total = sum(len(item.content) for item in found.leaving)
    yield f"   {len(found.leaving)} messages, {total:,} bytes in all, in a rehearsal of {found.councils} councils:"
    for item in found.leaving:
        yield f"   - {_name(item.kind)}, {len(item.content):,} bytes: {MEANINGS.get(item.kind, 'see docs/protocol.md')}"
        yield f"     begins {_first(item)}"
    if found.plan is not None and found.councils < len(found.plan.eligible):
        asked = len(found.plan.eligible)
        yield f"   In a round of all {asked} councils, key shares and unmask are longer in proportion."


def _name(kind: Kind) -> str:
    return kind.name.lower().replace("_", " ")


def _first(item: Leaving) -> str:
    return item.content[HEADER_BYTES : HEADER_BYTES + FIRST_BYTES].hex(" ")


def _random(masked: HalfByteCount) -> Iterator[str]:
    low, high = LOOKS_RANDOM
    yield f"   It begins {masked.begins}."
    yield (
        f"   Its {masked.total:,} half-bytes fall into 16 kinds; of each, about {float(masked.expected):,.1f} are "
        f"expected, and {min(masked.counts):,} to {max(masked.counts):,} were counted."
    )
    yield (
        f"   Chi-square {float(masked.chi_square):.1f}; random bytes give {float(low):.1f} to {float(high):.1f} in 999 "
        f"of 1,000 cases. So it {'looks' if masked.looks_random else 'DOES NOT LOOK'} random."
    )
    if not masked.looks_random:
        yield "   One rehearsal in 1,000 says so by chance. Run it again; if it says so twice, please report it."


def own_figure_lines(plan: Plan, vector: NDArray[np.int64]) -> Iterator[str]:
    """The council's own exact figures, table by table, for `--show-own-figure` alone. They are not kept.

    Args:
        plan: Of the rehearsal.
        vector: From step 4.
    """
    yield "This council's own exact figures. They are shown here only, and are never sent:"
    offset = 0
    for planned in plan.tables:
        yield f"   {planned.table.name}:"
        rule = statistic(planned.table.statistic).contribution(planned.table).under(planned.mechanism)
        if rule.prefix_bits:
            yield "   (Sent are not these counts but running totals of them, weighted, in steps.)"
            part = slice(offset, offset + planned.layout.cells)
            vector = vector.copy()
            vector[part] = counted(vector[part], planned.layout.shape[-1], rule.prefix_bits)
        for block in planned.layout.blocks:
            for cell in np.ndindex(planned.layout.shape):
                labels = [axis.labels[place] for axis, place in zip(planned.layout.axes, cell, strict=True)]
                yield f"   - {', '.join([*labels, block])}: {int(vector[offset]):,}"
                offset += 1


def dry_run_json(found: DryRun) -> dict[str, object]:
    """The report for a program, version 1."""
    return {
        "version": 1,
        "practice": found.practice,
        "agreement": found.agreement,
        "notes": list(found.notes),
        "refused_by": None if found.refusal is None else found.refusal.rule,
        "decision": None if found.decision is None else found.decision.verdict.value,
        "councils": found.councils,
        "node_milliseconds": None if found.receipt is None else found.receipt.node_milliseconds,
        "columns": [] if found.plan is None else sorted(found.plan.question.columns()),
        "cost": None if found.plan is None else _cost_json(found.plan),
        "leaving": [
            {
                "message": _name(item.kind),
                "bytes": len(item.content),
                "sha256": sha256(item.content).hex(),
                "begins": _first(item),
            }
            for item in found.leaving
        ],
        "masked_half_bytes": None if found.masked is None else list(found.masked.counts),
        "looks_random": None if found.masked is None else found.masked.looks_random,
        "receipt": None if found.receipt is None else found.receipt.model_dump(mode="json"),
        "sent": [],
        "charged": None,
    }


def _cost_json(plan: Plan) -> dict[str, str | None]:
    charge = plan.charge
    return {
        "unit": plan.question.unit,
        "epsilon": None if charge.epsilon is None else rational_text(charge.epsilon),
        "rho": rational_text(charge.rho),
    }
