"""A stand-in for an Ollama on this machine: a real server that answers as it is scripted, else with a sample."""

import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orchestrator.models.clients.schema_sample import sample_of

MODEL = "ollama:llama3.2"


class Ollama:
    """A server with one model. `answers`: texts or JSON data, by regular expressions that are searched in a request.

    An answer that is a list is given piece by piece: its first item for the first request, the last one ever after.
    """

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.requests: list[dict[str, Any]] = []
        self._given: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which it is found."""
        return {"OLLAMA_BASE_URL": f"http://127.0.0.1:{self._server.server_port}/v1"}

    def __enter__(self) -> "Ollama":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a chat completion."""
        self.requests.append(request)
        text = "\n\n".join(_text(message.get("content")) for message in request["messages"])
        answer = self._answer(text, request)
        content = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(content.split())}
        return {
            "id": "chat_1",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {**usage, "total_tokens": sum(usage.values())},
        }

    def _answer(self, text: str, request: dict[str, Any]) -> Any:
        for pattern, answer in self.answers.items():
            if re.search(pattern, text, re.DOTALL):
                number = self._given.get(pattern, 0)
                self._given[pattern] = number + 1
                return answer[min(number, len(answer) - 1)] if isinstance(answer, list) else answer
        form = (request.get("response_format") or {}).get("json_schema")
        if form is not None:
            return sample_of(form["schema"])
        said = _text(request["messages"][-1].get("content")).split()
        return f"An answer to: {' '.join(said[:12])}{' …' if len(said) > 12 else ''}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ollama = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send({"object": "list", "data": [{"id": MODEL.partition(":")[2]}]})

            def do_POST(self) -> None:
                self._send(ollama.reply(json.loads(self.rfile.read(int(self.headers["content-length"])))))

            def _send(self, data: Any) -> None:
                body = json.dumps(data).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(part.get("text", "") for part in content or ())
