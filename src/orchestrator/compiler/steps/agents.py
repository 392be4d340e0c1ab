"""Agents: steps whose model can call tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import CallChecker, fields_of
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.models import complete_call
from orchestrator.compiler.passes.prompt_files import with_prompts
from orchestrator.compiler.steps.agent_roles import SourceRole, read_roles
from orchestrator.compiler.steps.agent_tools import FORMS, ListedTool, read_tools
from orchestrator.compiler.steps.offered_tools import AgentToolset
from orchestrator.expressions import STRING, Constant, MappingValue, Type, Value
from orchestrator.language.yaml.nodes import Mapping, Sequence
from orchestrator.models.actions.agent import AGENT, MAX_TURNS, OWN_PARAMETERS
from orchestrator.plan.steps import Agent
from orchestrator.tools.contract import Tool

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, SourceStep
    from orchestrator.compiler.steps.offered_tools import Names

_TOOL = Tool(AGENT.name, {AGENT.name: AGENT})  # so messages say `agent`


class AgentWork(SourceWork):
    """`action: agent`; `scope` is that of its parameters, if it differs from the scope of the step."""

    def __init__(self, context: CompilationContext, step: SourceStep, scope: NameScope | None = None) -> None:
        super().__init__()
        self._context = context
        self.makes_attempts = self.asks_models = True
        self.step, self.spec = step, step.spec
        node = with_prompts(context, child(step.spec.node, "parameters"))
        names = scope or step.block.scope
        self._listed = child(node, "tools")
        self._entries: list[ListedTool] = []
        self._roles: list[SourceRole] = []
        read: dict[str, Value] = {}
        if isinstance(self._listed, Sequence):
            self._entries = read_tools(context, step.spec.id, self._listed, names, self.places)
            read["tools"] = Constant([])
        if isinstance(listed := child(node, "hand_over"), Mapping):
            self._roles = read_roles(context, step, listed, names, self.places)
            read["hand_over"] = Constant({})
        if isinstance(node, Mapping):
            value = context.value(node.without(read), names, self.places)
            self.parameters: Value = MappingValue({**fields_of(value), **read})
        else:
            self.parameters = Constant({}) if node is None else context.value(node, names, self.places)
        entries = [*self._entries, *(entry for role in self._roles for entry in role.entries)]
        self.offers_pipelines = any(entry.called is not None for entry in entries)
        taken: Names = {}
        self._own = AgentToolset(context, taken)
        self._offered = [AgentToolset(context, taken) for _ in self._roles]

    def check(self) -> Type:
        """Check the parameters and the tools of the agent."""
        types = infer_types(self._context, self.places)
        checker = CallChecker(self._context)
        self.parameters = checker.check(self.spec, _TOOL, AGENT, self.parameters, types)
        self.parameters = complete_call(self._context, self.step, "model", AGENT, self.parameters)
        self.model = fields_of(self.parameters).get("model")
        if self._listed is not None and not self._entries and "{{" in getattr(self._listed, "text", ""):
            self._context.diagnostics.add(
                codes.UNUSABLE_AGENT_TOOL,
                self._listed.span,
                f"the tools of `{self.spec.id}` are not a list",
                label="not a list",
                help=f"they must be known before the run: {FORMS}",
            )
        self._own.add(self._entries)
        for role, offered in zip(self._roles, self._offered, strict=True):
            role.check(self._context, self.step, types)
            offered.add(role.entries)
        given = fields_of(self.parameters)
        known = {name: value.value for name, value in given.items() if isinstance(value, Constant)}
        whole = AGENT.result_type(known) if AGENT.result_type is not None else AGENT.returns
        value = whole.properties.get("data", STRING)
        return entity_type(value, result=whole, fields=whole.properties)

    def possible_calls(self) -> list[tuple[str, str]]:
        """Return the calls that the model can ask for."""
        return [call for offered in (self._own, *self._offered) for call in offered.possible_calls()]

    def plan(self) -> Agent:
        """Build the agent."""
        given = fields_of(self.parameters)
        asked = {name: value for name, value in given.items() if name not in OWN_PARAMETERS}
        constant = all(isinstance(value, Constant) for value in asked.values())
        parallel = given.get("parallel", Constant(True))
        defaults = self._context.spec.defaults
        return Agent(
            parameters=Constant({name: value.value for name, value in asked.items() if isinstance(value, Constant)})
            if constant
            else MappingValue(asked),
            tools=tuple(self._own.tools.values()),
            servers=tuple(self._own.servers.values()),
            pipelines=tuple(self._own.pipelines.values()),
            roles=tuple(role.plan(offered) for role, offered in zip(self._roles, self._offered, strict=True)),
            max_turns=given.get("max_turns", Constant(MAX_TURNS)),
            parallel=not isinstance(parallel, Constant) or bool(parallel.value),
            timeout=defaults.timeout if defaults else None,
        )
