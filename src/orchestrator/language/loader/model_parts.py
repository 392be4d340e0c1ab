"""Reads budgets and output checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.aliases.steps import canonical_budget, canonical_check
from orchestrator.language.loader.expected_values import BUDGET_HELP, CHECK_HELP, EXPECTED_VALUES
from orchestrator.language.loader.validation import complete, is_null
from orchestrator.language.spec.model_options import BudgetSpec, CheckSpec, JudgeSpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation


def read_budget_spec(checks: Validation, entry: Entry, what: str) -> tuple[BudgetSpec | None, Node]:
    """Read a budget; None if it is invalid."""
    node = canonical_budget(entry.value)
    if not isinstance(node, Mapping):
        checks.mistyped(entry, EXPECTED_VALUES["budget"], _meant(node))
        return None, entry.value
    name = f"`budget` of {what}"
    before = len(checks.diagnostics)
    budget = checks.spec(BudgetSpec, node, name)
    if not budget.node.table and len(checks.diagnostics) == before:
        checks.add(codes.INVALID_MODEL_OPTIONS, entry.key, f"{name} sets no limit", label="no limit", help=BUDGET_HELP)
    return budget, budget.node


def _meant(node: Node) -> str:
    if isinstance(node, Scalar) and isinstance(node.value, str) and "{{" in node.value:
        return "a budget must be known before the run: write a number; a run can override it"
    return BUDGET_HELP


def read_check_spec(checks: Validation, entry: Entry, what: str) -> tuple[CheckSpec | None, Node]:
    """Read an output check; None if it is invalid."""
    name = f"`check` of {what}"
    canonical = canonical_check(entry.value)
    if canonical is None:
        checks.mistyped(entry, EXPECTED_VALUES["check"])
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
        checks.mistyped(judge, EXPECTED_VALUES["judge"])
    if not (check.that or check.schema_ not in (None, {}) or check.judge) and len(checks.diagnostics) == before:
        key = shorten(written_key(entry.key))
        checks.add(
            codes.INVALID_CHECK,
            entry.key,
            f"`{key}` of {what} checks nothing",
            label="nothing to check",
            help=CHECK_HELP,
        )
    return check, check.node
