"""Failed logins, which are counted so that tokens cannot be guessed."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

from orchestrator import codes
from orchestrator.errors import RequestError

_FAILURES: Final = 20
_WINDOW: Final = 60.0
_ADDRESSES: Final = 10_000


class FailedLogins:
    """Counts failed logins by address, and refuses an address with too many of them for a while.

    Only those that fail are refused: what is valid is no guess, and strangers may share the address of its owner.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def refuse(self, address: str) -> None:
        """Raise RequestError if there were too many failures from an address."""
        recent = self._recent(address)
        if len(recent) >= _FAILURES:
            seconds = int(_WINDOW - (time.monotonic() - recent[0])) + 1
            raise RequestError(
                "too many logins from this address",
                status=429,
                code=codes.REQUEST_REFUSED,
                help=f"try again in {seconds} seconds",
            )

    def count(self, address: str) -> None:
        """Note a failure."""
        recent = self._recent(address)
        self._failures[address] = [*recent, time.monotonic()]
        self._failures.move_to_end(address)
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = time.monotonic() - _WINDOW
        return [moment for moment in self._failures.get(address, ()) if moment > since]
