"""The ModelClient for weights in a folder (`transformers:./folder`): they are run in this process, by a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import ModelError, ModelMissing, ModelRejected, ModelUnavailable
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients.endpoints import missing_extra
from orchestrator.models.messages import ModelReply, Usage
from orchestrator.models.output.texts import json_in
from orchestrator.remedies import ListModels
from orchestrator.text.content import path_kind
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.models.clients.weights import GeneratedTokens, Weights
    from orchestrator.models.messages import Embeddings, ModelName, ModelRequest
    from orchestrator.remedies import Remedy


class LocalClient:
    """Asks weights in folders, which are named relative to `directory`. They are loaded by the first call, and stay.

    One answer is generated at a time. A cancelled call ends at the next token. Generation is not constrained by a
    schema: the schema is part of the prompt, and the answer is checked afterwards.
    """

    def __init__(self, directory: Path = Path()) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, "orchestrator-weights")
        self._loaded: dict[Path, Weights] = {}
        self._asked: set[threading.Event] = set()

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the answer to one request; see `orchestrator.models.messages.ModelClient`."""
        if request.tools:
            raise _rejected(name, "it cannot call tools", "name a model that can", ListModels("tools"))
        folder = self._folder(name)
        began = time.perf_counter()
        ended = threading.Event()
        self._asked.add(ended)
        try:
            async with asyncio.timeout(request.timeout):
                generated = await self._generated(name, folder, request, on_text, ended)
        except TimeoutError:
            raise ModelUnavailable(
                f"`{name}` did not answer within {request.timeout:g} s",
                provider=name.provider,
                model=name.model,
                help="give the step a longer `timeout`, ask for less with `max_tokens`, or use a smaller model",
            ) from None
        finally:
            ended.set()
            self._asked.discard(ended)
        return _reply(generated, name, request, time.perf_counter() - began)

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Refuse: how the weights in a folder make a vector of a text differs from model to model.

        Raises:
            ModelMissing: Always.
        """
        raise ModelMissing(
            f"`{name}` does not create embeddings here",
            provider=name.provider,
            model=name.model,
            help="serve it by Ollama, llama.cpp or vLLM, or name a model of a provider, such as "
            "`openai:text-embedding-3-small`",
        )

    async def aclose(self) -> None:
        """End all work, and forget the weights."""
        for ended in self._asked:
            ended.set()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loaded.clear()

    def _folder(self, name: ModelName) -> Path:
        folder = (self._directory / Path(name.model).expanduser()).resolve()
        if path_kind(folder / "config.json") != "file":
            what = "has no `config.json`" if path_kind(folder) == "directory" else "is not a directory"
            raise _missing(name, f"`{folder}` {what}")
        if (missing := missing_extra(PROVIDERS["transformers"])) is not None:
            raise missing
        return folder

    async def _generated(
        self,
        name: ModelName,
        folder: Path,
        request: ModelRequest,
        on_text: Callable[[str], None] | None,
        ended: threading.Event,
    ) -> GeneratedTokens:
        """Run the generation in a thread, and pass its text to the listener here."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def say(piece: str) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:  # the loop has ended meanwhile
                ended.set()

        work = loop.run_in_executor(
            self._thread, self._work, name, folder, request, None if on_text is None else say, ended
        )
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                if on_text is not None:
                    on_text(piece)
            return await work
        finally:
            work.cancel()

    def _work(
        self,
        name: ModelName,
        folder: Path,
        request: ModelRequest,
        say: Callable[[str], None] | None,
        ended: threading.Event,
    ) -> GeneratedTokens:
        """Load the weights if need be, and let them answer; in the thread."""
        from orchestrator.models.clients import weights

        if folder not in self._loaded:
            try:
                self._loaded[folder] = weights.load(folder)
            except Exception as error:
                raise _missing(
                    name, f"the weights in `{folder}` cannot be loaded: {shorten(str(error), 200)}"
                ) from error
        try:
            return weights.generate(self._loaded[folder], request, say, ended)
        except weights.TooLong as error:
            raise _rejected(
                name,
                f"its limit is {error.most:,} tokens, and the request has {error.tokens:,}",
                "shorten the input, summarize it first, or use a model with a larger context window",
            ) from None
        except weights.CannotRead as error:
            raise _rejected(
                name, f"it reads text, but not {error.media_type}", "name a model with `vision`, or leave the file out"
            ) from None
        except Exception as error:
            said = f"the weights of `{name}` failed: {type(error).__name__}: {shorten(str(error), 200)}"
            raise ModelError(said, provider=name.provider, model=name.model, retryable=False) from error


def _reply(generated: GeneratedTokens, name: ModelName, request: ModelRequest, latency: float) -> ModelReply:
    usage = Usage(input=generated.read, output=generated.written, requests=1)
    ignored = () if request.effort is None else ("effort",)
    reply = ModelReply(
        generated.text,
        usage=usage,
        finish=generated.finish,
        model=Path(name.model).name,
        latency=latency,
        ignored=ignored,
    )
    if request.schema is None:
        return reply
    data = json_in(generated.text, name, reply, request)
    return replace(reply, data=data)


def _missing(name: ModelName, reason: str) -> ModelMissing:
    return ModelMissing(
        f"`{name}` cannot be called: {reason}",
        provider=name.provider,
        model=name.model,
        help="name a directory that `save_pretrained` of transformers wrote: `config.json`, `tokenizer.json` and "
        "weights in `*.safetensors`; a relative path starts at orchestrator.toml",
    )


def _rejected(name: ModelName, reason: str, help: str, *remedies: Remedy) -> ModelRejected:
    message = f"`{name}` rejected the request: {reason}"
    return ModelRejected(message, provider=name.provider, model=name.model, help=help, remedies=remedies)
