"""Makes the first inputs of every target from real objects: `python -m tests.fuzz.seeds [TARGET ...]`.

A whole round between five real nodes is held for it. What the fuzzer found and a person kept beside them stays.
"""

import io
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_pem_x509_certificate

from coordinator.backup import backup
from coordinator.first_files import NewCoordinator, create
from coordinator.store import open_store
from council_node.health import Contact
from council_node.node_store import DocumentKind
from council_node.policy_file import policy_template
from council_node.proof.evidence import _ledger_bytes, write_evidence
from council_node.proof.facts import live_facts
from council_node.proof.packs import Kind as Pack
from council_node.proof.packs import make_pack
from federated.budget_statement import BudgetStatement
from federated.iteration import Iteration
from federated.keys import public_line
from federated.ledger_copy import read_ledger_copy
from federated.manifest import parse_manifest
from federated.papers import Comment, Minutes, OutcomeNote, Ruling, sign_comment, sign_minutes, sign_outcome
from federated.privacy import Mechanism
from federated.query import write_query
from federated.query.sql_text import write_sql
from federated.question_file import QuestionToSign, SignedQuestion
from federated.release import CouncilRecord, make_release
from federated.schema.files import resource_text
from federated.series import Series
from federated.signing import sign_payload, unsafe_payload
from mask_holder.record import OpenedSum, OpeningRecord
from protocols.encoding import canonical_json, sha256
from protocols.identifiers import Digest
from protocols.key_agreement import KEY_SIZE
from protocols.secagg import Aggregator, LedgerClaim, ParticipantSession
from protocols.secagg.dealing import seal
from protocols.secagg.messages import KeyShare, advert_of, decode_advert
from protocols.secagg.share_records import wrapped_size
from protocols.suite import KEM_CIPHERTEXT_SIZE, Suite
from protocols.wire import council_link_pb2 as pb
from protocols.wire.chunks import chunks_of
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage
from protocols.wire.relayed import RelayedKind, RelayedReply, RelayedRequest
from tests.fuzz import papers
from tests.fuzz.table import CORPUS
from tests.fuzz.targets import HOLDER_FORMS, ROUND_FORMS, _certificates, _good_ledger
from tests.integration.federation_world import Rehearsal, World, invitation, round_of
from tests.integration.mask_holder_world import hold_message
from tests.spec.council import question as asked_of
from tests.spec.statistics import specifications
from tests.unit.council_node.ledger_cases import digest_of, sid_of

__all__ = ["SEEDS", "write"]

Seeds = Mapping[str, bytes]
LARGEST = 24 * 1024
"""Bytes of an input that is kept: longer ones are hardly ever changed where it matters."""


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()


