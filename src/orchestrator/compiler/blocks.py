"""Reads, checks and plans blocks: lists of steps with a scope of their own, within one another to any depth.

A block is read first, with all blocks in it: then every name and every edge is known. It is checked in an order in
which each step comes after those that it reads, so that their types are known. It is planned if nothing is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.flow import add_declared, add_jumps, add_reads, in_order, report_cycles
from orchestrator.compiler.handlers import check_handlers, plan_handlers, read_handlers
from orchestrator.compiler.ir import BlockParts, StepParts
from orchestrator.compiler.jumps import Between
from orchestrator.compiler.models import budget_of
from orchestrator.compiler.names import entity_type
from orchestrator.compiler.rules.error_types import check_retry, retry_from
from orchestrator.compiler.rules.output_checks import check_output, plan_check, read_check
from orchestrator.compiler.steps import ToolWork, construct_of
from orchestrator.compiler.templates import child
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.plan.policies import MODEL_RETRY, CachePolicy, OnFailure, Retry
from orchestrator.plan.steps import Block, StepPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.compiler.context import Unit
    from orchestrator.compiler.ir import BlockKind, Construct
    from orchestrator.compiler.scopes import Scope
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.language.yaml.nodes import Node


def read_block(
    unit: Unit, kind: BlockKind, specs: Sequence[StepSpec], scope: Scope, owner: StepParts | None = None
) -> BlockParts:
    """Read the steps of a block into `scope`, which becomes theirs, and all blocks within it."""
    block = BlockParts(kind, scope, owner)
    if unit.autos is not None:
        specs = unit.autos.expanded(specs, kind, owner)
    block.steps = [StepParts(spec, block) for spec in specs]
    for position, spec in enumerate(specs):
        if spec.id and spec.id not in block.ids:
            node = child(spec.node, "id")
            if node is not None and not _is_a_case_of_its_own(node):
                unit.claim("step", spec.id, node.span, scope, within=owner.id if owner is not None else "")
            block.ids[spec.id] = position
    scope.enter(block, block.ids, entity_type(ANY))
    for step in block.steps:
        unit.steps.append(step)
        _read_step(unit, step)
        add_reads(unit, step)
    return block


def _is_a_case_of_its_own(node: Node) -> bool:
    """Whether a step got its id from `true: {...}` or `null: {...}`, where no expression can mean it."""
    return isinstance(node, Scalar) and node.style == "synthetic" and node.text in ("true", "false", "null", "none")


def _read_step(unit: Unit, step: StepParts) -> None:
    spec, scope = step.spec, step.block.scope
    node = spec.node
    step.work = construct_of(unit, step)
    if isinstance(step.work, ToolWork) and spec.id and spec.id not in unit.shared:
        step.block.scope.steps[spec.id] = step.work.result_type
    inner = step.work.item_scope or scope
    step.fallback = unit.value_at(node, ("on_failure", "value"), scope, step.templates)
    step.cache_key = unit.value_at(node, ("cache", "key"), inner, step.templates)
    if spec.check is not None:
        step.check = read_check(unit, step, spec.check, inner)
    condition = child(node, "condition")
    if condition is not None:
        step.condition = unit.templates.condition(condition, scope, step.guards)
        node_text = getattr(condition, "value", "")
        step.block.conditions[spec.id] = str(node_text).strip().removeprefix("{{").removesuffix("}}").strip()
    if spec.on_error:
        step.handlers = read_handlers(unit, spec.on_error, inner, step)


def check_block(unit: Unit, block: BlockParts) -> None:
    """Report what is wrong with the steps of a block, and find their types."""
    add_declared(unit, block)
    add_jumps(unit, block)
    for position in block.flow.covers:
        block.conditions.setdefault(block.steps[position].id, None)
    order = list(block.ids)
    report_cycles(block.flow, order, unit.findings)
    simple = all(isinstance(step.work, ToolWork) for step in block.steps)
    if simple:  # their types are known already
        for step in block.steps:
            _check_step(unit, step)
        return
    for id in in_order(block.flow.edges, order):
        _check_step(unit, block.steps[block.ids[id]])
    for position, step in enumerate(block.steps):
        if block.ids.get(step.id) != position:  # it has no id, or that of another
            _check_step(unit, step)


def _check_step(unit: Unit, step: StepParts) -> None:
    scope, id = step.block.scope, step.id
    unit.infer(step.guards)
    unit.infer(step.templates)
    type_ = step.work.check(unit) if step.work is not None else entity_type(ANY)
    if step.check is not None:
        check_output(unit, step, step.check, type_)
    if step.handlers:
        check_handlers(unit, step.handlers)
    if step.fallback is not None or step.handlers:
        type_ = entity_type(ANY, fields=type_.attributes)
    check_retry(child(step.spec.node, "retry"), unit.findings)
    if id:
        scope.steps[id] = entity_type(ANY) if id in unit.shared else type_


def plan_block(unit: Unit, block: BlockParts) -> Block:
    """Build the plan of a block without errors."""
    ids = tuple(step.id for step in block.steps)
    return Block(tuple(plan_step(unit, step, ids) for step in block.steps))


def plan_step(unit: Unit, step: StepParts, ids: tuple[str, ...]) -> StepPlan:
    """Build the plan of a step without errors; `ids` are those of all steps of its block."""
    spec, work = step.spec, step.work
    if work is None:
        raise OrchestratorError(f"step `{spec.id}` has no work, and was not reported")
    jumps = step.block.flow.jumps.get(spec.id, {})
    targets = {kind: ids[jump.target] for kind, jump in jumps.items()}
    kind = spec.on_failure.kind if spec.on_failure else "fail"
    own, each = work.makes_attempts, work.item_scope is not None
    return StepPlan(
        id=spec.id,
        work=work.plan(unit),
        name=spec.name or spec.id,
        description=spec.description or "",
        dependencies=step.block.flow.dependencies(spec.id),
        condition=step.condition,
        retry=retry_of(unit, spec, work) if own else Retry(),
        timeout=timeout_of(unit, spec) if isinstance(work, ToolWork) else None if each else spec.timeout,
        on_failure=OnFailure(kind, value=step.fallback, target=targets.get("on_failure")),
        on_success=targets.get("on_success"),
        on_false=targets.get("on_false"),
        skips={kind: Between(ids, jump.source + 1, jump.end) for kind, jump in jumps.items()},
        on_error=() if each else plan_handlers(unit, step.handlers),
        on_resume=spec.on_resume if own else "rerun",
        cache=cache_of(step) if own else None,
        check=None if each else plan_check(step),
        budget=budget_of(spec.budget),
        metadata=spec.metadata or {},
        line=spec.node.span.start.line,
    )


def plan_item(unit: Unit, step: StepParts, work: Construct, on_failure: OnFailure) -> StepPlan:
    """Build the plan of the one step that is done for each item of a loop that has its own action."""
    spec = step.spec
    return StepPlan(
        id=spec.id,
        work=work.plan(unit),
        name=spec.name or spec.id,
        retry=retry_of(unit, spec, work),
        timeout=timeout_of(unit, spec) if isinstance(work, ToolWork) else spec.timeout,
        on_failure=on_failure,
        on_error=plan_handlers(unit, step.handlers),
        on_resume=spec.on_resume,
        cache=cache_of(step),
        check=plan_check(step),
        line=spec.node.span.start.line,
    )


def retry_of(unit: Unit, spec: StepSpec, work: Construct) -> Retry:
    """The retry policy of a step that calls a tool."""
    defaults = unit.spec.defaults
    retry = spec.retry or (defaults.retry if defaults else None)
    if retry is None:
        return MODEL_RETRY if work.asks_models else Retry()
    return retry_from(retry)


def timeout_of(unit: Unit, spec: StepSpec) -> float | None:
    """How long an attempt of a step that calls a tool may take."""
    defaults = unit.spec.defaults
    return spec.timeout if spec.timeout is not None else (defaults.timeout if defaults else None)


def cache_of(step: StepParts) -> CachePolicy | None:
    """How the results of a step are shared across runs."""
    cache = step.spec.cache
    return CachePolicy(cache.ttl, step.cache_key, cache.scope) if cache is not None else None
