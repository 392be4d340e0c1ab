"""The work of a step that starts a run of another pipeline and does not wait for it."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from orchestrator.expressions import Value


class DetachedRun(Struct, frozen=True):
    """Starts a run of its own, once. `source` is the pipeline's key in `Plan.pipelines`; `inputs` are its inputs.

    The value of the step is the id of that run, which nothing of the run with the step ends.
    """

    kind: ClassVar[Literal["detached"]] = "detached"
    source: str
    inputs: Value

    def describe(self) -> str:
        """Describe the work in a few words."""
        return f"starts a run of {self.source}"

    def children(self) -> tuple[()]:
        """Return the steps inside: none."""
        return ()
