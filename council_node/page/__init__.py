"""The council's own pages: started by a person, for one browser on the same computer, and gone when they stop.

They show what waits for a decision, what was answered and what it cost, and the council's own exact figures beside the
group's. Nothing here is sent to anyone: the one thing a page changes is a decision, by the same code as the command.
"""

from council_node.page.serving import serve_page

__all__ = ["serve_page"]
