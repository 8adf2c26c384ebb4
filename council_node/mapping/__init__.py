"""How a council's own headings and codes become the schema's: settings only, no code and no case values."""

from council_node.mapping.form import (
    EXAMPLE,
    ColumnMapping,
    CsvEncoding,
    DateOrder,
    ExtractMapping,
    load_mapping,
    normal_heading,
    parse_mapping,
)

__all__ = [
    "EXAMPLE",
    "ColumnMapping",
    "CsvEncoding",
    "DateOrder",
    "ExtractMapping",
    "load_mapping",
    "normal_heading",
    "parse_mapping",
]
