"""The analyst's and reviewer's client: plan, submit, watch, fetch, check. What the command line is made of.

The client believes nothing the coordinator says that is not signed by somebody else: the roster and the agreements
are opened against the keys in the workspace, budgets against the councils' own keys.
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from federated.agreement import Agreement, open_agreement
from federated.authorisation import authorise
from federated.budget_statement import STATEMENT_KIND, BudgetStatement, committed, read_statement
from federated.errors import ExitStatus, FederatedError, QueryError, SignatureProblem, TransportError
from federated.keys import SigningKey, trusted_keys
from federated.manifest import MANIFEST_TYPE
from federated.papers import PaperKind
from federated.plan import NONCE_SIZE, PLAN_TYPE, Plan
from federated.planner import Planner, terms_for
from federated.query import Query
from federated.release import Release, open_release
from federated.roster import Roster, RosterEntry, open_roster
from federated.schema import load_schema
from federated.signing import open_envelope, sign_payload, statement_type
from federated.workspace import Workspace
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, RandomSource
from protocols.wire import analyst_pb2 as pb
from protocols.wire import analyst_pb2_grpc as service

__all__ = ["Client", "RemoteRefusal"]

MESSAGE_LIMIT = 256 * 1024 * 1024
CALL_TIMEOUT_S = 60
"""For everything but `submit` and `watch`, which last as long as people take to decide."""


class RemoteRefusal(FederatedError):
    """The coordinator or the councils said no; carries their code, rule and exit status."""

    def __init__(self, message: str, *, remedy: str, rule: str, status: ExitStatus) -> None:
        super().__init__(message, remedy=remedy)
        self.rule = rule
        self.exit_status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """The signed state an analyst plans against."""

    roster: Roster
    agreements: Mapping[str, Agreement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Somebody was given a release.

    Attributes:
        reader: Key id of the person who fetched it, or the council's code.
        how: ``fetched`` by a person; ``delivered`` to a council, which has acknowledged it.
        at: UTC, as the coordinator wrote it down.
    """

    reader: str
    how: str
    at: str


