"""Signed papers in the store of a console world: what a council said, what changed, minutes, a standing question."""

from datetime import date

import yaml

from coordinator.store import PaperRow
from federated.keys import SigningKey
from federated.manifest import parse_manifest
from federated.papers import (
    Comment,
    Minutes,
    OutcomeNote,
    PaperKind,
    Ruling,
    paper_digest,
    sign_comment,
    sign_minutes,
    sign_outcome,
)
from federated.query import parse_query
from federated.series import Series, sign_series
from tests.integration.console_world import ConsoleWorld
from tests.integration.coordinator_federation import ANALYST, QUESTION, REVIEWER, Federation, council_key


def keep(federation: Federation, kind: PaperKind, envelope: bytes, *, subject: str, author: str) -> bytes:
    """Put a paper into the store, its signatures unchecked; its digest."""
    row = PaperRow(
        digest=paper_digest(envelope, kind),
        kind=kind.value,
        agreement_id=federation.agreement.id,
        subject=subject,
        author=author,
        envelope=envelope,
        received_at=federation.now(),
    )
    assert federation.store.papers.add(row, limit=99)
    return row.digest


def comment(
    world: ConsoleWorld,
    text: str,
    *,
    release: int = 0,
    council: int = 0,
    key: SigningKey | None = None,
    publish: bool = True,
    minutes: int | None = None,
) -> bytes:
    """A council's comment on one of the answers."""
    code, digest = world.federation.councils[council], world.answered[release].digest
    made = Comment(
        council=code, release=digest, text=text, publish=publish, staff_minutes=minutes, at=world.federation.now()
    )
    envelope = sign_comment(made, key or council_key(code))
    return keep(world.federation, PaperKind.COMMENT, envelope, subject=digest.hex(), author=code)


def outcome(world: ConsoleWorld, text: str) -> bytes:
    """The analyst's note of what changed, on the first answer."""
    digest = world.answered[0].digest
    note = OutcomeNote(agreement=world.agreement, release=digest, text=text, at=world.federation.now())
    return keep(
        world.federation, PaperKind.OUTCOME, sign_outcome(note, ANALYST), subject=digest.hex(), author=ANALYST.keyid
    )


def meeting(world: ConsoleWorld, *, held_on: date, decision: str, key: SigningKey = REVIEWER) -> bytes:
    """Minutes of a meeting about the first answer's question."""
    plan = bytes.fromhex(world.plans["released"])
    ruling = Ruling(plan=plan, about="Families by age", decision=decision, reason="The benefit is <i>clear</i>.")
    made = Minutes(agreement=world.agreement, held_on=held_on, present=("Rae <Reviewer>",), rulings=(ruling,))
    return keep(
        world.federation, PaperKind.MINUTES, sign_minutes(made, key), subject=held_on.isoformat(), author=key.keyid
    )


def standing_series(world: ConsoleWorld) -> Series:
    """A standing question whose first repeat is the question that was answered, with others due and to come."""
    document = yaml.safe_load(world.federation.manifest) | {"frequency": "quarterly"}
    return Series(
        id=document["id"],
        edition=2,
        agreement=world.agreement,
        question=parse_query(QUESTION.encode()),
        manifest=parse_manifest(yaml.safe_dump(document, sort_keys=False).encode()),
        wait_days=200,
        until=date(2026, 10, 1),
        signed_at=world.federation.now().replace(microsecond=0),
    )


def keep_series(world: ConsoleWorld, series: Series, key: SigningKey = ANALYST) -> bytes:
    """Put a series into the store."""
    return keep(world.federation, PaperKind.SERIES, sign_series(series, key), subject=series.id, author=key.keyid)
