"""Compiles an expression into closures, so that an evaluation takes about a microsecond.

Each closure takes the `Context` of one evaluation. It captures the texts and offsets that an error needs, so they cost
nothing unless there is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from orchestrator.errors import EvaluationError
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS, TIMED
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.expressions.evaluation.operations import (
    ARITHMETIC,
    COMPARISONS,
    defined,
    negate,
    read_field,
    read_item,
    read_slice,
    text_of,
    unary_plus,
)
from orchestrator.expressions.evaluation.scope import Entity, Loop, OperationError, Scope, Undefined
from orchestrator.expressions.evaluation.text import check_text_size, plain_value
from orchestrator.expressions.limits import MAX_SECONDS, MAX_STEPS, MAX_TEXT
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import describe_type, type_of
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.expressions.builtins.builtin import Builtin

_ABSENT: Final = object()
_NO_RESULT: Final = Undefined("the step has no result")
_EXCERPT: Final = 200
SMALL: Final = frozenset({int, float, bool, type(None)})
"""Types whose values cost no steps."""
_LARGE: Final = "process large data in a tool step"


def step_cost(value: Any) -> int:
    """Return the steps that creating or iterating over a value costs: one per 1,000 characters or 16 items."""
    kind = type(value)
    if kind is str:
        return len(value) // 1_000
    return len(value) // 16 if kind is list or kind is dict else 0


class Context:
    """The state of one evaluation: the names, the local variables, and the remaining limits."""

    __slots__ = ("deadline", "depth", "local", "names", "now", "room", "steps")

    def __init__(self, scope: Scope) -> None:
        self.names = scope.names
        self.now: datetime = scope.now
        self.local: dict[str, Any] = {}
        self.room = MAX_TEXT
        self.steps = MAX_STEPS
        self.depth = 0
        self.deadline = 0.0

    def watch(self) -> None:
        """Stop an evaluation whose loops take too long."""
        if not self.deadline:
            self.deadline = thread_time() + MAX_SECONDS
        elif thread_time() > self.deadline:
            raise OperationError(f"the template ran longer than {MAX_SECONDS:g} seconds", _LARGE)

    def spend(self, steps: int) -> None:
        """Count steps against the limit."""
        self.steps -= steps
        if self.steps < 0:
            raise OperationError(f"the template ran more than {MAX_STEPS:,} steps", _LARGE)


Evaluate = Callable[[Context], Any]


class ExpressionCompiler:
    """Compiles the expressions of one template. `local` are the names that its own statements may set."""

    def __init__(self, text: str, local: frozenset[str]) -> None:
        self.text = text
        self.local = local

    def excerpt(self, node: nodes.Expression) -> str:
        """Return the source of an expression, as an error quotes it."""
        text = self.text[node.start : node.end]
        return shorten(text, _EXCERPT)

    def fail(self, failure: OperationError, node: nodes.Expression) -> NoReturn:
        """Raise EvaluationError with the source and the offsets of the expression."""
        raise EvaluationError(
            failure.message, expression=self.excerpt(node), start=node.start, end=node.end, help=failure.help
        ) from None

    # --- expressions

    def value(self, node: nodes.Expression) -> Evaluate:
        """Compile to a closure that returns the value, with an entity replaced by its value."""
        raw = self.raw(node)
        if not isinstance(node, nodes.Name | nodes.Attribute | nodes.Item | nodes.Conditional | nodes.Logic):
            return raw

        def decayed(context: Context) -> Any:
            value = raw(context)
            return value.value if type(value) is Entity else value

        return decayed

    def raw(self, node: nodes.Expression) -> Evaluate:
        """Compile to a closure that returns the value without unwrapping an entity, whose attributes may be read."""
        return _COMPILERS[type(node)](self, node)

    def _literal(self, node: nodes.Literal) -> Evaluate:
        value = node.value
        return lambda context: value

    def _name(self, node: nodes.Name) -> Evaluate:
        name, fail = node.name, self.fail

        def missing(context: Context) -> Any:
            if name in FUNCTIONS:
                fail(OperationError(f"`{name}` is a function", f"call it: `{name}()`"), node)
            return Undefined(
                f"`{name}` is not defined", f"the defined names are {quoted_list(sorted(context.names), most=20)}"
            )

        if name not in self.local:

            def read(context: Context) -> Any:
                try:
                    return context.names[name]
                except KeyError:
                    return missing(context)

            return read

        def read_local(context: Context) -> Any:
            value = context.local.get(name, _ABSENT)
            if value is _ABSENT:
                value = context.names.get(name, _ABSENT)
                return missing(context) if value is _ABSENT else value
            return value

        return read_local

    def _attribute(self, node: nodes.Attribute) -> Evaluate:
        target, name, fail = self.raw(node.target), node.name, self.fail
        what = self.excerpt(node.target)

        def read(context: Context) -> Any:
            value = target(context)
            if type(value) is dict and name in value:
                return value[name]
            try:
                return read_field(value, name, what)
            except OperationError as failure:
                fail(failure, node)

        return read

    def _item(self, node: nodes.Item) -> Evaluate:
        target, index, fail = self.raw(node.target), self.value(node.index), self.fail
        what = self.excerpt(node.target)

        def read(context: Context) -> Any:
            try:
                return read_item(target(context), index(context), what)
            except OperationError as failure:
                fail(failure, node)

        return read

    def _slice(self, node: nodes.Slice) -> Evaluate:
        target, fail = self.value(node.target), self.fail
        low, high, step = [self.value(part) if part else _nothing for part in (node.low, node.high, node.step)]

        def read(context: Context) -> Any:
            try:
                return read_slice(target(context), low(context), high(context), step(context))
            except OperationError as failure:
                fail(failure, node)

        return read

    def _unary(self, node: nodes.Unary) -> Evaluate:
        operand, fail = self.value(node.operand), self.fail
        if node.operator == "not":
            return lambda context: not operand(context)
        compute = negate if node.operator == "-" else unary_plus

        def signed(context: Context) -> Any:
            value = operand(context)
            try:
                return compute(value)
            except OperationError as failure:
                fail(failure, node)

        return signed

    def _binary(self, node: nodes.Binary) -> Evaluate:
        left, right, fail = self.value(node.left), self.value(node.right), self.fail
        compute = ARITHMETIC[node.operator]

        def computed(context: Context) -> Any:
            first, second = left(context), right(context)
            try:
                result = compute(first, second)
                if type(result) is str or type(result) is list:
                    context.spend(step_cost(result))
                return result
            except OperationError as failure:
                fail(failure, node)

        return computed

    def _concat(self, node: nodes.Concat) -> Evaluate:
        parts, fail = [self.value(part) for part in node.parts], self.fail

        def joined(context: Context) -> str:
            values = [part(context) for part in parts]
            try:
                texts = [text_of(value) for value in values]
                total = sum(map(len, texts))
                check_text_size(total)
                context.spend(total // 1_000)
                return "".join(texts)
            except OperationError as failure:
                fail(failure, node)

        return joined

    def _compare(self, node: nodes.Compare) -> Evaluate:
        first, fail = self.value(node.first), self.fail
        rest = [(COMPARISONS[sign], self.value(operand)) for sign, operand in node.rest]
        if len(rest) == 1:
            compare, operand = rest[0]

            def compared(context: Context) -> bool:
                left, right = first(context), operand(context)
                try:
                    if type(right) not in SMALL:
                        context.spend(step_cost(right))
                    return compare(left, right)
                except OperationError as failure:
                    fail(failure, node)

            return compared

        def chained(context: Context) -> bool:
            left = first(context)
            for compare, operand in rest:
                right = operand(context)
                try:
                    if not compare(left, right):
                        return False
                except OperationError as failure:
                    fail(failure, node)
                left = right
            return True

        return chained

    def _logic(self, node: nodes.Logic) -> Evaluate:
        left, right = self.value(node.left), self.value(node.right)
        if node.operator == "and":
            return lambda context: left(context) and right(context)
        return lambda context: left(context) or right(context)

    def _conditional(self, node: nodes.Conditional) -> Evaluate:
        test, then = self.value(node.test), self.raw(node.then)
        otherwise = self.raw(node.otherwise) if node.otherwise else _nothing
        return lambda context: then(context) if test(context) else otherwise(context)

    def _list(self, node: nodes.ListOf) -> Evaluate:
        items, fail = [self.value(item) for item in node.items], self.fail

        def built(context: Context) -> list[Any]:
            try:
                return [defined(item(context)) for item in items]
            except OperationError as failure:
                fail(failure, node)

        return built

    def _dict(self, node: nodes.DictOf) -> Evaluate:
        entries = [(self.value(key), self.value(value)) for key, value in node.entries]
        fail = self.fail

        def built(context: Context) -> dict[str, Any]:
            result = {}
            for key, value in entries:
                try:
                    name = defined(key(context))
                    if type(name) is not str:
                        raise OperationError(
                            f"field names must be strings, not {describe_data(name)}", "put it in quotes"
                        )
                    result[name] = defined(value(context))
                except OperationError as failure:
                    fail(failure, node)
            return result

        return built

    def _bad(self, node: nodes.Bad) -> Evaluate:
        fail = self.fail

        def refused(context: Context) -> Any:
            fail(OperationError("invalid template"), node)

        return refused

    # --- calls

    def _call(self, node: nodes.Call) -> Evaluate:
        if node.kind == "loop":
            return self._loop_call(node)
        entry = _TABLES[node.kind][node.name]
        invoke = self._function(node, entry) if node.target is None else self._applied(node, entry, node.target)
        if node.kind != "test" or not node.negated:
            return invoke
        return lambda context: not invoke(context)

    def _arguments(self, node: nodes.Call) -> Callable[[Context], tuple[list[Any], dict[str, Any]]]:
        positional = [self.value(part) for part in node.positional]
        named = [(name, self.value(part)) for name, part in node.keywords.items()]

        def arguments(context: Context) -> tuple[list[Any], dict[str, Any]]:
            return (
                [defined(part(context)) for part in positional],
                {name: defined(part(context)) for name, part in named},
            )

        return arguments

    def _applied(self, node: nodes.Call, entry: Builtin, target_node: nodes.Expression) -> Evaluate:
        target = self._maybe_missing(target_node) if entry.absent else self.value(target_node)
        function, fail = entry.function, self.fail
        check = _method_check(entry) if node.kind == "method" else None
        takes_undefined = entry.undefined
        name = node.name
        if not node.positional and not node.keywords and check is None:

            def applied(context: Context) -> Any:
                value = target(context)
                try:
                    if type(value) is Undefined and not takes_undefined:
                        raise OperationError(value.message, value.help)
                    result = function(value)
                    if type(value) not in SMALL:
                        context.spend(step_cost(value))
                    return result
                except OperationError as failure:
                    fail(failure, node)
                except (TypeError, ValueError, OverflowError):
                    fail(_unsuited(name, value), node)

            return applied
        arguments = self._arguments(node)

        def applied_with(context: Context) -> Any:
            value = target(context)
            try:
                if type(value) is Undefined and not takes_undefined:
                    raise OperationError(value.message, value.help)
                if check is not None:
                    check(value)
                positional, named = arguments(context)
                result = function(value, *positional, **named)
                context.spend(step_cost(value) + step_cost(result))
                return result
            except OperationError as failure:
                fail(failure, node)
            except (TypeError, ValueError, OverflowError):
                fail(_unsuited(name, value), node)

        return applied_with

    def _maybe_missing(self, node: nodes.Expression) -> Evaluate:
        """Compile to a closure that returns the value, or undefined for the null of a step without a result."""
        raw = self.raw(node)

        def read(context: Context) -> Any:
            value = raw(context)
            if type(value) is not Entity:
                return value
            return _NO_RESULT if value.null_fields and value.value is None else value.value

        return read

    def _function(self, node: nodes.Call, entry: Builtin) -> Evaluate:
        function, arguments, fail = entry.function, self._arguments(node), self.fail
        timed, name = node.name in TIMED, node.name

        def called(context: Context) -> Any:
            try:
                positional, named = arguments(context)
                result = function(context.now, *positional, **named) if timed else function(*positional, **named)
                context.spend(step_cost(result))
                return result
            except OperationError as failure:
                fail(failure, node)
            except (TypeError, ValueError, OverflowError):
                fail(OperationError(f"`{name}` does not work with these arguments"), node)

        return called

    def _loop_call(self, node: nodes.Call) -> Evaluate:
        arguments, fail = self._arguments(node), self.fail
        cycle = node.name == "cycle"
        read = self._name(nodes.Name("loop", node.start, node.end))

        def called(context: Context) -> Any:
            loop = read(context)
            try:
                positional, _ = arguments(context)
                if type(loop) is not Loop or not positional:
                    raise OperationError(f"`loop.{node.name}` needs arguments, and only works inside a loop")
                if cycle:
                    return positional[loop.index0 % len(positional)]
                positional = plain_value(positional)
                changed = loop.changed_from != positional
                loop.changed_from = positional
                return changed
            except OperationError as failure:
                fail(failure, node)

        return called


def _nothing(context: Context) -> None:
    return None


def _unsuited(name: str, value: Any) -> OperationError:
    described = "this value" if isinstance(value, Undefined) else describe_type(type_of(value))
    return OperationError(f"`{name}` does not work on {described} with these arguments")


def _method_check(entry: Builtin) -> Callable[[Any], None]:
    kinds: tuple[Any, ...] = tuple({"string": str, "array": list, "object": Mapping}[kind] for kind in entry.accepts)

    def check(value: Any) -> None:
        if isinstance(value, kinds):
            return
        help = f"use the filter: `| {entry.name}`" if entry.name in FILTERS else None
        raise OperationError(f"{describe_data(value)} has no method `{entry.name}`", help)

    return check


_TABLES: Final = {"filter": FILTERS, "test": TESTS, "function": FUNCTIONS, "method": METHODS}
_COMPILERS: Final[dict[type, Callable[[ExpressionCompiler, Any], Evaluate]]] = {
    nodes.Literal: ExpressionCompiler._literal,
    nodes.Name: ExpressionCompiler._name,
    nodes.Attribute: ExpressionCompiler._attribute,
    nodes.Item: ExpressionCompiler._item,
    nodes.Slice: ExpressionCompiler._slice,
    nodes.Unary: ExpressionCompiler._unary,
    nodes.Binary: ExpressionCompiler._binary,
    nodes.Concat: ExpressionCompiler._concat,
    nodes.Compare: ExpressionCompiler._compare,
    nodes.Logic: ExpressionCompiler._logic,
    nodes.Conditional: ExpressionCompiler._conditional,
    nodes.ListOf: ExpressionCompiler._list,
    nodes.DictOf: ExpressionCompiler._dict,
    nodes.Call: ExpressionCompiler._call,
    nodes.Bad: ExpressionCompiler._bad,
}
