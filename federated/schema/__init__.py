"""Data dictionaries as data: tables, columns, closed lists, privacy units, councils and regions."""

from federated.schema.load import load_schema
from federated.schema.model import NOT_KNOWN, Code, Column, ColumnType, Council, Dataset, Schema

__all__ = ["NOT_KNOWN", "Code", "Column", "ColumnType", "Council", "Dataset", "Schema", "load_schema"]
