"""Reads what a file says of budgets and of checks of outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.diagnostics.lines import short
from orchestrator.language import problems, spellings, step_spellings
from orchestrator.language.nodes import Entry, Mapping, Node, Scalar
from orchestrator.language.spec import BudgetSpec, CheckSpec, JudgeSpec
from orchestrator.language.validation import complete, is_null

if TYPE_CHECKING:
    from orchestrator.language.validation import Validation


def read_budget(checks: Validation, entry: Entry, what: str) -> tuple[BudgetSpec | None, Node]:
    """Read how much may be spent; None if that cannot be understood."""
    node = step_spellings.budget(entry.value)
    if not isinstance(node, Mapping):
        checks.mistyped(entry, problems.expected("budget"), _meant(node))
        return None, entry.value
    name = f"`budget` of {what}"
    before = len(checks.diagnostics)
    budget = checks.spec(BudgetSpec, node, name)
    if not budget.node.table and len(checks.diagnostics) == before:
        checks.add("ORC425", entry.key, f"{name} sets no limit", label="no limit", help=problems.BUDGET_HELP)
    return budget, budget.node


def _meant(node: Node) -> str:
    if isinstance(node, Scalar) and isinstance(node.value, str) and "{{" in node.value:
        return "a budget must be known before the run: write a number; a run can be given another one"
    return problems.BUDGET_HELP


def read_check(checks: Validation, entry: Entry, what: str) -> tuple[CheckSpec | None, Node]:
    """Read what an output must be; None if that cannot be understood."""
    name = f"`check` of {what}"
    canonical = step_spellings.check(entry.value)
    if canonical is None:
        checks.mistyped(entry, problems.expected("check"))
        return None, entry.value
    before = len(checks.diagnostics)
    node = checks.canonical(canonical, name)
    check = checks.spec(CheckSpec, node.without(["judge"]), name, node)
    judge = node.table.get("judge")
    if judge is not None and isinstance(judge.value, Mapping):
        spec = checks.spec(JudgeSpec, judge.value, f"`judge` of {what}")
        whole = check.node.replaced([*check.node.entries, Entry(judge.key, spec.node)])
        check = complete(check, whole, {"judge": spec})
    elif judge is not None and not is_null(judge.value):
        checks.mistyped(judge, problems.expected("judge"))
    if not (check.that or check.schema_ not in (None, {}) or check.judge) and len(checks.diagnostics) == before:
        key = short(spellings.written(entry.key))
        checks.add(
            "ORC429", entry.key, f"`{key}` of {what} checks nothing", label="and what?", help=problems.CHECK_HELP
        )
    return check, check.node
