"""`Value`: the compiled form of a value in a pipeline file, with its nesting and its templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.expressions.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.expressions.evaluation.scope import Scope


class Constant(Struct, frozen=True):
    """A value without templates."""

    value: Any

    is_constant = True

    def evaluate(self, scope: Scope) -> Any:
        """Return the value itself."""
        return self.value

    def templates(self) -> Iterator[Template]:
        """None."""
        return iter(())


class Templated(Struct, frozen=True):
    """The value of a template, with its own type."""

    template: Template

    is_constant = False

    def evaluate(self, scope: Scope) -> Any:
        """Evaluate the template. Raises EvaluationError."""
        return self.template.evaluate(scope)

    def templates(self) -> Iterator[Template]:
        """The template."""
        yield self.template


class Rendered(Struct, frozen=True):
    """The value of a template as text, where a string is expected."""

    template: Template

    is_constant = False

    def evaluate(self, scope: Scope) -> str:
        """Evaluate the template and render its value as text. Raises EvaluationError."""
        return self.template.render(scope)

    def templates(self) -> Iterator[Template]:
        """The template."""
        yield self.template


class ListValue(Struct, frozen=True):
    """A list of values."""

    items: tuple[Value, ...]

    @property
    def is_constant(self) -> bool:
        """Whether no item contains a template."""
        return all(item.is_constant for item in self.items)

    def evaluate(self, scope: Scope) -> list[Any]:
        """Evaluate each item. Raises EvaluationError."""
        return [item.evaluate(scope) for item in self.items]

    def templates(self) -> Iterator[Template]:
        """The templates of all items, in order."""
        for item in self.items:
            yield from item.templates()


class MappingValue(Struct, frozen=True):
    """An object of values. Its field names are fixed."""

    entries: Mapping[str, Value]

    @property
    def is_constant(self) -> bool:
        """Whether no field contains a template."""
        return all(value.is_constant for value in self.entries.values())

    def evaluate(self, scope: Scope) -> dict[str, Any]:
        """Evaluate each field. Raises EvaluationError."""
        return {name: value.evaluate(scope) for name, value in self.entries.items()}

    def templates(self) -> Iterator[Template]:
        """The templates of all fields, in order."""
        for value in self.entries.values():
            yield from value.templates()


Value = Constant | Templated | Rendered | ListValue | MappingValue


def constant_of(value: Value) -> Any:
    """Return the JSON value of a constant value.

    Raises:
        ValueError: It contains a template.
    """
    match value:
        case Constant():
            return value.value
        case ListValue():
            return [constant_of(item) for item in value.items]
        case MappingValue():
            return {name: constant_of(item) for name, item in value.entries.items()}
        case _:
            raise ValueError("the value contains a template")
