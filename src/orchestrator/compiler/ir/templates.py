"""Converts the YAML values of a pipeline to `Value`s, and records the place of each template in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.ir.nodes import PlacedTemplate
from orchestrator.expressions import (
    Constant,
    ListValue,
    MappingValue,
    Template,
    Templated,
    Value,
    parse_expression,
    parse_template,
)
from orchestrator.language.yaml.nodes import LITERAL, Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.compiler.ir.diagnostics import Diagnostics
    from orchestrator.compiler.ir.nodes import NameScope


class TemplateReader:
    """Parses the templates of one file; the same text is parsed once."""

    def __init__(self, diagnostics: Diagnostics, hyphenated: frozenset[str]) -> None:
        self._diagnostics = diagnostics
        self._hyphenated = hyphenated
        self._parsed: dict[str, Template] = {}

    def value(self, node: Node, scope: NameScope, places: list[PlacedTemplate]) -> Value:
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

    def condition(self, node: Node, scope: NameScope, places: list[PlacedTemplate]) -> Template | None:
        """Build a condition: an expression, bare or between `{{` and `}}`."""
        if not isinstance(node, Scalar):
            return None
        text = node.value if isinstance(node.value, str) else str(node.value).lower()
        template = parse_expression(text, hyphenated=self._hyphenated)
        self._placed(template, node, scope, places)
        return template

    def _placed(self, template: Template, node: Scalar, scope: NameScope, places: list[PlacedTemplate]) -> Value:
        if template.problems:
            self._diagnostics.add_problems(node, template.problems)
        elif template.is_constant:
            return Constant(node.value)
        places.append(PlacedTemplate(template, node, scope))
        return Templated(template)
