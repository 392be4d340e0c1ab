import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigurationError, PermissionDenied
from orchestrator.remedies import AllowCommands, AllowHost, AllowPath
from orchestrator.tools import Permissions
from orchestrator.tools.sandbox.paths import Location, open_location, open_parent
from orchestrator.tools.sandbox.refusal import Refusal


def write_settings(directory: Path, text: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "orchestrator.toml").write_text(text)
    return directory


def test_nothing_is_allowed_without_a_file(tmp_path: Path) -> None:
    assert Permissions.load(tmp_path) == Permissions(tmp_path)


def test_the_file_allows_paths_commands_and_hosts(tmp_path: Path) -> None:
    write_settings(
        tmp_path, '[allow]\npaths = ["../shared"]\nrun = ["git"]\nhosts = ["db:5432", "10.0.0.0/8"]\n[servers]\n'
    )
    loaded = Permissions.load(tmp_path)
    assert loaded.allow_paths == (tmp_path / "../shared",)
    assert loaded.allow_run == ("git",)
    assert loaded.allow_hosts == ("db:5432", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("text", "said", "help"),
    [
        ("[allow]\npath = []", "unknown setting `allow.path`", "did you mean `paths`?"),
        ("[allow]\npaths = 3", "`allow.paths` must be a list of strings", "paths = "),
        ("[allow]\nrun = 'git'", "`allow.run` must be true, false or a list of commands", "run = "),
        ("[allow]\nhosts = ['http://x']", "`http://x`", "db.internal:5432"),
        ("[allow]\nhosts = ['10.0.0.0/99']", "`10.0.0.0/99`", "db.internal:5432"),
        ("allow = 1", "`allow` is not a table", "`[allow]`"),
        ("[alow]\nrun = true", "unknown setting `alow`", "did you mean `allow`?"),
        ("[allow", "is not valid TOML", "syntax"),
    ],
)
def test_a_wrong_file_is_named_with_the_setting(text: str, said: str, help: str, tmp_path: Path) -> None:
    write_settings(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        Permissions.load(tmp_path)
    assert caught.value.code == "ORC902"
    assert str(tmp_path / "orchestrator.toml") in caught.value.message
    assert said in caught.value.message
    assert help in (caught.value.help or "")


def test_paths_inside_of_the_allowed_directories_are_fine(tmp_path: Path) -> None:
    work, shared, out = (tmp_path / name for name in ("work", "shared", "out"))
    for directory in (work, shared, out):
        directory.mkdir()
    allowed = Permissions(work, out, (shared,))
    for path in ("a.txt", "sub/../a.txt", ".", str(work / "x/y/z"), str(shared / "b"), "../out/c", "../shared"):
        assert allowed.check_read(path) is None, path
        assert allowed.check_write(path) is None, path


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "/etc/passwd", "link/passwd", "link", "loop/../../x"])
def test_paths_that_lead_out_are_refused_with_the_option_that_allows_them(path: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "link").symlink_to("/etc")
    (work / "loop").symlink_to("loop")
    refusal = Permissions(work).check_read(path, parameter="path")
    assert isinstance(refusal, Refusal)
    assert refusal.parameter == "path"
    assert f"`{path}`" in refusal.message
    assert isinstance(refusal.remedy, AllowPath)
    assert refusal.remedy.shell.startswith("--allow-path /")
    assert Permissions(work).extended(paths=[refusal.remedy.path]).check_read(path) is None


