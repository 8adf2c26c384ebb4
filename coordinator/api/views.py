"""What each call of the programs' interface gives: the console's readings of the store, as forms instead of pages."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Final, cast
from urllib.parse import urlencode

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from coordinator.api import forms
from coordinator.api.asking import Ask, ask_of
from coordinator.api.paper_shown import paper_shown
from coordinator.console.answers import access_to, answer_file, answer_row, remarks_given, said_since, version_of
from coordinator.console.budgets import said_of
from coordinator.console.desk import Desk, digest_of
from coordinator.console.question import QuestionFacts, manifest_of, title_of
from coordinator.console.signed_papers import listed, place_of_paper
from coordinator.console.suggestions import place_for, shown_to
from coordinator.console.watching import in_latest_round
from coordinator.console.words import STANDINGS, reason_of, standing_of
from coordinator.inbox import LONGEST_KEY, hand_in
from coordinator.inbox import HandedIn as Letter
from coordinator.paper_intake import Ground, bring_paper
from coordinator.proposal_states import TERMINAL, ProposalState
from coordinator.roster import SignedAgreement
from coordinator.sign_in.operations import Operation
from coordinator.store import BudgetRow, InboxRow, Place, ProposalRow, ReleaseRow
from coordinator.withdrawal import withdraw_own
from federated.clauses import MEANINGS
from federated.errors import FileProblem, QueryError
from federated.outputs.formats import offered
from federated.papers import PaperKind
from federated.privacy import Charge
from federated.query import write_query
from federated.rationals import rational_text
from federated.release import open_release
from federated.revisions import provisional_words
from federated.timestamps import time_text
from protocols.identifiers import CouncilId, Digest

PREFIX: Final = "/api/v1"
SIZE: Final = 50
MOST: Final = 200
_STANDINGS: Final = {item.name: item for item in STANDINGS}

Asking = Annotated[Ask, Depends(ask_of)]
Size = Annotated[int, Query(ge=1, le=MOST, description="Most entries of the page.")]
Cursor = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{64}$",
        description="Where the page begins: take the path `next` of the page before as it is.",
    ),
]
Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=LONGEST_KEY,
        description="The same again under this key is one request, and gets the same reply.",
    ),
]
PlanDigest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Digest of the plan.")]
ReleaseDigest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Digest of the answer.")]
AfterCouncil = Annotated[
    str, Query(max_length=32, pattern="^[A-Z0-9]*$", description="Code of the council before; take `next` as it is.")
]
AgreementId = Annotated[str, Path(max_length=120, pattern="^[a-z0-9-]+$", description="Id of the agreement.")]


# The register


def list_questions(
    ask: Asking,
    response: Response,
    standing: Annotated[str | None, Query(max_length=20, description="Only those that stand so.")] = None,
    size: Size = SIZE,
    cursor: Cursor = None,
) -> forms.Questions:
    """Every question that was ever handed in, newest first."""
    if standing is not None and standing not in _STANDINGS:
        raise QueryError(f"There is no such standing; these there are: {', '.join(_STANDINGS)}.")
    states = frozenset() if standing is None else frozenset(state.value for state in _STANDINGS[standing].states)
    proposals = ask.desk.store.proposals
    found = proposals.page(states, size=size + 1, start=_place(cursor, proposals.place_of))
    answers = ask.desk.store.releases.digests_of([row.plan_digest for row in found])
    following = found[size - 1].plan_digest if len(found) > size else None
    wanted = {"size": str(size)} | ({} if standing is None else {"standing": standing})
    return forms.Questions(
        questions=[forms.QuestionLine(**_line(ask, row, answers.get(row.plan_digest))) for row in found[:size]],
        next=_next(response, "/questions", wanted, following),
    )


def _line(ask: Ask, row: ProposalRow, answer: Digest | None) -> dict[str, Any]:
    return {
        "plan": row.plan_digest.hex(),
        "title": title_of(row),
        "standing": standing_of(row).name,
        "reason": reason_of(row),
        "received_at": ask.visitor.told(time_text(row.received_at)),
        "release": None if answer is None else answer.hex(),
    }


def show_question(ask: Asking, plan: PlanDigest) -> forms.QuestionShown:
    """One question: why it is asked, what it costs, and what became of it."""
    digest = digest_of(plan, "question")
    row = ask.desk.store.proposals.get(digest)
    if row is None:
        raise _no_question()
    facts, manifest = QuestionFacts.read(row), manifest_of(row)
    answers = ask.desk.store.releases.digests_of([digest])
    return forms.QuestionShown(
        **_line(ask, row, answers.get(digest)),
        agreement=facts.agreement,
        dataset=facts.dataset,
        unit=facts.unit,
        period_from=facts.period[0],
        period_to=facts.period[1],
        purpose=MEANINGS[manifest.purpose_category],
        benefit=manifest.benefit_to_residents,
        mechanism=facts.mechanism,
        cells=facts.cells,
        tables=list(facts.tables),
        cost=_cost(facts.charge, rational_text(facts.delta)),
        councils=list(facts.councils),
        fewest=facts.fewest,
        collect_by=ask.visitor.told(time_text(facts.terms.collect_by)),
        return_by=ask.visitor.told(time_text(facts.terms.return_by)),
        overdue=facts.overdue(row, ask.desk.clock()),
    )


def _cost(charge: Charge, delta: str) -> forms.Cost:
    epsilon = None if charge.epsilon is None else rational_text(charge.epsilon)
    return forms.Cost(epsilon=epsilon, rho=rational_text(charge.rho), delta=delta)


# Putting a question, and following it


def put_question(
    ask: Asking,
    body: forms.HandIn,
    idempotency_key: Key = None,
) -> JSONResponse:
    """Hand in a signed question; the coordinator takes it within seconds."""
    desk = ask.desk
    letter = Letter(
        plan_envelope=_bytes(body.plan, "plan"),
        manifest_envelope=_bytes(body.manifest, "manifest"),
        refresh=body.refresh,
        key=idempotency_key,
    )
    row = hand_in(
        ask.writing(),
        letter,
        visitor=ask.visitor,
        membership=desk.files.in_force(),
        schema=desk.schema,
        now=desk.clock(),
    )
    watch = f"{PREFIX}/questions/{row.plan_digest.hex()}/progress"
    said = forms.HandedIn(plan=row.plan_digest.hex(), links=forms.Links(progress=watch))
    return JSONResponse(said.model_dump(), HTTPStatus.ACCEPTED, headers={"Location": watch})


def _bytes(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError(f"The {what} is not Base64.") from error


def show_progress(ask: Asking, plan: PlanDigest) -> forms.Progress:
    """Where a question is, council by council, for the parties of its agreement."""
    store, digest = ask.desk.store, digest_of(plan, "question")
    row, letter = store.proposals.get(digest), store.inbox.latest_of(digest)
    if row is None and letter is None:
        raise _no_question()
    agreement = QuestionFacts.read(row).agreement if row is not None else letter.agreement_id if letter else ""
    if row is None and not ask.may(Operation.WATCH, agreement):
        raise _no_question()  # until it is in the register, nobody else need know of it
    ask.allow(Operation.WATCH, agreement=agreement, about=plan)
    answers = store.releases.digests_of([digest])
    state = "inbox" if row is None else row.state
    over = letter is not None and letter.state == "settled" and row is None
    return forms.Progress(
        plan=plan,
        state=state,
        ended=over if row is None else ProposalState(row.state) in {*TERMINAL, ProposalState.FAILED},
        rule="" if row is None else row.rule,
        reason="" if row is None else row.reason,
        handed_in=None if letter is None else _inboxed(letter),
        decisions=[
            forms.CouncilDecision(
                council=one.council,
                name=ask.desk.council_name(one.council),
                decision=one.decision,
                rule=one.rule,
                reason=one.reason,
                received_at=time_text(one.received_at),
            )
            for one in store.proposals.decisions(digest)
        ],
        rounds=[
            forms.RoundShown(
                attempt=one.attempt,
                stage=one.stage,
                outcome=one.outcome,
                reason=one.reason,
                started_at=time_text(one.started_at),
                ended_at=None if one.ended_at is None else time_text(one.ended_at),
            )
            for one in store.rounds.of_plan(digest)
        ],
        councils=[
            forms.CouncilInRound(
                council=one.council,
                name=ask.desk.council_name(one.council),
                outcome=one.outcome,
                stage=one.stage,
                rule=one.rule,
                reason=one.reason,
            )
            for one in in_latest_round(ask.desk, digest)
        ],
        release=answers[digest].hex() if digest in answers else None,
    )


def withdraw_question(ask: Asking, plan: PlanDigest, body: forms.Withdrawal) -> forms.Progress:
    """Take back a question that this account handed in, while councils decide; nothing was spent on it."""
    store, row = ask.writing(), ask.desk.store.proposals.get(digest_of(plan, "question"))
    if row is None:
        raise _no_question()
    withdraw_own(
        store,
        ask.visitor,
        row,
        agreement=QuestionFacts.read(row).agreement,
        reason=body.reason,
        now=ask.desk.clock(),
    )
    return show_progress(ask, plan)


def _no_question() -> FileProblem:
    return FileProblem("There is no such question here.", remedy="The list of questions has all there are.")


def _inboxed(row: InboxRow) -> forms.Inboxed:
    return forms.Inboxed(
        state=row.state,
        rule=row.rule,
        message=row.message,
        watch=None if row.watch_digest is None else row.watch_digest.hex(),
        received_at=time_text(row.received_at),
    )


# Answers


def list_releases(ask: Asking, response: Response, size: Size = SIZE, cursor: Cursor = None) -> forms.Releases:
    """Every answer, newest first: that there is one is public, its figures are for whoever may see them."""
    releases = ask.desk.store.releases
    found = releases.listed(size=size + 1, start=_place(cursor, releases.place_of))
    following = found[size - 1].digest if len(found) > size else None
    return forms.Releases(
        releases=[forms.ReleaseLine(**_answer(ask, row)) for row in found[:size]],
        next=_next(response, "/releases", {"size": str(size)}, following),
    )


def _answer(ask: Ask, row: ReleaseRow) -> dict[str, Any]:
    access = access_to(ask.desk, ask.visitor, row)
    return {
        "digest": row.digest.hex(),
        "plan": row.plan_digest.hex(),
        "title": row.title,
        "agreement": row.agreement_id,
        "created_at": ask.visitor.told(time_text(row.created_at)),
        "deleted_at": None if row.deleted_at is None else ask.visitor.told(time_text(row.deleted_at)),
        "open": access.open,
        "public": access.public,
    }


def show_release(ask: Asking, digest: ReleaseDigest) -> forms.ReleaseShown:
    """How an answer was made; with its councils and files for whoever may see its figures."""
    row = answer_row(ask.desk, digest)
    release, access = open_release(row.content), access_to(ask.desk, ask.visitor, row)
    later = ask.desk.store.releases.later_than(row)
    files = [
        forms.FileShown(
            name=file.name,
            label=file.label,
            media_type=file.media_type,
            table=file.table,
            href=f"{PREFIX}/releases/{digest}/files/{file.name}",
        )
        for file in offered(release)
        if access.open
    ]
    return forms.ReleaseShown(
        **_answer(ask, row),
        note=release.note,
        mechanism=release.mechanism,
        cost=forms.Cost(epsilon=release.cost.epsilon, rho=release.cost.rho, delta=release.cost.delta),
        period=release.period,
        data_cut_off=release.data_cut_off,
        provisional=provisional_words(release),
        revised_by=None if later is None else later.digest.hex(),
        remarks=[
            forms.RemarkShown.model_validate(asdict(remark) | {"text": list(remark.text)})
            for remark in remarks_given(ask.desk, ask.visitor, row, access, "api remarks")
        ],
        public_from=access.public_from,
        tables=[table.name for table in release.tables],
        councils=[
            forms.CouncilIn(council=one.council, name=one.name, outcome=one.outcome)
            for one in release.councils
            if access.open
        ],
        files=files,
    )


def take_file(
    ask: Asking,
    request: Request,
    digest: ReleaseDigest,
    file: Annotated[str, Path(max_length=200, pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the file.")],
) -> Response:
    """A file of an answer: its own bytes, a table, a chart, a note. The note has what was said since."""
    row = answer_row(ask.desk, digest)
    access = access_to(ask.desk, ask.visitor, row)
    tag = f'"{digest}/{file}{version_of(ask.desk, said_since(ask.desk, row))}"'
    # Every time anew: an answer is deleted when its time is over. What is not public is kept by nobody on the way.
    headers = {"ETag": tag, "Vary": "Authorization", "Cache-Control": "no-cache" if access.public else "no-store"}
    # Who has the file already is told so without being given it again; whoever may not see it is refused first. That
    # gives nothing, so nothing is written down: the reading was when the file was taken.
    if access.open and tag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    taken = answer_file(ask.desk, ask.visitor, digest, file, how="api {}")
    headers["Content-Disposition"] = f'attachment; filename="{taken.name}"'
    return Response(taken.content, media_type=taken.kind, headers=headers)


def _tags(header: str) -> frozenset[str]:
    return frozenset(re.findall(r'"[!#-~]*"', header[:2000]))


def list_receipts(
    ask: Asking, response: Response, digest: ReleaseDigest, size: Size = SIZE, after: AfterCouncil = ""
) -> forms.Receipts:
    """The councils' signed receipts of an answer."""
    row = answer_row(ask.desk, digest)
    ask.allow(Operation.VIEW_FIGURES, agreement=row.agreement_id, about=digest)
    owed = ask.desk.store.releases.deliveries(row.digest)
    found = [(one.council, one.receipt) for one in owed if one.receipt is not None and one.council > after][: size + 1]
    last = found[size - 1][0] if len(found) > size else None
    return forms.Receipts(
        receipts=[_text(receipt) for _, receipt in found[:size]],
        next=_after(response, f"/releases/{digest}/receipts", size, last),
    )


