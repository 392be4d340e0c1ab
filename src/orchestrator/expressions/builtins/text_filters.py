"""Filters for text."""

from __future__ import annotations

import html
import re
import shlex
import textwrap
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from orchestrator.expressions.builtins.builtin import FILTERS, BuiltinDecorator, builtin
from orchestrator.expressions.builtins.methods import replaced
from orchestrator.expressions.evaluation.operations import iterable_items, text_of
from orchestrator.expressions.evaluation.scope import OperationError
from orchestrator.expressions.evaluation.text import check_text_size
from orchestrator.expressions.limits import MAX_TEXT
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import INTEGER, STRING


def _filter(name: str, *aliases: str, example: tuple[str, str], result: Any = STRING) -> BuiltinDecorator:
    return builtin(FILTERS, name, *aliases, result=result, example=example)


def integer_argument(value: Any, what: str, *, least: int = -(2**62)) -> int:
    """Return an argument that must be an integer, in its bounds. Raises OperationError."""
    if not isinstance(value, int):
        raise OperationError(f"{what} must be an integer, not {describe_data(value)}")
    if value < least:
        raise OperationError(f"{what} must be at least {least}, not {value}")
    if value > MAX_TEXT:
        raise OperationError(f"{what} must be at most {MAX_TEXT:,}")
    return value


@_filter("upper", example=("{{ 'abc' | upper }}", "ABC"))
def _upper(value: Any) -> str:
    """The text in upper case."""
    return text_of(value).upper()


@_filter("lower", example=("{{ 'ABC' | lower }}", "abc"))
def _lower(value: Any) -> str:
    """The text in lower case."""
    return text_of(value).lower()


_WORD_START = re.compile(r"([-\s({\[<]+)")


@_filter("title", example=("{{ 'a TALE of two' | title }}", "A Tale Of Two"))
def _title(value: Any) -> str:
    """The text with each word capitalized and its other letters in lower case."""
    parts = _WORD_START.split(text_of(value))
    return "".join(part[0].upper() + part[1:].lower() for part in parts if part)


@_filter("capitalize", example=("{{ 'aBC' | capitalize }}", "Abc"))
def _capitalize(value: Any) -> str:
    """The text with its first letter in upper case and the others in lower case."""
    return text_of(value).capitalize()


@_filter("trim", "strip", example=("{{ '  a ' | trim }}", "a"))
def _trim(value: Any, chars: Any = None) -> str:
    """The text without white space, or without the given characters, at both ends."""
    return text_of(value).strip(None if chars is None else text_of(chars))


@_filter("replace", example=("{{ 'a-b-c' | replace('-', '+', 1) }}", "a+b-c"))
def _replace(value: Any, old: Any, new: Any, count: Any = None) -> str:
    """The text with every `old`, or the first `count`, replaced by `new`."""
    number = -1 if count is None else integer_argument(count, "the count")
    return replaced(text_of(value), text_of(old), text_of(new), number)


@_filter("truncate", example=("{{ 'the quick brown fox jumps' | truncate(15) }}", "the quick..."))
def _truncate(value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = 5) -> str:
    """The text cut to a length, at a space unless `killwords`, with `end` appended; `leeway` allows a few more."""
    text, tail = text_of(value), text_of(end)
    limit = integer_argument(length, "the length", least=len(tail))
    if len(text) <= limit + integer_argument(leeway, "the leeway", least=0):
        return text
    head = text[: limit - len(tail)]
    return (head if killwords else head.rsplit(" ", 1)[0]) + tail


@_filter("truncate_words", example=("{{ 'the quick brown fox' | truncate_words(2) }}", "the quick..."))
def _truncate_words(value: Any, count: Any = 50, end: Any = "...") -> str:
    """The first `count` words, with `end` appended if there are more."""
    text = text_of(value)
    number = integer_argument(count, "the count", least=0)
    for index, word in enumerate(re.finditer(r"\S+", text)):
        if index == number:
            return text[: word.start()].rstrip() + text_of(end)
    return text


