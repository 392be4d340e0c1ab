"""Problems found while parsing: each names the cause and how to fix it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.expressions.builtins.equivalents import (
    FILTER_EQUIVALENTS,
    FUNCTION_EQUIVALENTS,
    METHOD_EQUIVALENTS,
    TEST_EQUIVALENTS,
)
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.expressions.limits import MAX_NESTING
from orchestrator.expressions.problem import Problem, near
from orchestrator.expressions.syntax.external_reads import EXTERNAL_READERS, external_read, source_help
from orchestrator.expressions.syntax.lexer import CLOSERS, Token
from orchestrator.expressions.syntax.nodes import Attribute, Expression, Item, Literal, Name
from orchestrator.remedies import ListFilters, Remedy
from orchestrator.text.json_text import MAX_DIGITS
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.expressions.builtins.builtin import Builtin, Misuse

_HINTS: Final = {
    "&": "write `and` instead of `&&`",
    "!": "write `not` instead of `!`",
    "?": "write `a if condition else b` instead of `condition ? a : b`",
    "=": "write `==` to compare",
    "$": "write the name without `$`",
    "`": "put text in single or double quotes",
    ";": "put each expression in its own pair of braces",
    "“": "use straight quotes: `'` or `\"`",
    "”": "use straight quotes: `'` or `\"`",
    "‘": "use straight quotes: `'` or `\"`",
    "’": "use straight quotes: `'` or `\"`",
}

_PAIRS: Final = {
    "??": "write `value | default('...')` instead of `value ?? '...'`",
    "?.": "write `value.field | default('...')`: the filter also handles null",
    "?:": "write `value | default('...', true)` instead of `value ?: '...'`",
    "||": "write `or` instead of `||`",
    "===": "write `==` to compare",
    "!==": "write `!=` to compare",
    "++": "write `+ 1`: values are immutable",
    "--": "write `- 1`: values are immutable",
}

_FEW: Final = 12
_LISTED: Final = {
    codes.UNKNOWN_FUNCTION: "use a filter instead, as in `topic | upper`",
    codes.UNKNOWN_FILTER: "use a filter such as `upper`, `join`, `default` or `length`",
    codes.UNKNOWN_TEST: "use a test such as `defined`, `none`, `string` or `mapping`",
}

_NO_LAMBDA: Final = (
    "name a filter, a test or a field: `items | map('upper')`, `items | select('odd')`, `items | sort(attribute='n')`"
)
_NO_COMPREHENSION: Final = (
    "to change each item: `items | map('upper')` or `items | map(attribute='name')`; "
    "to filter items: `items | select('odd')` or `items | selectattr('name')`"
)

REFUSED_NAMES: Final = {
    "env": FUNCTION_EQUIVALENTS["env"],
    "environ": FUNCTION_EQUIVALENTS["env"],
    "os": FUNCTION_EQUIVALENTS["env"],
    "datetime": FUNCTION_EQUIVALENTS["datetime"],
    "today": FUNCTION_EQUIVALENTS["today"],
    "loop": "`loop` exists only inside a `{% for %}`",
}
_TIME_PARTS: Final = {
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
    "date": "%Y-%m-%d",
    "time": "%H:%M:%S",
    "weekday": "%A",
}
_MAX_ARGUMENT: Final = 40
_NAME: Final = re.compile(r"[^\W\d]\w*")


def unexpected_token(text: str, tokens: list[Token], position: int, wanted: str) -> Problem:
    """Report that the token at `position` appears where `wanted` is expected."""
    meant = external_read(text, tokens, position)
    if meant is not None:
        return meant
    kind, value, start, end = tokens[position]
    before = tokens[position - 1] if position else None
    if kind == "end":
        return _early_end(text, value, start, end, wanted, before)
    if kind == "bad" and value in "'\"":
        return Problem(
            codes.MALFORMED_EXPRESSION,
            f"this `{value}` is never closed",
            start,
            end,
            f"close it with `{value}`",
            "opened here",
        )
    if before is not None and before[1] == "lambda":
        return _unsupported("`lambda` is not supported", before[2], before[3], _NO_LAMBDA)
    if value == "for" and wanted.startswith("`,` or"):
        return _unsupported("list comprehensions are not supported", start, end, _NO_COMPREHENSION)
    help = _HINTS.get(value)
    if before is not None and before[3] == start:
        help = _PAIRS.get(before[1] + value, help)
    if value == "?":
        help = _PAIRS.get(text[start : start + 2], help)
    if value == "$" and kind == "bad" and (name := _NAME.match(text, end)):
        help = f"write `{name[0]}`: only the loop variables `$item`, `$index` and `$iteration` may have a `$`"
    if value == "!" and text.startswith("!=", start):
        help = "write `!=`"
    if value in (")", "]", "}") and wanted.startswith("an operator"):
        return Problem(
            codes.MALFORMED_EXPRESSION,
            f"unmatched `{value}`",
            start,
            end,
            "remove it, or add the opening bracket",
        )
    if kind in ("name", "string", "integer", "float") and wanted.startswith("an operator"):
        help = help or "put an operator between the two values, such as `~`, `+` or `,`"
    help = help or _advice(wanted)
    return Problem(codes.MALFORMED_EXPRESSION, f"expected {wanted}, not `{value}`", start, end, help, "unexpected")


def _unsupported(message: str, start: int, end: int, help: str) -> Problem:
    return Problem(codes.UNSUPPORTED_TEMPLATE_FEATURE, message, start, end, help, "not supported")


def _early_end(text: str, value: str, start: int, end: int, wanted: str, before: Token | None) -> Problem:
    if value == "":
        if before is None:
            return Problem(
                codes.MALFORMED_EXPRESSION, "the expression is empty", 0, len(text), "write a value between the braces"
            )
        message = f"the expression ends where {wanted} is expected"
        return Problem(
            codes.MALFORMED_EXPRESSION, message, before[2], before[3], _advice(wanted), f"nothing after `{before[1]}`"
        )
    if value not in CLOSERS:
        return Problem(codes.MALFORMED_EXPRESSION, f"expected {wanted}, not `{value}`", start, end, _advice(wanted))
    if before is None:
        opening = text.rfind("{", 0, start)
        return Problem(
            codes.MALFORMED_EXPRESSION,
            "the braces are empty",
            max(opening - 1, 0),
            end,
            "write a value between them, or remove them",
        )
    message = f"expected {wanted} before `{value}`"
    return Problem(codes.MALFORMED_EXPRESSION, message, before[2], end, _advice(wanted), f"nothing after `{before[1]}`")


def _advice(wanted: str) -> str:
    if wanted == "a value":
        return "write an expression such as `topic | upper`, `pages + 1` or `long if pages > 9 else short`"
    if wanted.startswith("an operator"):
        return "put an operator between the two values, or end the expression earlier"
    if wanted.startswith("a keyword"):
        return "put positional arguments first"
    return f"write {wanted.rstrip(',')} here"


def too_deep(start: int, end: int) -> Problem:
    """Report an expression that is nested too deeply."""
    return Problem(
        codes.MALFORMED_EXPRESSION,
        f"the expression is nested more than {MAX_NESTING} levels deep",
        start,
        end,
        "split it with `{% set %}`",
    )


def bad_escape(start: int, end: int) -> Problem:
    """Report an invalid escape sequence in a string."""
    return Problem(
        codes.MALFORMED_EXPRESSION,
        "invalid escape sequence in the string",
        start,
        end,
        "write `\\\\` for a backslash, and `\\xHH` or `\\uHHHH` with all digits",
    )


def number_too_large(start: int, end: int) -> Problem:
    """Report a number with too many digits."""
    return Problem(
        codes.MALFORMED_EXPRESSION,
        f"the integer has more than {MAX_DIGITS} digits",
        start,
        end,
        "if you do not compute with it, write it as a string",
    )


def bad_number(value: str, start: int, end: int) -> Problem:
    """Report a malformed number."""
    plain = value.replace("_", "").lstrip("0") or "0"
    safe = plain if plain.isdigit() else None
    help = f"write `{safe}`" if safe else "write a number such as `12`, `1.5`, `1e6` or `0x1F`"
    return Problem(codes.MALFORMED_EXPRESSION, f"`{value}` is not a number", start, end, help, replacement=safe)


def private_name(name: str, start: int, end: int) -> Problem:
    """Report the read of a field whose name starts with two underscores."""
    return Problem(
        codes.UNSUPPORTED_TEMPLATE_FEATURE,
        f"`{name}` is a Python internal, which expressions cannot read",
        start,
        end,
        f"to read a field with this name write `['{name}']`",
    )


def not_callable(text: str, target: Expression, start: int, end: int) -> Problem:
    """Report a call of something other than a function or method."""
    return Problem(
        codes.UNKNOWN_FUNCTION,
        f"`{text[target.start : target.end][:60]}` cannot be called",
        start,
        end,
        "only functions and methods can be called: " + quoted_list(sorted(FUNCTIONS)),
    )


def unpacked_arguments(start: int, end: int) -> Problem:
    """Report `*args` or `**kwargs` in a call."""
    return Problem(
        codes.UNSUPPORTED_TEMPLATE_FEATURE,
        "argument unpacking with `*` is not supported",
        start,
        end,
        "write each argument separately",
    )


def repeated_argument(name: str, start: int, end: int) -> Problem:
    """Report a duplicate keyword argument."""
    return Problem(codes.WRONG_ARGUMENTS, f"duplicate argument `{name}`", start, end, "remove one of them")


def wrong_arguments(kind: str, entry: Builtin, problem: str, start: int, end: int) -> Problem:
    """Report a call with the wrong arguments."""
    sign = {"filter": "| ", "test": "is ", "method": ".", "function": ""}[kind]
    brackets = entry.signature or ("()" if kind in ("method", "function") else "")
    return Problem(
        codes.WRONG_ARGUMENTS,
        f"the {kind} `{entry.name}` {problem}",
        start,
        end,
        f"the signature is `{sign}{entry.name}{brackets}`",
    )


def bad_argument(text: str, kind: str, entry: Builtin, misuse: Misuse, argument: Expression) -> Problem:
    """Report an invalid constant argument."""
    start, end = argument.start, argument.end
    quote = text[start]
    return Problem(
        codes.WRONG_ARGUMENTS,
        f"the {kind} `{entry.name}` {misuse.problem}",
        start,
        end,
        f"did you mean `{misuse.meant}`?" if misuse.meant else misuse.help,
        "invalid value",
        replacement=f"{quote}{misuse.meant}{quote}" if misuse.meant and quote in "'\"" else None,
        remedies=() if misuse.meant else misuse.remedies,
    )


def unknown_name(
    text: str, kind: str, name: str, start: int, end: int, target: Expression | None, argument: Expression | None
) -> Problem:
    """Report an unknown name. `argument` is the first argument of the call, if there is one."""
    operand = argument if kind == "function" else target
    value = _operand(text, operand)
    if kind == "method":
        return _unknown_method(name, start, end, target)
    if name in EXTERNAL_READERS:
        instead = source_help(name, value if isinstance(operand, Literal) else "")
        return Problem(_CODES[kind], f"unknown {kind} `{name}`", start, end, instead, "unknown")
    tables: dict[str, tuple[Mapping[str, object], Mapping[str, str]]] = {
        "filter": (FILTERS, FILTER_EQUIVALENTS),
        "test": (TESTS, TEST_EQUIVALENTS),
        "function": (FUNCTIONS, FUNCTION_EQUIVALENTS),
    }
    ours, elsewhere = tables[kind]
    help = _elsewhere(name, value, elsewhere)
    if help is None and kind == "function":
        help = _as_filter(name, value)
    if help is None and kind == "filter" and name in METHODS:
        help = f"call the method: `{value}.{name}()`"
    if help is None and near(name, ours) is None:
        meant = near(name, elsewhere)
        help = _elsewhere(meant, value, elsewhere) if meant is not None else None
    return _unknown(_CODES[kind], f"unknown {kind}", name, start, end, help, list(ours))


def _elsewhere(name: str, value: str, table: Mapping[str, str]) -> str | None:
    help = table.get(name)
    return None if help is None else help.replace("{value}", value).replace("{name}", name)


def _as_filter(name: str, value: str) -> str | None:
    """Return help for a function that exists as a filter, here or in another template language."""
    if near(name, FUNCTIONS) is not None:
        return None
    if (meant := name if name in FILTERS else near(name, FILTERS)) is not None:
        return f"`{meant}` is a filter: write `{value} | {meant}`"
    return _elsewhere(name, value, FILTER_EQUIVALENTS)


def _unknown_method(name: str, start: int, end: int, target: Expression | None) -> Problem:
    help = METHOD_EQUIVALENTS.get(name)
    if help is None and name in FILTERS:
        help = f"use the filter: `| {name}`"
    code = codes.UNSUPPORTED_TEMPLATE_FEATURE if name == "format" else codes.UNKNOWN_FUNCTION
    near_loop = ["cycle", "changed"] if isinstance(target, Name) and target.name == "loop" else []
    return _unknown(code, "unknown method", name, start, end, help, [*METHODS, *near_loop])


_CODES: Final = {"filter": codes.UNKNOWN_FILTER, "test": codes.UNKNOWN_TEST, "function": codes.UNKNOWN_FUNCTION}


def _operand(text: str, node: Expression | None) -> str:
    """Return the source of an operand, for use in a suggestion."""
    if node is None:
        return "value"
    written = text[node.start : node.end]
    if not 0 < len(written) <= _MAX_ARGUMENT or "\n" in written or "`" in written:
        return "value"
    return written if isinstance(node, Name | Attribute | Item | Literal) else f"({written})"


def missing_field(kind: str, name: str, written: str) -> str:
    """Return help for a field that values of this kind do not have; `written` is the value in the template."""
    if kind == "string" and name in _TIME_PARTS:
        return f"use the filter: `{written} | date('{_TIME_PARTS[name]}')`"
    if name in FILTERS:
        return f"use the filter: `{written} | {name}`"
    return "read an item by its index: `[0]`" if kind == "array" else "use the value itself"


def _unknown(code: str, what: str, name: str, start: int, end: int, help: str | None, names: list[str]) -> Problem:
    suggestion = None if help else near(name, names)
    remedies: tuple[Remedy, ...] = ()
    if suggestion:
        help = f"did you mean `{suggestion}`?"
    elif help is None and len(names) <= _FEW:
        help = f"use one of {quoted_list(sorted(names))}"
    elif help is None:
        help, remedies = _LISTED.get(code), (ListFilters(),)
    return Problem(code, f"{what} `{name}`", start, end, help, "unknown", replacement=suggestion, remedies=remedies)
