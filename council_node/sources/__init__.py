"""Where a council's rows come from: each source reads only the columns a question was approved for."""

from council_node.sources.csv_source import check_coverage, load_csv
from council_node.sources.extract import Extract, LoadReport

__all__ = ["Extract", "LoadReport", "check_coverage", "load_csv"]
