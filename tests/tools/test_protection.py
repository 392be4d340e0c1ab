"""Nothing that a step does changes the project's configuration, its store, or the code of its tools."""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import PermissionDenied, StepError
from orchestrator.tools import Permissions, builtin_registry, to_tools
from orchestrator.tools.sandbox import permissions
from orchestrator.tools.sandbox.paths import Location, open_location, open_parent
from orchestrator.tools.sandbox.protection import is_reserved, running_code, store_files
from orchestrator.tools.source_files import named_sources, searched_directories, source_files
from tests.tools.support import FakeContext, Workplace

RESERVED = [
    "orchestrator.toml", "ORCHESTRATOR.TOML", "Orchestrator.Toml", ".orchestrator", ".Orchestrator", ".ORCHESTRATOR",
    "orchestrator.toml.", "orchestrator.toml ", ".orchestrator. .", "orchestrator.toml::$DATA",
    ".orchestrator:$I30:$INDEX_ALLOCATION", "orche\u017ftrator.toml", "orchestrator\uff0etoml",
    "orch\u200cestrator.toml", "\ufefforchestrator.toml", ".orchestr\u00adator", "ORCHES~1.TOM", "orches~2",
    "OR3F2A~1.TOM", "\uff4frchestrator.toml", "orchestrator.toml\n",
]  # fmt: skip


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_that_some_file_system_takes_for_ours_is_reserved(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name",
    ["orchestrator", "orchestrator.tom", "orchestrator.toml.bak", "my-orchestrator.toml", "a.toml", ".orchestrators",
     "", ".", "..", "o", ".o", "orches~.tom", "órchestrator.toml", "runs.db", "\udcff", "orchestra"],
)  # fmt: skip
def test_other_names_are_free(name: str) -> None:
    assert not is_reserved(name)


@given(name=st.text(max_size=30))
def test_any_name_is_judged(name: str) -> None:
    assert is_reserved(name) or name.casefold() not in ("orchestrator.toml", ".orchestrator")


CONFIGURATION = "[allow]\nrun = false\n"
EVIL = '[allow]\nrun = true\npaths = ["/"]\n'

NAMES = st.sampled_from(
    ["evil", "sub", "conf", "data", "a.txt", "orchestrator.toml", "ORCHESTRATOR.toml", ".orchestrator", ".Orchestrator",
     "runs.db", "store.db", "store.db-wal", "in.toml", "tools.py", "to_configuration", "to_home", "to_store", "here",
     "to_evil", "hard", "hard_store", "..", ".", "new"]
)  # fmt: skip
PATHS = st.one_of(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join),
    st.sampled_from(
        [".", "./evil", "sub/..", "evil/orchestrator.toml", "here/here/orchestrator.toml", "new/../orchestrator.toml",
         "evil/deep", "evil/deep/.orchestrator", "{work}", "{work}/orchestrator.toml", "{work}/evil", "../work",
         "../work/evil", "../work/.orchestrator"]
    ),
)  # fmt: skip
ROWS = [{"a": 1}]