def list_readers(
    ask: Asking,
    response: Response,
    digest: ReleaseDigest,
    size: Size = SIZE,
    after: Annotated[
        str,
        Query(
            max_length=32,
            pattern="^([1-9][0-9]{0,8}|[A-Z][A-Z0-9]*)?$",
            description="Place of the reading before, or code of the council before; take `next` as it is.",
        ),
    ] = "",
) -> forms.Readers:
    """Who was given an answer: people, by key or account, and the councils that acknowledged it."""
    row = answer_row(ask.desk, digest)
    ask.allow(Operation.VIEW_READERS, agreement=row.agreement_id, about=digest)
    found = list(islice(_readers(ask.desk, row, after, size + 1), size + 1))
    last = found[size - 1][0] if len(found) > size else None
    return forms.Readers(
        readers=[reading for _, reading in found[:size]],
        next=_after(response, f"/releases/{digest}/readers", size, last),
    )


def _readers(desk: Desk, row: ReleaseRow, after: str, most: int) -> Iterator[tuple[str, forms.Reading]]:
    """Readings and councils beyond a place, each with its own: who reads meanwhile moves no council to another page."""
    store = desk.store.releases
    if not after or after.isdigit():
        begin = int(after or 0)
        for place, (reader, how, at) in enumerate(store.reads(row.digest, begin=begin, most=most), start=begin + 1):
            yield str(place), forms.Reading(reader=reader, how=how, at=at)
        after = ""
    for one in store.deliveries(row.digest):
        if one.received_at is not None and one.council > after:
            yield one.council, forms.Reading(reader=one.council, how="delivered", at=time_text(one.received_at))


