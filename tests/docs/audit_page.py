"""The tables of docs/audit.md, from the figures of the long runs in docs/evidence.json."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from federated.privacy import Mechanism
from federated.statistics import IN_ROUNDS, STATISTICS, statistic
from tests.evidence import EVIDENCE

_MEASURES = {Mechanism.DISCRETE_LAPLACE: ("Laplace", "ε"), Mechanism.DISCRETE_GAUSSIAN: ("Gaussian", "ρ")}


def audited(mechanism: Mechanism) -> tuple[str, ...]:
    """Codes of the statistics that may have this noise; those of several rounds have Gaussian noise only."""
    gaussian = mechanism is Mechanism.DISCRETE_GAUSSIAN
    return tuple(code for code in STATISTICS if gaussian or code not in IN_ROUNDS)


def runs() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(EVIDENCE.read_text(encoding="utf-8"))["runs"]
    return found


def parts() -> dict[str, str]:
    """The generated parts of the page."""
    return {"differencing": differencing_table(runs()["differencing"]), "audit": audit_table(runs())}


def differencing_table(run: Mapping[str, Any]) -> str:
    lines = [
        f"{run['n']:,} households for each attack, seed {run['seed']}, at commit `{run['commit'][:12]}`:",
        "",
        "| Attack | Exact counts | Rounded to 5 | Rounded to 10 | Here | No guesser above | Answers, cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for attack in run["figures"]["attacks"]:
        hidden, ours = attack["threshold_only"], attack["ours"]
        shares = hidden["success"], hidden["rounded_to_5"], hidden["rounded_to_10"], ours["success"], ours["bound"]
        shown = " | ".join(f"{100 * share:.1f}%" for share in shares)
        cost = f"ρ {ours['spent_rho']}" if ours["spent_epsilon"] is None else f"ε {ours['spent_epsilon']}"
        lines.append(f"| {attack['title']}: {_lower(attack['how'])} | {shown} | {ours['fresh_answers']}, {cost} |")
    return "\n".join(lines) + "\n"


def _lower(sentence: str) -> str:
    return (sentence[0].lower() + sentence[1:]).removesuffix(".")


def audit_table(found: Mapping[str, Any]) -> str:
    lines = []
    for mechanism, (name, measure) in _MEASURES.items():
        run = found[f"audit/{mechanism.value}"]
        columns = {"claimed": f"Claimed {measure}", "audited_at_least": f"Audited {measure}, at least"}
        if mechanism is Mechanism.DISCRETE_GAUSSIAN:
            columns |= {"claimed_epsilon_at_delta": "Claimed ε", "audited_epsilon_at_delta": "Audited ε, at least"}
        lines += [
            f"{name} noise, {run['n']:,} runs or more, seed {run['seed']}, at commit `{run['commit'][:12]}`:",
            "",
            f"| Statistic | {' | '.join(columns.values())} | Audited {measure}, noise halved |",
            "|---" * (len(columns) + 2) + "|",
            *(_audit_row(code, run["figures"], columns) for code in audited(mechanism)),
            "",
        ]
    return "\n".join(lines[:-1]) + "\n"


def _audit_row(code: str, figures: Mapping[str, Any], columns: Iterable[str]) -> str:
    item, halved = figures["statistics"][code], figures["with_noise_halved"][code]
    shown = " | ".join(f"{item[name]:.3f}" for name in columns)
    return f"| [{statistic(code).title}](statistics/{code}.md) | {shown} | {halved:.3f} |"
