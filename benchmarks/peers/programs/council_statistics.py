"""A council's side of NVIDIA FLARE's federated statistics: its tidy extract as numbers that histograms count."""

import itertools
import json
from pathlib import Path

import pandas as pd
from nvflare.app_opt.statistics.df.df_core_statistics import DFStatisticsCore


class CouncilStatistics(DFStatisticsCore):
    """One feature for each table of the question: the place of a row's cell. FLARE's histograms count numbers."""

    def __init__(self, extracts, question):
        super().__init__()
        self.extracts, self.question = extracts, question

    def initialize(self, fl_ctx):
        asked = json.loads(Path(self.question).read_text(encoding="utf-8"))
        rows = pd.read_csv(Path(self.extracts) / f"{fl_ctx.get_identity_name()}.csv", dtype=str, keep_default_na=False)
        start, end = asked["period"]
        rows = rows[(rows["assessment_date"] >= start) & (rows["assessment_date"] <= end)]
        rows = rows.assign(assessment_month=rows["assessment_date"].str[:7])
        features = {}
        for number, table in enumerate(asked["tables"]):
            places = {cell: place for place, cell in enumerate(itertools.product(*table["codes"]))}
            cells = zip(*(rows[name] for name in table["columns"]), strict=True)
            features[f"table{number}"] = [places[cell] for cell in cells]
        self.data = {"cases": pd.DataFrame(features)}
