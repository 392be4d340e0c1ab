"""A store that is away in the middle of a run: the run goes on if it comes back in time, and rests if it does not."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.journal import retry
from tests.postgres import NoPostgres, Server
from tests.runtime.support import PATIENCE, Bench, pipeline, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

THREE = pipeline(
    step("a"),
    step("b", "gate", "a"),
    {"id": "c", "for_each": [1, 2, 3], "steps": [step("i", value="{{ item }}")], "dependencies": ["b"]},
    outputs={"c": "{{ c }}"},
)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A PostgreSQL that may be stopped: others do not use it."""
    try:
        server = Server()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as the journal has failed to write."""
    from orchestrator.journal.store.batch_insert import Appender

    failed, append = threading.Event(), Appender.append

    def watched(self: Appender, *args: object, **kwargs: object) -> object:
        try:
            return append(self, *args, **kwargs)  # type: ignore[arg-type]
        except orc.StoreUnavailable:
            failed.set()
            raise

    monkeypatch.setattr(Appender, "append", watched)
    return failed


def lock(file: Path) -> Callable[[], None]:
    """Lock a store as another program does; return what ends that."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def unlock() -> None:
        other.execute("ROLLBACK")
        other.close()

    return unlock


def test_a_run_goes_on_when_a_locked_store_is_free_again(
    bench: Bench, tmp_path: Path, refused: threading.Event
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db?timeout=0.01"
    with orc.Orchestrator(directory=tmp_path, store=url, tools=bench.tools()) as client:
        run = client.compile(THREE).start()
        bench.wait_for("b")
        unlock = lock(tmp_path / "runs.db")
        bench.open("b")
        assert refused.wait(PATIENCE)
        assert bench.calls == ["a", "b"]
        unlock()
        assert run.result(timeout=PATIENCE).outputs == {"c": [1, 2, 3]}
    assert bench.calls == ["a", "b", "c[0].i", "c[1].i", "c[2].i"]


def test_a_store_that_stays_locked_ends_the_work_and_the_run_rests(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "LOCK_PATIENCE", -1000.0)
    url = f"sqlite:///{tmp_path}/runs.db?timeout=0.01"
    with orc.Orchestrator(directory=tmp_path, store=url, tools=bench.tools()) as client:
        run = client.compile(pipeline(step("a"), step("b", "gate", "a"), step("c", "echo", "b"))).start()
        bench.wait_for("b")
        unlock = lock(tmp_path / "runs.db")
        bench.open("b")
        with pytest.raises(orc.StoreUnavailable) as caught:
            run.result()
        assert caught.value.code == "ORC812"
        assert "c" not in bench.calls
        unlock()
        # What had succeeded is written as soon as it can be, and the run is free again.
        next(event for event in run.events() if (event.type, event.path) == ("step.succeeded", "b"))
        assert run.wait(timeout=PATIENCE).state == "interrupted"
        assert client.resume(run.id).result().state == "succeeded"
    assert bench.calls == ["a", "b", "c"]


def test_a_run_goes_on_after_its_connections_were_cut(bench: Bench, tmp_path: Path, own_server: Server) -> None:
    url = f"{own_server.url}&schema=cut"
    with orc.Orchestrator(directory=tmp_path, store=url, tools=bench.tools()) as client:
        run = client.compile(THREE).start()
        bench.wait_for("b")
        own_server.cut()
        bench.open("b")
        assert run.result(timeout=PATIENCE).outputs == {"c": [1, 2, 3]}
    assert bench.calls == ["a", "b", "c[0].i", "c[1].i", "c[2].i"]


def test_a_run_goes_on_when_its_server_is_there_again(
    bench: Bench, tmp_path: Path, own_server: Server, refused: threading.Event
) -> None:
    url = f"{own_server.url}&schema=restart"
    with orc.Orchestrator(directory=tmp_path, store=url, tools=bench.tools()) as client:
        run = client.compile(THREE).start()
        bench.wait_for("b")
        own_server.halt()
        bench.open("b")
        assert refused.wait(PATIENCE)
        own_server.start()
        assert run.result(timeout=PATIENCE).outputs == {"c": [1, 2, 3]}
    assert bench.calls == ["a", "b", "c[0].i", "c[1].i", "c[2].i"]


def test_a_server_that_stays_away_ends_the_work_and_the_run_rests(
    bench: Bench, tmp_path: Path, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{own_server.url}&schema=away"
    with orc.Orchestrator(directory=tmp_path, store=url, tools=bench.tools()) as client:
        run = client.compile(pipeline(step("a"), step("b", "hang", "a"))).start()
        bench.wait_for("b")
        execution = client.backend.engine.execution(run.id)
        assert execution is not None
        own_server.halt()
        try:
            execution.journal.held_until = 0.0  # as if it had been away for the length of a lease
            with pytest.raises(orc.StoreUnavailable) as caught:
                execution.resting.result(PATIENCE)
            assert caught.value.code == "ORC811"
            assert bench.stopped["b"].wait(PATIENCE)
        finally:
            own_server.start()
        assert client.get_run(run.id).wait(timeout=PATIENCE).state == "interrupted"


@pytest.mark.parametrize("removed", ["store", "directory", "log", "replaced"])
def test_a_run_whose_store_is_removed_does_not_succeed(bench: Bench, tmp_path: Path, removed: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    file = home / "runs.db"
    client = orc.Orchestrator(directory=tmp_path, store=f"sqlite:///{file}", tools=bench.tools())
    run = client.compile(THREE).start()
    bench.wait_for("b")
    match removed:
        case "directory":
            shutil.rmtree(home)
        case "log":
            (home / "runs.db-wal").unlink()
        case "replaced":
            (home / "other.db").touch()
            (home / "other.db").replace(file)
        case _:
            file.unlink()
    bench.open("b")
    with pytest.raises(orc.StoreUnavailable, match="was removed or replaced while it was in use") as caught:
        run.result(timeout=PATIENCE)
    assert caught.value.code == "ORC811"
    assert "c[0].i" not in bench.calls
    with pytest.raises(orc.StoreUnavailable):
        client.close()
