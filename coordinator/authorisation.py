"""Who may ask the coordinator what: analysts and reviewers of an agreement in force, and only about that agreement."""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from coordinator.office import Office
from coordinator.roster import SignedAgreement
from federated.authorisation import check_authorisation
from federated.errors import PolicyRefusal
from protocols.identifiers import Digest

__all__ = ["Asker", "admit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Somebody whose request is signed.

    Attributes:
        keyid: Of the key that signed.
        agreements: In force, in which that key is an analyst's or a reviewer's, by digest.
        may_ask: Whether it is an analyst's key in any of them.
    """

    keyid: str
    agreements: Mapping[Digest, SignedAgreement]
    may_ask: bool

    @property
    def agreement_ids(self) -> frozenset[str]:
        """Ids of those agreements."""
        return frozenset(signed.agreement.id for signed in self.agreements.values())

    def require_analyst(self) -> None:
        """Refuse somebody who only reviews.

        Raises:
            PolicyRefusal: `analyst`.
        """
        if not self.may_ask:
            raise PolicyRefusal(
                "analyst",
                "This key belongs to a reviewer; only an analyst of an agreement may hand in a plan.",
                remedy="Ask an analyst named in the agreement.",
            )

    def require_reviewer(self, agreement: str) -> None:
        """Refuse somebody who does not review under an agreement.

        Args:
            agreement: Its id.

        Raises:
            PolicyRefusal: `reviewer`.
        """
        if not any(
            signed.agreement.id == agreement and self.keyid in signed.agreement.reviewer_keys
            for signed in self.agreements.values()
        ):
            raise PolicyRefusal(
                "reviewer",
                "Who was given an answer is told to reviewers of its agreement alone.",
                remedy="Ask a reviewer named in the agreement.",
            )


def admit(office: Office, request: Message, method: str) -> Asker:
    """Check who signed a request. Run first for every request, before anything else of it is read.

    Raises:
        SignatureProblem: Not signed, by nobody an agreement names, for something else, or too old.
    """
    agreements = office.membership.agreements
    trusted: dict[str, bytes] = {}
    for signed in agreements.values():
        trusted |= {**signed.agreement.analyst_keys, **signed.agreement.reviewer_keys}
    keyid = check_authorisation(
        request, method=method, coordinator=office.settings.id, trusted=trusted, now=office.clock()
    )
    theirs = {
        digest: signed
        for digest, signed in agreements.items()
        if keyid in signed.agreement.analyst_keys or keyid in signed.agreement.reviewer_keys
    }
    may_ask = any(keyid in signed.agreement.analyst_keys for signed in theirs.values())
    return Asker(keyid=keyid, agreements=theirs, may_ask=may_ask)
