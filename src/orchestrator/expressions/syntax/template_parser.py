"""Parses a template: text, `{{ }}`, `{% %}` and `{# #}`; each tag separately, so that one problem hides no other."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.expressions.limits import MAX_NESTING
from orchestrator.expressions.problem import Problem, near
from orchestrator.expressions.syntax import messages
from orchestrator.expressions.syntax.expression_parser import NO_CONDITIONAL, ExpressionParser, ParseError
from orchestrator.expressions.syntax.external_reads import nested_read, source_help
from orchestrator.expressions.syntax.lexer import CLOSERS, Token, tokenize
from orchestrator.expressions.syntax.nodes import (
    Assign,
    Bad,
    Capture,
    Declare,
    Expression,
    For,
    If,
    ListOf,
    Name,
    Output,
    Statement,
    Text,
)

_OPENING: Final = re.compile(r"\{[{%#]")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*(-?)%\}")
_END_RAW: Final = re.compile(r"\{%([-+]?)\s*endraw\s*([-+]?)%\}")
_ENDS: Final = {"if": "endif", "for": "endfor", "set": "endset"}
_TAGS: Final = ("if", "elif", "else", "endif", "for", "endfor", "set", "endset", "raw", "endraw")
_REFUSED: Final = {
    "include": "read the file in a separate step, and write its id here",
    "import": "write the text here; put shared texts in `variables:`",
    "from": "write the text here; put shared texts in `variables:`",
    "extends": "write the text here; put shared texts in `variables:`",
    "block": "write the text here; put shared texts in `variables:`",
    "macro": "use a `{% for %}`, or store the text with `{% set name %}...{% endset %}`",
    "call": "use a `{% for %}`, or store the text with `{% set name %}...{% endset %}`",
    "filter": "write `{% set name | upper %}...{% endset %}{{ name }}`",
    "do": "values are immutable: create a new one with `{% set %}`",
    "with": "name the value with `{% set name = value %}`",
    "autoescape": "escape a value with `{{ value | escape }}`",
    "trans": "write the text here",
    "break": "filter the items: `{% for x in items if condition %}`",
    "continue": "filter the items: `{% for x in items if condition %}`",
    "debug": "write `{{ value | pprint }}`",
    "print": "write `{{ value }}`",
}
_MAX_BLOCKS: Final = MAX_NESTING // 2
_MAX_PROBLEMS: Final = 100
_NAMING: Final = frozenset({"import", "from", "macro", "call", "with", "trans"})
"""Unsupported statements that define names."""
_NO_TARGETS: Final = frozenset({"import", "as"})
_REFUSED_ENDS: Final = frozenset(f"end{name}" for name in _REFUSED)


class _Open(Struct):
    """An open block; `into` is the list that its statements are added to."""

    kind: str
    node: If | For | Capture
    into: list[Statement]
    start: int
    end: int
    closed_branches: bool = False


class TemplateParser:
    """Parses one template into `body` and `problems`."""

    def __init__(self, text: str, hyphenated: frozenset[str]) -> None:
        self.text = text
        self.hyphenated = hyphenated
        self.body: list[Statement] = []
        self.problems: list[Problem] = []
        self.blocks: list[_Open] = []
        self.into = self.body

    def parse(self) -> None:
        """Parse the whole text."""
        text, position, strip = self.text, 0, False
        while True:
            found = _OPENING.search(text, position)
            start = len(text) if found is None else found.start()
            plain = text[position:start]
            if strip:
                plain = plain.lstrip()
                strip = False
            if found is not None and text.startswith("-", start + 2):
                plain = plain.rstrip()
            if plain:
                self.into.append(Text(plain))
            if found is None:
                break
            if len(self.problems) >= _MAX_PROBLEMS:
                message = f"the template has more than {_MAX_PROBLEMS} errors; the rest is not parsed"
                self._report(
                    codes.MALFORMED_EXPRESSION, message, start, start + 2, "fix the other errors first", "from here"
                )
                break
            kind = found.group()
            if kind == "{#":
                position, strip = self._comment(start)
            elif kind == "{%" and (raw := _RAW.match(text, start)):
                position, strip = self._raw(raw)
            else:
                position, strip = self._tag(start, kind)
        for block in self.blocks:
            self._never_ended(block)

    def _never_ended(self, block: _Open, before: str = "") -> None:
        """Report a block that is still open at the end, or at a tag of an enclosing block."""
        if len(self.problems) >= _MAX_PROBLEMS or any(
            problem.code == codes.UNTERMINATED_EXPRESSION and problem.start == block.start for problem in self.problems
        ):
            return  # enough is reported; or its own braces are not closed, which most likely hides its end
        name = block.kind
        help = f"add `{{% {_ENDS[name]} %}}` where the block ends" + (f", before {before}" if before else "")
        self._report(
            codes.UNTERMINATED_EXPRESSION,
            f"this `{{% {name} %}}` is never closed",
            block.start,
            block.end,
            help,
            "opened here",
        )

    def _report(self, code: str, message: str, start: int, end: int, help: str | None = None, label: str = "") -> None:
        self.problems.append(Problem(code, message, start, end, help, label))

    def _comment(self, start: int) -> tuple[int, bool]:
        end = self.text.find("#}", start + 2)
        if end < 0:
            self._report(
                codes.UNTERMINATED_EXPRESSION,
                "this `{#` is never closed",
                start,
                start + 2,
                "close it with `#}`",
                "opened here",
            )
            return len(self.text), False
        return end + 2, end > start + 2 and self.text[end - 1] == "-"

    def _raw(self, opening: re.Match[str]) -> tuple[int, bool]:
        closing = _END_RAW.search(self.text, opening.end())
        if closing is None:
            self._report(
                codes.UNTERMINATED_EXPRESSION,
                "this `{% raw %}` is never closed",
                *opening.span(),
                "add `{% endraw %}` where the block ends",
                "opened here",
            )
            return len(self.text), False
        plain = self.text[opening.end() : closing.start()]
        if opening[1]:
            plain = plain.lstrip()
        if closing[1] == "-":
            plain = plain.rstrip()
        if plain:
            self.into.append(Text(plain))
        return closing.end(), closing[2] == "-"

    def _tag(self, start: int, opening: str) -> tuple[int, bool]:
        """Parse one tag; return where the text continues, and whether its leading white space is stripped."""
        text = self.text
        position = start + 3 if text[start + 2 : start + 3] in ("-", "+") and start + 2 < len(text) else start + 2
        tokens = tokenize(text, position, hyphenated=self.hyphenated)
        closer = tokens[-1]
        expected = "}}" if opening == "{{" else "%}"
        if closer[1][-2:] != expected:
            return self._badly_closed(start, opening, expected, tokens)
        parser = ExpressionParser(text, tokens, self.problems)
        if opening == "{{":
            try:
                expression = parser.whole()
            except ParseError as abandoned:
                self.problems.append(abandoned.problem)
                expression = Bad([], start, closer[3])
                self.into.append(Output(expression))
                resume = text.find("}}", start + 2) + 2
                return (resume, False) if _swallowed(text, start, closer[2]) else (closer[3], closer[1][0] == "-")
            self.into.append(Output(expression))
        else:
            self._statement(parser, start, closer[3])
        return closer[3], closer[1][0] == "-"

    def _badly_closed(self, start: int, opening: str, expected: str, tokens: list[Token]) -> tuple[int, bool]:
        """Report a tag without its closing braces, and return where to continue."""
        text = self.text
        closer = tokens[-1]
        resume = _OPENING.search(text, start + 2)
        following = len(text) if resume is None else resume.start()
        plain_end = text.find(expected, start + 2, following)
        nested_read = self._nested(start, closer[2], expected) if text.startswith("{{", closer[2]) else None
        if nested_read is not None:
            following = nested_read
        elif closer[1] in CLOSERS and closer[2] < following:
            self._report(
                codes.MALFORMED_EXPRESSION,
                f"`{opening}` is closed by `{closer[1]}`",
                closer[2],
                closer[3],
                f"close it with `{expected}`",
                "wrong brace",
            )
            following = closer[3]
        elif plain_end >= 0:
            # The braces exist, but a quote or bracket before them is still open.
            self._unclosed_inside(tokens, start, plain_end)
            following = plain_end + 2
        else:
            lone = next((t for t in tokens if t[0] == "}" and t[2] < following), None)
            if lone is not None and opening == "{{":
                self._report(
                    codes.UNTERMINATED_EXPRESSION,
                    "`{{` is closed by a single `}`",
                    lone[2],
                    lone[3],
                    "close it with `}}`",
                    "one brace is missing",
                )
                following = lone[3]
            else:
                self._report(
                    codes.UNTERMINATED_EXPRESSION,
                    f"this `{opening}` is never closed",
                    start,
                    start + 2,
                    f"close it with `{expected}`",
                    "opened here",
                )
        if opening == "{{":
            self.into.append(Output(Bad([], start, following)))
        else:
            name = next((token[1] for token in tokens if token[0] != "end"), "")
            self._recover_statement(name, tokens, start, following)
        return following, False

    def _nested(self, start: int, inner: int, expected: str) -> int | None:
        """Report a tag with another inside (`{{ a + {{ b }} }}`) and return its end; None if it has none."""
        text = self.text
        first = text.find("}}", inner + 2)
        second = -1 if first < 0 else text.find(expected, first + 2)
        other = _OPENING.search(text, inner + 2)
        if second < 0 or (other is not None and other.start() < second) or "\n" in text[start:second]:
            return None
        meant = nested_read(text, start, inner, second + 2)
        if meant is not None:
            self.problems.append(meant)
            return second + 2
        self._report(
            codes.MALFORMED_EXPRESSION,
            "tags cannot be nested",
            inner,
            first + 2,
            "remove the inner braces: write `{{ a + b }}`, not `{{ a + {{ b }} }}`",
            "unexpected",
        )
        return second + 2

    def _unclosed_inside(self, tokens: list[Token], start: int, end: int) -> None:
        inside = [token for token in tokens if token[2] < end and token[0] != "end"]
        open_: list[Token] = []
        for token in inside:
            if token[0] == "bad" and token[1] in "'\"":
                self.problems.append(messages.unexpected_token(self.text, [token], 0, "a value"))
                return
            if token[0] == "string" and token[3] > end:
                quote = token[1][0]
                self._report(
                    codes.MALFORMED_EXPRESSION,
                    f"this `{quote}` is not closed before the braces",
                    token[2],
                    token[2] + 1,
                    f"close it with `{quote}`",
                    "opened here",
                )
                return
            if token[0] in ("(", "[", "{"):
                open_.append(token)
            elif token[0] in (")", "]", "}") and open_:
                open_.pop()
        if open_:
            _, bracket, where, where_end = open_[-1]
            pair = {"(": ")", "[": "]", "{": "}"}[bracket]
            self._report(
                codes.MALFORMED_EXPRESSION,
                f"this `{bracket}` is never closed",
                where,
                where_end,
                f"close it with `{pair}`",
                "opened here",
            )
        else:
            self._report(
                codes.MALFORMED_EXPRESSION,
                "the text between the braces is not an expression",
                start,
                end + 2,
                "write one expression between them",
            )

    # --- statements

    def _statement(self, parser: ExpressionParser, start: int, end: int) -> None:
        tokens = parser.tokens
        name = tokens[0][1] if tokens[0][0] != "end" else ""
        if name in _REFUSED or name in _REFUSED_ENDS or name not in _TAGS:
            self._recover_statement(name, tokens, start, end, report=True)
            return
        parser.position = 1
        known = len(self.problems)
        try:
            getattr(self, f"_{name}_tag")(parser, start, end)
        except ParseError as abandoned:
            del self.problems[known:]
            self.problems.append(abandoned.problem)
            self._recover_statement(name, tokens, start, end)

    def _recover_statement(self, name: str, tokens: list[Token], start: int, end: int, *, report: bool = False) -> None:
        """Recover after an invalid statement, so that it causes no further problems."""
        bad = Bad([], start, end)
        if name == "if":
            node = If([(bad, [])])
            self._open("if", node, node.branches[0][1], start, end)
        elif name == "for":
            loop = For([t[1] for t in tokens[1:] if t[0] == "name"], False, bad, None)
            self._open("for", loop, loop.body, start, end)
        elif name == "elif" and self.blocks and isinstance(self.blocks[-1].node, If):
            self.blocks[-1].node.branches.append((bad, []))
            self.into = self.blocks[-1].into = self.blocks[-1].node.branches[-1][1]
        elif name.startswith("end") and self.blocks and _ENDS[self.blocks[-1].kind] == name:
            self._close()
        elif name not in _REFUSED or name in _NAMING:
            made = [t[1] for t in tokens[1:] if t[0] == "name" and t[1] not in _NO_TARGETS]
            self.into.append(Declare(made))
        if report:
            self._refuse(name, tokens, start, end)

    def _refuse(self, name: str, tokens: list[Token], start: int, end: int) -> None:
        if name in _REFUSED_ENDS and any(
            problem.code == codes.UNSUPPORTED_TEMPLATE_FEATURE for problem in self.problems
        ):
            return
        if not name:
            self._report(
                codes.MALFORMED_EXPRESSION,
                "the braces are empty",
                start,
                end,
                "write a statement between them, or remove them",
            )
            return
        where, where_end = tokens[0][2], tokens[0][3]
        opened = name.removeprefix("end") if name in _REFUSED_ENDS else name
        if opened in _REFUSED:
            help = _REFUSED[opened]
            if opened == "include":
                help = source_help("file", next((token[1] for token in tokens[1:] if token[0] == "string"), ""))
            self._report(
                codes.UNSUPPORTED_TEMPLATE_FEATURE,
                f"`{{% {opened} %}}` is not supported",
                where,
                where_end,
                help,
                "not supported",
            )
            return
        suggestion = near(name, [*_TAGS])
        help = f"did you mean `{suggestion}`?" if suggestion else "use `if`, `for`, `set` or `raw`"
        self.problems.append(
            Problem(
                codes.MALFORMED_EXPRESSION,
                f"unknown statement `{name}`",
                where,
                where_end,
                help,
                "unknown",
                replacement=suggestion,
            )
        )

    def _open(self, kind: str, node: If | For | Capture, into: list[Statement], start: int, end: int) -> None:
        if len(self.blocks) < _MAX_BLOCKS:
            self.into.append(node)
        elif len(self.blocks) == _MAX_BLOCKS:  # deeper blocks are parsed, but not added to the tree
            self._report(
                codes.MALFORMED_EXPRESSION,
                f"more than {_MAX_BLOCKS} blocks are open here",
                start,
                end,
                "close some of them first",
            )
        self.blocks.append(_Open(kind, node, into, start, end))
        self.into = into

    def _close(self) -> None:
        self.blocks.pop()
        self.into = self.blocks[-1].into if self.blocks else self.body

    def _finished(self, parser: ExpressionParser) -> None:
        if parser.peek()[0] != "end":
            parser.unexpected("the end of the statement")

    def _current(self, name: str, kinds: tuple[str, ...], start: int, end: int) -> _Open | None:
        """Return the innermost open block of these kinds; report open blocks inside it, or its absence."""
        if any(block.kind in kinds for block in self.blocks[-_MAX_BLOCKS:]):
            while self.blocks[-1].kind not in kinds:
                self._never_ended(self.blocks[-1], f"`{{% {name} %}}`")
                self._close()
            return self.blocks[-1]
        if any(
            problem.code == codes.UNTERMINATED_EXPRESSION or "statement" in problem.message for problem in self.problems
        ):
            return None  # caused by an opening tag that could not be parsed
        if self.blocks:
            kind = self.blocks[-1].kind
            help = f"close the `{{% {kind} %}}` with `{{% {_ENDS[kind]} %}}` first"
        else:
            help = "remove it, or add " + " or ".join(f"`{{% {kind} %}}`" for kind in kinds) + " before"
        self._report(codes.MALFORMED_EXPRESSION, f"`{{% {name} %}}` has no matching opening tag", start, end, help)
        return None

    def _if_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        test = parser.checked()
        self._finished(parser)
        node = If([(test, [])])
        self._open("if", node, node.branches[0][1], start, end)

    def _elif_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        test = parser.checked()
        self._finished(parser)
        block = self._current("elif", ("if",), start, end)
        if block is not None and isinstance(block.node, If):
            if block.closed_branches:
                self._report(
                    codes.MALFORMED_EXPRESSION,
                    "`{% elif %}` cannot follow `{% else %}`",
                    start,
                    end,
                    "put it before the `{% else %}`",
                )
            block.node.branches.append((test, []))
            self.into = block.into = block.node.branches[-1][1]

    def _else_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        if parser.peek()[0] == "if":
            raise ParseError(
                Problem(
                    codes.MALFORMED_EXPRESSION,
                    "`{% else if %}` is not supported",
                    start,
                    end,
                    "write `{% elif ... %}`",
                    "unexpected",
                )
            )
        self._finished(parser)
        block = self._current("else", ("if", "for"), start, end)
        if block is not None and isinstance(block.node, If | For):
            if block.closed_branches:
                self._report(
                    codes.MALFORMED_EXPRESSION, "second `{% else %}` in one block", start, end, "remove one of them"
                )
            block.closed_branches = True
            block.node.otherwise = []
            self.into = block.into = block.node.otherwise

    def _end_tag(self, parser: ExpressionParser, name: str, kind: str, start: int, end: int) -> None:
        self._finished(parser)
        if self._current(name, (kind,), start, end) is not None:
            self._close()

    def _endif_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._end_tag(parser, "endif", "if", start, end)

    def _endfor_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._end_tag(parser, "endfor", "for", start, end)

    def _endset_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._end_tag(parser, "endset", "set", start, end)

    def _raw_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._finished(parser)
        self._report(codes.MALFORMED_EXPRESSION, "invalid `{% raw %}`", start, end, "write `{% raw %}`")

    def _endraw_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._report(codes.MALFORMED_EXPRESSION, "`{% endraw %}` has no matching opening tag", start, end, "remove it")

    def _targets(self, parser: ExpressionParser) -> tuple[list[str], bool]:
        """Parse the assignment targets; return them, and whether a list is unpacked."""
        bracketed = parser.peek()[0] == "("
        if bracketed:
            parser.take()
        names: list[str] = []
        unpacked = False
        while True:
            names.append(parser.expect("name", "a name")[1])
            if parser.peek()[0] != ",":
                break
            unpacked = True
            parser.take()
            if parser.peek()[0] != "name":
                break
        if bracketed:
            parser.expect(")", "`,` or `)`")
        return names, unpacked

    def _for_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        targets, unpacked = self._targets(parser)
        parser.expect("in", "`in`")
        iterable = parser.checked(NO_CONDITIONAL)
        condition = None
        if parser.peek()[0] == "if":
            parser.take()
            condition = parser.checked()
        if parser.peek()[1] == "recursive":
            token = parser.take()
            self._report(
                codes.UNSUPPORTED_TEMPLATE_FEATURE,
                "recursive loops are not supported",
                token[2],
                token[3],
                "write one `{% for %}` for each level",
                "not supported",
            )
        self._finished(parser)
        node = For(targets, unpacked, iterable, condition)
        self._open("for", node, node.body, start, end)

    def _set_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        first = parser.peek()
        targets, unpacked = self._targets(parser)
        member = None
        if parser.peek()[0] == "." and not unpacked:
            parser.take()
            member = parser.expect("name", "a name")[1]
        if parser.peek()[0] == "=":
            parser.take()
            values = [parser.checked()]
            while parser.peek()[0] == "," and (unpacked or member is None):
                parser.take()
                if parser.peek()[0] == "end":
                    break
                values.append(parser.checked())
            self._finished(parser)
            value: Expression = values[0] if len(values) == 1 else ListOf(values, values[0].start, values[-1].end)
            self.into.append(Assign(targets, unpacked, value, first[2], end, member))
            return
        if unpacked or member is not None:
            parser.unexpected("`=`")
        placeholder = f"{targets[0]} "  # it cannot be written in a template, so it hides no other name
        text: Expression = Name(placeholder, first[2], first[3])
        filters = None
        while parser.peek()[0] == "|":
            parser.take()
            text = filters = parser.filter(text)
        self._finished(parser)
        node = Capture(targets[0], filters, placeholder)
        self._open("set", node, node.body, start, end)


def _swallowed(text: str, start: int, end: int) -> bool:
    """Whether the tag, parsed up to `end`, includes braces that most likely closed it or opened another one."""
    first = text.find("}}", start + 2, end)
    return first >= 0 and _OPENING.search(text, first, end) is not None
