"""Rewrites the templates of the dialect: names, filters, and braces around parts of a condition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.names import expression_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.aliases.py_orc.changes import DialectChanges
    from orchestrator.language.aliases.py_orc.names import Around, DeclaredNames
    from orchestrator.language.yaml.nodes import Scalar

Piece = tuple[str, int, int]
"""A part of a text, and where in the text as written it stands."""

_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_LOCAL: Final = re.compile(r"\{%-?\s*(?:set\s+(\w+)|for\s+([\w\s,]+?)\s+in\b)")
_TOKEN: Final = re.compile(
    r"""
    '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*"
    | \|\s*(?P<filter>[A-Za-z_]\w*)
    | (?<![\w.$])(?P<path>\$?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<after>\s*(?:\(|=(?!=)|:(?!\d)))?
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED_PART: Final = re.compile(
    r"""'(?:\{\{.*?\}\}|[^'\\]|\\.)*'|"(?:\{\{.*?\}\}|[^"\\]|\\.)*"|\{\{.*?\}\}""", re.DOTALL
)
_STATUS: Final = re.compile(r"\b(?P<step>\w+)\.status\s*[=!]=\s*[\"'](?P<word>\w+)(?=[\"'])")
_STRFTIME: Final = re.compile(r"\b((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:\(\))?)\.strftime\(\s*('[^']*'|\"[^\"]*\")\s*\)")
_SIMPLE: Final = re.compile(r"[\w.$\[\]'\"-]+\Z")
_MAX_DEPTH: Final = 4


class TemplateRewriter:
    """Rewrites the templates of one file."""

    def __init__(self, names: DeclaredNames, changes: DialectChanges) -> None:
        self._names = names
        self._changes = changes
        self._unchanged: set[tuple[str, Around]] = set()

    def text(self, scalar: Scalar, around: Around) -> Scalar:
        """Return a text with the canonical names in its braces."""
        text = scalar.value
        if isinstance(text, str) and ".strftime(" in text:
            scalar = self._without_strftime(scalar)
            text = scalar.value
        if not isinstance(text, str) or ("{{" not in text and "{%" not in text) or (text, around) in self._unchanged:
            return scalar
        pieces = self._pieces(text, around, 0)
        return self._made(scalar, pieces, text, around)

    def _without_strftime(self, scalar: Scalar) -> Scalar:
        """`now().strftime('%Y')` is `now('%Y')`, `x.strftime('%Y')` is `(x | date('%Y'))`."""
        pieces: list[Piece] = []
        position = 0
        for found in _STRFTIME.finditer(scalar.value):
            what, format = found[1], found[2]
            new = f"now({format})" if what == "now()" else f"({what} | date({format}))"
            self._changes.add(scalar, found[0], new, found.span())
            pieces += [(scalar.value[position : found.start()], position, found.start()), (new, *found.span())]
            position = found.end()
        pieces.append((scalar.value[position:], position, len(scalar.value)))
        return scalar.made_of(piece for piece in pieces if piece[1] < piece[2])

    def condition(self, scalar: Scalar, around: Around) -> Scalar:
        """Return a condition as one expression with canonical names."""
        text = scalar.value
        if not isinstance(text, str) or "{%" in text:
            return scalar
        if "{{" not in text:
            return self._made(scalar, list(self._expression(text, 0, len(text), around, frozenset(), 0)), text, around)
        pieces = one_expression(text) if expression_of(text) is None else None
        if pieces is None:  # one expression in braces, or something that is reported later
            return self.text(scalar, around)
        plain = scalar.made_of(pieces)
        parts = self._expression(plain.value, 0, len(plain.value), around, frozenset(), 0)
        made = plain.made_of(piece for piece in parts if piece[1] < piece[2])
        self._changes.add(scalar, text, made.value)
        return made

    def _made(self, scalar: Scalar, pieces: list[Piece], text: str, around: Around) -> Scalar:
        if all(part == text[start:end] for part, start, end in pieces):
            self._unchanged.add((text, around))
            return scalar
        for part, start, end in pieces:
            if part != text[start:end]:
                self._changes.add(scalar, text[start:end], part, (start, end))
        return scalar.made_of(pieces)

    def _pieces(self, text: str, around: Around, depth: int) -> list[Piece]:
        local = {name.strip() for found in _LOCAL.finditer(text) for name in (found[1] or found[2]).split(",")}
        if "{% for" in text or "{%- for" in text:
            local.add("loop")
        pieces: list[Piece] = []
        position = 0
        for tag in _TAG.finditer(text):
            pieces.append((text[position : tag.start()], position, tag.start()))
            pieces += self._tag(text, tag, around, frozenset(local), depth)
            position = tag.end()
        pieces.append((text[position:], position, len(text)))
        return [piece for piece in pieces if piece[1] < piece[2]]

    def _tag(self, text: str, tag: re.Match[str], around: Around, local: frozenset[str], depth: int) -> Iterator[Piece]:
        """Yield the parts of one tag. `{{ outputs.report }}` alone is the text of that output."""
        inner = text[tag.start() + 2 : tag.end() - 2]
        path = inner.strip().split(".")
        output = self._names.output(path) if len(path) == 2 else None
        if output is not None and "outputs" not in local and depth < _MAX_DEPTH:
            replaced = "".join(part for part, _, _ in self._pieces(output, around, depth + 1))
            yield replaced, tag.start(), tag.end()
            return
        yield text[tag.start() : tag.start() + 2], tag.start(), tag.start() + 2
        yield from self._expression(text, tag.start() + 2, tag.end() - 2, around, local, depth)
        yield text[tag.end() - 2 : tag.end()], tag.end() - 2, tag.end()

    def _expression(
        self, text: str, first: int, last: int, around: Around, local: frozenset[str], depth: int
    ) -> Iterator[Piece]:
        """Yield the parts of the expression between two offsets."""
        position = first
        for start, end, word in self._status_words(text, first, last):
            yield from self._expression(text, position, start, around, local, depth)
            yield word, start, end
            position = end
        if position > first:
            yield from self._expression(text, position, last, around, local, depth)
            return
        for token in _TOKEN.finditer(text, first, last):
            group = "filter" if token["filter"] else "path"
            meant = self._meaning(token, around, local, depth)
            if meant is None:
                continue
            start, end = token.span(group)
            if start > first and not text[first:start].strip() and not text[end:last].strip():
                meant = _without_parentheses(meant)
            yield text[position:start], position, start
            yield meant, start, end
            position = end
        yield text[position:last], position, last

    def _status_words(self, text: str, first: int, last: int) -> list[tuple[int, int, str]]:
        """Return the words that are compared with the status of a step, and those of here: `a.status == 'success'`."""
        if ".status" not in text:
            return []
        return [
            (*found.span("word"), words.STATUS_WORDS[found["word"]])
            for found in _STATUS.finditer(text, first, last)
            if found["step"] in self._names.steps and found["word"] in words.STATUS_WORDS
        ]

    def _meaning(self, token: re.Match[str], around: Around, local: frozenset[str], depth: int) -> str | None:
        if token["filter"]:
            return words.FILTERS.get(token["filter"])
        if not token["path"]:
            return None
        path = token["path"].split(".")
        after = (token["after"] or "").strip()
        if after and len(path) == 1:
            return None  # a function, a keyword argument or the key of an object
        output = self._names.output(path)
        if output is not None and "outputs" not in local:
            expression = expression_of(output)
            if expression is None or depth >= _MAX_DEPTH:
                return None
            parts = self._expression(expression, 0, len(expression), around, local, depth + 1)
            whole = "".join(part for part, _, _ in parts)
            return ".".join([whole if _SIMPLE.match(whole) else f"({whole})", *path[2:]])
        if after == "(":  # a method: `timestamp.replace(...)`
            meant = self._names.meaning(path[:-1], around, local)
            return None if meant is None else f"{meant}.{path[-1]}"
        return self._names.meaning(path, around, local)


def one_expression(text: str) -> list[Piece] | None:
    """Return a condition without braces around its parts, `'x' in {{ y }}` as `'x' in y`; None: not understood."""
    pieces: list[Piece] = []
    position = 0
    for part in _QUOTED_PART.finditer(text):
        expression = _plain(part[0])
        if expression is None:
            continue
        pieces += [(text[position : part.start()], position, part.start()), (expression, part.start(), part.end())]
        position = part.end()
    pieces.append((text[position:], position, len(text)))
    if any("{{" in part or "}}" in part for part, _, _ in pieces):
        return None
    return [piece for piece in pieces if piece[1] < piece[2]]


def _plain(part: str) -> str | None:
    """Return a part of a condition as an expression; None if it contains no braces."""
    if part.startswith("{{"):
        inner = part[2:-2].strip(" \t\n-")
        return inner if _SIMPLE.match(inner) else f"({inner})"
    if "{{" not in part:
        return None
    quote, body = part[0], part[1:-1]
    if (whole := expression_of(body)) is not None:
        return f"({whole} | string)"
    pieces: list[str] = []
    position = 0
    for tag in re.finditer(r"\{\{(.*?)\}\}", body, re.DOTALL):
        if before := body[position : tag.start()]:
            pieces.append(f"{quote}{before}{quote}")
        pieces.append(f"({tag[1].strip()})")
        position = tag.end()
    if position < len(body):
        pieces.append(f"{quote}{body[position:]}{quote}")
    return f"({' ~ '.join(pieces)})"


def _without_parentheses(expression: str) -> str:
    return expression[1:-1] if expression.startswith("(") and expression.endswith(")") else expression
