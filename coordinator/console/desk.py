"""What the pages work with: the store, for reading; the signed files in force; the templates."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, Final, TypeVar

from jinja2 import Environment

from coordinator.console.made_files import MadeFiles
from coordinator.console.places import Places
from coordinator.console.visitor import NOBODY, Visitor
from coordinator.roster import Membership, load_membership, membership_mark
from coordinator.settings import Settings
from coordinator.sign_in.audit import note_refused
from coordinator.sign_in.operations import Operation, reaches
from coordinator.store import Place, Store
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.errors import FileProblem
from federated.outputs.geojson import Boundaries
from federated.roster import ROSTER_TYPE, Roster, parse_roster
from federated.schema import Schema
from federated.signing import unsafe_payload
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, RandomSource

__all__ = [
    "Asked",
    "Desk",
    "Download",
    "KeyPages",
    "Moved",
    "NoteRead",
    "Refreshing",
    "SignedFiles",
    "cut",
    "digest_of",
    "place_asked",
    "seen_of",
]

AGREEMENTS_KEPT: Final = 64
MOST_PLANNING: Final = 4
MOST_PRACTISING: Final = 1
"""A plan or a preview takes a core for a while; more at once would hold up every other page."""

Row = TypeVar("Row")
Seen = TypeVar("Seen")

NoteRead = Callable[[Visitor, Digest, str], None]
"""Writes down who was shown a release, and how: the one thing that these pages write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for, and who asks.

    Attributes:
        names: From the path.
        wanted: From what follows the question mark.
        form: What was sent; empty for a page that is only read.
        file: The file that was sent; empty where none was.
        visitor: Who asks.
    """

    names: Mapping[str, str]
    wanted: Mapping[str, str]
    form: Mapping[str, str] = field(repr=False)
    file: bytes = field(default=b"", repr=False)
    visitor: Visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file instead of a page."""

    name: str
    kind: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """On to another page of ours, once a form has been dealt with: loading that page again does nothing twice."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """A page that the browser loads again after a while, because its reader asked for that."""

    page: str = field(repr=False)
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPages:
    """Addresses of the neighbouring parts of a long list that is cut by the place of its entries."""

    newer: str | None
    older: str | None


class SignedFiles:
    """The roster and agreements as they were last read: signatures are checked again only when something changed.

    Args:
        settings: Of the coordinator.
        store: Its store.
        clock: Gives the time, UTC.
    """

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._mark: object = None
        self._membership = Membership()
        self._known: OrderedDict[Digest, Agreement] = OrderedDict()

    def in_force(self) -> Membership:
        """What is in force now."""
        now = self._clock()
        with self._lock:
            mark = membership_mark(self._settings, self._store, now)
            if mark != self._mark:
                self._membership = load_membership(self._settings, self._store, now)
                self._mark = mark
            return self._membership

    def agreement(self, digest: Digest) -> Agreement | None:
        """An agreement by its digest, in force or not; None when its file was never kept here."""
        current = self.in_force().agreements.get(digest)
        if current is not None:
            return current.agreement
        with self._lock:
            if digest in self._known:
                return self._known[digest]
        row = self._store.membership.agreement(digest)
        if row is None:
            return None
        # Its signatures were checked when it was taken in; `coordinator.console.evidence` checks them again.
        found = parse_agreement(unsafe_payload(row.envelope, AGREEMENT_TYPE))
        with self._lock:
            self._known[digest] = found
            while len(self._known) > AGREEMENTS_KEPT:
                self._known.popitem(last=False)
        return found

    def roster(self) -> Roster | None:
        """The latest roster, in force or not."""
        current = self.in_force().roster
        if current is not None:
            return current
        row = self._store.membership.latest_roster()
        return None if row is None else parse_roster(unsafe_payload(row.envelope, ROSTER_TYPE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The coordinator's store and files, and what the pages need beside them.

    Attributes:
        settings: Of the coordinator.
        store: Its store; the database refuses writes through it.
        files: The signed files.
        schema: For labels.
        templates: The pages' templates.
        clock: Gives the time, UTC.
        note_read: Writes down who was shown an answer.
        origin: Scheme, name and port of these pages.
        sign_in: Path where people sign in; None when nobody can.
        deciding: The store, for writing down what people do here and what they were refused; None where nobody can
            sign in.
        rng: Gives secure random bytes.
        planning: Places for people who plan at the same moment.
        practising: Places for previews on made-up records.
        made: Files of answers as they were last made.
        boundaries: For the maps of answers; None where the settings name none.
    """

    settings: Settings
    store: Store
    files: SignedFiles
    schema: Schema
    templates: Environment
    clock: Callable[[], datetime]
    note_read: NoteRead
    origin: str
    sign_in: str | None
    rng: RandomSource
    deciding: Store | None = None
    planning: Places = field(default_factory=lambda: Places(MOST_PLANNING))
    practising: Places = field(default_factory=lambda: Places(MOST_PRACTISING))
    made: MadeFiles = field(default_factory=MadeFiles)
    boundaries: Boundaries | None = None

    def page(
        self,
        template: str,
        visitor: Visitor,
        *,
        title: str,
        current: str = "",
        errors: Mapping[str, str] | None = None,
        **values: Any,
    ) -> str:
        """A page as HTML.

        Args:
            template: Its file.
            visitor: Who reads it.
            title: Its title, which is its heading too.
            current: Path of its place in the navigation.
            errors: What is wrong with a form, by field.
            values: What else the template needs.
        """
        return self.templates.get_template(f"console/{template}").render(
            site=self.site(visitor, current),
            title=title,
            errors=errors or {},
            hub=self.settings.name,
            contacts=self.settings.console.contacts,
            visitor=visitor,
            **values,
        )

    def note_refused(self, visitor: Visitor, operation: Operation, about: str = "") -> None:
        """Write down that somebody who is signed in asked for what they may not have."""
        if self.deciding is not None:
            note_refused(self.deciding, visitor, operation, about=about, now=self.clock())

    def council_name(self, council: str) -> str:
        """A council's name for people; its code where the data dictionary does not know it."""
        known = self.schema.councils.get(CouncilId(council))
        return council if known is None else known.name

    def council_names(self, councils: Iterable[str]) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(self.council_name(council) for council in councils))

    def site(self, visitor: Visitor, current: str = "") -> dict[str, Any]:
        """What the page around every page needs: names, links, styles."""
        shown = [
            ("/questions", "Questions"),
            ("/calendar", "Calendar"),
            ("/agreements", "Agreements"),
            ("/was-my-data-used", "Was my data used?"),
            ("/contact", "Contact"),
        ]
        if self.deciding is not None and reaches(visitor, Operation.PROPOSE):
            shown.append(("/ask", "Ask"))
        if reaches(visitor, Operation.VIEW_BUDGETS):
            shown.append(("/budgets", "Budgets"))
        if reaches(visitor, Operation.VIEW_OPERATIONS):
            shown.append(("/operations", "Operations"))
        if reaches(visitor, Operation.VIEW_AUDIT):
            shown.append(("/audit", "Audit"))
        if self.sign_in is not None:
            shown.append(("/account", "Your account") if visitor.signed_in else (self.sign_in, "Sign in"))
        footer = [
            {"href": "/privacy", "text": "How privacy is kept"},
            {"href": "/board", "text": "Minutes of the review board"},
            {"href": "/measures", "text": "How the programme is doing"},
            {"href": "/glossary", "text": "Words we use"},
            {"href": "/accessibility", "text": "Accessibility statement"},
        ]
        return {
            "name": "Register of questions and answers",
            "owner": self.settings.name,
            "home": "/",
            "navigation": [{"href": path, "text": name, "active": path == current} for path, name in shown],
            "footer": footer,
            "styles": "/styles.css",
            "note": "Estimates here are differentially private. They are not official statistics.",
            "findable": visitor == NOBODY,
        }