# What councils suggest


def list_suggestions(ask: Asking, response: Response, size: Size = SIZE, cursor: Cursor = None) -> forms.Suggestions:
    """Questions that councils suggest, newest first: those for everybody, and those under your agreements."""
    start = _place(cursor, lambda paper: place_for(ask.desk, ask.visitor, paper))
    found = shown_to(ask.desk, ask.visitor, size=size + 1, start=start)
    following = found[size - 1].row.digest if len(found) > size else None
    return forms.Suggestions(
        next=_next(response, "/suggestions", {"size": str(size)}, following),
        suggestions=[
            forms.SuggestionShown(
                paper=one.paper,
                council=one.row.author,
                name=one.who,
                agreement=one.row.agreement_id,
                received_at=ask.visitor.told(time_text(one.row.received_at)),
                for_everybody=one.publish,
                title=None if one.suggestion is None else one.suggestion.question.title,
                reason=None if one.suggestion is None else one.suggestion.reason,
                question=None if one.suggestion is None else write_query(one.suggestion.question),
                not_shown_because=one.reason or None,
            )
            for one in found[:size]
        ],
    )


# Signed papers


def hand_in_paper(ask: Asking, body: forms.PaperHandIn, idempotency_key: Key = None) -> JSONResponse:
    """Hand in a signed comment, note, minutes, series or suggestion; the same paper again is the same paper."""
    desk = ask.desk
    ground = Ground(store=ask.writing(), membership=desk.files.in_force(), schema=desk.schema, now=desk.clock())
    digest, agreement = bring_paper(ground, ask.visitor, body.kind, _bytes(body.paper, "paper"), key=idempotency_key)
    said = forms.PaperTaken(paper=digest.hex(), kind=body.kind, agreement=agreement)
    return JSONResponse(said.model_dump(), HTTPStatus.CREATED)


