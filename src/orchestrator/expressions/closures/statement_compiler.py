"""Compiles the statements of a template, and a whole template, into closures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from orchestrator.expressions.closures.expression_compiler import Context, ExpressionCompiler, step_cost
from orchestrator.expressions.evaluation.operations import defined, iterable_items, text_of
from orchestrator.expressions.evaluation.scope import Entity, Loop, Namespace, OperationError, Scope, Undefined
from orchestrator.expressions.evaluation.text import plain_value
from orchestrator.expressions.limits import MAX_TEXT
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.references import assigned_names
from orchestrator.expressions.types.assignability import describe_data

if TYPE_CHECKING:
    from collections.abc import Callable

    Execute = Callable[[Context, list[str]], None]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def compile_template(
    text: str, body: list[nodes.Statement], expression: nodes.Expression | None
) -> Callable[[Scope], Any]:
    """Compile a template to a function that returns the value of its only `expression`, or the rendered text."""
    compiler = StatementCompiler(text, frozenset(assigned_names(body)))
    if expression is None:
        execute = compiler.body(body)

        def write(scope: Scope) -> str:
            out: list[str] = []
            execute(Context(scope), out)
            return "".join(out)

        return write
    only = expression
    value = compiler.value(only)
    fail = compiler.fail
    created = not nodes.is_lookup(only)

    def compute(scope: Scope) -> Any:
        result = value(Context(scope))
        if type(result) in _SCALARS:
            return result
        try:
            return plain_value(defined(result), created=created)
        except OperationError as failure:
            fail(failure, only)

    return compute


class StatementCompiler(ExpressionCompiler):
    """Compiles statements to closures that append to the output."""

    def body(self, statements: list[nodes.Statement]) -> Execute:
        """Compile a list of statements to one closure."""
        steps = [self._statement(statement) for statement in statements if not isinstance(statement, nodes.Declare)]
        if len(steps) == 1:
            return steps[0]

        def execute(context: Context, out: list[str]) -> None:
            for step in steps:
                step(context, out)

        return execute

    def _statement(self, statement: nodes.Statement) -> Execute:
        match statement:
            case nodes.Text():
                return self._text(statement.text)
            case nodes.Output():
                return self._output(statement.expression)
            case nodes.If():
                return self._if(statement)
            case nodes.For():
                return self._for(statement)
            case nodes.Assign():
                return self._assign(statement)
            case nodes.Capture():
                return self._capture(statement)
            case nodes.Declare():
                return lambda context, out: None

    def _text(self, text: str) -> Execute:
        size = len(text)

        def write(context: Context, out: list[str]) -> None:
            context.room -= size
            if context.room < 0:
                self._overflow()
            out.append(text)

        return write

    def _overflow(self) -> NoReturn:
        self.fail(OperationError(f"the text has more than {MAX_TEXT:,} characters"), nodes.Bad([], 0, len(self.text)))

    def _output(self, node: nodes.Expression) -> Execute:
        value, fail = self.value(node), self.fail

        def write(context: Context, out: list[str]) -> None:
            result = value(context)
            try:
                text = result if type(result) is str else text_of(result)
            except OperationError as failure:
                fail(failure, node)
            context.room -= len(text)
            if context.room < 0:
                self._overflow()
            out.append(text)

        return write

    def _if(self, node: nodes.If) -> Execute:
        branches = [(self.value(test), self.body(body)) for test, body in node.branches]
        otherwise = self.body(node.otherwise or [])

        def choose(context: Context, out: list[str]) -> None:
            for test, body in branches:
                if test(context):
                    body(context, out)
                    return
            otherwise(context, out)

        return choose

    def _bind(
        self, targets: list[str], unpacked: bool, node: nodes.Expression, help: str
    ) -> Callable[[Context, Any], None]:
        if not unpacked:
            (name,) = targets

            def bind_one(context: Context, value: Any) -> None:
                context.local[name] = value

            return bind_one
        count, fail = len(targets), self.fail

        def bind(context: Context, value: Any) -> None:
            if type(value) is Entity:
                value = value.value
            if not isinstance(value, list) or len(value) != count:
                what = f"a list of {len(value):,}" if isinstance(value, list) else _described(value)
                fail(OperationError(f"cannot unpack {what} into {count} names", help), node)
            context.local.update(zip(targets, value, strict=True))

        return bind

    def _for(self, node: nodes.For) -> Execute:
        iterable, fail = self.value(node.iterable), self.fail
        condition = self.value(node.condition) if node.condition else None
        pairs = "each item must be a list with one value per name; for the pairs of an object use `.items()`"
        bind = self._bind(node.targets, node.unpacked, node.iterable, pairs)
        body, otherwise = self.body(node.body), self.body(node.otherwise or [])

        def repeat(context: Context, out: list[str]) -> None:
            outer = context.local
            source = iterable(context)
            try:
                items = iterable_items(source)
                context.spend(len(items))
                if condition is not None:
                    chosen = []
                    for item in items:
                        context.local = dict(outer)
                        bind(context, item)
                        if condition(context):
                            chosen.append(item)
                    items = chosen
                context.depth += 1
                loop = Loop(items, context.depth)
                for index, item in enumerate(items):
                    if not index % 16:
                        context.watch()
                    loop.index0 = index
                    context.local = {**outer, "loop": loop}
                    bind(context, item)
                    body(context, out)
            except OperationError as failure:
                fail(failure, node.iterable)
            finally:
                context.local = outer
            context.depth -= 1
            if not items:
                context.local = dict(outer)
                otherwise(context, out)
                context.local = outer

        return repeat

    def _assign(self, node: nodes.Assign) -> Execute:
        value, fail = self.raw(node.value), self.fail
        if node.member is None:
            bind = self._bind(node.targets, node.unpacked, node.value, "use a list with one value per name")
            return lambda context, out: bind(context, value(context))
        name, member = node.targets[0], node.member

        def assign(context: Context, out: list[str]) -> None:
            target = context.local.get(name)
            try:
                if not isinstance(target, Namespace):
                    raise OperationError(
                        f"`{name}` is not a namespace, so its fields cannot be set",
                        f"start with `{{% set {name} = namespace({member}=0) %}}`",
                    )
                new = value(context)
                if isinstance(new, Namespace | Loop):
                    raise OperationError("a namespace cannot contain this value")
                target.fields[member] = new
            except OperationError as failure:
                fail(failure, node.value)

        return assign

    def _capture(self, node: nodes.Capture) -> Execute:
        body, name, placeholder = self.body(node.body), node.name, node.placeholder
        filters = self.value(node.filters) if node.filters else None

        def capture(context: Context, out: list[str]) -> None:
            inner: list[str] = []
            room, outer = context.room, context.local
            context.local = dict(outer)
            body(context, inner)
            context.room, context.local = room, outer
            text = "".join(inner)
            context.spend(step_cost(text))
            if filters is not None:
                context.local[placeholder] = text
                text = filters(context)
            context.local[name] = text

        return capture


def _described(value: Any) -> str:
    return value.message if isinstance(value, Undefined) else describe_data(value)
