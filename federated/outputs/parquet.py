"""A table as Parquet: the columns of the tidy file with their types, and its metadata inside."""

import io
from typing import Final

from federated.outputs.csv_metadata import metadata_text
from federated.outputs.figures import columns_of, rows_of
from federated.release import Release, TableRecord

__all__ = ["METADATA_KEY", "table_parquet"]

METADATA_KEY: Final = b"csvw"
"""Under which the schema holds what `federated.outputs.csv_metadata` writes, UTF-8."""


def table_parquet(release: Release, table: TableRecord) -> bytes:
    """One table: texts as strings, figures as 64-bit floats, null where nothing can be said."""
    import pyarrow as pa  # noqa: PLC0415 - half a second to import, and only the analyst writes it
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    columns = columns_of(table)
    fields = [
        pa.field(column.name, pa.float64() if column.is_number else pa.string(), metadata={"title": column.title})
        for column in columns
    ]
    schema = pa.schema(fields, metadata={METADATA_KEY: metadata_text(release, table).encode()})
    rows = list(rows_of(release, table))
    arrays = [pa.array([row[place] for row in rows], type=field.type) for place, field in enumerate(fields)]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()
