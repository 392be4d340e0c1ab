"""A private PostgreSQL server for the tests, from the system's binaries, without network and without other data."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path


class NoPostgres(Exception):
    """Why there is no server to test with."""


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise NoPostgres("no PostgreSQL is installed (Debian: apt-get install postgresql)")
    return (found[-1] if found else Path(str(on_path))).parent


def _user() -> str | None:
    """PostgreSQL refuses to run as root; return the user that it can run as, None for the current one."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise NoPostgres("PostgreSQL does not run as root and there is no other user")


class Server:
    """A running server that listens on a socket in its own directory; `durable` ones wait for the disk."""

    def __init__(self, *, durable: bool = False, programs: Path | None = None) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise NoPostgres("psycopg is not installed (the extra `postgres`)") from error
        self._programs = programs or _programs()
        self._user = _user()
        self._fsync = "on" if durable else "off"
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        self._data = self.directory / "data"
        try:
            self._call("initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync")
            self.start()
        except subprocess.CalledProcessError as error:
            log = self.directory / "log"
            said = error.stderr or (log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")
            shutil.rmtree(self.directory, ignore_errors=True)
            raise RuntimeError(f"PostgreSQL is installed and does not start: {said.strip()}") from error

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://tests@/postgres?host={self.directory}"

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self.directory} -c fsync={self._fsync} -c max_connections=100"
        log = self.directory / "log"
        self._call("pg_ctl", "-D", self._data, "-w", "-t", "900", "-l", log, "-o", options, "start")

    def halt(self) -> None:
        """Break all connections and be away; what was committed is there after `start`."""
        self._call("pg_ctl", "-D", self._data, "-m", "fast", "-w", "-t", "900", "stop")

    def cut(self) -> None:
        """Break all connections, and be there at once."""
        import psycopg

        with psycopg.connect(host=str(self.directory), user="tests", dbname="postgres", autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def stop(self) -> None:
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _call(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [str(self._programs / program), *map(str, arguments)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            text=True,
            cwd=self.directory,
            user=self._user,
        )
