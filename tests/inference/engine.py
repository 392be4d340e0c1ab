"""A running llama-server: a process of its own, asked over HTTP like any other server of a person's own."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import httpx2

from tests.inference.build_server import server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 60.0
"""Seconds after which what has not come about is taken not to come."""


class Engine:
    """A llama-server on a free port of this machine, with two places to answer in."""

    def __init__(self, model: Path, *options: str) -> None:
        command = [str(server()), "--model", str(model), "--alias", "tiny", "--host", "127.0.0.1", "--port", "0"]
        command += ["--threads", "1", "--parallel", "2", "--ctx-size", "65536", "--slots", "--metrics", "--no-warmup"]
        self._process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._said: list[str] = []
        self._port = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def __enter__(self) -> Self:
        assert self._port.wait(PATIENCE), "".join(self._said)
        assert self.url, "".join(self._said)
        until(lambda: self._get("/health").status_code == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def base_url(self) -> str:
        """Where it speaks OpenAI's protocol."""
        return f"{self.url}/v1"

    def kill(self) -> None:
        """End it at once (SIGKILL), whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def busy(self) -> int:
        """Return how many answers it is giving at this moment."""
        slots: list[dict[str, Any]] = self._get("/slots").json()
        return sum(bool(slot["is_processing"]) for slot in slots)

    def written(self) -> int:
        """Return how many tokens it has written so far, in answers that have ended."""
        found = re.search(r"^llamacpp:tokens_predicted_total (\d+)$", self._get("/metrics").text, re.MULTILINE)
        assert found is not None
        return int(found[1])

    def _get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=PATIENCE)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._said.append(line)
                if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)) and not self.url:
                    self.url = found[0]
                    self._port.set()
        self._port.set()


def until(true: Callable[[], bool]) -> None:
    """Look again and again until something is true; fail if it does not come true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)
