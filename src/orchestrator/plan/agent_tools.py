"""What the model of an agent can call, each tool with its policy, and the agents that it can hand over to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from orchestrator.expressions import Template, Value
from orchestrator.tools.contract import Action, Tool

APPROVAL: Final = "_approval"
"""What the id of the step that asks a person about a call has after the id of the call."""


class CallPolicy(Struct, frozen=True):
    """The policy for the calls of one tool. The defaults neither limit nor ask.

    `approve` is whether a person approves each call, or a condition that reads its `arguments`. `max_calls` is how
    often the model can request the tool, and `timeout` the time of one call in seconds.
    """

    approve: Template | bool = False
    max_calls: int | None = None
    timeout: float | None = None


class AgentTool(Struct, frozen=True):
    """An action that the model of an agent can call by this name; without a description it has that of the action."""

    name: str
    tool: Tool
    action: Action
    description: str = ""
    policy: CallPolicy = CallPolicy()


class AgentServer(Struct, frozen=True):
    """A tool server that the model of an agent can use: one of its tools, or all."""

    server: str
    tool: str | None = None
    policy: CallPolicy = CallPolicy()


class AgentPipeline(Struct, frozen=True):
    """A pipeline that the model of an agent can call by this name. `source` is its file, `inputs` their JSON Schema."""

    name: str
    source: str
    description: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    policy: CallPolicy = CallPolicy()


class AgentRole(Struct, frozen=True):
    """An agent that another one can hand over to, with the conversation.

    `parameters` replace those of the first agent with the same names; the tools are its own alone.
    """

    name: str
    description: str
    parameters: Value
    tools: tuple[AgentTool, ...] = ()
    servers: tuple[AgentServer, ...] = ()
    pipelines: tuple[AgentPipeline, ...] = ()
