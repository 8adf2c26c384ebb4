"""Makes the manual page of each statistic from its specification: `python -m tests.spec.render`."""

from pathlib import Path

from federated.statistics import Axis, CellEstimate, Figures, statistic
from tests.spec.specification import COUNCILS, Specification
from tests.spec.statistics import specifications

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATIONS = specifications()
MOST_LINES = 12
"""A worked vector longer than this is shown only where something is in it."""


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
    layout = specification.layout
    nothing = (0,) * len(layout.blocks)
    lines = [
        [*_labels(cell, layout.axes), *map(str, specification.exact.get(cell, nothing))]
        for cell in specification.cells
        if layout.categories <= MOST_LINES or cell in specification.exact
    ]
    return table_of([*_heads(layout.axes), *(f"`{block}`" for block in layout.blocks)], lines)


def _heads(axes: tuple[Axis, ...]) -> list[str]:
    return [f"`{axis.name}`" for axis in axes] if len(axes) != 1 else ["Category"]


def _labels(codes: tuple[str, ...], axes: tuple[Axis, ...]) -> list[str]:
    return [axis.labels[axis.codes.index(code)] for axis, code in zip(axes, codes, strict=True)]


def _noise(specification: Specification) -> str:
    claimed = statistic(specification.code).sensitivity(specification.asked.tables[0])
    law = {"discrete_laplace": ("Laplace", "l1", claimed.l1)}
    name, what, size = law.get(specification.mechanism.value, ("Gaussian", "squared l2", claimed.l2_squared))
    return (
        f"Suppose {COUNCILS} councils answer with ε = {specification.asked.epsilon} and {name} noise, of whom 10 are"
        f" counted on.\nHere {what} = {size}, and the noise in each total has a standard deviation of"
        f" {specification.noise.sd:.2f}."
    )


def _answer(specification: Specification) -> str:
    layout = specification.layout
    lines = [_line(specification, cell) for cell in specification.answer()]
    # Beside each figure the totals it is made of, where it is made of those of one cell.
    blocks = [f"noisy `{block}`" for block in layout.blocks] if layout.figures is None else []
    heads = [*_heads(layout.printed), *blocks, "Estimate", "Standard error", "Interval", "Coverage"]
    answer = table_of(heads, lines)
    if layout.figures is None:
        return answer
    totals = [[*_labels(cell, layout.axes), *map(str, numbers)] for cell, numbers in specification.totals.items()]
    noisy = table_of([*_heads(layout.axes), *(f"noisy `{block}`" for block in layout.blocks)], totals)
    return f"{noisy}\n\nThe figures made of these:\n\n{answer}"


def _line(specification: Specification, cell: CellEstimate) -> list[str]:
    layout = specification.layout
    digits = 3 if statistic(specification.code).figures is Figures.FRACTION else 0
    return [
        *_labels(cell.codes, layout.printed),
        *(map(str, specification.totals[cell.codes]) if layout.figures is None else ()),
        f"{cell.estimate:.{digits}f}",
        f"{cell.standard_error:.{max(2, digits)}f}",
        f"{cell.low:.{digits}f} to {cell.high:.{digits}f}",
        f"{cell.coverage:.4f}",
    ]


if __name__ == "__main__":
    for place, text in pages().items():
        (ROOT / place).write_text(text, encoding="utf-8")
