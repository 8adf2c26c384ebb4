"""Practice records: synthetic cases for a council that has no extract yet, and an empty extract for its partners."""

import csv
from pathlib import Path
from typing import Final

import yaml

from federated.query import Period
from federated.schema import Dataset
from federated.synthetic import style_of, synthesise, with_journeys, write_extract, write_mapping
from federated.synthetic.styles import DATASET
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["can_be_practised", "write_empty_extract", "write_practice_extract"]

SEED_BYTES: Final = 4


def can_be_practised(dataset: str) -> bool:
    """Whether there are synthetic records of a data set."""
    return dataset == DATASET


def write_practice_extract(folder: Path, council: CouncilId, period: Period, rng: RandomSource) -> Path:
    """Write a messy extract of made-up cases with a council's published counts, and its mapping.

    Args:
        folder: Where to.
        council: Whose counts.
        period: Asked about; the counts are those of the published quarter whatever it is.
        rng: Seeds the made-up cases, which protect nobody.

    Returns:
        The mapping file.
    """
    seed = int.from_bytes(rng(SEED_BYTES), "big")
    mapping = folder / f"{council}-mapping.yaml"
    extract = f"{council}.csv"
    cases = with_journeys(synthesise(council, seed, period=period), seed)
    write_extract(cases, folder / extract, seed=seed)
    write_mapping(mapping, style_of(council), file=extract, columns=cases.columns)
    return mapping


def write_empty_extract(folder: Path, dataset: Dataset) -> Path:
    """Write an extract of any data set that holds headings and no row, and its mapping.

    Returns:
        The mapping file.
    """
    mapped = [column.name for column in dataset.columns.values() if column.derived_from is None]
    with (folder / "empty.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(mapped)
    document = {
        "mapping": 1,
        "dataset": dataset.name,
        "file": "empty.csv",
        "dates": "iso",
        "columns": {name: {"from": name} for name in mapped},
    }
    path = folder / "empty-mapping.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path