def _yaml(value: object) -> bytes:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round as it was held."""

    requests: Mapping[Kind, bytes]
    replies: Mapping[Kind, bytes]
    release: Any


@contextmanager
def noted(seat: Any) -> Iterator[tuple[dict[Kind, bytes], dict[Kind, bytes]]]:
    """The first request of each kind to a node from here on, and the first reply of each kind."""
    requests: dict[Kind, bytes] = {}
    replies: dict[Kind, bytes] = {}
    send = type(seat).send

    def noting(self: Any, request: bytes) -> bytes:
        reply = send(self, request)
        if self is seat:
            said, answered = LinkMessage.decode(request), LinkMessage.decode(reply)
            requests.setdefault(said.kind, said.payload)
            replies.setdefault(answered.kind, answered.payload)
        return reply

    type(seat).send = noting
    try:
        yield requests, replies
    finally:
        type(seat).send = send


@cache
def held() -> Round:
    """A round of five real nodes, with every request to one of them and its replies."""
    seat = papers.world().seats()[papers.ME]
    with noted(seat) as (requests, replies):
        rehearsal = Rehearsal(papers.world(), papers.proposal())
        rehearsal.until(Kind.STATEMENTS)
        total = rehearsal.unmask()
        release = make_release(
            rehearsal.plan,
            total,
            schema=papers.schema(),
            sid=rehearsal.sid,
            councils=[CouncilRecord(council=c, name=c, outcome="contributed") for c in rehearsal.plan.eligible],
            now=papers.NOW,
            software="0",
        )
        seat.send(LinkMessage(kind=Kind.RELEASE, reference=rehearsal.sid, payload=release.encode()).encode())
        seat.send(LinkMessage(kind=Kind.BUDGET_REQUEST, reference=NO_REFERENCE, payload=b"").encode())
        seat.send(papers.world().roster_message(papers.world().roster_envelope))
    return Round(requests=requests, replies=replies, release=release)


def dealt_under_hybrid_keys() -> dict[Kind, bytes]:
    """The messages of a round of five real nodes that are longer there: adverts and key shares."""
    folder = papers.folder() / "hybrid"
    folder.mkdir()
    with World(folder, agreement={"key_agreement": Suite.HYBRID.value}) as world:
        with noted(world.seat(papers.ME)) as (requests, replies):
            Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
        return {**requests, **replies}


def opening(suite: Suite) -> bytes:
    """What one council seals for another."""
    given = papers.dealing(suite)
    share = KeyShare(b_share=bytes(32), s_share=bytes(32), b_salt=bytes(32), s_salt=bytes(32))
    ends = given.ends
    [sealed] = seal({ends.receiver: share}, sid=ends.sid, h1=ends.h1, dealer=ends.dealer, to={ends.receiver: given.to})
    return sealed.encode()


# The wire


def link_message() -> Seeds:
    found = {}
    for kind in Kind:
        payload = (held().requests | held().replies).get(kind, b"{}")[:300]
        found[kind.name.lower()] = LinkMessage(kind=kind, reference=bytes(32), payload=payload).encode()
    return found


def relayed() -> Seeds:
    request = RelayedRequest(kind=RelayedKind.ASK, nonce=bytes(32), coordinator_id=papers.HUB, body=b"body")
    reply = RelayedReply(council=papers.ME, signature=bytes(64), body=b"body")
    return {"request": request.encode(), "reply": reply.encode()}


def link_frames() -> Seeds:
    def framed(*frames: pb.CoordinatorFrame) -> bytes:
        return b"".join(len(f.SerializeToString()).to_bytes(2, "big") + f.SerializeToString() for f in frames)

    chunks = [pb.CoordinatorFrame(request=chunk) for chunk in chunks_of(1, b"a message" * 20)]
    return {"message": framed(*chunks), "twice": framed(*chunks, *chunks)}


def handshake() -> Seeds:
    hello = pb.NodeFrame(hello=pb.Hello(council_id=papers.ME, versions=[1])).SerializeToString()
    proof = pb.NodeFrame(proof=pb.Proof(signature=bytes(64), server_name="localhost")).SerializeToString()
    return {"link": bytes([len(hello)]) + hello + proof, "hello": bytes([len(hello)]) + hello}


def round_messages() -> Seeds:
    order = ("ADVERT", "ADVERTS", "KEY_SHARES", "SHARES", "MASKED_INPUT", "SURVIVORS", "CONFIRMATION", "STATEMENTS", "UNMASK")  # fmt: skip
    both = {**held().requests, **held().replies}
    found = {name.lower(): bytes([place]) + both[Kind[name]] for place, name in enumerate(order)}
    found |= {"key_share": bytes([9]) + bytes(128), "opening": bytes([10]) + opening(Suite.X25519)}
    hybrid = dealt_under_hybrid_keys()
    for place, name in enumerate(order[:4]):
        found[f"hybrid_{name.lower()}"] = bytes([ROUND_FORMS + place]) + hybrid[Kind[name]]
    sealed, advert = opening(Suite.HYBRID), hybrid[Kind.ADVERT]
    key_at = advert.index(channel_key_of(advert)) + KEY_SIZE
    seed_at = len(sealed) - wrapped_size(Suite.HYBRID)
    under_none = sealed[:seed_at] + bytes(KEM_CIPHERTEXT_SIZE) + sealed[seed_at + KEM_CIPHERTEXT_SIZE :]
    return found | {
        "hybrid_opening": bytes([ROUND_FORMS + 10]) + sealed,
        "bad_hybrid_seed_under_no_secret": bytes([ROUND_FORMS + 10]) + under_none,
        "bad_hybrid_seed_not_committed_to": bytes([ROUND_FORMS + 10]) + sealed[:-32] + bytes(32),
        "bad_hybrid_key_not_reduced": bytes([ROUND_FORMS]) + advert[:key_at] + b"\xff" * 3 + advert[key_at + 3 :],
    }


def channel_key_of(advert: bytes) -> bytes:
    """The channel key of an advert."""
    context = papers.round_of_plan(Suite.HYBRID)
    return advert_of(decode_advert(advert, context), context.suite).channel_key


def holder_messages() -> Seeds:
    found = {}
    for place, suite in enumerate(Suite):
        context, session = papers.held_round(suite), papers.mask_holder(suite)
        councils = {
            council: ParticipantSession(context, council, papers.world().keys[council].sign, os.urandom)
            for council in context.eligible
        }
        aggregator = Aggregator(context)
        claim = LedgerClaim(counter=1, head=bytes(32), seen=(0,) * len(councils))
        for council, one in councils.items():
            advert = one.advertise(claim)
            aggregator.receive_advert(council, advert)
        for council, request in aggregator.close_adverts().items():
            aggregator.receive_key_shares(council, councils[council].share_keys(request))
        for council, request in aggregator.close_key_shares().items():
            councils[council].accept_shares(request)
            masked = councils[council].mask(np.zeros(context.cells, dtype=np.int64))
            aggregator.receive_masked_input(council, masked)
        for council, request in aggregator.close_masked_inputs().items():
            aggregator.receive_confirmation(council, councils[council].confirm_survivors(request))
        aggregator.close_confirmations()
        asked = aggregator.opening_request()
        assert context.holder is not None
        messages = (context.holder.advert, advert, asked, session.open(asked))
        names = ("advert", "councils_advert", "request", "opening")
        for form, (name, message) in enumerate(zip(names, messages, strict=True)):
            found[f"{suite.name.lower()}_{name}"] = bytes([place * HOLDER_FORMS + form]) + message
    return found


def elements() -> Seeds:
    key = papers.world().keys[papers.ME]
    return {"element": bytes(31) + b"\x01", "key": key.public, "statement": held().replies[Kind.CONFIRMATION]}


def node_answer() -> Seeds:
    sid = round_of(papers.world(), papers.plan())
    reference = {Kind.PROPOSAL: papers.plan().digest, Kind.ROSTER: NO_REFERENCE, Kind.BUDGET_REQUEST: NO_REFERENCE}
    found = {
        kind.name.lower(): LinkMessage(kind=kind, reference=reference.get(kind, sid), payload=payload).encode()
        for kind, payload in held().requests.items()
        if len(payload) < LARGEST
    }
    of_several = Iteration(number=1, coefficients=(3, -1))
    return found | {
        "invite_of_several": invitation(papers.world(), papers.plan(), iteration=of_several),
        "reply": LinkMessage(kind=Kind.ADVERT, reference=sid, payload=held().replies[Kind.ADVERT]).encode(),
    }


# Signed files


def envelope() -> Seeds:
    signed = sign_payload(b"content", "application/x-test", [papers.ANALYST, papers.REVIEWER])
    return {"signed": signed, "roster": papers.world().roster_envelope}


def statement() -> Seeds:
    return {"decision": unsafe_payload(held().replies[Kind.DECISION], "application/vnd.federated.decision+json")}


def roster() -> Seeds:
    return {"list": unsafe_payload(papers.world().roster_envelope, "application/vnd.federated.roster+yaml")}


def agreement() -> Seeds:
    return {"agreement": unsafe_payload(papers.world().agreement_envelope, "application/vnd.federated.agreement+yaml")}


def manifest() -> Seeds:
    return {"manifest": papers.world().manifest}


def _questions() -> Mapping[str, Any]:
    """One of each statistic, in its smallest form."""
    found = {}
    for item in specifications():
        universe = item.universes[0]
        found[item.code] = replace(asked_of(universe.table), group="all")
    return found


def question() -> Seeds:
    return {code: write_query(asked).encode() for code, asked in _questions().items()}


def question_sql() -> Seeds:
    found = {}
    for code, asked in _questions().items():
        try:
            found[code] = write_sql(asked).encode()
        except Exception as error:  # noqa: BLE001 - some have no form in SQL
            print(f"no SQL for {code}: {error}", file=sys.stderr)
    return found


def query_file() -> Seeds:
    asked = papers.world().question()
    return {"yaml": write_query(asked).encode(), "sql": write_sql(asked).encode()}


def plan() -> Seeds:
    gaussian = papers.world().propose(mechanism=Mechanism.DISCRETE_GAUSSIAN)
    return {"laplace": papers.proposal().content, "gaussian": gaussian.content}


def question_file() -> Seeds:
    plain = QuestionToSign(question="query: 1", manifest="manifest: 1", agreement="a", query_digest="0" * 64)
    return {"plain": plain.encode(), "signed": SignedQuestion(plan="{}", manifest="{}", refresh=True).encode()}


def release() -> Seeds:
    return {"release": held().release.encode(), "opened": opened_release()}


def opened_release() -> bytes:
    """A release that a mask holder opened."""
    folder = papers.folder() / "held"
    folder.mkdir()
    with World(folder, agreement={"mask_holder": papers.HOLDER}) as world:
        round_ = Rehearsal(world, world.propose()).until(Kind.STATEMENTS)
        made = make_release(
            round_.plan,
            round_.unmask(),
            schema=papers.schema(),
            sid=round_.sid,
            councils=[CouncilRecord(council=c, name=c, outcome="contributed") for c in round_.plan.eligible],
            now=papers.NOW,
            software="0",
            attempt=1,
            nonce=bytes([1]) * 32,
        )
    return made.encode()


@cache
def _statement() -> BudgetStatement:
    held()
    return read_ledger_copy(_ledger()).state.statement(papers.NOW)


@cache
def _ledger() -> bytes:
    held()
    return _ledger_bytes(_station().settings.ledger_file)


def _station() -> Any:
    held()
    return papers.world().seat(papers.ME).station


def budget_statement() -> Seeds:
    said = _statement().canonical()
    return {"statement": canonical_json(said), "kept": _json({"version": 1, "statements": {papers.ME: said}})}


def ledger_backup() -> Seeds:
    return {"ledger": _good_ledger()}


def statement_on_ledger() -> Seeds:
    return {"statement": canonical_json(read_ledger_copy(_good_ledger()).state.statement(papers.NOW).canonical())}


def coordinators_refusal() -> Seeds:
    return {"refusal": _json({"code": "refused", "rule": "paused", "message": "x", "remedy": "y"})}


def predecessors() -> Seeds:
    return {"statement": canonical_json(replace(_statement(), closed=True).canonical())}


def ledger_copy() -> Seeds:
    return {"ledger": _ledger()}


def ledger_entries() -> Seeds:
    entries = [[entry.kind.value, entry.body] for entry in read_ledger_copy(_ledger()).entries]
    zeros = "0" * 64
    charge = {"agreement": "a", "epsilon": "1/2", "rho": "1/8", "draws": 3, "period": "2026", "budget_epsilon": "1", "budget_delta": "1/1000000"}  # fmt: skip
    first = entries[0]
    lost = {"version": 1, "time": "2026-03-01T09:00:00Z", "by": "x", "reason": "x", "counter": 1, "charges": [charge]}
    handed = {"council": "E06000001", "counter": 3, "head": zeros, "time": "2026-03-01T09:00:00Z", "charges": [charge]}
    inherited = {
        "version": 1,
        "time": "2026-03-01T09:00:00Z",
        "by": "x",
        "reason": "x",
        "roster": zeros,
        "from": [handed],
    }
    return {
        "round": _json(entries),
        "reconciled": _json([first, ["reconciled", lost]]),
        "inherited": _json([first, ["inherited", inherited]]),
    }


def papers_of_people() -> Seeds:
    at, release_digest = papers.NOW, Digest(bytes(32))
    comment = Comment(
        council=papers.ME, release=release_digest, text="Fewer\nthan before.", publish=True, staff_minutes=5, at=at
    )
    note = OutcomeNote(agreement=papers.world().agreement.id, release=release_digest, text="Changed.", at=at)
    minutes = Minutes(
        agreement=papers.world().agreement.id,
        held_on=date(2026, 3, 1),
        present=("Rae",),
        rulings=(Ruling(plan=release_digest, about="A", decision="Yes", reason="Because."),),
    )
    signed = {
        "comment": sign_comment(comment, papers.ANALYST),
        "outcome": sign_outcome(note, papers.ANALYST),
        "minutes": sign_minutes(minutes, papers.ANALYST),
    }
    return {kind: unsafe_payload(content, f"application/vnd.federated.{kind}+json") for kind, content in signed.items()}


def series() -> Seeds:
    document = yaml.safe_load(papers.world().manifest) | {"frequency": "quarterly"}
    made = Series(
        id=document["id"],
        edition=1,
        agreement=papers.world().agreement.id,
        question=papers.world().question(),
        manifest=parse_manifest(_yaml(document)),
        wait_days=30,
        until=date(2026, 12, 31),
        signed_at=papers.NOW,
    )
    return {"series": canonical_json(made.canonical())}


def baseline() -> Seeds:
    said = {"version": 1, "name": "first", "release_digest": "0" * 64, "title": "T", "period": "P", "frozen_at": "2026-03-01T09:00:00Z"}  # fmt: skip
    return {"baseline": canonical_json(said)}


def standing_run() -> Seeds:
    kept = {"version": 1, "query_digest": "0" * 64, "plan_digest": "1" * 64, "collect_by": "2026-03-01T09:00:00Z", "plan": "e30=", "manifest": "e30="}  # fmt: skip
    return {"kept": _json(kept)}


def evidence_pack() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pack.zip"
        write_evidence(_station().settings, path, now=papers.NOW)
        return {"pack": path.read_bytes()}


def evidence_claims() -> Seeds:
    council, sid, charged = papers.COUNCILS[0], sid_of("a").hex(), digest_of("plan a").hex()
    own = papers.plan().digest.hex()
    settings = {"trust": papers.TRUST.model_dump(mode="json")}
    decision = {"version": 1, "council": council, "plan_digest": charged, "decision": "approved"}
    entry = next(item for item in read_ledger_copy(_good_ledger()).entries if item.body.get("sid") == sid)
    released = json.loads(_json(json.loads(held().release.encode())))
    receipt = {
        "sid": sid,
        "council": council,
        "plan_digest": charged,
        "answered": True,
        "release_digest": sha256(json.dumps(released).encode()).hex(),
        "cost": {"epsilon": "1/2", "rho": "1/8", "charged": True},
        "entries": [{"counter": entry.counter, "kind": entry.kind.value, "hash": entry.hash.hex()}],
    }
    [deletion] = [item.body for item in _station().store.all_latest(DocumentKind.DELETION)][:1]
    record = json.loads(
        json.loads(deletion)["payload"] and unsafe_payload(deletion, json.loads(deletion)["payloadType"])
    )
    kind = json.loads(deletion)["payloadType"].removeprefix("application/vnd.federated.").removesuffix("+json")
    deleted = {**record, "council": council, "sid": sid}
    signed = {
        "rosters/epoch-3.dsse": papers.world().roster_envelope.decode(),
        f"agreements/{papers.world().agreement.id}.dsse": papers.world().agreement_envelope.decode(),
    }
    question = {
        f"questions/{own}.plan.dsse": papers.proposal().envelope.decode(),
        f"questions/{own}.manifest.dsse": papers.proposal().manifest.decode(),
    }
    first = sign_payload(
        canonical_json({"agreement": {"id": "a"}}), "application/vnd.federated.plan+json", [papers.ANALYST]
    )
    return {
        "decisions": _json({"settings.json": settings, f"decisions/{charged}.dsse": ["decision", decision]}),
        "questions": _json({**signed, **question}),
        "claimed": _json({**signed, f"questions/{own}.plan.dsse": first.decode()}),
        "receipts": _json({f"receipts/{sid}.json": receipt}),
        "deletions": _json({f"deletions/{sid}.dsse": [kind, deleted]}),
        "releases": _json({**signed, f"receipts/{sid}.json": receipt, f"releases/{sid}.json": released}),
    }


# People's files


def workspace() -> Seeds:
    made = {
        "workspace": 1,
        "key": "analyst.key",
        "coordinator": {"id": papers.HUB, "address": "localhost:8000", "ca_file": "ca.pem"},
        "trust": papers.TRUST.model_dump(mode="json"),
    }
    return {"workspace": _yaml(made)}


def keys() -> Seeds:
    return {"line": public_line(papers.ANALYST.public).encode()}


def texts() -> Seeds:
    return {
        "time": b"2026-03-01T09:00:00Z",
        "number": b"12.0625",
        "fraction": b"1/1000000",
        "council": b"E06000001",
        "path": b"/releases?after=a.b",
        "date": b"3 March 2025",
        "serial": b"45707",
        "words": b"including but not limited to anything that may be deemed necessary",
    }


def csv_figures() -> Seeds:
    return {
        "lookup": b"council,group,name,vintage,source\nE06000001,G1,North,2025-01-01,ONS\nE06000002,G1,North,2025-01-01,ONS\n",
        "lookup_ons": b"council_code,group_code,group_name,vintage,source\nE06000001,G1,North,2025-01-01,ONS\n",
        "figures": b"code,households\nE06000001,40000\nE06000002,50000\n",
        "expected": b"council,assessment_outcome,households\nE06000001,relief_owed,30\nE06000002,relief_owed,[c]\n",
        "codes": "\n".join(resource_text("code_history.csv").splitlines()[:8]).encode(),
    }


def official_figures() -> Seeds:
    return {
        "councils": b"code,assessment_outcome,published\nE06000001,relief_owed,30\nE06000002,relief_owed,\n",
        "whole": b"assessment_outcome,published\nrelief_owed,300\nprevention_owed,200\n",
    }


def boundaries() -> Seeds:
    ring = [[-1.5, 54.5], [-1.4, 54.5], [-1.4, 54.6], [-1.5, 54.5]]
    shapes = ({"type": "Polygon", "coordinates": [ring]}, {"type": "MultiPolygon", "coordinates": [[ring]]}, None)
    codes = ("E12000001", "E12000002", "E12000003")
    features = [
        {"type": "Feature", "properties": {"code": code}, "geometry": shape}
        for code, shape in zip(codes, shapes, strict=True)
    ]
    return {"regions": _json({"type": "FeatureCollection", "features": features})}


# The node


def holder_answer() -> Seeds:
    world, proposal = papers.holder_world(), papers.held_proposal()
    sid = round_of(world, proposal.plan)
    invited = json.loads(LinkMessage.decode(invitation(world, proposal.plan)).payload)
    asked = {
        Kind.ROSTER: (NO_REFERENCE, world.roster_envelope),
        Kind.OPEN: (sid, b""),
        Kind.ABORT: (sid, canonical_json({"version": 1, "reason": "for the test"})),
    }
    found = {
        kind.name.lower(): LinkMessage(kind=kind, reference=reference, payload=payload).encode()
        for kind, (reference, payload) in asked.items()
    }
    return found | {"hold": hold_message(proposal, sid, invited), "bad_hold": hold_message(proposal, sid, {})}


def opening_record() -> Seeds:
    path = papers.folder() / "opened-seed.db"
    OpeningRecord.create(path)
    with OpeningRecord.open(path) as record:
        record.add(
            OpenedSum(
                plan_digest=papers.held_proposal().plan.digest,
                part=1,
                sid=papers.SID,
                h3=papers.SID,
                agreement="everyone",
                agreement_version=3,
                question="Households by outcome",
                councils=papers.COUNCILS,
                opened_at=papers.NOW,
            )
        )
    return {"record": path.read_bytes()}


def holder_settings() -> Seeds:
    folder = papers.holder_world().folder / "holder"
    return {"holder": (folder / "mask-holder.yaml").read_bytes()}


def node_settings() -> Seeds:
    folder = _station().settings.policy.parent
    return {"node": (folder / "node.yaml").read_bytes().replace(str(folder).encode(), b"/srv/node")}


def policy() -> Seeds:
    return {"template": policy_template(automatic=True).encode(), "full": _yaml(_FULL_POLICY)}


_FULL_POLICY = {
    "policy": 1,
    "automatic": True,
    "automatic_max_epsilon": "0.5",
    "standing_approval_days": 30,
    "max_epsilon_per_query": "1/2",
    "cap": {"epsilon": "2", "delta": "0.000001"},
    "by_class": {"class_2": {"columns": ["main_sex"], "statistics": ["households"]}},
    "refuse_columns": ["main_sex"],
    "max_cells": 100,
    "levels": ["all"],
    "groups": ["all"],
    "min_cohort": 5,
}


def mapping() -> Seeds:
    made = {
        "mapping": 1,
        "dataset": "case",
        "file": "x.csv",
        "dates": "iso",
        "columns": {"main_sex": {"from": "Sex", "codes": {"F": "female"}}, "assessment_date": {"from": "Date"}},
    }
    database = {**made, "database": "secret", "table": "cases"}
    del database["file"]
    profile = files("council_node.mapping").joinpath("profiles/generic.yaml")
    shipped = profile.read_bytes() if profile.is_file() else _yaml({"profile": 1, "datasets": {"case": {}}})
    return {"csv": _yaml(made), "database": _yaml(database), "profile": shipped[:6000]}


def decision_record() -> Seeds:
    [document] = _station().store.all_latest(DocumentKind.DECISION)
    return {"decision": document.body}


def receipt() -> Seeds:
    [document] = _station().store.all_latest(DocumentKind.RECEIPT)
    return {"receipt": document.body}


def contact_note() -> Seeds:
    at = datetime(2026, 3, 2, 9, 59, tzinfo=UTC)
    return {
        "up": Contact(at=at, connected=True, last=at).encode(),
        "never": Contact(at=at, connected=False, last=None).encode(),
    }


def dpia_pack() -> Seeds:
    facts = live_facts(_station().settings)
    text = make_pack(Pack.REGISTER, facts, "2026-03-02")
    drawn = make_pack(Pack.DATA_FLOW, facts, "2026-03-02", picture=True)
    inside = text[text.index("```json\n") + 8 : text.rindex("\n```")]
    return {"paper": text.encode(), "drawing": drawn.encode(), "facts": inside.encode()}


def database_secret() -> Seeds:
    return {
        "postgresql": b"postgresql+psycopg://reader:pass%40word@db.example:5432/cases\n",
        "sqlite": b"sqlite:///cases.db",
    }


_CSV = b"household_key,case_key,assessment_date,main_sex,dependent_children_n,opted_out\r\nH1,C1,2025-01-11,female,2,\r\nH2,C2,12/01/2025,male,0,yes\r\n"
_XML = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<homelessness_return xmlns="urn:example">\n<case><main><HouseholdKey>H1'
    b"</HouseholdKey><AssessmentDate>2025-02-03</AssessmentDate><DependentChildrenN>2</DependentChildrenN></main>"
    b"<people><MainSex>Female</MainSex></people></case>\n<case><main><HouseholdKey>H2</HouseholdKey></main></case>\n"
    b"</homelessness_return>\n"
)


def extract_csv() -> Seeds:
    return {
        "commas": _CSV,
        "semicolons": _CSV.replace(b",", b";"),
        "quoted": _CSV.replace(b"female", b'"fe\r\nmale, ""x"""'),
        "cp1252": _CSV + b"Jos\xe9,\x96\r\n",
    }


