"""Searching by regular expression. It needs nothing of Orchestrator, so that a process of its own can run it too."""

from __future__ import annotations

import re
from typing import Any


def find(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every match of `pattern` in `text`."""
    compiled = re.compile(inputs["pattern"], inputs["flags"])
    return [
        {"text": m[0], "start": m.start(), "end": m.end(), "groups": list(m.groups()), "named": m.groupdict()}
        for m in compiled.finditer(inputs["text"])
    ]


def replace(inputs: dict[str, Any]) -> tuple[str, int]:
    """Return `text` with `count` matches (0: all) replaced, and how many there were."""
    compiled = re.compile(inputs["pattern"], inputs["flags"])
    return compiled.subn(inputs["replacement"], inputs["text"], inputs["count"])
