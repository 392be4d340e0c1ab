"""Infers the types of expressions from the types of the names that they read, and finds what is sure to fail.

It reports only what can never work: a field that the value is declared not to have, an operation that the types do not
support. In doubt a value is `any`, which supports everything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.expressions.inference.comparisons import never_equal, never_passes
from orchestrator.expressions.inference.operand_help import operand_help
from orchestrator.expressions.problem import Problem, near
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.messages import REFUSED_NAMES, missing_field
from orchestrator.expressions.syntax.references import DEFAULT_FILTERS, DEFINITION_TESTS, assigned_members, path_of
from orchestrator.expressions.types.environment import vocabulary_of
from orchestrator.expressions.types.operators import NUMERIC, alternatives, arithmetic, comparable, without_attributes
from orchestrator.expressions.types.value_types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Type,
    array_of,
    describe_type,
    object_of,
    union_of,
)
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.expressions.syntax.nodes import Expression, Statement

_TABLES: Final = {"filter": FILTERS, "test": TESTS, "function": FUNCTIONS, "method": METHODS}
_MOST_NAMES: Final = 12
"""How many known names are listed for an unknown one."""
_SIZED: Final = frozenset({"string", "array", "object"})
_LITERALS: Final[dict[type, Type]] = {str: STRING, int: INTEGER, bool: BOOLEAN, float: NUMBER, type(None): NULL}


@lru_cache(maxsize=64)
def _names_here(names: tuple[str, ...]) -> str:
    """Return the help that lists names, cached because many problems may share it."""
    return f"the defined names are {quoted_list(names, most=_MOST_NAMES)}"


def value_description(type_: Type) -> str:
    """Describe the type of a value in words."""
    return describe_type(without_attributes(type_))


class ExpressionInferrer:
    """Walks the expressions of a template with the types of the names.

    `quiet` counts the enclosing constructs that handle a missing value, `asked` those that test whether it is defined.
    """

    def __init__(self, body: list[Statement], env: Mapping[str, Type]) -> None:
        self.body = body
        self.env = env
        self.problems: list[Problem] = []
        self.quiet = 0
        self.asked = 0

    def report(self, code: str, message: str, node: Expression, help: str | None = None, label: str = "") -> None:
        """Add a problem at the place of an expression."""
        self.problems.append(Problem(code, message, node.start, node.end, help, label))

    def type(self, node: Expression, local: dict[str, Type]) -> Type:
        """Return the type of an expression, and report its problems."""
        return _RULES[type(node)](self, node, local)

    def _literal(self, node: nodes.Literal, local: dict[str, Type]) -> Type:
        return _LITERALS[type(node.value)]

    def _name(self, node: nodes.Name, local: dict[str, Type]) -> Type:
        found = local.get(node.name) or self.env.get(node.name)
        if found is None:
            self._undefined(node, local)
            return ANY
        return found

    def _undefined(self, node: nodes.Name, local: dict[str, Type]) -> None:
        name = node.name
        if name in FUNCTIONS:
            help: str | None = f"`{name}` is a function: write `{name}()`"
            suggestion = None
        elif name in REFUSED_NAMES:
            suggestion = None
            help = REFUSED_NAMES[name]
        else:
            vocabulary = vocabulary_of(self.env)
            suggestion = vocabulary.near(name, *local)
            if suggestion:
                help = f"did you mean `{suggestion}`?"
            else:
                names = tuple(sorted({*vocabulary.smallest(), *local}) if local else vocabulary.smallest())
                help = _names_here(names) if names else "define it as an input, a variable or a step"
        self.problems.append(
            Problem(
                codes.UNDEFINED_NAME,
                f"`{name}` is not defined{', in any run' if self.quiet else ''}",
                node.start,
                node.end,
                help,
                "not defined",
                severity="warning" if self.quiet else "error",
                replacement=suggestion,
            )
        )

    def _attribute(self, node: nodes.Attribute, local: dict[str, Type]) -> Type:
        return self._field(node, self.type(node.target, local), node.target, node.name, node.name_start)

    def _field(self, node: Expression, source: Type, target: Expression, name: str, start: int) -> Type:
        if name in source.attributes:
            return source.attributes[name]
        found = []
        for option in alternatives(source):
            if option.kind == "any":
                return ANY
            if option.kind == "object":
                if name in option.properties:
                    found.append(option.properties[name])
                elif not option.closed:
                    return ANY
            elif name in option.attributes:
                found.append(option.attributes[name])
        if found:
            return union_of(found) if len(found) > 1 else found[0]
        if not self.asked:  # a default does not make a field that never exists correct
            fields = (each for option in alternatives(source) if option.kind == "object" for each in option.properties)
            known = dict.fromkeys([*fields, *source.attributes])  # last: the fields of this value are suggested first
            self._no_field(source, target, name, known, start, node.end)
        return ANY

    def _no_field(
        self, source: Type, target: Expression, name: str, known: Mapping[str, None], start: int, end: int
    ) -> None:
        place = path_of(target)
        what = f"`{'.'.join([place[0].name, *map(str, place[1])])}`" if place else "the value"
        method = name in METHODS and source.kind in METHODS[name].accepts
        suggestion = None if method else near(name, known)
        replacement = f"'{suggestion}'" if suggestion and end - start > len(name) else suggestion
        if known:
            message = f"`{name}` is not a field of {what}; it has {quoted_list(known, most=12)}"
            help = (
                f"did you mean `{suggestion}`?"
                if suggestion
                else "read one of these, or add the field where the value is created"
            )
        else:
            message = f"{what} is {value_description(source)}, so it has no field `{name}`"
            written = what.strip("`") if place else "value"
            if isinstance(target, nodes.Call) and target.name == "now":
                written = "now()"
            help = missing_field(source.kind, name, written)
        if method:
            help = f"call the method: `.{name}()`"
        self.problems.append(
            Problem(codes.UNKNOWN_FIELD, message, start, end, help, "no such field", replacement=replacement)
        )

    def _item(self, node: nodes.Item, local: dict[str, Type]) -> Type:
        source = self.type(node.target, local)
        index = self.type(node.index, local)
        if isinstance(node.index, nodes.Literal) and isinstance(node.index.value, str):
            if source.kind in ("object", "union") or source.attributes:
                return self._field(node.index, source, node.target, node.index.value, node.index.start)
            return ANY
        items = []
        for option in alternatives(source):
            if option.kind == "array":
                items.append(option.items or ANY)
            elif option.kind == "string":
                items.append(STRING)
            elif option.kind in ("any", "object"):
                return ANY
        if not items and not self.quiet:
            message = f"{value_description(source)} has no items"
            self.report(
                codes.INCOMPATIBLE_TYPES,
                message,
                node,
                "use the value itself, or read an item of a list",
                "not a list",
            )
            return ANY
        if index.kind == "string" and source.kind in ("array", "string") and not self.quiet:
            message = "a list index must be an integer, not a string"
            self.report(codes.INCOMPATIBLE_TYPES, message, node.index, "convert the index with `| int`")
        return union_of(items)

    def _slice(self, node: nodes.Slice, local: dict[str, Type]) -> Type:
        source = self.type(node.target, local)
        for part in (node.low, node.high, node.step):
            if part is not None:
                self.type(part, local)
        if self._never(source, ("string", "array")):
            self.report(
                codes.INCOMPATIBLE_TYPES,
                f"{value_description(source)} cannot be sliced",
                node,
                "slice a list or a string",
            )
            return ANY
        return without_attributes(source)

    def _unary(self, node: nodes.Unary, local: dict[str, Type]) -> Type:
        if node.operator == "not":
            self._unless_missing(node.operand, local)
            return BOOLEAN
        operand = self.type(node.operand, local)
        if self._never(operand, NUMERIC):
            message = f"{value_description(operand)} cannot be negated"
            self.report(codes.INCOMPATIBLE_TYPES, message, node, "convert it with `| int` or `| float`", "not a number")
            return ANY
        return INTEGER if operand.kind in ("integer", "boolean") else NUMBER if operand.kind == "number" else ANY

    def _never(self, source: Type, kinds: Any) -> bool:
        """Whether no value of the type has one of these kinds."""
        return all(option.kind not in kinds and option.kind != "any" for option in alternatives(source))

    def _binary(self, node: nodes.Binary, local: dict[str, Type]) -> Type:
        echoes = len(self.problems)
        left, right = self.type(node.left, local), self.type(node.right, local)
        if node.operator == "-" and len(self.problems) > echoes:
            self._join_hyphens(node, echoes, local)
        result = arithmetic(node.operator, left, right)
        if result is None:
            help = "convert one of the values, for example with `| int`, `| string` or `| list`"
            if node.operator == "+" and "string" in (left.kind, right.kind):
                help = "to join text use `~`; to compute, convert with `| int` or `| float`"
            elif "string" in (left.kind, right.kind):
                help = "convert the string with `| int` or `| float`"
                if node.operator == "%" and left.kind == "string":
                    help = "format text with the filter: `'%s of %s' | format(a, b)`"
            self.report(
                codes.INCOMPATIBLE_TYPES,
                f"`{node.operator}` does not work on {value_description(left)} and {value_description(right)}",
                node,
                help,
                "incompatible types",
            )
            return ANY
        return result

    def _join_hyphens(self, node: nodes.Binary, since: int, local: dict[str, Type]) -> None:
        """Merge the problems of `fetch-data` into one, if a name with a hyphen was meant."""
        new = self.problems[since:]
        halves = isinstance(node.left, nodes.Name) and isinstance(node.right, nodes.Name | nodes.Attribute)
        if (
            not halves
            or any(problem.code != codes.UNDEFINED_NAME for problem in new)
            or node.right.start != node.left.end + 1
        ):
            return
        assert isinstance(node.left, nodes.Name)  # noqa: S101 - checked above; for the type checker
        right = path_of(node.right)
        if right is None:
            return
        name = f"{node.left.name}-{right[0].name}"
        suggestion = vocabulary_of(self.env).near(name)
        if len(new) < 2 and not (suggestion and "-" in suggestion):
            return
        del self.problems[since:]
        help = f"did you mean `{suggestion}`?" if suggestion else "`-` in a name is a subtraction"
        self.problems.append(
            Problem(
                codes.UNDEFINED_NAME,
                f"`{name}` is not defined",
                node.left.start,
                right[0].end,
                help,
                "not defined",
                replacement=suggestion,
            )
        )

    def _concat(self, node: nodes.Concat, local: dict[str, Type]) -> Type:
        for part in node.parts:
            self.type(part, local)
        return STRING

    def _compare(self, node: nodes.Compare, local: dict[str, Type]) -> Type:
        left = self.type(node.first, local)
        left_node = node.first
        for sign, operand in node.rest:
            right = self.type(operand, local)
            self.problems.extend(never_equal(left_node, left, sign, operand, right))
            if sign in ("in", "not in"):
                if self._never(right, _SIZED):
                    message = f"`in` does not work on {value_description(right)}"
                    self.report(
                        codes.INCOMPATIBLE_TYPES,
                        message,
                        operand,
                        "use a list, an object or a string",
                        "not a list",
                    )
            elif sign not in ("==", "!=") and not comparable(left, right):
                self.problems.append(
                    Problem(
                        codes.INCOMPATIBLE_TYPES,
                        f"{value_description(left)} and {value_description(right)} cannot be ordered",
                        left_node.start,
                        operand.end,
                        "convert the string with `| int` or `| float`"
                        if "string" in (left.kind, right.kind)
                        else "compare their lengths (`| length`), or one of their fields",
                        "incompatible types",
                    )
                )
            left, left_node = right, operand
        return BOOLEAN

    def _unless_missing(self, node: Expression, local: dict[str, Type]) -> Type:
        """Return the type of an expression that may be undefined here.

        An undefined name is still reported: it cannot be defined in any run.
        """
        return self.type(node, local)

    def _logic(self, node: nodes.Logic, local: dict[str, Type]) -> Type:
        left = self._unless_missing(node.left, local)
        right = self.type(node.right, local)
        first, second = without_attributes(left), without_attributes(right)
        if node.operator == "or":  # null is false, so it is never the result of the left side
            kinds = [option for option in alternatives(first) if option.kind != "null"]
            first = union_of(kinds) if kinds else second
        return union_of([first, second])

    def _conditional(self, node: nodes.Conditional, local: dict[str, Type]) -> Type:
        self._unless_missing(node.test, local)
        then = self.type(node.then, local)
        otherwise = self.type(node.otherwise, local) if node.otherwise is not None else NULL
        return union_of([without_attributes(then), without_attributes(otherwise)])

    def _list(self, node: nodes.ListOf, local: dict[str, Type]) -> Type:
        items = [without_attributes(self.type(item, local)) for item in node.items]
        return array_of(union_of(items)) if items else Type("array")

    def _dict(self, node: nodes.DictOf, local: dict[str, Type]) -> Type:
        properties: dict[str, Type] = {}
        constant = True
        for key, value in node.entries:
            name = self.type(key, local)
            kind = without_attributes(self.type(value, local))
            if isinstance(key, nodes.Literal) and isinstance(key.value, str):
                properties[key.value] = kind
            else:
                constant = False
                if self._never(name, ("string",)):
                    self.report(
                        codes.INCOMPATIBLE_TYPES,
                        f"field names must be strings, not {describe_type(name)}",
                        key,
                        "put it in quotes",
                    )
        return object_of(properties) if constant else OBJECT

    def _bad(self, node: nodes.Bad, local: dict[str, Type]) -> Type:
        for part in node.parts:
            self.type(part, local)
        return ANY

    def _call(self, node: nodes.Call, local: dict[str, Type]) -> Type:
        if node.kind == "loop":
            for part in node.positional:
                self.type(part, local)
            return ANY
        entry = _TABLES[node.kind][node.name]
        provides = node.name in (DEFAULT_FILTERS if node.kind == "filter" else DEFINITION_TESTS)
        provides = provides and node.kind in ("filter", "test")
        self.quiet += provides
        self.asked += provides and node.kind == "test"
        target = ANY if node.target is None else self.type(node.target, local)
        self.quiet -= provides
        self.asked -= provides and node.kind == "test"
        positional = [without_attributes(self.type(part, local)) for part in node.positional]
        for part in node.keywords.values():
            self.type(part, local)
        if node.kind == "function" and node.name == "namespace":
            return object_of(dict.fromkeys([*node.keywords, *assigned_members(self.body)], ANY))
        if entry.accepts and node.target is not None and self._never(target, entry.accepts):
            place = path_of(node.target)
            written = "" if place is None else ".".join([place[0].name, *map(str, place[1])])
            wanted = " or ".join(describe_type(Type(kind)) for kind in entry.accepts if kind != "boolean")
            message = f"the {node.kind} `{node.name}` works on {wanted}, not on {value_description(target)}"
            if node.kind == "method":
                message = f"{value_description(target)} has no method `{node.name}`"
            help = operand_help(node.kind, entry, without_attributes(target), written)
            self.report(codes.INCOMPATIBLE_TYPES, message, node, help, "incompatible types")
            return ANY
        self.problems.extend(never_passes(node, target))
        return entry.result_type(without_attributes(target), positional)


_RULES: Final[dict[type, Callable[[ExpressionInferrer, Any, dict[str, Type]], Type]]] = {
    nodes.Literal: ExpressionInferrer._literal,
    nodes.Name: ExpressionInferrer._name,
    nodes.Attribute: ExpressionInferrer._attribute,
    nodes.Item: ExpressionInferrer._item,
    nodes.Slice: ExpressionInferrer._slice,
    nodes.Unary: ExpressionInferrer._unary,
    nodes.Binary: ExpressionInferrer._binary,
    nodes.Concat: ExpressionInferrer._concat,
    nodes.Compare: ExpressionInferrer._compare,
    nodes.Logic: ExpressionInferrer._logic,
    nodes.Conditional: ExpressionInferrer._conditional,
    nodes.ListOf: ExpressionInferrer._list,
    nodes.DictOf: ExpressionInferrer._dict,
    nodes.Call: ExpressionInferrer._call,
    nodes.Bad: ExpressionInferrer._bad,
}
