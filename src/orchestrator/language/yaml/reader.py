"""Reads YAML text into a node tree, and reports every error: syntax errors are repaired in a copy of the text."""

from __future__ import annotations

import re

import yaml
from msgspec import Struct, field

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, Source, Span
from orchestrator.language.limits import MAX_CHARACTERS
from orchestrator.language.syntax.explanation import explain_error, explain_templates
from orchestrator.language.syntax.problems import MAX_EDITS, MAX_PROBLEMS, ReadingStopped, SyntaxProblem, to_diagnostic
from orchestrator.language.yaml.layout import Edit, TextLayout
from orchestrator.language.yaml.nodes import Mapping, Scalar, Sequence
from orchestrator.language.yaml.tree import Tree, build_tree
from orchestrator.remedies import WriteExample

_MAX_PASSES = 60
_MAX_REREAD = 24 * 1024 * 1024  # characters read in all passes together; a small file gets all its passes

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_FEW = 100  # control characters in the first 4,096 characters; a file with more, or with NUL, is binary


class Reading(Struct, frozen=True):
    """The result of reading a text: its root if it is a mapping, and all diagnostics.

    `partial` means that a syntax error hid a part of the text, so that keys may seem missing.
    `moved` are the lines that were moved by a guess; errors in them may be a consequence of the guess.
    `keys` are the keys of all mappings.
    """

    root: Mapping | None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    partial: bool = False
    moved: frozenset[int] = frozenset()
    keys: frozenset[str] = frozenset()


def read_tree(source: Source) -> Reading:
    """Read a text. Errors in its content are not raised.

    Limits: 8 Mi characters, 100 levels, 500,000 values with aliases expanded. Within the limits a file is read
    in a few seconds and at most 200 MB.
    """
    text = source.text
    if len(text) > MAX_CHARACTERS:
        return Reading(None, [_too_large(source)], partial=True)
    diagnostics, readable = _unreadable_characters(source)
    if readable is None:
        return Reading(None, diagnostics, partial=True)
    text = readable
    edits: list[Edit] = []
    read = 0
    repaired: set[int] = set()
    moved: set[int] = set()
    partial = bool(diagnostics)
    for number in range(_MAX_PASSES):
        layout = TextLayout(text, tuple(edits))
        tree = Tree()
        error: SyntaxProblem | None = None
        stopped = False
        try:
            build_tree(layout, tree)
        except ReadingStopped as stop:
            error, stopped = stop.problem, True
        except yaml.MarkedYAMLError as found:
            error = explain_error(layout.text, found, tree)
        problems = explain_templates(layout.text, tree) or ([error] if error else [])
        for problem in problems:
            diagnostic = to_diagnostic(problem, source, layout)
            line = diagnostic.span.start.line
            is_echo = (problem.weak and line in repaired) or (problem.vague and partial)
            if not problem.silent and not is_echo:
                diagnostics.append(diagnostic)
            partial = partial or problem.lossy or is_echo
            repaired.add(line)
            if problem.weak:
                moved |= {layout.position(edit.start).line for edit in problem.edits}
        if not problems:
            diagnostics += [to_diagnostic(problem, source, layout) for problem in tree.problems]
            return _finished(source, tree, diagnostics, partial=partial, moved=moved)
        if stopped and problems == [error]:
            diagnostics += [to_diagnostic(problem, source, layout) for problem in tree.problems]
            if tree.root is not None:  # a second document; the first is whole
                return _finished(source, tree, diagnostics, partial=partial, moved=moved)
            return Reading(None, diagnostics, partial=True)
        read += len(text)
        repairs = _in_original(layout, edits, problems)
        if repairs is None or number + 1 == _MAX_PASSES or read > _MAX_REREAD or len(diagnostics) >= MAX_PROBLEMS:
            diagnostics += [to_diagnostic(problem, source, layout) for problem in tree.problems]
            if repairs is not None:
                count = f"{len(diagnostics)} error{'s' if len(diagnostics) > 1 else ''}"
                diagnostics.append(Diagnostic.over_limit(source, f"the rest of the file is not read after {count}"))
            return Reading(None, diagnostics, partial=True)
        edits = repairs
    return Reading(None, diagnostics, partial=True)


