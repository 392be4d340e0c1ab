"""Send mail by the servers configured under `[mail]` in `orchestrator.toml`."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.text.words import plural, quoted_list, shorten
from orchestrator.tools.builtin.access import check_access
from orchestrator.tools.builtin.filesystem import read_bytes
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from email.headerregistry import Address

    from orchestrator.tools.mail.messages import Letter, Picture
    from orchestrator.tools.mail.settings import MailSetting

MOST_RECIPIENTS: Final = 100
MOST_ATTACHMENTS: Final = 50

_ANSWER: Final = 60.0  # seconds that a server has for one answer
_CHECKED: Final = 10_000
_PEOPLE: Final = ("to", "cc", "bcc", "reply_to")


class SentMail(TypedDict):
    """The mail that the server has accepted."""

    message_id: Annotated[str, "The Message-ID, the same for every attempt of the step."]
    recipients: Annotated[list[str], "The addresses of all recipients."]
    size: Annotated[int, "The size of the mail in bytes."]
    server: Annotated[str, "The name of the server in orchestrator.toml."]


def _check_subject(subject: str) -> None:
    from orchestrator.tools.mail.messages import LONGEST_SUBJECT

    if any(ord(character) < 32 or ord(character) == 127 for character in subject):
        raise _misused("a subject cannot contain line breaks or control characters", "use the filter `trim`")
    if not subject.strip() or len(subject) > LONGEST_SUBJECT:
        raise _misused(f"a subject has between 1 and {LONGEST_SUBJECT} characters", "put the rest into the text")


def _check_people(people: str | list[str]) -> None:
    _addresses(people)


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    from orchestrator.tools.mail.addresses import is_permitted, plain_address
    from orchestrator.tools.mail.settings import load_mail_servers, unknown_server

    for path in _files(known):
        if (refusal := check_access(permissions, path, "read", "attachments")) is not None:
            return refusal
    servers = load_mail_servers(permissions.directory)
    name = known.get("server")
    if not (name is None or isinstance(name, str)) or ("server" not in known and len(servers) != 1):
        return None
    setting = servers.get(name) if name is not None else next(iter(servers.values())) if len(servers) == 1 else None
    if setting is None:
        message, help = unknown_server(name, servers)
        return Refusal("server", message, advice=help)
    for parameter in _PEOPLE:
        try:
            people = _addresses(known.get(parameter))
        except StepError:
            continue  # the call reports it
        for person in people:
            if not is_permitted(person, setting.recipients):
                address = plain_address(person)
                message = f"the mail server `{setting.name}` may not send to `{shorten(address, 100)}`"
                where = f"`recipients` in `[mail.{setting.name}]` of orchestrator.toml"
                advice = f"add the address, or a pattern such as `*@{address.rpartition('@')[2]}`, to {where}"
                return Refusal(parameter, message, advice=advice)
    return None


def _files(known: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths that a call reads, as far as they are known."""
    attachments = known.get("attachments")
    yield from (each for each in (attachments if isinstance(attachments, list) else ()) if isinstance(each, str))
    text = known.get("markdown")
    if isinstance(text, str) and "![" in text and len(text) <= _CHECKED:
        from orchestrator.tools.reports.markdown import read_markdown
        from orchestrator.tools.reports.pictures import picture_paths

        yield from picture_paths(read_markdown(text))


