"""A user's program, for the type checkers only: `make check` reads it, nothing runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, assert_type

import orchestrator as orc


@orc.tool
def word_count(text: str, minimum: int = 1) -> dict[str, int]:
    """Count words. A decorated function can still be called, with its own types."""
    return {"count": sum(len(word) >= minimum for word in text.split())}


@orc.tool(name="shout")
async def shouted(text: str, context: orc.ToolContext) -> str:
    context.progress(0.5, "half way")
    context.log("shouting")
    assert_type(context.directory, Path)
    return text.upper()


def blocking() -> None:
    pipeline = orc.compile("report.yaml")
    assert_type(pipeline, orc.Pipeline)
    assert_type(pipeline.diagnostics, tuple[orc.Diagnostic, ...])
    assert_type(pipeline.graph(), str)
    assert_type(word_count("a b", minimum=2), dict[str, int])

    result = pipeline.run(topic="solar cells", pages=3)
    assert_type(result, orc.Result)
    assert_type(result.outputs, Mapping[str, Any])
    assert_type(result.steps["draft"], orc.StepResult)
    assert_type(result.steps["draft"].attempts, int)
    assert_type(result.to_markdown(), str)

    run = pipeline.with_options(max_parallel=8).start({"topic": "wind"})
    assert_type(run, orc.Run)
    status = run.status()
    assert_type(status, orc.RunStatus)
    assert_type(status.progress, float)
    for event in run.events(after=status.last_seq):
        assert_type(event, orc.Event)
    run.pause()
    run.resume()
    run.cancel(reason="enough")


def checking(paths: Sequence[Path]) -> bool:
    reports = [orc.check(path) for path in paths]
    for report in reports:
        for diagnostic in report.diagnostics:
            assert_type(diagnostic.code, str)
            assert_type(diagnostic.span.start.line, int)
    return all(report.ok for report in reports)


def explicit() -> None:
    with orc.Orchestrator(store="sqlite:///runs.db", tools=[word_count, shouted], directory=Path()) as client:
        assert_type(client, orc.Orchestrator)
        try:
            client.compile({"steps": [{"id": "a", "tool": "word_count", "parameters": {"text": "a b"}}]}).run()
        except orc.CompilationError as error:
            assert_type(error.diagnostics, tuple[orc.Diagnostic, ...])
        except orc.RunFailed as error:
            assert_type(error.step, str | None)
        assert_type(client.list_runs(state="failed"), list[orc.RunStatus])
        assert_type(client.get_run("last").id, str)
        assert_type(client.resume("last"), orc.Run)


async def concurrent() -> None:
    pipeline = orc.compile(Path("report.yaml"))
    assert_type(await pipeline.arun(topic="tides"), orc.Result)
    run = await pipeline.astart(topic="tides")
    async for event in run.aevents():
        assert_type(event.seq, int)
    assert_type(await run.aresult(timeout=60), orc.Result)


def anywhere(place: orc.AnyOrchestrator) -> list[str]:
    run = place.compile("report.yaml").with_options(labels=["weekly"]).start(topic="wind")
    assert_type(run.result(), orc.Result)
    return [status.run_id for status in place.list_runs(state="failed")]


async def remote(url: str) -> list[str]:
    async with orc.connect(url, token="orc_...") as client:
        assert_type(client, orc.Client)
        run = await (await client.acompile("report")).astart(topic="wind")
        assert_type(run, orc.RemoteRun)
        async for event in run.aevents():
            assert_type(event, orc.Event)
        assert_type((await run.aresult()).outputs, Mapping[str, Any])
    return anywhere(orc.connect(url)) + anywhere(orc.Orchestrator())
