"""Checking the quality of a server's results, on the server: it has the models that judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.client.views import quality_from
from orchestrator.evaluation.quality_control import QualityControl, require_judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.client.connection import ServerConnection
    from orchestrator.history.quality import Quality
    from orchestrator.history.result import Result


class RemoteInspector:
    """The `ResultInspector` of a server's results. After pickling it applies rules only, as that of a store does."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def __reduce__(self) -> tuple[Any, ...]:
        return QualityControl, ()

    def inspect(self, result: Result, *, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        """Return the quality report on a result; see `Result.qc`."""
        require_judge(judge)
        return self._connection.call(self._inspected(result.run_id, judge, rubric))

    async def ainspect(self, result: Result, *, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        """As `inspect`."""
        require_judge(judge)
        return await self._connection.acall(self._inspected(result.run_id, judge, rubric))

    async def _inspected(self, run_id: str, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        asked = judge if isinstance(judge, bool) else [judge] if isinstance(judge, str) else list(judge)
        found = await self._connection.post(f"/v1/runs/{run_id}/quality", {"judge": asked, "rubric": rubric})
        return quality_from(found)
