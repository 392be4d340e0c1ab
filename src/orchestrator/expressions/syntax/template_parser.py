"""Parses a template: text, `{{ }}`, `{% %}` and `{# #}`; each tag separately, so that one problem hides no other."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.expressions.problem import Problem
from orchestrator.expressions.syntax import messages
from orchestrator.expressions.syntax.expression_parser import ExpressionParser, ParseError
from orchestrator.expressions.syntax.external_reads import nested_read
from orchestrator.expressions.syntax.lexer import CLOSERS, tokenize
from orchestrator.expressions.syntax.nodes import Bad, Output, Text
from orchestrator.expressions.syntax.open_blocks import MAX_PROBLEMS, OpenBlocks
from orchestrator.expressions.syntax.statement_parser import StatementParser

if TYPE_CHECKING:
    from orchestrator.expressions.syntax.lexer import Token

_OPENING: Final = re.compile(r"\{[{%#]")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*(-?)%\}")
_END_RAW: Final = re.compile(r"\{%([-+]?)\s*endraw\s*([-+]?)%\}")


class TemplateParser:
    """Parses one template into `body` and `problems`."""

    def __init__(self, text: str, hyphenated: frozenset[str]) -> None:
        self.text = text
        self.hyphenated = hyphenated
        self.problems: list[Problem] = []
        self.blocks = OpenBlocks(self.problems)
        self.body = self.blocks.body

    @cached_property
    def statements(self) -> StatementParser:
        """What parses the statements."""
        return StatementParser(self.blocks, self.problems)

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
                self.blocks.into.append(Text(plain))
            if found is None:
                break
            if len(self.problems) >= MAX_PROBLEMS:
                message = f"the template has more than {MAX_PROBLEMS} errors; the rest is not parsed"
                self.problems.append(
                    Problem(
                        codes.MALFORMED_EXPRESSION, message, start, start + 2, "fix the other errors first", "from here"
                    )
                )
                break
            kind = found.group()
            if kind == "{#":
                position, strip = self._comment(start)
            elif kind == "{%" and (raw := _RAW.match(text, start)):
                position, strip = self._raw(raw)
            else:
                position, strip = self._tag(start, kind)
        self.blocks.end()

    def _comment(self, start: int) -> tuple[int, bool]:
        end = self.text.find("#}", start + 2)
        if end < 0:
            self.problems.append(
                Problem(
                    codes.UNTERMINATED_EXPRESSION,
                    "this `{#` is never closed",
                    start,
                    start + 2,
                    "close it with `#}`",
                    "opened here",
                )
            )
            return len(self.text), False
        return end + 2, end > start + 2 and self.text[end - 1] == "-"

    def _raw(self, opening: re.Match[str]) -> tuple[int, bool]:
        closing = _END_RAW.search(self.text, opening.end())
        if closing is None:
            self.problems.append(
                Problem(
                    codes.UNTERMINATED_EXPRESSION,
                    "this `{% raw %}` is never closed",
                    *opening.span(),
                    "add `{% endraw %}` where the block ends",
                    "opened here",
                )
            )
            return len(self.text), False
        plain = self.text[opening.end() : closing.start()]
        if opening[1]:
            plain = plain.lstrip()
        if closing[1] == "-":
            plain = plain.rstrip()
        if plain:
            self.blocks.into.append(Text(plain))
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
                self.blocks.into.append(Output(expression))
                resume = text.find("}}", start + 2) + 2
                return (resume, False) if _swallowed(text, start, closer[2]) else (closer[3], closer[1][0] == "-")
            self.blocks.into.append(Output(expression))
        else:
            self.statements.parse(parser, start, closer[3])
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
            self.problems.append(
                Problem(
                    codes.MALFORMED_EXPRESSION,
                    f"`{opening}` is closed by `{closer[1]}`",
                    closer[2],
                    closer[3],
                    f"close it with `{expected}`",
                    "wrong brace",
                )
            )
            following = closer[3]
        elif plain_end >= 0:
            # The braces exist, but a quote or bracket before them is still open.
            self._unclosed_inside(tokens, start, plain_end)
            following = plain_end + 2
        else:
            lone = next((t for t in tokens if t[0] == "}" and t[2] < following), None)
            if lone is not None and opening == "{{":
                self.problems.append(
                    Problem(
                        codes.UNTERMINATED_EXPRESSION,
                        "`{{` is closed by a single `}`",
                        lone[2],
                        lone[3],
                        "close it with `}}`",
                        "one brace is missing",
                    )
                )
                following = lone[3]
            else:
                self.problems.append(
                    Problem(
                        codes.UNTERMINATED_EXPRESSION,
                        f"this `{opening}` is never closed",
                        start,
                        start + 2,
                        f"close it with `{expected}`",
                        "opened here",
                    )
                )
        if opening == "{{":
            self.blocks.into.append(Output(Bad([], start, following)))
        else:
            name = next((token[1] for token in tokens if token[0] != "end"), "")
            self.statements.recover(name, tokens, start, following)
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
        self.problems.append(
            Problem(
                codes.MALFORMED_EXPRESSION,
                "tags cannot be nested",
                inner,
                first + 2,
                "remove the inner braces: write `{{ a + b }}`, not `{{ a + {{ b }} }}`",
                "unexpected",
            )
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
                self.problems.append(
                    Problem(
                        codes.MALFORMED_EXPRESSION,
                        f"this `{quote}` is not closed before the braces",
                        token[2],
                        token[2] + 1,
                        f"close it with `{quote}`",
                        "opened here",
                    )
                )
                return
            if token[0] in ("(", "[", "{"):
                open_.append(token)
            elif token[0] in (")", "]", "}") and open_:
                open_.pop()
        if open_:
            _, bracket, where, where_end = open_[-1]
            pair = {"(": ")", "[": "]", "{": "}"}[bracket]
            self.problems.append(
                Problem(
                    codes.MALFORMED_EXPRESSION,
                    f"this `{bracket}` is never closed",
                    where,
                    where_end,
                    f"close it with `{pair}`",
                    "opened here",
                )
            )
        else:
            self.problems.append(
                Problem(
                    codes.MALFORMED_EXPRESSION,
                    "the text between the braces is not an expression",
                    start,
                    end + 2,
                    "write one expression between them",
                )
            )


def _swallowed(text: str, start: int, end: int) -> bool:
    """Whether the tag, parsed up to `end`, includes braces that most likely closed it or opened another one."""
    first = text.find("}}", start + 2, end)
    return first >= 0 and _OPENING.search(text, first, end) is not None
