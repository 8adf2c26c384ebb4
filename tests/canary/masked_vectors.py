"""Every vector that a coordinator receives, beside the true vector of every council."""

import numpy as np

from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["VectorBook", "correlations"]


class VectorBook:
    """A link's `record` that keeps whatever arrives and is long enough to hold a vector of so many cells."""

    def __init__(self):
        self.received = []

    def record(self, way, council, content):
        if way == "received":
            self.received.append((council, bytes(content)))

    def vectors(self, plan):
        """Each masked input as the signed numbers its words stand for: (council, vector)."""
        size = plan.cells * plan.ring.width
        found = []
        for council, content in self.received:
            message = LinkMessage.decode(content)
            if message.kind is Kind.MASKED_INPUT:
                assert len(message.payload) >= size
                words = plan.ring.read(message.payload[-size:])
                found.append((council, plan.ring.decode_signed(words).astype(np.float64)))
        return found


def correlations(book, plan, exact):
    """Pearson's r of every vector received (rows) with every council's true vector (columns), and whose each is."""
    received = book.vectors(plan)
    rows, columns = [council for council, _ in received], list(exact)
    table = np.corrcoef([vector for _, vector in received], [exact[council] for council in columns])
    return table[: len(rows), len(rows) :], rows, columns
