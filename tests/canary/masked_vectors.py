"""Every vector that a coordinator receives, beside the true vector of every council."""

import numpy as np

from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["VectorBook", "correlations"]


class VectorBook:
    """A link's `record` that keeps every reply."""

    def __init__(self):
        self.received = []

    def record(self, way, council, content):
        if way == "received":
            self.received.append((council, LinkMessage.decode(content)))

    def vectors(self, plan):
        """Each masked input as the signed numbers its words stand for: (council, vector).

        A reply of any other kind that is long enough to hold a vector fails: it must be looked at first.
        """
        size = plan.cells * plan.ring.width
        long = [(council, message) for council, message in self.received if len(message.payload) >= size]
        assert {message.kind for _, message in long} == {Kind.MASKED_INPUT}
        return [
            (council, plan.ring.decode_signed(plan.ring.read(message.payload[-size:])).astype(np.float64))
            for council, message in long
        ]


def correlations(book, plan, exact):
    """Pearson's r of every vector received (rows) with every council's true vector (columns), and whose each is."""
    received = book.vectors(plan)
    rows, columns = [council for council, _ in received], list(exact)
    table = np.corrcoef([vector for _, vector in received], [exact[council] for council in columns])
    return table[: len(rows), len(rows) :], rows, columns
