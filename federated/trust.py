"""Whom a party believes: the keys it pinned itself, in its own settings file, before anything was received."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from federated.keys import parse_public, public_line, trusted_keys

__all__ = ["PublicLine", "TrustSettings"]


def _checked_line(line: str) -> str:
    return public_line(parse_public(line))


PublicLine = Annotated[str, AfterValidator(_checked_line)]
"""A public key as its one line; see `federated.keys.public_line`."""


class TrustSettings(BaseModel):
    """The `trust` block of a settings file.

    The roster decides who is a council, so two people must have signed it, neither of them the coordinator: that is
    what stops invented councils and swapped keys (`protocol.md` 1.2). An agreement decides what a council answers, so
    it takes two people as well, unless the file says `agreement_threshold: 1`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    roster_keys: Annotated[
        tuple[PublicLine, ...],
        Field(min_length=2, max_length=16, description="Public keys of the people who sign the list of councils."),
    ]
    roster_threshold: Annotated[
        int, Field(ge=2, strict=True, description="How many different people must have signed the list of councils.")
    ] = 2
    agreement_keys: Annotated[
        tuple[PublicLine, ...],
        Field(min_length=1, max_length=16, description="Public keys of the people who sign agreements."),
    ]
    agreement_threshold: Annotated[
        int,
        Field(
            ge=1,
            strict=True,
            description="How many different people must have signed an agreement. With `1`, one person alone can "
            "change what a council answers.",
        ),
    ] = 2

    @model_validator(mode="after")
    def _enough_different_keys(self) -> Self:
        for use in ("roster", "agreement"):
            keys = getattr(self, f"{use}_keys")
            threshold = getattr(self, f"{use}_threshold")
            if len(set(keys)) != len(keys):
                raise ValueError(f"{use}_keys has the same key twice; each person signs with a key of their own")
            if threshold > len(keys):
                raise ValueError(_too_few_people(use, threshold, len(keys)))
        return self

    @property
    def one_person_decides(self) -> bool:
        """Whether one person alone can change an agreement: only where the file says so."""
        return self.agreement_threshold == 1

    @property
    def roster(self) -> Mapping[str, bytes]:
        """Keys that may sign the roster, by key id."""
        return trusted_keys(*map(parse_public, self.roster_keys))

    @property
    def agreement(self) -> Mapping[str, bytes]:
        """Keys that may sign agreements, by key id."""
        return trusted_keys(*map(parse_public, self.agreement_keys))


def _too_few_people(use: str, threshold: int, keys: int) -> str:
    if keys > 1:
        return f"{use}_threshold is {threshold}, but {use}_keys has only {keys} keys"
    # Met by whoever wrote this file when one signature was enough and nothing had to be said.
    return (
        f"{use}_threshold is {threshold} (2 where it is not named), but {use}_keys has only one key: add the key of "
        f"another person, or write {use}_threshold: 1 if one person alone may change what a council answers"
    )
