"""Compiles a spec, with the registries of tools and models, to a plan or to all diagnostics."""

from orchestrator.compiler.compilation import Compilation, compile_pipeline
from orchestrator.plan.model import OutputPlan, Plan
from orchestrator.plan.policies import OnFailure, RetryPolicy
from orchestrator.plan.steps import StepPlan, ToolCall

__all__ = ["Compilation", "OnFailure", "OutputPlan", "Plan", "RetryPolicy", "StepPlan", "ToolCall", "compile_pipeline"]
