"""Steps that compute a value, that fail on purpose, and that end their pipeline. None of them makes an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from msgspec import Struct

from orchestrator.expressions import Value
from orchestrator.plan.value_text import as_text, expression_text, source_of


class Computation(Struct, frozen=True):
    """Computes a value from what the step can read, without a tool, an attempt or a slot."""

    kind: ClassVar[Literal["value"]] = "value"
    value: Value

    def describe(self) -> str:
        """Describe the work in a few words."""
        source = source_of(self.value)
        if isinstance(source, dict):
            names = list(source)
            return f"computes {', '.join(names[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        return f"computes {f'a list of {len(source)}' if isinstance(source, list) else expression_text(source)}"

    def children(self) -> tuple[()]:
        """Return the steps inside: none."""
        return ()


class Failure(Struct, frozen=True):
    """Fails on purpose. `code` is a name by which error handlers know the failure; empty: none."""

    kind: ClassVar[Literal["fail"]] = "fail"
    message: Value
    code: str = ""

    def describe(self) -> str:
        """Describe the work in a few words."""
        return f"fails{f' as {self.code}' if self.code else ''}: {as_text(source_of(self.message))}"

    def children(self) -> tuple[()]:
        """Return the steps inside: none."""
        return ()


class End(Struct, frozen=True):
    """Ends the pipeline that contains it, as succeeded. `outputs` are values for some of the pipeline's outputs.

    The others are computed as at the end of the steps. Steps that have not started are skipped, those in flight are
    cancelled.
    """

    kind: ClassVar[Literal["end"]] = "end"
    outputs: Mapping[str, Value]

    def describe(self) -> str:
        """Describe the work in a few words."""
        names = list(self.outputs)
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        return "ends the pipeline" + (f" with {', '.join(names[:4])}{more}" if names else "")

    def children(self) -> tuple[()]:
        """Return the steps inside: none."""
        return ()
