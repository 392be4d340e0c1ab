"""The entries of `tools` of an agent: a name, or a mapping with a tool or a pipeline and the policy for its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.compiler.ir.context import CompilationContext
from orchestrator.compiler.ir.files import Unreadable
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope
from orchestrator.compiler.passes.library import find_pipeline, record_call
from orchestrator.diagnostics import suggest
from orchestrator.language.spec.input_schema import inputs_schema
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence
from orchestrator.plan.agent_tools import CallPolicy
from orchestrator.text.durations import parse_duration
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.nodes import PlacedTemplate
    from orchestrator.expressions import Template

Kind = Literal["tool", "pipeline"]

ARGUMENTS: Final = "arguments"
"""The name of the arguments of a call in the condition of its approval."""

FORMS: Final = (
    "write the names of tools (`http`), of actions (`http.get`) and of servers (`mcp:files`, `mcp:files.read_file`), "
    "or mappings such as `{tool: http.post, approve: true}` and `{pipeline: refund.yaml, max_calls: 1}`"
)

_KEYS: Final = ("tool", "pipeline", "name", "description", "approve", "max_calls", "timeout")


class ListedTool(Struct, eq=False):
    """One entry: the node and the text that name what the model can call, and the policy for the calls."""

    kind: Kind
    node: Node
    written: str
    name: str = ""
    description: str = ""
    policy: CallPolicy = field(default_factory=CallPolicy)
    called: CompilationContext | None = None


def read_tools(
    context: CompilationContext, step: str, listed: Sequence, scope: NameScope, places: list[PlacedTemplate]
) -> list[ListedTool]:
    """Read the entries of the list, and the pipelines that they name. `places` gets the conditions of approvals."""
    reader = _Reader(context, step, scope, places)
    return [found for item in listed.items if (found := reader.entry(item)) is not None]


class _Reader:
    """Reads the entries of one agent, the step `step`."""

    def __init__(self, context: CompilationContext, step: str, scope: NameScope, places: list[PlacedTemplate]) -> None:
        self._context = context
        self._step = step
        self._places = places
        self._scope = NameScope(scope)
        context.declare_within(self._scope, "arguments of a call", ARGUMENTS, None, step)

    def entry(self, node: Node) -> ListedTool | None:
        if isinstance(node, Mapping):
            return self._mapping(node)
        written = _name(node)
        if written is None:
            self._refuse(node, f"this is not the name of a tool for `{self._step}`", FORMS, label="not a name")
            return None
        return ListedTool("tool", node, written)

    def _mapping(self, node: Mapping) -> ListedTool | None:
        for entry in node.entries:
            if entry.key.text not in _KEYS:
                near = suggest(entry.key.text, _KEYS)
                help = f"did you mean `{near}`?" if near else f"its keys: {quoted_list(_KEYS)}"
                self._refuse(entry.key, f"unknown key `{entry.key.text}` of a tool", help, replacement=near)
        kinds: list[Kind] = [kind for kind in ("tool", "pipeline") if kind in node.table]
        if len(kinds) != 1:
            message = f"a tool of `{self._step}` is either a `tool` or a `pipeline`"
            self._refuse(node, message, FORMS, label="which one?")
            return None
        (kind,) = kinds
        at = node.table[kind].value
        written = _name(at)
        if written is None:
            what = "the path of a file" if kind == "pipeline" else "the name of a tool"
            self._refuse(at, f"`{kind}` of `{self._step}` is not {what}", FORMS, label="must be known before the run")
            return None
        name = self._text(node, "name")
        description = self._text(node, "description")
        found = ListedTool(kind, at, written, name, description, self._policy(node))
        if kind == "pipeline":
            found.called = self._called(at, written)
            return found if found.called is not None else None
        return found

    def _policy(self, node: Mapping) -> CallPolicy:
        most, limit = child(node, "max_calls"), child(node, "timeout")
        calls = seconds = None
        if most is not None:
            value = most.value if isinstance(most, Scalar) else None
            if type(value) is int and value >= 1:
                calls = value
            else:
                message = "`max_calls` must be an integer of at least 1"
                self._refuse(most, message, "write a number", label="not a count")
        if limit is not None:
            try:
                seconds = parse_duration(limit.value if isinstance(limit, Scalar) else None)
            except ValueError as error:
                self._refuse(limit, f"`timeout` of a tool: {error}", "write a duration such as `30s`", label="duration")
        return CallPolicy(self._approve(node), calls, seconds)

    def _approve(self, node: Mapping) -> Template | bool:
        at = child(node, "approve")
        if at is None:
            return False
        value = at.value if isinstance(at, Scalar) else None
        if isinstance(value, bool):
            return value
        condition = self._context.templates.condition(at, self._scope, self._places) if isinstance(value, str) else None
        if condition is None:
            help = "write `true`, or an expression that reads `arguments`, such as `arguments.amount > 100`"
            self._refuse(at, "`approve` of a tool must be true, false or a condition", help, label="not a condition")
            return True
        return condition

    def _text(self, node: Mapping, key: str) -> str:
        at = child(node, key)
        value = at.value if isinstance(at, Scalar) else None
        if at is not None and (not isinstance(value, str) or "{{" in value):
            self._refuse(at, f"`{key}` of a tool must be a text without templates", "write a text", label="not a text")
            return ""
        return value if isinstance(value, str) else ""

    def _called(self, node: Node, written: str) -> CompilationContext | None:
        found = find_pipeline(self._context, written)
        if isinstance(found, Unreadable):
            label = "not permitted" if found.code == codes.NOT_PERMITTED else "cannot be read"
            self._context.diagnostics.add(
                found.code, node.span, found.message, label=label, help=found.help, remedies=found.remedies
            )
            return None
        record_call(self._context, found, node, limited=False, detached=False)
        return found

    def _refuse(
        self, node: Node, message: str, help: str, *, label: str = "unknown key", replacement: str | None = None
    ) -> None:
        self._context.diagnostics.add(
            codes.UNUSABLE_AGENT_TOOL, node.span, message, label=label, help=help, replacement=replacement
        )


def _name(node: Node) -> str | None:
    text = node.value if isinstance(node, Scalar) else None
    return text if isinstance(text, str) and "{{" not in text and text.strip() else None


def schema_of_pipeline(called: CompilationContext) -> dict[str, Any]:
    """Return the JSON Schema of the inputs that a model gives a pipeline: all but its secrets."""
    specs = {name: spec for name, spec in called.spec.inputs.items() if not spec.secret}
    schema = inputs_schema(specs)
    del schema["$schema"]
    return schema


def missing_secrets(called: CompilationContext) -> Iterator[str]:
    """Yield the secret inputs of a pipeline that have no value yet: no model can give one."""
    for name, spec in called.spec.inputs.items():
        if spec.secret and spec.required and not spec.has_default and spec.default_from_env is None:
            yield name
