"""The lock of a pipeline file: the answers of models for its `<AUTO>` values, which its runs repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.compiler.ir.files import SUFFIX
from orchestrator.diagnostics import Diagnostic, Source, Span
from orchestrator.language.yaml.nodes import Mapping as MappingNode
from orchestrator.language.yaml.nodes import Node, Scalar, plain_data
from orchestrator.language.yaml.nodes import Sequence as SequenceNode
from orchestrator.language.yaml.reader import read_tree
from orchestrator.language.yaml.writer import write_yaml
from orchestrator.models.calls.lock_entries import KeptAnswer
from orchestrator.models.output.schemas import misfits, structure_of
from orchestrator.remedies import UpdateLock

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION: Final = 1

_START: Final = Span.at(1, 1)
_WORDS: Final = ("question", "model", "when", "asked")


class LockedValue(Struct, frozen=True):
    """The answers for the value at one path: the question as the file has it, the type, and the answers.

    A question with templates has one answer for each rendered text. `span` is the place in the lock.
    """

    at: str
    text: str
    schema: Mapping[str, Any]
    answers: tuple[KeptAnswer, ...]
    span: Span = _START

    def find(self, digest: str) -> KeptAnswer | None:
        """Return the answer to a question."""
        return next((answer for answer in self.answers if answer.asked == digest), None)


class Lock(Struct, frozen=True):
    """A lock as it was read: its values by path, or what is wrong with it."""

    source: Source
    values: Mapping[str, LockedValue] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()


def read_lock(text: str, name: str) -> Lock:
    """Read a lock. Never raises for invalid content."""
    source = Source.of(name, text.removeprefix("\ufeff"))
    reading = read_tree(source)
    problems = list(reading.diagnostics)
    values: dict[str, LockedValue] = {}
    if reading.root is not None and not problems:
        try:
            values = {value.at: value for value in _values(reading.root)}
        except _InvalidEntry as invalid:
            problems.append(_invalid_lock(source, invalid.node.span, invalid.message))
    elif not problems:
        problems.append(_invalid_lock(source, Span.at(1, 1), "it is empty"))
    if problems:
        first = problems[0]
        if first.code != codes.LOCK_MISMATCH:
            first = _invalid_lock(source, first.span, first.message)
        return Lock(source, {}, (first,))
    return Lock(source, values)


def write_lock(values: Iterable[LockedValue], name: str) -> str:
    """Return the text of the lock of the file `name`, sorted so that a new answer changes only its own lines."""
    data = {
        value.at: {
            "text": value.text,
            "type": dict(value.schema),
            "answers": [_answer_data(value, answer) for answer in sorted(value.answers, key=lambda a: a.question)],
        }
        for value in sorted(values, key=lambda value: value.at)
    }
    head = (
        f"# What models answered for the <AUTO> values of {name}: its runs repeat it, so review changes.\n"
        f"# Written by `orchestrator lock {name}`.\n"
    )
    return head + write_yaml({"version": VERSION, "values": data})


def answer_problems(answer: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return descriptions of where an answer does not match the schema; empty if it matches."""
    form = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    return misfits(structure_of(form), {"value": answer})


def _answer_data(value: LockedValue, answer: KeptAnswer) -> dict[str, Any]:
    data = answer.to_dict()
    if answer.question == value.text:
        del data["question"]
    return data


class _InvalidEntry(Exception):
    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message


def _invalid_lock(source: Source, span: Span, message: str) -> Diagnostic:
    return Diagnostic(
        codes.LOCK_MISMATCH,
        f"the lock `{source.name}` cannot be read: {message}",
        source,
        span,
        severity="error",
        label="invalid",
        help="fix it, or remove it and create it again",
        remedies=(UpdateLock(source.name.removesuffix(SUFFIX)),),
    )


def _values(root: MappingNode) -> Iterable[LockedValue]:
    version = root.get("version")
    if not isinstance(version, Scalar) or version.value != VERSION:
        raise _InvalidEntry(version or root, f"its version is not {VERSION}")
    values = _mapping(root, "values")
    for entry in values.entries:
        body = entry.value
        if not isinstance(body, MappingNode):
            raise _InvalidEntry(entry.key, "each value must be a mapping with `text`, `type` and `answers`")
        listed = body.get("answers")
        if not isinstance(listed, SequenceNode):
            raise _InvalidEntry(entry.key, "it has no `answers` list")
        text = _word(body, "text")
        answers = tuple(_answer(item, text) for item in listed.items)
        yield LockedValue(entry.key.text, text, plain_data(_mapping(body, "type")), answers, entry.key.span)


def _answer(node: Node, text: str) -> KeptAnswer:
    if not isinstance(node, MappingNode):
        raise _InvalidEntry(node, "an answer must be a mapping")
    given = node.get("answer")
    if given is None:
        raise _InvalidEntry(node, "it has no `answer`")
    words = {word: _word(node, word, text if word == "question" else None) for word in _WORDS}
    return KeptAnswer(answer=plain_data(given), **words)


def _mapping(node: MappingNode, key: str) -> MappingNode:
    found = node.get(key)
    if not isinstance(found, MappingNode):
        raise _InvalidEntry(found or node, f"`{key}` is not a mapping")
    return found


def _word(node: MappingNode, key: str, default: str | None = None) -> str:
    found = node.get(key)
    if found is None and default is not None:
        return default
    if not isinstance(found, Scalar) or not isinstance(found.value, str):
        raise _InvalidEntry(found or node, f"`{key}` is not text")
    return found.value
