"""`orchestrator lock`, and runs that go by a lock: what is asked, what is kept, and that nothing is asked twice."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import orchestrator as orc
from orchestrator.errors import StepError
from orchestrator.models.calls.lock_entries import question_digest
from orchestrator.testing import Asked, FakeModel
from tests.cli.conftest import Project
from tests.ollama import Ollama

LETTER = """
id: letter
description: Writes a letter.
model: ollama:llama3.2
inputs:
  town: Brest
steps:
  - id: greet
    tool: echo
    parameters: {value: "<AUTO>a greeting</AUTO>"}
  - id: tell
    tool: echo
    parameters: {value: "{{ greet }}: <AUTO>What is {{ town }} known for?</AUTO>"}
outputs:
  letter: "{{ tell }}"
"""


class Answers(FakeModel):
    """Answers each question with a text that nobody has got before."""

    def __init__(self) -> None:
        super().__init__(self.reply)

    @property
    def count(self) -> int:
        return len(self.requests)

    def reply(self, asked: Asked) -> Any:
        assert asked.request.schema is not None
        return {name: f"{name} {self.count}" for name in asked.request.schema["properties"]}


@pytest.fixture
def model() -> Answers:
    return Answers()


@pytest.fixture
def client(project: Project, model: Answers, monkeypatch: pytest.MonkeyPatch) -> Iterator[orc.Orchestrator]:
    monkeypatch.chdir(project.directory)
    (project.directory / "letter.yaml").write_text(LETTER, encoding="utf-8")
    with orc.Orchestrator(directory=project.directory, tools=["tools.py"], models=model) as client:
        yield client


def came(found: Any) -> dict[str, str]:
    return {value.at: value.answers[0][1] if value.answers else "missing" for value in found.values}


GREETING, TOWN = "greet.parameters.value", "tell.parameters.value"


def test_what_is_the_same_in_each_run_is_asked_once_and_then_repeated(client: orc.Orchestrator, model: Answers) -> None:
    found = client.lock("letter.yaml")
    assert came(found) == {GREETING: "asked", TOWN: "missing"}
    assert (found.changed, found.up_to_date, model.count) == (True, False, 1)
    assert found.spending.calls == 1
    pipeline = client.compile("letter.yaml")
    letters = [pipeline.run().outputs["letter"] for _ in range(2)]
    assert [letter.partition(":")[0] for letter in letters] == ["value 1", "value 1"]
    assert [asked.step for asked in model.requests[1:]] == ["tell:auto", "tell:auto"]
    again = client.lock("letter.yaml")
    assert came(again)[GREETING] == "kept"


def test_what_was_asked_in_a_run_is_repeated_where_the_same_comes_up_again(
    client: orc.Orchestrator, model: Answers
) -> None:
    first = client.compile("letter.yaml").run()
    found = client.lock("letter.yaml")
    assert came(found) == {GREETING: "recorded", TOWN: "recorded"}
    assert (found.run_id, found.up_to_date, model.count) == (first.run_id, True, 2)
    pipeline = client.compile("letter.yaml")
    again = pipeline.run()
    assert (again.outputs, model.count) == (first.outputs, 2)
    asked = again.steps["tell:auto"].output["asked"]["value"]
    assert (asked["question"], asked["locked"]) == ("What is Brest known for?", True)
    other = pipeline.run(town="Dinard")
    assert (other.outputs != first.outputs, model.count) == (True, 3)
    both = client.lock("letter.yaml", run="last")
    questions = {value.at: [answer.question for answer, _ in value.answers] for value in both.values}
    assert questions[TOWN] == ["What is Brest known for?", "What is Dinard known for?"]
    assert client.compile("letter.yaml").run(town="Dinard").outputs == other.outputs
    assert model.count == 3


SECRET = LETTER.replace("town: Brest", "town: {type: string, secret: true}")
IN_A_STEP = SECRET.replace(
    "  - id: tell", "  - {id: place, tool: echo, parameters: {value: '{{ town }}'}}\n  - id: tell"
)
HIDES = {
    "an input": SECRET,
    "an input that is changed": SECRET.replace("{{ town }}", "{{ inputs.town | upper }}"),
    "a variable": SECRET.replace("{{ town }}", "{{ place }}").replace(
        "steps:", "variables: {place: '{{ town }}!'}\nsteps:"
    ),
    "the result of a step": IN_A_STEP.replace("{{ town }} known", "{{ place }} known"),
}


@pytest.mark.parametrize("hidden", HIDES)
def test_a_question_with_a_secret_in_it_is_not_locked_but_asked_in_each_run(
    client: orc.Orchestrator, model: Answers, hidden: str
) -> None:
    Path("letter.yaml").write_text(HIDES[hidden], encoding="utf-8")
    known = hidden != "the result of a step"  # without a run
    client.lock("letter.yaml")
    assert client.lock("letter.yaml", check=True).up_to_date is known
    first = client.compile("letter.yaml").run(town="Brest")
    found = client.lock("letter.yaml", run=first.run_id)
    assert came(found) == {GREETING: "kept", TOWN: "missing"}
    assert [value.secret for value in found.values] == [False, True]
    assert client.lock("letter.yaml", check=True).up_to_date
    text = Path("letter.yaml.lock").read_text(encoding="utf-8")
    assert "redacted" not in text
    assert "BREST" not in text.upper()
    count = model.count
    client.compile("letter.yaml").run(town="Brest")
    assert model.count == count + 1
    assert "BREST" in str(model.requests[-1].request.messages).upper()


def test_no_digest_of_a_question_is_recorded_by_which_a_secret_in_it_could_be_guessed(
    client: orc.Orchestrator, model: Answers
) -> None:
    Path("letter.yaml").write_text(SECRET, encoding="utf-8")
    result = client.compile("letter.yaml").run(town="Brest")
    digest = question_digest("What is Brest known for?", {"type": "string"})
    client.close()
    assert result.steps["tell:auto"].output["asked"]["value"]["question"].startswith("What is [redacted:town#")
    stored = [path.read_bytes() for path in Path(".orchestrator").rglob("*") if path.is_file()]
    assert stored
    assert not any(digest.encode() in content or b"Brest" in content for content in stored)


def test_an_answer_with_a_secret_in_it_is_not_locked(client: orc.Orchestrator, model: Answers) -> None:
    text = LETTER.replace("  town: Brest", "  town: Brest\n  word: {type: string, secret: true}")
    Path("letter.yaml").write_text(text.replace('letter: "', 'word: "{{ word }}"\n  letter: "'), encoding="utf-8")
    run = client.compile("letter.yaml").run(word="value 2")
    assert run.steps["tell:auto"].output["data"]["value"].startswith("[redacted:word#")
    assert came(client.lock("letter.yaml")) == {GREETING: "recorded", TOWN: "missing"}
    assert "redacted" not in Path("letter.yaml.lock").read_text(encoding="utf-8")


def test_what_stands_in_a_lock_for_a_secret_is_never_an_answer(client: orc.Orchestrator, model: Answers) -> None:
    client.compile("letter.yaml").run()
    client.lock("letter.yaml")
    path = Path("letter.yaml.lock")
    path.write_text(path.read_text(encoding="utf-8").replace("value 2", "'[redacted:town#5f2a91]'"), encoding="utf-8")
    (found,) = client.check("letter.yaml").diagnostics
    assert (found.code, found.severity) == ("ORC432", "error")
    assert "mark of a secret" in found.message
    assert not client.lock("letter.yaml", check=True).up_to_date
    assert came(client.lock("letter.yaml")) == {GREETING: "kept", TOWN: "recorded"}
    assert client.check("letter.yaml").diagnostics == ()


def test_an_answer_in_a_lock_to_a_question_that_reads_a_secret_by_now_is_not_used(
    client: orc.Orchestrator, model: Answers
) -> None:
    client.compile("letter.yaml").run()
    client.lock("letter.yaml")
    Path("letter.yaml").write_text(SECRET, encoding="utf-8")
    (found,) = client.check("letter.yaml").diagnostics
    assert (found.code, found.severity, "reads a secret" in found.message) == ("ORC432", "warning", True)
    client.compile("letter.yaml").run(town="Brest")
    assert model.count == 3
    assert not client.lock("letter.yaml", check=True).up_to_date
    assert came(client.lock("letter.yaml")) == {GREETING: "kept", TOWN: "missing"}
    assert client.check("letter.yaml").diagnostics == ()


def test_the_digest_of_a_pipeline_is_another_with_other_answers(client: orc.Orchestrator) -> None:
    digests = [client.compile("letter.yaml").to_dict()["digest"]]
    client.lock("letter.yaml")
    digests.append(client.compile("letter.yaml").to_dict()["digest"])
    client.lock("letter.yaml", fresh=True)
    digests.append(client.compile("letter.yaml").to_dict()["digest"])
    assert len(set(digests)) == 3


def test_a_run_records_which_answers_came_from_the_lock(client: orc.Orchestrator) -> None:
    client.lock("letter.yaml")
    run = client.compile("letter.yaml").start()
    run.wait()
    greeting, town = run.record().plan["autos"]
    assert (greeting["at"], greeting["locked"]["answer"], greeting["locked"]["model"]) == (
        GREETING,
        "value 1",
        "ollama:llama3.2",
    )
    assert (town["at"], town["locked"]) == (TOWN, None)


def test_a_run_goes_on_by_the_lock_that_it_began_with(client: orc.Orchestrator, model: Answers) -> None:
    path = Path("stops.yaml")
    path.write_text(LETTER + "  rest: '{{ rest }}'\n", encoding="utf-8")
    text = path.read_text(encoding="utf-8").replace(
        "outputs:", "  - {id: rest, tool: broken, dependencies: [tell]}\noutputs:"
    )
    path.write_text(text, encoding="utf-8")
    client.lock(path)
    with pytest.raises(orc.RunFailed) as failed:
        client.compile(path).run()
    asked = model.count
    Path("stops.yaml.lock").unlink()
    path.unlink()
    Path("mended").touch()
    result = client.resume(failed.value.result.run_id).result()
    assert result.outputs["letter"].startswith("value 1: ")
    assert model.count == asked


def test_answers_that_are_not_asked_for_any_more_leave_the_lock(client: orc.Orchestrator) -> None:
    client.lock("letter.yaml")
    text = LETTER.replace("id: greet\n", "id: hello\n").replace("{{ greet }}", "{{ hello }}")
    Path("letter.yaml").write_text(text, encoding="utf-8")
    assert [found.code for found in client.check("letter.yaml").diagnostics] == ["ORC432"]
    assert not client.lock("letter.yaml", check=True).up_to_date
    found = client.lock("letter.yaml")
    assert found.removed == (GREETING,)
    assert client.check("letter.yaml").diagnostics == ()
    Path("letter.yaml").write_text("steps: [{id: a, tool: echo, parameters: {value: x}}]\n", encoding="utf-8")
    assert client.lock("letter.yaml").changed
    assert not Path("letter.yaml.lock").exists()


def test_a_run_of_another_question_has_no_answer(client: orc.Orchestrator, model: Answers) -> None:
    client.compile("letter.yaml").run()
    Path("letter.yaml").write_text(LETTER.replace("a greeting", "a warm greeting"), encoding="utf-8")
    assert came(client.lock("letter.yaml")) == {GREETING: "asked", TOWN: "recorded"}
    assert model.prompts[-1].endswith("a warm greeting")


def test_what_some_models_answered_is_kept_where_others_fail(client: orc.Orchestrator, model: Answers) -> None:
    text = LETTER.replace("What is {{ town }} known for?", "a farewell")
    Path("letter.yaml").write_text(text, encoding="utf-8")
    model.script(lambda asked: StepError("no", retryable=False) if "a farewell" in asked.prompt else {"value": "hello"})
    with pytest.raises(orc.OrchestratorError):
        client.lock("letter.yaml")
    assert came(client.lock("letter.yaml", check=True)) == {GREETING: "kept", TOWN: "missing"}


def test_a_lock_in_the_way_of_reading_is_not_overwritten(client: orc.Orchestrator) -> None:
    Path("letter.yaml.lock").write_text("<<<<<<< ours\n", encoding="utf-8")
    with pytest.raises(orc.CompilationError, match="cannot be read"):
        client.lock("letter.yaml")
    assert Path("letter.yaml.lock").read_text(encoding="utf-8") == "<<<<<<< ours\n"


# --- the command


@pytest.fixture
def letter(
    project: Project, ollama: Ollama, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path_factory.mktemp("home")))
    (project.directory / "letter.yaml").write_text(LETTER, encoding="utf-8")
    return project


def lock(project: Project, *words: str) -> Any:
    return project("lock", "letter.yaml", "--tools", "tools.py", *words)


def test_the_command_says_what_it_asked_and_what_is_missing(letter: Project) -> None:
    before = lock(letter, "--check")
    assert (before.code, "nowhere" in before.out) == (1, True)
    assert not (letter.directory / "letter.yaml.lock").exists()
    done = lock(letter)
    assert done.code == 0
    assert "asked now" in done.out
    assert "$0.00" in done.err
    assert f"no answer yet for {TOWN}" in done.err
    assert lock(letter, "--check").code == 1
    run = letter("run", "letter.yaml", "-q", "--json")
    assert run.code == 0
    assert "1 answer of a model is taken from letter.yaml.lock" in letter("run", "letter.yaml").err
    assert lock(letter, "--run", run.json["run_id"]).code == 0
    checked = lock(letter, "--check", "--json")
    assert checked.code == 0
    assert checked.json["up_to_date"] is True
    assert [value["answers"][0]["from"] for value in checked.json["values"]] == ["kept", "kept"]
    written = yaml.safe_load((letter.directory / "letter.yaml.lock").read_text(encoding="utf-8"))
    assert list(written["values"]) == [GREETING, TOWN]
    assert written["values"][TOWN]["answers"][0]["question"] == "What is Brest known for?"
    assert "is unchanged" in lock(letter).err


def test_the_command_says_which_questions_have_a_secret_in_them(letter: Project) -> None:
    (letter.directory / "letter.yaml").write_text(SECRET, encoding="utf-8")
    done = lock(letter)
    assert (done.code, "has a secret" in done.out) == (0, True)
    assert f"not locked, because it contains a secret (a model is called in each run): {TOWN}" in done.err
    assert "no answer is known yet" not in done.err
    assert lock(letter, "--check").code == 0


def test_the_command_refuses_what_makes_no_sense(letter: Project) -> None:
    assert lock(letter, "--check", "--fresh").code == 2
    assert letter("lock", "missing.yaml").code == 2
    assert lock(letter, "--run", "nothing").code != 0


WAITS = """
id: waits
model: ollama:llama3.2
steps:
  - id: greet
    tool: echo
    parameters: {value: "<AUTO>a greeting</AUTO>"}
  - id: waits
    tool: gate
    parameters: {fifo: fifo}
    dependencies: [greet]
  - id: after
    tool: echo
    parameters: {value: "{{ greet }} {{ waits }}"}
outputs:
  after: "{{ after }}"
"""


def test_a_run_whose_process_was_killed_does_not_ask_again(letter: Project) -> None:
    (letter.directory / "waits.yaml").write_text(WAITS, encoding="utf-8")
    os.mkfifo(letter.directory / "fifo")
    with letter.start("run", "waits.yaml") as process:
        writer = os.open(letter.directory / "fifo", os.O_WRONLY)  # waits until the step reads
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(writer)
    (letter.directory / "fifo").unlink()
    (letter.directory / "fifo").write_text("there", encoding="utf-8")
    done = letter("resume", "last", "--json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in letter("events", "last", "--json").out.splitlines()]
    asked = [event["path"] for event in events if event["type"] == "step.model"]
    assert asked == ["greet:auto"]
