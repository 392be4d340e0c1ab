"""Validates the mappings of a file against their models, and collects the diagnostics."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from orchestrator import codes
from orchestrator.diagnostics import MAX_DIAGNOSTICS, Diagnostic, Fix, Related, Severity, Source, Span
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.aliases.older_calls import IsKnown, OlderUse, nothing_known
from orchestrator.language.loader.key_diagnostics import conflicting_keys
from orchestrator.language.loader.model_errors import translate_errors
from orchestrator.language.spec.base import Spec, key_fields
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, plain_data
from orchestrator.text.words import describe_value, shorten

if TYPE_CHECKING:
    from orchestrator.language.aliases.canonical import Canonical

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_MOST_ROUNDS = 8

_S = TypeVar("_S", bound=Spec)


class Validation:
    """The diagnostics of one file, and the number of its steps read so far.

    `profiles` is the section of that name, `used_profiles` are those that steps use.
    `partial` means that a part of the file could not be read, so that keys may seem missing. `is_known` finds the tools
    of the project. `prose_actions`: actions in plain English are questions to a model.
    `older` are the steps that use older names of tools.
    """

    def __init__(self, source: Source, *, partial: bool, is_known: IsKnown = nothing_known) -> None:
        self.source = source
        self.is_known = is_known
        self.prose_actions = False
        self.older: list[OlderUse] = []
        self.partial = partial
        self.diagnostics: list[Diagnostic] = []
        self.steps = 0
        self.profiles: Mapping | None = None
        self.used_profiles: set[str] = set()

    def report(self, *diagnostics: Diagnostic) -> None:
        """Add diagnostics up to the limit, and then one that reports the limit."""
        room = MAX_DIAGNOSTICS - len(self.diagnostics)
        self.diagnostics.extend(diagnostics[: max(room, 0)])
        if 0 <= room < len(diagnostics):
            self.diagnostics.append(Diagnostic.over_limit(self.source))

    def add(
        self,
        code: str,
        place: Node,
        message: str,
        *,
        label: str,
        help: str | None,
        related: tuple[Related, ...] = (),
        fix: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Report one problem; `fix` is a safe replacement for the text at `place`."""
        span = place.span
        if span.end.line > span.start.line and not isinstance(place, Scalar):
            span = Span.at(span.start.line, span.start.column)
        replacement = Fix(span, fix) if fix is not None else None
        self.report(
            Diagnostic(
                code, message, self.source, span, severity, label=label, help=help, related=related, fix=replacement
            )
        )

    def wrong_type(self, node: Node, message: str, help: str | None = None) -> None:
        """Report a value of the wrong type."""
        self.add(codes.WRONG_TYPE, node, message, label="wrong type", help=help)

    def mistyped(self, entry: Entry, expected: str, help: str | None = None, fix: str | None = None) -> None:
        """Report a wrong or missing value of a key, in the words of the model errors."""
        name = shorten(written_key(entry.key))
        if is_null(entry.value) and self.partial:
            return  # it may be in the part that could not be read
        if is_null(entry.value):
            place: Node = entry.key
            message = f"`{name}` has no value; it must be {expected}"
        else:
            place, message = entry.value, f"`{name}` must be {expected}, not {describe_value(plain_data(entry.value))}"
        self.add(codes.WRONG_TYPE, place, message, label=f"expected {expected}", help=help, fix=fix)

    def canonical(self, canonical: Canonical, what: str) -> Mapping:
        """Report conflicting spellings, and return the mapping."""
        self.report(*(conflicting_keys(self.source, clash, what) for clash in canonical.clashes))
        return canonical.node

    def names(self, section: Node | None, what: str) -> None:
        """Report keys that are not valid names."""
        if isinstance(section, Mapping):
            for entry in section.entries:
                self.name(entry.key, entry.key.text, f"{'an' if what[0] in 'aeio' else 'a'} {what}'s name")

    def name(self, place: Node, name: str, what: str) -> None:
        """Report an invalid name; `what` describes its use."""
        if _NAME.match(name):
            return
        better = as_name(name)
        self.add(
            codes.INVALID_NAME,
            place,
            f"`{shorten(name)}` cannot be {what}",
            label="not a name",
            help="use letters (a to z), digits, `_` and `-`, and start with a letter"
            + (f": `{shorten(better)}`" if better and better != name else ""),
        )

    def spec(self, model: type[_S], node: Mapping, what: str, whole: Mapping | None = None) -> _S:
        """Validate one mapping. Invalid values are reported and removed, until the rest is valid.

        `whole` also has the parts that are read separately; messages refer to them.
        """
        required = _required(model)
        if len(node.table) > MAX_DIAGNOSTICS:
            node = _less_excess(model, node)
        filled: dict[str, str] = {}
        reported: set[tuple[str, Span]] = set()
        for _ in range(_MOST_ROUNDS):
            try:
                spec = model.model_validate({**plain_data(node), **filled})
            except ValidationError as error:
                refusal = translate_errors(error, node, model, what, self.source, whole or node)
                for diagnostic in refusal.diagnostics:
                    if (diagnostic.message, diagnostic.span) not in reported:
                        reported.add((diagnostic.message, diagnostic.span))
                        self.report(diagnostic)
                node = node.without([str(path[0]) for path in refusal.paths if len(path) == 1])
                inner = [path for path in refusal.paths if len(path) != 1]
                for path in sorted(inner, key=lambda path: [str(part) for part in path], reverse=True):
                    node = _without(node, path)
                filled = {name: "" for name in required if name not in node.table}
            else:
                place(spec, node)
                return spec
        spec = model.model_validate(dict.fromkeys(required, ""))
        place(spec, node.replaced(()))
        return spec


