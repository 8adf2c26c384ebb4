"""The page of who may do what on the web pages, made from the table that the program checks by."""

from coordinator.console.visitor import Role
from coordinator.sign_in.operations import RULES, Operation, Rule


def cell(rule: Rule, role: Role | None) -> str:
    """What a role may, in a word; without a role, what the public may."""
    allowed = rule.public if role is None else rule.public or role in rule.roles
    return ("of its agreements" if rule.of_agreement else "yes") if allowed else "–"


def render() -> str:
    """The page."""
    lines = [
        "# Who may do what on the web pages",
        "",
        "What an account with one role may do. With several roles it may do what any of them may. “Of its agreements”",
        "means: only for an agreement that is named in the account. Other agreements' figures are as if they were not there.",
        "This page is made by `make docs` from the table that the program checks by; a test tries every cell.",
        "",
        f"| To … | {' | '.join(role.value for role in Role)} | not signed in |",
        f"|---|{'---|' * (len(Role) + 1)}",
    ]
    for operation in Operation:
        cells = [cell(RULES[operation], role) for role in (*Role, None)]
        lines.append(f"| {operation.value} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
