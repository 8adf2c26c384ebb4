"""`council-node map` in a folder of its own, for tests: what it wrote, what it said, what a load then understands."""

import json
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from council_node.cli import app
from council_node.mapping import ExtractMapping, load_mapping
from council_node.sources.canonical import known_wordings
from federated.schema import ColumnType, load_schema


@dataclass(frozen=True)
class Mapped:
    path: Path
    report: dict
    said: str

    @property
    def mapping(self) -> ExtractMapping:
        return load_mapping(self.path, load_schema())

    def headings(self) -> dict[str, str]:
        return {name: column.source for name, column in self.mapping.columns.items()}

    def code(self, name: str, text: str) -> str | None:
        """What the node will read a cell as; None for not understood."""
        column = load_schema().dataset(self.mapping.dataset).column(name)
        told = {wording.strip(" ").lower(): code for wording, code in self.mapping.columns[name].codes.items()}
        return (known_wordings(column) | told).get(text.strip(" ").lower())


def map_extract(extract: Path, *options: str, dataset: str = "case", answers: str | None = None) -> Mapped:
    """Run the command; without answers it asks nothing and reports as JSON."""
    out = extract.with_name(f"{dataset}-mapping.yaml")
    asking = [] if answers is not None else ["--json"]
    line = ["map", str(extract), "--out", str(out), "--dataset", dataset, "--force", *options, *asking]
    done = CliRunner().invoke(app, line, input=answers)
    if done.exception is not None:
        raise done.exception
    return Mapped(path=out, report={} if asking == [] else json.loads(done.stdout), said=done.stdout)


def is_category(dataset: str, name: str) -> bool:
    return load_schema().dataset(dataset).column(name).type is ColumnType.CATEGORY
