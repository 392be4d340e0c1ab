"""The models of generated agents: one that answers as a script says, and what the oracle expects of a conversation.

The script of an agent is its entry in a file. It needs no memory: what is answered in a turn follows from the number of
the turn and from what was said before it, so it is the same in every process.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.errors import StepError
from orchestrator.testing import Asked, FakeModel, ModelReply, ToolRequest
from tests.model.plans import HAND_OVER, Agent, Offer, Request, arguments_of, decision, digest, everything

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.model.plans import Plan

SCRIPTS = "scripts.json"
_PATH = re.compile(r"(?P<agent>\w+)\[(?P<turn>\d+)\]\.answer")
_LINE = re.compile(r" \(line \d+ of \w+\.py\)")


class Script(msgspec.Struct, frozen=True):
    """What the model of an agent answers."""

    salt: int
    turns: tuple[tuple[Request, ...], ...]
    form: bool
    breaks: int | None
    transient: bool


def write_scripts(plan: Plan, directory: Path) -> None:
    """Write the scripts of all agents of a plan."""
    scripts = {
        step.id: Script(one.salt, one.turns, one.form, one.breaks, one.transient)
        for step in everything(plan.steps)
        if isinstance(one := step.work, Agent)
    }
    if scripts:
        (directory / SCRIPTS).write_bytes(msgspec.json.encode(scripts))


def model(directory: Path) -> FakeModel:
    """The model of the agents in a directory. What it was asked is added to the calls."""

    def answer(asked: Asked) -> Any:
        found = _PATH.search(asked.step)
        assert found is not None, asked.step
        said = said_in(asked)
        note_call(directory, asked.step, 1, said)
        script = msgspec.json.decode((directory / SCRIPTS).read_bytes(), type=dict[str, Script])[found["agent"]]
        turn = int(found["turn"])
        if turn == script.breaks and not (script.transient and (directory / "mended").exists()):
            raise StepError(f"boom {script.salt}{' for now' if script.transient else ''}")
        if turn == len(script.turns):
            value = digest(script.salt, said)
            return {"n": value} if script.form else str(value)
        requests = enumerate(script.turns[turn])
        return ModelReply(
            f"turn {turn}",
            requests=tuple(ToolRequest(f"c{n}", one.name, arguments_of(one, said)) for n, one in requests),
            finish="tools",
        )

    return FakeModel(answer)


def said_in(asked: Asked) -> list[Any]:
    """What a model was told: who it is, its tools, and the conversation."""
    request = asked.request
    conversation = [[one.role, _LINE.sub("", str(one.content))] for one in request.messages]
    return [request.system or "", sorted(offer.name for offer in request.tools), *conversation]


def note_call(directory: Path, path: str, attempt: int, reads: list[Any]) -> None:
    """Add a call to the file of calls."""
    descriptor = os.open(directory / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (json.dumps({"path": path, "attempt": attempt, "reads": reads}) + "\n").encode())
    os.close(descriptor)


class Conversation:
    """What was said in the turns of an agent up to now, as the oracle expects it."""

    def __init__(self, agent: Agent, prompt: str) -> None:
        self._agent = agent
        self._messages: list[Any] = [["user", prompt]]
        self._counts: dict[str, int] = {}
        self.role = ""

    @property
    def offers(self) -> Mapping[str, Offer]:
        """The tools of whoever has the conversation."""
        found = self._agent.roles[self.role] if self.role else self._agent.offers
        return {offer.name: offer for offer in found}

    @property
    def said(self) -> list[Any]:
        """What the model is told when it is asked next."""
        others = [HAND_OVER + role for role in self._agent.roles if role != self.role]
        system = f"You are {self.role}." if self.role else ""
        return [system, sorted([*self.offers, *others]), *self._messages]

    def refusals(self, requests: tuple[Request, ...]) -> list[str]:
        """What the model is told about each request without any call; nothing about those that are made."""
        found = []
        handed = False
        others = [HAND_OVER + role for role in self._agent.roles if role != self.role]
        for one in requests:
            self._counts[one.name] = self._counts.get(one.name, 0) + 1
            offer = self.offers.get(one.name)
            most = offer.max_calls if offer else None
            if one.name in others and not handed:
                handed = True
                role = one.name.removeprefix(HAND_OVER)
                found.append(f"You are now the agent `{role}`. Continue the conversation.")
            elif one.name in others:
                found.append("error: the conversation is handed over to another agent already")
            elif offer is None:
                known = ", ".join([*self.offers, *others]) or "none"
                found.append(f"error: unknown tool; the available tools are: {known}")
            elif most is not None and self._counts[one.name] > most:
                said = f"{most} call{'s' * (most != 1)}"
                found.append(f"error: the limit of {said} of this tool is reached. Do without it.")
            else:
                found.append("")
        return found

    def add(self, turn: int, requests: tuple[Request, ...], told: list[str]) -> None:
        """Add a turn with what the model was told about each of its requests."""
        self._messages += [["assistant", f"turn {turn}"], *(["tool", one] for one in told)]
        others = [role for role in self._agent.roles if role != self.role]
        names = [one.name.removeprefix(HAND_OVER) for one in requests if one.name.startswith(HAND_OVER)]
        self.role = next((name for name in names if name in others), self.role)


def ids(requests: tuple[Request, ...], refusals: list[str]) -> list[str]:
    """The ids of the steps that make the calls of a turn; of a request that is refused, an empty one."""
    counts: dict[str, int] = {}
    found = []
    for one, refused in zip(requests, refusals, strict=True):
        if not refused:
            counts[one.name] = counts.get(one.name, 0) + 1
        found.append("" if refused else one.name if counts[one.name] == 1 else f"{one.name}_{counts[one.name]}")
    return found


def is_asked(offer: Offer, arguments: Mapping[str, Any]) -> bool:
    """Whether a person decides about a call."""
    number = arguments.get("salt", arguments.get("n", 0))
    return offer.approve in ("always", "lost") or (offer.approve == "even" and number % 2 == 0)


def decided(path: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """What a call is given after a person has decided about it, and what is noted; or nothing, and what is told."""
    found = decision(path, arguments)
    comment = f": {found['comment']}" if found.get("comment") else ""
    if not found["approved"]:
        return None, f"error: a person did not approve this call{comment}"
    given = found["content"]
    note = f"note: a person changed the arguments to {json.dumps(given)}{comment}\n"
    return given, note if given != arguments else ""
