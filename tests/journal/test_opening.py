"""What the store says of anything that is not a store it can use, and that it changes nothing there."""

from __future__ import annotations

import asyncio
import os
import pwd
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from orchestrator.errors import ConfigurationError, StoreUnavailable
from orchestrator.journal import Journal, Owner, Store
from orchestrator.journal.dialects.sqlite import APPLICATION_ID
from orchestrator.journal.store.batch_insert import Appender
from tests.journal.support import create, new_run

if TYPE_CHECKING:
    from tests.postgres import Server


def refused(url: str, code: str, *, create: bool = True) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(url, create=create).close()
    assert caught.value.code == code
    assert caught.value.help
    for internal in ("sqlite3.", "sqlalchemy", "psycopg", "Traceback", "Error:"):
        assert internal not in str(caught.value)
    return caught.value


def test_missing_directories_are_created(tmp_path: Path):
    with Store.open(f"sqlite:///{tmp_path}/a/b/runs.db") as store:
        create(store, "one")
    assert (tmp_path / "a/b/runs.db").is_file()


def test_a_relative_path_starts_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///here.db") as store:
        monkeypatch.chdir("/")
        create(store, "one")
    assert (tmp_path / "here.db").is_file()


def test_a_store_is_opened_again_by_any_number_of_processes(url: str):
    with Store.open(url) as one, Store.open(url) as two:
        create(one, "one")
        assert two.find("last") == "one"


@pytest.mark.parametrize("create", [True, False])
def test_a_path_that_cannot_be_looked_at_is_refused(tmp_path: Path, create: bool):
    refused(f"sqlite:///{tmp_path}/{'long' * 100}.db", "ORC811", create=create)


def test_reading_a_missing_store_does_not_create_it(tmp_path: Path):
    error = refused(f"sqlite:///{tmp_path}/sub/runs.db", "ORC811", create=False)
    assert "does not exist" in error.message
    assert not (tmp_path / "sub").exists()


def test_a_directory_is_refused(tmp_path: Path):
    assert "is a directory" in refused(f"sqlite:///{tmp_path}", "ORC811").message


def test_a_path_below_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    refused(f"sqlite:///{tmp_path}/file/runs.db", "ORC811")


@pytest.mark.parametrize("junk", [b"\0\xff" * 4096, b"steps:\n  - id: a\n", b"SQLite format 3\0" + b"\xfe" * 4096])
def test_a_file_that_is_not_a_database_is_refused_and_unchanged(tmp_path: Path, junk: bytes):
    path = tmp_path / "runs.db"
    path.write_bytes(junk)
    refused(f"sqlite:///{path}", "ORC813")
    assert path.read_bytes() == junk
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_of_another_application_is_refused_and_unchanged(tmp_path: Path):
    path = tmp_path / "bookmarks.db"
    bare = sqlite3.connect(path)
    bare.execute("CREATE TABLE bookmarks (url TEXT)")
    bare.commit()
    bare.close()
    before = path.read_bytes()
    assert "another application" in refused(f"sqlite:///{path}", "ORC813").message
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(tmp_path: Path):
    path = tmp_path / "runs.db"
    path.touch()
    with Store.open(f"sqlite:///{path}") as store:
        create(store, "one")


def test_a_store_of_a_newer_version_is_refused(url: str):
    with Store.open(url) as store, store.database.write() as connection:
        connection.exec_driver_sql("UPDATE orchestrator_version SET version_num = '9999'")
    assert "newer" in refused(url, "ORC816").message


def test_a_damaged_store_suggests_how_to_recover_it(tmp_path: Path):
    path = tmp_path / "runs.db"
    with Store.open(f"sqlite:///{path}") as store, Journal(store) as journal:
        run = journal.attach(create(store, "one"))
        for number in range(2000):
            run.record("step.succeeded", f"s{number}", 1, {"output": "x" * 100})
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    error = refused(f"sqlite:///{path}", "ORC811")
    assert "damaged" in error.message
    assert ".recover" in str(error.help)


def test_a_store_that_this_user_may_not_write_is_refused(tmp_path: Path):
    """As another user where the tests run as root, whom no permission stops."""
    path = tmp_path / "runs.db"
    Store.open(f"sqlite:///{path}").close()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    program = (
        "import os, sys\n"
        "from orchestrator.journal import Owner, Store\n"
        "from orchestrator.errors import ConfigurationError, StoreUnavailable\n"
        "Store  # loaded while its files can be read\n"
        "import sqlalchemy.dialects.sqlite\n"
        "from tests.journal.support import create\n"
        "if len(sys.argv) > 2: os.setuid(int(sys.argv[2]))\n"
        "try:\n    create(Store.open(sys.argv[1]))\n"
        "except StoreUnavailable as error:\n    print(error.code, error.message)"
    )
    arguments = [f"sqlite:///{path}"]
    if os.geteuid() == 0:
        arguments.append(str(pwd.getpwnam("nobody").pw_uid))
        for directory in tmp_path.parents:
            if directory.is_relative_to(Path(tempfile.gettempdir()) / "."):
                directory.chmod(directory.stat().st_mode | 0o555)
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ORC811 ")
    assert "writ" in done.stdout


