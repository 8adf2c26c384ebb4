"""Frozen baselines: a signed statement that names one release, made before anyone knows what comes after.

A change can be made to look as one likes by choosing the release it starts from. A baseline is chosen and signed once;
later releases are compared with that release and no other.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from federated.errors import QueryError, SignatureProblem
from federated.keys import SigningKey, trusted_keys
from federated.release import Release
from federated.signing import open_statement, sign_statement
from federated.timestamps import parse_time, time_text
from protocols.encoding import Json

__all__ = ["BASELINE_KIND", "Baseline", "freeze"]

BASELINE_KIND: Final = "baseline"
"""Kind of signed statement, for `federated.signing.sign_statement`."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A release frozen under a name.

    Attributes:
        name: Lower-case name.
        release_digest: SHA-256 of the release's bytes, hexadecimal.
        title: Title of the release.
        period: Its period.
        frozen_at: When it was signed.
    """

    name: str
    release_digest: str
    title: str
    period: str
    frozen_at: datetime

    @classmethod
    def open(cls, envelope: bytes, *, signer: bytes) -> Self:
        """Read a baseline.

        Args:
            envelope: The signed file.
            signer: Raw public key of whoever froze it.

        Raises:
            SignatureProblem: The signature does not hold, or it is not a baseline.
        """
        body = open_statement(BASELINE_KIND, envelope, trusted_keys(signer))
        try:
            return cls(
                name=str(body["name"]),
                release_digest=str(body["release_digest"]),
                title=str(body["title"]),
                period=str(body["period"]),
                frozen_at=parse_time(body["frozen_at"]),
            )
        except (KeyError, QueryError) as error:
            raise SignatureProblem("The signed file is not a baseline of version 1.") from error

    def require(self, release: Release) -> None:
        """Refuse any other release than the one frozen.

        Raises:
            SignatureProblem: It is another release, or was changed.
        """
        if release.digest.hex() != self.release_digest:
            raise SignatureProblem(
                f"The earlier release is not the one frozen as '{self.name}' on {self.frozen_at:%Y-%m-%d} "
                f"({self.title}, {self.period}).",
                remedy=f"Fetch that one: federated show {self.release_digest}",
            )


def freeze(name: str, release: Release, *, key: SigningKey, now: datetime) -> bytes:
    """Sign a baseline; the result is the file.

    Raises:
        QueryError: Not a name.
    """
    if not _NAME.fullmatch(name):
        raise QueryError(
            f"'{name[:50]}' cannot be a baseline's name.",
            remedy="Use up to 40 lower-case letters, digits, hyphens and underscores.",
        )
    body: dict[str, Json] = {
        "version": 1,
        "name": name,
        "release_digest": release.digest.hex(),
        "title": release.title,
        "period": release.period,
        "frozen_at": time_text(now),
    }
    return sign_statement(BASELINE_KIND, body, key)
