"""Checks the tool calls of steps: does the tool exist, does it take these parameters, would it be permitted."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC
from importlib.util import find_spec
from typing import TYPE_CHECKING

from orchestrator.compiler.templates import child
from orchestrator.diagnostics import suggest
from orchestrator.expressions import (
    ANY,
    STRING,
    Constant,
    ListValue,
    MappingValue,
    Rendered,
    Templated,
    Type,
    Value,
    describe,
    explain_mismatch,
    fits,
    type_of,
)
from orchestrator.language.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.compiler.findings import Findings
    from orchestrator.language.spec import StepSpec
    from orchestrator.tools import Permissions, Registry
    from orchestrator.tools.contract import Action, Tool


class CallChecker:
    """Resolves and checks the calls of one file against the tools that exist and the access that is allowed."""

    def __init__(self, findings: Findings, registry: Registry, permissions: Permissions) -> None:
        self._findings = findings
        self._registry = registry
        self._permissions = permissions

    def resolve(self, step: StepSpec) -> tuple[Tool, Action] | None:
        """Find the tool and the action that a step names; None after reporting why there is none."""
        tool_key, action_key = child(step.node, "tool"), child(step.node, "action")
        tool_name, action_name = step.tool, step.action
        if tool_name is None:
            if action_name is None or action_key is None:
                return None
            tool_name, _, rest = action_name.partition(".")
            action_name, tool_key = (rest or None), action_key
        tool = self._registry.get(tool_name)
        assert tool_key is not None  # a step with a tool has the key
        if tool is None:
            near = suggest(tool_name, self._registry.names())
            whole = isinstance(tool_key, Scalar) and tool_key.value == tool_name
            self._findings.add(
                "ORC401",
                tool_key.span,
                f"there is no tool `{tool_name}`",
                label="unknown tool",
                help=f"did you mean `{near}`?" if near else f"tools: {_listed(self._registry.names())}",
                notes=() if near else ("`orchestrator tools` describes them; `--tools MODULE` adds your own",),
                replacement=near if near and whole else None,
            )
            return None
        if action_name is None:
            if tool.only_action is None:
                self._findings.add(
                    "ORC408",
                    tool_key.span,
                    f"the tool `{tool_name}` has several actions, and the step names none",
                    label="which action?",
                    help=f"add `action:` with one of {_listed(tool.actions)}",
                )
                return None
            return tool, tool.only_action
        action = tool.actions.get(action_name)
        if action is None:
            near = suggest(action_name, tool.actions)
            where = action_key or tool_key
            self._findings.add(
                "ORC402",
                where.span,
                f"the tool `{tool_name}` has no action `{action_name}`",
                label="unknown action",
                help=f"did you mean `{near}`?" if near else f"actions of `{tool_name}`: {_listed(tool.actions)}",
                replacement=near if near and step.tool is not None else None,
            )
            return None
        return tool, action

    def check(self, step: StepSpec, tool: Tool, action: Action, parameters: Value, types: _Types) -> Value:
        """Report what is wrong with the parameters of a call, and return them as the action takes them."""
        node = child(step.node, "parameters")
        label = f"{tool.name}.{action.name}" if len(tool.actions) > 1 else tool.name
        given = _entries(parameters)
        for name in given:
            if name not in action.parameters and not action.accepts_extra:
                self._unknown(label, name, action, node)
        for parameter in action.parameters.values():
            if parameter.required and parameter.name not in given:
                self._missing(label, parameter.name, parameter.type, step, node)
        checked: dict[str, Value] = {}
        for name, value in given.items():
            wanted = action.parameters[name].type if name in action.parameters else ANY
            place = child(node, name)
            checked[name] = self._typed(value, wanted, place, f"`{name}` of `{label}`", types) if place else value
        self._check_access(step, action, checked, node)
        self._check_extras(step, action)
        if all(isinstance(value, Constant) for value in checked.values()):
            return Constant({name: value.value for name, value in checked.items() if isinstance(value, Constant)})
        return MappingValue(checked)

    def _unknown(self, label: str, name: str, action: Action, node: Node | None) -> None:
        key = node.key(name) if isinstance(node, Mapping) else None
        if key is None:
            return
        near = suggest(name, action.parameters)
        self._findings.add(
            "ORC403",
            key.span,
            f"`{label}` takes no parameter `{name}`",
            label="unknown parameter",
            help=f"did you mean `{near}`?" if near else _takes(label, action),
            replacement=near,
        )

    def _missing(self, label: str, name: str, wanted: Type, step: StepSpec, node: Node | None) -> None:
        key = step.node.key("parameters") or step.node.key("action") or step.node.key("tool")
        span = key.span if key else step.node.span
        self._findings.add(
            "ORC404",
            span,
            f"`{label}` needs the parameter `{name}`, which is not given",
            label=f"`{name}` is missing",
            help=f"add `{name}:` ({describe(wanted)}) under `parameters:`",
        )

    def _typed(self, value: Value, wanted: Type, node: Node, what: str, types: _Types) -> Value:
        """Check one value against a type, as deep as both are known, and report the innermost misfits."""
        if wanted.kind == "any":
            return value
        if isinstance(value, Templated):
            actual = types.get(id(value.template), ANY)
            if wanted.kind == "string" and value.template.is_expression:
                if actual.kind in ("array", "object", "null"):
                    self._misfit(node, what, wanted, actual)
                return Rendered(value.template)
            if not fits(actual, wanted):
                self._misfit(node, what, wanted, actual)
            return value
        if isinstance(value, ListValue) and isinstance(node, Sequence):
            if wanted.kind == "array":
                inner = wanted.items or ANY
                return ListValue(
                    tuple(
                        self._typed(item, inner, part, f"item {index} of {what}", types)
                        for index, (item, part) in enumerate(zip(value.items, node.items, strict=True))
                    )
                )
            if wanted.kind != "union":
                self._misfit(node, what, wanted, Type("array"))
            return value
        if isinstance(value, MappingValue) and isinstance(node, Mapping):
            if wanted.kind == "object":
                entries = {}
                for key, item in value.entries.items():
                    part = node.get(key)
                    inner = wanted.properties.get(key, ANY)
                    entries[key] = self._typed(item, inner, part, f"`{key}` in {what}", types) if part else item
                return MappingValue(entries)
            if wanted.kind != "union":
                self._misfit(node, what, wanted, Type("object"))
            return value
        if isinstance(value, Constant):
            self._constant(value.value, wanted, node, what)
        return value

    def _constant(self, value: object, wanted: Type, node: Node, what: str) -> None:
        """Report the innermost parts of a constant that are not of the wanted type."""
        reason = explain_mismatch(value, wanted)
        if reason is None:
            return
        before = len(self._findings)
        if isinstance(node, Sequence) and isinstance(value, list) and wanted.kind == "array":
            for index, (item, part) in enumerate(zip(value, node.items, strict=True)):
                self._constant(item, wanted.items or ANY, part, f"item {index} of {what}")
        elif isinstance(node, Mapping) and isinstance(value, dict) and wanted.kind == "object":
            for entry in node.entries:
                key = str(entry.key.value)
                self._constant(value.get(key), wanted.properties.get(key, ANY), entry.value, f"`{key}` in {what}")
        if len(self._findings) > before:
            return
        replacement = _requoted(node, wanted)
        self._findings.add(
            "ORC405",
            node.span,
            f"{what} must be {describe(wanted)}, not {_shown(value)}",
            label=f"expected {describe(wanted)}",
            help=f"write it as {replacement}" if replacement else f"give {describe(wanted)}",
            notes=() if isinstance(node, Scalar) else (reason,),
            replacement=replacement,
        )

    def _misfit(self, node: Node, what: str, wanted: Type, actual: Type) -> None:
        help = f"give {describe(wanted)}"
        if wanted.kind == "string" and actual.kind in ("array", "object"):
            help = "turn it into text, for example with `| to_json` or `| join(', ')`"
        elif actual.kind == "string" and wanted.kind in ("integer", "number"):
            help = f"convert it with `| {'int' if wanted.kind == 'integer' else 'float'}`"
        self._findings.add(
            "ORC405",
            node.span,
            f"{what} must be {describe(wanted)}, and this is {describe(actual)}",
            label=f"expected {describe(wanted)}",
            help=help,
        )

    def _check_access(self, step: StepSpec, action: Action, given: dict[str, Value], node: Node | None) -> None:
        if action.refusal is None:
            return
        known = {name: value.value for name, value in given.items() if isinstance(value, Constant)}
        refusal = action.refusal(known, self._permissions)
        if refusal is None:
            return
        place = child(node, refusal.parameter) if refusal.parameter else None
        if place is None:
            place = child(step.node, "tool") or child(step.node, "action") or step.node
        self._findings.add(
            "ORC406", place.span, refusal.message, label="not permitted", help=f"allow it with {refusal.flag}"
        )

    def _check_extras(self, step: StepSpec, action: Action) -> None:
        for extra in action.requires:
            if any(find_spec(module) is None for module in _MODULES_OF_EXTRAS.get(extra, ())):
                place = child(step.node, "tool") or child(step.node, "action") or step.node
                self._findings.add(
                    "ORC407",
                    place.span,
                    f"this tool needs the extra `{extra}`, which is not installed",
                    label="not installed",
                    help=f'install it with: pip install "orchestrator[{extra}]"',
                )


_Types = MappingABC[int, Type]
"""The inferred type of each template, by its identity."""

_MODULES_OF_EXTRAS = {"data": ("polars",)}


def _entries(value: Value) -> dict[str, Value]:
    if isinstance(value, MappingValue):
        return dict(value.entries)
    if isinstance(value, Constant) and isinstance(value.value, dict):
        return {name: Constant(item) for name, item in value.value.items()}
    return {}


def static_type(value: Value, types: _Types) -> Type:
    """The type that a value will have, as far as it is known before the run."""
    match value:
        case Constant():
            return type_of(value.value)
        case Rendered():
            return STRING
        case Templated():
            return types.get(id(value.template), ANY)
        case ListValue():
            return Type("array")
        case MappingValue():
            entries = {key: static_type(item, types) for key, item in value.entries.items()}
            return Type("object", properties=entries, required=frozenset(entries), closed=True)


def _requoted(node: Node, wanted: Type) -> str | None:
    """The scalar as it should be written, where only its quotes are wrong."""
    if not isinstance(node, Scalar):
        return None
    if wanted.kind == "string" and node.style == "plain" and node.text:
        return f'"{node.text}"'
    if wanted.kind in ("integer", "number") and isinstance(node.value, str):
        pattern = r"[-+]?[0-9]+" if wanted.kind == "integer" else r"[-+]?[0-9]+(\.[0-9]+)?"
        return node.value if re.fullmatch(pattern, node.value) else None
    if wanted.kind == "boolean" and isinstance(node.value, str):
        return _BOOLEANS.get(node.value.lower())
    return None


_BOOLEANS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


def _listed(names: MappingABC[str, object] | list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _takes(label: str, action: Action) -> str:
    if not action.parameters:
        return f"`{label}` takes no parameters"
    return f"parameters of `{label}`: {', '.join(f'`{name}`' for name in action.parameters)}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        short = value if len(value) <= 40 else value[:39] + "…"
        return f"the text `{short}`" if short else "empty text"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number `{value}`"
    return "a list" if isinstance(value, list) else "an object"
