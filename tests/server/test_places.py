"""Commands print the same with a store and with a server: each session runs in both places and is compared."""

import inspect
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from difflib import unified_diff
from pathlib import Path

import pytest

from orchestrator.api import control
from orchestrator.cli.app import COMMANDS, build, run_command
from orchestrator.server.access.tokens import add_token
from orchestrator.server.first_token import ensure_token
from tests.server.support import serving

TOOLS = '''
import orchestrator as orc

@orc.tool
def broken(context: orc.ToolContext) -> str:
    """Fail unless the file `fixed` exists."""
    if not (context.directory / "fixed").exists():
        raise RuntimeError("not fixed yet")
    return "fixed"
'''
FILES = {
    "orchestrator.toml": 'tools = ["lib.py"]\n',
    "lib.py": TOOLS,
    "greeting.yaml": """\
name: Greeting
inputs:
  name: {type: string, default: world, description: Whom to greet}
  times: {type: integer, default: 1}
steps:
  - {id: greet, tool: log, parameters: {message: "Hello {{ name }}"}}
  - {id: each, for_each: "{{ range(times) }}", steps: [{id: say, tool: log, parameters: {message: "{{ item }}"}}]}
  - {id: never, tool: log, parameters: {message: no}, condition: "{{ times > 99 }}"}
outputs: {text: "{{ greet }}", long: "{{ 'x' * 20000 }}"}
""",
    "fragile.yaml": """\
steps:
  - {id: first, tool: log, parameters: {message: begin}}
  - {id: second, tool: broken, depends_on: [first]}
outputs: {done: "{{ second }}"}
""",
    "edited.yaml": """\
id: fragile
steps:
  - {id: first, tool: log, parameters: {message: begin}}
  - {id: second, tool: log, parameters: {message: edited}, depends_on: [first]}
outputs: {done: "{{ second }}"}
""",
    "review.yaml": """\
inputs: {draft: {type: string, default: "Dear all"}}
steps:
  - {id: review, approve: {prompt: "Send it?", content: "{{ draft }}"}}
  - {id: sent, tool: log, parameters: {message: "sent"}, depends_on: [review]}
outputs: {sent: "{{ review.approved }}"}
""",
    "pinned.yaml": """\
inputs: {pin: {type: string, secret: true}}
steps: [{id: a, tool: broken}]
""",
    "report.yaml": """\
inputs:
  day: {type: integer, default: 1}
steps:
  - {id: write, tool: log, parameters: {message: "Day {{ day }}"}}
triggers:
  nightly: {schedule: "@yearly", description: Every year}
  deployed: {webhook: NEVER_SET_ANYWHERE}
""",
    "paid.yaml": """\
budget: {usd: 0.5}
inputs: {topics: {type: array, default: [a, b]}}
steps:
  - id: draft
    for_each: "{{ topics }}"
    prompt: "About {{ item }}."
    model: openai:gpt-5-mini
    max_tokens: 500
""",
    "rows.jsonl": '{"name": "Ada"}\n{"times": "many"}\n[1]\n{"name": "Bob", "times": 2}\n',
    "wrong.yaml": "steps:\n  - {id: one, tool: lgo}\n",
}

