"""`<AUTO>...</AUTO>` in texts: places and problems."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.yaml.nodes import Node, Scalar

AUTO: Final = "<AUTO>"
END: Final = "</AUTO>"

_TAG: Final = re.compile(r"<AUTO(?:\s[^<>]*)?/?>|</AUTO\s*>")
_HOW: Final = "write the question between the tags: `<AUTO>a title of five words</AUTO>`"

Path = tuple[str | int, ...]


class Auto(Struct, frozen=True):
    """A value from a model: `start` and `end` locate it in the text, `first` and `last` its question."""

    start: int
    end: int
    first: int
    last: int


class MarkupProblem(Struct, frozen=True):
    """A problem with the tags of a text, and its place. `unclosed`: the text ends before the question."""

    start: int
    end: int
    message: str
    help: str
    unclosed: bool = False


def has_tag(text: str) -> bool:
    """Whether a text may contain such a tag; a quick check."""
    return "<AUTO" in text or "</AUTO" in text


def autos_of(text: str) -> list[Auto] | MarkupProblem:
    """Return the `<AUTO>` values of a text, in order, or the first problem."""
    found: list[Auto] = []
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if tag[0].startswith("</"):
            if opened is None:
                return MarkupProblem(tag.start(), tag.end(), "`</AUTO>` without an `<AUTO>` before it", _HOW)
            question = text[opened.end() : tag.start()]
            if not question.strip():
                return MarkupProblem(opened.start(), tag.end(), "`<AUTO>` is empty: it needs a question", _HOW)
            first = opened.end() + len(question) - len(question.lstrip())
            found.append(Auto(opened.start(), tag.end(), first, first + len(question.strip())))
            opened = None
            continue
        if opened is not None:
            help = "end the first with `</AUTO>`; use a separate step for a question that needs another answer"
            return MarkupProblem(tag.start(), tag.end(), "an `<AUTO>` is inside another one", help)
        if tag[0] != AUTO:
            message = f"`{tag[0]}` is not an `<AUTO>`: write the question between `<AUTO>` and `</AUTO>`"
            return MarkupProblem(tag.start(), tag.end(), message, _rewritten(text, tag))
        if _within_braces(text, tag.start()):
            message = "an `<AUTO>` inside an expression is plain text"
            help = (
                "move it out of the braces; a step with `action: generate` produces a value that expressions can read"
            )
            return MarkupProblem(tag.start(), tag.end(), message, help)
        opened = tag
    if opened is not None:
        return MarkupProblem(
            opened.start(), opened.end(), "`<AUTO>` is never closed", _closed(text, opened), unclosed=True
        )
    return found


def _rewritten(text: str, tag: re.Match[str]) -> str:
    """Return help for a tag with other words in it: `<AUTO a short title>`, `<AUTO/>`."""
    words = tag[0].removeprefix("<AUTO").rstrip("/>").strip()
    return _closed(text, tag, "" if "=" in words else words)  # attributes, as in HTML, are not part of a question


def _closed(text: str, tag: re.Match[str], question: str = "") -> str:
    """Return help for an unclosed tag, with the rest of its line as the question."""
    rest = re.split(r"</AUTO|\n", text[tag.end() :], maxsplit=1)[0].strip()
    question = f"{question} {rest}".strip()
    if not question:
        return _HOW
    return f"write `{AUTO}{shorten(question)}{END}`"


def _within_braces(text: str, place: int) -> bool:
    """Whether a place is between `{{` and `}}`, or `{%` and `%}`."""
    before = text[:place]
    return any(before.rfind(begin) > before.rfind(end) for begin, end in (("{{", "}}"), ("{%", "%}"), ("{#", "#}")))


def tagged(root: Node) -> Iterator[tuple[Path, Scalar, tuple[Scalar, ...]]]:
    """Yield the scalars below a node that contain a tag: the path, the scalar, and the keys on the path.

    A key with a tag is yielded too, as the value at its own path.
    """
    from orchestrator.language.yaml.nodes import Mapping, Scalar

    pending: list[tuple[Path, Node, tuple[Scalar, ...]]] = [((), root, ())]
    while pending:
        path, node, keys = pending.pop()
        if isinstance(node, Scalar):
            if has_tag(node.text):
                yield path, node, keys
        elif isinstance(node, Mapping):
            for entry in node.entries:
                if has_tag(entry.key.text):
                    yield (*path, entry.key.text), entry.key, keys
            inner = [((*path, entry.key.text), entry.value, (*keys, entry.key)) for entry in node.entries]
            pending += reversed(inner)
        else:
            pending += reversed([((*path, number), item, keys) for number, item in enumerate(node.items)])
