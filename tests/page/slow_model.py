"""A stand-in for an Ollama on this machine: it stops in the middle of an answer until a test lets it go on."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "ollama:slow"


class SlowModel:
    """A server with one model. Its answer is `before` once the test sets `begin`, then `after` once it sets `go_on`."""

    def __init__(self, before: str, after: str) -> None:
        self.before = before
        self.after = after
        self.begin = threading.Event()
        self.go_on = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, for `OLLAMA_BASE_URL`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> SlowModel:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.begin.set()
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({"object": "list", "data": [{"id": MODEL.partition(":")[2]}]})

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not request.get("stream"):
                    model.go_on.wait()
                    self._send(_answer(request, "message", model.before + model.after))
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                model.begin.wait()
                self._chunk(_answer(request, "delta", model.before))
                model.go_on.wait()
                self._chunk(_answer(request, "delta", model.after, finish="stop"))
                self.wfile.write(b"data: [DONE]\n\n")

            def _chunk(self, content: Any) -> None:
                self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
                self.wfile.flush()

            def _send(self, content: Any) -> None:
                data = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def _answer(request: Any, part: str, text: str, finish: str | None = None) -> dict[str, Any]:
    kind = "chat.completion" if part == "message" else "chat.completion.chunk"
    found: dict[str, Any] = {
        "id": "chat_1",
        "object": kind,
        "created": 1,
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                part: {"role": "assistant", "content": text},
                "finish_reason": "stop" if part == "message" else finish,
            }
        ],
    }
    if part == "message" or finish:
        found["usage"] = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
    return found
