"""The tools that the model of an agent is offered: the entries of its `tools`, resolved and named."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.rules.mcp_servers import check_server
from orchestrator.compiler.rules.name_hints import YOUR_OWN
from orchestrator.compiler.steps.agent_tools import missing_secrets, schema_of_pipeline
from orchestrator.diagnostics import suggest
from orchestrator.models.actions.agent import AGENT, RESERVED_NAMES, offered_name
from orchestrator.plan.agent_tools import AgentPipeline, AgentServer, AgentTool
from orchestrator.text.words import quoted_list
from orchestrator.tools import Unresolved, missing_requirement
from orchestrator.tools.builtin import mcp
from orchestrator.tools.functions.definition import to_action
from orchestrator.tools.mcp import load_servers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.steps.agent_tools import ListedTool
    from orchestrator.language.yaml.nodes import Node
    from orchestrator.remedies import Remedy
    from orchestrator.tools.contract import Action, Tool

SERVER = "mcp:"
_CALL = to_action(mcp.call)

Names = dict[tuple[str, str, str], str]
"""The names that are taken, by the tool and the action, or the file of a pipeline, and the name that was wanted."""


class AgentToolset:
    """The tools of one agent. Agents of one step share `names`, so that a name means the same for all of them."""

    def __init__(self, context: CompilationContext, names: Names) -> None:
        self._context = context
        self._names = names
        self.tools: dict[tuple[str, str], AgentTool] = {}
        self.servers: dict[tuple[str, str], AgentServer] = {}
        self.pipelines: dict[str, AgentPipeline] = {}

    def add(self, entries: Iterable[ListedTool]) -> None:
        """Resolve the entries of a list, and report what cannot be offered."""
        for entry in entries:
            if entry.called is not None:
                self._offer_pipeline(entry, entry.called)
            elif entry.written.startswith(SERVER):
                self._read_server(entry, entry.written.removeprefix(SERVER))
            else:
                self._read_tool(entry, entry.written)

    def possible_calls(self) -> list[tuple[str, str]]:
        """Return the calls that the model can ask for."""
        return [*self.tools, *(("mcp", "call") for _ in self.servers)]

    def _offer_pipeline(self, entry: ListedTool, called: CompilationContext) -> None:
        if called.key is None or not called.is_declared:
            return  # what is wrong with it is reported in its file
        for secret in missing_secrets(called):
            help = f"give it a `default_from_env`: `{secret}: {{secret: true, default_from_env: ...}}`"
            message = f"no model can give `{entry.written}` its secret `{secret}`"
            self._refuse(entry.node, message, help, label="a secret")
        default = called.spec.id or PurePath(called.key).stem
        name = self._free_name(entry.name or default, called.key)
        description = entry.description or called.spec.description or called.spec.name or f"Run `{default}`."
        schema = schema_of_pipeline(called)
        self.pipelines[name] = AgentPipeline(name, called.key, description, schema, entry.policy)

    def _free_name(self, wanted: str, *key: str) -> str:
        one, two = (*key, "")[:2]
        if (one, two, wanted) not in self._names:
            self._names[one, two, wanted] = offered_name(wanted, {*self._names.values(), *RESERVED_NAMES})
        return self._names[one, two, wanted]

    def _read_server(self, entry: ListedTool, name: str) -> None:
        node = entry.node
        server, dot, tool = name.partition(".")
        if check_server(self._context, node, server, lambda near: f"{SERVER}{near}{dot}{tool}"):
            self._refuse_name(entry)
            self.servers.setdefault((server, tool), AgentServer(server, tool or None, entry.policy))
            self._check_extra(node, _CALL)

    def _read_tool(self, entry: ListedTool, name: str) -> None:
        node = entry.node
        registry = self._context.session.registry
        tool = registry.get(name.partition(".")[0])
        if tool is not None and "." not in name:
            if tool.only_action is None:
                self._refuse_name(entry)
            for action in tool.actions.values():
                if action is not AGENT:
                    self._offer(entry, tool, action)
            return
        found = registry.resolve(None, name)
        if not isinstance(found, Unresolved) and found[1] is AGENT:
            help = "list the tools of that agent here"
            self._refuse(node, "an agent is a step, not a tool", help, label="not a tool")
            return
        if not isinstance(found, Unresolved):
            self._offer(entry, *found)
            return
        head, _, tail = name.partition(".")
        near = suggest(tail if tool is not None else head, found.candidates)
        meant = None if near is None else f"{head}.{near}" if tool is not None else near + name[len(head) :]
        if head in load_servers(self._context.session.permissions.directory):
            meant = f"{SERVER}{name}"
        kind = "actions" if tool is not None else "tools"
        help = f"did you mean `{meant}`?" if meant else f"{kind}: {quoted_list(sorted(found.candidates))}"
        remedies = () if meant or tool is not None else YOUR_OWN
        self._refuse(node, found.message, help, replacement=meant, remedies=remedies)

    def _offer(self, entry: ListedTool, tool: Tool, action: Action) -> None:
        if (tool.name, action.name) not in self.tools:
            default = tool.name if tool.only_action is action else f"{tool.name}_{action.name}"
            name = self._free_name(entry.name or default, tool.name, action.name)
            self.tools[tool.name, action.name] = AgentTool(name, tool, action, entry.description, entry.policy)
            self._check_extra(entry.node, action)

    def _refuse_name(self, entry: ListedTool) -> None:
        """Report a name or a description of several tools at once, or of one that its server describes."""
        if entry.name or entry.description:
            message = f"`name` and `description` do not apply to `{entry.written}`"
            self._refuse(entry.node, message, "they are for one action, or for a pipeline", label="has its own names")

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