def extract_xml() -> Seeds:
    return {"return": _XML, "utf16": _XML.replace(b'"UTF-8"', b'"UTF-16"').decode().encode("utf-16")}


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(("household_key", "assessment_date", "main_sex"))
    sheet.append(("H1", date(2025, 1, 11), "female"))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def spreadsheet() -> Seeds:
    import xlwt

    old = xlwt.Workbook()
    sheet = old.add_sheet("Sheet")
    for row, cells in enumerate((("household_key", "assessment_date"), ("H1", 45_672))):
        for column, cell in enumerate(cells):
            sheet.write(row, column, cell)
    content = io.BytesIO()
    old.save(content)
    return {"xlsx": _workbook(), "xls": content.getvalue()}


def extract_database() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.db"
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA page_size=512")
            connection.execute(
                "CREATE TABLE cases (household_key TEXT, assessment_date DATE, main_sex TEXT, dependent_children_n INT)"
            )
            connection.execute("INSERT INTO cases VALUES ('H1', '2025-01-11', 'female', 2)")
        connection.close()
        return {"sqlite": path.read_bytes()}


# The centre


def coordinator_settings() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        create(
            Path(folder),
            NewCoordinator(
                id=papers.HUB,
                name="Hub",
                hosts=("localhost",),
                listen_host="127.0.0.1",
                port=8000,
                roster_keys=papers.TRUST.roster_keys,
                agreement_keys=papers.TRUST.agreement_keys,
            ),
            now=papers.NOW,
            rng=lambda size: bytes(range(size)),
        )
        return {"coordinator": next(Path(folder).glob("*.yaml")).read_bytes()}


