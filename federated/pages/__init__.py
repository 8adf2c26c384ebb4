"""What the pages that people see share: the page around each of them, its styles, and how they are rendered.

The components are those of the GOV.UK Design System, without its crown, its header and its font, which only pages on
GOV.UK may use. No page has a script, and no page asks any other computer for anything.
"""

from federated.pages.assets import stylesheet
from federated.pages.headers import HEADERS
from federated.pages.paging import Pages, part_of
from federated.pages.render import renderer

__all__ = ["HEADERS", "Pages", "part_of", "renderer", "stylesheet"]
