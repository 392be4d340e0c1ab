"""Work that was refused when the file was read, of which nothing is left but its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from orchestrator.compiler.ir.names import entity_type
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, Type

if TYPE_CHECKING:
    from orchestrator.compiler.ir.nodes import SourceStep


class RefusedWork(SourceWork):
    """It may give anything, so that its mistake, which has been reported, causes no echo."""

    def __init__(self, step: SourceStep) -> None:
        super().__init__()
        self.id = step.id

    def check(self) -> Type:
        """Find nothing more to report."""
        return entity_type(ANY)

    def plan(self) -> NoReturn:
        """Fail: a pipeline with such a step has an error."""
        raise OrchestratorError(f"the work of step `{self.id}` was refused, and that was not reported")
