"""How many deliveries each webhook accepts in a minute."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.errors import RequestError

if TYPE_CHECKING:
    from orchestrator.server.triggers.offered_trigger import OfferedTrigger

_WINDOW: Final = 60.0


class DeliveryRate:
    """Counts the deliveries to webhooks in the last minute. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: dict[str, deque[float]] = {}

    def count(self, trigger: OfferedTrigger, most: int) -> None:
        """Count a delivery that is genuine.

        Raises:
            RequestError: ORC913, there were `most` in the last minute.
        """
        now = time.monotonic()
        with self._lock:
            recent = self._accepted.setdefault(trigger.id, deque())
            while recent and recent[0] <= now - _WINDOW:
                recent.popleft()
            if len(recent) < most:
                recent.append(now)
                return
            seconds = math.ceil(recent[0] + _WINDOW - now)
        raise RequestError(
            f"the webhook `{trigger.id}` accepts {most:,} deliveries in a minute",
            status=429,
            code=codes.REQUEST_REFUSED,
            help=f"send it again in {seconds} seconds, or raise its `max_per_minute`",
        )
