"""What the pages work with: the council's files, opened for each request and closed again, and the templates."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment

from council_node.ledger import Ledger
from council_node.node_store import NodeStore
from council_node.page.door import Door
from council_node.settings import Settings
from federated.errors import FileProblem
from federated.schema import Schema
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["PAGES", "Asked", "Desk"]

PAGES = (
    ("", "Start"),
    ("questions", "Questions"),
    ("answers", "Answers"),
    ("receipts", "Receipts"),
    ("budget", "Budget"),
)
"""(path, name) of the pages that stand in the navigation."""

NO_ERRORS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for.

    Attributes:
        names: From the path.
        wanted: From what follows the question mark.
        form: What was sent; empty for a page that is only read.
    """

    names: Mapping[str, str]
    wanted: Mapping[str, str]
    form: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One council's files and what the pages need beside them.

    Attributes:
        settings: Of the node.
        door: Who is let in.
        schema: For labels.
        templates: The pages' templates.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
        counting: Held while the council's own figures are counted: one at a time, as memory is for one.
    """

    settings: Settings
    door: Door
    schema: Schema
    templates: Environment
    clock: Callable[[], datetime]
    rng: RandomSource
    counting: Lock

    @property
    def council(self) -> CouncilId:
        """Whose pages these are."""
        return CouncilId(self.settings.council.id)

    @contextmanager
    def store(self) -> Iterator[NodeStore]:
        """The node store; other programs may have it open too."""
        with NodeStore.open(self.settings.store_file) as opened:
            yield opened

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, for reading.

        Raises:
            FileProblem: The node has not run yet.
        """
        if not self.settings.ledger_file.exists():
            raise FileProblem("There is no ledger yet: the node has not run.", remedy="Start it: `council-node run`.")
        with Ledger.read_only(self.settings.ledger_file, self.council) as opened:
            yield opened

    def link(self, *parts: str) -> str:
        """The address of a page."""
        return "/".join((self.door.base, *parts))

    def page(
        self, template: str, *, title: str, current: str = "", errors: Mapping[str, str] = NO_ERRORS, **values: Any
    ) -> str:
        """A page as HTML.

        Args:
            template: Its file.
            title: Its title, which is its heading too.
            current: Path of its place in the navigation.
            errors: What is wrong with the form on it, by field.
            values: What else the template needs.
        """
        return self.templates.get_template(f"node/{template}").render(
            site=self._site(current),
            title=title,
            link=self.link,
            council=self.settings.council,
            errors=errors,
            **values,
        )

    def _site(self, current: str) -> dict[str, Any]:
        navigation = [{"href": self.link(path), "text": name, "active": path == current} for path, name in PAGES]
        footer = [
            {"href": self.link("help"), "text": "Help"},
            {"href": self.link("accessibility"), "text": "Accessibility statement"},
        ]
        return {
            "name": "Council node",
            "owner": self.settings.council.name,
            "home": self.link(""),
            "navigation": navigation,
            "footer": footer,
            "styles": self.link("styles.css"),
            "findable": False,
            "note": "These pages are on this computer alone. Nothing you read here is sent to anyone.",
        }
