"""`<AUTO>...</AUTO>` in a text: where each stands, and what is wrong with one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.yaml.nodes import Node, Scalar

AUTO: Final = "<AUTO>"
END: Final = "</AUTO>"

_TAG: Final = re.compile(r"<AUTO(?:\s[^<>]*)?/?>|</AUTO\s*>")
_HOW: Final = "write the question between the tags: `<AUTO>a title of five words</AUTO>`"

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Auto:
    """A value that a model gives: it stands from `start` to `end` of the text, its question from `first` to `last`."""

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class MarkupProblem:
    """What is wrong with the tags of a text, and from where to where. `unclosed`: the text ends before the question."""

    start: int
    end: int
    message: str
    help: str
    unclosed: bool = False


def has_tag(text: str) -> bool:
    """Whether there may be such a tag in a text: a quick look."""
    return "<AUTO" in text or "</AUTO" in text


def autos_of(text: str) -> list[Auto] | MarkupProblem:
    """Return the values that models give within a text, in order, or the first problem."""
    found: list[Auto] = []
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if tag[0].startswith("</"):
            if opened is None:
                return MarkupProblem(
                    tag.start(), tag.end(), "`</AUTO>` ends nothing: no `<AUTO>` is open before it", _HOW
                )
            question = text[opened.end() : tag.start()]
            if not question.strip():
                return MarkupProblem(opened.start(), tag.end(), "`<AUTO>` is empty: it says nothing to a model", _HOW)
            first = opened.end() + len(question) - len(question.lstrip())
            found.append(Auto(opened.start(), tag.end(), first, first + len(question.strip())))
            opened = None
            continue
        if opened is not None:
            help = "end the first with `</AUTO>`; a question that needs another answer is a step of its own"
            return MarkupProblem(tag.start(), tag.end(), "an `<AUTO>` stands within another", help)
        if tag[0] != AUTO:
            message = f"`{tag[0]}` is not an `<AUTO>`: the question stands between `<AUTO>` and `</AUTO>`"
            return MarkupProblem(tag.start(), tag.end(), message, _rewritten(text, tag))
        if _within_braces(text, tag.start()):
            message = "an `<AUTO>` stands inside of an expression, where it is nothing but text"
            help = "put it beside the braces; a step with `action: generate` gives a value that expressions can read"
            return MarkupProblem(tag.start(), tag.end(), message, help)
        opened = tag
    if opened is not None:
        return MarkupProblem(
            opened.start(), opened.end(), "`<AUTO>` is never closed", _closed(text, opened), unclosed=True
        )
    return found


def _rewritten(text: str, tag: re.Match[str]) -> str:
    """Say how to write a tag that has words of its own: `<AUTO a short title>`, `<AUTO/>`."""
    words = tag[0].removeprefix("<AUTO").rstrip("/>").strip()
    return _closed(text, tag, "" if "=" in words else words)  # attributes, as in HTML, are no part of a question


def _closed(text: str, tag: re.Match[str], question: str = "") -> str:
    """Say how to write a tag that has no end, with what follows it on its line as the question."""
    rest = re.split(r"</AUTO|\n", text[tag.end() :], maxsplit=1)[0].strip()
    question = f"{question} {rest}".strip()
    if not question:
        return _HOW
    return f"write `{AUTO}{shorten(question)}{END}`"


def _within_braces(text: str, place: int) -> bool:
    """Whether a place lies between `{{` and `}}`, or `{%` and `%}`."""
    before = text[:place]
    return any(before.rfind(begin) > before.rfind(end) for begin, end in (("{{", "}}"), ("{%", "%}"), ("{#", "#}")))


def tagged(root: Node) -> Iterator[tuple[Path, Scalar, tuple[Scalar, ...]]]:
    """Yield the scalars below a node in which a tag stands: the path of keys, the scalar, the keys that lead there.

    A key with a tag is yielded too, as what stands at its own path.
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
