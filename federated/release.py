"""Step 8 of 8: the release. In: the unmasked sum of a round. Out: `Release`, the same bytes for everyone.

Everything here is post-processing of differentially private figures and of public facts, so it costs no budget.
Estimates are unclipped and unrounded; rounding and shorthand are added on top by `federated.presentation`.
The document also keeps the noisy whole-number totals, so that anyone can make the tables again from them.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federated.crossings import caveat_of
from federated.errors import FileProblem
from federated.iteration import Iteration
from federated.plan import Plan, PlannedTable
from federated.privacy import ReleasedNoise
from federated.query import Level, Table
from federated.query.words import measure_words
from federated.rationals import rational_text
from federated.schema import Schema
from federated.statistics import Axis, CellEstimate, RoundFigures, in_rounds, statistic
from federated.timestamps import time_text
from protocols.encoding import sha256
from protocols.identifiers import Digest, RoundId
from protocols.secagg import SecureSum

__all__ = [
    "AxisRecord",
    "CellRecord",
    "CouncilRecord",
    "CountedRound",
    "MeasureRecord",
    "Release",
    "RoundRecord",
    "TableRecord",
    "make_release",
    "open_release",
    "round_figures",
]

NOT_OFFICIAL = "Differentially private estimate – not official statistics."


_UNSAID_IF_EMPTY: Final = Field(exclude_if=lambda value: not value)
"""For what releases did not always have: without it they keep the bytes, and the digest, that they had before."""


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


class MeasureRecord(_Record):
    """What was read off the rows, and the public bounds it was held within.

    Attributes:
        what: In words; for a plain column, its name.
        clip: Inclusive bounds.
    """

    what: str
    clip: tuple[int, int]


class TableRecord(_Record):
    """One table of a release.

    Attributes:
        axes: Of the table as printed.
        totals: Noisy whole-number totals as they came out of secure aggregation, in steps of 1/scale.
        planned_sd: Standard deviation of the noise in `totals / scale`.
        caveat: What must be said wherever the table is shown; empty unless it crosses protected characteristics.
    """

    name: str
    statistic: str
    title: str
    level: str
    measures: tuple[MeasureRecord, ...]
    max_cells: int
    axes: tuple[AxisRecord, ...]
    cells: tuple[CellRecord, ...]
    totals: tuple[int, ...]
    scale: int
    planned_sd: float
    caveat: Annotated[str, _UNSAID_IF_EMPTY] = ""

    @property
    def may_be_negative(self) -> bool:
        """Whether any clip bound lies below 0, so that a figure below 0 is not noise alone."""
        return any(measure.clip[0] < 0 for measure in self.measures)


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


class AttestationRecord(_Record):
    """Evidence for whose sum it is; see `federated.release_check`.

    Attributes:
        view: h2, the view of the key shares that every mask was derived from, hexadecimal.
        masked_inputs: SHA-256 of the masked vector of each contributing council, hexadecimal.
        statements: At least t signed survivor statements, base64.
        opening: The signed head of the mask holder's opening, hexadecimal; empty where the agreement names none.
    """

    view: str
    masked_inputs: dict[str, str]
    statements: tuple[str, ...]
    opening: Annotated[str, _UNSAID_IF_EMPTY] = ""


class RoundRecord(_Record):
    """One round of a question that takes several.

    Attributes:
        number: From 1.
        sid: The round's id, which follows from the plan and the next three.
        attempt: Which of the plan's rounds it was, lost ones counted.
        nonce: 32 bytes, hexadecimal.
        coefficients: What it was counted at.
        totals: Noisy whole-number totals, in steps of 1/scale.
    """

    number: int
    sid: str
    attempt: int
    nonce: str
    coefficients: tuple[int, ...]
    joined: int
    threshold: int
    totals: tuple[int, ...]
    attestations: AttestationRecord


class Release(_Record):
    """A release, version 1. Its identity is the SHA-256 of its bytes.

    Attributes:
        plan: The plan as signed: its canonical JSON has the digest `plan_digest`.
        attestations: What the councils signed about the round, which says over whose inputs the sum is.
        data_cut_off: Earliest extract date among the contributing councils: the answer is no fresher than this.
        attempt: Which of the plan's rounds it was; said with the nonce where the plan names a mask holder and takes one
            round. `sid` follows from the two and the plan, so that no opening stands in for one of another plan.
        nonce: 32 bytes, hexadecimal.
        rounds: Every round, where the question takes several; what stands beside it is about the last.
    """

    version: Literal[1] = 1
    note: str = NOT_OFFICIAL
    title: str
    plan: dict[str, Any]
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
    threshold: int
    honest: int
    data_cut_off: str | None
    period: str
    created_at: str
    software: str
    tables: tuple[TableRecord, ...]
    attestations: AttestationRecord
    attempt: Annotated[int, _UNSAID_IF_EMPTY] = 0
    nonce: Annotated[str, _UNSAID_IF_EMPTY] = ""
    rounds: Annotated[tuple[RoundRecord, ...], _UNSAID_IF_EMPTY] = ()

    def encode(self) -> bytes:
        """The release's bytes: JSON with sorted keys, the same everywhere."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
        ).encode()

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the release's bytes, as receipts name it; worked out once, as each table's files name it."""
        return sha256(self.encode())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with other values where `update` says so: its digest is its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("digest", None)
        return copied

    def table(self, name: str) -> TableRecord:
        """The table of that name.

        Raises:
            KeyError: The release has none.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRound:
    """A finished round of a question that takes several.

    Attributes:
        sid: Its id.
        attempt: Which of the plan's rounds it was, lost ones counted.
        nonce: That its id was made with.
        iteration: Which it is, and what it was counted at.
        result: Its unmasked sum.
    """

    sid: RoundId
    attempt: int
    nonce: bytes
    iteration: Iteration
    result: SecureSum = field(repr=False)

    def record(self) -> RoundRecord:
        """As a release holds it."""
        return RoundRecord(
            number=self.iteration.number,
            sid=self.sid.hex(),
            attempt=self.attempt,
            nonce=self.nonce.hex(),
            coefficients=self.iteration.coefficients,
            joined=len(self.result.u1),
            threshold=self.result.thresholds.t,
            totals=tuple(int(total) for total in self.result.total),
            attestations=_attestation(self.result),
        )


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
    result: SecureSum,
    *,
    schema: Schema,
    sid: RoundId,
    councils: Sequence[CouncilRecord],
    now: datetime,
    software: str,
    attempt: int = 1,
    nonce: bytes = b"",
    rounds: Sequence[CountedRound] = (),
) -> Release:
    """Make the release of a finished round. Run by the coordinator.

    Args:
        plan: The plan of the round.
        result: The unmasked sum, in steps of `1 / plan.scale`, with its evidence.
        schema: For labels.
        sid: The round.
        councils: What became of every council asked.
        now: Time of the release.
        software: Version of this software.
        attempt: Which of the plan's rounds it was.
        nonce: That the round's id was made with.
        rounds: Every round in order, this one last, where the question takes several.
    """
    records = tuple(item.record() for item in rounds)
    joined, contributors = len(result.u1), len(result.u3)
    named = plan.holder is not None and not records
    dates = [record.extract_date for record in councils if record.outcome == "contributed" and record.extract_date]
    period = plan.question.period
    return Release(
        title=plan.question.title,
        plan=json.loads(plan.encode()),
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
        contributed=contributors,
        threshold=result.thresholds.t,
        honest=result.thresholds.h,
        data_cut_off=min(dates, default=None),
        period=f"{period.start.isoformat()}/{period.end.isoformat()}",
        created_at=time_text(now),
        software=software,
        tables=make_tables(plan, result.total, joined=joined, contributors=contributors, rounds=records),
        attestations=_attestation(result),
        attempt=attempt if named else 0,
        nonce=nonce.hex() if named else "",
        rounds=records,
    )


