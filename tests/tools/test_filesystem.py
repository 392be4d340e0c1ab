import base64
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import PermissionDenied, StepError
from tests.tools.support import Workplace


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text().filter(lambda content: not content.startswith("\ufeff")))
def test_what_is_written_is_read_again(content: str, workplace: Workplace) -> None:
    written = workplace("filesystem.write", path="deep/down/a.txt", content=content)
    assert written == {"path": "deep/down/a.txt", "size": len(content.encode())}
    assert workplace("filesystem.read", path="deep/down/a.txt")["content"] == content


def test_a_byte_order_mark_is_no_part_of_the_text(workplace: Workplace) -> None:
    for encoding, named in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16", "utf-16-le")):
        (workplace.directory / "a.txt").write_bytes("Grüße\r\n".encode(encoding))
        assert workplace("filesystem.read", path="a.txt", encoding=named)["content"] == "Grüße\r\n"


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "zlib", "", "a\0b"])
def test_what_is_no_encoding_of_text_is_named(encoding: str, workplace: Workplace) -> None:
    workplace("filesystem.write", path="a.txt", content="a")
    for action, more in (("read", {}), ("write", {"content": "a"})):
        with pytest.raises(StepError, match="unknown encoding"):
            workplace(f"filesystem.{action}", path="a.txt", encoding=encoding, **more)
    for action, more in (("read", {}), ("write", {"content": "a" * 100})):
        for odd in ("undefined", "idna"):
            with suppress(StepError):
                workplace(f"filesystem.{action}", path="a.txt", encoding=odd, **more)


def test_binary_data_travel_as_base64(workplace: Workplace) -> None:
    data = base64.b64encode(bytes(range(256))).decode()
    workplace("filesystem.write", path="a.bin", content=data, encoding="base64")
    assert (workplace.directory / "a.bin").read_bytes() == bytes(range(256))
    assert workplace("filesystem.read", path="a.bin", encoding="base64")["content"] == data
    with pytest.raises(StepError, match="it is not UTF-8 text"):
        workplace("filesystem.read", path="a.bin")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace("filesystem.write", path="a.txt", content="old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StepError, match="the disk is full"):
        workplace("filesystem.write", path="a.txt", content="new")
    assert [path.name for path in workplace.directory.iterdir()] == ["a.txt"]
    assert (workplace.directory / "a.txt").read_text() == "old"


def test_a_written_file_keeps_its_mode_and_its_link(workplace: Workplace) -> None:
    script = workplace.directory / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    (workplace.directory / "link").symlink_to("run.sh")
    workplace("filesystem.write", path="link", content="new")
    assert script.read_text() == "new"
    assert script.stat().st_mode & 0o777 == 0o750
    assert (workplace.directory / "link").is_symlink()


def test_append_adds_at_the_end(workplace: Workplace) -> None:
    workplace("filesystem.append", path="log/a.txt", content="one\n")
    assert workplace("filesystem.append", path="log/a.txt", content="two\n")["size"] == 8
    assert workplace("filesystem.read", path="log/a.txt")["content"] == "one\ntwo\n"


def test_files_and_directories_are_copied_moved_and_deleted(workplace: Workplace) -> None:
    workplace("filesystem.write", path="a/b.txt", content="1")
    workplace("filesystem.copy", path="a/b.txt", destination="c/d.txt")
    workplace("filesystem.copy", path="a", destination="copy")
    workplace("filesystem.move", path="c/d.txt", destination="e/f.txt")
    workplace("filesystem.move", path="copy", destination="moved")
    listed = workplace("filesystem.list", recursive=True)["entries"]
    assert [entry["path"] for entry in listed] == ["a", "a/b.txt", "c", "e", "e/f.txt", "moved", "moved/b.txt"]
    workplace("filesystem.delete", path="a", recursive=True)
    workplace("filesystem.delete", path="c")
    assert workplace("filesystem.exists", path="a") == {"exists": False, "type": None, "size": None}
    assert workplace("filesystem.exists", path="e/f.txt") == {"exists": True, "type": "file", "size": 1}
    assert workplace("filesystem.delete", path="a", missing_ok=True) == {"path": "a", "deleted": False}


@pytest.mark.parametrize(
    ("action", "parameters", "said"),
    [
        ("read", {"path": "nope"}, "cannot read `nope`: no such file"),
        ("read", {"path": "dir"}, "cannot read `dir`: it is a directory"),
        ("read", {"path": "file", "max_bytes": 2}, "`file` has 4 bytes, more than the limit of 2"),
        ("read", {"path": "file", "encoding": "klingon"}, "unknown encoding `klingon`"),
        ("read", {"path": "pipe"}, "`pipe` is a device, a pipe or a socket"),
        ("write", {"path": "dir", "content": ""}, "cannot write `dir`: it is a directory"),
        ("write", {"path": "file/x", "content": ""}, "a part of the path is a file"),
        ("write", {"path": "file", "content": "", "overwrite": False}, "cannot write `file`: it already exists"),
        ("write", {"path": "x", "content": "ä", "encoding": "ascii"}, "ascii cannot encode 'ä'"),
        ("write", {"path": "x", "content": "?", "encoding": "base64"}, "not valid base64"),
        ("copy", {"path": "file", "destination": "dir/y", "overwrite": False}, "it already exists"),
        ("delete", {"path": "dir"}, "the directory is not empty"),
        ("delete", {"path": "nope"}, "no such file"),
        ("list", {"path": "file"}, "cannot list `file`"),
        ("glob", {"pattern": "../*"}, "not a pattern inside the directory"),
        ("glob", {"pattern": "/etc/*"}, "not a pattern inside the directory"),
    ],
)
def test_failures_say_what_and_why(action: str, parameters: dict[str, object], said: str, workplace: Workplace) -> None:
    (workplace.directory / "dir").mkdir()
    (workplace.directory / "dir" / "y").write_text("1")
    (workplace.directory / "file").write_text("1234")
    os.mkfifo(workplace.directory / "pipe")
    with pytest.raises(StepError) as caught:
        workplace(f"filesystem.{action}", **parameters)
    assert said in caught.value.message
    assert caught.value.code in ("ORC709", "ORC710")


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("read", {"path": "out/secret"}),
        ("read", {"path": "../secret/secret"}),
        ("read", {"path": "shortcut"}),
        ("write", {"path": "out/new", "content": ""}),
        ("append", {"path": "shortcut", "content": "x"}),
        ("copy", {"path": "shortcut", "destination": "mine"}),
        ("copy", {"path": "own", "destination": "out/new"}),
        ("move", {"path": "own", "destination": "../new"}),
        ("move", {"path": "out/secret", "destination": "mine"}),
        ("delete", {"path": "out/secret"}),
        ("list", {"path": "out"}),
        ("glob", {"pattern": "*", "path": "out"}),
        ("exists", {"path": "out/secret"}),
        ("delete", {"path": ".", "recursive": True}),
        ("write", {"path": "orchestrator.toml", "content": "[allow]\nrun = true"}),
    ],
)
def test_nothing_outside_is_touched(action: str, parameters: dict[str, object], workplace: Workplace) -> None:
    secret = workplace.directory.parent / "secret"
    secret.mkdir()
    (secret / "secret").write_text("secret")
    (workplace.directory / "out").symlink_to("../secret")
    (workplace.directory / "shortcut").symlink_to("../secret/secret")
    (workplace.directory / "own").write_text("own")
    with pytest.raises(PermissionDenied) as caught:
        workplace(f"filesystem.{action}", **parameters)
    assert caught.value.code == "ORC703"
    assert [path.name for path in secret.iterdir()] == ["secret"]
    assert (secret / "secret").read_text() == "secret"
    assert not (workplace.directory / "mine").exists()
    assert (workplace.directory / "own").exists()


