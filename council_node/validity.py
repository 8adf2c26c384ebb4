"""Whether a plan is valid now: asked by every party that takes part in its rounds."""

from datetime import datetime
from typing import Protocol

from federated.errors import PolicyRefusal

__all__ = ["check_valid"]


class Validity(Protocol):
    """From when to when a plan is valid."""

    @property
    def not_before(self) -> datetime:
        """Start."""

    @property
    def not_after(self) -> datetime:
        """End; no round starts or continues after it."""


def check_valid(terms: Validity, now: datetime) -> None:
    """Check that a plan is valid now.

    Raises:
        PolicyRefusal: `plan_not_yet_valid` or `plan_expired`.
    """
    if now < terms.not_before:
        raise PolicyRefusal(
            "plan_not_yet_valid", "The plan is not valid yet.", remedy="Wait, or check this computer's clock."
        )
    if now > terms.not_after:
        raise PolicyRefusal("plan_expired", "The plan has expired.", remedy="Plan the question again.")
