"""Parses one expression: a Pratt parser over the tokens of one tag, with Jinja2's precedences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.expressions.limits import MAX_NESTING, TOO_LARGE_INTEGER
from orchestrator.expressions.syntax import messages
from orchestrator.expressions.syntax.lexer import KEYWORDS, Token, unescape
from orchestrator.expressions.syntax.nodes import (
    Attribute,
    Bad,
    Binary,
    Call,
    Compare,
    Concat,
    Conditional,
    DictOf,
    Expression,
    Item,
    ListOf,
    Literal,
    Logic,
    Name,
    Slice,
    Unary,
    height,
)

if TYPE_CHECKING:
    from orchestrator.expressions.builtins.builtin import Builtin
    from orchestrator.expressions.problem import Problem

_IF, _OR, _AND, _NOT, _COMPARE, _SUM, _CONCAT, _PRODUCT, _POWER, _UNARY = range(1, 11)
NO_CONDITIONAL: Final = _OR
"""The binding power to parse with if a following `if` is not part of the expression."""

_INFIX: Final = {
    "if": _IF,
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not"), _COMPARE),
    "+": _SUM,
    "-": _SUM,
    "~": _CONCAT,
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
    "**": _POWER,
}
_CONSTANTS: Final = {"true": True, "True": True, "false": False, "False": False}
_CONSTANTS_NULL: Final = frozenset({"none", "None", "null"})
_OPERANDS: Final = frozenset({"name", "integer", "float", "string", "(", "[", "{"})
_TABLES: Final = {"filter": FILTERS, "test": TESTS, "function": FUNCTIONS, "method": METHODS}
_LONG: Final = 120
_LONGEST_INTEGER: Final = 1_000
"""Characters of an integer, which can be binary."""


class ParseError(Exception):
    """The rest of a tag cannot be parsed; the problem gives the reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class ExpressionParser:
    """Parses expressions from the tokens of one tag. Problems that it can recover from are added to `problems`."""

    __slots__ = ("depth", "position", "problems", "text", "tokens")

    def __init__(self, text: str, tokens: list[Token], problems: list[Problem]) -> None:
        self.text = text
        self.tokens = tokens
        self.problems = problems
        self.position = 0
        self.depth = 0

    # --- tokens

    def peek(self) -> Token:
        """Return the next token."""
        return self.tokens[self.position]

    def take(self) -> Token:
        """Consume and return the next token."""
        token = self.tokens[self.position]
        self.position += 1
        return token

    def expect(self, kind: str, wanted: str) -> Token:
        """Consume and return the next token, which must be of this kind."""
        token = self.tokens[self.position]
        if token[0] != kind:
            self.unexpected(wanted)
        self.position += 1
        return token

    def unexpected(self, wanted: str) -> NoReturn:
        """Raise ParseError: `wanted` is expected at the next token."""
        raise ParseError(messages.unexpected_token(self.text, self.tokens, self.position, wanted))

    # --- expressions

    def whole(self) -> Expression:
        """Parse the only expression of the tag, to its end."""
        node = self.checked()
        if self.tokens[self.position][0] != "end":
            self.unexpected("an operator or the end")
        return node

    def checked(self, power: int = 0) -> Expression:
        """Parse an expression, and refuse one that is nested too deeply to evaluate."""
        node = self.expression(power)
        if len(self.tokens) > _LONG and height(node) > _LONG:
            raise ParseError(messages.too_deep(node.start, node.end))
        return node

    def expression(self, power: int = 0) -> Expression:
        """Parse an expression whose operators bind at least as strongly as `power`."""
        if self.depth > MAX_NESTING:
            token = self.peek()
            raise ParseError(messages.too_deep(token[2], token[3]))
        self.depth += 1
        tokens = self.tokens
        begin = tokens[self.position][2]  # of a parenthesis, if the first operand is in parentheses
        if tokens[self.position][0] == "not":
            if power > _NOT:
                self.unexpected("a value")
            start = self.take()[2]
            operand = self.expression(_NOT)
            left: Expression = Unary("not", operand, start, self._end())
        else:
            left = self.unary()
        while True:
            kind = tokens[self.position][0]
            strength = _INFIX.get(kind)
            if strength is None or strength < power:
                break
            if kind == "not" and tokens[self.position + 1][0] != "in":
                break
            left = self._infix(left, kind, strength, begin)
        self.depth -= 1
        return left

    def _end(self) -> int:
        """Return the end of the last consumed token."""
        return self.tokens[self.position - 1][3]

    def _infix(self, left: Expression, kind: str, strength: int, begin: int) -> Expression:
        if strength == _COMPARE:
            return self._comparison(left, begin)
        self.position += 1
        if kind == "if":
            test = self.expression(_OR)
            otherwise = None
            if self.tokens[self.position][0] == "else":
                self.position += 1
                otherwise = self.expression(_IF)
            return Conditional(test, left, otherwise, begin, self._end())
        if kind == "~":
            parts = [left, self.expression(_PRODUCT)]
            while self.tokens[self.position][0] == "~":
                self.position += 1
                parts.append(self.expression(_PRODUCT))
            return Concat(parts, begin, self._end())
        right = self.expression(strength + 1)
        if kind in ("and", "or"):
            return Logic(kind, left, right, begin, self._end())
        return Binary(kind, left, right, begin, self._end())

    def _comparison(self, first: Expression, begin: int) -> Expression:
        rest: list[tuple[str, Expression]] = []
        while True:
            kind = self.tokens[self.position][0]
            if _INFIX.get(kind) != _COMPARE:
                break
            if kind == "not":
                if self.tokens[self.position + 1][0] != "in":
                    break
                kind = "not in"
                self.position += 1
            self.position += 1
            rest.append((kind, self.expression(_SUM)))
        return Compare(first, rest, begin, self._end())

    def unary(self, *, with_filters: bool = True) -> Expression:
        """Parse an operand with its sign, its postfix operators, its filters and its tests."""
        token = self.tokens[self.position]
        if token[0] in ("-", "+"):
            if self.depth > MAX_NESTING:
                raise ParseError(messages.too_deep(token[2], token[3]))
            self.depth += 1
            self.position += 1
            operand = self.unary(with_filters=False)
            self.depth -= 1
            node: Expression = Unary(token[0], operand, token[2], self._end())
        else:
            node = self.postfix(self.primary())
        if with_filters:
            while True:
                kind = self.tokens[self.position][0]
                if kind == "|":
                    self.position += 1
                    node = self.filter(node)
                elif kind == "is":
                    node = self._test(node)
                else:
                    break
        return node

    def primary(self) -> Expression:
        """Parse a literal, a name, or a bracketed expression."""
        kind, value, start, end = self.tokens[self.position]
        if kind == "name":
            self.position += 1
            if value in _CONSTANTS:
                return Literal(_CONSTANTS[value], start, end)
            if value in _CONSTANTS_NULL:
                return Literal(None, start, end)
            return Name(value, start, end)
        if kind == "string":
            return self._string()
        if kind == "integer":
            self.position += 1
            return Literal(self._integer(value, start, end), start, end)
        if kind == "float":
            self.position += 1
            number = float(value)
            if number in (float("inf"),):
                raise ParseError(messages.number_too_large(start, end))
            return Literal(number, start, end)
        if kind == "(":
            return self._parentheses()
        if kind == "[":
            self.position += 1
            items = self._items("]")
            return ListOf(items, start, self.expect("]", "`,` or `]`")[3])
        if kind != "{":
            self.unexpected("a value")
        return self._object()

    def _string(self) -> Expression:
        parts: list[str] = []
        first = self.peek()
        while self.peek()[0] == "string":
            _, literal, start, end = self.take()
            part = unescape(literal)
            if part is None:
                self.problems.append(messages.bad_escape(start, end))
                part = ""
            parts.append(part)
        return Literal(parts[0] if len(parts) == 1 else "".join(parts), first[2], self.tokens[self.position - 1][3])

    def _integer(self, value: str, start: int, end: int) -> int:
        if len(value) > _LONGEST_INTEGER:
            raise ParseError(messages.number_too_large(start, end))
        plain = value.isascii() and value.isdigit() and (value[0] != "0" or value.strip("0") == "")
        try:
            number = int(value) if plain else int(value, 0)
        except ValueError:
            raise ParseError(messages.bad_number(value, start, end)) from None
        if number >= TOO_LARGE_INTEGER:
            raise ParseError(messages.number_too_large(start, end))
        return number

    def _parentheses(self) -> Expression:
        start = self.take()[2]
        if self.peek()[0] == ")":
            return ListOf([], start, self.take()[3])
        node = self.expression()
        if self.peek()[0] != ",":
            self.expect(")", "`)`")
            return node
        self.position += 1
        items = [node, *self._items(")")]
        return ListOf(items, start, self.expect(")", "`,` or `)`")[3])

    def _items(self, closing: str) -> list[Expression]:
        items: list[Expression] = []
        while self.peek()[0] != closing:
            items.append(self.expression())
            if self.peek()[0] != ",":
                break
            self.position += 1
        return items

    def _object(self) -> Expression:
        start = self.take()[2]
        entries: list[tuple[Expression, Expression]] = []
        while self.peek()[0] != "}":
            key = self.expression()
            self.expect(":", "`:` and a value")
            entries.append((key, self.expression()))
            if self.peek()[0] != ",":
                break
            self.position += 1
        return DictOf(entries, start, self.expect("}", "`,` or `}`")[3])

    # --- postfix operators

    def postfix(self, node: Expression) -> Expression:
        """Parse the fields, indices and calls after an operand."""
        while True:
            kind, _, start, _ = self.tokens[self.position]
            if kind == ".":
                self.position += 1
                kind, value, name_start, end = self.tokens[self.position]
                if kind == "name" or value in KEYWORDS:
                    self.position += 1
                    if value.startswith("__"):
                        self.problems.append(messages.private_name(value, name_start, end))
                        return Bad([node], node.start, end)
                    node = Attribute(node, value, node.start, end, name_start)
                elif kind == "integer":
                    self.position += 1
                    index = Literal(self._integer(value, name_start, end), name_start, end)
                    node = Item(node, index, node.start, end)
                else:
                    self.unexpected("a field name")
            elif kind == "[":
                self.position += 1
                node = self._subscript(node)
            elif kind == "(":
                node = self._call(node, start)
            else:
                return node

    def _subscript(self, target: Expression) -> Expression:
        low = high = step = None
        if self.peek()[0] != ":":
            low = self.expression()
            if self.peek()[0] != ":":
                end = self.expect("]", "`]`")[3]
                return Item(target, low, target.start, end)
        self.position += 1
        if self.peek()[0] not in (":", "]"):
            high = self.expression()
        if self.peek()[0] == ":":
            self.position += 1
            if self.peek()[0] != "]":
                step = self.expression()
        end = self.expect("]", "`]`")[3]
        return Slice(target, low, high, step, target.start, end)

    def _call(self, target: Expression, start: int) -> Expression:
        positional, keywords, end = self._arguments()
        if isinstance(target, Attribute):
            return self._use("method", target.target, target.name, positional, keywords, target.name_start, end)
        if isinstance(target, Name):
            return self._use("function", None, target.name, positional, keywords, target.start, end)
        if not isinstance(target, Bad):
            self.problems.append(messages.not_callable(self.text, target, start, end))
        return Bad([target, *positional, *keywords.values()], target.start, end)

    def _arguments(self) -> tuple[list[Expression], dict[str, Expression], int]:
        self.position += 1
        positional: list[Expression] = []
        keywords: dict[str, Expression] = {}
        while (token := self.peek())[0] != ")":
            if token[0] in ("*", "**"):
                raise ParseError(messages.unpacked_arguments(token[2], token[3]))
            if token[0] == "name" and self.tokens[self.position + 1][0] == "=":
                self.position += 2
                if token[1] in keywords:
                    self.problems.append(messages.repeated_argument(token[1], token[2], token[3]))
                keywords[token[1]] = self.expression()
            elif keywords:
                self.unexpected("a keyword argument, like those before it,")
            else:
                positional.append(self.expression())
            if self.peek()[0] != ",":
                break
            self.position += 1
        return positional, keywords, self.expect(")", "`,` or `)`")[3]

    def filter(self, target: Expression) -> Expression:
        """Parse the name and the arguments of a filter, after the `|`."""
        _, name, start, end = self.expect("name", "the name of a filter")
        positional: list[Expression] = []
        keywords: dict[str, Expression] = {}
        if self.tokens[self.position][0] == "(":
            positional, keywords, end = self._arguments()
        return self._use("filter", target, name, positional, keywords, start, end)

    def _test(self, target: Expression) -> Expression:
        self.position += 1
        negated = self.peek()[0] == "not"
        if negated:
            self.position += 1
        kind, name, start, end = self.peek()
        if kind not in ("name", "in"):
            self.unexpected("the name of a test, such as `defined`,")
        self.position += 1
        positional: list[Expression] = []
        keywords: dict[str, Expression] = {}
        entry = TESTS.get(name)
        if self.peek()[0] == "(":
            positional, keywords, end = self._arguments()
        elif self.peek()[0] in _OPERANDS and (entry is None or entry.parameters):
            argument = self.postfix(self.primary())
            positional, end = [argument], argument.end
        return self._use("test", target, name, positional, keywords, start, end, negated=negated)

    def _use(
        self,
        kind: str,
        target: Expression | None,
        name: str,
        positional: list[Expression],
        keywords: dict[str, Expression],
        name_start: int,
        end: int,
        *,
        negated: bool = False,
    ) -> Expression:
        entry = _TABLES[kind].get(name)
        start = name_start if target is None else target.start
        if entry is None:
            own = [] if target is None else [target]
            parts = [*own, *positional, *keywords.values()]
            if kind == "method" and isinstance(target, Name) and target.name == "loop" and name in ("cycle", "changed"):
                return Call("loop", target, name, positional, keywords, start, end, name_start)
            first = positional[0] if positional else None
            name_end = name_start + len(name)
            self.problems.append(messages.unknown_name(self.text, kind, name, name_start, name_end, target, first))
            return Bad(parts, start, end)
        if positional or keywords or entry.parameters:
            self._check_arguments(kind, entry, positional, keywords, name_start, end)
        return Call(kind, target, name, positional, keywords, start, end, name_start, negated)

    def _check_arguments(
        self,
        kind: str,
        entry: Builtin,
        positional: list[Expression],
        keywords: dict[str, Expression],
        start: int,
        end: int,
    ) -> None:
        problem = entry.misuse(len(positional), tuple(keywords))
        if problem is not None:
            self.problems.append(messages.wrong_arguments(kind, entry, problem, start, end))
        elif entry.check is not None:
            given = entry.bound(positional, keywords)
            misuse = entry.check({name: node.value for name, node in given.items() if isinstance(node, Literal)})
            if misuse is not None:
                argument = given[misuse.parameter]
                self.problems.append(messages.bad_argument(self.text, kind, entry, misuse, argument))
