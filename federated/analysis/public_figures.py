"""Public figures by area code, such as numbers of households: read from CSV, and added up over the right councils only.

Areas change their codes. A file of one year's codes added to a release of another year's would leave an area out, or
count it twice, without a word; so every council must be in the file under the very code the release has.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from federated.errors import FileProblem
from federated.geography import CodeHistory, load_code_history
from federated.synthetic.published import ATTRIBUTION

__all__ = ["HOUSEHOLDS", "PublicFigures", "read_public_figures", "shipped_households"]

HOUSEHOLDS = "households"
CODE = "code"
SIZE_LIMIT = 16 * 1024 * 1024
MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicFigures:
    """Whole numbers by GSS code, each above 0, public and exact.

    Attributes:
        source: Name of the file, for messages and notes.
        by_code: Figure of each area.
        what: What is counted, as the column is called.
        attribution: To be printed with any use; empty for a file of the user's own.
    """

    source: str
    by_code: Mapping[str, int]
    what: str = HOUSEHOLDS
    attribution: str = ""

    def over(self, councils: Iterable[str], history: CodeHistory | None = None) -> int:
        """The figure of several councils together.

        Args:
            councils: GSS codes as in the release.
            history: Another history of codes than the installed one.

        Raises:
            FileProblem: A council is missing, or the file has codes of another year.
        """
        asked = sorted(councils)
        self.check_vintage(asked, history)
        missing = [code for code in asked if code not in self.by_code]
        if missing:
            named = ", ".join(missing[:MOST_NAMED]) + (" and others" if len(missing) > MOST_NAMED else "")
            raise FileProblem(
                f"{self.source} has no figure for {len(missing)} of the councils in the release: {named}.",
                remedy="Add them: a rate over part of the councils would be too high.",
            )
        return sum(self.by_code[code] for code in asked)

    def check_vintage(self, councils: Iterable[str], history: CodeHistory | None = None) -> None:
        """Refuse a file that has a council under a code of another year than the release's.

        Raises:
            FileProblem: It does.
        """
        known = load_code_history() if history is None else history
        for code in councils:
            others = (known.predecessors(code) | known.successors(code)) & self.by_code.keys()
            if others:
                raise FileProblem(
                    f"{self.source} has the code {min(others)}, which is of another year than {code} in the release.",
                    remedy="Use a file with the codes of the release's year; see docs/toolkit/mergers-and-codes.md.",
                )


def read_public_figures(content: bytes, *, source: str, column: str = HOUSEHOLDS) -> PublicFigures:
    """Read a CSV file with a column `code` and a column of whole numbers; other columns are passed over.

    Args:
        content: The file, UTF-8.
        source: Its name, for messages.
        column: Name of the column of figures.

    Raises:
        FileProblem: Names the line at fault.
    """
    if len(content) > SIZE_LIMIT:
        raise FileProblem(f"{source} has more than {SIZE_LIMIT:,} bytes.", remedy="Give a file with one row an area.")
    figures: dict[str, int] = {}
    line = 1
    try:
        reader = csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True)
        if not {CODE, column} <= set(reader.fieldnames or ()):
            raise FileProblem(
                f"{source} must have the columns '{CODE}' and '{column}'.",
                remedy="Name the column of figures with --column.",
            )
        for row in reader:
            line = reader.line_num
            code, figure = _row(row, column, figures)
            figures[code] = figure
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError, AttributeError) as error:
        raise FileProblem(
            f"{source} line {line}: a code not given before, and a whole number above 0, were expected.",
            remedy="Mend the line; write numbers without commas or points.",
        ) from error
    return PublicFigures(source=source, by_code=figures, what=column)


def _row(row: Mapping[str, str], column: str, before: Mapping[str, int]) -> tuple[str, int]:
    code, figure = row[CODE].strip(), int(row[column])
    if not code or figure < 1 or code in before:
        raise ValueError
    return code, figure


@cache
def shipped_households() -> PublicFigures:
    """Households in the area of each of the 296 authorities, 2025: see `federated/analysis/README.md`."""
    content = files("federated.analysis").joinpath("households_2025.csv").read_bytes()
    read = read_public_figures(content, source="households_2025.csv")
    return PublicFigures(source=read.source, by_code=read.by_code, attribution=ATTRIBUTION)
