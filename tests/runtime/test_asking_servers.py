"""Steps that ask a model over a real socket: what passes by itself is waited for, and who stops hangs up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.plan.policies import MODEL_RETRY
from orchestrator.runtime.run.retry import is_retried
from tests.models.adapter.dialects import DIALECTS
from tests.models.adapter.wire import Answer, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

DIALECT = DIALECTS["vllm"]
HELLO = DIALECT.stream("Hel", "lo.")
PIPELINE = {"id": "test", "model": "lab:tiny", "steps": [{"id": "a", "prompt": "Say it.", "max_tokens": 10}]}
PATIENCE = 20


class Script(Server):
    """Gives each request the next of its answers, the last one again and again."""

    answers: list[Answer]

    @property
    def answer(self) -> Answer:  # type: ignore[override]
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @answer.setter
    def answer(self, first: Answer) -> None:
        self.answers = [first]


@pytest.fixture
async def server() -> AsyncIterator[Script]:
    async with Script(HELLO) as server:
        yield server


@pytest.fixture
async def client(server: Script, tmp_path: Path) -> AsyncIterator[orc.Orchestrator]:
    (tmp_path / "orchestrator.toml").write_text(f'[servers.lab]\nbase_url = "{server.url}/v1"\n')
    with orc.Orchestrator(directory=tmp_path) as client:
        yield client


async def ended(run: orc.Run) -> orc.Result:
    await asyncio.wait_for(run.wait_async(), PATIENCE)
    return await run.asnapshot()


def waits(result: orc.Result) -> list[dict[str, Any]]:
    found = [{"at": event.at, **event.data} for event in result.log if event.type == "step.waiting"]
    return [wait for wait in found if wait["reason"] == "retry"]


async def test_a_server_that_fails_for_a_moment_is_asked_again_without_a_policy(
    client: orc.Orchestrator, server: Script
):
    server.answers = [DIALECT.failure(500), HELLO]
    result = await ended(await client.compile(PIPELINE).astart())
    assert (result.state, result.steps["a"].attempts, len(server.asked)) == ("succeeded", 2, 2)
    assert [event.data["error"] is None for event in result.log if event.type == "step.model"] == [False, True]
    (wait,) = waits(result)
    assert 0.5 < wait["until"] - wait["at"] < 1.5


async def test_a_provider_that_says_how_long_to_wait_is_not_asked_before(client: orc.Orchestrator, server: Script):
    server.answers = [DIALECT.failure(429, "slow down", **{"retry-after": "1"}), HELLO]
    step = {**PIPELINE["steps"][0], "retry": {"max_attempts": 2, "delay": 0.01}}  # type: ignore[index, dict-item]
    result = await ended(await client.compile({**PIPELINE, "steps": [step]}).astart())
    assert (result.state, len(server.asked)) == ("succeeded", 2)
    (wait,) = waits(result)
    assert wait["until"] - wait["at"] > 0.99


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_what_will_not_pass_is_not_tried_again(client: orc.Orchestrator, server: Script, status: int):
    server.answer = DIALECT.failure(status)
    result = await ended(await client.compile(PIPELINE).astart())
    assert (result.state, len(server.asked), result.steps["a"].attempts) == ("failed", 1, 1)


async def test_a_policy_of_the_step_takes_the_place_of_the_default(client: orc.Orchestrator, server: Script):
    server.answer = DIALECT.failure(500)
    step = {**PIPELINE["steps"][0], "retry": {"max_attempts": 1}}  # type: ignore[index, dict-item]
    result = await ended(await client.compile({**PIPELINE, "steps": [step]}).astart())
    assert (result.state, len(server.asked)) == ("failed", 1)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (orc.ModelRateLimited("x"), True),
        (orc.ModelUnavailable("x"), True),
        (orc.ModelRateLimited("no money left", retryable=False), False),
        (orc.ModelRejected("x"), False),
        (orc.ModelRefused("x"), False),
        (orc.ModelAnswerInvalid("x"), False),
        (orc.StepError("x"), False),
    ],
)
async def test_four_attempts_are_made_for_what_passes_by_itself(error: orc.OrchestratorError, again: bool):
    assert [is_retried(error, MODEL_RETRY, attempt) for attempt in (1, 2, 3, 4)] == [again, again, again, False]


@pytest.mark.parametrize("how", ["cancel", "pause", "timeout"])
async def test_a_step_that_is_stopped_hangs_up(client: orc.Orchestrator, server: Script, how: str):
    await client.compile(PIPELINE).arun()  # loads what speaks to servers
    server.answer = Answer(then="hang")
    server.came.clear()
    step = {**PIPELINE["steps"][0], **({"timeout": 0.5} if how == "timeout" else {})}  # type: ignore[index, dict-item]
    run = await client.compile({**PIPELINE, "steps": [step]}).astart()
    await asyncio.wait_for(server.came.wait(), PATIENCE)
    if how == "cancel":
        await run.acancel(reason="enough")
    elif how == "pause":
        await run.apause(now=True)
    await asyncio.wait_for(server.gone.wait(), PATIENCE)
    result = await ended(run)
    assert result.state == {"cancel": "cancelled", "pause": "paused", "timeout": "failed"}[how]
    (call,) = [event for event in result.log if event.type == "step.model"]
    assert (call.data["error"]["type"], call.data["cost"]) == ("CancelledError", 0)
    assert call.data["usage"]["input"] > 0


async def test_what_servers_do_not_answer_in_time_uses_up_a_budget(
    client: orc.Orchestrator, server: Script, tmp_path: Path
):
    settings = tmp_path / "orchestrator.toml"
    settings.write_text(f'{settings.read_text()}[models."lab:tiny"]\ninput_price = 1000\noutput_price = 1000\n')
    await client.compile(PIPELINE).arun()  # loads what speaks to servers
    server.asked.clear()
    server.answer = Answer(then="hang")
    step = {**PIPELINE["steps"][0], "timeout": 0.3, "retry": {"max_attempts": 12, "delay": 0}}  # type: ignore[index, dict-item]
    result = await ended(await client.compile({**PIPELINE, "budget": {"usd": 0.03}, "steps": [step]}).astart())
    assert result.error is not None
    assert (result.error["code"], len(server.asked)) == ("ORC727", 3)
    assert [event.data["cost"] for event in result.log if event.type == "step.model"] == [pytest.approx(0.006)] * 3
    assert (result.spending.usage.input, result.cost) == (18, pytest.approx(0.018))


async def test_a_server_that_is_not_there_uses_up_nothing(client: orc.Orchestrator, server: Script):
    await server.__aexit__(None, None, None)
    step = {**PIPELINE["steps"][0], "retry": {"max_attempts": 3, "delay": 0}}  # type: ignore[index, dict-item]
    result = await ended(await client.compile({**PIPELINE, "budget": {"requests": 1}, "steps": [step]}).astart())
    assert result.error is not None
    assert (result.error["code"], result.steps["a"].attempts) == ("ORC723", 3)
    assert (result.usage.requests, result.usage.input, result.cost) == (0, 0, 0)
