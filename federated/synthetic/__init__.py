"""Synthetic case records made from published council figures, for the demo, the simulation and the tests.

Nothing here runs in a council, and nothing here protects anyone: seeds and NumPy's generators are for made-up
records alone.
"""

from federated.synthetic.cases import Cases, synthesise
from federated.synthetic.extract import TIDY, Mess, write_extract
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
    "published",
    "published_columns",
    "published_marginal",
    "style_of",
    "styles",
    "synthesise",
    "true_table",
    "write_extract",
    "write_mapping",
]
