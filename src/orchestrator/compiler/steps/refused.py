"""Work that was rejected when the file was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from orchestrator.compiler.ir.names import UNKNOWN_STEP
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.expressions import Type


class RefusedWork(SourceWork):
    """It can have any type, so that its error, which has been reported, causes no further ones."""

    def __init__(self, step: SourceStep) -> None:
        super().__init__()
        self.id = step.id

    def check(self) -> Type:
        """Return the unknown type; the error has been reported."""
        return UNKNOWN_STEP

    def plan(self) -> NoReturn:
        """Fail: a pipeline with such a step has an error."""
        raise OrchestratorError(f"the work of step `{self.id}` was refused, and that was not reported")
