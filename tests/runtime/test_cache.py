"""Results that runs share: when they are taken from the cache, when they are not, and that it is said why."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from tests.runtime.support import ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Counted:
    """A tool that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def tools(self) -> list[Any]:
        @orc.tool(reads=["path"])
        def load(path: str, context: orc.ToolContext) -> str:
            self.calls.append(path)
            file = context.directory / path
            return file.read_text() if file.exists() else "nothing"

        @orc.tool
        def shout(text: str) -> str:
            self.calls.append(text)
            if text == "bad":
                raise ValueError("bad")
            return text.upper()

        return [load, shout]


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def client(counted: Counted, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, tools=counted.tools()) as client:
        yield client


def cached(id: str = "one", text: Any = "{{ text }}", cache: Any = True, **more: Any) -> dict[str, Any]:
    step = {"id": "shouted", "tool": "shout", "parameters": {"text": text}, "cache": cache, **more}
    return {"id": id, "inputs": {"text": {"type": "string"}}, "steps": [step], "outputs": {"it": "{{ shouted }}"}}


def reason(client: orc.Orchestrator, path: str = "shouted") -> orc.Reason:
    return client.get_run("last").why(path).reasons[-1]


def test_the_same_call_is_made_once(client: orc.Orchestrator, counted: Counted):
    pipeline = client.compile(cached())
    first = pipeline.start(text="a")
    assert first.result().outputs == {"it": "A"}
    assert pipeline.run(text="a").outputs == {"it": "A"}
    assert counted.calls == ["a"]
    taken = reason(client)
    assert taken.kind == "cached"
    assert f"`shouted` of run {first.id}, " in taken.text
    assert pipeline.run(text="b").outputs == {"it": "B"}
    assert counted.calls == ["a", "b"]


def test_it_is_said_which_part_of_the_key_differed(client: orc.Orchestrator):
    client.compile(cached()).run(text="a")
    before = client.get_run("last").id
    client.compile(cached()).run(text="b")
    why = client.get_run("last").why("shouted")
    assert why.compared is not None
    assert (why.compared.run_id, why.compared.parts) == (before, ("parameters.text",))
    assert f"the parameter `text` changed since run {before}" in why.reasons[-1].text


def test_other_pipelines_share_a_result_unless_its_scope_is_the_pipeline(client: orc.Orchestrator, counted: Counted):
    for cache in (True, {"scope": "pipeline"}):
        counted.calls.clear()
        for id in ("one", "two", "two"):
            assert client.compile(cached(id, cache=cache)).run(text="a").outputs == {"it": "A"}
        assert len(counted.calls) == (1 if cache is True else 2)


def test_a_result_is_made_anew_when_it_is_older_than_its_ttl(client: orc.Orchestrator, counted: Counted):
    pipeline = client.compile(cached(cache={"ttl": "1h"}))
    pipeline.run(text="a")
    with client.backend.engine.store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE cache SET at = {time.time() - 3601}")
    pipeline.run(text="a")
    pipeline.run(text="a")
    assert counted.calls == ["a", "a"]
    assert reason(client).kind == "cached"


def test_an_own_key_counts_besides_the_call(client: orc.Orchestrator, counted: Counted):
    spec = cached(text="a", cache={"key": "{{ text }}"})
    for text in ("monday", "monday", "tuesday"):
        client.compile(spec).run(text=text)
    assert counted.calls == ["a", "a"]
    assert client.get_run("last").why("shouted").compared is not None
    assert "its `cache.key` changed since run" in reason(client).text


def test_a_file_that_changed_is_read_again(client: orc.Orchestrator, counted: Counted, tmp_path: Path):
    step = {"id": "loaded", "tool": "load", "parameters": {"path": "a.txt"}, "cache": True}
    pipeline = client.compile({"id": "files", "steps": [step], "outputs": {"it": "{{ loaded }}"}})
    for content, calls in ((None, 1), (None, 1), ("one", 2), ("one", 2), ("two", 3), ("one", 3)):
        if content is not None:
            (tmp_path / "a.txt").write_text(content)
        assert pipeline.run().outputs == {"it": content or "nothing"}
        assert len(counted.calls) == calls


def test_a_failure_and_the_value_after_it_are_not_shared(client: orc.Orchestrator, counted: Counted):
    for more in ({}, {"on_failure": {"value": "instead"}}):
        pipeline = client.compile(cached(**more))
        ended(pipeline, text="bad")
        ended(pipeline, text="bad")
    assert counted.calls == ["bad"] * 4


def test_a_call_with_a_secret_is_made_each_time_and_nothing_of_it_is_kept(client: orc.Orchestrator, counted: Counted):
    spec = cached()
    spec["inputs"]["text"]["secret"] = True
    pipeline = client.compile(spec)
    for _ in range(2):
        pipeline.run(text="hunter2")
    assert counted.calls == ["hunter2", "hunter2"]
    assert client.store_stats().cache_entries == 0
    events = list(client.get_run("last").events(follow=False))
    assert [event.data["code"] for event in events if event.type == "step.warning"] == ["ORC509"]
    assert not any("cache" in event.data for event in events)


