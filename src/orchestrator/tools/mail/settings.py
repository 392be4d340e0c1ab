"""The mail servers in `orchestrator.toml`: a table `[mail.NAME]` for each, and who may receive mail from it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem
from orchestrator.config.vocabulary import MailSecurity
from orchestrator.diagnostics import suggest
from orchestrator.text.words import quoted_list
from orchestrator.tools.mail.addresses import pattern_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PORTS: Final[Mapping[MailSecurity, int]] = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port of each kind of connection."""


class MailAccount(Struct, frozen=True):
    """How mail is given to a server. The password is in the environment variable `password_env`."""

    host: str
    port: int
    security: MailSecurity = "starttls"
    user: str | None = None
    password_env: str | None = None

    @property
    def password(self) -> str:
        """The password, or an empty string if there is no login or the variable is not set."""
        return os.environ.get(self.password_env, "").strip() if self.password_env is not None else ""


class MailSetting(Struct, frozen=True):
    """A server that steps may send mail by: from `sender`, and only to addresses that match `recipients`."""

    name: str
    account: MailAccount
    sender: str
    recipients: tuple[str, ...] = ()


def load_mail_servers(directory: str | Path = ".") -> dict[str, MailSetting]:
    """Read the mail servers from `orchestrator.toml` in `directory`, by name.

    Raises:
        ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
    """
    file = ProjectFile.load(directory)
    if not file.has("mail"):
        return {}
    from orchestrator.config.tables.mail import MailSection

    tables = file.read(MailSection, _problems(file)).mail
    return {
        name: MailSetting(
            name,
            MailAccount(
                table.host or "", table.port or PORTS[table.security], table.security, table.user, table.password_env
            ),
            table.sender or "",
            table.recipients,
        )
        for name, table in tables.items()
    }


def unknown_server(name: str | None, known: Mapping[str, MailSetting]) -> tuple[str, str]:
    """Return the message and the help about a server that no table has, or about a step that names none."""
    names = quoted_list(known, last="or")
    if name is None and known:
        return "orchestrator.toml has several mail servers", f"name one with `server`: {names}"
    if name is None:
        help = "add a table `[mail.NAME]` with its `host`, `sender` and `recipients`"
        return "orchestrator.toml has no mail server", help
    near = suggest(name, tuple(known))
    help = (
        f"did you mean `{near}`?" if near else f"add a table `[mail.{name}]` with its `host`, `sender` and `recipients`"
    )
    return f"orchestrator.toml has no mail server `{name}`", help


def login_problems(keys: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Yield what is wrong with the login of a table: it is incomplete, or would send the password unencrypted."""
    if ("user" in table) != ("password_env" in table):
        help = "give both to log in, or none"
        yield SettingProblem("{} must have both `user` and `password_env`", help=help, keys=keys)
    elif "user" in table and table.get("security") == "none":
        help = 'write `security = "starttls"` or `security = "tls"`'
        yield SettingProblem("{} would send the password unencrypted", help=help, keys=(*keys, "security"))


def _problems(file: ProjectFile) -> Iterator[SettingProblem]:
    for name, table in file.tables("mail").items():
        keys = ("mail", name)
        if not all(table.get(key) for key in ("host", "sender")):
            help = 'write `host = "smtp.example.com"` and `sender = "runs@example.com"`'
            yield SettingProblem("{} must have a `host` and a `sender`", help=help, keys=keys)
        yield from login_problems(keys, table)
        patterns = table.get("recipients")
        for pattern in patterns if isinstance(patterns, list) else ():
            if isinstance(pattern, str) and (problem := pattern_problem(pattern)) is not None:
                yield SettingProblem(
                    "{} is not a list of addresses and patterns", help=problem, keys=(*keys, "recipients")
                )
