import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ConfigurationError
from orchestrator.tools import Registry, Unresolved, builtin_registry, entry_point_tools, load_tools, to_tool, tool
from orchestrator.tools.reference_page import tools_markdown


@tool
def greet(name: str) -> str:
    return f"Hello {name}"


class Notes:
    def add(self, text: str) -> None: ...

    def clear(self) -> None: ...


REGISTRY = Registry([to_tool(greet), to_tool(Notes)])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("greet", None), "greet.greet"),
        (("notes", "add"), "notes.add"),
        ((None, "greet"), "greet.greet"),
        ((None, "notes.clear"), "notes.clear"),
        (("nope", None), "ORC401 unknown tool `nope`"),
        ((None, "nope.add"), "ORC401 unknown tool `nope`"),
        (("notes", "nope"), "ORC402 unknown action `nope` of the tool `notes`"),
        (("notes", None), "ORC408 the tool `notes` has several actions, so the step needs an `action`"),
        ((None, None), "ORC210 the step has no tool"),
    ],
)
def test_a_step_names_an_action_in_several_ways(names: tuple[str | None, str | None], found: str) -> None:
    resolved = REGISTRY.resolve(*names)
    if isinstance(resolved, Unresolved):
        assert f"{resolved.code} {resolved.message}" == found
        assert resolved.candidates
    else:
        assert f"{resolved[0].name}.{resolved[1].name}" == found


def test_added_tools_take_the_place_of_those_with_their_name() -> None:
    @tool(name="log")
    def own_log() -> None: ...

    registry = builtin_registry().with_tools(own_log, greet)
    assert len(registry) == len(builtin_registry()) + 1
    found = registry.get("log")
    assert found is not None
    assert list(found.actions) == ["log"]


def test_registries_are_joined_and_the_later_wins() -> None:
    @tool(name="log")
    def own_log() -> None: ...

    own = Registry([to_tool(own_log)])
    first, second = builtin_registry() | own, own | builtin_registry()
    assert first.names() == second.names() == builtin_registry().names()
    assert first.get("log") is own.get("log")
    found = second.get("log")
    assert found is not None
    assert list(found.actions) == ["write"]


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="duplicate tool name `greet`"):
        Registry([to_tool(greet), to_tool(greet)])


def test_a_registry_is_a_collection() -> None:
    assert [found.name for found in REGISTRY] == ["greet", "notes"]
    assert "greet" in REGISTRY
    assert REGISTRY.get("nope") is None


def test_the_built_in_tools_load_no_heavy_module_until_they_run() -> None:
    code = """
import sys
from orchestrator.tools import builtin_registry
tools = list(builtin_registry())
heavy = {"polars", "httpx2", "jsonschema", "markdown_it", "pydantic", "sqlalchemy"} & sys.modules.keys()
assert not heavy, heavy
assert len(tools) == 20
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_built_in_action_is_documented_with_an_example() -> None:
    for found in builtin_registry():
        assert found.description
        for action in found.actions.values():
            assert action.description, action.name
            assert "- id:" in action.example, action.name
            assert f"tool: {found.name}" in action.example, action.name
            assert all(parameter.description for parameter in action.parameters.values()), action.name


def test_the_reference_page_tells_of_every_action() -> None:
    page = tools_markdown(builtin_registry())
    for found in builtin_registry():
        for action in found.actions.values():
            assert f"### `{found.name}.{action.name}`" in page
    assert "- `content`: a string (the value of `{{ step }}`)" in page


def write_module(directory: Path, text: str, name: str = "own_tools_for_test.py") -> Path:
    path = directory / name
    path.write_text(text)
    return path


TOOLS = """
from orchestrator.tools import tool

@tool
def shout(text: str) -> str:
    return text.upper()

class Box:
    def open(self) -> None: ...

box = Box()
"""


def test_tools_are_loaded_from_a_file_and_from_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_module(tmp_path, TOOLS)
    monkeypatch.chdir(tmp_path)
    for source in (str(path), "own_tools_for_test", "own_tools_for_test:shout", f"{path}:shout"):
        assert [found.name for found in load_tools(source)] == ["shout"]
    assert [found.name for found in load_tools("own_tools_for_test:box")] == ["box"]
    sys.modules.pop("own_tools_for_test")


@pytest.mark.parametrize(
    ("source", "said", "help"),
    [
        ("no_such_module_here", "unknown module `no_such_module_here`", "check the name"),
        ("missing.py", "the file does not exist", "check the path"),
        (
            "broken.py",
            "importing it raised ZeroDivisionError: division by zero (line 1 of broken.py)",
            "ORCHESTRATOR_DEBUG=1",
        ),
        ("needy.py", "it imports `no_such_module_here`, which is not installed", "install"),
        ("fine.py:nope", "it has no `nope`", "it has"),
    ],
)
def test_tools_that_cannot_be_loaded_say_why(
    source: str, said: str, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, "1 / 0", "broken.py")
    write_module(tmp_path, "import no_such_module_here", "needy.py")
    write_module(tmp_path, TOOLS, "fine.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_tools(source)
    assert caught.value.code == "ORC903"
    assert said in caught.value.message
    assert help in (caught.value.help or "")


def test_a_file_is_named_as_its_user_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(tmp_path, "def wave(text: str) -> str:\n    return text\n", "gestures.py")
    write_module(tmp_path, "X = 1\n", "empty.py")
    monkeypatch.chdir(tmp_path)
    assert [tool.name for tool in load_tools("gestures.py")] == ["gestures"]
    with pytest.raises(ConfigurationError, match=r"empty\.py` is not a valid tool") as caught:
        load_tools("empty.py")
    assert "orchestrator_tools_" not in caught.value.message


def test_a_broken_plugin_is_a_warning_and_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("hello", "tests.tools.test_registry:greet", "orchestrator.tools"),
        EntryPoint("bad", "no_such_module_here:x", "orchestrator.tools"),
    ]

    def found(**_: Any) -> list[EntryPoint]:
        return points

    monkeypatch.setattr("orchestrator.tools.default_tools.entry_points", found)
    registry = entry_point_tools()
    assert registry.names() == ("bad", "hello")
    hello = registry.get("hello")
    assert hello is not None
    assert hello.only_action is not None
    with pytest.warns(UserWarning, match="cannot provide the tool `bad`: ModuleNotFoundError"):
        bad = registry.get("bad")
    assert bad is not None
    assert not bad.actions
