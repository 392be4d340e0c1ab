"""Sends notices as mail. The transmission blocks, so it runs in a thread."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

from orchestrator.notices.notice import DeliveryError
from orchestrator.notices.settings import secret_of
from orchestrator.text.words import shorten
from orchestrator.tools.mail.session import MailError, MailSession

if TYPE_CHECKING:
    from orchestrator.notices.notice import Notice
    from orchestrator.notices.settings import NoticeTarget


def mail_notice(target: NoticeTarget, notice: Notice, *, within: float) -> None:
    """Give a notice to a mail server. Not on an event loop. `within`: seconds that the server has for each answer.

    Raises:
        DeliveryError: The server did not accept it.
    """
    if target.user is not None:
        secret_of(target.password_env)
    session = MailSession(target.account, within=within)
    content = _message(target, notice).as_bytes()
    try:
        refused = session.send(
            content, parseaddr(target.sender)[1], [parseaddr(each)[1] for each in target.recipients], partly=True
        )
    except MailError as error:
        # a notice that may have been accepted is sent again: twice is better than never
        raise DeliveryError(error.reason, retryable=error.retryable or error.unknown) from error
    if refused:
        listed = ", ".join(sorted(refused))
        raise DeliveryError(f"the mail server refused {shorten(listed)}; the others received it", retryable=False)


def _message(target: NoticeTarget, notice: Notice) -> EmailMessage:
    message = EmailMessage(policy.SMTP.clone(cte_type="7bit"))
    message["Subject"] = shorten(notice.title, 150)
    message["From"] = target.sender
    message["To"] = ", ".join(target.recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.at, UTC))
    message["Message-ID"] = f"<{notice.id}@{parseaddr(target.sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply
    message.set_content(notice.text)
    return message