def test_a_locked_store_is_reported_and_works_when_it_is_free(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/runs.db?timeout=0.01"
    with Store.open(url) as store, Journal(store) as journal:
        run = journal.attach(create(store, "one"))
        other = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        run.record("step.started", "a", 1)
        run.held_until = -1000.0  # as if it had been locked for long
        with pytest.raises(StoreUnavailable) as caught:
            run.flush()
        assert caught.value.code == "ORC812"
        with pytest.raises(StoreUnavailable):
            create(store, "two")
        assert store.status("one").state == "running"  # readers are not disturbed
        other.execute("ROLLBACK")
        other.close()
        run.flush()
    with Store.open(url) as store:
        assert len(store.events("one")) == 2


def test_a_full_disk_is_reported_and_no_event_is_lost(tmp_path: Path):
    with Store.open(f"sqlite:///{tmp_path}/runs.db") as store:
        limit = {"pages": 60}

        @event.listens_for(store.database.engine, "connect")
        def _limit(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {limit['pages']}")

        store.database.engine.dispose()
        with Journal(store) as journal:
            run = journal.attach(create(store, "one"))

            def fill() -> None:
                for number in range(200):
                    run.record("step.succeeded", f"s{number}", 1, {"output": "x" * 4000})
                    run.flush()

            with pytest.raises(StoreUnavailable) as caught:
                fill()
            assert caught.value.code == "ORC814"
            stored = store.events("one")
            assert [e.seq for e in stored] == list(range(1, run.last_seq))
            run.record("step.started", "late", 1)
            limit["pages"] = 10_000  # space again
            store.database.engine.dispose()
            run.flush()
            assert [e.seq for e in store.events("one")] == list(range(1, run.last_seq + 1))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("runs.db", "not the URL of a database"),
        ("", "not the URL of a database"),
        ("mysql://user:secret@host/db", "not supported"),
        ("http://user:secret@host/db", "not supported"),
        ("sqlite:///runs.db?timeout=soon", "timeout"),
        ("postgresql://user:secret@host/db?timeout=-1", "timeout"),
        ("postgresql://user:secret@host:port/db", "not the URL of a database"),
    ],
)
def test_an_invalid_url_is_refused_without_showing_its_password(url: str, words: str):
    with pytest.raises(ConfigurationError) as caught:
        Store.open(url)
    assert caught.value.code == "ORC902"
    assert caught.value.help
    assert words in caught.value.message
    assert "secret" not in str(caught.value)


def test_an_unreachable_server_is_reported_without_the_password(tmp_path: Path):
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    error = refused(f"postgresql://ann:secret@/runs?host={tmp_path}&password=secret", "ORC811")
    assert "secret" not in str(error) + error.url
    assert "server" in str(error.help)


def test_a_schema_with_other_tables_of_the_same_names_is_refused(postgres: Server):
    engine = sa.create_engine(postgres.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA shop")
        connection.exec_driver_sql("CREATE TABLE shop.events (id int)")
    engine.dispose()
    assert "events" in refused(f"{postgres.url}&schema=shop", "ORC813").message


def test_a_lost_connection_to_the_server_loses_no_event(postgres: Server):
    url = f"{postgres.url}&schema=lost_connection"
    with Store.open(url) as store, Journal(store) as journal:
        run = journal.attach(create(store, "one"))
        for number in range(5):
            run.record("step.succeeded", f"s{number}", 1, {"output": number})
            run.flush()
            with store.database.engine.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            run.record("step.started", f"t{number}", 1)
            run.flush()
        assert [e.seq for e in store.events("one")] == list(range(1, 12))


def test_a_run_starts_once_although_its_connection_is_lost_in_its_commit(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
):
    from psycopg import OperationalError

    append, calls = Appender._append, []

    def lost_at_first(self, *args):
        done = append(self, *args)
        calls.append(done)
        if len(calls) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return done

    monkeypatch.setattr(Appender, "_append", lost_at_first)
    with Store.open(f"{postgres.url}&schema=lost_commit") as store, Journal(store) as journal:
        run = asyncio.run(journal.begin(new_run("one"), Owner.current()))
        run.record("step.started", "a", 1)
        run.flush()
        assert [event.type for event in store.events("one")] == ["run.created", "step.started"]


def test_many_processes_may_create_one_store_at_once(url: str):
    program = (
        "import sys; from orchestrator.journal import Store\n"
        "sys.stdin.readline(); Store.open(sys.argv[1]).close(); print('ok')"
    )
    pipe = subprocess.PIPE
    creators = [
        subprocess.Popen([sys.executable, "-c", program, url], stdin=pipe, stdout=pipe, text=True) for _ in range(4)
    ]
    for creator in creators:
        assert creator.stdin is not None
        creator.stdin.write("go\n")
        creator.stdin.flush()
    assert [creator.communicate()[0] for creator in creators] == ["ok\n"] * 4


def test_the_file_has_the_mark_of_the_application(tmp_path: Path):
    Store.open(f"sqlite:///{tmp_path}/runs.db").close()
    bare = sqlite3.connect(tmp_path / "runs.db")
    assert bare.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    bare.close()


def test_a_run_is_stored_completely_or_not_at_all(tmp_path: Path):
    """A run whose creation fails half-way leaves nothing behind."""
    with Store.open(f"sqlite:///{tmp_path}/runs.db") as store:
        with store.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE events RENAME TO gone")
        with pytest.raises(StoreUnavailable):
            store.create_run(new_run("one"), Owner.current())
        with store.database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() == 0
            assert connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one() == 0
