"""The messages between a step and its models: the first ones follow from what it was given, answers are recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from orchestrator.api.step_inputs import step_inputs
from orchestrator.journal import Event
from orchestrator.plan.lookup import definition_at

if TYPE_CHECKING:
    from orchestrator.api.backend import Backend
    from orchestrator.history.step_results import StepResults
    from orchestrator.journal import RunRecord

Role = Literal["system", "user", "assistant", "tool"]

MOST_CALLS: Final = 500
"""How many of the newest calls of models are returned."""

MOST_TURNS: Final = 100
"""How many of the newest turns of an agent are returned."""

MOST_CHARACTERS: Final = 50_000
"""Characters of one message; of a longer one, the beginning is returned."""

_TURN: Final = re.compile(r"(.+)\[(\d+)\]\.answer")
_MODEL: Final = "model"


class StepMessage(Struct, frozen=True):
    """One message. Of a turn of an agent: its number, what the model `requests`, or the `name` of the tool it is of."""

    role: Role
    content: Any
    path: str
    turn: int | None = None
    name: str = ""
    requests: tuple[Mapping[str, Any], ...] = ()


class StepMessages(Struct, frozen=True):
    """The messages of a step, and the events of its calls. `problem` is why the first messages are not known."""

    messages: tuple[StepMessage, ...]
    calls: tuple[Event, ...]
    problem: str = ""


def step_messages(backend: Backend, record: RunRecord, steps: StepResults, path: str) -> StepMessages:
    """Return the messages of the step at a path; none of a step that calls no model."""
    turn = _TURN.fullmatch(path)
    agent = turn[1] if turn else path
    definition = definition_at(record.plan, agent, numbered=True) or {}
    if definition.get("kind") == "agent":
        turns = [int(turn[2])] if turn else steps.items_of(agent)[-MOST_TURNS:]
        told = _of_turns(steps, agent, turns)
        calls = _calls(backend, record, [path] if turn else [f"{agent}[{number}].answer" for number in turns] + [agent])
        if turn and turns != [0]:
            return StepMessages(told, calls)
        first, problem = _first(backend, record, steps, agent)
        return StepMessages((*first, *told), calls, problem)
    calls = _calls(backend, record, [path])
    if not calls and definition.get("tool") != _MODEL:
        return StepMessages((), ())
    if definition.get("tool") != _MODEL:
        return StepMessages((), calls)  # a judge, or a tool that calls models by itself
    first, problem = _first(backend, record, steps, path)
    return StepMessages((*first, *_answer(steps, path)), calls, problem)


def _first(backend: Backend, record: RunRecord, steps: StepResults, path: str) -> tuple[tuple[StepMessage, ...], str]:
    given = step_inputs(backend, record, steps, path)
    if given.problem:
        return (), given.problem
    found: list[StepMessage] = []
    if given.values.get("system"):
        found.append(StepMessage("system", _bounded(given.values["system"]), path))
    found += [
        StepMessage(each["role"], _bounded(each.get("content")), path)
        for each in given.values.get("messages") or ()  # of a chat
        if isinstance(each, Mapping) and each.get("role") in ("system", "user", "assistant")
    ]
    if found and found[-1].role != "system" and not given.values.get("prompt"):
        return tuple(found), ""
    content = given.values.get("prompt")
    if content is None:
        content = {name: value for name, value in given.values.items() if name not in ("system", "model")}
    found.append(StepMessage("user", _bounded(content), path))
    return tuple(found), ""


def _answer(steps: StepResults, path: str) -> Sequence[StepMessage]:
    if path not in steps or steps.state_of(path) != "succeeded":
        return ()
    output = steps[path].output
    content = output
    if isinstance(output, Mapping):
        content = output["data"] if output.get("data") is not None else output.get("text", output)
    return (StepMessage("assistant", _bounded(content), path),)


def _of_turns(steps: StepResults, agent: str, turns: Sequence[int]) -> tuple[StepMessage, ...]:
    found: list[StepMessage] = []
    for number in turns:
        path, answer = f"{agent}[{number}]", f"{agent}[{number}].answer"
        ended = next((each for each in (path, answer) if steps.state_of(each) == "succeeded"), None)
        if ended is None:
            continue
        output = steps[ended].output
        if not isinstance(output, Mapping):
            continue
        requests = tuple(_with_paths(output.get("requests") or (), path))
        content = output.get("text") or output.get("data")
        found.append(StepMessage("assistant", _bounded(content), answer, number, requests=requests))
        for request, result in zip(requests, output.get("results") or (), strict=False):
            name, place = str(request.get("name")), str(request.get("path"))
            found.append(StepMessage("tool", _bounded(result), place, number, name))
        found += [
            StepMessage("user", f"The answer did not pass its check: {reason}", path, number)
            for reason in output.get("refused") or ()
        ]
    return tuple(found)


def _with_paths(requests: Sequence[Mapping[str, Any]], turn: str) -> list[Mapping[str, Any]]:
    """Return the requests, each with the path of the step that carried it out."""
    seen: dict[str, int] = {}
    found: list[Mapping[str, Any]] = []
    for request in requests:
        name = str(request.get("name"))
        seen[name] = seen.get(name, 0) + 1
        step = name if seen[name] == 1 else f"{name}_{seen[name]}"
        found.append({**request, "path": f"{turn}.{step}"})
    return found


def _calls(backend: Backend, record: RunRecord, paths: Sequence[str]) -> tuple[Event, ...]:
    found: list[Event] = []
    after = 0
    while page := backend.store.events(record.run_id, after, 1_000, paths=paths, types=["step.model"]):
        found = [*found, *page][-MOST_CALLS:]
        after = page[-1].seq
    return tuple(found)


def _bounded(content: Any) -> Any:
    if isinstance(content, str) and len(content) > MOST_CHARACTERS:
        return f"{content[:MOST_CHARACTERS]}\n… {len(content) - MOST_CHARACTERS:,} more characters"
    return content