def digest_of(text: str, what: str) -> Digest:
    """A digest from an address.

    Raises:
        FileProblem: It is none.
    """
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != DIGEST_SIZE or found.hex() != text:
        raise FileProblem(f"There is no such {what} here.", remedy="The list of questions leads to all there are.")
    return Digest(found)


# Long lists


def place_asked(wanted: Mapping[str, str], place_of: Callable[[Digest], Place | None]) -> tuple[Place | None, bool]:
    """Where the part of a list that is asked for begins, and whether newer entries are wanted than that.

    An address names the entry alone: its time would be to the second, where the public is told the day. Anything but
    an entry that this visitor may see is the beginning.

    Args:
        wanted: From what follows the question mark.
        place_of: Finds the place of an entry; None for one that is not there, or not for the visitor.
    """
    newer = "newer" in wanted
    try:
        place = place_of(digest_of(wanted.get("newer" if newer else "older", ""), "entry"))
    except FileProblem:
        return None, False
    return (None, False) if place is None else (place, newer)


def seen_of(
    read: Callable[[Place | None], tuple[Row, ...]],
    see: Callable[[Row], Seen | None],
    place_of: Callable[[Row], Place],
    *,
    size: int,
    start: Place | None,
    newer: bool = False,
) -> tuple[Seen, ...]:
    """Entries of a list that a visitor may see, newest first.

    Those that are not for the visitor are passed over here: a page that was short of them, or went on from the place of
    one, would tell that they are there.

    Args:
        read: Reads some rows from a place on, newest first; none when there are no more.
        see: What the visitor sees of a row; None where it is not for them.
        place_of: Where a row stands.
        size: Most entries.
        start: Where to begin.
        newer: Whether it is read towards newer entries.
    """
    found: list[Seen] = []
    while rows := read(start):
        away = rows[::-1] if newer else rows  # from the start on, whichever way
        found += (seen for seen in map(see, away) if seen is not None)
        if len(found) >= size:
            break
        start = place_of(away[-1])
    return tuple(found[:size][::-1] if newer else found[:size])


def cut(
    found: tuple[Any, ...],
    size: int,
    *,
    start: Place | None,
    newer: bool,
    identity: Callable[[Any], bytes],
    address: str,
) -> tuple[tuple[Any, ...], KeyPages]:
    """What a page shows of a list that was read one entry further than it is long, newest first.

    Args:
        found: At most `size` + 1 entries, newest first.
        size: Entries of a page.
        start: Where the part began.
        newer: Whether it was read towards newer entries.
        identity: Of an entry, which names it in an address.
        address: Of the page, ending so that ``older=…`` can follow.
    """
    more = len(found) > size
    shown = (found[1:] if newer else found[:-1]) if more else found
    has_newer, has_older = (more, True) if newer else (start is not None, more)
    if not shown:
        return (), KeyPages(newer=None, older=None)

    return shown, KeyPages(
        newer=f"{address}newer={identity(shown[0]).hex()}" if has_newer else None,
        older=f"{address}older={identity(shown[-1]).hex()}" if has_older else None,
    )
