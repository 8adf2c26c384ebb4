"""SmartNoise SQL in each council, its answers added; and the privacy cost it states for a few questions.

Run by SmartNoise's own Python. Every cell has a household in every council: SmartNoise answers for cells that have one.
"""

import argparse
import json

import numpy as np
import pandas as pd
import snsql
from snsql import Privacy

DELTA = 1e-6
COUNT = "SELECT cell, COUNT(DISTINCT household) AS households FROM councils.cases GROUP BY cell"
QUESTIONS = {
    "one table of counts": [COUNT],
    "two tables of counts": [COUNT, COUNT.replace("cell", "band")],
    "a mean": ["SELECT AVG(children) AS children FROM councils.cases"],
}


def metadata(rows):
    columns = {
        "household": {"type": "int", "private_id": True},
        "cell": {"type": "int"},
        "band": {"type": "int"},
        "children": {"type": "int", "lower": 0, "upper": 6},
    }
    # One row a household; no cell is censored, for the list of cells is public; no count is clamped at zero, for the
    # sum over councils would be biased.
    settings = {"row_privacy": False, "max_ids": 1, "censor_dims": False, "clamp_counts": False, "rows": rows}
    return {"": {"councils": {"cases": settings | columns}}}


def reader(counts, epsilon):
    cells = np.repeat(np.arange(len(counts)), counts)
    frame = pd.DataFrame({"household": np.arange(len(cells)), "cell": cells, "band": cells % 10, "children": cells % 4})
    return snsql.from_df(frame, privacy=Privacy(epsilon=epsilon, delta=DELTA), metadata=metadata(len(frame)))


def summed_error(counts, epsilon):
    total = np.zeros(counts.shape[1], dtype=np.float64)
    for council in counts:
        for cell, noisy in reader(council, epsilon).execute(COUNT)[1:]:
            total[cell] += noisy
    # About its own mean: answers are whole numbers, cut off below, which we do not hold against it.
    return float(np.var(total - counts.sum(axis=0)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--counts", help="households by council and cell; without it the stated costs")
    chosen = parser.parse_args()
    if chosen.counts:
        print(json.dumps({"summed": summed_error(np.load(chosen.counts), chosen.epsilon)}))
        return
    asked = reader(np.full(20, 30), chosen.epsilon)
    costs = {name: [float(part) for part in asked.get_privacy_cost(sql)] for name, sql in QUESTIONS.items()}
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
