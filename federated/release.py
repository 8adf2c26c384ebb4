"""Step 8 of 8: the release. In: the unmasked sum of a round. Out: `Release`, the same bytes for everyone.

Everything here is post-processing of differentially private figures and of public facts, so it costs no budget.
Estimates are unclipped and unrounded; rounding and shorthand are added on top by `federated.presentation`.
The document also keeps the noisy whole-number totals, so that anyone can make the tables again from them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federated.errors import FileProblem
from federated.plan import Plan, PlannedTable
from federated.privacy import ReleasedNoise
from federated.query import Level, question_document
from federated.rationals import rational_text
from federated.schema import Schema
from federated.statistics import Axis, statistic
from federated.timestamps import time_text
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, Digest

__all__ = ["AxisRecord", "CellRecord", "CouncilRecord", "Release", "TableRecord", "make_release", "open_release"]

NOT_OFFICIAL = "Differentially private estimate – not official statistics."


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AxisRecord(_Record):
    """One breakdown of a table."""

    name: str
    codes: tuple[str, ...]
    labels: tuple[str, ...]


class CellRecord(_Record):
    """One cell: see `federated.statistics.CellEstimate`. `None` where nothing can be said."""

    codes: tuple[str, ...]
    estimate: float | None
    standard_error: float | None
    low: float
    high: float
    coverage: float


class TableRecord(_Record):
    """One table of a release.

    Attributes:
        totals: Noisy whole-number totals as they came out of secure aggregation, in steps of 1/scale.
        planned_sd: Standard deviation of the noise in `totals / scale`.
    """

    name: str
    statistic: str
    title: str
    level: str
    column: str | None
    clip: tuple[int, int] | None
    max_cells: int
    axes: tuple[AxisRecord, ...]
    cells: tuple[CellRecord, ...]
    totals: tuple[int, ...]
    scale: int
    planned_sd: float


class CouncilRecord(_Record):
    """What became of one council asked.

    Attributes:
        outcome: ``contributed``, ``refused``, ``pending``, ``unreachable`` or ``dropped``.
        reason: In words, for those that did not contribute.
        extract_date: Date of the extract the council answered from, where it said.
    """

    council: str
    name: str
    outcome: Literal["contributed", "refused", "pending", "unreachable", "dropped"]
    reason: str = ""
    extract_date: str | None = None


class CostRecord(_Record):
    """What one household may have lost: exact rationals as text."""

    epsilon: str | None
    rho: str
    delta: str


class Release(_Record):
    """A release, version 1. Its identity is the SHA-256 of its bytes.

    Attributes:
        attestations: Signed survivor statements of the round (base64), which say over which councils the sum is.
        data_cut_off: Earliest extract date among the contributing councils: the answer is no fresher than this.
    """

    version: Literal[1] = 1
    note: str = NOT_OFFICIAL
    title: str
    question: dict[str, Any]
    query_digest: str
    plan_digest: str
    sid: str
    manifest_digest: str
    agreement_id: str
    agreement_digest: str
    group: str
    group_label: str
    level_label: str
    mechanism: str
    cost: CostRecord
    councils: tuple[CouncilRecord, ...]
    joined: int
    contributed: Annotated[int, Field(ge=1)]
    honest: int
    data_cut_off: str | None
    period: str
    created_at: str
    software: str
    tables: tuple[TableRecord, ...]
    attestations: tuple[str, ...]

    def encode(self) -> bytes:
        """The release's bytes: JSON with sorted keys, the same everywhere."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
        ).encode()

    @property
    def digest(self) -> Digest:
        """SHA-256 of the release's bytes, as receipts name it."""
        return sha256(self.encode())

    def table(self, name: str) -> TableRecord:
        """The table of that name.

        Raises:
            KeyError: The release has none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


def open_release(content: bytes) -> Release:
    """Read a release.

    Raises:
        FileProblem: The bytes are not a release of version 1.
    """
    try:
        return Release.model_validate_json(content)
    except ValidationError as error:
        raise FileProblem(
            "This is not a release of version 1.", remedy="Fetch it again with `federated show`."
        ) from error


def make_release(
    plan: Plan,
    totals: NDArray[np.int64],
    *,
    schema: Schema,
    sid: bytes,
    joined: int,
    contributors: Sequence[CouncilId],
    councils: Sequence[CouncilRecord],
    attestations: Sequence[str],
    now: datetime,
    software: str,
) -> Release:
    """Make the release of a finished round. Run by the coordinator, and by anyone who checks one.

    Args:
        plan: The plan of the round.
        totals: The unmasked sum, in steps of `1 / plan.scale`.
        schema: For labels.
        sid: The round.
        joined: n = |U1|.
        contributors: U3, over which the sum is.
        councils: What became of every council asked.
        attestations: Signed survivor statements, base64.
        now: Time of the release.
        software: Version of this software.

    Shapes:
        `totals` is `(plan.cells,)`.
    """
    tables = []
    offset = 0
    for index, planned in enumerate(plan.tables):
        part = totals[offset : offset + planned.layout.cells]
        offset += planned.layout.cells
        noise = plan.released_noise(index, joined=joined, contributors=len(contributors))
        tables.append(_table(plan, planned, part, noise))
    dates = [record.extract_date for record in councils if record.outcome == "contributed" and record.extract_date]
    period = plan.question.period
    return Release(
        title=plan.question.title,
        question=question_document(plan.question),
        query_digest=plan.query_digest.hex(),
        plan_digest=plan.digest.hex(),
        sid=sid.hex(),
        manifest_digest=plan.terms.manifest_digest.hex(),
        agreement_id=plan.agreement_id,
        agreement_digest=plan.agreement_digest.hex(),
        group=plan.group.name,
        group_label=plan.group.label,
        level_label=level_label(plan, schema),
        mechanism=plan.mechanism.value,
        cost=CostRecord(
            epsilon=None if plan.charge.epsilon is None else rational_text(plan.charge.epsilon),
            rho=rational_text(plan.charge.rho),
            delta=rational_text(plan.delta),
        ),
        councils=tuple(councils),
        joined=joined,
        contributed=len(contributors),
        honest=plan.rules.thresholds(joined).h,
        data_cut_off=min(dates, default=None),
        period=f"{period.start.isoformat()}/{period.end.isoformat()}",
        created_at=time_text(now),
        software=software,
        tables=tuple(tables),
        attestations=tuple(attestations),
    )


def level_label(plan: Plan, schema: Schema) -> str:
    """What the top level is called: England only when every English council is asked."""
    asked = set(plan.eligible)
    return "England" if asked == set(schema.councils) else f"All councils asked ({plan.group.label})"


def _table(plan: Plan, planned: PlannedTable, totals: NDArray[np.int64], noise: ReleasedNoise) -> TableRecord:
    kind = statistic(planned.table.statistic)
    cells = kind.decode(planned.table, planned.layout, totals / plan.scale, noise)
    return TableRecord(
        name=planned.table.name,
        statistic=planned.table.statistic,
        title=kind.title,
        level=planned.table.level.value,
        column=planned.table.column,
        clip=planned.table.clip,
        max_cells=planned.table.max_cells,
        axes=tuple(_axis(axis) for axis in planned.layout.axes),
        cells=tuple(
            CellRecord(
                codes=cell.codes,
                estimate=_finite(cell.estimate),
                standard_error=_finite(cell.standard_error),
                low=cell.low,
                high=cell.high,
                coverage=cell.coverage,
            )
            for cell in cells
        ),
        totals=tuple(int(total) for total in totals),
        scale=plan.scale,
        planned_sd=noise.sd,
    )


def _axis(axis: Axis) -> AxisRecord:
    return AxisRecord(name=axis.name, codes=axis.codes, labels=axis.labels)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def is_region_table(table: TableRecord) -> bool:
    """Whether the table is broken down by region."""
    return table.level == Level.REGION.value


def labels_of(table: TableRecord, cell: CellRecord) -> Mapping[str, str]:
    """The printed label of a cell along each axis."""
    return {axis.name: axis.labels[axis.codes.index(code)] for axis, code in zip(table.axes, cell.codes, strict=True)}