def replies() -> Seeds:
    zeros, me = "0" * 64, papers.ME
    about = {"version": 1, "council": me, "rule": "paused", "reason": "x"}
    return {
        "decision": canonical_json(
            {**about, "plan_digest": zeros, "decision": "approved", "extract_date": "2026-01-01"}
        ),
        "refusal": canonical_json({**about, "sid": zeros}),
        "complaint": canonical_json({**about, "sid": zeros, "evidence": "e30="}),
        "receipt": canonical_json({"version": 1, "council": me, "release_digest": zeros}),
        "fault": canonical_json({"version": 1, "code": "internal", "message": "x"}),
    }


def backup_file() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/c.db")
        try:
            path = Path(folder) / "backup"
            backup(store.engine, path, coordinator=papers.HUB, now=papers.NOW)
            return {"backup": path.read_bytes()}
        finally:
            store.close()


def id_token() -> Seeds:
    at = int(papers.NOW.timestamp())
    claims = {"iss": "https://login.example", "sub": "ann", "aud": "pages", "exp": at + 300, "iat": at, "nonce": "n" * 43, "groups": ["analysts"]}  # fmt: skip
    key = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "one",
        "use": "sig",
    }
    rsa = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RS256"}
    return {"claims": _json(claims), "key": _json(key), "rsa": _json(rsa), "unsigned": b"eyJhbGciOiJub25lIn0.e30."}


