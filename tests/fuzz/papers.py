"""What the decoders under test are given besides bytes: keys, an agreement, a roster, a plan, a round; the same every time."""

import json
import tempfile
from functools import cache
from pathlib import Path

from federated.plan import Plan
from federated.round_context import round_context
from federated.schema import Schema
from protocols.encoding import sha256
from protocols.identifiers import RoundId
from protocols.secagg import RoundContext
from tests.integration.federation_world import (
    ANALYST,
    COUNCILS,
    HUB,
    ME,
    NOW,
    REVIEWER,
    SCHEMA,
    SIGNER_A,
    SIGNER_B,
    TRUST,
    Proposal,
    World,
)

__all__ = [
    "ANALYST",
    "COUNCILS",
    "HUB",
    "ME",
    "NOW",
    "REVIEWER",
    "SCHEMA",
    "SID",
    "SIGNER_A",
    "SIGNER_B",
    "TRUST",
    "file_of",
    "folder",
    "plan",
    "proposal",
    "round_of_plan",
    "schema",
    "world",
]

SID = RoundId(sha256(b"a round to be fuzzed"))


@cache
def folder() -> Path:
    """A folder of this process. Whoever starts a process that may be ended gives it a `TMPDIR` to be cleared."""
    made = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[tempfile.TemporaryDirectory] = []


def file_of(name: str, content: bytes, *, mode: int = 0o600) -> Path:
    """The bytes as a file."""
    path = folder() / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


@cache
def world() -> World:
    """The signed papers of five councils."""
    made = folder() / "world"
    made.mkdir()
    return World(made)


@cache
def proposal() -> Proposal:
    """A question of one table, planned and signed."""
    return world().propose()


def plan() -> Plan:
    """The plan of that question."""
    return proposal().plan


def schema() -> Schema:
    """The data dictionary."""
    return SCHEMA


@cache
def round_of_plan() -> RoundContext:
    """A round of that plan, seen by a council."""
    return round_context(plan(), sid=SID, roster=world().roster)


def json_of(content: bytes) -> object:
    """JSON as a decoder of ours might meet it.

    Raises:
        ValueError: It is none; also `RecursionError`.
    """
    return json.loads(content)
