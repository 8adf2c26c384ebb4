"""Where a council's rows come from: each source reads only the columns a question was approved for."""

from council_node.sources.extract import Extract, LoadReport
from council_node.sources.load import check_coverage, load_extract

__all__ = ["Extract", "LoadReport", "check_coverage", "load_extract"]
