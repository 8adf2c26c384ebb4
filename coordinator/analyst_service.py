"""The analysts' and reviewers' gRPC service: submit, watch, fetch, list, budgets, agreements, signed papers.

A thin shell: who asks is checked by `coordinator.authorisation`, what happens is the desk's. A request that cannot
be served ends with a gRPC status whose details are JSON: code, rule, message, remedy.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, NoReturn, TypeVar, cast

import grpc
from google.protobuf.message import Message

from coordinator.authorisation import Asker, admit
from coordinator.centre import Centre
from coordinator.console.question import QuestionFacts
from coordinator.office import Office, place
from coordinator.paper_intake import paper_kind, papers_of, take_paper
from coordinator.progress import Step
from coordinator.retention import require_kept
from coordinator.sign_in.audit import note_figures
from coordinator.store import DeliveryRow, PaperRow, Place, ProposalRow, ReleaseRow
from federated.errors import ExitStatus, FederatedError, InternalError, PolicyRefusal, QueryError
from federated.papers import REMARKS, PaperKind
from federated.timestamps import parse_time, time_text
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest
from protocols.wire import analyst_pb2 as pb
from protocols.wire.analyst_pb2_grpc import add_AnalystServicer_to_server

__all__ = ["AnalystService"]

VERSION: Final = 1
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 500

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")

_STATUS: Final = {
    ExitStatus.INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    ExitStatus.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    ExitStatus.BUDGET: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ExitStatus.COHORT: grpc.StatusCode.FAILED_PRECONDITION,
    ExitStatus.ROUND: grpc.StatusCode.ABORTED,
    ExitStatus.TRANSPORT: grpc.StatusCode.UNAVAILABLE,
    ExitStatus.SIGNATURE: grpc.StatusCode.UNAUTHENTICATED,
}


class AnalystService:
    """Serves analysts and reviewers.

    Args:
        office: What the coordinator's parts share.
        centre: The coordinator.
    """

    def __init__(self, office: Office, centre: Centre) -> None:
        self._office = office
        self._centre = centre

    def attach(self, server: grpc.aio.Server) -> None:
        """Add the service to a server that has not started."""
        add_AnalystServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # generated without types

    async def close(self) -> None:
        """Open streams end with the server."""

    # --- the service's methods; their names are the service's own ---

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> AsyncIterator[pb.Progress]:  # noqa: N802
        """Take a signed plan and report on its run until it ends."""

        async def watched(asker: Asker) -> Digest:
            asker.require_analyst()
            return await self._centre.desk.submit(request.plan, request.manifest, refresh=request.refresh)

        digest = await self._serve("Submit", request, context, watched)
        async for progress in self._steps(digest, context):
            yield progress

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.Progress]:  # noqa: N802
        """Report on a run handed in before."""

        async def watched(asker: Asker) -> Digest:
            digest = _digest(request.plan_digest, "plan")
            proposal = await self._office.thread(self._office.store.proposals.get, digest)
            if proposal is not None and proposal.agreement_digest not in asker.agreements:
                raise _not_here("run of this plan")
            await self._centre.desk.ensure_watchable(digest)
            if not self._office.board.known(digest):
                raise _not_here("run of this plan")
            return digest

        digest = await self._serve("Watch", request, context, watched)
        async for progress in self._steps(digest, context, after=request.after_sequence):
            yield progress

    async def GetRelease(self, request: pb.GetReleaseRequest, context: Context) -> pb.GetReleaseReply:  # noqa: N802
        """Give a release as published, with the councils' receipts; who read it is written down."""

        async def found(asker: Asker) -> pb.GetReleaseReply:
            office = self._office
            row = await self._find(request)
            if row is None or row.agreement_id not in asker.agreement_ids:
                raise _not_here("release")
            require_kept(row)
            now = office.clock()
            await office.thread(note_figures, office.store, asker.keyid, row.digest, how="GetRelease", now=now)
            owed = await office.thread(office.store.releases.deliveries, row.digest)
            receipts = [delivery.receipt for delivery in owed if delivery.receipt is not None]
            return pb.GetReleaseReply(version=VERSION, release=row.content, receipts=receipts)

        return await self._serve("GetRelease", request, context, found)

    async def ListReads(self, request: pb.ListReadsRequest, context: Context) -> pb.ListReadsReply:  # noqa: N802
        """Say who was given a release: people who fetched it, councils that acknowledged it; for reviewers."""

        async def listed(asker: Asker) -> pb.ListReadsReply:
            office = self._office
            digest = _digest(request.release_digest, "release")
            row = await office.thread(office.store.releases.get, digest)
            if row is None or row.agreement_id not in asker.agreement_ids:
                raise _not_here("release")
            asker.require_reviewer(row.agreement_id)  # as on the pages: `Operation.VIEW_READERS`
            fetched = await office.thread(office.store.releases.reads, digest)
            delivered = await office.thread(office.store.releases.deliveries, digest)
            return pb.ListReadsReply(version=VERSION, reads=[*map(_fetched, fetched), *_delivered(delivered)])

        return await self._serve("ListReads", request, context, listed)

    async def ListReleases(  # noqa: N802
        self, request: pb.ListReleasesRequest, context: Context
    ) -> pb.ListReleasesReply:
        """List the releases under the asker's agreements, newest first."""

        async def listed(asker: Asker) -> pb.ListReleasesReply:
            size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
            offset = _offset(request.page)
            page = self._office.store.releases.page
            rows = await self._office.thread(page, asker.agreement_ids, offset=offset, size=size + 1)
            following = str(offset + size) if len(rows) > size else ""
            summaries = [_summary(row) for row in rows[:size]]
            return pb.ListReleasesReply(version=VERSION, releases=summaries, next_page=following)

        return await self._serve("ListReleases", request, context, listed)

    async def Budgets(self, request: pb.BudgetsRequest, context: Context) -> pb.BudgetsReply:  # noqa: N802
        """Give every council's own signed statement, fetched afresh where the council is connected."""

        async def stated(asker: Asker) -> pb.BudgetsReply:
            councils = _councils(asker, request.agreement_digest)
            found = await self._centre.budgets.statements(councils)
            statements = [
                pb.BudgetStatement(council_id=council, statement=found.get(council, b"")) for council in councils
            ]
            return pb.BudgetsReply(version=VERSION, statements=statements)

        return await self._serve("Budgets", request, context, stated)

    async def GetAgreementState(  # noqa: N802
        self, request: pb.GetAgreementStateRequest, context: Context
    ) -> pb.GetAgreementStateReply:
        """Give the roster and the asker's agreements, as signed."""

        async def state(asker: Asker) -> pb.GetAgreementStateReply:
            membership = self._office.membership
            membership.require_roster()
            return pb.GetAgreementStateReply(
                version=VERSION,
                roster=membership.roster_envelope,
                agreements=[signed.envelope for signed in asker.agreements.values()],
            )

        return await self._serve("GetAgreementState", request, context, state)

    async def ListQuestions(  # noqa: N802
        self, request: pb.ListQuestionsRequest, context: Context
    ) -> pb.ListQuestionsReply:
        """List the questions under the asker's agreements, newest first, and where each stands."""

        async def listed(asker: Asker) -> pb.ListQuestionsReply:
            size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
            store, thread = self._office.store, self._office.thread
            kept = await thread(store.membership.agreements)
            versions = {row.digest for row in kept if row.agreement_id in asker.agreement_ids} | set(asker.agreements)
            start = _after(request.page)
            rows = await thread(store.proposals.page, (), size=size + 1, start=start, agreements=versions)
            following = _page_after(rows[size - 1]) if len(rows) > size else ""
            questions = await asyncio.to_thread(lambda: [_question(row) for row in rows[:size]])
            return pb.ListQuestionsReply(version=VERSION, questions=questions, next_page=following)

        return await self._serve("ListQuestions", request, context, listed)

    async def AddPaper(self, request: pb.AddPaperRequest, context: Context) -> pb.AddPaperReply:  # noqa: N802
        """Take a signed paper about a question or an answer; who must have signed it depends on its kind."""

        async def taken(asker: Asker) -> pb.AddPaperReply:
            digest, added = await take_paper(self._office, asker, paper_kind(request.kind), request.paper)
            return pb.AddPaperReply(version=VERSION, paper_digest=digest, added=added)

        return await self._serve("AddPaper", request, context, taken)

    async def ListPapers(self, request: pb.ListPapersRequest, context: Context) -> pb.ListPapersReply:  # noqa: N802
        """Give papers under the asker's agreements as they were signed; of one that is hidden, why."""

        async def listed(asker: Asker) -> pb.ListPapersReply:
            kind = paper_kind(request.kind)
            rows = await self._office.thread(papers_of, self._office.store, asker, kind, request.subject)
            await self._office.thread(self._note_remarks, asker, kind, rows)
            return pb.ListPapersReply(version=VERSION, papers=map(_paper, rows))

        return await self._serve("ListPapers", request, context, listed)

    # --- shared ---

    async def _serve(
        self, method: str, request: Message, context: Context, serve: Callable[[Asker], Awaitable[T]]
    ) -> T:
        """Check who asks, then serve; every failure becomes a status with one plain sentence."""
        try:
            await self._centre.refresh()  # an agreement added a moment ago counts already
            asker = admit(self._office, request, method)
            _check_version(request)
            return await serve(asker)
        except FederatedError as error:
            await _abort(context, error)
        except Exception as error:  # noqa: BLE001 - the outermost loop of a request: its caller must not see a traceback
            self._office.note("request_failed", {"method": method, "error": type(error).__name__, "at": place(error)})
            sentence = f"Something unexpected happened in the coordinator ({type(error).__name__} at {place(error)})."
            await _abort(context, InternalError(sentence, remedy="Please report it, with this line."))

    async def _steps(self, digest: Digest, context: Context, *, after: int = 0) -> AsyncIterator[pb.Progress]:
        try:
            async for step in self._office.board.watch(digest, after=after):
                yield _progress(digest, step)
        except FederatedError as error:
            await _abort(context, error)

    def _note_remarks(self, asker: Asker, kind: PaperKind, rows: Iterable[PaperRow]) -> None:
        """What is said of an answer can quote its figures, so whoever is given it is written down as their reader."""
        if kind not in REMARKS:
            return
        for digest in sorted({row.subject for row in rows if row.hidden_at is None}):
            about, now = Digest(bytes.fromhex(digest)), self._office.clock()
            note_figures(self._office.store, asker.keyid, about, how="ListPapers", now=now)

    async def _find(self, request: pb.GetReleaseRequest) -> ReleaseRow | None:
        releases = self._office.store.releases
        match request.WhichOneof("which"):
            case "plan_digest":
                return await self._office.thread(releases.of_plan, _digest(request.plan_digest, "plan"))
            case "query_digest":
                return await self._office.thread(releases.of_question, _digest(request.query_digest, "question"))
            case "release_digest":
                return await self._office.thread(releases.get, _digest(request.release_digest, "release"))
            case _:
                raise QueryError("The request names no release.", remedy="Name one by exactly one digest.")


