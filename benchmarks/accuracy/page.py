"""docs/accuracy.md, from docs/accuracy.json."""

import statistics
from collections.abc import Mapping
from typing import Any

__all__ = ["page"]

NAMES = {
    "published": "published counts of 100 councils",
    "fair": "`fair` (statsmodels)",
    "randhie": "`randhie` (statsmodels)",
}


def page(found: Mapping[str, Any]) -> str:
    """The whole page."""
    heads = [
        "Table",
        "Statistic",
        "Records",
        "Noise",
        "Figures",
        "Answered",
        "Error",
        "Beside central",
        "Each council for itself",
        "Covered",
        "Declared",
    ]
    lines = [heads, ["---"] * len(heads), *(_line(row) for row in found["rows"])]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    commits = ", ".join(dict.fromkeys(f"`{row['commit'][:12]}`" for row in found["rows"]))
    ratios = [row["beside_central"] for row in found["rows"] if row["beside_central"] is not None]
    return f"""\
# How exact each statistic is

This page is made by `{found["command"]}` (commit {commits}).

Every statistic is asked of real figures: cases synthesised from the published counts of 100 councils, and two public
sets of records about people that come with the Python package statsmodels (`fair` with 6,366 records, `randhie` with
20,190). Each table costs epsilon = {found["epsilon"]}, is answered {found["repetitions"]} times, and each time in
three ways:

* **ours**: {found["councils"]} councils each add a share of the noise, under the standard profile, all present;
* **central**: one trusted party holds all records and adds the noise of OpenDP, at the same cost. This is the floor;
* **each council for itself**: every council adds the whole noise to its own figures, and the figures are added up.

All three are held against the same figures without noise.

{table}

* *Answered*: the share of figures about which our answer says something.
* *Error*: our root mean squared error as a share of the true figure; the median over the figures.
* *Beside central*: our error over that of the central answer, on average over the figures. Above 1 is the price of
  trusting nobody: with 100 councils of whom 85 are counted on, the root of 100/85, or 1.085. The target is at most
  1.10. A row of few figures is only as exact as its repetitions allow, some 3 to 10 parts in 100. Over all rows the
  median is {statistics.median(ratios):.3f}.
* *Each council for itself*: that error over ours.
* *Covered*, *declared*: how many of our intervals hold the true figure, and how many they say they do.
"""


def _line(row: Mapping[str, Any]) -> list[str]:
    return [
        row["table"],
        f"[`{row['statistic']}`](statistics/{row['statistic']}.md)",
        NAMES[row["source"]],
        "Laplace" if "laplace" in row["mechanism"] else "Gaussian",
        f"{row['figures']:,}",
        f"{row['said']:.0%}",
        "–" if row["relative_error"] is None else f"{row['relative_error']:.2%}",
        "–" if row["beside_central"] is None else f"{row['beside_central']:.3f}",
        "–" if row["each_council_beside_ours"] is None else f"{row['each_council_beside_ours']:.1f}",
        f"{row['covered']:.1%}",
        f"{row['declared']:.1%}",
    ]
