"""`Builtin`: an entry in the tables of filters, tests, functions and methods, and the decorator that registers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from orchestrator.expressions.types.value_types import ANY, Kind, Type
from orchestrator.remedies import Remedy

ResultRule = Callable[[Type, Sequence[Type]], Type]
"""Computes the type of the result from the types of the value and the positional arguments."""

BuiltinDecorator = Callable[[Callable[..., Any]], Callable[..., Any]]
"""A decorator that registers a function in a table."""


class Misuse(Struct, frozen=True):
    """An invalid constant argument.

    `problem` follows the name of the filter in the message. `meant` is a string that can safely replace the argument.
    """

    parameter: str
    problem: str
    help: str | None = None
    meant: str | None = None
    remedies: tuple[Remedy, ...] = ()


Check = Callable[[Mapping[str, Any]], Misuse | None]
"""Checks the constant arguments of a call, by parameter name."""


class BuiltinParameter(Struct, frozen=True):
    """One argument of a filter, test, function or method."""

    name: str
    required: bool = True
    default: Any = None


class Builtin(Struct, frozen=True):
    """One filter, test, function or method.

    `function` takes the value (except for functions), then the arguments. `accepts` lists the kinds of values that it
    works on; empty means all. `undefined`: the value may be undefined. `check` validates the constant arguments at
    compile time. `absent`: the null of a step without a result counts as undefined. `example` is a template and its
    output.
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[BuiltinParameter, ...]
    result: Type | ResultRule
    summary: str
    example: tuple[str, str]
    accepts: tuple[Kind, ...] = ()
    variadic: bool = False
    open_keywords: bool = False
    undefined: bool = False
    absent: bool = False
    check: Check | None = None
    alias_of: str = ""

    @property
    def signature(self) -> str:
        """The parameters as they are written in a template: `(width=4, first=false)`."""
        parts = [p.name if p.required else f"{p.name}={_spelled(p.default)}" for p in self.parameters]
        parts += ["..."] if self.variadic or self.open_keywords else []
        return f"({', '.join(parts)})" if parts else ""

    def misuse(self, positional: int, keywords: Sequence[str]) -> str | None:
        """Describe what is wrong with a call with these arguments; None if it is valid."""
        names = [parameter.name for parameter in self.parameters]
        if positional > len(names) and not self.variadic:
            return f"takes {_count(len(names))}, not {positional}"
        taken = names[:positional]
        for keyword in keywords:
            if keyword in taken:
                return f"has the argument `{keyword}` twice"
            if keyword not in names and not self.open_keywords:
                return f"has no argument `{keyword}`"
        for parameter in self.parameters[positional:]:
            if parameter.required and parameter.name not in keywords:
                return f"needs the argument `{parameter.name}`"
        return None

    def bound(self, positional: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by parameter name."""
        names = (parameter.name for parameter in self.parameters)
        return {**dict(zip(names, positional, strict=False)), **keywords}

    def result_type(self, value: Type, arguments: Sequence[Type]) -> Type:
        """Return the type of the result, as far as it is known."""
        return self.result(value, arguments) if callable(self.result) else self.result


FILTERS: Final[dict[str, Builtin]] = {}
"""All filters, by name. Complete once `builtins.filters` has been imported."""

TESTS: Final[dict[str, Builtin]] = {}
"""All tests, by name. Complete once `builtins.tests` has been imported."""

_VARIADIC: Final = 0x04
_KEYWORDS: Final = 0x08


def builtin(
    table: dict[str, Builtin],
    name: str,
    *aliases: str,
    result: Type | ResultRule = ANY,
    example: tuple[str, str],
    accepts: tuple[Kind, ...] = (),
    undefined: bool = False,
    absent: bool = False,
    check: Check | None = None,
    skip: int = 1,
) -> BuiltinDecorator:
    """Register the decorated function in a table: its docstring is the summary, its signature the parameters.

    `skip` is the number of leading parameters that are not arguments.
    """

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        code = function.__code__
        names = code.co_varnames[skip : code.co_argcount]
        defaults = function.__defaults__ or ()
        required = len(names) - len(defaults)
        parameters = tuple(
            BuiltinParameter(n, index < required, None if index < required else defaults[index - required])
            for index, n in enumerate(names)
        )
        for position, spelling in enumerate((name, *aliases)):
            table[spelling] = Builtin(
                name=spelling,
                function=function,
                parameters=parameters,
                result=result,
                summary=(function.__doc__ or "").strip(),
                example=example,
                accepts=accepts,
                variadic=bool(code.co_flags & _VARIADIC),
                open_keywords=bool(code.co_flags & _KEYWORDS),
                undefined=undefined,
                absent=absent,
                check=check,
                alias_of=name if position else "",
            )
        return function

    return enter


def _count(number: int) -> str:
    if number == 0:
        return "no arguments"
    return "at most one argument" if number == 1 else f"at most {number} arguments"


def _spelled(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return repr(value)


def same_type(value: Type, arguments: Sequence[Type]) -> Type:
    """Return the type of the value itself."""
    return Type(value.kind, items=value.items, options=value.options, properties=value.properties)


def item_type(value: Type, arguments: Sequence[Type]) -> Type:
    """Return the type of an item of the value."""
    if value.kind == "string":
        return Type("string")
    return value.items or ANY if value.kind == "array" else ANY


def list_type(value: Type, arguments: Sequence[Type]) -> Type:
    """Return the type of a list of the value's items."""
    if value.kind == "string" or value.kind == "object":
        return Type("array", items=Type("string"))
    return Type("array", items=value.items if value.kind == "array" else None)


def nested_list_type(value: Type, arguments: Sequence[Type]) -> Type:
    """Return the type of a list of lists of the value's items."""
    return Type("array", items=list_type(value, arguments))


def number_type(value: Type, arguments: Sequence[Type]) -> Type:
    """Return integer for an integer, number for any other type."""
    return Type("integer") if value.kind in ("integer", "boolean") else Type("number")
