"""The coordinator's web pages: the public register, the reviewer's budgets, the operator's view.

A process of its own, `coordinator console`, which reads the store that `coordinator serve` writes: the database refuses
it every write but the note of who has read an answer, so a fault in a page can touch no round. There is no council's
figure here to show, and no key that councils trust.
"""

from coordinator.console.serving import serve_console
from coordinator.console.site import build_site
from coordinator.console.visitor import PUBLIC, Role, Visitor, VisitorOf

__all__ = ["PUBLIC", "Role", "Visitor", "VisitorOf", "build_site", "serve_console"]
