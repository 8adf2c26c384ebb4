"""Every decoder and every reader of a file, each as a function of bytes.

A target gives the bytes to the decoder itself, in the place where they would come from outside. Behind a signature it
signs them with a key that the decoder trusts: whoever holds such a key may be dishonest too. What the decoder declares
is let through; anything else, and a second form of what was read, is a finding.

What they are given besides is in `tests.fuzz.papers`. Modules are imported when a target first runs, so that the
fuzzer can watch their paths.
"""

import base64
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

from tests.fuzz.table import Finding, Form, Target, declared

__all__ = ["EXCUSED", "TARGETS"]


def _papers() -> Any:
    from tests.fuzz import papers

    return papers


def _json(data: bytes) -> Any:
    """The JSON of an input that says what to make; None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _texts(data: bytes) -> dict[str, str]:
    """A form's fields: an object of texts."""
    found = _json(data)
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _same(first: object, second: object) -> None:
    if first != second:
        raise Finding("what was read is not written as it was")


def _signed(kind: str, data: bytes, key: Any) -> bytes:
    from federated.signing import sign_payload, statement_type

    return sign_payload(data, statement_type(kind), [key])


def _canonical(data: bytes) -> bytes:
    """JSON in the one form that statements are signed in, where it is JSON: else few inputs get beyond that check."""
    from protocols.encoding import canonical_json
    from protocols.errors import LocalProtocolError

    try:
        found = json.loads(data)
        return canonical_json(found)
    except (ValueError, RecursionError, LocalProtocolError):
        return data


# The wire


def link_message(data: bytes) -> None:
    from protocols.wire.link_message import LinkMessage

    with declared():
        _same(LinkMessage.decode(data).encode(), data)


def relayed(data: bytes) -> None:
    from protocols.wire.relayed import RelayedReply, RelayedRequest

    for kind in (RelayedRequest, RelayedReply):
        with declared():
            _same(kind.decode(data).encode(), data)


def link_frames(data: bytes) -> None:
    """Chunks of messages: protobuf frames one after another, each with its length in two bytes."""
    from google.protobuf.message import DecodeError

    from protocols.wire import council_link_pb2 as pb
    from protocols.wire.chunks import Assembler

    assembler = Assembler(limit=64 * 1024)
    with declared(DecodeError):
        at = 0
        while at + 2 <= len(data):
            size = int.from_bytes(data[at : at + 2], "big")
            frame = pb.CoordinatorFrame.FromString(data[at + 2 : at + 2 + size])
            if frame.WhichOneof("body") == "request":
                assembler.add(frame.request)
            at += 2 + size


def handshake(data: bytes) -> None:
    """A node's frames at the opening of a link; the first byte parts them."""
    import asyncio
    from types import SimpleNamespace

    from coordinator.link_handshake import Doorman, LinkRefused, read_frame
    from protocols.wire import council_link_pb2 as pb

    papers = _papers()
    cut = data[0] if data else 0
    waiting = [data[1 : 1 + cut], data[1 + cut :]]

    async def read() -> object:
        return pb.NodeFrame.FromString(waiting.pop(0)) if waiting else None

    async def write(_frame: object) -> None:
        return None

    stream: Any = SimpleNamespace(read=read, write=write)
    doorman = Doorman(
        coordinator_id=papers.HUB,
        server_names=frozenset({"localhost"}),
        identities=lambda: {council: key.public for council, key in papers.world().keys.items()},
        message_limit=1024,
        rng=bytes,
        seen=lambda _council, _frame: None,
    )

    async def both() -> None:
        await doorman.admit(stream)
        await read_frame(stream)

    with declared(LinkRefused):
        asyncio.run(both())


ROUND_FORMS = 11
"""What `round_messages` can be given; each first under X25519, then under the hybrid keys."""


