"""Questions, agreements and policies at random, drawn from the data dictionaries; and what the agreement forbids, by hand.

The second half repeats the rules from `docs/reference/agreement.md`, `docs/reference/policy.md` and the protocol's
sections 1.1 and 2, on the plain documents as people wrote them: slowly, and without the code that it judges.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import yaml
from hypothesis import strategies as st

from federated.query import Level
from federated.schema import load_schema
from federated.schema.files import resource_text
from tests.spec.statistics import specifications
from tests.unit.council_node.policy_cases import AGREEMENT_FORM, MANIFEST_FORM

__all__ = [
    "AGREEMENTS",
    "FORMS",
    "NORTH_EAST",
    "POLICIES",
    "QUESTIONS",
    "TERMS",
    "agreement_for",
    "forbidden",
    "manifest_for",
]

SCHEMA = load_schema()
NORTH_EAST = tuple(next(group["councils"] for group in AGREEMENT_FORM["groups"] if group["name"] == "north-east"))
FORMS = {name: yaml.safe_load(resource_text(f"{name}.yaml")) for name in SCHEMA.datasets}
"""The data dictionaries as they are written."""


# Questions, as documents


def _columns(dataset: str, *kinds: str) -> list[str]:
    return [column.name for column in SCHEMA.dataset(dataset).columns.values() if column.type.value in kinds]


def _leaves(dataset: str) -> st.SearchStrategy[dict[str, Any]]:
    categories, numbers, days = (_columns(dataset, kind) for kind in ("category", "integer", "date"))
    each = [
        st.sampled_from(categories).flatmap(
            lambda name: st.sampled_from(SCHEMA.dataset(dataset).column(name).code_list).map(
                lambda code: {"column": name, "equals": code}
            )
        ),
        st.sampled_from(categories).flatmap(
            lambda name: st.lists(
                st.sampled_from(SCHEMA.dataset(dataset).column(name).code_list), min_size=1, max_size=3, unique=True
            ).map(lambda codes: {"column": name, "in": codes})
        ),
        st.sampled_from(days).map(lambda name: {"column": name, "between": ["2025-01-01", "2025-02-28"]}),
        st.sampled_from(days).map(lambda name: {"column": name, "unknown": True}),
    ]
    if numbers:
        each.append(st.sampled_from(numbers).map(lambda name: {"column": name, "between": [0, 3]}))
    return st.one_of(each)


def conditions(dataset: str) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions on the columns of a data set, up to three deep."""
    return st.recursive(
        _leaves(dataset),
        lambda inner: st.one_of(
            inner.map(lambda item: {"not": item}),
            st.lists(inner, min_size=1, max_size=3).map(lambda items: {"all": items}),
            st.lists(inner, min_size=1, max_size=3).map(lambda items: {"any": items}),
        ),
        max_leaves=4,
    )


def _breakdowns(dataset: str) -> st.SearchStrategy[list[Any]]:
    each = [*_columns(dataset, "category")]
    dated = [{"column": name, "part": part} for name in _columns(dataset, "date") for part in ("month", "quarter")]
    # Wide tables are slow to plan; the size of a column's list decides.
    small = [name for name in each if len(SCHEMA.dataset(dataset).column(name).code_list) <= 8]
    return st.lists(st.sampled_from([*each, *small, *small, *dated]), max_size=2, unique_by=str)


def _measures(dataset: str) -> st.SearchStrategy[dict[str, Any]]:
    numbers, days = _columns(dataset, "integer"), _columns(dataset, "date")
    each = [
        st.tuples(st.sampled_from(days), st.sampled_from(days)).map(
            lambda two: {"days": {"from": two[0], "to": two[1]}}
        ),
        conditions(dataset).map(lambda where: {"points": [{"where": where, "points": 2}], "base": 1}),
    ]
    each += [st.sampled_from(numbers).map(lambda name: {"column": name})] if numbers else []
    clips = st.sampled_from(([0, 6], [-1, 3], [0, 100]))
    return st.tuples(st.one_of(each), clips).map(lambda both: {**both[0], "clip": both[1]})


_MEASURES = {
    "households": 0, "rows": 0, "share": 0, "missing": 0, "sum": 1, "mean": 1, "variance": 1, "distribution": 1, "scores": 1,
    "quantile": 1, "survival": 1, "ratio": 2, "weighted_mean": 2, "covariance": 2, "pathway": 0,
}  # fmt: skip
_CONDITIONS = {"share": 1, "missing": 1, "pathway": 2}


