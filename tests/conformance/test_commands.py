"""Runs the console sessions below `commands/`: what each code looks like at a terminal.

A session is a text file: each line that begins with `$ ` is a command, what stands below it is all that it prints,
and a line that begins with `# ` is a remark. `CASE.files/` lies in the session's empty directory. The commands run
within this process, by the same functions that the installed command calls, but for those of `PROGRAMS`; `run
--detach` starts a process as ever.
"""

import argparse
import io
import json
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from msgspec.structs import replace
from pytest_httpserver import HTTPServer

from orchestrator.api import control
from orchestrator.cli.app import run_command
from orchestrator.config.project_file import ProjectFile
from orchestrator.config.tables.serve import ServeSection
from orchestrator.diagnostics import CODES
from orchestrator.journal.store.submissions import Submissions
from orchestrator.runtime.host import assignment, batches
from orchestrator.server.access.tokens import add_token
from tests.models.adapter.dialects import DIALECTS
from tests.models.adapter.wire import Answer
from tests.server.support import serving

HERE = Path(__file__).parent
UPDATE = bool(os.environ.get("UPDATE_CONFORMANCE"))
SESSIONS = sorted((HERE / "commands").glob("*/*.txt"))

UNSHOWN = {"ORC999"}
"""Codes that no command is known to show: a known mistake of ours is mended, not documented."""

Seams = dict[str, Callable[[pytest.MonkeyPatch], None]]


# --- what differs from run to run, and what stands for it

RUN_ID = re.compile(r"\b1[0-9a-hjkmnp-tv-z]{19}\b")
RUN_IDS = ("1kfm3v9rtq8d05xw2h7c", "1kfm3zc4a6pe9nyb81sg")


class Normal:
    """Puts what the reader may expect in the place of what differs: ids, paths, times, durations, processes."""

    def __init__(self, directory: Path) -> None:
        self._ids: dict[str, str] = {}
        self._texts = [
            (re.escape(str(directory)), "/home/ada/project"),
            (re.escape(str(directory.parent)), "/home/ada"),
            (r"http://(localhost|127\.0\.0\.1):\d+/v1\b", "https://api.openai.com/v1"),
            (rf"process \d+ on {re.escape(socket.gethostname())}", "process 4711 on laptop"),
            (rf"\b{re.escape(socket.gethostname())}:\d+", "laptop:4711"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-03-14 09:26:53"),
            (r"\b(succeeded in|failed in|elapsed  ) (\d+\.\d+) s", r"\1 0.01 s"),
            (r"; \d+\.\d+ s, \S+ rows/s", "; 0.02 s, 100 rows/s"),
            (r"(?<=  )\d+\.\d\d s(?=  )", "0.01 s"),
            (r"(succeeded +100%  \S+ \S+) +\d+\.\d+ s", r"\1  0.01 s"),
        ]

    def __call__(self, text: str) -> str:
        for pattern, replacement in self._texts:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        return RUN_ID.sub(lambda found: self._ids.setdefault(found[0], RUN_IDS[len(self._ids)]), text)


# --- what a session needs that no command can bring about


def draw_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "new_run_id", lambda: RUN_IDS[0])


def draw_a_known_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "new_run_id", lambda: RUN_IDS[0])


def hide_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)


