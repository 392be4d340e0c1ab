"""A server continues the runs of ended servers in the order in which they were created."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orchestrator as orc
from orchestrator.server import adoption
from orchestrator.server.adoption import HOSTED, Adoption

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_oldest_runs_are_continued_first_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adoption, "_AT_ONCE", 2)
    waits = {"steps": [{"id": "nap", "sleep": "1h"}]}
    with orc.Orchestrator(directory=tmp_path) as client:
        pipeline = client.compile(waits).with_options(labels=[HOSTED])
        started = [pipeline.start().id for _ in range(7)]
    with orc.Orchestrator(directory=tmp_path) as client:
        resumed: list[str] = []
        monkeypatch.setattr(client, "check_resumable", lambda run_id: None)
        monkeypatch.setattr(client, "resume", lambda run_id, by: resumed.append(run_id))
        service: Any = SimpleNamespace(
            orchestrator=client, draining=threading.Event(), is_full=lambda: False, has_full_line=lambda _: False
        )
        assert Adoption(service).look() == 7
    assert resumed == started
