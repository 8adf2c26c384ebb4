"""A council's tidy extract counted into the cells of the question's tables."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np

MONTH = "assessment_month"


def count(extract, question):
    """Every cell of every table, one after the other."""
    asked = json.loads(Path(question).read_text(encoding="utf-8"))
    start, end = asked["period"]
    places = [_places(table) for table in asked["tables"]]
    counts = [np.zeros(len(place), dtype=np.int64) for place in places]
    with Path(extract).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if start <= row["assessment_date"] <= end:
                row[MONTH] = row["assessment_date"][:7]
                for table, place, counted in zip(asked["tables"], places, counts, strict=True):
                    counted[place[tuple(row[name] for name in table["columns"])]] += 1
    return np.concatenate(counts)


def _places(table):
    return {cell: place for place, cell in enumerate(itertools.product(*table["codes"]))}
