"""What an agent offers its model: the tools that it may request, and the step that each request becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions import Constant
from orchestrator.models.actions.agent import RESERVED_NAMES, offered_name, parameters_schema
from orchestrator.plan.agent_tools import CallPolicy
from orchestrator.plan.steps import StepPlan, SubPipeline, ToolCall
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.plan.agent_tools import AgentRole, AgentServer
    from orchestrator.plan.steps import Agent
    from orchestrator.runtime.values.scope import BlockScope
    from orchestrator.tools.contract import Tool

Target = ToolCall | SubPipeline


class Offer(Struct, frozen=True):
    """A tool that the model may request: its name, what it does, the JSON Schema of its parameters.

    `target` is the call with what is given in any case. The arguments of the model are added to that, or are the value
    of the parameter `within`.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    target: Target
    policy: CallPolicy
    within: str = ""

    def call(self, arguments: Mapping[str, Any]) -> Target:
        """Return the call with these arguments."""
        if isinstance(self.target, SubPipeline):
            return SubPipeline(self.target.source, Constant(dict(arguments)))
        fixed = self.target.parameters.value if isinstance(self.target.parameters, Constant) else {}
        given = {self.within: dict(arguments)} if self.within else arguments
        return ToolCall(self.target.tool, self.target.action, Constant({**fixed, **given}))

    def data(self) -> dict[str, Any]:
        """Return its description for the model."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


def own_offers(agent: Agent | AgentRole) -> dict[str, Offer]:
    """Return the actions and pipelines of an agent by their names."""
    found = {}
    for one in agent.tools:
        described = one.description or one.action.description
        target = ToolCall(one.tool, one.action, Constant({}))
        found[one.name] = Offer(one.name, described, parameters_schema(one.action), target, one.policy)
    for called in agent.pipelines:
        target_ = SubPipeline(called.source, Constant({}))
        found[called.name] = Offer(called.name, called.description, called.inputs, target_, called.policy)
    return found


def listings(agent: Agent) -> list[StepPlan]:
    """Return the steps that ask the servers of an agent, and of those that it can hand over to, what they offer."""
    names = dict.fromkeys(one.server for each in agent.everyone for one in each.servers)
    if not names:
        return []
    tool = mcp_tool()
    return [
        StepPlan(_listing_id(name), ToolCall(tool, tool.actions["list"], Constant({"server": name}))) for name in names
    ]


def server_offers(servers: Iterable[AgentServer], scope: BlockScope, taken: Mapping[str, Offer]) -> dict[str, Offer]:
    """Return what the servers offer, as their `listings` in this scope say. `taken` are the names of other tools.

    Raises:
        StepError: ORC731, a server does not offer the tool that the agent names.
    """
    tool = mcp_tool()
    offers: dict[str, Offer] = {}
    for wanted in servers:
        found = scope.steps[_listing_id(wanted.server)].attributes["outputs"]["tools"]
        names = [each["name"] for each in found]
        if wanted.tool is not None and wanted.tool not in names:
            raise StepError(
                f"the server `{wanted.server}` offers no tool `{wanted.tool}`",
                code=codes.MCP_SERVER_FAILED,
                help=f"it offers {quoted_list(names) or 'none'}",
                retryable=False,
            )
        for each in found:
            if wanted.tool in (None, each["name"]):
                name = offered_name(f"{wanted.server}_{each['name']}", {*taken, *offers, *RESERVED_NAMES})
                fixed = Constant({"server": wanted.server, "tool": each["name"]})
                target = ToolCall(tool, tool.actions["call"], fixed)
                offers[name] = Offer(
                    name, each["description"], each["parameters"], target, wanted.policy, within="arguments"
                )
    return offers


def hand_over_name(role: str) -> str:
    """Return the name under which the hand-over to an agent is offered."""
    return offered_name(f"hand_over_to_{role}", ())


def hand_over_data(role: AgentRole) -> dict[str, Any]:
    """Return the description of the hand-over to an agent, for a model."""
    reason = {"type": "string", "description": "Why the other agent is to continue."}
    return {
        "name": hand_over_name(role.name),
        "description": f"Hand over the conversation to the agent `{role.name}`, who continues it: {role.description}",
        "parameters": {"type": "object", "properties": {"reason": reason}, "additionalProperties": False},
    }


def mcp_tool() -> Tool:
    """Return the tool that calls servers, whatever the registry has of that name."""
    from orchestrator.tools import builtin_registry

    tool = builtin_registry().get("mcp")
    if tool is None:
        raise TypeError("the built-in tool `mcp` is missing")
    return tool


def _listing_id(server: str) -> str:
    return f"mcp_{server}"
