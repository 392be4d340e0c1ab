"""Explains why a text is not YAML, in words for people who do not know the grammar, and repairs it for reading on."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.language.syntax.brackets import bracket_mistake, no_item
from orchestrator.language.syntax.indentation import (
    LOOKS_LIKE_KEY,
    blank_block,
    indentation_mistake,
    lines_above,
    shift_block,
    tab_in_block,
    tab_mistake,
    under_indented,
)
from orchestrator.language.syntax.mistakes import MAX_EDITS, MAX_PROBLEMS, SyntaxProblem
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
    """Return a mistake for each unquoted template that YAML took for a mapping."""
    mistakes: list[SyntaxProblem] = []
    done = -1
    for start, in_brackets, last in tree.templates:
        if start >= done and len(mistakes) < MAX_PROBLEMS:
            mistake = under_indented(text, start, last) or _template(text, start, in_brackets=in_brackets)
            done = mistake.end
            mistakes.append(mistake)
    return mistakes


def explain_error(text: str, error: Any, tree: Tree) -> SyntaxProblem:
    """Explain a syntax error.

    `error` is what the YAML reader raised; `tree` is how far it had come.
    """
    problem: str = error.problem or ""
    at: int = min(error.problem_mark.index if error.problem_mark else 0, len(text))
    context: int | None = error.context_mark.index if error.context_mark else None
    start = line_start(text, at)
    before = text[start:at]
    if "tab character" in problem and (mistake := tab_in_block(text, at, context, tree.columns)) is not None:
        return mistake
    if (not before.strip(" ") and text[at : at + 1] == "\t") or "tab character" in problem:
        return tab_mistake(text, at)
    if "Unicode character escape" in problem and (mistake := unusable_escape(text, at, at + 12)) is not None:
        return mistake
    mistake = under_indented(text, context if context is not None and "':'" in problem else at, tree.last)
    if mistake is not None:
        return mistake
    if text[at - 1 : at + 1] == "{%":
        return _template(text, at - 1, in_brackets=False)
    if text[at : at + 2] == "{%":
        return _template(text, at, in_brackets=False)
    if "flow node" in (error.context or "") and (mistake := no_item(text, at)) is not None:
        return mistake
    for known in (_unclosed_quote, _by_problem, _by_place):
        mistake = known(text, problem, at, context, tree)
        if mistake is not None:
            return mistake
    return _unknown(text, at)


def _template(text: str, start: int, *, in_brackets: bool) -> SyntaxProblem:
    end = template_end(text, start, in_brackets=in_brackets)
    opening = text[start : start + 2]
    value = text[start:end]
    return SyntaxProblem(
        codes.UNQUOTED_TEMPLATE,
        f"a value that begins with `{opening}` must be quoted",
        start,
        end,
        label="not quoted",
        help=f"write {shorten(quote_value(value))}",
        notes=("without quotes, YAML takes `{` for the beginning of a mapping",),
        fix=Edit(start, end, quote_value(value)),
        edits=quoting_edits(text, start, end),
    )


def _unclosed_quote(text: str, problem: str, at: int, context: int | None, tree: Tree) -> SyntaxProblem | None:
    """A quote that is not closed on its line swallows what follows, up to the next quote or the end of the file."""
    start: int | None = None
    if "quoted scalar" in problem or "unexpected end of stream" in problem or "document indicator" in problem:
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
        help=f"put a `{quote}` at the end of the value",
        edits=(Edit(end, end, quote),),
        fix=Edit(end, end, quote),
    )


def _by_problem(text: str, problem: str, at: int, context: int | None, tree: Tree) -> SyntaxProblem | None:
    """Mistakes that the reader's own complaint tells apart."""
    if "mapping values are not allowed" in problem:
        return _colon(text, at)
    if "cannot start any token" in problem or ("alphabetic or numeric character" in problem and context is not None):
        return _first_character(text, at if "token" in problem else context or 0, in_brackets=tree.in_brackets)
    if "could not find expected ':'" in problem:
        return _no_colon(text, at if context is None else context)
    if "sequence entries are not allowed" in problem or "sequence entry" in problem:
        return _item_in_value(text, at)
    if "escape" in problem or "hexdecimal" in problem or "hexadecimal" in problem:
        return _escape(text, at, context)
    if "comment or line break" in problem or "indentation indicator" in problem:
        return _block_header(text, at if context is None else context)
    if "directive" in problem and context is not None:
        return _directive(text, context)
    if "<document start>" in problem:
        return _less_indented(text, at)
    if "node content" in problem:
        return _stray(text, at)
    return None


