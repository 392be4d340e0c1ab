"""A process that summarises `text.txt` in parts, and after four answers gives none any more."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator as orc
from orchestrator.models.messages import Embeddings, ModelName, ModelReply, ModelRequest, Usage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

PARTS = 8
ANSWERED = 4


class Summaries:
    """A model that answers the first `most` requests but those that it `fails`; `asked` are all that it got."""

    def __init__(self, most: int = 1000) -> None:
        self.asked: list[str] = []
        self.fails: Collection[int] = ()
        self.words = 2
        self._most = most

    async def ask(self, name: ModelName, request: ModelRequest, *, on_text: Any = None) -> ModelReply:
        self.asked.append(str(request.messages[-1].content))
        number = len(self.asked)
        if number > self._most:
            await asyncio.Event().wait()
        await asyncio.sleep(number % 4 / 100)  # not all at once
        if number in self.fails:
            raise orc.ModelUnavailable("it has no time", retryable=True)
        return ModelReply(
            " ".join(["Gist"] * (self.words - 1) + [f"{number}."]),
            usage=Usage(input=20, output=5, requests=1),
            model="said",
        )

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        self.asked.append(" ".join(texts))
        if len(self.asked) > self._most:
            await asyncio.Event().wait()
        return Embeddings(tuple((float(len(text)), 0.1) for text in texts), Usage(input=9, requests=1), str(name))

    async def aclose(self) -> None:
        pass


def pipeline(text: Path, **policies: Any) -> dict[str, Any]:
    """Write a text of eight parts, and return a pipeline that summarises it."""
    words = [" ".join(f"w{part}n{word}" for word in range(80)) for part in range(PARTS)]
    text.write_text("\n\n".join(f"{each}." for each in words))
    parameters = {"model": "ollama:m", "file": text.name, "chunk_tokens": 200}
    step = {"id": "gist", "action": "summarize", "parameters": parameters, **policies}
    outputs = {"gist": "{{ gist }}", "parts": "{{ gist.parts }}", "calls": "{{ gist.usage.requests }}"}
    return {"steps": [step], "outputs": outputs}


def main() -> None:
    """Run it in the directory that is named, and say which run it is."""
    directory = Path(sys.argv[1])
    with orc.Orchestrator(directory=directory, models=Summaries(ANSWERED)) as client:
        run = client.compile(pipeline(directory / "text.txt")).start()
        print(run.id, flush=True)
        run.result()


if __name__ == "__main__":
    main()