@_filter("wordcount", result=INTEGER, example=("{{ 'the quick brown fox' | wordcount }}", "4"))
def _wordcount(value: Any) -> int:
    """The number of words."""
    return sum(1 for _ in re.finditer(r"\w+", text_of(value)))


@_filter("wordwrap", example=("{{ 'the quick fox' | wordwrap(9) }}", "the quick\nfox"))
def _wordwrap(
    value: Any,
    width: Any = 79,
    break_long_words: Any = True,
    wrapstring: Any = None,
    break_on_hyphens: Any = True,
) -> str:
    """The text wrapped into lines of at most `width` characters."""
    end = "\n" if wrapstring is None else text_of(wrapstring)
    text, columns = text_of(value), integer_argument(width, "the width", least=1)
    if len(text) > _MAX_WRAPPED:
        raise OperationError(f"`wordwrap` accepts at most {_MAX_WRAPPED:,} characters, and this text has {len(text):,}")
    check_text_size(len(text) + len(text) // columns * len(end))
    lines = [
        end.join(
            textwrap.wrap(
                line,
                width=columns,
                expand_tabs=False,
                replace_whitespace=False,
                break_long_words=bool(break_long_words),
                break_on_hyphens=bool(break_on_hyphens),
            )
        )
        for line in text.splitlines()
    ]
    return end.join(lines)


@_filter("indent", example=("{{ 'a\\nb' | indent(2) }}", "a\n  b"))
def _indent(value: Any, width: Any = 4, first: Any = False, blank: Any = False) -> str:
    """The text with each line but the first indented, by a number of spaces or a text; blank lines stay empty."""
    margin = width if isinstance(width, str) else " " * integer_argument(width, "the width", least=0)
    text = text_of(value)
    lines = (text + "\n").splitlines()
    check_text_size(len(text) + len(lines) * len(margin))
    rest = [margin + line if line or blank else line for line in lines[1:]]
    return (margin if first else "") + "\n".join([lines[0], *rest])


@_filter("center", example=("{{ 'ab' | center(6) }}|", "  ab  |"))
def _center(value: Any, width: Any = 80) -> str:
    """The text centered in a width."""
    return text_of(value).center(integer_argument(width, "the width"))


_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})