SESSIONS = {
    "runs for workers": """
        submit greeting.yaml -i name=Ada --on gpu --label nightly --priority 3
        submit greeting.yaml --json --key k
        submit greeting.yaml -q --key k
        submit greeting.yaml --on a,b
        submit greeting.yaml -i nosuch=1
        submit pinned.yaml -i pin=1
        runs --state queued
        status last
        workers
        workers --json
        cancel last
        runs
    """,
    "a run, and what is read of it": """
        run greeting.yaml -i name=Ada -i times=3 --label demo
        run greeting.yaml -i name=Ada --json
        run greeting.yaml -q --budget 2usd --timeout 1m --max-parallel 2 --no-cache
        runs
        runs --json
        runs --state failed
        runs --pipeline greeting --label demo --since 1h --limit 1
        runs --state faild
        batches
        status last
        status last --json
        status last --watch
        status nosuch
        events last
        events last --json --after 3
        events last --follow
        show last
        show last --json
        report last
        show last --step greet
        show last --step nosuch
        show last --traceback
        why last greet
        why last never --json
        why last nosuch
        graph last
        graph last --format svg
        graph last --json
        graph greeting.yaml
        graph greeting.yaml --json
        questions
        qc last
        qc last --json
        qc last --markdown
        """,
    "files and inputs that are wrong": """
        run wrong.yaml
        run wrong.yaml --json
        run nosuch.yaml
        run greeting.yaml -i nmae=Ada
        run greeting.yaml -i times=many
        run greeting.yaml --key order-17
        run greeting.yaml --key order-17 -i name=other
        run greeting.yaml --refresh nosuch
        runs
        """,
    "a failure that is fixed": """
        run fragile.yaml
        status last
        status last --json
        show last
        show last --traceback
        show last --traceback --json
        why last second
        events last --json
        resume last
        retry last --step nosuch
        touch fixed
        resume last
        resume last
        retry last --step second --quiet
        fork last --from second
        fork last --from nosuch
        runs
        show last
        """,
    "an edited pipeline": """
        run fragile.yaml
        resume last --with edited.yaml --dry-run
        resume last --with edited.yaml --dry-run --json
        resume last --with wrong.yaml
        resume last --with edited.yaml
        why last second
        """,
    "a secret that is needed again": """
        run pinned.yaml -i pin=sesame
        run pinned.yaml
        resume last
        retry last --step a
        touch fixed
        resume last -i pin=sesame
        events last --json
        """,
    "a question": """
        run review.yaml
        run review.yaml --json
        status last
        status last --json
        questions
        questions last --json
        show last
        show last --step review
        answer last review perhaps
        answer last nosuch yes
        cancel last --reason late
        """,
    "a batch": """
        map greeting.yaml rows.jsonl --max-parallel 1
        map greeting.yaml rows.jsonl --max-parallel 1 --out out.jsonl --json --label rows
        map greeting.yaml rows.jsonl --batch 1000000000000000000a
        map greeting.yaml nosuch.jsonl
        map wrong.yaml rows.jsonl
        batches
        batches --json
        runs --label rows
        """,
    "triggers": """
        triggers list
        triggers list --json
        triggers show report/nightly
        triggers show report/nightly --json
        triggers pause report/nightly
        triggers show report/nightly
        triggers list
        triggers pause report/nightly --json
        triggers resume report/nightly
        triggers resume report/nightly --json
        triggers show report/deployed
        triggers show report/nightyl
        triggers show nosuch/x
        triggers show
        triggers fire report/nightly -i day=soon
        triggers fire report/nightly -i dya=7
        triggers fire nosuch/x
        triggers fire report/nightly -i day=7
        """,
    "sessions": """
        sessions list
        sessions list --json
        sessions revoke
        sessions revoke nobody
        sessions lits
        """,
    "a forecast": """
        run paid.yaml --dry-run
        run paid.yaml --dry-run --json
        run paid.yaml --dry-run -i topics=one
        run greeting.yaml --dry-run -i times=3
        run greeting.yaml --dry-run -i nmae=Ada
        run pinned.yaml --dry-run -i pin=sesame
        run wrong.yaml --dry-run
        runs
        """,
    "commands after the end": """
        run greeting.yaml
        pause last
        cancel last --reason late
        answer last greet yes
        """,
}

RUN_ID = re.compile(r"\b1[0-9a-hjkmnp-tv-z]{19}\b")

Command = Callable[[str], str]


