"""Steps that call an action of a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import CallChecker, fields_of, returned_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.models import complete_call
from orchestrator.compiler.passes.prompt_files import with_prompts
from orchestrator.compiler.rules.code_injection import CODE, check_code
from orchestrator.compiler.rules.mcp_servers import check_server
from orchestrator.compiler.rules.shell_injection import check_shell
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import Constant, Type, Value
from orchestrator.plan.steps import ToolCall

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, SourceStep
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.language.yaml.nodes import Node


def read_call(context: CompilationContext, step: SourceStep, scope: NameScope | None = None) -> SourceWork:
    """Read a call; `scope` is that of its parameters, if it differs from the scope of the step."""
    if _is_agent(step.spec):
        from orchestrator.compiler.steps.agents import AgentWork  # loads what there is about models

        return AgentWork(context, step, scope)
    return ToolWork(context, step, scope)


def _is_agent(spec: StepSpec) -> bool:
    if spec.tool is None:
        return spec.action in ("agent", "model.agent")
    return spec.tool == "model" and spec.action == "agent"


class ToolWork(SourceWork):
    """A call; `scope` is that of its parameters, if it differs from the scope of the step."""

    def __init__(self, context: CompilationContext, step: SourceStep, scope: NameScope | None = None) -> None:
        super().__init__()
        self._context = context
        self.makes_attempts = self.calls_tool = True
        self.step, self.spec = step, step.spec
        self.call = CallChecker(context).resolve(step.spec)
        action = self.call[1] if self.call else None
        self.asks_models = action is not None and action.uses_model
        node = child(step.spec.node, "parameters")
        node = with_prompts(context, node) if self.asks_models else node
        names = scope or step.block.scope
        self.parameters: Value = Constant({}) if node is None else context.value(node, names, self.places)
        self._type = self.result_type = context.session.step_type(
            action, None if action is None else returned_type(action, self.parameters)
        )

    def check(self) -> Type:
        """Check the parameters against the action."""
        types = infer_types(self._context, self.places)
        if self.call is not None:
            tool, action = self.call
            self.parameters = CallChecker(self._context).check(self.spec, tool, action, self.parameters, types)
            if tool.name == "mcp":
                self._check_server()
            if tool.name == "terminal":
                check_shell(self._context, self.step, self.places)
            elif (label := f"{tool.name}.{action.name}") in CODE:
                check_code(self._context, self.step, label, self.places)
            if action.uses_model:
                self.parameters = complete_call(self._context, self.step, tool.name, action, self.parameters)
                self.model = fields_of(self.parameters).get("model")
        return self._type

    def _check_server(self) -> None:
        server = fields_of(self.parameters).get("server")
        node = child(self.spec.node, "parameters", "server")
        if isinstance(server, Constant) and isinstance(server.value, str) and node is not None:
            check_server(self._context, node, server.value)

    def files_read(self) -> list[Node]:
        """Return the nodes of the parameters that the action reads as files."""
        reads = self.call[1].reads if self.call is not None else ()
        found = (child(self.spec.node, "parameters", name) for name in reads)
        return [node for node in found if node is not None]

    def plan(self) -> ToolCall:
        """Build the call."""
        if self.call is None:
            raise OrchestratorError(f"step `{self.spec.id}` has no work, and was not reported")
        return ToolCall(*self.call, self.parameters)
