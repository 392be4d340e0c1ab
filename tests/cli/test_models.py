"""`models` and `keys`: the real commands, with a home of their own and no key of whoever runs the tests."""

import os
import pty
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from orchestrator.models.catalog.providers import PROVIDERS
from tests.cli.conftest import Project
from tests.ollama import Ollama

SECRET = "sk-proj-4f9aXx"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys, *provider.url_variables):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def give(project: Project, home: Path, *words: str, key: str = SECRET) -> tuple[int, str, str]:
    done = project.process(*words, input=f"{key}\n", env={**os.environ, "ORCHESTRATOR_HOME": str(home)})
    return done.code, done.out, done.err


def test_a_key_is_stored_from_stdin_and_never_shown(project: Project, home: Path) -> None:
    code, out, err = give(project, home, "keys", "set", "openai")
    assert (code, err) == (0, "")
    assert "OPENAI_API_KEY" in out
    assert (home / ".env").read_text() == f"OPENAI_API_KEY={SECRET}\n"
    listed = project("keys", "list")
    assert str(home / ".env") in next(line for line in listed.out.splitlines() if line.startswith("openai"))
    everything = [out, listed.out, project("keys", "list", "--json").out, project("models", "openai", "--json").out]
    assert SECRET not in "".join(everything)


def test_a_key_is_asked_for_on_a_terminal_without_showing_it(project: Project, home: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.directory)
        environment = project.environment(ORCHESTRATOR_HOME=str(home))
        argv = project.argv("keys", "set", "anthropic")
        os.execve(argv[0], argv, environment)
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, f"{SECRET}\n".encode())
    try:
        while piece := os.read(terminal, 1024):
            shown += piece
    except OSError:  # Linux says so when the other side has closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert SECRET.encode() not in shown
    assert (home / ".env").read_text() == f"ANTHROPIC_API_KEY={SECRET}\n"