def round_messages(data: bytes) -> None:
    """Every message of a round, and what is sealed in one, under both kinds of keys; the first byte chooses."""
    from protocols.secagg import messages
    from protocols.secagg.dealing import unseal
    from protocols.secagg.share_records import ShareKind, decode_opening, largest_opening
    from protocols.suite import Suite

    if not data:
        return
    suites, which, content = tuple(Suite), data[0], data[1:]
    suite = suites[which // ROUND_FORMS % len(suites)]
    context = _papers().round_of_plan(suite)
    members = context.eligible
    kinds = [ShareKind.SELF_MASK] * len(members)

    def adverts() -> None:
        found = messages.decode_adverts(content, context)
        _same(messages.encode_list(messages.Stage.ADVERTS, found), content)
        for message in found:
            _same(messages.advert_of(message, context.suite).encode_body(), message.body)

    def advert() -> None:
        message = messages.decode_advert(content, context)
        _same(message.encode(), content)
        _same(messages.advert_of(message, context.suite).encode_body(), message.body)

    def key_shares() -> None:
        dealt, openings = messages.decode_key_shares(content, context, members)
        _same(dealt.message.encode() + b"".join(openings.encoded(n) for n in range(len(members))), content)
        for place in range(len(members)):
            openings.opening(place)
            dealt.leaf(place)

    def shares() -> None:
        found = messages.decode_shares(content, context, receiver=_papers().ME, members=len(members))
        again = [dealt.message.encode() for dealt, _ in found], [opening.encode() for _, opening in found]
        _same(messages.encode_shares(*again), content)

    def masked_input() -> None:
        header, vector = messages.decode_masked_input(content, context)
        _same(header.encode() + bytes(vector), content)

    def unmask() -> None:
        message, _, revealed = messages.decode_unmask(content, context, kinds)
        _same(message.encode(), content)
        for place in range(len(members)):
            _same(revealed[place].kind, kinds[place])

    def opening() -> None:
        if len(content) != largest_opening(suite):
            return  # the message's own decoder has cut it to its length
        given = _papers().dealing(suite)
        found = decode_opening(content, suite)
        _same(found.encode(), content)
        _, seed = unseal(given.dealt, found, given.ends, given.by)
        _same(len(seed), len(given.to.pair_seed))

    def listed(stage: Any, decode: Callable[..., Any]) -> Callable[[], None]:
        return lambda: _same(messages.encode_list(stage, decode(content, context)), content)

    each: tuple[Callable[[], None], ...] = (
        advert,
        adverts,
        key_shares,
        shares,
        masked_input,
        listed(messages.Stage.SURVIVORS, messages.decode_survivors),
        lambda: _same(messages.decode_confirmation(content, context).encode(), content),
        listed(messages.Stage.STATEMENTS, messages.decode_statements),
        unmask,
        lambda: _same(messages.decode_key_share(content).encode(), content),
        opening,
    )
    with declared():
        each[which % ROUND_FORMS]()


HOLDER_FORMS = 4


def holder_messages(data: bytes) -> None:
    """The messages of a round with a mask holder, under both kinds of keys; the first byte chooses."""
    from protocols.secagg import holder_messages, messages
    from protocols.suite import Suite

    if not data:
        return
    suites, which, content = tuple(Suite), data[0], data[1:]
    suite = suites[which // HOLDER_FORMS % len(suites)]
    context = _papers().held_round(suite)

    def holder_advert() -> None:
        _same(holder_messages.decode_holder_advert(content, suite).encode(), content)

    def advert() -> None:
        message = messages.decode_advert(content, context)
        _same(message.encode(), content)
        _same(messages.advert_of(message, suite, held=True).encode_body(), message.body)

    def request() -> None:
        _same(holder_messages.decode_opening_request(content, context).encode(), content)
        session = _papers().mask_holder(suite)
        opened = session.open(content)
        _same(session.open(content), opened)

    def opening() -> None:
        head, vector = holder_messages.decode_holder_opening(content, context)
        _same(head.encode() + bytes(vector), content)

    each: tuple[Callable[[], None], ...] = (holder_advert, advert, request, opening)
    with declared():
        each[which % HOLDER_FORMS]()


def elements(data: bytes) -> None:
    """Field elements, public and private keys, survivor statements."""
    from protocols import key_agreement, shamir
    from protocols.errors import LocalProtocolError
    from protocols.secagg.evidence import verify_confirmation
    from protocols.suite import PrivateKey, Suite, check_public

    papers = _papers()
    with declared():
        _same(shamir.encode_element(shamir.decode_element(data)), data)
    with declared():
        key_agreement.check_public_key(data)
    for suite in Suite:
        with declared():
            check_public(data, suite)
        with declared(LocalProtocolError):  # of our own making: the caller cuts it to its length
            PrivateKey.read(data, suite)
    with declared():
        verify_confirmation(data, sid=papers.SID, h3=papers.SID, identities=papers.round_of_plan().identities)


@cache
def _node() -> Any:
    papers = _papers()
    seat = papers.world().seat(papers.ME)
    seat.propose(papers.proposal())
    return seat


def node_answer(data: bytes) -> None:
    """Any request to a real node: it always answers, and never with a fault of its own."""
    from protocols.wire.link_message import Kind, LinkMessage

    seat = _node()
    reply = LinkMessage.decode(seat.send(data))
    if reply.kind is Kind.FAULT and json.loads(reply.payload)["code"] == "internal":
        raise Finding("the node met a fault of its own")
    if len(seat.events) > _EVENTS_KEPT:
        del seat.events[:]


_EVENTS_KEPT = 1000


def holder_answer(data: bytes) -> None:
    """Any request to a real mask holder: it always answers, and never with a fault of its own."""
    from protocols.wire.link_message import Kind, LinkMessage

    seat = _papers().holder_world().holder
    reply = LinkMessage.decode(seat.send(data))
    if reply.kind is Kind.FAULT and json.loads(reply.payload)["code"] == "internal":
        raise Finding("the mask holder met a fault of its own")
    if reply.kind is Kind.HELD:  # or it would soon hold as many as it may
        seat.send(LinkMessage(kind=Kind.ABORT, reference=reply.reference, payload=b"").encode())
    if len(seat.events) > _EVENTS_KEPT:
        del seat.events[:]


def opening_record(data: bytes) -> None:
    """The file in which a mask holder has written down what it opened."""
    from mask_holder.record import OpeningRecord

    path = _papers().file_of("opened.db", data)
    with declared(), OpeningRecord.read_only(path) as record:
        record.entries()


def holder_settings(data: bytes) -> None:
    from mask_holder.settings import read_settings

    with declared():
        read_settings(_papers().file_of("mask-holder.yaml", data))


# Signed files


def envelope(data: bytes) -> None:
    from federated import signing

    papers = _papers()
    trusted = papers.TRUST.agreement
    with declared():
        signing.open_envelope(data, "application/x-test", trusted)
    with declared():
        signing.unsafe_payload(data, "application/x-test")
    with declared():
        signing.signature_count(data)
    with declared():
        signing.signature_count(signing.add_signature(data, papers.ANALYST))


def statement(data: bytes) -> None:
    """A statement as signed, its bytes as they are."""
    from federated.keys import trusted_keys
    from federated.signing import open_statement
    from protocols.encoding import canonical_json

    key = _papers().ANALYST
    with declared():
        body = open_statement("decision", _signed("decision", data, key), trusted_keys(key.public))
        _same(canonical_json(body), data)


def roster(data: bytes) -> None:
    from federated.roster import ROSTER_TYPE, describe_changes, open_past_roster, open_roster, parse_roster
    from federated.signing import sign_payload

    papers = _papers()
    with declared():
        found = parse_roster(data)
        describe_changes(papers.world().roster, found)
    with declared():
        signed = sign_payload(data, ROSTER_TYPE, [papers.SIGNER_A, papers.SIGNER_B])
        open_roster(signed, papers.TRUST, papers.NOW, (3, papers.world().roster.digest))
    with declared():
        open_past_roster(signed, papers.TRUST)


def agreement(data: bytes) -> None:
    from federated.agreement import AGREEMENT_TYPE, open_agreement, parse_agreement
    from federated.agreement_words import describe
    from federated.differences import compare
    from federated.signing import sign_payload
    from tests.integration.federation_world import ASSOCIATION, PROGRAMME

    papers = _papers()
    with declared():
        found = parse_agreement(data)
        _ = found.analyst_keys, found.reviewer_keys, found.budget_delta
        describe(found)
        compare(papers.world().agreement, found)
    with declared():
        open_agreement(sign_payload(data, AGREEMENT_TYPE, [PROGRAMME, ASSOCIATION]), papers.TRUST, papers.NOW)


def manifest(data: bytes) -> None:
    from federated.manifest import (
        MANIFEST_TYPE,
        check_columns,
        check_manifest,
        lint_payload,
        open_manifest,
        parse_manifest,
    )
    from federated.signing import sign_payload

    papers = _papers()
    agreed = papers.world().agreement
    lint_payload(data)
    with declared():
        found = parse_manifest(data)
        check_columns(found, dataset="case", columns={"main_sex"})
        check_manifest(found, agreed)
    with declared():
        open_manifest(sign_payload(data, MANIFEST_TYPE, [papers.ANALYST]), agreed.analyst_keys, papers.NOW)


def question(data: bytes) -> None:
    """YAML: read, held against the schema, planned, said in words, written and read again."""
    from federated.query import parse_query, write_query
    from federated.query.check import check_query
    from federated.query.sql_text import write_sql

    papers = _papers()
    with declared():
        found = parse_query(data)
        digest = found.digest(papers.schema().digest)
        _same(parse_query(write_query(found).encode()).digest(papers.schema().digest), digest)
        with declared():
            write_sql(found)
        check_query(found, papers.schema())
        _derived(found)


def _derived(found: Any) -> None:
    from federated.plan import derive_plan
    from federated.privacy import Mechanism

    papers = _papers()
    world = papers.world()
    for mechanism in Mechanism:
        with declared():
            derive_plan(
                found,
                agreement=world.agreement,
                roster=world.roster,
                schema=papers.schema(),
                mechanism=mechanism,
                terms=papers.plan().terms,
            )


def question_sql(data: bytes) -> None:
    from federated.query.sql_form import parse_sql

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    with declared():
        parse_sql(text)


def query_file(data: bytes) -> None:
    from federated.query import load_query

    papers = _papers()
    for suffix in ("yaml", "sql"):
        with declared():
            load_query(papers.file_of(f"question.{suffix}", data))


def plan(data: bytes) -> None:
    from coordinator.plan_intake import agreement_digest
    from federated.plan import PLAN_TYPE, open_plan
    from federated.signing import sign_payload

    papers = _papers()
    world = papers.world()
    for content in (data, _canonical(data)):
        with declared():
            found = open_plan(content, agreement=world.agreement, roster=world.roster, schema=papers.schema())
            _same(found.encode(), content)
            found.check_iteration(None)
        with declared():
            agreement_digest(sign_payload(content, PLAN_TYPE, [papers.ANALYST]))


def question_file(data: bytes) -> None:
    from federated.question_file import QuestionToSign, SignedQuestion

    with declared():
        found = QuestionToSign.decode(data, source="file")
        _same(QuestionToSign.decode(found.encode(), source="file"), found)
    with declared():
        signed = SignedQuestion.decode(data)
        _ = signed.envelopes
        _same(SignedQuestion.decode(signed.encode()), signed)


def release(data: bytes) -> None:
    """A release: read, checked as its reader does, and made into every output."""
    from federated.release import open_release
    from federated.release_check import check_release

    papers = _papers()
    world = papers.world()
    with declared():
        found = open_release(data)
        _ = found.digest
        agreed = {world.agreement.id: world.agreement}
        with declared():
            for _ in check_release(found, roster=world.roster, agreements=agreed, schema=papers.schema()):
                pass


def budget_statement(data: bytes) -> None:
    from council_node.lost_charges import open_last_statement
    from federated.budget_statement import STATEMENT_KIND, read_statement
    from federated.statement_memory import StatementMemory

    papers = _papers()
    from coordinator.replies import read_budget_statement

    for content in (data, _canonical(data)):
        with declared():
            found = read_statement(content, council=papers.ME)
            found.canonical()
    key = papers.world().keys[papers.ME]
    with declared():
        read_budget_statement(_signed(STATEMENT_KIND, _canonical(data), key), council=papers.ME, key=key.public)
    with declared():
        open_last_statement(_signed(STATEMENT_KIND, _canonical(data), key), council=papers.ME, key=key.public)
    with declared():
        StatementMemory(papers.file_of("statements.json", data)).take({}, papers.world().roster)


def ledger_backup(data: bytes) -> None:
    """A backup of a ledger that is to be put back."""
    from council_node.ledger_file import LedgerFile, read_backup

    papers = _papers()
    path = papers.file_of("backup.db", data)
    with declared():
        read_backup(path, papers.folder() / "arriving.db", papers.COUNCILS[0])
        file, _ = LedgerFile.open(path, papers.COUNCILS[0], read_only=True)
        with contextlib.closing(file):
            file.peers()
            file.entries()


def statement_on_ledger(data: bytes) -> None:
    """A budget statement held against a ledger that is whole."""
    from federated.budget_statement import read_statement
    from federated.ledger_copy import check_stands_on, read_ledger_copy

    with declared():
        said = read_statement(_canonical(data), council=_papers().COUNCILS[0])
        check_stands_on(said, read_ledger_copy(_good_ledger()))


def coordinators_refusal(data: bytes) -> None:
    """Why a coordinator refused, as it says itself to an analyst's computer."""
    from types import SimpleNamespace

    from federated.client import _translated
    from federated.errors import FederatedError

    error: Any = SimpleNamespace(details=lambda: data.decode("utf-8", "replace"))
    if not isinstance(_translated(error), FederatedError):
        raise Finding("that is no error of ours")


def predecessors(data: bytes) -> None:
    """What a successor is given of a council whose place it took."""
    from council_node.inheritance import read_predecessors
    from federated.budget_statement import STATEMENT_KIND
    from federated.ledger_inheritance import inheriting_body, read_inherited

    papers = _papers()
    listed, successor = _succession()
    signed = _signed(STATEMENT_KIND, _canonical(data), papers.world().keys[papers.ME])
    with declared():
        found = read_predecessors([signed], listed, successor, inherited=frozenset(), now=papers.NOW)
        body = inheriting_body(found, by="x", roster=listed.digest)
        read_inherited(dict(body))


@cache
def _succession() -> Any:
    from dataclasses import replace

    papers = _papers()
    listed = papers.world().roster
    first, second = listed.councils[papers.ME], listed.councils[papers.COUNCILS[0]]
    councils = dict(listed.councils)
    councils[papers.ME] = replace(first, valid_to=date(2026, 2, 1))
    councils[second.id] = replace(second, succeeds=(papers.ME,))
    return replace(listed, councils=councils), second.id


def ledger_copy(data: bytes) -> None:
    from federated.ledger_copy import read_ledger_copy, read_ledger_file

    with declared():
        read_ledger_copy(data).summary()
    with declared():
        read_ledger_file(_papers().file_of("copy.db", data))


def ledger_entries(data: bytes) -> None:
    """Entries whose chain holds, whatever they say: the input lists kind and body of each."""
    from federated.ledger_chain import walk
    from federated.ledger_entries import EntryKind, make_entry
    from protocols.errors import LocalProtocolError
    from protocols.identifiers import Digest

    found = _json(data)
    rows, previous = [], Digest(bytes(32))
    for counter, item in enumerate(found if isinstance(found, list) else [], start=1):
        try:
            kind, body = item
            entry = make_entry(counter, EntryKind(kind), body, previous)
            rows.append(entry.row)
        except (ValueError, TypeError, LocalProtocolError, RecursionError):
            return
        previous = entry.hash
    with declared():
        state = walk(rows)
        state.statement(_papers().NOW).canonical()


def papers_of_people(data: bytes) -> None:
    """Comments, notes of what changed, minutes: each as signed by whoever may."""
    from federated import papers as paper
    from federated.papers import PaperKind
    from federated.suggestion import open_suggestion, sign_suggestion

    given = _papers()
    agreed, content = given.world().agreement, _canonical(data)
    key = given.world().keys[given.ME]
    with declared():
        said = paper.open_comment(_signed(PaperKind.COMMENT, content, key), council=given.ME, public_key=key.public)
        paper.sign_comment(said, key)
    with declared():
        meant = open_suggestion(_signed(PaperKind.SUGGESTION, content, key), council=given.ME, public_key=key.public)
        sign_suggestion(meant, key)
    with declared():
        paper.sign_outcome(
            paper.open_outcome(_signed(PaperKind.OUTCOME, content, given.ANALYST), agreed), given.ANALYST
        )
    minutes = _signed(PaperKind.MINUTES, content, given.REVIEWER)
    with declared():
        paper.unsafe_minutes(minutes)
    with declared():
        paper.sign_minutes(paper.open_minutes(minutes, agreed), given.REVIEWER)
    for kind in PaperKind:
        with declared():
            paper.paper_digest(data, kind)
        with declared():
            paper.unsafe_claims(_signed(kind, data, key), kind)


def series(data: bytes) -> None:
    from federated.papers import PaperKind
    from federated.series import check_signed_by_now, open_series, repeats

    papers = _papers()
    with declared():
        found = open_series(_signed(PaperKind.SERIES, _canonical(data), papers.ANALYST), papers.world().agreement)
        check_signed_by_now(found, papers.NOW)
        list(repeats(found))


def baseline(data: bytes) -> None:
    from federated.analysis.baseline import BASELINE_KIND, Baseline

    key = _papers().ANALYST
    with declared():
        Baseline.open(_signed(BASELINE_KIND, _canonical(data), key), signer=key.public)


def standing_run(data: bytes) -> None:
    from federated.standing_run import Journal
    from protocols.identifiers import Digest

    papers = _papers()
    digest = Digest(bytes(32))
    papers.file_of(f"{digest.hex()}.json", data)
    with declared():
        Journal(papers.folder()).get(digest)


def evidence_pack(data: bytes) -> None:
    """A pack as an archive, byte by byte."""
    from federated.evidence_check import check_pack
    from federated.evidence_pack import EvidencePack, is_pack

    path = _papers().file_of("pack.zip", data)
    is_pack(path)
    with declared(), EvidencePack.open(path) as pack:
        for name in pack.members:
            pack.read(name)
    with declared():
        check_pack(path, council_key=None, trust=None)


def evidence_claims(data: bytes) -> None:
    """A pack whose every byte its council signed, and whose statements it signed too: only what they say is in doubt.

    The input is an object: name of a member → what is in it. A text is the member itself; a list is a kind of
    statement and its body, which the council signs; an object is written as JSON.
    """
    from federated.evidence_check import check_pack
    from federated.evidence_pack import write_pack

    papers = _papers()
    found = _json(data)
    if not isinstance(found, dict):
        return
    path = papers.folder() / "claims.zip"
    path.unlink(missing_ok=True)
    key = papers.world().keys[papers.COUNCILS[0]]
    members = {"ledger.db": _good_ledger(), "budget-statement.dsse": _good_statement()}
    with contextlib.suppress(UnicodeEncodeError):
        for name, content in found.items():
            members[name] = _member_of(content, key)
        with declared():
            write_pack(
                path,
                members,
                council=papers.COUNCILS[0],
                council_name="Council",
                key=key,
                software="0",
                now=papers.NOW,
            )
            check_pack(path, council_key=None, trust=papers.TRUST)


def _member_of(content: object, key: Any) -> bytes:
    if isinstance(content, str):
        return content.encode("utf-8")
    if isinstance(content, list) and len(content) == 2 and isinstance(content[0], str):
        with contextlib.suppress(Exception):  # no kind: then it is a member like any other
            return _signed(content[0], _canonical(json.dumps(content[1]).encode()), key)
    return json.dumps(content).encode()


@cache
def _good_ledger() -> bytes:
    """Of two rounds, both spent."""
    from tests.unit.council_node.ledger_cases import make_spent_ledger

    with sqlite3.connect(make_spent_ledger(_papers().folder())) as connection:
        return connection.serialize()


@cache
def _good_statement() -> bytes:
    from federated.budget_statement import STATEMENT_KIND
    from federated.ledger_copy import read_ledger_copy
    from federated.signing import sign_statement

    papers = _papers()
    said = read_ledger_copy(_good_ledger()).state.statement(papers.NOW)
    return sign_statement(STATEMENT_KIND, said.canonical(), papers.world().keys[papers.COUNCILS[0]])


# People's files


def workspace(data: bytes) -> None:
    from federated.workspace import Workspace

    with declared():
        Workspace.load(_papers().file_of("federated.yaml", data))


def keys(data: bytes) -> None:
    from federated.keys import parse_public, public_line, read_private_key, read_public_key

    papers = _papers()
    with declared(ValueError):
        text = data.decode("utf-8")
        _same(public_line(parse_public(text)), text)
    with declared():
        read_public_key(papers.file_of("key.pub", data))
    with declared():
        read_private_key(papers.file_of("key.pem", data))


def texts(data: bytes) -> None:
    """Times, exact numbers, names and dates, as they stand in many places."""
    from coordinator.sign_in.same_origin import own_path
    from council_node.mapping.readable_dates import read_date, written_as
    from federated.plain_english import open_ended, reading_score
    from federated.query.model import parse_epsilon
    from federated.rationals import decimal_down, decimal_up, rational, rational_text
    from federated.timestamps import parse_day, parse_time, time_text
    from protocols.identifiers import council_id

    text = data.decode("utf-8", "surrogateescape")
    with declared():
        _same(time_text(parse_time(text)), text)
    with contextlib.suppress(ValueError):
        _same(parse_day(text).isoformat(), text)
    with declared():
        found = rational(text, name="number")
        _same(rational(rational_text(found), name="number"), found)
        if not Fraction(decimal_down(found)) <= found <= Fraction(decimal_up(found)):
            raise Finding("a figure was rounded the wrong way")
    with declared():
        parse_epsilon(text)
    with declared():
        council_id(text)
    read_date(text, today=date(2026, 3, 2))
    written_as(text)
    open_ended(text)
    reading_score(text)
    path = own_path(text)
    if not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        raise Finding("that path leads elsewhere")


def csv_figures(data: bytes) -> None:
    from federated.analysis.public_figures import read_public_figures
    from federated.expected_figures import read_expected
    from federated.lookups import read_lookup
    from federated.schema.code_history import parse_code_history

    papers = _papers()
    with declared():
        read_lookup(data, file="lookup.csv")
    with declared():
        read_lookup(data, file="lookup.csv", vintage=date(2025, 1, 1), source="x")
    with declared():
        read_public_figures(data, source="figures.csv")
    with declared():
        found = read_expected(papers.file_of("expected.csv", data), asked=papers.COUNCILS)
        found.totals(papers.plan(), 0, papers.schema())
    with contextlib.suppress(UnicodeDecodeError), declared():
        parse_code_history(data.decode("utf-8"), file="codes.csv", sources=None)


def official_figures(data: bytes) -> None:
    from federated.analysis.official import read_official

    with declared():
        read_official(data, _noisy_table(), name="official.csv", rounded_to=5)


def boundaries(data: bytes) -> None:
    """What was taken is also written: once it is the coordinator's, a fault would meet whoever takes a map away."""
    from federated.outputs.geojson import feature_collection, read_boundaries

    found = None
    with declared():
        found = read_boundaries(data, code_property="code", name="regions.geojson")
    if found is not None:
        made = feature_collection({}, [(code, {}) for code in found.shapes], found)
        json.dumps(made, ensure_ascii=False, allow_nan=False).encode()


@cache
def _noisy_table() -> Any:
    from federated.analysis import noisy_table
    from tests.unit.federated.released import release_of

    plan = _papers().plan()
    return noisy_table(release_of(plan, [100] * plan.cells), "outcome")


# The node


def node_settings(data: bytes) -> None:
    from council_node.settings import read_settings

    with declared():
        read_settings(_papers().file_of("node.yaml", data))


def policy(data: bytes) -> None:
    from council_node.policy_file import read_policy

    with declared():
        found = read_policy(_papers().file_of("policy.yaml", data))
        _ = found.year_cap, found.class_2_year_cap


def mapping(data: bytes) -> None:
    from council_node.mapping import load_mapping
    from council_node.mapping.form import parse_mapping
    from council_node.mapping.profile import load_profile

    papers = _papers()
    with declared():
        parse_mapping(data, source="mapping.yaml", schema=papers.schema())
    path = papers.file_of("mapping.yaml", data)
    with declared():
        load_mapping(path, papers.schema())
    with declared():
        load_profile(str(path), papers.schema())


def decision_record(data: bytes) -> None:
    from council_node.decision_records import read_decision

    for content in (data, _canonical(data)):
        with declared():
            found = read_decision(content)
            found.as_json()


def receipt(data: bytes) -> None:
    from council_node.receipt_form import open_receipt

    with declared():
        found = open_receipt(data)
        _same(open_receipt(found.encode()), found)


def contact_note(data: bytes) -> None:
    from council_node.health import check_health

    papers = _papers()
    with declared():
        check_health(papers.file_of("contact.json", data), papers.NOW, patience=timedelta(minutes=5))


def dpia_pack(data: bytes) -> None:
    """A paper made from settings; the checksum of its facts is put right, as whoever changed them could."""
    from council_node.proof.packs import check_pack_file, read_pack

    papers = _papers()
    path = papers.file_of("pack.md", data)
    with declared():
        read_pack(path)
    found = _json(data)
    if isinstance(found, dict):
        from protocols.encoding import canonical_json, sha256

        with contextlib.suppress(Exception):  # no canonical form: left as it is
            found["sha256"] = sha256(canonical_json(found.get("facts"))).hex()
        path = papers.file_of("pack.md", b"\n```json\n" + json.dumps(found, indent=1).encode() + b"\n```\n")
        with declared():
            read_pack(path)
        with declared():
            check_pack_file(path, _facts())


@cache
def _facts() -> Any:
    from council_node.proof.facts import live_facts

    return live_facts(_node().station.settings)


def database_secret(data: bytes) -> None:
    from council_node.sources.database_secret import read_secret

    with declared():
        read_secret(_papers().file_of("secret", data))


def _mapped(file: str, columns: Mapping[str, str], **more: object) -> Any:
    from council_node.mapping import ExtractMapping

    named = {name: {"from": heading} for name, heading in columns.items()}
    made = {"mapping": 1, "dataset": "case", "file": file, "dates": "day_first", "columns": named, **more}
    return ExtractMapping.model_validate_json(json.dumps(made))


_CSV_COLUMNS = {name: name for name in ("household_key", "case_key", "assessment_date", "main_sex", "dependent_children_n", "opted_out")}  # fmt: skip
_XML_COLUMNS = {"household_key": "main/HouseholdKey", "assessment_date": "main/AssessmentDate", "main_sex": "people/MainSex", "dependent_children_n": "main/DependentChildrenN"}  # fmt: skip


def _extract(mapped: Any) -> None:
    from council_node.sources import load_extract

    papers = _papers()
    with (
        declared(),
        load_extract(
            mapped,
            papers.schema().dataset("case"),
            ("assessment_date", "main_sex", "dependent_children_n"),
            directory=papers.folder(),
            run_key=bytes(16),
            databases=_databases(),
        ) as found,
    ):
        found.rows().run(found.connection).fetchall()


@cache
def _databases() -> Any:
    from council_node.sources.databases import Databases

    return Databases()


def extract_csv(data: bytes) -> None:
    _papers().file_of("extract.csv", data)
    _extract(_mapped("extract.csv", _CSV_COLUMNS))


def csv_records(data: bytes) -> None:
    """The outside of a CSV file and its records, without the database that counts them."""
    from council_node.mapping.place import CsvEncoding
    from council_node.sources.csv_form import read_form
    from council_node.sources.csv_records import CsvRecords, first_record

    path = _papers().file_of("records.csv", data)
    for delimiter in ",;\t|":
        first_record(data, delimiter)
    with declared():
        form = read_form(path)
        for encoding in CsvEncoding:
            records = CsvRecords(path, form.delimiter, encoding)
            records.is_plain()
            for piece in records.pieces():
                piece.decode("utf-8")


def extract_xml(data: bytes) -> None:
    _papers().file_of("extract.xml", data)
    _extract(_mapped("extract.xml", _XML_COLUMNS))


def xml_records(data: bytes) -> None:
    """Cases cut out of a document and parsed, without the database that counts them; read at once and byte by byte."""
    from council_node.sources.xml_head import read_head, utf8_blocks
    from council_node.sources.xml_records import Records

    path = _papers().file_of("records.xml", data)
    with declared():
        head = read_head(path)
        if head.record is None:
            return
        with path.open("rb") as file:
            blocks = list(utf8_blocks(file, head.encoding))
        whole = b"".join(blocks)
        found = []
        for cut in (len(whole) or 1, 7):
            records = Records(head.record, head.declarations)
            parts = (whole[at : at + cut] for at in range(0, len(whole), cut))
            found.append(([_tree(case) for case in records.read(parts)], records.left_out))
        _same(found[0], found[1])


def _tree(element: Any) -> object:
    return element.tag, element.text, [_tree(child) for child in element]


def spreadsheet(data: bytes) -> None:
    """The reader of spreadsheets, in its own process and under its own limits, as a node starts it.

    What its library does there is out of the fuzzer's sight, and may ask for more than there is: then it is stopped.
    """
    papers = _papers()
    path = papers.file_of("cells.xlsx" if data[:2] == b"PK" else "cells.xls", data)
    for request in (
        {"want": "headings", "file": str(path), "sheet": None},
        {"want": "rows", "file": str(path), "sheet": "Sheet", "from": 1, "places": [0, 1, 2], "dates": [2]},
    ):
        command = [sys.executable, "-m", "council_node.cells.reader", json.dumps(request)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_READER_S, check=False)
        except subprocess.TimeoutExpired:
            return
        if done.returncode == 0 and "end" not in json.loads(done.stdout.splitlines()[-1]):
            raise Finding("the reader did not say how it ended")
        if b"Traceback" in done.stderr:
            raise Finding(f"the reader fell: {done.stderr.splitlines()[-1].decode('utf-8', 'replace')}")


_READER_S = 5
"""The node waits longer, for larger files."""


def extract_database(data: bytes) -> None:
    """A database file of a council's own program."""
    from council_node.sources.database_secret import read_secret

    papers = _papers()
    path = papers.file_of("cases.db", data)
    papers.file_of("address", f"sqlite:///{path}".encode())
    read_secret(papers.folder() / "address")
    found = {"database": "address", "table": "cases", "file": None}
    made = _mapped(
        "x.csv", {name: name for name in ("household_key", "assessment_date", "main_sex", "dependent_children_n")}
    )
    place = made.model_dump(mode="json", by_alias=True, exclude_none=True) | found
    from council_node.mapping import ExtractMapping

    mapped = ExtractMapping.model_validate_json(json.dumps({k: v for k, v in place.items() if v is not None}))
    from federated.errors import InternalError

    # A file that breaks while it is read is told as a fault, as a database that stops is: declared by `load_extract`.
    with contextlib.suppress(InternalError):
        _extract(mapped)


# The centre


def coordinator_settings(data: bytes) -> None:
    from coordinator.settings import load_settings

    papers = _papers()
    with declared():
        _ = load_settings(papers.file_of("coordinator.yaml", data)).database_url


def replies(data: bytes) -> None:
    """Everything a node signs, as the coordinator reads it."""
    from coordinator import replies as reply
    from protocols.identifiers import Digest

    papers = _papers()
    key, council = papers.world().keys[papers.ME], papers.ME
    content = _canonical(data)
    who = {"council": council, "key": key.public}
    zeros = Digest(bytes(32))
    reply.read_fault(data)
    with declared():
        reply.read_decision(_signed("decision", content, key), plan_digest=zeros, **who)
    with declared():
        reply.read_refusal(_signed("refusal", content, key), sid=zeros, **who)
    with declared():
        reply.read_complaint(_signed("complaint", content, key), sid=zeros, **who)
    with declared():
        reply.read_receipt(_signed("receipt", content, key), release_digest=zeros, **who)


def retention(data: bytes) -> None:
    from coordinator.retention import _kept_until
    from federated.manifest import MANIFEST_TYPE
    from federated.signing import sign_payload

    _kept_until(data)
    _kept_until(sign_payload(data, MANIFEST_TYPE, [_papers().ANALYST]))


def backup(data: bytes) -> None:
    """A backup as it is, and with its checksum put right, as whoever changed it could."""
    import hashlib

    from coordinator.backup import _verified

    papers = _papers()
    with declared():
        _verified(papers.file_of("backup.jsonl", data))
    lines = data.splitlines(keepends=True)[:-1]
    rows = sum(line.startswith(b"[") for line in lines)
    end = {"end": 1, "rows": rows, "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    with declared():
        _verified(papers.file_of("backup.jsonl", b"".join(lines) + json.dumps(end).encode() + b"\n"))


def id_token(data: bytes) -> None:
    """An ID token as it came, and its claims as signed by a provider that everybody trusts."""
    from coordinator.sign_in import id_token as token
    from coordinator.sign_in.provider_problem import ProviderProblem
    from tests.integration.openid_keys import public, sign

    key, expected, settings = _sign_in()
    text = data.decode("latin-1")
    with declared(ProviderProblem):
        token.key_id(text)
    with declared(ProviderProblem):
        token.check_id_token(text, public(key), expected)
    found = _json(data)
    if not isinstance(found, dict):
        return
    with contextlib.suppress(ValueError, TypeError, OverflowError):  # what cannot be signed
        text = sign(found, key, algorithm="EdDSA")
        with declared(ProviderProblem):
            _only_declared(lambda: token.person_of(token.check_id_token(text, public(key), expected), settings))
    with declared(ProviderProblem):
        token.check_id_token(sign({}, key, algorithm="EdDSA"), [found], expected)


def _only_declared(each: Callable[[], object]) -> None:
    """Run what stands inside a wider net, so that nothing of its own is caught by it."""
    from coordinator.sign_in.provider_problem import ProviderProblem

    try:
        each()
    except ProviderProblem:
        raise
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {error}") from error


@cache
def _sign_in() -> Any:
    from coordinator.settings import OpenIdSettings
    from coordinator.sign_in.id_token import Expected
    from tests.integration.openid_keys import key_for

    papers = _papers()
    issuer = "https://login.example"
    expected = Expected(issuer=issuer, client_id="pages", nonce="n" * 43, access_token="access", now=papers.NOW)
    settings = OpenIdSettings(
        issuer=issuer,
        client_id="pages",
        client_secret_file="secret",
        roles_claim="groups",
        roles={"analysts": "analyst"},
        agreements={"analysts": ("north-east",)},
    )
    return key_for("EdDSA"), expected, settings


def provider(data: bytes) -> None:
    """Whatever a sign-in provider answers: about itself, to a code, and as its keys."""
    import httpx

    from coordinator.sign_in.provider import Provider
    from coordinator.sign_in.provider_problem import ProviderProblem

    _, _, settings = _sign_in()
    good = {
        "issuer": settings.issuer,
        "authorization_endpoint": "https://login.example/a",
        "token_endpoint": "https://login.example/t",
        "jwks_uri": "https://login.example/k",
    }

    def made(about: bytes) -> Provider:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=about if "well-known" in request.url.path else data)

        client = httpx.Client(transport=httpx.MockTransport(answer))
        return Provider(settings, client_secret="s", own="https://own", client=client, clock=lambda: _papers().NOW)

    with declared(ProviderProblem):
        made(data).address(state="s", nonce="n", verifier="v" * 43)
    known = json.dumps(good).encode()
    with declared(ProviderProblem):
        made(known).redeem("code", verifier="v" * 43)
    with declared(ProviderProblem):
        made(known).keys_for("e30.e30.e30")


def upload(data: bytes) -> None:
    """A form with a file; the content type stands before the first line end."""
    from coordinator.console.guard import Closed
    from coordinator.console.site import _fields
    from coordinator.console.uploads import read_upload

    kind, _, body = data.partition(b"\n")
    with declared(Closed):
        read_upload(body, kind.decode("latin-1"))
    with declared(Closed):
        _fields(body, 100)


def api(data: bytes) -> None:
    """Bodies and names in addresses of the programming interface."""
    from pydantic import ValidationError

    from coordinator.api import forms, views
    from coordinator.console.desk import digest_of

    text = data.decode("utf-8", "replace")
    with declared():
        views._bytes(text, "plan")
    with declared():
        digest_of(text, "plan")
    with declared(ValidationError):
        forms.HandIn.model_validate_json(data)


def tls(data: bytes) -> None:
    """Keys and certificates, as they are and as what stands inside a PEM file."""
    from coordinator.tls import load_authority, load_certificate
    from federated.keys import read_private_key

    papers = _papers()
    key, chain = _certificates()
    for content in (data, _pem("PRIVATE KEY", data), _pem("CERTIFICATE", data)):
        path = papers.file_of("tls.pem", content)
        for pair in ((path, path), (key, path), (path, chain)):
            with declared():
                load_certificate(*pair, now=papers.NOW)
        with declared():
            load_authority(key, path)
        with declared():
            load_authority(path, chain)
        with declared():
            read_private_key(path)


def _pem(kind: str, content: bytes) -> bytes:
    lines = base64.encodebytes(content).decode()
    return f"-----BEGIN {kind}-----\n{lines}-----END {kind}-----\n".encode()


@cache
def _certificates() -> Any:
    from coordinator.tls import issue_certificate, make_authority

    papers = _papers()
    authority = make_authority("A federation", now=papers.NOW)
    made = issue_certificate(authority, ["localhost"], now=papers.NOW)
    return papers.file_of("good.key.pem", made.key_pem), papers.file_of("good.chain.pem", made.chain_pem)


def draft(data: bytes) -> None:
    """The pages on which a question is written: every form of them, with these fields."""
    from coordinator.console import drafting, manifest_fields

    papers = _papers()
    ground = drafting.Ground(
        agreement=papers.world().agreement, dataset=papers.schema().dataset("case"), schema=papers.schema()
    )
    form = _texts(data)
    asked = papers.world().question()
    for each in (
        lambda: drafting.begin(form.get("title", ""), ground, date(2026, 3, 2)),
        lambda: drafting.set_scope(asked, form, ground),
        lambda: drafting.set_epsilon(asked, form.get("epsilon", ""), ground),
        lambda: drafting.add_table(asked, None, form, ground),
        lambda: drafting.add_table(asked, 0, form, ground),
        lambda: drafting.add_condition(asked, form, ground),
    ):
        with declared(drafting.Faults):
            each()
    for section in manifest_fields.SECTIONS:
        with declared():
            document = manifest_fields.taken_from(section, form, {})
            manifest_fields.matched_to(document, asked, ground.dataset)


def decision_form(data: bytes) -> None:
    """The form on which a council decides."""
    from council_node.page.questions import Filled

    filled = Filled.read(_texts(data))
    _ = filled.fields
    filled.errors(_pending())


@cache
def _pending() -> Any:
    from council_node.decisions import Decisions

    station = _node().station
    return Decisions(station.store, station.council, station.key).latest(_papers().plan().digest)


def flower(data: bytes) -> None:
    """What a Flower federation hands on: its messages, and what its command prints."""
    from coordinator.flower_commands import _json as printed

    with declared():
        printed(data.decode("utf-8", "replace"))


def _target(feed: Callable[[bytes], object], *covers: str, form: Form = Form.BYTES, slow: bool = False) -> Target:
    return Target(name=feed.__name__.replace("_", "-"), feed=feed, covers=covers, form=form, slow=slow)


_SECAGG = "protocols.secagg.messages"
_ALL = (
    _target(link_message, "protocols.wire.link_message:LinkMessage.decode", "protocols.wire.codec:Reader"),
    _target(
        relayed,
        "protocols.wire.relayed:RelayedRequest.decode",
        "protocols.wire.relayed:RelayedReply.decode",
        "protocols.wire.codec:Reader",
    ),
    _target(link_frames, "protocols.wire.chunks:Assembler"),
    _target(handshake, "coordinator.link_handshake:read_frame", "protocols.wire.handshake:check_link_proof"),
    _target(
        round_messages,
        f"{_SECAGG}:decode_advert",
        f"{_SECAGG}:decode_adverts",
        f"{_SECAGG}:decode_key_shares",
        f"{_SECAGG}:decode_shares",
        f"{_SECAGG}:decode_masked_input",
        f"{_SECAGG}:decode_survivors",
        f"{_SECAGG}:decode_confirmation",
        f"{_SECAGG}:decode_statements",
        f"{_SECAGG}:decode_unmask",
        f"{_SECAGG}:decode_key_share",
        "protocols.secagg.share_records:decode_opening",
        "protocols.secagg.share_records:read_revealed",
        "protocols.secagg.dealing:unseal",
        "protocols.secagg.dealing:check_pair_seed",
        "protocols.suite:PrivateKey.open",
        "protocols.suite:_kem_key",
        "protocols.envelope:read_signed",
        "protocols.shamir:read_elements",
        "protocols.wire.codec:Reader",
    ),
    _target(
        holder_messages,
        "protocols.secagg.holder_messages:decode_holder_advert",
        "protocols.secagg.holder_messages:decode_opening_request",
        "protocols.secagg.holder_messages:decode_holder_opening",
        "protocols.secagg.mask_holder:HolderSession.open",
        "protocols.secagg.messages:read_items",
    ),
    _target(
        elements,
        "protocols.shamir:decode_element",
        "protocols.suite:PrivateKey.read",
        "protocols.key_agreement:check_public_key",
        "protocols.secagg.evidence:verify_confirmation",
    ),
    _target(
        node_answer,
        "council_node.node:CouncilNode.answer",
        "council_node.invitation:Invitation.read",
        "council_node.proposals:_Papers.read",
        "federated.iteration:Iteration.read",
        slow=True,
    ),
    _target(
        holder_answer,
        "mask_holder.desk:HolderDesk.answer",
        "mask_holder.rounds:Rounds.open",
        "mask_holder.hold_request:HoldRequest.read",
        "council_node.signed_plans:PlanReader.open",
        slow=True,
    ),
    _target(opening_record, "mask_holder.record:OpeningRecord.read_only", slow=True),
    _target(
        holder_settings,
        "mask_holder.settings:read_settings",
        "council_node.settings:read_located",
        form=Form.YAML,
    ),
    _target(envelope, "federated.signing:open_envelope", form=Form.JSON),
    _target(statement, "federated.signing:open_statement", form=Form.JSON),
    _target(
        roster,
        "federated.roster:parse_roster",
        "federated.roster:open_roster",
        "federated.roster:open_past_roster",
        form=Form.YAML,
    ),
    _target(
        agreement,
        "federated.agreement:parse_agreement",
        "federated.agreement:open_agreement",
        "federated.agreement:open_signatures",
        "federated.agreement_parts:Group",
        "federated.yaml_document:read_form",
        form=Form.YAML,
    ),
    _target(
        manifest,
        "federated.manifest:parse_manifest",
        "federated.manifest:open_manifest",
        "federated.manifest_form:Manifest",
        "federated.manifest_lint:lint_payload",
        form=Form.YAML,
    ),
    _target(
        question,
        "federated.query.yaml_form:parse_query",
        "federated.yaml_document:read_form",
        "federated.query.check:check_query",
        "federated.query.model:Query",
        form=Form.YAML,
    ),
    _target(question_sql, "federated.query.sql_form:parse_sql"),
    _target(query_file, "federated.query.files:load_query"),
    _target(
        plan,
        "federated.plan:open_plan",
        "federated.plan:read_terms",
        "coordinator.plan_intake:agreement_digest",
        form=Form.JSON,
    ),
    _target(
        question_file,
        "federated.question_file:QuestionToSign.decode",
        "federated.question_file:SignedQuestion.decode",
        form=Form.JSON,
    ),
    _target(
        release,
        "federated.release:open_release",
        "federated.release_check:check_release",
        "federated.mask_holder:HolderIdentity.read",
        form=Form.JSON,
    ),
    _target(
        budget_statement,
        "federated.budget_statement:read_statement",
        "federated.statement_memory:StatementMemory",
        "coordinator.replies:read_budget_statement",
        "council_node.lost_charges:open_last_statement",
        form=Form.JSON,
    ),
    _target(
        ledger_backup,
        "council_node.ledger_file:read_backup",
        "council_node.ledger_file:LedgerFile.open",
        "council_node.durable_sqlite:connect",
        slow=True,
    ),
    _target(statement_on_ledger, "federated.ledger_copy:check_stands_on", form=Form.JSON),
    _target(coordinators_refusal, "federated.client:_translated", form=Form.JSON),
    _target(
        predecessors,
        "council_node.inheritance:read_predecessors",
        "federated.ledger_inheritance:read_inherited",
        form=Form.JSON,
    ),
    _target(ledger_copy, "federated.ledger_copy:read_ledger_copy", "federated.ledger_copy:read_ledger_file", slow=True),
    _target(
        ledger_entries,
        "federated.ledger_chain:walk",
        "federated.ledger_entries:read_texts",
        "federated.ledger_entries:read_number",
        "federated.ledger_entries:read_sid",
        "federated.ledger_entries:read_lost",
        "federated.ledger_entries:read_round",
        "federated.ledger_inheritance:read_inherited",
        form=Form.JSON,
    ),
    _target(
        papers_of_people,
        "federated.papers:open_comment",
        "federated.suggestion:open_suggestion",
        "federated.papers:open_outcome",
        "federated.papers:open_minutes",
        form=Form.JSON,
    ),
    _target(series, "federated.series:open_series", form=Form.JSON),
    _target(baseline, "federated.analysis.baseline:Baseline.open", form=Form.JSON),
    _target(standing_run, "federated.standing_run:Journal.get", form=Form.JSON),
    _target(
        evidence_pack,
        "federated.evidence_pack:EvidencePack.open",
        "federated.evidence_pack:EvidencePack.read",
        slow=True,
    ),
    _target(evidence_claims, "federated.evidence_check:check_pack", form=Form.JSON, slow=True),
    _target(workspace, "federated.workspace:Workspace.load", "federated.trust:TrustSettings", form=Form.YAML),
    _target(keys, "federated.keys:parse_public", "federated.keys:read_public_key", "federated.keys:read_private_key"),
    _target(
        texts,
        "federated.timestamps:parse_day",
        "federated.timestamps:parse_time",
        "federated.rationals:rational",
        "federated.query.model:parse_epsilon",
        "federated.plain_english:open_ended",
        "council_node.mapping.readable_dates:read_date",
        "coordinator.sign_in.same_origin:own_path",
    ),
    _target(
        csv_figures,
        "federated.lookups:read_lookup",
        "federated.analysis.public_figures:read_public_figures",
        "federated.expected_figures:read_expected",
        "federated.schema.code_history:parse_code_history",
    ),
    _target(official_figures, "federated.analysis.official:read_official"),
    _target(boundaries, "federated.outputs.geojson:read_boundaries", form=Form.JSON),
    _target(
        node_settings,
        "council_node.settings:read_settings",
        "council_node.settings:read_bytes",
        form=Form.YAML,
    ),
    _target(policy, "council_node.policy_file:read_policy", form=Form.YAML),
    _target(
        mapping,
        "council_node.mapping.form:load_mapping",
        "council_node.mapping.form:parse_mapping",
        "council_node.mapping.profile:load_profile",
        "council_node.mapping.place:ExtractPlace",
        form=Form.YAML,
    ),
    _target(decision_record, "council_node.decision_records:read_decision", form=Form.JSON),
    _target(receipt, "council_node.receipt_form:open_receipt", form=Form.JSON),
    _target(contact_note, "council_node.health:Contact.decode", form=Form.JSON),
    _target(dpia_pack, "council_node.proof.packs:read_pack", form=Form.JSON),
    _target(database_secret, "council_node.sources.database_secret:read_secret"),
    _target(
        extract_csv,
        "council_node.sources.load:load_extract",
        "council_node.sources.opening:open_source",
        "council_node.sources.csv_source:open_csv",
        slow=True,
    ),
    _target(
        csv_records,
        "council_node.sources.csv_form:read_form",
        "council_node.sources.csv_records:CsvRecords",
        "council_node.sources.regular_file:open_regular",
    ),
    _target(extract_xml, "council_node.sources.xml_source:open_xml", slow=True),
    _target(
        xml_records,
        "council_node.sources.xml_head:read_head",
        "council_node.sources.xml_records:Records.read",
    ),
    _target(spreadsheet, "council_node.cells.reader:main", "council_node.cells.text:cell_text", slow=True),
    _target(extract_database, "council_node.sources.sql_source:open_database_table", slow=True),
    _target(coordinator_settings, "coordinator.settings:load_settings", form=Form.YAML),
    _target(
        replies,
        "coordinator.replies:read_decision",
        "coordinator.replies:read_refusal",
        "coordinator.replies:read_complaint",
        "coordinator.replies:read_receipt",
        "coordinator.replies:read_fault",
        form=Form.JSON,
    ),
    _target(retention, "coordinator.retention:_kept_until", form=Form.YAML),
    _target(backup, "coordinator.backup:_verified"),
    _target(id_token, "coordinator.sign_in.id_token:check_id_token", form=Form.JSON),
    _target(provider, "coordinator.sign_in.provider:Provider", form=Form.JSON),
    _target(upload, "coordinator.console.uploads:read_upload", "coordinator.console.site:_fields"),
    _target(api, "coordinator.api.forms:HandIn", form=Form.JSON),
    _target(tls, "coordinator.tls:load_certificate", "coordinator.tls:load_authority"),
    _target(
        draft,
        "coordinator.console.drafting:set_scope",
        "coordinator.console.manifest_fields:taken_from",
        form=Form.JSON,
    ),
    _target(decision_form, "council_node.page.questions:Filled.read", form=Form.JSON),
    _target(flower, "coordinator.flower_commands:_json"),
)
TARGETS: Mapping[str, Target] = {target.name: target for target in _ALL}
_FIGURES = "makes estimates of totals that a round has opened: figures, not bytes"
_PACKAGED = "reads files that come with this software, in tests of their own"
_OPENS = "opens a connection or a part of this program; what comes through it is read elsewhere"
_BYTES = "reads a file's bytes, and gives them to a decoder that is a target"
_OWN = "reads rows that this program wrote itself, under the checks of its database"
EXCUSED: Mapping[str, str] = {
    "protocols.ring:Ring.read": "a view of bytes whose length the message's own decoder has checked",
    "protocols.ring:Ring.decode_signed": "turns a vector into a vector",
    "federated.commands.files:read_file": _BYTES,
    "federated.commands.questions:read_manifest": _BYTES,
    "council_node.commands.proof:read_proposed": _BYTES,
    "council_node.commands.commenting:read_words": "gives a text that is signed here; what reads it elsewhere is a target",
    "federated.schema.code_history:load_code_history": _PACKAGED,
    "federated.schema.files:read_form": _PACKAGED,
    "federated.schema.load:load_schema": _PACKAGED,
    "federated.schema.load:load_dataset": _PACKAGED,
    "federated.schema.load:load_councils": _PACKAGED,
    "federated.statistics.": _FIGURES,
    "federated.yaml_document:read_document": "gives what `read_form`, a target, turns into a form",
    "federated.yaml_document:_Reader.read": "stands behind every target whose input is YAML",
    "council_node.counting:Holding.load": "gives a mapping to `load_extract`, a target",
    "council_node.event_log:open_log": _OPENS,
    "council_node.ledger_book:": "opens what `LedgerFile.open`, a target, has read",
    "council_node.link_channel:open_channel": _OPENS,
    "council_node.link_session:": _OPENS,
    "council_node.node_store:NodeStore.open": _OPENS,
    "council_node.receipts:Desk.load_reports": _OWN,
    "council_node.service:open_station": _OPENS,
    "council_node.sources.extract:open_database": _OPENS,
    "council_node.sources.opening:open_place": "chooses between the sources, each a target",
    "council_node.sources.spreadsheet:open_spreadsheet": "starts the process of `council_node.cells.reader`, a target",
    "coordinator.boundaries:load_boundaries": _BYTES,
    "coordinator.console.drafts:open_draft": _OWN,
    "coordinator.connections:Connections.read": "a note of this program to itself; what cannot be read is nobody",
    "coordinator.console.question:QuestionFacts.read": _OWN,
    "coordinator.holding:Holding.open": "asks for an opening; `Aggregator.receive_opening` reads it, by a target's decoder",
    "coordinator.plan_intake:open_submission": "opens plan and manifest, each a target",
    "coordinator.roster:load_membership": "opens list of councils and agreements, each a target",
    "coordinator.sign_in.opening:open_desk": _OPENS,
    "coordinator.sign_in.provider:open_provider": _OPENS,
    "coordinator.simulate:open_station": _OPENS,
    "coordinator.simulation_files:open_centre_files": _OPENS,
    "coordinator.status:read_status": "a note of this program to itself; what cannot be read is nobody",
    "coordinator.store.accounts:AccountBook.open_session": _OPENS,
    "coordinator.store.database:open_store": _OPENS,
    "coordinator.store.records:read_row": _OWN,
    "mask_holder.record:OpeningRecord.open": _OPENS,
}
"""Functions that are named like decoders and are no target, each with why; a module's name stands for all in it."""
