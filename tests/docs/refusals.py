"""The page of refusals: every rule by which a question, a round or a request can be refused, in plain words."""

import ast
import re
from collections.abc import Iterator, Mapping

from tests.architecture.source_tree import PACKAGES, modules

Meaning = tuple[str, str]
"""What the rule says, and what to do about it."""

RULES: Mapping[str, Mapping[str, Meaning]] = {
    "The council's own decision": {
        "paused": ("The council answers nothing for now.", "Ask the council when it takes part again."),
        "not_approved": ("Nobody at the council has approved the question yet.", "Wait for the council."),
        "declined": ("A person at the council refused it; the reason is in their words.", "Talk to the council."),
        "withdrawn": ("An approval, or the whole plan, was taken back.", "Talk to whoever withdrew it."),
        "council_policy": (
            "The council's own policy is stricter than the agreement.",
            "Ask for less, or ask the council.",
        ),
        "cells": ("The question has more cells than this council answers.", "Use fewer breakdowns."),
        "class_2": (
            "A column holds the most sensitive kind of data, and no named person let it be read.",
            "Leave the column out.",
        ),
        "red_line": (
            "The question is over one of the seven red lines, as far as a computer can tell.",
            "Change the question, or the manifest.",
        ),
        "coverage": ("The council has no such column, or no extract.", "Ask without the column, or ask another group."),
        "extract_age": ("The council's extract is too old.", "Ask again once there is a newer one."),
    },
    "The agreement": {
        "agreement": ("The coordinator does not have the agreement in force.", "Fetch the agreements and plan again."),
        "agreement_unknown": (
            "The council has not accepted an agreement of that name.",
            "Ask the council to accept it.",
        ),
        "agreement_not_accepted": (
            "The council accepted another version of the agreement.",
            "Plan under the version in force, or ask the council to accept the new one.",
        ),
        "agreement_not_yet_valid": ("The agreement is not in force yet.", "Wait, or check the clock."),
        "agreement_expired": ("The agreement has ended.", "The parties sign a new version."),
        "agreement_older": ("The file is an older version than the one accepted.", "Ask for the current version."),
        "agreement_altered": (
            "The file differs from the accepted one but has the same version.",
            "A changed agreement needs a new version number.",
        ),
        "group": ("The councils asked are not one whole group of the agreement.", "Ask one of its groups."),
        "dataset": ("The agreement does not list the data set.", "Ask about one that it lists."),
        "unit": ("The privacy unit is not the data set's.", "Write the unit that the agreement names."),
        "column": ("The agreement does not list the column.", "Leave it out, or agree a new version."),
        "statistic": ("The agreement does not list the statistic.", "Use one that it lists."),
        "max_cells": ("A household may count in fewer cells than asked.", "Ask with a smaller `max_cells`."),
        "max_epsilon_per_query": ("The question costs more than any one question may.", "Ask with a smaller epsilon."),
        "attempts": ("The plan asks for, or has used up, its attempts.", "Plan the question again."),
    },
    "The manifest": {
        "manifest_wording": (
            "A text of the manifest is vague, unfinished or hard to read.",
            "Run `federated manifest lint`.",
        ),
        "manifest_expired": ("The manifest has expired.", "Write a new version; councils decide on it anew."),
        "manifest_purpose": ("The agreement does not list that kind of purpose.", "Use a kind that it lists."),
        "manifest_funding": ("A use for funding is declared, and the agreement rules it out.", "Ask without that use."),
        "manifest_linked_data": (
            "The answer is to be combined with data the agreement does not name.",
            "Write `none`.",
        ),
        "manifest_recipient": ("The agreement does not name that recipient.", "Take it out, or agree a new version."),
        "manifest_column": ("The question reads a column that the manifest does not explain.", "Explain it there."),
        "manifest_mismatch": ("The manifest is not the one that the plan names.", "Send the one it was planned with."),
        "manifest_other": ("The manifest is not the one that the plan names.", "Hand in the one it was planned with."),
    },
    "The plan and who signed it": {
        "plan_mismatch": (
            "A figure of the plan is not what follows from the question.",
            "Plan again with the current agreement, roster and schema.",
        ),
        "plan_not_yet_valid": ("The plan is not valid yet.", "Wait, or check the clock."),
        "plan_expired": ("The plan has expired.", "Plan the question again."),
        "plan_dates": ("The plan is handed in outside its own dates.", "Plan the question again."),
        "plan_used": ("The plan was handed in before and has come to its end.", "Plan again, which makes a new plan."),
        "reference_cost": ("OpenDP's own map charges more than the plan does.", "Report it: this is a fault of ours."),
        "analyst": ("The key is not that of an analyst of the agreement.", "Ask an analyst whom it names."),
        "signature": (
            "A signature is missing, wrong, or by a key that is not trusted for this.",
            "Compare fingerprints.",
        ),
    },
    "The budget": {
        "budget": ("What is left of the year's budget does not cover the question.", "Ask with a smaller epsilon."),
        "ledger_exhausted": (
            "The council's ledger takes no charge until it has been reconciled.",
            "The council's reviewer runs `council-node ledger reconcile`.",
        ),
        "ledger_closed": (
            "The council's ledger was closed for good: another council took its place.",
            "Ask the council that took its place.",
        ),
        "ledger_unavailable": (
            "The council's ledger cannot be used.",
            "The council's IT officer finds the cause in the log.",
        ),
        "inheritance": (
            "The council took the place of others and has not inherited what they spent.",
            "The council's reviewer runs `council-node ledger inherit`.",
        ),
        "ledger_rollback": ("A council's ledger shows another past than before.", "Ask whether it was restored."),
    },
    "The number of councils": {
        "smallest_round": ("Fewer than four councils: no setting allows that.", "Ask a larger group."),
        "min_cohort": ("Fewer councils than the agreement asks for.", "Ask a larger group, or wait for more councils."),
        "crossed_base": (
            "A table crosses protected characteristics, and too few councils are asked together for that.",
            "Ask a larger group, or leave all but one characteristic out of the table and the filter.",
        ),
        "min_honest": ("Too few honest councils would be sure to add noise.", "Ask a larger group."),
        "quorum": ("So few councils that the sum could be taken apart.", "Wait for more councils."),
        "eligible": ("More councils joined than were asked.", "Report it: the coordinator is at fault."),
    },
    "The round": {
        "invitation": (
            "The invitation does not fit the plan, the coordinator or the roster.",
            "The coordinator invites again.",
        ),
        "mask_holder": (
            "The mask holder that the agreement names is away, will not take part, or is no body of its own.",
            "Hand the plan in again once it is back; or the parties sign a new version of the agreement.",
        ),
        "opened_before": (
            "The mask holder has opened the sum of this round of the plan, and opens one alone.",
            "Plan the question again, which makes a new plan.",
        ),
        "replay": ("The round was asked before.", "The coordinator invites with a new number."),
        "busy": ("The council takes part in as many rounds as it can.", "Hand the plan in again later."),
        "unknown_round": (
            "The council is not in that round, or it has ended there.",
            "Nothing; the round goes on without it.",
        ),
        "bad_key_share": (
            "A council dealt a false key share; its signed message is the proof.",
            "Take it off the roster.",
        ),
        "below_threshold": (
            "Too few councils got through a stage of the round.",
            "Nothing was released. Ask again when more councils are connected.",
        ),
        "protocol": ("A message broke the rules of the protocol.", "Hand the plan in again; report it if it goes on."),
        "round": ("The council was not heard of in time.", "Nothing; the round goes on without it."),
        "fault": (
            "The council's node could not serve the request.",
            "The council's IT officer finds the cause in the log.",
        ),
        "release": ("The release is not of a round this council was in.", "Report it: the coordinator is at fault."),
        "deleted": (
            "The answer's time was over, and the coordinator deleted it; its line in the list stays.",
            "Ask again, at a new charge, if the purpose still stands.",
        ),
        "coordinator_stopped": ("The coordinator stopped while the round was under way.", "Hand the plan in again."),
        "database": (
            "The coordinator's database could not be used; a round under way was lost, and what was spent stays spent.",
            "Wait: the coordinator goes on once it can. Hand a plan whose round was lost in again.",
        ),
        "internal": ("Something unexpected happened.", "Report it."),
    },
    "Roster and enrolment": {
        "roster": (
            "There is no list of councils, or it names another coordinator.",
            "Ask the people who sign the list.",
        ),
        "no_roster": ("The coordinator has no list of councils in force.", "Ask its operator to publish one."),
        "roster_not_yet_valid": ("The list of councils is not valid yet.", "Wait, or check the clock."),
        "roster_expired": ("The list of councils has expired.", "Ask for the current signed list."),
        "roster_older": ("The list of councils is older than the one accepted.", "Ask for the current signed list."),
        "too_many_enrolments": ("The council has too many keys waiting.", "Ask the operator to reject the wrong ones."),
        "key_in_use": ("The key was enrolled for another council.", "Make a new key with `council-node init`."),
    },
    "The web pages": {
        "not_allowed": ("The account has no role or agreement for that.", "Ask the operator of the pages."),
        "second_person": (
            "A key is accepted when two operators say so, and this is not the second word.",
            "Another operator confirms, or one of you asks again.",
        ),
        "tokens": ("The account is locked, or has too many tokens.", "Take back one that is not needed."),
        "inbox_size": ("The plan, its manifest or the idempotency key is too large.", "Ask a smaller question."),
        "inbox_full": (
            "Too many questions wait, or the account handed in too many today.",
            "Wait until the coordinator has taken some.",
        ),
        "key_reused": (
            "Something else was handed in under the same idempotency key.",
            "Use a new key for each question and each paper.",
        ),
    },
    "The analyst's service": {
        "not_found": ("There is nothing of that name under an agreement of yours.", "Check the digest."),
        "reviewer": (
            "Who was given an answer is told to reviewers of its agreement alone.",
            "Ask a reviewer named in the agreement.",
        ),
        "withdraw": ("The plan is past the point where it can be withdrawn.", "Look at its status."),
        "not_contributed": (
            "A comment names a council that is not in the answer, or not in the list of councils.",
            "Check the code of the council and the digest of the answer.",
        ),
        "not_of_agreement": (
            "A suggestion names a council that the agreement does not name, or that is not in the list of councils.",
            "Check the code of the council and the name of the agreement.",
        ),
        "paper_size": ("The signed paper is too large.", "Write a shorter one."),
        "paper_limit": (
            "One author has handed in as many papers about one answer, or of one kind in a year, as are kept.",
            "Ask the operator, if one more is needed.",
        ),
        "minutes_date": (
            "Minutes are of a day that is still to come.",
            "Check the day, and sign them again once the meeting was held.",
        ),
        "series_dates": (
            "A standing question is dated ahead, so it could run for longer than a year.",
            "Check the clock of the computer on which it was signed, and sign it again.",
        ),
        "series_lapsed": (
            "The last day of a standing question is over, so nothing is asked any more.",
            "Review it with the councils, and sign a new edition if it is still needed.",
        ),
    },
}


