import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigurationError
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.providers import PROVIDERS

SECRET = "sk-proj-4f9aXx_secret"
OPENAI, GOOGLE, BEDROCK = (PROVIDERS[name] for name in ("openai", "google", "bedrock"))


def keys(directory: Path, **environ: str) -> Keys:
    return Keys(directory / "home" / ".env", environ)


def write(held: Keys, text: str, mode: int = 0o600) -> None:
    held.file.parent.mkdir(exist_ok=True)
    held.file.write_text(text)
    held.file.chmod(mode)


def test_a_key_in_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    held = keys(tmp_path, GOOGLE_API_KEY="from-environment")
    write(held, "GEMINI_API_KEY=from-file\n")
    key = held.find(GOOGLE)
    assert key is not None
    assert (key.source, key.variable, key.value) == ("environment", "GOOGLE_API_KEY", "from-environment")


def test_the_file_is_read_where_the_environment_has_nothing(tmp_path: Path) -> None:
    held = keys(tmp_path, OPENAI_API_KEY=" ")
    write(held, f"# my keys\n\nOPENAI_API_KEY='{SECRET}'\nOTHER=\n")
    key = held.find(OPENAI)
    assert key is not None
    assert (key.source, key.value) == ("file", SECRET)
    assert held.suffices(OPENAI)
    assert not held.suffices(GOOGLE)


def test_credentials_that_a_library_finds_by_itself_count(tmp_path: Path) -> None:
    key = keys(tmp_path, AWS_PROFILE="work").find(BEDROCK)
    assert key is not None
    assert (key.variable, key.value) == ("AWS_PROFILE", "")


def test_without_a_file_there_are_no_keys(tmp_path: Path) -> None:
    held = keys(tmp_path)
    assert held.find(OPENAI) is None
    assert held.suffices(PROVIDERS["ollama"])


def test_the_home_can_be_elsewhere() -> None:
    assert Keys.load({"ORCHESTRATOR_HOME": "/somewhere"}).file == Path("/somewhere/.env")
    assert Keys.load({}).file == Path.home() / ".orchestrator" / ".env"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o660])
def test_a_file_that_others_can_read_or_change_is_refused_with_the_command_that_mends_it(
    mode: int, tmp_path: Path
) -> None:
    held = keys(tmp_path)
    write(held, f"OPENAI_API_KEY={SECRET}\n", mode)
    with pytest.raises(ConfigurationError) as caught:
        held.find(OPENAI)
    assert caught.value.code == "ORC902"
    assert f"{mode:03o}" in caught.value.message
    assert caught.value.help == f"chmod 600 {held.file}"
    subprocess.run(str(caught.value.help).split(), check=True)
    assert held.find(OPENAI)


def test_a_file_that_others_can_read_does_no_harm_where_it_is_not_needed(tmp_path: Path) -> None:
    held = keys(tmp_path, OPENAI_API_KEY="k")
    write(held, f"OPENAI_API_KEY={SECRET}\n", 0o644)
    assert held.find(OPENAI)
    assert held.suffices(PROVIDERS["ollama"])