def _in_original(layout: TextLayout, edits: list[Edit], problems: list[SyntaxProblem]) -> list[Edit] | None:
    """Add the repairs of problems, in offsets of the read text, to those of the file. None if they conflict."""
    added: list[Edit] = []
    if sum(len(problem.edits) for problem in problems) > MAX_EDITS:
        return None
    for problem in problems:
        for edit in problem.edits:
            start = layout.original_offset(edit.start)
            end = layout.original_offset(edit.end) if edit.end > edit.start else start
            added.append(Edit(start, end, edit.replacement))
    fresh = set(added)
    combined: list[Edit] = []
    for edit in sorted({*edits, *added}):
        before = combined[-1] if combined else None
        if before and (edit.start < before.end or edit.start == before.start):
            merged = _merged(before, edit, new=edit in fresh, old_is_new=before in fresh)
            if merged is None:
                return None
            combined[-1] = merged
        else:
            combined.append(edit)
    return combined if added and combined != sorted(edits) and len(combined) < MAX_EDITS else None


def _merged(first: Edit, second: Edit, *, new: bool, old_is_new: bool) -> Edit | None:
    """Combine two repairs of one place: one inside the other, or two insertions."""
    if first.start == second.start and first.start == first.end:
        if second.end > second.start and not second.replacement.strip():  # blanking replaces an insertion before it
            return second
        return Edit(first.start, second.end, first.replacement + second.replacement)
    if first.start <= second.start and second.end <= first.end and old_is_new and not new:
        return first
    return None


def _finished(source: Source, tree: Tree, diagnostics: list[Diagnostic], *, partial: bool, moved: set[int]) -> Reading:
    root = tree.root
    if isinstance(root, Mapping):
        return Reading(root, diagnostics, partial, frozenset(moved), frozenset(tree.keys))
    if partial and (root is None or (isinstance(root, Scalar) and not root.text)):
        return Reading(None, diagnostics, partial=True)
    if root is None or (isinstance(root, Scalar) and not root.text and not root.style):
        message, label = f"`{source.name}` is empty" if source.name[:1] != "<" else "the pipeline is empty", "nothing"
        span = Span.at(1, 1)
    else:
        what = "a list" if isinstance(root, Sequence) else "a single value"
        message, label = f"a pipeline is a mapping with `steps:`, not {what}", what
        span = root.span
        if span.end.line > span.start.line:
            span = Span.at(span.start.line, span.start.column)
    diagnostics.append(
        Diagnostic(
            codes.NOT_A_MAPPING,
            message,
            source,
            span,
            label=label,
            help="start with `steps:` and a list of steps below it",
            remedies=(WriteExample(),),
        )
    )
    return Reading(None, diagnostics, partial=True)


def _too_large(source: Source) -> Diagnostic:
    limit = f"{MAX_CHARACTERS // (1024 * 1024)} Mi"
    return Diagnostic(
        codes.FILE_TOO_LARGE,
        f"the file has {len(source.text):,} characters, and the limit is {limit}",
        source,
        Span.at(1, 1),
        help="move large data to a file that a step reads",
    )


def _unreadable_characters(source: Source) -> tuple[list[Diagnostic], str | None]:
    """Report control characters, and replace them so that the rest can be read. None if the file is not text."""
    text = source.text
    first = _UNREADABLE.search(text)
    if first is None:
        return [], text
    sample = text[:4096]
    count = len(_UNREADABLE.findall(sample))
    layout = TextLayout(text)
    span = layout.exact_span(first.start(), first.end())
    if count > _FEW or "\0" in sample:
        diagnostic = Diagnostic(
            codes.UNREADABLE_FILE,
            "this is not a text file",
            source,
            span,
            label="binary data",
            help="pass a YAML file in UTF-8",
        )
        return [diagnostic], None
    name = f"U+{ord(first[0]):04X}"
    others = sum(1 for _ in _UNREADABLE.finditer(text)) - 1
    diagnostic = Diagnostic(
        codes.YAML_SYNTAX,
        f"the character {name} is not allowed in YAML"
        + (f" (and {others} more control character{'s' if others > 1 else ''})" if others else ""),
        source,
        span,
        label="control character",
        help="remove it"
        if "\ud800" <= first[0] <= "\udfff"
        else f'remove it, or write it as an escape in double quotes: `"\\u{ord(first[0]):04x}"`',
    )
    return [diagnostic], _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text)
