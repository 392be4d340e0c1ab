"""Checks the tool calls of steps: tool, action, parameters and permissions."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.rules.conversion import conversion
from orchestrator.compiler.rules.name_hints import YOUR_OWN, defines_schema, meant, model_action
from orchestrator.diagnostics import suggest
from orchestrator.errors import StepError
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
    describe_type,
    explain_mismatch,
    is_assignable,
    type_of,
)
from orchestrator.expressions.types.operators import alternatives
from orchestrator.language.spec.kinds import PARAMETERS
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence
from orchestrator.remedies import ListTools
from orchestrator.text.words import describe_value, quoted_list
from orchestrator.tools import Unresolved, check_parameter, missing_requirement

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.diagnostics import Related, Span
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.tools.contract import Action, Parameter, Tool


class CallChecker:
    """Resolves and checks the calls of one file against the registered tools and the permissions."""

    def __init__(self, context: CompilationContext) -> None:
        self._diagnostics = context.diagnostics
        self._registry = context.session.registry
        self._permissions = context.session.permissions
        self._declared: tuple[Related, ...] = ()
        self._refused = context.refused_tools

    def resolve(self, step: StepSpec) -> tuple[Tool, Action] | None:
        """Return the tool and the action that a step names; None after reporting an unknown one."""
        found = self.find(step)
        if isinstance(found, Unresolved):
            self._unresolved(step, found)
            return None
        return found

    def find(self, step: StepSpec) -> tuple[Tool, Action] | Unresolved:
        """Return the tool and the action that a step names, or why they are unknown."""
        found = self._registry.resolve(step.tool, step.action)
        if isinstance(found, Unresolved) and (spelled := model_action(step)) is not None:
            again = self._registry.resolve("model", spelled)
            found = found if isinstance(again, Unresolved) else again
        if isinstance(found, Unresolved):
            return found
        tool, action = found
        if tool.name == "model" and action.name == "generate" and not defines_schema(step):
            return tool, tool.actions.get("generate_text", action)
        return found

    def _unresolved(self, step: StepSpec, why: Unresolved) -> None:
        node = child(step.node, why.key) or child(step.node, "tool")
        if node is None or why.code == codes.STEP_WITHOUT_WORK:  # `tool:` may be there without a value
            self._without_work(step)
            return
        help, replacement = meant(step, why, self._registry)
        span = node.span
        first = self._refused.setdefault((why.message, help), span)
        if first is not span and replacement is None:
            self._diagnostics.relate(why.code, first, "and here", span)
            return
        self._diagnostics.add(
            why.code,
            span,
            why.message,
            label="which action?" if why.code == codes.ACTION_NOT_NAMED else f"unknown {_KINDS[why.code]}",
            help=help,
            replacement=replacement,
            remedies=YOUR_OWN if help.startswith("tools: ") else (),
        )
        tool = self._registry.get((step.tool or step.action or "").partition(".")[0])
        if tool is not None:
            parameters = {name for action in tool.actions.values() for name in action.parameters}
            self._explain_misplaced(step, tool.name, parameters)

    def _without_work(self, step: StepSpec) -> None:
        if self._diagnostics.lost_part_of(step.node):
            return  # it may have had one
        key = step.node.key("id")
        self._diagnostics.add(
            codes.STEP_WITHOUT_WORK,
            key.span if key else step.node.span,
            f"step `{step.id}` does nothing: it has no `tool` and no `action`"
            if step.id
            else "a step does nothing: it has no `tool` and no `action`",
            label="no work",
            help="add `tool:` (and `action:`), for example `tool: log`",
            remedies=(ListTools(),),
        )

    def check(self, step: StepSpec, tool: Tool, action: Action, parameters: Value, types: _Types) -> Value:
        """Report errors in the parameters of a call, and return the parameters as the action takes them."""
        node = child(step.node, "parameters")
        label = f"{tool.name}.{action.name}" if len(tool.actions) > 1 else tool.name
        given = fields_of(parameters)
        meant = {
            self._unknown(label, name, action, node, given)
            for name in given
            if name not in action.parameters and not action.accepts_extra
        }
        lost = self._diagnostics.lost_part_of(step.node)
        misplaced = self._explain_misplaced(step, label, action.parameters) if lost else ()
        if isinstance(node, Mapping) or not lost:
            for parameter in action.parameters.values():
                name = parameter.name
                if parameter.required and name not in given and name not in meant and name not in misplaced:
                    self._missing(label, parameter, step, action)
            if action.one_of and not any(_is_given(given.get(name)) or name in misplaced for name in action.one_of):
                self._none_of(label, step, action)
        checked: dict[str, Value] = {}
        for name, value in given.items():
            declared, place = action.parameters.get(name), child(node, name)
            checked[name] = value
            if declared is not None and place is not None:
                what, before = f"`{name}` of `{label}`", len(self._diagnostics)
                checked[name] = self.typed(value, declared.type, place, what, types)
                apart = action.uses_model and name == "requires_model"  # has a separate code and separate places
                if isinstance(value, Constant) and len(self._diagnostics) == before and not apart:
                    self._bounds(declared, value.value, place, what)
        self._check_access(step, action, checked, node)
        self._check_extras(step, action)
        if all(isinstance(value, Constant) for value in checked.values()):
            return Constant({name: value.value for name, value in checked.items() if isinstance(value, Constant)})
        return MappingValue(checked)

    def _explain_misplaced(self, step: StepSpec, label: str, parameters: Container[str]) -> set[str]:
        """Explain unknown keys of a step that are parameters of its tool, and return their names."""
        found = {
            name: diagnostic
            for name, diagnostic in self._diagnostics.unknown_keys(step.node.span).items()
            if name in parameters
        }
        for name, diagnostic in found.items():
            help = f"`{name}` is a parameter of `{label}`: indent it below `parameters:`"
            self._diagnostics.replace_help(diagnostic, help)
        return set(found)

    def _unknown(
        self, label: str, name: str, action: Action, node: Node | None, given: MappingABC[str, Value]
    ) -> str | None:
        """Report an unknown parameter, and return the one that was probably meant."""
        lacking = [each.name for each in action.parameters.values() if each.required and each.name not in given]
        other = _named_in(name, lacking)  # a guess, and no spelling to correct
        near = other or suggest(name, action.parameters)
        key = node.key(name) if isinstance(node, Mapping) else None
        if key is not None:
            self._diagnostics.add(
                codes.UNKNOWN_PARAMETER,
                key.span,
                f"unknown parameter `{name}` of `{label}`",
                label="unknown parameter",
                help=f"did you mean `{near}`?" if near else _takes(label, action),
                replacement=None if other else near,
            )
        return near

    def _bounds(self, parameter: Parameter, value: object, node: Node, what: str) -> None:
        """Report a constant of the right type that the action would refuse."""
        reason, help = check_parameter(parameter, value), None
        if reason is None and parameter.check is not None and value is not None:
            try:
                parameter.check(value)
            except StepError as error:
                reason, help = error.message, error.help or "change the value"
        if reason is not None:
            self._diagnostics.add(
                codes.WRONG_PARAMETER_TYPE,
                node.span,
                f"{what} is not allowed: {reason}",
                label="not allowed",
                help=help or f"change it: {reason}",
            )

    def _missing(self, label: str, parameter: Parameter, step: StepSpec, action: Action) -> None:
        name = parameter.name
        expected = describe_type(parameter.type) if parameter.type != ANY else _begun_small(parameter.description)
        self._diagnostics.add(
            codes.MISSING_PARAMETER,
            _place_of_call(step, action),
            f"`{label}` requires the parameter `{name}`",
            label=f"`{name}` is missing",
            help=f"add `{name}:`{f' ({expected})' if expected else ''}{_below(action, name)}",
        )

    def _none_of(self, label: str, step: StepSpec, action: Action) -> None:
        names = quoted_list(action.one_of, last="and")
        self._diagnostics.add(
            codes.MISSING_PARAMETER,
            _place_of_call(step, action),
            f"`{label}` requires one of {names}",
            label="one is missing",
            help=f"add {' or '.join(f'`{name}:`' for name in action.one_of)}{_below(action, action.one_of[0])}",
        )

    def typed(
        self,
        value: Value,
        wanted: Type,
        node: Node,
        what: str,
        types: _Types,
        related: Iterable[Related] = (),
    ) -> Value:
        """Check a value against a type as deeply as both are known, and report the innermost mismatches.

        Returns the value to be evaluated; `related` are the places where the type is declared.
        """
        self._declared = tuple(related)
        try:
            return self._typed(value, wanted, node, what, types)
        finally:
            self._declared = ()

    def _typed(self, value: Value, wanted: Type, node: Node, what: str, types: _Types) -> Value:
        if wanted.kind == "any":
            return value
        if isinstance(value, Templated):
            actual = types.get(id(value.template), ANY)
            if wanted.kind == "string" and value.template.is_expression:
                if actual.kind in ("array", "object", "null"):
                    self._misfit(node, what, wanted, actual, value)
                return Rendered(value.template)
            if not is_assignable(actual, wanted):
                self._misfit(node, what, wanted, actual, value)
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
                self._misfit(node, what, wanted, Type("array"), value)
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
                self._misfit(node, what, wanted, Type("object"), value)
            return value
        if isinstance(value, Constant):
            self._constant(value.value, wanted, node, what)
        return value

    def _constant(self, value: object, wanted: Type, node: Node, what: str) -> None:
        """Report the innermost parts of a constant that do not have the expected type."""
        reason = explain_mismatch(value, wanted)
        if reason is None:
            return
        if wanted.kind == "union" and value is not None:
            given = [option for option in alternatives(wanted) if option.kind != "null"]
            wanted = given[0] if len(given) == 1 else wanted
        before = len(self._diagnostics)
        if isinstance(node, Sequence) and isinstance(value, list) and wanted.kind == "array":
            for index, (item, part) in enumerate(zip(value, node.items, strict=True)):
                self._constant(item, wanted.items or ANY, part, f"item {index} of {what}")
        elif isinstance(node, Mapping) and isinstance(value, dict) and wanted.kind == "object":
            for entry in node.entries:
                key = str(entry.key.value)
                if wanted.closed and key not in wanted.properties:
                    self._no_field(entry.key, wanted, what)
                self._constant(value.get(key), wanted.properties.get(key, ANY), entry.value, f"`{key}` in {what}")
        if len(self._diagnostics) > before:
            return
        replacement = _requoted(node, wanted)
        self._diagnostics.add(
            codes.WRONG_PARAMETER_TYPE,
            node.span,
            f"{what} must be {describe_type(wanted)}, not {describe_value(value)}",
            label=f"expected {describe_type(wanted)}",
            help=f"write it as {replacement}" if replacement else f"give {describe_type(wanted)}",
            notes=() if isinstance(node, Scalar) else (reason,),
            replacement=replacement,
            related=self._declared,
        )

    def _no_field(self, key: Scalar, wanted: Type, what: str) -> None:
        near = suggest(key.text, wanted.properties)
        self._diagnostics.add(
            codes.WRONG_PARAMETER_TYPE,
            key.span,
            f"{what} has no field `{key.text}`",
            label="unknown field",
            help=f"did you mean `{near}`?" if near else f"its fields: {quoted_list(wanted.properties)}",
            replacement=near,
            related=self._declared,
        )

    def _misfit(self, node: Node, what: str, wanted: Type, actual: Type, value: Value) -> None:
        self._diagnostics.add(
            codes.WRONG_PARAMETER_TYPE,
            node.span,
            f"{what} must be {describe_type(wanted)}, but is {describe_type(actual)}",
            label=f"expected {describe_type(wanted)}",
            help=conversion(value, wanted, actual),
            related=self._declared,
        )

    def _check_access(self, step: StepSpec, action: Action, given: dict[str, Value], node: Node | None) -> None:
        if action.refusal is None:
            return
        known = {name: value.value for name, value in given.items() if isinstance(value, Constant)}
        refusal = action.refusal(known, self._permissions)
        if refusal is None:
            return
        place = child(node, refusal.parameter) if refusal.parameter else None
        self._diagnostics.add_refusal((place or _named(step)).span, refusal)

    def _check_extras(self, step: StepSpec, action: Action) -> None:
        missing = missing_requirement(action)
        if missing is not None:
            self._diagnostics.add(
                codes.TOOL_EXTRA_MISSING,
                _named(step).span,
                missing.message,
                label="not installed",
                help=missing.help,
                remedies=missing.remedies,
            )


_Types = MappingABC[int, Type]
"""The inferred type of each template, by its identity."""


def fields_of(value: Value) -> dict[str, Value]:
    """Return the fields of a value that is written as a mapping."""
    if isinstance(value, MappingValue):
        return dict(value.entries)
    if isinstance(value, Constant) and isinstance(value.value, dict):
        return {name: Constant(item) for name, item in value.value.items()}
    return {}


def returned_type(action: Action, parameters: Value) -> Type:
    """Return the type of an action's result, as far as it follows from the constant parameters."""
    if action.result_type is None:
        return action.returns
    known = {p.name: p.default for p in action.parameters.values() if not p.required}
    for name, value in fields_of(parameters).items():
        known.pop(name, None)
        if isinstance(value, Constant):
            known[name] = value.value
    return action.result_type(known)


