"""`models --for FILE`: print the models that the steps of a pipeline would call. None is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.forecast.model_choices import model_steps, models_told
from orchestrator.models.messages import JUDGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def print_model_choices(file: Path, tools: list[str] | None, *, json: bool) -> None:
    """Print the models of each step."""
    from orchestrator.cli.options import common
    from orchestrator.cli.terminal.output import emit, emit_json, say, table
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.clients.fake import FakeModel
    from orchestrator.models.selection.candidates import AvailableModels

    with common.open_orchestrator(tools=tools, models=FakeModel(otherwise="fail")) as orchestrator:  # needs no keys
        plan = orchestrator.compile(file).plan
    here = AvailableModels(Catalogue.load(orchestrator.directory), Keys.load())
    told = [models_told(step, here) for step in model_steps(plan)]
    if json:
        emit_json({"pipeline": plan.id, "steps": told})
    elif told:
        emit(table(("STEP", "MODEL", "READY", "WHY"), [row for each in told for row in _rows(each)]))
        say("no model was called; a run also looks for Ollama, and for the models of your own servers", "dim")
    else:
        say("no step calls a model")


def _rows(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    step = told["step"] + (JUDGE if told["action"] == "judge" else "")
    if told["problem"]:
        yield step, "", "?", told["problem"]
    for number, each in enumerate(told["models"]):
        ready = "no" if each["problem"] else each["lacks"] or "yes"
        yield step if number == 0 else "", each["model"], ready, each["problem"] or each["why"]
