"""A project is a folder with `orchestrator.toml`: what it sets, from where it is found, and what a run keeps of it."""

import os
import re
import shlex
from contextlib import chdir
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.config.project_file import project_directory
from orchestrator.errors import ConfigurationError, RunNotResumable
from tests.cli.conftest import Done, Project

TOOLS = '''
import orchestrator as orc
import words


@orc.tool
def shout(text: str) -> str:
    """Return the text in capitals."""
    import late

    return words.upper(text) + late.MARK
'''

ASKING = """
id: asking
inputs:
  note: {type: file, required: false}
steps:
  - id: send
    approve: "Send it?"
  - id: loud
    tool: shout
    dependencies: [send]
    parameters: {text: hello}
outputs:
  loud: "{{ loud }}"
  note: "{{ note }}"
"""

RUNS = """
id: programs
steps:
  - id: send
    approve: "Run it?"
  - id: hello
    tool: terminal
    action: execute
    dependencies: [send]
    parameters: {command: [echo, hello]}
outputs:
  said: "{{ hello.stdout | trim }}"
"""

READS = """
steps:
  - {id: go, approve: "Read?"}
  - {id: read, action: filesystem.read, dependencies: [go], parameters: {path: "{{ 'note' ~ '.txt' }}"}}
outputs: {text: "{{ read }}"}
"""


