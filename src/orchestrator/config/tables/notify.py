"""The tables of notices: the targets, and which of them each run notifies by default."""

from __future__ import annotations

from typing import ClassVar, get_args

from pydantic import ConfigDict, Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting
from orchestrator.config.vocabulary import MailSecurity, TargetType
from orchestrator.text.words import quoted_list


class NoticeTargetTable(SettingsTable):
    """A target of notices. `url`, `url_env` and `secret_env` are for webhooks, the others for mail (`smtp`).

    Addresses that contain a key, as those of Slack do, and passwords are in environment variables, whose names are
    here.
    """

    elsewhere: ClassVar = {
        **dict.fromkeys(("kind", "provider"), "type"),
        **dict.fromkeys(("webhook", "webhook_url", "endpoint", "address"), "url_env"),
        **dict.fromkeys(("secret", "signing_secret"), "secret_env"),
        **dict.fromkeys(("server", "smtp_host", "hostname"), "host"),
        **dict.fromkeys(("encryption", "tls", "starttls"), "security"),
        **dict.fromkeys(("username", "login"), "user"),
        **dict.fromkeys(("password", "pass"), "password_env"),
        "from": "sender",
        **dict.fromkeys(("to", "recipient", "emails"), "recipients"),
    }

    type: kinds.NoticeType | None = setting(
        '"slack"', f"required: {quoted_list(get_args(TargetType), last='or')}. Mattermost and others accept `slack` too"
    )
    url: kinds.PlainUrl | None = setting('"https://alerts.example.com/hook"', "the address, if it contains no key")
    url_env: kinds.Variable | None = setting('"SLACK_WEBHOOK_URL"', "the variable that contains the address")
    secret_env: kinds.Variable | None = setting(
        '"ALERTS_SECRET"', "the variable with the secret that signs each delivery; by default none is signed"
    )
    host: kinds.Text | None = setting('"smtp.example.com"', "the mail server")
    port: kinds.Port | None = setting("2525", "its port; by default 587 with `starttls`, 465 with `tls`, else 25")
    security: kinds.Encryption = setting(
        '"tls"',
        f"how the connection is encrypted: {quoted_list(get_args(MailSecurity), last='or')}; by default `starttls`",
        "starttls",
    )
    user: kinds.Text | None = setting('"orchestrator"', "the user name for the mail server; by default no login")
    password_env: kinds.Variable | None = setting('"SMTP_PASSWORD"', "the environment variable with the password")
    sender: kinds.MailAddress | None = setting('"Orchestrator <runs@example.com>"', "from whom mails are")
    recipients: kinds.MailAddresses = setting('["oncall@example.com"]', "to whom they are sent", ())


class NotifyTable(SettingsTable):
    """The targets that each run notifies of an occasion, unless its pipeline names others."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, NoticeTargetTable] = Field(init=False)

    entry = NoticeTargetTable

    elsewhere: ClassVar = {
        **dict.fromkeys(("failure", "on_failure", "error"), "failed"),
        **dict.fromkeys(("wait", "approval", "question"), "waiting"),
        **dict.fromkeys(("at", "threshold"), "budget_at"),
    }

    failed: kinds.Texts = setting('["oncall"]', "when a run fails", ())
    waiting: kinds.Texts = setting('["team"]', "when a run asks a person", ())
    budget: kinds.Texts = setting('["team"]', "when a run has used a share of its budget", ())
    budget_at: kinds.Share = setting('"90%"', "that share; by default 80 percent", 0.8)


class NotifySection(Section):
    """Notices."""

    notify: NotifyTable = Field(default_factory=NotifyTable)