def _by_place(text: str, problem: str, at: int, context: int | None, tree: Tree) -> SyntaxProblem | None:
    """Mistakes that only show in where the reader was."""
    if context is not None and text[context : context + 1] in ("[", "{") and ("," in problem):
        return bracket_mistake(text, at, context)
    start = line_start(text, at)
    if tree.last and tree.last[2] and start < tree.last[1] <= at and text[tree.last[1] : at].strip(" ") == "":
        return _text_behind(text, at, tree.last)
    if not text[start:at].strip(" ") and at < len(text):
        if not LOOKS_LIKE_KEY.match(text, start, line_end(text, start)):
            return _belongs_nowhere(text, start)
        opened = None if context is None else (context, context + 1)
        return indentation_mistake(text, at, tree.columns, opened)
    return None


def _colon(text: str, at: int) -> SyntaxProblem | None:
    """A colon where no key can be: inside an unquoted value, or on a line that belongs to the one above."""
    start = line_start(text, at)
    key = _KEY.match(text, start, line_end(text, start))
    if key and key.end() <= at:
        value_start = key.end()
        end = value_end(text, value_start)
        value = text[value_start:end]
        if value[:1] not in ("'", '"', "[", "{"):
            return SyntaxProblem(
                codes.YAML_SYNTAX,
                f"the value of `{shorten(key['key'])}` has a `:` in it, so it must be quoted",
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
    """A key indented as if it belonged to the line above, which already has a value."""
    mistake = indentation_mistake(text, start + indentation(text, start), columns)
    owner, own = _KEY.match(text, *above), _LINE_KEY.match(text, start, line_end(text, start))
    if not mistake.edits or not owner or not own:
        return mistake if mistake.edits else None
    return replace(
        mistake,
        message=f"`{shorten(own['key'])}` is indented below `{shorten(owner['key'])}`, which already has a value",
        related=((f"`{shorten(owner['key'])}` has this value", owner.end(), value_end(text, owner.end())),),
    )


def _belongs_nowhere(text: str, start: int) -> SyntaxProblem:
    """A line of text where only a key or an item can be."""
    content = start + indentation(text, start)
    end = value_end(text, start)
    above = next(lines_above(text, start), None)
    commented = above is not None and " #" in text[above[0] : above[1]]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "this line belongs to nothing: it is no key and no list item",
        content,
        max(end, content + 1),
        label="a comment ended the value above" if commented else "neither `key: value` nor `- item`",
        help="write a text of several lines below `|`, or in quotes",
        edits=blank_block(text, start),
        lossy=True,
        weak=True,
    )


def _no_space(match: re.Match[str]) -> SyntaxProblem:
    colon = match.end("key")
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"there is no space after the colon of `{shorten(match['key'])}:`",
        colon,
        colon + 1,
        label="a space is missing after this",
        help=f"write `{shorten(match['key'])}: ...`",
        fix=Edit(colon + 1, colon + 1, " "),
        edits=(Edit(colon + 1, colon + 1, " "),),
    )


def _first_character(text: str, at: int, *, in_brackets: bool = False) -> SyntaxProblem | None:
    """Characters that YAML reserves at the beginning of a value."""
    character = text[at : at + 1]
    if not character or character in "\n\r":
        return None
    shown = f"`{character}`" if character != "`" else "a backtick"
    stop = re.compile(r"[,\]}]").search(text, at, line_end(text, at)) if in_brackets else None
    end = value_end(text, at, stop.start() if stop else None)
    value = text[at:end]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"a value cannot begin with {shown} unless it is quoted",
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
        "a line cannot begin with `%`: it would be an instruction to the YAML reader, and none is supported",
        at,
        max(value_end(text, at), at + 1),
        label="not supported",
        help="remove the line, or quote it if text is meant",
        edits=blank_block(text, line_start(text, at)),
        lossy=True,
    )