def rules_in_code() -> frozenset[str]:
    """Names of rules as the code raises them."""
    return frozenset(rule for _, tree in modules(*PACKAGES) for rule in rules_of(tree))


def rules_of(tree: ast.Module) -> Iterator[str]:
    """Names of rules in one module: where a refusal is raised, where a rule is recorded, and defaults."""
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        for value in _rule_values(node):
            for name in ast.walk(value):
                text = constants.get(name.id) if isinstance(name, ast.Name) else getattr(name, "value", None)
                if isinstance(text, str) and re.fullmatch(r"[a-z][a-z0-9_]+", text):
                    yield text


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                yield name, text
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                yield name, text


def _rule_values(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            called = ast.unparse(function).rsplit(".", maxsplit=1)[-1]
            yield from (item.value for item in keywords if item.arg == "rule" and isinstance(item.value, PLAIN))
            if called in {"PolicyRefusal", "_refusal", "_refuse"} and arguments and isinstance(arguments[0], PLAIN):
                yield arguments[0]
            if called == "getattr" and ast.unparse(arguments[1]) == "'rule'" and len(arguments) > 2:
                yield arguments[2]
            if called == "_statement" and len(arguments) > 2 and isinstance(arguments[2], PLAIN):
                yield arguments[2]
        case ast.FunctionDef(args=ast.arguments(kwonlyargs=names, kw_defaults=defaults)):
            pairs = zip(names, defaults, strict=True)
            yield from (value for argument, value in pairs if argument.arg == "rule" and value is not None)
        case ast.Assign(targets=[ast.Name(id="rule")], value=ast.IfExp(body=body, orelse=otherwise)):
            yield from (value for value in (body, otherwise) if isinstance(value, PLAIN))


PLAIN = (ast.Constant, ast.Name)


def render() -> str:
    """The page."""
    lines = [
        "# Refusals",
        "",
        "Whoever refuses names a rule. A refusal is a decision and not a fault. Before a round it costs nothing.",
        "This page is made by `make docs`; a test holds it against the rules in the code.",
    ]
    for who, rules in RULES.items():
        lines += ["", f"## {who}", "", "| Rule | What it means | What to do |", "|---|---|---|"]
        lines += [f"| `{rule}` | {meaning} | {remedy} |" for rule, (meaning, remedy) in rules.items()]
    return "\n".join(lines) + "\n"