class Normal:
    """Puts names in the place of what differs from run to run: ids, times, durations, processes."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        text = RUN_ID.sub(lambda found: self._ids.setdefault(found[0], f"run-{len(self._ids)}"), text)
        text = re.sub(r"/\S*?/(here|there)\b", "/project", text)
        text = re.sub(r"#[0-9a-f]{6}\]", "#NONCE]", text)
        text = re.sub(r'"redaction": "[^"]*"', '"redaction": "NONCE"', text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", "TIME", text)
        text = re.sub(r"\b\d{10}\.\d+\b", "STAMP", text)
        text = re.sub(r'("?(?:elapsed|duration)"?[:=]? ?)\d+(\.\d+)?(e-\d+)?', r"\1SECONDS", text)
        text = re.sub(r"\b\d+(\.\d+)? (ms|s)\b", "SECONDS", text)
        text = re.sub(r"\S+ rows/s", "N rows/s", text)
        text = re.sub(r"process \d+ on [\w.-]+", "PROCESS", text)
        text = re.sub(r'^owner +PROCESS\n|(?<="owner": )(null|"PROCESS")', "", text, flags=re.MULTILINE)
        text = re.sub(r"ada from 127\.0\.0\.1", "ada", text)
        text = re.sub(r'(, )?"label:orchestrator:hosted": true', "", text)
        return "\n".join(" ".join(line.split()) for line in text.splitlines())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(control, "current_user", lambda: "ada")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-forecast")  # nothing is asked of a model
    for name in ("ORCHESTRATOR_STORE", "ORCHESTRATOR_SERVER", "ORCHESTRATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def written(directory: Path) -> Path:
    directory.mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text)
    return directory


def command(line: str) -> str:
    """Run a line of a session, and return what it printed and its exit code."""
    words = shlex.split(line)
    if words[0] == "touch":
        Path(words[1]).touch()
        return ""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_command(words)
    return f"{out.getvalue()}---\n{err.getvalue()}exit code {code}\n"


@pytest.fixture
def in_both_places(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, str]]:
    """Run a session with the store of a project, and with a server of another one; return what they print."""

    def transcript(lines: str) -> str:
        normal = Normal()
        return "\n".join(f"$ {line.strip()}\n{normal(command(line))}" for line in lines.strip().splitlines())

    def both(lines: str) -> tuple[str, str]:
        monkeypatch.chdir(written(project / "here"))
        here = transcript(lines)
        directory = written(project / "there")
        monkeypatch.chdir(directory)
        with serving(directory) as (service, address):
            monkeypatch.setenv("ORCHESTRATOR_SERVER", address)
            monkeypatch.setenv("ORCHESTRATOR_TOKEN", add_token(service.credentials, "ada", ["admin"]))
            there = transcript(lines)
            monkeypatch.delenv("ORCHESTRATOR_SERVER")
        return here, there

    return both


@pytest.mark.parametrize("lines", SESSIONS.values(), ids=SESSIONS)
def test_a_session_prints_the_same_with_a_store_and_with_a_server(
    lines: str, in_both_places: Callable[[str], tuple[str, str]]
):
    here, there = in_both_places(lines)
    assert "internal error" not in here
    difference = "\n".join(unified_diff(here.splitlines(), there.splitlines(), "store", "server", lineterm="", n=2))
    assert not difference, difference


def test_every_command_that_takes_a_store_takes_a_server_or_says_why_not():
    taking: dict[str, set[str]] = {}
    for name in COMMANDS:
        app = build(only=name)
        function = app.registered_commands[0].callback
        assert function is not None
        names = set(inspect.signature(function, eval_str=True).parameters)
        taking[name] = names & {"store", "server"}
    both = {name for name, places in taking.items() if places == {"store", "server"}}
    only_store = {name for name, places in taking.items() if places == {"store"}}
    used = {line.split()[0] for lines in SESSIONS.values() for line in lines.strip().splitlines()} - {"touch"}
    assert both - used == set()
    assert not {name for name, places in taking.items() if places == {"server"}}
    assert only_store == {"doctor", "lock", "prune", "serve", "store", "tokens", "worker"}


@pytest.fixture
def served(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server for the project, whose token the command finds by itself."""
    directory = written(project / "project")
    monkeypatch.chdir(directory)
    with serving(directory) as (service, address):
        ensure_token(service.credentials, directory)
        yield address


