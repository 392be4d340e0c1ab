"""Makes the recordings of the examples without a key: the answers are part of the repository.

    python examples/recordings/scripted.py [EXAMPLE ...]

Each example is really run and recorded, as by `orchestrator run --record`, but the answers come from `answers.py`
instead of a model. README.md describes how to record the answers of models.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import answers
from msgspec.structs import replace

import orchestrator as orc
from orchestrator.models.calls.token_estimate import prompt_tokens
from orchestrator.models.messages import ModelName, Usage
from orchestrator.models.recordings.clients import remove_others
from orchestrator.testing import FakeModel, RecordingClient
from orchestrator.text.tokens import tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.models.messages import Embeddings
    from orchestrator.testing import ModelReply

EXAMPLES = Path(__file__).parents[1]


class Scripted(FakeModel):
    """Answers what is written, and reckons tokens as budgets do."""

    async def ask(self, name: ModelName, request: Any, *, on_text: Callable[[str], None] | None = None) -> ModelReply:
        """Answer as scripted."""
        reply = await super().ask(name, request, on_text=on_text)
        said = reply.text + "".join(str(dict(each.arguments)) for each in reply.requests)
        usage = Usage(prompt_tokens(request), tokens_of(said), requests=1)
        return replace(reply, usage=usage, model=name.model, latency=round(0.4 + usage.output / 80, 2))

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return vectors in which texts are near to each other that share words."""
        vectors = await FakeModel().embed(name, texts)
        usage = Usage(input=sum(map(tokens_of, texts)), requests=1)
        return replace(vectors, usage=usage, model=name.model)


class Recorder(RecordingClient):
    """Records answers that need no keys."""

    needs_keys = False


def record(name: str) -> None:
    """Record all runs of one example again."""
    directory = EXAMPLES / "recordings" / name
    for kept in (EXAMPLES.parent / ".orchestrator").glob("vectors.db*"):
        kept.unlink()  # what is there already would not be embedded, and so not recorded
    written: set[str] = set()
    for run in answers.RUNS[name]:
        recorder = Recorder(Scripted(run["answers"], otherwise="fail"), directory)
        with (
            tempfile.TemporaryDirectory() as store,
            orc.Orchestrator(
                store=f"sqlite:///{store}/runs.db",
                tools=[str(EXAMPLES / "tools.py")],
                directory=EXAMPLES.parent,
                models=recorder,
            ) as client,
        ):
            started = client.compile(f"examples/{name}.yaml").start(run.get("inputs", {}))
            if started.wait().state == "waiting":
                started.cancel()  # whatever a person answers, no model is asked after it
                started.wait()
            else:
                result = started.result()
                print(f"{name}: {result.state}, ${result.cost or 0:.4f}, {result.outputs}")
        written |= recorder.written
    remove_others(directory, written)


if __name__ == "__main__":
    for example in sys.argv[1:] or answers.RUNS:
        record(example)