@pytest.mark.parametrize(
    ("line", "said", "help"),
    [
        (f"OPENAI_API_KEY = {SECRET}", "line 2 is not `NAME=value`", "without spaces"),
        (f"export OPENAI_API_KEY={SECRET}", "line 2 is not `NAME=value`", "leave out `export`"),
        (SECRET, "line 2 is not `NAME=value`", "without spaces"),
        (f"OPENAI_API_KEY={SECRET} # mine", "the value of OPENAI_API_KEY is not a key", "a separate line"),
        (f"OPENAI_API_KEY='{SECRET}", "the value of OPENAI_API_KEY is not a key", "without spaces"),
        (f"GROQ_API_KEY={SECRET}", "GROQ_API_KEY is set twice", "remove one"),
        (
            f"OPENAI_API_KEY={SECRET}\N{LATIN SMALL LETTER E WITH ACUTE}",
            "characters that are invalid in a key",
            "ASCII",
        ),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number_and_never_shown(
    line: str, said: str, help: str, tmp_path: Path
) -> None:
    held = keys(tmp_path)
    write(held, f"GROQ_API_KEY=first\n{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        held.find(OPENAI)
    assert said in caught.value.message
    assert help in (caught.value.help or "")
    assert SECRET not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    held = keys(tmp_path)
    held.file.mkdir(parents=True)
    with pytest.raises(ConfigurationError):
        held.find(OPENAI)
    held.file.rmdir()
    os.mkfifo(held.file, 0o600)
    with pytest.raises(ConfigurationError, match="not a file"):
        held.find(OPENAI)


def test_a_key_is_stored_where_only_its_owner_can_read_it(tmp_path: Path) -> None:
    held = keys(tmp_path)
    assert held.store(OPENAI, f"{SECRET}\n") == "OPENAI_API_KEY"
    assert stat.S_IMODE(held.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(held.file.parent.stat().st_mode) == 0o700
    key = held.find(OPENAI)
    assert key is not None
    assert key.value == SECRET


def test_storing_a_key_leaves_the_other_lines_as_they_are(tmp_path: Path) -> None:
    held = keys(tmp_path)
    write(held, "# mine\nGROQ_API_KEY=g\nOPENAI_API_KEY=old\n")
    held.store(OPENAI, "new")
    assert held.file.read_text() == "# mine\nGROQ_API_KEY=g\nOPENAI_API_KEY=new\n"
    assert list(held.file.parent.iterdir()) == [held.file]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    held = keys(tmp_path)
    held.file.parent.mkdir()
    (tmp_path / "dotfiles").mkdir()
    held.file.symlink_to(tmp_path / "dotfiles" / "env")
    held.store(OPENAI, "k")
    assert held.file.is_symlink()
    assert (tmp_path / "dotfiles" / "env").read_text() == "OPENAI_API_KEY=k\n"


@pytest.mark.parametrize(
    "value", ["", "  \n", "two words", "quo'ted", "li\nne", "\x1b[31m", "\N{KELVIN SIGN}ey", "k" * 9000]
)
def test_what_cannot_be_a_key_is_not_stored(value: str, tmp_path: Path) -> None:
    held = keys(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        held.store(OPENAI, value)
    assert not held.file.exists()
    assert not value.strip() or value not in str(caught.value)


def test_a_wrong_file_is_not_built_upon(tmp_path: Path) -> None:
    held = keys(tmp_path)
    write(held, "what is this\n")
    with pytest.raises(ConfigurationError):
        held.store(OPENAI, SECRET)
    assert held.file.read_text() == "what is this\n"


def test_a_provider_that_takes_no_key_gets_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not use a key"):
        keys(tmp_path).store(PROVIDERS["ollama"], "k")


def test_of_keys_stored_at_the_same_time_none_is_lost(tmp_path: Path) -> None:
    held = keys(tmp_path)
    givers = [each for each in PROVIDERS.values() if each.key_variables]
    threads = [threading.Thread(target=held.store, args=(each, f"key-of-{each.name}")) for each in givers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.name: held.find(each).value for each in givers} == {  # type: ignore[union-attr]
        each.name: f"key-of-{each.name}" for each in givers
    }


def test_a_process_that_is_killed_while_it_stores_leaves_the_file_whole(tmp_path: Path) -> None:
    held = keys(tmp_path)
    held.store(OPENAI, "first")
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom orchestrator.models.catalog import keys\n"
        "from orchestrator.models.catalog.providers import PROVIDERS\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "keys.Keys(Path(sys.argv[1]), {}).store(PROVIDERS['openai'], 'second')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(held.file)], check=False)
    assert done.returncode == -9
    key = held.find(OPENAI)
    assert key is not None
    assert key.value == "first"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\""), min_size=1))
def test_every_key_that_is_stored_is_found_again(value: str, tmp_path: Path) -> None:
    held = keys(tmp_path)
    held.store(OPENAI, value)
    key = held.find(OPENAI)
    assert key is not None
    assert key.value == value


def test_no_key_is_in_any_representation(tmp_path: Path) -> None:
    held = keys(tmp_path, OPENAI_API_KEY=SECRET)
    assert SECRET not in f"{held!r} {held} {held.find(OPENAI)!r} {held.find(OPENAI)}"
