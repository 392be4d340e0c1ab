"""Every command says who gave it: `by`, or by default the current user; the journal records it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.api.control import current_user
from tests.runtime.support import Bench, pipeline, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ECHO = pipeline(step("a", value="{{ n }}"), inputs={"n": 1})
ASKS = pipeline({"id": "ask", "ask": {"prompt": "How many?", "type": "integer"}})
GIVERS = [("ada", "ada"), (None, current_user())]
"""What is given as `by`, and what is recorded."""

COMMANDS: dict[Any, tuple[str, ...]] = {
    orc.Run: ("pause", "resume", "cancel", "answer", "apause", "aresume", "acancel", "aanswer"),
    orc.Orchestrator: ("resume", "retry", "fork", "aresume", "aretry", "afork"),
    orc.Pipeline: ("with_options",),  # the keywords of `run` and the like are the pipeline's inputs
    orc: ("resume", "retry", "fork"),
}


def givers(run: orc.Run) -> dict[str, list[str | None]]:
    """Who is recorded, by the type of event."""
    found: dict[str, list[str | None]] = {}
    for event in run.events(follow=False):
        if "by" in event.payload.fields:
            found.setdefault(event.type, []).append(event.data.get("by"))
    return found


def commands() -> list[tuple[Any, str]]:
    return [(owner, name) for owner, names in COMMANDS.items() for name in names]


@pytest.mark.parametrize(("owner", "name"), commands(), ids=lambda each: getattr(each, "__name__", each))
def test_every_command_takes_by_as_a_keyword(owner: Any, name: str) -> None:
    parameter = inspect.signature(getattr(owner, name)).parameters["by"]
    assert (parameter.kind, parameter.default) == (parameter.KEYWORD_ONLY, None)


def test_a_giver_is_a_text(client: orc.Orchestrator) -> None:
    with pytest.raises(orc.ConfigurationError, match="`by` cannot be 7"):
        client.compile(ECHO).with_options(by=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(("by", "recorded"), GIVERS)
@pytest.mark.parametrize("verb", ["start", "run", "map"])
def test_who_starts_a_run_is_recorded(client: orc.Orchestrator, by: str | None, recorded: str, verb: str) -> None:
    compiled = client.compile(ECHO).with_options(by=by)
    match verb:
        case "start":
            compiled.start().wait()
        case "run":
            compiled.run()
        case _:
            assert all(row.ok for row in compiled.map([{"n": 2}]))
    assert givers(client.get_run("last"))["run.started"] == [recorded]


@pytest.mark.anyio
@pytest.mark.parametrize(("by", "recorded"), GIVERS)
@pytest.mark.parametrize("verb", ["astart", "arun", "amap"])
async def test_who_starts_a_run_on_a_loop_is_recorded(
    client: orc.Orchestrator, by: str | None, recorded: str, verb: str
) -> None:
    compiled = client.compile(ECHO).with_options(by=by)
    match verb:
        case "astart":
            await (await compiled.astart()).wait_async()
        case "arun":
            await compiled.arun()
        case _:
            assert [row.ok async for row in compiled.amap([{"n": 2}])] == [True]
    assert givers(client.get_run("last"))["run.started"] == [recorded]


@pytest.mark.parametrize(("by", "recorded"), GIVERS)
def test_who_controls_a_run_is_recorded(client: orc.Orchestrator, bench: Bench, by: str | None, recorded: str) -> None:
    run = client.compile(pipeline(step("a", "gate"), step("b", "hang", "a"))).with_options(by="eve").start()
    bench.wait_for("a")
    run.pause(by=by)
    run.resume(by=by)
    bench.open("a")
    bench.wait_for("b")
    run.cancel(by=by)
    run.wait()
    found = givers(run)
    commanded = {type: found[type] for type in ("run.paused", "run.resumed", "run.cancelled")}
    assert commanded == {type: [recorded] for type in commanded}
    assert found["run.started"] == ["eve"]


@pytest.mark.anyio
@pytest.mark.parametrize(("by", "recorded"), GIVERS)
async def test_who_controls_a_run_on_a_loop_is_recorded(
    client: orc.Orchestrator, bench: Bench, by: str | None, recorded: str
) -> None:
    run = await client.compile(ASKS).with_options(by="eve").astart()
    await run.wait_async()
    await run.apause(by=by)
    await run.aresume(by=by)
    await run.aanswer("ask", 3, by=by)
    await run.wait_async()
    found = givers(run)
    commanded = {type: found[type] for type in ("run.paused", "run.resumed", "step.answered")}
    assert commanded == {type: [recorded] for type in commanded}


@pytest.mark.parametrize(("by", "recorded"), GIVERS)
def test_who_answers_resumes_retries_and_forks_is_recorded(
    client: orc.Orchestrator, by: str | None, recorded: str
) -> None:
    run = client.compile(ASKS).start()
    run.wait()
    run.cancel(by="eve")
    run.wait()
    client.resume(run.id, by=by).wait()
    run.answer("ask", 3, by=by)
    run.wait()
    client.retry(run.id, "ask", by=by).wait()
    found = givers(run)
    assert found["run.started"][1:] == [recorded, recorded]
    assert found["run.revised"] == found["step.answered"] == [recorded]
    forked = client.fork(run.id, from_step="ask", by=by)
    forked.wait()
    assert givers(forked)["run.started"] == [recorded]


@pytest.mark.anyio
@pytest.mark.parametrize(("by", "recorded"), GIVERS)
async def test_who_resumes_retries_and_forks_on_a_loop_is_recorded(
    client: orc.Orchestrator, by: str | None, recorded: str
) -> None:
    run = await client.compile(ASKS).astart()
    await run.wait_async()
    await run.acancel(by=by)
    await run.wait_async()
    again: list[Callable[[], Awaitable[orc.Run]]] = [
        lambda: client.aresume(run.id, by=by),
        lambda: client.aretry(run.id, "ask", by=by),
    ]
    for command in again:
        await (await command()).wait_async()
        await run.acancel(by=by)
        await run.wait_async()
    found = givers(run)
    assert found["run.started"][1:] == [recorded, recorded]
    assert found["run.cancelled"] == [recorded] * 3
    forked = await client.afork(run.id, from_step="ask", by=by)
    await forked.wait_async()
    assert givers(forked)["run.started"] == [recorded]
    await forked.acancel()
    await forked.wait_async()