def _fetched(read: tuple[str, str, str]) -> pb.ReleaseRead:
    reader, _, at = read
    return pb.ReleaseRead(reader=reader, how="fetched", at=at)


def _delivered(rows: Iterable[DeliveryRow]) -> Iterator[pb.ReleaseRead]:
    for row in rows:
        if row.received_at is not None:
            yield pb.ReleaseRead(reader=row.council, how="delivered", at=time_text(row.received_at))


def _progress(digest: Digest, step: Step) -> pb.Progress:
    return pb.Progress(
        version=VERSION,
        sequence=step.sequence,
        plan_digest=digest,
        at=time_text(step.at),
        stage=cast("pb.RunStage", int(step.stage)),
        council_id=step.council or "",
        council_state=cast("pb.CouncilState", int(step.council_state)),
        rule=step.rule,
        message=step.message,
        answered=step.answered,
        asked=step.asked,
        final=step.final,
        release_digest=step.release_digest or b"",
    )


def _summary(row: ReleaseRow) -> pb.ReleaseSummary:
    return pb.ReleaseSummary(
        release_digest=row.digest,
        plan_digest=row.plan_digest,
        query_digest=row.query_digest,
        released_at=time_text(row.created_at),
        title=row.title,
        councils_in=row.contributed,
        councils_asked=row.asked,
    )