def provider() -> Seeds:
    about = {
        "issuer": "https://login.example",
        "authorization_endpoint": "https://login.example/a",
        "token_endpoint": "https://login.example/t",
        "jwks_uri": "https://login.example/k",
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    }
    tokens = {"id_token": "e30.e30.e30", "access_token": "a", "token_type": "Bearer"}
    return {"about": _json(about), "tokens": _json(tokens), "keys": _json({"keys": [{"kty": "OKP", "kid": "one"}]})}


def upload() -> Seeds:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nabc\r\n--x\r\nContent-Disposition: form-data; '
        b'name="file"; filename="a.json"\r\nContent-Type: application/json\r\n\r\n{}\r\n--x--\r\n'
    )
    return {
        "form": b"multipart/form-data; boundary=x\n" + body,
        "fields": b"application/x-www-form-urlencoded\ntitle=a+b&token=%20",
    }


def api() -> Seeds:
    return {
        "cursor": b"2026-03-01T09:00:00Z_" + b"0" * 64,
        "hand_in": _json({"plan": "e30=", "manifest": "e30=", "refresh": True}),
    }


def tls() -> Seeds:
    key = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    chain = _certificates()[1].read_bytes()
    return {"key": key, "certificate": load_pem_x509_certificate(chain).public_bytes(Encoding.DER)}