def test_a_key_in_the_environment_is_said_to_go_before(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    code, _, err = give(project, home, "keys", "set", "openai")
    assert code == 0
    assert "OPENAI_API_KEY is set in the environment too" in err
    found = {each["provider"]: each for each in project("keys", "list", "--json").json}
    assert found["openai"]["source"] == "environment"
    assert found["groq"]["source"] is None
    assert found["groq"]["variables"] == ["GROQ_API_KEY"]


@pytest.mark.parametrize(
    ("words", "key", "said"),
    [
        (("keys", "set", "opnai"), SECRET, "did you mean `openai`?"),
        (("keys", "set"), SECRET, "orchestrator keys set openai"),
        (("keys", "set", "openai"), "", "the key is empty"),
        (("keys", "set", "openai"), "two words", "the key is invalid"),
        (("keys", "set", "ollama"), SECRET, "`ollama` does not use a key"),
        (("keys", "sett", "openai"), SECRET, "did you mean `orchestrator keys set`?"),
        (("keys", "set", "openai", "sk-on-the-command-line"), SECRET, "a key must not be on the command line"),
    ],
)
def test_a_wrong_command_is_answered_with_the_right_one(
    words: tuple[str, ...], key: str, said: str, project: Project, home: Path
) -> None:
    code, out, err = give(project, home, *words, key=key)
    assert code == 2
    assert out == ""
    assert said in err
    assert SECRET not in err
    assert "sk-on" not in err
    assert not (home / ".env").exists()


def test_a_file_of_keys_that_others_can_read_is_refused(project: Project, home: Path) -> None:
    home.mkdir()
    (home / ".env").write_text(f"OPENAI_API_KEY={SECRET}\n")
    (home / ".env").chmod(0o644)
    done = project("keys", "list")
    assert done.code == 2
    assert f"chmod 600 {home / '.env'}" in done.err
    assert SECRET not in done.err


def test_a_key_is_checked_by_a_real_call(
    project: Project, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.directory / "orchestrator.toml").write_text(
        f'[servers.lab]\nbase_url = "{httpserver.url_for("/v1")}"\napi_key_env = "LAB_KEY"\n'
    )
    monkeypatch.setenv("LAB_KEY", SECRET)
    httpserver.expect_request("/v1/models", headers={"authorization": f"Bearer {SECRET}"}).respond_with_json(
        {"data": [{"id": "tiny-3b"}]}
    )
    fine = project("keys", "check")
    assert (fine.code, fine.out.split(":")[0]) == (0, "ok    lab")
    monkeypatch.setenv("LAB_KEY", "wrong")
    httpserver.clear()
    httpserver.expect_request("/v1/models").respond_with_data("wrong key", status=401)
    refused = project("keys", "check", "lab")
    assert refused.code == 1
    assert "the key in LAB_KEY is rejected" in refused.out


def test_models_are_listed_with_their_prices_and_whether_they_can_be_asked(project: Project) -> None:
    rows = {line.split()[0]: line for line in project("models").out.splitlines()}
    assert rows["MODEL"].split() == ["MODEL", "CONTEXT", "INPUT", "OUTPUT", "READY", "CAN"]
    assert rows["openai:gpt-5-mini"].split()[1:6] == ["400k", "0.25", "2.00", "no", "key"]
    assert "vision" in rows["openai:gpt-5-mini"]
    assert "openai:gpt-4" not in rows
    assert "openai:gpt-4" in project("models", "openai").out
    assert not any(name.startswith("groq:") for name in rows)
    assert project("models", "--json").json["models"]


def test_models_of_hosts_are_listed_where_their_key_is_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "groq" in project("models").err
    assert "groq:" in project("models", "groq").out
    monkeypatch.setenv("GROQ_API_KEY", "k")
    found = project("models", "--json").json
    state = next(each for each in found["providers"] if each["provider"] == "groq")
    assert state["key"] == "environment"
    if state["installed"]:
        assert any(each["model"].startswith("groq:") and each["ready"] for each in found["models"])


def test_models_are_chosen_by_what_they_can(project: Project) -> None:
    found = project("models", "--capability", "embeddings", "--json").json["models"]
    assert {"openai:text-embedding-3-small", "mistral:mistral-embed"} <= {each["model"] for each in found}
    assert all("embeddings" in each["capabilities"] for each in found)
    both = project("models", "--capability", "vision", "--capability", "audio", "--json").json["models"]
    assert both
    assert {each["provider"] for each in both} <= {"google", "openai"}
    wrong = project("models", "--capability", "visoin")
    assert wrong.code == 2
    assert "--capability vision" in wrong.err


def test_a_model_is_shown_by_its_name(project: Project) -> None:
    for name in ("gpt-5-mini", "openai/gpt-5-mini"):
        assert [each["model"] for each in project("models", name, "--json").json["models"]] == ["openai:gpt-5-mini"]
    misspelt = project("models", "gpt-5-mni")
    assert (misspelt.code, "did you mean `openai:gpt-5-mini`?" in misspelt.err) == (2, True)


def test_a_ping_lists_what_a_server_has(project: Project, httpserver: HTTPServer) -> None:
    (project.directory / "orchestrator.toml").write_text(
        f'[servers.lab]\nbase_url = "{httpserver.url_for("/v1")}"\n[models."lab:known"]\ncontext_window = 4096\n'
    )
    httpserver.expect_request("/v1/models").respond_with_json({"data": [{"id": "tiny-3b"}, {"id": "known"}]})
    assert "tiny-3b" not in project("models", "lab").out
    done = project("models", "lab", "--ping")
    assert [line.split()[0] for line in done.out.splitlines()] == ["MODEL", "lab:known", "lab:tiny-3b"]
    assert "lab: answered in" in done.err
    told = project("models", "lab", "--ping", "--json").json
    assert told["providers"][0]["ping"]["models"] == ["tiny-3b", "known"]
    assert next(each for each in told["models"] if each["model"] == "lab:tiny-3b")["size"] == 3


def test_the_doctor_says_whose_models_can_be_asked(
    project: Project, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> tuple[str, str]:
        findings = project("doctor", "--json").json["findings"]
        return next((each["verdict"], each["message"]) for each in findings if each["subject"] == "models")

    verdict, message = found()
    assert (verdict, "Ollama is not running" in message) == ("warn", True)
    with Ollama() as ollama:
        for name, value in ollama.environment.items():
            monkeypatch.setenv(name, value)
        assert found() == ("ok", "Ollama is running, and answers for `auto`")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    (project.directory / "orchestrator.toml").write_text('[servers.lab]\nbase_url = "http://127.0.0.1:1/v1"\n')
    assert found() == ("ok", "openai, lab can be used")
    home.mkdir(exist_ok=True)
    (home / ".env").write_text(f"OPENAI_API_KEY={SECRET}\n")
    (home / ".env").chmod(0o644)
    assert found()[0] == "fail"


def test_a_mistake_in_the_settings_is_told(project: Project) -> None:
    (project.directory / "orchestrator.toml").write_text('[servers.lab]\nbaseurl = "http://lab"\n')
    for words in (("models",), ("keys", "list")):
        done = project(*words)
        assert done.code == 2
        assert "did you mean `base_url`?" in done.err