def test_a_single_file_can_be_allowed(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    file = tmp_path / "one.txt"
    file.write_text("1")
    allowed = Permissions(work, allow_paths=(file,))
    place = allowed.locate(file)
    assert isinstance(place, Location)
    assert place.path == file
    assert allowed.check_read(tmp_path / "two.txt") is not None


@pytest.mark.parametrize(
    "path",
    ["orchestrator.toml", "./x/../orchestrator.toml", "ORCHESTRATOR.TOML", ".orchestrator/runs.db", "way/in.toml"],
)
def test_what_belongs_to_orchestrator_is_never_written(path: str, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "orchestrator.toml").symlink_to("conf/in.toml")
    (tmp_path / "way").symlink_to("conf")
    refusal = Permissions(tmp_path).check_write(path)
    assert refusal is not None
    assert refusal.remedy is None
    assert "no option" in refusal.help


@pytest.mark.parametrize("path", [".", "..", "/", "sub/.."])
def test_the_directories_themselves_are_never_removed(path: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    assert Permissions(work, allow_paths=(Path("/"),)).check_remove(path) is not None
    assert Permissions(work).check_remove("sub") is None


NAMES = st.sampled_from(["a", "b", "..", ".", "", "in", "out", "up", "loop", "A" * 300, "ä", "a\n", "~", "*"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(NAMES, max_size=8), absolute=st.booleans())
def test_whatever_the_path_nothing_outside_is_ever_permitted(
    parts: list[str], absolute: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.getbasetemp() / "paths"
    work = base / "work"
    if not work.exists():
        (work / "a" / "b").mkdir(parents=True)
        (base / "secret").mkdir()
        (work / "in").symlink_to("a")
        (work / "out").symlink_to("../secret")
        (work / "a" / "up").symlink_to("../..")
        (work / "loop").symlink_to("loop")
    path = ("/" if absolute else "") + "/".join(parts)
    place = Permissions(work).locate(path)
    if isinstance(place, Location):
        assert Path(os.path.realpath(work / path)).is_relative_to(os.path.realpath(work))
        assert ".." not in place.parts
    else:
        assert not Path(os.path.realpath(work / path)).is_relative_to(os.path.realpath(work))


@pytest.mark.parametrize("swapped", ["sub", "sub/file"])
def test_a_link_that_is_swapped_in_after_the_check_is_not_followed(swapped: str, tmp_path: Path) -> None:
    work, secret = tmp_path / "work", tmp_path / "secret"
    (work / "sub").mkdir(parents=True)
    secret.mkdir()
    (secret / "file").write_text("secret")
    (work / "sub" / "file").write_text("public")
    place = Permissions(work).locate("sub/file")
    assert isinstance(place, Location)
    (work / swapped).rename(work / "old")
    (work / swapped).symlink_to(secret if swapped == "sub" else secret / "file")
    with pytest.raises(PermissionDenied, match="became a symbolic link"):
        os.close(open_location(place, os.O_RDONLY))
    if swapped == "sub":
        with pytest.raises(PermissionDenied), open_parent(place, create=True):
            pass


def test_commands_are_denied_unless_all_or_those_are_allowed(tmp_path: Path) -> None:
    denied, some, every = (Permissions(tmp_path, allow_run=run) for run in (False, ("git",), True))
    for command in (["git"], ["rm"], "git status"):
        assert every.check_run(command) is None
        refusal = denied.check_run(command)
        assert refusal is not None
        assert refusal.remedy == AllowCommands()
    assert some.check_run(["git", "status"]) is None
    for command in (["rm"], ["./git"], ["/tmp/git"], "git status", [], [""]):
        assert some.check_run(command) is not None, command


def test_an_option_adds_to_what_the_file_allows(tmp_path: Path) -> None:
    base = Permissions(tmp_path, allow_run=("git",), allow_hosts=("a",))
    assert base.extended(run=["make"]).allow_run == ("git", "make")
    assert base.extended(run=True).allow_run is True
    assert base.extended().allow_run == ("git",)
    assert base.extended(hosts=["b"]).allow_hosts == ("a", "b")
    with pytest.raises(ConfigurationError, match="cannot be allowed"):
        base.extended(hosts=["http://b"])


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "192.0.0.192", "64:ff9b:1::1", "::7f00:1", "::ffff:0:7f00:1", "fec0::1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "127.1", "0x7f.1", "2130706433", "[::1]", "fe80::1%eth0",
]  # fmt: skip


@pytest.mark.parametrize("host", [*PRIVATE, "localhost", "LOCALHOST.", "a.localhost", "metadata.google.internal"])
def test_addresses_that_are_not_public_are_refused(host: str, tmp_path: Path) -> None:
    refusal = Permissions(tmp_path).check_host(host, 80, parameter="url")
    assert refusal is not None
    assert isinstance(refusal.remedy, AllowHost)
    allowed = Permissions(tmp_path).extended(hosts=[refusal.remedy.host])
    assert allowed.check_host(host, 80) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_is_judged_by_the_address_it_leads_to(address: str, tmp_path: Path) -> None:
    if (address[0] in "[02" and not address.startswith(("0.0", "2002", "224", "255"))) or address == "127.1":
        return  # a resolver gives only the usual form
    assert Permissions(tmp_path).check_host("harmless.example", 80, [address]) is not None


def test_public_addresses_are_fine(tmp_path: Path) -> None:
    for host in ("example.org", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "10.example.org"):
        assert Permissions(tmp_path).check_host(host, 443) is None


@pytest.mark.parametrize(
    ("rule", "host", "port", "address", "fine"),
    [
        ("db.local", "db.local", 5432, "10.0.0.5", True),
        ("db.local:5432", "db.local", 5432, "10.0.0.5", True),
        ("db.local:5432", "db.local", 22, "10.0.0.5", False),
        ("10.0.0.0/8", "db.local", 22, "10.0.0.5", True),
        ("10.0.0.0/8", "db.local", 22, "192.168.0.1", False),
        ("127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1", True),
        ("127.0.0.0/8", "localhost", 80, "", True),
        ("[::1]:80", "::1", 80, "::1", True),
        ("db.local", "evil.local", 5432, "10.0.0.5", False),
    ],
)
def test_private_hosts_can_be_allowed(
    rule: str, host: str, port: int, address: str, fine: bool, tmp_path: Path
) -> None:
    allowed = Permissions(tmp_path).extended(hosts=[rule])
    assert (allowed.check_host(host, port, [address] if address else []) is None) is fine


def test_the_keys_of_providers_are_refused_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".env").write_text("OPENAI_API_KEY=k")
    (tmp_path / "innocent").symlink_to("home/.env")
    allowed = Permissions(tmp_path)
    for path in ("home/.env", "./home/../home/.env", "innocent"):
        for refusal in (allowed.check_read(path), allowed.check_write(path), allowed.check_remove(path)):
            assert refusal is not None
            assert "provider keys" in refusal.message
    assert allowed.check_read("home") is None