def actions(url: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A call of any action that changes files, with any paths."""

    def call(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        return st.fixed_dictionaries(parameters).map(lambda given: (name, given))

    flag, text = st.booleans(), st.just(EVIL)
    return st.one_of(
        call("filesystem.write", path=PATHS, content=text, overwrite=flag),
        call("filesystem.append", path=PATHS, content=text),
        call("filesystem.copy", path=PATHS, destination=PATHS, overwrite=flag),
        call("filesystem.move", path=PATHS, destination=PATHS, overwrite=flag),
        call("filesystem.delete", path=PATHS, recursive=flag, missing_ok=flag),
        call("http.download", url=st.just(url), path=PATHS),
        call("data.write", rows=st.just(ROWS), path=PATHS, format=st.just("csv")),
        call("report.html", markdown=text, path=PATHS),
    )


WRITERS = {
    "filesystem.write", "filesystem.append", "filesystem.copy", "filesystem.move", "filesystem.delete",
    "http.download", "data.write", "report.html",
}  # fmt: skip
"""The actions above."""

OTHER_WRITERS = {
    "archive.create",
    "archive.extract",
    "browser.screenshot",
    "storage.download",
    "chart.draw",
    "chart.overview",
    "report.docx",
    "report.pdf",
    "sql.export",
}
"""Actions that write a file as those above do, and take longer."""

READERS = {
    "filesystem.read", "filesystem.list", "filesystem.glob", "filesystem.exists", "http.request", "http.get",
    "http.post", "data.read", "data.filter", "data.select", "data.sort", "data.aggregate", "data.join", "data.pivot",
    "data.deduplicate", "data.sql", "data.profile", "data.validate", "data.sample", "data.window", "data.unpivot",
    "sql.query", "sql.execute", "web.read", "storage.read", "storage.write", "storage.list", "storage.exists",
    "storage.upload", "storage.copy", "storage.delete", "archive.list", "browser.visit", "email.send",
    "memory.append", "memory.clear", "memory.delete", "memory.get", "memory.list", "memory.search", "memory.set",
    "vector.chunk", "vector.collections", "vector.delete", "vector.index", "vector.query", "vector.upsert",
}  # fmt: skip
"""Actions that ask for permission, and write no file."""

PROGRAMS = {"terminal.execute", "python.execute", "mcp.call"}
"""Actions that run programs, which have the permissions of their user: each requires a permission."""


def test_no_action_that_asks_for_permission_is_left_out(tmp_path: Path) -> None:
    asking, writing = set(), set()
    for tool in builtin_registry():
        for name, action in tool.actions.items():
            if action.refusal is None:
                continue
            asking.add(f"{tool.name}.{name}")
            for parameter in action.parameters:
                refusal = action.refusal({parameter: "orchestrator.toml"}, Permissions(tmp_path))
                if refusal is not None and "belongs to Orchestrator" in refusal.message:
                    writing.add(f"{tool.name}.{name}")
    assert writing == WRITERS | OTHER_WRITERS
    assert asking - PROGRAMS == writing | READERS


class Evil(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(EVIL)))
        self.end_headers()
        self.wfile.write(EVIL.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


SHAPES = st.fixed_dictionaries(
    {
        "configuration": st.sampled_from(["file", "absent", "link"]),
        "home": st.sampled_from(["directory", "absent", "link"]),
        "evil": st.sets(
            st.sampled_from(
                ["orchestrator.toml", "ORCHESTRATOR.TOML", ".orchestrator/runs.db", "deep/orchestrator.toml",
                 "deep/.orchestrator/runs.db", "store.db", "tools.py", "a.txt"]
            )
        ),
        "links": st.dictionaries(
            st.sampled_from(["to_configuration", "to_home", "to_store", "here", "to_evil", "evil/here", "sub/up"]),
            st.sampled_from(
                ["orchestrator.toml", "{work}/orchestrator.toml", ".orchestrator", "store.db", ".", "..", "evil",
                 "{work}", "conf", "{work}/.orchestrator/runs.db", "{work}/store.db"]
            ),
            max_size=4,
        ),
        "hard": st.booleans(),
    }
)  # fmt: skip


def build(work: Path, shape: Mapping[str, Any]) -> None:
    for directory in ("evil", "sub", "conf", "data"):
        (work / directory).mkdir(parents=True)
    (work / "a.txt").write_text("a")
    (work / "store.db").write_text("store")
    (work / "tools.py").write_text("tools")
    (work / "conf" / "in.toml").write_text(CONFIGURATION)
    if shape["configuration"] == "file":
        (work / "orchestrator.toml").write_text(CONFIGURATION)
    elif shape["configuration"] == "link":
        (work / "orchestrator.toml").symlink_to("conf/in.toml")
    if shape["home"] == "directory":
        (work / ".orchestrator" / "logs").mkdir(parents=True)
        (work / ".orchestrator" / "runs.db").write_text("runs")
    elif shape["home"] == "link":
        (work / ".orchestrator").symlink_to("data")
        (work / "data" / "runs.db").write_text("runs")
    for name in shape["evil"]:
        (work / "evil" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "evil" / name).write_text(EVIL)
    for name, target in shape["links"].items():
        (work / name).symlink_to(target.format(work=work))
    if shape["hard"]:
        if (work / "orchestrator.toml").is_file():
            (work / "hard").hardlink_to(
                work / "conf/in.toml" if shape["configuration"] == "link" else work / "orchestrator.toml"
            )
        (work / "hard_store").hardlink_to(work / "store.db")


def contents(top: Path) -> dict[str, str]:
    """What is below a directory: of links where they lead, of files what they hold."""
    found = {}
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(directory, name)
            said = f"-> {path.readlink()}" if path.is_symlink() else path.read_text() if path.is_file() else "/"
            found[path.relative_to(top).as_posix()] = said
    return found


def protected(work: Path) -> dict[str, str]:
    kept = {"store.db", "store.db-wal", "tools.py"}
    if (work / "orchestrator.toml").is_symlink():
        kept.add("conf/in.toml")
    if (work / ".orchestrator").is_symlink():
        kept |= {name for name in contents(work) if name.startswith("data/")} | {"data"}
    return {
        name: text for name, text in contents(work).items() if name in kept or any(map(is_reserved, name.split("/")))
    }


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), shape=SHAPES)
def test_no_sequence_of_actions_changes_what_belongs_to_orchestrator(data: st.DataObject, shape: Any, url: str) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        work, outside = base / "work", base / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        build(work, shape)
        workplace = Workplace(work, hosts=["127.0.0.1"])
        workplace.context.permissions = workplace.permissions.protecting(
            *store_files(f"sqlite:///{work / 'store.db'}"), work / "tools.py"
        )
        before = protected(work)
        for name, parameters in data.draw(st.lists(actions(url), min_size=1, max_size=5)):
            with suppress(StepError):  # refused, or not possible
                workplace(name, **{key: _placed(value, work) for key, value in parameters.items()})
        assert protected(work) == before
        assert contents(outside) == {"secret": "secret"}
        assert sorted(path.name for path in base.iterdir()) == ["outside", "work"]
    finally:
        shutil.rmtree(base)


READ_PATHS = st.one_of(
    PATHS,
    st.sampled_from(
        [".orchestrator/server-token", ".Orchestrator/runs.db", "to_home/server-token", "to_store", "hard_store",
         "evil/deep/.orchestrator/runs.db", "{work}/.orchestrator/server-token", "store.db", "store.db-wal",
         "sub/../.orchestrator/server-token", "here/.orchestrator/runs.db", "data/server-token"]
    ),
)  # fmt: skip


def readings() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A call of any action that returns or copies what a file contains, with any paths."""

    def call(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
        return st.fixed_dictionaries(parameters).map(lambda given: (name, given))

    one = st.just("copied")
    return st.one_of(
        call("filesystem.read", path=READ_PATHS),
        call("filesystem.copy", path=READ_PATHS, destination=one),
        call("filesystem.move", path=READ_PATHS, destination=one),
        call("filesystem.list", path=READ_PATHS, recursive=st.just(True), hidden=st.just(True)),
        call("filesystem.glob", pattern=st.sampled_from(["**/*", ".*/*", "*/.*/*", "**/server-token"])),
        call("data.read", path=READ_PATHS, format=st.just("csv")),
        call("data.filter", rows=READ_PATHS, where=st.just("1 = 1")),
        call("data.sql", query=st.just("select * from t"), tables=READ_PATHS.map(lambda path: {"t": path})),
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), shape=SHAPES)
def test_no_sequence_of_actions_reads_the_store_or_what_is_next_to_it(data: st.DataObject, shape: Any) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        work = base / "work"
        build(work, shape)
        private = [*work.rglob(".orchestrator/*"), work / "store.db", work / "store.db-wal"]
        if (work / ".orchestrator").exists():
            private.append(work / ".orchestrator" / "server-token")
        for path in private:
            if not path.is_dir():
                path.write_text("private,text\n1,private\n")
        workplace = Workplace(work)
        store = store_files(f"sqlite:///{work / 'store.db'}")
        workplace.context.permissions = workplace.permissions.protecting(*store, private=store)
        for name, parameters in data.draw(st.lists(readings(), min_size=1, max_size=4)):
            with suppress(StepError):  # refused, or not possible
                given = {
                    key: {each: _placed(path, work) for each, path in value.items()}
                    if isinstance(value, dict)
                    else _placed(value, work)
                    for key, value in parameters.items()
                }
                found = str(workplace(name, **given))
                assert "private" not in found
                assert "server-token" not in found
            assert "private" not in str(contents(work / "copied")) if (work / "copied").is_dir() else True
            assert not (work / "copied").is_file() or "private" not in (work / "copied").read_text()
    finally:
        shutil.rmtree(base)


@pytest.mark.parametrize(
    "path", [".orchestrator/server-token", ".ORCHESTRATOR/x", "sub/.orchestrator/x", "runs.db-wal"]
)
def test_what_belongs_to_orchestrator_cannot_be_read(path: str, workplace: Workplace) -> None:
    store = store_files(f"sqlite:///{workplace.directory / 'runs.db'}")
    refusal = workplace.permissions.protecting(private=store).check_read(path)
    assert refusal is not None
    assert "cannot be read by a pipeline" in refusal.message


def _placed(value: Any, work: Path) -> Any:
    return value.replace("{work}", str(work)) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("copy", {"path": "evil", "destination": "."}),
        ("copy", {"path": "evil", "destination": "other"}),
        ("copy", {"path": "evil/orchestrator.toml", "destination": "./sub/../ORCHESTRATOR.toml"}),
        ("copy", {"path": "harmless", "destination": ".orchestrator"}),
        ("move", {"path": "evil", "destination": "moved"}),
        ("move", {"path": "harmless", "destination": ".Orchestrator"}),
        ("move", {"path": "store", "destination": "elsewhere"}),
        ("delete", {"path": "store", "recursive": True}),
        ("delete", {"path": "evil", "recursive": True}),
        ("append", {"path": "hard", "content": "x"}),
        ("append", {"path": "store/runs.db-wal", "content": "x"}),
        ("write", {"path": "tools.py", "content": "x"}),
        ("write", {"path": "deep/down/.orchestrator/runs.db", "content": "x"}),
    ],
)
def test_a_refused_tree_is_left_as_it_was(action: str, parameters: dict[str, Any], workplace: Workplace) -> None:
    work = workplace.directory
    (work / "evil" / "first").mkdir(parents=True)
    (work / "evil" / "first" / "a.txt").write_text("a")
    (work / "evil" / "orchestrator.toml").write_text(EVIL)
    (work / "harmless").mkdir()
    (work / "store").mkdir()
    (work / "store" / "runs.db").write_text("runs")
    (work / "orchestrator.toml").write_text(CONFIGURATION)
    (work / "tools.py").write_text("tools")
    (work / "hard").hardlink_to(work / "orchestrator.toml")
    before = contents(work)
    store = store_files(f"sqlite:///{work}/store/runs.db")
    workplace.context.permissions = workplace.permissions.protecting(*store, work / "tools.py")
    with pytest.raises(PermissionDenied) as caught:
        workplace(f"filesystem.{action}", **parameters)
    assert "belongs to Orchestrator" in caught.value.message
    assert contents(work) == before


