"""Parses the statements of a template: what stands between `{%` and `%}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.expressions.problem import Problem, near
from orchestrator.expressions.syntax.expression_parser import NO_CONDITIONAL, ExpressionParser, ParseError
from orchestrator.expressions.syntax.external_reads import source_help
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
)
from orchestrator.expressions.syntax.open_blocks import ENDS

if TYPE_CHECKING:
    from orchestrator.expressions.syntax.lexer import Token
    from orchestrator.expressions.syntax.open_blocks import OpenBlocks

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
_NAMING: Final = frozenset({"import", "from", "macro", "call", "with", "trans"})
"""Unsupported statements that define names."""
_NO_TARGETS: Final = frozenset({"import", "as"})
_REFUSED_ENDS: Final = frozenset(f"end{name}" for name in _REFUSED)


class StatementParser:
    """Parses the statements of one template into its `blocks`."""

    def __init__(self, blocks: OpenBlocks, problems: list[Problem]) -> None:
        self.blocks = blocks
        self.problems = problems

    def parse(self, parser: ExpressionParser, start: int, end: int) -> None:
        """Parse one statement, and recover if it is invalid."""
        tokens = parser.tokens
        name = tokens[0][1] if tokens[0][0] != "end" else ""
        if name in _REFUSED or name in _REFUSED_ENDS or name not in _TAGS:
            self.recover(name, tokens, start, end, report=True)
            return
        parser.position = 1
        known = len(self.problems)
        try:
            getattr(self, f"_{name}_tag")(parser, start, end)
        except ParseError as abandoned:
            del self.problems[known:]
            self.problems.append(abandoned.problem)
            self.recover(name, tokens, start, end)

    def recover(self, name: str, tokens: list[Token], start: int, end: int, *, report: bool = False) -> None:
        """Recover after an invalid statement, so that it causes no further problems."""
        bad, block = Bad([], start, end), self.blocks.innermost
        if name == "if":
            node = If([(bad, [])])
            self.blocks.open("if", node, node.branches[0][1], start, end)
        elif name == "for":
            loop = For([t[1] for t in tokens[1:] if t[0] == "name"], False, bad, None)
            self.blocks.open("for", loop, loop.body, start, end)
        elif name == "elif" and block is not None and isinstance(block.node, If):
            block.node.branches.append((bad, []))
            self.blocks.branch(block, block.node.branches[-1][1])
        elif name.startswith("end") and block is not None and ENDS[block.kind] == name:
            self.blocks.close()
        elif name not in _REFUSED or name in _NAMING:
            made = [t[1] for t in tokens[1:] if t[0] == "name" and t[1] not in _NO_TARGETS]
            self.blocks.into.append(Declare(made))
        if report:
            self._refuse(name, tokens, start, end)

    def _refuse(self, name: str, tokens: list[Token], start: int, end: int) -> None:
        if name in _REFUSED_ENDS and any(
            problem.code == codes.UNSUPPORTED_TEMPLATE_FEATURE for problem in self.problems
        ):
            return
        if not name:
            self.problems.append(
                Problem(
                    codes.MALFORMED_EXPRESSION,
                    "the braces are empty",
                    start,
                    end,
                    "write a statement between them, or remove them",
                )
            )
            return
        where, where_end = tokens[0][2], tokens[0][3]
        opened = name.removeprefix("end") if name in _REFUSED_ENDS else name
        if opened in _REFUSED:
            help = _REFUSED[opened]
            if opened == "include":
                help = "a prompt in a file can include others, named in quotes: `prompt: {file: prompts/critic.md}`; "
                help += source_help("file", next((token[1] for token in tokens[1:] if token[0] == "string"), ""))
            self.problems.append(
                Problem(
                    codes.UNSUPPORTED_TEMPLATE_FEATURE,
                    f"`{{% {opened} %}}` is not supported",
                    where,
                    where_end,
                    help,
                    "not supported",
                )
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

    def _finished(self, parser: ExpressionParser) -> None:
        if parser.peek()[0] != "end":
            parser.unexpected("the end of the statement")

    def _if_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        test = parser.checked()
        self._finished(parser)
        node = If([(test, [])])
        self.blocks.open("if", node, node.branches[0][1], start, end)

    def _elif_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        test = parser.checked()
        self._finished(parser)
        block = self.blocks.of_kind("elif", ("if",), start, end)
        if block is not None and isinstance(block.node, If):
            if block.closed_branches:
                self.problems.append(
                    Problem(
                        codes.MALFORMED_EXPRESSION,
                        "`{% elif %}` cannot follow `{% else %}`",
                        start,
                        end,
                        "put it before the `{% else %}`",
                    )
                )
            block.node.branches.append((test, []))
            self.blocks.branch(block, block.node.branches[-1][1])

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
        block = self.blocks.of_kind("else", ("if", "for"), start, end)
        if block is not None and isinstance(block.node, If | For):
            if block.closed_branches:
                self.problems.append(
                    Problem(
                        codes.MALFORMED_EXPRESSION, "second `{% else %}` in one block", start, end, "remove one of them"
                    )
                )
            block.closed_branches = True
            block.node.otherwise = []
            self.blocks.branch(block, block.node.otherwise)

    def _end_tag(self, parser: ExpressionParser, name: str, kind: str, start: int, end: int) -> None:
        self._finished(parser)
        if self.blocks.of_kind(name, (kind,), start, end) is not None:
            self.blocks.close()

    def _endif_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._end_tag(parser, "endif", "if", start, end)

    def _endfor_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._end_tag(parser, "endfor", "for", start, end)

    def _endset_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._end_tag(parser, "endset", "set", start, end)

    def _raw_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self._finished(parser)
        self.problems.append(
            Problem(codes.MALFORMED_EXPRESSION, "invalid `{% raw %}`", start, end, "write `{% raw %}`")
        )

    def _endraw_tag(self, parser: ExpressionParser, start: int, end: int) -> None:
        self.problems.append(
            Problem(codes.MALFORMED_EXPRESSION, "`{% endraw %}` has no matching opening tag", start, end, "remove it")
        )

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
            self.problems.append(
                Problem(
                    codes.UNSUPPORTED_TEMPLATE_FEATURE,
                    "recursive loops are not supported",
                    token[2],
                    token[3],
                    "write one `{% for %}` for each level",
                    "not supported",
                )
            )
        self._finished(parser)
        node = For(targets, unpacked, iterable, condition)
        self.blocks.open("for", node, node.body, start, end)

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
            self.blocks.into.append(Assign(targets, unpacked, value, first[2], end, member))
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
        self.blocks.open("set", node, node.body, start, end)
