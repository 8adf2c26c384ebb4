"""Synthetic case records made from published council figures, for the demo, the simulation and the tests.

Nothing here runs in a council, and nothing here protects anyone: seeds and NumPy's generators are for made-up
records alone.
"""

from federated.synthetic.cases import Cases, synthesise
from federated.synthetic.extract import TIDY, Mess, write_extract
from federated.synthetic.journeys import cases_of_a_year, with_journeys
from federated.synthetic.other_tables import events, placements, support_needs
from federated.synthetic.published import (
    ATTRIBUTION,
    PUBLISHED_QUARTER,
    SOURCE,
    published,
    published_columns,
    published_marginal,
)
from federated.synthetic.styles import style_of, styles, write_mapping
from federated.synthetic.truth import true_table

__all__ = [
    "ATTRIBUTION",
    "PUBLISHED_QUARTER",
    "SOURCE",
    "TIDY",
    "Cases",
    "Mess",
    "cases_of_a_year",
    "events",
    "placements",
    "published",
    "published_columns",
    "published_marginal",
    "style_of",
    "styles",
    "support_needs",
    "synthesise",
    "true_table",
    "with_journeys",
    "write_extract",
    "write_mapping",
]
