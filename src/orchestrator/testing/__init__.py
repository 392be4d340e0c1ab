"""Tests of pipelines without model costs: scripted models, recordings, and `*.test.yaml` files.

from orchestrator.testing import FakeModel, replay

with orc.Orchestrator(models=FakeModel({"draft": "A draft."})) as client:
result = client.compile("report.yaml").run(topic="the sun")
"""

from orchestrator.models.clients.fake import Asked, FakeModel
from orchestrator.models.messages import ModelReply, ToolRequest
from orchestrator.models.recordings.clients import RecordingClient, ReplayClient
from orchestrator.testing.case import Case
from orchestrator.testing.files import CaseFile
from orchestrator.testing.recordings import record, replay
from orchestrator.testing.runner import Outcome, Setting, load, run_case, run_cases

__all__ = [
    "Asked",
    "Case",
    "CaseFile",
    "FakeModel",
    "ModelReply",
    "Outcome",
    "RecordingClient",
    "ReplayClient",
    "Setting",
    "ToolRequest",
    "load",
    "record",
    "replay",
    "run_case",
    "run_cases",
]