def test_appending_changes_one_name_of_a_file(workplace: Workplace) -> None:
    work = workplace.directory
    (work / "a").write_text("1")
    (work / "b").hardlink_to(work / "a")
    assert workplace("filesystem.append", path="b", content="2")["size"] == 2
    assert contents(work) == {"a": "1", "b": "12"}


def test_what_is_put_in_a_directorys_place_after_the_check_is_not_entered(workplace: Workplace) -> None:
    work = workplace.directory
    (work / "plain").mkdir()
    (work / ".orchestrator").mkdir()
    place = workplace.permissions.locate("plain/a.txt", access="write")
    assert isinstance(place, Location)
    (work / "plain").rename(work / "old")
    (work / ".orchestrator").rename(work / "plain")
    with pytest.raises(PermissionDenied, match="belongs to Orchestrator"), open_parent(place, create=True):
        pass
    with pytest.raises(PermissionDenied, match="belongs to Orchestrator"):
        open_location(place, os.O_WRONLY | os.O_CREAT)


def test_a_link_in_a_tree_does_not_move_an_allowed_directory(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "tree").mkdir(parents=True)
    (work / "tree" / "out").symlink_to("/etc")
    place = Workplace(work, output_directory="out")
    for action in ("copy", "move"):
        for path, destination in (("tree", "."), ("tree/out", "out")):
            with pytest.raises(PermissionDenied):
                place(f"filesystem.{action}", path=path, destination=destination)
    assert contents(work) == {"tree": "/", "tree/out": "-> /etc"}


