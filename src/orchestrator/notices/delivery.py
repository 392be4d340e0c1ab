"""Delivers notices to the targets of a project, again after a failure, and never more than a target should bear."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from orchestrator.notices.notice import DeliveryError
from orchestrator.text.words import plural
from orchestrator.tools.functions.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.notices.notice import Notice
    from orchestrator.notices.settings import NoticeSettings

MAX_ATTEMPTS: Final = 8
"""How often a notice is sent at most; with the delays between them, for about two minutes."""

ATTEMPT_TIMEOUT: Final = 10.0
"""Seconds that a target has to accept a notice."""

MOST_PER_MINUTE: Final = 30
"""How many notices a process sends to one target in a minute; further ones are not sent."""

_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 60.0


class NoticeSender:
    """What sends the notices of all runs of a process. From any thread."""

    def __init__(
        self, settings: NoticeSettings, *, first_delay: float = _FIRST_DELAY, chance: random.Random | None = None
    ) -> None:
        self.settings = settings
        self._first_delay = first_delay
        self._chance = chance or random.Random()  # noqa: S311 - the jitter of delays is no secret
        self._sent: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def problem(self, name: str) -> str | None:
        """Return why a target cannot be used, or None."""
        target = self.settings.targets.get(name)
        if target is None:
            return "`orchestrator.toml` has no such target"
        missing = next((each for each in target.variables if not os.environ.get(each, "").strip()), None)
        return None if missing is None else f"the environment variable `{missing}` is not set"

    async def deliver(self, name: str, notice: Notice) -> int:
        """Send a notice until the target has accepted it; return how many attempts that took.

        Raises:
            DeliveryError: It was not accepted, and is not sent again.
        """
        problem = self.problem(name)
        if problem is not None:
            raise DeliveryError(problem, retryable=False)
        self._admit(name)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                await self.attempt(name, notice)
            except DeliveryError as error:
                if not error.retryable:
                    raise
                if attempt == MAX_ATTEMPTS:
                    raise DeliveryError(f"{error.reason}, {plural(attempt, 'attempt')}", retryable=False) from error
                delay = min(_LONGEST_DELAY, self._first_delay * 2 ** (attempt - 1))
                await asyncio.sleep(max(error.wait, delay * (1 + 0.2 * self._chance.random())))
            else:
                return attempt
        raise AssertionError("unreachable")

    async def attempt(self, name: str, notice: Notice) -> None:
        """Send a notice once.

        Raises:
            DeliveryError: The target did not accept it.
        """
        target = self.settings.targets[name]
        if target.type == "smtp":
            from orchestrator.notices.mail import mail_notice  # loads `smtplib` and `ssl`

            await run_in_thread(partial(mail_notice, target, notice, within=ATTEMPT_TIMEOUT))
        else:
            post_notice = await run_in_thread(_webhook_client)
            await post_notice(target, notice, within=ATTEMPT_TIMEOUT)

    def _admit(self, name: str) -> None:
        """Count a notice, and refuse it if the target has received too many in the last minute."""
        now = time.monotonic()
        with self._lock:
            recent = self._sent.setdefault(name, deque())
            while recent and recent[0] <= now - 60:
                recent.popleft()
            if len(recent) >= MOST_PER_MINUTE:
                raise DeliveryError(f"more than {MOST_PER_MINUTE} notices in a minute", retryable=False)
            recent.append(now)


def _webhook_client() -> Callable[..., Awaitable[None]]:
    """Return what posts notices. Loading the HTTP client takes too long for an event loop."""
    from orchestrator.notices.webhooks import post_notice

    return post_notice
