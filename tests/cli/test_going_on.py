"""`answer`, `resume --with`, `retry` and `fork`: what the person sees, and the exit codes."""

import json
import os
import shlex

import pytest

from tests.cli.conftest import Project
from tests.cli.test_terminal import terminal
from tests.ollama import Ollama

ASK = """
id: asking
steps:
  - id: colour
    ask: {prompt: Which colour?, choices: [red, green]}
  - id: publish
    approve: {title: "Publish {{ colour }}?", content: "{{ colour }} news", allow_editing: true}
  - id: said
    tool: echo
    parameters: {value: "{{ publish.content }}, {{ publish.approved }}"}
outputs:
  said: "{{ said }}"
"""

BROKEN = """
id: broken
inputs: {who: world}
steps:
  - id: first
    tool: echo
    parameters: {value: "{{ who }}"}
  - id: second
    tool: broken
    dependencies: [first]
outputs:
  first: "{{ first }}"
"""


@pytest.fixture
def asking(project: Project) -> Project:
    (project.directory / "ask.yaml").write_text(ASK)
    return project


@pytest.fixture
def broken(project: Project) -> Project:
    (project.directory / "broken.yaml").write_text(BROKEN)
    assert project("run", "broken.yaml").code == 1
    return project


def test_without_a_terminal_a_question_beside_a_wait_does_not_end_the_process(project: Project) -> None:
    (project.directory / "race.yaml").write_text("""
steps:
  - id: race
    wait_for: any
    parallel:
      - {id: answered, ask: "Which colour?"}
      - {id: late, sleep: 50ms}
outputs:
  answered: "{{ race.answered }}"
""")
    done = project.process("run", "race.yaml")
    assert (done.code, done.out) == (0, "answered: null\n"), done.err


def test_without_a_terminal_a_question_ends_the_process_with_3_and_the_command_that_answers(asking: Project) -> None:
    done = asking.process("run", "ask.yaml")
    assert (done.code, done.out) == (3, "")
    run_id = asking("status", "last", "--json").json["run_id"]
    assert f"run {run_id} waits for an answer" in done.err
    assert "colour asks: Which colour? (one of red, green)" in done.err
    command = done.err.partition("answer with: ")[2].splitlines()[0]
    assert command == f"orchestrator answer {run_id} colour red"
    answered = asking.process(*command.split()[1:])
    assert answered.code == 3
    assert f"orchestrator answer {run_id} publish yes" in answered.err
    last = asking.process("answer", run_id, "publish", "no", "--json")
    assert (last.code, last.json["outputs"]) == (0, {"said": "red news, false"})


def test_with_json_the_questions_are_data(asking: Project) -> None:
    done = asking("run", "ask.yaml", "--json")
    assert (done.code, done.json["state"], done.json["error"]) == (3, "waiting", None)
    [question] = done.json["questions"]
    assert (question["path"], question["choices"]) == ("colour", ["red", "green"])
    assert question["command"] == f"orchestrator answer {done.json['run_id']} colour red"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["colour", "blue"], "ORC605"),
        (["color", "red"], "ORC606"),
        (["colour"], "ORC902"),
        (["colour", "red", "--file", "x"], "ORC902"),
        (["colour", "--file", "missing"], "ORC603"),
    ],
)
def test_an_answer_that_is_none_exits_with_2_and_the_question_stays(
    asking: Project, words: list[str], code: str
) -> None:
    asking("run", "ask.yaml")
    done = asking("answer", "last", *words)
    assert done.code == 2
    assert f"error[{code}]" in done.err
    assert asking("status", "last", "--json").json["state"] == "waiting"


def test_an_answer_comes_from_a_file_and_is_only_recorded_with_no_wait(asking: Project) -> None:
    asking("run", "ask.yaml")
    (asking.directory / "colour.txt").write_text("green\n")
    done = asking("answer", "last", "colour", "--file", "colour.txt", "--no-wait")
    assert done.code == 0
    assert "orchestrator resume" in done.err
    again = asking("answer", "last", "colour", "red")
    assert "error[ORC606]" in again.err
    assert asking("resume", "last").code == 3
    (asking.directory / "publish.json").write_text(json.dumps({"approved": True, "content": "better"}))
    done = asking("answer", "last", "publish", "--file", "publish.json", "--json")
    assert done.json["outputs"] == {"said": "better, true"}


