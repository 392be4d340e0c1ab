"""Templates in Python code, which become values of `inputs`: their content never runs as code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.yaml.nodes import Entry, Mapping, Scalar, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.draft import Draft

_TOKEN: Final = re.compile(
    r"""
    (?P<template>\{\{.*?\}\})
    | (?P<comment>\#[^\n]*)
    | (?<!\w)(?P<prefix>[rRbBuUfF]{0,2})(?P<quote>\"{3}|'{3}|\"|')
    """,
    re.VERBOSE | re.DOTALL,
)
_TEMPLATE: Final = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_SIMPLE: Final = re.compile(r"[\w.$\[\]'\"-]+\Z")
_RUNS: Final = re.compile(r"\b(?:eval|exec|compile|__import__|system|popen|subprocess|run_in_shell|pickle)\b")
_INPUTS: Final = ("inputs", "variables", "context")


def code_with_inputs(call: Draft) -> None:
    """Rewrite the templates in the `code` of a call: `"{{ x }}"` reads `inputs["x"]`.

    Code with `{% %}`, with functions that run texts as code, or in which the end of a string is not found, stays as it
    is, and is reported later if a value from outside the file could run.
    """
    code = call.value("code") or call.value("script") or call.value("source")
    name = next((key for key in _INPUTS if key in call.table), "inputs")
    given = call.value(name)
    if not isinstance(code, Scalar) or not isinstance(code.value, str) or "{{" not in code.value:
        return
    if (
        "{%" in code.value
        or "<AUTO" in code.value
        or _RUNS.search(code.value)
        or not (given is None or isinstance(given, Mapping))
    ):
        return
    values = _Values(set(given.table) if isinstance(given, Mapping) else set())
    pieces = _pieces(code.value, values)
    if pieces is None or not values.keys:
        return
    made = code.made_of(piece for piece in pieces if piece[1] < piece[2])
    key = next(each for each in ("code", "script", "source") if call.value(each) is code)
    for text, written in values.written.items():
        call.changes.add(code, written, text)
    call.table[key] = Entry(call.table[key].key, made)
    table = dict(given.table) if isinstance(given, Mapping) else {}
    table |= {
        each: Entry(text_at(code, each), text_at(code, f"{{{{ {text} }}}}")) for text, each in values.keys.items()
    }
    place = given if isinstance(given, Mapping) else code
    call.set(name, Mapping(table, place.start, place.end, place.layout), code)


class _Values:
    """The expressions of templates, each with the key of `inputs` that has its value."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self.keys: dict[str, str] = {}
        self.written: dict[str, str] = {}

    def read(self, template: str, *, as_text: bool) -> str:
        """Return the code that reads the value of a template."""
        found = _TEMPLATE.fullmatch(template)
        expression = (found[1] if found else "").strip()
        if as_text:
            expression = f"{expression if _SIMPLE.match(expression) else f'({expression})'} | string"
        key = self.keys.get(expression)
        if key is None:
            words = [word for word in _WORD.findall(expression) if word not in _NO_NAMES]
            key = name = "_".join(words[:3]) or "value"
            number = 2
            while key in self._taken:
                key, number = f"{name}_{number}", number + 1
            self._taken.add(key)
            self.keys[expression] = key
        read = f'inputs["{key}"]'
        self.written[read] = template
        return read


_NO_NAMES: Final = frozenset({"string", "default", "json", "to_json", "tojson", "parameters", "inputs", "if", "else"})


def _pieces(code: str, values: _Values) -> list[tuple[str, int, int]] | None:
    """Return the parts of the code, each with its place; None if a string has no end."""
    pieces: list[tuple[str, int, int]] = []
    position = 0
    while (token := _TOKEN.search(code, position)) is not None:
        start, end = token.span()
        if token["template"]:
            new = values.read(token["template"], as_text=False)
        elif token["comment"]:
            new = _TEMPLATE.sub(lambda found: found[1].strip(), token["comment"])
        else:
            quote, prefix = token["quote"], token["prefix"]
            closing = _end_of_string(code, token.end(), quote)
            if closing is None or (set(prefix.lower()) & {"b"} and "{{" in code[token.end() : closing]):
                return None
            whole = _string(code[token.end() : closing], prefix, quote, values)
            if whole is None:
                return None
            new, end = whole, closing + len(quote)
        pieces += [(code[position:start], position, start), (new, start, end)]
        position = end
    return [*pieces, (code[position:], position, len(code))]


def _end_of_string(code: str, position: int, quote: str) -> int | None:
    """Return where the closing quote of a string begins. Quotes in templates do not end it."""
    for found in re.compile(r"\{\{.*?\}\}|\\.|" + quote + (r"|\n" if len(quote) == 1 else ""), re.DOTALL).finditer(
        code, position
    ):
        if found[0] == quote:
            return found.start()
        if found[0] == "\n":
            return None
    return None


def _string(body: str, prefix: str, quote: str, values: _Values) -> str | None:
    """Return a string with templates as a sum of strings and values; None if it cannot be split."""
    parts: list[str] = []
    position = 0
    for found in _TEMPLATE.finditer(body):
        if text := body[position : found.start()]:
            if text.endswith(quote[0]):
                if "r" in prefix.lower():
                    return None
                text = f"{text[:-1]}\\{quote[0]}"
            parts.append(f"{prefix}{quote}{text}{quote}")
        parts.append(values.read(found[0], as_text=True))
        position = found.end()
    if not parts:
        return f"{prefix}{quote}{body}{quote}"
    if text := body[position:]:
        parts.append(f"{prefix}{quote}{text}{quote}")
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"
