"""Reads the nodes of a test file, and collects a diagnostic for each problem."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Fix, Source, Span, suggest
from orchestrator.language.yaml.nodes import Mapping as MappingNode
from orchestrator.language.yaml.nodes import Node, Scalar, plain_data
from orchestrator.text.words import describe_value, quoted_list

UNUSABLE: Final = object()
"""The placeholder for an invalid value."""


NameKind: TypeAlias = Literal["input", "output", "step", "field", "call", "question"]


class Named(Struct, frozen=True):
    """A name in the file that is to be one of the pipeline's.

    It is that of an input, an output, a step, a step or a field of one, a call of a tool, a question to a person.
    """

    kind: NameKind
    name: str
    place: Node


class Checks:
    """The mistakes of one test file, and the names in it that are to be the pipeline's."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []
        self.names: list[Named] = []

    def note_steps(self, section: MappingNode, kind: NameKind = "step") -> None:
        """Note the keys of a section as paths of steps, of fields of theirs, or of steps of a kind."""
        self.names += [Named(kind, entry.key.text, entry.key) for entry in section.entries]

    def section(self, node: MappingNode, key: str, what: str) -> MappingNode:
        """Return a mapping within another one; an empty one where it is absent or wrong."""
        value = node.get(key)
        if isinstance(value, MappingNode):
            return value
        if value is not None:
            self.mistyped(value, f"`{key}`", what)
        return node.replaced(())

    def text(self, node: MappingNode, key: str, what: str) -> str | None:
        """Return a text, None where it is absent or wrong."""
        value = node.get(key)
        if value is None:
            return None
        if isinstance(value, Scalar) and isinstance(value.value, str) and value.value.strip():
            return value.value
        self.mistyped(value, f"`{key}`", what)
        return None

    def texts(self, node: Node | None) -> tuple[str, ...] | None:
        """Return names of models, None where they are absent or wrong."""
        if node is None:
            return None
        value = plain_data(node)
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.mistyped(node, "`models`", "a list of models' names")
        return None

    def number(self, node: MappingNode, key: str) -> float | None:
        """Return a number from 0, None where it is absent or wrong."""
        value = node.get(key)
        found = plain_data(value) if value is not None else None
        if value is None or (isinstance(found, int | float) and not isinstance(found, bool) and found >= 0):
            return found
        self.mistyped(value, f"`{key}`", "a number from 0")
        return None

    def flag(self, node: MappingNode, key: str, *, default: bool) -> bool:
        """Return true or false, the default where it is absent or wrong."""
        value = node.get(key)
        if value is None:
            return default
        found = plain_data(value)
        if isinstance(found, bool):
            return found
        self.mistyped(value, f"`{key}`", "true or false")
        return default

    def word(self, node: MappingNode, key: str, words: tuple[str, ...]) -> Any:
        """Return one of some words, None where it is absent or wrong."""
        value = node.get(key)
        if value is None:
            return None
        found = plain_data(value)
        if found in words:
            return found
        near = suggest(str(found), words)
        listed = quoted_list(words)
        self.add(
            value,
            f"`{key}` must be one of {listed}",
            f"did you mean `{near}`?" if near else "use one of them",
            fix=near,
        )
        return None

    def only(self, node: MappingNode, keys: tuple[str, ...], what: str) -> None:
        """Refuse all keys but these."""
        for entry in node.entries:
            name = entry.key.text
            if name not in keys:
                near = suggest(name, keys)
                help = f"did you mean `{near}`?" if near else f"allowed here: {quoted_list(keys)}"
                self.add(entry.key, f"{what} has no key `{name}`", help, label="unknown key", fix=near)

    def mistyped(self, node: Node, what: str, expected: str) -> object:
        """Note a value of another type than expected."""
        return self.add(node, f"{what} must be {expected}, not {describe_value(plain_data(node))}", f"write {expected}")

    def add(self, place: Node, message: str, help: str, *, label: str = "", fix: str | None = None) -> object:
        """Add a diagnostic; `fix` is a safe replacement."""
        self.found.append(file_problem(self.source, place, message, help, label=label, fix=fix))
        return UNUSABLE


def file_problem(
    source: Source, place: Node, message: str, help: str, *, label: str = "", fix: str | None = None
) -> Diagnostic:
    """Return a diagnostic of a test file."""
    span = place.span
    if span.end.line > span.start.line and not isinstance(place, Scalar):
        span = Span.at(span.start.line, span.start.column)
    replacement = Fix(span, fix) if fix is not None else None
    return Diagnostic(codes.INVALID_TEST_FILE, message, source, span, label=label, help=help, fix=replacement)