def _attestation(result: SecureSum) -> AttestationRecord:
    return AttestationRecord(
        view=result.h2.hex(),
        masked_inputs={council: digest.hex() for council, digest in result.input_digests.items()},
        statements=tuple(b64encode(statement).decode("ascii") for statement in result.statements),
        opening=result.opening.hex(),
    )


def make_tables(
    plan: Plan, totals: NDArray[np.int64], *, joined: int, contributors: int, rounds: Sequence[RoundRecord] = ()
) -> tuple[TableRecord, ...]:
    """The tables of a release from its totals: what anyone can do again.

    Args:
        plan: The plan.
        totals: Noisy totals in steps of `1 / plan.scale`.
        joined: n = |U1|.
        contributors: |U3|.
        rounds: Every round in order, where the question takes several.

    Shapes:
        `totals` is `(plan.cells,)`.
    """
    if rounds:
        return (_table_of_rounds(plan, rounds),)
    tables = []
    offset = 0
    for index, planned in enumerate(plan.tables):
        part = totals[offset : offset + planned.layout.cells]
        offset += planned.layout.cells
        noise = plan.released_noise(index, joined=joined, contributors=contributors)
        tables.append(_table(plan, planned, part, noise))
    return tuple(tables)


def round_figures(plan: Plan, record: RoundRecord) -> RoundFigures:
    """A round of several as its statistic takes it."""
    councils = frozenset(record.attestations.masked_inputs)
    return RoundFigures(
        coefficients=record.coefficients,
        totals=np.array(record.totals, dtype=np.float64) / plan.scale,
        noise=plan.released_noise(0, joined=record.joined, contributors=len(councils)),
        councils=councils,
    )