def _question(row: ProposalRow) -> pb.QuestionSummary:
    facts = QuestionFacts.read(row)
    return pb.QuestionSummary(
        plan_digest=row.plan_digest,
        query_digest=row.query_digest,
        agreement_id=facts.agreement,
        state=row.state,
        title=facts.title,
        received_at=time_text(row.received_at),
        collect_by=time_text(facts.terms.collect_by),
        return_by=time_text(facts.terms.return_by),
        manifest_id=row.manifest_id,
        period_from=facts.period[0],
        period_to=facts.period[1],
    )


def _paper(row: PaperRow) -> pb.Paper:
    hidden = row.hidden_at is not None
    return pb.Paper(
        paper_digest=row.digest,
        paper=b"" if hidden else row.envelope,
        author=row.author,
        received_at=time_text(row.received_at),
        hidden_at="" if row.hidden_at is None else time_text(row.hidden_at),
        hidden_reason=row.hidden_reason,
    )


def _page_after(row: ProposalRow) -> str:
    return f"{time_text(row.received_at)}_{row.plan_digest.hex()}"


def _after(page: str) -> Place | None:
    if not page:
        return None
    time, _, identity = page.partition("_")
    try:
        return parse_time(time), bytes.fromhex(identity)
    except (ValueError, QueryError) as error:
        raise QueryError(
            "The page is not one that this coordinator gave out.", remedy="Start again without a page."
        ) from error