def test_a_store_and_a_server_are_mutually_exclusive(served: str, monkeypatch: pytest.MonkeyPatch):
    both = command(f"runs --store sqlite:///a.db --server {served}")
    assert "`--store` and `--server` are mutually exclusive" in both
    assert "exit code 2" in both
    monkeypatch.setenv("ORCHESTRATOR_SERVER", served)
    assert "no runs yet" in command("runs --store sqlite:///a.db")
    monkeypatch.setenv("ORCHESTRATOR_STORE", "sqlite:///a.db")
    assert "ORCHESTRATOR_STORE and ORCHESTRATOR_SERVER are mutually exclusive" in command("runs")
    command("run greeting.yaml -q --store sqlite:///b.db")
    assert "no runs yet" in command(f"runs --server {served}")
    assert "greeting" not in command("runs --store sqlite:///a.db")
    assert "succeeded" in command("runs --store sqlite:///b.db")


def test_a_pipeline_of_the_server_is_run_by_its_name(served: str):
    assert "text: Hello Ada" in command(f"run greeting -i name=Ada --server {served}")
    said = command(f"run greetin --server {served}")
    assert "error[ORC915]" in said
    assert "did you mean `greeting`?" in said


def test_suggested_commands_name_the_server(served: str):
    said = command(f"run fragile.yaml --server {served}")
    assert re.search(rf"continue with: orchestrator resume {RUN_ID.pattern} --server {served}", said)
    assert f"orchestrator resume FILE --server {served}" not in said
    assert f"list the runs with: orchestrator runs --server {served}" in command(f"status nosuch --server {served}")


def test_an_answer_continues_a_run_on_the_server(served: str):
    waiting = command(f"run review.yaml --server {served}")
    assert "exit code 3" in waiting
    assert f"review yes --server {served}" in waiting
    said = command(f"answer last review yes --server {served}")
    assert "and continues in its process" in said
    assert "succeeded" in command(f"status last --watch --server {served}")


def test_a_detached_run_continues_on_the_server(served: str):
    said = command(f"run greeting.yaml --detach --server {served}")
    assert "continues on the server" in said
    run_id = RUN_ID.search(said)
    assert run_id is not None
    assert "succeeded" in command(f"status {run_id[0]} --watch --server {served}")
    assert json.loads(command(f"run greeting.yaml --detach --json --server {served}").partition("---")[0])["run_id"]


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("run greeting.yaml --allow-run", "--allow-run"),
        ("run greeting.yaml --tools lib.py", "--tools"),
        ("run greeting.yaml --replay recordings", "--replay"),
        ("run greeting.yaml --record recordings", "--record"),
        ("resume last --max-parallel 2", "--max-parallel"),
        ("retry last --step a --budget 2usd", "--budget"),
        ("graph last --allow-path /tmp", "--allow-path"),
    ],
)
def test_an_option_that_a_server_cannot_apply_is_refused(served: str, line: str, option: str):
    said = command(f"{line} --server {served}")
    assert f"error[ORC918]: `{option}` cannot be used with a server" in said


@pytest.mark.parametrize("line", ["prune --keep 1", "store stats", "tokens list", "lock greeting.yaml"])
def test_a_command_that_needs_the_database_says_so(served: str, line: str, monkeypatch: pytest.MonkeyPatch):
    assert "error[ORC918]" in command(f"{line} --server {served}")
    monkeypatch.setenv("ORCHESTRATOR_SERVER", served)
    said = command(line)
    assert "error[ORC918]" in said
    assert f"ORCHESTRATOR_SERVER names the server {served}" in said
    assert "error[ORC918]" not in command(f"{line} --store sqlite:///.orchestrator/runs.db")


def test_a_token_is_not_sent_in_clear_text_without_a_warning(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", "orc_a_b")
    assert "in clear text; use https" in command("runs --server http://runs.invalid")
    assert "in clear text" not in command("runs --server http://127.0.0.1:9")
