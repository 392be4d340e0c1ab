"""Evaluation in one line: `evaluate("{{ a }}", a=1)`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.expressions import Scope, parse_template

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def scope(**names: Any) -> Scope:
    return Scope(names, NOW)


def evaluate(text: str, **names: Any) -> Any:
    template = parse_template(text)
    assert template.problems == ()
    return template.evaluate(scope(**names))
