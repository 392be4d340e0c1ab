"""Which files a server offers as pipelines, and where it writes new ones: for any tree of files, and any name."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.config.tables.serve import ServeTable
from orchestrator.errors import RequestError
from orchestrator.server.catalog import Catalog, OfferedPipeline
from orchestrator.server.pipeline_directory import PipelineDirectory
from orchestrator.server.service import Service
from tests.server.support import Client, client_of

PIPELINE = "steps: [{id: a, action: sleep, parameters: {seconds: 0}}]\n"
OTHER = "services: {}\n"
SECRET = "steps: [{id: secret, action: sleep, parameters: {seconds: 0}}]\n"

PARTS = st.sampled_from(
    ["a", "b", "reports", "output", "inner", ".hidden", ".", "..", "...", "", " ", "node_modules", "venv", "a b", "ä",
     "a.b", "x.test", "b.yaml", "b.YAML", "~", "-", "a\\b", "a\nb", "a\0b", "\u202e", "%2e%2e", "outside", "linked",
     "\udcff"]
)  # fmt: skip
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(
    st.tuples(NAMES, st.sampled_from([".yaml", ".yml", ".yaml.yaml", ".YAML", ".txt", ".test.yaml", ""])).map("".join),
    st.sampled_from(
        [PIPELINE, OTHER, "directory", "pipe", "-> {base}/outside/a.yaml", "-> {base}/outside", "-> a.yaml",
         "-> ../outside/a.yaml", "-> .", "-> ..", "-> .hidden/a.yaml", "-> reports", "-> nowhere", "-> ../work"]
    ),
    max_size=8,
)  # fmt: skip
SERVED = st.sampled_from([(".",), (".", "inner"), ("inner", "."), ("reports", "inner"), ("linked",), ("missing",)])


@contextmanager
def tree(files: dict[str, str]) -> Iterator[Path]:
    """A directory with these files, next to another one, as far as they can be made."""
    base = Path(os.path.realpath(tempfile.mkdtemp()))
    work = base / "work"
    work.mkdir()
    (base / "outside").mkdir()
    (base / "outside" / "a.yaml").write_text(SECRET)
    try:
        for name, content in files.items():
            path = work / name
            if ".." in path.parts or "\0" in name or name.startswith("/"):
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if content.startswith("-> "):
                    path.symlink_to(content.removeprefix("-> ").format(base=base))
                elif content == "directory":
                    path.mkdir()
                elif content == "pipe":
                    os.mkfifo(path)
                else:
                    with path.open("x") as file:
                        file.write(content)
            except OSError:
                continue
        yield work
    finally:
        shutil.rmtree(base)


def contents(top: Path) -> dict[str, str]:
    """What is below a directory: of links where they lead, of files what they hold."""
    found = {}
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(directory, name)
            text = path.read_text() if path.is_file() and not path.is_symlink() else ""
            found[str(path.relative_to(top))] = f"-> {path.readlink()}" if path.is_symlink() else text
    return found


def directories(work: Path, served: tuple[str, ...]) -> list[PipelineDirectory]:
    paths = [Path(os.path.normpath(work / each)) for each in served]
    without = [Path(os.path.realpath(path)) for path in (*paths, work / "output")]
    return [PipelineDirectory(path, without=without) for path in paths]


@settings(max_examples=300)
@given(files=FILES, names=st.lists(NAMES, max_size=5), served=SERVED)
def test_what_is_listed_is_found_by_its_name_and_nothing_else_is(
    files: dict[str, str], names: list[str], served: tuple[str, ...]
):
    with tree(files) as work:
        places = set()
        for directory in directories(work, served):
            listed = list(directory.files())
            for file in listed:
                assert file in list(directory.named(file.name))
                assert directory.at(file.path) == file
                real = file.place.path
                assert real == Path(os.path.realpath(file.path))
                assert real.is_relative_to(os.path.realpath(directory.path))
                assert real.is_file()
                assert "secret" not in real.read_text() or served == ("linked",)
                parts = file.name.split("/")
                assert all(part and part.isprintable() and not part.startswith(".") for part in parts)
                assert "output" not in parts[:-1][:1] or directory.path != work
                assert not {"node_modules", "venv"} & set(parts[:-1])
                assert not file.name.lower().endswith((".yaml", ".yml", ".test"))
                file.name.encode()
            for name in (*names, *files, *(f"./{each.name}" for each in listed), *(f"{each.name}/" for each in listed)):
                for file in directory.named(name):
                    assert file.name == name
                    assert file in listed
            for name in files:
                if "\0" not in name and (known := directory.at(work / name)) is not None:
                    assert known in listed
            assert not places & {file.path for file in listed}, "a file has two names"
            places |= {file.path for file in listed}


@settings(max_examples=150)
@given(files=FILES, names=st.lists(NAMES, min_size=1, max_size=3), text=st.sampled_from([PIPELINE, OTHER, "steps: ["]))
def test_a_new_pipeline_is_written_where_it_is_found_or_nothing_is_written(
    files: dict[str, str], names: list[str], text: str
):
    with tree(files) as work, orc.Orchestrator(directory=work) as client:
        catalog = Catalog(client, ServeTable())
        for name in names:
            before = contents(work.parent)
            made, refusal = attempt(catalog, name, text)
            if refusal is not None:
                assert contents(work.parent) == before, refusal
                assert refusal.status in (403, 409, 422)
                assert refusal.help
                continue
            assert made is not None
            assert text != OTHER
            assert made.name == name
            assert (work / f"{name}.yaml").read_text() == text
            assert name in [each.name for each in catalog.all()]
            new = {path: kept for path, kept in contents(work.parent).items() if before.get(path) != kept}
            assert {path for path, kept in new.items() if kept} == {f"work/{name}.yaml"}
            replaced = catalog.replace(name, f"{text}# more\n", text)
            assert replaced.source.endswith("# more\n")


def attempt(catalog: Catalog, name: str, text: str) -> tuple[OfferedPipeline | None, RequestError | None]:
    try:
        return catalog.create(name, lambda path: text), None
    except RequestError as error:
        return None, error


@pytest.mark.parametrize(
    ("name", "help"),
    [("weekly.yaml", "`weekly`"), ("weekly.yml", "`weekly`"), ("a/b.YAML", "`a/b`"), ("output/x", "another name")],
)
def test_a_name_that_would_not_be_offered_is_refused_with_the_fix(client: Client, name: str, help: str):
    found = client.problem("POST", "/v1/pipelines", {"name": name, "source": PIPELINE}, status=422, code="ORC914")
    assert help in found["help"]


def test_a_text_without_steps_is_not_saved(client: Client, project: Path):
    found = client.problem("POST", "/v1/pipelines", {"name": "x", "source": OTHER}, status=422, code="ORC914")
    assert "`steps:`" in found["detail"]
    assert not (project / "x.yaml").exists()
    before = (project / "hello.yaml").read_text()
    edited = {"source": OTHER, "replaces": before}
    client.problem("PUT", "/v1/pipelines/hello", edited, status=422, code="ORC914")
    assert (project / "hello.yaml").read_text() == before


@pytest.mark.parametrize("name", [".%2fhello", "hello%2f", "%2fhello", "hello%2f.", "reports%2f..%2fhello", "hello%00"])
def test_a_pipeline_has_one_name(client: Client, name: str):
    client.problem("GET", f"/v1/pipelines/{name}", status=404, code="ORC915")
    assert [each["name"] for each in client.json("GET", "/v1/pipelines")["pipelines"]] == [
        "ask",
        "hello",
        "reports/broken",
    ]


def test_a_file_that_a_link_leads_to_is_edited_and_the_link_stays(client: Client, project: Path):
    (project / "..data").mkdir()
    (project / "..data" / "linked.yaml").write_text(PIPELINE)
    (project / "linked.yaml").symlink_to("..data/linked.yaml")
    edited = {"source": PIPELINE + "# more\n", "replaces": PIPELINE}
    assert client.json("PUT", "/v1/pipelines/linked", edited)["name"] == "linked"
    assert (project / "linked.yaml").is_symlink()
    assert (project / "..data" / "linked.yaml").read_text() == edited["source"]


def test_of_two_edits_at_once_one_is_refused(server: tuple[Service, str], project: Path):
    from concurrent.futures import ThreadPoolExecutor

    before = (project / "hello.yaml").read_text()
    clients = [client_of(*server, name=f"editor {number}") for number in range(8)]

    def edit(number: int) -> int:
        body = {"source": f"{before}# {number}\n", "replaces": before}
        return clients[number].http.put("/v1/pipelines/hello", json=body).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(edit, range(8))) == [200] + [409] * 7
