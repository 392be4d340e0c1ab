"""Reads the declarations of a pipeline: the sections `inputs` and `outputs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.language.aliases import tables
from orchestrator.language.aliases.declarations import canonical_input, canonical_output, entries_by_name
from orchestrator.language.loader.key_diagnostics import conflicting_keys
from orchestrator.language.loader.validation import is_null
from orchestrator.language.spec.input_values import input_problems, pattern_problem
from orchestrator.language.spec.inputs import LIMITS, InputSpec, OutputSpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Sequence
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation
    from orchestrator.language.yaml.nodes import Node


def read_input_specs(checks: Validation, section: Node | None, root: Mapping) -> tuple[dict[str, InputSpec], Mapping]:
    """Read the section `inputs`, a mapping or a list, and return its specs and its canonical form."""
    named = _by_name(checks, section, root, "inputs", "input")
    specs = {}
    placed = []
    for entry in named.entries:
        name = entry.key.text
        what = f"the input `{shorten(name)}`"
        node = checks.canonical(canonical_input(entry.value), what)
        known = {*InputSpec.model_fields, *tables.INPUT_KEYS}
        if isinstance(entry.value, Mapping) and node.table and known.isdisjoint(node.table):
            _no_spec(checks, entry, what, "type", "to use an object as the default, write `default: {...}`")
            node = Mapping({"default": Entry(entry.key, entry.value)}, node.start, node.end, node.layout)
        spec = specs[name] = checks.spec(InputSpec, node, what)
        placed.append(Entry(entry.key, spec.node))
        checks.name(entry.key, name, "an input's name")
        check_declaration(checks, spec, spec.node, what)
    return specs, named.replaced(placed)


def read_output_specs(checks: Validation, section: Node | None, root: Mapping) -> tuple[dict[str, OutputSpec], Mapping]:
    """Read the section `outputs`, a mapping or a list, and return its specs and its canonical form."""
    named = _by_name(checks, section, root, "outputs", "output")
    specs = {}
    placed = []
    for entry in named.entries:
        name = entry.key.text
        what = f"the output `{shorten(name)}`"
        node = checks.canonical(canonical_output(entry.value), what)
        known = {*OutputSpec.model_fields, *tables.OUTPUT_KEYS}
        if isinstance(entry.value, Mapping) and node.table and known.isdisjoint(node.table):
            _no_spec(checks, entry, what, "value", "to use an object as the value, write `value: {...}`")
            node = Mapping({"value": Entry(entry.key, entry.value)}, node.start, node.end, node.layout)
        spec = specs[name] = checks.spec(OutputSpec, node, what)
        placed.append(Entry(entry.key, spec.node))
    return specs, named.replaced(placed)


def _by_name(checks: Validation, value: Node | None, root: Mapping, name: str, what: str) -> Mapping:
    """Return a section as a mapping by name."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence):
        listed = entries_by_name(value, outputs=name == "outputs")
        checks.report(*(conflicting_keys(checks.source, again, f"`{name}`") for again in listed.again))
        for node in listed.nameless:
            checks.wrong_type(node, f"an {what} in a list needs a name: `- name: ...`")
        return listed.node
    if value is not None and not is_null(value):
        checks.wrong_type(value, f"`{name}` must be a mapping by name")
    place = value or root
    return Mapping({}, place.start, place.end, place.layout)


def _no_spec(checks: Validation, entry: Entry, what: str, key: str, help: str) -> None:
    message = f"{what} is a mapping without `{key}`"
    checks.add(codes.MISSING_KEY, entry.key, message, label=f"`{key}` is missing", help=help)


def check_declaration(checks: Validation, spec: InputSpec, node: Mapping, what: str) -> None:
    """Report contradictions: limits that do not apply to the type, and a default that violates them."""
    for name, types in LIMITS.items():
        if getattr(spec, name) is not None and spec.type is not None and spec.type not in types:
            listed = quoted_list(sorted(types), last="or")
            checks.add(
                codes.VALUE_NOT_ALLOWED,
                node.key(name) or node,
                f"`{name}` does not apply to {what} of type `{spec.type}`",
                label=f"only for {listed}",
                help="remove it, or change the type",
            )
    for low, high in (("minimum", "maximum"), ("min_length", "max_length")):
        least, most = getattr(spec, low), getattr(spec, high)
        if least is not None and most is not None and least > most:
            checks.add(
                codes.VALUE_NOT_ALLOWED,
                node.get(high) or node,
                f"`{high}` of {what} is less than its `{low}`",
                label=f"less than {least:g}",
                help="swap the two numbers",
            )
    if spec.pattern is not None and (reason := pattern_problem(spec.pattern)):
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            node.get("pattern") or node,
            f"`pattern` of {what} is not a regular expression: {reason[0]}",
            label="not a regular expression",
            help=reason[1],
        )
    elif spec.has_default and (place := node.get("default")):
        for problem in input_problems(spec, spec.default):
            checks.add(
                codes.INVALID_DEFAULT,
                place,
                f"the default of {what} does not match its declaration: {problem}",
                label="does not match the declaration",
                help="change the default or the declaration",
            )
    if spec.items is not None and isinstance(inner := node.get("items"), Mapping):
        check_declaration(checks, spec.items, inner, f"the items of {what}")
    properties = node.get("properties")
    if spec.properties and isinstance(properties, Mapping):
        for name, part in spec.properties.items():
            if isinstance(inner := properties.get(name), Mapping):
                check_declaration(checks, part, inner, f"the property `{name}` of {what}")