def test_a_result_with_a_secret_in_it_is_not_kept(client: orc.Orchestrator, counted: Counted):
    spec = cached(text="hunter2")
    spec["inputs"] = {"key": {"type": "string", "secret": True}}
    pipeline = client.compile(spec)
    for _ in range(2):
        pipeline.run(key="HUNTER2")
    assert counted.calls == ["hunter2", "hunter2"]
    assert client.store_stats().cache_entries == 0


def test_what_is_not_permitted_is_not_taken_from_the_cache_either(tmp_path: Path):
    (tmp_path / "secret.txt").write_text("s")
    (tmp_path / "project").mkdir()
    step = {"id": "read", "tool": "filesystem", "action": "read", "cache": True}
    spec = {
        "id": "reader",
        "inputs": {"path": {"type": "string"}},
        "steps": [{**step, "parameters": {"path": "{{ path }}"}}],
    }
    store, path = f"sqlite:///{tmp_path}/runs.db", str(tmp_path / "secret.txt")
    allowed = orc.Permissions(tmp_path / "project").extended(paths=[tmp_path])
    with orc.Orchestrator(store=store, directory=tmp_path / "project", permissions=allowed) as client:
        client.compile(spec).run(path=path)
    with orc.Orchestrator(store=store, directory=tmp_path / "project") as client:
        result = ended(client.compile(spec), path=path)
    assert result.error is not None
    assert result.error["code"] == "ORC703"


def test_without_the_cache_nothing_is_taken_or_kept(client: orc.Orchestrator, counted: Counted):
    pipeline = client.compile(cached())
    pipeline.with_options(cache=False).run(text="a")
    assert client.store_stats().cache_entries == 0
    pipeline.run(text="a")
    pipeline.with_options(cache=False).run(text="a")
    assert counted.calls == ["a"] * 3


def test_a_refreshed_result_takes_the_place_of_the_old_one(client: orc.Orchestrator, counted: Counted):
    loop = {
        "id": "all",
        "for_each": ["a", "b"],
        "steps": [{"id": "shouted", "tool": "shout", "parameters": {"text": "{{ item }}"}, "cache": True}],
    }
    pipeline = client.compile({"id": "loops", "steps": [loop]})
    pipeline.run()
    refreshed = {"all": 2, "all.shouted": 2, "all[1]": 1, "all[0].shouted": 1}
    for path, calls in refreshed.items():
        counted.calls.clear()
        pipeline.with_options(refresh=[path]).run()
        assert len(counted.calls) == calls
    assert "(`refresh`)" in reason(client, "all[0].shouted").text
    pipeline.run()
    assert reason(client, "all[0].shouted").kind == "cached"


def test_a_step_to_refresh_must_be_there(client: orc.Orchestrator):
    with pytest.raises(orc.RunError, match="has no step `shoutd`") as caught:
        client.compile(cached()).with_options(refresh=["shoutd"])
    assert (caught.value.code, caught.value.help) == ("ORC809", "did you mean `shouted`?")


def test_a_step_to_refresh_must_share_its_results_or_have_one_within_that_does(
    client: orc.Orchestrator, tmp_path: Path
):
    def shouted(**more: Any) -> dict[str, Any]:
        return {"id": "shouted", "tool": "shout", "parameters": {"text": "x"}, **more}

    agent = {"id": "agent", "prompt": "x", "tools": ["shout"], "cache": True}
    group = {"id": "group", "steps": [shouted(cache=True), {**shouted(), "id": "unshared"}]}
    each = {**shouted(), "id": "each", "for_each": [1], "cache": True}
    tmp_path.joinpath("inner.yaml").write_text(json.dumps({"steps": [shouted(cache=True)]}))
    calls = {"id": "calls", "pipeline": "inner.yaml"}
    pipeline = client.compile(
        {"model": "ollama:llama3.2", "steps": [{**shouted(), "id": "plain"}, agent, group, each, calls]}
    )
    shared = "agent", "agent[0].answer", "group", "group.shouted", "each", "each[0]", "calls", "calls.shouted"
    pipeline.with_options(refresh=shared)
    for path in ("plain", "group.unshared"):
        with pytest.raises(orc.RunError, match=f"`{path}` of `pipeline` has no `cache`") as caught:
            pipeline.with_options(refresh=[path])
        assert caught.value.code == "ORC809"


def test_shared_results_outlive_the_run_that_made_them(client: orc.Orchestrator, counted: Counted):
    pipeline = client.compile(cached())
    pipeline.run(text="a" * 100_000)
    assert client.prune(keep=0).runs == 1
    assert pipeline.run(text="a" * 100_000).outputs == {"it": "A" * 100_000}
    assert len(counted.calls) == 1