def test_an_allowed_path_and_the_output_directory_can_be_used(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    place = Workplace(work, paths=[tmp_path / "shared"], output_directory=tmp_path / "out")
    for path in (tmp_path / "shared" / "a", tmp_path / "out" / "a"):
        place("filesystem.write", path=str(path), content="1")
        assert path.read_text() == "1"


def test_deleting_a_link_keeps_what_it_leads_to(workplace: Workplace) -> None:
    (workplace.directory / "kept").mkdir()
    (workplace.directory / "link").symlink_to("kept")
    workplace("filesystem.delete", path="link", recursive=True)
    assert [path.name for path in workplace.directory.iterdir()] == ["kept"]


def test_glob_leaves_out_what_leads_outside(workplace: Workplace) -> None:
    secret = workplace.directory.parent / "secret"
    secret.mkdir()
    (secret / "a.txt").write_text("secret")
    (workplace.directory / "sub").mkdir()
    (workplace.directory / "sub" / "b.txt").write_text("")
    (workplace.directory / "out").symlink_to(secret)
    assert workplace("filesystem.glob", pattern="**/*.txt") == {"paths": ["sub/b.txt"], "count": 1}
    assert workplace("filesystem.glob", pattern="*/*.txt")["paths"] == ["sub/b.txt"]
    assert workplace("filesystem.glob", pattern="*.txt", path="sub")["paths"] == ["sub/b.txt"]


def test_a_listing_tells_kinds_and_leaves_out_hidden_names(workplace: Workplace) -> None:
    (workplace.directory / ".hidden").write_text("")
    (workplace.directory / "file").write_text("1")
    (workplace.directory / "dir").mkdir()
    (workplace.directory / "link").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(workplace.directory) + b"/bad\xff")).write_text("")
    listed = workplace("filesystem.list")["entries"]
    kinds = {entry["name"]: entry["type"] for entry in listed}
    assert kinds == {"bad�": "file", "dir": "directory", "file": "file", "link": "link"}
    assert workplace("filesystem.list", hidden=True)["count"] == 5