@st.composite
def _made_table(draw: st.DrawFn, dataset: str, name: str) -> dict[str, Any]:
    code = draw(st.sampled_from(sorted(_MEASURES)))
    made: dict[str, Any] = {
        "name": name,
        "statistic": code,
        "by": draw(_breakdowns(dataset)),
        "level": draw(st.sampled_from([level.value for level in Level])),
        "max_cells": draw(st.sampled_from((1, 1, 1, 2, 3))),
        "measures": [draw(_measures(dataset)) for _ in range(_MEASURES[code])],
        "conditions": [
            {"name": f"c{place}", "where": draw(conditions(dataset))} for place in range(_CONDITIONS.get(code, 0))
        ],
    }
    if code in {"distribution", "scores", "quantile", "survival"}:
        made["edges"] = draw(st.sampled_from(([1], [0, 2, 6], [7, 28, 56])))
    if code == "survival":
        first, last = (draw(st.sampled_from(_columns(dataset, "date"))) for _ in range(2))
        made["measures"] = [{"days": {"from": first, "to": last, "until": "2025-06-30"}, "clip": [0, 60]}]
    if code == "quantile":
        made["probabilities"] = ["1/2"]
    return made


def _written(table: Any) -> dict[str, Any]:
    from federated.query.yaml_form import _write_table

    return _write_table(table)


_WORKED = [(item.asked.dataset, _written(item.asked.tables[0])) for item in specifications()]
"""A data set and a table of every statistic there is, from its worked example."""


@st.composite
def _questions(draw: st.DrawFn) -> dict[str, Any]:
    dataset = draw(st.sampled_from([*SCHEMA.datasets, "case", "case"]))
    if draw(st.integers(0, 3)) == 0:
        dataset, worked = draw(st.sampled_from(_WORKED))
        tables = [worked]
    else:
        tables = [draw(_made_table(dataset, f"t{place}")) for place in range(draw(st.integers(1, 2)))]
    made = {
        "query": 1,
        "title": "Drawn at random",
        "dataset": dataset,
        "unit": SCHEMA.dataset(dataset).unit,
        "group": draw(st.sampled_from(("north-east", "tees-valley"))),
        "period": {
            "column": draw(st.sampled_from(_columns(dataset, "date"))),
            "from": "2025-01-01",
            "to": "2025-03-31",
        },
        "epsilon": draw(st.sampled_from(("1/10", "1/4", "1/2", "1", "2"))),
        "tables": tables,
    }
    where = draw(st.none() | conditions(dataset))
    return made if where is None else {**made, "where": where}


QUESTIONS = _questions()
"""Questions as plain documents; nearly all of them can be asked."""
AGREEMENTS = st.fixed_dictionaries(
    {
        "min_cohort": st.sampled_from((4, 5, 5, 6, 12)),
        "min_honest": st.sampled_from((2, 3)),
        "attempts": st.sampled_from((1, 2)),
        "max_epsilon_per_query": st.sampled_from(("1/4", "1", "2", "2")),
        "purpose_categories": st.sampled_from(
            (["prevention"], ["prevention"], ["understanding_need"], ["prevention", "understanding_need"])
        ),
        "valid_to": st.sampled_from((date(2026, 12, 31), date(2026, 12, 31), date(2026, 2, 28))),
        "left_out": st.sampled_from(("",) * 10 + ("column", "statistic", "class_2", "dataset")),
        "max_cells": st.sampled_from((1, 3, 64)),
    }
)
"""What agreements differ in; `agreement_for` makes one that a question is, or nearly is, allowed by."""
_STRICTER: dict[str, tuple[Any, ...]] = {
    "paused": (True,),
    "max_epsilon_per_query": ("1/10", "1", "3"),
    "refuse_columns": (["main_sex"], ["main_age_band", "assessment_date"]),
    "refuse_statistics": (["rows"], ["mean", "sum"]),
    "max_cells": (1, 50, 5000),
    "levels": (["all"], ["all", "region"]),
    "groups": (["north-east"], ["north-east", "tees-valley"]),
    "min_cohort": (4, 6, 13),
    "max_extract_age_days": (1, 30),
    "refuse_purposes": (["prevention"], ["understanding_need"]),
}


@st.composite
def _policies(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(_STRICTER)), max_size=2, unique=True))
    return {
        "policy": 1,
        "automatic": True,
        "class_2": draw(st.sampled_from(("as_agreed", "as_agreed", "person", "refuse"))),
        **{name: draw(st.sampled_from(_STRICTER[name])) for name in chosen},
    }


