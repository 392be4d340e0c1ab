"""Prompts in files: `prompt: {file: prompts/critic.md}`, with the files that they include.

The text of the file takes the place of the mapping before anything is checked, so a prompt in a file is checked,
recorded and cached like one in the pipeline; only the places of its problems are in another file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.files import Unreadable
from orchestrator.diagnostics import Source
from orchestrator.expressions import parse_template
from orchestrator.expressions.syntax.includes import includes_in
from orchestrator.language.prompt_text import PromptPart, prompt_scalar
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Sequence as SequenceABC

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.files import FileLocation
    from orchestrator.diagnostics import Span

PROMPTS: Final = ("prompt", "system", "instruction")
"""The parameters of model calls whose value can be in a file."""

MAX_PROMPT: Final = 1_000_000
"""Characters of a prompt, with all that it includes."""

_MAX_INCLUDES: Final = 100
_KEY: Final = "file"


def with_prompts(context: CompilationContext, parameters: Node | None) -> Node | None:
    """Return the parameters of a model call with the texts of the prompts that are in files."""
    if not isinstance(parameters, Mapping):
        return parameters
    table = dict(parameters.table)
    for name in PROMPTS:
        if (entry := table.get(name)) is not None:
            table[name] = Entry(entry.key, _resolved(context, entry.value, f"`{name}`"))
    messages = table.get("messages")
    if messages is not None and isinstance(messages.value, Sequence):
        listed = messages.value
        items = [_message(context, item) for item in listed.items]
        table["messages"] = Entry(messages.key, Sequence(items, listed.start, listed.end, listed.layout))
    return Mapping(table, parameters.start, parameters.end, parameters.layout)


def _message(context: CompilationContext, item: Node) -> Node:
    if not isinstance(item, Mapping) or (entry := item.table.get("content")) is None:
        return item
    content = Entry(entry.key, _resolved(context, entry.value, "`content`"))
    return Mapping({**item.table, "content": content}, item.start, item.end, item.layout)


def _resolved(context: CompilationContext, value: Node, what: str) -> Node:
    """Return the text of a prompt that is in a file; another value as it is."""
    if not isinstance(value, Mapping) or _KEY not in value.table:
        return value
    for name, entry in value.table.items():
        if name != _KEY:
            help = "put what the prompt needs into the file: it can read all names that the step can read"
            context.diagnostics.add(
                codes.UNKNOWN_KEY, entry.key.span, f"unknown key `{name}` of {what}", label="unknown key", help=help
            )
    node = value.table[_KEY].value
    written = node.value if isinstance(node, Scalar) else None
    if not isinstance(written, str) or not written.strip() or "{{" in written or "{%" in written:
        context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            node.span,
            f"the file of {what} must be a path that is known before the run",
            label="not a path",
            help="write the path of one file, relative to the pipeline's; the file can contain templates",
        )
        return Scalar("", "", "synthetic", value.start, value.end, value.layout)
    parts = _PromptReader(context).read(written, context.locations, context.document.source.name, node.span, ())
    return prompt_scalar(parts) if parts else Scalar("", "", "synthetic", value.start, value.end, value.layout)


class _PromptReader:
    """Reads one prompt, and counts what it consists of."""

    def __init__(self, context: CompilationContext) -> None:
        self._context = context
        self._size = 0
        self._files = 0

    def read(
        self, written: str, callers: SequenceABC[FileLocation], caller: str, span: Span, chain: tuple[str, ...]
    ) -> list[PromptPart]:
        """Return the parts of the file that `caller` names at `span`; none after reporting a problem.

        `chain` are the files that include it, the outermost first.
        """
        files = self._context.session.files
        place = files.find(callers, written)
        text = place if isinstance(place, Unreadable) else files.read_text(place, written)
        if isinstance(place, Unreadable) or isinstance(text, Unreadable):
            problem = text if isinstance(text, Unreadable) else place
            self._report(problem, span)  # type: ignore[arg-type]  # one of the two is
            return []
        if place.key in chain:
            circle = quoted_list([*chain[chain.index(place.key) :], place.key], last="includes")
            self._refuse(span, f"a prompt includes itself: {circle}", "remove one of the includes")
            return []
        self._files += 1
        self._size += len(text)
        if self._size > MAX_PROMPT or self._files > _MAX_INCLUDES:
            limits = f"{MAX_PROMPT:,} characters, and {_MAX_INCLUDES} files"
            self._refuse(span, f"the prompt is too long: the limit is {limits}", "give long texts as `files:`")
            return []
        self._context.prompts[place.key] = text
        plain = text.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n")
        shown = place.key if caller.startswith("<") else os.path.normpath(Path(caller).parent / written)
        return self._parts(Source.of(shown, plain), place, (*chain, place.key))

    def _parts(self, source: Source, place: FileLocation, chain: tuple[str, ...]) -> list[PromptPart]:
        text, parts, position = source.text, [], 0
        strips = False
        for include in includes_in(text):
            parts += _piece(source, position, include.start, strips, include.strips_before)
            root = PromptPart(source, text, 0)
            span = prompt_scalar([root]).span_of(include.path_start, include.path_start + len(include.path))
            included = self.read(include.path, (place,), source.name, span, chain)
            if included:
                scalar = prompt_scalar(included)  # a statement must end in the file where it begins
                self._context.diagnostics.add_problems(scalar, parse_template(scalar.text).problems)
            parts += included
            position, strips = include.end, include.strips_after
        parts += _piece(source, position, len(text), strips, False)
        return parts or [PromptPart(source, "", 0)]

    def _report(self, problem: Unreadable, span: Span) -> None:
        label = "not permitted" if problem.code == codes.NOT_PERMITTED else "cannot be read"
        self._context.diagnostics.add(
            problem.code, span, problem.message, label=label, help=problem.help, remedies=problem.remedies
        )

    def _refuse(self, span: Span, message: str, help: str) -> None:
        self._context.diagnostics.add(codes.UNREADABLE_PROMPT, span, message, label="included here", help=help)


def _piece(source: Source, start: int, end: int, strips_start: bool, strips_end: bool) -> list[PromptPart]:
    text = source.text[start:end]
    if strips_start:
        start += len(text) - len(text.lstrip())
        text = text.lstrip()
    if strips_end:
        text = text.rstrip()
    return [PromptPart(source, text, start)] if text else []
