"""The value of a plain scalar, by the core schema of YAML 1.2: `no`, `on`, `012` and `12:30` are not converted."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.text.json_text import MAX_DIGITS

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_NUMERIC_START = frozenset("-+.0123456789")

_TOO_LARGE = 10**MAX_DIGITS

_NUMBERS = (_INTEGER, _FLOAT, _OCTAL, _HEXADECIMAL, _NOT_FINITE)


def resolve_scalar(text: str) -> Any:
    """Return the value of a plain scalar: None, a boolean, a number or the text itself.

    A number that JSON cannot represent stays text; `is_not_json` tells that it is one.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START or len(text) > MAX_DIGITS:
        return text
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        number = float(text)
        return text if number in (float("inf"), float("-inf")) else number
    base = 8 if _OCTAL.match(text) else 16 if _HEXADECIMAL.match(text) else None
    integer = 0 if base is None else int(text[2:], base)
    return text if base is None or integer >= _TOO_LARGE else integer


def is_not_json(text: str) -> bool:
    """Return whether a plain scalar that was read as text is a YAML number: not finite, or too long."""
    return text[:1] in _NUMERIC_START and any(number.match(text) for number in _NUMBERS)


def is_plain_text(text: str) -> bool:
    """Return whether a text, written without quotes, would be read as the same text."""
    return resolve_scalar(text) is text and not is_not_json(text) if text else False
