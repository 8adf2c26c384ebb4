"""A question run through steps 3 to 6 of 8 by this council's node, with nothing sent, charged or kept.

The node that answers is the node: `CouncilNode` over a `Station`, on a copy of the council's ledger and policy, in a
round with partners that are nodes too (`council_node.practice_round`). What is not the council's own is the identity:
keys, list of councils and agreement are made for the rehearsal (`council_node.practice_papers`) and thrown away, so no
masked input that comes of it could be used by anybody, and no number of rehearsals spends or tells anything.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from council_node.decisions import Decision, Decisions, Verdict, red_lines_to_answer
from council_node.dry_run_question import Asked
from council_node.local_statistic import LocalStatistic
from council_node.node import CouncilNode, resting_node
from council_node.node_store import DocumentKind
from council_node.practice_bytes import HalfByteCount, count_half_bytes
from council_node.practice_extract import can_be_practised, write_empty_extract, write_practice_extract
from council_node.practice_papers import (
    PracticePapers,
    make_papers,
    partner_settings,
    pinned_agreement,
    rehearsing_settings,
)
from council_node.practice_round import PracticeRound
from council_node.receipt_form import Receipt, open_receipt
from council_node.settings import Settings
from council_node.station import Station
from council_node.willing_people import unsafe_with_willing_people
from federated.cohort import possible_rounds
from federated.errors import PolicyRefusal, RoundAborted
from federated.iteration import Iteration
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE, Plan
from federated.release import CouncilRecord, Release, make_release
from federated.schema import load_schema
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId, RandomSource
from protocols.secagg import SecureSum
from protocols.secagg.messages import decode_masked_input
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["DryRun", "Leaving", "dry_run"]

REHEARSAL_COUNCILS: Final = 12
"""Councils of a rehearsal: all that are asked where they are so few, else these or the fewest that make a round."""
MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - on purpose: files in memory, gone even if the machine stops
FOLDER_PREFIX: Final = "dry-run-"
REHEARSED: Final = "This is a rehearsal: nothing was sent, and nothing was charged."

Tell = Callable[[str], None]
"""Takes progress, one line at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """One message that would leave the building.

    Attributes:
        kind: What it is.
        content: Its bytes, as the link would carry them.
    """

    kind: Kind
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What came of a rehearsal.

    Attributes:
        plan: The question's plan, under the rehearsal's papers; None when it could not be planned.
        agreement: Id of the agreement.
        practice: Whether the records were made up.
        refusal: Why this council would refuse; None when it would answer.
        decision: What its checks and its policy said.
        leaving: Every message, in order.
        masked: How the masked vector's half-bytes are spread; None when none was made.
        receipt: The receipt it would keep.
        release: The answer to the made-up records; None for real ones, of which no sum is ever opened.
        own: The council's own exact figures, if they were asked for. They are not kept.
        councils: How many took part in the rehearsal.
        notes: What was different from a real round, in plain sentences.
    """

    plan: Plan | None
    agreement: str
    practice: bool
    refusal: PolicyRefusal | None = None
    decision: Decision | None = None
    leaving: tuple[Leaving, ...] = ()
    masked: HalfByteCount | None = None
    receipt: Receipt | None = None
    release: Release | None = field(default=None, repr=False)
    own: LocalStatistic | None = None
    councils: int = 0
    notes: tuple[str, ...] = ()


def dry_run(
    settings: Settings,
    asked: Asked,
    *,
    practice: bool,
    clock: Callable[[], datetime],
    rng: RandomSource,
    tell: Tell,
) -> DryRun:
    """Rehearse a question. Run by `council-node dry-run`.

    Args:
        settings: Of the node; what they name is read, and nothing of it is changed.
        asked: The question.
        practice: Whether to make records up instead of reading the council's own.
        clock: Gives the time, UTC.
        rng: Secure random bytes, for keys, masks and noise.
        tell: Takes progress.

    Raises:
        FederatedError: It cannot be rehearsed: no agreement, a file that cannot be read, a question that is none.

    Privacy:
        The council's records are read only where `practice` is false, as for a real question, and only the figures'
        masked form leaves the node; the sum of a round with real records is never opened. The real identity key is
        not read.
    """
    with ExitStack() as opened:
        folder = Path(opened.enter_context(_passing_folder()))
        rehearsal = _Rehearsal.prepare(settings, asked, folder, practice=practice, now=clock(), rng=rng)
        return rehearsal.run(opened, clock, rng, tell)


@contextmanager
def _passing_folder() -> Iterator[str]:
    """A folder that only this account can read and that goes at the end; in memory where the system has such."""
    memory = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    if memory is not None:
        _sweep(memory)
    prefix = f"{FOLDER_PREFIX}{os.getpid()}-"
    with ExitStack() as opened:
        try:
            place = opened.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=memory))
        except OSError:
            place = opened.enter_context(tempfile.TemporaryDirectory(prefix=prefix))
        yield place


def _sweep(memory: Path) -> None:
    """Remove what rehearsals of this account left in memory when they were killed: it would stay until a restart."""
    for left in memory.glob(f"{FOLDER_PREFIX}*-*"):
        owner = left.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        with suppress(OSError):  # another dry run may be sweeping too
            if owner.isdecimal() and left.lstat().st_uid == os.getuid() and not _runs(int(owner)):
                shutil.rmtree(left)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


class _Watched(Station):
    """A station that remembers its last figures, for `--show-own-figure`."""

    own: LocalStatistic | None = None

    def compute(self, plan: Plan, iteration: Iteration | None = None) -> LocalStatistic:
        self.own = super().compute(plan, iteration)
        return self.own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rehearsal:
    """A rehearsal whose papers are made."""

    settings: Settings
    asked: Asked
    papers: PracticePapers
    practice: bool
    now: datetime

    @classmethod
    def prepare(
        cls, settings: Settings, asked: Asked, folder: Path, *, practice: bool, now: datetime, rng: RandomSource
    ) -> "_Rehearsal":
        accepted = pinned_agreement(settings, asked.agreement, asked.question.group)
        papers = make_papers(
            settings, accepted, asked.question.group, folder=folder, schema=load_schema(), now=now, rng=rng
        )
        return cls(settings=settings, asked=asked, papers=papers, practice=practice, now=now)

    @property
    def me(self) -> CouncilId:
        return CouncilId(self.settings.council.id)

    def run(self, opened: ExitStack, clock: Callable[[], datetime], rng: RandomSource, tell: Tell) -> DryRun:
        events: list[str] = []

        def note(_event: str, fields: Mapping[str, str | int]) -> None:
            events.extend(str(fields["reason"]) for name in fields if name == "reason")

        settings = rehearsing_settings(self.settings, self.papers, self._own_data(rng))
        station = opened.enter_context(_Watched(settings, clock=clock, rng=rng, log=note))
        found = DryRun(
            plan=None, agreement=self.papers.agreement.id, practice=self.practice, notes=tuple(self._notes())
        )
        try:
            self.papers.roster.check_in_force(self.now)
            plan, manifest = self._planned(station, rng)
            found = replace(found, plan=plan)
            nodes = {self.me: CouncilNode(station).answer}
            if self.me in plan.eligible:
                nodes |= self._partners(plan, opened, clock, rng, tell)
            return self._round(found, plan, manifest=manifest, station=station, nodes=nodes, rng=rng, tell=tell)
        except PolicyRefusal as refusal:
            return replace(found, refusal=refusal)
        except RoundAborted as problem:
            raise RoundAborted(f"{problem} {' '.join(events[-1:])}".strip(), remedy=problem.remedy) from problem

    def _own_data(self, rng: RandomSource) -> dict[str, Path]:
        if not self.practice:
            return dict(self.settings.data)
        question = self.asked.question
        if can_be_practised(question.dataset):
            return {question.dataset: write_practice_extract(self.papers.folder, self.me, question.period, rng)}
        return {question.dataset: self._empty_extract()}

    def _empty_extract(self) -> Path:
        return write_empty_extract(self.papers.folder, load_schema().dataset(self.asked.question.dataset))

    def _notes(self) -> Iterator[str]:
        if not self.papers.enrolled:
            yield "This council has no list of councils yet; the agreement's group stands in for it."
        if self.asked.manifest is None:
            yield "No manifest was given; a practice one stands in. A real question brings its own, and it is checked."
        holder = self.papers.agreement.mask_holder
        if holder is not None:
            yield f"The mask holder, {holder.name}, is not asked: a throw-away key plays its part."
        if self.practice and not can_be_practised(self.asked.question.dataset):
            yield "There are no practice records of this data set, so every figure is 0 before the noise."

    def _planned(self, station: Station, rng: RandomSource) -> tuple[Plan, bytes]:
        agreement, manifest = self.papers.agreement, self.asked.manifest_or_practice(self.now)
        spent = station.ledger.committed(agreement.id, str(self.now.year))
        plan = self.asked.plan(
            agreement=agreement,
            roster=self.papers.roster,
            schema=station.schema,
            spent=spent,
            manifest=manifest,
            now=self.now,
            rng=rng,
        )
        return plan, manifest

    def _partners(
        self, plan: Plan, opened: ExitStack, clock: Callable[[], datetime], rng: RandomSource, tell: Tell
    ) -> dict[CouncilId, Callable[[bytes], bytes]]:
        others = [council for council in plan.eligible if council != self.me]
        wanted = max(possible_rounds(plan.rules)[0].n, REHEARSAL_COUNCILS) - 1
        found: dict[CouncilId, Callable[[bytes], bytes]] = {}
        for council in others[:wanted]:
            tell(f"Making practice council {len(found) + 1} of {min(wanted, len(others))}")
            name = self.papers.roster.councils[council].name
            data = {plan.question.dataset: self._partner_data(council, rng)}
            settings = partner_settings(self.settings, self.papers, council, name, data)
            station = opened.enter_context(Station(settings, clock=clock, rng=rng, log=lambda _event, _fields: None))
            found[council] = unsafe_with_willing_people(station, resting_node(station), clock)
        return found

    def _partner_data(self, council: CouncilId, rng: RandomSource) -> Path:
        # Beside real records the others hold none: nothing in the rehearsal is ever added up.
        if self.practice and can_be_practised(self.asked.question.dataset):
            return write_practice_extract(self.papers.folder, council, self.asked.question.period, rng)
        return self._empty_extract()

    def _round(
        self,
        found: DryRun,
        plan: Plan,
        *,
        manifest: bytes,
        station: _Watched,
        nodes: Mapping[CouncilId, Callable[[bytes], bytes]],
        rng: RandomSource,
        tell: Tell,
    ) -> DryRun:
        leaving: list[Leaving] = []

        def record(council: CouncilId, reply: LinkMessage) -> None:
            if council == self.me:
                leaving.append(Leaving(kind=reply.kind, content=reply.encode()))

        papers = self.papers
        practice_round = PracticeRound.new(plan, papers.roster, nodes, record=record, holder_key=papers.holder, rng=rng)
        tell("Deciding on the question")
        practice_round.bring_roster(self.papers.roster_envelope)
        decision = self._decided(practice_round, plan, manifest, station)
        found = replace(found, decision=decision, leaving=tuple(leaving))
        if decision.verdict is Verdict.REFUSED:
            return replace(found, refusal=PolicyRefusal(decision.rule, decision.reason))
        tell("Reading, counting, adding noise and masking")
        aggregator = practice_round.run()
        release = None
        if self.practice:
            total = practice_round.finish(aggregator)
            release = self._release(plan, practice_round, total, station)
            practice_round.end(self.me, Kind.RELEASE, release.encode())
        else:
            aggregator.abandon()
            practice_round.end(self.me, Kind.ABORT)
        return replace(
            found,
            leaving=tuple(leaving),
            masked=_half_bytes(leaving, practice_round),
            receipt=_receipt(station, practice_round, self.practice),
            release=release,
            own=station.own,
            councils=len(nodes),
        )

    def _decided(self, practice_round: PracticeRound, plan: Plan, manifest: bytes, station: Station) -> Decision:
        """Have every council decide; where this one leaves it to a person, the rehearsal goes on as if they said yes.

        Returns:
            The decision as it would be sent, before anybody said yes.
        """
        papers = canonical_json(
            {
                "version": 1,
                "plan": self.papers.sign(plan.encode(), PLAN_TYPE).decode("ascii"),
                "manifest": self.papers.sign(manifest, MANIFEST_TYPE).decode("ascii"),
            }
        )
        practice_round.propose(papers, practice_round.nodes)
        policy = station.policy()
        decisions = Decisions(station.store, station.council, station.key, policy.approvals_needed)
        decision = decisions.latest(plan.digest)
        if decision is None:
            raise PolicyRefusal("not_approved", "This council's node would not consider the question.")
        if decision.verdict is Verdict.PENDING:
            for role in policy.approvals_needed or ("rehearsal",):
                decisions.approve(
                    plan.digest,
                    by="the rehearsal",
                    role=role,
                    reason=REHEARSED,
                    answers=dict.fromkeys(red_lines_to_answer(decision), True),
                    now=station.now(),
                )
        return decision

    def _release(self, plan: Plan, practice_round: PracticeRound, total: SecureSum, station: Station) -> Release:
        councils = [self._record(council, practice_round) for council in plan.eligible]
        return make_release(
            plan,
            total,
            schema=station.schema,
            sid=practice_round.sid,
            councils=councils,
            now=station.now(),
            software=f"council-federation {version('council-federation')}, practice records",
        )

    def _record(self, council: CouncilId, practice_round: PracticeRound) -> CouncilRecord:
        inside = council in practice_round.nodes
        return CouncilRecord(
            council=council,
            name=self.papers.roster.councils[council].name,
            outcome="contributed" if inside else "unreachable",
            reason="" if inside else "It is not part of the rehearsal.",
            extract_date=self.now.date().isoformat() if inside else None,
        )


def _half_bytes(leaving: list[Leaving], practice_round: PracticeRound) -> HalfByteCount | None:
    for item in leaving:
        if item.kind is Kind.MASKED_INPUT:
            payload = LinkMessage.decode(item.content).payload
            return count_half_bytes(decode_masked_input(payload, practice_round.context)[1])
    return None


def _receipt(station: Station, practice_round: PracticeRound, practice: bool) -> Receipt | None:  # noqa: FBT001 - private
    kept = station.store.latest(DocumentKind.RECEIPT, practice_round.sid.hex())
    if kept is None:
        return None
    what = "made-up records" if practice else "this council's own records"
    return open_receipt(kept.body).model_copy(update={"outcome": f"{REHEARSED} It was run on {what}."})
