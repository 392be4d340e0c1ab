"""The syntax tree of a template. Each node has its offsets in the text; nothing changes it after parsing.

The nodes are slotted and not frozen: parsing creates many, and a frozen dataclass takes four times as long to create.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Literal(Struct, eq=False):
    """A number, string, boolean or null."""

    value: Any
    start: int
    end: int


class Name(Struct, eq=False):
    """A read of a name."""

    name: str
    start: int
    end: int


class Attribute(Struct, eq=False):
    """`target.name`. The name starts at `name_start`."""

    target: Expression
    name: str
    start: int
    end: int
    name_start: int


class Item(Struct, eq=False):
    """`target[index]`."""

    target: Expression
    index: Expression
    start: int
    end: int


class Slice(Struct, eq=False):
    """`target[low:high:step]`."""

    target: Expression
    low: Expression | None
    high: Expression | None
    step: Expression | None
    start: int
    end: int


class Unary(Struct, eq=False):
    """`-x`, `+x` or `not x`."""

    operator: str
    operand: Expression
    start: int
    end: int


class Binary(Struct, eq=False):
    """An arithmetic operation."""

    operator: str
    left: Expression
    right: Expression
    start: int
    end: int


class Concat(Struct, eq=False):
    """`a ~ b ~ c`: the parts as text, joined."""

    parts: list[Expression]
    start: int
    end: int


class Compare(Struct, eq=False):
    """`a < b <= c`: a chain of comparisons that must all hold."""

    first: Expression
    rest: list[tuple[str, Expression]]
    start: int
    end: int


class Logic(Struct, eq=False):
    """`and`, `or`."""

    operator: str
    left: Expression
    right: Expression
    start: int
    end: int


class Conditional(Struct, eq=False):
    """`then if test else otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression | None
    start: int
    end: int


class ListOf(Struct, eq=False):
    """`[a, b]`, `(a, b)`."""

    items: list[Expression]
    start: int
    end: int


class DictOf(Struct, eq=False):
    """`{'a': b}`."""

    entries: list[tuple[Expression, Expression]]
    start: int
    end: int


class Call(Struct, eq=False):
    """A use of a built-in: `target | name(...)`, `target is name(...)`, `target.name(...)` or `name(...)`.

    `kind` is `filter`, `test`, `method` or `function`; a function has no target. `positional` and `keywords` are as
    written; `name_start` is the offset of the name.
    """

    kind: str
    target: Expression | None
    name: str
    positional: list[Expression]
    keywords: dict[str, Expression]
    start: int
    end: int
    name_start: int
    negated: bool = False


class Bad(Struct, eq=False):
    """A placeholder where a problem was reported. `parts` are the valid expressions inside."""

    parts: list[Expression]
    start: int
    end: int


Expression = (
    Literal
    | Name
    | Attribute
    | Item
    | Slice
    | Unary
    | Binary
    | Concat
    | Compare
    | Logic
    | Conditional
    | ListOf
    | DictOf
    | Call
    | Bad
)


class Text(Struct, eq=False):
    """Text outside of braces."""

    text: str


class Output(Struct, eq=False):
    """`{{ expression }}`."""

    expression: Expression


class If(Struct, eq=False):
    """`{% if %}`: the first branch whose test holds, else `otherwise`."""

    branches: list[tuple[Expression, list[Statement]]] = field(default_factory=list)
    otherwise: list[Statement] | None = None


class For(Struct, eq=False):
    """`{% for targets in iterable if condition %}`."""

    targets: list[str]
    unpacked: bool
    iterable: Expression
    condition: Expression | None
    body: list[Statement] = field(default_factory=list)
    otherwise: list[Statement] | None = None


class Assign(Struct, eq=False):
    """`{% set a, b = value %}`; with `member`, `{% set a.member = value %}` of a namespace."""

    targets: list[str]
    unpacked: bool
    value: Expression
    start: int
    end: int
    member: str | None = None


class Capture(Struct, eq=False):
    """`{% set name | filter %}...{% endset %}`. `filters` is applied to the text, which it reads as `placeholder`."""

    name: str
    filters: Expression | None
    placeholder: str
    body: list[Statement] = field(default_factory=list)


class Declare(Struct, eq=False):
    """Names that an unsupported statement would have defined, so that reading them is not another problem."""

    names: list[str]


Statement = Text | Output | If | For | Assign | Capture | Declare


def subexpressions(node: Expression) -> list[Expression]:
    """Return the direct subexpressions of an expression, in the order of the text."""
    match node:
        case Literal() | Name():
            return []
        case Attribute():
            return [node.target]
        case Item():
            return [node.target, node.index]
        case Slice():
            return [part for part in (node.target, node.low, node.high, node.step) if part is not None]
        case Unary():
            return [node.operand]
        case Binary() | Logic():
            return [node.left, node.right]
        case Compare():
            return [node.first, *(operand for _, operand in node.rest)]
        case Conditional():
            return [part for part in (node.then, node.test, node.otherwise) if part is not None]
        case Concat():
            return node.parts
        case ListOf():
            return node.items
        case DictOf():
            return [part for entry in node.entries for part in entry]
        case Call():
            own = [] if node.target is None else [node.target]
            return [*own, *node.positional, *node.keywords.values()]
        case Bad():
            return node.parts


def height(root: Expression) -> int:
    """Return the height of an expression tree. Iterative, because it must handle trees that are too high."""
    levels = 0
    row = [root]
    while row:
        levels += 1
        row = [child for node in row for child in subexpressions(node)]
    return levels


def is_lookup(node: Expression) -> bool:
    """Return whether an expression only looks up a value that is there: a name, with fields and items of it."""
    while isinstance(node, Attribute | Item):
        node = node.target
    return isinstance(node, Name)
