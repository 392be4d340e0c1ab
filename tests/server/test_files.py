"""Files that runs wrote: downloaded whole or in part, and nothing else with them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.server.service import Service
from tests.server.support import Client, client_of, serving

WRITES = """\
steps:
  - id: report
    tool: filesystem
    action: write
    parameters: {path: output/report.html, content: "<script>alert(1)</script> 0123456789"}
  - id: elsewhere
    tool: filesystem
    action: write
    parameters: {path: notes.txt, content: private}
  - id: page
    tool: report
    action: html
    parameters: {markdown: "# Title", path: "output/deep/er/page – 1.html"}
  - id: tree
    tool: filesystem
    action: copy
    parameters: {path: source, destination: output/copied}
    depends_on: [report]
outputs: {page: "{{ page.title }}"}
"""
BODY = b"<script>alert(1)</script> 0123456789"


@pytest.fixture
def server(project: Path, url: str) -> Iterator[tuple[Service, str]]:
    with serving(project, store=url) as running:
        yield running


@pytest.fixture
def run(client: Client, project: Path) -> str:
    """A run that has written files below the output directory, and one that is not below it."""
    (project / "writes.yaml").write_text(WRITES)
    (project / "source" / "sub").mkdir(parents=True)
    (project / "source" / "a.txt").write_text("a")
    (project / "source" / "sub" / "b.txt").write_text("b")
    started = client.start("writes", wait=30)["run"]
    assert started["state"] == "succeeded"
    return str(started["run_id"])


def files_of(client: Client, run: str) -> dict[str, Any]:
    return {each["path"]: each for each in client.json("GET", f"/v1/runs/{run}/files")["files"]}


def test_files_below_the_output_directory_are_listed_and_downloaded(client: Client, run: str, project: Path):
    found = files_of(client, run)
    assert sorted(found) == [
        "output/copied/a.txt",
        "output/copied/sub/b.txt",
        "output/deep/er/page – 1.html",
        "output/report.html",
    ]
    report = found["output/report.html"]
    assert (report["step"], report["size"], report["available"]) == ("report", len(BODY), True)
    for path, each in found.items():
        response = client.http.get(each["href"])
        assert response.status_code == 200
        assert response.content == (project / path).read_bytes()


def test_a_download_is_an_attachment_whatever_it_contains(client: Client, run: str):
    response = client.http.get(f"/v1/runs/{run}/files/content?path=output/report.html")
    assert response.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    named = client.http.get(files_of(client, run)["output/deep/er/page – 1.html"]["href"])
    assert named.headers["content-disposition"] == "attachment; filename*=UTF-8''page%20%E2%80%93%201.html"


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, BODY[:4]),
        ("bytes=30-", 206, BODY[30:]),
        ("bytes=-5", 206, BODY[-5:]),
        ("bytes=10-9999", 206, BODY[10:]),
        ("bytes=-9999", 206, BODY),
        ("bytes=9999-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=5-2", 200, BODY),
        ("bytes=-", 200, BODY),
        ("bytes=0-1,3-4", 200, BODY),
        ("lines=0-1", 200, BODY),
        ("bytes=" + "9" * 40 + "-", 200, BODY),
    ],
)
def test_a_range_is_sent_alone(client: Client, run: str, asked: str, status: int, expected: bytes):
    response = client.http.get(f"/v1/runs/{run}/files/content?path=output/report.html", headers={"range": asked})
    assert (response.status_code, response.content) == (status, expected)
    if status == 206:
        start = BODY.index(expected)
        assert response.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(BODY)}"
    if status == 416:
        assert response.headers["content-range"] == f"bytes */{len(BODY)}"


def test_a_range_of_something_that_has_changed_is_everything(client: Client, run: str):
    where = f"/v1/runs/{run}/files/content?path=output/report.html"
    tag = client.http.get(where).headers["etag"]
    part = {"range": "bytes=0-4", "if-range": tag}
    assert client.http.get(where, headers=part).content == BODY[:5]
    assert client.http.get(where, headers={**part, "if-range": '"other"'}).content == BODY


@pytest.mark.parametrize(
    "path",
    [
        "notes.txt",
        "hello.yaml",
        "output",
        "output/",
        "output/../notes.txt",
        "output/./report.html",
        "output//report.html",
        "../output/report.html",
        "/etc/passwd",
        "output/report.html\0",
        "output/report.html/..",
        ".orchestrator/server-token",
        "file:///etc/passwd",
        "output\\report.html",
        "OUTPUT/report.html",
    ],
)
def test_nothing_but_what_the_run_wrote_there_is_served(client: Client, run: str, path: str):
    client.problem("GET", f"/v1/runs/{run}/files/content", status=404, code="ORC915", params={"path": path})


def test_an_absolute_path_to_a_written_file_is_not_another_name_for_it(client: Client, run: str, project: Path):
    path = str(project / "output" / "report.html")
    client.problem("GET", f"/v1/runs/{run}/files/content", status=404, code="ORC915", params={"path": path})


def test_a_file_of_another_run_is_not_served_for_this_one(client: Client, run: str, project: Path):
    (project / "output" / "other.txt").write_text("of a person")
    other = client.start("hello", wait=30)["run"]["run_id"]
    for where, path in ((other, "output/report.html"), (run, "output/other.txt")):
        client.problem("GET", f"/v1/runs/{where}/files/content", status=404, code="ORC915", params={"path": path})


def test_a_file_that_was_replaced_or_removed_is_not_served(client: Client, run: str, project: Path):
    path = project / "output" / "report.html"
    path.write_bytes(b"x" * len(BODY))
    os.utime(path, ns=(1, 1))
    assert files_of(client, run)["output/report.html"]["available"] is False
    client.problem("GET", f"/v1/runs/{run}/files/content?path=output/report.html", status=410, code="ORC915")
    path.unlink()
    client.problem("GET", f"/v1/runs/{run}/files/content?path=output/report.html", status=410, code="ORC915")


@pytest.mark.parametrize("swapped", ["file", "directory", "output", "pipe", "hard link"])
def test_what_replaces_a_file_by_a_link_gains_nothing(client: Client, run: str, project: Path, swapped: str):
    secret = project / "secret.txt"
    secret.write_bytes(BODY)
    path = project / "output" / "report.html"
    asked = "output/report.html"
    if swapped == "file":
        path.unlink()
        path.symlink_to(secret)
    elif swapped == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif swapped == "hard link":
        path.unlink()
        os.link(secret, path)
    elif swapped == "directory":
        asked = "output/copied/a.txt"
        (project / "output" / "copied").rename(project / "output" / "moved")
        (project / "output" / "copied").symlink_to(project / "output" / "moved")
    else:
        (project / "output").rename(project / "moved")
        (project / "output").symlink_to(project / "moved")
    response = client.http.get(f"/v1/runs/{run}/files/content", params={"path": asked})
    assert response.status_code in (404, 410)
    assert b"0123456789" not in response.content


def test_only_configured_directories_are_served(server: tuple[Service, str], client: Client, run: str):
    server[0].files._directories = ()
    assert files_of(client, run) == {}
    client.problem("GET", f"/v1/runs/{run}/files/content?path=output/report.html", status=404, code="ORC915")


def test_files_are_listed_in_pages(client: Client, run: str):
    found, after = [], 0
    while after is not None:
        page = client.json("GET", f"/v1/runs/{run}/files?limit=1&after={after}")
        found += [each["path"] for each in page["files"]]
        after = page["next"]
    assert sorted(found) == sorted(files_of(client, run))


def test_files_need_the_scope_to_read(server: tuple[Service, str], client: Client, run: str):
    stranger = Client(server[1], None)
    for path in ("files", "files/content?path=output/report.html"):
        stranger.problem("GET", f"/v1/runs/{run}/{path}", status=401, code="ORC911")
        assert client_of(*server, "read", name=path).http.get(f"/v1/runs/{run}/{path}").status_code == 200


def test_a_tool_tells_which_files_it_wrote(project: Path, url: str):
    @orc.tool
    def draw(context: orc.ToolContext) -> str:
        """Draw something."""
        (context.directory / "output").mkdir()
        (context.directory / "output" / "drawing.svg").write_text("<svg/>")
        context.wrote("output/drawing.svg")
        context.wrote("output/nothing.svg")
        context.wrote("output")
        return "drawn"

    with orc.Orchestrator(directory=project, store=url, tools=[draw]) as orchestrator:
        run = orchestrator.compile("steps: [{id: a, tool: draw}]\n").start()
        run.result()
        recorded = [event for event in run.events(follow=False) if event.type == "step.file"]
    assert [(event.path, event.data["path"], event.data["size"]) for event in recorded] == [
        ("a", "output/drawing.svg", 6)
    ]
