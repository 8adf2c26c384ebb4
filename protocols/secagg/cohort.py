"""Who is enough: reconstruction threshold, honest noise shares and the refusals of `protocol.md` 1.1.

Integers only. The collusion limit belongs to the cohort that the agreement names, not to the councils that
turn up: otherwise a coordinator could shrink a round to its colluders and one victim, and the limit with it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn

from protocols.errors import LocalProtocolError
from protocols.secagg.errors import CohortRuleBroken

SMALLEST_ROUND: Final = 4


class Profile(StrEnum):
    """How many colluding councils a cohort guards against."""

    STANDARD = "standard"
    """One in twenty; the least noise, and one council in ten may drop out."""
    CAREFUL = "careful"
    """One in three; more noise, and nearly one council in three may drop out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers of one round, fixed once its councils are known.

    Attributes:
        n: Councils in the round, |U1|.
        t: Shares that rebuild a secret; also the fewest survivors.
        c: Most councils of the cohort that collude with the coordinator.
        h: Honest noise shares guaranteed in any sum, t - c.

    Raises:
        LocalProtocolError: Not t ≤ n, or not 2t > n + c: an honest council answers one unmask request and a
            corrupt one any, so answers for and against one council's survival number at most n + c, and
            both of its secrets would come out.
    """

    n: int
    t: int
    c: int
    h: int

    def __post_init__(self) -> None:
        """Refuse numbers under which both secrets of an honest council could come out."""
        if not self.t <= self.n or not 2 * self.t > self.n + self.c or self.h != self.t - self.c:
            raise LocalProtocolError(f"thresholds n={self.n} t={self.t} c={self.c} h={self.h} are no safe quorum")

    @property
    def may_be_lost(self) -> int:
        """Councils that may drop out after their advert."""
        return self.n - self.t


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRules:
    """What the agreement fixes about a cohort.

    Attributes:
        profile: Standard or careful.
        eligible_count: E, councils in the named group.
        min_cohort: Fewest councils in a round.
        min_honest: Fewest honest noise shares in a sum.
    """

    profile: Profile
    eligible_count: int
    min_cohort: int
    min_honest: int

    def __post_init__(self) -> None:
        """Refuse rules that would rule nothing."""
        if self.eligible_count < 1 or self.min_cohort < 1 or self.min_honest < 1:
            raise LocalProtocolError("a cohort's size, min_cohort and min_honest are each at least 1")

    @property
    def max_colluders(self) -> int:
        """c_G: most councils of the cohort that collude with the coordinator, by assumption."""
        match self.profile:
            case Profile.STANDARD:
                return max(1, self.eligible_count // 20)
            case Profile.CAREFUL:
                return self.eligible_count // 3

    def thresholds(self, n: int) -> Thresholds:
        """The numbers of a round of `n` councils.

        Raises:
            CohortRuleBroken: Too few, or not a round of this cohort; names the rule.
        """
        if n < SMALLEST_ROUND:
            _refuse("smallest_round", f"{n} councils are in the round; no round has fewer than {SMALLEST_ROUND}")
        if n > self.eligible_count:
            _refuse("eligible", f"{n} councils are in the round; only {self.eligible_count} are eligible")
        if n < self.min_cohort:
            _refuse("min_cohort", f"{n} councils are in the round; the agreement asks for {self.min_cohort}")
        threshold = self._threshold(n)
        if threshold > n:
            _refuse("quorum", f"{n} councils cannot outvote {self.max_colluders} colluders: {threshold} are needed")
        honest = threshold - self.max_colluders
        if honest < self.min_honest:
            _refuse(
                "min_honest", f"only {honest} honest noise shares are sure; the agreement asks for {self.min_honest}"
            )
        return Thresholds(n=n, t=threshold, c=self.max_colluders, h=honest)

    def _threshold(self, n: int) -> int:
        quorum = (n + self.max_colluders) // 2 + 1  # smallest t with 2t > n + c
        match self.profile:
            case Profile.STANDARD:
                return max(-(-9 * n // 10), quorum)
            case Profile.CAREFUL:
                return quorum


def _refuse(rule: str, message: str) -> NoReturn:
    raise CohortRuleBroken(rule, message)
