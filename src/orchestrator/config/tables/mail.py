"""The tables of mail servers that pipelines may send mail by."""

from __future__ import annotations

from typing import ClassVar, get_args

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting
from orchestrator.config.vocabulary import MailSecurity
from orchestrator.text.words import quoted_list


class MailServerTable(SettingsTable):
    """A mail server that the tool `email` may use, by its name here. Passwords are in environment variables."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("server", "smtp_host", "hostname"), "host"),
        **dict.fromkeys(("encryption", "tls", "starttls"), "security"),
        **dict.fromkeys(("username", "login"), "user"),
        **dict.fromkeys(("password", "pass"), "password_env"),
        **dict.fromkeys(("from", "from_address"), "sender"),
        **dict.fromkeys(("to", "allow", "allowed", "allowed_recipients"), "recipients"),
    }

    host: kinds.Text | None = setting('"smtp.example.com"', "required: the mail server")
    port: kinds.Port | None = setting("2525", "its port; by default 587 with `starttls`, 465 with `tls`, else 25")
    security: kinds.Encryption = setting(
        '"tls"',
        f"how the connection is encrypted: {quoted_list(get_args(MailSecurity), last='or')}; by default `starttls`",
        "starttls",
    )
    user: kinds.Text | None = setting('"orchestrator"', "the user name for the mail server; by default no login")
    password_env: kinds.Variable | None = setting('"SMTP_PASSWORD"', "the environment variable with the password")
    sender: kinds.MailAddress | None = setting('"Reports <reports@example.com>"', "required: from whom mails are")
    recipients: kinds.Texts = setting(
        '["*@example.com", "ada@example.org"]',
        "who may receive mail: addresses, and patterns such as `*@example.com`; by default no address",
        (),
    )


class MailSection(Section):
    """Mail servers."""

    mail: dict[kinds.MailServerName, MailServerTable] = Field({})
