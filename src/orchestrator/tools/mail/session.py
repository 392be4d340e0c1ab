"""One mail, given to a server by SMTP: to all recipients or to none, and with certainty whether it may have been sent.

`smtplib` blocks, so a session is used by a thread; any thread can stop it.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from orchestrator.text.words import shorten
from orchestrator.tools.sandbox.network import connection_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.tools.mail.settings import MailAccount

_END: Final = b".\r\n"
_PARTING: Final = 2.0  # seconds that a server has to say goodbye


class MailError(Exception):
    """A server did not accept a mail. `answer`: what it said, or empty.

    `unknown`: the whole mail was transmitted, and the server did not say whether it accepted it.
    """

    def __init__(self, reason: str, *, answer: str = "", retryable: bool = True, unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer
        self.retryable = retryable and not unknown
        self.unknown = unknown


class MailSession:
    """The transmission of one mail."""

    def __init__(self, account: MailAccount, *, within: float) -> None:
        """`within`: seconds that the server has for each answer."""
        self._account = account
        self._within = within
        self._server: smtplib.SMTP | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._complete = False

    def stop(self) -> bool:
        """Close the connection; return whether the mail was completely transmitted, so that it may have been sent."""
        with self._lock:
            self._stopped = True
        connection = getattr(self._server, "sock", None)
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return self._complete

    def send(self, message: bytes, sender: str, recipients: Sequence[str], *, partly: bool = False) -> list[str]:
        """Give a mail to the server, and return the recipients that it refused.

        Args:
            message: The mail, with CRLF at the end of each line.
            sender: The address that receives what cannot be delivered.
            recipients: Their addresses.
            partly: Send the mail to the others if the server refuses some recipients.

        Raises:
            MailError: It was not accepted.
        """
        try:
            server = self._connected()
            try:
                refused = self._announce(server, message, sender, recipients, partly=partly)
                self._transmit(server, message)
            finally:
                _close(server)
        except MailError:
            raise
        except smtplib.SMTPAuthenticationError as error:
            raise MailError("the mail server refused the login", answer=_text(error), retryable=False) from error
        except smtplib.SMTPResponseException as error:
            raise _answered(error.smtp_code, _text(error)) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailError(
                "the mail server does not offer what the target needs: STARTTLS or a login", retryable=False
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise MailError("the certificate of the mail server is not trusted", retryable=False) from error
        except UnicodeError as error:
            raise MailError("the user name or the password is not ASCII text", retryable=False) from error
        except (OSError, smtplib.SMTPException) as error:
            if self._complete:
                raise MailError("the mail server did not say whether it accepted the mail", unknown=True) from error
            raise MailError(f"the mail server cannot be reached: {connection_problem(error)}") from error
        return refused

    def _connected(self) -> smtplib.SMTP:
        account = self._account
        if account.security == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(account.host, account.port, timeout=self._within, context=context)
        else:
            server = smtplib.SMTP(account.host, account.port, timeout=self._within)
        self._server = server
        try:
            if account.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if account.user is not None:
                server.login(account.user, account.password)
            server.ehlo_or_helo_if_needed()
        except BaseException:
            server.close()
            raise
        return server

    def _announce(
        self, server: smtplib.SMTP, message: bytes, sender: str, recipients: Sequence[str], *, partly: bool
    ) -> list[str]:
        """Tell the server from whom and to whom the mail is, and return the recipients that it refused."""
        options = []
        if server.has_extn("size"):
            most = server.esmtp_features["size"]
            if most.isdecimal() and 0 < int(most) < len(message):
                raise MailError(
                    f"the mail has {len(message):,} bytes, and the mail server takes {int(most):,} at most",
                    retryable=False,
                )
            options.append(f"SIZE={len(message)}")
        if not all(address.isascii() for address in (sender, *recipients)):
            if not server.has_extn("smtputf8"):
                reason = "the mail server does not take addresses with characters outside of ASCII"
                raise MailError(reason, retryable=False)
            server.command_encoding = "utf-8"
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        _check(*server.mail(sender, options))
        refused = []
        for recipient in recipients:
            code, answer = server.rcpt(recipient)
            if code not in (250, 251):
                if not partly:
                    raise _answered(code, _line(answer), f"the mail server refused `{shorten(recipient)}`")
                refused.append(recipient)
        if len(refused) == len(recipients):
            raise MailError("the mail server refused all recipients", retryable=False)
        return refused

    def _transmit(self, server: smtplib.SMTP, message: bytes) -> None:
        code, answer = server.docmd("DATA")
        if code != 354:
            raise _answered(code, _line(answer))
        lines = re.sub(rb"(?m)^\.", b"..", message)
        server.send(lines if lines.endswith(b"\r\n") else lines + b"\r\n")
        with self._lock:  # a session that was stopped before does not send, and one that is stopped later may have
            if self._stopped:
                raise MailError("the transmission was stopped")
            self._complete = True
        server.send(_END)
        _check(*server.getreply())


def _close(server: smtplib.SMTP) -> None:
    """End the connection. What goes wrong now changes nothing about the mail."""
    with suppress(OSError, smtplib.SMTPException):
        if server.sock is not None:
            server.sock.settimeout(_PARTING)
            server.quit()
    server.close()


def _check(code: int, answer: bytes) -> None:
    if code != 250:
        raise _answered(code, _line(answer))


def _answered(code: int, answer: str, reason: str | None = None) -> MailError:
    reason = f"the mail server answered {code}" if reason is None else f"{reason} with {code}"
    return MailError(reason, answer=answer, retryable=not 500 <= code < 600)


def _text(error: smtplib.SMTPResponseException) -> str:
    return _line(error.smtp_error)


def _line(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return shorten("".join(each for each in text if each.isprintable() or each.isspace()), 200)
