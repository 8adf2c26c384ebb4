"""Which rows of SECURITY.md answer the threat model: attacks by name, adversaries by the tests that play them."""

import re
from typing import Final

from tests.docs.pages import page, rows
from tests.mutations.listed import rows_of_security

_FEW: Final = 8
"""Rows that are named one by one."""
_WHO: Final = "Over Flower, a council is who its key says, in every reply"
_SECRET: Final = (
    "Over Flower, the secret that keeps other programs of a computer from a node's messages is new at each start, "
    "and its owner's alone"
)
_SESSION: Final = "Web pages: a session is new at each sign-in, and a copy of the store signs nobody in"

ANSWERED: Final = {
    "A sum opened by the coordinator alone, with more colluding councils than were agreed": (
        "Where an agreement names a mask holder, no sum opens without it, whoever else works together",
        "The mask holder opens one list of survivors for each round, and forgets its keys",
    ),
    "The centre, or a stranger at its port, sends code to a council": (
        "Over Flower, no code that is sent runs in a council",
    ),
    "A stranger gives the SuperLink code to run at the centre": (
        "Over Flower, the centre serves the run that it started and no other",
    ),
    "A Flower node says that it is a council": (_WHO,),
    "A node passes the challenge on to the real council's node": (_WHO,),
    "Another Flower node asks a council as if it were the coordinator, to end a round for instance": (
        "Over Flower, a node answers the coordinator and no other node",
    ),
    "Flower mixes up, alters, replays or makes up replies": (_WHO,),
    "A node's reply is damaged, or never comes whole": (
        "Over Flower, a reply that is damaged or never comes whole costs nobody else theirs",
    ),
    "A node sends the server a message that answers nothing, to hold up the replies fetched with it": (
        "Over Flower, a message that answers nothing is not waited for with the replies",
    ),
    "Flower loses messages, or says that a node is away": ("Over Flower, what is lost or not taken is sent again",),
    "Another program on the council's computer takes the messages, or answers them": (_SECRET,),
    "Flower's own calls to its makers": (
        "Flower calls nobody in the environment that our commands give it",
        "Flower's simulation engine listens on this computer alone, and Ray's processes want a token",
    ),
    "Guessing at a password, from many addresses too": (
        "Web pages: guessing at passwords is held up by name and by address",
    ),
    "Finding out which names exist": ("Web pages: nobody learns which names exist",),
    "A session that the attacker planted, or a copy of the store": (_SESSION,),
    "A form that another site has the browser send": ("Web pages: a form of another site or session does nothing",),
    "A link that leads elsewhere after signing in": ("Web pages: nobody is sent elsewhere after signing in",),
    "A provider's answer that is forged, replayed, or meant for another browser or client": (
        "Web pages: an ID token that is forged, old or for somebody else lets nobody in",
        "Web pages: what comes back from the provider is good once, in the browser that began",
    ),
    "A right that was taken away while somebody is signed in": (
        "Web pages: a right that was taken away is gone at the next page",
    ),
    "One operator who lets a council in alone": ("Web pages: a council's key is accepted by two operators",),
    "A record of what was done that is changed afterwards": (
        "Every reading of figures is written down, on pages, by programs and over gRPC, and a line is never changed",
    ),
}
"""Rows of SECURITY.md that answer an attack of the threat model; where an attack is not here, its row has its name."""


def attacks(threats: str) -> list[str]:
    """Every attack of every table of attacks."""
    tables = [part for part in threats.split("\n## ") if "| Attack | What stops it |" in part]
    return [cells[0] for table in tables for cells in rows(table) if cells[0] not in {"Attack", "---"}]


def played(threats: str) -> dict[str, tuple[str, ...]]:
    """The files of tests that play each adversary."""
    table = threats.split("## How it is held", maxsplit=1)[0]
    found = [cells for cells in rows(table) if len(cells) == 4 and cells[0] not in {"Adversary", "---"}]
    return {who.replace("*", ""): tuple(re.findall(r"`(tests/[^`]+)`", files)) for who, _, _, files in found}


def rows_against(files: tuple[str, ...]) -> dict[str, list[str]]:
    """The rows of SECURITY.md with a test of each file; all of them are held to turn red."""
    return {
        file: [row for row, tests in rows_of_security().items() if any(test.startswith(f"{file}::") for test in tests)]
        for file in files
    }


def parts() -> dict[str, str]:
    """The generated part of the threat model."""
    lines = ["| Adversary | Rows of SECURITY.md with a test that plays it |", "|---|---|"]
    for who, files in played(page("docs/threat-model.md")).items():
        told = []
        for file, found in rows_against(files).items():
            plain = [re.sub(r" \(\[.*\)$", "", row) for row in found]  # links are from the other page
            named = "; ".join(plain) if len(found) <= _FEW else f"{len(found)} rows, each one lie"
            told.append(f"`{file.rpartition('/')[2]}`: {named}")
        lines.append(f"| {who} | {'. '.join(told)}. |")
    return {"rows against each adversary": "\n".join(lines) + "\n"}
