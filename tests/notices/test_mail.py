"""Notices by mail: encrypted, with a login that is never sent in the clear, and by a server that may refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.notices.delivery import NoticeSender
from orchestrator.notices.notice import DeliveryError, Notice
from orchestrator.notices.settings import NoticeSettings
from tests.mail import MailServer
from tests.runtime.support import ended, pipeline

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "sesame-4711"
NOTICE = Notice("n-1", "failed", 1.0, "It\nfailed", "It failed\n.\n..and a line — with more", {})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings_for(directory: Path, server: MailServer, **more: str) -> NoticeSettings:
    lines = [
        '[notify.mail]\ntype = "smtp"\nhost = "localhost"',
        f"port = {server.port}",
        'sender = "Orchestrator <runs@example.com>"\nrecipients = ["ada@example.com", "bo@example.com"]',
        *(f'{name} = "{value}"' for name, value in more.items()),
    ]
    (directory / "orchestrator.toml").write_text("\n".join(lines))
    return NoticeSettings.load(directory)


async def send(settings: NoticeSettings) -> None:
    await NoticeSender(settings, first_delay=0).deliver("mail", NOTICE)


@pytest.mark.anyio
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_is_encrypted_and_the_server_knows_who_sends_it(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with MailServer(certificate, tls=security == "tls", logins={"orchestrator": PASSWORD}) as server:
        login = {"user": "orchestrator", "password_env": "MAIL_PASSWORD"}
        await send(settings_for(tmp_path, server, security=security, **login))
        mail = server.next()
        assert server.encrypted == [True]
    assert (mail["Subject"], mail["From"]) == ("It failed", "Orchestrator <runs@example.com>")
    assert mail["To"] == "ada@example.com, bo@example.com"
    assert (mail["Message-ID"], mail["Auto-Submitted"]) == ("<n-1@example.com>", "auto-generated")
    assert mail.get_content().replace("\r\n", "\n") == NOTICE.text + "\n"


@pytest.mark.anyio
async def test_a_certificate_that_is_not_trusted_receives_nothing(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with MailServer(certificate) as server:
        with pytest.raises(DeliveryError, match="the certificate of the mail server is not trusted"):
            await send(settings_for(tmp_path, server))
        assert server.encrypted == []


@pytest.mark.anyio
async def test_a_server_without_encryption_receives_nothing_unless_it_is_permitted(tmp_path: Path) -> None:
    with MailServer() as server:
        with pytest.raises(DeliveryError, match="does not offer what the target needs"):
            await send(settings_for(tmp_path, server))
        await send(settings_for(tmp_path, server, security="none"))
        assert server.next()["Subject"] == "It failed"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        ("MAIL", "550 no", "the mail server answered 550"),
        ("RCPT", "550 unknown", "the mail server refused all recipients"),
        ("DATA", "451 later", "the mail server answered 451, 8 attempts"),
    ],
)
async def test_a_refusal_for_good_is_not_repeated(tmp_path: Path, command: str, answer: str, reason: str) -> None:
    with MailServer(refuses={command: answer}) as server, pytest.raises(DeliveryError) as caught:
        await send(settings_for(tmp_path, server, security="none"))
    assert caught.value.reason == reason


@pytest.mark.anyio
async def test_a_wrong_password_is_not_repeated_and_not_shown(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", "wrong-4711")
    server = MailServer(certificate, logins={"orchestrator": PASSWORD})
    with server, pytest.raises(DeliveryError) as caught:
        await send(settings_for(tmp_path, server, user="orchestrator", password_env="MAIL_PASSWORD"))
    assert caught.value.reason == "the mail server refused the login"


def test_a_run_sends_mail(tmp_path: Path) -> None:
    with MailServer() as server:
        settings_for(tmp_path, server, security="none")
        with orc.Orchestrator(directory=tmp_path) as client:
            result = ended(client.compile(pipeline({"id": "a", "fail": "sold out"}, notify="mail")))
        mail = server.next()
    assert mail["Subject"] == "test failed in a"
    assert "sold out" in mail.get_content()
    assert [(each.to, each.state) for each in result.notices] == [("mail", "sent")]