def list_papers(
    ask: Asking,
    response: Response,
    kind: Annotated[PaperKind, Query(description=forms.KINDS)],
    size: Size = SIZE,
    cursor: Cursor = None,
) -> forms.Papers:
    """Signed papers of a kind, newest first: those for everybody, and those under your agreements."""
    start = _place(cursor, lambda paper: place_of_paper(ask.desk, ask.visitor, kind, paper))
    found, following = listed(ask.desk, ask.visitor, kind, size=size, start=start, how="api papers")
    return forms.Papers(
        papers=[paper_shown(ask, one) for one in found],
        next=_next(response, "/papers", {"kind": kind.value, "size": str(size)}, following),
    )


# Agreements and budgets


def list_agreements(
    ask: Asking,
    response: Response,
    size: Size = SIZE,
    after: Annotated[
        str,
        Query(max_length=120, pattern="^[a-z0-9-]*$", description="Id of the agreement before; take `next` as it is."),
    ] = "",
) -> forms.Agreements:
    """Every agreement in force."""
    in_force = sorted(ask.desk.files.in_force().agreements.values(), key=lambda one: one.agreement.id)
    found = [one for one in in_force if one.agreement.id > after][: size + 1]
    last = found[size - 1].agreement.id if len(found) > size else None
    return forms.Agreements(
        agreements=[forms.AgreementShown(**_agreement(one)) for one in found[:size]],
        next=_after(response, "/agreements", size, last),
    )


