"""What stands beside a table's CSV file: its columns, what it cost and how far to trust it, as the W3C's CSVW."""

import json

from federated.outputs.figures import columns_of
from federated.presentation import SHORTHAND
from federated.release import Release, TableRecord

__all__ = ["metadata_text", "table_metadata"]


def table_metadata(release: Release, table: TableRecord) -> dict[str, object]:
    """CSVW metadata of a table."""
    return {
        "@context": "http://www.w3.org/ns/csvw",
        "url": f"{table.name}.csv",
        "dc:title": f"{release.title} – {table.name}",
        "dc:description": f"{release.note} {table.caveat}".strip(),
        "tableSchema": {
            "columns": [
                {"name": column.name, "titles": column.title, "datatype": "number" if column.is_number else "string"}
                for column in columns_of(table)
            ]
        },
        "notes": {
            "release_digest": release.digest.hex(),
            "query_digest": release.query_digest,
            "plan_digest": release.plan_digest,
            "manifest_digest": release.manifest_digest,
            "mechanism": release.mechanism,
            "epsilon": release.cost.epsilon,
            "rho": release.cost.rho,
            "delta": release.cost.delta,
            "max_cells_per_household": table.max_cells,
            "councils_asked": len(release.councils),
            "councils_contributed": release.contributed,
            "councils_missing": [record.name for record in release.councils if record.outcome != "contributed"],
            "data_cut_off": release.data_cut_off,
            "created_at": release.created_at,
            "software": release.software,
            "shorthand": SHORTHAND,
        },
    }


def metadata_text(release: Release, table: TableRecord) -> str:
    """The same as it is written."""
    return json.dumps(table_metadata(release, table), indent=2, ensure_ascii=False) + "\n"
