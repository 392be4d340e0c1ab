"""Turns the YAML values of a pipeline into `Value`s, and remembers where each template in them stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.compiler.scopes import Scope
from orchestrator.expressions import (
    Constant,
    ListValue,
    MappingValue,
    Reference,
    Template,
    Templated,
    Value,
    parse_expression,
    parse_template,
)
from orchestrator.language.yaml.nodes import LITERAL, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.findings import Findings


@dataclass(frozen=True, slots=True)
class PlacedTemplate:
    """A template, the scalar of the file that holds it, and the names that it can read there."""

    template: Template
    scalar: Scalar
    scope: Scope

    def references(self) -> Iterator[tuple[Reference, Scalar]]:
        """Each read of a free name, with the scalar in which it stands."""
        for reference in self.template.references:
            yield reference, self.scalar


class TemplateReader:
    """Parses the templates of one file; the same text is parsed once."""

    def __init__(self, findings: Findings, hyphenated: frozenset[str]) -> None:
        self._findings = findings
        self._hyphenated = hyphenated
        self._parsed: dict[str, Template] = {}

    def value(self, node: Node, scope: Scope, places: list[PlacedTemplate]) -> Value:
        """Build the value of `node`; every template in it that can be evaluated is appended to `places`."""
        if isinstance(node, Scalar):
            text = node.value
            if not isinstance(text, str) or "{" not in text or node.style == LITERAL:
                return Constant(text)
            template = self._parsed.get(text)
            if template is None:
                template = self._parsed[text] = parse_template(text, hyphenated=self._hyphenated)
            return self._placed(template, node, scope, places)
        if isinstance(node, Sequence):
            items = [self.value(item, scope, places) for item in node.items]
            if all(isinstance(item, Constant) for item in items):
                return Constant([item.value for item in items if isinstance(item, Constant)])
            return ListValue(tuple(items))
        entries = {str(entry.key.value): self.value(entry.value, scope, places) for entry in node.entries}
        if all(isinstance(value, Constant) for value in entries.values()):
            return Constant({key: value.value for key, value in entries.items() if isinstance(value, Constant)})
        return MappingValue(entries)

    def condition(self, node: Node, scope: Scope, places: list[PlacedTemplate]) -> Template | None:
        """Build a condition: an expression, bare or between `{{` and `}}`."""
        if not isinstance(node, Scalar):
            return None
        text = node.value if isinstance(node.value, str) else str(node.value).lower()
        template = parse_expression(text, hyphenated=self._hyphenated)
        self._placed(template, node, scope, places)
        return template

    def _placed(self, template: Template, node: Scalar, scope: Scope, places: list[PlacedTemplate]) -> Value:
        if template.problems:
            self._findings.add_problems(node, template.problems)
        elif template.is_constant:
            return Constant(node.value)
        places.append(PlacedTemplate(template, node, scope))
        return Templated(template)


def is_always_false(node: Scalar) -> bool:
    """Whether a condition is written as false."""
    return str(node.value).strip().lower() in ("false", "{{ false }}")


def child(node: Node | None, *path: str | int) -> Node | None:
    """The node at `path` below `node`, or None where there is none."""
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str):
            node = node.get(part)
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node
