"""Reads of files, URLs and the environment in an expression, as other tools have them, and what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.expressions.problem import Problem

if TYPE_CHECKING:
    from orchestrator.expressions.syntax.lexer import Token

_FILE: Final = frozenset(
    {"file", "files", "include", "includes", "load", "load_file", "read", "read_file", "readfile", "import"}
    | {"lookup", "template", "path", "load_text", "load_json", "load_yaml", "read_text", "cat", "open"}
)
_ADDRESS: Final = frozenset({"url", "http", "https", "fetch", "uri"})
_ENVIRONMENT: Final = frozenset({"env", "environ", "environment", "secret", "secrets", "vault"})
_INPUT: Final = frozenset({"input", "inputs", "param", "params", "parameter", "parameters", "var", "vars"})
EXTERNAL_READERS: Final = _FILE | _ADDRESS
"""Names of functions and filters that read something from outside the pipeline."""

_LONGEST: Final = 60
_PREFIXED: Final = re.compile(r"\s*(@|[A-Za-z_]+\s*:)\s*")
_PLAIN: Final = re.compile(r"[\w./-]+")
_SAFE_NAME: Final = re.compile(r"[A-Za-z_]\w*")


def external_read(text: str, tokens: list[Token], position: int) -> Problem | None:
    """Report `file:prompts/x.txt`, `env:HOME` or `include 'x.txt'`, if the tokens of a tag are one of them."""
    if not tokens or position > 1:
        return None
    kind, word, start, end = tokens[0]
    last = tokens[-1][2]
    if kind == "bad" and word == "@":
        return _of_file(text[end:last], start, last)
    if position != 1 or kind != "name" or word.lower() not in _FILE | _ADDRESS | _ENVIRONMENT | _INPUT:
        return None
    if tokens[1][1] != ":" and (word.lower() not in _FILE or tokens[1][0] not in ("string", "name")):
        return None
    return _named(word.lower(), text[end:last].strip().removeprefix(":"), start, last)


def nested_read(text: str, start: int, inner: int, end: int) -> Problem | None:
    """Report the same for a tag with another inside, `{{ file:{{ name }}.txt }}`, which ends at `end`."""
    prefix = _PREFIXED.fullmatch(text, start + 2, inner)
    if prefix is None:
        return None
    word = prefix[1].rstrip(": \t").lower()
    rest = text[inner : end - 2]
    return _of_file(rest, start, end) if word == "@" else _named(word, rest, start, end)


def source_help(name: str, argument: str) -> str:
    """Return help for a function or filter that reads from outside the pipeline."""
    return _address_help(argument) if name in _ADDRESS else _file_help(argument)


def _named(word: str, rest: str, start: int, end: int) -> Problem | None:
    rest = rest.strip().strip("'\"")
    if word in _FILE:
        return _of_file(rest, start, end)
    if word in _ADDRESS:
        rest = f"{word}:{rest}" if word in ("http", "https") else rest
        message = "expressions cannot fetch a URL"
        return Problem(codes.UNSUPPORTED_TEMPLATE_FEATURE, message, start, end, _address_help(rest), "not supported")
    if not _SAFE_NAME.fullmatch(rest):
        return None
    if word in _ENVIRONMENT:
        secret = ", secret: true" if word in ("secret", "secrets", "vault") else ""
        declared = f"{rest.lower()}: {{type: string, default_from_env: {rest}{secret}}}"
        help = f"declare `{declared}` under `inputs:`, and write `{{{{ inputs.{rest.lower()} }}}}`"
        return Problem(
            codes.UNSUPPORTED_TEMPLATE_FEATURE,
            "expressions cannot read the environment",
            start,
            end,
            help,
            "not supported",
        )
    if word in _INPUT:
        section = "variables" if word in ("var", "vars") else "inputs"
        message = f"`{word}:` has no meaning in an expression"
        return Problem(
            codes.MALFORMED_EXPRESSION, message, start, end, f"write `{{{{ {section}.{rest} }}}}`", "unexpected"
        )
    return None


def _of_file(rest: str, start: int, end: int) -> Problem:
    return Problem(
        codes.UNSUPPORTED_TEMPLATE_FEATURE,
        "expressions cannot read files",
        start,
        end,
        _file_help(rest),
        "not supported",
    )


def _file_help(path: str) -> str:
    path = path.strip().strip("'\"").removeprefix("//")
    path = "" if path == "file" else path  # of `lookup('file', 'x.txt')`
    step = f"`{{id: text, tool: filesystem, action: read, parameters: {{path: {_scalar(path, 'prompts/x.txt')}}}}}`"
    return f"read the file in a separate step, {step}, and write `{{{{ text }}}}` here"


def _address_help(address: str) -> str:
    address = address.strip().strip("'\"")
    where = _scalar(address, "https://example.com")
    step = f"`{{id: page, tool: http, action: get, parameters: {{url: {where}}}}}`"
    return f"fetch it in a separate step, {step}, and write `{{{{ page }}}}` here"


def _scalar(value: str, otherwise: str) -> str:
    """Return a value as a YAML scalar, or an example if it does not fit on one short line."""
    if not value or len(value) > _LONGEST or "\n" in value or '"' in value or "\\" in value:
        return otherwise
    return value if _PLAIN.fullmatch(value) else f'"{value}"'