@tool(primary="message_id", refusal=_refusal, effects="once")
async def send(
    to: Annotated[
        str | list[str],
        "The recipient, or a list: `ada@example.com` or `Ada <ada@example.com>`.",
        Checked(_check_people),
    ],
    subject: Annotated[str, "The subject.", Checked(_check_subject)],
    context: ToolContext,
    text: Annotated[str | None, "The text."] = None,
    markdown: Annotated[
        str | None,
        "The text in Markdown, which is sent as HTML and as it is; local pictures become a part of the mail.",
    ] = None,
    html: Annotated[str | None, "The text as an HTML page, which is sent as it is."] = None,
    cc: Annotated[str | list[str], "Who receives a copy.", Checked(_check_people)] = [],  # noqa: B006 - never changed
    bcc: Annotated[str | list[str], "Who receives a copy that the others do not see.", Checked(_check_people)] = [],  # noqa: B006
    reply_to: Annotated[str | None, "The address for replies; default: the sender."] = None,
    attachments: Annotated[list[str], "The paths of files to attach."] = [],  # noqa: B006
    server: Annotated[str | None, "The server: the NAME of a table `[mail.NAME]`; default: the only one."] = None,
    max_bytes: Annotated[int, "The maximum size of the mail with its attachments, in bytes."] = 20_000_000,
    timeout: Annotated[float, "The timeout of the whole call, in seconds."] = 120,  # noqa: ASYNC109 - the name that pipelines use
) -> SentMail:
    """Send one mail. The sender, and who may receive mail, are those of the server in orchestrator.toml.

    All recipients receive it, or none: if the server refuses one of them, nothing is sent. Every attempt of a step has
    the same Message-ID. What may have been sent is not sent again by itself: after a crash during the call, the step
    fails unless it has `on_resume: rerun`, and so it does when the server does not say whether it accepted the mail.

    Example:
        - id: mailed
          tool: email
          action: send
          parameters:
            to: ada@example.com
            subject: Sales of the week
            markdown: "{{ report }}"
            attachments: [output/sales.pdf]
    """
    from orchestrator.tools.mail.addresses import mail_address
    from orchestrator.tools.mail.messages import compose, message_id

    setting = _setting(context, server)
    _check_subject(subject)
    sender = mail_address(setting.sender)
    if sum(each is not None for each in (markdown, html)) > 1:
        raise _misused("both `markdown` and `html` are given", "remove one of them")
    if text is None and markdown is None and html is None:
        raise _misused("the mail has no text", "give `text`, `markdown` or `html`")
    given: dict[str, Any] = {
        "subject": subject,
        "sender": sender,
        "to": _addresses(to),
        "copies": _addresses(cc),
        "hidden": _addresses(bcc),
        "reply_to": next(iter(_addresses(reply_to)), None),
    }
    id = message_id(context.run_id, context.idempotency_key, sender)

    def write() -> "tuple[Letter, bytes]":
        letter = _letter(context, given, text, markdown, html, attachments, max_bytes)
        return letter, compose(letter, id)

    letter, content = await run_in_thread(write)
    if not letter.to or len(letter.recipients) > MOST_RECIPIENTS:
        help = "send several mails, with `for_each`" if letter.to else "name one in `to`"
        raise _misused(f"a mail has between 1 and {MOST_RECIPIENTS} recipients", help)
    if len(content) > max_bytes:
        raise _misused(
            f"the mail has {len(content):,} bytes, more than the limit of {max_bytes:,}",
            "increase `max_bytes`, or attach less",
        )
    await _transmit(setting, content, letter, id, timeout)
    context.log(f"sent {id} to {plural(len(letter.recipients), 'recipient')}")
    return {"message_id": id, "recipients": letter.recipients, "size": len(content), "server": setting.name}