def _agreement(signed: SignedAgreement) -> dict[str, Any]:
    found = signed.agreement
    return {
        "id": found.id,
        "version": found.version,
        "title": found.title,
        "digest": found.digest.hex(),
        "valid_from": found.valid_from.isoformat(),
        "valid_to": found.valid_to.isoformat(),
    }


def _in_force(desk: Desk, agreement: str) -> SignedAgreement:
    signed = desk.files.in_force().agreement_of(agreement)
    if signed is None:
        remedy = "The list of agreements has all there are."
        raise FileProblem("There is no such agreement in force here.", remedy=remedy)
    return signed


def show_agreement(ask: Asking, agreement: AgreementId) -> forms.SignedAgreementShown:
    """An agreement and the list of councils as signed, to be checked before planning, and who may be asked."""
    ask.allow(Operation.VIEW_AGREEMENT, agreement=agreement, about=agreement)
    signed, membership = _in_force(ask.desk, agreement), ask.desk.files.in_force()
    entries = {} if membership.roster is None else membership.roster.councils
    return forms.SignedAgreementShown(
        **_agreement(signed),
        envelope=_text(signed.envelope),
        roster=_text(membership.roster_envelope),
        councils=[
            forms.CouncilStanding(
                council=council,
                name=ask.desk.council_name(council),
                valid_to=entries[council].valid_to.isoformat() if council in entries else None,
            )
            for council in _councils(signed)
        ],
    )


