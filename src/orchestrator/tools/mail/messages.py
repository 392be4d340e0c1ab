"""Composes a mail: headers that cannot be forged, a text and an HTML body, pictures and attachments."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec import Struct

from orchestrator.tools.mail.addresses import plain_address

if TYPE_CHECKING:
    from orchestrator.tools.reports.markdown import MarkdownReport

LONGEST_SUBJECT: Final = 500
"""Characters of a subject."""

_POLICY: Final = policy.SMTP.clone(cte_type="7bit")
_DATA: Final = re.compile(r"data:image/([a-z+]+);base64,(.*)", re.DOTALL)
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:1rem}"
    "img{max-width:100%}table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}"
    "pre{overflow:auto;padding:.7rem;background:#f5f5f5}"
    "blockquote{border-left:3px solid #ccc;margin-left:0;padding-left:1rem}"
)


class Attachment(Struct, frozen=True):
    """A file of a mail: its name for the reader, and its bytes."""

    name: str
    content: bytes

    @property
    def media_type(self) -> str:
        """The media type, by the name."""
        kind, encoding = mimetypes.guess_type(self.name)
        return kind if kind is not None and encoding is None else "application/octet-stream"


class Picture(Struct, frozen=True):
    """A picture in an HTML body, which refers to it by `id`."""

    id: str
    kind: str
    content: bytes


class Letter(Struct, frozen=True):
    """What a mail says, to whom. `hidden` recipients are in no header."""

    subject: str
    sender: Address
    to: Sequence[Address]
    copies: Sequence[Address] = ()
    hidden: Sequence[Address] = ()
    reply_to: Address | None = None
    text: str | None = None
    html: str | None = None
    pictures: Sequence[Picture] = ()
    attachments: Sequence[Attachment] = ()

    @property
    def recipients(self) -> list[str]:
        """The addresses of all recipients, each once."""
        return list(dict.fromkeys(map(plain_address, (*self.to, *self.copies, *self.hidden))))


def message_id(run: str, key: str, sender: Address) -> str:
    """Return the Message-ID of what a step sends: the same for every attempt, so that they are seen as one mail."""
    return f"<{run}.{sha256(key.encode()).hexdigest()[:16]}@{plain_address(sender).rpartition('@')[2]}>"


def compose(letter: Letter, id: str, *, now: datetime | None = None) -> bytes:
    """Return a letter as it is transmitted, with CRLF at the end of each line."""
    international = not all(each.isascii() for each in letter.recipients)
    message = EmailMessage(_POLICY.clone(utf8=True) if international else _POLICY)
    message["Subject"] = letter.subject
    message["From"] = _encoded(letter.sender)
    message["To"] = tuple(map(_encoded, letter.to))
    if letter.copies:
        message["Cc"] = tuple(map(_encoded, letter.copies))
    if letter.reply_to is not None:
        message["Reply-To"] = _encoded(letter.reply_to)
    message["Date"] = format_datetime(now or datetime.now(UTC))
    message["Message-ID"] = id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply
    if letter.text is not None or letter.html is None:
        message.set_content(letter.text or "")
    if letter.html is not None:
        _add_html(message, letter)
    for attachment in letter.attachments:
        kind, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(attachment.content, maintype=kind, subtype=subtype, filename=attachment.name)
    return message.as_bytes()


def html_of(report: MarkdownReport) -> tuple[str, list[Picture]]:
    """Return a report as the HTML of a mail, with the pictures that are embedded in it, which readers show as parts."""
    pictures: dict[str, Picture] = {}
    for token in report.pictures:
        found = _DATA.fullmatch(str(token.attrs.get("src", "")))
        if found is not None:
            try:
                content = base64.b64decode(unquote(found[2]), validate=True)
            except ValueError:  # a reader may understand it
                continue
            id = f"{sha256(content).hexdigest()[:16]}@picture"
            pictures[id] = Picture(id, found[1], content)
            token.attrSet("src", f"cid:{id}")
    heading = f"<h1>{report.heading}</h1>\n" if report.heading else ""
    page = (
        f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n{heading}{report.body()}</body>\n</html>\n"
    )
    return page, list(pictures.values())


def _add_html(message: EmailMessage, letter: Letter) -> None:
    html = letter.html or ""
    if letter.text is None:
        message.set_content(html, subtype="html")
        body: EmailMessage = message
    else:
        message.add_alternative(html, subtype="html")
        body = list(message.iter_parts())[-1]  # type: ignore[assignment]
    for picture in letter.pictures:
        body.add_related(picture.content, "image", picture.kind, cid=f"<{picture.id}>", disposition="inline")


def _encoded(address: Address) -> Address:
    """Return an address with its domain in ASCII."""
    return Address(address.display_name, address.username, plain_address(address).rpartition("@")[2])
