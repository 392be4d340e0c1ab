"""Words for the mistakes that are found while parsing: each names the culprit and the way to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.expressions.filters import FILTERS
from orchestrator.expressions.functions import FUNCTIONS
from orchestrator.expressions.lexer import CLOSERS, Token
from orchestrator.expressions.limits import MAX_NESTING
from orchestrator.expressions.methods import METHODS
from orchestrator.expressions.nodes import Expression, Name
from orchestrator.expressions.predicates import TESTS
from orchestrator.expressions.problem import Problem, near

if TYPE_CHECKING:
    from orchestrator.expressions.table import Entry

_HINTS: Final = {
    "&": "write `and` instead of `&&`",
    "!": "write `not` instead of `!`",
    "?": "write `a if condition else b` instead of `condition ? a : b`",
    "=": "write `==` to compare",
    "$": "a name is written without `$`",
    "`": "put text between single or double quotes",
    ";": "each pair of braces holds one expression",
    "“": "put text between straight quotes: `'` or `\"`",
    "”": "put text between straight quotes: `'` or `\"`",
    "‘": "put text between straight quotes: `'` or `\"`",
    "’": "put text between straight quotes: `'` or `\"`",
}

_FEW: Final = 12
_LISTED: Final = {
    "ORC315": "use a filter instead, as in `topic | upper`; the reference of expressions lists what can be called",
    "ORC312": "the reference of expressions lists all filters; `upper`, `join`, `default` and `length` are some",
}

REFUSED_FILTERS: Final = {
    "safe": "leave it out: text is never escaped unless you ask for it with `escape`",
    "attr": "read the field with `.name` or `['name']`",
    "random": "a run must be repeatable; choose with an index, `items[0]`",
    "xmlattr": "write the attributes out, and escape each value with `escape`",
    "urlize": 'write the link out: `<a href="{{ url }}">`',
    "forceescape": "use `escape`",
    "count_words": "use `wordcount`",
}
REFUSED_METHODS: Final = {
    "format": "use the filter: `'%s of %s' | format(a, b)`, or put the parts together with `~`",
    "append": "values do not change; build a new list: `items + [value]`",
    "extend": "values do not change; build a new list: `items + more`",
    "insert": "values do not change; build a new list with slices: `items[:1] + [value] + items[1:]`",
    "update": "values do not change; write a new object: `{'a': 1}`",
    "pop": "values do not change; read `items[-1]` and `items[:-1]`",
    "sort": "use the filter: `items | sort`",
    "reverse": "use the filter: `items | reverse`",
    "encode": "text stays text; to get a digest use `| hash`",
    "json": "use the filter: `value | from_json`",
    "iteritems": "write `.items()`",
    "iterkeys": "write `.keys()`",
    "itervalues": "write `.values()`",
    "has_key": "write `'name' in value`",
}
REFUSED_FUNCTIONS: Final = {
    "env": "declare an input with `default_from_env: NAME` and read the input",
    "getenv": "declare an input with `default_from_env: NAME` and read the input",
    "super": "templates do not inherit; write the text out",
    "caller": "there are no macros; use `{% set %}` and `{% for %}`",
    "lipsum": "write the text out",
    "cycler": "use `loop.cycle(...)` inside of a `{% for %}`",
    "joiner": "use `{{ ', ' if not loop.first }}` inside of a `{% for %}`, or the filter `join`",
    "zip": "use `{% for item in a %}{{ b[loop.index0] }}{% endfor %}`",
    "enumerate": "use `loop.index0` inside of a `{% for %}`",
    "open": "read the file in a step with `tool: filesystem`",
    "eval": "write the expression itself",
}


def unexpected(text: str, tokens: list[Token], position: int, wanted: str) -> Problem:
    """The token at `position` cannot stand where `wanted` should."""
    kind, value, start, end = tokens[position]
    before = tokens[position - 1] if position else None
    if kind == "end":
        return _early_end(text, value, start, end, wanted, before)
    if kind == "bad" and value in "'\"":
        return Problem(
            "ORC310",
            f"the string that begins with `{value}` is never closed",
            start,
            end,
            f"close it with `{value}`",
            "opened here",
        )
    help = _HINTS.get(value)
    if before is not None and before[3] == start:
        pair = before[1] + value
        help = {
            "||": "write `or` instead of `||`",
            "===": "write `==` to compare",
            "!==": "write `!=` to compare",
            "++": "write `+ 1`; values do not change",
            "--": "write `- 1`; values do not change",
        }.get(pair, help)
    if value == "!" and text.startswith("!=", start):
        help = "write `!=`"
    if value in (")", "]", "}") and wanted.startswith("an operator"):
        return Problem("ORC310", f"this `{value}` closes nothing", start, end, "remove it, or add the opening bracket")
    if kind in ("name", "string", "integer", "float") and wanted.startswith("an operator"):
        help = help or "put an operator between the two values, such as `~`, `+` or `,`"
    help = help or _advice(wanted)
    return Problem("ORC310", f"{wanted} is expected here, not `{value}`", start, end, help, "unexpected")


def _early_end(text: str, value: str, start: int, end: int, wanted: str, before: Token | None) -> Problem:
    if value == "":
        if before is None:
            return Problem("ORC310", "the expression is empty", 0, len(text), "write a value between the braces")
        message = f"the expression ends where {wanted} is expected"
        return Problem("ORC310", message, before[2], before[3], _advice(wanted), f"nothing after `{before[1]}`")
    if value not in CLOSERS:
        return Problem("ORC310", f"{wanted} is expected here, not `{value}`", start, end, _advice(wanted))
    if before is None:
        opening = text.rfind("{", 0, start)
        return Problem(
            "ORC310", "the braces are empty", max(opening - 1, 0), end, "write a value between them, or remove them"
        )
    message = f"{wanted} is expected before `{value}`"
    return Problem("ORC310", message, before[2], end, _advice(wanted), f"nothing after `{before[1]}`")


def _advice(wanted: str) -> str:
    if wanted == "a value":
        return "an expression reads like `topic | upper`, `pages + 1` or `long if pages > 9 else short`"
    if wanted.startswith("an operator"):
        return "put an operator between the two values, or end the expression before"
    if wanted.startswith("a named"):
        return "put the arguments without a name first"
    return f"write {wanted.rstrip(',')} here"


def too_deep(start: int, end: int) -> Problem:
    """An expression has too many levels."""
    return Problem(
        "ORC310", f"the expression has more than {MAX_NESTING} levels", start, end, "split it with `{% set %}`"
    )


def bad_escape(start: int, end: int) -> Problem:
    """A backslash in a string is followed by something that has no meaning."""
    return Problem(
        "ORC310",
        "the string has a malformed escape",
        start,
        end,
        "write `\\\\` for a backslash, and `\\xHH` or `\\uHHHH` with all their digits",
    )


def too_large(start: int, end: int) -> Problem:
    """A number is written with more digits than can be computed with."""
    return Problem("ORC310", "the number is too large", start, end, "write it as a string, if it is not computed with")


def bad_number(value: str, start: int, end: int) -> Problem:
    """Something that begins like a number is none."""
    plain = value.replace("_", "").lstrip("0") or "0"
    safe = plain if plain.isdigit() else None
    help = f"write `{safe}`" if safe else "a number is written like `12`, `1.5`, `1e6` or `0x1F`"
    return Problem("ORC310", f"`{value}` is not a number", start, end, help, replacement=safe)


def private(name: str, start: int, end: int) -> Problem:
    """A name with two leading underscores is read as a field."""
    return Problem(
        "ORC317",
        f"`{name}` is private to the language that this program is written in",
        start,
        end,
        f"values are plain data; a field of this name is read as `['{name}']`",
    )


def not_callable(text: str, target: Expression, start: int, end: int) -> Problem:
    """Something other than a name or method is called."""
    return Problem(
        "ORC315",
        f"`{text[target.start : target.end][:60]}` cannot be called",
        start,
        end,
        "only functions and methods can be called: " + _names(FUNCTIONS),
    )


def unpacked_arguments(start: int, end: int) -> Problem:
    """`*args` or `**kwargs` in a call."""
    return Problem("ORC317", "arguments cannot be unpacked with `*`", start, end, "write each argument out")


def twice(name: str, start: int, end: int) -> Problem:
    """A keyword is given twice."""
    return Problem("ORC313", f"the argument `{name}` is given twice", start, end, "remove one of them")


def misused(kind: str, entry: Entry, wrong: str, start: int, end: int) -> Problem:
    """A call has arguments that do not fit."""
    sign = {"filter": "| ", "test": "is ", "method": ".", "function": ""}[kind]
    brackets = entry.signature or ("()" if kind in ("method", "function") else "")
    return Problem(
        "ORC313", f"the {kind} `{entry.name}` {wrong}", start, end, f"it is written `{sign}{entry.name}{brackets}`"
    )


def unknown(kind: str, name: str, start: int, end: int, target: Expression | None) -> Problem:
    """No table has this name."""
    if kind == "filter":
        return _unknown("ORC312", "there is no filter", name, start, end, REFUSED_FILTERS.get(name), list(FILTERS))
    if kind == "test":
        return _unknown("ORC314", "there is no test", name, start, end, None, list(TESTS))
    if kind == "method":
        help = REFUSED_METHODS.get(name)
        if help is None and name in FILTERS:
            help = f"use the filter: `| {name}`"
        code = "ORC317" if name == "format" else "ORC315"
        near_loop = ["cycle", "changed"] if isinstance(target, Name) and target.name == "loop" else []
        return _unknown(code, "there is no method", name, start, end, help, [*METHODS, *near_loop])
    help = REFUSED_FUNCTIONS.get(name)
    if help is None and name in FILTERS:
        help = f"`{name}` is a filter: write `value | {name}`"
    return _unknown("ORC315", "there is no function", name, start, end, help, list(FUNCTIONS))


def _unknown(code: str, what: str, name: str, start: int, end: int, help: str | None, names: list[str]) -> Problem:
    suggestion = None if help else near(name, names)
    if suggestion:
        help = f"did you mean `{suggestion}`?"
    elif help is None:
        few = len(names) <= _FEW
        help = f"there are {_names(names)}" if few else _LISTED.get(code, "the reference of expressions lists them")
    return Problem(code, f"{what} `{name}`", start, end, help, "unknown", replacement=suggestion)


def _names(names: object) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))  # type: ignore[call-overload] # a table or a list of names
