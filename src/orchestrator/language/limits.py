"""How large a pipeline file may be."""

from __future__ import annotations

from typing import Final

MAX_CHARACTERS: Final = 8 * 1024 * 1024
