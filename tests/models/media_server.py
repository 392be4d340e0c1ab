"""A server on the loopback that makes pictures and audio in the forms that OpenAI and Google document."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from orchestrator.models.media import PIXEL, wave_file

PATIENCE = 300.0
SPEECH = wave_file(b"\1\0" * 16_000, 16_000)
JPEG = b"\xff\xd8\xff\xe0 a picture"


@dataclass
class MediaServer:
    """What it was asked is in `asked`: the path, the fields, and files as bytes. `answers` replace its own, in order.

    An answer is a status with JSON data or bytes; with `held`, no answer is given until the end.
    """

    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    held: bool = False

    def __enter__(self) -> Self:
        self.arrived = threading.Event()
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fields = _fields(self.headers["content-type"], body)
                server.asked.append((self.path, fields))
                server.keys.append(self.headers.get("authorization") or self.headers.get("x-goog-api-key") or "")
                server.arrived.set()
                if server.held:
                    server.released.wait(PATIENCE)
                status, answer = server.answers.pop(0) if server.answers else (200, _answer(self.path, fields))
                kind = "audio/wav" if isinstance(answer, bytes) else "application/json"
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def settings(self) -> str:
        """Return the settings of a project in which it is the server `lab` (OpenAI's form) and `gem` (Google's)."""
        return (
            f'[servers.lab]\nbase_url = "{self.url}/v1"\nkind = "openai"\napi_key_env = "LAB_KEY"\n'
            f'[servers.gem]\nbase_url = "{self.url}"\nkind = "google"\napi_key_env = "LAB_KEY"\n'
        )


def _fields(kind: str, body: bytes) -> dict[str, Any]:
    if not kind.startswith("multipart/"):
        return json.loads(body)
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=policy.HTTP)
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if part.get_filename() is None:
            found[name] = content.decode()
        else:
            found.setdefault(name, []).append((part.get_filename(), part.get_content_type(), content))
    return found


def _answer(path: str, fields: dict[str, Any]) -> Any:
    picture = base64.b64encode(PIXEL).decode()
    if path.endswith(("/images/generations", "/images/edits")):
        return {
            "data": [{"b64_json": picture, "revised_prompt": "a better one"}] * int(fields.get("n", 1)),
            "usage": {"input_tokens": 10, "output_tokens": 1_056},
        }
    if path.endswith("/audio/transcriptions"):
        segments = [{"id": 0, "start": 0.0, "end": 1.5, "text": " Good morning. "}]
        return {"text": " Good morning. ", "language": "english", "duration": 90.0, "segments": segments}
    if path.endswith("/audio/speech"):
        return SPEECH
    wanted = fields["generationConfig"].get("responseModalities", ["TEXT"])
    if wanted == ["AUDIO"]:
        samples = base64.b64encode(b"\1\0" * 24_000).decode()
        part: Any = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": samples}}
    elif "IMAGE" in wanted:
        part = {"inlineData": {"mimeType": "image/png", "data": picture}}
    else:
        part = {"text": "Good morning.\n"}
    return {
        "candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1_290},
    }