def _no_colon(text: str, at: int) -> SyntaxProblem | None:
    """A line among keys that is not a key."""
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
            f"there is no colon after `{shorten(match['key'])}`",
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
        f"`{shorten(word)}` is neither a key nor a value: there is no `:`",
        content,
        end,
        label="no colon",
        help="write `key: value`, or remove the line",
        edits=blank_block(text, start),
        lossy=True,
        weak=True,
    )


def _item_in_value(text: str, at: int) -> SyntaxProblem | None:
    """`key: - item` on one line."""
    end = value_end(text, at)
    item = text[at:end].removeprefix("-").strip()
    if not item or not text.startswith("- ", at):
        return None
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "a list cannot begin on the line of its key",
        at,
        end,
        label="begin a new line here",
        help=f"write `[{shorten(item)}]`, or put `- {shorten(item)}` on the next line",
        fix=Edit(at, end, f"[{item}]"),
        edits=(Edit(at, at + 2, "["), Edit(end, end, "]")),
    )


def _escape(text: str, at: int, context: int | None) -> SyntaxProblem | None:
    """A backslash in double quotes that begins no escape: Windows paths and regular expressions."""
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
        f"`{text[first : first + 2]}` means nothing between double quotes",
        first,
        first + 2,
        label="not an escape",
        help=f"write '{shorten(value)}' with single quotes, or each backslash twice"
        if simple
        else "write the backslash twice: `\\\\`",
        fix=Edit(first, first, "\\"),
        edits=tuple(Edit(match.start(), match.start(), "\\") for match in wrong),
    )


def _block_header(text: str, at: int) -> SyntaxProblem:
    """Text behind `|` or `>` on the same line."""
    end = value_end(text, at)
    value = text[at:end]
    indent = indentation(text, line_start(text, at))
    following = next_line(text, at)
    has_lines = following < len(text) and indentation(text, following) > indent
    sign = 2 if value[1:2] in ("-", "+") else 1
    edits = (Edit(at + sign, end, " " * (end - at - sign)),) if has_lines else quoting_edits(text, at, end)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"`{value[:1]}` begins a text of several lines, so nothing can follow it on its own line",
        at,
        end,
        label="text behind the sign",
        help=f"put the text on the next line, indented; or write {shorten(quote_value(value))}",
        edits=edits,
        lossy=has_lines,
    )


def _less_indented(text: str, at: int) -> SyntaxProblem | None:
    """The file began further right than this line stands."""
    start = line_start(text, at)
    first = len(text) - len(text.lstrip("\n\r \t"))
    above = list(lines_above(text, start))
    root = indentation(text, above[-1][0]) if above else 0
    if root == 0 or text[start:at].strip(" "):
        return None
    mistake = indentation_mistake(text, at, [(root, False)], (first, first + 1))
    rest = shift_block(text, start, root)
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        "this line is indented less than the first line of the file",
        mistake.start,
        mistake.end,
        label="further left than the file begins",
        help="begin every line of the top level at the same column",
        related=(("the file begins here", first, first + 1),),
        edits=rest,
    )


def _stray(text: str, at: int) -> SyntaxProblem | None:
    character = text[at : at + 1]
    if character in ("]", "}"):
        opening = "[" if character == "]" else "{"
        return SyntaxProblem(
            codes.YAML_SYNTAX,
            f"there is a `{character}` without a `{opening}` before it",
            at,
            at + 1,
            label="nothing to close",
            help="remove it, or quote the value if text is meant",
            edits=(Edit(at, at + 1, " "),),
            fix=Edit(at, at + 1, ""),
        )
    return _first_character(text, at) if character in (",", "%", "&", "*") else None


def _text_behind(text: str, at: int, last: tuple[int, int, str]) -> SyntaxProblem:
    end = max(value_end(text, at), at + 1)
    what = "bracket" if last[2] == "]" else "quote"
    whole = text[last[0] : end]
    return SyntaxProblem(
        codes.YAML_SYNTAX,
        f"there is text behind the closing {what} of this value",
        at,
        end,
        label=f"behind the closing {what}",
        help=f"put quotes round the whole value: {shorten(quote_value(whole))}",
        related=(("the value began here", last[0], last[0] + 1),),
        edits=(Edit(at, end, " " * (end - at)),),
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
        help="put quotes round the value if it is text, and compare the indentation with the lines around it",
        edits=blank_block(text, start),
        lossy=True,
        vague=True,
        weak=True,
    )
