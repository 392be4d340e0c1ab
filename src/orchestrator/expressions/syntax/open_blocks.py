"""The blocks of a template that are open: what their tags begin and end, and which statement comes into which."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.expressions.limits import MAX_NESTING
from orchestrator.expressions.problem import Problem
from orchestrator.expressions.syntax.nodes import Capture, For, If, Statement

ENDS: Final = {"if": "endif", "for": "endfor", "set": "endset"}
"""The tag that ends each kind of block."""

MAX_PROBLEMS: Final = 100
"""How many problems of one template are reported."""
_MAX_BLOCKS: Final = MAX_NESTING // 2


class OpenBlock(Struct):
    """An open block; `into` is the list that its statements are added to."""

    kind: str
    node: If | For | Capture
    into: list[Statement]
    start: int
    end: int
    closed_branches: bool = False


class OpenBlocks:
    """The statements of a template so far: `body` is the outermost list, `into` the one that the next is added to."""

    __slots__ = ("_blocks", "_problems", "body", "into")

    def __init__(self, problems: list[Problem]) -> None:
        self.body: list[Statement] = []
        self.into = self.body
        self._problems = problems
        self._blocks: list[OpenBlock] = []

    @property
    def innermost(self) -> OpenBlock | None:
        """The block that was opened last."""
        return self._blocks[-1] if self._blocks else None

    def open(self, kind: str, node: If | For | Capture, into: list[Statement], start: int, end: int) -> None:
        """Open a block; the next statements are added to `into`."""
        if len(self._blocks) < _MAX_BLOCKS:
            self.into.append(node)
        elif len(self._blocks) == _MAX_BLOCKS:  # deeper blocks are parsed, but not added to the tree
            self._problems.append(
                Problem(
                    codes.MALFORMED_EXPRESSION,
                    f"more than {_MAX_BLOCKS} blocks are open here",
                    start,
                    end,
                    "close some of them first",
                )
            )
        self._blocks.append(OpenBlock(kind, node, into, start, end))
        self.into = into

    def branch(self, block: OpenBlock, into: list[Statement]) -> None:
        """Add the next statements of the innermost block to another list, that of its next branch."""
        self.into = block.into = into

    def close(self) -> None:
        """Close the innermost block."""
        self._blocks.pop()
        self.into = self._blocks[-1].into if self._blocks else self.body

    def of_kind(self, name: str, kinds: tuple[str, ...], start: int, end: int) -> OpenBlock | None:
        """Return the innermost open block of these kinds; report open blocks inside it, or its absence."""
        if any(block.kind in kinds for block in self._blocks[-_MAX_BLOCKS:]):
            while self._blocks[-1].kind not in kinds:
                self._never_ended(self._blocks[-1], f"`{{% {name} %}}`")
                self.close()
            return self._blocks[-1]
        if any(
            problem.code == codes.UNTERMINATED_EXPRESSION or "statement" in problem.message
            for problem in self._problems
        ):
            return None  # caused by an opening tag that could not be parsed
        if self._blocks:
            kind = self._blocks[-1].kind
            help = f"close the `{{% {kind} %}}` with `{{% {ENDS[kind]} %}}` first"
        else:
            help = "remove it, or add " + " or ".join(f"`{{% {kind} %}}`" for kind in kinds) + " before"
        self._problems.append(
            Problem(codes.MALFORMED_EXPRESSION, f"`{{% {name} %}}` has no matching opening tag", start, end, help)
        )
        return None

    def end(self) -> None:
        """Report the blocks that are still open at the end of the template."""
        for block in self._blocks:
            self._never_ended(block)

    def _never_ended(self, block: OpenBlock, before: str = "") -> None:
        """Report a block that is still open at the end, or at a tag of an enclosing block."""
        if len(self._problems) >= MAX_PROBLEMS or any(
            problem.code == codes.UNTERMINATED_EXPRESSION and problem.start == block.start for problem in self._problems
        ):
            return  # enough is reported; or its own braces are not closed, which most likely hides its end
        name = block.kind
        help = f"add `{{% {ENDS[name]} %}}` where the block ends" + (f", before {before}" if before else "")
        self._problems.append(
            Problem(
                codes.UNTERMINATED_EXPRESSION,
                f"this `{{% {name} %}}` is never closed",
                block.start,
                block.end,
                help,
                "opened here",
            )
        )
