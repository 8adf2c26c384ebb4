"""What the parties of one history share: time, chance, the network, and a record of all that could be seen.

Every choice comes from one seed. The record is what two runs of a seed must agree on, and what the checks look at.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from protocols.encoding import sha256
from protocols.identifiers import CouncilId, RoundId
from tests.integration.federation_world import NOW
from tests.simulation.faults.clock import SimulatedLoop
from tests.simulation.faults.papers import Papers


class Violation(AssertionError):
    """Something that must never be."""


@dataclass(slots=True)
class Menu:
    """How much of each fault a history has; all zero: none.

    Attributes:
        pace: Seconds that a message takes, about: where it is long, more goes wrong while a round is under way.
        drop: Chance that a message is lost without a word.
        cut: Chance that the connection breaks at a message.
        late: Chance that a message takes seconds, not milliseconds.
        twice: Chance that a message arrives twice.
        silent: Chance that a party dies between its disk and its reply.
        events: Mean seconds between crashes, partitions, full disks and clock jumps.
        kinds: Which of those.
    """

    pace: float = 0.03
    drop: float = 0.0
    cut: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    silent: float = 0.0
    events: float = 0.0
    kinds: tuple[str, ...] = ()


@dataclass(slots=True)
class Record:
    """What was seen, from outside and from above."""

    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    lines: list[str] | None = None
    left: dict[tuple[CouncilId, RoundId], bytes] = field(default_factory=dict)
    """The masked input of a council in a round, once it has left the council's machine."""
    noise: dict[tuple[CouncilId, RoundId], bytes] = field(default_factory=dict)
    """The key of the noise that a council drew in a round."""
    counted: set[tuple[CouncilId, RoundId]] = field(default_factory=set)
    published: dict[bytes, bytes] = field(default_factory=dict)
    """Answers that somebody outside the coordinator has been told of, by digest, with their plan."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def count(self, what: str) -> None:
        """Count something that happened."""
        self.counts[what] += 1


class Shared:
    """One history's time, chance and record.

    Args:
        seed: Of everything.
        papers: What it starts from.
        loop: Time.
        trace: Whether to keep the record in words too.
    """

    def __init__(self, seed: int, papers: Papers, loop: SimulatedLoop, *, trace: bool) -> None:
        self.seed = seed
        self.papers = papers
        self.loop = loop
        self.chance = random.Random(f"faults {seed}")
        self.menu = Menu()
        self.record = Record(lines=[] if trace else None)
        self.broken: list[str] = []

    def tell(self, *words: object) -> None:
        """Put one thing that happened into the record."""
        line = f"{self.loop.now:.6f} " + " ".join(str(word) for word in words)
        self.record.digest.update(line.encode() + b"\n")
        if self.record.lines is not None:
            self.record.lines.append(line)

    def require(self, holds: bool, what: str) -> None:
        """Note a violation; the history goes on to its end, or to the next look."""
        if not holds and what not in self.broken:
            self.tell("VIOLATION", what)
            self.broken.append(what)

    def happens(self, chance: float) -> bool:
        """Draw one yes or no; draws nothing where it cannot happen, so that a quiet time leaves chance alone."""
        return chance > 0 and self.chance.random() < chance

    def rng(self, *words: object) -> Callable[[int], bytes]:
        """A party's seeded randomness: for this simulation alone."""
        return random.Random(" ".join(str(word) for word in ("faults", self.seed, *words))).randbytes


class Clock:
    """One party's clock: right, but for what it has jumped."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.wrong_by = timedelta()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=self._shared.loop.now) + self.wrong_by


def short(content: bytes) -> str:
    """A few digits that stand for bytes in the record."""
    return sha256(content).hex()[:16]
