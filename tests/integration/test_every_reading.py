"""Every way to an answer's figures writes the reading down: on the pages, for programs, over gRPC."""

import ast
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

import coordinator
import coordinator.store.releases as release_book
from coordinator.api.site import CALLS, PREFIX
from coordinator.console.pages import PAGES
from coordinator.console.visitor import NOBODY, Role
from coordinator.sign_in.audit import READ
from coordinator.store import DatabaseProblem, DraftRow
from federated.papers import Comment, PaperKind, sign_comment
from protocols.wire import analyst_pb2 as pb
from protocols.wire.analyst_pb2_grpc import AnalystServicer
from tests.integration.api_world import ORIGIN, site_of
from tests.integration.console_world import DRAFT, PEOPLE, TOKEN, console_world, visitor
from tests.integration.coordinator_federation import QUESTION, REVIEWER, Federation, council_key
from tests.integration.governance_papers import comment
from tests.integration.link_harness import async_test
from tests.integration.test_console_pages import filled
from tests.integration.test_coordinator_analyst_service import Caller

AGREEMENT = "north-east-2026"
PARTY = visitor(*Role, agreements=(AGREEMENT,))
WAYS = {
    "GET /releases/{digest}": "page",
    "GET /releases/{digest}/release.json": "json",
    "GET /releases/{digest}/{file}": "csv",
    "GET /releases/{digest}/remarks.json": "remarks",
    "GET /ask/drafts/{draft}?judge={digest}": "judge",
    "POST /ask/drafts/{draft}/cost?judge={digest}": "judge",
    f"GET {PREFIX}/releases/{{digest}}": "api remarks",
    f"GET {PREFIX}/releases/{{digest}}/files/{{file}}": "api csv",
    f"GET {PREFIX}/papers?kind=comment": "api papers",
}
"""Way → as what the reading is written down."""
SAID = f"GET {PREFIX}/papers?kind=comment"
"""The way that loads no answer, and gives what was said of answers."""
FOR_EVERYBODY = [way for way in WAYS if "/ask/" not in way]
NO_FIGURES = {
    "GET /questions/{plan}": "whether its signatures hold",
    "GET /asked/{plan}": "that there is an answer",
    "GET /ask/drafts/{draft}": "titles and days of earlier answers, to choose from",
    "POST /ask/drafts/{draft}/cost": "the same, where what was sent is wrong",
    f"GET {PREFIX}/releases/{{digest}}/receipts": "the councils' signatures",
    f"GET {PREFIX}/releases/{{digest}}/readers": "who has read it",
}
"""Ways that load an answer and give nothing of its figures, and what they give."""
METHODS = {
    **dict.fromkeys(("Submit", "Watch", "ListReads", "ListReleases", "Budgets", "GetAgreementState", "AddPaper"), ""),
    "ListQuestions": "",
    "GetRelease": "the answer",
    "ListPapers": "what was said of answers",
}
"""Every method of the analysts' service, and what of figures it gives."""
OPENED = {
    ("analyst_service.py", "found"): "GetRelease, which writes it down",
    ("api/views.py", "show_release"): "one of the ways",
    ("console/answers.py", "answer_file"): "several of the ways",
    ("console/answers.py", "show_one"): "one of the ways",
    ("console/evidence.py", "_release"): "says whether signatures hold",
    ("console/planning.py", "_expected"): "two of the ways",
    ("proposals.py", "_stored"): "whom it asked",
    ("publish.py", "deliver"): "gives the councils in it their copy, against a receipt",
}
"""Every place that opens an answer's content, and why that is written down or need not be."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("reading")) as made:
        assert made.agreement == AGREEMENT
        comment(made, "We counted 31 families of this kind.")
        yield made


def asking(world, who, *, later_days=0, **console):
    """Pages and programs of one site, on which everybody is the same visitor."""
    signing = SimpleNamespace(
        visitor_of=lambda _request: who, visitor_by_token=lambda _request, _token: who, provider=None
    )
    site = site_of(world, lambda _around, _clock: signing, later_days=later_days, **console)
    headers = {"authorization": "Bearer hst_any"} if who.name else {}
    return TestClient(site, base_url=ORIGIN, follow_redirects=False, headers=headers)


def take(world, program, way, **headers):
    method, _, path = way.partition(" ")
    path = filled(world, path)
    if method == "GET":
        return program.get(path, headers=headers)
    return program.post(path, data={"token": TOKEN}, headers={"origin": ORIGIN})


@contextmanager
def written_down(world, found):
    """What is written down meanwhile: readings as (reader, how), and the readers in the audit."""
    store, digest = world.federation.store, world.answered[0].digest

    def now():
        audit = [row.who for row in store.audit.about(digest.hex()) if row.operation == READ]
        return [(reader, how) for reader, how, _ in store.releases.reads(digest)], audit

    before = now()
    yield
    reads, audit = now()
    found += [reads[len(before[0]) :], audit[len(before[1]) :]]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_figures_is_written_down_by_name(world, way):
    for published in ((), (AGREEMENT,)):  # what everybody may see too
        program = asking(world, PARTY, publish=published, later_days=15)
        for _ in range(2):
            with written_down(world, found := []):
                assert take(world, program, way).status_code == 200
            assert found == [[(PARTY.name, WAYS[way])], [PARTY.name]]


@pytest.mark.parametrize("way", FOR_EVERYBODY)
def test_of_everybody_else_it_says_that_there_was_a_reader_that_day(world, way):
    day = 20 + FOR_EVERYBODY.index(way)
    opened = {"publish": (AGREEMENT,), "later_days": day}
    with written_down(world, found := []):
        for program in (asking(world, NOBODY, **opened), asking(world, NOBODY, **opened)):
            for _ in range(2):
                assert take(world, program, way).status_code == 200
    assert found == [[("public", WAYS[way])], ["public"]]
    (*_, line) = world.federation.store.audit.about(world.release)
    assert line.done_at.isoformat()[10:19] == "T00:00:00"
    with written_down(world, found := []):  # in another form on that day: the audit has its line
        other = FOR_EVERYBODY[not FOR_EVERYBODY.index(way)]
        assert take(world, asking(world, NOBODY, **opened), other).status_code == 200
    assert found == [[("public", WAYS[other])], []]


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_written_down_is_not_shown(world, monkeypatch, way):
    def gone(*_args, **_named):
        raise DatabaseProblem("The database postgresql://hub@db.internal/hub cannot be used.")

    for name in ("note_read", "note_read_of_the_day"):
        monkeypatch.setattr(release_book.ReleaseBook, name, gone)
    for who in (PARTY, NOBODY) if way in FOR_EVERYBODY else (PARTY,):
        reply = take(world, asking(world, who, publish=(AGREEMENT,), later_days=15), way)
        assert reply.status_code == 503
        assert "db.internal" not in reply.text


def test_nothing_is_written_down_where_nothing_is_given(world):
    file = f"GET {PREFIX}/releases/{{digest}}/files/{{file}}"
    party = asking(world, PARTY)
    tag = take(world, party, file).headers["etag"]
    with written_down(world, found := []):
        assert take(world, party, file, **{"if-none-match": tag}).status_code == 304
        for who in (NOBODY, visitor(Role.OPERATOR), visitor(*Role, agreements=("another",))):
            replies = [take(world, asking(world, who), way) for way in FOR_EVERYBODY]
            # How it was made is for everybody.
            assert {reply.status_code for reply in replies} == {200, 403}
        for way in NO_FIGURES:
            assert take(world, party, way).status_code == 200, way
    assert found == [[], []]
    # Of the other answer nothing was said, so beside its figures there is nothing to read.
    other = world.answered[1].digest
    before = world.federation.store.releases.reads(other)
    for path in (f"{PREFIX}/releases/{other.hex()}", f"/releases/{other.hex()}/remarks.json"):
        assert party.get(path).status_code == 200
    assert world.federation.store.releases.reads(other) == before


# --- the lists are whole ---


def ways_that_load(world, program, monkeypatch):
    """Every page and call, as somebody with all roles, of which the reply needed an answer's content."""
    loaded = []
    read_row = release_book.read_row

    def spying(kind, row):
        if row.get("content"):
            loaded.append(kind)
        return read_row(kind, row)

    monkeypatch.setattr(release_book, "read_row", spying)
    found = set()
    for row in [*PAGES, *CALLS]:
        path = row.path if row in PAGES else PREFIX + row.path
        keep_draft(world)
        loaded.clear()
        agreement = AGREEMENT if row in CALLS else world.federation.agreement.digest.hex()
        take(world, program, f"{row.method} {path.replace('{agreement}', agreement)}")
        if loaded:
            found.add(f"{row.method} {path}")
    return found


