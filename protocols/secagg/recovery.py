"""Rebuilding seeds from revealed shares (Finish).

Lagrange weights are computed once for a responding set and used for every secret. A rebuilt secret is checked
against what its owner signed: H(b_seed), or the mask key that its s_seed must regenerate. Only when one
does not fit are share commitments opened, to tell who is at fault: a responder that shows another share
than it was dealt is left out and the next set of t is tried; if all show what they were dealt, the dealer's
shares do not lie on one polynomial, and other sets are tried within reason.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from protocols.identifiers import CouncilId, RoundId
from protocols.secagg.errors import BelowThreshold
from protocols.secagg.share_records import Openings, RevealedShares
from protocols.secagg.transcript import ShareKind, share_commitment
from protocols.shamir import combine_each, weights_at_zero

Answers: TypeAlias = Mapping[CouncilId, RevealedShares]
"""What each responder revealed, for each of U2 in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One secret to rebuild.

    Attributes:
        owner: Whose secret.
        position: The owner's place in U2.
        kind: Which of its two.
        fits: Whether a rebuilt value is the secret that the owner signed for.
        openings: The owner's commitments to everyone's shares.
    """

    owner: CouncilId
    position: int
    kind: ShareKind
    fits: Callable[[int], bool]
    openings: Openings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """The secrets, and the responders that revealed false shares."""

    secrets: Mapping[CouncilId, int] = field(repr=False)
    bad_responders: tuple[CouncilId, ...]


def rebuild(
    wanted: Sequence[Wanted], answers: Answers, *, sid: RoundId, threshold: int, points: Mapping[CouncilId, int]
) -> Rebuilt:
    """Rebuild every wanted secret from t truthful responders.

    Args:
        wanted: One secret for each council of U2.
        answers: At least `threshold` responders' shares, one for each wanted secret.
        sid: The round.
        threshold: t.
        points: Shamir point of each responder.

    Raises:
        BelowThreshold: Fewer than t truthful responders, or (with `culprit`) a dealer whose own shares
            do not fit together.
    """
    live, bad = sorted(answers), set[CouncilId]()
    secrets: dict[CouncilId, int] = {}
    missing = list(wanted)
    while missing:
        found = _interpolate(missing, answers, _first(live, threshold), points)
        secrets |= {secret.owner: found[secret.owner] for secret in missing if secret.fits(found[secret.owner])}
        missing = [secret for secret in missing if secret.owner not in secrets]
        false = {responder for secret in missing for responder in _false_shares(secret, answers, live, sid, points)}
        if missing and not false:
            secrets |= {secret.owner: _search(secret, answers, live, threshold, points) for secret in missing}
            break
        bad |= false
        live = [responder for responder in live if responder not in bad]
    return Rebuilt(secrets=secrets, bad_responders=tuple(sorted(bad)))


def _first(live: Sequence[CouncilId], threshold: int) -> Sequence[CouncilId]:
    if len(live) < threshold:
        raise BelowThreshold(f"{len(live)} councils revealed true shares; {threshold} are needed")
    return live[:threshold]


def _interpolate(
    wanted: Sequence[Wanted], answers: Answers, responders: Sequence[CouncilId], points: Mapping[CouncilId, int]
) -> dict[CouncilId, int]:
    weights = weights_at_zero([points[responder] for responder in responders])
    positions = [secret.position for secret in wanted]
    found = combine_each(weights, [answers[responder].elements[positions] for responder in responders])
    return {secret.owner: value for secret, value in zip(wanted, found, strict=True)}


def _false_shares(
    secret: Wanted, answers: Answers, live: Iterable[CouncilId], sid: RoundId, points: Mapping[CouncilId, int]
) -> Iterator[CouncilId]:
    for responder in live:
        shown = answers[responder][secret.position]
        commitment = share_commitment(sid, secret.kind, secret.owner, responder, salt=shown.salt, share=shown.share)
        if commitment != secret.openings.commitment(points[responder] - 1, secret.kind):
            yield responder


def _search(
    secret: Wanted,
    answers: Answers,
    live: Sequence[CouncilId],
    threshold: int,
    points: Mapping[CouncilId, int],
) -> int:
    """Try every window of t responders: enough to step around a few shares that the dealer dealt wrong."""
    for start in range(1, len(live)):
        window = [*live[start:], *live[:start]][:threshold]
        value = _interpolate([secret], answers, window, points)[secret.owner]
        if secret.fits(value):
            return value
    raise BelowThreshold(
        f"the shares that {secret.owner} dealt do not fit together; {threshold} that do are needed",
        culprit=secret.owner,
    )
