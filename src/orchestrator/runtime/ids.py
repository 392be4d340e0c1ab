"""Run ids: 20 lower-case letters and digits that sort by the time of creation."""

from __future__ import annotations

import os
import secrets
import threading
import time

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u, so none is mistaken for another
_TIME_LENGTH = 9  # 45 bits of milliseconds: until the year 3084
_RANDOM_LENGTH = 11  # 55 bits
_lock = threading.Lock()
_last = (0, 0)


def _reset() -> None:
    """In a child of `fork`: the lock may have been taken, and the parent counts on from the same number."""
    global _last, _lock
    _lock, _last = threading.Lock(), (0, 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def new_run_id() -> str:
    """Return a new id: 9 characters of time in milliseconds, then 11 random ones.

    Ids that one process makes within one millisecond still sort in the order of their making: the random part
    counts up by a random amount.
    """
    global _last
    with _lock:
        moment, number = _last
        now = int(time.time() * 1000)
        number = number + 1 + secrets.randbelow(1 << 20) if now <= moment else secrets.randbits(5 * _RANDOM_LENGTH - 1)
        _last = (max(now, moment), number)
        return _encode(_last[0], _TIME_LENGTH) + _encode(number, _RANDOM_LENGTH)


def _encode(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        characters.append(_DIGITS[digit])
    return "".join(reversed(characters))
