"""Archives: what is packed is unpacked again, and whatever an archive contains, nothing outside changes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.tools.archives import streams
from orchestrator.tools.archives.entry_names import matches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.tools.support import Workplace

FORMATS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def tree(directory: Path) -> dict[str, Any]:
    """What is in a directory: contents of files, targets of links, None for directories."""
    return {
        str(path.relative_to(directory)): f"-> {path.readlink()}"
        if path.is_symlink()
        else (path.read_bytes() if path.is_file() else None)
        for path in sorted(directory.rglob("*"))
    }


def write_tar(path: Path, *members: tuple[str, Any], **more: Any) -> None:
    """Write a tar file of names with contents, links (`-> target`), hard links (`=> target`) or a type."""
    with tarfile.open(path, "w", **more) as tar:
        for name, content in members:
            info = tarfile.TarInfo()
            info.name = name
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str) and content[:3] in ("-> ", "=> "):
                info.type = tarfile.SYMTYPE if content.startswith("-") else tarfile.LNKTYPE
                info.linkname = content[3:]
            elif isinstance(content, str):
                info.type = content.encode()
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)


def write_zip(path: Path, *members: tuple[str, Any]) -> None:
    """Write a ZIP file of names with contents, or links (`-> target`)."""
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:  # of names that appear twice
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.create_system = 3
            if isinstance(content, str):
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content.removeprefix("-> ") if isinstance(content, str) else content or b"")


WRITERS: dict[str, Callable[..., None]] = {"a.zip": write_zip, "a.tar": write_tar}

NAMES = st.one_of(
    st.sampled_from(["a", "b", "a.txt", "ä b", "-", "~", "$HOME", "a'b", "C:", ".hidden", " ", "x" * 120, "\u202e"]),
    st.text(st.characters(exclude_characters="/\0\\", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
        lambda name: name not in (".", "..") and not name.startswith(".orchestrator")
    ),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.binary(max_size=300), max_size=6),
    format=st.sampled_from(FORMATS),
    prefix=st.sampled_from(["", "top", "a/b"]),
)
def test_what_is_packed_is_unpacked_again(
    files: dict[str, bytes], format: str, prefix: str, workplace: Workplace
) -> None:
    work = workplace.directory
    for name in ("in", "out"):
        shutil.rmtree(work / name, ignore_errors=True)
    (work / "in").mkdir()
    for name, content in files.items():
        place = work / "in" / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        except OSError:  # a directory has that name
            continue
    expected = tree(work / "in")
    packed = workplace("archive.create", path="in", destination=f"a.{format}", prefix=prefix)
    contents = [content for content in expected.values() if content is not None]
    assert packed["count"] == len(contents)
    assert packed["content_size"] == sum(map(len, contents))
    found = workplace(
        "archive.extract", path=f"a.{format}", destination="out", strip=len(prefix.split("/")) if prefix else 0
    )
    assert tree(work / "out") == expected if expected else not (work / "out").exists() or not tree(work / "out")
    assert found["format"] == format
    assert found["paths"] == sorted(found["paths"], key=lambda path: path.split("/"))
    assert {path.removeprefix("out/") for path in found["paths"]} == {
        name for name, content in expected.items() if content is not None
    }


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_content_gives_the_same_archive(format: str, workplace: Workplace) -> None:
    for number, name in enumerate(("one", "two")):
        top = workplace.directory / name
        (top / "sub").mkdir(parents=True)
        for file in ("b", "a", "sub/c") if number else ("sub/c", "a", "b"):
            (top / file).write_text(file * 1000)
            os.utime(top / file, (10**9 + number * 1234, 10**9 + number * 4321))
        (top / "a").chmod(0o755 if number else 0o700)
        (top / "b").chmod(0o600 if number else 0o664)
        workplace("archive.create", path=name, destination=f"{name}.{format}")
    one, two = ((workplace.directory / f"{name}.{format}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert [path.name for path in workplace.context.written] == [f"one.{format}", f"two.{format}"]


@pytest.mark.parametrize("format", FORMATS)
def test_other_programs_read_what_is_packed(format: str, workplace: Workplace) -> None:
    top = workplace.directory / "in"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "ä.txt").write_text("text")
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o700)
    (top / "link").symlink_to("sub/ä.txt")
    (top / "empty").mkdir()
    workplace("archive.create", path="in", destination=f"a.{format}")
    out = workplace.directory / "out"
    shutil.unpack_archive(workplace.directory / f"a.{format}", out) if format != "zip" else subprocess.run(
        ["python3", "-m", "zipfile", "-e", f"a.{format}", "out"], cwd=workplace.directory, check=True
    )
    found = tree(out)
    assert {name: found[name] for name in ("sub/ä.txt", "run.sh", "empty")} == {
        "sub/ä.txt": b"text",
        "run.sh": b"#!/bin/sh\n",
        "empty": None,
    }
    workplace("archive.extract", path=f"a.{format}", destination="own")
    assert tree(workplace.directory / "own") == tree(top)
    assert (workplace.directory / "own" / "run.sh").stat().st_mode & 0o777 == 0o700
    assert (workplace.directory / "own" / "sub" / "ä.txt").stat().st_mode & 0o777 == 0o600


def test_patterns_choose_entries_and_all_that_is_below_a_directory(workplace: Workplace) -> None:
    files = ["a.csv", "b.txt", "docs/a.csv", "docs/deep/b.md", "node_modules/x/y.csv"]
    for name in files:
        workplace("filesystem.write", path=f"in/{name}", content=name)
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({"include": ["*.csv"]}, ["a.csv"]),
        ({"include": ["**/*.csv"]}, ["a.csv", "docs/a.csv", "node_modules/x/y.csv"]),
        ({"include": ["docs"]}, ["docs/a.csv", "docs/deep/b.md"]),
        ({"include": ["docs/**"]}, ["docs/a.csv", "docs/deep/b.md"]),
        ({"include": ["**"], "exclude": ["node_modules", "*.txt"]}, ["a.csv", "docs/a.csv", "docs/deep/b.md"]),
        ({"exclude": ["**/deep/**", "**/*.csv"]}, ["b.txt"]),
    ]
    workplace("archive.create", path="in", destination="all.zip")
    for parameters, names in expected:
        assert workplace("archive.create", path="in", destination="b.tar", **parameters)["entries"] == names
        found = workplace("archive.extract", path="all.zip", destination="out", **parameters)
        assert found["paths"] == [f"out/{name}" for name in names]
        shutil.rmtree(workplace.directory / "out")
        listed = workplace("archive.list", path="all.zip", **parameters)["entries"]
        assert [entry["path"] for entry in listed if entry["type"] == "file"] == names


@pytest.mark.parametrize("pattern", ["", "/", "/a", "../a", "a/../b"])
def test_a_pattern_that_can_select_nothing_is_refused(pattern: str, workplace: Workplace) -> None:
    write_zip(workplace.directory / "a.zip", ("a", b"a"))
    for parameters in ({"include": [pattern]}, {"exclude": [pattern]}):
        with pytest.raises(StepError, match="is not a pattern"):
            workplace("archive.extract", path="a.zip", destination="out", **parameters)


@settings(max_examples=100)
@example(names=["a", "b"], pattern=["**", "**", "b"])
@given(
    names=st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=5),
    pattern=st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "?"]), min_size=1, max_size=5),
)
def test_patterns_mean_what_a_simple_definition_says(names: list[str], pattern: list[str]) -> None:
    import fnmatch

    def simple(names: list[str], parts: list[str]) -> bool:
        if not parts:
            return True  # a directory above the entry, or the entry itself
        if parts[0] == "**":
            return simple(names, parts[1:]) or (bool(names) and simple(names[1:], parts))
        return bool(names) and fnmatch.fnmatchcase(names[0], parts[0]) and simple(names[1:], parts[1:])

    assert matches(tuple(names), "/".join(pattern)) == simple(names, pattern)


def test_a_compressed_file_is_unpacked_under_its_name(workplace: Workplace) -> None:
    content = b"a,b\n1,2\n" * 5000
    for ending, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        (workplace.directory / f"data.csv.{ending}").write_bytes(pack(content) + pack(b"more"))
        found = workplace("archive.extract", path=f"data.csv.{ending}", destination=f"out-{ending}")
        assert found["paths"] == [f"out-{ending}/data.csv"]
        assert found["format"] == ending
        assert (workplace.directory / found["paths"][0]).read_bytes() == content + b"more"


def test_other_files_of_the_destination_stay_and_times_are_kept(workplace: Workplace) -> None:
    info = tarfile.TarInfo("sub/a.txt")
    info.size, info.mtime = 3, 1_000_000_000
    with tarfile.open(workplace.directory / "a.tar", "w") as tar:
        tar.addfile(info, io.BytesIO(b"new"))
    workplace("filesystem.write", path="out/sub/a.txt", content="old")
    workplace("filesystem.write", path="out/sub/b.txt", content="kept")
    with pytest.raises(StepError, match="exists"):
        workplace("archive.extract", path="a.tar", destination="out", overwrite=False)
    assert (workplace.directory / "out/sub/a.txt").read_text() == "old"
    workplace("archive.extract", path="a.tar", destination="out")
    assert tree(workplace.directory / "out") == {"sub": None, "sub/a.txt": b"new", "sub/b.txt": b"kept"}
    assert (workplace.directory / "out/sub/a.txt").stat().st_mtime == 1_000_000_000
    assert workplace.context.written[-1] == workplace.directory / "out/sub/a.txt"


HOSTILE: dict[str, tuple[str, list[tuple[str, Any]], str]] = {
    "up": ("both", [("good", b"a"), ("../evil", b"x")], "leads out of the archive"),
    "up, inside": ("both", [("good", b"a"), ("a/../../evil", b"x")], "leads out of the archive"),
    "absolute": ("both", [("good", b"a"), ("/tmp/evil", b"x")], "is an absolute path"),
    "backslash": ("a.zip", [("good", b"a"), ("..\\evil", b"x")], "leads out of the archive"),
    "deep": ("both", [("good", b"a"), ("d/" * 60 + "x", b"x")], "nested more than 50 levels"),
    "long": ("both", [("good", b"a"), ("n" * 300, b"x")], "is too long"),
    "twice": ("both", [("a", b"a"), ("./a", b"b")], "more than once"),
    "file and directory": ("both", [("a", b"a"), ("a/b", b"b")], "as a directory and as a file"),
    "link out": ("both", [("good", b"a"), ("l", "-> ../evil")], "can be outside"),
    "link to the system": ("both", [("good", b"a"), ("l", "-> /etc/passwd")], "can be outside"),
    "link through a link": ("both", [("a/b/l", "-> ../.."), ("m", "-> a/b/l/..")], "can be outside"),
    "file through a link": ("both", [("l", "-> d"), ("l/x", b"x")], "as a directory and as a file"),
    "link over a directory": ("both", [("d/x", b"x"), ("d", "-> good")], "as a directory and as a file"),
    "hard link out": ("a.tar", [("good", b"a"), ("h", "=> ../evil")], "leads out of the archive"),
    "hard link to the system": ("a.tar", [("good", b"a"), ("h", "=> /etc/passwd")], "is an absolute path"),
    "hard link to nothing": ("a.tar", [("good", b"a"), ("h", "=> missing")], "was not unpacked before"),
    "hard link to a link": ("a.tar", [("l", "-> good"), ("h", "=> l")], "was not unpacked before"),
    "pipe": ("a.tar", [("good", b"a"), ("p", "6")], "is a device or a pipe"),
    "device": ("a.tar", [("good", b"a"), ("p", "3")], "is a device or a pipe"),
    "configuration": ("both", [("good", b"a"), ("orchestrator.toml", b"x")], "belongs to Orchestrator"),
    "store": ("both", [("good", b"a"), ("x/.Orchestrator/runs.db", b"x")], "belongs to Orchestrator"),
}


@pytest.mark.parametrize(
    ("case", "file"),
    [(case, file) for case, (which, *_) in HOSTILE.items() for file in WRITERS if which in ("both", file)],
)
@pytest.mark.parametrize("exists", [True, False])
def test_a_hostile_archive_changes_nothing(case: str, file: str, exists: bool, workplace: Workplace) -> None:
    work = workplace.directory
    WRITERS[file](work / file, *HOSTILE[case][1])
    (work / "evil").write_text("untouched")
    if exists:
        (work / "out").mkdir()
        (work / "out" / "a").write_text("untouched")
    before = tree(work.parent)
    with pytest.raises(StepError, match=HOSTILE[case][2]) as raised:
        workplace("archive.extract", path=file, destination="out")
    assert raised.value.code in ("ORC703", "ORC710")
    assert not raised.value.retryable
    assert tree(work.parent) == before


def test_the_modules_of_tools_cannot_be_replaced(workplace: Workplace) -> None:
    workplace.context.permissions = workplace.permissions.protecting(searched=[workplace.directory])
    for members in ([("lib/x.py", b"x")], [("x.so", b"x")], [("lib", "-> other")], [("p/__init__.py", b"")]):
        write_tar(workplace.directory / "a.tar", *members)
        before = tree(workplace.directory)
        with pytest.raises(PermissionDenied, match="belongs to Orchestrator"):
            workplace("archive.extract", path="a.tar", destination=".")
        assert tree(workplace.directory) == before
    write_tar(workplace.directory / "a.tar", ("x.py", b"x"))
    workplace("archive.extract", path="a.tar", destination="not-code")


def test_links_that_stay_inside_are_links(workplace: Workplace) -> None:
    members = [("a/b.txt", b"b"), ("a/l", "-> b.txt"), ("a/up", "-> ../c"), ("c/d", b"d"), ("all", "-> a")]
    for file, write in WRITERS.items():
        write(workplace.directory / file, *members)
        found = workplace("archive.extract", path=file, destination=f"out-{file}")
        assert found["count"] == 5
        out = workplace.directory / f"out-{file}"
        assert (out / "all" / "up" / "d").read_text() == "d"
        assert (out / "a" / "l").is_symlink()
    write_tar(workplace.directory / "h.tar", ("a", b"same"), ("b", "=> a"))
    workplace("archive.extract", path="h.tar", destination="hard")
    assert tree(workplace.directory / "hard") == {"a": b"same", "b": b"same"}
    assert (workplace.directory / "hard/a").stat().st_nlink == 1
    assert workplace("archive.extract", path="a.tar", destination="few", exclude=["**/l", "a/up", "all"])["count"] == 2


def test_nothing_is_unpacked_through_a_link_in_the_destination(workplace: Workplace) -> None:
    outside = workplace.directory.parent / "outside"
    outside.mkdir()
    (workplace.directory / "out").mkdir()
    (workplace.directory / "out" / "sub").symlink_to(outside)
    (workplace.directory / "out" / "file").symlink_to(outside / "file")
    write_zip(workplace.directory / "a.zip", ("sub/a", b"x"))
    with pytest.raises(StepError, match="nothing is unpacked through links"):
        workplace("archive.extract", path="a.zip", destination="out")
    write_zip(workplace.directory / "a.zip", ("file", b"x"))
    workplace("archive.extract", path="a.zip", destination="out")  # replaces the link, not what it leads to
    assert list(outside.iterdir()) == []
    assert not (workplace.directory / "out" / "file").is_symlink()
    with pytest.raises(PermissionDenied):
        workplace("archive.extract", path="a.zip", destination="out/sub")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: write_zip(path, ("a", bytes(30_000_000))),
        lambda path: path.write_bytes(gzip.compress(bytes(30_000_000))),
        lambda path: path.write_bytes(bz2.compress(bytes(30_000_000))),
        lambda path: path.write_bytes(lzma.compress(bytes(30_000_000))),
        lambda path: write_tar_bz2(path),
    ],
    ids=["zip", "gz", "bz2", "xz", "tar.bz2"],
)
def test_a_bomb_is_defused(make: Callable[[Path], None], workplace: Workplace) -> None:
    make(workplace.directory / "a")
    with pytest.raises(StepError, match="unpacks to more than 250 times its size"):
        workplace("archive.extract", path="a", destination="out")
    with pytest.raises(StepError, match="contains more than 1 MB"):
        workplace("archive.extract", path="a", destination="out", max_bytes=1_000_000, max_entries=10)
    assert [path.name for path in workplace.directory.iterdir()] == ["a"]
    assert workplace("archive.extract", path="a", destination="out", max_ratio=1e9)["size"] == 30_000_000


def write_tar_bz2(path: Path) -> None:
    with tarfile.open(path, "w:bz2") as tar:
        info = tarfile.TarInfo("a")
        info.size = 30_000_000
        tar.addfile(info, io.BytesIO(bytes(info.size)))


def test_entries_that_share_their_bytes_are_counted_each(workplace: Workplace) -> None:
    """The directory of a ZIP file can name the same content a thousand times."""
    write_zip(workplace.directory / "a.zip", ("a", bytes(3_000_000)))
    data = (workplace.directory / "a.zip").read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    names = [b"%03d" % number for number in range(500)]
    directory = b"".join(entry[:28] + b"\x01\x00" + entry[30:46] + name[-1:] + entry[47:] for name in names)
    tail = bytearray(data[end:])
    tail[8:12] = (500).to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    (workplace.directory / "a.zip").write_bytes(data[:start] + directory + tail)
    with pytest.raises(StepError):
        workplace("archive.extract", path="a.zip", destination="out")
    assert [path.name for path in workplace.directory.iterdir()] == ["a.zip"]


def test_a_sparse_file_counts_as_large_as_it_becomes(workplace: Workplace) -> None:
    sparse = workplace.directory / "sparse"
    with sparse.open("wb") as file:
        file.truncate(100_000_000)
    subprocess.run(["tar", "--sparse", "-cf", "a.tar", "sparse"], cwd=workplace.directory, check=True)
    sparse.unlink()
    with pytest.raises(StepError, match="times its size"):
        workplace("archive.extract", path="a.tar", destination="out")
    assert [path.name for path in workplace.directory.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("file", list(WRITERS))
def test_too_many_entries_are_refused(file: str, workplace: Workplace) -> None:
    WRITERS[file](workplace.directory / file, *((f"f{number}", b"") for number in range(1001)))
    with pytest.raises(StepError, match="more than 1,000 entries"):
        workplace("archive.extract", path=file, destination="out", max_entries=1000)
    with pytest.raises(StepError, match="more than 10 entries"):  # its directory is not even read
        workplace("archive.list", path=file, max_entries=10)
    assert workplace("archive.extract", path=file, destination="out", max_entries=1001)["count"] == 1001


def test_a_header_that_claims_to_be_large_is_not_read(workplace: Workplace) -> None:
    with tarfile.open(workplace.directory / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"comment": "x" * 5_000_000}
        tar.addfile(info)
    with pytest.raises(StepError, match="has a header of more than 32 kB"):
        workplace("archive.extract", path="a.tar.gz", destination="out")


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_archive_changes_nothing(format: str, workplace: Workplace) -> None:
    for number in range(3):
        workplace("filesystem.write", path=f"in/f{number}", content=os.urandom(3000).hex())
    workplace("archive.create", path="in", destination=f"whole.{format}")
    whole = (workplace.directory / f"whole.{format}").read_bytes()
    for length in (len(whole) // 3, len(whole) // 2, 100, 3):
        (workplace.directory / "cut").write_bytes(whole[:length])
        with pytest.raises(StepError) as raised:
            workplace("archive.extract", path="cut", destination="out")
        assert raised.value.code == "ORC710"
        assert not (workplace.directory / "out").exists()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), format=st.sampled_from(FORMATS))
def test_whatever_bytes_an_archive_has_it_ends_with_files_or_an_error(
    data: st.DataObject, format: str, workplace: Workplace
) -> None:
    work = workplace.directory
    (work / "in" / "sub").mkdir(parents=True, exist_ok=True)
    for name in ("a", "b", "sub/c"):
        (work / "in" / name).write_text(name * 200)
    workplace("archive.create", path="in", destination=f"whole.{format}")
    damaged = bytearray((work / f"whole.{format}").read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (work / "damaged").write_bytes(damaged)
    shutil.rmtree(work / "out", ignore_errors=True)
    before = tree(work.parent)
    try:
        found = workplace("archive.extract", path="damaged", destination="out", max_bytes=10_000_000)
    except StepError as error:
        assert error.code in ("ORC703", "ORC709", "ORC710")  # noqa: PT017 - either is right
        assert tree(work.parent) == before
    else:
        after = tree(work.parent)
        assert {name: after[name] for name in before} == before
        added = {name for name in after.keys() - before.keys() if after[name] is not None}
        assert added == {f"work/{path}" for path in found["paths"]}


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "l", "..", ".", "", "out"]), min_size=1, max_size=4).map("/".join),
            st.one_of(
                st.binary(max_size=5),
                st.lists(st.sampled_from(["a", "b", "l", "..", ".", ""]), min_size=1, max_size=5).map(
                    lambda parts: "-> " + "/".join(parts)
                ),
            ),
        ),
        min_size=1,
        max_size=6,
    ),
    file=st.sampled_from(list(WRITERS)),
)
def test_no_link_and_no_name_leads_out(members: list[tuple[str, Any]], file: str, workplace: Workplace) -> None:
    work = workplace.directory
    for name in ("out", file):
        shutil.rmtree(work / name) if (work / name).is_dir() else (work / name).unlink(missing_ok=True)
    WRITERS[file](work / file, *members)
    before = tree(work.parent)
    try:
        workplace("archive.extract", path=file, destination="out")
    except StepError:
        assert tree(work.parent) == before
        return
    top = os.path.realpath(work / "out")
    for directory, names, files in os.walk(work / "out"):
        for name in (*names, *files):
            try:
                real = os.path.realpath(os.path.join(directory, name))  # noqa: PTH118
            except OSError:
                continue
            assert real == top or real.startswith(top + os.sep)


def test_what_is_no_archive_is_named(workplace: Workplace) -> None:
    for content, words in {
        b"hello": "is not an archive",
        b"": "is not an archive",
        b"7z\xbc\xaf\x27\x1c.......": "is a 7z file",
        b"Rar!\x1a\x07\x01\x00": "is a RAR file",
        b"\x28\xb5\x2f\xfd....": "is a Zstandard file",
    }.items():
        (workplace.directory / "a").write_bytes(content)
        with pytest.raises(StepError, match=words):
            workplace("archive.list", path="a")
    with pytest.raises(StepError, match="no such file"):
        workplace("archive.list", path="missing.zip")
    with pytest.raises(StepError, match="does not name a format"):
        workplace("archive.create", path=".", destination="a.rar")


def test_an_encrypted_archive_is_named(workplace: Workplace) -> None:
    write_zip(workplace.directory / "a.zip", ("a", b"secret"))
    data = bytearray((workplace.directory / "a.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (workplace.directory / "a.zip").write_bytes(data)
    with pytest.raises(StepError, match="is encrypted"):
        workplace("archive.extract", path="a.zip", destination="out")


def test_what_cannot_be_read_and_the_archive_itself_are_not_packed(workplace: Workplace) -> None:
    workplace("filesystem.write", path="a.txt", content="a")
    (workplace.directory / ".orchestrator").mkdir()
    (workplace.directory / ".orchestrator" / "runs.db").write_text("private")
    for _ in range(2):
        assert workplace("archive.create", path=".", destination="all.zip")["entries"] == ["a.txt"]
    (workplace.directory / "out").symlink_to("/etc")
    with pytest.raises(StepError, match="can be outside"):
        workplace("archive.create", path=".", destination="all.zip")
    assert workplace("archive.create", path=".", destination="all.zip", exclude=["out"])["count"] == 1
    os.mkfifo(workplace.directory / "pipe")
    with pytest.raises(StepError, match="is a device, a pipe or a socket"):
        workplace("archive.create", path=".", destination="all.zip", exclude=["out"])
    with pytest.raises(StepError, match="contains more than 3 "):
        workplace("archive.create", path="all.zip", destination="b.tar", max_bytes=3)
    assert not (workplace.directory / "b.tar").exists()


def test_a_result_that_is_no_longer_wanted_changes_nothing(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    workplace("filesystem.write", path="in/a", content="a" * 100)
    workplace("archive.create", path="in", destination="a.tar")
    begun, ended, late = threading.Event(), threading.Event(), threading.Event()
    pull = streams.ForwardReader._pull

    def slow(reader: streams.ForwardReader, size: int) -> bytes:
        begun.set()
        assert late.wait(60), "the timeout has not ended the step"
        try:
            return pull(reader, size)
        finally:
            ended.set()

    monkeypatch.setattr(streams.ForwardReader, "_pull", slow)
    with pytest.raises(StepTimeout):
        workplace("archive.extract", path="a.tar", destination="out", timeout=0.2)
    late.set()
    assert ended.wait(60)
    assert not (workplace.directory / "out").exists()


def test_paths_are_checked_before_anything_is_read(workplace: Workplace) -> None:
    write_zip(workplace.directory / "a.zip", ("a", b"x"))
    for parameters in ({"path": "/etc/passwd", "destination": "out"}, {"path": "a.zip", "destination": "/etc"}):
        with pytest.raises(PermissionDenied):
            workplace("archive.extract", **parameters)
    with pytest.raises(PermissionDenied):
        workplace("archive.create", path="/etc", destination="a.zip")
