"""The cost of model calls for this process, compared with the provider's library and with bare HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROMPT = "What is the capital of France? " * 20
BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": PROMPT}],
    "temperature": 0.5,
    "max_tokens": 100,
}
Call = Callable[[], Awaitable[str]]


@contextmanager
def server() -> Iterator[str]:
    """Run a server that answers like a model, in a separate process, and return its address."""
    command = [sys.executable, str(Path(__file__).with_name("model_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def bare(url: str) -> Call:
    """Call the model by bare HTTP."""
    import httpx2

    client = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None))

    async def call() -> str:
        response = await client.post(f"{url}/chat/completions", json=BODY)
        text: str = response.json()["choices"][0]["message"]["content"]
        return text

    return call


def library(url: str) -> Call:
    """Call the model with OpenAI's library."""
    import openai

    client = openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0)

    async def call() -> str:
        return (await client.chat.completions.create(**BODY)).choices[0].message.content or ""

    return call


def library_streamed(url: str) -> Call:
    """Stream answers with OpenAI's library, without pauses."""
    import openai

    client = openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0)
    body = {**BODY, "model": "fast", "stream": True, "stream_options": {"include_usage": True}}

    async def call() -> str:
        stream = await client.chat.completions.create(**body)
        return "".join([part.choices[0].delta.content or "" async for part in stream if part.choices])

    return call


def ours(url: str, on_text: Callable[[str], None] | None = None, model: str = "m") -> Call:
    """Call the model with this project's client."""
    from orchestrator.models.catalog.providers import PROVIDERS
    from orchestrator.models.clients import Endpoint, ProviderClient
    from orchestrator.models.messages import Message, ModelName, ModelRequest

    client = ProviderClient(lambda _: Endpoint(PROVIDERS["vllm"], url))
    name = ModelName("vllm", model)

    async def call() -> str:
        request = ModelRequest((Message("user", PROMPT),), system="Be short.", temperature=0.5, max_tokens=100)
        return (await client.ask(name, request, on_text=on_text)).text

    return call


def streamed(url: str) -> Call:
    """Stream answers with this project's client."""
    return ours(url, lambda _: None)


def streamed_fast(url: str) -> Call:
    """Stream answers with this project's client, without pauses."""
    return ours(url, lambda _: None, "fast")


def asking(contender: Callable[[str], Call], at_once: int) -> Callable[[Any, Path, Any], dict[str, Any]]:
    """Return a function that measures a number of calls, `at_once` in parallel, after the same number to warm up."""

    async def calls(call: Call, count: int) -> int:
        left = iter(range(count))
        good = 0

        async def worker() -> None:
            nonlocal good
            for _ in left:
                text = await call()
                good += text.startswith("word")

        await asyncio.gather(*(worker() for _ in range(at_once)))
        return good

    def run(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
        async def main(url: str) -> int:
            call = contender(url)
            await calls(call, min(work.count, 2 * at_once if at_once <= 100 else 20))
            clock.start()
            good = await calls(call, work.count)
            clock.stop()
            return good

        with server() as url:
            return {"stored": asyncio.run(main(url))}

    return run


def first(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Measure the first call of a process, which loads the libraries."""

    async def main(url: str) -> int:
        clock.start()
        text = await ours(url)()
        clock.stop()
        return text.startswith("word")

    with server() as url:
        return {"stored": int(asyncio.run(main(url)))}


def steps(at_once: int) -> Callable[[Any, Path, Any], dict[str, Any]]:
    """Return a function that measures whole model steps of a run, with selection, limits and recording."""

    def run(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
        with server() as url, _client(directory, url) as client:
            say = {"id": "say", "prompt": PROMPT, "system": "Be short.", "temperature": 0.5, "max_tokens": 100}
            each = {"id": "each", "for_each": "{{ range(n) | list }}", "max_parallel": at_once, "steps": [say]}
            asking: dict[str, Any] = {
                "id": "asking",
                "model": "bench:fast",
                "inputs": {"n": {"type": "integer"}},
                "steps": [each],
            }
            pipeline = client.compile(asking)
            pipeline.run(n=min(work.count, 2 * at_once))
            clock.start()
            result = pipeline.run(n=work.count)
            clock.stop()
            return {"stored": result.usage.requests}

    return run


def first_step(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Measure the first run with a model step of a process, after a run without one."""
    with server() as url, _client(directory, url) as client:
        client.compile({"id": "plain", "steps": [{"id": "n", "tool": "noop"}]}).run()
        pipeline = client.compile({"id": "asking", "model": "bench:fast", "steps": [{"id": "say", "prompt": PROMPT}]})
        clock.start()
        result = pipeline.run()
        clock.stop()
        return {"stored": result.usage.requests}


def _client(directory: Path, url: str) -> Any:
    from own import noop

    import orchestrator as orc

    (directory / "orchestrator.toml").write_text(f'[servers.bench]\nbase_url = "{url}"\n', encoding="utf-8")
    return orc.Orchestrator(store=f"sqlite:///{directory / 'runs.db'}", tools=[noop], directory=directory)


WORK = (
    ("bare httpx2", bare, 1),
    ("OpenAI's library", library, 1),
    ("orchestrator", ours, 1),
    ("bare httpx2", bare, 100),
    ("OpenAI's library", library, 100),
    ("orchestrator", ours, 100),
)
"""The contenders, and the number of parallel calls."""

STREAMS = (("OpenAI's library", library_streamed), ("orchestrator", streamed_fast))
"""The contenders for sequential answers of 20 chunks without pauses."""
