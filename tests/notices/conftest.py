from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.runtime.notices import run_notices
from tests.notices.receivers import HttpReceiver
from tests.runtime.support import Bench

SECRET = "a secret that signs 4711"

SETTINGS = """\
[notify.oncall]
type = "webhook"
url_env = "ONCALL_URL"
secret_env = "ONCALL_SECRET"

[notify.team]
type = "slack"
url_env = "TEAM_URL"
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs wait for their notices as long as it takes, also on a busy machine."""
    monkeypatch.setattr(run_notices, "END_PATIENCE", 300.0)


@pytest.fixture
def oncall(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """The receiver of the target `oncall`."""
    receiver = HttpReceiver()
    monkeypatch.setenv("ONCALL_URL", receiver.url)
    monkeypatch.setenv("ONCALL_SECRET", SECRET)
    yield receiver
    receiver.close()


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """The receiver of the target `team`."""
    receiver = HttpReceiver()
    monkeypatch.setenv("TEAM_URL", receiver.url)
    yield receiver
    receiver.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "orchestrator.toml").write_text(SETTINGS)
    return tmp_path


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def client(project: Path, bench: Bench) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=project, tools=bench.tools()) as client:
        yield client