POLICIES = _policies()
"""Policies as plain documents, with up to two settings that are stricter than the agreement."""
TERMS = st.fixed_dictionaries(
    {"attempts": st.sampled_from((1, 1, 1, 2, 2, 3)), "starts_in_days": st.sampled_from((-1,) * 7 + (1,))}
)


def agreement_for(question: Mapping[str, Any], drawn: Mapping[str, Any], at: int) -> dict[str, Any]:
    """An agreement's document that lists what the question reads, but for one thing it may leave out.

    Args:
        question: The question's document.
        drawn: From `AGREEMENTS`.
        at: Which of several is left out.
    """
    changes = dict(drawn)
    left_out, most = changes.pop("left_out"), changes.pop("max_cells")
    columns, codes = sorted(columns_of(question)), sorted({table_code(table) for table in question["tables"]})
    sensitive = sorted(name for name in columns if _class_of(question["dataset"], name) >= 2)
    if left_out == "column" and len(columns) > 1:
        gone = columns[at % len(columns)]
        columns, sensitive = [c for c in columns if c != gone], [c for c in sensitive if c != gone]
    if left_out == "statistic":
        codes = ["households"] if codes != ["households"] else ["rows"]
    allowed = {
        "unit": question["unit"],
        "columns": columns,
        "statistics": codes,
        "max_cells": most,
        "class_2_approved_by": dict.fromkeys(sensitive, "A. Officer, data protection officer, 1 December 2025"),
    }
    if left_out == "class_2" and sensitive:
        # Not a file that `check_schema` lets in: a node that took one by mistake must refuse all the same.
        del allowed["class_2_approved_by"][sensitive[at % len(sensitive)]]
    name = question["dataset"] if left_out != "dataset" else next(n for n in FORMS if n != question["dataset"])
    if left_out == "dataset":
        allowed |= {"unit": SCHEMA.dataset(name).unit, "columns": _columns(name, "date")[:1], "class_2_approved_by": {}}
    # An agreement with a group that could never answer is not one.
    changes["groups"] = [item for item in AGREEMENT_FORM["groups"] if len(item["councils"]) >= drawn["min_cohort"]]
    changes["review_on"] = date(2026, 2, 1)
    changes["budget"] = {**AGREEMENT_FORM["budget"], "epsilon": "8"}
    return {**AGREEMENT_FORM, **changes, "datasets": {name: allowed}}


def manifest_for(question: Mapping[str, Any], *, unexplained: bool) -> dict[str, Any]:
    """A manifest that explains every column of the question; all but one, where asked for."""
    columns = sorted(columns_of(question))[1 if unexplained else 0 :]
    known = MANIFEST_FORM["fields_read"][0]
    listed = [{**known, "dataset": question["dataset"], "column": name} for name in columns]
    return {**MANIFEST_FORM, "fields_read": listed or [known]}


# What the agreement forbids, by hand


def columns_of(question: Mapping[str, Any]) -> frozenset[str]:
    """Every column that a question's document names."""
    return frozenset(_named({name: question[name] for name in ("period", "where", "tables") if name in question}))


def _named(value: Any) -> Iterator[str]:
    match value:
        case {"days": {"from": str(start), "to": str(end)}}:
            yield from (start, end)
        case dict():
            for name, inner in value.items():
                if name == "column" or (name in {"sum", "mean"} and isinstance(inner, str)):
                    yield inner
                elif name == "by":
                    yield from (item if isinstance(item, str) else item["column"] for item in inner)
                else:
                    yield from _named(inner)
        case list() | tuple():
            for item in value:
                yield from _named(item)


def table_code(table: Mapping[str, Any]) -> str:
    """The statistic that a table's document asks for."""
    if "count" in table:
        return str(table["count"])
    return next((way for way in ("sum", "mean") if way in table), str(table.get("statistic")))


def _form_of(dataset: str, name: str) -> Mapping[str, Any]:
    """A column as its dictionary writes it; nothing for one that is made from another."""
    return next((item for item in FORMS[dataset]["columns"] if item["name"] == name), {})


def _class_of(dataset: str, name: str) -> int:
    """The highest class of a column and of its codes, as the dictionary writes them."""
    column = _form_of(dataset, name)
    codes = column.get("codes", ())
    if "class" not in column or "derived_from" in column or not isinstance(codes, list | tuple):
        return SCHEMA.dataset(dataset).column(name).highest_class  # a list kept elsewhere
    given = [item.get("class", 0) for item in codes if isinstance(item, dict)]
    return max([column["class"], *given])


