"""The page of who may do what on the web pages, made from the table that the program checks by."""

from coordinator.console.visitor import Role, Scope
from coordinator.sign_in.operations import RULES, Operation, Rule


def cell(rule: Rule, role: Role | None) -> str:
    """What a role may, in a word; without a role, what the public may."""
    allowed = rule.public if role is None else rule.public or role in rule.roles
    return ("of its agreements" if rule.of_agreement else "yes") if allowed else "–"


def by_token(rule: Rule) -> str:
    """Which tokens of an account that may, may too."""
    return "–" if rule.scope is None else {Scope.READ: "any", Scope.ASK: "one for asking"}[rule.scope]


def render() -> str:
    """The page."""
    lines = [
        "# Who may do what over the web",
        "",
        "What an account with one role may do. With several roles it may do what any of them may. “Of its agreements”",
        "means: only for an agreement that is named in the account. Other agreements' figures are as if they were not there.",
        "A program’s token may do what its account may, as far as the last column says.",
        "This page is made by `make docs` from the table that the program checks by; a test tries every cell.",
        "",
        f"| To … | {' | '.join(role.value for role in Role)} | not signed in | token |",
        f"|---|{'---|' * (len(Role) + 2)}",
    ]
    for operation in Operation:
        cells = [cell(RULES[operation], role) for role in (*Role, None)]
        lines.append(f"| {operation.value} | {' | '.join([*cells, by_token(RULES[operation])])} |")
    return "\n".join(lines) + "\n"