def count_takeovers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if six workers had ended with each run."""
    claim = Submissions.claim
    taken_over = lambda *given, **more: [replace(each, takeovers=6) for each in claim(*given, **more)]  # noqa: E731
    monkeypatch.setattr(Submissions, "claim", taken_over)


SEAMS: Seams = {
    "ORC802/two_runs_with_one_id": draw_the_same_id,
    "ORC817/other_rows_than_before": draw_a_known_batch,
    "ORC922/a_question_for_others": draw_the_same_id,
    "ORC822/a_step_that_ends_its_workers": count_takeovers,
    "ORC901/a_store_without_its_driver": hide_the_driver,
}


PROGRAMS = {"ORC814/no_room_for_the_next_event": HERE / "small_disk.py"}
"""What runs the commands of a session that needs processes of its own."""


# --- what a provider of models says, over a real socket


OPENAI = DIALECTS["openai-chat"]


def asking_for(tool: str, **arguments: str) -> Answer:
    """What OpenAI streams when its model asks for a tool."""
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    asked = {"index": 0, "delta": {"role": "assistant", "tool_calls": [{"index": 0, **call}]}, "finish_reason": None}
    pieces = [asked, {"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    head: dict[str, Any] = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-mini"}
    head["usage"] = {"prompt_tokens": 120, "completion_tokens": 24, "total_tokens": 144}
    lines = [f"data: {json.dumps({**head, 'choices': [piece]})}\n\n" for piece in pieces]
    return Answer("".join([*lines, "data: [DONE]\n\n"]).encode(), kind="text/event-stream")


def in_pieces(*pieces: bytes) -> Answer:
    return Answer(b"".join(pieces), kind=OPENAI.kind)


PROVIDERS_SAY: dict[str, Answer] = {
    "ORC721/an_answer_that_is_none": in_pieces(b'data: {"answer": "Solar cells turn li\n\n'),
    "ORC722/too_many_requests": OPENAI.failure(429, "Rate limit reached for gpt-5-mini: 500 requests per minute"),
    "ORC723/a_provider_that_is_overloaded": OPENAI.failure(503, "The server is overloaded, please try again later"),
    "ORC724/a_refusal": in_pieces(
        *(piece.replace(b'"content"', b'"refusal"') for piece in OPENAI.pieces(("I cannot help with that.",)))
    ),
    "ORC725/a_key_that_is_wrong": OPENAI.failure(401, "Incorrect API key provided"),
    "ORC726/no_json": in_pieces(*OPENAI.pieces(("I would give it ", "an eight."))),
    "ORC727/a_budget_that_is_too_small": Answer(status=404),
    "ORC728/a_name_that_means_nothing": Answer(status=404),
    "ORC729/an_answer_that_says_too_little": in_pieces(*OPENAI.pieces(("Dear Sir or Madam, where is it?",))),
    "ORC733/an_event_without_an_end": in_pieces(*[b"data: x\n" * 1_000] * 9),
    "ORC732/no_answer_in_all_turns": asking_for("text_split", text="Saint-Malo: 13.1 m", separator=": "),
}
"""What OpenAI answers to each request of a session. Here it is a server of the test."""


def answer_for_openai(answer: Answer, server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.expect_request("/v1/chat/completions").respond_with_data(
        answer.body, answer.status, answer.headers, content_type=answer.kind
    )
    monkeypatch.setenv("OPENAI_BASE_URL", server.url_for("/v1"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")


# --- running a session


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def commands_of(text: str) -> Iterator[str]:
    """The commands of a session, and the remarks, each right above a command; without what the commands print."""
    lines = text.splitlines()
    for line, following in pairwise([*lines, ""]):
        if line.startswith("$ ") or (line.startswith("# ") and following.startswith("$ ")):
            yield line


class Shell:
    """Runs commands one after another; what `python FILE &` made stays until the session's end."""

    def __init__(self, program: Path | None) -> None:
        self._program = program
        self._left: list[object] = []

    def __call__(self, line: str) -> str:
        program, *words = shlex.split(line)
        if program == "cat":
            return Path(words[0]).read_text(encoding="utf-8")
        if program == "rm":
            Path(words[0]).unlink()
            return ""
        if program == "curl":
            return requested(words)
        if self._program is not None:
            argv = [sys.executable, "-P", str(self._program), *words]
            return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            if program == "orchestrator":
                run_command(words)
            elif program == "python":
                self._left.append(runpy.run_path(words[0]))
            else:
                raise ValueError(f"a session knows no command `{program}`")
        return out.getvalue()


def requested(words: list[str]) -> str:
    """What `curl` shows of a request to the server of the session's project, which runs as long as the request."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    options = parser.parse_args(words)
    settings = ProjectFile.load(Path.cwd()).read(ServeSection).serve
    with serving(Path.cwd(), oidc=settings.oidc) as (service, address):
        token = add_token(service.credentials, "ada", ["run", "answer"])
        headers = dict(header.replace("$TOKEN", token).split(": ", 1) for header in options.headers)
        url = address + urlsplit(options.url).path
        method = "GET" if options.body is None else "POST"
        with httpx.Client() as client:
            found = client.request(method, url, content=options.body, headers=headers).json()
        service.credentials.remove(token.split("_")[1])
    return json.dumps(found, indent=2) + "\n"


@pytest.mark.parametrize("path", SESSIONS, ids=name_of)
def test_a_session_prints_what_it_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(control, "current_user", lambda: "ada")
    for name in [name for name in os.environ if name.startswith("ORCHESTRATOR_")]:
        monkeypatch.delenv(name)
    if path.with_suffix(".files").exists():
        shutil.copytree(path.with_suffix(".files"), tmp_path, dirs_exist_ok=True)
    if (seam := SEAMS.get(name_of(path))) is not None:
        seam(monkeypatch)
    if (answer := PROVIDERS_SAY.get(name_of(path))) is not None:
        answer_for_openai(answer, request.getfixturevalue("httpserver"), monkeypatch)
    written, shell, normal = path.read_text(encoding="utf-8"), Shell(PROGRAMS.get(name_of(path))), Normal(tmp_path)
    lines = []
    for line in commands_of(written):
        lines.append(line)
        if line.startswith("$ "):
            lines += normal(shell(line.removeprefix("$ "))).splitlines()
    session = "\n".join(lines) + "\n"
    assert f"[{path.parent.name}]" in session or f'"{path.parent.name}"' in session, (
        "the session shows the code that it is about"
    )
    if UPDATE:
        path.write_text(session, encoding="utf-8")
    assert session == path.read_text(encoding="utf-8")


def test_every_code_has_a_case() -> None:
    diagnostics = {path.parent.name for path in (HERE / "diagnostics").glob("*/*.yaml")}
    assert diagnostics | {path.parent.name for path in SESSIONS} == set(CODES) - UNSHOWN