def test_the_keys_of_providers_are_not_copied_with_their_directory(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = workplace.directory / "home"
    home.mkdir()
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(home))
    (home / ".env").write_text("OPENAI_API_KEY=k")
    (workplace.directory / "hard").hardlink_to(home / ".env")
    calls = [("copy", {"path": "home", "destination": "b"}), ("read", {"path": "hard"})]
    calls += [("move", {"path": "home", "destination": "b"}), ("delete", {"path": "home", "recursive": True})]
    for action, parameters in calls:
        with pytest.raises(PermissionDenied):
            workplace(f"filesystem.{action}", **parameters)
    assert contents(workplace.directory) == {"home": "/", "home/.env": "OPENAI_API_KEY=k", "hard": "OPENAI_API_KEY=k"}
    assert workplace("filesystem.glob", pattern="home/.*")["paths"] == []


def test_a_directory_is_not_copied_or_moved_into_itself(workplace: Workplace) -> None:
    (workplace.directory / "a" / "b").mkdir(parents=True)
    for action in ("copy", "move"):
        with pytest.raises(StepError, match="into itself"):
            workplace(f"filesystem.{action}", path="a", destination="a/b/c")
    with pytest.raises(StepError, match="into itself"):
        workplace("filesystem.copy", path=".", destination="a/all")


