"""JSONPath (RFC 9535), evaluated by the library `jsonpath-rfc9535` within a bound on its work.

Regular expressions in `match()` and `search()` are those of `orchestrator.patterns`, which take linear time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from iregexp_check import check as is_iregexp
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathNode, JSONPathQuery, Parser
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector
from msgspec import Struct

from orchestrator.patterns import PatternError, SearchTooLong, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonpath_rfc9535.tokens import TokenStream

MAX_PATH: Final = 1_000
"""Characters of a path."""

MAX_VISITS: Final = 1_000_000
"""Values that one query may visit, including those that its filters visit."""

_PLAIN_PART: Final = re.compile(r"""\.?(?:(?P<name>[^\s.\[\]'"*?()@$]+)|(?P<all>\*)|(?P<selector>\[[^?\[\]]*\]))""")
_ROOT: Final = "$"


class PathError(ValueError):
    """The text is not a JSONPath. The message gives the reason."""


class QueryTooLarge(Exception):
    """A query takes more work than is allowed."""


class JsonPath(Struct, frozen=True):
    """A parsed path."""

    query: JSONPathQuery

    @property
    def is_singular(self) -> bool:
        """Whether the path can select at most one value."""
        return self.query.singular_query()

    @property
    def keys(self) -> tuple[str | int, ...]:
        """The names and indexes of a singular path."""
        selectors = (segment.selectors[0] for segment in self.query.segments)
        return tuple(
            each.name if isinstance(each, NameSelector) else each.index
            for each in selectors
            if isinstance(each, NameSelector | IndexSelector)
        )

    def find(self, data: Any) -> list[Any]:
        """Return all selected values.

        Raises:
            QueryTooLarge: The query visits too many values, or compares values that are nested too deeply.
        """
        _environment_of(self.query).left = MAX_VISITS
        try:
            return self.query.find(data).values()
        except RecursionError:
            raise QueryTooLarge("the data are nested too deeply to be compared") from None


def parse_path(text: str) -> JsonPath:
    """Parse a JSONPath, or a plain path without the leading `$`: `items[0].name`.

    Raises:
        PathError: It is not a path.
    """
    path = text.strip()
    if len(path) > MAX_PATH:
        raise PathError(f"it has {len(path):,} characters, more than the maximum of {MAX_PATH:,}")
    try:
        return JsonPath(_Environment().compile(path if path.startswith(_ROOT) else _rooted(path)))
    except JSONPathError as error:
        raise PathError(str(error.args[0])) from None
    except (RecursionError, ValueError):
        raise PathError("it is nested too deeply, or has an invalid number") from None


def _rooted(path: str) -> str:
    """Write a plain path as a JSONPath: names in it may have any characters but those of the syntax, such as `-`."""
    written, position = [_ROOT], 0
    while position < len(path) and (found := _PLAIN_PART.match(path, position)):
        match found.lastgroup:
            case "name":
                escaped = found["name"].replace("\\", "\\\\")
                written.append(f"['{escaped}']")
            case "all":
                written.append("[*]")
            case _:
                written.append(found["selector"])
        position = found.end()
    rest = path[position:]
    return "".join(written) + rest


class _RegexFunction(FilterFunction):
    """`match(text, pattern)`, or with `whole` false `search(text, pattern)`."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - as the library declares it
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._form = r"\A(?:{})\Z" if whole else "(?:{})"

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str) or not is_iregexp(pattern):
            return False
        try:
            return compile_pattern(self._form.format(pattern), "python").matches(text)
        except PatternError:
            return False
        except SearchTooLong as error:
            raise QueryTooLarge(str(error)) from None


class _Environment(JSONPathEnvironment):
    """The environment of one path. `left` is how many values its query may still visit."""

    left = MAX_VISITS

    def __init__(self) -> None:
        self.parser_class = _BoundedParser
        super().__init__()

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _RegexFunction(whole=True)
        self.function_extensions["search"] = _RegexFunction(whole=False)

    def counted(self, nodes: Iterable[JSONPathNode]) -> Iterable[JSONPathNode]:
        """Pass on nodes, and count them as visited."""
        for node in nodes:
            self.left -= 1
            if self.left < 0:
                raise QueryTooLarge(f"the query visits more than {MAX_VISITS:,} values")
            yield node


def _environment_of(part: JSONPathQuery | JSONPathSegment) -> _Environment:
    assert isinstance(part.env, _Environment)  # noqa: S101 - for the type checker
    return part.env


class _ChildSegment(JSONPathChildSegment):
    def resolve(self, nodes: Iterable[JSONPathNode]) -> Iterable[JSONPathNode]:
        return _environment_of(self).counted(super().resolve(nodes))


class _DescendantSegment(JSONPathRecursiveDescentSegment):
    def resolve(self, nodes: Iterable[JSONPathNode]) -> Iterable[JSONPathNode]:
        for node in nodes:
            for visited in _environment_of(self).counted(_containers(node)):
                for selector in self.selectors:
                    yield from selector.resolve(visited)


def _containers(node: JSONPathNode) -> Iterator[JSONPathNode]:
    """Yield a node and the objects and lists below it, in document order."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        value = node.value
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        below = [node.new_child(child, key, node) for key, child in children if isinstance(child, dict | list)]
        stack.extend(reversed(below))


class _BoundedParser(Parser):
    """Parses a path into segments that count what they visit."""

    def parse_query(self, stream: TokenStream, *, in_filter: bool = False) -> Iterable[JSONPathSegment]:
        for segment in super().parse_query(stream, in_filter=in_filter):
            descends = isinstance(segment, JSONPathRecursiveDescentSegment)
            make = _DescendantSegment if descends else _ChildSegment
            yield make(env=segment.env, token=segment.token, selectors=segment.selectors)