def test_a_run_in_a_living_process_goes_on_there(asking: Project) -> None:
    held = ASK.replace("steps:", "steps:\n  - id: held\n    tool: gate\n    parameters: {fifo: fifo}")
    (asking.directory / "held.yaml").write_text(held)
    os.mkfifo(asking.directory / "fifo")
    run_id = asking.detach("held.yaml")
    asking.until(run_id, lambda event: event["type"] == "step.waiting")
    done = asking("answer", run_id, "colour", "red")
    assert done.code == 0
    assert "continues in its process" in done.err
    asking.until(run_id, lambda event: event["type"] == "step.waiting" and event["path"] == "publish")
    (asking.directory / "fifo").write_text("open")


def test_on_a_terminal_the_questions_are_asked_there_until_the_answers_fit(asking: Project) -> None:
    with terminal(asking, "run", "ask.yaml") as shown:
        shown.read_until("Which colour?")
        shown.read_until("(one of red, green)")
        os.write(shown.master, b"blue\n")
        shown.read_until("it must be one of")
        os.write(shown.master, b"green\n")
        shown.read_until("Publish green?")
        shown.read_until("green news")
        os.write(shown.master, b"yes\n")
        shown.read_until("succeeded in")
        out, _ = shown.process.communicate(timeout=30)
    assert shown.process.returncode == 0
    assert out.decode() == "said: green news, true\n"


@pytest.mark.parametrize(("typed", "comment"), [(b" too short \n", "too short"), (b"\n", "null"), (b"\x04", "null")])
def test_on_a_terminal_a_rejection_may_have_a_comment(asking: Project, typed: bytes, comment: str) -> None:
    file = asking.directory / "ask.yaml"
    file.write_text(file.read_text().replace("publish.approved", "publish.comment | to_json"))
    with terminal(asking, "run", "ask.yaml") as shown:
        shown.read_until("(one of red, green)")
        os.write(shown.master, b"red\n")
        shown.read_until("(yes or no, or edit)")
        os.write(shown.master, b"no\n")
        shown.read_until("(why? just Enter for no comment)")
        os.write(shown.master, typed)
        shown.read_until("succeeded in")
        out, _ = shown.process.communicate(timeout=30)
    assert json.dumps(comment).replace('"null"', "null") in out.decode()


def test_the_end_of_the_input_leaves_the_run_waiting(asking: Project) -> None:
    with terminal(asking, "run", "ask.yaml") as shown:
        shown.read_until("(one of red, green)")
        os.write(shown.master, b"\x04")
        text = shown.read_until("answer with:")
        assert shown.process.wait(timeout=30) == 3
    assert "waits for an answer" in text
    with terminal(asking, "answer", "last", "colour") as shown:
        shown.read_until("(one of red, green)")
        os.write(shown.master, b"red\n")
        shown.read_until("Publish red?")
        shown.interrupt()
        text = shown.read_until(None)
        assert shown.process.wait(timeout=30) == 130
    assert "cancelled by Ctrl-C" in text


def test_resuming_with_an_edited_pipeline_shows_first_what_runs_again(broken: Project) -> None:
    (broken.directory / "edited.yaml").write_text(
        BROKEN.replace("tool: broken", "tool: echo\n    parameters: {value: x}") + "  second: '{{ second }}'\n"
    )
    looked = broken("resume", "last", "--with", "edited.yaml", "--dry-run")
    assert looked.code == 0
    assert [line.split(maxsplit=2) for line in looked.out.splitlines()[1:]] == [
        ["first", "kept"],
        ["second", "runs", "it had failed"],
    ]
    as_data = broken("resume", "last", "--with", "edited.yaml", "--dry-run", "--json").json
    assert [step["action"] for step in as_data["steps"]] == ["keep", "run"]
    assert broken("status", "last", "--json").json["state"] == "failed"
    done = broken("resume", "last", "--with", "edited.yaml")
    assert done.code == 0, done.err
    assert "it had failed" in done.err
    assert done.out == "first: world\nsecond: x\n"


def test_a_dry_run_is_one_of_an_edited_pipeline(broken: Project) -> None:
    done = broken("resume", "last", "--dry-run")
    assert (done.code, "--with FILE" in done.err) == (2, True)


def test_retry_does_one_step_again(broken: Project) -> None:
    done = broken("retry", "last", "--step", "fisrt")
    assert (done.code, "did you mean `first`?" in done.err) == (2, True)
    assert "error[ORC809]" in done.err
    (broken.directory / "mended").touch()
    done = broken("retry", "last", "--step", "first")
    assert done.code == 0, done.err
    assert "✓ first succeeded" in done.err
    assert "✓ second succeeded" in done.err


