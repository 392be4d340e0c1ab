"""`orchestrator run`: what goes where, and the exit codes."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import FILES, Finished, Project


def test_run_json_prints_one_object_and_nothing_else(finished: Finished) -> None:
    done = finished.succeeded
    assert done.code == 0, done.err
    assert done.json == {
        "run_id": done.json["run_id"],
        "state": "succeeded",
        "outputs": {"greeting": "Hello, Ada!", "tries": 2},
        "error": None,
    }


def test_what_a_tool_prints_goes_to_stderr(project: Project) -> None:
    (project.directory / "tools.py").write_text(
        "import orchestrator as orc\n\n\n@orc.tool\n"
        'def loud() -> str:\n    "Print."\n    print("aloud")\n    return "x"'
    )
    (project.directory / "loud.yaml").write_text('steps: [{id: a, tool: loud}]\noutputs: {a: "{{ a }}"}\n')
    done = project.process("run", "loud.yaml", "--json")
    assert done.json["outputs"] == {"a": "x"}
    assert "aloud" in done.err


def test_words_for_people_go_to_stderr_with_a_line_for_each_event_of_interest(finished: Finished) -> None:
    lines = finished.succeeded.err.splitlines()
    assert "\033" not in finished.succeeded.err
    assert any(line.startswith("✓ hello succeeded") for line in lines)
    assert "- again skipped: condition is false" in lines
    assert any(line.startswith("… tried waits, retry in ") and "try number 1" in line for line in lines)
    assert lines[-1].startswith(f"run {finished.succeeded.json['run_id']} succeeded in ")


def test_without_json_the_outputs_are_printed_as_yaml(project: Project) -> None:
    done = project.process("run", "greet.yaml", "--quiet", "-i", "who=no: body", "-i", "times=2")
    assert (done.code, done.out) == (0, "greeting: 'Hello, no: body!'\ntries: 2\n")


def test_a_failed_run_exits_with_1_and_names_step_cause_and_the_command_that_goes_on(finished: Finished) -> None:
    done = finished.failed
    assert (done.code, done.out) == (1, "")
    assert "failed in step `second`" in done.err
    assert "error[ORC701]" in done.err
    assert "not mended yet" in done.err
    assert "orchestrator resume " in done.err


def test_a_failed_run_can_be_resumed_and_repeats_nothing_that_succeeded(project: Project) -> None:
    failed = project.process("run", "broken.yaml", "--json")
    assert failed.code == 1
    assert failed.json["state"] == "failed"
    assert failed.json["error"]["step"] == "second"
    (project.directory / "mended").touch()
    resumed = project.process("resume", "last", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["run_id"] == failed.json["run_id"]
    assert resumed.json["outputs"] == {"second": "mended"}
    events = project("events", "last", "--json").lines
    started = [event["path"] for event in events if event["type"] == "step.started"]
    assert started == ["first", "second", "second"]
    again = project.process("resume", "last")
    assert again.code == 1
    assert "error[ORC804]" in again.err


def test_resuming_tells_of_a_file_that_was_changed_and_keeps_its_own_text(project: Project) -> None:
    file = project.directory / "broken.yaml"
    before = file.read_text()
    assert "has changed" not in project.process("run", "broken.yaml").err
    assert "has changed" not in project.process("resume", "last").err
    file.write_text(before.replace("value: one", "value: two"))
    (project.directory / "mended").touch()
    resumed = project.process("resume", "last")
    assert resumed.code == 0
    assert "! broken.yaml has changed; this run keeps the version that it was started with" in resumed.err
    assert "--with broken.yaml" in resumed.err
    assert "one" in project("show", "last", "--step", "first").out


def test_a_secret_number_is_given_again_on_the_command_line(project: Project) -> None:
    head = "inputs: {pin: {type: integer, secret: true}}\n"
    (project.directory / "pin.yaml").write_text(
        head + FILES["broken.yaml"].replace("value: one", "value: 'p{{ pin }}'")
    )
    failed = project("run", "pin.yaml", "--json", "-i", "pin=1")
    assert (failed.code, failed.json["error"]["step"], failed.json["error"]["attempt"]) == (1, "second", 1)
    (project.directory / "mended").touch()
    resumed = project("resume", "last", "--json", "-i", "pin=1")
    assert resumed.json["state"] == "succeeded", resumed.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["wrong.yaml"], "error[ORC301]"),
        (["missing.yaml"], "error[ORC100]"),
        (["greet.yaml", "-i", "times=many"], "times"),
        (["greet.yaml", "-i", "times"], "-i name=value"),
        (["greet.yaml", "-i", "whom=Ada"], "error[ORC602]"),
        (["greet.yaml", "--inputs", "missing.json"], "missing.json"),
        (["greet.yaml", "--inputs", "/dev/zero"], "larger than"),
        (["/dev/zero"], "larger than"),
        (["greet.yaml", "--tools", "no_such_module"], "error[ORC903]"),
        (["greet.yaml", "--max-parallel", "0"], "--max-parallel"),
        (["greet.yaml", "--bogus"], "--bogus"),
    ],
)
def test_what_was_asked_wrongly_exits_with_2_and_starts_nothing(project: Project, words: list[str], said: str) -> None:
    done = project("run", *words)
    assert (done.code, done.out) == (2, ""), done.err
    assert said in done.err
    assert not (project.directory / ".orchestrator" / "runs.db").exists()


def test_with_json_a_run_that_does_not_start_still_prints_one_object(project: Project) -> None:
    done = project.process("run", "wrong.yaml", "--json")
    assert done.code == 2
    assert (done.json["run_id"], done.json["state"]) == (None, None)
    assert done.json["error"]["code"] == "ORC301"
    assert "ORC301" in [problem["code"] for problem in done.json["error"]["diagnostics"]]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [("json", json.dumps({"who": "no", "times": 2})), ("yaml", "# people\nwho: no\ntimes: 2\n")],
)
def test_inputs_come_from_a_file_or_from_stdin(project: Project, suffix: str, text: str) -> None:
    (project.directory / f"inputs.{suffix}").write_text(text)
    from_file = project("run", "greet.yaml", "--json", "-q", "--inputs", f"inputs.{suffix}")
    from_stdin = project.process("run", "greet.yaml", "--json", "-q", "--inputs", "-", "-i", "times=1", input=text)
    assert from_file.json["outputs"]["greeting"] == from_stdin.json["outputs"]["greeting"] == "Hello, no!"


def test_a_pipe_that_nobody_writes_is_empty(project: Project) -> None:
    os.mkfifo(project.directory / "fifo")
    assert "`fifo` is empty" in project("check", "fifo").out
    assert project("run", "greet.yaml", "--json", "-q", "--inputs", "fifo").json["state"] == "succeeded"
    os.mkfifo(project.directory / "orchestrator.toml")
    assert project("check", "greet.yaml").code == 0


PLAIN = "inputs: {value: {}}\nsteps: [{id: s, action: log, parameters: {message: m}}]\n"
READ = PLAIN + 'outputs: {value: "{{ value }}"}\n'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("name", "text"), [("in.json", '{"value": "Zoë"}'), ("in.yaml", "value: Zoë\n")])
def test_a_byte_order_mark_is_no_part_of_what_is_read(project: Project, encoding: str, name: str, text: str) -> None:
    (project.directory / "p.yaml").write_text(READ, "utf-8-sig")
    (project.directory / "orchestrator.toml").write_text("[budget]\nusd = 1\n", encoding)
    (project.directory / name).write_text(text, encoding)
    done = project("run", "p.yaml", "--inputs", name, "--json")
    assert done.json["outputs"] == {"value": "Zoë"}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        *(
            ("2.5", 2.5),
            ("-3", -3),
            ("true", True),
            ("[1.10]", [1.1]),
            ('"5"', "5"),
            ("12345678901234567890", 12345678901234567890),
        ),
        *(
            (text, text)
            for text in ("1.10", "007", "5e10", "1E5", "+1", "0x1F", "1e400", "9" * 301, "-0", "1_000", "NaN", "[")
        ),
    ],
)
def test_an_input_without_a_type_keeps_what_a_number_would_lose(project: Project, given: str, value: object) -> None:
    (project.directory / "p.yaml").write_text(READ)
    printed = project("run", "p.yaml", "-i", f"value={given}", "--quiet")
    assert printed.code == 0, printed.err
    (project.directory / "out.yaml").write_text(printed.out)
    again = project("run", "p.yaml", "--inputs", "out.yaml", "--json")
    assert repr(again.json["outputs"]["value"]) == repr(value)


@pytest.mark.parametrize("given", ["[1e400]", '{"a": NaN}', "[" + "9" * 301 + "]"])
def test_json_with_a_number_that_cannot_be_kept_is_refused(project: Project, given: str) -> None:
    (project.directory / "p.yaml").write_text(PLAIN)
    refused = project("run", "p.yaml", "-i", f"value={given}")
    assert refused.code == 2
    assert "`value` must be JSON" in refused.err


def test_inputs_come_from_a_pipe_that_is_written_late(project: Project) -> None:
    reading, writing = os.pipe()
    process = project.start("run", "greet.yaml", "--json", "-q", "--inputs", f"/dev/fd/{reading}", pass_fds=[reading])
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        pipe.write("who: Ada\n")
    assert process.stdout is not None
    with process:
        assert json.loads(process.stdout.read())["outputs"]["greeting"] == "Hello, Ada!"


def test_an_inputs_file_that_is_no_mapping_is_refused(project: Project) -> None:
    done = project.process("run", "greet.yaml", "--inputs", "-", input="[1, 2]")
    assert done.code == 2
    assert "must hold a mapping" in done.err


def test_a_detached_run_prints_its_id_once_it_is_recorded_and_goes_on_alone(project: Project) -> None:
    os.mkfifo(project.directory / "fifo")
    run_id = project.detach("gate.yaml")
    assert project("status", run_id, "--json").json["state"] == "running"
    (project.directory / "fifo").write_text("open")
    done = project("status", run_id, "--watch", "--json")
    assert (done.code, done.json["state"]) == (0, "succeeded")
    assert project("show", run_id, "--json").json["outputs"] == {"after": "open"}
    assert (project.directory / ".orchestrator" / "logs" / f"{run_id}.log").exists()


def test_a_detached_run_that_cannot_start_says_why(project: Project) -> None:
    done = project.process("run", "greet.yaml", "--detach", "-i", "whom=Ada")
    assert (done.code, done.out) == (2, "")
    assert "error[ORC602]" in done.err
    assert list((project.directory / ".orchestrator" / "logs").iterdir()) == []


def test_a_detached_run_without_a_place_for_its_log_does_not_start(project: Project) -> None:
    (project.directory / ".orchestrator").write_text("in the way")
    done = project.process("run", "greet.yaml", "--detach", "--store", "sqlite:///runs.db")
    assert done.code == 2
    assert "error[ORC902]: the log of the background run cannot be written" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_stop_cancels_in_good_order_and_says_how_to_go_on(project: Project, number: int) -> None:
    before = signal.signal(
        number, signal.default_int_handler
    )  # `nohup` has the tests, and their children, ignore SIGHUP
    with project.start("run", "hang.yaml", "--json") as process:
        signal.signal(number, before)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("✓ first")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    data = json.loads(out)
    assert data["state"] == "cancelled"
    assert f"orchestrator resume {data['run_id']}" in err
    by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    assert f"run {data['run_id']} cancelled by {by}" in err
    assert f"{'press' if number == signal.SIGINT else 'send'} {by} again to stop immediately" in err
    assert project("status", "last", "--json").json["counts"]["cancelled"] == 1


def test_a_run_paused_by_another_process_ends_its_owner_with_3(project: Project) -> None:
    os.mkfifo(project.directory / "fifo")
    with project.start("run", "gate.yaml") as process:
        run_id = ""
        while not run_id:
            assert process.poll() is None, process.communicate()
            listed = project("runs", "--json").json
            run_id = listed[0]["run_id"] if listed else ""
        project.until(run_id, lambda event: event["type"] == "step.progress")
        with project.start("pause", run_id) as pausing:
            project.until(run_id, lambda event: event["type"] == "run.paused")
            (project.directory / "fifo").write_text("open")
            pausing.communicate(timeout=30)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert out == ""
    assert f"orchestrator resume {run_id}" in err
    resumed = project.process("resume", run_id)
    assert (resumed.code, resumed.out) == (0, "after: open\n")


def test_cancel_from_another_process_ends_its_owner_with_1(project: Project) -> None:
    run_id = project.detach("hang.yaml")
    project.until(run_id, lambda event: event["type"] == "step.progress")
    active = project("status", run_id)
    assert "page 4 of 10" in active.out
    assert "40%" in active.out
    done = project.process("cancel", run_id, "--reason", "enough", "--json")
    assert done.code == 0
    assert done.json["state"] == "cancelled"
    events = project("events", run_id, "--json").lines
    assert events[-1]["type"] == "run.cancelled"
    assert events[-1]["data"]["reason"] == "enough"
    assert "reason    enough" in project("status", run_id).out.splitlines()


def test_the_store_option_and_its_variable_name_the_same_store(project: Project, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    run = project.process("run", "greet.yaml", "-q", "--json", "--store", url)
    listed = project.process("runs", "--json", env={"ORCHESTRATOR_STORE": url})
    assert [status["run_id"] for status in listed.json] == [run.json["run_id"]]
    assert not (project.directory / ".orchestrator" / "runs.db").exists()
