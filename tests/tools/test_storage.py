"""The tool `storage`, and `data` with addresses: with a server of S3 over a socket, and with a directory."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import ConfigurationError, PermissionDenied, StepError
from orchestrator.tools.storage import object_backend
from orchestrator.tools.storage.addresses import AddressProblem, parse_address
from tests.object_store import make_bucket, s3_server
from tests.tools.support import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer

_names = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.startswith("AWS_")]:
            patch.delenv(name)
        with s3_server() as address:
            yield address


class Shelf(Workplace):
    """A project with three stores of one bucket: `shelf` for its folder, `view` to read it, `locked` for a part."""

    def __init__(self, directory: Path, root: str, more: str) -> None:
        directory.joinpath("orchestrator.toml").write_text(
            f'[storage.shelf]\nurl = "{root}/folder"\nread_only = false\n{more}'
            f'[storage.view]\nurl = "{root}/folder"\n{more}'
            f'[storage.locked]\nurl = "{root}/folder/locked"\n{more}'
        )
        super().__init__(directory)
        self.root = root


@pytest.fixture(params=["s3", "file"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    directory = tmp_path / "work"
    directory.mkdir()
    if request.param == "file":
        (tmp_path / "disk" / "folder").mkdir(parents=True)
        return Shelf(directory, f"file://{tmp_path / 'disk'}", "")
    address = request.getfixturevalue("server")
    bucket = f"bucket-{next(_names)}"
    make_bucket(address, bucket)
    monkeypatch.setenv("SHELF_KEY", "AKIAKEY")
    monkeypatch.setenv("SHELF_SECRET", "the-secret-key")
    return Shelf(
        directory, f"s3://{bucket}", f'endpoint = "{address}"\nkey_env = "SHELF_KEY"\nsecret_env = "SHELF_SECRET"\n'
    )


def test_what_was_written_is_read_by_its_address_and_by_the_name_of_its_store(shelf: Shelf) -> None:
    written = shelf("storage.write", url=f"{shelf.root}/folder/a/notes.txt", content="café")
    assert (written["url"], written["size"]) == (f"{shelf.root}/folder/a/notes.txt", 5)
    read = shelf("storage.read", url="storage://view/a/notes.txt")
    assert (read["content"], read["etag"]) == ("café", written["etag"])
    data = shelf("storage.read", url="storage://shelf/a/notes.txt", encoding="base64")
    shelf("storage.write", url="storage://shelf/copy.bin", content=data["content"], encoding="base64")
    found = shelf("storage.exists", url="storage://view/copy.bin")
    assert (found["exists"], found["size"]) == (True, 5)
    assert found["modified"].endswith("+00:00")
    assert shelf("storage.exists", url="storage://view/nope") == {
        "exists": False,
        "size": None,
        "modified": None,
        "etag": None,
    }


def test_objects_are_listed_by_level_or_all(shelf: Shelf) -> None:
    for key in ("b.txt", "a/1.txt", "a/2.txt", "a/deep/3.txt"):
        shelf("storage.write", url=f"storage://shelf/{key}", content=key)
    listed = shelf("storage.list", url="storage://view/")
    assert [(each["name"], each["type"], each["size"]) for each in listed["entries"]] == [
        ("a/", "prefix", None),
        ("b.txt", "object", 5),
    ]
    below = shelf("storage.list", url=f"{shelf.root}/folder/a", recursive=True)
    assert [each["name"] for each in below["entries"]] == ["1.txt", "2.txt", "deep/3.txt"]
    assert [shelf("storage.read", url=each["url"])["content"] for each in below["entries"]] == [
        "a/1.txt",
        "a/2.txt",
        "a/deep/3.txt",
    ]
    assert shelf("storage.list", url="storage://view/empty")["entries"] == []
    with pytest.raises(StepError, match="more than 2 objects below") as caught:
        shelf("storage.list", url="storage://view", recursive=True, max_entries=2)
    assert caught.value.code == "ORC745"


def test_files_are_uploaded_downloaded_copied_and_deleted(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_backend, "_LARGEST_SINGLE", 10 << 20)
    data = os.urandom(20 << 20)  # more than one piece, and sent in parts
    (shelf.directory / "large.bin").write_bytes(data)
    done = shelf("storage.upload", path="large.bin", url="storage://shelf/large.bin")
    assert done["size"] == len(data)
    copied = shelf("storage.copy", url="storage://shelf/large.bin", destination="storage://shelf/again/large.bin")
    assert copied["size"] == len(data)
    saved = shelf("storage.download", url="storage://view/again/large.bin", path="out/large.bin")
    assert saved["size"] == len(data)
    assert (shelf.directory / "out" / "large.bin").read_bytes() == data
    assert shelf.context.written[-1] == shelf.directory / "out" / "large.bin"
    assert shelf.context.reports[-1][0] == 1
    assert shelf("storage.delete", url="storage://shelf/large.bin")["deleted"] is True
    assert shelf("storage.delete", url="storage://shelf/large.bin")["deleted"] is False
    with pytest.raises(StepError, match=r"has no object `large\.bin`"):
        shelf("storage.read", url="storage://shelf/large.bin")


def test_an_object_that_is_not_to_be_overwritten_stays(shelf: Shelf) -> None:
    shelf("storage.write", url="storage://shelf/once.txt", content="first", overwrite=False)
    with pytest.raises(StepError, match=r"already has an object `once\.txt`") as caught:
        shelf("storage.write", url="storage://shelf/once.txt", content="second", overwrite=False)
    assert caught.value.retryable is False
    assert shelf("storage.read", url="storage://view/once.txt")["content"] == "first"
    shelf("storage.write", url="storage://shelf/once.txt", content="third")
    assert shelf("storage.read", url="storage://view/once.txt")["content"] == "third"


def test_a_store_is_copied_to_another_one(shelf: Shelf) -> None:
    with (shelf.directory / "orchestrator.toml").open("a") as file:
        file.write('[storage.other]\nurl = "file:other"\nread_only = false\n')
    shelf("storage.write", url="storage://shelf/a.json", content="[1]")
    shelf("storage.copy", url="storage://shelf/a.json", destination="storage://other/deep/b.json")
    assert (shelf.directory / "other" / "deep" / "b.json").read_text() == "[1]"


@pytest.mark.parametrize("name", ["sales.csv", "sales.jsonl", "sales.parquet"])
def test_tables_are_read_and_written_by_address(name: str, shelf: Shelf) -> None:
    rows = [{"region": "west", "amount": 3}, {"region": "east", "amount": 5}]
    written = shelf("data.write", rows=rows, path=f"storage://shelf/{name}")
    assert written["count"] == 2
    assert shelf("data.read", path=f"{shelf.root}/folder/{name}")["rows"] == rows
    assert shelf("data.filter", rows=f"storage://view/{name}", where="amount > 4")["rows"] == rows[1:]
    asked = shelf("data.sql", query="SELECT SUM(amount) AS s FROM t", tables={"t": f"storage://view/{name}"})
    assert asked["rows"] == [{"s": 8}]
    with pytest.raises(StepError, match="has no file mode"):
        shelf("data.write", rows=rows, path=f"storage://shelf/{name}", mode="600")


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("read", {"url": "{root}/other/a"}),
        ("read", {"url": "{root}/folderx/a"}),
        ("read", {"url": "{root}/folder/../a"}),
        ("read", {"url": "storage://shelf/../a"}),
        ("read", {"url": "storage://shelf/a//b"}),
        ("read", {"url": "storage://shelf"}),
        ("read", {"url": "storage://nope/a"}),
        ("read", {"url": "s3://elsewhere/folder/a"}),
        ("read", {"url": "file:///etc/passwd"}),
        ("list", {"url": "{root}"}),
        ("write", {"url": "storage://view/a", "content": ""}),
        ("write", {"url": "{root}/folder/locked/a", "content": ""}),
        ("delete", {"url": "storage://view/a"}),
        ("copy", {"url": "storage://shelf/a", "destination": "storage://view/a"}),
        ("upload", {"path": "/etc/passwd", "url": "storage://shelf/a"}),
        ("download", {"url": "storage://shelf/a", "path": "/tmp/elsewhere"}),
        ("download", {"url": "storage://shelf/a", "path": "orchestrator.toml"}),
    ],
)
def test_only_what_a_table_names_may_be_used(action: str, parameters: dict[str, str], shelf: Shelf) -> None:
    given = {name: text.format(root=shelf.root) for name, text in parameters.items()}
    with pytest.raises(PermissionDenied):
        shelf(f"storage.{action}", **given)


def test_the_longest_prefix_decides_and_named_stores_stay_below_theirs(shelf: Shelf) -> None:
    shelf("storage.write", url="storage://shelf/locked2/a", content="free")
    for address in (f"{shelf.root}/folder/locked/a", "storage://locked/a"):
        with pytest.raises(PermissionDenied, match="`locked` is read-only"):
            shelf("storage.write", url=address, content="no")
    for action, parameters in {
        "data.read": {"path": "s3://elsewhere/a.csv"},
        "data.write": {"rows": [], "path": "storage://view/a.csv"},
        "data.profile": {"rows": "s3://elsewhere/a.csv"},
        "chart.draw": {"rows": "s3://elsewhere/a.csv", "kind": "bar", "x": "a", "path": "a.svg"},
        "filesystem.read": {"path": "s3://elsewhere/a.csv"},
    }.items():
        with pytest.raises((PermissionDenied, StepError)):
            shelf(action, **parameters)


def test_limits_of_size_hold_before_anything_is_transferred(shelf: Shelf) -> None:
    shelf("storage.write", url="storage://shelf/a.txt", content="x" * 100)
    (shelf.directory / "a.txt").write_text("x" * 100)
    for action, parameters in {
        "read": {"url": "storage://shelf/a.txt"},
        "download": {"url": "storage://shelf/a.txt", "path": "b.txt"},
        "upload": {"path": "a.txt", "url": "storage://shelf/b.txt"},
    }.items():
        with pytest.raises(StepError, match="has 100 bytes, more than the limit of 99"):
            shelf(f"storage.{action}", max_bytes=99, **parameters)
    assert not (shelf.directory / "b.txt").exists()
    assert shelf("storage.exists", url="storage://shelf/b.txt")["exists"] is False


KEYS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS)
def test_a_key_is_taken_as_it_is_written(key: str, server: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    bucket, directory = f"keys-{next(_names)}", tmp_path_factory.mktemp("keys")
    make_bucket(server, bucket)
    settings = f'[storage.keys]\nurl = "s3://{bucket}"\nread_only = false\nendpoint = "{server}"\nkey_env = "K"\n'
    (directory / "orchestrator.toml").write_text(settings + 'secret_env = "K"\n')
    place = Workplace(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("K", "key")
        place("storage.write", url=f"s3://{bucket}/{key}", content="x")
        listed = place("storage.list", url=f"s3://{bucket}", recursive=True)["entries"]
        assert [each["name"] for each in listed] == [key]
        assert place("storage.read", url=listed[0]["url"])["content"] == "x"


@given(text=st.text(max_size=30) | st.from_regex(r"(s3|gs|az|file|storage|s3a|http)://[a-z.@/\x00-\x1f%]{0,20}"))
def test_no_text_is_read_as_an_address_that_leads_upwards(text: str) -> None:
    try:
        found = parse_address(text)
    except AddressProblem:
        return
    assert found.key
    assert not {"", ".", ".."} & set(found.key)
    assert "\0" not in "".join(found.key)


def test_no_link_leads_out_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "store" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "store" / "out").symlink_to(tmp_path)
    (tmp_path / "orchestrator.toml").write_text('[storage.a]\nurl = "file:store"\nread_only = false\n')
    place = Workplace(tmp_path)
    for url in ("storage://a/link.txt", "storage://a/out/secret.txt"):
        with pytest.raises(PermissionDenied):
            place("storage.read", url=url)
        with pytest.raises(PermissionDenied):
            place("storage.write", url=url, content="changed")
    assert place("storage.list", url="storage://a")["entries"] == []
    assert (tmp_path / "secret.txt").read_text() == "secret"
    with pytest.raises(PermissionDenied):
        place("storage.write", url="storage://a/orchestrator.toml", content="")


def test_an_answer_of_the_server_is_named_and_no_secret_is(
    tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "AKIA-KEY")
    monkeypatch.setenv("S", "very-secret")
    (tmp_path / "orchestrator.toml").write_text(
        f'[storage.a]\nurl = "s3://bucket"\nread_only = false\nendpoint = "{httpserver.url_for("")}"\n'
        'key_env = "K"\nsecret_env = "S"\n'
    )
    body = "<Error><Code>AccessDenied</Code><Message>User very-secret may not</Message></Error>"
    httpserver.expect_request("/bucket/a").respond_with_data(body, status=403)
    place = Workplace(tmp_path)
    with pytest.raises(StepError) as caught:
        place("storage.write", url="storage://a/a", content="x")
    assert caught.value.message == "cannot write `a` in the store `a`: AccessDenied: User *** may not"
    assert (caught.value.code, caught.value.retryable) == ("ORC745", False)
    sent = httpserver.log[0][0]
    assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA-KEY/")
    monkeypatch.delenv("S")
    with pytest.raises(StepError, match="the environment variable `S`, which the store `a` needs, is not set"):
        place("storage.read", url="storage://a/a")


def test_an_object_that_changes_while_it_is_read_is_an_error_and_no_mixture(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.tools.storage.connection import backend_of
    from orchestrator.tools.storage.settings import StoredPlace, place_of

    monkeypatch.setattr(object_backend, "CHUNK", 4)
    shelf("storage.write", url="storage://shelf/a", content="11112222")
    place = place_of("storage://shelf/a", shelf.permissions, writes=False)
    assert isinstance(place, StoredPlace)
    chunks = backend_of(place.store, shelf.permissions).open(place.path).chunks
    if shelf.root.startswith("s3"):
        assert next(chunks) == b"1111"
    shelf("storage.write", url="storage://shelf/a", content="333344445")
    with pytest.raises(StepError, match=r"changed meanwhile|did not hold") as caught:
        list(chunks)
    assert caught.value.retryable is True


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "`storage.a` must have a `url`"),
        ('url = "bucket"', "is not an address"),
        ('url = "s3a://bucket"', "write `s3://`"),
        ('url = "s3://bucket/../x"', "has the part `..` in its key"),
        ('url = "s3://b"\nkey_env = "K"', "must have both `key_env` and `secret_env`"),
        ('url = "az://b"', "must have an `account`"),
        ('url = "gs://b"\nregion = "x"', "`storage.a.region` has no meaning for `gs://`"),
        ('url = "s3://b"\nanonymous = true\ntoken_env = "T"', "is anonymous and has credentials"),
        ('url = "s3://b"\nsecret = "x"', "secret_env"),
    ],
)
def test_a_table_that_has_no_meaning_is_refused(table: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(f"[storage.a]\n{table}\n")
    with pytest.raises(ConfigurationError) as caught:
        Workplace(tmp_path)("storage.read", url="storage://a/b")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("gs://bucket", "anonymous = true"),
        ("az://bucket", 'anonymous = true\naccount = "acme"'),
        ("s3://bucket", "anonymous = true"),
    ],
)
def test_requests_to_every_provider_go_to_its_bucket(
    url: str, more: str, tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orchestrator.toml").write_text(
        f'[storage.a]\nurl = "{url}"\nendpoint = "{httpserver.url_for("").rstrip("/")}"\n{more}\n'
    )
    headers = {"ETag": '"1"', "Last-Modified": "Tue, 01 Dec 2026 10:00:00 GMT", "x-ms-version": "1"}

    def answer(request: Any) -> Any:
        from werkzeug.wrappers import Response

        partly = {"Content-Range": "bytes 0-4/5"} if request.headers.get("Range") else {}
        return Response("hello", 206 if partly else 200, headers | partly)

    httpserver.expect_request("/bucket/a.txt").respond_with_handler(answer)
    httpserver.expect_request("/storage/v1/b/bucket/o/a.txt").respond_with_handler(answer)
    assert Workplace(tmp_path)("storage.read", url=f"{url}/a.txt")["content"] == "hello"
    assert all("Authorization" not in request.headers for request, _ in httpserver.log)


def test_a_pipeline_reads_and_writes_a_store_and_is_refused_when_it_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text('[storage.a]\nurl = "file:store"\nread_only = false\n')
    pipeline = {
        "id": "stored",
        "steps": [
            {"id": "save", "action": "data.write", "parameters": {"rows": [{"n": 1}], "path": "storage://a/n.csv"}},
            {"id": "rows", "action": "data.read", "parameters": {"path": "{{ save }}"}},
        ],
        "outputs": {"rows": "{{ rows }}"},
    }
    with orc.Orchestrator(directory=tmp_path) as client:
        assert client.compile(json.dumps(pipeline)).run().outputs == {"rows": [{"n": 1}]}
    refused = {"id": "no", "steps": [{"id": "a", "action": "data.read", "parameters": {"path": "s3://bucket/n.csv"}}]}
    with orc.Orchestrator(directory=tmp_path) as client:
        found = client.check(json.dumps(refused)).diagnostics
    assert [each.code for each in found] == ["ORC406"]
    assert "no store of orchestrator.toml has `s3://bucket/n.csv`" in found[0].message