def test_fork_begins_another_run_and_warns_of_what_it_keeps(broken: Project) -> None:
    first = broken("status", "last", "--json").json["run_id"]
    (broken.directory / "mended").touch()
    done = broken("fork", first, "--from", "second", "-i", "who=moon")
    assert done.code == 0, done.err
    assert done.out == "first: world\n"
    assert "✓ first" not in done.err
    assert "✓ second succeeded" in done.err
    assert "`first` keeps its result" in done.err
    assert [run["state"] for run in broken("runs", "--json").json] == ["succeeded", "failed"]


LETTER = """
id: letter
inputs: {lines: 3}
steps:
  - id: send
    approve:
      title: "Send it?"
      content: "{% for n in range(lines) %}line {{ n }} of the letter\\x1b[31m\\n{% endfor %}"
  - id: charge
    approve: {title: "Charge?", content: {to: Ada, amount: 12}}
"""


def test_everything_that_tells_of_an_approval_shows_what_is_approved(project: Project) -> None:
    (project.directory / "letter.yaml").write_text(LETTER)
    ran = project("run", "letter.yaml")
    told = [ran.err, project("status", "last").out, project("show", "last").out, project("questions").out]
    told.append(project("questions", "last").out)
    for text in told:
        for line in ("| line 0 of the letter", "| line 2 of the letter", '|   "amount": 12'):
            assert line in text
        assert "\x1b" not in text
        assert text.count("answer with: orchestrator answer") == 2
    assert "| line 2 of the letter" in project("show", "last", "--step", "send").out
    asked = project("questions", "--json").json
    assert [(each["path"], each["kind"]) for each in asked] == [("send", "approve"), ("charge", "approve")]
    assert asked[1]["content"] == {"to": "Ada", "amount": 12}
    project("answer", "last", "send", "yes", "--no-wait")
    assert [each["path"] for each in project("questions", "--json").json] == ["charge"]


def test_of_a_long_text_to_approve_the_beginning_is_shown_with_the_command_for_the_rest(project: Project) -> None:
    (project.directory / "letter.yaml").write_text(LETTER)
    run = project("run", "letter.yaml", "-i", "lines=5000", "--json").json["run_id"]
    for text in (project("status", "last").out, project("show", "last").out, project("questions").out):
        assert "| line 11 of the letter" in text
        assert "| line 12 of the letter" not in text
        assert f"all of it, 5,000 lines: orchestrator show {run} --step send" in text
    assert "| line 4999 of the letter" in project("show", run, "--step", "send").out
    project("cancel", "last")
    assert project("questions").out == ""


def test_the_suggested_command_plays_the_recordings_that_a_run_was_started_with(
    project: Project, ollama: Ollama
) -> None:
    (project.directory / "played.yaml").write_text("""
id: played
model: ollama:llama3.2
steps:
  - {id: before, prompt: Say hello.}
  - {id: ok, approve: "Send {{ before }}?"}
  - {id: after, prompt: Say hello., dependencies: [ok]}
outputs: {said: "{{ after }}"}
""")
    assert project("run", "played.yaml", "--record", "recorded").code == 3
    waiting = project("run", "played.yaml", "--replay", "recorded")
    assert waiting.code == 3
    line = next(line for line in waiting.err.splitlines() if "orchestrator answer" in line)
    command = line.partition("orchestrator ")[2]
    assert f"--replay {project.directory / 'recorded'}" in command
    done = project(*shlex.split(command.replace("VALUE", "yes").replace("yes|no", "yes")))
    assert done.code == 0, done.err
    assert f"answers were replayed from {project.directory / 'recorded'}" in done.err


def test_a_run_whose_store_was_removed_is_run_again_and_not_resumed(project: Project) -> None:
    sweep = """
import orchestrator as orc

@orc.tool
def sweep(context: orc.ToolContext) -> str:
    (context.directory / ".orchestrator" / "runs.db").unlink()
    return "swept"
"""
    (project.directory / "sweep.py").write_text(sweep)
    steps = "[{id: a, tool: sweep}, {id: b, tool: log, parameters: {message: '{{ a }} {{ who }}'}}]"
    (project.directory / "p.yaml").write_text(f"id: p\ninputs: {{who: me}}\nsteps: {steps}\n")
    told = project("run", "p.yaml", "--tools", "sweep.py", "-i", "who=you").err
    assert "error[ORC811]" in told
    assert "was removed or replaced while it was in use" in told
    assert "  run it again with the same inputs: orchestrator run p.yaml --tools" in told
    assert "orchestrator resume" not in told
