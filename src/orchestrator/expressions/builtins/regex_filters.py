"""Regular expressions for the filters, with the errors and limits of expressions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.expressions.evaluation.scope import OperationError
from orchestrator.expressions.limits import MAX_ITEMS, MAX_TEXT
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.patterns import PatternError, SearchTooLong, compile_pattern
from orchestrator.patterns.replacement import ReplacementError, read_replacement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.patterns import Pattern


def compiled(pattern: Any, *, ignorecase: bool) -> Pattern:
    """Compile a pattern. Raises OperationError if it is invalid."""
    if not isinstance(pattern, str):
        raise OperationError(f"a pattern must be a string, not {describe_data(pattern)}")
    try:
        return compile_pattern(pattern, "python", "i" if ignorecase else "")
    except PatternError as error:
        raise OperationError(f"`{pattern[:80]}` is not a valid regular expression: {error}", error.help) from None


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        yield
    except SearchTooLong as error:
        raise OperationError(str(error)) from None


def search_match(text: str, pattern: Pattern, group: Any) -> str | None:
    """Return a group of the first match."""
    if not isinstance(group, int | str):
        raise OperationError(f"a group must be a number or a name, not {describe_data(group)}")
    with _bounded():
        found = pattern.search(text)
    if (group not in pattern.names) if isinstance(group, str) else not 0 <= group <= pattern.groups:
        raise OperationError(f"the pattern has no group `{group}`")
    return None if found is None else found.group(group)


def find_all(text: str, pattern: Pattern) -> list[Any]:
    """Return all matches; if the pattern has groups, the group, or a list of the groups, of each match."""
    found: list[Any] = []
    with _bounded():
        for match in pattern.finditer(text):
            groups = [each or "" for each in match.groups()]
            found.append(match.group() if not groups else groups[0] if len(groups) == 1 else groups)
            if len(found) > MAX_ITEMS:
                raise OperationError(f"the list would have more than {MAX_ITEMS:,} items")
    return found


def replace_matches(text: str, pattern: Pattern, replacement: str, count: int) -> str:
    """Return the text with matches replaced: all of them if `count` is 0, otherwise the first `count`."""
    try:
        written = read_replacement(replacement, pattern)
        with _bounded():
            return written.replaced(text, count, most=MAX_TEXT)[0]
    except ReplacementError as error:
        raise OperationError(f"invalid replacement `{replacement[:80]}`: {error}") from None
    except OverflowError:
        raise OperationError(f"the text would have more than {MAX_TEXT:,} characters") from None
