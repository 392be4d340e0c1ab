"""The table of executors: how each kind of step is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.plan.steps import Agent, Approve, Ask, ForEach, RepeatLoop, StepGroup, SubPipeline, Switch, Wait
from orchestrator.runtime.run.step_run import Executors
from orchestrator.runtime.steps import questions
from orchestrator.runtime.steps.error_handlers import handle_error
from orchestrator.runtime.steps.groups import GroupRun
from orchestrator.runtime.steps.large_ends import encode_end
from orchestrator.runtime.steps.loops import ForEachRun, RepeatRun
from orchestrator.runtime.steps.output_checks import check_value, checked_call
from orchestrator.runtime.steps.pipelines import SubPipelineRun
from orchestrator.runtime.steps.switch import SwitchRun

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
        Agent: _agent,
        Ask: questions.ask,
        Approve: questions.approve,
        Wait: questions.wait,
    },
    encode=encode_end,
    handle_error=handle_error,
    check_value=check_value,
    checked_call=checked_call,
)
"""The executors of all kinds but tool calls, which the scheduler makes attempts of."""
