"""How a council's own headings and codes become the schema's: settings only, no code and no case values."""

from council_node.mapping.form import (
    EXAMPLE,
    ColumnMapping,
    DateOrder,
    ExtractMapping,
    load_mapping,
    normal_heading,
    parse_mapping,
)
from council_node.mapping.place import CsvEncoding, ExtractPlace, SourceKind

__all__ = [
    "EXAMPLE",
    "ColumnMapping",
    "CsvEncoding",
    "DateOrder",
    "ExtractMapping",
    "ExtractPlace",
    "SourceKind",
    "load_mapping",
    "normal_heading",
    "parse_mapping",
]