def _table_of_rounds(plan: Plan, rounds: Sequence[RoundRecord]) -> TableRecord:
    (planned,) = plan.tables
    found = tuple(round_figures(plan, record) for record in rounds)
    cells = in_rounds(planned.table.statistic).conclude(planned.table, planned.layout, found)
    return _record(plan, planned, cells, rounds[-1].totals, found[-1].noise)


def level_label(plan: Plan, schema: Schema) -> str:
    """What the top level is called: England only when every English council is asked."""
    asked = set(plan.eligible)
    return "England" if asked == set(schema.councils) else f"All councils asked ({plan.group.label})"


def _table(plan: Plan, planned: PlannedTable, totals: NDArray[np.int64], noise: ReleasedNoise) -> TableRecord:
    kind = statistic(planned.table.statistic)
    cells = kind.decode(planned.table, planned.layout, totals / plan.scale, noise)
    return _record(plan, planned, cells, tuple(int(total) for total in totals), noise)


def _record(
    plan: Plan, planned: PlannedTable, cells: Sequence[CellEstimate], totals: tuple[int, ...], noise: ReleasedNoise
) -> TableRecord:
    return TableRecord(
        name=planned.table.name,
        statistic=planned.table.statistic,
        title=statistic(planned.table.statistic).title,
        level=planned.table.level.value,
        measures=measure_records(planned.table),
        max_cells=planned.table.max_cells,
        axes=tuple(_axis(axis) for axis in planned.layout.printed),
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
        totals=totals,
        scale=plan.scale,
        planned_sd=noise.sd,
        caveat=caveat_of(planned.crosses),
    )


def measure_records(table: Table) -> tuple[MeasureRecord, ...]:
    """What a table reads off the rows, as its release says it."""
    return tuple(MeasureRecord(what=measure_words(item.measure), clip=(item.low, item.high)) for item in table.measures)


def _axis(axis: Axis) -> AxisRecord:
    return AxisRecord(name=axis.name, codes=axis.codes, labels=axis.labels)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def is_region_table(table: TableRecord) -> bool:
    """Whether the table is broken down by region."""
    return table.level == Level.REGION.value


def labels_of(axes: Sequence[AxisRecord], codes: Sequence[str]) -> tuple[str, ...]:
    """The printed label of a cell along each axis."""
    return tuple(axis.labels[axis.codes.index(code)] for axis, code in zip(axes, codes, strict=True))
