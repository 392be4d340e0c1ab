"""Calls of tools for what must not happen twice: what interrupts one does not repeat it."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.tools.functions.threads import run_in_thread
from tests.runtime.support import PATIENCE, ended

if TYPE_CHECKING:
    from pathlib import Path


class Post:
    """A tool that sends a letter; while the post office is closed, nothing is known of it."""

    def __init__(self) -> None:
        self.letters = 0
        self.arrived = threading.Event()
        self.open = threading.Event()

    def tool(self) -> Any:
        @orc.tool(effects="once")
        async def post() -> int:
            self.letters += 1
            self.arrived.set()
            await run_in_thread(partial(self.open.wait, PATIENCE))
            return self.letters

        return post


@pytest.fixture
def post() -> Post:
    return Post()


def client_of(post: Post, directory: Path) -> orc.Orchestrator:
    return orc.Orchestrator(directory=directory, tools=[post.tool()])


def letter(**more: Any) -> dict[str, Any]:
    return {"id": "letters", "steps": [{"id": "sent", "tool": "post", **more}]}


def test_a_call_that_a_shutdown_interrupts_is_not_repeated(tmp_path: Path, post: Post) -> None:
    with client_of(post, tmp_path) as client:
        run = client.compile(letter()).start()
        assert post.arrived.wait(PATIENCE)
    post.open.set()
    with client_of(post, tmp_path) as client:
        result = client.resume(run.id).wait(timeout=PATIENCE)
        assert result.state == "failed"
        assert result.error["code"] == "ORC716"
        assert post.letters == 1
        assert client.retry(run.id, "sent").wait(timeout=PATIENCE).state == "succeeded"


@pytest.mark.parametrize("on_resume", ["rerun", "ask"])
def test_a_step_can_decide_otherwise(tmp_path: Path, post: Post, on_resume: str) -> None:
    with client_of(post, tmp_path) as client:
        run = client.compile(letter(on_resume=on_resume)).start()
        assert post.arrived.wait(PATIENCE)
    post.open.set()
    with client_of(post, tmp_path) as client:
        resumed = client.resume(run.id)
        if on_resume == "ask":
            assert resumed.wait(timeout=PATIENCE).state == "waiting"
            assert post.letters == 1
            resumed.answer("sent", True)
        assert resumed.wait(timeout=PATIENCE).state == "succeeded"
        assert post.letters == 2


def test_a_call_that_took_too_long_is_not_repeated(tmp_path: Path, post: Post) -> None:
    with client_of(post, tmp_path) as client:
        result = ended(client.compile(letter(timeout=0.1, retry=3)))
        assert (result.state, result.error["code"]) == ("failed", "ORC702")
    assert post.letters <= 1


def test_a_pause_lets_a_call_end(tmp_path: Path, post: Post) -> None:
    with client_of(post, tmp_path) as client:
        run = client.compile(letter()).start()
        assert post.arrived.wait(PATIENCE)
        run.pause(now=True)
        post.open.set()
        run.resume()
        assert run.wait(timeout=PATIENCE).state == "succeeded"
    assert post.letters == 1
