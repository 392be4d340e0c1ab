"""Quality control of a result: the rules and, on request, a model's judgement of each output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.history.quality import Quality
    from orchestrator.history.result import Result
    from orchestrator.journal import Store
    from orchestrator.runtime import ModelServices


class ModelHost(Protocol):
    """Where runs are read and models are called; the services are made on first use."""

    @property
    def store(self) -> Store:
        """The store of the runs."""

    @property
    def services(self) -> ModelServices:
        """What calls of models share."""


class QualityControl:
    """The `ResultInspector` of all results: what it needs is imported when it is asked.

    Without a host, as after unpickling, it applies rules only.
    """

    def __init__(self, host: ModelHost | None = None) -> None:
        self._host = host

    def __reduce__(self) -> tuple[Any, ...]:
        return QualityControl, ()

    def inspect(self, result: Result, *, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        """Return the quality report on a result; see `Result.qc`."""
        from orchestrator.evaluation.adhoc_models import run_blocking

        require_judge(judge)
        return run_blocking(self.ainspect(result, judge=judge, rubric=rubric))

    async def ainspect(self, result: Result, *, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        """As `inspect`."""
        from orchestrator.evaluation.judge import judge_outputs
        from orchestrator.evaluation.quality_rules import findings_of
        from orchestrator.history.quality import Quality
        from orchestrator.runtime import in_thread

        require_judge(judge)
        host = self._host
        findings = await in_thread(lambda: tuple(findings_of(result)))
        if host is None or judge is False or not result.outputs:
            return Quality(result.run_id, findings)
        plan = (await in_thread(lambda: host.store.record(result.run_id))).plan
        named: Sequence[str] = plan.get("judge_models", ())
        if isinstance(judge, str):
            named = [judge]
        elif judge is not True:
            named = judge
        purpose = f"{plan.get('name', '')}. {plan.get('description', '')}".strip(" .")
        found = await judge_outputs(host.services, named, result.outputs, rubric=rubric, purpose=purpose)
        judgements, model, spending = found
        return Quality(result.run_id, findings, judgements, model, spending)


def require_judge(judge: Any) -> None:
    """Refuse a value that cannot name the models that judge.

    Raises:
        ConfigurationError: It is neither true, false, None, a name, nor several names.
    """
    named = [judge] if isinstance(judge, str) else judge if isinstance(judge, list | tuple) else []
    if isinstance(judge, bool) or (named and all(isinstance(each, str) for each in named)):
        return
    raise ConfigurationError(
        f"`judge` must be true, false or the name of a model, not {judge!r}", help='write for example `judge="auto"`'
    )
