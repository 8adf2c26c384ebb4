"""Makes the manual page of each statistic from its specification: `python -m tests.spec.render`."""

from pathlib import Path

from federated.statistics import CellEstimate, statistic
from tests.spec import bounded_sum, households, mean, rows
from tests.spec.specification import COUNCILS, Specification, label

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATIONS = tuple(module.SPECIFICATION for module in (households, rows, bounded_sum, mean))


def pages() -> dict[str, str]:
    """Every page by its path from the top of the project."""
    return {f"docs/statistics/{specification.code}.md": render(specification) for specification in SPECIFICATIONS}


def render(specification: Specification) -> str:
    """One manual page."""
    parts = [
        f"# {specification.heading}: `{specification.code}`",
        "This page is made from the specification that the tests run; `tests/spec` holds it.",
        specification.what,
        "## What one household can change",
        specification.bound,
        "## A worked table",
        "One council's rows:",
        _rows(specification),
        "The question:",
        f"```yaml\n{specification.question}```",
        "What each household adds:",
        "\n".join(f"* **{household}**: {reason}." for household, reason in specification.reasons),
        "This council's own figures, before any noise. They never leave it:",
        _exact(specification),
        "## Reading the answer",
        _noise(specification),
        _answer(specification),
        specification.reading,
    ]
    return "\n\n".join(parts) + "\n"


def table_of(heads: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *lines])


def _rows(specification: Specification) -> str:
    names = [name for name in specification.rows[0] if name != "household"]
    lines = [
        [row["household"], *("" if row[name] is None else str(row[name]) for name in names)]
        for row in specification.rows
    ]
    return table_of(["household", *(f"`{name}`" for name in names)], lines)


def _exact(specification: Specification) -> str:
    lines = []
    for cell in specification.layout.axes[0].codes:
        numbers = specification.exact.get((cell,), (0,) * len(specification.layout.blocks))
        lines.append([label(cell), *map(str, numbers)])
    return table_of(["Category", *(f"`{block}`" for block in specification.layout.blocks)], lines)


def _noise(specification: Specification) -> str:
    claimed = statistic(specification.code).sensitivity(specification.asked.tables[0])
    return (
        f"Suppose {COUNCILS} councils answer with ε = {specification.asked.epsilon} and Laplace noise, of whom 10 are"
        f" counted on.\nHere l1 = {claimed.l1}, and the noise in each total has a standard deviation of"
        f" {specification.noise.sd:.2f}."
    )


def _answer(specification: Specification) -> str:
    lines = [_line(specification, cell) for cell in specification.answer()]
    blocks = [f"noisy `{block}`" for block in specification.layout.blocks]
    return table_of(["Category", *blocks, "Estimate", "Standard error", "Interval", "Coverage"], lines)


def _line(specification: Specification, cell: CellEstimate) -> list[str]:
    (code,) = cell.codes
    digits = 0 if specification.code != "mean" else 3
    return [
        label(code),
        *map(str, specification.totals[cell.codes]),
        f"{cell.estimate:.{digits}f}",
        f"{cell.standard_error:.{max(2, digits)}f}",
        f"{cell.low:.{digits}f} to {cell.high:.{digits}f}",
        f"{cell.coverage:.4f}",
    ]


if __name__ == "__main__":
    for place, text in pages().items():
        (ROOT / place).write_text(text, encoding="utf-8")