class Client:
    """One connection to the coordinator; use it as a context manager.

    Args:
        workspace: Whom to ask and whom to trust.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes, for plan nonces.
    """

    def __init__(self, workspace: Workspace, *, clock: Callable[[], datetime], rng: RandomSource) -> None:
        self._workspace = workspace
        self._clock = clock
        self._rng = rng
        self._key: SigningKey = workspace.signing_key()
        self._channel = _channel(workspace)
        self._stub: Any = service.AnalystStub(self._channel)  # type: ignore[no-untyped-call]  # generated code

    def __enter__(self) -> Self:
        """Nothing to open: the channel connects when first used."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._channel.close()

    def trusted(self) -> Trusted:
        """Fetch the roster and the agreements in force, and check their signatures.

        Raises:
            SignatureProblem: They are not signed by the keys of the workspace.
        """
        reply = self._call("GetAgreementState", pb.GetAgreementStateRequest(version=1))
        now = self._clock()
        trust = self._workspace.trust
        roster = open_roster(reply.roster, trust, now=now, known=None)
        agreements = [open_agreement(envelope, trust, now=now) for envelope in reply.agreements]
        return Trusted(roster=roster, agreements={agreement.id: agreement for agreement in agreements})

    def budgets(self, trusted: Trusted) -> Mapping[CouncilId, BudgetStatement | None]:
        """Every council's own signed statement of what it has spent; `None` where it gave none.

        Raises:
            SignatureProblem: A statement is not signed by that council.
        """
        reply = self._call("Budgets", pb.BudgetsRequest(version=1))
        statements: dict[CouncilId, BudgetStatement | None] = dict.fromkeys(trusted.roster.councils)
        for item in reply.statements:
            council = CouncilId(item.council_id)
            entry = trusted.roster.councils.get(council)
            if entry is None:
                raise SignatureProblem(f"A budget statement came for {council}, which is not in the roster.")
            if item.statement:
                statements[council] = _budget_statement(item.statement, entry)
        return statements

    def plan(self, question: Query, *, agreement: str | None, manifest: bytes, trusted: Trusted | None = None) -> Plan:
        """Plan a question; spends nothing.

        Args:
            question: The question.
            agreement: Id of the agreement; may be left out when there is only one.
            manifest: The manifest's bytes, whose digest goes into the plan.
            trusted: Signed state fetched before; fetched now when left out.
        """
        return self.planner(agreement=agreement, manifest=manifest, trusted=trusted).plan(question)

    def planner(self, *, agreement: str | None, manifest: bytes, trusted: Trusted | None = None) -> Planner:
        """What questions can be planned against, fetched once; arguments as for :meth:`plan`."""
        state = trusted or self.trusted()
        chosen = pick_agreement(state, agreement)
        period = str(self._clock().year)
        return Planner(
            agreement=chosen,
            roster=state.roster,
            schema=load_schema(),
            terms=terms_for(chosen, sha256(manifest), now=self._clock(), nonce=self._rng(NONCE_SIZE)),
            committed={
                council: committed(statement, chosen.id, period)
                for council, statement in self.budgets(state).items()
                if statement is not None
            },
        )

    def submit(self, plan: Plan, manifest: bytes, *, refresh: bool = False) -> Iterator[pb.Progress]:
        """Sign the plan and its manifest, hand them in, and follow the run until it ends.

        Yields:
            Steps of the run; the last one has `final` set, and `release_digest` when there is a release.
        """
        signed_plan, signed_manifest = self.sign(plan, manifest)
        request = pb.SubmitRequest(version=1, plan=signed_plan, manifest=signed_manifest, refresh=refresh)
        yield from self._stream("Submit", request)

    def sign(self, plan: Plan, manifest: bytes) -> tuple[bytes, bytes]:
        """The plan and its manifest, each signed with this workspace's key; sends nothing."""
        return sign_payload(plan.encode(), PLAN_TYPE, [self._key]), sign_payload(manifest, MANIFEST_TYPE, [self._key])

    def hand_in(self, plan: bytes, manifest: bytes) -> pb.Progress:
        """Hand in a signed plan, and return with its first step: the run goes on without us."""
        steps = self._stream("Submit", pb.SubmitRequest(version=1, plan=plan, manifest=manifest))
        try:
            return next(steps)
        except StopIteration:
            raise TransportError("The coordinator said nothing of the plan.", remedy="Try again.") from None
        finally:
            steps.close()

    def watch(self, plan_digest: bytes) -> Iterator[pb.Progress]:
        """Follow a run that was handed in before."""
        yield from self._stream("Watch", pb.WatchRequest(version=1, plan_digest=plan_digest))

    def release(self, *, release_digest: bytes = b"", plan_digest: bytes = b"", query_digest: bytes = b"") -> Release:
        """Fetch a release by one of its three names; the coordinator records who read it."""
        names = {"release_digest": release_digest, "plan_digest": plan_digest, "query_digest": query_digest}
        given = {name: value for name, value in names.items() if value}
        if len(given) != 1:
            raise QueryError("Name a release by exactly one digest.")
        content = self._call("GetRelease", pb.GetReleaseRequest(version=1, **given)).release
        if release_digest and sha256(content) != release_digest:
            raise TransportError("The coordinator sent another release than the one asked for.")
        return open_release(content)

    def releases(self) -> Iterator[pb.ReleaseSummary]:
        """Every release, newest first."""
        page = ""
        while True:
            reply = self._call("ListReleases", pb.ListReleasesRequest(version=1, page=page))
            yield from reply.releases
            page = reply.next_page
            if not page:
                return

    def questions(self) -> Iterator[pb.QuestionSummary]:
        """Every question under our agreements, newest first, as the coordinator tells of it."""
        page = ""
        while True:
            reply = self._call("ListQuestions", pb.ListQuestionsRequest(version=1, page=page))
            yield from reply.questions
            page = reply.next_page
            if not page:
                return

    def add_paper(self, kind: PaperKind, envelope: bytes) -> tuple[bytes, bool]:
        """Hand in a signed paper; its digest, and whether it is new there."""
        reply = self._call("AddPaper", pb.AddPaperRequest(version=1, kind=kind.value, paper=envelope))
        return reply.paper_digest, reply.added

    def papers(self, kind: PaperKind, *, subject: str = "") -> tuple[pb.Paper, ...]:
        """Papers of a kind under our agreements, oldest first; whoever reads them opens them and so checks them."""
        return tuple(self._call("ListPapers", pb.ListPapersRequest(version=1, kind=kind.value, subject=subject)).papers)

    def reads(self, release_digest: bytes) -> tuple[Read, ...]:
        """Who was given a release, by the coordinator's own record; asking for it is no reading."""
        reply = self._call("ListReads", pb.ListReadsRequest(version=1, release_digest=release_digest))
        return tuple(Read(reader=item.reader, how=item.how, at=item.at) for item in reply.reads)

    def _signed(self, method: str, request: Message) -> Message:
        request.authorisation = authorise(  # type: ignore[attr-defined]  # every request of the service has it
            request, method=method, coordinator=self._workspace.coordinator.id, key=self._key, now=self._clock()
        )
        return request

    def _call(self, method: str, request: Message) -> Any:
        try:
            return getattr(self._stub, method)(self._signed(method, request), timeout=CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            raise _translated(error) from error

    def _stream(self, method: str, request: Message) -> Generator[pb.Progress, None, None]:
        try:
            yield from getattr(self._stub, method)(self._signed(method, request))
        except grpc.RpcError as error:
            raise _translated(error) from error


def _budget_statement(envelope: bytes, entry: RosterEntry) -> BudgetStatement:
    opened = open_envelope(envelope, statement_type(STATEMENT_KIND), trusted_keys(entry.public_key))
    return read_statement(opened.payload, council=entry.id)


def pick_agreement(state: Trusted, name: str | None) -> Agreement:
    """The agreement of that id, or the only one.

    Raises:
        QueryError: There is none of that id, or there are several and none was named.
    """
    known = ", ".join(sorted(state.agreements)) or "none"
    if name is None and len(state.agreements) == 1:
        return next(iter(state.agreements.values()))
    if name is None or name not in state.agreements:
        raise QueryError(
            f"No agreement '{name}' is in force." if name else "Several agreements or none are in force.",
            remedy=f"Name one with --agreement. In force: {known}.",
        )
    return state.agreements[name]


def _channel(workspace: Workspace) -> grpc.Channel:
    coordinator = workspace.coordinator
    try:
        roots = coordinator.ca_file.read_bytes()
    except OSError as error:
        raise TransportError(
            f"{coordinator.ca_file}: the certificate of the coordinator's authority cannot be read ({error.strerror}).",
            remedy="Ask the coordinator's operator for it, and name it in the workspace file.",
        ) from error
    options: list[tuple[str, str | int]] = [("grpc.max_receive_message_length", MESSAGE_LIMIT)]
    if coordinator.server_name is not None:
        options.append(("grpc.ssl_target_name_override", coordinator.server_name))
    return grpc.secure_channel(coordinator.address, grpc.ssl_channel_credentials(roots), options)


def _translated(error: grpc.RpcError) -> FederatedError:
    """A gRPC failure as one of ours: the coordinator's own sentence, or what is wrong with the connection."""
    details = getattr(error, "details", lambda: "")() or ""
    try:
        told = json.loads(details)
        status = ExitStatus.__members__.get(str(told["code"]).upper(), ExitStatus.REFUSED)
        return RemoteRefusal(
            str(told["message"]), remedy=str(told.get("remedy", "")), rule=str(told.get("rule", "")), status=status
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return TransportError(
            f"The coordinator could not be reached or broke off ({str(details)[:200] or 'no details'}).",
            remedy="Check the address, the certificate file and your network, then try again.",
        )
