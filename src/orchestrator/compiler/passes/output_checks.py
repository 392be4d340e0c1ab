"""The `check` of a step: expressions that read `output`, a schema, a rubric for a judge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope, SourceCheck
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.models import judge_model
from orchestrator.compiler.rules.output_schema import check_schema
from orchestrator.expressions import ANY, Constant, parse_expression
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.yaml.nodes import Scalar, Sequence
from orchestrator.plan.policies import Check, Judge

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.expressions import Type
    from orchestrator.language.spec.model_options import CheckSpec

OUTPUT: Final = "output"
"""The name of the step's value in its `check`."""

_PROSE = re.compile(r"[^\W\d]+(?:[,;]? [^\W\d]+){3,}[.!?]?")


def read_check(context: CompilationContext, step: SourceStep, spec: CheckSpec, scope: NameScope) -> SourceCheck:
    """Read the `check` of a step whose attempts have `scope`."""
    check = SourceCheck(spec, NameScope(scope))
    context.declare_within(check.scope, "output", OUTPUT, None, step.id)
    listed = child(spec.node, "that")
    for node in listed.items if isinstance(listed, Sequence) else ():
        if isinstance(node, Scalar) and not _is_prose(context, step, node):
            condition = context.templates.condition(node, check.scope, check.places)
            if condition is not None:
                check.conditions.append(condition)
    check.rubric = context.value_at(spec.node, ("judge", "rubric"), check.scope, check.places)
    check.model = context.value_at(spec.node, ("judge", "model"), check.scope, check.places)
    return check


def _is_prose(context: CompilationContext, step: SourceStep, node: Scalar) -> bool:
    """Report a sentence where an expression is required."""
    if not _PROSE.fullmatch(node.text.strip()) or not parse_expression(node.text).problems:
        return False
    context.diagnostics.add(
        codes.INVALID_CHECK,
        node.span,
        f"a `check` of `{step.id}` is a sentence, not an expression",
        label="not an expression",
        help="for a model's judgement use `check: {judge: ...}`; an expression looks like `output | length > 100`",
    )
    return True


def check_output(context: CompilationContext, step: SourceStep, check: SourceCheck, type_: Type) -> None:
    """Report errors in a `check`, once the type of the step is known."""
    item = step.work.item_type if step.work is not None else None
    check.scope.names[OUTPUT] = (
        ANY if step.id in context.shared else without_attributes(type_ if item is None else item)
    )
    infer_types(context, check.places)
    for place in check.places:
        if place.template in check.conditions and not place.template.references and not place.template.problems:
            _reads_nothing(context, step, place.scalar)
    node = child(check.spec.node, "schema")
    if node is not None:
        check.schema = check_schema(context, node, f"`schema` in the `check` of `{step.id}`")
    if check.rubric is not None:
        check.model = judge_model(context, step, check.model)


def _reads_nothing(context: CompilationContext, step: SourceStep, node: Scalar) -> None:
    context.diagnostics.add(
        codes.INVALID_CHECK,
        node.span,
        f"a `check` of `{step.id}` does not depend on the output",
        label="always the same",
        help="read the output: `output | length > 100`",
    )


def plan_check(step: SourceStep) -> Check | None:
    """Build the plan of a `check` without errors."""
    check = step.check
    if check is None:
        return None
    judge = check.spec.judge
    return Check(
        conditions=tuple(check.conditions),
        schema=check.schema,
        judge=None
        if judge is None
        else Judge(check.rubric or Constant(judge.rubric), check.model or Constant("auto"), judge.min_score),
        max_attempts=check.spec.max_attempts,
    )
