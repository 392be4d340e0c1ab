"""Sends notices as mail. `smtplib` blocks, so it runs in a thread."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING

from orchestrator.notices.notice import DeliveryError
from orchestrator.notices.settings import secret_of
from orchestrator.text.words import shorten
from orchestrator.tools.sandbox.network import connection_problem

if TYPE_CHECKING:
    from orchestrator.notices.notice import Notice
    from orchestrator.notices.settings import NoticeTarget


def mail_notice(target: NoticeTarget, notice: Notice, *, within: float) -> None:
    """Give a notice to a mail server. Not on an event loop. `within`: seconds that the server has for each answer.

    Raises:
        DeliveryError: The server did not accept it.
    """
    password = secret_of(target.password_env) if target.user is not None else ""
    try:
        with _connection(target, within) as server:
            if target.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if target.user is not None:
                server.login(target.user, password)
            refused = server.send_message(_message(target, notice))
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError("the mail server refused the login", retryable=False) from error
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(
            f"the mail server answered {error.smtp_code}", retryable=400 <= error.smtp_code < 500
        ) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise DeliveryError("the mail server refused all recipients", retryable=False) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryError(
            "the mail server does not offer what the target needs: STARTTLS or a login", retryable=False
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError("the certificate of the mail server is not trusted", retryable=False) from error
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"the mail server cannot be reached: {connection_problem(error)}") from error
    if refused:
        listed = ", ".join(sorted(refused))
        raise DeliveryError(f"the mail server refused {shorten(listed)}; the others received it", retryable=False)


def _connection(target: NoticeTarget, within: float) -> smtplib.SMTP:
    if target.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(target.host, target.port, timeout=within, context=context)
    return smtplib.SMTP(target.host, target.port, timeout=within)


def _message(target: NoticeTarget, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = shorten(notice.title, 150)
    message["From"] = target.sender
    message["To"] = ", ".join(target.recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.at, UTC))
    message["Message-ID"] = f"<{notice.id}@{parseaddr(target.sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply
    message.set_content(notice.text)
    return message