def list_budgets(
    ask: Asking,
    response: Response,
    agreement: AgreementId,
    size: Size = SIZE,
    after: AfterCouncil = "",
) -> forms.Budgets:
    """What the councils say of their budgets under an agreement; each signature is checked here."""
    ask.allow(Operation.VIEW_BUDGETS, agreement=agreement, about=agreement)
    found = [council for council in _councils(_in_force(ask.desk, agreement)) if council > after][: size + 1]
    kept = {row.council: row for row in ask.desk.store.membership.budgets(found[:size])}
    shown = [_budget(ask.desk, council, kept, agreement) for council in found[:size]]
    last = found[size - 1] if len(found) > size else None
    return forms.Budgets(budgets=shown, next=_after(response, f"/agreements/{agreement}/budgets", size, last))


def _councils(signed: SignedAgreement) -> tuple[CouncilId, ...]:
    return tuple(sorted({council for group in signed.agreement.groups for council in group.councils}))


def _budget(desk: Desk, council: CouncilId, kept: Mapping[CouncilId, BudgetRow], agreement: str) -> forms.BudgetShown:
    roster, row = desk.files.roster(), kept.get(council)
    entry = None if roster is None else roster.councils.get(council)
    name = desk.council_name(council)
    statement, problem = said_of(entry, row)
    periods = () if statement is None else statement.periods
    return forms.BudgetShown(
        council=council,
        name=name,
        received_at=None if row is None else time_text(row.received_at),
        head=None if statement is None else statement.head.hex(),
        problem=problem,
        # What stands under other agreements is theirs.
        periods=[cast("dict[str, Any]", period.canonical()) for period in periods if period.agreement == agreement],
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


# Long lists: from the place of the last entry on, so that the last page is as quick as the first. A cursor names that
# entry alone: its time would be to the second, where the public is told the day.


def _place(cursor: str | None, place_of: Callable[[Digest], Place | None]) -> Place | None:
    """Where a page begins.

    Raises:
        QueryError: It is not a place that was given out here.
    """
    if cursor is None:
        return None
    place = place_of(Digest(bytes.fromhex(cursor)))
    if place is None:
        raise QueryError("The cursor is not one that was given out here.", remedy="Begin again without one.")
    return place


def _next(response: Response, path: str, wanted: Mapping[str, str], last: Digest | None) -> str | None:
    following = None if last is None else f"{PREFIX}{path}?{urlencode({**wanted, 'cursor': last.hex()})}"
    return _linked(response, following)


def _after(response: Response, path: str, size: int, last: str | None) -> str | None:
    """The path of the next page of a list whose entries have names of their own: it begins after the last one's."""
    following = None if last is None else f"{PREFIX}{path}?{urlencode({'size': size, 'after': last})}"
    return _linked(response, following)


def _linked(response: Response, path: str | None) -> str | None:
    """The path of the next page, also as a header (RFC 8288)."""
    if path is not None:
        response.headers["Link"] = f'<{path}>; rel="next"'
    return path