async def _transmit(setting: "MailSetting", content: bytes, letter: "Letter", id: str, seconds: float) -> None:
    from orchestrator.tools.mail.addresses import plain_address
    from orchestrator.tools.mail.session import MailError, MailSession

    if setting.account.password_env is not None and not setting.account.password:
        raise _failed(
            f"the environment variable `{setting.account.password_env}`, which the mail server `{setting.name}` needs, "
            "is not set",
            "set it, and resume the run",
        )
    session = MailSession(setting.account, within=min(seconds, _ANSWER))
    sender = plain_address(letter.sender)
    unknown = f"it has the Message-ID {id}; look for it, and run the step again with `retry` if it was not sent"
    try:
        async with asyncio.timeout(seconds):
            await run_in_thread(lambda: session.send(content, sender, letter.recipients))
    except MailError as error:
        answer = f": {error.answer}" if error.answer else ""
        help = unknown if error.unknown else f"check `[mail.{setting.name}]` in orchestrator.toml, and the recipients"
        raise _failed(error.reason + answer, help, retryable=error.retryable) from error
    except TimeoutError:
        if session.stop():
            raise _failed("the mail server did not say in time whether it accepted the mail", unknown) from None
        message = f"the mail server `{setting.name}` took longer than {seconds:g} s, and nothing was sent"
        raise StepTimeout(message, seconds=seconds, help="raise `timeout`") from None
    except asyncio.CancelledError:
        session.stop()
        raise


def _setting(context: ToolContext, name: str | None) -> "MailSetting":
    from orchestrator.tools.mail.settings import load_mail_servers, unknown_server

    servers = load_mail_servers(context.permissions.directory)
    if name is None and len(servers) == 1:
        return next(iter(servers.values()))
    if name is None or name not in servers:
        message, help = unknown_server(name, servers)
        raise _failed(message, help)
    return servers[name]


def _addresses(people: Any) -> "list[Address]":
    """Return addresses from a text, or a list of texts; none for what is neither.

    Raises:
        StepError: One is not an address.
    """
    from orchestrator.tools.mail.addresses import mail_address

    listed = [people] if isinstance(people, str) else people if isinstance(people, list) else []
    found = []
    for each in listed:
        if isinstance(each, str):
            try:
                found.append(mail_address(each))
            except ValueError as error:
                help = "give several addresses as a list" if "," in each or ";" in each else None
                raise _misused(f"`{shorten(each)}`: {error}", help) from None
    return found


def _letter(
    context: ToolContext,
    given: dict[str, Any],
    text: str | None,
    markdown: str | None,
    html: str | None,
    paths: list[str],
    max_bytes: int,
) -> "Letter":
    from orchestrator.tools.mail.messages import Attachment, Letter

    if len(paths) > MOST_ATTACHMENTS:
        raise _misused(f"a mail has at most {MOST_ATTACHMENTS} attachments", "pack the files into an archive")
    length = sum(len(each) for each in (text, markdown, html) if each is not None)
    if length > max_bytes:
        raise _misused(f"the text has {length:,} characters, and the mail {max_bytes:,} bytes at most", "shorten it")
    pictures: list[Picture] = []
    if markdown is not None:
        html, pictures = _page(context, markdown, max_bytes)
        text = markdown if text is None else text
    attachments, left = [], max_bytes
    for path in paths:
        name = Path(path).name
        if not name.isprintable():
            raise _misused(f"the name of the file `{shorten(path)}` has control characters", "copy it to another name")
        content = read_bytes(context, path, left)
        left -= len(content)
        attachments.append(Attachment(name, content))
    return Letter(**given, text=text, html=html, pictures=pictures, attachments=attachments)


def _page(context: ToolContext, markdown: str, max_bytes: int) -> "tuple[str, list[Picture]]":
    from orchestrator.tools.mail.messages import html_of
    from orchestrator.tools.reports.markdown import read_markdown
    from orchestrator.tools.reports.pictures import WORD_PICTURE_KINDS, embed_pictures, leave_out_pictures

    report = read_markdown(markdown)
    elsewhere = embed_pictures(report, lambda path: read_bytes(context, path, max_bytes), kinds=WORD_PICTURE_KINDS)
    leave_out_pictures(report)
    if elsewhere:
        context.log(f"pictures are not loaded from elsewhere: {quoted_list(elsewhere, most=5)}", "warning")
    return html_of(report)


def _misused(message: str, help: str | None) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)


def _failed(message: str, help: str, *, retryable: bool = False) -> StepError:
    return StepError(message, code=codes.MAIL_FAILED, help=help, retryable=retryable)