def keep_draft(world):
    """Its own pages delete it."""
    now = world.federation.now()
    row = DraftRow(
        draft=DRAFT,
        account=PEOPLE[0],
        agreement_id=AGREEMENT,
        question=QUESTION,
        manifest=world.federation.manifest.decode(),
        created_at=now,
        changed_at=now,
    )
    world.federation.store.drafts.begin(row, most=50)


def test_every_page_and_call_that_opens_an_answer_is_in_the_lists(world, monkeypatch):
    listed = {way.partition("?")[0] for way in (*WAYS, *NO_FIGURES) if way != SAID}
    assert ways_that_load(world, asking(world, PARTY), monkeypatch) == listed


def test_every_method_of_the_service_is_in_the_list():
    assert {name for name in vars(AnalystServicer) if not name.startswith("_")} == set(METHODS)


def test_every_place_that_opens_an_answer_is_in_the_list():
    top = Path(coordinator.__file__).parent
    found = set()
    for path in sorted(top.rglob("*.py")):
        name = path.relative_to(top).as_posix()
        if not name.startswith(("simulat", "store/", "migrations/")):
            found |= {(name, function) for function in opening(ast.parse(path.read_text(encoding="utf-8")))}
    assert found == set(OPENED)


def opening(tree):
    """Innermost functions that take an answer's content, or open it."""

    def visit(node, inside):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = node.name
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "open_release":
            yield inside
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"row.content", "release.content", "kept.content"}:
            yield inside
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(tree, "")


