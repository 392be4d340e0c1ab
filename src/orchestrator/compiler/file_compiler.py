"""The passes over one file: read it, check it, plan it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.ir.names import ENDED_RUN, HANDLED_ERROR, STEP, nullable
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope
from orchestrator.compiler.passes.blocks import BlockCompiler, WorkFactory
from orchestrator.compiler.passes.declarations import check_outputs, declare_inputs, declare_variables
from orchestrator.compiler.passes.handlers import check_handlers, plan_handlers, read_handlers
from orchestrator.compiler.passes.models import check_models
from orchestrator.compiler.passes.notices import check_notices, plan_notices
from orchestrator.compiler.passes.policies import budget_of
from orchestrator.compiler.passes.run_settings import check_concurrency, check_labels
from orchestrator.compiler.passes.triggers import check_triggers, plan_triggers
from orchestrator.compiler.rules.error_types import check_retry
from orchestrator.compiler.rules.unresolved_names import report_unknown_reads
from orchestrator.compiler.rules.unused import report_usage
from orchestrator.errors import OrchestratorError
from orchestrator.language.values.auto_markup import has_tag
from orchestrator.plan.model import Plan

if TYPE_CHECKING:
    from orchestrator.compiler.auto.insertion import FileAutos
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.diagnostics import Diagnostic
    from orchestrator.language.spec.model_options import Models


class FileCompiler:
    """Compiles one file; `work_of` creates the work of a step of any kind."""

    def __init__(self, context: CompilationContext, work_of: WorkFactory) -> None:
        self.context = context
        self._autos = _autos_of(context)
        self._blocks = BlockCompiler(context, work_of, self._autos)
        context.blocks = self._blocks

    def open(self) -> None:
        """Read all steps, and the files that they call."""
        context = self.context
        declare_inputs(context)
        declare_variables(context)
        scope = NameScope(context.scope, {"step": STEP})
        context.block = self._blocks.read("pipeline", context.spec.steps, scope)
        at_end = NameScope(scope, {"run": ENDED_RUN, "error": nullable(HANDLED_ERROR)})
        if context.spec.finally_:
            context.finally_ = self._blocks.read("finally", context.spec.finally_, at_end)
        if context.spec.error_handlers:
            context.handlers = read_handlers(context, context.spec.error_handlers, scope)

    def check(self) -> None:
        """Report every error of the file. Called files must have been checked."""
        context = self.context
        if context.block is not None:
            self._blocks.check(context.block)
        if context.finally_ is not None:
            self._blocks.check(context.finally_)
        check_handlers(context, context.handlers)
        check_retry(child(context.spec.node, "defaults", "retry"), context.diagnostics, within="`defaults`")
        check_outputs(context)
        check_labels(context)
        check_concurrency(context)
        check_triggers(context)
        check_notices(context)
        check_models(context)
        report_unknown_reads(context)
        report_usage(context)
        if self._autos is not None:
            self._autos.report()

    def plan(self) -> Plan:
        """Build the plan of a file without errors, without called pipelines."""
        context = self.context
        spec, defaults = context.spec, context.spec.defaults
        if context.block is None:
            raise OrchestratorError(f"`{context.document.source.name}` was not checked")
        return Plan(
            id=spec.id or "pipeline",
            name=spec.name or spec.id or "pipeline",
            description=spec.description or "",
            version=str(spec.version or ""),
            source_name=context.key or context.document.source.name,
            source_text=context.document.source.text,
            directory=context.session.directory,
            digest="",
            steps=self._blocks.plan(context.block).steps,
            inputs=dict(spec.inputs),
            variables=context.variables,
            outputs=context.outputs,
            finally_=self._blocks.plan(context.finally_) if context.finally_ is not None else None,
            error_handlers=plan_handlers(context, context.handlers),
            max_parallel=defaults.max_parallel if defaults else None,
            budget=budget_of(spec.budget),
            timeout=spec.timeout,
            labels=tuple(context.labels),
            concurrency=context.concurrency,
            triggers=plan_triggers(context),
            notify=plan_notices(context),
            judge_models=_named(spec.judge_model or spec.model),
            metadata=spec.metadata or {},
            prompts=dict(context.prompts),
            autos=tuple(self._autos.values) if self._autos is not None else (),
            lock=self._autos.lock if self._autos is not None else None,
        )

    def found(self) -> list[Diagnostic]:
        """Return all diagnostics of the file and of its lock."""
        return [*self.context.diagnostics.items, *(self._autos.diagnostics if self._autos is not None else ())]


def _named(models: Models | None) -> tuple[str, ...]:
    return (models,) if isinstance(models, str) else tuple(models or ())


def _autos_of(context: CompilationContext) -> FileAutos | None:
    """Return the `<AUTO>` values of a file, None if it has none."""
    if not has_tag(context.document.source.text):
        return None
    from orchestrator.compiler.auto.insertion import FileAutos  # few files have any

    return FileAutos(context)
