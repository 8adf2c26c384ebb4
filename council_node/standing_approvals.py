"""When is a question a repeat of one that people here approved (requirement R95)?

A repeat is the same question under the same agreement, with a manifest that differs in its dates and version alone,
for another period of the same length. A new use, recipient, column or word is not a repeat (requirements R20, R104).
"""

from calendar import monthrange
from typing import Final

from federated.agreement import Agreement
from federated.manifest import Manifest
from federated.query import Period, Query
from protocols.encoding import Json, canonical_json, digest
from protocols.identifiers import Digest

__all__ = ["repeat_digest"]

NOT_COMPARED: Final = frozenset({"version", "collect_by", "return_by", "expires_on"})
"""Fields of a manifest that a repeat may change; and `retention.until`, which must follow them."""


def repeat_digest(question: Query, manifest: Manifest, agreement: Agreement) -> Digest:
    """What a repeat has in common with the question it repeats."""
    asked: dict[str, Json] = {
        **question.canonical(),
        "period": {"column": question.period.column, "length": _length(question.period)},
    }
    purpose = manifest.model_dump(mode="json", exclude=set(NOT_COMPARED))
    del purpose["retention"]["until"]
    return digest("repeat/v1", canonical_json(asked), canonical_json(purpose), agreement.digest)


def _length(period: Period) -> str:
    """In whole months where it is such, since quarters differ in days; in days otherwise."""
    start, end = period.start, period.end
    if start.day == 1 and end.day == monthrange(end.year, end.month)[1]:
        return f"{(end.year - start.year) * 12 + end.month - start.month + 1} months"
    return f"{(end - start).days + 1} days"
