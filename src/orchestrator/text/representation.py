"""Shows a value in Python without the fields that are secret, or too long to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msgspec import Struct


def repr_without(value: Struct, *hidden: str) -> str:
    """Return the `repr` of a struct without some of its fields."""
    shown = (f"{name}={getattr(value, name)!r}" for name in value.__struct_fields__ if name not in hidden)
    return f"{type(value).__name__}({', '.join(shown)})"
