"""What a pack's template is given: the facts, and words that follow from them and from nothing else."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from council_node.proof.controls import ATTACKS, CALDICOTT, RISKS
from council_node.proof.facts import Facts
from council_node.receipt_form import one_in, right_in_100
from federated.clauses import MEANINGS

__all__ = ["crossings", "flow_steps", "values_of"]

CLASS_WORDS: Final = {
    0: "0, ordinary",
    1: "1, personal",
    2: "2, special category, criminal offence or immigration",
}
SOURCE_WORDS: Final = {
    "csv": "a text file",
    "spreadsheet": "a spreadsheet",
    "xml": "an export file of nested records",
    "database": "a table or view of a database",
}
"""What an extract is, by `SourceKind`."""
_MEANINGS: Final = {choice.value: words for choice, words in MEANINGS.items()}


def values_of(facts: Facts, made_on: str) -> dict[str, Any]:
    """Everything a template may name; only what the facts of its kind hold."""
    values: dict[str, Any] = {**facts, "made_on": made_on, "class_words": CLASS_WORDS}
    values["source_words"] = SOURCE_WORDS
    values |= {"principles": CALDICOTT, "attacks": ATTACKS, "risks": RISKS}
    agreements = facts.get("agreements", {})
    values["agreement_list"] = [_agreement(item, facts.get("data", {})) for _, item in sorted(agreements.items())]
    if "policy" in facts:
        values["policy_rows"] = list(_rows(facts["policy"]))
    if "roles" in facts:
        values["roles"] = {name: facts["roles"].get(name) for name in _ROLES}
    if "data" in facts:
        values["objections_honoured"] = all(item["objections_honoured"] for item in facts["data"].values())
    if "coordinator" in facts:
        values["steps"], values["crossings"] = flow_steps(facts), crossings(facts)
    return values


_ROLES: Final = (
    "information_asset_owner",
    "senior_information_risk_owner",
    "data_protection_officer",
    "system_owner",
    "residents_contact",
)


def _agreement(facts: Facts, data: Facts) -> Facts:
    return {
        **facts,
        "category_words": [_MEANINGS[item] for item in facts["purpose_categories"]],
        "prohibited_words": [_MEANINGS[item] for item in facts["prohibited_uses"]],
        "recipient_words": [f"{r['role']}, {r['body']} ({_MEANINGS[r['type']]})" for r in facts["recipients"]],
        "party_words": [f"{party['name']} ({party['role']})" for party in facts["parties"]],
        "analyst_words": [f"{person['name']}, {person['organisation']}" for person in facts["analysts"]],
        "reviewer_words": [f"{person['name']}, {person['organisation']}" for person in facts["reviewers"]],
        "column_list": list(_columns(facts, data)),
        "column_words": [f"{column['dataset']}.{column['name']}" for column in _columns(facts, data)],
        "council_count": len({council for group in facts["groups"] for council in group["councils"]}),
        "delta_words": one_in(facts["budget"]["delta"]),
        "right_after_one": right_in_100(Fraction(facts["max_epsilon_per_query"])),
        "right_after_all": right_in_100(Fraction(facts["budget"]["epsilon"])),
    }


def _columns(agreement: Facts, data: Facts) -> Iterator[Facts]:
    for dataset, allowed in agreement["datasets"].items():
        mapped = data.get(dataset, {}).get("columns", {})
        for column in allowed["columns"]:
            yield {
                "dataset": dataset,
                "name": column,
                "class": agreement["sensitivity"].get(dataset, {}).get(column, max(CLASS_WORDS)),
                "approved_by": allowed.get("class_2_approved_by", {}).get(column),
                "mapped": column in mapped,
            }


def _rows(policy: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Every setting of the policy by its dotted name."""
    for name, value in policy.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", _setting(value)


def _setting(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value)


# The data flow, for text and picture alike


def flow_steps(facts: Facts) -> list[dict[str, str]]:
    """The steps of the data flow, in order."""
    council, coordinator = facts["council"]["name"], facts["coordinator"]["id"]
    data = "; ".join(f"{name}, {len(item['columns'])} columns mapped" for name, item in facts["data"].items())
    recipients = sorted({r["body"] for a in facts["agreements"].values() for r in a["recipients"]})
    objected = all(item["objections_honoured"] for item in facts["data"].values())
    holders = sorted({a["mask_holder"]["name"] for a in facts["agreements"].values() if "mask_holder" in a})
    opening = f" Where the agreement says so, only together with {' or '.join(holders)}." if holders else ""
    dropped = "Rows of people who objected are dropped first." if objected else "No column says who objected."
    return [
        {"title": "Extract", "where": council, "text": f"The council exports cases from its own system ({data})."},
        {
            "title": "Count",
            "where": f"{council}, its own node",
            "text": f"For one approved question the node reads only the columns it needs. {dropped}",
        },
        {
            "title": "Noise and masks",
            "where": f"{council}, its own node",
            "text": "The node adds its share of the noise, then masks. By itself the result looks random.",
        },
        {
            "title": "Sum",
            "where": f"coordinator {coordinator}",
            "text": f"The coordinator adds up what many councils send. Only the sum can be opened.{opening}",
        },
        {
            "title": "Answer",
            "where": "recipients and every council that answered",
            "text": f"Who gets it: {'; '.join(recipients)}." if recipients else "No agreement names a recipient yet.",
        },
    ]


def crossings(facts: Facts) -> list[dict[str, str]]:
    """What crosses the council's boundary, and which way."""
    address = facts["coordinator"]["address"]
    return [
        {
            "what": "questions, agreements and lists of councils, all signed",
            "way": f"in, from {address}",
            "personal": "names of those who ask and sign",
        },
        {
            "what": "decisions on questions with the reason and the date of the extract, signed",
            "way": f"out, to {address}",
            "personal": "none of a case",
        },
        {
            "what": "keys of the round, masked figures with noise, parts of masks",
            "way": f"out, to {address}",
            "personal": "to be judged: by itself each looks random",
        },
        {"what": "statements of the privacy budget, signed", "way": f"out, to {address}", "personal": "none"},
        {"what": "answers", "way": f"in, from {address}", "personal": "totals over many councils, with noise"},
    ]
