"""The targets of a project: how notices are configured, listed, tried, and how many a target receives."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.api.settings import check_settings
from orchestrator.errors import ConfigurationError
from orchestrator.notices import delivery
from orchestrator.notices.delivery import NoticeSender
from orchestrator.notices.notice import DeliveryError, Notice
from orchestrator.notices.settings import NoticeSettings
from tests.notices.conftest import SETTINGS
from tests.runtime.support import ended

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notices.receivers import HttpReceiver

NOTICE = Notice("n-1", "failed", 1.0, "It failed", "It failed", {})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[notify.a]\nurl = 'https://a.example'", "`notify.a` has no `type`"),
        ("[notify.a]\ntype = 'pager'", "`notify.a.type`: unknown type `pager`"),
        ("[notify.a]\ntype = 'slack'", "`notify.a` must have either a `url` or a `url_env`"),
        ("[notify.a]\ntype = 'slack'\nurl_env = 'A'\nsecret_env = 'B'", "is only valid with the type `webhook`"),
        ("[notify.a]\ntype = 'webhook'\nurl = 'https://a.example'\nhost = 'b'", "is only valid with the type `smtp`"),
        ("[notify.a]\ntype = 'webhook'\nurl = 'https://me:pw@a.example'", "`notify.a.url` contains a password"),
        ("[notify.a]\ntype = 'webhook'\nurl_env = 'https://a.example'", "must name environment variables"),
        ("[notify.a]\ntype = 'smtp'\nhost = 'mail'", "must have a `host`, a `sender` and `recipients`"),
        ("[notify.a]\ntype = 'smtp'\nsender = 'ada'", "`notify.a.sender` must be a mail address"),
        ("[notify.'a b']\ntype = 'slack'\nurl_env = 'A'", "invalid name of a target"),
        ("[notify]\nfailed = ['a']", "`notify.failed` names a target that has no table"),
        ("[notify]\nbudget_at = '120%'", "`notify.budget_at` must be a share"),
        ("[notifications]\nfailed = ['a']", "unknown setting `notifications`"),
        (
            "[notify.a]\ntype = 'smtp'\nhost = 'mail'\nsender = 'a@b'\nrecipients = ['a@b']\nuser = 'me'",
            "must have both `user` and `password_env`",
        ),
        (
            "[notify.a]\ntype = 'smtp'\nhost = 'mail'\nsender = 'a@b'\nrecipients = ['a@b']\nuser = 'me'\n"
            "password_env = 'P'\nsecurity = 'none'",
            "would send the password unencrypted",
        ),
    ],
)
def test_a_target_that_cannot_work_is_an_error_of_the_settings(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "orchestrator.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        check_settings(tmp_path)
    assert problem in caught.value.message


def test_no_secret_is_shown_by_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCALL_URL", "https://example.com/sesame-4711")
    (tmp_path / "orchestrator.toml").write_text(SETTINGS)
    assert "sesame" not in repr(NoticeSettings.load(tmp_path))


@pytest.mark.anyio
async def test_a_target_receives_only_so_many_notices_in_a_minute(project: Path, oncall: HttpReceiver) -> None:
    sender = NoticeSender(NoticeSettings.load(project))
    for _ in range(delivery.MOST_PER_MINUTE):
        await sender.deliver("oncall", NOTICE)
    with pytest.raises(DeliveryError, match="more than 30 notices in a minute"):
        await sender.deliver("oncall", NOTICE)
    assert len(oncall.rest()) == delivery.MOST_PER_MINUTE


@pytest.mark.anyio
async def test_a_target_that_stays_away_is_given_up(project: Path, oncall: HttpReceiver) -> None:
    oncall.answers = [503] * delivery.MAX_ATTEMPTS
    with pytest.raises(DeliveryError, match="it answered with status 503, 8 attempts"):
        await NoticeSender(NoticeSettings.load(project), first_delay=0).deliver("oncall", NOTICE)
    assert len(oncall.rest()) == delivery.MAX_ATTEMPTS


def command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words], cwd=directory, capture_output=True, text=True, check=False
    )


def test_the_command_lists_targets_and_tries_one(
    project: Path, oncall: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEAM_URL", raising=False)
    assert json.loads(command(project, "notify", "--json").stdout) == [
        {"name": "oncall", "type": "webhook", "default_for": [], "problem": None},
        {
            "name": "team",
            "type": "slack",
            "default_for": [],
            "problem": "the environment variable `TEAM_URL` is not set",
        },
    ]
    assert "team    slack    -               the environment variable" in command(project, "notify").stdout
    assert command(project, "notify", "oncall").stdout == "sent a test notice to `oncall`\n"
    assert oncall.next().json["type"] == "test"
    assert command(project, "notify", "oncall", "--text", "The disk is full").stdout == "sent a notice to `oncall`\n"
    sent = oncall.next().json
    assert (sent["type"], sent["data"]["text"]) == ("message", "The disk is full")
    oncall.answers = [503]
    refused = command(project, "notify", "oncall")
    assert (refused.returncode, "error[ORC821]" in refused.stderr) == (1, True)
    assert "did you mean `oncall`?" in command(project, "notify", "oncal").stderr


def test_a_run_shows_its_notices(project: Path, client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    ended(client.compile({"id": "report", "steps": [{"id": "a", "fail": "sold out"}], "notify": "oncall"}))
    line = "notice (failed) sent to `oncall`"
    assert line in command(project, "status", "last").stdout
    assert line in command(project, "show", "last").stdout
    told = command(project, "events", "last").stdout
    assert "run.notice" in told
    assert "to=oncall  occasion=failed  title=report failed in a" in told
    assert "run.notified" in told


def test_a_server_sends_the_notices_of_the_runs_that_it_executes(project: Path, oncall: HttpReceiver) -> None:
    from orchestrator.server.access.tokens import add_token
    from tests.server.support import Client, serving

    (project / "report.yaml").write_text("steps:\n  - {id: a, fail: sold out}\nnotify: oncall\n")
    with serving(project) as (service, address):
        token = add_token(service.credentials, "ada", ("admin",))
        client = Client(address, token)
        started = client.start("report", wait=30)["run"]
        client.http.close()
        assert [(each["to"], each["state"]) for each in started["notices"]] == [("oncall", "sent")]
        with orc.connect(address, token=token) as remote:
            [notice] = remote.get_run(started["run_id"]).status().notices
            assert (notice.occasion, notice.to, notice.state) == ("failed", "oncall", "sent")
    assert oncall.next().json["data"]["run"]["id"] == started["run_id"]
