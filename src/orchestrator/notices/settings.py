"""The tables `[notify]` of `orchestrator.toml`: the targets of notices, and the defaults of pipelines."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem
from orchestrator.config.vocabulary import MailSecurity, TargetType
from orchestrator.diagnostics import suggest
from orchestrator.notices.notice import DeliveryError
from orchestrator.text.words import quoted_list
from orchestrator.tools.mail.settings import PORTS, MailAccount, login_problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config.tables.notify import NoticeTargetTable

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_OF_MAIL: Final = ("host", "port", "security", "user", "password_env", "sender", "recipients")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "webhook": ("url", "url_env", "secret_env"),
    "slack": ("url", "url_env"),
    "smtp": _OF_MAIL,
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "webhook": 'write `url = "https://..."`, or `url_env = "ALERTS_URL"` with the variable that contains the address',
    "slack": 'write `url_env = "SLACK_WEBHOOK_URL"`, the variable that contains the address',
    "smtp": 'write `host = "smtp.example.com"`, `sender = "runs@example.com"` and `recipients = ["team@example.com"]`',
}


class NoticeTarget(Struct, frozen=True):
    """Where notices are sent. Addresses with keys, secrets and passwords are in variables; these are their names."""

    name: str
    type: TargetType
    url: str | None = None
    url_env: str | None = None
    secret_env: str | None = None
    host: str = ""
    port: int = 0
    security: MailSecurity = "starttls"
    user: str | None = None
    password_env: str | None = None
    sender: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def account(self) -> MailAccount:
        """How mail is given to its server."""
        return MailAccount(self.host, self.port, self.security, self.user, self.password_env)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it needs."""
        return tuple(name for name in (self.url_env, self.secret_env, self.password_env) if name is not None)


class NoticeSettings(Struct, frozen=True):
    """The targets by name, and which of them are notified by default. `page` is the address of the server, or empty."""

    targets: Mapping[str, NoticeTarget] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    budget: tuple[str, ...] = ()
    budget_at: float = 0.8
    page: str = ""

    @classmethod
    def load(cls, directory: str | Path = ".") -> NoticeSettings:
        """Read them from `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or invalid.
        """
        file = ProjectFile.load(directory)
        if not file.has("notify"):
            return cls(page=_page(file))
        from orchestrator.config.tables.notify import NotifySection

        table = file.read(NotifySection, _problems(file)).notify
        targets = {name: _target(name, each) for name, each in table.entries.items()}
        return cls(targets, table.failed, table.waiting, table.budget, table.budget_at, _page(file))


def secret_of(variable: str | None) -> str:
    """Return the value of an environment variable that a target needs.

    Raises:
        DeliveryError: It is not set.
    """
    value = os.environ.get(variable, "").strip() if variable is not None else ""
    if not value:
        raise DeliveryError(f"the environment variable `{variable}` is not set", retryable=False)
    return value


def _page(file: ProjectFile) -> str:
    if not file.has("serve"):
        return ""
    from orchestrator.config.tables.serve import ServeSection

    serve = file.read(ServeSection).serve
    url = serve.url or (serve.oidc.url if serve.oidc is not None else None)
    return (url or "").rstrip("/")


def _target(name: str, table: NoticeTargetTable) -> NoticeTarget:
    given: dict[str, Any] = {key: value for key, value in table if value is not None}
    if table.type == "smtp":
        given["port"] = table.port or PORTS[table.security]
    return NoticeTarget(name, **given)


def _problems(file: ProjectFile) -> Iterator[SettingProblem]:
    """Yield what no setting by itself can have wrong: settings that are missing, or of another type."""
    tables = file.tables("notify")
    for name, table in tables.items():
        yield from _of_target(("notify", name), table)
    for occasion in ("failed", "waiting", "budget"):
        whole = file.values.get("notify")
        listed = whole.get(occasion) if isinstance(whole, dict) else None
        for target in listed if isinstance(listed, list) else ():
            if isinstance(target, str) and target not in tables:  # it is not shown, as it may be an address
                near = suggest(target, tuple(tables))
                help = f"did you mean `{near}`?" if near else "add a table for it, such as `[notify.oncall]`"
                yield SettingProblem("{} names a target that has no table", help=help, keys=("notify", occasion))


def _of_target(keys: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[SettingProblem]:
    if not _NAME.fullmatch(keys[-1]):
        help = "start with a letter, then use letters, digits, `-` and `_`"
        yield SettingProblem("{}: invalid name of a target", help=help, keys=keys)
    kind = table.get("type")
    if kind is None:
        types = quoted_list(_KEYS, last="or")
        yield SettingProblem("{} has no `type`", help=f"add `type`, which is {types}", keys=keys)
    if not isinstance(kind, str) or kind not in _KEYS:
        return  # the type itself is reported
    for key in table:
        if key not in ("type", *_KEYS[kind]) and any(key in others for others in _KEYS.values()):
            owners = [other for other, names in _KEYS.items() if key in names]
            words = quoted_list(owners, last="or")
            yield SettingProblem(f"{{}} is only valid with the type {words}", help=f"remove `{key}`", keys=(*keys, key))
    if kind == "smtp":
        if not all(table.get(key) for key in ("host", "sender", "recipients")):
            yield SettingProblem("{} must have a `host`, a `sender` and `recipients`", help=_EXAMPLES[kind], keys=keys)
        yield from login_problems(keys, table)
    elif ("url" in table) == ("url_env" in table):
        yield SettingProblem("{} must have either a `url` or a `url_env`", help=_EXAMPLES[kind], keys=keys)