def place(spec: Spec, node: Mapping) -> None:
    """Store the node of a spec and of its inner specs."""
    spec.at(node)
    table = node.table
    for name in ("retry", "on_failure", "on_item_failure", "cache", "items", "budget", "check", "judge"):
        if name in table and (part := getattr(spec, name, None)) is not None:
            part_node = table[name].value
            if isinstance(part_node, Mapping):
                place(part, part_node)
    properties = node.get("properties")
    if isinstance(properties, Mapping) and (parts := getattr(spec, "properties", None)):
        for name, part in parts.items():
            if isinstance(inner := properties.get(name), Mapping):
                place(part, inner)


def complete(spec: _S, node: Mapping, parts: dict[str, Any]) -> _S:
    """Return a spec with parts that were read separately, by field, and with the node of the whole."""
    whole = spec.model_copy(update=parts)
    whole.at(node)
    return whole


def as_name(text: str) -> str:
    """Return the closest valid name to a text; empty if there is none."""
    better = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")
    return f"_{better}" if better[:1].isdigit() else better


def is_null(node: Node) -> bool:
    """Whether the value is empty or `null`."""
    return isinstance(node, Scalar) and node.value is None


@cache
def _required(model: type[Spec]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items() if field.is_required())


def _less_excess(model: type[Spec], node: Mapping) -> Mapping:
    """Return the mapping without the unknown keys beyond the limit of reported ones."""
    known = key_fields(model)
    unknown = [key for key in node.table if key not in known]
    return node.without(unknown[MAX_DIAGNOSTICS + 1 :])


def _without(node: Mapping, path: tuple[int | str, ...]) -> Mapping:
    """Return the mapping without the value at the path."""
    if not path:
        return node.replaced(())
    name = str(path[0])
    entry = node.table.get(name)
    if entry is None:
        return node
    inner = entry.value
    if len(path) > 1 and isinstance(inner, Mapping):
        kept = _without(inner, path[1:])
        return node.replaced(Entry(other.key, kept) if other is entry else other for other in node.entries)
    if len(path) > 1 and isinstance(inner, Sequence) and isinstance(path[1], int):
        items = [item for index, item in enumerate(inner.items) if index != path[1]]
        rest = Sequence(items, inner.start, inner.end, inner.layout)
        return node.replaced(Entry(other.key, rest) if other is entry else other for other in node.entries)
    return node.without([name])
