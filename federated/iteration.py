"""Which round of several a round is, and the public coefficients that it is counted at.

The coordinator chooses them. A node does not have to believe that they are good ones: the cost of a round is the same
at all that it accepts, and each round is charged. What has to hold is that all nodes count at the same, so they are in
the round's id, which every key and mask of the round is derived from (`docs/protocol.md`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from protocols.encoding import Json, canonical_json

__all__ = ["Iteration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One round of a question that takes several.

    Attributes:
        number: From 1.
        coefficients: In the fixed unit of the statistic.
    """

    number: int
    coefficients: tuple[int, ...]

    def canonical(self) -> dict[str, Json]:
        """As canonical JSON."""
        return {"number": self.number, "coefficients": list(self.coefficients)}

    def encode(self) -> bytes:
        """The bytes that go into the round's id."""
        return canonical_json(self.canonical())

    @classmethod
    def read(cls, claimed: Mapping[str, object]) -> Self:
        """Read what `canonical` wrote, strictly.

        Raises:
            ValueError: It is not in that form.
        """
        number, coefficients = claimed.get("number"), claimed.get("coefficients")
        if set(claimed) != {"number", "coefficients"} or type(number) is not int or not isinstance(coefficients, list):
            raise ValueError("not one round of several")
        if any(type(item) is not int for item in coefficients):
            raise ValueError("coefficients are whole numbers")
        return cls(number=number, coefficients=tuple(coefficients))
