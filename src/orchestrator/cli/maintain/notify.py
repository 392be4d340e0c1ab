"""`notify`: sends a test notice to a target, so that the first one that matters arrives."""

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator import codes
from orchestrator.cli.options import common
from orchestrator.config.project_file import project_directory
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.notices.settings import NoticeSettings, NoticeTarget


def notify(
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="A target of orchestrator.toml. Without it, the targets are listed."),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="What to send. Default: that it is a test.")
    ] = None,
    json: common.JsonOption = False,
) -> None:
    """Send a test notice to a target, or list the targets.

    Notices of runs are sent to the same targets: see `notify:` in pipelines, and `[notify]` in `orchestrator.toml`.
    This one is sent once, and not repeated after an error.
    """
    from orchestrator.cli.terminal.output import emit, emit_json
    from orchestrator.errors import OrchestratorError
    from orchestrator.notices.delivery import NoticeSender
    from orchestrator.notices.notice import DeliveryError, Notice
    from orchestrator.notices.settings import NoticeSettings

    settings = NoticeSettings.load(project_directory())
    if target is None:
        _list(settings, as_json=json)
        return
    found = _named(settings, target)
    id, now = f"sent-{secrets.token_hex(8)}", time.time()
    if text is None:
        test = f"This is a test of the target {found.name}, sent with: orchestrator notify {found.name}"
        notice = Notice(id, "test", now, "A test notice", test, {})
    else:
        notice = Notice(id, "message", now, shorten(text, 150), text, {})
    sender = NoticeSender(settings)
    try:
        problem = sender.problem(found.name)
        if problem is not None:
            raise DeliveryError(problem)
        asyncio.run(sender.attempt(found.name, notice))
    except DeliveryError as error:
        raise OrchestratorError(
            f"the notice was not sent to `{found.name}`: {error.reason}",
            code=codes.NOTICE_NOT_SENT,
            help=f"check the table `[notify.{found.name}]` of orchestrator.toml, and the variables that it names",
        ) from error
    if json:
        emit_json({"target": found.name, "type": found.type, "notice": notice.id})
    else:
        emit(f"sent a {'test notice' if text is None else 'notice'} to `{found.name}`")


def _named(settings: "NoticeSettings", name: str) -> "NoticeTarget":
    from orchestrator.diagnostics import suggest
    from orchestrator.errors import ConfigurationError

    target = settings.targets.get(name)
    if target is None:
        near = suggest(name, tuple(settings.targets))
        listed = f"the targets are {quoted_list(settings.targets)}" if settings.targets else ""
        raise ConfigurationError(
            f"`orchestrator.toml` has no target `{name}`",
            help=f"did you mean `{near}`?" if near else listed or f"add a table `[notify.{name}]`",
        )
    return target


def _list(settings: "NoticeSettings", *, as_json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, say, table
    from orchestrator.notices.delivery import NoticeSender
    from orchestrator.notices.notice import OCCASIONS

    sender = NoticeSender(settings)
    by_default = {
        name: [occasion for occasion in OCCASIONS if name in getattr(settings, occasion)] for name in settings.targets
    }
    problems = {name: sender.problem(name) for name in settings.targets}
    if as_json:
        emit_json(
            [
                {"name": name, "type": each.type, "default_for": by_default[name], "problem": problems[name]}
                for name, each in settings.targets.items()
            ]
        )
    elif not settings.targets:
        say("no targets of notices; add a table such as `[notify.oncall]` to orchestrator.toml")
    else:
        rows = [
            (name, each.type, ", ".join(by_default[name]) or "-", problems[name] or "ready")
            for name, each in settings.targets.items()
        ]
        emit(table(("TARGET", "TYPE", "BY DEFAULT FOR", "STATE"), rows))
