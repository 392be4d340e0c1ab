"""Who is measured: each contender with its module, its database, and what must be installed for it."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to run a job: the module with its function `run`, and the arguments that are particular to it."""

    module: str
    needs: str | None = None
    """The module without which it is left out."""
    postgres: bool = False
    """Whether it runs on PostgreSQL; else on SQLite."""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def floor(self) -> str:
        """The contender that shows the least that this one's database costs."""
        return "floor-postgres" if self.postgres else "floor"


CONTENDERS: Mapping[str, Contender] = {
    "floor": Contender("floor"),
    "orchestrator": Contender("own"),
    "dbos": Contender("rival_dbos", needs="dbos"),
    "langgraph": Contender("rival_langgraph", needs="langgraph.checkpoint.sqlite"),
    "langgraph-one-value": Contender(
        "rival_langgraph", needs="langgraph.checkpoint.sqlite", arguments={"one_value": True}
    ),
    "floor-postgres": Contender("floor", needs="psycopg", postgres=True),
    "orchestrator-postgres": Contender("own", needs="psycopg", postgres=True),
    "dbos-postgres": Contender("rival_dbos", needs="dbos", postgres=True),
}


def is_installed(module: str) -> bool:
    """Whether a module can be imported; it may be inside a package that is missing."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def left_out(names: Sequence[str], *, server: "Server | None") -> dict[str, str]:
    """Return the contenders that cannot be measured here, each with the reason."""
    reasons = {}
    for name in names:
        contender = CONTENDERS[name]
        if contender.needs and not is_installed(contender.needs):
            reasons[name] = f"`{contender.needs}` is not installed; `make bench` installs it"
        elif contender.postgres and (server is None or server.missing):
            reasons[name] = (server and server.missing) or "without PostgreSQL"
    return reasons


class Server:
    """A private PostgreSQL server, started when a contender needs it, with a new database for each measurement."""

    def __init__(self) -> None:
        self.missing: str | None = None
        """Why there is no server."""
        self._server: Any = None
        self._databases = 0

    def start(self) -> None:
        """Start it, or find out why it cannot be started."""
        if str(ROOT) not in sys.path:
            sys.path.append(str(ROOT))
        from tests.postgres import NoPostgres
        from tests.postgres import Server as PrivateServer

        try:
            self._server = PrivateServer(durable=True)
        except (NoPostgres, RuntimeError) as error:
            self.missing = str(error)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Create a database, return its URL, and remove it."""
        self._databases += 1
        name = f"bench_{self._databases}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self._server.url.replace("/postgres?", f"/{name}?")
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def version(self) -> str | None:
        """Return its version; None if it does not run."""
        if self._server is None:
            return None
        import psycopg

        with psycopg.connect(self._address) as connection:
            return str(connection.info.parameter_status("server_version")).split()[0]

    def stop(self) -> None:
        """Stop it and remove its data."""
        if self._server is not None:
            self._server.stop()

    @property
    def _address(self) -> str:
        return str(self._server.url).replace("+psycopg", "")

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(statement)