def folder(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose file names tools and a store."""
    folder(
        tmp_path,
        lib__tools_dot_py=TOOLS,
        lib__words_dot_py="def upper(text):\n    return text.upper()\n",
        lib__late_dot_py='MARK = "!"\n',
        sub__ask_dot_yaml=ASKING,
        sub__note_dot_txt="a note",
        orchestrator_dot_toml='tools = ["lib/tools.py"]\nstore = "sqlite:///db/runs.db"\n[run]\nmax_parallel = 3\n',
    )
    return tmp_path


def at(directory: Path) -> Project:
    return Project(directory, tools=None)


def suggested(done: Done, verb: str) -> list[str]:
    """The words of the command that was suggested, as a shell reads them."""
    found = re.search(rf"orchestrator ({verb} .*)", done.out + done.err)
    assert found is not None, done.out + done.err
    return shlex.split(found[1])


# --- what the file sets, and where it is found


def test_a_run_that_began_in_a_subfolder_is_answered_from_another_one_with_the_tools_of_the_project(home: Path) -> None:
    asked = at(home / "sub")("run", "ask.yaml", "-i", "note=note.txt")
    assert asked.code == 3, asked.err
    done = at(home / "lib")(*suggested(asked, "answer"))
    assert done.code == 0, done.err
    assert done.out == "loud: HELLO!\nnote: sub/note.txt\n"
    assert (home / "db" / "runs.db").exists()
    assert not (home / "sub" / ".orchestrator").exists()
    assert "succeeded" in at(home)("runs").out


def test_defaults_of_a_run_are_those_of_the_file_and_an_option_goes_before_them(home: Path) -> None:
    for words, wanted in ((("-q",), 3), (("-q", "--max-parallel", "5"), 5)):
        asked = at(home)("run", "sub/ask.yaml", "--json", *words)
        with chdir(home), orc.Orchestrator() as client:
            assert client.get_run(asked.json["run_id"]).record().options["max_parallel"] == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools = 1", "`tools` must be a list of strings"),
        ("store = 1", "`store` must be a text"),
        ("[run]\nmax_paralel = 3", "unknown setting `run.max_paralel`"),
        ("[run]\nmax_result = 0", "`run.max_result` must be an integer of at least 1"),
        ('[run]\nmax_told = "all"', "`run.max_told` must be an integer of at least 1"),
        ("[run]\nmax_parallel = 0", "`run.max_parallel` must be an integer of at least 1"),
        ('[run]\ntimeout = "soon"', "`run.timeout` is not a duration: `soon` is not understood"),
        ("[run]\ncache = 1", "`run.cache` must be true or false"),
        ("[run.budget]\nusd = -1", "`run.budget.usd` must be a number of at least 0"),
        ("[run.budget]\ndollars = 1", "unknown setting `run.budget.dollars`"),
        ('tools = ["nothing.py"]', "nothing.py` cannot be loaded: the file does not exist"),
    ],
)
def test_a_wrong_setting_of_the_project_is_an_error_before_anything_runs(home: Path, text: str, message: str) -> None:
    folder(home, orchestrator_dot_toml=text)
    done = at(home / "sub")("run", "ask.yaml")
    assert done.code == 2
    assert message in done.err
    assert not (home / ".orchestrator").exists()


def test_what_only_looks_at_runs_needs_no_tools(home: Path) -> None:
    asked = at(home / "sub")("run", "ask.yaml", "--json", "-q")
    (home / "lib" / "tools.py").rename(home / "lib" / "moved.py")
    for words in (["runs"], ["status", "last"], ["show", "last"], ["events", "last"]):
        assert at(home)(*words).code == 0
    assert at(home)("answer", asked.json["run_id"], "send", "yes").code == 2
    assert at(home)("status", "last", "--json").json["state"] == "waiting"


def test_the_project_is_the_nearest_folder_with_the_file_and_else_the_current_one(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert project_directory(inner) == inner
    folder(tmp_path, orchestrator_dot_toml="")
    assert project_directory(inner) == tmp_path
    folder(tmp_path / "a", orchestrator_dot_toml="")
    assert project_directory(inner) == tmp_path / "a"


def test_a_file_of_another_user_above_the_working_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "geteuid"):
        pytest.skip("files have no owners by number on this system")
    inner = tmp_path / "mine"
    inner.mkdir()
    folder(tmp_path, orchestrator_dot_toml="[allow]\nrun = true\n")
    monkeypatch.setattr("orchestrator.config.project_file._is_trusted", lambda owner, start: False)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        project_directory(inner)
    assert project_directory(tmp_path) == tmp_path  # whoever works in it trusts it


# --- what a run keeps of it


def test_an_answer_is_not_taken_before_it_is_known_that_the_run_can_be_resumed(tmp_path: Path) -> None:
    project = at(folder(tmp_path, programs_dot_yaml=RUNS))
    asked = project("run", "programs.yaml", "--allow-run")
    command = suggested(asked, "answer")
    refused = project(*[word for word in command if word != "--allow-run"])
    assert refused.code == 2
    assert "error[ORC818]" in refused.err
    assert "with: --allow-run" in refused.err
    assert suggested(project("status", "last"), "answer") == command
    done = project(*command)
    assert done.code == 0, done.err
    assert done.out == "said: hello\n"


@pytest.mark.parametrize("verb", ["resume", "retry", "fork"])
def test_permissions_are_asked_for_again_unless_the_project_gives_them(tmp_path: Path, verb: str) -> None:
    project = at(folder(tmp_path, programs_dot_yaml=RUNS))
    project("run", "programs.yaml", "--allow-run")
    project("answer", "last", "send", "yes", "--allow-run")
    if verb == "resume":
        project("run", "programs.yaml", "--allow-run")
        project("answer", "last", "send", "yes", "--no-wait")
    words = {"resume": [], "retry": ["--step", "hello"], "fork": ["--from", "hello"]}[verb]
    refused = project(verb, "last", *words)
    assert "error[ORC818]" in refused.err
    folder(tmp_path, orchestrator_dot_toml='[allow]\nrun = ["echo"]\n')
    assert "with: --allow-run" in project(verb, "last", *words).err  # it was started with more
    folder(tmp_path, orchestrator_dot_toml="[allow]\nrun = true\n")
    assert project(verb, "last", *words).code == 0


def test_tools_outside_of_the_project_are_asked_for_again_and_those_inside_are_not(tmp_path: Path) -> None:
    tools = (
        'import orchestrator as orc\n\n\n@orc.tool\ndef shout(text: str) -> str:\n    """Shout."""\n    return "X"\n'
    )
    outside = folder(tmp_path / "outside", tools_dot_py=tools) / "tools.py"
    inside = folder(tmp_path / "project", own_dot_py=tools, ask_dot_yaml=ASKING)
    project = at(inside)
    asked = project("run", "ask.yaml", "--tools", "own.py")
    assert "--tools" not in suggested(asked, "answer")
    assert project(*suggested(asked, "answer")).code == 0
    asked = project("run", "ask.yaml", "--tools", "../outside/tools.py")
    assert suggested(asked, "answer")[-2:] == ["--tools", str(outside)]
    refused = project(*suggested(asked, "answer")[:-2])
    assert f"with: --tools {outside}" in refused.err
    assert project(*suggested(asked, "answer")).code == 0


def test_tools_may_be_named_by_the_file_and_by_an_option_and_a_run_remembers_both(home: Path) -> None:
    project = at(home)
    asked = project("run", "sub/ask.yaml", "--tools", "lib/tools.py")
    assert asked.code == 3, asked.err
    assert project(*suggested(asked, "answer"), "--tools", "lib/tools.py").code == 0


def test_every_command_that_is_suggested_names_the_store_that_was_given(tmp_path: Path) -> None:
    project = at(folder(tmp_path, programs_dot_yaml=RUNS))
    store = ("--store", "sqlite:///other.db")
    asked = project("run", "programs.yaml", "--allow-run", *store)
    told = [asked, project("status", "last", *store), project("show", "last", "--step", "send", *store)]
    told += [project("resume", "nope", *store), project("pause", "last", *store)]
    suggestions = re.findall(
        r"orchestrator (?:answer|resume|runs|status|show)\b.*", "\n".join(t.out + t.err for t in told)
    )
    assert len(suggestions) >= 5
    assert all("--store sqlite:///other.db" in each for each in suggestions), suggestions
    assert project(*suggested(told[-1], "resume")).code == 3


def test_a_run_that_began_elsewhere_uses_the_files_of_where_it_began(tmp_path: Path) -> None:
    one = at(folder(tmp_path / "one", read_dot_yaml=READS, note_dot_txt="of one"))
    two = at(folder(tmp_path / "two", note_dot_txt="of two"))
    store = ("--store", f"sqlite:///{tmp_path}/runs.db")
    one("run", "read.yaml", *store)
    assert f"with: --allow-path {one.directory}" in two("answer", "last", "go", "yes", *store).err
    done = two(*suggested(two("status", "last", *store), "answer"))
    assert done.out == "text: of one\n", done.err


def test_in_python_a_run_is_not_resumed_with_less_than_it_was_started_with(tmp_path: Path) -> None:
    folder(tmp_path, programs_dot_yaml=RUNS)
    allowed = orc.Permissions(tmp_path).extended(run=True)
    with orc.Orchestrator(directory=tmp_path, permissions=allowed) as client:
        run = client.compile(tmp_path / "programs.yaml").start()
        run.wait()
    with orc.Orchestrator(directory=tmp_path) as client:
        client.get_run(run.id).answer("send", True)
        with pytest.raises(RunNotResumable, match="permission to run commands") as caught:
            client.resume(run.id)
        assert caught.value.code == "ORC818"
    with orc.Orchestrator(directory=tmp_path, permissions=allowed) as client:
        assert client.resume(run.id).result().outputs == {"said": "hello"}


def test_a_run_with_tools_that_were_given_as_objects_says_in_which_file_they_are(tmp_path: Path) -> None:
    @orc.tool
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    folder(tmp_path, ask_dot_yaml=ASKING)
    with orc.Orchestrator(directory=tmp_path, tools=[shout]) as client:
        client.compile(tmp_path / "ask.yaml").start().wait()
    refused = at(tmp_path)("answer", "last", "send", "yes")
    assert "unknown tool" in refused.err
    assert f"--tools {__file__}" in refused.err
    assert at(tmp_path)("status", "last", "--json").json["state"] == "waiting"


# --- neighbours of tools

WHICH = """
import orchestrator as orc
{imports}


@orc.tool
def which() -> str:
    '''Say which neighbour was imported.'''
    return {value}
"""


def which(directory: Path, file: Path) -> object:
    with orc.Orchestrator(directory=directory, tools=[str(file)]) as client:
        pipeline = client.compile({"steps": [{"id": "a", "tool": "which"}], "outputs": {"a": "{{ a }}"}})
        return pipeline.run().outputs["a"]


def test_tools_of_two_folders_each_have_their_own_neighbours(tmp_path: Path) -> None:
    tools = WHICH.format(imports="import helper", value="helper.NAME")
    for name in ("one", "two"):
        folder(tmp_path / name, tools_dot_py=tools, helper_dot_py=f"NAME = {name!r}\n")
    assert [which(tmp_path, tmp_path / name / "tools.py") for name in ("one", "two")] == ["one", "two"]


def test_tools_in_a_package_use_relative_imports(tmp_path: Path) -> None:
    tools = WHICH.format(imports="from .helper import NAME", value="NAME")
    folder(tmp_path / "pack", tools_dot_py=tools, helper_dot_py="NAME = 'inner'\n")
    (tmp_path / "pack" / "__init__.py").touch()
    assert which(tmp_path, tmp_path / "pack" / "tools.py") == "inner"


def test_a_file_beside_the_tools_does_not_take_the_place_of_a_library(tmp_path: Path) -> None:
    tools = WHICH.format(imports="import json", value="json.dumps('x')")
    folder(tmp_path, tools_dot_py=tools, json_dot_py="raise RuntimeError('shadowed')\n")
    assert which(tmp_path, tmp_path / "tools.py") == '"x"'


@pytest.mark.parametrize(
    "path", ["lib/tools.py", "lib/words.py", "lib/late.py", "orchestrator.toml", "sub/orchestrator.toml"]
)
def test_no_step_changes_what_the_command_would_run_next_time(home: Path, path: str) -> None:
    steps = [{"id": "go", "approve": "Write?"}]
    steps += [
        {
            "id": "w",
            "action": "filesystem.write",
            "dependencies": ["go"],
            "parameters": {"path": "{{ file }}", "content": "x"},
        }
    ]
    with orc.Orchestrator(directory=home) as client:
        run = client.compile({"inputs": {"file": path}, "steps": steps}).start()
        run.wait()
    with orc.Orchestrator(directory=home) as client:
        client.get_run(run.id).answer("go", True)
        with pytest.raises(orc.RunFailed, match="belongs to Orchestrator"):
            client.resume(run.id).result()
