"""What one mask holder has, wired together: settings, key, pinned papers and the record of what it opened.

The only place where its rules meet its files. The clock and the source of randomness are passed in.
"""

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from council_node.event_log import Log
from council_node.node_store import NodeStore
from council_node.pinned_papers import PinnedPapers
from council_node.signed_plans import PlanReader
from federated.keys import SigningKey, read_private_key
from federated.schema import Schema, load_schema
from mask_holder.record import OpeningRecord
from mask_holder.settings import MASK_HOLDER, Settings, check_files
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["Office"]


class Office:
    """One mask holder's files and key; open it as a context manager.

    Args:
        settings: From `read_settings`.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
        log: Takes events.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime], rng: RandomSource, log: Log) -> None:
        check_files(settings)
        self.settings = settings
        self.id = CouncilId(settings.holder.id)
        self.now = clock
        self.rng = rng
        self.log = log
        self.key: SigningKey = read_private_key(settings.keys.identity)
        schema: Schema = load_schema()
        self.record = OpeningRecord.open(settings.record_file)
        self._store = NodeStore.open(settings.papers_file)
        self.papers = PinnedPapers(settings, self._store, schema=schema, clock=clock, log=log, party=MASK_HOLDER)
        self.plans = PlanReader(self.papers, schema)

    def __enter__(self) -> Self:
        """Everything is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the record and the papers."""
        self.record.__exit__(kind, error, trace)
        self._store.close()