def draft() -> Seeds:
    shared = {
        "title": "Households by outcome",
        "group": "all",
        "from": "2025-01-01",
        "to": "2025-03-31",
        "epsilon": "0.5",
        "level": "all",
        "max_cells": "2",
        "by1": "assessment_outcome",
        "by2": "assessment_date:month",
    }
    return {
        "count": _json(
            {**shared, "column": "assessment_date", "statistic": "households", "name": "a", "value": "relief_owed"}
        ),
        "sum": _json({**shared, "column": "dependent_children_n", "statistic": "sum", "low": "0", "high": "6"}),
        "bands": _json(
            {
                **shared,
                "column": "dependent_children_n",
                "statistic": "distribution",
                "low": "0",
                "high": "6",
                "first": "1",
                "last": "5",
                "step": "2",
            }
        ),
        "manifest": _json(
            {
                "purpose": "To plan services.",
                "version": "2",
                "output.0.title": "T",
                "fields_read.0.why": "W",
                "retention.until": "2027-01-01",
            }
        ),
    }


def decision_form() -> Seeds:
    return {
        "form": _json(
            {"act": "approve", "by": "Ann", "role": "data protection officer", "reason": "x", "line_0": "yes"}
        )
    }


def flower() -> Seeds:
    return {"printed": b'Success\n{"success": true, "run-id": "123"}\n'}


