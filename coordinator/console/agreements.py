"""Pages of the agreements: every version kept, what each changed, and whether its signatures hold."""

from dataclasses import dataclass

from coordinator.console.desk import Asked, Desk, digest_of
from coordinator.console.evidence import attempt, check_agreement
from federated.agreement import Agreement
from federated.agreement_words import describe
from federated.differences import compare, version_warnings
from federated.errors import FileProblem

__all__ = ["show_list", "show_one", "versions_kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One version of an agreement.

    Attributes:
        agreement: Its content.
        in_force: Whether it is in force now.
    """

    agreement: Agreement
    in_force: bool


def show_list(desk: Desk, asked: Asked) -> str:
    """Every agreement, with its versions, the latest first."""
    by_id: dict[str, list[Item]] = {}
    for item in versions_kept(desk):
        by_id.setdefault(item.agreement.id, []).append(item)
    families = sorted(by_id.values(), key=lambda items: items[0].agreement.title)
    return desk.page("agreements.html", asked.visitor, title="Agreements", current="/agreements", families=families)


def show_one(desk: Desk, asked: Asked) -> str:
    """One version in plain words, what it changed, and its signatures, checked just now."""
    digest = digest_of(asked.names["agreement"], "agreement")
    known = versions_kept(desk)
    found = next((item for item in known if item.agreement.digest == digest), None)
    if found is None:
        raise FileProblem("There is no such agreement here.", remedy="The list of agreements has all there are.")
    this = found.agreement
    earlier = [
        item.agreement for item in known if item.agreement.id == this.id and item.agreement.version < this.version
    ]
    before = max(earlier, key=lambda agreement: agreement.version, default=None)
    return desk.page(
        "agreement.html",
        asked.visitor,
        title=this.title,
        current="/agreements",
        item=found,
        said=describe(this),
        before=before,
        changes=() if before is None else compare(before, this),
        warnings=() if before is None else version_warnings(before, this),
        check=attempt("Signatures", lambda: check_agreement(desk, digest)),
        days_left=(this.valid_to - desk.clock().date()).days,
    )


def versions_kept(desk: Desk) -> list[Item]:
    """Every version kept, by id and then the latest first."""
    current = desk.files.in_force().agreements
    found = {digest: signed.agreement for digest, signed in current.items()}
    for row in desk.store.membership.agreements():
        agreement = desk.files.agreement(row.digest)
        if agreement is not None:
            found[row.digest] = agreement
    items = [Item(agreement=agreement, in_force=digest in current) for digest, agreement in found.items()]
    return sorted(items, key=lambda item: (item.agreement.id, -item.agreement.version))