def _councils(asker: Asker, agreement_digest: bytes) -> tuple[CouncilId, ...]:
    chosen = [
        signed.agreement
        for digest, signed in asker.agreements.items()
        if not agreement_digest or digest == agreement_digest
    ]
    if not chosen:
        raise _not_here("agreement")
    return tuple(sorted({council for agreement in chosen for group in agreement.groups for council in group.councils}))


def _digest(value: bytes, what: str) -> Digest:
    if len(value) != DIGEST_SIZE:
        raise QueryError(f"The {what}'s digest has {len(value)} bytes; it must have {DIGEST_SIZE}.")
    return Digest(value)


def _offset(page: str) -> int:
    if not page:
        return 0
    if not page.isascii() or not page.isdigit() or len(page) > 9:  # noqa: PLR2004 - far more releases than there can be
        raise QueryError("The page is not one that this coordinator gave out.", remedy="Start again without a page.")
    return int(page)


def _check_version(request: Message) -> None:
    version = request.version  # type: ignore[attr-defined]  # every request of the service has it
    if version != VERSION:
        raise QueryError(
            f"The request is of version {version}; this coordinator serves version {VERSION}.",
            remedy="Update the older of the two.",
        )


def _not_here(what: str) -> PolicyRefusal:
    # The same words whether it does not exist or is another agreement's: neither is for this asker to know.
    return PolicyRefusal("not_found", f"There is no {what} here under any agreement of yours.")


async def _abort(context: Context, error: FederatedError) -> NoReturn:
    detail = {
        "code": error.exit_status.name.lower(),
        "rule": error.rule if isinstance(error, PolicyRefusal) else "",
        "message": str(error),
        "remedy": error.remedy,
    }
    await context.abort(_STATUS.get(error.exit_status, grpc.StatusCode.INTERNAL), json.dumps(detail))
    raise error  # `abort` does not return
