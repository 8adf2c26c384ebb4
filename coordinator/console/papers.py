"""Pages that hardly change: what this is, whom to ask, how privacy is kept, words, accessibility."""

from datetime import date
from fractions import Fraction
from typing import Final

from coordinator.console.desk import Asked, Desk
from coordinator.console.words import STANDINGS
from federated.agreement import Agreement
from federated.attacker_words import attacker_words
from federated.privacy import Totals

__all__ = ["TERMS", "accessibility", "contact", "glossary", "privacy", "start", "was_my_data_used"]

TERMS: Final = (
    ("agreement", "The signed paper in which councils say who may ask what, of whom, and at what privacy cost."),
    ("analyst", "A person who asks questions. Their key is named in the agreement."),
    ("answer", "What comes out of a question: tables of estimates, each with a range. In the files it is a release."),
    ("budget", "The most privacy cost that one household may bear under one agreement in one calendar year."),
    ("coordinator", "The service that adds up masked figures. It cannot see what any one council sent."),
    ("council node", "The program inside a council that answers questions from the council’s own records."),
    ("delta (δ)", "The small chance by which the privacy promise may fail."),
    ("differential privacy", "The promise that one household hardly changes what anyone can see."),
    ("epsilon (ε)", "How strongly one household may change what is seen. Smaller is more private."),
    ("manifest", "The signed explanation of a question: purpose, decision, benefit, who gets the answer, the law."),
    ("mask", "Random-looking numbers added to a council’s figures. They cancel in the sum."),
    ("noise", "Random whole numbers that the councils add, so that no household can be seen."),
    ("plan", "A question with all that follows from it: tables, noise, cost and councils. The analyst signs it."),
    ("question", "What an analyst asks the councils."),
    ("release", "An answer as a file, the same bytes for everyone."),
    ("rho (ρ)", "Another measure of the same cost, which adds up more exactly over many questions."),
    ("round", "One go at answering: the councils count, mask and send, and the masks cancel."),
)
"""Words of the register and what they mean, for readers who are no specialists."""
STATEMENT_PREPARED: Final = date(2026, 11, 23)
STATEMENT_REVIEWED: Final = date(2026, 11, 23)
"""When somebody last held the accessibility statement against the pages and their tests."""
_EXAMPLE_DELTA: Final = Fraction(1, 10**6)


def start(desk: Desk, asked: Asked) -> str:
    """What this is."""
    return desk.page("start.html", asked.visitor, title="Homelessness statistics from councils", standings=STANDINGS)


def was_my_data_used(desk: Desk, asked: Asked) -> str:
    """What a resident can be told."""
    return desk.page(
        "used.html", asked.visitor, title="Was my data used?", current="/was-my-data-used", agreements=_agreements(desk)
    )


def contact(desk: Desk, asked: Asked) -> str:
    """Whom to ask, for these pages and under each agreement."""
    return desk.page("contact.html", asked.visitor, title="Contact", current="/contact", agreements=_agreements(desk))


def privacy(desk: Desk, asked: Asked) -> str:
    """What epsilon means, with an example worked out."""
    example = attacker_words(Totals(epsilon=Fraction(1), rho=Fraction(1, 2)), _EXAMPLE_DELTA, "household")
    return desk.page("privacy.html", asked.visitor, title="How privacy is kept", example=example[:2])


def glossary(desk: Desk, asked: Asked) -> str:
    """What the words mean."""
    return desk.page("glossary.html", asked.visitor, title="Words we use", terms=TERMS)


def accessibility(desk: Desk, asked: Asked) -> str:
    """The accessibility statement."""
    return desk.page(
        "accessibility.html",
        asked.visitor,
        title="Accessibility statement",
        prepared=STATEMENT_PREPARED,
        reviewed=STATEMENT_REVIEWED,
        review_by=STATEMENT_REVIEWED.replace(year=STATEMENT_REVIEWED.year + 1),
    )


def _agreements(desk: Desk) -> list[Agreement]:
    signed = desk.files.in_force().agreements.values()
    return sorted((item.agreement for item in signed), key=lambda agreement: agreement.title)
