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
from orchestrator.compiler.rules.mcp_servers import check_server
from orchestrator.compiler.rules.name_hints import YOUR_OWN
from orchestrator.diagnostics import suggest
from orchestrator.expressions import STRING, Constant, MappingValue, Type, Value
from orchestrator.language.yaml.nodes import Scalar, Sequence
from orchestrator.models.actions.agent import AGENT, MAX_TURNS, OWN_PARAMETERS, RESERVED_NAMES, offered_name
from orchestrator.plan.steps import Agent, AgentServer, AgentTool
from orchestrator.text.words import quoted_list
from orchestrator.tools import Unresolved, missing_requirement
from orchestrator.tools.builtin import mcp
from orchestrator.tools.contract import Tool
from orchestrator.tools.functions.definition import to_action
from orchestrator.tools.mcp import load_servers

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, SourceStep
    from orchestrator.language.yaml.nodes import Node
    from orchestrator.remedies import Remedy
    from orchestrator.tools.contract import Action

_SERVER = "mcp:"
_FORMS = (
    "write the names of tools (`http`), of actions (`http.get`) and of servers (`mcp:files`, `mcp:files.read_file`)"
)
_TOOL = Tool(AGENT.name, {AGENT.name: AGENT})  # so messages say `agent`
_CALL = to_action(mcp.call)


class AgentWork(SourceWork):
    """`action: agent`; `scope` is that of its parameters, if it differs from the scope of the step."""

    def __init__(self, context: CompilationContext, step: SourceStep, scope: NameScope | None = None) -> None:
        super().__init__()
        self._context = context
        self.makes_attempts = self.asks_models = True
        self.step, self.spec = step, step.spec
        node = child(step.spec.node, "parameters")
        parameters = context.value_at(step.spec.node, ("parameters",), scope or step.block.scope, self.places)
        self.parameters: Value = Constant({}) if parameters is None else parameters
        self.tools: dict[tuple[str, str], AgentTool] = {}
        self.servers: dict[AgentServer, None] = {}
        self._listed = child(node, "tools")

    def check(self) -> Type:
        """Check the parameters and the tools of the agent."""
        types = infer_types(self._context, self.places)
        self.parameters = CallChecker(self._context).check(self.spec, _TOOL, AGENT, self.parameters, types)
        self.parameters = complete_call(self._context, self.step, "model", AGENT, self.parameters)
        self.model = fields_of(self.parameters).get("model")
        if isinstance(self._listed, Sequence):
            for item in self._listed.items:
                self._read(item)
        elif self._listed is not None and "{{" in getattr(self._listed, "text", ""):  # others are of a wrong type
            help = f"they must be known before the run: {_FORMS}"
            self._refuse(self._listed, f"the tools of `{self.spec.id}` are not a list", help, label="not a list")
        given = fields_of(self.parameters)
        known = {name: value.value for name, value in given.items() if isinstance(value, Constant)}
        whole = AGENT.result_type(known) if AGENT.result_type is not None else AGENT.returns
        value = whole.properties.get("data", STRING)
        return entity_type(value, result=whole, fields=whole.properties)

    def _read(self, node: Node) -> None:
        """Read one entry of the list."""
        text = node.value if isinstance(node, Scalar) else None
        if not isinstance(text, str) or "{{" in text or not text.strip():
            self._refuse(node, f"this is not the name of a tool for `{self.spec.id}`", _FORMS, label="not a name")
        elif text.startswith(_SERVER):
            self._read_server(node, text.removeprefix(_SERVER))
        else:
            self._read_tool(node, text)

    def _read_server(self, node: Node, name: str) -> None:
        server, dot, tool = name.partition(".")
        if check_server(self._context, node, server, lambda near: f"{_SERVER}{near}{dot}{tool}"):
            self.servers.setdefault(AgentServer(server, tool or None))
            self._check_extra(node, _CALL)

    def _read_tool(self, node: Node, name: str) -> None:
        registry = self._context.session.registry
        tool = registry.get(name.partition(".")[0])
        if tool is not None and "." not in name:
            for action in tool.actions.values():
                if action is not AGENT:
                    self._offer(node, tool, action)
            return
        found = registry.resolve(None, name)
        if not isinstance(found, Unresolved) and found[1] is AGENT:
            help = "list the tools of that agent here"
            self._refuse(node, "an agent is a step, not a tool", help, label="not a tool")
            return
        if not isinstance(found, Unresolved):
            self._offer(node, *found)
            return
        head, _, tail = name.partition(".")
        near = suggest(tail if tool is not None else head, found.candidates)
        meant = None if near is None else f"{head}.{near}" if tool is not None else near + name[len(head) :]
        if head in load_servers(self._context.session.permissions.directory):
            meant = f"{_SERVER}{name}"
        kind = "actions" if tool is not None else "tools"
        help = f"did you mean `{meant}`?" if meant else f"{kind}: {quoted_list(sorted(found.candidates))}"
        remedies = () if meant or tool is not None else YOUR_OWN
        self._refuse(node, found.message, help, replacement=meant, remedies=remedies)

    def _offer(self, node: Node, tool: Tool, action: Action) -> None:
        if (tool.name, action.name) not in self.tools:
            taken = {one.name for one in self.tools.values()} | RESERVED_NAMES
            name = tool.name if tool.only_action is action else f"{tool.name}_{action.name}"
            self.tools[tool.name, action.name] = AgentTool(offered_name(name, taken), tool, action)
            self._check_extra(node, action)

    def _check_extra(self, node: Node, action: Action) -> None:
        missing = missing_requirement(action)
        if missing is not None:
            self._context.diagnostics.add(
                codes.TOOL_EXTRA_MISSING,
                node.span,
                missing.message,
                label="not installed",
                help=missing.help,
                remedies=missing.remedies,
            )

    def _refuse(
        self,
        node: Node,
        message: str,
        help: str,
        *,
        label: str = "unknown tool",
        replacement: str | None = None,
        remedies: tuple[Remedy, ...] = (),
    ) -> None:
        self._context.diagnostics.add(
            codes.UNUSABLE_AGENT_TOOL,
            node.span,
            message,
            label=label,
            help=help,
            replacement=replacement,
            remedies=remedies,
        )

    def possible_calls(self) -> list[tuple[str, str]]:
        """Return the calls that the model can ask for."""
        return [*self.tools, *(("mcp", "call") for _ in self.servers)]

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
            tools=tuple(self.tools.values()),
            servers=tuple(self.servers),
            max_turns=given.get("max_turns", Constant(MAX_TURNS)),
            parallel=not isinstance(parallel, Constant) or bool(parallel.value),
            timeout=defaults.timeout if defaults else None,
        )
