"""Numbers of the language that need no models: how large a file may be, and a default that plans have too."""

from __future__ import annotations

from typing import Final

MAX_CHARACTERS: Final = 8 * 1024 * 1024

DEFAULT_SHARE: Final = 0.8
"""The share of a budget at which a notice is sent by default."""
