r"""Regular expressions of users and models: searched in time linear in the length of the text, for any pattern.

RE2 searches, in a custom alphabet: the characters that a pattern does not distinguish are one byte (see
`program`), so that `\w`, `\b`, case and line breaks mean what they mean in Python's `re`, or in the ECMA-262 syntax
of JSON Schema, for every character of Unicode.
"""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.patterns.program": (
        "Pattern",
        "PatternMatch",
        "SearchTooLong",
        "compile_pattern",
    ),
    "orchestrator.patterns.replacement": (
        "Replacement",
        "ReplacementError",
        "read_replacement",
    ),
    "orchestrator.patterns.syntax": (
        "Dialect",
        "PatternError",
        "parse_pattern",
    ),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)
