"""Every lie, and the key agreements that each is told under."""

from typing import Any, Final

import pytest

from protocols.suite import Suite
from protocols.wire.link_message import Kind
from tests.adversary.holder_lies import HOLDER_LIES
from tests.adversary.hybrid_lies import HYBRID_LIES
from tests.adversary.lies import LIES as TOLD_UNDER_ANY
from tests.adversary.lying_coordinator import End, Lie

LIES: Final = (*TOLD_UNDER_ANY, *HYBRID_LIES, *HOLDER_LIES)
CHANGED: Final = {Kind.ADVERTS, Kind.SHARES}
"""Requests that look otherwise in the hybrid suite."""


def case(lie: Lie, suite: Suite) -> str:
    """The name of the case that tells a lie under a key agreement."""
    return lie.name if suite is Suite.X25519 else f"{lie.name}-hybrid"


def cases() -> list[Any]:
    """Each lie under each key agreement that it can be told under."""
    return [
        pytest.param(lie, suite, id=case(lie, suite), marks=_marks(lie, suite)) for lie in LIES for suite in lie.suites
    ]


def _marks(lie: Lie, suite: Suite) -> tuple[pytest.MarkDecorator, ...]:
    """The hybrid suite changes adverts and key shares, and what a lost council's seed opens; the rest are told in the long runs."""
    short = suite is Suite.X25519 or lie.at in CHANGED or lie.end is not End.REFUSED
    return () if short else (pytest.mark.long,)
