"""An MCP server without an SDK. The name of each tool tells how it answers: mostly badly."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TOOLS = ["own_error", "cut", "shape", "null_id", "noise", "latin", "pid"]


def write(line: str | bytes) -> None:
    sys.stdout.buffer.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    sys.stdout.buffer.flush()


def answer(request: dict[str, Any], result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def error(identity: Any, code: int, message: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}})


def call(request: dict[str, Any]) -> None:
    whole = answer(request, text("fine"))
    match request["params"]["name"]:
        case "own_error":
            write(error(request["id"], -32000, "the quota is used up"))
        case "cut":
            write(whole[:-20])
        case "shape":
            write(answer(request, ["not", "an", "object"]))
        case "null_id":
            write(error(None, -32700, "I could not read that"))
        case "noise":
            write("Listening for requests ...")
            write("")
            write(whole)
        case "latin":
            write(whole.replace("fine", "caf\\u00e9").encode().replace(b"\\u00e9", b"\xe9"))
        case _:
            write(answer(request, text(str(os.getpid()))))


def serve(how: str) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        match request.get("method"):
            case "initialize" if how == "unreadable":
                write(answer(request, {"cut": True})[:-9])
            case "initialize":
                version = request["params"]["protocolVersion"]
                info = {"name": "rude", "version": "1"}
                write(answer(request, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}))
            case "tools/list":
                write(answer(request, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}))
            case "tools/call":
                call(request)
            case _ if "id" in request:
                write(error(request["id"], -32601, "method not found"))


if __name__ == "__main__":
    Path("pid").write_text(str(os.getpid()))
    if sys.argv[1] == "deaf":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        write("Welcome!")
        while True:
            time.sleep(60)
    serve(sys.argv[1])