def _protected(dataset: str, name: str) -> frozenset[str]:
    column = _form_of(dataset, name)
    found = column.get("protected", ())
    listed = found.get("characteristics", ()) if isinstance(found, dict) else found
    return frozenset([listed] if isinstance(listed, str) else listed)


def _thresholds(n: int, profile: str) -> tuple[int, int, int]:
    """t, c and h of section 1.1, with everybody there."""
    c = max(1, n // 20) if profile == "standard" else n // 3
    quorum = (n + c) // 2 + 1
    t = max(-(-9 * n // 10), quorum) if profile == "standard" else quorum
    return t, c, t - c


def forbidden(
    question: Mapping[str, Any],
    agreement: Mapping[str, Any],
    manifest: Mapping[str, Any],
    policy: Mapping[str, Any],
    *,
    council: str,
    attempts: int,
    starts_on: datetime,
    ends_on: datetime,
    now: datetime,
    extract_date: date,
    cells: int,
) -> frozenset[str]:
    """Why a node must refuse: names of our own, empty where nothing here forbids it."""
    found: set[str] = set()

    def forbid(name: str, when: bool) -> None:
        if when:
            found.add(name)

    columns, codes = columns_of(question), {table_code(table) for table in question["tables"]}
    most_touched = max(table.get("max_cells", 1) for table in question["tables"])
    epsilon = Fraction(question["epsilon"])
    allowed = agreement["datasets"].get(question["dataset"])
    forbid("dataset", allowed is None)
    if allowed is not None:
        forbid("unit", allowed["unit"] != question["unit"])
        forbid("columns", not columns <= set(allowed["columns"]))
        forbid("statistics", not codes <= set(allowed["statistics"]))
        forbid("max_cells", most_touched > allowed["max_cells"])
        sensitive = {name for name in columns if _class_of(question["dataset"], name) >= 2}
        forbid("class 2", not sensitive <= set(allowed["class_2_approved_by"]))
        forbid("own class 2", bool(sensitive) and policy["class_2"] == "refuse")
    forbid("epsilon", epsilon > Fraction(agreement["max_epsilon_per_query"]))
    forbid("attempts", attempts > agreement["attempts"])
    forbid("agreement dates", not agreement["valid_from"] <= now.date() <= agreement["valid_to"])
    forbid("plan dates", not starts_on <= now <= ends_on)
    group = next((item for item in agreement["groups"] if item["name"] == question["group"]), None)
    forbid("group", group is None or council not in group["councils"])
    if group is not None:
        n = len(group["councils"])
        t, c, h = _thresholds(n, group["profile"])
        forbid("cohort", n < agreement["min_cohort"] or n < 4)
        forbid("honest", h < agreement["min_honest"] or t > n or 2 * t <= n + c)
        forbid("own cohort", n < policy.get("min_cohort", 0))
        filtered = set(_named({"where": question.get("where", {})}))
        for table in question["tables"]:
            each = [_protected(question["dataset"], name) for name in filtered | set(_named(table))]
            told = [item for item in each if item]
            crosses = len(told) > 1 and len(frozenset().union(*told)) > 1
            forbid("crossed", crosses and n < 2 * agreement["min_cohort"])
    forbid("purpose", manifest["purpose_category"] not in agreement["purpose_categories"])
    explained = {item["column"] for item in manifest["fields_read"] if item["dataset"] == question["dataset"]}
    forbid("unexplained", not columns <= explained)
    forbid("paused", bool(policy.get("paused")))
    forbid("own epsilon", epsilon > Fraction(policy.get("max_epsilon_per_query", "1000000")))
    forbid("own columns", bool(columns & set(policy.get("refuse_columns", ()))))
    forbid("own statistics", bool(codes & set(policy.get("refuse_statistics", ()))))
    forbid("own cells", cells > policy.get("max_cells", cells))
    forbid(
        "own levels",
        not {table.get("level", "all") for table in question["tables"]} <= set(policy.get("levels", ("all", "region"))),
    )
    forbid("own groups", question["group"] not in policy.get("groups", [question["group"]]))
    forbid("own extract", (now.date() - extract_date).days > policy.get("max_extract_age_days", 10**6))
    forbid("own purposes", manifest["purpose_category"] in policy.get("refuse_purposes", ()))
    return frozenset(found)
