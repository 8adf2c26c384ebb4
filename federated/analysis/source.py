"""A table of a release as analyses read it: its totals, the exact law of their noise, and who is in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isclose, prod

import numpy as np
from numpy.typing import NDArray

from federated.analysis.noise_law import NoiseLaw
from federated.crossings import caveat_of
from federated.errors import FederatedError, FileProblem, QueryError
from federated.privacy import Mechanism, released_noise
from federated.query import Query, parse_query
from federated.release import AxisRecord, Release, TableRecord
from federated.statistics import TOTALS
from federated.statistics.offsets import TARGET_COVERAGE
from protocols.encoding import canonical_json
from protocols.errors import LocalProtocolError

__all__ = ["TARGET_COVERAGE", "NoisyTable", "noisy_table"]

NOT_ITS_PLAN = "The table '{}' does not agree with the plan in its own release."
FETCH_AGAIN = "Fetch the release again with `federated show`, and check it with `federated verify`."


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyTable:
    """A released table of counts or sums.

    Attributes:
        release: Where it stands.
        table: As released.
        question: As asked, from the plan in the release.
        steps: Noisy totals in steps of 1/scale.
        law: Law of the noise in each total; the draws are independent.

    Shapes:
        `steps` has one dimension for each axis of the table.
    """

    release: Release
    table: TableRecord
    question: Query
    steps: NDArray[np.int64] = field(repr=False)
    law: NoiseLaw

    @property
    def totals(self) -> NDArray[np.float64]:
        """The estimates, in units of the question."""
        return self.steps / self.law.scale

    @property
    def contributed(self) -> tuple[str, ...]:
        """GSS codes of the councils in the sum."""
        return tuple(record.council for record in self.release.councils if record.outcome == "contributed")

    def axis(self, name: str) -> int:
        """Place of an axis.

        Raises:
            QueryError: The table has no such axis.
        """
        names = [axis.name for axis in self.table.axes]
        if name not in names:
            raise QueryError(
                f"The table '{self.table.name}' has no axis '{name}'.",
                remedy=f"Its axes are: {', '.join(names) or 'none'}.",
            )
        return names.index(name)

    def summed_over(self, places: Sequence[int]) -> tuple[NDArray[np.int64], NoiseLaw, tuple[AxisRecord, ...]]:
        """Totals added up over some axes, the law of the noise in each sum, and the axes that are left."""
        cells = prod(self.steps.shape[place] for place in places)
        kept = tuple(axis for place, axis in enumerate(self.table.axes) if place not in places)
        return self.steps.sum(axis=tuple(places)), self.law.of_cells(cells), kept

    def coverage_notes(self) -> tuple[str, ...]:
        """What must be said of the table, who is in the figures, who is not, and how fresh they are."""
        councils = self.release.councils
        missing = [f"{record.name} ({record.outcome})" for record in councils if record.outcome != "contributed"]
        said = f"{len(self.contributed)} of {len(councils)} councils are in the figures"
        notes = [self.table.caveat] if self.table.caveat else []
        notes.append(f"{said}; missing: {', '.join(missing)}." if missing else f"{said}.")
        if self.release.data_cut_off:
            notes.append(f"Data cut-off: {self.release.data_cut_off}.")
        return tuple(notes)


def noisy_table(release: Release, name: str | None) -> NoisyTable:
    """One table of a release, held against the plan in the release.

    That the release is what councils signed is for `federated verify`; here it is only seen to agree with itself.

    Args:
        release: The release.
        name: Name of the table; may be left out where there is only one.

    Raises:
        QueryError: There is no such table, or its figures are not counts or sums.
        FileProblem: The table does not agree with its own plan.
    """
    table = _named(release, name)
    if table.statistic not in TOTALS:
        raise QueryError(
            f"The table '{table.name}' holds neither counts nor sums, which this analysis needs.",
            remedy="Choose another table, or ask for counts.",
        )
    shape = tuple(len(axis.codes) for axis in table.axes)
    try:
        place = [item.name for item in release.tables].index(table.name)
        planned = release.plan["tables"][place]
        question = parse_query(canonical_json(release.plan["question"]), source="release")
        noise = released_noise(
            Mechanism(release.plan["mechanism"]),
            Fraction(planned["parameter"]),
            scale=release.plan["scale"],
            honest=release.honest,
            contributors=release.contributed,
        )
        steps = np.array(table.totals, dtype=np.int64).reshape(shape)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, LocalProtocolError, FederatedError) as error:
        raise FileProblem(NOT_ITS_PLAN.format(table.name), remedy=FETCH_AGAIN) from error
    made_of_it = (
        planned["name"] == table.name
        # A release from which somebody took the caveat is not what its plan makes.
        and table.caveat == caveat_of(tuple(planned.get("crosses", ())))
        and table.scale == noise.scale
        and len(release.tables) == len(question.tables)
        and sum(record.outcome == "contributed" for record in release.councils) == release.contributed
        and isclose(noise.sd, table.planned_sd)
        and [cell.estimate for cell in table.cells] == [total / noise.scale for total in table.totals]
    )
    if not made_of_it:
        raise FileProblem(NOT_ITS_PLAN.format(table.name), remedy=FETCH_AGAIN)
    return NoisyTable(release=release, table=table, question=question, steps=steps, law=NoiseLaw.of(noise))


def _named(release: Release, name: str | None) -> TableRecord:
    names = [table.name for table in release.tables]
    if name is None and len(names) == 1:
        return release.tables[0]
    if name is None or name not in names:
        said = "This release has several tables." if name is None else f"This release has no table '{name}'."
        raise QueryError(said, remedy=f"Choose one with --table: {', '.join(names)}.")
    return release.table(name)
