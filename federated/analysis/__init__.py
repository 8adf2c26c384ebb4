"""Analyses of released tables: post-processing of releases and public figures, which costs no budget.

Nothing here reads a case, asks a council or touches a budget. One module an analysis; each is a pure function from
released tables and public inputs to a `DerivedTable`. Intervals come from the exact law of the noise.
"""

from federated.analysis.derived import DerivedCell, DerivedTable, Finding
from federated.analysis.source import NoisyTable, noisy_table

__all__ = ["DerivedCell", "DerivedTable", "Finding", "NoisyTable", "noisy_table"]
