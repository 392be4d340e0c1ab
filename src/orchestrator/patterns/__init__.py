r"""Regular expressions of users and models: searched in time linear in the length of the text, for any pattern.

RE2 searches, in a custom alphabet: the characters that a pattern does not distinguish are one byte (see
`program`), so that `\w`, `\b`, case and line breaks mean what they mean in Python's `re`, or in the ECMA-262 syntax
of JSON Schema, for every character of Unicode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.patterns.program import Pattern, PatternMatch, SearchTooLong, compile_pattern
    from orchestrator.patterns.replacement import Replacement, ReplacementError, read_replacement
    from orchestrator.patterns.syntax import Dialect, PatternError, parse_pattern

__all__ = [
    "Dialect",
    "Pattern",
    "PatternError",
    "PatternMatch",
    "Replacement",
    "ReplacementError",
    "SearchTooLong",
    "compile_pattern",
    "parse_pattern",
    "read_replacement",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Dialect": "syntax",
        "Pattern": "program",
        "PatternError": "syntax",
        "PatternMatch": "program",
        "Replacement": "replacement",
        "ReplacementError": "replacement",
        "SearchTooLong": "program",
        "compile_pattern": "program",
        "parse_pattern": "syntax",
        "read_replacement": "replacement",
    },
)