@_filter("escape", "e", example=("{{ '<b>' | escape }}", "&lt;b&gt;"))
def _escape(value: Any) -> str:
    """The text escaped for HTML: `&`, `<`, `>` and quotes become entities."""
    text = text_of(value)
    check_text_size(len(text) * 5 if len(text) > MAX_TEXT // 5 else 0)
    return text.translate(_ENTITIES)


@_filter("striptags", example=("{{ '<b>a</b>  &amp; <!-- note -->b' | striptags }}", "a & b"))
def _striptags(value: Any) -> str:
    """The text without HTML comments and tags, with single spaces and decoded entities."""
    text, passes = text_of(value), 0
    while "<!--" in text and passes < _MAX_PASSES:  # removing a comment can create another one
        shorter = _cut(text, "<!--", "-->")
        if shorter == text:
            break
        text, passes = shorter, passes + 1
    return html.unescape(" ".join(_cut(text, "<", ">").split()))


_MAX_PASSES = 20


def _cut(text: str, opening: str, closing: str) -> str:
    """Return a text without the parts between two signs, and without the signs."""
    kept, position = [], 0
    while (start := text.find(opening, position)) >= 0 and (end := text.find(closing, start)) >= 0:
        kept.append(text[position:start])
        position = end + len(closing)
    return "".join([*kept, text[position:]])


@_filter("urlencode", example=("{{ 'a b&c' | urlencode }}", "a%20b%26c"))
def _urlencode(value: Any) -> str:
    """The text percent-encoded for a URL; an object becomes `a=1&b=2`."""
    if isinstance(value, Mapping):
        pairs: list[Any] = [[key, item] for key, item in value.items()]
    elif isinstance(value, list):
        pairs = value
    else:
        return _quoted(text_of(value), quote)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise OperationError("`urlencode` takes a string, an object, or a list of pairs")
    return "&".join(f"{_quoted(text_of(key), quote_plus)}={_quoted(text_of(item), quote_plus)}" for key, item in pairs)


def _quoted(text: str, quoting: Any) -> str:
    check_text_size(len(text) * 3 if len(text) > MAX_TEXT // 3 else 0)
    return str(quoting(text.encode("utf-8", "replace"), safe="/" if quoting is quote else ""))


@_filter("slugify", example=("{{ 'Crème brûlée, please!' | slugify }}", "creme-brulee-please"))
def _slugify(value: Any, separator: Any = "-") -> str:
    """A slug for file names and URLs: lower-case letters and digits without accents, with a separator."""
    decomposed = unicodedata.normalize("NFKD", text_of(value).lower())
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", plain))
    return text_of(separator).join(words)


_SPECIFIER = re.compile(
    r"%(?:(?P<percent>%)|(?:\((?P<name>\w+)\))?(?P<flags>[-+ 0#]*)"
    r"(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<type>[sdifFeEgGxXo]))|%"
)
_MAX_WIDTH = 1_000
_MAX_WRAPPED = 100_000


@_filter("format", example=("{{ '%s: %.2f' | format('pi', 3.14159) }}", "pi: 3.14"))
def _format(value: Any, *parts: Any, **fields: Any) -> str:
    """The text with each `%s`, `%d`, `%.2f`, ... replaced by the next argument, or `%(name)s` by a named one."""
    remaining = iter(parts)

    def one(found: re.Match[str]) -> str:
        if found["percent"]:
            return "%"
        if found["type"] is None:
            raise OperationError(
                f"`{found.string[found.start() :][:10]}` is not a placeholder", "write `%%` for a percent sign"
            )
        if found["name"]:
            if found["name"] not in fields:
                raise OperationError(f"the argument `{found['name']}` is missing")
            part = fields[found["name"]]
        else:
            try:
                part = next(remaining)
            except StopIteration:
                raise OperationError("there are more placeholders than arguments") from None
        return _formatted(found, part)

    result = _SPECIFIER.sub(one, text_of(value))
    if next(remaining, None) is not None and not fields:
        raise OperationError("there are more arguments than placeholders")
    return result


def _formatted(found: re.Match[str], part: Any) -> str:
    width, precision, letter = found["width"], found["precision"], found["type"]
    if int(width or 0) > _MAX_WIDTH or int(precision or 0) > _MAX_WIDTH:
        raise OperationError(f"widths and precisions must be at most {_MAX_WIDTH}")
    specifier = f"%{found['flags']}{width}" + ("" if precision is None else f".{precision}") + letter
    if letter == "s":
        return str(specifier % text_of(part))
    if not isinstance(part, int | float) or (letter in "xXo" and not isinstance(part, int)):
        raise OperationError(
            f"`{found.group()}` takes a number, not {describe_data(part)}", "convert it with `| int` or `| float`"
        )
    return str(specifier % part)


@_filter("quote", example=("echo {{ 'a b; ls' | quote }}", "echo 'a b; ls'"))
def _quote(value: Any) -> str:
    """The text quoted as one word of a POSIX shell command; a list becomes one word per item."""
    if isinstance(value, list):
        return " ".join(_quote(item) for item in value)
    text = text_of(value)
    if "\0" in text:
        raise OperationError("a shell command cannot contain the character U+0000", "remove it with `| replace`")
    return shlex.quote(text)


@_filter("markdown_table", example=("{{ [{'a': 1, 'b': 2}] | markdown_table }}", "| a | b |\n| --- | --- |\n| 1 | 2 |"))
def _markdown_table(value: Any, columns: Any = None) -> str:
    """A list of objects as a Markdown table, with all fields or only the given columns."""
    rows = iterable_items(value)
    if not all(isinstance(row, Mapping) for row in rows):
        raise OperationError("`markdown_table` takes a list of objects")
    if columns is None:
        names = list(dict.fromkeys(name for row in rows for name in row))
    else:
        names = [text_of(name) for name in iterable_items(columns)]
    if not names:
        return ""
    lines = [_row(names), _row(["---"] * len(names))]
    lines += [_row([_cell(row.get(name)) for name in names]) for row in rows]
    check_text_size(sum(map(len, lines)))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    return text_of(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")