SEEDS: Mapping[str, Callable[[], Seeds]] = {
    **{
        made.__name__.replace("_", "-"): made
        for made in (
            link_message, relayed, link_frames, handshake, round_messages, holder_messages, elements, node_answer, holder_answer, opening_record, holder_settings, envelope, statement,
            roster, agreement, manifest, question, question_sql, query_file, plan, question_file, release,
            budget_statement, ledger_backup, statement_on_ledger, coordinators_refusal, predecessors, ledger_copy, ledger_entries, papers_of_people, series, baseline,
            standing_run, evidence_pack, evidence_claims, workspace, keys, texts, csv_figures, official_figures, boundaries,
            node_settings, policy, mapping, decision_record, receipt, contact_note, dpia_pack, database_secret,
            extract_csv, extract_xml, spreadsheet, extract_database, coordinator_settings, replies, id_token, provider,
            upload, api, tls, draft, decision_form, flower,
        )
    },
    "csv-records": extract_csv,
    "xml-records": extract_xml,
    "retention": manifest,
    "backup": backup_file,
}  # fmt: skip


def write(names: list[str]) -> None:
    """Write the first inputs of these targets, or of all."""
    for name, made in SEEDS.items():
        if names and name not in names:
            continue
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for label, content in made().items():
            (folder / label).write_bytes(content)


if __name__ == "__main__":
    write(sys.argv[1:])
