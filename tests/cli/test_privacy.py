"""What a run leaves behind is readable by its user alone: the store, logs, recordings, keys and results."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.journal import Store
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.messages import ModelReply
from orchestrator.models.recordings.format import Recording, write
from tests.cli.conftest import Project
from tests.journal.support import create

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of files")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): f"{path.stat().st_mode & 0o777:o}"
        for path in (directory, *directory.rglob("*"))
        if path.stat().st_mode & 0o077
    }


def test_a_store_is_for_its_owner_also_while_it_is_open(tmp_path: Path) -> None:
    top = tmp_path / "a"
    with Store.open(f"sqlite:///{top}/b/runs.db") as store:
        create(store, "one")
        names = {path.name for path in (top / "b").iterdir()}
        assert {"runs.db", "runs.db-wal", "runs.db-shm"} <= names
        assert open_to_others(top) == {}
    assert open_to_others(top) == {}


def test_a_store_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/runs.db").close()
    (tmp_path / "runs.db").chmod(0o660)
    with Store.open(f"sqlite:///{tmp_path}/runs.db") as store:
        create(store, "one")
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o660}


def test_the_doctor_warns_of_a_store_that_others_can_open(project: Project) -> None:
    store = project.directory / ".orchestrator" / "runs.db"
    Store.open(f"sqlite:///{store}").close()
    assert not [each for each in project("doctor", "--json").json["findings"] if "other users" in each["message"]]
    store.chmod(0o644)
    (found,) = [each for each in project("doctor", "--json").json["findings"] if "other users" in each["message"]]
    assert found["verdict"] == "warn"
    assert "chmod 600" in found["fix"]


def test_a_detached_run_leaves_nothing_that_others_can_read(project: Project) -> None:
    (project.directory / "p.yaml").write_text("steps: [{id: a, action: echo, parameters: {value: x}}]\n")
    run_id = project.detach("p.yaml")
    project("status", run_id, "--watch", "--json")
    assert (project.directory / ".orchestrator" / "logs" / f"{run_id}.log").exists()
    assert open_to_others(project.directory / ".orchestrator") == {}


TALKER = """
import logging, os, subprocess, sys
import orchestrator as orc

logging.basicConfig(stream=sys.stderr, level="INFO")


@orc.tool
def talk(key: str) -> str:
    print("printed", key)
    logging.info("logged %s", key)
    for letter in key:
        sys.stderr.write(letter)
        sys.stderr.flush()
    os.write(1, b" by number " + key.encode() + b"\\n")
    subprocess.run(["echo", "program", key], check=True)
    print("unfinished", key[:20], end="", flush=True)
    print(key[20:], end="")
    return "done"
"""


def test_what_tools_print_comes_to_the_log_of_a_detached_run_without_secrets(project: Project) -> None:
    (project.directory / "talker.py").write_text(TALKER)
    (project.directory / "p.yaml").write_text(
        "inputs: {key: {type: string, secret: true}}\nsteps: [{id: a, tool: talk, parameters: {key: '{{ key }}'}}]\n"
    )
    key = "sk-Ab12Cd34Ef56Gh78Ij90Kl"
    log = project.directory / "run.log"
    reading, writing = os.pipe()
    with log.open("wb") as stream, os.fdopen(reading), os.fdopen(writing):
        command = ("run", "p.yaml", "--tools", "talker.py", "--inputs", "-", "--announce", str(writing))
        subprocess.run(  # as `--detach` starts it
            project.argv(*command),
            cwd=project.directory,
            env=project.environment(),
            input=json.dumps({"key": key}).encode(),
            stdout=stream,
            stderr=stream,
            pass_fds=(writing,),
            check=True,
            timeout=60,
        )
    text = log.read_text()
    assert key not in text
    for words in (
        "printed [redacted:key#",
        "logged [redacted:key#",
        "] by number [redacted:key#",
        "program [redacted:",
    ):
        assert words in text
    assert "unfinished [redacted:key#" in text


def test_the_results_of_a_batch_are_for_their_owner(project: Project) -> None:
    (project.directory / "p.yaml").write_text(
        "inputs: {word: string}\nsteps: [{id: a, action: text.template, parameters: {template: '{{ word }}'}}]\n"
    )
    (project.directory / "rows.jsonl").write_text('{"word": "a"}\n')
    done = project("map", "p.yaml", "rows.jsonl", "--out", "results.jsonl")
    assert done.code == 0, done.err
    assert (project.directory / "results.jsonl").stat().st_mode & 0o777 == 0o600


def test_recordings_are_for_their_owner(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "down"
    write(directory, Recording("0123456789abcdef.json", "a", {"model": "fake:a"}, 1, ModelReply("hi")))
    assert [path.name for path in directory.iterdir()] == ["0123456789abcdef.json"]
    assert open_to_others(tmp_path / "deep") == {}


def test_the_keys_of_providers_are_for_their_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    Keys.load().store(PROVIDERS["openai"], "k" * 40)
    assert (tmp_path / "home" / ".env").exists()
    assert open_to_others(tmp_path / "home") == {}
