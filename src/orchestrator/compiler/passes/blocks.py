"""Reads, checks and plans blocks: lists of steps with their own scope, nested to any depth.

A block is read first, with all nested blocks, so that every name and dependency is known. Its steps are checked in an
order in which the types of the steps that a step reads are known. It is planned if there are no errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from orchestrator.compiler.ir.context import CompilationContext
from orchestrator.compiler.ir.cycles import report_cycles, topological_order
from orchestrator.compiler.ir.jumps import Between
from orchestrator.compiler.ir.names import UNKNOWN_STEP, entity_type, renamed_fields
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceBlock, SourceStep, SourceWork
from orchestrator.compiler.passes.dependencies import (
    add_declared_dependencies,
    add_jump_dependencies,
    add_order_dependencies,
    add_read_dependencies,
)
from orchestrator.compiler.passes.handlers import check_handlers, plan_handlers, read_handlers
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.limits import check_limits, limits_of_loop, read_limits
from orchestrator.compiler.passes.output_checks import check_output, plan_check, read_check
from orchestrator.compiler.passes.policies import budget_of, cache_of, known, retry_of, timeout_of
from orchestrator.compiler.passes.produced_files import check_produced_files, read_produced_files
from orchestrator.compiler.passes.undo import check_undo, read_undo
from orchestrator.compiler.rules.error_types import check_retry
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.plan.policies import OnFailure, RetryPolicy
from orchestrator.plan.steps import Block, StepPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.compiler.ir.nodes import BlockKind, NameScope
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.language.yaml.nodes import Node


WorkFactory = Callable[[CompilationContext, SourceStep], SourceWork]
"""Creates the work of a step of any kind."""


class StepExpansion(Protocol):
    """Inserts steps before those of the file, which ask for `<AUTO>` values."""

    def expanded(self, specs: Sequence[StepSpec], kind: BlockKind, owner: SourceStep | None) -> Sequence[StepSpec]:
        """Return the steps of a block with the inserted ones."""


class BlockCompiler:
    """The passes over the blocks of one file."""

    def __init__(
        self, context: CompilationContext, work_of: WorkFactory, expansion: StepExpansion | None = None
    ) -> None:
        self._context = context
        self._work_of = work_of
        self._expansion = expansion

    def read(
        self, kind: BlockKind, specs: Sequence[StepSpec], scope: NameScope, owner: SourceStep | None = None
    ) -> SourceBlock:
        """Read the steps of a block into `scope`, which becomes theirs, and all blocks within it."""
        context = self._context
        block = SourceBlock(kind, scope, owner)
        if self._expansion is not None:
            specs = self._expansion.expanded(specs, kind, owner)
        block.steps = [SourceStep(spec, block) for spec in specs]
        for position, spec in enumerate(specs):
            if spec.id and spec.id not in block.ids:
                node = child(spec.node, "id")
                if node is not None and not _is_a_case_of_its_own(node):
                    context.claim("step", spec.id, node.span, scope, within=owner.id if owner is not None else "")
                block.ids[spec.id] = position
        scope.enter(block, block.ids, UNKNOWN_STEP)
        for step in block.steps:
            context.steps.append(step)
            self._read_step(step)
            add_read_dependencies(context, step)
        return block

    def _read_step(self, step: SourceStep) -> None:
        context = self._context
        spec, scope = step.spec, step.block.scope
        node = spec.node
        step.work = self._work_of(context, step)
        if step.work.result_type is not None and spec.id and spec.id not in context.shared:
            step.block.scope.steps[spec.id] = renamed_fields(step.work.result_type, spec.result_names)
        inner = step.work.item_scope or scope
        step.fallback = context.value_at(node, ("on_failure", "value"), scope, step.templates)
        step.cache_key = context.value_at(node, ("cache", "key"), inner, step.templates)
        read_limits(context, step, inner)
        if spec.check is not None:
            step.check = read_check(context, step, spec.check, inner)
        if spec.produces:
            step.produces = read_produced_files(context, step, inner)
        condition = child(node, "condition")
        if condition is not None:
            step.condition = context.templates.condition(condition, scope, step.guards)
            node_text = getattr(condition, "value", "")
            step.block.conditions[spec.id] = str(node_text).strip().removeprefix("{{").removesuffix("}}").strip()
        if spec.on_error:
            step.handlers = read_handlers(context, spec.on_error, step.work.handler_scope or inner, step)
        if spec.undo:
            read_undo(context, step, inner)

    def check(self, block: SourceBlock) -> None:
        """Report the errors of the steps of a block, and determine their types."""
        context = self._context
        add_declared_dependencies(context, block)
        add_order_dependencies(context, block)
        add_jump_dependencies(context, block)
        for position in block.flow.covers:
            block.conditions.setdefault(block.steps[position].id, None)
        order = list(block.ids)
        report_cycles(block.flow, order, context.diagnostics)
        simple = all(step.work is not None and step.work.result_type is not None for step in block.steps)
        if simple:  # their types are known already
            for step in block.steps:
                self._check_step(step)
            return
        for id in topological_order(block.flow.edges, order):
            self._check_step(block.steps[block.ids[id]])
        for position, step in enumerate(block.steps):
            if block.ids.get(step.id) != position:  # it has no id, or that of another
                self._check_step(step)

    def _check_step(self, step: SourceStep) -> None:
        context = self._context
        scope, id = step.block.scope, step.id
        infer_types(context, step.guards)
        infer_types(context, step.templates)
        type_ = step.work.check() if step.work is not None else UNKNOWN_STEP
        if step.limits:
            check_limits(context, step)
        if step.check is not None:
            check_output(context, step, step.check, type_)
        if step.produces is not None:
            check_produced_files(context, step, step.produces, type_)
        if step.handlers:
            check_handlers(context, step.handlers)
        if step.undo is not None:
            check_undo(context, step, type_)
        if step.fallback is not None or step.handlers:
            type_ = entity_type(ANY, fields=type_.attributes)
        check_retry(child(step.spec.node, "retry"), context.diagnostics)
        if step.spec.result_names and (step.work is None or step.work.item_scope is None):
            type_ = renamed_fields(type_, step.spec.result_names)
        if id:
            scope.steps[id] = UNKNOWN_STEP if id in context.shared else type_

    def plan(self, block: SourceBlock) -> Block:
        """Build the plan of a block without errors."""
        ids = tuple(step.id for step in block.steps)
        return Block(tuple(self._plan_step(step, ids) for step in block.steps))

    def _plan_step(self, step: SourceStep, ids: tuple[str, ...]) -> StepPlan:
        """Build the plan of a step without errors; `ids` are those of all steps of its block."""
        context = self._context
        spec, work = step.spec, step.work
        if work is None:
            raise OrchestratorError(f"step `{spec.id}` has no work, and was not reported")
        jumps = step.block.flow.jumps.get(spec.id, {})
        targets = {kind: ids[jump.target] for kind, jump in jumps.items()}
        kind = spec.on_failure.kind if spec.on_failure else "fail"
        own, each = work.makes_attempts, work.item_scope is not None
        return StepPlan(
            id=spec.id,
            work=work.plan(),
            name=spec.name or spec.id,
            description=spec.description or "",
            dependencies=step.block.flow.dependencies(spec.id),
            condition=step.condition,
            retry=retry_of(context, spec, work) if own else RetryPolicy(),
            timeout=timeout_of(context, spec) if work.calls_tool else None if each else known(spec.timeout),
            on_failure=OnFailure(kind, value=step.fallback, target=targets.get("on_failure")),
            on_success=targets.get("on_success"),
            on_false=targets.get("on_false"),
            skips={kind: Between(ids, jump.source + 1, jump.end) for kind, jump in jumps.items()},
            on_error=() if each else plan_handlers(context, step.handlers),
            on_resume=_on_resume(step) if own else None,
            cache=cache_of(step) if own else None,
            check=None if each else plan_check(step),
            produces=() if each or step.produces is None else tuple(step.produces.paths),
            budget=budget_of(spec.budget),
            metadata=spec.metadata or {},
            limits=limits_of_loop(step.limits, on_loop=True) if each else step.limits,
            result_names={} if each else spec.result_names,
            line=spec.node.span.start.line,
            **({} if each else self._plan_undo(step)),
        )

    def _plan_undo(self, step: SourceStep) -> dict[str, Any]:
        undo = step.undo
        return {} if undo is None else {"undo": self.plan(undo.block), "undo_reads": undo.reads}

    def plan_item(self, step: SourceStep, work: SourceWork, on_failure: OnFailure) -> StepPlan:
        """Build the plan of the single step that runs for each item of a loop with its own action."""
        context = self._context
        spec = step.spec
        return StepPlan(
            id=spec.id,
            work=work.plan(),
            name=spec.name or spec.id,
            retry=retry_of(context, spec, work),
            timeout=timeout_of(context, spec) if work.calls_tool else known(spec.timeout),
            on_failure=on_failure,
            on_error=plan_handlers(context, step.handlers),
            on_resume=_on_resume(step),
            cache=cache_of(step),
            check=plan_check(step),
            produces=() if step.produces is None else tuple(step.produces.paths),
            limits=limits_of_loop(step.limits, on_loop=False),
            line=spec.node.span.start.line,
            **self._plan_undo(step),
        )


def _on_resume(step: SourceStep) -> Literal["rerun", "fail", "ask"] | None:
    return step.spec.on_resume if child(step.spec.node, "on_resume") is not None else None


def _is_a_case_of_its_own(node: Node) -> bool:
    """Return whether a step's id is from `true: {...}` or `null: {...}`, which no expression can refer to."""
    return isinstance(node, Scalar) and node.style == "synthetic" and node.text in ("true", "false", "null", "none")
