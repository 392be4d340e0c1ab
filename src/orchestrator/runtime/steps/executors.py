"""The table of executors: how each kind of step is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.steps import (
    Agent,
    Approve,
    Ask,
    ForEach,
    RepeatLoop,
    StepGroup,
    SubPipeline,
    Switch,
    Wait,
)
from orchestrator.plan.values import Computation, End, Failure
from orchestrator.runtime.run.step_run import Executors
from orchestrator.runtime.steps import questions
from orchestrator.runtime.steps.detached_runs import start_run
from orchestrator.runtime.steps.error_handlers import handle_error
from orchestrator.runtime.steps.groups import GroupRun
from orchestrator.runtime.steps.large_ends import encode_end
from orchestrator.runtime.steps.loops import ForEachRun, RepeatRun
from orchestrator.runtime.steps.output_checks import check_value, checked_call
from orchestrator.runtime.steps.pipelines import SubPipelineRun
from orchestrator.runtime.steps.produced_files import produced_files
from orchestrator.runtime.steps.switch import SwitchRun
from orchestrator.runtime.steps.values import ComputedValue, EarlyEnd, fail_on_purpose

if TYPE_CHECKING:
    from orchestrator.runtime.run.run_graph import Activity
    from orchestrator.runtime.run.step_run import StepRun


def _agent(run: StepRun, work: Agent) -> Activity:
    from orchestrator.runtime.steps.agents import AgentRun  # loads the models package

    return AgentRun(run, work)


EXECUTORS: Final = Executors(
    kinds={
        ForEach: ForEachRun,
        RepeatLoop: RepeatRun,
        Switch: SwitchRun,
        StepGroup: GroupRun,
        SubPipeline: SubPipelineRun,
        DetachedRun: start_run,
        Agent: _agent,
        Ask: questions.ask,
        Approve: questions.approve,
        Wait: questions.wait,
        Computation: ComputedValue,
        Failure: fail_on_purpose,
        End: EarlyEnd,
    },
    encode=encode_end,
    handle_error=handle_error,
    check_value=check_value,
    checked_call=checked_call,
    produced_files=produced_files,
)
"""The executors of all kinds but tool calls, which the scheduler makes attempts of."""
