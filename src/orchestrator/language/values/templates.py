"""Detects templates in values of a file."""

from __future__ import annotations

from typing import Any

from orchestrator.language.values.auto_markup import AUTO


def is_template(value: Any) -> bool:
    """Whether a value is a text with a template."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def has_template(value: Any) -> bool:
    """Whether a value contains a template, at any depth."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or AUTO in value
    if isinstance(value, dict):
        return any(has_template(part) for part in value.values())
    return isinstance(value, list) and any(has_template(part) for part in value)