def static_type(value: Value, types: _Types) -> Type:
    """Return the type of a value, as far as it is known before the run."""
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
    """Return how the scalar should be written, if only its quotes are wrong."""
    if not isinstance(node, Scalar):
        return None
    if wanted.kind == "string" and node.style == "" and node.text and explain_mismatch(node.text, wanted) is None:
        return f'"{node.text}"'
    if wanted.enum and isinstance(node.value, str):
        words = [word for word in wanted.enum if isinstance(word, str)]
        return suggest(node.value, words) or next((word for word in words if word.startswith(node.value or "-")), None)
    if wanted.kind in ("integer", "number") and isinstance(node.value, str):
        pattern = r"[-+]?[0-9]+" if wanted.kind == "integer" else r"[-+]?[0-9]+(\.[0-9]+)?"
        return node.value if re.fullmatch(pattern, node.value) else None
    if wanted.kind == "boolean" and isinstance(node.value, str):
        return _BOOLEANS.get(node.value.lower())
    return None


_BOOLEANS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}


def _is_given(value: Value | None) -> bool:
    """Return whether a parameter is given and not the constant null."""
    return value is not None and not (isinstance(value, Constant) and value.value is None)


def _begun_small(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")


def _named(step: StepSpec) -> Node:
    """Return where a step names what it calls."""
    return child(step.node, "tool") or child(step.node, "action") or step.node


def _place_of_call(step: StepSpec, action: Action) -> Span:
    # What a model is asked with stands in the step itself, so that its first parameter would be the place.
    names = ("action", "tool", "parameters") if action.uses_model else ("parameters", "action", "tool")
    return next((key.span for name in names if (key := step.node.key(name)) is not None), step.node.span)


def _below(action: Action, name: str) -> str:
    """Return where a parameter is written, if it cannot be written in the step itself."""
    return "" if action.uses_model and name in PARAMETERS else " under `parameters:`"


_KINDS = {codes.UNKNOWN_TOOL: "tool", codes.UNKNOWN_ACTION: "action"}


def _named_in(name: str, lacking: list[str]) -> str | None:
    """Return the required parameter that a name contains (`file_path`: `path`) or abbreviates (`cmd`: `command`)."""
    words = name.lower().replace("-", "_").split("_")
    found = [each for each in lacking if each in words or (len(name) > 2 and _abbreviates(name.lower(), each))]
    return found[0] if len(found) == 1 and found[0] != name.lower() else None


def _abbreviates(short: str, long: str) -> bool:
    left = iter(long)
    return len(short) * 2 < len(long) and short[0] == long[0] and all(letter in left for letter in short)


def _takes(label: str, action: Action) -> str:
    if not action.parameters:
        return f"`{label}` takes no parameters"
    return f"parameters of `{label}`: {quoted_list(action.parameters)}"
