"""The agents that an agent can hand over to: `hand_over: {refunds: {description: ..., system: ..., tools: [...]}}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import CallChecker, fields_of
from orchestrator.compiler.passes.models import note_model
from orchestrator.compiler.passes.prompt_files import with_prompts
from orchestrator.compiler.steps.agent_tools import FORMS, ListedTool, read_tools
from orchestrator.diagnostics import suggest
from orchestrator.expressions import Constant, MappingValue, Value
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.model_options import ProfileSpec
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence
from orchestrator.models.actions.agent import AGENT
from orchestrator.plan.agent_tools import AgentRole
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingABC

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate, SourceStep
    from orchestrator.compiler.steps.offered_tools import AgentToolset
    from orchestrator.expressions import Type

_KEYS: Final = ("description", "tools", *key_fields(ProfileSpec))


class SourceRole(Struct, eq=False):
    """One of these agents: its settings, and the entries of its tools. `node` is what it is written as."""

    name: str
    node: Mapping
    description: str = ""
    settings: Value = field(default_factory=lambda: Constant({}))
    entries: list[ListedTool] = field(default_factory=list)

    def check(self, context: CompilationContext, step: SourceStep, types: MappingABC[int, Type]) -> None:
        """Check the settings."""
        checker, checked = CallChecker(context), {}
        for name, value in fields_of(self.settings).items():
            place = child(self.node, name)
            checked[name] = value
            if place is not None:
                what = f"`{name}` of the agent `{self.name}`"
                checked[name] = checker.typed(value, AGENT.parameters[name].type, place, what, types)
        self.settings = MappingValue(checked)
        if (model := child(self.node, "model")) is not None:
            note_model(context, step, model)

    def plan(self, offered: AgentToolset) -> AgentRole:
        """Build the agent, with the tools that it offers."""
        return AgentRole(
            self.name,
            self.description,
            self.settings,
            tuple(offered.tools.values()),
            tuple(offered.servers.values()),
            tuple(offered.pipelines.values()),
        )


def read_roles(
    context: CompilationContext, step: SourceStep, listed: Mapping, scope: NameScope, places: list[PlacedTemplate]
) -> list[SourceRole]:
    """Read the agents by name. `places` gets the templates in their settings and in the policies of their tools."""
    found = []
    for entry in listed.entries:
        name, node = entry.key.text, entry.value
        if not name.replace("-", "_").isidentifier():
            _refuse(context, entry.key, f"`{name}` cannot be the name of an agent", "use letters, digits and `_`")
        elif not isinstance(node, Mapping):
            help = "write `{description: ..., system: ..., tools: [...]}`"
            _refuse(context, node, f"the agent `{name}` must be a mapping", help)
        else:
            found.append(_role(context, step, name, node, scope, places))
    return found


def _role(
    context: CompilationContext,
    step: SourceStep,
    name: str,
    node: Mapping,
    scope: NameScope,
    places: list[PlacedTemplate],
) -> SourceRole:
    role = SourceRole(name, node)
    for entry in node.entries:
        if entry.key.text not in _KEYS:
            near = suggest(entry.key.text, _KEYS)
            help = f"did you mean `{near}`?" if near else f"its keys: {quoted_list(_KEYS)}"
            _refuse(context, entry.key, f"unknown key `{entry.key.text}` of the agent `{name}`", help, replacement=near)
    described = child(node, "description")
    text = described.value if isinstance(described, Scalar) else None
    if not isinstance(text, str) or not text.strip() or "{{" in text:
        help = "add `description:`, a text that says when to hand over to it"
        _refuse(context, described or node, f"the agent `{name}` has no description", help)
    else:
        role.description = text
    tools = child(node, "tools")
    if isinstance(tools, Sequence):
        role.entries = read_tools(context, step.spec.id, tools, scope, places)
    elif tools is not None:
        _refuse(context, tools, f"the tools of the agent `{name}` are not a list", FORMS)
    settings = with_prompts(context, node.without(["description", "tools"]))
    if settings is not None:
        known = fields_of(context.value(settings, scope, places))
        role.settings = MappingValue({key: value for key, value in known.items() if key in _KEYS})
    return role


def _refuse(
    context: CompilationContext, node: Node, message: str, help: str, *, replacement: str | None = None
) -> None:
    context.diagnostics.add(
        codes.UNUSABLE_AGENT_TOOL, node.span, message, label="this agent", help=help, replacement=replacement
    )