def test_the_store_and_the_tools_of_an_orchestrator_are_protected(tmp_path: Path) -> None:
    tools = tmp_path / "mine.py"
    tools.write_text("import orchestrator as orc\n\n@orc.tool\ndef mine() -> int:\n    return 1\n")
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/a%20b/x.db", tools=[str(tools)], directory=tmp_path) as client:
        for path in ("a b/x.db", "a b/x.db-wal", "a b/x.db-shm", "mine.py", "orchestrator.toml", ".orchestrator/x"):
            assert client.permissions.check_write(path) is not None, path
        assert client.permissions.check_write("a b/other.db") is None
        assert client.permissions.check_remove("a b") is None  # there is nothing in it yet
        client.list_runs()
    assert source_files(to_tools(str(tools))) == (tools,)


def test_tools_named_by_a_module_protect_code_and_no_data_next_to_it(tmp_path: Path) -> None:
    for folder in ("plain/output", "package/data"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("plain/tools.py", "plain/helper.py", "package/__init__.py", "package/tools.py"):
        (tmp_path / file).write_text("")
    allowed = Permissions(tmp_path).protecting(*named_sources(["plain.tools", "package.tools"], tmp_path))
    for path in ("plain/tools.py", "plain/helper.py", "plain/__init__.py", "package/tools.py", "package/data/new.py"):
        assert allowed.check_write(path) is not None, path
    for path in ("plain/output/book.md", "plain/notes.txt", "other/tools.py"):
        assert allowed.check_write(path) is None, path


IMPORTED = [
    "helper.py", "new.py", "NEW.PY", "new.pyc", "new.so", "new.abi3.so", "helper/__init__.py", "new/__init__.pyc",
    "__pycache__/helper.cpython-311.pyc", "__pycache__", "lib/new/__init__.py", "lib/__pycache__/tools.cpython-311.pyc",
]  # fmt: skip


@pytest.mark.parametrize("path", IMPORTED)
@pytest.mark.parametrize("way", ["write", "append", "copy", "copy a directory", "move"])
def test_no_action_puts_a_module_where_tools_look_for_one(way: str, path: str, workplace: Workplace) -> None:
    work = workplace.directory
    for file in ("helper.py", "lib/tools.py", "from/a.txt"):
        (work / file).parent.mkdir(exist_ok=True)
        (work / file).write_text("before")
    (work / "tree" / path).parent.mkdir(parents=True)
    (work / "tree" / path).write_text("from a tree")
    searched = searched_directories(["helper.py", "lib.tools"], (), work)
    workplace.context = FakeContext(workplace.permissions.protecting(searched=searched))
    before = contents(work)
    parameters = {
        "write": {"path": path, "content": "evil"},
        "append": {"path": path, "content": "evil"},
        "copy": {"path": "from/a.txt", "destination": path},
        "copy a directory": {"path": "tree", "destination": "."},
        "move": {"path": "from/a.txt", "destination": path},
    }[way]
    with pytest.raises(PermissionDenied, match="belongs to Orchestrator") as denied:
        workplace(f"filesystem.{way.partition(' ')[0]}", **parameters)
    assert denied.value.help is not None
    assert contents(work) == before


def test_no_package_is_moved_to_where_tools_look_for_one(workplace: Workplace) -> None:
    work = workplace.directory
    (work / "far-away/package/inner").mkdir(parents=True)
    (work / "far-away/package/inner/module.py").write_text("evil")
    (work / "far-away/link").symlink_to("package")
    (work / "far-away/linked").mkdir()
    (work / "far-away/linked/inner").symlink_to("../package")
    workplace.context = FakeContext(workplace.permissions.protecting(searched=[work]))
    for name in ("package", "link", "linked"):
        for destination in ("helper", "lib/helper"):
            with pytest.raises(PermissionDenied, match="belongs to Orchestrator"):
                workplace("filesystem.move", path=f"far-away/{name}", destination=destination)
    workplace("filesystem.move", path="far-away/package", destination="far-away/other")


def test_code_and_data_have_a_place_of_their_own_next_to_tools(workplace: Workplace) -> None:
    workplace.context = FakeContext(workplace.permissions.protecting(searched=[workplace.directory]))
    free = ["notes.txt", "output/notes.txt", "lib/data/rows.csv", "generated-code/script.py", "py", "a.python"]
    for path in (*free, "generated-code/package/__init__.py", "lib/v1.2/old.py"):
        workplace("filesystem.write", path=path, content="text")
        assert (workplace.directory / path).read_text() == "text"


@pytest.mark.parametrize("path", ["lib/x.py", "lib/y.py", "lib/X.PY.", "lib/deep/er/x.so", "lib/deep/__init__.py"])
def test_a_package_without_an_init_file_is_protected_like_one_that_has_it(path: str, workplace: Workplace) -> None:
    work = workplace.directory
    (work / "lib").mkdir()
    (work / "lib/x.py").write_text("before")
    (work / "tools.py").write_text("import lib.x")
    searched = searched_directories(["tools.py"], (), work)
    workplace.context = FakeContext(workplace.permissions.protecting(searched=searched))
    before = contents(work)
    for place in (path, f"./lib/../{path}"):
        with pytest.raises(PermissionDenied, match="belongs to Orchestrator") as denied:
            workplace("filesystem.write", path=place, content="evil")
        assert "generated-code/" in str(denied.value.help)
    for action, parameters in {"delete": {"recursive": True}, "move": {"destination": "gone-1"}}.items():
        with pytest.raises(PermissionDenied, match="belongs to Orchestrator"):
            workplace(f"filesystem.{action}", path="lib", **parameters)
    assert contents(work) == before


def test_a_package_that_a_link_leads_to_is_protected_where_it_lies(tmp_path: Path) -> None:
    work, far = tmp_path / "work", tmp_path / "far-1"
    work.mkdir()
    far.mkdir()
    (work / "lib").symlink_to(far)
    place = Workplace(work, paths=[far])
    searched = searched_directories(["tools.py"], (), work)
    place.context = FakeContext(place.permissions.protecting(searched=searched))
    for path in ("lib/x.py", f"{far}/x.py", f"{far}/inner/x.py"):
        with pytest.raises(PermissionDenied, match="belongs to Orchestrator"):
            place("filesystem.write", path=path, content="evil")
    place("filesystem.write", path=f"{far}/rows.csv", content="a")


def test_a_step_cannot_have_the_next_run_import_its_own_code(tmp_path: Path) -> None:
    source = "try:\n    import extra\nexcept ImportError:\n    pass\n\n\ndef hello() -> str:\n    return 'hello'\n"
    (tmp_path / "greetings.py").write_text(source)
    (tmp_path / "orchestrator.toml").write_text('tools = ["greetings.py"]\n')
    step = {"id": "a", "action": "filesystem.write", "parameters": {"path": "{{ name }}", "content": "evil"}}
    with orc.Orchestrator(directory=tmp_path) as client:
        pipeline = client.compile({"inputs": {"name": "string"}, "steps": [step]})
        for name in ("extra.py", "extra/__init__.py", "extra/module.py", "__pycache__/greetings.pyc"):
            assert pipeline.start(name=name).wait().state == "failed"
    assert not list(tmp_path.rglob("extra*"))


def test_the_code_that_runs_everything_is_protected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tmp_path / ".venv"
    (environment / "lib").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(permissions, "running_code", running_code.__wrapped__)
    allowed = Permissions(tmp_path)
    for path in (".venv/lib/site-packages/yaml.py", ".venv", ".venv/pyvenv.cfg"):
        assert allowed.check_write(path) is not None
    assert allowed.check_remove(".venv") is not None
    assert Permissions(environment / "lib").check_write("a.txt") is None  # who works in it has chosen to
    package = Path(orc.__file__).parent
    assert Permissions(tmp_path, allow_paths=(Path("/"),)).check_write(package / "tools" / "permissions.py") is not None


@pytest.mark.parametrize(
    ("url", "files"),
    [
        ("sqlite:///a/b.db?timeout=3", ["a/b.db", "a/b.db-wal", "a/b.db-shm", "a/b.db-journal"]),
        ("sqlite+pysqlite:////x.db", ["/x.db", "/x.db-wal", "/x.db-shm", "/x.db-journal"]),
        ("sqlite://", []), ("sqlite:///:memory:", []), ("postgresql://u@h/d", []), ("nonsense", []),
    ],
)  # fmt: skip
def test_the_files_of_a_store(url: str, files: list[str]) -> None:
    assert list(store_files(url)) == [Path.cwd() / file for file in files]


SWAPPED: dict[str, dict[str, Any]] = {
    "filesystem.read": {"path": "d/f.txt"},
    "filesystem.write": {"path": "d/w.txt", "content": "EVIL"},
    "filesystem.append": {"path": "d/f.txt", "content": "EVIL"},
    "filesystem.copy": {"path": "d", "destination": "got"},
    "filesystem.copy to": {"path": "tree", "destination": "d"},
    "filesystem.copy file": {"path": "d/f.txt", "destination": "got.txt"},
    "filesystem.move": {"path": "d/sub", "destination": "got"},
    "filesystem.move to": {"path": "tree", "destination": "d/moved"},
    "filesystem.delete": {"path": "d/sub", "recursive": True},
    "filesystem.list": {"path": "d", "recursive": True},
    "filesystem.glob": {"path": "d", "pattern": "**/*"},
    "filesystem.exists": {"path": "d/only_outside"},
    "data.write": {"rows": ROWS, "path": "d/rows.csv"},
    "data.read": {"path": "d/rows.csv"},
    "report.html": {"markdown": "EVIL", "path": "d/page.html"},
}
CALLS = ("open", "stat", "mkdir", "replace", "unlink", "rmdir", "symlink", "readlink", "scandir", "link")


@pytest.mark.parametrize("case", SWAPPED)
def test_a_link_that_appears_at_any_moment_is_not_followed(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory `d` becomes a link to outside right before the first call of the system, the second, and so on."""
    real = {name: getattr(os, name) for name in CALLS}
    state = {"left": -1, "calls": 0}
    work = tmp_path

    def swapping(name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            state["calls"] += 1
            state["left"] -= 1
            if state["left"] == -1:
                os.rename(work / "d", work / "old")  # noqa: PTH104 - a `Path` calls what is replaced here
                real["symlink"](work.parent / "outside", work / "d")
            return real[name](*given, **named)

        return call

    replaced = {name: swapping(name) for name in CALLS}
    moment, calls = 0, 1
    while moment < calls:
        base = tmp_path / str(moment)
        work, outside = base / "work", base / "outside"
        for top in (work / "d", outside):
            (top / "sub").mkdir(parents=True)
            secret = "SECRET" if top == outside else "inside"
            (top / "f.txt").write_text(secret)
            (top / "sub" / "g.txt").write_text(secret)
            (top / "rows.csv").write_text(f"a\n{secret}\n")
        (outside / "only_outside").write_text("SECRET")
        (work / "tree" / "sub").mkdir(parents=True)
        (work / "tree" / "sub" / "f.txt").write_text("EVIL")
        before, result = contents(outside), None
        workplace = Workplace(work)
        workplace("filesystem.exists", path=".")  # what is loaded once is loaded
        state.update(left=moment, calls=0)
        with monkeypatch.context() as patched:
            supported = {name: {replaced.get(call.__name__, call) for call in getattr(os, name)} for name in SUPPORTS}
            for name, calls_of in supported.items():
                patched.setattr(os, name, calls_of)
            for name, function in replaced.items():
                patched.setattr(os, name, function)
            with suppress(StepError):
                result = workplace(case.partition(" ")[0], **SWAPPED[case])
        assert contents(outside) == before, moment
        assert "SECRET" not in str(result), moment
        assert "only_outside" not in str(result), moment
        assert not isinstance(result, dict) or result.get("exists") is not True, moment
        assert "SECRET" not in str(contents(work)), moment
        calls = max(calls, state["calls"])
        moment += 1
    assert moment > 3


SUPPORTS = ("supports_dir_fd", "supports_fd", "supports_follow_symlinks")


def test_files_that_steps_create_are_for_their_owner(workplace: Workplace, url: str) -> None:
    place = Workplace(workplace.directory, hosts=["127.0.0.1"])
    before = os.umask(0o022)
    try:
        place("filesystem.write", path="a/b/write", content="x")
        place("filesystem.append", path="append", content="x")
        place("data.write", rows=ROWS, path="data.csv")
        place("report.html", markdown="x", path="page.html")
        place("http.download", url=url, path="down/load")
        place("filesystem.write", path="open", content="x", mode="644")
        place("filesystem.write", path="open", content="y")
        place("filesystem.copy", path="open", destination="copied")
        place("filesystem.copy", path="a", destination="c")
        with pytest.raises(StepError, match="`8` is not a file mode") as caught:
            place("filesystem.write", path="a/b/write", content="x", mode="8")
    finally:
        os.umask(before)
    assert "`644`" in (caught.value.help or "")
    modes = {
        path.relative_to(place.directory).as_posix(): path.stat().st_mode & 0o777 for path in place.directory.rglob("*")
    }
    wide = {name: mode for name, mode in modes.items() if mode & 0o077}
    assert wide == {"open": 0o644, "copied": 0o644}
    assert {"a", "a/b", "a/b/write", "append", "data.csv", "page.html", "down/load", "c/b/write"} <= modes.keys()