# --- over gRPC ---


@async_test
async def test_every_reading_over_grpc_is_in_the_audit(tmp_path):
    federation = Federation(tmp_path)
    async with federation.running() as running:
        caller = Caller(federation, running)
        digest = (await caller.asked())[-1].release_digest
        await running.settle()
        council = federation.councils[0]
        said = Comment(
            council=council, release=digest, text="31 families.", publish=True, staff_minutes=None, at=federation.now()
        )
        paper = sign_comment(said, council_key(council))
        await caller.call("AddPaper", pb.AddPaperRequest(kind=PaperKind.COMMENT.value, paper=paper))
        store = federation.store
        assert [row for row in store.audit.about(digest.hex()) if row.operation == READ] == []
        await caller.call("GetRelease", pb.GetReleaseRequest(release_digest=digest), REVIEWER)
        for subject in (digest.hex(), ""):
            request = pb.ListPapersRequest(kind=PaperKind.COMMENT.value, subject=subject)
            assert len((await caller.call("ListPapers", request, REVIEWER)).papers) == 1
        for kind in (PaperKind.OUTCOME, PaperKind.MINUTES):
            await caller.call("ListPapers", pb.ListPapersRequest(kind=kind.value), REVIEWER)
        await caller.call("ListReads", pb.ListReadsRequest(release_digest=digest), REVIEWER)
        hows = ["GetRelease", "ListPapers", "ListPapers"]
        assert [(reader, how) for reader, how, _ in store.releases.reads(digest)] == [
            (REVIEWER.keyid, how) for how in hows
        ]
        lines = [row.who for row in store.audit.about(digest.hex()) if row.operation == READ]
        assert lines == [REVIEWER.keyid] * 3
    federation.store.close()
