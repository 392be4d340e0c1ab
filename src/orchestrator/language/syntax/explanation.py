"""Explains YAML syntax errors without the terms of the grammar, and repairs the text so that reading can continue."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.language.syntax.brackets import bracket_problem, no_item
from orchestrator.language.syntax.indentation import (
    LOOKS_LIKE_KEY,
    blank_block,
    indentation_problem,
    lines_above,
    shift_block,
    tab_in_block,
    tab_problem,
    under_indented,
)
from orchestrator.language.syntax.problems import MAX_EDITS, MAX_PROBLEMS, SyntaxProblem
from orchestrator.language.syntax.quotes import (
    indentation,
    line_end,
    line_start,
    next_line,
    quote_value,
    quoting_edits,
    template_end,
    unusable_escape,
    value_end,
)
from orchestrator.language.yaml.layout import Edit
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.language.yaml.tree import Tree

_KEY = re.compile(r"[ \t]*(?:- +)*(?P<key>[^\s'\"{}\[\]#:][^'\"{}\[\]#:]*?):(?P<gap>[ \t]+)(?=\S)")
_LINE_KEY = re.compile(r"[ \t]*(?:- +)*(?P<key>[^\s'\"{}\[\]#:][^'\"{}\[\]#:]*?):(?:\s|$)")
_NO_SPACE = re.compile(r"[ \t]*(?:- +)*(?P<key>[A-Za-z_][\w.-]*):(?=[^\s:/])")
_WORD_AND_REST = re.compile(r"[ \t]*(?:- +)*(?P<key>[A-Za-z_][\w-]*) +(?=[^\s:=])")
_KEY_ONLY_TAIL = re.compile(r"[\n\r][ \t]*(?:- +)*[A-Za-z_][\w.-]*:[ \t]")
_ESCAPE = re.compile(r"\\(?![0abt\tnvfre \"/\\N_LP\r\n]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")


def explain_templates(text: str, tree: Tree) -> list[SyntaxProblem]:
    """Return a problem for each unquoted template that YAML read as a mapping."""
    problems: list[SyntaxProblem] = []
    done = -1
    for start, in_brackets, last in tree.templates:
        if start >= done and len(problems) < MAX_PROBLEMS:
            problem = under_indented(text, start, last) or _template(text, start, in_brackets=in_brackets)
            done = problem.end
            problems.append(problem)
    return problems


def explain_error(text: str, error: Any, tree: Tree) -> SyntaxProblem:
    """Explain a syntax error.

    `error` is the exception of the YAML reader; `tree` is what it had read.
    """
    reason: str = error.problem or ""
    at: int = min(error.problem_mark.index if error.problem_mark else 0, len(text))
    context: int | None = error.context_mark.index if error.context_mark else None
    start = line_start(text, at)
    before = text[start:at]
    if "tab character" in reason and (problem := tab_in_block(text, at, context, tree.columns)) is not None:
        return problem
    if (not before.strip(" ") and text[at : at + 1] == "\t") or "tab character" in reason:
        return tab_problem(text, at)
    if "Unicode character escape" in reason and (problem := unusable_escape(text, at, at + 12)) is not None:
        return problem
    problem = under_indented(text, context if context is not None and "':'" in reason else at, tree.last)
    if problem is not None:
        return problem
    if text[at - 1 : at + 1] == "{%":
        return _template(text, at - 1, in_brackets=False)
    if text[at : at + 2] == "{%":
        return _template(text, at, in_brackets=False)
    if "flow node" in (error.context or "") and (problem := no_item(text, at)) is not None:
        return problem
    for known in (_unclosed_quote, _by_reason, _by_place):
        problem = known(text, reason, at, context, tree)
        if problem is not None:
            return problem
    return _unknown(text, at)


def _template(text: str, start: int, *, in_brackets: bool) -> SyntaxProblem:
    end = template_end(text, start, in_brackets=in_brackets)
    opening = text[start : start + 2]
    value = text[start:end]
    return SyntaxProblem(
        codes.UNQUOTED_TEMPLATE,
        f"a value that starts with `{opening}` must be quoted",
        start,
        end,
        label="not quoted",
        help=f"write {shorten(quote_value(value))}",
        notes=("without quotes, YAML reads `{` as the start of a mapping",),
        fix=Edit(start, end, quote_value(value)),
        edits=quoting_edits(text, start, end),
    )


def _unclosed_quote(text: str, reason: str, at: int, context: int | None, tree: Tree) -> SyntaxProblem | None:
    """Explain a quote that is not closed on its line, and so extends to the next quote or the end of the file."""
    start: int | None = None
    if "quoted scalar" in reason or "unexpected end of stream" in reason or "document indicator" in reason:
        start = context
    elif tree.last and tree.last[2] in ("'", '"') and 0 <= at - tree.last[1] <= 1:
        first, end, _ = tree.last
        if _KEY_ONLY_TAIL.search(text, first, end):
            start = first
    if start is None or text[start : start + 1] not in ("'", '"'):
        return None
    quote = text[start]
    end = value_end(text, start)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"the quote `{quote}` is never closed",
        start,
        start + 1,
        label="opened here",
        help=f"add a `{quote}` at the end of the value",
        edits=(Edit(end, end, quote),),
        fix=Edit(end, end, quote),
    )


def _by_reason(text: str, reason: str, at: int, context: int | None, tree: Tree) -> SyntaxProblem | None:
    """Explain an error that the message of the reader identifies."""
    if "mapping values are not allowed" in reason:
        return _colon(text, at)
    if "cannot start any token" in reason or ("alphabetic or numeric character" in reason and context is not None):
        return _first_character(text, at if "token" in reason else context or 0, in_brackets=tree.in_brackets)
    if "could not find expected ':'" in reason:
        return _no_colon(text, at if context is None else context)
    if "sequence entries are not allowed" in reason or "sequence entry" in reason:
        return _item_in_value(text, at)
    if "escape" in reason or "hexdecimal" in reason or "hexadecimal" in reason:
        return _escape(text, at, context)
    if "comment or line break" in reason or "indentation indicator" in reason:
        return _block_header(text, at if context is None else context)
    if "directive" in reason and context is not None:
        return _directive(text, context)
    if "<document start>" in reason:
        return _less_indented(text, at)
    if "node content" in reason:
        return _stray(text, at)
    return None


def _by_place(text: str, reason: str, at: int, context: int | None, tree: Tree) -> SyntaxProblem | None:
    """Explain an error that only the position of the reader identifies."""
    if context is not None and text[context : context + 1] in ("[", "{") and ("," in reason):
        return bracket_problem(text, at, context)
    start = line_start(text, at)
    if tree.last and tree.last[2] and start < tree.last[1] <= at and text[tree.last[1] : at].strip(" ") == "":
        return _text_behind(text, at, tree.last)
    if not text[start:at].strip(" ") and at < len(text):
        if not LOOKS_LIKE_KEY.match(text, start, line_end(text, start)):
            return _belongs_nowhere(text, start)
        opened = None if context is None else (context, context + 1)
        return indentation_problem(text, at, tree.columns, opened)
    return None


def _colon(text: str, at: int) -> SyntaxProblem | None:
    """Explain a colon where a key is not possible: inside an unquoted value, or on a continuation line."""
    start = line_start(text, at)
    key = _KEY.match(text, start, line_end(text, start))
    if key and key.end() <= at:
        value_start = key.end()
        end = value_end(text, value_start)
        value = text[value_start:end]
        if value[:1] not in ("'", '"', "[", "{"):
            return SyntaxProblem(
                codes.YAML_SYNTAX,
                f"the value of `{shorten(key['key'])}` contains a `:`, so it must be quoted",
                value_start,
                end,
                label="not quoted",
                help=f"write {shorten(quote_value(value))}",
                fix=Edit(value_start, end, quote_value(value)),
                edits=quoting_edits(text, value_start, end),
            )
    above = next(lines_above(text, start), None)
    if above is None:
        return None
    missing = _NO_SPACE.match(text, above[0], above[1])
    if missing:
        return _no_space(missing)
    if _WORD_AND_REST.match(text, above[0], above[1]) and ":" not in text[above[0] : above[1]]:
        return _no_colon(text, above[0])
    indent = indentation(text, start)
    columns = [(indentation(text, above[0]), False)]
    dashes = re.compile(r" *((?:- +)+)").match(text, above[0], above[1])
    if dashes:
        columns = [(dashes.end() - above[0], False), (dashes.start(1) - above[0], True)]
    if indent != columns[0][0]:
        return _too_far_in(text, start, above, columns)
    return None


def _too_far_in(text: str, start: int, above: tuple[int, int], columns: list[tuple[int, bool]]) -> SyntaxProblem | None:
    """Explain a key that is indented below a line that already has a value."""
    problem = indentation_problem(text, start + indentation(text, start), columns)
    owner, own = _KEY.match(text, *above), _LINE_KEY.match(text, start, line_end(text, start))
    if not problem.edits or not owner or not own:
        return problem if problem.edits else None
    return replace(
        problem,
        message=f"`{shorten(own['key'])}` is indented below `{shorten(owner['key'])}`, which already has a value",
        related=((f"`{shorten(owner['key'])}` has this value", owner.end(), value_end(text, owner.end())),),
    )


def _belongs_nowhere(text: str, start: int) -> SyntaxProblem:
    """Explain a line of text where only a key or an item is possible."""
    content = start + indentation(text, start)
    end = value_end(text, start)
    above = next(lines_above(text, start), None)
    commented = above is not None and " #" in text[above[0] : above[1]]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "this line is neither a key nor a list item",
        content,
        max(end, content + 1),
        label="a comment ended the value above" if commented else "neither `key: value` nor `- item`",
        help="write text of several lines below `|`, or in quotes",
        edits=blank_block(text, start),
        lossy=True,
        weak=True,
    )


def _no_space(match: re.Match[str]) -> SyntaxProblem:
    colon = match.end("key")
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"missing space after the colon of `{shorten(match['key'])}:`",
        colon,
        colon + 1,
        label="missing space after this",
        help=f"write `{shorten(match['key'])}: ...`",
        fix=Edit(colon + 1, colon + 1, " "),
        edits=(Edit(colon + 1, colon + 1, " "),),
    )


def _first_character(text: str, at: int, *, in_brackets: bool = False) -> SyntaxProblem | None:
    """Explain characters that YAML reserves at the start of a value."""
    character = text[at : at + 1]
    if not character or character in "\n\r":
        return None
    shown = f"`{character}`" if character != "`" else "a backtick"
    stop = re.compile(r"[,\]}]").search(text, at, line_end(text, at)) if in_brackets else None
    end = value_end(text, at, stop.start() if stop else None)
    value = text[at:end]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"a value that starts with {shown} must be quoted",
        at,
        end,
        label="not quoted",
        help=f"write {shorten(quote_value(value))}",
        fix=Edit(at, end, quote_value(value)),
        edits=quoting_edits(text, at, end),
    )


def _directive(text: str, at: int) -> SyntaxProblem:
    return SyntaxProblem(
        codes.UNSUPPORTED_YAML,
        "a line cannot start with `%`: YAML directives are not supported",
        at,
        max(value_end(text, at), at + 1),
        label="not supported",
        help="remove the line, or quote it if it is meant as text",
        edits=blank_block(text, line_start(text, at)),
        lossy=True,
    )


def _no_colon(text: str, at: int) -> SyntaxProblem | None:
    """Explain a line among keys that is not a key."""
    start = line_start(text, at)
    end = value_end(text, start)
    if match := _NO_SPACE.match(text, start, end):
        return _no_space(match)
    content = start + indentation(text, start)
    word = text[content:end]
    if match := _WORD_AND_REST.match(text, start, end):
        place = match.end("key")
        return SyntaxProblem(
            codes.YAML_SYNTAX,
            f"missing colon after `{shorten(match['key'])}`",
            match.start("key"),
            place,
            label="a key without a colon",
            help=f"write `{shorten(match['key'])}: {shorten(text[match.end() : end])}`",
            fix=Edit(place, place, ":"),
            edits=(Edit(place, place, ":"),),
        )
    if not word:
        return None
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{shorten(word)}` is neither a key nor a value: missing colon",
        content,
        end,
        label="no colon",
        help="write `key: value`, or remove the line",
        edits=blank_block(text, start),
        lossy=True,
        weak=True,
    )


def _item_in_value(text: str, at: int) -> SyntaxProblem | None:
    """Explain `key: - item` on one line."""
    end = value_end(text, at)
    item = text[at:end].removeprefix("-").strip()
    if not item or not text.startswith("- ", at):
        return None
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "a list cannot start on the line of its key",
        at,
        end,
        label="start a new line here",
        help=f"write `[{shorten(item)}]`, or put `- {shorten(item)}` on the next line",
        fix=Edit(at, end, f"[{item}]"),
        edits=(Edit(at, at + 2, "["), Edit(end, end, "]")),
    )


def _escape(text: str, at: int, context: int | None) -> SyntaxProblem | None:
    """Explain a backslash in double quotes that is not an escape, as in Windows paths and regular expressions."""
    start = at if context is None else context
    place = start + 1
    while place < len(text) and text[place] != '"':
        place += 2 if text[place] == "\\" else 1
    wrong = list(islice(_ESCAPE.finditer(text, start + 1, place), MAX_EDITS))
    if not wrong:
        return None
    first = wrong[0].start()
    value = text[start + 1 : place]
    simple = "'" not in value and "\\\\" not in value and "\n" not in value
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{text[first : first + 2]}` is not an escape in double quotes",
        first,
        first + 2,
        label="unknown escape",
        help=f"write '{shorten(value)}' with single quotes, or double each backslash"
        if simple
        else "double the backslash: `\\\\`",
        fix=Edit(first, first, "\\"),
        edits=tuple(Edit(match.start(), match.start(), "\\") for match in wrong),
    )


def _block_header(text: str, at: int) -> SyntaxProblem:
    """Explain text after `|` or `>` on the same line."""
    end = value_end(text, at)
    value = text[at:end]
    indent = indentation(text, line_start(text, at))
    following = next_line(text, at)
    has_lines = following < len(text) and indentation(text, following) > indent
    sign = 2 if value[1:2] in ("-", "+") else 1
    edits = (Edit(at + sign, end, " " * (end - at - sign)),) if has_lines else quoting_edits(text, at, end)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{value[:1]}` starts a text of several lines, so nothing can follow it on the same line",
        at,
        end,
        label="text after the sign",
        help=f"put the text on the next line, indented; or write {shorten(quote_value(value))}",
        edits=edits,
        lossy=has_lines,
    )


def _less_indented(text: str, at: int) -> SyntaxProblem | None:
    """Explain a line that is indented less than the first line of the file."""
    start = line_start(text, at)
    first = len(text) - len(text.lstrip("\n\r \t"))
    above = list(lines_above(text, start))
    root = indentation(text, above[-1][0]) if above else 0
    if root == 0 or text[start:at].strip(" "):
        return None
    problem = indentation_problem(text, at, [(root, False)], (first, first + 1))
    rest = shift_block(text, start, root)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "this line is indented less than the first line of the file",
        problem.start,
        problem.end,
        label="indented less",
        help="start every line of the top level at the same column",
        related=(("the first line is here", first, first + 1),),
        edits=rest,
    )


def _stray(text: str, at: int) -> SyntaxProblem | None:
    character = text[at : at + 1]
    if character in ("]", "}"):
        opening = "[" if character == "]" else "{"
        return SyntaxProblem(
            codes.YAML_SYNTAX,
            f"`{character}` without a `{opening}` before it",
            at,
            at + 1,
            label="no opening bracket",
            help="remove it, or quote the value if it is meant as text",
            edits=(Edit(at, at + 1, " "),),
            fix=Edit(at, at + 1, ""),
        )
    return _first_character(text, at) if character in (",", "%", "&", "*") else None


def _text_behind(text: str, at: int, last: tuple[int, int, str]) -> SyntaxProblem:
    end = max(value_end(text, at), at + 1)
    what = "bracket" if last[2] == "]" else "quote"
    whole = text[last[0] : end]
    if what == "quote" and whole[0] == whole[-1]:
        return _quotes_within(last[0], end, at, whole[0], whole[1:-1])
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"text after the closing {what} of this value",
        at,
        end,
        label=f"after the closing {what}",
        help=f"quote the whole value: {shorten(quote_value(whole))}",
        related=(("the value starts here", last[0], last[0] + 1),),
        edits=(Edit(at, end, " " * (end - at)),),
    )


def _quotes_within(start: int, end: int, at: int, quote: str, inner: str) -> SyntaxProblem:
    """Explain a value in quotes that contains the same quotes: the first of them ends it."""
    other = "'" if quote == '"' else '"'
    plain = other not in inner and (other == "'" or "\\" not in inner)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"this value contains the quotes `{quote}` that it is written in, and the first of them ends it",
        at,
        end,
        label="after the closing quote",
        help=f"write {shorten(quote_value(inner), 200)}",
        related=(("the value starts here", start, start + 1),),
        edits=(Edit(start, start + 1, other), Edit(end - 1, end, other))
        if plain
        else (Edit(at, end, " " * (end - at)),),
        lossy=not plain,
    )


def _unknown(text: str, at: int) -> SyntaxProblem:
    start = line_start(text, at)
    if at >= len(text):
        above = next(lines_above(text, len(text)), (0, 0))
        start, at = above[0], max(above[1] - 1, 0)
    end = max(value_end(text, at), at + 1)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "this cannot be read as YAML",
        at,
        min(end, next_line(text, at)),
        label="not understood",
        help="quote the value if it is text, and compare the indentation with the lines around it",
        edits=blank_block(text, start),
        lossy=True,
        vague=True,
        weak=True,
    )
