"""The tool email, with a real mail server: who may receive mail, what a mail has, and that none is sent twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import ConfigurationError, PermissionDenied, StepError, StepTimeout
from orchestrator.tools.mail.addresses import is_permitted, mail_address, plain_address
from tests.mail import MailServer
from tests.tools.support import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "sesame-4711"
PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


def project(directory: Path, server: MailServer, **more: Any) -> Workplace:
    given = {
        "host": "localhost",
        "port": server.port,
        "security": "none",
        "sender": "Reports, weekly <reports@example.com>",
        "recipients": ["*@example.com", "bo@example.org"],
    } | more
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    (directory / "orchestrator.toml").write_text("\n".join(["[mail.office]", *lines]))
    return Workplace(directory)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def office(tmp_path: Path, server: MailServer) -> Workplace:
    return project(tmp_path, server)


def send(office: Workplace, **more: Any) -> Any:
    return office("email.send", **{"to": "ada@example.com", "subject": "Hello", "text": "Hello, Ada", **more})


def refused(office: Workplace, **more: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        send(office, **more)
    return caught.value


# --- what a mail has


def test_a_mail_has_a_text_a_page_and_attachments(office: Workplace, server: MailServer) -> None:
    (office.directory / "zahlen für Ada.csv").write_text("a,b\n1,2\n")
    (office.directory / "chart.png").write_bytes(PNG)
    sent = send(
        office,
        to=["Ada Lovelace <ada@example.com>", "Béla <bela@example.com>"],
        cc="bo@example.org",
        bcc=["secret@example.com"],
        subject="Zahlen für die Woche — 100 %",
        markdown="# Sales\n\n*More* than <b>before</b>.\n\n.\n\n![Sales](chart.png)",
        text=None,
        attachments=["zahlen für Ada.csv"],
        reply_to="ada@example.com",
    )
    mail = server.next()
    assert server.envelopes == [
        ["reports@example.com", "ada@example.com", "bela@example.com", "bo@example.org", "secret@example.com"]
    ]
    assert mail["Subject"] == "Zahlen für die Woche — 100 %"
    assert mail["From"] == '"Reports, weekly" <reports@example.com>'
    assert (mail["To"], mail["Cc"], mail["Bcc"]) == (
        "Ada Lovelace <ada@example.com>, Béla <bela@example.com>",
        "bo@example.org",
        None,
    )
    assert (mail["Reply-To"], mail["Auto-Submitted"]) == ("ada@example.com", "auto-generated")
    assert mail["Message-ID"] == sent["message_id"]
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    assert plain.get_content().replace("\r\n", "\n").startswith("# Sales\n\n*More* than <b>before</b>.\n\n.\n\n")
    html = page.get_content()
    assert "<h1>Sales</h1>" in html
    assert "<em>More</em> than &lt;b&gt;before&lt;/b&gt;" in html
    [picture] = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content() == PNG
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html
    [attached] = list(mail.iter_attachments())
    assert (attached.get_filename(), attached.get_content_type()) == ("zahlen für Ada.csv", "text/csv")
    assert attached.get_content() == "a,b\n1,2\n"
    assert sent["recipients"] == ["ada@example.com", "bela@example.com", "bo@example.org", "secret@example.com"]
    assert sent["server"] == "office"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n.")),
    subject=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1),
)
def test_every_text_and_subject_arrives_as_it_was(
    office: Workplace, server: MailServer, text: str, subject: str
) -> None:
    send(office, subject=subject, text=text)
    mail = server.next()
    assert mail["Subject"] == subject
    assert mail.get_content().replace("\r\n", "\n").removesuffix("\n") == text.removesuffix("\n")


def test_every_attempt_of_a_step_has_the_same_message_id(office: Workplace, server: MailServer) -> None:
    first, second = send(office)["message_id"], send(office, subject="Hello again")["message_id"]
    office.context.idempotency_key = "another"
    assert first == second != send(office)["message_id"]
    assert [server.next()["Message-ID"] for _ in range(2)] == [first, second]


# --- who may receive it


@pytest.mark.parametrize("parameter", ["to", "cc", "bcc", "reply_to"])
def test_nobody_receives_mail_who_is_not_permitted(office: Workplace, server: MailServer, parameter: str) -> None:
    error = refused(office, **{parameter: "Ada <eve@example.net>"})
    assert isinstance(error, PermissionDenied)
    assert error.message == "the mail server `office` may not send to `eve@example.net`"
    assert "`*@example.net`, to `recipients` in `[mail.office]`" in (error.help or "")
    assert server.envelopes == []


def test_a_server_without_recipients_sends_nothing(tmp_path: Path, server: MailServer) -> None:
    assert isinstance(refused(project(tmp_path, server, recipients=[])), PermissionDenied)


@pytest.mark.parametrize(
    ("patterns", "permitted", "others"),
    [
        (
            ["*@example.com"],
            ["ADA@Example.COM"],
            ["ada@example.com.eve.net", "ada@sub.example.com", "a@eve-example.com"],
        ),
        (["*@*.example.com"], ["ada@sub.example.com"], ["ada@example.com"]),
        (["team-*@example.com"], ["team-a@example.com"], ["other@example.com"]),
        (["*@bücher.example"], ["ada@bücher.example", "ada@xn--bcher-kva.example"], ["ada@bucher.example"]),
        (["*"], ["ada@example.com"], []),
        ([], [], ["ada@example.com"]),
    ],
)
def test_patterns_say_who_may_receive_mail(patterns: list[str], permitted: list[str], others: list[str]) -> None:
    assert all(is_permitted(mail_address(each), tuple(patterns)) for each in permitted)
    assert not any(is_permitted(mail_address(each), tuple(patterns)) for each in others)


@given(st.text(max_size=40), st.sampled_from(["{}", "{}@example.com", "Ada <{}>", "a@{}", "{} <ada@example.com>"]))
def test_what_is_no_address_is_refused_and_an_address_is_one(text: str, form: str) -> None:
    try:
        address = mail_address(form.format(text))
    except ValueError:
        return
    plain = plain_address(address)
    assert plain.count("@") == 1
    assert not any(each.isspace() or each in "<>,;\"'()"[:5] or ord(each) < 32 for each in plain)
    assert "\r" not in str(address)
    assert "\n" not in str(address)


# --- what cannot be forged


@pytest.mark.parametrize(
    "more",
    [
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": "Hello\nX: y"},
        {"to": "ada@example.com\r\nBcc: eve@example.com"},
        {"to": "Ada\r\nBcc: eve@example.com <ada@example.com>"},
        {"to": "ada@example.com, eve@example.com"},
        {"cc": ["ada@example.com>\r\nRCPT TO:<eve@example.net"]},
        {"reply_to": "ada@example.com\nX: y"},
        {"to": []},
        {"to": [f"a{number}@example.com" for number in range(101)]},
        {"subject": " "},
        {"text": None},
        {"html": "<p>Hello</p>", "markdown": "Hello"},
        {"max_bytes": 300, "text": "long " * 100},
    ],
)
def test_what_is_not_a_mail_is_refused(office: Workplace, server: MailServer, more: dict[str, Any]) -> None:
    error = refused(office, **more)
    assert (error.code, error.retryable) == ("ORC710", False)
    assert server.envelopes == []


def test_attachments_are_files_that_the_run_may_read(office: Workplace, server: MailServer) -> None:
    outside = office.directory.parent / "outside.txt"
    outside.write_text("secret")
    (office.directory / "link.txt").symlink_to(outside)
    (office.directory / "line\nbreak.txt").write_text("text")
    assert isinstance(refused(office, attachments=[str(outside)]), PermissionDenied)
    assert isinstance(refused(office, attachments=["link.txt"]), PermissionDenied)
    assert isinstance(refused(office, markdown="![x](../outside.txt)"), PermissionDenied)
    assert refused(office, attachments=["missing.txt"]).code == "ORC709"
    assert refused(office, attachments=["line\nbreak.txt"]).code == "ORC710"
    assert refused(office, attachments=["link.txt"] * 51).code in ("ORC703", "ORC710")
    assert server.envelopes == []


# --- the server


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_is_encrypted_and_the_server_knows_who_sends_it(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("OFFICE_PASSWORD", PASSWORD)
    login = {"security": security, "user": "office", "password_env": "OFFICE_PASSWORD"}
    with MailServer(certificate, tls=security == "tls", logins={"office": PASSWORD}) as server:
        send(project(tmp_path, server, **login))
        assert server.encrypted == [True]
        monkeypatch.setenv("OFFICE_PASSWORD", "wrong-4711")
        error = refused(Workplace(tmp_path))
        assert (error.message, error.retryable) == ("the mail server refused the login: wrong", False)
        monkeypatch.delenv("OFFICE_PASSWORD")
        assert "`OFFICE_PASSWORD`, which the mail server `office` needs" in refused(Workplace(tmp_path)).message


def test_a_certificate_that_is_not_trusted_receives_nothing(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with MailServer(certificate) as server:
        error = refused(project(tmp_path, server, security="starttls"))
        assert (error.message, error.retryable) == ("the certificate of the mail server is not trusted", False)


@pytest.mark.parametrize(
    ("command", "answer", "message", "retryable"),
    [
        ("MAIL", "550 no", "the mail server answered 550: no", False),
        (
            "RCPT TO:<bo@",
            "550 5.1.1 unknown",
            "the mail server refused `bo@example.org` with 550: 5.1.1 unknown",
            False,
        ),
        ("RCPT TO:<bo@", "450 later", "the mail server refused `bo@example.org` with 450: later", True),
        ("DATA", "451 later", "the mail server answered 451: later", True),
        ("QUIT", "500 no", None, None),
    ],
)
def test_all_receive_a_mail_or_none(
    tmp_path: Path, command: str, answer: str, message: str | None, retryable: bool | None
) -> None:
    with MailServer(refuses={command: answer}) as server:
        office = project(tmp_path, server)
        if message is None:  # it was accepted before
            send(office)
            return
        error = refused(office, to=["ada@example.com", "bo@example.org"])
        assert (error.code, error.message, error.retryable) == ("ORC740", message, retryable)
        assert server.envelopes == []


def test_a_mail_that_is_too_large_for_the_server_is_not_transmitted(tmp_path: Path) -> None:
    with MailServer(offers=("SIZE 1000",)) as server:
        error = refused(project(tmp_path, server), text="long " * 1_000)
        assert "the mail server takes 1,000 at most" in error.message
        assert server.envelopes == []


def test_addresses_of_all_languages_need_a_server_that_takes_them(tmp_path: Path) -> None:
    with MailServer() as server:
        assert "outside of ASCII" in refused(project(tmp_path, server), to="béla@example.com").message
    with MailServer(offers=("SMTPUTF8", "8BITMIME")) as server:
        send(project(tmp_path, server), to="Béla <béla@example.com>")
        assert server.envelopes == [["reports@example.com", "béla@example.com"]]
        assert server.next()["To"] == "Béla <béla@example.com>"


def test_a_server_that_is_not_there_is_worth_another_attempt(tmp_path: Path) -> None:
    with MailServer() as server:
        pass
    error = refused(project(tmp_path, server))
    assert (error.code, error.retryable) == ("ORC740", True)
    assert error.message == "the mail server cannot be reached: connection refused"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"server": "offcie"}, "orchestrator.toml has no mail server `offcie`"),
        ({"server": "other"}, "orchestrator.toml has no mail server `other`"),
    ],
)
def test_a_server_has_a_name_in_the_settings(office: Workplace, more: dict[str, str], message: str) -> None:
    assert refused(office, **more).message == message


def test_a_step_names_its_server_where_there_are_several(office: Workplace, server: MailServer) -> None:
    file = office.directory / "orchestrator.toml"
    file.write_text(file.read_text() + "\n[mail.other]\nhost='localhost'\nsender='a@example.com'\n")
    assert refused(office).message == "orchestrator.toml has several mail servers"
    assert send(office, server="office")["server"] == "office"
    file.unlink()
    assert refused(office).message == "orchestrator.toml has no mail server"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("host = 'localhost'", "must have a `host` and a `sender`"),
        ("recipients = ['example.com']", "is not a list of addresses and patterns"),
        ("user = 'a'", "must have both `user` and `password_env`"),
        ("user = 'a'\npassword_env = 'A'\nsecurity = 'none'", "would send the password unencrypted"),
        ("sender = 'ada'", "must be a mail address"),
        ("password = 'sesame'", "unknown setting `mail.office.password`"),
    ],
)
def test_settings_that_cannot_be_used_are_reported(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "orchestrator.toml").write_text(f"[mail.office]\n{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        send(Workplace(tmp_path))
    assert problem in str(caught.value)
    assert "sesame" not in str(caught.value)


# --- once


def test_a_mail_that_may_have_been_sent_is_not_sent_again(tmp_path: Path) -> None:
    with MailServer(hang=True) as server:
        office = project(tmp_path, server)
        late = next(error for seconds in (1, 10, 100) if (error := refused(office, timeout=seconds)).code == "ORC740")
        assert (late.code, late.retryable) == ("ORC740", False)
        assert late.message == "the mail server did not say in time whether it accepted the mail"
        assert "run the step again with `retry` if it was not sent" in (late.help or "")
        server.released.set()
        lost = refused(office)
        assert (lost.code, lost.retryable) == ("ORC740", False)
        assert lost.message == "the mail server did not say whether it accepted the mail"


def test_a_transmission_that_is_stopped_sends_nothing(tmp_path: Path) -> None:
    with MailServer(refuses={"DATA": ""}) as server:  # an answer that never comes
        office = project(tmp_path, server)
        error = refused(office, timeout=0.5)
        assert isinstance(error, StepTimeout)
        assert error.retryable

        async def cancelled() -> None:
            task = asyncio.create_task(office.acall("email.send", to="ada@example.com", subject="Hello", text="Hello"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
    assert server.envelopes == []


def test_a_crash_while_a_mail_is_sent_does_not_send_it_twice(tmp_path: Path) -> None:
    with MailServer(hang=True) as server:
        project(tmp_path, server)
        (tmp_path / "mail.yaml").write_text(
            "id: mail\nsteps:\n  - id: mailed\n    action: email.send\n    retry: 3\n"
            "    parameters: {to: ada@example.com, subject: Hello, text: Hello}\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", "run", "mail.yaml"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        first = server.next()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        server.hang = False
        server.released.set()
        with orc.Orchestrator(directory=tmp_path) as client:
            [listed] = client.list_runs()
            result = client.resume(listed.run_id).wait()
            assert (result.state, result.error["code"]) == ("failed", "ORC716")
            assert len(server.envelopes) == 1
            again = client.retry(listed.run_id, "mailed").wait()
            assert again.state == "succeeded"
        assert server.next()["Message-ID"] == first["Message-ID"]
