"""What can go wrong in a round of secure aggregation, besides the general errors of `protocols.errors`."""

from protocols.errors import RemoteProtocolError
from protocols.identifiers import CouncilId


class BelowThreshold(RemoteProtocolError):
    """Too few councils got this far: the round ends with nothing revealed."""


class CohortRuleBroken(BelowThreshold):
    """The councils that advertised cannot carry the promise.

    Attributes:
        rule: `smallest_round`, `eligible`, `min_cohort`, `quorum` or `min_honest`.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class BadKeyShare(RemoteProtocolError):
    """A dealer signed a share that does not open; the receiver complains with the dealer's own message.

    Attributes:
        culprit: The dealer.
        evidence: The dealer's signed message, whose leaf for the receiver covers `opening`.
        opening: Commitments and ciphertext as delivered; they match the signed leaf.
    """

    def __init__(self, message: str, *, culprit: CouncilId, evidence: bytes, opening: bytes) -> None:
        super().__init__(message, culprit=culprit)
        self.evidence = evidence
        self.opening = opening
